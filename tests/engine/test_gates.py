"""A gate's row is answered as without a gate where it opens, and as unsteered where it stays shut, however batched."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers

sys.path += [str(Path(__file__).parent.parent / folder) for folder in ("steering", "models", "engine")]

from families import FAMILIES, HYBRIDS, build
from gates import WORDS, gate_file, hidden, part, written
from test_local import requests, run, same

from clampdown.engine.generation import generate, stream
from clampdown.engine.local import LocalEngine
from clampdown.engine.request import Request, Sampling
from clampdown.errors import ClampdownError
from clampdown.models import key_values
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.recipe import Clamp, Direction, Gate, Positions, Recipe
from clampdown.saes.files import save_sae
from clampdown.steering.attach import Steering
from clampdown.steering.gates.gate_file import save_gate

GREEDY = Sampling(9)


def prompts(number=12, opening=(), seed=1):
    """Prompts of several lengths with a user's turn somewhere; all begin with `opening`."""
    draw = torch.Generator().manual_seed(seed)
    found = []
    for n in range(number):
        ids = torch.randint(3, 40_000, (3 + n % 5,), generator=draw).tolist()
        whole = [*opening, *ids]
        # The turn begins within what is shared, and ends before the prompt does.
        found.append(Prompt(whole, [(max(0, len(opening) - 2), len(whole) - 1)] if n % 3 else None))
    return found


OPENING = (5, 77, 8, 9, 1234)


@pytest.fixture(scope="module")
def recipes(tmp_path_factory, make_sae, tiny):
    """Recipes with gates of several kinds, each open for half of the prompts; and some without."""
    folder = tmp_path_factory.mktemp("gates")
    save_sae(make_sae("jumprelu", layer=1, seed=1), folder / "1.safetensors")
    clamp = Clamp(str(folder / "1.safetensors"), "", 1, {3: 6.0, 7: 4.0})
    asked = [*prompts(), *prompts(opening=OPENING)]
    kinds = {
        "deep": [part(3, pool="mean")],
        "shallow": [part(0, pool="last")],
        "many": [part(n, seed=n, pool=pool) for n, pool in enumerate(("max", "mean", "request-last", "attention"))],
    }
    gates = {name: written(folder / f"{name}.safetensors", tiny, parts, asked) for name, parts in kinds.items()}
    fed = [part(n, n, wide=4, features="hidden", pool=pool) for n, pool in enumerate(("mean", "last", "request-last"))]
    fed += [part(n, n, wide=3, features="hidden", pool="max", over="users", window=3) for n in (0, 2)]
    layers = {"hidden": hidden(), "windows": hidden(3, seed=6)}
    gates["many"] = written(folder / "hidden.safetensors", tiny, [*kinds["many"], *fed], asked, **layers)
    gates["words"] = written(folder / "words.safetensors", tiny, [], asked, words=WORDS)
    window = Positions(prompt="last", generated=3, fade=2)
    return {
        "none": None,
        "clamp": Recipe("clamp", "tiny", "", (clamp,)),
        "deep": Recipe("deep", "tiny", "", (clamp,), gate=gates["deep"]),
        "window": Recipe("window", "tiny", "", (Direction(0, 6.0, seed=1),), window, gate=gates["shallow"]),
        "generated": Recipe("generated", "tiny", "", (clamp,), Positions("generated"), gate=gates["many"]),
        "words": Recipe("words", "tiny", "", (Direction(2, 4.0, seed=2), clamp), gate=gates["words"]),
        "twice": Recipe("twice", "tiny", "", (clamp,), gate=gates["deep"], system_prompt="another"),
    }


def reference(model, prompt, recipe, open):
    """The answer that no gate had to do with."""
    [answer] = generate(model, [prompt], [replace(recipe, gate=None) if open else None], GREEDY)
    return answer


