"""Random gates for tests: every kind of part, with a threshold between the scores of two prompts."""

import torch

from clampdown.models.prompt import user_turns
from clampdown.recipe import Gate
from clampdown.steering.gates.compiled import CompiledGate, CompiledPart
from clampdown.steering.gates.gate_file import GateFile, Sample, save_gate
from clampdown.steering.gates.hidden import Hidden
from clampdown.steering.gates.parts import Part
from clampdown.steering.gates.reading import gate_scores
from clampdown.steering.gates.spans import read_text
from clampdown.steering.gates.words import Words


def part(layer=1, seed=0, d=32, wide=1, **how):
    draw = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.randn(*shape, generator=draw)

    kind = how.get("features", "linear")
    made = {"w": rand(wide, d), "b": None if kind == "cosine" else rand(wide), "head": rand(wide)}
    if kind == "hidden":
        made |= {"b": None, "head": None}
    if kind == "sae":
        made |= {"w": None, "b": None, "head": rand(len(how["latents"]))}
    if how.get("pool") == "attention":
        made["attend"] = rand(d) / d**0.5
    return Part(layer, **{**made, **how})


def scored(model, file, prompts):
    """The scores of prompts by a gate that lies in no file."""
    return gate_scores(
        model, CompiledGate(file, file.threshold, tuple(CompiledPart(p, model) for p in file.parts)), prompts
    )


def hidden(units=4, seed=5):
    draw = torch.Generator().manual_seed(seed)
    return Hidden(torch.randn(units, generator=draw), torch.randn(units, generator=draw))


def gate_file(parts, threshold=0.0, words=None, bias=0.0, hidden=None, windows=None):
    opened, shut = (Sample(threshold + side, (1,), None, "a") for side in (1, -1))
    return GateFile(threshold, opened, shut, bias, tuple(parts), words, hidden, windows)


def written(path, model, parts, prompts, words=None, hidden=None, windows=None, **how) -> Gate:
    """A gate's file whose threshold lies in the middle of these prompts' scores."""
    scores = scored(model, gate_file(parts, words=words, hidden=hidden, windows=windows), prompts)
    ranked = sorted(range(len(scores)), key=scores.__getitem__)
    low, high = ranked[len(ranked) // 2 - 1], ranked[len(ranked) // 2]
    samples = []
    for place in (high, low):
        prompt = prompts[place]
        text = "\n".join(model.tokenizer.decode(ids, skip_special_tokens=True) for ids in read_text(prompt, "request"))
        samples.append(Sample(scores[place], tuple(prompt), user_turns(prompt), text))
    threshold = (scores[low] + scores[high]) / 2
    how |= {"model": model.name, "model_sha256": model.sha256}
    file = GateFile(threshold, *samples, parts=tuple(parts), words=words, hidden=hidden, windows=windows, **how)
    return save_gate(file, path)


WORDS = Words(torch.linspace(0.5, 1.5, 64), torch.randn(64, generator=torch.Generator().manual_seed(6)))
