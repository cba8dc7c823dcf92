"""A direction kept off what ordinary prompts use: what is left of it, and that it pushes where they vary little."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks" / "precision"))

from keep_off import axes, kept_off, whitened

from clampdown.errors import ClampdownError

WIDTH = 12


@pytest.fixture
def ordinary():
    """Residuals that vary a lot in their first three coordinates, with a mean in the fourth."""
    x = 0.1 * torch.randn(400, WIDTH, generator=torch.Generator().manual_seed(0))
    x[:, :3] *= torch.tensor([300.0, 200.0, 100.0])
    x[:, 3] += 50
    return x


def test_the_axes_are_those_that_ordinary_residuals_use_most_their_mean_among_them(ordinary):
    found = axes(ordinary, 4)
    torch.testing.assert_close(found @ found.T, torch.eye(4), atol=1e-5, rtol=0)
    assert (found[:, :4].norm(dim=1) > 0.999).all()
    assert float(axes(ordinary, 1)[0, 3].abs()) > 0.9, "the mean is the longest"


@pytest.mark.parametrize("restored", [True, False])
def test_what_is_left_is_at_right_angles_to_the_axes(ordinary, restored):
    direction = torch.ones(WIDTH)
    left = kept_off(direction, axes(ordinary, 4), restored)
    assert float((axes(ordinary, 4) @ left).abs().max()) < 1e-4
    assert float(left.norm()) == pytest.approx(WIDTH**0.5 if restored else 8**0.5, rel=1e-3)
    assert float(torch.cosine_similarity(left, torch.tensor([0.0] * 4 + [1.0] * 8), dim=0)) > 0.999


def test_a_direction_that_is_off_already_stays(ordinary):
    found = axes(ordinary, 4)
    left = kept_off(torch.randn(WIDTH, generator=torch.Generator().manual_seed(1)), found)
    torch.testing.assert_close(kept_off(left, found), left, atol=1e-4, rtol=1e-4)


def test_whitening_turns_away_from_what_varies_and_keeps_the_length(ordinary):
    direction = torch.ones(WIDTH)
    made = whitened(direction, ordinary)
    assert float(made.norm()) == pytest.approx(float(direction.norm()), rel=1e-4)

    def moved(v):
        return float((ordinary @ v).var() ** 0.5 / v.norm())

    assert moved(made) < 0.5 * moved(direction)
    assert float(made @ direction) > 0
    assert torch.allclose(whitened(2 * direction, ordinary), 2 * made, atol=1e-4)


@pytest.mark.parametrize("count", [0, -1, WIDTH, 1000])
def test_axes_that_can_t_be_are_told(ordinary, count, one_line):
    with pytest.raises(ClampdownError) as caught:
        axes(ordinary, count)
    one_line(caught, "axes", str(count))


def test_a_direction_of_which_nothing_is_left_is_told(ordinary, one_line):
    found = axes(ordinary, 4)
    with pytest.raises(ClampdownError) as caught:
        kept_off(found[1], found)
    one_line(caught, "nothing", "fewer")
