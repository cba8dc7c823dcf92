"""Arms side by side in one batch: the answers of arms alone, kept together and run again together."""

import json
from dataclasses import replace

import pytest

from clampdown.errors import ClampdownError
from clampdown.studies.arms import build_arms
from clampdown.studies.batches import cut, swept
from clampdown.studies.first import first_names
from clampdown.studies.plan import Plan
from clampdown.studies.run import study
from clampdown.studies.store import Finished, Row, Store, export
from clampdown.studies.worker import Worker

ARMS = ("none", "clamp", "difference-in-means", "random-latents", "system-prompt")
PLAN = Plan(name="tiny", max_new_tokens=6, batch=4, factors=(1.0, 2.0), strengths=(0.5, 1.0), arms=ARMS)
BESIDE = replace(PLAN, batch=12, arms_per_batch=3)
HOT = {"temperature": 0.9, "samples": 2}


@pytest.fixture(scope="module")
def sets(sets):  # fewer
    return [*sets[:2], sets[3]]


@pytest.fixture(scope="module")
def finished(model, recipe, sets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("beside")
    study(model, recipe, sets, BESIDE, folder)
    return folder


@pytest.fixture(scope="module")
def arms(model, recipe):
    return build_arms(model, recipe, BESIDE)


def answered(model, arms, sets, plan):
    """What each arm said to each item, sample by sample, and how surprising it was."""
    worker, found = Worker(model, arms, plan), {}
    for group in swept(cut(model, arms, sets[:1], plan)):
        for batch, kept in zip(group, worker.sweep(group), strict=True):
            for name, some in kept.items():
                found |= {(batch.arm.name, batch.number, name, row.place): vars(row) for row in some}
    return found


def close(a, b):
    """Equal, numbers to rounding."""
    if isinstance(a, float) and isinstance(b, float):
        return a == pytest.approx(b, rel=1e-3, abs=1e-4)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return a == b


@pytest.mark.parametrize("sampled", [{}, HOT])
def test_in_float32_arms_side_by_side_answer_as_alone(model, arms, sets, sampled):
    alone = answered(model, arms, sets, replace(PLAN, **sampled))
    beside = answered(model, arms, sets, replace(BESIDE, **sampled))
    assert alone.keys() == beside.keys()
    assert [key for key in alone if not close(alone[key], beside[key])] == []
    texts = {key[0]: row["text"] for key, row in alone.items() if key[1:] == (0, "unsafe ones", 0)}
    assert len(set(texts.values())) > 1, "arms that say the same would hide a row under another's recipe"


def test_the_plan_decides_who_stands_beside_whom(model, arms, sets):
    first = set(first_names([arm.name for arm in arms]))
    groups = [group for group in swept(cut(model, arms, sets, BESIDE)) if group[0].kind == "prompts"]
    assert max(map(len, groups)) == 3
    for group in groups:
        assert len(group) * len(group[0].asked) <= BESIDE.batch
        assert len({(batch.arm.name in first, tuple(batch.asked), batch.sample) for batch in group}) == 1
        assert len({batch.arm.name for batch in group}) == len(group)
    for item_set in sets:
        for group in swept(cut(model, arms, sets, BESIDE)):
            if group[0].kind != "prompts":
                assert len(group) == 1, item_set.name


def test_a_batch_beside_others_is_another_batch(model, arms, sets):
    """In low precision its answers may differ, so those of one must not be taken for those of the other."""

    def keys(some):
        return {b.key for b in cut(model, some, sets, BESIDE) if b.kind == "prompts" and b.arm.name == "clamp-1"}

    fewer = [arm for arm in arms if arm.name != "difference-in-means-1"]
    assert not keys(arms) & keys(fewer)


@pytest.mark.parametrize("stop", [1, 3])
def test_interrupted_equals_uninterrupted(model, recipe, sets, finished, tmp_path, monkeypatch, stop):
    real, done = Worker.sweep, []

    def failing(*given):
        if len(done) == stop:
            raise KeyboardInterrupt
        done.append(1)
        return real(*given)

    monkeypatch.setattr(Worker, "sweep", failing)
    with pytest.raises(KeyboardInterrupt):
        study(model, recipe, sets, BESIDE, tmp_path)
    monkeypatch.setattr(Worker, "sweep", real)
    study(model, recipe, sets, BESIDE, tmp_path)
    assert export(tmp_path / "study.sqlite") == export(finished / "study.sqlite")


def test_what_was_run_at_once_is_kept_at_once(tmp_path):
    good, bad = Row(0, "a", 0, "prompt", text="yes"), Row(1, None, 0, "no item")  # type: ignore[arg-type]
    with Store(tmp_path / "study.sqlite") as store:
        with pytest.raises(ClampdownError):
            store.add_all([Finished("k", "none", 0, {"s": [good]}), Finished("l", "clamp-1", 0, {"s": [bad]})], 2.0)
        assert store.finished() == set() and store.rows("none", "s") == []
        store.add_all([Finished("k", "none", 0, {"s": [good]}), Finished("l", "clamp-1", 0, {"s": [good]})], 2.0)
        assert store.finished() == {"k", "l"} and store.seconds() == 2.0


def test_the_report_says_how_the_batches_were_made(finished):
    told = {m["name"]: m["text"] for m in json.loads((finished / "results.json").read_text())["methods"]}
    assert "batches of 12 rows (those of up to 3 arms side by side)" in told["Answers"]


def test_a_plan_that_keeps_arms_apart_is_told_as_ever():
    """Studies that older versions began have no such word in their plan, and go on."""
    assert "arms_per_batch" not in PLAN.to_dict() and Plan.from_dict(PLAN.to_dict()) == PLAN
    assert Plan.from_dict(BESIDE.to_dict()) == BESIDE
    with pytest.raises(ClampdownError, match="arms_per_batch must be a whole number from 1"):
        replace(PLAN, arms_per_batch=0)