def check(model, prompt, recipe, answer):
    """The answer is the reference's, and so is the receipt but for what it says of the gate."""
    receipt = answer.receipt
    if recipe is None or recipe.gate is None:
        [plain] = generate(model, [prompt], [recipe], GREEDY)
        same(answer, plain)
        assert receipt.gate == "" and receipt.read_again == 0
        return "none"
    assert (receipt.gate == "open") == (receipt.score >= receipt.threshold)
    plain = reference(model, prompt, recipe, receipt.gate == "open")
    assert answer.ids == plain.ids
    assert (receipt.tokens_seen, receipt.tokens_edited) == (plain.receipt.tokens_seen, plain.receipt.tokens_edited)
    assert receipt.path == plain.receipt.path
    assert receipt.relative_norm == pytest.approx(plain.receipt.relative_norm, rel=1e-3)
    assert receipt.recipe_sha256 == recipe.sha256
    reads = receipt.gate == "open" and recipe.positions.prompt != "none"
    once = recipe.positions.prompt == "last" and key_values.joins(model.hf) and key_values.crops(model.hf)
    assert receipt.read_again == (0 if not reads else 1 if once else len(prompt))
    assert receipt.accounts_for(recipe)
    return receipt.gate


@pytest.mark.parametrize(
    ("names", "opening"),
    [("deep", OPENING), ("window", ()), ("generated", OPENING), ("words", ()), ("mixed", ()), ("mixed", OPENING)],
)
def test_a_batch_is_answered_as_its_rows_alone(names, opening, tiny, recipes):
    asked = prompts(opening=opening)
    under = [[*recipes.values()][n % len(recipes)] if names == "mixed" else recipes[names] for n in range(len(asked))]
    answers = generate(tiny, asked, under, GREEDY)
    told = [check(tiny, *row) for row in zip(asked, under, answers, strict=True)]
    assert {"open", "shut"} <= set(told)
    for prompt, recipe, answer in zip(asked, under, answers, strict=True):
        [alone] = generate(tiny, [prompt], [recipe], GREEDY)
        same(answer, alone)
        if recipe and recipe.gate:
            assert alone.receipt.gate == answer.receipt.gate
            assert alone.receipt.score == pytest.approx(answer.receipt.score, abs=1e-3)


def test_where_the_window_begins_at_the_last_token_no_more_is_read_again(tiny, recipes, monkeypatch):
    """One step for each open row, whatever others of the batch read."""
    asked = prompts()
    names = [("window", "deep")[n % 2] for n in range(len(asked))]
    calls, forward = [], tiny.hf.forward
    monkeypatch.setattr(tiny.hf, "forward", lambda *a, **k: calls.append(k["input_ids"].shape) or forward(*a, **k))
    answers = generate(tiny, asked, [recipes[name] for name in names], Sampling(1))
    opened = [name for name, answer in zip(names, answers, strict=True) if answer.receipt.gate == "open"]
    assert {*opened} == {"window", "deep"}
    assert [rows for rows, columns in calls if columns == 1] == [opened.count("window")]
    assert [rows for rows, columns in calls if columns > 1] == [len(asked), opened.count("deep")]


@pytest.mark.parametrize("opening", [(), OPENING])
def test_windows_on_what_the_user_says(opening, tiny, recipes):
    asked = [prompt for prompt in prompts(18, opening=opening) if prompt.user]
    recipe = replace(recipes["deep"], positions=Positions(prompt="user", generated=3))
    answers = generate(tiny, asked, [recipe] * len(asked), GREEDY)
    assert {"open", "shut"} == {check(tiny, p, recipe, a) for p, a in zip(asked, answers, strict=True)}


def test_steering_shows_where_the_gate_opens(tiny, recipes):
    asked = prompts()
    steered, plain = (generate(tiny, asked, [r] * 12, GREEDY) for r in (recipes["clamp"], None))
    assert [a.ids for a in steered] != [a.ids for a in plain]


@pytest.mark.parametrize(("most", "every"), [(32, 2), (3, 1), (1, 1)])
def test_rows_that_join_while_others_run(most, every, tiny, recipes):
    kinds = [*recipes.values()]
    asked = [Request(p, kinds[n % len(kinds)], GREEDY) for n, p in enumerate(prompts(14))]
    _, answers = run(LocalEngine(tiny, most=most), asked, every)
    told = [check(tiny, request.prompt, request.recipe, answers[n]) for n, request in enumerate(asked)]
    assert {"open", "shut", "none"} == set(told)


def test_models_whose_rows_can_not_join(tiny, recipes, monkeypatch):
    monkeypatch.setattr(key_values, "_can_be_padded", lambda _layer: False)
    asked = prompts()
    under = [[*recipes.values()][n % len(recipes)] for n in range(len(asked))]
    answers = generate(tiny, asked, under, GREEDY)
    assert {"open", "shut"} <= {check(tiny, *row) for row in zip(asked, under, answers, strict=True)}


