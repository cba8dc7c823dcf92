"""The SAE's arithmetic: every kind, with and without normalisation, against formulas written out."""

from dataclasses import replace

import pytest
import torch

from clampdown.errors import ClampdownError
from clampdown.saes import competition, tiles
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
    if sae.normalise == "constant_norm":
        x = x * 32**0.5 / x.norm()
    core = [float(row.double() @ (x - sae.b_dec.double())) for row in sae.w_enc]
    pre = [c + b for c, b in zip(core, sae.b_enc.tolist(), strict=True)]
    if sae.kind == "relu":
        return [max(p, 0.0) for p in pre]
    if sae.kind == "topk":
        return [max(p, 0.0) if sum(q > p for q in pre) < sae.k else 0.0 for p in pre]
    if sae.kind == "gated":
        parts = zip(core, sae.gate_bias.tolist(), sae.magnitude_scale.tolist(), sae.b_enc.tolist(), strict=True)
        return [max(s * c + b, 0.0) if c + g > 0 else 0.0 for c, g, s, b in parts]
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
    sae = make_sae("topk")
    twin = replace(sae, w_enc=sae.w_enc[:1].repeat(96, 1), b_enc=torch.ones(96))
    x = twin.b_dec[None].repeat(3, 1)
    assert (twin.encode(x) == 1).all()
    assert torch.equal(twin.encode_latents(x, [95, 0]), torch.ones(3, 2))


