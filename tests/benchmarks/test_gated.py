"""The benchmark of a gated recipe: its arithmetic, its conversations, and that a cut run goes on."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "benchmarks" / "gated"), str(ROOT / "tests" / "steering")]

from conversations import READINGS, Behind, Watched  # noqa: E402
from figures import apart, behind, digits, figures, forced, pooled  # noqa: E402
from gates import part, written  # noqa: E402
from prompts import wrapped_in  # noqa: E402
from tables import page, passages  # noqa: E402

from clampdown.engine.request import Sampling  # noqa: E402
from clampdown.measuring.attacks.behind_gate import BehindGate  # noqa: E402
from clampdown.measuring.attacks.conversation import SteeredTarget, user  # noqa: E402
from clampdown.measuring.attacks.outcome import Goal, Outcome, Turn  # noqa: E402
from clampdown.measuring.attacks.scripted import Scripted  # noqa: E402
from clampdown.recipe import Direction, Recipe  # noqa: E402

HITS = {
    "open": "110010",
    "none": "100100",
    "edit": "11--0-",
    "SAE clamp": "10--0-",
    "difference in means": "10--1-",
    "system prompt": "00--1-",
    "fixed sentence": "11--1-",
}
RECORD = {"kind": "prompts", "unsafe": True, "against": "plain", "n": 6, "ungated": 2, "hits": HITS}
RECORD |= {"scores": [3.0, 2.0, -1.0, 0.0, 2.5, -2.0], "words": [0.0] * 6}
SAFE = RECORD | {"unsafe": False, "against": "", "scores": [-3.0, -2.0, None, -4.0, -2.5, -1.5]}


def test_behind_a_gate_a_shut_row_is_that_of_no_steering():
    assert digits([True, False], [4, 1], 5) == "-0--1" and digits([True, False]) == "10"
    assert behind(HITS, "edit") == "110100"
    told = figures(RECORD)
    assert told["open"][::3] == [50.0, 6] and told["none"][::3] == [33.3, 6]
    assert told["edit, when open"][::3] == [66.7, 3]
    assert told["edit, open and refused"][::3] == [33.3, 6], "the share that opens it times that of those refused"
    assert told["edit, gated"][::3] == [50.0, 6] and told["fixed sentence, gated"][0] == 66.7
    assert told["edit, gated, less none"][::3] == [16.7, 6]
    assert told["SAE clamp, no gate"][::3] == [50.0, 2] and told["SAE clamp, gated"][0] == 33.3
    assert told["edit, no gate"][::3] == [100.0, 2], "the first ones, whatever the gate says"


def test_what_no_gate_opens_on_is_told_without_figures():
    shut = {key: "00" if key in ("open", "none") else "--" for key in HITS}
    told = figures(RECORD | {"n": 2, "ungated": 0, "hits": shut})
    assert told["edit, when open"] == told["edit, no gate"] == []
    assert told["edit, gated, less none"] == [0.0, 0.0, 0.0, 2]


def test_one_item_alone_has_a_difference_that_json_can_hold():
    one = RECORD | {"n": 1, "ungated": 1, "hits": {key: "1" for key in HITS}}
    assert figures(one)["edit, no gate, less none"] == [0.0, -100.0, 100.0, 1]
    json.dumps(figures(one), allow_nan=False)


def test_a_row_without_a_score_counts_as_open_where_two_are_told_apart():
    told = apart(RECORD, SAFE)
    assert told["gate"]["auc"][0] < 1, "what can't be scored opens the gate, and is the worst of the safe ones"
    assert apart(RECORD, SAFE | {"scores": [-3.0] * 6})["gate"]["auc"][0] == 1.0
    assert told["TF-IDF"]["auc"][0] == 0.5 and told["TF-IDF"]["open at 5%"] == 0.0


def test_conversations_are_counted_by_cluster_and_questions_together():
    names = [f"{arm}: {name}" for arm in ("none", "edit", "fixed sentence") for name in READINGS]
    talk = {"kind": "conversations", "n": 4, "unsafe": True, "hits": dict.fromkeys(names, "1100")}
    alone, tied = (figures(talk | {"clusters": c})["none: ever open"] for c in (list("abcd"), list("aabb")))
    assert alone[0] == tied[0] == 50.0 and tied[1] < alone[1] and tied[2] > alone[2]
    hits = {"open": "1000", "open, five-shot": "0000", "none": "1101", "edit": "00--"}
    asked = {"kind": "questions", "n": 4, "ungated": 2, "hits": hits}
    whole = figures(pooled([asked, asked]))
    assert whole["edit, gated, less none"][::3] == [-25.0, 8] and forced([asked, asked])[::3] == [-100.0, 4]


def test_tables_show_what_was_measured_and_nothing_else():
    rows = {"bad": RECORD | {"figures": figures(RECORD)}, "plain": SAFE | {"figures": figures(SAFE)}}
    told = page({"settings": {"tokens": 8}, "rows": rows, "apart": {"bad, plain": apart(RECORD, SAFE)}})
    assert "| bad | 6 | 50.0 (18.8–81.2) | 66.7 (20.8–93.9) | 33.3 " in told
    assert "| plain | 6 | 50.0 " in told and "| bad, plain | gate | " in told
    assert "conversations" not in told and "questions" not in told and "bits per byte" not in told
    widths = {line.count("|") for line in told.split("\n\n")[1].splitlines()}
    assert len(widths) == 1


def test_wrappers_of_a_file_are_the_same_for_every_set(tmp_path):
    rows = [{"template": f"Wrapper {n}: [INSERT PROMPT HERE] Go."} for n in range(6)] + [{"template": "no slot"}]
    rows += [{"template": "{prompt}" + "so long " * 1000}]
    (tmp_path / "w.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    bad, good = (wrapped_in(tmp_path / "w.jsonl", [word] * 8, 0) for word in ("BAD", "GOOD"))
    assert [text.replace("BAD", "GOOD") for text in bad] == good and len(set(bad)) == 6
    assert all("BAD Go." in text and len(text) < 100 for text in bad)


@pytest.fixture
def gated(tiny, tmp_path):
    """A recipe whose gate opens on some of what is said below, at once or later."""
    chats = [[user(text)] for text in dict.fromkeys(text for goal in GOALS for text in goal.user_turns)]
    gate = written(tmp_path / "g.safetensors", tiny, [part(2, pool="mean")], [tiny.prompt_ids(chat) for chat in chats])
    return Recipe("r", "tiny", tiny.sha256, (Direction(1, 20.0, seed=1),), gate=gate)


WORDS = ("ships", "a red barn", "how to sleep", "the price of tea in a small town", "stars", "Rome")
TURNS = [("And then?", f"Speak of {word}.", f"Write it all down, {word} too.") for word in WORDS]
GOALS = [Goal(str(n), "x", user_turns=(*turns[n % 3 :], *turns[: n % 3])) for n, turns in enumerate(TURNS)]
"""Each begins with another of its turns, so that some open the gate at once, and some later."""


@pytest.mark.parametrize("arm", ["edit", "fixed"])
def test_answers_that_are_taken_from_the_watched_run_are_those_that_the_arm_would_give(tiny, gated, arm):
    sampling = Sampling(5)
    plain = SteeredTarget(tiny, gated, sampling) if arm == "edit" else BehindGate(tiny, gated, sampling, "No.")
    watched = Watched(SteeredTarget(tiny, gated.deciding("watch"), sampling))
    seen = Scripted().run(GOALS, watched)
    asked = []

    class Counted:
        def reply(self, chats, *, seed=0):
            asked.extend(chats)
            return plain.reply(chats, seed=seed)

    found, whole = (Scripted().run(GOALS, target) for target in (Behind(Counted(), watched), plain))
    for one, other in zip(found, whole, strict=True):
        assert [turn.answer for turn in one.turns] == [turn.answer for turn in other.turns]
        assert one.gates == other.gates
    decided = [gate for outcome in seen for gate in outcome.gates]
    assert {"open", "shut"} == set(decided) and 0 < len(asked) < 18, "some are new, and some are known"
    assert all(outcome.turns[0].receipt["tokens_edited"] == 0 for outcome in seen), "watching edits nothing"


def test_by_the_last_turn_is_at_any_and_a_loop_is_no_refusal():
    loop = "I can't help with that. " * 12
    turns = [Turn("Go on.", text, True, label) for text, label in ((loop, "refusal"), ("I can't do that.", "refusal"))]
    turns = [
        Turn(t.prompt, t.answer, True, t.label, receipt={"gate": g})
        for t, g in zip(turns, ("open", "shut"), strict=True)
    ]
    read = {name: reading(Outcome("s", GOALS[0], tuple(turns), 1)) for name, reading in READINGS.items()}
    assert read == {
        "refused at the last turn": True, "refused by the last turn": True,
        "open at the last turn": False, "ever open": True,
    }  # fmt: skip
    first = Outcome("s", GOALS[0], tuple(turns[:1]), 0)
    assert not READINGS["refused by the last turn"](first) and READINGS["open at the last turn"](first)


def test_passages_are_told_in_a_line():
    figure = {"open": [0.0, 0.0, 11.4, 30]}
    row = {"kind": "passages", "n": 30, "bits per byte": {"none": 1.2, "edit": 1.5}, "figures": figure}
    [line] = passages({"wikitext": row})
    assert line.startswith("wikitext, n 30") and "1.200" in line and "1.500" in line
