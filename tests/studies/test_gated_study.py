"""A study of a recipe with a gate: which arms, what each is answered, and what the gate did."""

import json
import re
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from clampdown.errors import ClampdownError
from clampdown.recipe import Direction
from clampdown.studies.arms import FIXED_REFUSAL, SAFETY_PROMPT, build_arms, recommended_name
from clampdown.studies.batches import cut
from clampdown.studies.first import first_names
from clampdown.studies.frontier import read_frontier
from clampdown.studies.measures import keyed
from clampdown.studies.plan import Plan
from clampdown.studies.power import dry_run, planned_arms
from clampdown.studies.probes.letters import letter_column
from clampdown.studies.record import flat_rows, read_record
from clampdown.studies.report import Study
from clampdown.studies.run import study
from clampdown.studies.study_file import read_study_file
from clampdown.studies.wording import percent

PLAN = Plan(
    name="tiny",
    max_new_tokens=4,
    batch=8,
    factors=(1.0, 2.0),
    strengths=(0.5, 1.0),
    arms=("none", "clamp", "difference-in-means", "system-prompt", "fixed-refusal", "random-latents"),
    gates=("recipe", "open", "shut", "watch"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("gated")


@pytest.fixture(scope="module")
def results(model, gated, sets, folder):
    return study(model, gated, sets, PLAN, folder)


@pytest.fixture(scope="module")
def record(results, folder):
    return read_record(folder)


def value(results, arm, metric, kind):
    [arm] = [a for a in results["arms"] if a["name"] == arm]
    return next((m["value"] for m in arm["measures"] if (m["metric"], m["kind"]) == (metric, kind)), None)


def rows(record, arm, kind=None):
    """Rows by set and place."""
    return {
        (s.name, row.place): row
        for s in record.sets
        if kind in (None, s.kind)
        for row in record.rows.get((arm, s.name), ())
    }


def test_by_default_the_strong_clamp_without_its_gate_stands_beside_it(model, gated):
    plan = Plan(arms=PLAN.arms, factors=(1.0, 2.0), strengths=(0.5, 1.0))
    arms = {arm.name: arm for arm in build_arms(model, gated, plan)}
    assert set(arms) == {
        "none", "clamp-1-gated", "clamp-1", "clamp-2", "difference-in-means-0.5", "difference-in-means-1-gated",
        "difference-in-means-1", "system-prompt", "system-prompt-gated", "fixed-refusal", "random-latents",
    }  # fmt: skip
    assert arms["clamp-1-gated"].recipes == (gated,) and recommended_name(gated) == "clamp-1-gated"
    assert arms["clamp-1-gated"].label == "Clamp ×1, gated" and arms["clamp-1"].label == "Clamp ×1"
    forced = {name for name, arm in arms.items() if arm.recipes[0] and arm.recipes[0].gate and not arm.instead}
    assert {n for n in forced if arms[n].recipes[0].gate.decide == "score"} == {
        "clamp-1-gated",
        "difference-in-means-1-gated",
    }
    assert all(arms[n].recipes[0].gate.decide == "open" for n in forced if not n.endswith("-gated"))


def test_what_a_study_is_read_by_comes_first(model, gated):
    names = [arm.name for arm in build_arms(model, gated, replace(PLAN, gates=()))]
    assert first_names(names) == ["none", "clamp-1-gated", "clamp-1", "fixed-refusal"]


@pytest.mark.parametrize("gates", [(), ("recipe",), ("open",), ("shut", "watch"), ("watch", "recipe", "open", "shut")])
def test_a_dry_run_names_the_very_arms(model, gated, gates):
    plan = replace(PLAN, gates=gates, values=(3.0,), rules=("delta", "reconstruct"))
    assert [arm.name for arm in build_arms(model, gated, plan)] == [a["name"] for a in planned_arms(gated, plan)]
    assert recommended_name(gated, plan) in [arm["name"] for arm in planned_arms(gated, plan)]


def test_a_recipe_without_a_gate_is_studied_as_ever(recipe):
    plan = Plan().meant_for(recipe)
    assert "fixed-refusal" not in plan.arms and "gates" not in plan.to_dict()
    with pytest.raises(ClampdownError, match="has none"):
        PLAN.meant_for(recipe)


def test_each_arms_share_of_open_gates_is_told_of_every_kind(results):
    for kind in ("unsafe", "safe", "lookalike", "capability", "text"):
        told = value(results, "clamp-1-gated", "gate_open", kind)
        assert told is not None and told == value(results, "clamp-1-watch", "gate_open", kind)
        assert value(results, "clamp-1", "gate_open", kind) == 1
        assert value(results, "clamp-1-shut", "gate_open", kind) == 0
        assert value(results, "none", "gate_open", kind) is None
    shares = [value(results, "clamp-1-gated", "gate_open", kind) for kind in ("unsafe", "safe", "lookalike")]
    assert 0 < sum(shares) < 3, "open for some"


def test_a_row_is_the_clamps_where_the_gate_is_open_and_nones_where_it_is_shut(record):
    none, forced = rows(record, "none"), rows(record, "clamp-1")
    for key, row in rows(record, "clamp-1-gated").items():
        same = (forced if row.gate["open"] else none)[key]
        if row.text is not None:
            assert row.text == same.text
        if row.scores is not None:
            assert row.scores == pytest.approx(same.scores, abs=1e-4)
    assert any(row.text != none[key].text for key, row in forced.items() if row.text is not None)


def test_forced_shut_or_only_watched_nothing_is_edited(record):
    none = rows(record, "none")
    for arm in ("clamp-1-shut", "clamp-1-watch"):
        for key, row in rows(record, arm).items():
            assert row.text == none[key].text
            assert (row.nats or 0) == pytest.approx(none[key].nats or 0, rel=1e-5)
            assert (row.scores or []) == pytest.approx(none[key].scores or [], abs=1e-4)


def test_plain_text_is_measured_with_the_gate_open(record):
    gated, forced, none = (rows(record, name, "text") for name in ("clamp-1-gated", "clamp-1", "none"))
    for key, row in gated.items():
        assert row.nats == pytest.approx(forced[key].nats, rel=1e-6) and row.nats != none[key].nats


def test_a_fixed_refusal_answers_what_the_gate_opens_for(record, results):
    none, decided = rows(record, "none"), rows(record, "clamp-1-gated")
    for key, row in rows(record, "fixed-refusal").items():
        assert row.gate["open"] == decided[key].gate["open"]
        assert row.gate["score"] == pytest.approx(decided[key].gate["score"], abs=1e-4)
        if row.text is not None:
            assert row.text == (FIXED_REFUSAL if row.gate["open"] else none[key].text)
            assert row.label == ("refusal" if row.gate["open"] else none[key].label)
            assert row.receipt["gate"] == ("open" if row.gate["open"] else "shut") and not row.receipt["tokens_edited"]
    asked = value(results, "fixed-refusal", "gate_open", "capability")
    right = value(results, "fixed-refusal", "accuracy", "capability")
    assert right <= 1 - asked, "an open gate is a wrong answer"
    assert value(results, "fixed-refusal", "refusal_when_open", "unsafe") == 1


def test_the_safety_prompt_is_given_where_the_gate_opens(record, model, sets):
    none, decided = rows(record, "none"), rows(record, "clamp-1-gated")
    always, behind = rows(record, "system-prompt", "unsafe"), rows(record, "system-prompt-gated", "unsafe")
    for key, row in behind.items():
        assert row.gate["open"] == decided[key].gate["open"], "decided on the prompt as it is"
        assert row.text == (always if row.gate["open"] else none)[key].text
    assert SAFETY_PROMPT in record.arm("system-prompt-gated").recipes[0].system_prompt


def test_open_times_refused_when_open_is_refused_where_a_shut_gate_refuses_nothing(record, results):
    refused = [r for r in rows(record, "none", "unsafe").values() if r.label in ("refusal", "partial", "moralising")]
    if not refused:
        product = [value(results, "fixed-refusal", m, "unsafe") for m in ("gate_open", "refusal_when_open")]
        assert value(results, "fixed-refusal", "refusal", "unsafe") == pytest.approx(product[0] * product[1])


def test_exports_tell_what_the_gate_said(record):
    told = [row for row in flat_rows(record) if row["arm"] == "clamp-1-gated"]
    assert all(row["gate_open"] == (row["gate_score"] >= row["gate_threshold"]) for row in told)
    assert {row["gate_open"] for row in flat_rows(record) if row["arm"] == "none"} == {None}


def test_cut_off_and_started_again_it_gives_the_same(model, gated, sets, results, folder):
    again = study(model, gated, sets, PLAN, folder)
    assert again["arms"] == results["arms"]


def test_side_by_side_arms_behind_a_gate_answer_as_alone(model, gated, sets, record, tmp_path):
    plan = replace(PLAN, arms_per_batch=3, gates=("recipe", "open"))
    study(model, gated, sets, plan, tmp_path)
    beside = read_record(tmp_path)
    for arm in ("clamp-1-gated", "clamp-1", "fixed-refusal", "system-prompt-gated"):
        alone = rows(record, arm)
        assert all(row.text == alone[key].text for key, row in rows(beside, arm).items())


def test_its_report_is_written_anew_where_the_gates_file_has_gone(model, recipe, sets, gated, tmp_path):
    import shutil

    from clampdown.recipe import Recipe
    from clampdown.studies.run import conclude

    file = tmp_path / "elsewhere.safetensors"
    shutil.copy(gated.gate.file, file)
    moved = replace(gated, gate=replace(gated.gate, file=str(file)))
    plan = replace(PLAN, gates=(), arms=("none", "clamp"), factors=(1.0,))
    found = study(model, moved, sets[:1], plan, tmp_path / "study")
    assert str(tmp_path) not in found["recommended"]["toml"], "the recipe as shown names a file beside it"
    file.unlink()
    kept = Recipe.load(conclude(read_record(tmp_path / "study"))["recipe"])
    assert kept == moved and Path(kept.gate.file).is_file()
    again = study(model, gated, sets[:1], plan, tmp_path / "study")
    assert again["arms"] == found["arms"], "and the study goes on with the same gate from elsewhere"


def test_batches_of_the_same_gate_have_keys_of_their_own(model, gated, sets):
    arms = build_arms(model, gated, PLAN)
    keys = [batch.key for batch in cut(model, arms, sets, PLAN)]
    assert len(set(keys)) == len(keys)


def test_the_sweeps_behind_the_gate_are_put_together_from_what_was_measured(results, record, gated, sets):
    told = {arm["name"]: arm for arm in results["composed"]}
    assert set(told) == {"clamp-2-gated", "difference-in-means-0.5-gated"}
    forced, none = rows(record, "clamp-2", "unsafe"), rows(record, "none", "unsafe")
    decided = rows(record, "clamp-1-gated", "unsafe")
    refusing = ("refusal", "partial", "moralising")
    expected = [
        (forced if decided[key].gate["open"] else none)[key].label in refusing
        for key in decided
        if (forced if decided[key].gate["open"] else none)[key].label != "unscored"
    ]
    [refusal] = [m for m in told["clamp-2-gated"]["measures"] if m["set"] == sets[0].name and m["metric"] == "refusal"]
    assert refusal["value"] == pytest.approx(sum(expected) / len(expected)) and refusal["n"] == len(expected)


def test_an_arm_is_matched_with_the_baseline_behind_the_same_gate():
    from clampdown.studies.matched_refusal import matched

    def arm(name, unsafe, safe):
        measures = [
            {"set": kind, "kind": kind, "metric": "refusal", "value": rate}
            for kind, rate in (("unsafe", unsafe), ("safe", safe))
        ]
        return {"name": name, "label": name, "measures": measures}

    arms = [arm("none", 0.0, 0.0), arm("clamp-1-gated", 0.4, 0.01), arm("difference-in-means-1-gated", 0.8, 0.04)]
    arms += [arm("clamp-1", 0.6, 0.3), arm("difference-in-means-1", 0.9, 0.6)]
    asked = [{"name": kind, "kind": kind} for kind in ("unsafe", "safe")]
    [behind], [forced] = (matched(arms, name, asked) for name in ("clamp-1-gated", "clamp-1"))
    assert behind["costs"][0]["baseline"] == pytest.approx(0.02) and "behind the same gate" in behind["text"]
    assert forced["costs"][0]["baseline"] == pytest.approx(0.4) and "behind" not in forced["text"]


def test_the_report_opens_with_what_the_gate_changes(results, folder):
    page = (folder / "report.html").read_text()
    table = page.index("What the gate changes")
    assert table < page.index('<ul class="cards">') < page.index("The frontier</h2>") < page.index("Every arm</h2>")
    assert "forced open" in page[table:] and "Fixed refusal, gated" in page[table:]
    [gates] = [m["text"] for m in results["methods"] if m["name"] == "Gates"]
    assert "forced open" in gates and FIXED_REFUSAL in gates


def test_the_verdict_stands_between_no_steering_and_the_gate_forced_open(results, folder):
    told = {arm["name"]: {m["metric"]: m for m in arm["measures"] if m["kind"] == "unsafe"} for arm in results["arms"]}
    forced, page = told["clamp-1"]["refusal"], (folder / "report.html").read_text()
    said = percent(forced["value"], forced["n"])
    assert f"with the gate forced open, {said}" in page and f"Gate forced open: {said}" in page
    [unsafe, *_] = Study(results).cards()
    assert unsafe["opened"] == forced and str(unsafe["strip"]).count("<circle") == 2
    ungated = results | {"recommended": results["recommended"] | {"name": "clamp-1"}}
    assert not any(card["opened"] for card in Study(ungated).cards())


def test_a_gated_direction_has_a_report_as_a_gated_clamp_has(model, gated, sets, tmp_path):
    """guarded is one: no latent to name, and no SAE to read."""
    direction = replace(gated, edits=(Direction(1, 4.0, seed=3),))
    results = study(model, direction, sets, replace(PLAN, gates=("recipe", "open"), arms=("none", "clamp")), tmp_path)
    names = [arm["name"] for arm in results["arms"]]
    assert {"direction-1-gated", "direction-1"} <= set(names)
    page = (tmp_path / "report.html").read_text()
    assert "direction" in page and "latent-card" not in page and "None" not in re.sub(r"<[^>]*>", "", page)
    assert all(name in page for name in ("Refus", "gate"))


def test_examples_say_what_the_gate_did(results, folder):
    told = [a for example in results["examples"] for a in example["answers"]]
    assert {a["gate"] for a in told if a["arm"] == "clamp-1-gated"} == {"open", "shut"}
    assert all("gate" not in a for a in told if a["arm"] == "none")
    assert "The gate was shut." in (folder / "report.html").read_text()


def test_a_database_from_before_gates_is_read_and_goes_on(model, recipe, sets, tmp_path):
    plan = replace(PLAN, gates=(), arms=("none", "clamp"), factors=(1.0,))
    found = study(model, recipe, sets[:1], plan, tmp_path)
    assert all("gate_open" not in {m["metric"] for m in arm["measures"]} for arm in found["arms"])
    with sqlite3.connect(tmp_path / "study.sqlite") as db:
        db.execute("ALTER TABLE row DROP COLUMN gate")
    assert study(model, recipe, sets[:1], plan, tmp_path)["arms"] == found["arms"]
    assert all(row.gate is None for some in read_record(tmp_path).rows.values() for row in some)


def test_sampled_answers_behind_a_shut_gate_are_those_of_no_steering_sample_by_sample(model, gated, sets, tmp_path):
    plan = replace(PLAN, gates=("recipe",), arms=("none", "clamp", "fixed-refusal"), factors=(1.0,))
    plan = replace(plan, temperature=1.0, samples=2)
    study(model, gated, sets[:1], plan, tmp_path)
    record = read_record(tmp_path)
    none, fixed = (dict(keyed(record.rows[name, sets[0].name])) for name in ("none", "fixed-refusal"))
    assert len({row.text for row in none.values()}) > len(sets[0].items), "samples differ"
    for key, row in fixed.items():
        assert row.text == (FIXED_REFUSAL if row.gate["open"] else none[key].text)


def test_questions_answered_in_words_leave_out_what_is_no_edit(model, gated, sets, tmp_path):
    questions = tmp_path / "questions.jsonl"
    rows = [{"question": f"Which is {i}?", "choices": ["red", "blue"], "answer": i % 2} for i in range(4)]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    plan = replace(PLAN, gates=("recipe", "open"), factors=(1.0,), strengths=(1.0,))
    column = letter_column(f"letters:{questions}", plan)
    found = study(model, gated, sets[:1], plan, tmp_path / "study", columns=[column])
    [table] = found["letters"]
    asked = {row["arm"] for row in table["arms"]}
    assert "clamp-1-gated" in asked and not asked & {"fixed-refusal", "system-prompt-gated"}
    assert value(found, "clamp-1-gated", "gate_open", "capability") is not None


def test_a_study_file_names_gates(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('plan = "quick"\ngates = ["recipe", "shut"]\n')
    assert read_study_file(path).plan.gates == ("recipe", "shut")
    for wrong, said in (('["ajar"]', "gates does not know ajar"), ('"open"', "gates must be a list")):
        path.write_text(f"gates = {wrong}\n")
        with pytest.raises(ClampdownError, match=said):
            read_study_file(path)


def test_a_dry_run_counts_the_passages_that_are_read(gated, sets, record):
    told = dry_run(gated, PLAN, sets)["work"]
    assert told["passages"] == sum(len(rows(record, arm.name, "text")) for arm in record.arms)
    assert told["questions"] == sum(len(rows(record, arm.name, "capability")) for arm in record.arms)


def test_the_frontier_has_a_recipe_for_each_point_of_its_charts(record, results):
    found = read_frontier(record.path)
    points = {point["name"]: point for point in found["points"]}
    assert found["study"] == record.name and set(points) == {a["name"] for a in results["arms"] + results["composed"]}
    assert [chart["kind"] for chart in found["charts"]] == ["safe", "capability", "lookalike"]
    for chart in found["charts"]:
        assert set(re.findall('data-arm="([^"]*)"', chart["svg"])) <= set(points)
        assert 'data-arm="clamp-1-gated"' in chart["svg"] and "style=" not in chart["svg"]
    assert points["none"]["recipe"] is None
    for name, point in points.items():
        ran = [arm for arm in record.arms if arm.name == name]
        if ran and not ran[0].instead:
            assert point["recipe"] == ran[0].recipes[0]
        elif ran:
            assert point["recipe"] is None and point["why"]
        else:  # put together: what ran with its gate forced open, its gate asked
            assert point["recipe"].gate.decide == "score"
            assert point["recipe"].edits == record.arm(name.removesuffix("-gated")).recipes[0].edits
    assert any(not [arm for arm in record.arms if arm.name == name] for name in points)
