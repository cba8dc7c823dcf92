"""Steering a running model, against a reference that edits the hidden state by hand and runs the blocks above."""

import math

import pytest
import torch

from clampdown.errors import ClampdownError
from clampdown.models import residual
from clampdown.recipe import Clamp, Direction, Positions, Recipe
from clampdown.saes.files import file_sha256, save_sae
from clampdown.saes.load import load_sae
from clampdown.steering.attach import Steering
from clampdown.steering.receipt import Receipt


@pytest.fixture(scope="module")
def saes(tmp_path_factory, make_sae):
    """Files of SAEs at layers 1 and 2."""
    folder = tmp_path_factory.mktemp("saes")
    save_sae(make_sae("topk"), folder / "topk.safetensors")
    save_sae(make_sae("jumprelu", "layer_norm", layer=2), folder / "jump.safetensors")
    return {name: str(folder / f"{name}.safetensors") for name in ("topk", "jump")}


@pytest.fixture(scope="module")
def recipes(saes):
    def recipe(*edits):
        return Recipe("r", "tiny", "", edits)

    topk = Clamp(saes["topk"], "", 1, {3: 4.0, 40: "1.5x", 7: -2.0})
    return {
        "delta": recipe(topk),
        "reconstruct": recipe(Clamp(saes["topk"], "", 1, {3: 4.0}, "reconstruct")),
        "at least": recipe(Clamp(saes["topk"], "", 1, {3: 1.0, 40: "0.5x"}, operation="at-least")),
        "multiplied": recipe(Clamp(saes["jump"], "", 2, dict.fromkeys(range(30), 2.5), operation="multiply")),
        "sae pass": recipe(Clamp(saes["jump"], "", 2, {}, "reconstruct")),
        "normalised": recipe(Clamp(saes["jump"], "", 2, {5: 3.0})),
        "add": recipe(Direction(0, 2.0, seed=1)),
        "add values": recipe(Direction(3, -1.5, values=tuple(float(i % 5) for i in range(32)))),
        "remove": recipe(Direction(1, 1.0, "remove", values=tuple(float(i % 3) for i in range(32)))),
        "two on one layer": recipe(topk, Direction(1, 0.5, "remove", seed=4)),
        "three layers": recipe(Direction(0, 1.0, seed=3), topk, Clamp(saes["jump"], "", 2, {5: 3.0})),
    }


def edited(edit, x):
    """Residuals [tokens, 32] after one edit, by the formulas of the design, every latent encoded."""
    if isinstance(edit, Direction):
        drawn = torch.randn(32, generator=torch.Generator().manual_seed(edit.seed)) if edit.seed is not None else None
        v = torch.tensor(edit.values) if drawn is None else drawn / drawn.norm()
        if edit.operation == "add":
            return x + edit.strength * v
        return x - edit.strength * torch.outer(x @ v, v) / (v @ v)
    sae = load_sae(edit.sae)
    z, like = sae.encode(x), sae.normalised(x)
    changed = z.clone()
    for latent, value in edit.values.items():
        value = value if isinstance(value, float) else float(value[:-1]) * sae.maximum[latent]
        own = z[:, latent]
        made = {"set": own * 0 + value, "at-least": own.clamp_min(value), "multiply": own * value}
        changed[:, latent] = made[edit.operation]
    error = x - sae.decode(z, like) if edit.rule == "delta" else 0
    return sae.decode(changed, like) + error


