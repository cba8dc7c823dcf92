"""The receipt: what steering really did to each row, so that unsteered text can't pass as steered."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Receipt:
    """What was done to one row.

    Attributes:
        recipe_sha256: hash of the recipe; empty where none was given.
        tokens_seen: real tokens that went through the model.
        tokens_edited: those whose residual was edited at some layer.
        relative_norm: mean of ‖Δ‖/‖x‖ over edited tokens and layers; 0 where none was edited.
        path: how the edits were computed: sliced, full, direction, several joined by "+", or none.
    """

    recipe_sha256: str = ""
    tokens_seen: int = 0
    tokens_edited: int = 0
    relative_norm: float = 0.0
    path: str = "none"

    def to_dict(self) -> dict[str, str | int | float]:
        return asdict(self)

    def __str__(self) -> str:
        if not self.recipe_sha256:
            return f"unsteered · {self.tokens_seen} tokens"
        return (
            f"steered by {self.recipe_sha256[:8]} · {self.tokens_edited} of {self.tokens_seen} tokens edited · "
            f"mean ‖Δ‖/‖x‖ {self.relative_norm:.3f} · {self.path}"
        )


def joined(receipts: Sequence[Receipt]) -> Receipt:
    """Several receipts as one: tokens summed, ‖Δ‖/‖x‖ averaged over edited tokens, the first hash."""
    edited = sum(r.tokens_edited for r in receipts)
    push = sum(r.tokens_edited * r.relative_norm for r in receipts)
    paths = dict.fromkeys(part for r in receipts for part in r.path.split("+") if part != "none")
    return Receipt(
        recipe_sha256=next((r.recipe_sha256 for r in receipts if r.recipe_sha256), ""),
        tokens_seen=sum(r.tokens_seen for r in receipts),
        tokens_edited=edited,
        relative_norm=push / edited if edited else 0.0,
        path="+".join(paths) or "none",
    )
