"""A gate's score of a prompt is that of a plain loop over its tokens, whatever stands beside it in the batch."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

sys.path.append(str(Path(__file__).parent))

from gates import WORDS, gate_file, hidden, part, scored, written

from clampdown.errors import ClampdownError
from clampdown.models.prompt import Prompt
from clampdown.recipe import Recipe
from clampdown.saes.files import save_sae
from clampdown.saes.hashes import file_sha256
from clampdown.saes.load import load_sae
from clampdown.steering.gates.check import check_gate
from clampdown.steering.gates.compiled import CompiledPart, compile_gate
from clampdown.steering.gates.gate_file import read_gate
from clampdown.steering.gates.pooling import pooled
from clampdown.steering.gates.words import Words, n_grams


def prompts():
    draw = torch.Generator().manual_seed(3)
    lengths = [1, 2, 9, 14, 23]
    ids = [torch.randint(3, 40_000, (n,), generator=draw).tolist() for n in lengths]
    users = [None, None, [(2, 7)], [(1, 4), (6, 11)], [(0, 5), (8, 8), (12, 20)]]
    return [Prompt(row, user) for row, user in zip(ids, users, strict=True)]


PARTS = {
    "last": [part(2, pool="last")],
    "request-last": [part(2, pool="request-last", wide=3)],
    "mean": [part(0, pool="mean")],
    "mean of users": [part(0, pool="mean", over="users")],
    "mean of prompt": [part(0, pool="mean", over="prompt")],
    "max": [part(3, pool="max")],
    "windows": [part(3, pool="max", window=3)],
    "long windows": [part(3, pool="max", window=50, over="users")],
    "attention": [part(1, pool="attention", over="users")],
    "hidden": [part(1, wide=5, pool="mean")],
    "several": [part(n, seed=n, pool=p) for n, p in enumerate(("last", "mean", "max", "request-last"))] + [part(1, 9)],
}


def layer():
    """Parts that feed a hidden layer, by every pool that can, beside two that have scores of their own."""
    pools = (("last", "request"), ("mean", "request"), ("request-last", "request"), ("mean", "users"))
    fed = [
        part(n, seed=n, wide=4, features="hidden", pool=pool, over=over, window=1)
        for n, (pool, over) in enumerate(pools)
    ]
    return [fed[0], part(2, 9), *fed[1:], part(3, pool="max")]


def windowed(length=5, over="users"):
    """Parts that feed a layer of windows, beside those of the other layer."""
    how = {"wide": 3, "features": "hidden", "pool": "max", "over": over, "window": length}
    return [*layer(), part(1, 21, **how), part(3, 22, **how)]


def relu(**how):
    made = part(wide=5, seed=4, **how)
    return replace(made, features="relu")


def cosine():
    return replace(part(2, 7, wide=2), features="cosine", b=None)


def positions(prompt, one):
    """The places that a part reads, said another way."""
    said = [range(a, b) for a, b in prompt.user or () if a < b]
    if one.over == "prompt" or not said:
        said = [range(len(prompt))]
    if one.pool == "last":
        return [len(prompt) - 1]
    if one.pool == "request-last":
        return [said[-1][-1]]
    if one.over == "request":
        said = said[-1:]
    found = [place for span in said for place in span]
    return [place for place in found if place] or [0]


def plain(model, file, prompt, sae=None):
    """One prompt by itself, a token at a time."""
    total, given, of_windows = file.bias, 0.0, []
    for one in file.parts:
        [x] = model.residual(model.pad([prompt]), [one.layer])
        places = positions(prompt, one)
        tokens = [x[0, place].double() for place in places]
        if one.features == "hidden" and one.pool == "max":
            of_windows.append([one.w.double() @ token for token in tokens])
            continue
        if one.features == "hidden":
            given = given + one.w.double() @ torch.stack(tokens).mean(0)
            continue
        if one.features == "sae":
            s = list(sae.encode(x[0])[places][:, list(one.latents)].double() @ one.head.double())
        else:
            b = 0.0 if one.b is None else one.b.double()
            pre = [one.w.double() @ token + b for token in tokens]
            if one.features == "relu":
                pre = [p.clamp_min(0) for p in pre]
            if one.features == "cosine":
                pre = []
                for token in tokens:
                    onto = [(token @ row) / (row @ row) * row for row in one.w.double()]
                    pre.append(torch.stack([token @ p / token.norm() / p.norm() for p in onto]))
            s = [one.head.double() @ p for p in pre]
        s = torch.stack(s)
        if one.pool == "attention":
            total += float(torch.stack([one.attend.double() @ t for t in tokens]).softmax(0) @ s)
        elif one.pool == "max":
            n = min(one.window, len(s))
            total += max(float(s[i : i + n].mean()) for i in range(len(s) - n + 1))
        else:
            total += float(s.mean())
    if file.hidden:
        total += sum(
            float(head * max(float(into), 0.0))
            for head, into in zip(file.hidden.head, given + file.hidden.b.double(), strict=True)
        )
    if file.windows:
        n, length = len(of_windows[0]), one_window(file)
        starts = [s for s in range(n) if s % max(length // 2, 1) == 0 and s + length <= n] + [max(n - length, 0)]
        each = [sum(torch.stack(told[s : s + length]).mean(0) for told in of_windows) for s in starts]
        b, head = file.windows.b.double(), file.windows.head.double()
        total += max(float(head @ (into + b).clamp_min(0)) for into in each)
    if file.words:
        said = [(a, b) for a, b in prompt.user or () if a < b] or [(0, len(prompt))]
        text = model.tokenizer.decode(prompt[said[-1][0] : said[-1][1]], skip_special_tokens=True)
        total += file.words.score(text)
    return total


def one_window(file):
    return next(part.window for part in file.parts if part.features == "hidden" and part.pool == "max")


LAYERED = {
    "hidden layer": layer(),
    "layer of windows": windowed(),
    "of single tokens": windowed(1),
    "of the request": windowed(4, "request"),
    "of the prompt": windowed(9, "prompt"),
    "of long windows": windowed(50),
}


@pytest.mark.parametrize("kind", [*PARTS, "relu", "cosine", "words", *LAYERED])
def test_a_score_is_that_of_a_plain_loop_alone_and_together(kind, tiny):
    parts = {
        **PARTS,
        "relu": [relu(pool="max", window=2)],
        "cosine": [cosine()],
        "words": [part(2)],
        **LAYERED,
    }[kind]
    layers = {"hidden": hidden()} if kind in LAYERED else {}
    layers |= {"windows": hidden(3, seed=8)} if kind in LAYERED and kind != "hidden layer" else {}
    file = gate_file(parts, bias=0.25, words=WORDS if kind == "words" else None, **layers)
    asked = prompts()
    expected = [plain(tiny, file, prompt) for prompt in asked]
    assert len({round(score, 3) for score in expected}) == len(asked)
    assert scored(tiny, file, asked) == pytest.approx(expected, rel=2e-4, abs=2e-4)
    assert [scored(tiny, file, [prompt])[0] for prompt in asked] == pytest.approx(expected, rel=2e-4, abs=2e-4)


@pytest.mark.parametrize("kind", ["topk", "jumprelu", "relu", "gated"])
def test_latents_of_an_sae_are_its_activations(kind, tiny, make_sae, tmp_path):
    sae = make_sae(kind, layer=2)
    save_sae(sae, tmp_path / "sae.safetensors")
    name = str(tmp_path / "sae.safetensors")
    busy = (
        sae.encode(torch.cat([tiny.residual(tiny.pad([p]), [2])[0][0] for p in prompts()])).gt(0).sum(0).topk(6).indices
    )
    one = part(2, pool="mean", features="sae", sae=name, latents=tuple(busy.tolist()))
    asked = prompts()
    expected = [plain(tiny, gate_file([one]), prompt, load_sae(name)) for prompt in asked]
    assert any(expected)
    assert scored(tiny, gate_file([one]), asked) == pytest.approx(expected, rel=2e-4, abs=2e-4)


def test_a_gates_file_is_read_as_it_was_written(tiny, tmp_path):
    parts = [*PARTS["several"], relu(pool="max", window=2), cosine(), *PARTS["attention"]]
    gate = written(tmp_path / "gate.safetensors", tiny, parts, prompts(), words=WORDS, about={"fitted on": "nothing"})
    recipe = Recipe("r", "tiny", "", gate=gate)
    read = compile_gate(tiny, recipe)
    scores = scored(tiny, gate_file(parts, words=WORDS), prompts())
    assert scored(tiny, read.file, prompts()) == pytest.approx(scores, abs=1e-5)
    assert sum(score >= read.threshold for score in scores) == 3 and read.file.about == {"fitted on": "nothing"}
    assert compile_gate(tiny, replace(recipe, gate=replace(gate, threshold=7.5))).threshold == 7.5
    assert read.file.opened.user == prompts()[scores.index(read.file.opened.score)].user


def test_a_hidden_layer_is_read_as_it_was_written_and_older_files_have_none(tiny, tmp_path):
    gate = written(tmp_path / "gate.safetensors", tiny, layer(), prompts(), hidden=hidden())
    read = compile_gate(tiny, Recipe("r", "tiny", "", gate=gate)).file
    scores = scored(tiny, gate_file(layer(), hidden=hidden()), prompts())
    assert scored(tiny, read, prompts()) == pytest.approx(scores, abs=1e-5)
    check_gate(tiny, Recipe("r", "tiny", "", gate=gate))
    assert str(read.parts[0]) == "4 hidden units fed, the prompt's last token" and str(read.hidden) == "4 units"
    plain = written(tmp_path / "plain.safetensors", tiny, PARTS["last"], prompts())
    assert (
        read_gate(plain).hidden is None
        and read_gate(plain).windows is None
        and set(load_file(plain.file)) == {"0.w", "0.b", "0.head"}
    )


def test_a_layer_of_windows_is_read_as_it_was_written(tiny, tmp_path):
    layers = {"hidden": hidden(), "windows": hidden(3, seed=8)}
    gate = written(tmp_path / "gate.safetensors", tiny, windowed(), prompts(), **layers)
    read = compile_gate(tiny, Recipe("r", "tiny", "", gate=gate)).file
    assert scored(tiny, read, prompts()) == pytest.approx(
        scored(tiny, gate_file(windowed(), **layers), prompts()), abs=1e-5
    )
    assert str(read.parts[-1]) == "3 hidden units fed, max of windows of 5 tokens over all that users say"
    for wrong, said in (
        ([*windowed(), part(2, wide=3, features="hidden", pool="max", window=6, over="users")], "the same windows"),
        (windowed()[:-2], "same number of units"),
        ([*windowed(), part(2, wide=4, features="hidden", pool="max", window=5, over="users")], "same number of units"),
    ):
        with pytest.raises(ClampdownError, match=said):
            gate_file(wrong, **layers)


def test_what_overflows_never_passes_for_a_low_score(tiny, make_sae, tmp_path):
    down = torch.full((2, 32), -3e38)
    cut = CompiledPart(replace(relu(), w=torch.ones(5, 32), b=torch.zeros(5)), tiny).features(down)
    save_sae(make_sae("jumprelu", layer=2), tmp_path / "sae.safetensors")
    one = part(2, features="sae", sae=str(tmp_path / "sae.safetensors"), latents=(1, 5))
    latents = CompiledPart(one, tiny).features(torch.full((2, 32), -torch.inf))
    highest = pooled(part(2, pool="max"), torch.tensor([[[1.0], [-torch.inf], [2.0]]]), torch.tensor([3]))
    layered = hidden().score(torch.full((2, 4), -torch.inf))
    for told in (cut, latents, highest, layered):
        assert told.isnan().all()


def damaged(path, change):
    """The file with its header or tensors changed, named by its new hash."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        ((form, said),) = file.metadata().items()
    tensors, body = load_file(path), json.loads(said)
    change(body, tensors)
    save_file(tensors, path, metadata={form: json.dumps(body)})


