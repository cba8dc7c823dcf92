"""Generation against transformers' own, and against itself alone, in other batches and streamed."""

import pytest
import torch

from clampdown.engine import generation, running
from clampdown.engine.generation import generate, stream
from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.recipe import Direction, Positions, Recipe

PROMPTS = [
    "Hi",
    "What is the capital of France?",
    "Write a very short poem about the sea, with rhymes.",
    "2+2=",
    "Sing!",
]
STEER = Recipe("r", "tiny", "", (Direction(1, 20.0, seed=1),))
OTHER = Recipe("o", "tiny", "", (Direction(2, 60.0, seed=2),))


@pytest.fixture(scope="module")
def rows(tiny):
    return [tiny.prompt_ids(prompt) for prompt in PROMPTS]


@pytest.fixture
def ending(tiny, monkeypatch):
    """A model that ends its answers: a fifth of all tokens stop it."""
    monkeypatch.setitem(tiny.__dict__, "stop_ids", frozenset(range(0, 49_152, 5)))
    return tiny


def test_greedy_is_transformers_own(tiny, rows):
    batch = tiny.pad(rows)
    told = tiny.hf.generate(**batch.as_inputs(), do_sample=False, max_new_tokens=12)[:, batch.input_ids.shape[1] :]
    answers = generate(tiny, rows, [None] * 5, Sampling(12))
    assert [list(a.ids) for a in answers] == [row[: row.index(2) + 1] if 2 in row else row for row in told.tolist()]


def test_greedy_is_transformers_own_on_the_bundled_model(bundled):
    rows = [bundled.prompt_ids(prompt) for prompt in PROMPTS]
    batch = bundled.pad(rows)
    told = bundled.hf.generate(**batch.as_inputs(), do_sample=False, max_new_tokens=16)[:, batch.input_ids.shape[1] :]
    answers = generate(bundled, rows, [None] * 5, Sampling(16))
    assert [a.text for a in answers] == bundled.tokenizer.batch_decode(told, skip_special_tokens=True)
    assert any(a.finished for a in answers) and not all(a.finished for a in answers)
    assert "Paris" in answers[1].text


@pytest.mark.parametrize("temperature", [0.0, 40.0])  # the tiny model is very sure
def test_neighbours_change_neither_text_nor_receipt(temperature, ending, rows):
    """Rows end at different times and leave the batch; whatever the others do, each goes on as it would alone."""
    recipes = [None, STEER, OTHER, STEER, None]
    mixed = generate(ending, rows, recipes, Sampling(24, temperature))
    assert len({len(a.ids) for a in mixed}) > (2 if temperature else 1) and any(a.finished for a in mixed)
    others = generate(ending, rows, [OTHER, STEER, None, STEER, STEER], Sampling(24, temperature))
    for place in (1, 3):
        assert mixed[place].ids == others[place].ids
        assert mixed[place].receipt.tokens_edited == others[place].receipt.tokens_edited
    if temperature == 0:
        for row, recipe, answer in zip(rows, recipes, mixed, strict=True):
            [alone] = generate(ending, [row], [recipe], Sampling(24))
            assert alone.ids == answer.ids


def test_receipts_count_what_each_row_ran(ending, rows):
    recipes = [None, STEER, OTHER, STEER, None]
    for answer, row, recipe in zip(generate(ending, rows, recipes, Sampling(24)), rows, recipes, strict=True):
        ran = len(row) + len(answer.ids) - 1  # the last token told is never run
        assert answer.receipt.tokens_seen == ran
        assert answer.receipt.tokens_edited == (ran - 1 if recipe else 0)


def test_the_shared_opening_changes_nothing(tiny, rows, monkeypatch):
    from clampdown.engine import prefill as opening

    assert opening.shared_length(rows) >= 4
    scopes = [Positions(), Positions("all"), Positions("generated"), Positions("from-last-prompt-token")]
    for positions in [*scopes, Positions("first-generated", 2)]:
        recipe = Recipe("r", "tiny", "", STEER.edits, positions)
        many = generate(tiny, rows, [recipe, recipe, None, recipe, None], Sampling(6))
        for place in range(5):
            [alone] = generate(tiny, [rows[place]], [[recipe, recipe, None, recipe, None][place]], Sampling(6))
            assert many[place].ids == alone.ids
            assert many[place].receipt.tokens_edited == alone.receipt.tokens_edited
            assert many[place].receipt.tokens_seen == alone.receipt.tokens_seen
            assert many[place].receipt.relative_norm == pytest.approx(alone.receipt.relative_norm, rel=1e-4)


def test_sampling_is_seeded(tiny, rows):
    def texts(seed, temperature=40.0):
        return [a.ids for a in generate(tiny, rows, [None] * 5, Sampling(8, temperature, seed))]

    assert texts(1) == texts(1) != texts(2)
    assert texts(1, 1e-30) == texts(5, 0.0), "very cold sampling is greedy, and does not overflow"


