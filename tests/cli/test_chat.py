"""Chat with the real bundled model: one prompt at a time, and a conversation with its commands."""

import io
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.append(str(Path(__file__).parent.parent / "steering"))

from gates import part, written

from clampdown.cli import chat, session
from clampdown.cli.by_hand import clamped
from clampdown.cli.session import Session
from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.recipe import Clamp, Direction, Positions, Recipe
from clampdown.recipe.bundled import bundled_path

QUESTION = "What is the capital of France?"


def random_direction(model, layer=12):
    edit = Direction(layer=layer, strength=40.0, seed=1)
    return Recipe("noise", model.name, model.chat.sha256, (edit,))


@pytest.fixture
def piped(monkeypatch):
    def pipe(data):
        stream = SimpleNamespace(isatty=lambda: False, buffer=io.BytesIO(data))
        monkeypatch.setattr(sys, "stdin", stream)

    return pipe


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="nothing here never ends")
def test_an_input_that_never_ends_is_told(clampdown, loaded, monkeypatch):
    with open("/dev/zero") as endless:
        monkeypatch.setattr(sys, "stdin", endless)
        status, out, err = clampdown("chat", "--no-recipe")
    assert (status, out) == (2, "") and err.count("\n") == 1 and "no prompt is that long" in err


def test_one_prompt_streams_pure_text_and_the_receipt_goes_aside(clampdown, loaded):
    status, out, err = clampdown("chat", QUESTION, "--no-recipe", "--tokens", 12)
    assert status == 0
    assert out == "The capital of France is Paris.\n"
    assert err.startswith("unsteered · ") and err.count("\n") == 1


def test_json_is_one_object_and_nothing_else(clampdown, loaded, piped):
    piped(QUESTION.encode() + b"\n")
    status, out, err = clampdown("chat", "--no-recipe", "--tokens", 3, "--json")
    body = json.loads(out)
    assert (status, err) == (0, "")
    assert set(body) == {"prompt", "answer", "finished", "receipt"}
    assert (body["prompt"], body["answer"], body["finished"]) == (QUESTION, "The capital of", False)
    assert body["receipt"]["tokens_edited"] == 0


def test_an_answer_that_was_cut_says_so(clampdown, loaded):
    _, _, err = clampdown("chat", QUESTION, "--no-recipe", "--tokens", 3)
    assert err.endswith(" · cut at 3 tokens\n")
    _, _, err = clampdown("chat", QUESTION, "--no-recipe", "--tokens", 12)
    assert "cut" not in err


def test_a_recipe_steers_and_the_receipt_says_so(clampdown, loaded, tmp_path):
    path = tmp_path / "noise.toml"
    recipe = random_direction(loaded)
    recipe.save(path)
    _, out, _ = clampdown("chat", QUESTION, "--recipe", path, "--tokens", 2, "--json")
    receipt = json.loads(out)["receipt"]
    assert receipt["recipe_sha256"] == recipe.sha256
    assert receipt["tokens_edited"] == receipt["tokens_seen"] - 1


def test_the_gates_decision_is_seen(clampdown, loaded, tmp_path):
    texts = (QUESTION, "How do I break into a neighbour's house?")
    parts = [part(12, d=576, pool="mean")]
    asked = [loaded.chat.prompt_ids(text) for text in texts]
    gate = written(tmp_path / "gate.safetensors", loaded.chat, parts, asked)
    steered, gated, decisions = tmp_path / "steered.toml", tmp_path / "gated.toml", set()
    random_direction(loaded).save(steered)
    replace(random_direction(loaded), gate=gate).save(gated)
    for text in texts:
        _, out, err = clampdown("chat", text, "--recipe", gated, "--tokens", 4)
        decisions.add(decision := err.split(" (")[0])
        same = ("--recipe", steered) if decision == "gate open" else ("--no-recipe",)
        assert out == clampdown("chat", text, *same, "--tokens", 4)[1]
    assert decisions == {"gate open", "gate shut"}


@pytest.fixture
def stuck(tmp_path):
    """A recipe under which the bundled model says that it is unable, over and over."""
    refusal = Recipe.load(bundled_path("refusal"))
    path = tmp_path / "stuck.toml"
    stuck = replace(refusal, edits=(replace(refusal.clamps[0], values={3956: 60.0}),), positions=Positions())
    stuck.save(path)
    return path


