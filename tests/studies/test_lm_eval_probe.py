"""lm-eval's tasks as columns of a study, from local task files: offline."""

import json
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from clampdown.errors import ClampdownError
from clampdown.measuring.capability.lm_eval.tasks import TaskSettings
from clampdown.studies.arms import Arm, build_arms
from clampdown.studies.inputs import study_columns
from clampdown.studies.measures import compared, tasks
from clampdown.studies.plan import Plan
from clampdown.studies.power import dry_run
from clampdown.studies.probes.base import Asked
from clampdown.studies.record import flat_rows, read_record
from clampdown.studies.run import study
from clampdown.studies.store import export
from clampdown.studies.worker import Worker

pytest.importorskip("lm_eval", exc_type=ImportError)
sys.path += [str(Path(__file__).parent.parent / name) for name in ("measuring", "steering")]

from gates import part, written
from lm_eval_tasks import QUESTIONS, SUMS, TEXTS, write_tasks

CAPABILITY = Path(__file__).resolve().parents[3] / "shared" / "data" / "capability"
PLAN = Plan(
    name="tiny",
    max_new_tokens=3,
    batch=8,
    factors=(1.0,),
    strengths=(1.0,),
    items={"unsafe": 2, "capability": 0},
    arms=("none", "clamp", "random-directions", "system-prompt"),
)
NAMES = ("lm-eval:tiny_choice,tiny_sums", "lm-eval:tiny_text")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tasks(tmp_path_factory.mktemp("tasks"))


def columns_of(folder, *names, plan=PLAN, **settings):
    return study_columns(plan, {"capability": list(map(Path, names))}, (), TaskSettings(folder, **settings))


@pytest.fixture(scope="module")
def columns(folder):
    return columns_of(folder, *NAMES, few_shot=1)


@pytest.fixture(scope="module")
def finished(model, recipe, sets, columns, tmp_path_factory):
    place = tmp_path_factory.mktemp("study")
    return place, study(model, recipe, sets[:1], PLAN, place, columns=columns)


def test_a_set_is_the_tasks_items_and_its_hash_how_they_are_asked(folder, columns):
    mixed, text = columns
    assert mixed.item_set.name == NAMES[0] and mixed.item_set.source.startswith("lm-eval 0.")
    assert [i.category for i in mixed.item_set.items] == ["tiny_choice"] * len(QUESTIONS) + ["tiny_sums"] * len(SUMS)
    assert (mixed.yes_or_no, text.yes_or_no) == (True, False)
    hashes = {
        columns_of(folder, "lm-eval:tiny_choice", **how)[0].item_set.sha256
        for how in ({}, {"few_shot": 1}, {"few_shot": 2}, {"chat": False})
        if "chat" not in how
    }
    plain = replace(PLAN, arms=("none", "clamp"))
    hashes.add(columns_of(folder, "lm-eval:tiny_choice", plan=plain, chat=False)[0].item_set.sha256)
    assert len(hashes) == 4
    assert columns_of(folder, NAMES[0], few_shot=1)[0].item_set.sha256 == mixed.item_set.sha256


def test_the_plans_number_of_items_is_drawn_over_all_tasks(folder):
    plan = replace(PLAN, items={"unsafe": 2, "capability": 4})
    [column] = columns_of(folder, NAMES[0], plan=plan)
    assert len(column.item_set.items) == 4
    assert column.item_set == columns_of(folder, NAMES[0], plan=plan)[0].item_set
    assert column.item_set != columns_of(folder, NAMES[0], plan=replace(plan, seed=1))[0].item_set


def test_all_arms_are_asked_in_the_same_batches(columns):
    chunks = list(columns[0].chunks(1, PLAN))
    assert chunks == list(columns[0].chunks(PLAN.draws, PLAN))
    assert all(len({place % PLAN.draws for place in places}) == 1 for places in chunks)
    assert sorted(place for places in chunks for place in places) == list(range(len(QUESTIONS) + len(SUMS)))


