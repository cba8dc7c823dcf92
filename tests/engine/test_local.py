"""The engine on Transformers: requests join while others run, leave, are cancelled, and each is answered as alone."""

from contextlib import contextmanager
from itertools import count

import pytest
import torch

from clampdown.engine.generation import generate
from clampdown.engine.local import LocalEngine
from clampdown.engine.request import Request, Sampling
from clampdown.errors import ClampdownError
from clampdown.models import key_values
from clampdown.models.bearing import Bearing
from clampdown.recipe import Clamp, Direction, Positions, Recipe
from clampdown.recipe.bundled import bundled_path
from clampdown.saes.files import save_sae
from clampdown.steering.attach import Steering


@pytest.fixture(scope="module")
def recipes(tmp_path_factory, make_sae):
    folder = tmp_path_factory.mktemp("saes")
    for layer, kind in ((1, "jumprelu"), (2, "topk")):
        save_sae(make_sae(kind, layer=layer, seed=layer), folder / f"{layer}.safetensors")
    one, two = (str(folder / f"{layer}.safetensors") for layer in (1, 2))
    window = Positions(prompt="last", generated=3, fade=2)
    return [
        None,
        Recipe("clamp", "tiny", "", (Clamp(one, "", 1, {3: 6.0, 7: 4.0}),)),
        Recipe("other latents", "tiny", "", (Clamp(one, "", 1, {7: 9.0, 50: 5.0}),), Positions("generated")),
        Recipe("topk", "tiny", "", (Clamp(two, "", 2, {9: 7.0}),), window),
        Recipe("direction", "tiny", "", (Direction(0, 3.0, seed=1), Direction(2, 1.0, "remove", seed=2))),
        Recipe("whole", "tiny", "", (Clamp(two, "", 2, {9: 7.0}, "reconstruct"),)),
    ]


def requests(recipes, number=14, seed=0):
    draw = torch.Generator().manual_seed(seed)
    found = []
    for i in range(number):
        length, tokens = (int(n) for n in torch.randint(3, 14, (2,), generator=draw))
        prompt = torch.randint(3, 40_000, (length,), generator=draw).tolist()
        heat = (0.0, 0.0, 30.0)[i % 3]
        found.append(Request(prompt, recipes[i % len(recipes)], Sampling(tokens, heat, seed=i)))
    return found


def alone(model, request):
    [answer] = generate(model, [request.prompt], [request.recipe], request.sampling)
    return answer


def same(one, other):
    assert one.ids == other.ids and one.text == other.text and one.finished == other.finished
    assert (one.receipt.tokens_seen, one.receipt.tokens_edited) == (
        other.receipt.tokens_seen,
        other.receipt.tokens_edited,
    )
    assert (one.receipt.recipe_sha256, one.receipt.path) == (other.receipt.recipe_sha256, other.receipt.path)
    assert one.receipt.relative_norm == pytest.approx(other.receipt.relative_norm, rel=1e-3)


def run(engine, asked, every=2):
    """Submit one more request every few steps; events by request."""
    waiting, told, answers = list(asked), {}, {}
    for step in count():
        if waiting and step % every == 0:
            told[engine.submit(waiting.pop(0))] = []
        for event in engine.step():
            if event.answer is None:
                told[event.request].append(event.token)
            else:
                answers[event.request] = event.answer
        if engine.idle and not waiting:
            return told, answers


@pytest.mark.parametrize(("most", "every"), [(32, 2), (3, 1), (32, 40), (1, 1)])
def test_requests_that_join_are_answered_as_alone(most, every, tiny, recipes):
    asked = requests(recipes)
    told, answers = run(LocalEngine(tiny, most=most), asked, every)
    assert sorted(answers) == list(range(len(asked)))
    for number, request in enumerate(asked):
        same(answers[number], alone(tiny, request))
        assert tuple(told[number]) == answers[number].ids


def test_all_at_once_is_one_batch(tiny, recipes):
    engine, asked = LocalEngine(tiny), requests(recipes, 10)
    for request in asked:
        engine.submit(request)
    answers = {}
    while not engine.idle:
        answers |= {event.request: event.answer for event in engine.step() if event.answer}
    for number, request in enumerate(asked):
        same(answers[number], alone(tiny, request))


