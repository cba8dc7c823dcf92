"""Before a gate is trusted: the two prompts whose scores its file holds are scored again, on the loaded model."""

import torch

from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.recipe import Recipe
from clampdown.recipe.bundled import NO_GATE
from clampdown.steering.gates.compiled import CompiledGate, compile_gate
from clampdown.steering.gates.gate_file import Sample
from clampdown.steering.gates.reading import gate_scores

_EXACT, _ROUGH, _PACKED = 0.02, 0.1, 0.25
"""How far a score may lie from the file's, of the two prompts' distance: in float32, in less, in packed weights."""


def check_gate(model: ChatModel, recipe: Recipe) -> None:
    """Score both prompts again; nothing where the gate is forced, or decides outside.

    Raises:
        ClampdownError: a score is another than the file's, or on the other side of its threshold: the gate would open
            where it should not, or never.
    """
    if recipe.gate is None or not recipe.gate.asks or recipe.gate.external:
        return
    gate = compile_gate(model, recipe)
    file = gate.file
    exact = _EXACT if model.dtype == torch.float32 else _ROUGH
    allowed = (_PACKED if model.quantization else exact) * (file.opened.score - file.shut.score)
    for sample, word in ((file.opened, "open"), (file.shut, "shut")):
        score = _score(model, gate, sample)
        right = (score >= file.threshold) == (word == "open")
        if not right or not abs(score - sample.score) <= allowed:
            raise ClampdownError(
                f"recipe {recipe.name}: in a self-test its gate scores a prompt {score:.3g} where its file says "
                f"{sample.score:.3g}, {word} ({recipe.gate.file}); fit it on this model, as it is loaded, {NO_GATE}"
            )


def _score(model: ChatModel, gate: CompiledGate, sample: Sample) -> float:
    if gate.file.parts:
        known = model.hf.get_input_embeddings().num_embeddings
        if not all(0 <= token < known for token in sample.ids) or len(sample.ids) > model.context_length:
            raise ClampdownError("a gate's file holds a prompt that this model can't read; fit another gate")
        return gate_scores(model, gate, [Prompt(sample.ids, sample.user)])[0]
    assert gate.file.words is not None
    return gate.file.bias + gate.file.words.score(sample.text)
