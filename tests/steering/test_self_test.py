"""The self-test passes what works, and sees every way in which a hook can silently do something else."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parent))

from gates import WORDS, part, written

from clampdown.errors import ClampdownError
from clampdown.models import residual
from clampdown.recipe import Clamp, Direction, Gate, Positions, Recipe
from clampdown.saes.files import save_sae
from clampdown.steering.bank import SlicedClamps, Table
from clampdown.steering.gates import reading
from clampdown.steering.gates.gate_file import read_gate
from clampdown.steering.gates.words import Words
from clampdown.steering.positions import Windows
from clampdown.steering.rows import Rows
from clampdown.steering.self_test import self_test

KINDS = ["clamp", "at-least", "reconstruct", "normalised", "add", "remove", "both", "generated", "last", "first"]


@pytest.fixture(params=KINDS)
def recipe(request, tmp_path, make_sae):
    kind = request.param
    save_sae(make_sae("topk", "layer_norm" if kind == "normalised" else "none"), tmp_path / "s.safetensors")
    rule = "reconstruct" if kind == "reconstruct" else "delta"
    operation = "at-least" if kind == "at-least" else "set"
    clamp = Clamp(str(tmp_path / "s.safetensors"), "", 1, {3: 4.0, 8: "2x"}, rule, operation)
    direction = Direction(1, 1.0 if kind == "remove" else 0.3, "remove" if kind == "remove" else "add", seed=1)
    edits = {"add": (direction,), "remove": (direction,), "both": (clamp, direction)}.get(kind, (clamp,))
    positions = {
        "generated": Positions("generated"),
        "last": Positions("from-last-prompt-token"),
        "first": Positions("first-generated", 1),
    }.get(kind, Positions())
    return Recipe("mine", "tiny", "", edits, positions)


def test_a_good_recipe_passes(tiny, recipe):
    self_test(tiny, recipe)
    self_test(tiny, Recipe("none", "tiny", ""))


def fails(model, recipe, one_line):
    with pytest.raises(ClampdownError) as caught:
        self_test(model, recipe)
    one_line(caught, "mine")


def test_a_hook_that_does_nothing_is_seen(tiny, recipe, monkeypatch, one_line):
    monkeypatch.setattr(Rows, "steer", lambda self, layer, x, places: None)
    fails(tiny, recipe, one_line)


def test_an_edit_that_is_dropped_is_seen_though_the_receipt_counts_it(tiny, recipe, monkeypatch, one_line):
    monkeypatch.setattr(residual, "with_block_output", lambda output, changed: output)
    fails(tiny, recipe, one_line)


def test_an_edit_of_half_its_size_is_seen(tiny, recipe, monkeypatch, one_line):
    steer = Rows.steer

    def half(self, layer, x, places):
        changed = steer(self, layer, x, places)
        return None if changed is None else (x + changed) / 2

    monkeypatch.setattr(Rows, "steer", half)
    fails(tiny, recipe, one_line)


def test_an_edit_of_the_prompt_only_is_seen(tiny, recipe, monkeypatch, one_line):
    steer = Rows.steer
    monkeypatch.setattr(Rows, "steer", lambda self, *call: steer(self, *call) if call[1].shape[1] > 1 else None)
    fails(tiny, recipe, one_line)


def test_an_edit_of_all_rows_is_seen(tiny, recipe, monkeypatch, one_line):
    of_now = Rows._of_now

    def crossed(self, device):
        now = of_now(self, device)
        return replace(now, one=0, windows=Windows.of([self.kinds[0].positions]))

    monkeypatch.setattr(Rows, "_of_now", crossed)
    fails(tiny, recipe, one_line)


def test_a_wrong_formula_is_seen(tiny, tmp_path, make_sae, monkeypatch, one_line):
    save_sae(make_sae("topk"), tmp_path / "s.safetensors")
    recipe = Recipe("mine", "tiny", "", (Clamp(str(tmp_path / "s.safetensors"), "", 1, {3: 4.0}),))

    # Projection on the decoder row in place of the encoder: the field's known mistake.
    def projected(self, x, recipe):
        return (self.table.values[recipe] - x @ self.few.w_dec.T) @ self.few.w_dec

    monkeypatch.setattr(SlicedClamps, "delta", projected)
    fails(tiny, recipe, one_line)


def test_latents_that_are_set_where_they_are_to_be_multiplied_are_seen(tiny, tmp_path, make_sae, monkeypatch, one_line):
    save_sae(make_sae("relu"), tmp_path / "s.safetensors")
    values = dict.fromkeys(range(40), 3.0)  # some of them are on wherever one looks
    recipe = Recipe("mine", "tiny", "", (Clamp(str(tmp_path / "s.safetensors"), "", 1, values, operation="multiply"),))
    self_test(tiny, recipe)
    monkeypatch.setattr(Table, "operated", lambda self, z, recipe: self.values[recipe])
    fails(tiny, recipe, one_line)


def test_latents_that_are_off_at_the_last_token_hide_nothing(tiny, tmp_path, make_sae, monkeypatch, one_line):
    sae = make_sae("relu")
    save_sae(sae, tmp_path / "s.safetensors")
    batch = tiny.pad([tiny.probe_ids("Name a colour.")])
    with tiny.unsteered():
        z = sae.encode(tiny.residual(batch, [1])[0][0].float())
    quiet = [latent for latent in range(96) if z[-1, latent] == 0 and z[1:-1, latent].max() > 0]
    clamp = Clamp(str(tmp_path / "s.safetensors"), "", 1, {quiet[0]: 30.0}, operation="multiply")
    recipe = Recipe("mine", "tiny", "", (clamp,))
    self_test(tiny, recipe)
    monkeypatch.setattr(Table, "operated", lambda self, z, recipe: z)
    fails(tiny, recipe, one_line)


def test_the_bundled_model_in_low_precision_passes():
    from clampdown.models.chat_model import load_chat_model

    model = load_chat_model(dtype="bfloat16")
    self_test(model, Recipe("mine", model.name, model.sha256, (Direction(12, 40.0, seed=1),)))


@pytest.fixture(params=["mean", "last", "words"])
def gated(request, tiny, recipe, tmp_path):
    prompts = [tiny.prompt_ids("Name a colour."), tiny.prompt_ids("How do I whittle a spoon?")]
    kind = request.param
    parts = [] if kind == "words" else [part(2, pool=kind)]
    gate = written(tmp_path / "gate.safetensors", tiny, parts, prompts, words=WORDS if kind == "words" else None)
    return replace(recipe, gate=gate)


def test_a_good_gate_passes_though_its_edits_would_not_be_asked_for(tiny, gated):
    for decide in ("score", "open", "shut", "watch"):
        self_test(tiny, replace(gated, gate=replace(gated.gate, decide=decide)))
    self_test(tiny, replace(gated, gate=replace(gated.gate, threshold=1e9)))
    self_test(tiny, replace(gated, gate=Gate(external="wildguard")))


@pytest.mark.parametrize("told", [-1e9, 1e9, float("nan")])
def test_a_gate_that_always_says_the_same_is_seen(told, tiny, gated, monkeypatch, one_line):
    monkeypatch.setattr(reading, "pooled", lambda part, scores, count: torch.full_like(count, told, dtype=torch.float))
    monkeypatch.setattr(Words, "score", lambda self, text: told)
    fails(tiny, gated, one_line)


def test_a_gate_that_reads_other_tokens_is_seen(tiny, gated, monkeypatch, one_line):
    monkeypatch.setattr(reading, "read_positions", lambda prompt, pool, over: [1, 2])
    if read_gate(gated.gate).words is None:
        fails(tiny, gated, one_line)


def test_an_edit_behind_a_gate_is_tested_too(tiny, gated, monkeypatch, one_line):
    monkeypatch.setattr(Rows, "steer", lambda self, layer, x, places: None)
    fails(tiny, gated, one_line)