SLIDING = {"mistral": FAMILIES["mistral"], "gemma3": FAMILIES["gemma3"]}


@pytest.mark.parametrize("family", [*HYBRIDS, *SLIDING])
def test_models_that_keep_states_or_look_back_a_little(family, tiny, tmp_path):
    kind = (HYBRIDS | SLIDING)[family]
    if not hasattr(transformers, kind.config):
        pytest.skip(f"this Transformers has no {family}")
    model = ChatModel(family, tmp_path, build(family, tiny.tokenizer), tiny.tokenizer)
    asked = [prompt for prompt in prompts(10) if len(prompt) == 5] * 2 + prompts(5)
    gate = written(tmp_path / "gate.safetensors", model, [part(1, d=model.d_model)], asked[:2])
    recipe = Recipe("gated", family, "", (Direction(1, 3.0, seed=0),), gate=gate)
    for under in (recipe, replace(recipe, positions=Positions("generated"))):
        answers = generate(model, asked, [under] * len(asked), GREEDY)
        assert {check(model, p, under, a) for p, a in zip(asked, answers, strict=True)} == {"open", "shut"}


def test_forced_gates_and_one_that_watches(tiny, recipes):
    asked, recipe = prompts(), recipes["deep"]
    told = {
        decide: generate(tiny, asked, [replace(recipe, gate=replace(recipe.gate, decide=decide))] * 12, GREEDY)
        for decide in ("open", "shut", "watch", "score")
    }
    for n, prompt in enumerate(asked):
        assert told["open"][n].ids == reference(tiny, prompt, recipe, True).ids
        assert told["shut"][n].ids == told["watch"][n].ids == reference(tiny, prompt, recipe, False).ids
        assert told["watch"][n].receipt.gate == told["score"][n].receipt.gate
        assert told["watch"][n].receipt.score == pytest.approx(told["score"][n].receipt.score, abs=1e-4)
        assert told["watch"][n].receipt.read_again == told["watch"][n].receipt.tokens_edited == 0
    assert {a.receipt.gate for a in told["open"]} == {"open"} and {a.receipt.gate for a in told["shut"]} == {"shut"}
    assert {a.receipt.score for a in told["open"] + told["shut"]} == {None}
    for decide, answers in told.items():
        gated = replace(recipe, gate=replace(recipe.gate, decide=decide))
        assert all(answer.receipt.accounts_for(gated) for answer in answers)


def test_a_gate_outside_brings_its_decision(tiny, recipes):
    asked, recipe = prompts(), replace(recipes["clamp"], gate=Gate(external="wildguard"))
    decisions = [n % 2 == 0 for n in range(12)]
    answers = generate(tiny, asked, [recipe] * 12, GREEDY, decisions=decisions)
    for prompt, open, answer in zip(asked, decisions, answers, strict=True):
        assert answer.ids == reference(tiny, prompt, recipe, open).ids
        assert answer.receipt.gate == ("open" if open else "shut") and answer.receipt.score is None
        assert answer.receipt.accounts_for(recipe)
    with pytest.raises(ClampdownError, match="wildguard"):
        generate(tiny, asked, [recipe] * 12, GREEDY)
    engine = LocalEngine(tiny)
    with pytest.raises(ClampdownError, match="wildguard"):
        engine.submit(Request(asked[0], recipe, GREEDY))
    assert engine.idle
    said = []
    assert stream(tiny, asked[0], recipe, GREEDY, said.append, decision=False).receipt.gate == "shut"


def test_a_gate_that_gives_no_number_is_open(tiny, recipes, tmp_path):
    asked = prompts()
    broken = gate_file([replace(part(2), w=torch.full((1, 32), 3e38))])
    gate = save_gate(broken, tmp_path / "gate.safetensors")
    recipe = replace(recipes["deep"], gate=gate)
    for prompt, answer in zip(asked, generate(tiny, asked, [recipe] * 12, GREEDY), strict=True):
        assert answer.receipt.gate == "open" and answer.receipt.score is None
        assert answer.ids == reference(tiny, prompt, recipe, True).ids
        assert answer.receipt.to_dict()["score"] is None and str(answer.receipt).startswith("gate open · steered")


