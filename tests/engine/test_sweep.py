"""Several recipes at once, against one at a time."""

import copy
import random

import pytest
import torch

from clampdown.engine.request import Continuation
from clampdown.engine.scoring import sweep_loglikelihood
from clampdown.engine.sharing import Sweep
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Clamp, Direction, Positions, Recipe
from clampdown.saes.directory import BUNDLED
from clampdown.saes.files import save_sae
from clampdown.steering.attach import Steering
from clampdown.steering.receipt import Receipt, joined


@pytest.fixture(scope="module")
def recipes(tmp_path_factory, make_sae):
    sae = tmp_path_factory.mktemp("sae") / "topk.safetensors"
    save_sae(make_sae("topk"), sae)

    def clamp(value, positions=None, **changes):
        return Recipe(
            "r", "tiny", "", (Clamp(str(sae), "", 1, {3: value, 40: "1.5x"}, **changes),), positions or Positions()
        )

    return [
        clamp(4.0),
        clamp(9.0, rule="reconstruct"),
        None,
        clamp(9.0, Positions("all")),
        clamp(9.0, Positions("generated")),
        clamp(9.0, Positions("from-last-prompt-token")),
        clamp(9.0, Positions("first-generated", count=1)),
        Recipe("two layers", "tiny", "", (Direction(1, 5.0, seed=3), Direction(2, -5.0, seed=4))),
        Recipe("higher", "tiny", "", (Direction(3, 9.0, seed=5),)),
    ]


def ids(seed, length):
    return random.Random(seed).choices(range(3, 40_000), k=length)


def requests(shared=0):
    """Prompts that begin alike or not; answers of one to four tokens, some to the same prompt."""
    opening = ids(0, shared)
    found = []
    for n in range(5):
        prompt = opening + ids(n + 1, 2 + 3 * n)
        found += [Continuation(prompt, [token]) for token in ids(n + 50, 3)]
        found += [Continuation(prompt, ids(n + 70, 1 + n % 4))]
    prompt = opening + ids(9, 6)
    return [*found, Continuation(prompt, [7, 8]), Continuation([*prompt, 7], [8]), found[0]]


@torch.inference_mode()
def alone(model, request, recipe):
    """One request, one recipe, one forward call without cache or padding: score, greediness, receipt."""
    row, start = [*request.prompt, *request.answer], len(request.prompt)
    with Steering(model, [recipe], prompt_lengths=[start]) as steering:
        told = model.hf(input_ids=torch.tensor([row[:-1]])).logits[0, start - 1 :].double().log_softmax(-1)
    answer = torch.tensor(request.answer)
    score = float(told.gather(-1, answer[:, None]).sum())
    return score, bool((told.argmax(-1) == answer).all()), steering.receipts()[0]


@pytest.mark.parametrize("shared", [0, 20], ids=["no shared beginning", "20 tokens shared"])
def test_scores_and_receipts_are_those_of_separate_runs(shared, tiny, recipes):
    asked = requests(shared)
    swept = sweep_loglikelihood(tiny, recipes, asked, batch_size=4)
    told = set()
    for recipe, scores, receipts in zip(recipes, swept.scores, swept.receipts, strict=True):
        for request, score, receipt in zip(asked, scores, receipts, strict=True):
            expected, greedy, taken = alone(tiny, request, recipe)
            assert score.log_probability == pytest.approx(expected, rel=1e-5, abs=1e-4)
            assert score.greedy == greedy
            assert receipt.recipe_sha256 == (recipe.sha256 if recipe else "")
            if receipt.tokens_seen:  # else it shares a row with an earlier request
                assert (receipt.tokens_seen, receipt.tokens_edited) == (taken.tokens_seen, taken.tokens_edited)
                assert receipt.relative_norm == pytest.approx(taken.relative_norm, rel=1e-4)
        told.add(tuple(score.log_probability for score in scores))
    assert len(told) == len(recipes), "two recipes score alike, so this test would not tell them apart"


