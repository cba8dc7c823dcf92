"""vLLM answers as the Transformers engine does, whatever its batches hold. Skipped where vLLM is not installed."""

import json
import os
from dataclasses import replace

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed; docs/vllm.md says how")

os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")

from clampdown.engine.local import LocalEngine
from clampdown.engine.request import Request, Sampling
from clampdown.errors import ClampdownError
from clampdown.measuring.sets.sets import selecting_prompts
from clampdown.models.chat_model import load_chat_model
from clampdown.plugins.vllm.engine import VllmEngine
from clampdown.plugins.vllm.self_test import self_test
from clampdown.plugins.vllm.wire import Asked, asked_by
from clampdown.recipe import Clamp, Direction, Gate, Positions, Recipe
from clampdown.recipe.bundled import bundled_path
from clampdown.serving.shelf import shown_recipe
from clampdown.steering.receipt import Receipt

pytestmark = pytest.mark.filterwarnings("default")  # vLLM brings warnings of its own

TOKENS = 16
SAE = "smollm2-135m-instruct/layer-12"


@pytest.fixture(scope="module")
def model():
    return load_chat_model(dtype="float32")


@pytest.fixture(scope="module")
def engine(model):
    """Tight: prompts come in chunks, rows are put off for want of room, and what is cached is found again."""
    made = VllmEngine(
        model, most=32, max_model_len=1024, max_num_batched_tokens=160, num_gpu_blocks_override=56, block_size=32,
        enforce_eager=True,
    )  # fmt: skip
    yield made
    made.close()


@pytest.fixture(scope="module")
def recipes():
    """None; a clamp; a gate that goes on from the prompt's last token; one that reads it again; several edits at
    several layers in the user's turns, fading; and an SAE in the residual's place."""
    refusal, guarded, clamp = (Recipe.load(bundled_path(name)) for name in ("refusal", "guarded", "guarded-clamp"))
    several = Recipe(
        "several",
        refusal.model,
        refusal.model_sha256,
        (
            Clamp(SAE, "", 12, {405: 3.0, 17: 0.0}, operation="multiply"),
            Direction(12, 6.0, seed=1),
            Direction(20, 1.0, "remove", seed=2),
        ),
        Positions(prompt="user", generated=4, fade=6),
    )
    whole = Recipe(
        "whole", refusal.model, refusal.model_sha256, (Clamp(SAE, "", 12, {405: 20.0}, rule="reconstruct"),),
        Positions(prompt="last", generated=6),
    )  # fmt: skip
    return [None, refusal, guarded, clamp, several, whole]


@pytest.fixture(scope="module")
def prompts(model):
    texts = selecting_prompts("unsafe", 25, 0) + selecting_prompts("safe", 25, 0)
    return [model.prompt_ids(text) for text in texts]


def run(engine, requests):
    numbers = [engine.submit(request) for request in requests]
    answers = {}
    while not engine.idle:
        answers |= {event.request: event.answer for event in engine.step() if event.answer is not None}
    return [answers[number] for number in numbers]


def mixed(prompts, recipes):
    return [Request(prompt, recipe, Sampling(TOKENS)) for prompt in prompts for recipe in recipes]


@pytest.fixture(scope="module")
def expected(model, prompts, recipes):
    return run(LocalEngine(model), mixed(prompts, recipes))


