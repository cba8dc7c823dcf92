"""The paper's table beside a run's own figures, the page that shows it, and the study files that make them."""

import json
from pathlib import Path

import pytest
from paper import FOLDER, script

from clampdown.measuring.sets.named import NAMED
from clampdown.recipe import Clamp, Recipe
from clampdown.studies.study_file import read_study_file

PAGE = Path(__file__).resolve().parents[2] / "docs" / "paper.md"
RATE = {"value": 0.5, "low": 0.25, "high": 0.75}


def rate(name, metric="refusal"):
    return {"set": name, "metric": metric, **RATE}


@pytest.fixture
def run(tmp_path):
    """What a run of the battery leaves, as far as the table reads it."""
    none = [rate("wildguardmix-unsafe"), rate("xstest-safe"), rate("xstest-safe", "partial")]
    ten = [rate("wildguardmix-safe")]
    study = {"arms": [{"name": "none", "measures": none}, {"name": "clamp-at-10", "measures": ten}]}
    (tmp_path / "refusal").mkdir()
    (tmp_path / "refusal" / "results.json").write_text(json.dumps(study))
    for arm, task, metric in (
        ("none", "mmlu", "acc,none"),
        ("clamp-at-10", "gsm8k_cot", "exact_match,flexible-extract"),
    ):
        folder = tmp_path / "lm-eval" / "refusal" / arm / "model"
        folder.mkdir(parents=True)
        name, kind = metric.split(",")
        parts = {"mmlu_stem": {metric: 0.1}} if task == "mmlu" else {}
        found = {"results": {**parts, task: {metric: 0.25, f"{name}_stderr,{kind}": 0.01, "alias": task}}}
        (folder / "results_1.json").write_text(json.dumps(found))
    arms = [
        {"arm": arm, "kind": kind, "rates": [{"metric": "refused", **RATE}, {"metric": "attack_success", **value}]}
        for kind, value in (("unsafe", RATE), ("safe", dict.fromkeys(RATE, 0.0)))
        for arm in ("none", "clamp-1", "clamp-1 (2)", "ten")
    ]
    (tmp_path / "crescendo.json").write_text(json.dumps({"arms": arms}))
    (tmp_path / "crescendo.arms").write_text("second/clamp-1 refusal/clamp-1 refusal/clamp-at-10\n")
    return tmp_path


def test_a_runs_figures_stand_under_the_papers(run):
    module = script("table")
    lines = module.table("phi3", module.figures(run)).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    half, quarter = "50.00 (25–75)", "25.00 (23–27)"
    assert rows[2][:5] == ["none", "paper", "58.33", "90.50", "6.03"]
    assert rows[3] == ["", "yours", half, "–", "–", half, quarter, "–", "–", half, "–", "–"]
    at_10 = next(place for place, row in enumerate(rows) if row[0] == "latent at 10")
    assert rows[at_10 + 1] == ["", "yours", "–", "–", half, "–", "–", "–", quarter, half, "–", "–"]
    attacked = {(rows[place - (not row[0])][0], row[9]) for place, row in enumerate(rows[3:], 3) if row[1] == "yours"}
    assert {arm for arm, cell in attacked if cell == half} == {
        "none", "latent at 10", "latent at 12", "second latent at 12",
    }  # fmt: skip
    assert all(len(row) == len(rows[0]) for row in rows)