@pytest.fixture
def small_tiles(monkeypatch):
    """Pieces so small that every loop goes round several times."""
    monkeypatch.setattr(tiles, "_WEIGHTS", 7 * 32)
    monkeypatch.setattr(tiles, "_ACTIVATIONS", 96 * 5)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_weights_in_any_dtype_are_computed_with_in_float32(dtype, kind, normalise, make_sae, small_tiles):
    stored, x = make_sae(kind, normalise).to("cpu", dtype), residuals(23)
    plain = stored.to("cpu", torch.float32)
    z, like = plain.encode(x), plain.normalised(x)
    assert stored.w_enc.dtype == dtype
    for mine, expected in (
        (stored.encode(x), z),
        (stored.encode_latents(x, [5, 0, 95]), z[:, [5, 0, 95]]),
        (stored.largest(x), z.amax(0)),
        (stored.decode(z, like), plain.decode(z, like)),
        (DeltaClamp(stored, 1, VALUES).delta(x), DeltaClamp(plain, 1, VALUES).delta(x)),
        (ReconstructClamp(stored, 1, VALUES).delta(x), ReconstructClamp(plain, 1, VALUES).delta(x)),
    ):
        torch.testing.assert_close(mine, expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_does_not_feel_its_neighbours(kind, make_sae, small_tiles):
    sae, x = make_sae(kind), residuals(40)
    together = DeltaClamp(sae, 1, VALUES).delta(x)
    alone = torch.cat([DeltaClamp(sae, 1, VALUES).delta(row[None]) for row in x])
    torch.testing.assert_close(together, alone, atol=2e-5, rtol=1e-5)


def test_topk_looks_at_all_latents_only_where_a_chosen_one_may_be_on(make_sae, monkeypatch):
    """Few of 4,096 latents are among the 8 largest; most tokens are settled by the first 128."""
    sae, x, latents = make_sae("topk", n=4096), residuals(300), [3, 40, 2000]
    x[:20] += 15 * sae.w_dec[3]
    looked_at = []

    def spy(x, weight, bias=None):
        looked_at.append(x.shape[0] * weight.shape[0])
        return tiles.product(x, weight, bias)

    monkeypatch.setattr(competition, "product", spy)
    few, z = sae.encode_latents(x, latents), sae.encode(x)[:, latents]
    torch.testing.assert_close(few, z, atol=1e-5, rtol=1e-5)
    assert 20 <= (z > 0).any(-1).sum() < 60
    positive = int((sae.only(latents).encode(x) > 0).any(-1).sum())
    assert sum(looked_at) < 0.3 * positive * 4096


@pytest.mark.parametrize("n", [64, 65, 1000])
def test_counting_by_groups_is_counting_all(n):
    draw = torch.Generator().manual_seed(n)
    everything = torch.randint(0, 50, (40, n), generator=draw).float()  # ties in plenty
    chosen = everything[:, [0, 3, n - 1]]
    for k in (1, 5, n):
        plain = (everything[:, None] > chosen[..., None]).sum(-1) < k
        assert torch.equal(competition._among_largest(everything, chosen, k), plain)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_residual_in_parts_is_the_residual(dtype):
    x = residuals(8) * torch.tensor([1.0, 1e-6, 3e5, 0.0, 1e-20, 1e20, 7.0, 65504.0])[:, None]
    parts, unit = tiles.in_parts(x, dtype)
    assert parts.dtype == dtype and torch.isfinite(parts).all()
    assert ((parts.double().sum(0) * unit.double() - x.double()).abs() <= 2**-23 * x.abs().amax(-1, keepdim=True)).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_does_the_same_arithmetic(make_sae):
    cases = [(k, n, t) for k in KINDS for n in NORMALISATIONS for t in (torch.float32, torch.bfloat16, torch.float16)]
    for kind, normalise, dtype in cases:
        sae, x = make_sae(kind, normalise, n=4096).to("cpu", dtype), residuals(50)
        for clamp in (DeltaClamp, ReconstructClamp):
            there = clamp(sae, 1, VALUES, torch.device("cuda")).delta(x.cuda())
            torch.testing.assert_close(there.cpu(), clamp(sae, 1, VALUES).delta(x), atol=1e-4, rtol=1e-4)


def test_a_value_that_is_not_finite_is_refused_where_it_is_used(make_sae, one_line):
    for kind in KINDS:
        sae = make_sae(kind)
        for part in ("w_enc", "b_enc", "w_dec", "threshold", "gate_bias", "magnitude_scale"):
            if getattr(sae, part) is None:
                continue
            broken = getattr(sae, part).clone()
            broken[7] = torch.nan
            bad = replace(sae, **{part: broken})
            needs_all = kind == "topk" and part != "w_dec"
            for latents in ([3, 7], [3]) if needs_all else ([3, 7],):
                with pytest.raises(ClampdownError) as caught:
                    DeltaClamp(bad, 1, dict.fromkeys(latents, 1.0))
                one_line(caught, "tiny", part)
            if not needs_all:
                assert torch.isfinite(DeltaClamp(bad, 1, {3: 1.0}).delta(residuals(2))).all()
            with pytest.raises(ClampdownError):
                bad.reconstruct(residuals(2))
    large = replace(make_sae("relu"), b_dec=torch.full((32,), 1e5))
    large.encode(residuals(2))
    with pytest.raises(ClampdownError):  # float16 ends before that
        large.to("cpu", torch.float16).encode(residuals(2))


def test_a_hash_is_found_when_asked_for(make_sae):
    asked = []
    sae = replace(make_sae("topk"), sha256=lambda: asked.append(1) or "ab" * 32)
    few = sae.only([1, 2]).to("cpu", torch.bfloat16)
    sae.encode(residuals(2))
    assert repr(sae) == "SAE('tiny', topk, layer 1, 96 × 32)" and not asked
    assert few.sha256 == sae.sha256 == sae.sha256 == "ab" * 32
    assert len(asked) == 2  # once each
    assert make_sae("topk").sha256 == ""


def test_a_residual_of_zeros_has_a_norm_that_does_no_harm(make_sae):
    for normalise in NORMALISATIONS:
        sae = make_sae("relu", normalise)
        zeros = torch.zeros(2, 32)
        assert torch.isfinite(DeltaClamp(sae, 1, VALUES).delta(zeros)).all()
        assert torch.isfinite(sae.reconstruct(zeros)).all()


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
        {"gate_bias": torch.zeros(96)},
        {"magnitude_scale": torch.zeros(96)},
    ],
    ids=lambda change: "-".join(change),
)
def test_an_sae_that_contradicts_itself_is_refused(change, make_sae, one_line):
    with pytest.raises(ClampdownError) as caught:
        replace(make_sae("topk"), **change)
    one_line(caught, "SAE tiny")


@pytest.mark.parametrize("kind", KINDS)
def test_no_latents_and_no_tokens_are_no_trouble(kind, make_sae):
    sae = make_sae(kind)
    assert sae.encode_latents(residuals(3), []).shape == (3, 0)
    none = residuals(3)[:0]
    assert sae.encode_latents(none, [1, 2]).shape == (0, 2)
    assert DeltaClamp(sae, 1, VALUES).delta(none).shape == ReconstructClamp(sae, 1, VALUES).delta(none).shape == (0, 32)
    assert torch.equal(sae.largest(none), torch.zeros(96))