CHANGES = {
    "another shape": (lambda b, t: t.update({"0.w": torch.zeros(1, 32, 1)}), "w must be"),
    "not finite": (lambda b, t: t["0.w"].fill_(torch.nan), "not finite"),
    "half precision": (lambda b, t: t.update({"0.w": t["0.w"].half()}), "float32"),
    "no head": (lambda b, t: t.pop("0.head"), "head"),
    "more tensors": (lambda b, t: t.update({"1.w": torch.zeros(1)}), "unknown tensors"),
    "another width": (lambda b, t: t.update({"0.w": torch.zeros(1, 31)}), "width 31"),
    "another layer": (lambda b, t: b["parts"][0].update(layer=4), "layer 4"),
    "another pool": (lambda b, t: b["parts"][0].update(pool="sum"), "pool must be"),
    "more keys": (lambda b, t: b["parts"][0].update(scale=2), "damaged"),
    "more keys at the top": (lambda b, t: b.update(scale=2), "damaged"),
    "another model": (lambda b, t: b.update(model_sha256="ab" * 32), "fitted on"),
    "samples on one side": (lambda b, t: b["samples"][1].update(score=1e9), "two sides"),
    "a threshold in words": (lambda b, t: b.update(threshold="0.5"), "finite"),
    "nothing read": (lambda b, t: (b.update(parts=[]), t.clear()), "reads nothing"),
    "odd words about it": (lambda b, t: b.update(about=["x"]), "damaged"),
    "numbers about it": (lambda b, t: b.update(about={"x": 1}), "must be texts"),
    "an odd model": (lambda b, t: b.update(model_sha256=3), "must be texts"),
    "an odd SAE": (lambda b, t: b["parts"][0].update(sae=3), "must be texts"),
    "a score that is none": (lambda b, t: b["samples"][0].update(score=None), "damaged"),
    "no samples": (lambda b, t: b.pop("samples"), "damaged"),
}


