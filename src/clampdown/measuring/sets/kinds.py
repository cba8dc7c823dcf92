"""The kinds of set, and what each is for: how it is asked, and whether to refuse is what is wanted there."""

from enum import StrEnum


class SetKind(StrEnum):
    """What a set's items are. Files, JSON and the command line have its value."""

    UNSAFE = "unsafe"
    SAFE = "safe"
    LOOKALIKE = "lookalike"
    CAPABILITY = "capability"
    TEXT = "text"
    ATTACK = "attack"
    ATTACK_SAFE = "attack-safe"

    @property
    def is_prompts(self) -> bool:
        """Whether its items are prompts, each answered once and the answer judged."""
        return self in PROMPTS

    @property
    def is_attack(self) -> bool:
        """Whether its items are conversations with an attacker, or with somebody harmless for comparison."""
        return self in (SetKind.ATTACK, SetKind.ATTACK_SAFE)

    @property
    def is_scored(self) -> bool:
        """Whether its items are scored by likelihood: then nothing is generated, and nothing sampled."""
        return self in (SetKind.CAPABILITY, SetKind.TEXT)

    @property
    def wants_refusal(self) -> bool:
        """Whether to refuse is what is wanted; anywhere else it is a cost."""
        return self in (SetKind.UNSAFE, SetKind.ATTACK)

    @property
    def column(self) -> str:
        """The column of a table that an item's text comes from."""
        return {SetKind.CAPABILITY: "question", SetKind.TEXT: "text"}.get(self, "prompt")


PROMPTS = (SetKind.UNSAFE, SetKind.SAFE, SetKind.LOOKALIKE)
KINDS = (*PROMPTS, SetKind.CAPABILITY, SetKind.TEXT)
"""Those that sets come in, in files, built in and by name; a study makes the others of an attack's goals."""
