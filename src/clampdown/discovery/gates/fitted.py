"""What every kind of gate comes to before it has a threshold."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clampdown.models.chat_model import ChatModel
from clampdown.steering.gates.gate_file import GateFile, Sample
from clampdown.steering.gates.hidden import Hidden
from clampdown.steering.gates.parts import Part
from clampdown.steering.gates.words import Words


@dataclass(frozen=True, eq=False)
class Fitted:
    """What scores prompts: bias + Σ parts + words + hidden + windows. `about` says in texts how it came about."""

    parts: tuple[Part, ...] = ()
    words: Words | None = None
    bias: float = 0.0
    hidden: Hidden | None = None
    windows: Hidden | None = None
    about: Mapping[str, str] = field(default_factory=dict)

    def file(
        self, model: ChatModel, threshold: float = 0.0, samples: tuple[Sample, Sample] | None = None, **about: str
    ) -> GateFile:
        """As a gate's file holds it; without samples only to score prompts by."""
        some = samples or (Sample(threshold, (0,), None, "-"), Sample(threshold - 1, (0,), None, "-"))
        name, sha256 = (model.name, model.sha256) if self.parts else ("", "")
        about = {**self.about, **about}
        parts, words, hidden, windows = self.parts, self.words, self.hidden, self.windows
        return GateFile(threshold, *some, self.bias, parts, words, hidden, windows, name, sha256, about)
