"""A study that is ready to run: its sets are read and its tasks loaded, once, and it can tell what it will tell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clampdown.measuring.sets.sets import ItemSet
from clampdown.progress import Progress, quiet
from clampdown.recipe import Recipe
from clampdown.studies.plan import Plan
from clampdown.studies.probes.base import Column

if TYPE_CHECKING:
    from clampdown.engine.cluster import Cluster
    from clampdown.engine.engine import Engine
    from clampdown.measuring.judging.outside_gate import OutsideGate
    from clampdown.models.chat_model import ChatModel


@dataclass(frozen=True)
class Prepared:
    """A recipe, a plan, and all that will be asked; `latents` is what is known of the recipe's, for the report."""

    recipe: Recipe
    plan: Plan
    sets: Sequence[ItemSet]
    columns: Sequence[Column]
    latents: Sequence[Mapping[str, Any]] = ()

    def dry_run(self) -> dict[str, Any]:
        """The arms, the sets, what n can tell and the work, without a model: see `power.dry_run`."""
        from clampdown.studies.power import dry_run

        return dry_run(self.recipe, self.plan, self.sets, self.columns)

    def run(
        self,
        model: "ChatModel",
        folder: Path | None = None,
        progress: Progress = quiet,
        first_report: Callable[[Mapping[str, Any]], None] = lambda results: None,
        outside: "OutsideGate | None" = None,
        cluster: "Cluster | None" = None,
        engine: "Engine | None" = None,
    ) -> dict[str, Any]:
        """Run it, or go on where it was: see `run.study`."""
        from clampdown.studies.run import study

        return study(
            model,
            self.recipe,
            self.sets,
            self.plan,
            folder,
            progress,
            columns=self.columns,
            latents=self.latents,
            first_report=first_report,
            outside=outside,
            cluster=cluster,
            engine=engine,
        )
