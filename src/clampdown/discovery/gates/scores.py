"""Scores of many prompts, by the very code that decides while the model runs."""

from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from clampdown.discovery.gates.passes import passes
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.progress import Progress, quiet
from clampdown.steering.gates.compiled import CompiledGate, CompiledPart
from clampdown.steering.gates.gate_file import GateFile
from clampdown.steering.gates.reading import Reading


def compiled(model: ChatModel, file: GateFile) -> CompiledGate:
    """A gate that need not lie in a file yet."""
    return CompiledGate(file, file.threshold, tuple(CompiledPart(part, model) for part in file.parts))


def prompt_scores(
    model: ChatModel,
    gates: Sequence[CompiledGate],
    prompts: Sequence[Prompt],
    progress: Progress = quiet,
    stage: str = "scoring prompts",
) -> Tensor:
    """The score of each prompt by each gate, all in one pass: [gate, prompt] in float64.

    Raises:
        ClampdownError: a score is not finite.
    """
    found = torch.empty(len(gates), len(prompts), dtype=torch.float64)
    top = max((layer for gate in gates for layer in gate.file.layers), default=None)
    for some in passes(model, prompts):
        progress(stage, 0, len(prompts), "")
        rows = range(len(some.prompts))
        readings = [Reading(model, gate, some.prompts, rows, some.shared) for gate in gates]
        if top is not None:
            some.read([top], _all(readings, "opening", 0), _all(readings, "rest"))
        with torch.inference_mode():
            for number, reading in enumerate(readings):
                found[number, some.places] = torch.tensor(reading.scores(), dtype=torch.float64)
        progress(stage, len(some.places), len(prompts), "")
    if not bool(torch.isfinite(found).all()):
        raise ClampdownError("a prompt's score is not finite; load the model in --dtype float32, or fit another gate")
    return found


@contextmanager
def _all(readings: Sequence[Reading], call: str, *args: Any) -> Any:
    with ExitStack() as stack:
        for reading in readings:
            if reading.gate.parts:
                stack.enter_context(getattr(reading, call)(*args))
        yield