LAYERS = {
    "no b": (lambda b, t: t.pop("hidden.b"), "damaged"),
    "no layer": (lambda b, t: (t.pop("hidden.b"), t.pop("hidden.head")), "same number of units"),
    "a layer of another width": (
        lambda b, t: t.update({"hidden.b": torch.zeros(3), "hidden.head": torch.zeros(3)}),
        "same",
    ),
    "b of another length": (lambda b, t: t.update({"hidden.b": torch.zeros(3)}), r"\[unit\]"),
    "a layer that is not finite": (lambda b, t: t["hidden.head"].fill_(torch.inf), "finite float32"),
    "a layer in half precision": (lambda b, t: t.update({"hidden.b": t["hidden.b"].half()}), "finite float32"),
    "more of a layer": (lambda b, t: t.update({"hidden.w": torch.zeros(4)}), "unknown tensors hidden.w"),
    "a part of another width": (lambda b, t: t.update({"0.w": torch.zeros(3, 32)}), "same number"),
    "a part for another model": (lambda b, t: t.update({"0.w": torch.zeros(4, 31)}), "width 31"),
    "a part with a head": (lambda b, t: t.update({"0.head": torch.zeros(4)}), "no head"),
    "a part with a b": (lambda b, t: t.update({"0.b": torch.zeros(4)}), "no b"),
    "a part without w": (lambda b, t: t.pop("0.w"), "w must be"),
    "a part with a maximum": (lambda b, t: b["parts"][0].update(pool="max"), "same number"),
    "a part with attention": (
        lambda b, t: (b["parts"][0].update(pool="attention"), t.update({"0.attend": torch.zeros(32)})),
        "is fed by",
    ),
    "a part that is none": (lambda b, t: b["parts"][0].update(features="linear"), "head must be"),
}


