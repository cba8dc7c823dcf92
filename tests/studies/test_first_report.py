"""The arms that a study is read by come first, with a report of their own; the others follow into it."""

import json
from dataclasses import replace

import pytest

from clampdown.errors import ClampdownError
from clampdown.recipe import Direction
from clampdown.studies.arms import build_arms
from clampdown.studies.batches import cut
from clampdown.studies.first import first_names
from clampdown.studies.plan import Plan, named_plan
from clampdown.studies.power import dry_run, power_lines
from clampdown.studies.record import read_record
from clampdown.studies.run import conclude, study
from clampdown.studies.store import export
from clampdown.studies.worker import Worker

PLAN = Plan(name="tiny", max_new_tokens=2, batch=8, factors=(1.0, 2.0), strengths=(0.5, 1.0))
FIRST = ["none", "clamp-1", "difference-in-means-1", "system-prompt", "random-latents"]


class CutOff(Exception):
    pass


@pytest.fixture(scope="module")
def sets(sets):  # fewer
    return [sets[0], sets[3], sets[4]]


@pytest.fixture(scope="module")
def whole(model, recipe, sets, tmp_path_factory):
    """A study that nothing interrupts: its folder, its results, and what its first report was when it was written."""
    folder, seen = tmp_path_factory.mktemp("whole"), []

    def look(results):
        files = {name: (folder / name).read_text() for name in ("results.json", "report.html")}
        seen.append((dict(results), files, export(folder / "study.sqlite")))

    return folder, study(model, recipe, sets, PLAN, folder, first_report=look), seen


def names(results):
    return [arm["name"] for arm in results["arms"]]


def test_the_quick_plan_gives_answers_room_to_end():
    assert named_plan("quick").max_new_tokens == 64 and named_plan("quick").room


@pytest.mark.parametrize(
    "strengths, closest", [((0.5, 1.0), "1"), ((0.25, 0.5), "0.5"), ((2.0, 0.75, 1.5), "0.75"), ((1e-5,), "1e-05")]
)
def test_the_difference_in_means_that_comes_first_is_the_one_closest_to_the_whole(strengths, closest):
    arms = ["none", "clamp-1", *(f"difference-in-means-{s:g}" for s in strengths), "clamp-1-reconstruct"]
    assert first_names(arms) == ["none", "clamp-1", f"difference-in-means-{closest}"]


def test_of_a_recipe_without_latents_the_random_directions_come_first(model, recipe):
    pushed = replace(recipe, edits=(Direction(1, 3.0, seed=1),))
    arms = [arm.name for arm in build_arms(model, pushed, PLAN)]
    assert first_names(arms) == ["none", "direction-1", "difference-in-means-1", "system-prompt", "random-directions"]


def test_all_that_the_first_arms_are_asked_is_asked_before_anything_else(model, recipe, sets):
    arms = build_arms(model, recipe, PLAN)
    order = [batch.arm.name in FIRST for batch in cut(model, arms, sets, PLAN)]
    assert order == sorted(order, reverse=True) and 0 < sum(order) < len(order)


def test_the_first_report_is_whole_and_names_what_is_missing(whole, sets):
    _, results, [(first, files, kept)] = whole
    assert sorted(names(first)) == sorted(FIRST) and len(names(results)) == 11
    assert {arm["name"] for arm in first["missing"]} == set(names(results)) - set(FIRST)
    assert {batch["arm"] for batch in kept["batches"]} == set(FIRST), "nothing else was run before"
    assert json.loads(files["results.json"]) == first
    for arm in first["missing"]:
        assert arm["label"] in files["report.html"]
    assert "still missing" in files["report.html"]


def test_figures_of_the_first_report_stand_in_the_last(whole):
    _, results, [(first, _, _)] = whole
    last = {arm["name"]: arm for arm in results["arms"]}
    assert all(last[arm["name"]] == arm for arm in first["arms"])
    assert first["detectable"] == results["detectable"]


def test_the_last_report_misses_nothing(whole):
    folder, results, _ = whole
    assert results["missing"] == [] == json.loads((folder / "results.json").read_text())["missing"]
    assert "still missing" not in (folder / "report.html").read_text()


def test_cut_off_after_the_first_report_it_is_there_and_the_study_goes_on(model, recipe, sets, whole, tmp_path):
    def stop(_):
        raise CutOff

    with pytest.raises(CutOff):
        study(model, recipe, sets, PLAN, tmp_path, first_report=stop)
    page = (tmp_path / "report.html").read_text()
    found = json.loads((tmp_path / "results.json").read_text())
    assert sorted(names(found)) == sorted(FIRST) and "still missing" in page
    assert conclude(read_record(tmp_path)) == found, "and can be written again"
    calls = []
    study(model, recipe, sets, PLAN, tmp_path, first_report=lambda results: calls.append(names(results)))
    assert export(tmp_path / "study.sqlite") == export(whole[0] / "study.sqlite")
    assert json.loads((tmp_path / "results.json").read_text())["missing"] == []
    assert len(calls) == 1, "a run that goes on writes it too: the one before may have been killed while it wrote"


def test_an_arm_that_was_begun_is_left_out_and_named(model, recipe, sets, whole, tmp_path, monkeypatch):
    real, later = Worker.run, []

    def failing(self, batch):
        if batch.arm.name not in FIRST:
            later.append(batch.arm.name)
            if len(later) == 2:
                raise CutOff
        return real(self, batch)

    monkeypatch.setattr(Worker, "run", failing)
    with pytest.raises(CutOff):
        study(model, recipe, sets, PLAN, tmp_path)
    begun, record = later[0], read_record(tmp_path)
    assert any(name == begun for name, _ in record.rows), "some of its answers are kept"
    found = conclude(record)
    assert begun in {arm["name"] for arm in found["missing"]} and sorted(names(found)) == sorted(FIRST)
    [(first, _, _)] = whole[2]
    assert found["notes"] == first["notes"] and found["comparisons"] == first["comparisons"]


def test_before_the_first_arms_are_done_there_is_no_report(model, recipe, sets, tmp_path, monkeypatch, one_line):
    real, done = Worker.run, []

    def failing(self, batch):
        if batch.arm.name == "system-prompt":
            raise CutOff
        done.append(batch.arm.name)
        return real(self, batch)

    monkeypatch.setattr(Worker, "run", failing)
    with pytest.raises(CutOff):
        study(model, recipe, sets, PLAN, tmp_path)
    assert "clamp-1" in done and not (tmp_path / "report.html").exists()
    with pytest.raises(ClampdownError) as caught:
        conclude(read_record(tmp_path))
    one_line(caught, "not finished")


def test_where_no_arm_is_left_there_is_one_report(model, recipe, sets, tmp_path):
    plan = replace(PLAN, arms=("none", "clamp"), factors=(1.0,))
    study(model, recipe, sets, plan, tmp_path, first_report=lambda _: pytest.fail("it is the last"))


def test_a_dry_run_tells_after_which_arms_the_first_report_comes(recipe, sets):
    told = power_lines(dry_run(recipe, PLAN, sets))
    assert [line for line in told if "first report" in line and all(name in line for name in FIRST)]
    few = power_lines(dry_run(recipe, replace(PLAN, arms=("none", "clamp"), factors=(1.0,)), sets))
    assert not [line for line in few if "first report" in line]