def test_an_answer_that_repeats_itself_is_stopped_and_may_go_on(clampdown, loaded, stuck):
    asked = ("chat", "Name a colour.", "--recipe", stuck, "--tokens", 56)
    _, out, err = clampdown(*asked)
    assert err.endswith(" · stopped, for it repeats itself; --repeat lets it go on\n") and "cut" not in err
    assert out.count("unable to assist you") >= 3
    assert " tokens edited" in err  # it has its receipt all the same
    _, longer, err = clampdown(*asked, "--repeat")
    assert longer.startswith(out.rstrip()) and len(longer) > len(out) and err.endswith(" · cut at 56 tokens\n")
    body = json.loads(clampdown(*asked, "--json")[1])
    assert (body["answer"], body["finished"], body["stopped"]) == (out.rstrip("\n"), False, "it repeats itself")


@pytest.mark.parametrize("arguments", [["-"], []])
@pytest.mark.parametrize("data", [b"", b" \n\t\n"])
def test_empty_standard_input_is_told(clampdown, piped, arguments, data):
    piped(data)
    status, out, err = clampdown("chat", *arguments, "--no-recipe")
    assert (status, out) == (2, "")
    assert err.startswith("clampdown: standard input is empty") and err.count("\n") == 1


def test_bytes_that_are_no_text_do_not_stop_it(clampdown, loaded, piped):
    piped(b"Say \xff hello")
    status, _, _ = clampdown("chat", "-", "--no-recipe", "--tokens", 2)
    assert status == 0


