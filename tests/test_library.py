"""The library: light to import, one door to everything, and the same arithmetic under each way in."""

import subprocess
import sys

import pytest

import clampdown
from clampdown import ClampdownError, Direction, Recipe


@pytest.fixture(scope="module")
def model():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)  # two threads on a busy machine mostly wait for each other
    yield clampdown.load(dtype="float32")
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def recipe(model):
    edit = Direction(layer=12, strength=40.0, seed=1)
    return Recipe("noise", model.name, model.chat.sha256, (edit,), system_prompt="Be kind.")


def test_importing_is_light():
    code = (
        "import sys, clampdown; assert dir(clampdown); sys.exit(not {'torch', 'transformers'}.isdisjoint(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_every_public_name_is_there():
    for name in clampdown.__all__:
        assert getattr(clampdown, name) is not None
    assert set(clampdown.__all__) <= set(dir(clampdown))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = clampdown.nonsense


def test_generate_takes_a_prompt_a_chat_or_a_list(model):
    one = model.generate("Name a colour.", max_new_tokens=2)
    chat = model.generate([{"role": "user", "content": "Name a colour."}], max_new_tokens=2)
    assert one == chat and len(one.ids) == 2
    assert model.generate([], max_new_tokens=2) == []


def test_each_prompt_has_its_own_recipe_and_receipt(model, recipe, tmp_path):
    path = tmp_path / "noise.toml"
    recipe.save(path)
    answers = model.generate(["Name a colour."] * 3, recipe=[None, recipe, str(path)], max_new_tokens=2)
    plain, steered, same = answers
    assert plain.receipt.tokens_edited == 0 and plain.receipt.recipe_sha256 == ""
    assert (steered.text, steered.receipt.recipe_sha256) == (same.text, same.receipt.recipe_sha256)
    assert steered.receipt.recipe_sha256 == recipe.sha256
    # The recipe's system prompt takes the place of the template's own.
    assert steered.receipt.tokens_seen != plain.receipt.tokens_seen


def test_batches_do_not_change_who_gets_which_recipe(model, recipe):
    answers = model.generate(["One.", "Two.", "Three."], recipe=[None, recipe, None], max_new_tokens=1, batch_size=2)
    assert [bool(a.receipt.tokens_edited) for a in answers] == [False, True, False]


def test_steered_wraps_a_plain_call_and_leaves_nothing_behind(model, recipe):
    import torch

    ids = torch.tensor([model.chat.prompt_ids("Name a colour.")])
    with torch.inference_mode():
        before = model.hf(ids).logits
        with model.steered(recipe) as steering:
            during = model.hf(ids).logits
        after = model.hf(ids).logits
    assert torch.equal(before, after) and not torch.allclose(before, during)
    [receipt] = steering.receipts()
    assert receipt.tokens_edited == ids.shape[1] - 1


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"prompt": "  "}, "prompt is empty"),
        ({"prompt": ["a", "b"], "recipe": [None]}, "1 recipes were given for 2 prompts"),
        ({"prompt": "a", "recipe": "nowhere.toml"}, "can't read recipe nowhere.toml"),
        ({"prompt": "a", "max_new_tokens": 0}, "at least one token"),
        ({"prompt": "a", "temperature": -1}, "temperature"),
    ],
)
def test_mistakes_are_told(model, arguments, said):
    with pytest.raises(ClampdownError, match=said):
        model.generate(**arguments)


def _told(wrong):
    return "object" if type(wrong) is object else repr(wrong)  # whose own tells its address


RUBBISH = [5, 0, True, b"refusal.toml", {}, set(), object(), 1.5, "", "  ", [5], [b"x"], [[]], [{}]]


@pytest.mark.parametrize("wrong", [*RUBBISH, [], (), [""]], ids=_told)
def test_what_is_no_recipe_steers_nothing_and_says_so(model, wrong, one_line):
    for call in (lambda: model.steered(wrong), lambda: model.generate(["a"], wrong)):
        with pytest.raises(ClampdownError) as caught:
            call()
        one_line(caught)
    if not isinstance(wrong, list | tuple):
        for call in (lambda: model.generate("a", wrong), lambda: clampdown.study(wrong, model=model)):
            with pytest.raises(ClampdownError) as caught:
                call()
            one_line(caught)


@pytest.mark.parametrize(
    "wrong", [*RUBBISH, None, ["a", ""], [{"role": "user"}], [{"role": "user", "content": 5}]], ids=_told
)
def test_what_is_no_prompt_is_told(model, recipe, wrong, one_line):
    for some in (None, recipe):
        with pytest.raises(ClampdownError) as caught:
            model.generate(wrong, some)
        one_line(caught)


HALF = "half \udcff a character"


def test_half_a_character_is_told_wherever_text_is_read(model, recipe, one_line):
    chat = [{"role": "user", "content": HALF}]
    wrongs = [lambda: model.generate(HALF, recipe), lambda: model.generate([chat, "b"])]
    wrongs += [lambda: model.generate("a", system=HALF), lambda: model.chat.text_ids(HALF)]
    for wrong in wrongs:
        with pytest.raises(ClampdownError) as caught:
            wrong()
        one_line(caught, "half of a character", "UTF-8")


