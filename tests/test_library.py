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


def test_a_plan_that_does_not_exist_is_told(model, recipe):
    with pytest.raises(ClampdownError, match="no plan is called 'huge'"):
        clampdown.study(recipe, model=model, plan="huge")


def test_a_missing_shipped_recipe_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr("clampdown.library.DEFAULT_RECIPE", tmp_path / "none.toml")
    with pytest.raises(ClampdownError, match="ships no recipe"):
        clampdown.default_recipe()
