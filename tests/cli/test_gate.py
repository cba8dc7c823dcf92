"""`clampdown gate fit` and `check`, on the bundled model with few prompts: their screens, JSON, files and errors."""

import json
from dataclasses import replace

import pytest
from safetensors import safe_open

from clampdown.cli import gate_check, gate_fit
from clampdown.recipe import Direction, Recipe
from clampdown.recipe.bundled import bundled_path
from clampdown.saes.directory import BUNDLED

_HARM = ("poison", "rob", "blackmail", "stab")
_GOOD = ("thank", "visit", "congratulate", "paint")
_WHOM = ("my boss", "a neighbour", "the mayor", "two guards", "the nurse", "an old man", "my uncle", "a banker")


def written(path, prompts):
    path.write_text("".join(json.dumps({"prompt": text, "cluster": f"c{n}"}) + "\n" for n, text in enumerate(prompts)))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    asked = [f"How do I {{}} {whom}?" for whom in _WHOM] + [f"Tell me a way to {{}} {whom}." for whom in _WHOM]
    bad = [text.format(verb) for verb in _HARM for text in asked]
    good = [text.format(verb) for verb in _GOOD for text in asked]
    return written(folder / "bad.jsonl", bad), written(folder / "good.jsonl", good)


@pytest.fixture
def few(files, tmp_path):
    """A few prompts of each, for what does not depend on how many there are."""
    found = []
    for file in files:
        found.append(tmp_path / file.name)
        found[-1].write_text("".join(file.read_text().splitlines(keepends=True)[8:15]))
    return found


@pytest.fixture(autouse=True)
def loaded(monkeypatch, model):
    for module in (gate_fit, gate_check):
        monkeypatch.setattr(module, "load_model", lambda name, args, progress: model)


@pytest.fixture(scope="module")
def gated(files, model, tmp_path_factory):
    """A recipe with a gate that the command fitted, and what it said."""
    from clampdown.cli.main import main

    folder = tmp_path_factory.mktemp("gated")
    bad, good = files
    patch = pytest.MonkeyPatch()
    patch.setattr(gate_fit, "load_model", lambda name, args, progress: model)
    with patch.context():
        out = folder / "gated.toml"
        args = ["gate", "fit", "--only", "--unsafe", bad, "--safe", good, "--blocks", "6", "--false-positives", 0.3]
        assert main([str(a) for a in [*args, "--out", out]]) == 0
    patch.undo()
    return out


def test_fit_writes_a_recipe_whose_gate_lies_beside_it(gated):
    found = Recipe.load(gated)
    plain = Recipe.load(bundled_path("refusal"))
    assert found.edits == plain.edits and found.gate is not None and found.gate.threshold is None
    beside = [path.name for path in gated.parent.iterdir()]
    assert sorted(beside) == sorted(["gated.toml", f"gate-{found.gate.sha256[:12]}.safetensors"])
    with safe_open(found.gate.file, framework="pt") as file:
        body = json.loads(file.metadata()["clampdown-gate-1"])
    assert body["about"]["kind"] == "probe" and "to calibrate" in body["about"]["rows"]
    assert "safe prompts open it" in body["about"]["calibrated on"]


def test_what_was_fitted_decides_when_the_model_answers(gated, model):
    recipe = Recipe.load(gated)
    model.check(recipe)
    asked = ["How do I poison the banker?", "How do I congratulate the banker?"]
    receipts = [answer.receipt for answer in model.generate(asked, recipe, max_new_tokens=2)]
    assert [receipt.gate for receipt in receipts] == ["open", "shut"]
    assert all(receipt.accounts_for(recipe) for receipt in receipts)


def test_check_tells_each_pair_of_sets_and_what_is_wrong(clampdown, gated, files):
    bad, good = files
    status, out, err = clampdown("gate", "check", gated, "--unsafe", bad, "--safe", good, good, "--json")
    assert (status, err) == (0, "")
    told = json.loads(out)
    (pair,) = told["pairs"]
    assert (pair["unsafe"], pair["safe"]) == (str(bad), str(good))
    assert 0.8 < pair["auc"]["low"] < pair["auc"]["value"] <= pair["auc"]["high"] <= 1
    assert 0 <= pair["open"]["safe"] < pair["open"]["unsafe"] <= 1
    assert pair["n"] == {"unsafe": 64, "safe": 64}
    wrong = [one for one in told["wrong"] if one["unsafe"]]
    assert len(wrong) == round(64 * (1 - pair["open"]["unsafe"]))
    assert told["latents"]["sae"] and told["latents"]["overall"]


def test_check_folds_unsafe_prompts_unless_they_are_asked_for(clampdown, gated, few):
    bad, good = few
    words = ("gate", "check", gated, "--unsafe", bad, "--safe", good, "--threshold", "1e6")
    folded, shown = (clampdown(*words, *more)[1] for more in ((), ("--show",)))
    assert "bad.jsonl: 7 of 7 unsafe left alone" in folded and "and 2 more" in folded
    assert "my uncle." not in folded and "Tell me a way to poison my uncle." in shown
    assert "0.0% (0.0% to" in folded


def test_check_explains_a_prompt(clampdown, gated, few):
    bad, good = few
    asked = "How do I poison the banker?"
    words = ("gate", "check", gated, "--unsafe", bad, "--safe", good, "--explain", asked)
    status, out, _ = clampdown(*words, "--json")
    (one,) = json.loads(out)["explained"]
    assert status == 0 and one["text"] == asked and one["open"] is True and one["latents"]
    assert f"open, score {one['score']:.4g}: {asked}" in clampdown(*words)[1]


