"""What find and study hand over and print; the work itself is tested with the floors below."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from clampdown import library
from clampdown.cli import study as study_command
from clampdown.discovery.confirm import Confirmed
from clampdown.discovery.describe import Context
from clampdown.discovery.find import Found, FoundLatent
from clampdown.discovery.trials import Trial
from clampdown.recipe import Clamp, Direction, Recipe
from clampdown.studies.prepared import Prepared

RECIPE = Recipe("refusal", "some-model", "", (Clamp("some/sae", "", 12, {7: 2.5}),))
FOUND = Found(
    latents=[
        FoundLatent(7, 4.0, 3.0, 1.0, 0.01, ["sorry", "[b]"], [Context("I'm\n ", "sorry", " [/b]", 4.0)], True),
        FoundLatent(9, 5.0, -1.0, 1.0, 0.02, [], [], False),
    ],
    recipe=RECIPE,
    notes=["a note"],
    tried=[
        Trial(RECIPE, "all+8", Confirmed(1.4, 0.5, 0.25, 0.0, (6, 6), (6, 4), looping=0.5, looping_refusals=0.25)),
        Trial(replace(RECIPE, edits=(Clamp("some/sae", "", 12, {9: 2.5}),)), "all", Confirmed(1.9, 0.0, 0.0, 1.0)),
    ],
)


@pytest.fixture
def asked(monkeypatch, loaded):
    """What the library was asked for, in place of doing it."""
    told = {}
    monkeypatch.setattr(library, "find", lambda model, sae, **rest: told.update(rest, sae=sae) or FOUND)
    return told


def test_find_prints_a_table_and_writes_the_recipe(clampdown, asked, tmp_path):
    out_file = tmp_path / "new" / "refusal.toml"
    status, out, err = clampdown("find", "--out", out_file, "--limit", 5, "--candidates", 9)
    assert (status, err) == (0, "")
    assert all(said in out for said in ("+2.00", "0.0100", "sorry [b]", "⏎ sorry [/b]", "a note", f"study {out_file}"))
    assert (asked["limit"], asked["candidates"]) == (5, 9)
    assert Recipe.load(out_file) == RECIPE
    assert [latent["value"] for latent in library.known_latents(out_file)] == [2.5]
    assert {p.name for p in out_file.parent.iterdir()} == {"refusal.toml", "refusal.latents.json"}


def test_what_is_known_of_latents_is_not_used_for_another_recipe(clampdown, asked, tmp_path):
    path = tmp_path / "refusal.toml"
    clampdown("find", "--out", path)
    Recipe("other", "some-model", "", (Clamp("some/sae", "", 12, {8: 2.5}),)).save(path)
    assert library.known_latents(path) == []


ALTERED = [[5], {}, "text", [{}], [{"latent": "7"}], [{"latent": 7, "contexts": "abc"}]]
ALTERED += [
    [{"latent": 7, "promotes": [1]}],
    [{"latent": 7, "contexts": [{"token": []}]}],
    [{"latent": 7, "value": {}}],
]


@pytest.mark.parametrize("latents", ALTERED, ids=str)
def test_what_was_altered_beside_a_recipe_is_passed_over(clampdown, asked, tmp_path, latents):
    path = tmp_path / "refusal.toml"
    clampdown("find", "--out", path)
    beside = library.latents_file(path)
    beside.write_text(json.dumps(json.loads(beside.read_text()) | {"latents": latents}))
    assert library.known_latents(path) == []
    assert clampdown("show", path)[0] == 0


@pytest.mark.skipif(os.name == "nt", reason="pipes")
def test_a_pipe_beside_a_recipe_is_not_waited_for(clampdown, asked, tmp_path):
    clampdown("find", "--out", tmp_path / "refusal.toml")
    os.mkfifo(tmp_path / "a.latents.json")
    library.latents_file(tmp_path / "refusal.toml").rename(tmp_path / "b.latents.json")
    assert [latent["value"] for latent in library.known_latents(tmp_path / "refusal.toml")] == [2.5]


def test_find_replaces_nothing_that_it_was_not_told_to_replace(clampdown, asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("refusal.toml", "refusal.latents.json"):  # the recipe, and what is kept beside it
        (tmp_path / name).write_text("mine")
        status, out, err = clampdown("find")
        assert (status, out) == (2, "") and err.count("\n") == 1 and f"{name} is there already" in err
        assert "--force" in err and "limit" not in asked, "the search had begun"
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    (tmp_path / "refusal.toml").symlink_to(tmp_path / "nowhere")
    assert clampdown("find")[0] == 2
    (tmp_path / "refusal.toml").unlink()
    (tmp_path / "refusal.toml").write_text("mine")
    assert clampdown("find", "--force")[0] == 0
    assert Recipe.load(tmp_path / "refusal.toml") == RECIPE


def test_what_is_no_file_is_never_replaced(clampdown, asked):
    status, _, err = clampdown("find", "--out", "/dev/null", "--force")
    assert status == 2 and "is a pipe or a device" in err and Path("/dev/null").is_char_device()


def test_a_recipe_that_does_not_work_is_told_and_not_recommended(clampdown, monkeypatch, asked, tmp_path):
    useless = replace(FOUND, warning="this recipe does not work")
    monkeypatch.setattr(library, "find", lambda *_, **__: useless)
    status, out, err = clampdown("find", "--out", tmp_path / "r.toml")
    assert (status, err) == (0, "warning: this recipe does not work\n")
    assert "next:" not in out and f"recipe: {tmp_path / 'r.toml'}" in out and (tmp_path / "r.toml").is_file()
    _, out, _ = clampdown("find", "--out", tmp_path / "r.toml", "--force", "--json")
    assert json.loads(out)["warning"] == "this recipe does not work"


def test_find_json_is_one_object(clampdown, asked, tmp_path):
    _, out, _ = clampdown("find", "--out", tmp_path / "r.toml", "--json")
    body = json.loads(out)
    assert set(body) == {"latents", "recipe", "tried", "notes"}
    first = body["latents"][0]
    assert (first["latent"], first["value"], first["recipe_value"], first["chosen"]) == (7, 4.0, 2.5, True)
    assert first["contexts"][0] == {"before": "I'm\n ", "token": "sorry", "after": " [/b]", "activation": 4.0}


def test_find_json_says_what_every_trial_did_on_how_many(clampdown, asked, tmp_path):
    _, out, _ = clampdown("find", "--out", tmp_path / "r.toml", "--json")
    chosen, other = json.loads(out)["tried"]
    assert (chosen["window"], chosen["factor"], chosen["latents"]) == ("all+8", 1.4, {"7": 2.5})
    assert (chosen["coherent_refusal"], chosen["refusal"], chosen["looping"]) == (0.5, 0.75, 0.5)
    assert (chosen["unsafe_n"], chosen["safe_refusal"], chosen["safe_n"]) == (6, 0.25, 4)
    assert (chosen["chosen"], other["chosen"], other["incoherent"]) == (True, False, 1.0)


def test_find_hands_over_window_and_tokens(clampdown, asked, tmp_path):
    clampdown("find", "--out", tmp_path / "r.toml")
    assert (asked["window"], asked["tokens"]) == (None, 64)
    clampdown("find", "--window", "last+8~6", "--tokens", 9, "--out", tmp_path / "r.toml", "--force")
    assert (asked["window"], asked["tokens"]) == ("last+8~6", 9)


def test_find_takes_several_files_a_kind(clampdown, asked, tmp_path):
    files = [tmp_path / f"{name}.txt" for name in "abc"]
    for file in files:
        file.write_text("\n".join(f"prompt {i}" for i in range(20)))
    clampdown("find", "--unsafe", files[0], files[1], "--unsafe", files[2], "--out", tmp_path / "r.toml")
    assert asked["unsafe"] == files
    merged = library.selecting_set("unsafe", files, 10, 0)
    assert (merged.name, merged.split, len(merged.items)) == ("a + b + c", "select", 10)


# ---- study

RESULTS = {
    "schema": "clampdown-study/1",
    "report": "f/report.html",
    "database": "f/study.sqlite",
    "recipe": "f/recipes/clamp.toml",
    "sets": [{"name": "built-in unsafe", "kind": "unsafe"}],
    "arms": [
        {
            "name": "none",
            "label": "none",
            "recipe": None,
            "measures": [
                {
                    "set": "built-in unsafe",
                    "kind": "unsafe",
                    "metric": "refusal",
                    "n": 40,
                    "value": 0.25,
                    "low": 0.1,
                    "high": 0.4,
                    "more": 1,
                }
            ],
        }
    ],
    "categories": [],
}


@pytest.fixture
def studied(monkeypatch, loaded):
    told = {}
    monkeypatch.setattr(study_command, "load_model", lambda name, dtype, progress: told.update(named=name) or loaded)
    real = library.prepare_study

    def prepare(recipe, **rest):
        told.update(rest, recipe=recipe)
        return real(recipe, **rest)

    monkeypatch.setattr(library, "prepare_study", prepare)
    monkeypatch.setattr(Prepared, "run", lambda *_: told.update(ran=True) or RESULTS)
    return told


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "some.toml"
    Recipe("noise", "some-model", "", (Direction(layer=3, strength=1.0, seed=0),)).save(path)
    return path


def test_study_prints_the_arms_and_ends_with_the_report(clampdown, studied, recipe):
    status, out, err = clampdown("study", recipe)
    assert status == 0 and "smallest difference each set can tell" in err, "what n can tell is said before the run"
    assert "25% of 40" in out and "unsafe refused" in out
    assert out.endswith("f/report.html\n")
    assert (studied["recipe"], studied["plan"].name, studied["named"]) == (recipe, "quick", "some-model")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_where_the_first_report_is_is_said_when_it_is_written(clampdown, studied, recipe, monkeypatch, options):
    first = RESULTS | {"report": "g/report.html", "missing": [{"name": "zeroed", "label": "Same latents at zero"}] * 7}
    monkeypatch.setattr(Prepared, "run", lambda *given: given[4](first) or RESULTS)
    _, out, err = clampdown("study", recipe, *options)
    [line] = [line for line in err.splitlines() if "first report" in line and "after" not in line]
    assert "7 more" in line and line.endswith("g/report.html")
    assert "first report" not in out and "g/report.html" not in out


def test_a_template_that_writes_the_date_is_told_once(clampdown, studied, recipe, loaded, monkeypatch):
    assert "date" not in clampdown("study", recipe)[2]
    monkeypatch.setattr(loaded.tokenizer, "chat_template", "{{ strftime_now('%d') }}{{ messages[0].content }}")
    err = clampdown("study", recipe)[2]
    assert err.count("writes the date: all prompts get that of the study's start\n") == 1
    assert clampdown("study", recipe, "--json")[2] == ""


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(clampdown, studied, recipe):
    status, out, err = clampdown("study", recipe, "--dry-run")
    assert (status, err) == (0, "") and "answers (at most" in out and "none, direction-0.75" in out
    body = json.loads(clampdown("study", recipe, "--dry-run", "--json", "--limit", 5)[1])
    assert {row["n"] for row in body["sets"]} == {5} and body["arms"][0] == {"name": "none", "draws": 1}
    assert not {"ran", "named"} & set(studied)


def test_study_json_is_one_object_of_the_documented_shape(clampdown, studied, recipe):
    body = json.loads(clampdown("study", "--recipe", recipe, "--json", "--plan", "full")[1])
    assert set(body) == {"schema", "report", "database", "recipe", "arms"}
    assert set(body["arms"][0]) == {"name", "recipe", "measures"}
    assert set(body["arms"][0]["measures"][0]) == {"set", "kind", "metric", "n", "value", "low", "high"}
    assert studied["plan"].name == "full" and studied["ran"]


def test_a_study_file_is_told_from_a_recipe_and_options_come_first(clampdown, studied, recipe, tmp_path):
    (tmp_path / "bad.txt").write_text("one\ntwo\n")
    (tmp_path / "worse.txt").write_text("three\n")
    file = tmp_path / "mine.toml"
    file.write_text('recipe = "some.toml"\nmodel = "other"\nseed = 3\n[sets]\nunsafe = "bad.txt"\nsafe = "bad.txt"\n')
    clampdown("study", file, "--seed", 4, "--limit", 7, "--unsafe", tmp_path / "worse.txt")
    assert (studied["recipe"], studied["named"]) == (recipe, "other")
    assert studied["sets"] == {"unsafe": [tmp_path / "worse.txt"], "safe": (tmp_path / "bad.txt",)}
    assert studied["plan"].seed == 4 and set(studied["plan"].items.values()) == {7}


def test_attacks_are_named_by_kind_or_by_their_file(clampdown, studied, recipe, tmp_path):
    turns, goals = tmp_path / "turns.jsonl", tmp_path / "goals.txt"
    turns.write_text(json.dumps({"user_turns": ["a", "b"]}) + "\n")
    goals.write_text("one\ntwo\n")
    named = ("--attack", turns, "--attack", f"past-tense={goals}", "--attack", "best-of-n")
    body = json.loads(clampdown("study", recipe, *named, "--dry-run", "--json", "--limit", 1)[1])
    told = {row["set"]: (row["kind"], row["n"]) for row in body["sets"]}
    assert told["turns"] == told["past-tense, goals"] == told["best-of-n"] == ("attack", 1)
    clampdown("study", recipe, *named, "--seed", 5)
    assert [(spec.kind, spec.seed) for spec in studied["attacks"]] == [
        ("scripted", 5),
        ("past-tense", 5),
        ("best-of-n", 5),
    ]
    file = tmp_path / "mine.toml"
    file.write_text('recipe = "some.toml"\n[[attacks]]\nkind = "past-tense"\n[lm-eval]\nfew_shot = 2\n')
    clampdown("study", file, "--limit", 3, "--include-path", tmp_path)
    assert [(spec.kind, spec.limit) for spec in studied["attacks"]] == [("past-tense", 3)]
    assert (studied["tasks"].few_shot, studied["tasks"].include_path) == (2, tmp_path)
    status, out, err = clampdown("study", recipe, "--attack", "magic")
    assert (status, out) == (2, "") and err.count("\n") == 1 and "best-of-n" in err
    assert "needs attacker" in clampdown("study", recipe, "--attack", "crescendo")[2]
    for named, word in ((tmp_path, "a folder"), ("/dev/null", "a device")):
        status, out, err = clampdown("study", recipe, "--attack", named)
        assert (status, out) == (2, "") and err.count("\n") == 1 and f"can't read attack {named}: it is {word}" in err


def test_two_answers_to_one_question_are_refused(clampdown, studied, recipe, tmp_path):
    assert "leave one out" in clampdown("study", recipe, "--recipe", recipe)[2]
    file = tmp_path / "mine.toml"
    file.write_text("seed = 3\n")
    assert "leave --plan out" in clampdown("study", file, "--plan", "full")[2]


def test_an_empty_set_is_told_before_the_model_is_loaded(clampdown, studied, recipe, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    status, out, err = clampdown("study", recipe, "--unsafe", empty)
    assert (
        (status, out) == (2, "") and err.count("\n") == 1 and "is empty; a file needs at least one unsafe item" in err
    )
    assert "named" not in studied
