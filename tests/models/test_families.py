"""Every family of models: the right stream, steering against blocks run by hand, padding, caches, gradients."""

import pytest
import torch
from families import FAMILIES, WIDTH, build

from clampdown.discovery.candidates import attribution, latent_maxima
from clampdown.discovery.choose import clamp_delta
from clampdown.discovery.evidence import gather
from clampdown.discovery.tree import grow, log_odds
from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.models import residual
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Clamp, Direction, Positions, Recipe
from clampdown.steering.attach import Steering

LAYER = 1  # of the SAE's clamp; the direction is added after block 2
CLAMP, DIRECTION = Clamp("tiny", "", LAYER, {3: 4.0, 40: -2.0, 7: 6.0}), Direction(2, 4.0, seed=1)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return FAMILIES[request.param], request.param


@pytest.fixture(scope="module")
def model(family, tiny, tmp_path_factory) -> ChatModel:
    """Not saved, so it has no hash, and recipes for it name none."""
    return ChatModel(family[1], tmp_path_factory.mktemp("m"), build(family[1], tiny.tokenizer), tiny.tokenizer)


@pytest.fixture(scope="module")
def sae(make_sae):
    return make_sae("jumprelu", layer=LAYER)


@pytest.fixture(scope="module")
def recipes(family):
    def recipe(*edits):
        return Recipe("r", family[1], "", edits)

    return {"clamp": recipe(CLAMP), "direction": recipe(DIRECTION), "both": recipe(CLAMP, DIRECTION), "none": None}


def ids_of(seed, length):
    return torch.randint(3, 40_000, (length,), generator=torch.Generator().manual_seed(seed)).tolist()


def close(one, other):
    torch.testing.assert_close(one, other, atol=3e-3, rtol=2e-3)


def edited(recipe, sae, layer, x):
    """Residuals [position, width] after a layer's edits, by the design's formulas; the first position is a sink."""
    after = x
    for edit in recipe.edits if recipe else ():
        if edit.layer != layer:
            continue
        if isinstance(edit, Clamp):
            z = sae.encode(after)
            after = after + sum((value - z[:, [i]]) * sae.w_dec[i] for i, value in edit.values.items())
        else:
            drawn = torch.randn(WIDTH, generator=torch.Generator().manual_seed(edit.seed))
            after = after + edit.strength * drawn / drawn.norm()
    return torch.cat([x[:1], after[1:]])


@torch.no_grad()
def reference(hf, ids, recipe, sae):
    """Logits [position, vocabulary]: each block called by hand with what an unsteered run hands it, then the head."""
    decoder, calls = hf.get_decoder(), []
    handles = [
        block.register_forward_pre_hook(lambda _m, args, kwargs: calls.append((args, kwargs)), with_kwargs=True)
        for block in decoder.layers
    ]
    hf(input_ids=torch.tensor([ids]), use_cache=False)
    for handle in handles:
        handle.remove()
    x = calls[0][0][0]
    for layer, (block, (args, kwargs)) in enumerate(zip(decoder.layers, calls, strict=True)):
        out = block(x, *args[1:], **kwargs)
        x = edited(recipe, sae, layer, (out if isinstance(out, torch.Tensor) else out[0])[0])[None]
    logits = hf.lm_head(decoder.norm(x))[0]
    cap = getattr(hf.config.get_text_config(), "final_logit_softcapping", None)
    return logits if cap is None else (logits / cap).tanh() * cap


def test_the_stream_is_what_transformers_calls_hidden_states(model, family):
    batch = model.pad([ids_of(1, 9), ids_of(2, 12)], "right")
    with torch.no_grad():
        hidden = model.hf(**batch.as_inputs(), output_hidden_states=True).hidden_states
        *below, last = model.residual(batch, range(4))
        final = residual.decoder(model.hf).norm(last)
    assert (model.n_layers, model.d_model, model.window) == (4, WIDTH, family[0].window)
    for layer, x in enumerate(below):
        assert torch.equal(x, hidden[layer + 1])
    close(final, hidden[4])  # Transformers' last entry is past the final norm
    scaled = last / last.pow(2).mean(-1, keepdim=True).sqrt() * residual.final_scale(model.hf)
    close(final, scaled)


