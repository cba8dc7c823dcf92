"""What a study asks that takes more than a prompt and its answer: attacks, lm-eval's tasks, questions in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from clampdown.measuring.sets.sets import LETTERS, LM_EVAL, ItemSet

if TYPE_CHECKING:
    from clampdown.engine.blocks import Below
    from clampdown.engine.engine import Engine
    from clampdown.measuring.judging.outside_gate import OutsideGate
    from clampdown.models.chat_model import ChatModel
    from clampdown.studies.arms import Arm
    from clampdown.studies.plan import Plan
    from clampdown.studies.store import Row


class Column(Protocol):
    """A set with a way of its own to be asked. Its set's hash is of the items and of all that decides how.

    It can be pickled, and asks the same in another process.
    """

    @property
    def item_set(self) -> ItemSet: ...

    @property
    def yes_or_no(self) -> bool:
        """Whether each item counts as one or the other, so that what n can tell is known beforehand."""

    @property
    def sweeps(self) -> bool:
        """Whether arms that are asked the same are run together, rather than one after the other."""

    def chunks(self, draws: int, plan: "Plan") -> Iterator[tuple[int, ...]]:
        """The items' places in batches, for an arm with so many draws; the plan and the items alone decide them."""

    def work(self, place: int, plan: "Plan") -> Mapping[str, int]:
        """What an item takes at most, for one arm: some of the counts that `power.dry_run` tells."""

    def run(self, asked: "Asked", arms: "Sequence[Arm]") -> "list[list[Row]]":
        """The rows of one batch under some arms: [arm][place]; one arm where the column does not sweep."""


@dataclass(frozen=True)
class Asked:
    """One batch of a column: the items' places, which sample it is, and what it runs on.

    below: keeps what the lower blocks made of a batch's prompts for the next arm.
    outside: who is asked where a gate decides outside.
    engine: who answers; None for `generate`'s own loop.
    """

    model: "ChatModel"
    plan: "Plan"
    places: Sequence[int]
    sample: int
    below: "Below"
    outside: "OutsideGate | None" = None
    engine: "Engine | None" = None


def is_column(name: str) -> bool:
    """Whether a capability set of this name is a column: a task of lm-eval's, or one that is answered in words."""
    return name.startswith((LM_EVAL, LETTERS))


def by_draw(places: Sequence[int], draws: int) -> Iterator[list[int]]:
    """The places apart by the draw that they are answered under."""
    for draw in range(draws):
        yield [place for place in places if place % draws == draw]


def cut(places: Sequence[int], size: int) -> Iterator[tuple[int, ...]]:
    """The places in chunks of one size."""
    for start in range(0, len(places), size):
        yield tuple(places[start : start + size])