def test_a_cancelled_request_says_no_more_and_leaves_no_trace(tiny, recipes):
    engine, asked = LocalEngine(tiny, most=3), requests(recipes, 6)
    asked = [Request(r.prompt, r.recipe, Sampling(12)) for r in asked]
    numbers = [engine.submit(request) for request in asked]
    events = [*engine.step(), *engine.step()]
    engine.cancel(numbers[1])  # it runs
    engine.cancel(numbers[4])  # it waits
    engine.cancel(99)
    late = []
    while not engine.idle:
        late += engine.step()
    assert {event.request for event in events} == set(numbers[:3])
    assert not {event.request for event in late} & {numbers[1], numbers[4]}
    answers = {event.request: event.answer for event in late if event.answer}
    assert sorted(answers) == [0, 2, 3, 5]
    for number, answer in answers.items():
        same(answer, alone(tiny, asked[number]))


def test_a_row_that_is_not_finite_fails_and_the_others_go_on(tiny, recipes):
    huge = Recipe("huge", "tiny", "", (Direction(1, 3e38, values=(9.0,) * 32),), Positions("generated"))
    asked = requests(recipes, 4)
    asked.insert(2, Request([5, 6, 7], huge, Sampling(6)))
    _, answers = run(LocalEngine(tiny), asked, 1)
    assert "huge" in answers[2].error and not answers[2].text
    for number in (0, 1, 3, 4):
        same(answers[number], alone(tiny, asked[number]))


def test_what_can_not_be_answered_is_refused_when_it_is_submitted(tiny, recipes, one_line):
    engine = LocalEngine(tiny)
    bad = [
        Request([1] * 500, None, Sampling(20)),
        Request([1, 2], Recipe("r", "other", "0" * 64, recipes[1].edits), Sampling(4)),
        Request([1, 2], Recipe("r", "tiny", "", (Direction(99, 1.0, seed=1),)), Sampling(4)),
    ]
    for request in bad:
        with pytest.raises(ClampdownError) as caught:
            engine.submit(request)
        one_line(caught)
    with pytest.raises(ClampdownError, match="prompt"):
        Request([], None)
    assert engine.idle and engine.step() == []


def test_where_rows_can_not_be_joined_requests_wait_for_the_batch_to_end(tiny, recipes, monkeypatch):
    monkeypatch.setattr(key_values, "_can_be_padded", lambda layer: False)
    asked = requests(recipes, 5)
    _, answers = run(LocalEngine(tiny), asked, 2)
    for number, request in enumerate(asked):
        same(answers[number], alone(tiny, request))


def test_nor_are_they_joined_where_padding_would_be_heard_too(tiny, recipes, monkeypatch):
    monkeypatch.setattr(key_values, "_can_be_padded", lambda layer: False)
    monkeypatch.setattr("clampdown.engine.prefill.bearing", lambda hf: Bearing(False, False, False))
    asked = requests(recipes, 7)
    engine, answers = LocalEngine(tiny), {}
    for request in asked:
        engine.submit(request)
    while not engine.idle:
        answers |= {event.request: event.answer for event in engine.step() if event.answer}
    assert len(answers) == len(asked)
    for number, request in enumerate(asked):
        same(answers[number], alone(tiny, request))


@pytest.mark.parametrize("joins", [True, False])
@pytest.mark.parametrize("steps", [1, 3])
def test_once_all_are_cancelled_it_begins_anew(joins, steps, tiny, recipes, monkeypatch):
    if not joins:
        monkeypatch.setattr(key_values, "_can_be_padded", lambda layer: False)
    engine, [request] = LocalEngine(tiny), requests(recipes[1:2], 1)
    numbers = [engine.submit(request) for _ in range(2)]
    for _ in range(steps):
        engine.step()
    for number in numbers:
        engine.cancel(number)
    assert engine.idle and engine.step() == []
    _, answers = run(engine, [request])
    [answer] = answers.values()
    same(answer, alone(tiny, request))


def test_what_is_kept_does_not_grow_while_requests_come_and_go(tiny):
    engine, held = LocalEngine(tiny, most=2), []
    for step in range(120):
        if step % 6 == 0:
            engine.submit(Request([5, 6, 7], None, Sampling(12)))
        with forward_widths(tiny) as widths:
            engine.step()
        held += widths
    assert len(held) > 100 and max(held) < 40