HEAT = torch.tensor([[0.7]], dtype=torch.float64)


def test_sampling_follows_the_distribution():
    logits = torch.tensor([[1.0, 0.0, 2.0, -torch.inf, 0.5]]).clamp_min(-1e9)
    chance = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    drawn = running.drawn(logits.expand(4000, -1), HEAT, chance)
    share = torch.bincount(drawn, minlength=5) / 4000
    torch.testing.assert_close(share, (logits[0] / 0.7).softmax(-1), atol=2e-3, rtol=0)
    edges = running.drawn(logits.expand(2, -1), HEAT, torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert edges.tolist()[0] == 0 and edges.tolist()[1] <= 4


def test_of_a_nucleus_only_the_fewest_likeliest_that_reach_it_are_drawn():
    logits = torch.tensor([[0.05, 0.5, 0.15, 0.3]]).log()
    chance = torch.rand(4000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def share(top_p):
        every = torch.full((4000, 1), top_p, dtype=torch.float64)
        tokens = running.drawn(logits.expand(4000, -1), torch.ones(4000, 1, dtype=torch.float64), chance, every)
        return (torch.bincount(tokens, minlength=4) / 4000).tolist()

    assert share(0.6) == pytest.approx([0, 0.5 / 0.8, 0, 0.3 / 0.8], abs=0.03)
    assert share(0.81) == pytest.approx([0, 0.5 / 0.95, 0.15 / 0.95, 0.3 / 0.95], abs=0.03)
    assert share(0.01) == [0, 1, 0, 0]
    assert share(1.0) == pytest.approx([0.05, 0.5, 0.15, 0.3], abs=0.03)


@pytest.mark.parametrize("wrong", [0, -0.1, 1.01, float("nan"), "1"])
def test_a_nucleus_must_be_a_probability(wrong, one_line):
    with pytest.raises(ClampdownError) as caught:
        Sampling(top_p=wrong)
    one_line(caught, "top_p")


@pytest.mark.parametrize("sampling", [Sampling(10), Sampling(10, 40.0, 3)], ids=["greedy", "sampled"])
def test_streaming_gives_the_same_text(sampling, tiny, rows):
    pieces = []
    answer = stream(tiny, rows[1], STEER, sampling, pieces.append)
    [whole] = generate(tiny, [rows[1]], [STEER], sampling)
    assert answer == whole
    assert "".join(pieces) == answer.text and len(pieces) > 3


def test_a_stream_may_be_ended_and_its_receipt_tells_what_was_run(tiny, rows):
    prompt, recipe = rows[1], STEER
    [whole] = generate(tiny, [prompt], [recipe], Sampling(9))
    pieces, asked = [], []

    def over(text):
        asked.append(text)
        return len(asked) == 4

    answer = stream(tiny, prompt, recipe, Sampling(9), pieces.append, over=over)
    assert answer.ids == whole.ids[:4] and not answer.finished
    assert "".join(pieces) == answer.text and answer.text.startswith(asked[-1])
    assert answer.receipt.accounts_for(recipe) and answer.receipt.tokens_seen < whole.receipt.tokens_seen


def test_a_character_of_several_tokens_is_streamed_whole(tiny, rows, monkeypatch):
    text = "Sea 🌊🏄‍♀️ 漢字 é 𝔘!"
    ids = tiny.ids(text)
    assert any("\ufffd" in tiny.tokenizer.decode([i]) for i in ids)
    monkeypatch.setattr(running.Running, "_chosen", lambda self: torch.tensor([ids[len(self.rows[0].ids)]]))
    pieces = []
    answer = stream(tiny, rows[0], None, Sampling(len(ids)), pieces.append)
    assert "".join(pieces) == answer.text == text
    assert not any("\ufffd" in piece for piece in pieces)
    # Cut in the middle of one: what there is comes out at the end.
    pieces.clear()
    cut = next(n for n in range(1, len(ids)) if tiny.tokenizer.decode(ids[:n]).endswith("\ufffd"))
    assert stream(tiny, rows[0], None, Sampling(cut), pieces.append).text == "".join(pieces)


def test_no_prompts_give_no_answers(tiny):
    assert generate(tiny, [], [], Sampling(4)) == []


def test_a_prompt_longer_than_the_context_is_refused(tiny, one_line):
    with pytest.raises(ClampdownError) as caught:
        tiny.prompt_ids("word " * 600)
    one_line(caught, "512", "word word")
    with pytest.raises(ClampdownError) as caught:
        generate(tiny, [[5] * 500], [None], Sampling(20))
    one_line(caught, "512")
    assert len(generate(tiny, [[5] * 500], [None], Sampling(12))[0].ids) <= 12


@pytest.mark.parametrize(
    "settings",
    [
        {"max_new_tokens": 0},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"seed": -1},
        {"seed": 2**70},
    ],
    ids=str,
)
def test_wrong_sampling_is_refused(settings, one_line):
    with pytest.raises(ClampdownError) as caught:
        Sampling(**settings)
    one_line(caught)


def test_logits_that_are_not_finite_are_refused(tiny, rows, monkeypatch, one_line):
    forward = tiny.hf.lm_head.forward
    monkeypatch.setattr(tiny.hf.lm_head, "forward", lambda x: forward(x) * torch.nan)
    with pytest.raises(ClampdownError) as caught:
        generate(tiny, rows, [None] * 5, Sampling(2))
    one_line(caught, "not finite")


# ---- a row that is not finite


HUGE = Recipe("huge", "tiny", "", (Direction(1, 3e38, values=(1e18,) * 32),))
LATE = Recipe("late", "tiny", "", HUGE.edits, Positions("generated"))


def apart(model, rows, recipes, sampling=None):
    return generation.generate_apart(model, rows, recipes, sampling or Sampling(12))


@pytest.mark.parametrize("free", [True, False], ids=["at once", "later, as on an accelerator"])
@pytest.mark.parametrize("bad", [HUGE, LATE], ids=["in the prompt", "while answering"])
@pytest.mark.parametrize("temperature", [0.0, 40.0])
def test_a_row_that_is_not_finite_fails_by_itself(bad, free, temperature, ending, rows, monkeypatch):
    from clampdown.steering import rows as steered_rows

    monkeypatch.setattr(steered_rows, "_free_to_ask", lambda x: free)
    sampling = Sampling(12, temperature)
    recipes, others = [STEER, bad, None, bad, OTHER], [STEER, None, None, None, OTHER]
    found, good = apart(ending, rows, recipes, sampling), apart(ending, rows, others, sampling)
    for place, (answer, expected) in enumerate(zip(found, good, strict=True)):
        if recipes[place] is bad:
            assert not answer.text and not answer.ids and not answer.finished
            assert answer.error.startswith(f"recipe {bad.name}: steering at layer 1") and "\n" not in answer.error
            assert answer.receipt.recipe_sha256 == bad.sha256 and answer.receipt.relative_norm < 1e30
        else:
            assert (answer.ids, answer.error) == (expected.ids, "")
            assert answer.receipt.tokens_edited == expected.receipt.tokens_edited
            assert answer.receipt.relative_norm == pytest.approx(expected.receipt.relative_norm, rel=1e-4)
    with pytest.raises(ClampdownError, match="2 of 5 prompts got no answer: recipe") as caught:
        generate(ending, rows, recipes, sampling)
    assert caught.value.answers == found
    monkeypatch.setitem(ending.__dict__, "stop_ids", frozenset())
    with pytest.raises(ClampdownError, match=f"^recipe {bad.name}: "):
        generate(ending, rows[1:2], [bad], sampling)
    with pytest.raises(ClampdownError, match=f"^recipe {bad.name}: "):
        stream(ending, rows[1], bad, sampling, lambda _: None)


def test_rows_that_share_an_opening_fail_by_their_recipe(tiny, rows):
    found = apart(tiny, rows, [HUGE, STEER, HUGE, STEER, HUGE])
    assert [bool(answer.error) for answer in found] == [True, False, True, False, True]
    plain = apart(tiny, rows, [STEER] * 5)
    assert [found[place].ids for place in (1, 3)] == [plain[place].ids for place in (1, 3)]


def test_a_row_whose_logits_are_not_finite_fails_by_itself(ending, rows, monkeypatch, one_line):
    """Where the model itself overflows on one row's third token; one that ended before is none of its business."""
    good = apart(ending, rows, [None] * 5)
    forward, calls = ending.hf.lm_head.forward, []

    def overflowing(x):
        logits = forward(x)
        calls.append(len(logits))
        if len(calls) >= 3 and len(logits) == 5:
            logits[2] = torch.nan if len(calls) % 2 else torch.inf
        return logits

    monkeypatch.setattr(ending.hf.lm_head, "forward", overflowing)
    monkeypatch.setitem(ending.__dict__, "stop_ids", frozenset())
    monkeypatch.setattr("clampdown.engine.prefill.shared_length", lambda _: 0)
    found = apart(ending, rows, [None, STEER, STEER, None, None], Sampling(6))
    assert "logits are not finite" in found[2].error and not found[2].ids
    assert all(not found[place].error and len(found[place].ids) == 6 for place in (0, 1, 3, 4))
    assert good[0].ids[:1] == found[0].ids[:1]