def test_json_needs_a_prompt(clampdown, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    status, _, err = clampdown("chat", "--json", "--no-recipe")
    assert status == 2 and "--json answers one prompt" in err


@pytest.mark.parametrize(
    "layer, weights, said",
    [(99, "", "layer 99 does not exist"), (3, "0" * 64, "was made for")],
)
def test_a_recipe_that_does_not_fit_is_told(clampdown, loaded, tmp_path, layer, weights, said):
    path = tmp_path / "bad.toml"
    Recipe("bad", loaded.name, weights, (Direction(layer=layer, strength=1.0, seed=1),)).save(path)
    status, out, err = clampdown("chat", "hi", "--recipe", path)
    assert (status, out) == (2, "") and err.count("\n") == 1 and said in err


def test_a_prompt_longer_than_the_context_is_told(clampdown, loaded):
    status, _, err = clampdown("chat", "word " * 9000, "--no-recipe")
    assert status == 2 and err.count("\n") == 1 and "context" in err


def test_a_missing_default_recipe_names_the_ways_out(clampdown, monkeypatch, tmp_path):
    monkeypatch.setattr("clampdown.library.DEFAULT_RECIPE", tmp_path / "none.toml")
    status, _, err = clampdown("chat", "hi")
    assert status == 2 and err.count("\n") == 1 and "--recipe" in err and "--no-recipe" in err


# ---- the conversation


@pytest.fixture
def talk(model, capsys):
    """A conversation: `talk(line)` is what the session prints for it."""
    held = Session(model, None, Sampling(2))

    def say(line):
        held.turn(line)
        out, err = capsys.readouterr()
        return out + err

    say.session = held
    return say


def test_a_conversation_remembers_and_forgets(talk):
    assert "cut at 2 tokens" in talk(QUESTION)
    talk("And of Italy?")
    assert [m["role"] for m in talk.session.history] == ["user", "assistant"] * 2
    talk("/reset")
    assert talk.session.history == []


def test_steering_goes_on_off_and_is_compared(talk, model, tmp_path):
    path = tmp_path / "noise.toml"
    random_direction(model).save(path)
    assert "steered by noise" in talk(f"/recipe {path}")
    assert "steered by" in talk("Hello")
    assert "unsteered" in talk("/off")
    assert "unsteered · " in talk("Hello")
    before = list(talk.session.history)
    told = talk(f"/compare {QUESTION}")
    assert told.index("unsteered · ") < told.index("tokens edited")
    assert talk.session.history == before
    assert "tokens edited" in talk("/compare")
    assert "steered by noise" in talk("/on")


def test_the_gate_is_forced_and_let_go_again(talk, model, tmp_path):
    parts, asked = [part(12, d=576, pool="mean")], [model.chat.prompt_ids(text) for text in (QUESTION, "Hello")]
    recipe = replace(random_direction(model), gate=written(tmp_path / "gate.safetensors", model.chat, parts, asked))
    recipe.save(tmp_path / "gated.toml")
    assert "open from" in talk(f"/recipe {tmp_path / 'gated.toml'}") + talk("/gate")
    decided = talk(QUESTION)
    assert "gate open (" in decided or "gate shut (" in decided
    talk("/reset")
    assert "forced shut" in talk("/gate shut") and "gate shut · unsteered" in talk(QUESTION)
    talk("/reset")
    assert "forced open" in talk("/gate open") and "gate open · steered" in talk(QUESTION)
    talk("/reset")
    assert "only watched" in talk("/gate watch") and "unsteered" in talk(QUESTION)
    talk("/reset")
    talk("/gate recipe")
    assert talk.session.recipe.sha256 == recipe.sha256 and talk(QUESTION) == decided
    assert "can't read 'ajar'" in talk("/gate ajar") and talk.session.recipe.sha256 == recipe.sha256


def test_the_prompt_says_in_a_word_what_will_happen(talk, monkeypatch):
    words = {"/recipe guarded": "gated", "/gate open": "steered", "/gate shut": "unsteered", "/gate watch": "watched"}
    words |= {"/gate recipe": "gated", "/off": "unsteered", "/on": "gated", "/recipe refusal": "steered"}
    asked, lines = [], [*words, "/quit"]

    def ask(label):
        asked.append(label)
        return lines[len(asked) - 1]

    monkeypatch.setattr(session, "ask", ask)
    assert talk.session.run() == 0
    assert asked == [f"{word} > " for word in ["unsteered", *words.values()]]


def test_compare_before_any_prompt_waits_for_one(talk, model, tmp_path):
    talk.session.recipe = random_direction(model)
    assert "next prompt" in talk("/compare")
    told = talk(QUESTION)
    assert "unsteered · " in told and "tokens edited" in told
    assert not talk.session.compare_next


@pytest.mark.parametrize(
    "line, said",
    [
        ("/dance", "no command /dance"),
        ("/on", "no recipe to turn on"),
        ("/compare hi", "nothing to compare with"),
        ("/recipe", "needs a file"),
        ("/gate open", "there is no gate"),
        ("/recipe nowhere.toml", "can't read recipe nowhere.toml"),
        ("/clamp twelve=8", "can't read 'twelve=8'"),
        ("/clamp 12=much", "can't read the value"),
        ("/clamp 12", "LATENT=VALUE"),
        ("/clamp", "no latent is clamped"),
        ("/help", "/clamp 123=8"),
        ("/save mine.toml", "nothing to keep"),
        ("/sav mine.toml", "no command /sav; did you mean /save?"),
        ("/off\nHow are you?", "a command stands on a line of its own"),
    ],
)
def test_a_slip_in_a_command_is_told_and_changes_nothing(talk, line, said):
    assert said in talk(line)
    assert talk.session.recipe is None and not talk.session.on and not talk.session.history


def test_whoever_changes_the_steering_is_told_that_refusals_are_remembered(talk, model, tmp_path):
    random_direction(model).save(tmp_path / "noise.toml")
    talk(f"/recipe {tmp_path / 'noise.toml'}")
    refused, answered = "I'm sorry, but I can't help you with that.", "The capital of France is Paris."
    talk.session.history = turns(answered)
    assert "refus" not in talk("/off") + talk("/on")
    talk.session.history = turns(refused, answered)
    for line in ("/off", "/on", f"/recipe {tmp_path / 'noise.toml'}"):
        told = talk(line)
        assert "the conversation keeps a refusal" in told and "/reset forgets it" in told
    talk.session.history = turns(refused, answered, refused)
    assert "keeps 2 refusals" in talk("/off")
    talk("/reset")
    assert "refus" not in talk("/on")


def turns(*answers):
    pairs = (({"role": "user", "content": QUESTION}, {"role": "assistant", "content": said}) for said in answers)
    return [turn for pair in pairs for turn in pair]


def test_a_clamp_made_by_hand_is_kept_and_nothing_is_written_over_unasked(talk, model, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    talk("/clamp 405=20")
    told = talk("/save ~/kept/mine")
    path = tmp_path / "kept" / "mine.toml"
    assert str(path) in told and f"chat --recipe {path}\n" in told and f"/recipe {path}\n" in told
    kept = Recipe.load(path)
    assert (kept.name, kept.clamps[0].values) == ("mine", {405: 20.0})
    assert kept.sha256 == talk.session.recipe.sha256 and kept.note == "clamped by hand"
    talk("/clamp 405=30")
    told = talk(f"/save {path}")
    assert f"{path} is there already; /save! {path} writes over it" in told and Recipe.load(path) == kept
    talk(f"/save! {path}")
    assert Recipe.load(path).clamps[0].values == {405: 30.0}
    for line, said in (("/save", "needs a file's name"), (f"/save {tmp_path}", "is a folder")):
        assert said in talk(line)
    assert "ends in .toml" in talk("/save mine.json") and "no user here has" in talk("/save ~no-such-user-here/x")
    assert [file.name for file in path.parent.iterdir()] == ["mine.toml"]


def test_what_is_kept_of_a_gated_recipe_is_whole(talk, model, tmp_path):
    talk("/recipe guarded")
    talk("/clamp 405=20")
    made = talk.session.recipe
    assert made.note == "clamped by hand, beginning with guarded"
    assert "its gate's file beside it" in talk(f"/save {tmp_path / 'mine.toml'}")
    kept = Recipe.load(tmp_path / "mine.toml")
    assert kept.sha256 == made.sha256 and (tmp_path / kept.gate.file).is_file()
    talk(f"/recipe {tmp_path / 'mine.toml'}")
    assert talk.session.recipe.sha256 == made.sha256


def test_a_pipe_knows_every_command_of_a_conversation(talk):
    assert {*talk.session.commands, "/quit", "/exit"} == set(chat.COMMANDS)


def test_ctrl_c_stops_the_answer_only(talk, monkeypatch):
    def interrupted(_model, _ids, _recipe, _sampling, write, *_):
        write("The capi")
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "stream", interrupted)
    assert "stopped" in talk(QUESTION)
    assert talk.session.history[-1]["content"] == "The capi"


def test_in_a_conversation_too_an_answer_that_repeats_itself_is_stopped(talk, stuck):
    talk.session.sampling = Sampling(56)
    talk(f"/recipe {stuck}")
    told = talk("Name a colour.")
    assert "stopped, for it repeats itself" in told
    said = talk.session.history[-1]["content"]
    assert said and said in told
    talk("/reset")
    talk.session.repeat = True
    assert "cut at 56 tokens" in talk("Name a colour.") and talk.session.history[-1]["content"].startswith(said)


def test_latents_are_clamped_anew_or_added(model, tiny_sae):
    recipe = Recipe("r", model.name, "", (Clamp(str(tiny_sae), "", 12, {1: 2.0}),))
    assert clamped(recipe, ["3=4", "5=-1.5x"], model).edits[0].values == {3: 4.0, 5: "-1.5x"}
    assert clamped(recipe, ["+3=4"], model).edits[0].values == {1: 2.0, 3: 4.0}
    with pytest.raises(ClampdownError, match="finite"):
        clamped(recipe, ["3=nan"], model)


@pytest.mark.parametrize("operation", ["at-least", "multiply"])
def test_a_latent_named_by_hand_is_set_whatever_the_recipe_does_to_others(operation, model, tiny_sae):
    clamp = Clamp(str(tiny_sae), "", 12, {1: 2.0, 2: 3.0}, operation=operation)
    recipe = Recipe("r", model.name, "", (Direction(12, 1.0, seed=1), clamp))
    told = [(edit.operation, edit.values) for edit in clamped(recipe, ["3=4"], model).clamps]
    assert told == [("set", {3: 4.0})]
    told = [(edit.operation, edit.values) for edit in clamped(recipe, ["+2=4"], model).clamps]
    assert told == [(operation, {1: 2.0}), ("set", {2: 4.0})]
    told = [(edit.operation, edit.values) for edit in clamped(recipe, ["+1=4", "+2=5"], model).clamps]
    assert told == [("set", {1: 4.0, 2: 5.0})]


def test_clamping_by_hand_takes_the_place_of_a_direction_unless_it_is_added(talk, model):
    talk("/recipe guarded")
    guarded = talk.session.recipe
    assert "no latent is clamped" in talk("/clamp") and "adds a direction × 0.7 at layer 12" in talk("/clamp")
    told = talk("/clamp 405=20")
    assert "405=20" in told and "direction" not in told
    made, refusal = talk.session.recipe, Recipe.load(bundled_path("refusal"))
    assert [edit.values for edit in made.edits] == [{405: 20.0}] and made.gate == guarded.gate
    assert made.positions == refusal.positions != guarded.positions
    assert clamped(None, ["405=20"], model).positions == refusal.positions
    talk("/recipe guarded")
    told = talk("/clamp +405=20")
    assert "405=20" in told and "adds a direction × 0.7 at layer 12" in told
    assert talk.session.recipe.edits[:-1] == guarded.edits and talk.session.recipe.positions == guarded.positions


def test_a_latent_out_of_range_is_told_and_the_old_clamp_stays(talk, model, tiny_sae):
    talk.session.recipe = Recipe("r", model.name, "", (Clamp(str(tiny_sae), "", 12, {1: 2.0}),))
    told = talk("/clamp 999=5")
    assert "latent 999 does not exist" in told and "0 to 15" in told
    assert talk.session.recipe.edits[0].values == {1: 2.0}
    assert "3=4" in talk("/clamp 3=4")
    assert "tokens edited" in talk("Hello")


@pytest.fixture
def tiny_sae(tmp_path, model):
    import torch

    from clampdown.saes.files import save_sae
    from clampdown.saes.sae import SAE

    rows = torch.randn(16, model.chat.d_model, generator=torch.Generator().manual_seed(0))
    sae = SAE("tiny", "relu", 12, rows, torch.zeros(16), rows / 24, torch.zeros(model.chat.d_model))
    save_sae(sae, tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"