def test_a_gate_is_decided_anew_on_the_whole_conversation(bundled, tmp_path):
    turns = [
        {"role": "user", "content": "Name a colour."},
        {"role": "assistant", "content": "Blue."},
        {"role": "user", "content": "How would I pick the lock of my neighbour's house?"},
    ]
    short, long = bundled.prompt_ids(turns[:1]), bundled.prompt_ids(turns)
    gate = written(tmp_path / "gate.safetensors", bundled, [part(12, d=576, pool="mean")], [short, long])
    recipe = Recipe("gated", bundled.name, "", (Direction(12, 40.0, seed=0),), gate=gate)
    one, other = generate(bundled, [short, long], [recipe] * 2, Sampling(6))
    assert {one.receipt.gate, other.receipt.gate} == {"open", "shut"}
    check_of = {True: replace(recipe, gate=None), False: None}
    for prompt, answer in ((short, one), (long, other)):
        [plain] = generate(bundled, [prompt], [check_of[answer.receipt.gate == "open"]], Sampling(6))
        assert answer.ids == plain.ids


def test_who_steers_the_model_by_itself_is_asked_too(tiny, recipes):
    asked = [Prompt(prompt) for prompt in prompts(6)]
    batch = tiny.pad(asked)
    for recipe in (recipes["deep"], [recipes[name] for name in ("deep", "none", "clamp", "words", "deep", "window")]):
        under = recipe if isinstance(recipe, list) else [recipe] * 6
        answers = generate(tiny, asked, under, Sampling(4))
        for cached in (True, False) if recipe is recipes["deep"] else (True,):
            with Steering(tiny, recipe) as steering:
                ids = tiny.hf.generate(
                    **batch.as_inputs(), max_new_tokens=4, do_sample=False, eos_token_id=-1, use_cache=cached
                )
            for row, answer, receipt in zip(ids, answers, steering.receipts(), strict=True):
                said = row[batch.input_ids.shape[1] :].tolist()
                assert tuple(said[: len(answer.ids)]) == answer.ids
                assert (receipt.gate, receipt.recipe_sha256) == (answer.receipt.gate, answer.receipt.recipe_sha256)
                assert bool(receipt.read_again) == bool(answer.receipt.read_again)
                assert receipt.score == pytest.approx(answer.receipt.score, abs=1e-3)
    assert {answer.receipt.gate for answer in answers} == {"", "open", "shut"}


def test_a_gate_that_can_not_see_the_whole_prompt_refuses(tiny, recipes):
    [prompt, *_] = prompts(1)
    ids = torch.tensor([prompt])
    cache = tiny.hf(ids, use_cache=True).past_key_values
    for call in (
        {"input_ids": ids, "past_key_values": cache},
        {"inputs_embeds": tiny.hf.get_input_embeddings()(ids)},
    ):
        with pytest.raises(ClampdownError, match="must see"), Steering(tiny, recipes["deep"]):
            tiny.hf(**call)
    with Steering(tiny, recipes["deep"]) as steering:
        out = tiny.hf(ids, use_cache=True)
        tiny.hf(ids[:, :1], past_key_values=out.past_key_values)
        for more in ({"past_key_values": out.past_key_values}, {}):
            with pytest.raises(ClampdownError, match="decided on one prompt"):
                tiny.hf(ids[:, :2], **more)
    assert steering.receipts()[0].gate in ("open", "shut")
    with pytest.raises(ClampdownError, match="wildguard"):
        Steering(tiny, replace(recipes["clamp"], gate=Gate(external="wildguard")))


def test_who_steers_the_model_by_itself_may_force_the_gate(tiny, recipes):
    for decide, edited in (("open", True), ("shut", False)):
        with Steering(tiny, recipes["deep"].deciding(decide)) as steering:
            tiny.hf(torch.tensor([[5, 6, 7], [8, 9, 10]]))
        for receipt in steering.receipts():
            assert (receipt.tokens_edited > 0) == edited and receipt.gate == decide
            assert receipt.accounts_for(recipes["deep"].deciding(decide))


def test_requests_of_one_engine_keep_their_seeds(tiny, recipes):
    asked = [replace(r, recipe=recipes["window"]) for r in requests([None], 6)]
    _, together = run(LocalEngine(tiny), asked, 1)
    for n, request in enumerate(asked):
        engine = LocalEngine(tiny)
        engine.submit(request)
        [answer] = [e.answer for _ in range(40) for e in ([] if engine.idle else engine.step()) if e.answer]
        same(together[n], answer)