def reference(hf, ids, recipe, places):
    """Logits [position, vocabulary] of a Llama written out by hand; `places` (a bool a position) are edited."""
    config, inner = hf.config, hf.model
    t, heads, kv = len(ids), config.num_attention_heads, config.num_key_value_heads
    d = config.hidden_size // heads
    theta = (getattr(config, "rope_parameters", None) or {}).get("rope_theta") or config.rope_theta
    angle = torch.arange(t)[:, None] * theta ** (-torch.arange(0, d, 2) / d)
    cos, sin = torch.cat([angle, angle], -1).cos(), torch.cat([angle, angle], -1).sin()

    def norm(x, weight):
        return x * (x.pow(2).mean(-1, keepdim=True) + config.rms_norm_eps).rsqrt() * weight

    def turn(x):
        return x * cos + torch.cat([-x[..., d // 2 :], x[..., : d // 2]], -1) * sin

    x = inner.embed_tokens.weight[torch.tensor(ids)]
    places = torch.tensor(places, dtype=torch.float32)
    for layer, block in enumerate(inner.layers):
        y, at = norm(x, block.input_layernorm.weight), block.self_attn
        q, k, v = (
            (y @ w.weight.T).reshape(t, n, d).transpose(0, 1)
            for w, n in ((at.q_proj, heads), (at.k_proj, kv), (at.v_proj, kv))
        )
        k, v = turn(k).repeat_interleave(heads // kv, 0), v.repeat_interleave(heads // kv, 0)
        scores = turn(q) @ k.transpose(1, 2) / math.sqrt(d) + torch.full((t, t), -torch.inf).triu(1)
        x = x + (scores.softmax(-1) @ v).transpose(0, 1).reshape(t, -1) @ at.o_proj.weight.T
        y, mlp = norm(x, block.post_attention_layernorm.weight), block.mlp
        x = (
            x
            + (torch.nn.functional.silu(y @ mlp.gate_proj.weight.T) * (y @ mlp.up_proj.weight.T))
            @ mlp.down_proj.weight.T
        )
        for edit in recipe.edits if recipe else ():
            if edit.layer == layer:  # a place is edited or not, or by so much
                x = torch.where(places[:, None] > 0, x + places[:, None] * (edited(edit, x) - x), x)
    return norm(x, inner.norm.weight) @ hf.lm_head.weight.T


def ids_of(seed, length):
    return torch.randint(3, 40_000, (length,), generator=torch.Generator().manual_seed(seed)).tolist()


def close(one, other):
    torch.testing.assert_close(one, other, atol=2e-3, rtol=1e-3)


def steered(model, rows, recipes, side="left", **more):
    """Logits of each row's real tokens, and the receipts."""
    batch = model.pad(rows, side)
    position = (batch.attention_mask.cumsum(-1) - 1).clamp_min(0)
    with torch.inference_mode(), Steering(model, recipes, **more) as steering:
        logits = model.hf(**batch.as_inputs(), position_ids=position).logits
    return [found[mask.bool()] for found, mask in zip(logits, batch.attention_mask, strict=True)], steering.receipts()


def steps(model, recipes, rows, chunks, cache=None, **more):
    """The same through a KV cache, in calls of so many columns; rows of one length."""
    from transformers import DynamicCache

    cache, logits, start = cache or DynamicCache(), [], 0
    with torch.inference_mode(), Steering(model, recipes, **more) as steering:
        for size in chunks:
            ids = torch.tensor([row[start : start + size] for row in rows])
            mask = torch.ones(len(rows), start + size, dtype=torch.long)
            logits.append(model.hf(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True).logits)
            start += size
    return torch.cat(logits, 1), steering.receipts()


NAMES = [
    "delta",
    "reconstruct",
    "sae pass",
    "normalised",
    "add",
    "add values",
    "remove",
    "two on one layer",
    "three layers",
]


@pytest.mark.parametrize("name", NAMES)
def test_steering_is_the_reference(name, tiny, recipes):
    ids, recipe = ids_of(1, 12), recipes[name]
    [logits], [receipt] = steered(tiny, [ids], recipe)
    close(logits, reference(tiny.hf, ids, recipe, [False] + [True] * 11))
    plain = reference(tiny.hf, ids, None, [False] * 12)
    assert (logits - plain).abs().max() > 0.1, "the recipe changes nothing, so this test would show nothing"
    assert (receipt.tokens_seen, receipt.tokens_edited) == (12, 11)
    assert receipt.recipe_sha256 == recipe.sha256 and receipt.relative_norm > 0


@pytest.mark.parametrize("side", ["left", "right"])
def test_every_row_has_its_own_recipe_and_no_neighbours(side, tiny, recipes):
    rows = [ids_of(i, length) for i, length in enumerate((5, 12, 8, 12, 9, 3))]
    mixed = [recipes["delta"], None, recipes["three layers"], recipes["reconstruct"], recipes["delta"], None]
    together, receipts = steered(tiny, rows, mixed, side)
    unsteered, _ = steered(tiny, rows, None, side)
    for row, recipe, logits, plain, receipt in zip(rows, mixed, together, unsteered, receipts, strict=True):
        close(logits, reference(tiny.hf, row, recipe, [False] + [True] * (len(row) - 1)))
        [alone], [own] = steered(tiny, [row], recipe)
        close(logits, alone)
        assert receipt.tokens_edited == own.tokens_edited == (len(row) - 1 if recipe else 0)
        assert receipt.tokens_seen == len(row)
        assert receipt.relative_norm == pytest.approx(own.relative_norm, rel=1e-4)
        if recipe is None:
            assert torch.equal(logits, plain), "a row without a recipe is not bit-equal to an unsteered run"
            assert receipt == Receipt(tokens_seen=len(row))


PLACES = {  # of 6 prompt and 5 generated tokens
    "all": lambda i: True,
    "all-but-sinks": lambda i: i > 0,
    "generated": lambda i: i >= 6,
    "first-generated": lambda i: 6 <= i < 8,
    "from-last-prompt-token": lambda i: i >= 5,
}


@pytest.mark.parametrize("chunks", [[11], [6, 1, 1, 1, 1, 1], [4, 2, 1, 1, 3], [1] * 11, [9, 2]], ids=str)
@pytest.mark.parametrize("scope", PLACES)
def test_every_scope_in_any_chunks(scope, chunks, tiny, recipes):
    from dataclasses import replace

    positions = Positions(scope, 2 if scope == "first-generated" else None)
    recipe = replace(recipes["three layers"], positions=positions)
    rows = [ids_of(7, 11), ids_of(8, 11)]
    logits, receipts = steps(tiny, [recipe, None], rows, chunks, prompt_lengths=[6, 6])
    places = [PLACES[scope](i) for i in range(11)]
    close(logits[0], reference(tiny.hf, rows[0], recipe, places))
    close(logits[1], reference(tiny.hf, rows[1], None, places))
    assert [(r.tokens_seen, r.tokens_edited) for r in receipts] == [(11, sum(places)), (11, 0)]


WINDOWS = {  # of 6 prompt and 5 generated tokens: the weight of Δ at each
    "all of the prompt, 2 generated": (Positions(generated=2), [0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]),
    "the last of the prompt, 2 generated": (Positions(prompt="last", generated=2), [0] * 5 + [1, 1, 1, 0, 0, 0]),
    "the prompt alone": (Positions(generated="none"), [0, 1, 1, 1, 1, 1] + [0] * 5),
    "the last of the prompt alone": (Positions(prompt="last", generated=0), [0] * 5 + [1] + [0] * 5),
    "sinks too": (Positions(generated=1, sinks=True, sink_norm=1e-6), [1] * 7 + [0] * 4),
    "1 generated, fading over 3": (Positions(generated=1, fade=3), [0, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0]),
    "fading from the first on": (
        Positions(prompt="last", generated=1, fade=9),
        [0] * 5 + [1, 1, 0.9, 0.8, 0.7, 0.6],
    ),
}


@pytest.mark.parametrize("chunks", [[11], [6, 1, 1, 1, 1, 1], [4, 2, 1, 1, 3]], ids=str)
@pytest.mark.parametrize("window", WINDOWS)
def test_every_window_in_any_chunks(window, chunks, tiny, recipes):
    from dataclasses import replace

    positions, weights = WINDOWS[window]
    recipe, other = replace(recipes["three layers"], positions=positions), recipes["delta"]
    rows = [ids_of(7, 11), ids_of(8, 11), ids_of(9, 11)]
    logits, receipts = steps(tiny, [recipe, None, other], rows, chunks, prompt_lengths=[6, 6, 6])
    close(logits[0], reference(tiny.hf, rows[0], recipe, weights))
    close(logits[1], reference(tiny.hf, rows[1], None, [0] * 11))
    close(logits[2], reference(tiny.hf, rows[2], other, [0] + [1] * 10))
    assert [r.tokens_edited for r in receipts] == [sum(weight > 0 for weight in weights), 0, 10]


def test_without_prompt_lengths_the_first_call_is_the_prompt(tiny, recipes, one_line):
    from dataclasses import replace

    row = ids_of(7, 11)
    recipe = replace(recipes["delta"], positions=Positions("generated"))
    logits, [receipt] = steps(tiny, recipe, [row], [6, 1, 1, 1, 1, 1])
    close(logits[0], reference(tiny.hf, row, recipe, [i >= 6 for i in range(11)]))
    assert receipt.tokens_edited == 5
    # Several tokens after the first call: prompt in chunks, or a guess that assisted decoding verifies?
    with pytest.raises(ClampdownError) as caught:
        steps(tiny, recipe, [row], [6, 2, 3])
    one_line(caught, "generated")
    steps(tiny, recipes["delta"], [row], [6, 2, 3])  # where it makes no difference it is no matter


def test_tokens_above_the_sink_norm_are_left_alone(tiny, recipes):
    from dataclasses import replace

    ids = ids_of(3, 12)
    norms = tiny.residual(tiny.pad([ids]), [1])[0][0].norm(dim=-1)
    limit = float(norms[1:].sort().values[5:7].mean())
    recipe = replace(recipes["delta"], positions=Positions(sink_norm=limit))
    [logits], [receipt] = steered(tiny, [ids], recipe)
    places = [i > 0 and float(norm) <= limit for i, norm in enumerate(norms)]
    assert 0 < sum(places) < 11
    close(logits, reference(tiny.hf, ids, recipe, places))
    assert receipt.tokens_edited == sum(places)


def test_receipt_tells_the_mean_relative_change(tiny, recipes):
    ids, recipe = ids_of(1, 12), recipes["delta"]
    x = tiny.residual(tiny.pad([ids]), [1])[0][0]
    expected = ((edited(recipe.edits[0], x) - x).norm(dim=-1) / x.norm(dim=-1))[1:].mean()
    _, [receipt] = steered(tiny, [ids], recipe)
    assert receipt.relative_norm == pytest.approx(float(expected), rel=1e-4)
    assert "full" in receipt.path
    assert steered(tiny, [ids], recipes["normalised"])[1][0].path == "sliced"
    assert steered(tiny, [ids], recipes["add"])[1][0].path == "direction"
    assert "11 of 12" in str(receipt) and "unsteered" in str(Receipt(tokens_seen=3))


def hooks(model):
    modules = [residual.decoder(model.hf), *residual.blocks(model.hf)]
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules)


def test_no_hook_outlives_its_context(tiny, recipes):
    before = hooks(tiny)
    with pytest.raises(RuntimeError, match="mine"), Steering(tiny, recipes["three layers"]):  # noqa: PT012
        assert hooks(tiny) > before
        raise RuntimeError("mine")
    assert hooks(tiny) == before
    steering = Steering(tiny, recipes["delta"])
    with steering, pytest.raises(ClampdownError, match="already"), steering:
        pass
    assert hooks(tiny) == before


def test_a_nested_context_is_refused_and_the_outer_one_goes_on(tiny, recipes, one_line):
    ids, before = ids_of(1, 9), hooks(tiny)
    with torch.inference_mode(), Steering(tiny, recipes["delta"]) as outer:
        for inner in (recipes["add"], None):
            with pytest.raises(ClampdownError) as caught, Steering(tiny, inner):
                pass
            one_line(caught, "already")
        logits = tiny.hf(**tiny.pad([ids]).as_inputs()).logits[0]
    close(logits, reference(tiny.hf, ids, recipes["delta"], [False] + [True] * 8))
    assert outer.receipts()[0].tokens_edited == 8 and hooks(tiny) == before


def test_a_wrong_number_of_rows_is_refused(tiny, recipes, one_line):
    rows = [ids_of(i, 5) for i in range(3)]
    with pytest.raises(ClampdownError) as caught:
        steered(tiny, rows, [recipes["delta"], None])
    one_line(caught, "2 recipes", "3 rows")
    with Steering(tiny, recipes["delta"]):
        tiny.hf(**tiny.pad(rows).as_inputs())
        with pytest.raises(ClampdownError, match="changed from 3 to 2"):
            tiny.hf(**tiny.pad(rows[:2]).as_inputs())


def test_what_is_not_finite_is_refused(tiny, recipes, saes, one_line):
    huge = Recipe("huge", "tiny", "", (Clamp(saes["topk"], "", 1, {3: 1e38, 4: 1e38, 5: 1e38}),))
    add = Recipe("huge", "tiny", "", (Direction(1, 1e38, values=(1e18,) * 32),))
    for recipe in (huge, add):
        with pytest.raises(ClampdownError) as caught:
            steered(tiny, [ids_of(1, 5)], recipe)
        one_line(caught, "huge", "layer 1", "not finite")


def test_what_only_float16_cannot_hold_is_refused(tiny, one_line):
    recipe = Recipe("huge", "tiny", "", (Direction(1, 1e6, seed=1),))
    steering = Steering(tiny, recipe)
    steering._before(None, (), {"input_ids": torch.ones(1, 3, dtype=torch.long)})
    with pytest.raises(ClampdownError) as caught:
        steering.rows.steer(1, torch.ones(1, 3, 32, dtype=torch.float16), steering.places)
    one_line(caught, "not finite")


def test_low_precision_rows_keep_their_bits_where_nothing_is_edited(tiny, recipes):
    steering = Steering(tiny, recipes["delta"])
    steering._before(None, (), {"input_ids": torch.ones(1, 3, dtype=torch.long)})
    x = torch.randn(1, 3, 32).bfloat16()
    after = steering.rows.steer(1, x, steering.places)
    assert after.dtype == torch.bfloat16
    assert torch.equal(after[0, 0], x[0, 0]) and not torch.equal(after[0, 1], x[0, 1])


def test_a_recipe_that_does_not_fit_is_refused(tiny, saes, tmp_path, make_sae, one_line):
    from dataclasses import replace

    save_sae(make_sae("topk", d=16), tmp_path / "narrow.safetensors")
    save_sae(make_sae("topk", maximum=False), tmp_path / "blind.safetensors")
    narrow, blind = (str(tmp_path / f"{name}.safetensors") for name in ("narrow", "blind"))
    good = Clamp(saes["topk"], file_sha256(saes_path(saes)), 1, {3: 1.0})
    bad = {
        "layer 9": replace(good, layer=9),
        "layer 4": Direction(4, 1.0, seed=1),
        "trained at layer 1": replace(good, layer=2),
        "latent 96": replace(good, values={3: 1.0, 96: 1.0}),
        "hash": replace(good, sae_sha256="0" * 64),
        "width 16": Clamp(narrow, "", 1, {3: 1.0}),
        "maxima": Clamp(blind, "", 1, {3: "2x"}),
        "no SAE": Clamp("none.safetensors", "", 1, {3: 1.0}),
        "has 3 values": Direction(1, 1.0, values=(1.0, 2.0, 3.0)),
        "length zero": Direction(1, 1.0, values=(0.0,) * 32),
        "too large": Direction(1, 1.0, "remove", values=(1e30,) * 32),
    }
    Steering(tiny, Recipe("r", "tiny", tiny.sha256, (good,)))
    for words, edit in bad.items():
        with pytest.raises(ClampdownError) as caught:
            Steering(tiny, Recipe("mine", "tiny", "", (edit,)))
        one_line(caught, "recipe mine", words)
    with pytest.raises(ClampdownError) as caught:
        Steering(tiny, Recipe("mine", "other", "0" * 64, (good,)))
    one_line(caught, "recipe mine", "other", "000000000000")


def saes_path(saes):
    from pathlib import Path

    return Path(saes["topk"])


def test_saes_in_memory_come_before_files(tiny, make_sae):
    sae = make_sae("relu", name="mine")
    recipe = Recipe("r", "tiny", "", (Clamp("mine", "", 1, {3: 5.0}),))
    _, [receipt] = steered(tiny, [ids_of(1, 5)], recipe, saes=[sae])
    assert receipt.tokens_edited == 4


def test_a_mask_that_can_not_be_read_is_refused(tiny, recipes, one_line):
    ids = torch.tensor([ids_of(1, 5)])
    calls = [
        {"input_ids": ids, "attention_mask": torch.ones(1, 1, 5, 5, dtype=torch.bool)},
        {"input_ids": ids, "attention_mask": torch.ones(1, 3, dtype=torch.long)},
    ]
    for call in calls:
        with Steering(tiny, recipes["delta"]), pytest.raises(ClampdownError) as caught:
            tiny.hf(**call)
        one_line(caught, "mask")
    with Steering(tiny, recipes["delta"]), pytest.raises(ClampdownError, match="keyword"):
        tiny.hf.model(ids, torch.ones(1, 5))


def test_embeddings_in_place_of_ids_are_steered(tiny, recipes):
    ids, recipe = ids_of(1, 8), recipes["delta"]
    with torch.inference_mode(), Steering(tiny, recipe):
        logits = tiny.hf(inputs_embeds=tiny.hf.get_input_embeddings()(torch.tensor([ids]))).logits[0]
    close(logits, reference(tiny.hf, ids, recipe, [False] + [True] * 7))


def greedy(model, ids, recipe, count, places):
    """Greedy decoding by the reference, which knows of no cache."""
    told = list(ids)
    for _ in range(count):
        told.append(int(reference(model.hf, told, recipe, [places(i) for i in range(len(told))])[-1].argmax()))
        if told[-1] == model.tokenizer.eos_token_id:
            break
    return told


PLAIN = {"do_sample": False, "max_new_tokens": 8}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"cache_implementation": "static"},
        {"use_cache": False},
        {"prompt_lookup_num_tokens": 3},
        {"num_beams": 1, "prefill_chunk_size": 4},
    ],
    ids=str,
)
@pytest.mark.parametrize("scope", ["all-but-sinks", "generated"])
def test_plain_generate_is_steered_or_refused(scope, settings, tiny, recipes, one_line):
    from dataclasses import replace

    clamp = replace(recipes["delta"].edits[0], values={3: 40.0, 40: 30.0})
    recipe = replace(recipes["delta"], edits=(clamp,), positions=Positions(scope))
    ids = ids_of(11, 6) + ids_of(11, 6)  # it repeats, so that a lookup has something to guess
    batch = tiny.pad([ids])
    with torch.inference_mode(), Steering(tiny, recipe) as steering:
        try:
            told = tiny.hf.generate(**batch.as_inputs(), **PLAIN, **settings)[0].tolist()
        except (ClampdownError, RuntimeError) as error:
            assert settings, "plain generate() must work"
            if isinstance(error, ClampdownError):
                assert "\n" not in str(error)  # noqa: PT017
                return
            pytest.skip(f"Transformers itself can't do this here: {str(error)[:80]}")
    start = 12 if scope == "generated" else 1
    assert told == greedy(tiny, ids, recipe, 8, lambda i: i >= start)
    assert told != greedy(tiny, ids, None, 8, lambda i: False)
    assert steering.receipts()[0].tokens_edited > 0


