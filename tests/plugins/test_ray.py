"""Ray Data's batch jobs: answers of two workers are the library's, and vLLM is told the recipe."""

import json
from dataclasses import replace

import pytest

from clampdown import library
from clampdown.errors import ClampdownError
from clampdown.plugins.ray import Asking, Steered, sampling_params
from clampdown.plugins.vllm.wire import written
from clampdown.recipe import Clamp, Gate, Positions, Recipe
from clampdown.recipe.bundled import BUNDLED, bundled_path
from clampdown.saes.files import save_sae

PROMPTS = ["Tell me of herons.", "What is rain?", "Name a river.", "why " * 600]


@pytest.fixture(scope="module")
def recipe(tiny, make_sae, tmp_path_factory):
    sae, path = make_sae(), tmp_path_factory.mktemp("sae") / "tiny.safetensors"
    save_sae(sae, path)
    name = str(tiny.folder)
    return Recipe("tiny clamp", name, tiny.sha256, (Clamp(str(path), sae.sha256, 1, {3: 4.0, 40: 2.0}),))


@pytest.fixture(scope="module")
def wanted(recipe):
    model = library.load(recipe.model, dtype="float32")
    return [answer.text for answer in model.generate(PROMPTS[:3], recipe, max_new_tokens=6)]


def check(rows, wanted):
    rows = sorted(rows, key=lambda row: row["n"])
    assert [row["answer"] for row in rows] == [*wanted, ""]
    assert [bool(row["error"]) for row in rows] == [False] * 3 + [True] and "context" in rows[3]["error"]
    assert all(json.loads(row["receipt"])["tokens_edited"] > 0 for row in rows[:3])


def test_a_batch_is_answered_as_the_library_does_and_one_long_prompt_ends_nothing(recipe, wanted):
    steered = Steered(recipe, load={"dtype": "float32"}, max_new_tokens=6)
    found = steered({"n": range(4), "prompt": PROMPTS})
    check([{key: found[key][n] for key in found} for n in range(4)], wanted)
    with pytest.raises(ClampdownError, match="no column 'prompt'"):
        steered({"text": PROMPTS})


def test_two_workers_answer_a_dataset(recipe, wanted, monkeypatch):
    ray = pytest.importorskip("ray")
    data = pytest.importorskip("ray.data", exc_type=ImportError)
    from clampdown.engine import cluster

    monkeypatch.setenv("RAY_worker_niceness", "0")  # else whatever runs beside a test goes first
    cluster._begin(ray, cluster.Cluster(workers=3))  # two answer, and what hands rows out needs a core too
    try:
        asked = [{"n": n, "prompt": prompt} for n, prompt in enumerate(PROMPTS)]
        rows = data.from_items(asked, override_num_blocks=2)
        told = {"recipe": recipe, "load": {"dtype": "float32"}, "max_new_tokens": 6}
        pool = data.ActorPoolStrategy(size=2)
        found = rows.map_batches(Steered, fn_constructor_kwargs=told, batch_size=2, compute=pool).take_all()
    finally:
        ray.shutdown()
    check(found, wanted)


def test_vllm_is_told_the_recipe_and_how_to_sample(recipe):
    told = sampling_params(recipe, max_tokens=9, extra_args={"other": "1"})
    assert told.keys() == {"temperature", "max_tokens", "extra_args"} and told["extra_args"]["other"] == "1"
    assert Recipe.from_dict(json.loads(told["extra_args"]["clampdown"])) == recipe
    assert sampling_params(None, temperature=0.5) == {"temperature": 0.5}

    row = Asking(replace(recipe, system_prompt="Be kind."), system="Be brief.", max_tokens=9)({"prompt": "Hello"})
    assert row["messages"] == [
        {"role": "system", "content": "Be kind.\n\nBe brief."},
        {"role": "user", "content": "Hello"},
    ]
    assert row["sampling_params"]["max_tokens"] == 9
    chat = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Yes?"}]
    assert Asking(None)({"prompt": chat}) == {"messages": chat, "sampling_params": {"temperature": 0.0}}


@pytest.mark.parametrize("name", BUNDLED)
def test_what_vllm_is_asked_our_plug_in_lets_in(bundled, name):
    """Gates and system prompts as well: a path or a second system prompt would be refused there."""
    pytest.importorskip("fastapi")
    from clampdown.plugins.vllm.door import Door

    recipe = replace(Recipe.load(bundled_path(name)), system_prompt="Be kind.")
    told = written(Asking(recipe)({"prompt": "Hello"})["sampling_params"]["extra_args"])
    asked = Door(bundled).asked(told, bundled.prompt_ids("Hello", system="Be kind."))
    assert asked.recipe.edits == recipe.edits
    assert (asked.recipe.gate and asked.recipe.gate.sha256) == (recipe.gate and recipe.gate.sha256)


def test_what_one_set_of_parameters_can_not_say_is_refused(recipe, one_line):
    outside = replace(recipe, gate=Gate(external="wildguard"))
    for wrong, word in ((outside, "outside"), (replace(recipe, positions=Positions(prompt="user")), "Steered")):
        with pytest.raises(ClampdownError) as caught:
            sampling_params(wrong)
        one_line(caught, "tiny clamp", word)
