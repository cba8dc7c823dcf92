"""Whole studies on a tiny model: interrupted or not they give the same, and the report is drawn from them."""

import json
import os
import random
import signal
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "steering"))

from gates import part, written

from clampdown import library
from clampdown.errors import ClampdownError
from clampdown.recipe import Direction, Positions, Recipe
from clampdown.studies.arms import build_arms
from clampdown.studies.batches import cut
from clampdown.studies.plan import Plan
from clampdown.studies.results import _why
from clampdown.studies.run import study
from clampdown.studies.store import export
from clampdown.studies.worker import Worker

PLAN = Plan(name="tiny", max_new_tokens=3, batch=4, factors=(1.0, 2.0), strengths=(0.5, 1.0))


@pytest.fixture(scope="module")
def finished(model, recipe, sets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return folder, study(model, recipe, sets, PLAN, folder)


def test_files_and_schema(finished):
    folder, found = finished
    assert found["schema"] == "clampdown-study/1"
    assert json.loads((folder / "results.json").read_text()) == found
    assert "clampdown" in (folder / "report.html").read_text().lower()
    assert found["recommended"]["name"] == "clamp-1"
    for arm in found["arms"]:
        assert (arm["recipe"] is None) == (arm["name"] == "none")
        assert all(Recipe.load(Path(path)) for path in arm["recipes"])
    assert len({arm["name"] for arm in found["arms"]}) == 11


def test_of_a_recipe_made_elsewhere_nobody_claims_how_it_was_chosen(finished):
    _, found = finished
    assert "as it was given" in found["recommended"]["why"]
    assert [m["text"] for m in found["methods"] if m["name"] == "Recommended arm"] == [found["recommended"]["why"]]
    assert "selecting half" not in found["recommended"]["why"]


@pytest.mark.parametrize(
    "note, source, split, words",
    [
        (None, "clampdown:unsafe.jsonl", "report", "tuned beforehand"),
        (None, "clampdown:unsafe.jsonl", "all", "as it was given"),
        (None, "mine.jsonl", "report", "as it was given"),
        ("4 latents, on the selecting half", "mine.jsonl", "report", "selecting half"),
        ("mine", "clampdown:unsafe.jsonl", "report", "as it was given"),
    ],
)
def test_a_report_tells_how_a_recipe_was_chosen_where_its_note_does(note, source, split, words):
    recipe = library.default_recipe()
    recipe = recipe if note is None else replace(recipe, note=note)
    assert words in _why(recipe, [{"source": source, "split": split}])


def test_every_arm_is_measured_on_every_set(finished, sets):
    _, found = finished
    for arm in found["arms"]:
        metrics = {(m["set"], m["metric"]): m for m in arm["measures"]}
        for item_set in sets:
            if arm["name"] == "system-prompt" and item_set.kind == "text":
                continue
            name = {"capability": "accuracy", "text": "bits_per_byte"}.get(item_set.kind, "refusal")
            row = metrics[item_set.name, name]
            assert row["n"] <= len(item_set.items) and row["low"] <= row["value"] <= row["high"]
    compared = {(c["arm"], c["set"]) for c in found["comparisons"]}
    assert len(compared) == 10 * len(sets) - 1  # a system prompt is not measured on plain text
    assert len(found["examples"]) == 10 and all(len(e["answers"]) == 11 for e in found["examples"])


def test_steered_arms_show_their_receipts(finished):
    _, found = finished
    for arm in found["arms"]:
        if arm["name"] in ("none", "system-prompt"):
            assert arm["receipt"] is None
        else:
            assert 0 < arm["receipt"]["tokens_edited"] < arm["receipt"]["tokens_seen"]


def test_a_finished_study_returns_at_once_and_the_same(model, recipe, sets, finished, monkeypatch):
    folder, found = finished
    monkeypatch.setattr(Worker, "run", None)
    assert study(model, recipe, sets, PLAN, folder) == found


@pytest.mark.parametrize("stop", [1, 20])
def test_interrupted_equals_uninterrupted(model, recipe, sets, finished, tmp_path, monkeypatch, stop):
    whole, _ = finished
    real, done = Worker.run, []

    def failing(*given):
        if len(done) == stop:
            raise KeyboardInterrupt
        done.append(1)
        return real(*given)

    monkeypatch.setattr(Worker, "run", failing)
    with pytest.raises(KeyboardInterrupt):
        study(model, recipe, sets, PLAN, tmp_path)
    assert len(export(tmp_path / "study.sqlite")["batches"]) == stop
    monkeypatch.setattr(Worker, "run", real)
    study(model, recipe, sets, PLAN, tmp_path)
    assert export(tmp_path / "study.sqlite") == export(whole / "study.sqlite")


def test_arms_that_share_the_lower_blocks_answer_to_the_bit_as_alone(model, recipe, sets):
    arms = build_arms(model, recipe, PLAN)
    batches = cut(model, arms, sets, PLAN)
    together = Worker(model, arms, PLAN)
    calls = []
    monkeyed = together.below._whole
    together.below._whole = lambda *given: calls.append(given[0]) or monkeyed(*given)
    for batch in batches:
        alone = Worker(model, arms, PLAN)
        alone.below.layer = None
        assert together.run(batch) == alone.run(batch)
    assert together.below.layer == 1 and len(calls) < len(batches)


def test_gated_arms_that_share_the_lower_blocks_answer_to_the_bit_as_alone(model, recipe, sets, tmp_path):
    asked = [model.prompt_ids(item.text) for item in sets[0].items]
    gated = replace(recipe, gate=written(tmp_path / "gate.safetensors", model, [part(2, pool="mean")], asked))
    plan = replace(PLAN, arms=("none", "clamp", "random-latents"))
    arms = build_arms(model, gated, plan)
    together, found = Worker(model, arms, plan), set()
    for batch in cut(model, arms, sets, plan):
        alone = Worker(model, arms, plan)
        alone.below.layer = None
        told = together.run(batch)
        assert told == alone.run(batch)
        found |= {row.receipt.get("gate", "") for rows in told.values() for row in rows if row.receipt}
    assert found == {"", "open", "shut"}


def test_another_plan_in_the_same_folder_is_refused(model, recipe, sets, finished):
    folder, _ = finished
    with pytest.raises(ClampdownError, match="another plan"):
        study(model, recipe, sets, replace(PLAN, seed=1), folder)


def test_progress_adds_up(model, recipe, sets, tmp_path):
    told = []
    plan = replace(PLAN, arms=("none", "clamp"))
    study(model, recipe, sets, plan, tmp_path, lambda *step: told.append(step))
    steps = [step for step in told if step[0] == "study"]
    assert sum(done for _, done, _, _ in steps) == steps[0][2] > 0


def test_an_arm_that_edits_nothing_is_not_reported_as_steered(model, recipe, sets, tmp_path):
    silent = replace(recipe, positions=Positions("all-but-sinks", sink_norm=1e-6))
    with pytest.raises(ClampdownError, match="edited no token"):
        study(model, silent, sets, replace(PLAN, arms=("none", "clamp")), tmp_path)


def test_a_study_of_a_gated_recipe_takes_shut_gates_for_what_they_are(model, recipe, sets, tmp_path):
    prompts = [item_set for item_set in sets if item_set.kind in ("unsafe", "safe")]
    asked = [model.prompt_ids(item.text) for item_set in prompts for item in item_set.items]
    gate = written(tmp_path / "gate.safetensors", model, [part(2, pool="mean")], asked)
    gated, plan = replace(recipe, gate=gate), replace(PLAN, arms=("none", "clamp", "random-directions"))
    found = study(model, gated, sets, plan, tmp_path / "study")
    plain = study(model, recipe, sets, plan, tmp_path / "plain")
    (tmp_path / "gate.safetensors").unlink()  # the study keeps what it needs
    receipts = {arm["name"]: arm["receipt"] for arm in found["arms"]}
    ungated = {arm["name"]: arm["receipt"] for arm in plain["arms"]}
    assert receipts["clamp-1-gated"]["gate"] == "mixed" and receipts["clamp-1-gated"]["read_again"] > 0
    assert 0 < receipts["clamp-1-gated"]["tokens_edited"] < ungated["clamp-1"]["tokens_edited"]
    for name in ("clamp-1", "clamp-2"):
        assert receipts[name]["gate"] == "open" and receipts[name]["tokens_edited"] == ungated[name]["tokens_edited"]
    kept = Recipe.load(Path(found["recommended"]["path"]))
    assert kept.sha256 == gated.sha256 and Path(kept.gate.file).is_file()

    always = replace(gated, gate=replace(kept.gate, threshold=1e9))
    found = study(model, always, sets, replace(plan, arms=("none", "clamp"), gates=("recipe",)), tmp_path / "shut")
    none, *steered = (
        {m["set"]: m["value"] for m in arm["measures"] if m["metric"] == "refusal"} for arm in found["arms"]
    )
    assert all(arm == none for arm in steered)
    assert {arm["receipt"]["gate"] for arm in found["arms"][1:]} == {"shut"}


def test_a_refused_study_leaves_no_database(model, recipe, sets, tmp_path):
    long = replace(sets[0].items[0], id="long", text="please " * 300)
    asked = [replace(sets[0], items=(*sets[0].items, long)), *sets[1:]]
    with pytest.raises(ClampdownError, match="exceeds the model's context"):
        study(model, recipe, asked, PLAN, tmp_path)
    with pytest.raises(ClampdownError, match="changes nothing"):
        study(model, replace(recipe, edits=(Direction(1, 0.0, seed=1),)), sets, PLAN, tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_template_without_a_system_turn_can_be_studied(model, recipe, sets, tmp_path, monkeypatch):
    strict = "{{ raise_exception('no system') if messages[0].role == 'system' else messages[0].content }}"
    monkeypatch.setattr(model.tokenizer, "chat_template", strict)
    plan = replace(PLAN, arms=("none", "clamp", "system-prompt"), factors=(1.0,))
    found = study(replace(model), recipe, sets, plan, tmp_path)
    told = {arm["name"]: arm["description"] for arm in found["arms"]}
    assert "opens the user's turn" in told["system-prompt"]


def test_sets_are_checked(model, recipe, sets, tmp_path):
    with pytest.raises(ClampdownError, match="same name"):
        study(model, recipe, [sets[0], sets[0]], PLAN, tmp_path)
    with pytest.raises(ClampdownError, match="unsafe requests"):
        study(model, recipe, sets[1:], PLAN, tmp_path)


@pytest.mark.long
def test_killed_at_fifty_random_moments_it_ends_the_same(model, recipe, sets, tmp_path):
    """Each start is a fork of this process, killed after a random part of the time that a whole study takes."""
    begun = time.monotonic()
    _forked(lambda: study(model, recipe, sets, PLAN, tmp_path / "whole"), None)
    whole_time, whole = time.monotonic() - begun, export(tmp_path / "whole" / "study.sqlite")
    rng, kills, ended = random.Random(0), 0, 0
    while kills < 50:
        folder = tmp_path / f"killed-{ended}"
        if _forked(lambda folder=folder: study(model, recipe, sets, PLAN, folder), rng.uniform(0, whole_time)):
            kills += 1
            continue
        assert export(folder / "study.sqlite") == whole
        assert (folder / "report.html").is_file()
        ended += 1
    _forked(lambda: study(model, recipe, sets, PLAN, tmp_path / "last"), whole_time / 2)
    study(model, recipe, sets, PLAN, tmp_path / "last")
    assert export(tmp_path / "last" / "study.sqlite") == whole
    assert ended > 3, "the kills came too early to test anything"


def _forked(do, seconds: float | None) -> bool:
    """Run `do` in a fork, and kill it after `seconds`. Whether it was killed; raises if it failed by itself."""
    child = os.fork()
    if not child:
        try:
            do()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)
