"""The paper's table beside a run's own figures, the page that shows it, and the study files that make them."""

import json
from pathlib import Path

import pytest
from paper import FOLDER, script

from clampdown.measuring.named import NAMED
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
    assert rows[2][:4] == ["none", "paper", "58.33", "6.03"]
    assert rows[3] == ["", "yours", half, "–", half, quarter, "–", "–", half]
    at_10 = next(place for place, row in enumerate(rows) if row[0] == "latent at 10")
    assert rows[at_10 + 1] == ["", "yours", "–", half, "–", "–", "–", quarter, half]
    attacked = {(rows[place - (not row[0])][0], row[8]) for place, row in enumerate(rows[3:], 3) if row[1] == "yours"}
    assert {arm for arm, cell in attacked if cell == half} == {"none", "latent at 10", "latent at 12", "second latent"}


def test_the_page_shows_the_table_and_a_run_fills_it(run, tmp_path, monkeypatch):
    module, page = script("table"), tmp_path / "paper.md"
    for name in module.PAPER:
        assert f"<!-- {name} -->\n{module.table(name, {})}<!-- end of {name} -->\n" in PAGE.read_text()
    page.write_text(PAGE.read_text())
    monkeypatch.setattr("sys.argv", ["table.py", "phi3", str(run), "--page", str(page)])
    module.main()
    filled = page.read_text()
    assert module.table("phi3", module.figures(run)) in filled and module.table("llama31", {}) in filled
    monkeypatch.setattr("sys.argv", ["table.py", "phi3", "--page", str(page)])
    module.main()
    assert page.read_text() == PAGE.read_text()


@pytest.mark.parametrize(("name", "value"), [("phi3", 12.0), ("llama31", 2.5)])
def test_study_files_sweep_both_rules_on_sets_that_have_a_name(name, value):
    file = read_study_file(FOLDER / f"{name}.toml")
    assert file.plan.rules == ("delta", "reconstruct") and file.plan.factors == (1.0,)
    values = sorted((*file.plan.values, value))
    assert values[0] == pytest.approx(value / 3, abs=0.1) and values[-1] == value * 1.5  # as 4 and 18 are to 12
    assert {str(path) for paths in file.sets.values() for path in paths} <= set(NAMED)
    assert set(script("table").SETS.values()) <= {str(path) for paths in file.sets.values() for path in paths}