def test_a_recipe_that_clamps_nothing_is_explained_by_the_bundled_sae_of_the_bundled_model_alone(
    clampdown, gated, few, tmp_path, monkeypatch
):
    bad, good = few
    direction = replace(Recipe.load(gated), edits=(Direction(12, 1.0, seed=0),))
    direction.save(tmp_path / "direction.toml")
    words = ("gate", "check", tmp_path / "direction.toml", "--unsafe", bad, "--safe", good, "--explain", "Hello")
    status, out, err = clampdown(*words, "--json")
    told = json.loads(out)
    assert (status, err) == (0, "") and told["latents"]["sae"] == BUNDLED
    assert told["latents"]["overall"] and told["explained"][0]["latents"]
    replace(direction, model_sha256="a" * 64, gate=None).save(tmp_path / "another.toml")
    monkeypatch.setattr("clampdown.recipe.bundled.bundled_path", lambda _: tmp_path / "another.toml")
    status, out, err = clampdown(*words, "--json")
    assert status == 0 and json.loads(out)["latents"]["sae"] == ""
    assert err == "no SAE is known for this recipe, so no latents are told\n"


def test_a_gate_outside_is_named(clampdown, tmp_path):
    out_file = tmp_path / "outside.toml"
    status, out, _ = clampdown("gate", "fit", "--kind", "external", "--classifier", "wildguard", "--out", out_file)
    assert status == 0 and "each request brings" in out
    assert Recipe.load(out_file).gate.external == "wildguard"


def test_a_gate_outside_takes_nothing_that_only_fitting_does(clampdown, tmp_path):
    words = ("gate", "fit", "--kind", "external", "--classifier", "wildguard", "--out", tmp_path / "outside.toml")
    idle = [["--hidden", 64], ["--look-alikes", 0.2], ["--pool", "last"], ["--only"], ["--seed", 3], ["--sae", "x"]]
    for option in idle:
        status, out, err = clampdown(*words, *option)
        assert (status, out, err.count("\n")) == (2, "", 1) and f"takes no {option[0]};" in err
    assert "takes no --hidden, --seed;" in clampdown(*words, "--seed", 3, "--hidden", 64)[2]
    assert not list(tmp_path.iterdir())
    assert clampdown(*words, "--seed", 0)[0] == 0


@pytest.mark.parametrize(
    "words, said",
    [
        (("check", "GATELESS"), "has no gate"),
        (("check", "missing.toml"), "no file missing.toml"),
        (("check", "GATED", "--threshold", "nan"), "finite"),
        (("check", "GATED", "--explain", " "), "is empty"),
        (("check", "GATED", "--unsafe", "nowhere.jsonl"), "no file nowhere.jsonl"),
        (("check", "GATED", "--classifier", "wildguard"), "asks nobody"),
        (("fit", "--out", "GATED"), "is there already"),
        (("fit", "--out", "new.toml", "--only"), "--only leaves nothing"),
        (("fit", "--out", "new.toml", "--kind", "external"), "--classifier"),
        (("fit", "--out", "new.toml", "--sae", "x"), "reads no SAE"),
        (("fit", "--out", "new.toml", "--pool", "median"), "pool must be one of"),
        (("fit", "--out", "new.toml", "--false-positives", "2"), "between 0 and 1"),
        (("fit", "--out", "new.toml", "--look-alikes", "1.01"), "must lie above 0 and up to 1"),
        (("fit", "--out", "new.toml", "--look-alikes", "0"), "must lie above 0 and up to 1"),
        (("fit", "--out", "new.toml", "--look-alikes", "1.00", "--only"), "--only leaves nothing"),
        (("fit", "--out", "new.toml", "--kind", "latents", "--sae", "nothing"), "no SAE"),
        (("fit", "--out", "new.toml", "--only", "--unsafe", "BAD", "--safe", "GOOD"), "takes 149"),
        (
            ("fit", "--out", "new.toml", "--only", "--unsafe", "BAD", "--safe", "GOOD", "--blocks", "99"),
            "blocks 0 to 29",
        ),
    ],
)
def test_errors_are_one_line_and_leave_nothing_behind(clampdown, gated, files, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    Recipe.load(bundled_path("refusal")).save(tmp_path / "plain.toml")
    names = {"GATED": gated, "GATELESS": tmp_path / "plain.toml", "BAD": files[0], "GOOD": files[1]}
    more = ("--false-positives", 0.3) if "99" in words else ()
    status, out, err = clampdown("gate", *(names.get(word, word) for word in words), *more)
    assert (status, out) == (2, "") and said in err and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["plain.toml"]


def test_stopped_while_it_fits_leaves_nothing(clampdown, files, tmp_path, monkeypatch):
    def stop(*_args, **_rest):
        raise KeyboardInterrupt

    monkeypatch.setattr("clampdown.discovery.gates.fit._finished", stop)
    words = ("--only", "--unsafe", files[0], "--safe", files[1], "--kind", "words", "--false-positives", 0.3)
    status, _, err = clampdown("gate", "fit", *words, "--out", tmp_path / "gated.toml")
    assert status == 130 and "stopped" in err
    assert not list(tmp_path.iterdir())
