"""Windows by name, and how a search chooses one."""

from dataclasses import replace

import pytest

from clampdown.discovery import options as options_module
from clampdown.discovery.confirm import Confirmed
from clampdown.discovery.find import find
from clampdown.discovery.options import Effort, FindOptions
from clampdown.discovery.windows import WINDOWS, window
from clampdown.errors import ClampdownError
from clampdown.recipe import Positions
from clampdown.saes.files import save_sae
from clampdown.saes.load import load_sae

WINDOW_OF = {
    "all": Positions(),
    "last": Positions(prompt="last"),
    "none": Positions("generated"),
    "all+8": Positions(generated=8),
    "last+14": Positions(prompt="last", generated=14),
    "last+8~6": Positions(prompt="last", generated=8, fade=6),
    "all+0": Positions(generated="none"),
}


@pytest.mark.parametrize("name", WINDOW_OF)
def test_a_window_by_its_name(name):
    assert window(name) == WINDOW_OF[name]
    assert window(name, 900.0) == replace(WINDOW_OF[name], sink_norm=900.0)


@pytest.mark.parametrize(
    "name", ["", "All", "first+8", "all+", "all+8~", "all~3", "all+-1", "8", "all+9999999999", "none+0"]
)
def test_what_is_no_window_is_told(name, one_line):
    with pytest.raises(ClampdownError) as caught:
        FindOptions(window=name)
    one_line(caught, "window")


def test_the_paper_s_window_is_among_those_tried():
    assert window(WINDOWS[0]).everywhere and len(set(map(window, WINDOWS))) == len(WINDOWS) > 2


@pytest.fixture
def sae(make_sae, tmp_path):
    path = tmp_path / "sae.safetensors"
    save_sae(replace(make_sae(), model="tiny"), path)
    return load_sae(str(path))


@pytest.fixture
def doing(monkeypatch):
    """What trials do, by their window and factor, as if they had been tried; it returns what was asked."""
    asked = []

    def says(coherent):
        def together(model, recipes, factor, unsafe, safe, sampling):
            told = []
            for recipe in recipes:
                [name] = [name for name in WINDOWS if window(name, recipe.positions.sink_norm) == recipe.positions]
                asked.append((name, factor, len(unsafe), len(safe), sampling.max_new_tokens))
                n = (len(unsafe), len(safe))
                told.append(Confirmed(factor, coherent(name, factor, len(unsafe)), 0.0, 0.0, n, n))
            return told

        monkeypatch.setattr("clampdown.discovery.trials.confirm_together", together)
        monkeypatch.setattr(
            "clampdown.discovery.trials.confirm", lambda model, recipe, *rest: together(model, [recipe], *rest)[0]
        )
        return asked

    return says


def test_window_and_strength_are_chosen_together(tiny, sae, doing):
    """Neither the best window at the first strength nor the best strength of the first window."""
    best = {("all", 1.4): 0.3, ("all", 1.9): 0.4, ("last+14", 1.4): 0.5, ("all+8", 1.9): 0.7, ("all", 2.4): 0.65}
    asked = doing(lambda name, factor, n: best.get((name, factor), 0.1))
    found = find(tiny, sae, FindOptions(candidates=4, latents=2))
    assert found.recipe.positions == window("all+8", found.recipe.positions.sink_norm)
    assert [each[:2] for each in asked] == [(name, factor) for factor in (1.4, 1.9, 2.4) for name in WINDOWS]
    assert {each[4] for each in asked} == {64}
    told = [note for note in found.notes if "window all+8" in note]
    assert len(told) == 3 and "×1.9" in told[1] and "70% of 6 unsafe" in told[1]


def test_a_strength_that_reaches_the_target_in_any_window_ends_the_search(tiny, sae, doing):
    asked = doing(lambda name, factor, n: 0.95 if name == "all+14" else 0.2)
    found = find(tiny, sae, FindOptions(candidates=4, latents=2))
    assert {factor for _, factor, *_ in asked} == {1.4}
    assert found.recipe.positions.generated == 14


def test_one_window_may_be_fixed(tiny, sae, doing):
    asked = doing(lambda name, factor, n: 0.2)
    find(tiny, sae, FindOptions(candidates=4, latents=2, window="all"))
    assert {name for name, *_ in asked} == {"all"}
    asked.clear()
    find(tiny, sae, FindOptions(candidates=4, latents=2, value=3.0))  # a fixed value has windows, too
    assert [name for name, *_ in asked] == list(WINDOWS)


def test_finalists_meet_again_on_all_prompts(tiny, sae, doing, monkeypatch):
    """What a few prompts flattered does not win."""
    effort = Effort(4, 2, 1, 6, (1.0,), screened=(3, 2), finalists=2)
    monkeypatch.setattr(options_module.FindOptions, "effort", effort)
    rates = {("all", 1.4, 3): 0.6, ("all", 1.4, 6): 0.2, ("all+14", 1.4, 3): 0.5, ("all+14", 1.4, 6): 0.4}
    asked = doing(lambda *trial: rates.get(trial, 0.1))
    found = find(tiny, sae, FindOptions(candidates=4, latents=2))
    assert [each[:4] for each in asked[-2:]] == [("all", 1.4, 6, 6), ("all+14", 1.4, 6, 6)]
    assert {each[2:4] for each in asked[:-2]} == {(3, 2)} and len(found.tried) == len(asked)
    assert found.recipe.positions.generated == 14
