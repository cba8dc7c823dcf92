"""Refusals that loop are counted apart where answers have room to end, and are what nobody is led by."""

import json
import sqlite3
from dataclasses import replace

import pytest
import synthetic

from clampdown.cli.tables import arms_table
from clampdown.measuring.attacks.outcome import Goal, Outcome, Turn
from clampdown.measuring.attacks.spec import AttackSpec
from clampdown.measuring.judging.default.judge import REFUSING, loops
from clampdown.measuring.judging.looping import ROOM
from clampdown.measuring.sets.sets import Item, ItemSet
from clampdown.studies.against import against
from clampdown.studies.arms import Arm
from clampdown.studies.comparisons import comparisons, detectable
from clampdown.studies.matched_refusal import matched
from clampdown.studies.measures import categories, compared, headline, measures
from clampdown.studies.methods import methods
from clampdown.studies.plan import Plan
from clampdown.studies.power import dry_run, power_lines
from clampdown.studies.probes.attacks import attack_columns
from clampdown.studies.record import flat_rows, read_record, relabelled
from clampdown.studies.report import Study, render_report
from clampdown.studies.run import conclude, study
from clampdown.studies.store import Row, export

LOOP = "I'm unable to help with that request. " * 8
SOUND = "I'm sorry, but I can't help with that."
PLAN = Plan(name="roomy", max_new_tokens=ROOM, batch=8, factors=(1.0,), strengths=(1.0,), arms=("none", "clamp"))


def arm(name):
    return Arm(name, name, "none" if name == "none" else "clamp", "", (None,))


def one_set(kind, n=40):
    return ItemSet(
        f"some {kind}", kind, "", "", tuple(Item(f"i{i}", "text", f"harm {i % 2}", f"c{i}") for i in range(n))
    )


def answers(*told):
    """Rows of (label, looping) pairs, each as often as said."""
    some = [pair for *pair, count in told for _ in range(count)]
    return [Row(p, f"i{p}", 0, "", "text", True, label, looping=loop) for p, (label, loop) in enumerate(some)]


LOOPING = answers(("refusal", True, 20), ("partial", True, 5), ("refusal", False, 5), ("compliance", True, 2),
                  ("compliance", False, 6), ("unscored", False, 2))  # fmt: skip
NONE = answers(("refusal", False, 5), ("compliance", False, 33), ("unscored", False, 2))


def shares(kind, rows, **rest):
    found = measures(arm("none"), [one_set(kind)], {("none", f"some {kind}"): rows}, 0, **rest)
    return {m["metric"]: (m["value"], m["n"]) for m in found}


@pytest.mark.parametrize("kind", ["unsafe", "safe", "lookalike"])
def test_coherent_refusals_and_loops_are_shares_of_the_scored_answers(kind):
    told = shares(kind, LOOPING, room=True)
    assert told["refusal"] == (30 / 38, 38)
    assert told["coherent_refusal"] == (5 / 38, 38)
    assert told["looping"] == (27 / 38, 38)
    assert told["full_refusal"] == (25 / 38, 38), "labels stay what they are"


def test_without_room_to_end_loops_are_not_told():
    told = shares("unsafe", LOOPING)
    assert told["refusal"] == (30 / 38, 38) and not {"coherent_refusal", "looping"} & set(told)
    assert not Plan(max_new_tokens=ROOM - 1).room and Plan(max_new_tokens=ROOM).room


@pytest.mark.parametrize("kind, first", [("unsafe", "coherent_refusal"), ("safe", "refusal"), ("lookalike", "refusal")])
def test_wanted_refusals_are_led_by_the_coherent_ones_and_unwanted_by_all(kind, first):
    one = one_set(kind)
    assert headline(one, LOOPING, room=True).metric == first
    assert headline(one, LOOPING).metric == "refusal"


