"""The receipt: what steering really did to each row, so that unsteered text can't pass as steered."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from clampdown.recipe import Recipe


@dataclass(frozen=True)
class Receipt:
    """What was done to one row.

    Attributes:
        recipe_sha256: hash of the recipe; empty where none was given.
        tokens_seen: real tokens that went through the model.
        tokens_edited: those whose residual was edited at some layer. A clamp that multiplies, or keeps latents at least
            at a value, may have had nothing to change there; relative_norm tells.
        relative_norm: mean of ‖Δ‖/‖x‖ over edited tokens and layers; 0 where none was edited.
        path: how the edits were computed: sliced, full, direction, several joined by "+", or none.
        gate: what the recipe's gate said, "open" or "shut", of several rows also "mixed"; empty where it has none.
        score, threshold: what the gate compared; None where it was forced, decides outside, or could not be evaluated
            (which opens it), and of several rows.
        read_again: tokens of the prompt that were read once more, steered, after the gate had opened: all of them, or,
            where the window begins at the last and the model's cache can be cropped, that one.
        spared: tokens of the answer that were edited in no window, being of a tool's call; None where nothing was to be
            spared.
    """

    recipe_sha256: str = ""
    tokens_seen: int = 0
    tokens_edited: int = 0
    relative_norm: float = 0.0
    path: str = "none"
    gate: str = ""
    score: float | None = None
    threshold: float | None = None
    read_again: int = 0
    spared: int | None = None

    def accounts_for(self, recipe: Recipe | None) -> bool:
        """Whether this is what the recipe had to leave of one row, or of several together (see `joined`).

        A recipe with edits must have edited a token, unless its gate was asked and stayed shut, or only watches: then
        it must have edited none. A gate that was never asked accounts for nothing. (Ask it of several rows where a
        window leaves the prompt out: one answer may end before anything is edited.)
        """
        if self.recipe_sha256 != (recipe.sha256 if recipe else ""):
            return False
        if recipe is None or not recipe.edits:
            return self.tokens_edited == 0
        if bool(self.gate) != (recipe.gate is not None):
            return False
        held_back = recipe.gate is not None and (self.gate == "shut" or recipe.gate.decide == "watch")
        return (self.tokens_edited == 0) == held_back

    def to_dict(self) -> dict[str, Any]:
        """The fields; those of the gate only where there is one, and `spared` where something was to be."""
        fields = asdict(self)
        spared = {} if fields.pop("spared") is None else {"spared": self.spared}
        return (fields if self.gate else {name: fields[name] for name in list(fields)[:5]}) | spared

    def __str__(self) -> str:
        if not self.recipe_sha256:
            return f"unsteered · {self.tokens_seen} tokens"
        gate = f"{self._gate()} · " if self.gate else ""
        if self.gate == "shut":
            return f"{gate}unsteered · {self.tokens_seen} tokens"
        if self.gate and not self.tokens_edited:
            return f"{gate}only watched, unsteered · {self.tokens_seen} tokens"
        again = f" · {self.read_again} read again" if self.read_again else ""
        again += f" · {self.spared} spared" if self.spared else ""
        return (
            f"{gate}steered by {self.recipe_sha256[:8]} · {self.tokens_edited} of {self.tokens_seen} tokens edited"
            f"{again} · mean ‖Δ‖/‖x‖ {self.relative_norm:.3f} · {self.path}"
        )

    def _gate(self) -> str:
        if self.gate == "mixed":
            return "gate open for some"
        if self.score is None or self.threshold is None:
            return f"gate {self.gate}"
        return f"gate {self.gate} ({self.score:.3g} {'≥' if self.gate == 'open' else '<'} {self.threshold:.3g})"


def joined(receipts: Sequence[Receipt]) -> Receipt:
    """Several receipts as one: tokens summed, ‖Δ‖/‖x‖ averaged over edited tokens, the first hash.

    The gate is what all say that name one, else "mixed"; its score and threshold stay where there is but one.
    """
    edited = sum(r.tokens_edited for r in receipts)
    push = sum(r.tokens_edited * r.relative_norm for r in receipts)
    paths = dict.fromkeys(part for r in receipts for part in r.path.split("+") if part != "none")
    return Receipt(
        recipe_sha256=next((r.recipe_sha256 for r in receipts if r.recipe_sha256), ""),
        tokens_seen=sum(r.tokens_seen for r in receipts),
        tokens_edited=edited,
        relative_norm=push / edited if edited else 0.0,
        path="+".join(paths) or "none",
        gate=_the_one({r.gate for r in receipts if r.gate}, "mixed") or "",
        score=_the_one({r.score for r in receipts if r.gate}),
        threshold=_the_one({r.threshold for r in receipts if r.gate}),
        read_again=sum(r.read_again for r in receipts),
        spared=sum(known) if (known := [r.spared for r in receipts if r.spared is not None]) else None,
    )


def _the_one(found: set[Any], of_several: Any = None) -> Any:
    return next(iter(found), None) if len(found) < 2 else of_several