@pytest.mark.parametrize("shared", [0, 20])
def test_a_sweep_is_exactly_its_recipes_one_by_one(shared, tiny, recipes):
    """Same batches, same shapes: not even the last bit differs where the lowest layer is the same."""
    asked, alike = requests(shared), [r for r in recipes if r and r.edits[0].layer == 1]
    together = sweep_loglikelihood(tiny, alike, asked, batch_size=4)
    for n, recipe in enumerate(alike):
        assert sweep_loglikelihood(tiny, [recipe], asked, batch_size=4).scores[0] == together.scores[n]


def test_every_position_has_its_logits(tiny, recipes):
    rows = [ids(1, 9), ids(2, 5)]
    for recipe, (logits, _) in zip(recipes, Sweep(tiny, recipes).logits(rows, [4, 2]), strict=True):
        with torch.inference_mode(), Steering(tiny, [recipe] * 2, prompt_lengths=[4, 2]):
            whole = tiny.hf(**tiny.pad(rows, "right").as_inputs(), use_cache=False).logits
        for found, expected, row in zip(logits, whole, rows, strict=True):
            torch.testing.assert_close(found[: len(row)], expected[: len(row)], atol=2e-3, rtol=1e-4)


def test_blocks_below_run_once_for_all(tiny, recipes):
    """Counted in tokens that go through a block: below the lowest layer once, above it once for each recipe."""
    through = [0] * tiny.n_layers
    blocks = tiny.hf.model.layers

    def count(number):
        def hook(module, args):
            if "forward" not in module.__dict__:  # not passed over
                through[number] += args[0].shape[0] * args[0].shape[1]

        return blocks[number].register_forward_pre_hook(hook)

    handles = [count(number) for number in range(tiny.n_layers)]
    asked = [Continuation(ids(0, 20) + ids(n + 1, 4), [5]) for n in range(6)]
    try:
        sweep_loglikelihood(tiny, recipes[:3], asked, batch_size=3)
    finally:
        for handle in handles:
            handle.remove()
    once = 20 + 6 * 4  # the shared beginning, then what is each prompt's own
    assert through == [once, once, 3 * once, 3 * once]


def test_the_beginning_may_also_be_run_with_every_row(tiny, recipes):
    asked = requests(20)
    shared, apart = (sweep_loglikelihood(tiny, recipes, asked, share_prefix=s) for s in (True, False))
    for one, other in zip(shared.scores, apart.scores, strict=True):
        assert [s.log_probability for s in one] == pytest.approx([s.log_probability for s in other], rel=1e-5, abs=1e-4)
        assert [s.greedy for s in one] == [s.greedy for s in other]


def test_bfloat16_stays_within_its_tolerance(bundled):
    """A quarter of a nat for each token of an answer where a beginning is shared, since bfloat16's logits lie up to an
    eighth apart; bit for bit where none is."""
    half = ChatModel(bundled.name, bundled.folder, copy.deepcopy(bundled.hf).bfloat16(), bundled.tokenizer)
    shown = "".join(f"Question: What is {n} + {n}?\nAnswer: {2 * n}\n\n" for n in range(1, 4))
    asked = [
        Continuation(half.ids(f"{shown}Question: {question}\nAnswer:"), half.ids(answer))
        for question in ("What is 4 + 4?", "What is the capital of France?")
        for answer in (" 8", " Paris", " a small town in the north")
    ]
    some = {latent: "1x" for latent in range(0, 400, 50)}
    recipes = [None, Recipe("some latents", bundled.name, "", (Clamp(BUNDLED, "", 12, some),))]
    swept = sweep_loglikelihood(half, recipes, asked)
    apart = sweep_loglikelihood(half, recipes, asked, share_prefix=False)
    for n, recipe in enumerate(recipes):
        one = sweep_loglikelihood(half, [recipe], asked, share_prefix=False)
        assert one.scores[0] == apart.scores[n]
        for request, found, expected in zip(asked, swept.scores[n], one.scores[0], strict=True):
            assert abs(found.log_probability - expected.log_probability) <= 0.25 * len(request.answer)