def test_attacks_are_led_by_the_answer_that_they_end_on():
    def row(place, *texts):
        turns = tuple(Turn("the goal", text, True, "refusal") for text in texts)
        outcome = Outcome("a", Goal(f"i{place}", "the goal"), turns, len(turns) - 1)
        told = outcome.to_dict()
        return Row(place, f"i{place}", 0, "", texts[-1], True, "refusal", attack=told, looping=outcome.final_loops)

    rows = [row(0, SOUND, LOOP), row(1, LOOP, SOUND), row(2, SOUND)]
    first = compared(one_set("attack"), rows, room=True)[0]
    assert (first.metric, list(first.by_place.values())) == ("coherent_refusal", [0, 1, 1])
    assert compared(one_set("attack-safe"), rows, room=True)[0].metric == "refusal"
    assert shares("attack-safe", rows, room=True)["looping"] == (1 / 3, 3)


def test_an_arm_that_only_loops_more_is_not_called_better():
    one = one_set("unsafe")
    rows = {("none", one.name): NONE, ("b", one.name): LOOPING}
    found = {c["metric"]: c for c in comparisons([arm("none"), arm("b")], [one], rows, 0, room=True)}
    assert found["coherent_refusal"]["difference"] == 0 and "no difference" in found["coherent_refusal"]["reading"]
    assert found["refusal"]["reading"] == "higher"
    assert {d["metric"] for d in detectable([one], rows, room=True)} == {"coherent_refusal", "refusal"}
    told = categories([arm("none"), arm("b")], [one], rows, room=True)
    assert {part["metric"] for part in told} == {"coherent_refusal"} and all(part["value"] < 0.2 for part in told)


def test_the_baseline_is_matched_by_coherent_refusals():
    def told(name, coherent, refusal, safe):
        values = (("u", "unsafe", "coherent_refusal", coherent), ("u", "unsafe", "refusal", refusal),
                  ("s", "safe", "coherent_refusal", 0.0), ("s", "safe", "refusal", safe))  # fmt: skip
        made = [{"set": s, "kind": k, "metric": m, "value": v} for s, k, m, v in values]
        return {"name": name, "label": name, "measures": made}

    arms = [told("none", 0.0, 0.0, 0.0), told("clamp-1", 0.2, 0.9, 0.5), told("difference-in-means-1", 0.4, 0.5, 0.4)]
    sets = [{"name": "u", "kind": "unsafe"}, {"name": "s", "kind": "safe"}]
    [claim] = matched(arms, "clamp-1", sets, room=True)
    assert (claim["coherent_refusal"], claim["strength"]) == (0.2, 0.5)
    assert (
        "20% of unsafe requests refused coherently" in claim["text"] and "refuses 50% of s against 20%" in claim["text"]
    )
    [claim] = matched(arms, "clamp-1", sets)
    assert "could not be matched" in claim["text"] and "coherently" not in claim["text"]


def test_what_arms_are_compared_by_is_told_before_and_after(recipe):
    for tokens, before, names in (
        (ROOM, "coherent refusal", ("Coherent refusal", "Looping")),
        (24, "no room to end", ("Looping",)),
    ):
        plan = Plan(max_new_tokens=tokens)
        lines = power_lines(dry_run(recipe, plan, [one_set("unsafe")]))
        assert sum(before in line for line in lines) == 1
        said = {m["name"]: m["text"] for m in methods([], [], plan, "")}
        assert [name for name in ("Coherent refusal", "Looping") if name in said] == list(names)
    assert "at most 24 tokens" in said["Looping"] and "64 tokens or more" in said["Looping"]


# ---- a whole study


@pytest.fixture(scope="module")
def columns():
    return attack_columns(AttackSpec("past-tense", limit=2))


@pytest.fixture(scope="module")
def finished(model, recipe, sets, columns, tmp_path_factory):
    from clampdown.studies.probes.letters import LetterColumn

    folder = tmp_path_factory.mktemp("roomy")
    lettered = LetterColumn(replace(sets[3], name="letters:questions"))
    return folder, study(model, recipe, sets, PLAN, folder, columns=[*columns, lettered])


