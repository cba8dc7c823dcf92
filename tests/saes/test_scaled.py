"""Rows times a factor: as if the whole matrix had been multiplied, without anybody doing so."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from clampdown.errors import ClampdownError
from clampdown.recipe import Clamp
from clampdown.saes.files import save_sae
from clampdown.saes.load import load_sae
from clampdown.saes.scaled import Scaled, scaled
from clampdown.saes.tiles import product, row_norms, weighted_rows
from clampdown.steering.edits import compile_edit

N, D = 96, 32


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def refuse(self):
    raise AssertionError("the whole matrix was multiplied")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_rows_slices_and_products_read_what_they_need(dtype, monkeypatch):
    monkeypatch.setattr(Scaled, "_whole", refuse)
    stored, by = draw(D, N).to(dtype).T, draw(N, seed=1).exp()
    matrix, whole = scaled(stored, by), stored.float() * by[:, None]
    assert matrix.shape == (N, D) and matrix.dtype == torch.float32
    for index in (5, torch.tensor([3, 90]), [1, 1], by > 1):
        assert torch.equal(matrix[index], whole[index])
        assert not isinstance(matrix[index], Scaled)
    few = matrix[10:20]
    assert isinstance(few, Scaled) and torch.equal(few[torch.arange(10)], whole[10:20])
    torch.testing.assert_close(product(draw(7, D), matrix, by), draw(7, D) @ whole.T + by)
    torch.testing.assert_close(weighted_rows(draw(7, N), matrix), draw(7, N) @ whole)
    twice = scaled(matrix, torch.tensor(0.5))
    assert twice.stored is stored and torch.equal(twice[5], whole[5] / 2)


def test_any_other_operation_has_the_product():
    stored, by = draw(N, D).bfloat16(), draw(N, seed=1)
    matrix, whole = scaled(stored, by), stored.float() * by[:, None]
    assert torch.equal(matrix, whole) and torch.equal(matrix[3:5, 2], whole[3:5, 2])
    assert torch.equal(matrix.half(), whole.half()) and torch.equal(draw(4, D) @ matrix.T, draw(4, D) @ whole.T)
    torch.testing.assert_close(row_norms(matrix), whole.norm(dim=1))
    assert torch.equal(deepcopy(matrix), whole)
    assert isinstance(matrix.to("meta"), Scaled) and matrix.to("cpu") is matrix


@pytest.mark.parametrize("kind", ["relu", "jumprelu", "topk", "batchtopk", "gated"])
def test_an_sae_with_factors_is_the_sae_with_them_multiplied(kind, make_sae, monkeypatch, tmp_path):
    sae, by = make_sae(kind), draw(N, seed=3).exp()
    parts = {"w_enc": scaled((sae.w_enc / by[:, None]), by), "w_dec": scaled(sae.w_dec * by[:, None], 1 / by)}
    lazy, x = replace(sae, **parts), draw(200, D, seed=4)
    save_sae(lazy, tmp_path / "sae.safetensors")
    torch.testing.assert_close(load_sae(str(tmp_path)).w_dec, sae.w_dec)

    z = sae.encode(x)
    lazy.check_finite()  # which looks at all, a tile at a time
    monkeypatch.setattr(Scaled, "_whole", refuse)
    torch.testing.assert_close(lazy.encode(x), z, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(lazy.encode_latents(x, [3, 50]), z[:, [3, 50]], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(lazy.decode(z), sae.decode(z), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(lazy.only([3, 50]).w_dec, sae.w_dec[[3, 50]])
    for rule in ("delta", "reconstruct"):
        edits = [
            compile_edit(
                Clamp("tiny", "", 1, {3: 4.0, 50: 0.0}, rule),
                n_layers=4,
                d_model=D,
                device=torch.device("cpu"),
                saes=[one],
            )
            for one in (lazy, sae)
        ]
        torch.testing.assert_close(edits[0].delta(x), edits[1].delta(x), atol=1e-4, rtol=1e-4)


def test_a_factor_that_is_not_finite_is_seen(make_sae, one_line):
    sae = make_sae("relu")
    with pytest.raises(ClampdownError) as caught:
        replace(sae, w_dec=scaled(sae.w_dec, torch.full((N,), torch.inf))).check_finite()
    one_line(caught, "w_dec holds a value that is not finite")


@pytest.mark.parametrize("inference", [False, True])
def test_moving_keeps_the_factors_apart_also_in_inference_mode(inference):
    matrix = scaled(torch.randn(6, 4, dtype=torch.bfloat16), torch.arange(1.0, 7.0))
    with torch.inference_mode(inference):
        for moved in (
            matrix.to("cpu"),
            matrix.to("cpu", torch.float32),
            matrix.float(),
            matrix.detach(),
            matrix.to("meta"),
        ):
            assert isinstance(moved, Scaled)
        assert matrix.to(torch.float16).dtype == torch.float16
        torch.testing.assert_close(matrix.to("cpu", torch.float64), matrix.stored.double() * matrix.by[:, None])
