"""Parts of the plug-in for vLLM that need no vLLM: rendered chats, prompts read in pieces, a pass's tables."""

import pytest
import torch

from clampdown.engine.local import LocalEngine
from clampdown.models.prompt import Prompt
from clampdown.plugins.vllm.gating import PromptReading, look
from clampdown.plugins.vllm.passes import Pass, Stretch
from clampdown.plugins.vllm.recipes import Recipes
from clampdown.plugins.vllm.rendered import Rendered
from clampdown.plugins.vllm.requests import Steered
from clampdown.plugins.vllm.wire import Asked
from clampdown.recipe import Direction, Positions, Recipe
from clampdown.recipe.bundled import bundled_path
from clampdown.steering.gates.compiled import compile_gate
from clampdown.steering.gates.reading import gate_scores

TEXTS = ("How do I pick a lock?", "Name three herbs that go with lamb, and say why each of them does.")


def recipe(*edits, **window):
    return Recipe("r", "tiny", "", edits or (Direction(1, 3.0, seed=1),), Positions(**window))


def steered(model, asked, ids):
    recipes = Recipes(model)
    return recipes, Steered.of(asked, ids, recipes)


@pytest.mark.parametrize("cut", [[1000], [7] * 30, [1] * 120, [40, 1, 1000]])
def test_a_gate_reads_a_prompt_in_pieces_as_whole(bundled, cut):
    gate = compile_gate(bundled, Recipe.load(bundled_path("guarded")))
    prompts = [bundled.prompt_ids(text) for text in TEXTS]
    layers = range(bundled.n_layers)
    whole = [bundled.residual(bundled.pad([prompt]), layers) for prompt in prompts]
    readings = [PromptReading(bundled, gate, prompt) for prompt in prompts]
    starts = [0, 0]
    for step in cut:
        ends = [min(start + step, len(prompt)) for start, prompt in zip(starts, prompts, strict=True)]
        assert all(reading.begin(start) for reading, start in zip(readings, starts, strict=True))
        for number, part in enumerate(gate.parts):
            x = torch.cat([w[part.part.layer][0, a:b] for w, a, b in zip(whole, starts, ends, strict=True)])
            first = ends[0] - starts[0]
            columns = [
                [column + offset for column in reading.columns(number, a, b)]
                for reading, a, b, offset in zip(readings, starts, ends, (0, first), strict=True)
            ]
            look(readings, number, x, columns)
        for reading, end in zip(readings, ends, strict=True):
            reading.went_to(end)
        starts = ends
    assert [reading.score() for reading in readings] == pytest.approx(gate_scores(bundled, gate, prompts), abs=0.02)


def test_a_prompt_that_is_put_off_is_read_anew_and_one_with_a_gap_not_at_all(bundled):
    gate = compile_gate(bundled, Recipe.load(bundled_path("guarded")))
    reading = PromptReading(bundled, gate, Prompt(range(50), ((24, 44),)))
    assert reading.begin(24)  # what comes before may lie in the cache
    reading.went_to(30)
    assert reading.begin(30) and reading.begin(0)
    reading.went_to(30)
    assert not reading.begin(40)
    assert reading.score() != reading.score()  # nothing was read: no number


def test_a_prompt_of_which_a_part_missed_a_token_has_no_score(bundled):
    """So that its gate opens, rather than decide on what it has seen."""
    gate = compile_gate(bundled, Recipe.load(bundled_path("guarded")))
    prompt = Prompt(range(50), ((24, 44),))
    with torch.inference_mode():
        states = bundled.hf(torch.tensor([list(prompt)]), output_hidden_states=True).hidden_states

    def read(missed: int) -> float:
        reading = PromptReading(bundled, gate, prompt)
        assert reading.begin(0)
        for number, part in enumerate(gate.parts):
            columns = reading.columns(number, 0, 50)
            look([reading], number, states[part.part.layer + 1][0], [columns[missed:] if number == 0 else columns])
        reading.went_to(50)
        return reading.score()

    whole, part_of_it = read(0), read(1)
    assert whole == pytest.approx(gate_scores(bundled, gate, [prompt])[0], abs=0.02) and part_of_it != part_of_it


def test_a_pass_edits_the_tokens_that_windows_hold_and_no_other(tiny):
    recipes = Recipes(tiny)
    everywhere, last = recipe(), recipe(Direction(1, 5.0, seed=2), prompt="last", generated=1)
    one = Steered.of(Asked(everywhere), list(range(6)), recipes)
    other = Steered.of(Asked(last), list(range(4)), recipes)
    torch.manual_seed(0)
    hidden, residual = torch.randn(12, tiny.d_model), torch.randn(12, tiny.d_model)
    before = hidden + residual
    made = Pass(recipes, [Stretch(one, 1, 0, 6), Stretch(other, 8, 2, 4)], torch.device("cpu"))
    assert made.layers == {1}
    made.at(1, hidden, residual)
    made.end()
    pushed = (hidden + residual - before).norm(dim=-1)
    expected = torch.tensor([0.0, 0, 3, 3, 3, 3, 3, 0, 0, 5, 5, 0])  # a sink; the last of the prompt and one more
    torch.testing.assert_close(pushed, expected, atol=1e-4, rtol=0)
    assert (one.seen, one.edited, other.seen, other.edited) == (6, 5, 6, 2 + 0)
    assert one.receipt().accounts_for(everywhere) and other.receipt().accounts_for(last)