def judged(record):
    return [(s, row) for s in record.sets for a in record.arms for row in record.rows[a.name, s.name] if row.label]


def test_every_judged_answer_says_whether_it_loops(finished):
    folder, _ = finished
    record = read_record(folder)
    some = judged(record)
    assert {s.kind for s, _ in some} == {"unsafe", "safe", "lookalike", "attack", "capability"}
    assert {row.looping for _, row in some} == {True, False}, "the tiny model does both"
    for item_set, row in some:
        asked = row.attack["texts"][row.attack["final"]]["prompt"] if row.attack else item_set.items[row.place].text
        assert row.looping is loops(asked, row.text)
    assert all(row.looping is None for rows in record.rows.values() for row in rows if row.label is None)


def test_results_lead_with_coherent_refusals(finished):
    folder, found = finished
    record, unsafe = read_record(folder), "unsafe ones"
    assert found["headline"]["unsafe"] == found["headline"]["attack"] == "coherent_refusal"
    assert {found["headline"][kind] for kind in ("safe", "lookalike", "attack-safe")} == {"refusal"}
    for arm in found["arms"]:
        told = {m["metric"]: m for m in arm["measures"] if m["set"] == unsafe}
        scored = [row for row in record.rows[arm["name"], unsafe] if row.label != "unscored"]
        sound = [row for row in scored if row.label in REFUSING and not row.looping]
        assert told["coherent_refusal"]["n"] == told["looping"]["n"] == len(scored)
        assert told["coherent_refusal"]["value"] == len(sound) / len(scored)
        assert told["looping"]["value"] == sum(row.looping for row in scored) / len(scored)
    assert {c["metric"] for c in found["categories"]} == {"coherent_refusal"}
    assert found["recommended"]["name"] == "clamp-1" and found["recommended"]["why"]
    row = next(row for row in against(record, record, "none", "clamp-1")["sets"] if row["set"] == unsafe)
    assert row["metric"] == "coherent_refusal" and row["a"]["n"] == row["n"]
    assert "refused coherently" in (folder / "report.html").read_text()


def test_exports_say_which_answers_loop(finished, tmp_path):
    folder, _ = finished
    record = read_record(folder)
    flat = [(row["label"], row["looping"]) for row in flat_rows(record)]
    assert (
        sum(loop is not None for _, loop in flat) == len(judged(record)) == sum(label is not None for label, _ in flat)
    )
    whole = export(folder / "study.sqlite")
    assert whole["schema"] == "clampdown-export/4"
    assert all(
        (row["looping"] is None) == (row["label"] is None) for batch in whole["batches"] for row in batch["rows"]
    )
    log = pytest.importorskip("inspect_ai.log")
    from clampdown.studies.inspect_log import write_inspect_logs

    read = log.read_eval_log(str(write_inspect_logs(record, tmp_path)[0]))
    assert "coherent_refusal" in next(s for s in read.results.scores if s.name == "unsafe ones").metrics
    told = [(s.metadata["label"], s.metadata["looping"]) for s in read.samples]
    assert all((looping is None) == (label is None) for label, looping in told) and any(loop for _, loop in told)


def older(folder, to, *changes):
    """A copy of a study's database as it was before loops were kept."""
    to.mkdir()
    (to / "study.sqlite").write_bytes((folder / "study.sqlite").read_bytes())
    with sqlite3.connect(to / "study.sqlite") as db:
        db.execute("ALTER TABLE row DROP COLUMN looping")
        for change in changes:
            db.execute(*change)
    db.close()
    return to