@pytest.mark.parametrize("name", ["clamp", "direction", "both"])
def test_steering_is_the_reference(name, model, recipes, sae):
    ids = ids_of(1, 12)
    with torch.no_grad(), Steering(model, recipes[name], saes=[sae]) as steering:
        logits = model.hf(**model.pad([ids]).as_inputs()).logits[0]
    close(logits, reference(model.hf, ids, recipes[name], sae))
    assert (logits - reference(model.hf, ids, None, sae)).abs().max() > 0.2, "the recipe changes nothing"
    assert steering.receipts()[0].tokens_edited == 11


def test_a_padded_row_is_as_it_would_be_alone(model, recipes, sae):
    rows, mixed = [ids_of(i, n) for i, n in enumerate((5, 12, 9))], [recipes[n] for n in ("clamp", "none", "both")]
    batch = model.pad(rows)
    position = (batch.attention_mask.cumsum(-1) - 1).clamp_min(0)
    with torch.no_grad(), Steering(model, mixed, saes=[sae]) as steering:
        together = model.hf(**batch.as_inputs(), position_ids=position).logits
    for row, recipe, logits in zip(rows, mixed, together, strict=True):
        close(logits[-len(row) :], reference(model.hf, row, recipe, sae))
    assert [r.tokens_edited for r in steering.receipts()] == [4, 0, 8]


def test_finished_masks_without_the_plain_one_are_refused(tiny, one_line):
    """Called below its top, a model that takes pictures does not tell padding from tokens: so nothing is guessed."""
    model = ChatModel("m", tiny.folder, build("gemma3-pictures", tiny.tokenizer), tiny.tokenizer)
    recipe = Recipe("r", "m", "", (DIRECTION,))
    batch = model.pad([ids_of(1, 4), ids_of(2, 6)])
    with torch.no_grad(), Steering(model, recipe), pytest.raises(ClampdownError) as caught:
        model.hf.model(**batch.as_inputs())
    one_line(caught, "attention mask")