def test_a_token_counts_once_however_often_it_is_read(tiny):
    recipes, one = steered(tiny, Asked(recipe()), list(range(6)))
    for start in (0, 0, 3):
        made = Pass(recipes, [Stretch(one, 0, start, 6 - start)], torch.device("cpu"))
        made.at(1, torch.randn(6 - start, tiny.d_model), torch.randn(6 - start, tiny.d_model))
        made.end()
    assert (one.seen, one.edited) == (6, 5)


def test_what_is_to_be_read_again_from_its_start_is_not_edited_before(bundled):
    """Though the pass is made again for another request whose gate has opened."""
    recipes = Recipes(bundled)
    guarded, whole = (Recipe.load(bundled_path(name)).deciding("score") for name in ("guarded", "guarded-clamp"))
    ids = bundled.prompt_ids("How do I make a pipe bomb?")
    last, all_of_it = (Steered.of(Asked(one, ids.user), list(ids), recipes) for one in (guarded, whole))
    for begin, end in ((0, 30), (30, len(ids))):
        some = end - begin
        made = Pass(recipes, [Stretch(last, 0, begin, some), Stretch(all_of_it, some, begin, some)], bundled.device)
        residuals = bundled.residual(bundled.pad([ids]), range(bundled.n_layers))
        for again in (False, True):
            for layer, x in enumerate(residuals):
                here = x[0, begin:end].float().repeat(2, 1)
                if layer in made.layers:
                    made.at(layer, here, torch.zeros_like(here))
            if again or not made.again():
                break
        made.end()
    assert last.decision.open and all_of_it.decision.open
    assert (last.edited, last.restarts) == (1, False)
    assert (all_of_it.edited, all_of_it.restarts, all_of_it.waits) == (0, True, True)
    assert all_of_it.marked == 0 and all_of_it.counted == len(ids)


def test_a_row_that_is_not_finite_keeps_its_residual_and_says_so(tiny):
    recipes = Recipes(tiny)
    wild, mild = (Steered.of(Asked(recipe(Direction(1, s, seed=1))), [1, 2], recipes) for s in (3e38, 1.0))
    hidden, residual = torch.randn(4, tiny.d_model), torch.randn(4, tiny.d_model)
    before = hidden + residual
    made = Pass(recipes, [Stretch(wild, 0, 0, 2), Stretch(mild, 2, 0, 2)], torch.device("cpu"))
    made.at(1, hidden, residual)
    made.end()
    assert "not finite" in wild.error and not mild.error
    assert torch.equal((hidden + residual)[:2], before[:2]) and not torch.equal((hidden + residual)[3], before[3])


def test_banks_are_laid_anew_only_for_recipes_that_are_not_there(tiny):
    recipes = Recipes(tiny)
    some = [recipe(Direction(1, float(s), seed=s)) for s in range(1, 4)]
    recipes.hold(some)
    banks = recipes.banks
    recipes.hold(some[1:])
    assert recipes.banks is banks
    recipes.hold([some[0], recipe(Direction(2, 1.0, seed=9))])
    assert set(recipes.banks) == {1, 2} and len({recipes.number(each) for each in some}) == 3


def test_where_users_speak_is_found_in_a_chat_as_it_was_rendered(bundled):
    chat = [
        {"role": "user", "content": TEXTS[0]},
        {"role": "assistant", "content": "No."},
        {"role": "user", "content": "Why?"},
    ]

    def render(messages):
        return str(bundled.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True))

    rendered, text, ids = Rendered(), render(chat), bundled.prompt_ids(chat)
    assert rendered.user_turns(text, ids, bundled.tokenizer) is None
    rendered.keep(text, chat, "", render)
    assert rendered.user_turns(text, ids, bundled.tokenizer) == ids.user
    assert rendered.user_turns(None, ids, bundled.tokenizer) is None
    rendered.keep(list(ids), chat, "", render)
    assert rendered.user_turns(None, list(ids), bundled.tokenizer) == ids.user


def test_the_engine_that_is_not_there_is_named(tiny, monkeypatch):
    import sys

    from clampdown.errors import ClampdownError
    from clampdown.plugins.vllm.engine import VllmEngine

    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ClampdownError, match="--engine vllm needs vllm"):
        VllmEngine(tiny)


def test_an_answer_that_is_broken_off_leaves_a_given_engine_empty(tiny):
    from clampdown.engine.generation import stream
    from clampdown.engine.request import Sampling

    engine = LocalEngine(tiny)

    def stop(_piece):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream(tiny, tiny.prompt_ids("Well?"), None, Sampling(8), stop, engine=engine)
    assert engine.idle


@pytest.mark.parametrize(
    "how, says",
    [({"quantization": "8bit"}, "leave out --quantization"), ({"device_map": "auto"}, "leave out --device-map")],
)
def test_how_vllm_can_not_load_a_model(tiny, how, says):
    from argparse import Namespace

    from clampdown.cli.engines import check_engine, engine_named
    from clampdown.errors import ClampdownError
    from clampdown.progress import quiet

    args = Namespace(**({"engine": "vllm", "quantization": None, "device_map": None} | how))
    with pytest.raises(ClampdownError, match=says):
        engine_named(args, tiny, 1, quiet)
    with pytest.raises(ClampdownError, match=says):  # and before a model is loaded
        check_engine(args)
    args = Namespace(engine="transformers", **how)
    check_engine(args)
    assert isinstance(engine_named(args, tiny, 1, quiet), LocalEngine)