def test_generation_begins_within_bfloat16s_tolerance(bundled):
    """Half a nat for the five likeliest first tokens: the unlikely ones among them are a few steps of an eighth off."""
    half = ChatModel(bundled.name, bundled.folder, copy.deepcopy(bundled.hf).bfloat16(), bundled.tokenizer)
    prefix = half.ids("".join(f"Question: What is {n} + {n}?\nAnswer: {2 * n}\n\n" for n in range(1, 4)))
    rows = [prefix + half.ids(f"Question: {q}\nAnswer:") for q in ("What is 4 + 4?", "What is the capital of France?")]
    some = {latent: "1x" for latent in range(0, 400, 50)}
    recipes = [None, Recipe("some latents", bundled.name, "", (Clamp(BUNDLED, "", 12, some),))]
    sweep = Sweep(half, recipes, prefix)
    batch = sweep.laid_out(rows)
    position = (batch.attention_mask.cumsum(-1) - 1).clamp_min(0)
    with torch.no_grad():
        last = {"input_ids": batch.input_ids[:, -1:], "position_ids": position[:, -1:]}
        shared = [
            half.hf(**last, attention_mask=batch.attention_mask, past_key_values=cache).logits[:, -1].float()
            for _, cache, _ in sweep.prefilled(rows)
        ]
        for recipe, found in zip(recipes, shared, strict=True):
            for row, logits in zip(rows, found, strict=True):
                with Steering(half, [recipe], prompt_lengths=[len(row)]):
                    alone = half.hf(input_ids=torch.tensor([row])).logits[0, -1].float().log_softmax(-1)
                likely = alone.topk(5).indices
                assert (logits.log_softmax(-1)[likely] - alone[likely]).abs().max() <= 0.5


def test_long_requests_lose_their_beginning(tiny, recipes):
    long = Continuation(ids(1, 30), ids(2, 3))
    short = Continuation(long.prompt[-14:], long.answer)
    swept = sweep_loglikelihood(tiny, recipes, [long], max_length=16)
    assert swept.scores == sweep_loglikelihood(tiny, recipes, [short], max_length=16).scores


def test_edges(tiny, recipes, one_line):
    assert sweep_loglikelihood(tiny, [None, None], []).scores == [[], []]
    plain = sweep_loglikelihood(tiny, [None, None], requests())
    assert plain.scores[0] == plain.scores[1]
    for wrong in (Continuation([], [5]), Continuation([5], []), Continuation([5], ids(0, 17))):
        with pytest.raises(ClampdownError) as caught:
            sweep_loglikelihood(tiny, recipes, [wrong], max_length=16)
        one_line(caught, "request 0")
    with pytest.raises(ClampdownError) as caught:
        sweep_loglikelihood(tiny, [Recipe("r", "tiny", "", (Direction(9, 1.0, seed=1),))], requests())
    one_line(caught, "layer 9")


def test_scores_that_are_not_finite_are_refused(tiny, monkeypatch, one_line):
    forward = tiny.hf.lm_head.forward
    monkeypatch.setattr(tiny.hf.lm_head, "forward", lambda x: forward(x) * torch.nan)
    with pytest.raises(ClampdownError) as caught:
        sweep_loglikelihood(tiny, [None], requests())
    one_line(caught, "not finite")