def test_plain_generate_with_padding_and_a_recipe_a_row(tiny, recipes):
    rows = [ids_of(1, 4), ids_of(2, 9), ids_of(3, 7)]
    mixed = [recipes["delta"], None, recipes["add"]]
    with torch.inference_mode(), Steering(tiny, mixed) as steering:
        told = tiny.hf.generate(**tiny.pad(rows).as_inputs(), **PLAIN)
    for row, recipe, found in zip(rows, mixed, told.tolist(), strict=True):
        expected = greedy(tiny, row, recipe, 8, lambda i: i > 0)[len(row) :]
        assert found[9 : 9 + len(expected)] == expected
    # The last token told is never run.
    assert [r.tokens_seen for r in steering.receipts()] == [4 + 7, 9 + 7, 7 + 7]


def test_beams_are_steered(tiny, recipes):
    ids = ids_of(1, 6)
    with torch.inference_mode(), Steering(tiny, recipes["delta"]) as steering:
        tiny.hf.generate(**tiny.pad([ids]).as_inputs(), **PLAIN, num_beams=3)
    assert [r.tokens_edited for r in steering.receipts()] == [5 + 7] * 3


def test_the_bundled_model_is_steered_by_what_it_is_told(bundled):
    """Its blocks, its cache, its own generate(): each token as one uncached forward call gives it."""
    recipe = Recipe("r", bundled.name, bundled.sha256, (Direction(12, 30.0, seed=1),))
    ids = bundled.prompt_ids("Name a colour.")
    with torch.inference_mode():
        with Steering(bundled, recipe) as steering:
            told = bundled.hf.generate(**bundled.pad([ids]).as_inputs(), do_sample=False, max_new_tokens=5)[0].tolist()
        with Steering(bundled, recipe):
            again = bundled.hf(input_ids=torch.tensor([told[:-1]])).logits[0].argmax(-1).tolist()
        plain = bundled.hf(input_ids=torch.tensor([told[:-1]])).logits[0].argmax(-1).tolist()
    assert told[len(ids) :] == again[len(ids) - 1 :]
    assert again != plain
    assert steering.receipts()[0].tokens_edited == len(told) - 2


def test_one_sae_under_two_names_is_one_sae(tiny, saes, tmp_path, one_line):
    import shutil

    other = tmp_path / "copy.safetensors"
    shutil.copy(saes["topk"], other)
    first = Clamp(saes["topk"], "", 1, {3: 4.0, 7: 1.0})
    with pytest.raises(ClampdownError) as caught:
        Steering(tiny, Recipe("r", "tiny", "", (first, Clamp(str(other), "", 1, {7: 2.0}))))
    one_line(caught, "latent 7", "twice", "layer 1", "copy")
    Steering(tiny, Recipe("r", "tiny", "", (first, Clamp(str(other), "", 1, {8: 2.0}))))