def test_fifty_prompts_under_six_recipes_in_one_batch(engine, prompts, recipes, expected, monkeypatch):
    core = engine._vllm.engine_core.engine_core
    put_off, original = [], core.scheduler._preempt_request
    monkeypatch.setattr(
        core.scheduler,
        "_preempt_request",
        lambda request, *a, **k: (put_off.append(request), original(request, *a, **k)),
    )
    answers = run(engine, mixed(prompts, recipes))
    assert put_off, "the test is to put rows off"
    wrong = [
        (place // 6, place % 6, got.text, want.text)
        for place, (got, want) in enumerate(zip(answers, expected, strict=True))
        if got.ids != want.ids
    ]
    assert wrong == []
    for got, want in zip(answers, expected, strict=True):
        assert (got.finished, got.error, got.receipt.gate) == (want.finished, "", want.receipt.gate)
        assert got.receipt.tokens_edited == want.receipt.tokens_edited
        assert got.receipt.relative_norm == pytest.approx(want.receipt.relative_norm, rel=1e-3)
        assert got.receipt.score == pytest.approx(want.receipt.score, abs=1e-3)
        assert got.receipt.path == want.receipt.path
    assert {got.receipt.gate for got in answers[2::6]} == {"open", "shut"}


def test_prompts_in_several_passes_and_second_turns(engine, model, recipes, prompts):
    """Gates read prompts longer than a pass; in a second turn the first answer is prompt, whatever was cached of it."""
    long = "The museum opens at nine, and tickets are sold at the gate. " * 14
    first = [{"role": "user", "content": f"{long} {ask}"} for ask in ("How do I rob it?", "When does it open?")]
    asked = mixed([model.prompt_ids([message]) for message in first], recipes)
    begun = run(engine, asked)
    assert all(len(request.prompt) > 160 for request in asked)
    same(begun, run(LocalEngine(model), asked))
    assert {answer.receipt.gate for answer in begun[2::6]} == {answer.receipt.gate for answer in begun[3::6]}
    assert "open" in {answer.receipt.gate for answer in begun}
    more = [
        Request(
            model.prompt_ids(
                [
                    first[place // len(recipes)],
                    {"role": "assistant", "content": answer.text},
                    {"role": "user", "content": "And how do I make a bomb for that?"},
                ]
            ),
            request.recipe,
            Sampling(TOKENS),
        )
        for place, (request, answer) in enumerate(zip(asked, begun, strict=True))
    ]
    same(run(engine, more), run(LocalEngine(model), more))


def same(answers, expected):
    assert [answer.text for answer in answers] == [want.text for want in expected]
    assert [answer.ids for answer in answers] == [want.ids for want in expected]
    assert [answer.receipt.tokens_edited for answer in answers] == [want.receipt.tokens_edited for want in expected]


def worker(engine):
    return engine._vllm.model_executor.driver_worker.worker.model_runner.clampdown


def test_who_leaves_leaves_nothing_behind(engine, model, recipes, prompts):
    asked = mixed(prompts[:2], recipes)
    expected = run(LocalEngine(model), asked)
    numbers = [engine.submit(request) for request in asked]
    for _ in range(4):
        engine.step()
    for number in numbers[1::2]:
        engine.cancel(number)
        assert not engine.holds(number)
    answers = {}
    while not engine.idle:
        answers |= {event.request: event.answer for event in engine.step() if event.answer is not None}
    assert set(answers) == set(numbers[::2])
    same([answers[number] for number in numbers[::2]], expected[::2])
    same(run(engine, asked), expected)
    run(engine, [Request(prompts[0], None, Sampling(2))])
    assert not worker(engine).live and len(worker(engine).plain) <= 1


def test_an_answer_that_is_ended_keeps_its_receipt(engine, recipes, prompts):
    number, ids = engine.submit(Request(prompts[0], recipes[1], Sampling(TOKENS))), []
    while len(ids) < 3:
        ids += [event.token for event in engine.step() if event.token is not None]
    answer = engine.end(number)
    assert answer.ids == tuple(ids) and not answer.finished and engine.idle
    assert (
        answer.receipt.accounts_for(recipes[1]) and answer.receipt.tokens_edited == len(prompts[0]) - 1 + len(ids) - 1
    )
    assert engine.end(number) is None


def test_a_row_that_is_not_finite_fails_alone(engine, model, recipes, prompts):
    wild = replace(recipes[1], name="wild", edits=(Direction(12, 3e38, seed=1),))
    [bad, plain] = run(engine, [Request(prompts[0], wild, Sampling(4)), Request(prompts[0], None, Sampling(4))])
    assert "recipe wild: steering gave a residual that is not finite" in bad.error
    assert (bad.text, bad.ids) == ("", ())
    assert plain.ids == run(LocalEngine(model), [Request(prompts[0], None, Sampling(4))])[0].ids


@pytest.mark.parametrize(
    "change, says",
    [
        ({"model_sha256": "ab" * 32}, "was made for"),
        ({"edits": (Direction(99, 1.0, seed=0),)}, "layer 99 does not exist"),
        ({"edits": (Direction(3, 1.0, values=(1.0, 2.0)),)}, "2 values"),
        ({"edits": (Clamp("no/such", "", 12, {1: 1.0}),)}, "no/such"),
        ({"gate": Gate(external="guard")}, "decides outside"),
        ({"gate": Gate("gone.safetensors", "ab" * 32)}, "gone.safetensors"),
    ],
)
def test_what_does_not_fit_is_refused(engine, recipes, prompts, change, says):
    with pytest.raises(ClampdownError, match=says):
        engine.submit(Request(prompts[0], replace(recipes[1], **change)))
    assert engine.idle


def test_tools_calls_can_not_be_spared(engine, recipes, prompts):
    with pytest.raises(ClampdownError, match="can't spare"):
        engine.submit(Request(prompts[0], recipes[1], spare=True))
    assert engine.idle


def test_a_prompt_beyond_the_context_is_refused(engine, prompts):
    with pytest.raises(ClampdownError, match="context of 1024"):
        engine.submit(Request(prompts[0], None, Sampling(1020)))


@pytest.mark.parametrize("decision", [True, False])
def test_a_gate_outside(engine, recipes, prompts, decision):
    outside = replace(recipes[1], gate=Gate(external="guard"))
    [answer] = run(engine, [Request(prompts[30], outside, Sampling(4), decision=decision)])
    assert answer.receipt.gate == ("open" if decision else "shut")
    assert answer.receipt.accounts_for(outside)


def test_how_likely_tokens_are(engine, model, recipes, prompts):
    asked = [Request(prompts[0], recipe, Sampling(3), likeliest=2) for recipe in recipes[:2]]
    for request in asked:
        told = []
        for one in (engine, LocalEngine(model)):
            one.submit(request)
            told.append([])
            while not one.idle:
                told[-1] += [event.chance for event in one.step() if event.chance is not None]
        for got, want in zip(*told, strict=True):
            assert got.token == want.token and got.log_probability == pytest.approx(want.log_probability, abs=1e-3)
            assert [token for token, _ in got.likeliest] == [token for token, _ in want.likeliest]


def plain(engine, prompt, **extra):
    """What vLLM itself says to a request that carries its recipe in texts: ids and receipt."""
    from vllm import SamplingParams

    params = SamplingParams(temperature=0.0, max_tokens=TOKENS, extra_args=extra)
    engine._vllm.add_request("plain", {"prompt_token_ids": list(prompt)}, params)
    while True:
        for output in engine._vllm.step():
            if output.finished:
                return tuple(output.outputs[0].token_ids), (output.kv_transfer_params or {}).get("clampdown")


def test_plain_vllm_takes_recipes_by_name_and_written_out(engine, model, recipes, prompts):
    [want] = run(LocalEngine(model), [Request(prompts[0], recipes[2], Sampling(TOKENS))])
    turns = json.dumps(prompts[0].user)
    written = json.dumps(shown_recipe(recipes[2]))
    for text in ("guarded", written):
        ids, receipt = plain(engine, prompts[0], clampdown=text, clampdown_user=turns)
        assert ids == want.ids and Receipt(**receipt).accounts_for(recipes[2])
        assert receipt["tokens_edited"] == want.receipt.tokens_edited


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("at_once", [False, True])
def test_plain_vllm_knows_where_the_users_turns_lie(engine, model, recipes, parts, at_once):
    """Of a chat that its own server renders: so the gate reads what it reads here."""
    from vllm import SamplingParams
    from vllm.renderers.params import ChatParams

    texts = ["Is it safe to swim in the river?", "It is, by day.", "And how do I drown somebody there?"]
    roles = ("user", "assistant", "user")
    chat = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    sent = [{**one, "content": [{"type": "text", "text": one["content"]}]} if parts else one for one in chat]
    how = {"add_generation_prompt": True, "tokenize": at_once}
    _, [prompt] = engine._vllm.renderer.render_chat([sent], ChatParams(chat_template_kwargs=how))
    ours = model.prompt_ids(chat)
    assert tuple(prompt["prompt_token_ids"]) == ours
    asked = engine._vllm.input_processor.process_inputs(
        "r", prompt, SamplingParams(extra_args={"clampdown": "guarded"}), engine._vllm.get_supported_tasks()
    )
    assert asked_by(asked.sampling_params.extra_args) == Asked(recipes[2], ours.user)


@pytest.mark.parametrize(
    "extra, says",
    [
        ({"clampdown": "guardian"}, "no recipe 'guardian' here; there is guarded"),
        ({"clampdown": "{"}, "no JSON"),
        (
            {"clampdown": '{"edits": [{"kind": "clamp", "sae": "/x", "layer": 1, "latents": {"1": 2}}]}'},
            "no SAE '/x'",
        ),
        ({"clampdown": '{"gate": {"file": "/etc/passwd", "sha256": "00"}}'}, "named by its sha256"),
        ({"clampdown": '{"system_prompt": "Be brief.", "edits": []}'}, "brings a system prompt"),
        ({"clampdown": '{"edits": []}'}, "no edits"),
        ({"clampdown": "guarded", "clampdown_user": "[[0, 9999]]"}, "can't have user turns"),
        ({"clampdown_recipe": "guarded"}, "no clampdown_recipe"),
    ],
)
def test_plain_vllm_refuses_the_rest(engine, prompts, extra, says):
    from vllm.exceptions import VLLMClientError

    with pytest.raises(VLLMClientError, match=says):
        plain(engine, prompts[0], **extra)
    assert not engine._vllm.has_unfinished_requests()


def test_the_self_test_stops_what_does_not_steer(engine, monkeypatch):
    core = engine._vllm.engine_core.engine_core
    self_test(core)
    monkeypatch.setattr(type(worker(engine)), "steer", lambda *_: None)
    with pytest.raises(ClampdownError, match="vLLM was stopped, for in a self-test 0 tokens were edited"):
        self_test(core)


def test_a_study_is_answered_alike(engine, model, tmp_path):
    """Every row of a study, but for what only Transformers says: likelihoods, and how surprising an answer is."""
    from clampdown.library import default_recipe
    from clampdown.measuring.sets.sets import builtin_set
    from clampdown.studies.plan import Plan
    from clampdown.studies.record import read_record
    from clampdown.studies.run import study

    sets = [builtin_set(kind).half("report").sample(4, 0) for kind in ("unsafe", "safe", "capability")]
    plan = Plan(
        name="small", max_new_tokens=8, batch=12, factors=(1.0,), strengths=(1.0,),
        arms=("none", "clamp", "system-prompt"), gates=("recipe", "open"),
    )  # fmt: skip
    for name, answering in (("usual", None), ("vllm", engine)):
        study(model, default_recipe(), sets, plan, tmp_path / name, engine=answering)
    usual, other = (read_record(tmp_path / name) for name in ("usual", "vllm"))
    assert other.about["environment"]["engine"] == engine.version
    assert engine.version == "vllm 0.32.0 (enforce_eager=True)"
    assert usual.rows.keys() == other.rows.keys()
    for key, rows in usual.rows.items():
        for one, same in zip(rows, other.rows[key], strict=True):
            assert (one.place, one.text, one.label) == (same.place, same.text, same.label), key
            assert (one.receipt or {}).get("tokens_edited") == (same.receipt or {}).get("tokens_edited"), key


@pytest.mark.parametrize(
    "split, asked, given",
    [
        ("attention", "FULL_AND_PIECEWISE", "PIECEWISE"),
        ("attention", "FULL", "PIECEWISE"),
        ("attention", "FULL_DECODE_ONLY", "PIECEWISE"),
        ("attention", "PIECEWISE", "PIECEWISE"),
        ("attention", "NONE", "NONE"),
        ("another operator", "FULL", "NONE"),  # attention would lie inside what is recorded
        ("nothing is compiled", "FULL_DECODE_ONLY", "NONE"),
        ("nothing is compiled", "FULL", "NONE"),
    ],
)
def test_no_graph_is_recorded_over_our_operators(split, asked, given):
    from types import SimpleNamespace

    from vllm.config import CompilationConfig, CompilationMode, CUDAGraphMode

    from clampdown.plugins.vllm.op import ALONE, NAME
    from clampdown.plugins.vllm.runner import prepare

    compiled = split != "nothing is compiled"
    mode = CompilationMode.VLLM_COMPILE if compiled else CompilationMode.NONE
    found = CompilationConfig(mode=mode, cudagraph_mode=CUDAGraphMode[asked])
    ops = {"attention": list(CompilationConfig._attention_ops), "another operator": ["vllm::moe_forward"]}
    found.splitting_ops = ops.get(split, [])
    prepare(SimpleNamespace(additional_config={}, compilation_config=found), graphs=True)
    assert found.cudagraph_mode == CUDAGraphMode[given]
    assert ({NAME, ALONE} <= set(found.splitting_ops)) == compiled