@pytest.mark.parametrize("change", [*CHANGES, *LAYERS])
def test_a_gates_file_that_is_off_is_refused(change, tiny, tmp_path):
    parts, own = (layer(), hidden()) if change in LAYERS else (PARTS["last"], None)
    gate = written(tmp_path / "gate.safetensors", tiny, parts, prompts(), hidden=own)
    what, said = {**CHANGES, **LAYERS}[change]
    damaged(tmp_path / "gate.safetensors", what)
    recipe = Recipe("r", "tiny", "", gate=gate)
    with pytest.raises(ClampdownError, match="hash is another"):
        compile_gate(tiny, recipe)
    mended = replace(gate, sha256=file_sha256(tmp_path / "gate.safetensors"))
    with pytest.raises(ClampdownError, match=said) as error:
        compile_gate(tiny, replace(recipe, gate=mended))
    assert "\n" not in str(error.value) and "gate.safetensors" in str(error.value)


def test_a_pointer_in_a_gates_place_is_told(tiny, tmp_path):
    gate = written(tmp_path / "gate.safetensors", tiny, PARTS["last"], prompts())
    (tmp_path / "gate.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(ClampdownError, match=r"hash is another.*git lfs pull"):
        compile_gate(tiny, Recipe("r", "tiny", "", gate=gate))


def test_a_prompt_that_the_model_can_not_read_is_told(tiny, tmp_path):
    gate = written(tmp_path / "gate.safetensors", tiny, PARTS["last"], prompts())
    damaged(tmp_path / "gate.safetensors", lambda b, t: b["samples"][0].update(ids=[10**6]))
    mended = replace(gate, sha256=file_sha256(tmp_path / "gate.safetensors"))
    with pytest.raises(ClampdownError, match="can't read"):
        check_gate(tiny, Recipe("r", "tiny", "", gate=mended))


def test_what_is_no_gates_file_is_refused(tiny, tmp_path):
    gate = written(tmp_path / "gate.safetensors", tiny, PARTS["last"], prompts())
    with pytest.raises(ClampdownError, match="No such file"):
        read_gate(replace(gate, file=str(tmp_path / "other.safetensors")))
    import hashlib
    import pickle

    for name, content in (("text", b"not a gate"), ("pickle", pickle.dumps({"w": 1})), ("empty", b"")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ClampdownError, match="not a readable"):
            read_gate(replace(gate, file=str(path), sha256=hashlib.sha256(content).hexdigest()))


def test_words_count_n_grams():
    assert n_grams("To  kill", "characters", 2, 2) == [" t", "to", "o ", " k", "ki", "il", "ll", "l "]
    assert n_grams("To kill, a weed", "words", 1, 2) == ["to", "kill", "a", "weed", "to kill", "kill a", "a weed"]
    idf, weight = torch.tensor([2.0, 1.0]), torch.tensor([1.0, -3.0])
    words = Words(idf, weight, ("kill", "weed"), unit="words", longest=1, sublinear=False)
    # counts 2 and 1, times idf: 4 and 1
    assert words.score("Kill the weed, kill!") == pytest.approx((4 * 1 - 1 * 3) / 17**0.5)
    assert words.score("nothing known") == 0.0
    hashed = Words(torch.ones(1), torch.ones(1), unit="words", longest=1)
    assert hashed.score("anything") == pytest.approx(1.0)
