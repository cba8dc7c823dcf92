"""What an answer says in a tool's call is left unedited where a request asks for that, and the receipt says so."""

import pytest
from test_local import alone, run, same

from clampdown.engine import sparing
from clampdown.engine.local import LocalEngine
from clampdown.engine.request import Request, Sampling
from clampdown.engine.sparing import ToolCalls
from clampdown.recipe import Direction, Positions, Recipe

PUSH = Recipe("push", "tiny", "", (Direction(1, 4.0, seed=1),), Positions(prompt="last"))
PROMPT = [5, 6, 7, 8]


def inside(model, text):
    """Of each token of a text, whether it is of a call; and how the tokens read."""
    calls, found = ToolCalls(model), []
    ids = model.tokenizer(text, add_special_tokens=False).input_ids
    for token in ids:
        calls.add(token)
        found.append(calls.inside)
    return "".join(model.tokenizer.decode([token]) for token, told in zip(ids, found, strict=True) if told)


@pytest.mark.parametrize(
    ("text", "spared"),
    [
        ('Sure.\\n<tool_call>{"name": "f"}</tool_call> Done.', '{"name": "f"}</tool_call'),
        ("<tool_call>a</tool_call> b <tool_call>c</tool_call> d", "a</tool_callc</tool_call"),
        ("So: [TOOL_CALLS][1] and on", "][1] and on"),
        ("<function=f>{}</function>!", "=f>{}</function"),
        ("a <tool_ call> b </tool_call> c", ""),
        ("nothing of the kind", ""),
    ],
)
def test_a_call_is_what_stands_between_its_marks(text, spared, bundled):
    found = inside(bundled, text.replace("\\n", "\n"))
    assert found.replace(">", "") == spared.replace(">", "")  # marks may end within a token


def test_a_long_call_is_one(bundled):
    said = " ".join(map(str, range(200)))
    assert said in inside(bundled, f"<tool_call>{said}</tool_call> and on")


def test_from_the_mark_on_nothing_is_edited_and_the_receipt_says_so(tiny, monkeypatch):
    plain = alone(tiny, Request(PROMPT, PUSH, Sampling(8)))
    assert plain.receipt.spared is None and "spared" not in plain.receipt.to_dict()
    mark = tiny.tokenizer.decode([plain.ids[2]])
    monkeypatch.setattr(sparing, "MARKS", {mark: ""})
    calls = ToolCalls(tiny)
    begins = next(place for place, token in enumerate(plain.ids) if calls.add(token) or calls.inside)
    spare = Request(PROMPT, PUSH, Sampling(8), spare=True)
    others = [Request([9, 10, 11 + i], recipe, Sampling(6)) for i, recipe in enumerate((PUSH, None))]
    _, answers = run(LocalEngine(tiny), [others[0], spare, others[1]], 1)
    answer = answers[1]
    assert answer.ids[: begins + 1] == plain.ids[: begins + 1]
    assert answer.receipt.tokens_edited == 1 + begins  # the prompt's last, and what came before the mark was whole
    assert answer.receipt.spared == len(answer.ids) - 1 - begins == answer.receipt.to_dict()["spared"] > 0
    same(answers[0], alone(tiny, others[0]))
    same(answers[2], alone(tiny, others[1]))


def test_where_no_call_is_made_all_is_as_without(tiny):
    wanted = alone(tiny, Request(PROMPT, PUSH, Sampling(6)))
    _, answers = run(LocalEngine(tiny), [Request(PROMPT, PUSH, Sampling(6), spare=True)])
    same(answers[0], wanted)
    assert answers[0].receipt.spared == 0