def test_crescendo_is_told_by_topic_and_letters_by_arm(run):
    records = [
        {"arm": arm, "category": topic, "success": won}
        for arm in ("none", "clamp-1", "clamp-1 (2)", "ten")
        for topic, won in (("molotov", arm != "ten"), ("molotov", arm == "none"), ("pay", None))
    ]
    (run / "crescendo.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    study = json.loads((run / "refusal" / "results.json").read_text())
    right = {"A": 1, "B": 1, "C": 1, "D": 1, "none": 0}
    study["letters"] = [
        {"set": "letters:mmlu", "right": right, "arms": [{"arm": "clamp-1", "letters": right | {"C": 4, "none": 3}}]}
    ]
    (run / "refusal" / "results.json").write_text(json.dumps(study))
    module = script("table")
    found = module.topics(run)
    assert found["refusal/none"]["molotov"].startswith("100.00") and "pay" not in found["refusal/none"]
    assert found["second/clamp-1"]["molotov"].startswith("50.00")
    assert found["refusal/clamp-at-10"]["molotov"].startswith("0.00")
    told = module.page("phi3", run)
    assert "| none | paper | 87.63 | 21.88 | 23.66 | 79.78 | 66.67 |" in told
    assert "| right | 25.0 | 25.0 | 25.0 | 25.0 | 0.0 |" in told
    assert "| refusal/clamp-1 | 10.0 | 10.0 | 40.0 | 10.0 | 30.0 |" in told
    assert "topic" not in module.page("llama31", run)


def test_the_page_shows_the_table_and_a_run_fills_it(run, tmp_path, monkeypatch):
    module, page = script("table"), tmp_path / "paper.md"
    for name in module.PAPER:
        assert f"<!-- {name} -->\n{module.page(name, None)}<!-- end of {name} -->\n" in PAGE.read_text()
    page.write_text(PAGE.read_text())
    monkeypatch.setattr("sys.argv", ["table.py", "phi3", str(run), "--page", str(page)])
    module.main()
    filled = page.read_text()
    assert module.page("phi3", run) in filled and module.page("llama31", None) in filled
    monkeypatch.setattr("sys.argv", ["table.py", "phi3", "--page", str(page)])
    module.main()
    assert page.read_text() == PAGE.read_text()


@pytest.mark.parametrize(
    ("name", "values"),
    [("phi3", [4, 6, 8, 10, 12, 14, 16, 18]), ("llama31", [1, 1.5, 2, 2.5, 3, 4])],
)
def test_study_files_sweep_the_papers_values_on_sets_that_have_a_name(name, values):
    file = read_study_file(FOLDER / f"{name}.toml")
    assert file.plan.rules == ("delta", "reconstruct") and file.plan.factors == (1.0,)
    [own] = set(values) - set(file.plan.values)
    assert f'VALUE="${{VALUE:-{own:g}}}"' in (FOLDER / f"{name}.sh").read_text()
    module = script("table")
    arms = {arm for _, arm, _ in module.PAPER[name]}
    for held in ("both", "second", "refusal"):
        swept = read_study_file(FOLDER / (f"{name}-both.toml" if held == "both" else f"{name}.toml")).plan.values
        there = {f"{held}/{arm}" for arm in ("none", "clamp-1", "system-prompt", "sae-pass")}
        assert {arm for arm in arms if arm.startswith(held)} <= there | {f"{held}/clamp-at-{v:g}" for v in swept}


@pytest.mark.parametrize("name", ["phi3", "phi3-both", "llama31", "llama31-both", "control", "gated", "outside"])
def test_every_study_file_has_sets_that_the_table_knows_and_asks_for_letters_in_words(name):
    file = read_study_file(FOLDER / f"{name}.toml")
    sets = {str(path) for paths in file.sets.values() for path in paths}
    assert ("mmlu" if name == "outside" else "letters:mmlu") in sets and {
        name.removeprefix("letters:") for name in sets
    } <= set(NAMED)
    assert set(script("table").SETS.values()) <= sets


def test_the_papers_latents_are_chosen_by_unsafe_refusal(tmp_path, monkeypatch):
    made = Recipe("found", "m", "", (Clamp("s", "", 6, {7: 12.0}),), note="latent 7 does not work")
    made.save(tmp_path / "found.toml")
    gains = {7: (3.0, 0.5), 9: (4.0, 3.5), 11: (1.0, 0.0)}
    rows = [{"latent": n, "unsafe_gain": u, "safe_gain": s, "promotes": []} for n, (u, s) in gains.items()]
    (tmp_path / "find.json").write_text(json.dumps({"latents": rows}))
    module = script("recipes")

    def held(name):
        recipe = Recipe.load(tmp_path / f"{name}.toml")
        [edit] = recipe.edits
        assert "does not work" not in recipe.note, "that was said of other latents"
        return dict(edit.values)

    monkeypatch.setattr(
        "sys.argv", ["recipes.py", *map(str, (tmp_path / "find.json", tmp_path / "found.toml", tmp_path))]
    )
    module.main()
    assert held("refusal") == {9: 12.0} and held("second") == {7: 12.0} and held("both") == {9: 12.0, 7: 12.0}
    Recipe("u", "m", "", (Clamp("s", "", 6, {5: 3.3}),)).save(tmp_path / "matched.toml")
    names = (tmp_path / "matched.toml", tmp_path / "found.toml", tmp_path)
    monkeypatch.setattr("sys.argv", ["recipes.py", "--unrelated", *map(str, names)])
    module.main()
    assert held("unrelated") == {5: 12.0}


def test_what_opened_a_gate_is_told_of_ours_and_of_the_classifier_outside(run):
    module = script("table")
    assert "gate open" not in module.page("phi3", run)
    for study, rates in (
        ("gated", [rate("xstest-safe", "gate_open")]),
        ("outside", [rate("xstest-unsafe", "gate_open")]),
    ):
        arms = [{"name": "none", "measures": []}, {"name": "clamp-1-gated", "measures": [*rates, rate("xstest-safe")]}]
        (run / study).mkdir()
        (run / study / "results.json").write_text(json.dumps({"arms": arms}))
    told, half = module.page("phi3", run), "50.00 (25–75)"
    assert "| gate open, percent | WildGuard unsafe | XSTest unsafe | WildGuard safe | XSTest safe |" in told
    assert f"| gated/clamp-1-gated | – | – | – | {half} |\n| outside/clamp-1-gated | – | {half} | – | – |" in told
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in told.splitlines()]
    ours = next(place for place, row in enumerate(rows) if row[0] == "latent behind a gate of our own")
    theirs = next(place for place, row in enumerate(rows) if row[0] == "latent at 12 behind WildGuard 7B")
    assert rows[ours][1:6] == ["yours", "–", "–", "–", half] and rows[theirs + 1][1:3] == ["yours", "–"]


def test_both_gates_stand_before_the_same_latent_and_ours_is_measured_open_too():
    ours, theirs = (read_study_file(FOLDER / f"{name}.toml").plan for name in ("gated", "outside"))
    assert ours.gates == ("recipe", "open") and theirs.gates == ("recipe",)
    assert {"clamp", "difference-in-means", "system-prompt", "fixed-refusal"} < set(ours.arms)
    assert ours.items == theirs.items and ours.max_new_tokens == theirs.max_new_tokens == 256


def test_the_five_topics_come_in_turns(capsys):
    script("topics").main("2")
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["category"] for row in rows] == list(script("table").TOPICS) * 2
    assert len({row["id"] for row in rows}) == 10