@pytest.mark.parametrize("shared", [0, 12])
@pytest.mark.parametrize("own", [(9, 5), (1, 1)])
def test_a_prompt_run_once_goes_on_as_one_run_for_each_recipe(own, shared, tiny, recipes):
    """Greedy decoding from the caches, padded rows and all, steered on; hooks are gone afterwards."""
    rows = [ids(0, shared) + ids(n, length) for n, length in enumerate(own, 1)]
    greedy = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": tiny.tokenizer.pad_token_id}
    sweep = Sweep(tiny, recipes, rows[0][:shared])
    before = [dict(block._forward_hooks) for block in tiny.hf.model.layers]  # Transformers may have hooks of its own
    batch, found = sweep.laid_out(rows), []
    for steering, cache, opening in sweep.prefilled(rows):
        answers = tiny.hf.generate(**batch.as_inputs(), past_key_values=cache, **greedy)
        receipts = [joined([opening, taken]) if opening else taken for taken in steering.receipts()]
        found.append((answers[:, -6:], receipts))
    assert [dict(block._forward_hooks) for block in tiny.hf.model.layers] == before
    plain, lengths = tiny.pad(rows), [len(row) for row in rows]
    for recipe, (answers, receipts) in zip(recipes, found, strict=True):
        with Steering(tiny, [recipe] * 2, prompt_lengths=lengths) as steering:
            assert torch.equal(answers, tiny.hf.generate(**plain.as_inputs(), **greedy)[:, -6:])
        for one, other in zip(receipts, steering.receipts(), strict=True):
            assert (one.tokens_seen, one.tokens_edited) == (other.tokens_seen, other.tokens_edited)


def test_receipts_join():
    assert joined([]) == Receipt()
    one, other = Receipt("a", 10, 4, 0.5, "sliced"), Receipt("a", 6, 0, 0.0, "sliced")
    assert joined([one, other]) == Receipt("a", 16, 4, 0.5, "sliced")
    assert joined([one, Receipt("a", 4, 4, 1.5, "full")]) == Receipt("a", 14, 8, 1.0, "sliced+full")


# ---- through lm-eval


def test_tasks_swept_are_tasks_run_one_by_one(tiny, recipes, tmp_path):
    pytest.importorskip("lm_eval", exc_type=ImportError)
    from lm_eval_tasks import write_tasks

    from clampdown.measuring.capability.lm_eval.runs import run_tasks, run_tasks_sweep
    from clampdown.measuring.capability.lm_eval.tasks import TaskSettings

    names = ["tiny_choice", "tiny_letter", "tiny_sums", "tiny_text"]
    settings = TaskSettings(write_tasks(tmp_path), few_shot=2, batch_size=3)
    told = Recipe("told", "tiny", "", (Direction(1, 5.0, seed=3),), system_prompt="Be brief.")
    chosen = [recipes[0], None, told, recipes[1]]
    for recipe, swept in zip(chosen, run_tasks_sweep(tiny, chosen, names, settings), strict=True):
        one = run_tasks(tiny, recipe, names, settings)
        for a, b in zip(swept.items, one.items, strict=True):
            assert (a.item, a.doc_hash, a.prompt, a.text, a.label, a.chosen) == (
                b.item,
                b.doc_hash,
                b.prompt,
                b.text,
                b.label,
                b.chosen,
            )
            assert a.metrics == pytest.approx(b.metrics, rel=1e-4)
            assert a.scores == pytest.approx(b.scores, rel=1e-5, abs=1e-4)
            assert (a.receipt.tokens_seen, a.receipt.tokens_edited) == (b.receipt.tokens_seen, b.receipt.tokens_edited)
        assert swept.facts["tokens_edited"] == one.facts["tokens_edited"]


def test_sampled_answers_draw_the_same_numbers_under_every_recipe(tiny, recipes, tmp_path):
    pytest.importorskip("lm_eval", exc_type=ImportError)
    from lm_eval.api.instance import Instance

    from clampdown.measuring.capability.lm_eval.sweep import SweepLM

    said = {"until": ["never said"], "max_gen_toks": 5, "do_sample": True, "temperature": 0.9}
    asked = [Instance("generate_until", {}, (f"Number {n}", said), 0, ("t", n, 1)) for n in range(4)]
    lm = SweepLM(tiny, [None, recipes[0], None], batch_size=2)
    found = []
    for arm in range(3):
        lm.turn_to(arm)
        found.append(lm.generate_until(asked))
    assert found[0] == found[2] != found[1]
