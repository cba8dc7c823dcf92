"""`clampdown explain` on the real bundled model, and its errors."""

import json

import pytest

from clampdown.cli.main import main

FEW = ["--questions", "4", "--passages", "1", "--draws", "1"]


def test_the_default_recipe_is_explained_on_the_bundled_model(capsys, tmp_path):
    page = tmp_path / "why.html"
    assert main(["explain", *FEW, "--json", "--out", str(page), "--dtype", "float32"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["schema"] == "clampdown-explanation/1" and body["recipe"]["name"] == "guarded"
    assert body["gate"] == "forced open"
    rows = {row["name"]: row for row in body["variants"]}
    assert {"reconstruction", "longer", "shorter", "random", "latents", "innocent", "edit"} <= set(rows)
    assert rows["edit-prompt"]["tokens_edited"] + rows["edit-answer"]["tokens_edited"] == rows["edit"]["tokens_edited"]
    for name in ("random", "latents", "innocent"):
        assert rows[name]["relative_norm"] == pytest.approx(rows["edit"]["relative_norm"], rel=1e-3), name
    assert rows["edit"]["kl"] > 0 and rows["edit"]["margin_fall"]["n"] == 4
    assert body["survey"]["sae"] == "smollm2-135m-instruct/layer-12"
    assert set(body["correlation"]) == {"value", "low", "high", "n"} and body["correlation"]["n"] >= 25
    assert sum(one["why"] == "drawn" for one in body["survey"]["latents"]) >= 50
    told = page.read_text(encoding="utf-8")
    assert "Why guarded costs what it costs" in told and "<script" not in told


@pytest.mark.parametrize(
    "arguments,words",
    [
        (["no-such-recipe.toml"], "no file no-such-recipe.toml"),
        (["--questions", "0"], "must be at least 1"),
        (["--sae", "no/such/sae@x@y"], "no SAE at"),
        (["--out", "."], "is a folder"),
    ],
)
def test_errors_are_one_line(arguments, words, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(["explain", *arguments])
    except SystemExit as ended:
        status = ended.code
    told = capsys.readouterr()
    assert status == 2 and told.out == ""
    lines = told.err.strip().splitlines()
    assert len(lines) == 1 and words in lines[0]