def test_every_arm_has_scores_metrics_refusals_and_letters(finished, columns):
    place, found = finished
    n = len(QUESTIONS) + len(SUMS)
    for arm in found["arms"]:
        told = {(m["set"], m["metric"]): m for m in arm["measures"]}
        assert told[NAMES[0], "accuracy"]["n"] == n == told[NAMES[0], "accuracy"]["clusters"]
        assert told[NAMES[0], "refusal"]["n"] <= len(SUMS) == told[NAMES[0], "unscored"]["n"]
        score = told[NAMES[1], "score"]
        assert score["n"] == len(TEXTS) and score["low"] <= score["value"] <= score["high"]
        assert (NAMES[1], "refusal") not in told
    assert {(c["set"], c["metric"]) for c in found["comparisons"] if c["arm"] == "clamp-1"} >= {
        (NAMES[0], "accuracy"),
        (NAMES[0], "refusal"),
        (NAMES[1], "score"),
    }
    by_task = {(t["category"], t["arm"]): t for t in found["tasks"]}
    assert (by_task["tiny_choice", "none"]["n"], by_task["tiny_sums", "clamp-1"]["n"]) == (len(QUESTIONS), len(SUMS))
    [table] = found["letters"]
    assert table["right"] == {"A": 2, "B": 2, "C": 1, "none": 0}
    assert all(sum(row["letters"].values()) == len(QUESTIONS) for row in table["arms"])
    page = (place / "report.html").read_text()
    assert "task by task" in page and "Which choices were answered" in page


def test_rows_hold_all_that_a_check_needs(finished, recipe):
    record = read_record(finished[0])
    rows = record.rows["clamp-1", NAMES[0]]
    assert [row.item for row in rows][:2] == ["tiny_choice-0", "tiny_choice-1"] and rows[-1].item == "tiny_sums-2"
    choice, words = rows[0], rows[-1]
    assert list(choice.metrics) == ["acc,none", "acc_norm,none"] and len(choice.scores) == 3
    assert (choice.text, choice.label) == (None, None) and choice.prompt.count("Question:") == 2, "one example"
    assert words.finished is None, "lm-eval does not tell"
    assert words.text is not None and words.label and words.judge and "Say ten" in words.prompt
    assert all(row.receipt["recipe_sha256"] == recipe.sha256 and row.receipt["tokens_edited"] > 0 for row in rows)
    drawn = record.rows["random-directions", NAMES[0]]
    assert len({row.receipt["recipe_sha256"] for row in drawn}) == PLAN.draws
    told = [row for row in flat_rows(record) if row["set"] == NAMES[0]]
    assert len(told) == 8 * 4 and all(json.loads(row["metrics"]) for row in told)


def test_an_arm_scores_alone_what_it_scores_among_others(model, recipe, columns):
    """So that a study that was killed between two arms goes on to the very same rows."""
    arms = build_arms(model, recipe, replace(PLAN, arms=("none", "clamp", "random-directions")))
    worker = Worker(model, arms, PLAN)
    for places in list(columns[0].chunks(1, PLAN))[:2]:
        asked = Asked(model, PLAN, places, 0, worker.below)
        together = columns[0].run(asked, arms)
        assert [columns[0].run(asked, [arm])[0] for arm in arms] == together
        assert columns[0].run(asked, arms[1:]) == together[1:]


def test_interrupted_equals_uninterrupted(model, recipe, sets, columns, finished, tmp_path, monkeypatch):
    from clampdown.studies.store import Store

    real, done = Store.add_all, []

    def failing(*given):
        if len(done) == 9:
            raise KeyboardInterrupt
        done.append(1)
        return real(*given)

    monkeypatch.setattr(Store, "add_all", failing)
    with pytest.raises(KeyboardInterrupt):
        study(model, recipe, sets[:1], PLAN, tmp_path, columns=columns)
    monkeypatch.setattr(Store, "add_all", real)
    study(model, recipe, sets[:1], PLAN, tmp_path, columns=columns)
    assert export(tmp_path / "study.sqlite") == export(finished[0] / "study.sqlite")


def test_a_dry_run_counts_questions_answers_and_passages(recipe, columns):
    told = dry_run(recipe, PLAN, [], columns)
    arms = len(told["arms"])
    rows = {row["set"]: row for row in told["sets"]}
    assert (rows[NAMES[0]]["n"], rows[NAMES[0]]["base"]) == (8, 0.5) and rows[NAMES[1]]["base"] is None
    assert told["work"]["questions"] == arms * len(QUESTIONS) and told["work"]["passages"] == arms * len(TEXTS)
    assert told["work"]["answers"] == arms * len(SUMS)
    assert told["work"]["tokens_generated"] == arms * len(SUMS) * 6, "the task's own limit"


def test_tasks_without_a_chat_have_no_place_for_a_system_prompt(folder, one_line):
    with pytest.raises(ClampdownError) as caught:
        columns_of(folder, "lm-eval:tiny_choice", chat=False)
    one_line(caught, "leave the arm system-prompt out")


def test_a_metric_that_is_no_yes_or_no_is_a_score(columns, finished):
    rows = read_record(finished[0]).rows["none", NAMES[1]]
    [values] = compared(columns[1].item_set, rows)
    assert (values.metric, values.binary) == ("score", False)
    halves = [replace(row, metrics={"acc,none": 0.5}) for row in rows]
    [values] = compared(columns[1].item_set, halves)
    assert (values.metric, values.binary) == ("accuracy", False)
    assert tasks([Arm("none", "", "none", "", (None,))], [columns[1].item_set], {}, 0) == [], "one task by itself"