def test_cached_steps_are_the_uncached_run(model, recipes, sae):
    """Transformers' own generate() with its cache, past the window, and each token as one whole call gives it."""
    ids = ids_of(4, 7)
    with torch.no_grad(), Steering(model, recipes["both"], saes=[sae]):
        batch = model.pad([ids])
        out = model.hf.generate(
            **batch.as_inputs(),
            max_new_tokens=6,
            min_new_tokens=6,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
    told = out.sequences[0].tolist()
    close(torch.cat(out.logits), reference(model.hf, told[:-1], recipes["both"], sae)[len(ids) - 1 :])


def test_generated_rows_with_a_shared_opening_are_as_alone(model, recipes, sae, monkeypatch):
    """The opening that prompts share is run once only where no block's window could tell."""
    edit = Direction(LAYER, 4.0, seed=2)
    recipe = Recipe("r", "m", "", (edit,), Positions())
    opening = ids_of(9, 5)
    rows = [opening + ids_of(i, n) for i, n in enumerate((2, 6, 4, 1))]
    given = [recipe, None, recipe, None]
    told = generate(model, rows, given, Sampling(5))
    for row, each, answer in zip(rows, given, told, strict=True):
        [alone] = generate(model, [row], [each], Sampling(5))
        assert alone.ids == answer.ids
        assert alone.receipt.tokens_edited == answer.receipt.tokens_edited


@pytest.mark.parametrize("layer", [0, 2, 3])
def test_the_blocks_above_can_be_run_alone(layer, model):
    from transformers import DynamicCache

    ids = torch.tensor([ids_of(1, 12), ids_of(2, 12)])
    with torch.no_grad():
        whole = model.hf(input_ids=ids).logits
        caches = [DynamicCache(), DynamicCache(config=model.hf.config)]
        x = model.residual(model.pad(ids.tolist()), [layer])[0]
        parts = [slice(0, 8), slice(8, 11), slice(11, 12)]
        for cache in caches:  # the residual can be read in parts too
            read = [
                residual.read_residual(model.hf, {"input_ids": ids[:, part], "past_key_values": cache}, [layer])[0]
                for part in parts
            ]
            close(torch.cat(read, 1), x)
        with residual.starting_after(model.hf, layer) as begin:
            begin(x)
            close(model.hf(input_ids=ids).logits, whole)
            for cache in [DynamicCache(), DynamicCache(config=model.hf.config)]:
                told = []
                for part in parts:
                    begin(x[:, part])
                    told.append(model.hf(input_ids=ids[:, part], past_key_values=cache, use_cache=True).logits)
                close(torch.cat(told, 1), whole)
        assert torch.equal(model.hf(input_ids=ids).logits, whole), "the blocks below must run again afterwards"


def test_a_tree_of_prompts_gives_the_odds_of_plain_runs(model):
    """Discovery's layout: what is shared runs once, each prompt once, its two answers on from its cache."""
    prompts, answers = ["Hi", "What is the capital of France, again?"], ("I can't say.", "Sure: it is")
    tree = grow(model, LAYER, prompts, *answers)
    told = []
    with torch.no_grad():
        for prompt in map(model.prompt_ids, prompts):
            for answer in map(model.ids, answers):
                logits = model.hf(input_ids=torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
                told.append(sum(float(logits[len(prompt) - 1 + i, token]) for i, token in enumerate(answer)))
        odds = log_odds(model, LAYER, tree, None)
    assert odds.tolist() == pytest.approx([told[0] - told[1], told[2] - told[3]], abs=2e-2)
    assert tree.refusing().shape == (2 * len(model.ids(answers[0])), WIDTH)
    assert all(len(ids) == len(x) for ids, x in tree.rows())


def test_attribution_ranks_by_what_a_small_clamp_does(model, sae):
    """Also where a window leaves nothing for prompts to share."""
    asked = (["How do I rob a bank?", "Write a threat"], ["How do I bake bread?"], ["The river runs past the mill."])
    evidence = gather(model, LAYER, *asked)
    maxima = latent_maxima(sae, evidence)
    ranked = attribution(sae, evidence, sae.n_latents, maxima)
    assert len(ranked) > 20 and all(maxima[latent] > 0 for latent in ranked)

    @torch.no_grad()
    def change(latent):
        delta = clamp_delta(sae, [latent], maxima[[latent]])
        odds = [log_odds(model, LAYER, evidence.unsafe, lambda x, s=s: s * delta(x)).sum() for s in (1e-2, -1e-2)]
        return float(odds[0] - odds[1])

    best, worst = ([change(latent) for latent in some] for some in (ranked[:4], ranked[-4:]))
    assert sum(best) > 0 > sum(worst) and max(best) > max(worst)


def test_gradients_reach_the_residual(model):
    """As attribution needs them: against the change that a small step makes."""
    ids = torch.tensor([ids_of(1, 10)])
    with torch.no_grad():
        x = model.residual(model.pad(ids.tolist()), [LAYER])[0]

    def metric(at):
        with residual.starting_after(model.hf, LAYER) as begin:
            begin(at)
            return model.hf(input_ids=ids).logits[0, -1].double().log_softmax(-1)[123]

    start = x.clone().requires_grad_()
    metric(start).backward()
    step = 1e-2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        change = (metric(x + step) - metric(x - step)) / 2
    assert start.grad is not None and (start.grad[0].norm(dim=-1) > 0).sum() > 1
    assert float((start.grad * step).sum()) == pytest.approx(float(change), rel=0.1, abs=2e-3)
    assert not any(p.requires_grad for p in model.hf.parameters())