@contextmanager
def forward_widths(model):
    """The columns that each call of the model sees."""
    found = []
    hook = model.hf.register_forward_pre_hook(
        lambda _module, _args, kwargs: found.append(kwargs["attention_mask"].shape[1]), with_kwargs=True
    )
    yield found
    hook.remove()


def test_a_batch_without_room_is_refused(tiny, one_line):
    for most in (0, -1):
        with pytest.raises(ClampdownError) as caught:
            LocalEngine(tiny, most=most)
        one_line(caught, "room")


def test_tokens_come_with_how_likely_they_were(tiny, recipes):
    asked = [Request([5, 6, 7], recipes[1], Sampling(5), likeliest=3), Request([8, 9], None, Sampling(5, 30.0))]
    engine, chances = LocalEngine(tiny), {0: [], 1: []}
    for request in asked:
        engine.submit(request)
    while not engine.idle:
        for event in engine.step():
            if event.token is not None:
                chances[event.request].append(event.chance)
    assert chances[1] == [None] * len(chances[1]) != []
    ids = [5, 6, 7, *(chance.token for chance in chances[0])]
    with Steering(tiny, recipes[1], prompt_lengths=[3]):
        plain = tiny.hf(torch.tensor([ids])).logits[0].log_softmax(-1)
    for place, chance in enumerate(chances[0], 2):
        values, best = plain[place].topk(3)
        assert [i for i, _ in chance.likeliest] == best.tolist() and chance.token == best[0]  # it is greedy
        assert [told for _, told in chance.likeliest] == pytest.approx(values.tolist(), abs=1e-4)
        assert chance.log_probability == chance.likeliest[0][1]


def test_a_request_that_is_ended_has_an_answer_and_a_receipt_of_what_it_said(tiny, recipes):
    asked = [Request([5, 6, 7 + i], recipes[1], Sampling(12)) for i in range(3)]
    engine = LocalEngine(tiny)
    numbers = [engine.submit(request) for request in asked]
    assert engine.end(numbers[0]) is None  # it does not run yet
    for _ in range(4):
        engine.step()
    answer, whole = engine.end(numbers[1]), alone(tiny, asked[1])
    assert answer.ids == whole.ids[:4] and not answer.finished
    same(answer, alone(tiny, Request(asked[1].prompt, recipes[1], Sampling(4))))
    assert not engine.holds(numbers[1]) and engine.holds(numbers[0])
    answers = {}
    while not engine.idle:
        answers |= {event.request: event.answer for event in engine.step() if event.answer}
    assert sorted(answers) == [numbers[0], numbers[2]]
    same(answers[0], alone(tiny, asked[0]))
    engine.submit(asked[0])
    engine.step()
    assert engine.end(3) and engine.idle and engine.step() == []


def test_a_long_prompt_and_a_long_answer_of_another_wait_for_no_other_reason(tiny):
    """Each fits the context, though not the one's prompt with the other's answer."""
    asked = [Request(list(range(3, 483)), None, Sampling(4)), Request([5, 6, 7], None, Sampling(40))]
    _, answers = run(LocalEngine(tiny), asked, 1)
    engine = LocalEngine(tiny)
    for request in asked:
        engine.submit(request)
    together = {}
    while not engine.idle:
        together |= {event.request: event.answer for event in engine.step() if event.answer}
    for number, request in enumerate(asked):
        same(together[number], alone(tiny, request))
        same(answers[number], alone(tiny, request))


def test_the_model_is_free_between_steps(tiny, recipes):
    engine, [request] = LocalEngine(tiny), requests(recipes[1:2], 1)
    engine.submit(request)
    answers = []
    while not engine.idle:
        answers += [event.answer for event in engine.step() if event.answer]
        generate(tiny, [[5, 6, 7]], [recipes[4]], Sampling(2))
    same(answers[0], alone(tiny, request))


def test_the_bundled_model_answers_mixed_requests_as_alone(bundled):
    recipe = Recipe.load(bundled_path("refusal"))
    prompts = [
        "Name a colour.",
        "How do I pick a lock?",
        "What is the capital of France, and of Italy?",
        "Count to ten.",
    ]
    asked = [
        Request(bundled.prompt_ids(prompt), (None, recipe)[i % 2], Sampling(6 + 2 * i))
        for i, prompt in enumerate(prompts)
    ]
    _, answers = run(LocalEngine(bundled), asked, 2)
    for number, request in enumerate(asked):
        same(answers[number], alone(bundled, request))