@pytest.mark.skipif(not CAPABILITY.is_dir(), reason="the development data is not at hand")
def test_the_command_with_public_data_in_local_task_files(tmp_path, capsys, tiny):
    from clampdown.cli.main import main
    from clampdown.recipe import Direction, Recipe

    kinds = {
        "arc_challenge_train": "output_type: multiple_choice\ndoc_to_choice: '{{choices}}'\ndoc_to_target: answer\n",
        "gsm8k_test": "output_type: generate_until\ndoc_to_target: '{{final}}'\ngeneration_kwargs: {max_gen_toks: 4}\n",
    }
    (tmp_path / "tasks").mkdir()
    for file, body in kinds.items():
        data = f"data_files: {{test: {CAPABILITY / file}.jsonl}}, cache_dir: {tmp_path / 'cache'}"
        head = f"task: our_{file}\ndataset_path: json\ndataset_kwargs: {{{data}}}\ntest_split: test\n"
        (tmp_path / "tasks" / f"our_{file}.yaml").write_text(head + "doc_to_text: '{{question}}'\n" + body)
    Recipe("steered", str(tiny.folder), tiny.sha256, (Direction(1, 20.0, seed=1),)).save(tmp_path / "R.toml")
    (tmp_path / "mine.toml").write_text(
        'recipe = "R.toml"\nmax_new_tokens = 2\narms = ["none", "clamp"]\nfactors = [1]\n'
        "items = { unsafe = 3, capability = 4 }\n[sets]\n"
        'capability = ["lm-eval:our_arc_challenge_train", "lm-eval:our_gsm8k_test"]\n'
        '[lm-eval]\ninclude_path = "tasks"\n'
    )
    status = main(["study", str(tmp_path / "mine.toml"), "--out", str(tmp_path / "out")])
    out, err = capsys.readouterr()
    assert status == 0, err
    assert "lm-eval:our_gsm8k_test" in err, "what n can tell is said beforehand"
    assert "right" in out
    for arm in json.loads((tmp_path / "out" / "results.json").read_text())["arms"]:
        told = {(m["set"], m["metric"]): m["n"] for m in arm["measures"]}
        assert told["lm-eval:our_arc_challenge_train", "accuracy"] == told["lm-eval:our_gsm8k_test", "accuracy"] == 4
        assert told["lm-eval:our_gsm8k_test", "unscored"] == 4


def test_a_column_is_pickled_by_its_tasks_names_and_asks_the_same(model, recipe, columns):
    arms = build_arms(model, recipe, replace(PLAN, arms=("none", "clamp")))
    worker = Worker(model, arms, PLAN)
    for column in columns:
        again = pickle.loads(pickle.dumps(column))
        assert again.item_set == column.item_set and again.tasks.settings == column.tasks.settings
        asked = Asked(model, PLAN, next(iter(column.chunks(1, PLAN))), 0, worker.below)
        assert again.run(asked, arms) == column.run(asked, arms)


def test_items_behind_a_gate_are_the_forced_arms_where_it_opens_and_nones_where_it_is_shut(
    model, recipe, sets, columns, tmp_path
):
    asked = [model.prompt_ids(item.text) for item in columns[0].item_set.items]
    gated = replace(recipe, gate=written(tmp_path / "gate.safetensors", model, [part(1, pool="mean")], asked))
    plan = replace(PLAN, arms=("none", "clamp", "system-prompt", "fixed-refusal"))
    found = study(model, gated, sets[:1], plan, tmp_path / "study", columns=columns[:1])
    rows = read_record(tmp_path / "study").rows
    none, forced, behind = (rows[arm, NAMES[0]] for arm in ("none", "clamp-1", "clamp-1-gated"))
    for plain, strong, row in zip(none, forced, behind, strict=True):
        same = strong if row.gate["open"] else plain
        assert row.text == same.text and row.gate["score"] is not None
        assert (row.scores or []) == pytest.approx(same.scores or [], abs=1e-3)
    arms = {arm["name"]: {(m["set"], m["metric"]) for m in arm["measures"]} for arm in found["arms"]}
    assert (NAMES[0], "gate_open") in arms["clamp-1-gated"]
    for name in ("fixed-refusal", "system-prompt-gated"):
        assert NAMES[0] not in {item_set for item_set, _ in arms[name]}
    assert {task["arm"] for task in found["tasks"]} == {"none", "clamp-1-gated", "clamp-1", "system-prompt"}