def test_a_generator_of_prompts_is_told(model, one_line):
    with pytest.raises(ClampdownError) as caught:
        model.generate(prompt for prompt in ("a", "b"))
    one_line(caught, "prompt")


WRONG = [
    (clampdown.load, {"name": ""}),
    (clampdown.load, {"name": 5}),
    (clampdown.load, {"dtype": 32}),
    (clampdown.load, {"device": 0}),
    (clampdown.load, {"revision": ""}),
    (clampdown.load, {"template_options": "no"}),
    (clampdown.find, {"sae": ""}),
    (clampdown.find, {"sae": 5}),
    (clampdown.find, {"model": ""}),
    (clampdown.find, {"unsafe": "prompts.jsonl"}),
    (clampdown.find, {"safe": [5]}),
    (clampdown.find, {"text": [""]}),
    (clampdown.find, {"limit": 0}),
    (clampdown.find, {"limit": "3"}),
    (clampdown.find, {"candidates": 1.5}),
    (clampdown.find, {"latents": True}),
    (clampdown.find, {"value": "1.5x"}),
    (clampdown.find, {"value": float("nan")}),
    (clampdown.find, {"seed": None}),
    (clampdown.find, {"method": 5}),
    (clampdown.find, {"prompt": b"x"}),
    (clampdown.load_sae, {"name": 5}),
    (clampdown.load_sae, {"name": b"x"}),
    (clampdown.load_sae, {"name": None}),
    (clampdown.load_sae, {"name": ""}),
    (clampdown.check_sae, {"sae": b"x"}),
    (clampdown.check_sae, {"layer": "12"}),
    (clampdown.check_sae, {"text": ""}),
    (clampdown.check_sae, {"model": ["a"]}),
    (clampdown.tune, {"model": 5}),
    (clampdown.tune, {"model": ""}),
    (clampdown.tune, {"sae": 5, "kind": "clamp", "latents": 4}),
    (clampdown.study, {"plan": 5}),
    (clampdown.study, {"sets": ["a.jsonl"]}),
    (clampdown.study, {"sets": {"unsafe": "a.jsonl"}}),
    (clampdown.study, {"attacks": {"kind": "best-of-n"}}),
    (clampdown.study, {"attacks": ["best-of-n"]}),
    (clampdown.study, {"tasks": {}}),
    (clampdown.study, {"folder": ""}),
    (clampdown.study, {"model": ""}),
]


@pytest.mark.parametrize("call, arguments", WRONG, ids=[f"{call.__name__} {said}" for call, said in WRONG])
def test_wrong_arguments_are_told_before_a_model_is_loaded(call, arguments, one_line, monkeypatch):
    def loaded(*_args, **_kwargs):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("clampdown.models.loading.load", loaded)
    with pytest.raises(ClampdownError) as caught:
        call(**arguments)
    one_line(caught)


@pytest.mark.parametrize(
    "how",
    [
        {"system": 5},
        {"batch_size": 0},
        {"batch_size": "2"},
        {"max_new_tokens": 2.0},
        {"temperature": "1"},
        {"temperature": float("nan")},
        {"seed": None},
    ],
    ids=_told,
)
def test_wrong_settings_are_told(model, how, one_line):
    with pytest.raises(ClampdownError) as caught:
        model.generate("a", **how)
    one_line(caught)


HUGE = Recipe("huge", "tiny", "", (Direction(1, 3e38, seed=1),))


@pytest.mark.parametrize("tested", [False, True])
def test_a_prompt_that_fails_leaves_the_others_their_answers(model, recipe, tested, monkeypatch):
    """In its self-test, or later, as where only a long prompt overflows."""
    monkeypatch.setattr(model, "_tested", {HUGE.sha256} if tested else set())
    prompts, recipes = ["Say a colour.", "And a number.", "Hello!", "Bye."], [recipe, HUGE, None, recipe]
    alone = [model.generate(p, r, max_new_tokens=6) for p, r in zip(prompts, recipes, strict=True) if r is not HUGE]
    for size in (1, 2, 4):
        with pytest.raises(ClampdownError, match=r"1 of 4 prompts got no answer: recipe huge: .* not finite") as caught:
            model.generate(prompts, recipes, max_new_tokens=6, batch_size=size)
        answers = caught.value.answers
        assert [a.ids for a in answers if not a.error] == [a.ids for a in alone]
        assert [a.receipt.tokens_edited for a in answers if not a.error] == [a.receipt.tokens_edited for a in alone]
        assert not answers[1].text and not answers[1].ids and "huge" in answers[1].error
    with pytest.raises(ClampdownError, match=r"^recipe huge: .* not finite"):
        model.generate("Hello!", HUGE)


def test_a_plan_that_does_not_exist_is_told(model, recipe):
    with pytest.raises(ClampdownError, match="no plan is called 'huge'"):
        clampdown.study(recipe, model=model, plan="huge")


def test_a_missing_shipped_recipe_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr("clampdown.library.DEFAULT_RECIPE", tmp_path / "none.toml")
    with pytest.raises(ClampdownError, match="ships no recipe"):
        clampdown.default_recipe()