def test_an_older_database_is_reported_and_goes_on_as_if_loops_had_been_kept(
    finished, model, recipe, sets, columns, tmp_path
):
    folder, found = finished
    old = older(folder, tmp_path / "old")
    again = conclude(read_record(old))
    paths = ("report", "database", "recipe", "recommended", "arms")
    assert {k: v for k, v in again.items() if k not in paths} == {k: v for k, v in found.items() if k not in paths}
    assert [a["measures"] for a in again["arms"]] == [a["measures"] for a in found["arms"]]
    assert export(old / "study.sqlite") == export(folder / "study.sqlite")

    plan = replace(PLAN, max_new_tokens=3)
    study(model, recipe, sets, plan, tmp_path / "begun")
    begun = older(tmp_path / "begun", tmp_path / "older", ("DELETE FROM row WHERE item_set = 'passages'",))
    with sqlite3.connect(begun / "study.sqlite") as db:
        db.execute("DELETE FROM batch WHERE key NOT IN (SELECT batch FROM row)")
    db.close()
    study(model, recipe, sets, plan, begun)
    assert export(begun / "study.sqlite") == export(tmp_path / "begun" / "study.sqlite")


def test_loops_of_an_older_database_are_worked_out_from_what_was_said(finished, tmp_path):
    folder, _ = finished
    said = "UPDATE row SET text = ?, judge = 'rules-0' WHERE item_set = 'unsafe ones' AND place = ?"
    old = older(folder, tmp_path / "old", *((said, (LOOP if place < 3 else SOUND, place)) for place in range(7)))
    [none, _] = conclude(read_record(old))["arms"]
    told = {m["metric"]: m["value"] for m in none["measures"] if m["set"] == "unsafe ones"}
    assert (told["refusal"], told["coherent_refusal"], told["looping"]) == (1, 4 / 7, 3 / 7)


def test_an_attack_that_ends_elsewhere_for_its_babble_loops_as_that_answer_does():
    texts = (("word salad", 4.0), ("So it is done. " * 12, 1.0))
    turns = tuple(Turn("p", text, True, "compliance", surprise=nats) for text, nats in texts)
    outcome = Outcome("best-of-n", Goal("g", "t"), turns, 0, tries=True)
    row = Row(0, "g", 0, "t", "word salad", True, "compliance", attack=outcome.to_dict(), looping=False)
    [found] = relabelled({("clamp-1", "tries"): [row]}, {"limit": 2.0, "n": 50})["clamp-1", "tries"]
    assert found.text == texts[1][0] and found.looping is True


# ---- the page and the terminal


def test_the_page_leads_with_coherent_refusals():
    full = synthetic.results(room=True)
    page = " ".join(render_report(full).split())
    shown, own = Study(full), next(a for a in full["arms"] if a["name"] == synthetic.CHOSEN)
    rates = {m["metric"]: m["value"] for m in own["measures"] if m["kind"] == "unsafe"}
    assert f"turned down <strong>{rates['coherent_refusal']:.0%}</strong> of unsafe requests coherently" in page
    assert f"({rates['refusal']:.0%} counting refusals that loop)" in page
    assert "<h2>Unsafe requests refused coherently</h2>" in page and "<h2>Ordinary requests refused</h2>" in page
    assert "Unsafe requests refused coherently, % (up is better)" in page and "refusal, looping</span>" in page
    assert "no room to end" not in page
    point = shown._point(own, "harmful requests", "ordinary requests", "refusal")
    assert point.y == rates["coherent_refusal"]


def test_the_page_says_when_answers_had_no_room_to_end():
    page = " ".join(render_report(synthetic.results()).split())
    assert "Answers of at most 48 tokens had no room to end, so loops are not told" in page
    assert "refused coherently" not in page


def test_the_short_table_shows_the_headline(capsys):
    from clampdown.cli.terminal import print_table

    print_table(arms_table(synthetic.results(room=True)))
    assert "coherently" in capsys.readouterr().out
    print_table(arms_table(synthetic.results()))
    assert "coherently" not in capsys.readouterr().out


def test_study_json_names_the_recommended_arm_and_the_coherent_refusals(finished):
    from clampdown.cli.study import _short

    body = _short(finished[1])
    assert json.dumps(body) and body["recommended"]["name"] == "clamp-1" and body["recommended"]["why"]
    assert {"coherent_refusal", "looping", "refusal"} <= {m["metric"] for a in body["arms"] for m in a["measures"]}
