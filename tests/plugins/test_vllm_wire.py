"""What of the plug-in for vLLM needs no vLLM: versions, how recipes travel, and whose keys and values are whose."""

import json
from dataclasses import replace

import pytest

from clampdown.errors import ClampdownError
from clampdown.models.prompt import Prompt
from clampdown.plugins.vllm.prefix_keys import block_keys, most_cached
from clampdown.plugins.vllm.version import TESTED, check_version
from clampdown.plugins.vllm.wire import Asked, OwnText, asked_by, to_extra_args, written
from clampdown.recipe import Direction, Gate, Positions, Recipe
from clampdown.recipe.bundled import BUNDLED, bundled_path
from clampdown.steering.gates.gate_file import read_gate

GATE = Gate("gate.safetensors", "ab" * 32)


def recipe(gate=None, **window):
    return Recipe("r", "m", "", (Direction(2, 1.0, seed=3),), Positions(**window), gate=gate)


@pytest.mark.parametrize("version", [TESTED, f"{TESTED}+cpu", f"{TESTED}+cu130"])
def test_the_version_that_is_tested_is_taken(version):
    check_version(version)


@pytest.mark.parametrize("version", ["0.31.9", "0.32.1", "0.33.0", "1.0.0", "0.32.0rc1", "0.32.0.dev1+cpu", "dev"])
def test_other_versions_are_refused_by_name(version):
    with pytest.raises(ClampdownError, match=f"vLLM {TESTED}, and this is vLLM {version.partition('+')[0]}"):
        check_version(version)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_recipe_comes_back_as_it_was_sent(name):
    sent = Asked(Recipe.load(bundled_path(name)), ((3, 9), (20, 31)))
    told = to_extra_args(sent)
    assert all(isinstance(text, str) for text in told.values())
    got = asked_by(json.loads(json.dumps(told)))
    assert got == sent
    assert got.recipe.sha256 == sent.recipe.sha256
    assert written(told).own and not written(json.loads(json.dumps(told))).own


@pytest.mark.parametrize("decision", [True, False])
def test_an_outside_decision_comes_back(decision):
    told = to_extra_args(Asked(recipe(Gate(external="guard")), None, decision))
    assert asked_by(told).decision is decision


@pytest.mark.parametrize("other", [None, {}, {"session_id": "a"}])
def test_a_request_that_asks_nothing_of_us(other):
    assert written(other) is None


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"clampdown": 3}, "a recipe's name"),
        ({"clampdown": " "}, "a recipe's name"),
        ({"clampdown": None}, "a recipe's name"),
        ({"clampdown_user": "[[1, 2]]"}, "a recipe's name"),
        ({"clampdown_users": "[[1, 2]]", "clampdown": "guarded"}, "no clampdown_users"),
        ({"Clampdown": "guarded"}, "no Clampdown"),
        ({"clampdown": "guarded", "clampdown_user": "[[1]]"}, "list of"),
        ({"clampdown": "guarded", "clampdown_user": "[[1, 2.5]]"}, "list of"),
        ({"clampdown": "guarded", "clampdown_user": "[[true, 2]]"}, "list of"),
        ({"clampdown": "guarded", "clampdown_user": 7}, "list of"),
        ({"clampdown": "guarded", "clampdown_user": "[" * 100_000}, "list of"),
        ({"clampdown": "guarded", "clampdown_decision": "yes"}, "open or shut"),
    ],
)
def test_what_is_wrong_is_told(wrong, says):
    with pytest.raises(ClampdownError, match=says):
        written(wrong)


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"name": "r"}', '{"edits": 3, "name": "a", "model": {"name": "b"}}'])
def test_a_text_that_is_no_recipe(text):
    with pytest.raises(ClampdownError):
        asked_by({"clampdown": text})


def test_only_our_own_engine_can_write_own_text():
    assert written({"clampdown": OwnText("guarded")}).own
    assert not written({"clampdown": "guarded"}).own


def keys(asked, length=40, request="a"):
    return [block_keys(asked, length, start, start + 16, request) for start in range(0, 64, 16)]


def test_steered_and_unsteered_share_nothing_that_was_edited():
    everywhere = Asked(recipe())
    assert () not in keys(everywhere)
    assert keys(everywhere) == keys(everywhere, length=50, request="b")  # prompt and answer alike
    assert set(keys(everywhere)).isdisjoint(keys(Asked(replace(recipe(), edits=(Direction(2, 2.0, seed=3),)))))


def test_what_comes_before_the_window_is_everybodys():
    last = keys(Asked(recipe(prompt="last", generated=4)))
    assert last[:2] == [(), ()] and () not in last[2:]
    assert keys(Asked(recipe(prompt="none")), length=48) == [(), (), (), keys(Asked(recipe(prompt="none")), 48)[3]]
    assert keys(Asked(recipe(prompt="last")), length=48)[2] != ()  # its last token is edited


def test_in_the_next_turn_an_answer_is_prompt():
    for window in ({"prompt": "last"}, {"prompt": "all", "generated": 14}, {"prompt": "none"}, {"prompt": "user"}):
        now, later = keys(Asked(recipe(**window), ())), keys(Asked(recipe(**window), ()), length=60)
        assert now[2] != later[2] or window["prompt"] == "none"
        assert now[3] != later[3]


def test_user_windows_share_where_the_same_tokens_are_the_users():
    one, other = Asked(recipe(prompt="user"), ((4, 30),)), Asked(recipe(prompt="user"), ((4, 33),))
    assert keys(one)[0] == keys(other)[0] and keys(one)[1] != keys(other)[1]


def test_a_gate_that_reads_a_prompt_again_shares_nothing():
    asked = Asked(recipe(GATE, prompt="all"))
    assert () not in keys(asked) and set(keys(asked)).isdisjoint(keys(asked, request="b"))
    assert keys(Asked(recipe(GATE, prompt="last")))[:2] == [(), ()]


@pytest.mark.parametrize("decide", ["shut", "watch"])
def test_what_is_never_edited_is_everybodys(decide):
    assert keys(Asked(recipe(replace(GATE, decide=decide)))) == [()] * 4
    assert keys(Asked(recipe(Gate(external="guard")), None, False)) == [()] * 4


def test_a_forced_gate_is_as_none():
    forced = Asked(recipe(replace(GATE, decide="open"), prompt="all", generated=4))
    assert keys(forced) == keys(forced, request="b") and () not in keys(forced)


def test_a_gate_sees_all_that_it_reads():
    guarded = Recipe.load(bundled_path("guarded"))
    gate = read_gate(guarded.gate)
    prompt = Prompt(range(50), ((24, 44),))
    assert most_cached(Asked(guarded, prompt.user), prompt, gate) == 24
    assert most_cached(Asked(guarded), Prompt(range(50)), gate) == 1
    assert most_cached(Asked(replace(guarded, positions=Positions())), prompt, gate) == 0
    assert most_cached(Asked(guarded.deciding("open"), prompt.user), prompt, gate) is None
    assert most_cached(Asked(replace(guarded, gate=None)), prompt, None) is None
