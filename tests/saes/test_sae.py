"""The SAE's arithmetic: every kind, with and without normalisation, against formulas written out."""

import pytest
import torch

from clampdown.errors import ClampdownError
from clampdown.saes.sae import KINDS, NORMALISATIONS
from clampdown.steering.edits import DeltaClamp, ReconstructClamp

every = pytest.mark.parametrize("kind, normalise", [(k, n) for k in KINDS for n in NORMALISATIONS])
VALUES = {3: 2.5, 40: 0.0, 7: -1.0}


def residuals(rows=64, seed=5):
    return 2 * torch.randn(rows, 32, generator=torch.Generator().manual_seed(seed)) + 0.3


def plain_encode(sae, x):
    """One token, one latent at a time, in float64."""
    x = x.double()
    if sae.normalise == "layer_norm":
        x = (x - x.mean()) / (x.std() + 1e-5)
    pre = [float(row.double() @ (x - sae.b_dec.double()) + b) for row, b in zip(sae.w_enc, sae.b_enc, strict=True)]
    if sae.kind == "relu":
        return [max(p, 0.0) for p in pre]
    if sae.kind == "topk":
        return [max(p, 0.0) if sum(q > p for q in pre) < sae.k else 0.0 for p in pre]
    return [p if p > t else 0.0 for p, t in zip(pre, sae.threshold.tolist(), strict=True)]


@every
def test_encode_is_its_formula(kind, normalise, make_sae):
    sae, x = make_sae(kind, normalise), residuals(6)
    plain = torch.tensor([plain_encode(sae, row) for row in x])
    torch.testing.assert_close(sae.encode(x), plain, atol=1e-5, rtol=1e-5)
    assert 0 < (plain > 0).float().mean() < 0.9


@every
def test_a_few_latents_are_the_columns_of_all(kind, normalise, make_sae):
    sae, x = make_sae(kind, normalise), residuals(200).reshape(4, 50, 32)
    latents = [5, 0, 95, 40, 7]
    few = sae.encode_latents(x, latents)
    assert few.shape == (4, 50, 5) and (few > 0).any()
    torch.testing.assert_close(few, sae.encode(x)[..., latents], atol=1e-5, rtol=1e-5)


@every
def test_delta_is_decode_of_changed_plus_error(kind, normalise, make_sae):
    sae, x = make_sae(kind, normalise), residuals()
    z = sae.encode(x)
    changed = z.clone()
    for latent, value in VALUES.items():
        changed[:, latent] = value
    like = sae.normalised(x)
    expected = sae.decode(changed, like) + (x - sae.decode(z, like))
    torch.testing.assert_close(x + DeltaClamp(sae, 1, VALUES).delta(x), expected, atol=2e-5, rtol=1e-5)


@every
def test_unclamped_delta_is_the_identity_exactly(kind, normalise, make_sae):
    sae, x = make_sae(kind, normalise), residuals()
    for row in x:
        z = sae.encode_latents(row[None], [3, 40])[0]
        same = DeltaClamp(sae, 1, {3: float(z[0]), 40: float(z[1])})
        assert torch.equal(row[None] + same.delta(row[None]), row[None])


@every
def test_reconstruct_drops_the_error(kind, normalise, make_sae):
    sae, x = make_sae(kind, normalise), residuals()
    bare = x + ReconstructClamp(sae, 1, {}).delta(x)
    torch.testing.assert_close(bare, sae.reconstruct(x), atol=2e-5, rtol=1e-5)
    z = sae.encode(x)
    z[:, 3] = 2.5
    clamped = x + ReconstructClamp(sae, 1, {3: 2.5}).delta(x)
    torch.testing.assert_close(clamped, sae.decode(z, sae.normalised(x)), atol=2e-5, rtol=1e-5)
    assert (bare - x).norm() > 1


def test_all_that_tie_for_the_last_place_are_on(make_sae):
    """DESIGN: a latent is on when fewer than k others exceed it. So ties are all on, in either path, in any order."""
    from dataclasses import replace

    sae = make_sae("topk")
    twin = replace(sae, w_enc=sae.w_enc[:1].repeat(96, 1), b_enc=torch.ones(96))
    x = twin.b_dec[None].repeat(3, 1)
    assert (twin.encode(x) == 1).all()
    assert torch.equal(twin.encode_latents(x, [95, 0]), torch.ones(3, 2))


def test_topk_tiles_agree(make_sae, monkeypatch):
    from clampdown.saes import sae as module

    sae, x = make_sae("topk"), residuals(100)
    whole = sae.encode_latents(x, [1, 2, 3])
    monkeypatch.setattr(module, "_TILE", 7)
    torch.testing.assert_close(sae.encode_latents(x, [1, 2, 3]), whole, atol=1e-5, rtol=1e-5)


def test_a_normalising_sae_needs_the_scale_to_decode(make_sae):
    sae = make_sae("relu", "layer_norm")
    with pytest.raises(ClampdownError, match="scale"):
        sae.decode(torch.zeros(1, 96))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "gated"},
        {"normalise": "l2"},
        {"b_enc": torch.zeros(5)},
        {"w_dec": torch.zeros(32, 96)},
        {"b_dec": torch.zeros(96)},
        {"maximum": torch.zeros(1)},
        {"w_enc": torch.zeros(96)},
        {"k": None},
        {"k": 0},
        {"k": 97},
        {"threshold": torch.zeros(96)},
        {"layer": -1},
        {"kind": "jumprelu"},
    ],
    ids=lambda change: "-".join(change),
)
def test_an_sae_that_contradicts_itself_is_refused(change, make_sae, one_line):
    from dataclasses import replace

    with pytest.raises(ClampdownError) as caught:
        replace(make_sae("topk"), **change)
    one_line(caught, "SAE tiny")


@pytest.mark.parametrize("kind", KINDS)
def test_no_latents_and_no_tokens_are_no_trouble(kind, make_sae):
    sae = make_sae(kind)
    assert sae.encode_latents(residuals(3), []).shape == (3, 0)
    assert sae.encode_latents(residuals(3)[:0], [1, 2]).shape == (0, 2)
