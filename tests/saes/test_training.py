"""Training: every kind learns, interrupted runs end where uninterrupted ones do, and the sparse gradients are right."""

import math
import os
import pickle

import numpy as np
import pytest
import torch

from clampdown.errors import ClampdownError
from clampdown.saes import training
from clampdown.saes.activations import Cache
from clampdown.saes.sparse_step import SparseDecode, SparseEncode
from clampdown.saes.training import Settings, Trainee, train

WIDTH, TRUE, ON = 16, 32, 3


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Sums of a few of 32 hidden directions, off centre: what an SAE is made to take apart."""
    folder = tmp_path_factory.mktemp("cache")
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(TRUE, WIDTH))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    sizes = []
    for shard in range(4):
        z = rng.uniform(1, 2, (3000, TRUE)) * (rng.random((3000, TRUE)) < ON / TRUE)
        np.save(folder / f"{shard:05d}.npy", (3 * z @ rows + 5).astype(np.float16))
        sizes.append(3000)
    return Cache(folder, tuple(sizes), WIDTH)


def settings(kind, **changes):
    plain = {"latents": 64, "k": 6, "tokens": 256 * 500, "batch": 256, "lr": 3e-3}
    return Settings(kind, **(plain | changes))


@pytest.fixture(scope="module")
def runs(cache, tmp_path_factory):
    """Each kind trained once: the trainee and its FVU at every step."""
    found = {}
    for kind in training.TRAINABLE:
        told = []
        trainee = train(
            cache, settings(kind), tmp_path_factory.mktemp(kind), lambda n, fvu, told=told: told.append(fvu)
        )
        found[kind] = trainee, told[1:]
    return found


@pytest.mark.parametrize("kind", training.TRAINABLE)
def test_every_kind_learns(kind, runs, cache):
    trainee, told = runs[kind]
    assert len(told) == 500
    assert np.mean(told[-20:]) < 0.2 * np.mean(told[:5])
    torch.testing.assert_close(trainee.w_dec.norm(dim=1), torch.ones(64))
    # The finished SAE, in the residual's own units, does what the trainee did.
    sae = trainee.finished("s", 3, "m", {})
    x = next(cache.batches(3000, seed=9))
    error, centred = x - sae.reconstruct(x), x - x.mean(0)
    assert float(error.pow(2).sum() / centred.pow(2).sum()) < 0.15
    l0 = float((sae.encode(x) > 0).float().sum(-1).mean())
    assert l0 <= 6 if kind == "topk" else abs(l0 - 6) < 1.5


def test_jumprelu_goes_to_its_target(cache, tmp_path, runs):
    x = next(cache.batches(3000, seed=9))
    for k in (3, 12):
        sae = train(cache, settings("jumprelu", k=k), tmp_path / str(k)).finished("s", 0, "m", {})
        assert float((sae.encode(x) > 0).float().sum(-1).mean()) == pytest.approx(k, rel=0.35)


@pytest.mark.parametrize("kind", training.TRAINABLE)
def test_interrupted_and_resumed_equals_uninterrupted(kind, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_CHECKPOINT_STEPS", 7)
    monkeypatch.setattr(training, "_DEAD_AFTER", 2000)  # so that the auxiliary loss runs too
    plan = settings(kind, tokens=256 * 60, seed=3)
    whole = train(cache, plan, tmp_path / "whole")

    class Killed(Exception):
        pass

    for stop in (10, 33, 55):
        count = 0

        def progress(tokens, fvu, stop=stop):
            nonlocal count
            count += tokens
            if count >= stop * 256:
                raise Killed

        with pytest.raises(Killed):
            train(cache, plan, tmp_path / "parts", progress)
    steps = []
    parts = train(cache, plan, tmp_path / "parts", lambda tokens, fvu: steps.append(tokens))
    assert steps[0] == 49 * 256  # the last checkpoint before step 55
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name


def test_another_runs_checkpoint_is_refused(cache, tmp_path, one_line):
    plan = settings("topk", tokens=256 * 200)
    train(cache, plan, tmp_path)
    with pytest.raises(ClampdownError) as caught:
        train(cache, settings("topk", tokens=256 * 200, seed=1), tmp_path)
    one_line(caught, "another run")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_a_damaged_checkpoint_is_refused_and_never_run(cache, tmp_path, monkeypatch, one_line):
    monkeypatch.chdir(tmp_path)
    plan = settings("topk", tokens=256 * 200)
    train(cache, plan, tmp_path)
    path = tmp_path / "checkpoint.pt"
    whole = path.read_bytes()
    torch.save({"settings": Bomb()}, tmp_path / "bomb.pt")
    for content in (whole[:-500], b"", b"text", pickle.dumps(Bomb()), (tmp_path / "bomb.pt").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(ClampdownError) as caught:
            train(cache, plan, tmp_path)
        one_line(caught, "checkpoint.pt", "delete")
    assert not (tmp_path / "exploded").exists()


def test_a_full_disk_gives_one_line(cache, tmp_path, monkeypatch, one_line):
    def full(state, path):
        path.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file\nwith a trace")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(ClampdownError) as caught:
        train(cache, settings("topk", tokens=256 * 200), tmp_path)
    one_line(caught, "could not write")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [{"kind": "relu"}, {"k": 0}, {"k": 65}, {"tokens": 100}, {"batch": 0}, {"lr": 0.0}, {"lr": math.nan}, {"lr": -1.0}],
    ids=str,
)
def test_wrong_settings_are_refused(change, one_line):
    with pytest.raises(ClampdownError) as caught:
        settings(**({"kind": "topk"} | change))
    one_line(caught)


def test_too_little_text_is_refused(cache, tmp_path, one_line):
    with pytest.raises(ClampdownError) as caught:
        train(cache, settings("topk", batch=20_000, tokens=40_000), tmp_path)
    one_line(caught, "12000 cached tokens")


def test_a_run_that_diverges_says_so(cache, tmp_path, one_line):
    with pytest.raises(ClampdownError) as caught:
        train(cache, settings("topk", lr=1e30), tmp_path)
    one_line(caught, "diverged")


def test_sparse_gradients_are_the_dense_ones():
    draw = torch.Generator().manual_seed(0)
    x, w_enc, b_enc, w_dec = (
        torch.randn(*s, generator=draw).requires_grad_() for s in [(9, 5), (20, 5), (20,), (20, 5)]
    )
    out = torch.randn(9, 5, generator=draw)
    pre = (x @ w_enc.T + b_enc).detach()
    # In no order, and one latent in many rows, another in none.
    index = torch.stack([torch.randperm(19, generator=draw)[:4] for _ in range(9)])
    index[:, 0] = 19
    sparse_values = SparseEncode.apply(x, w_enc, b_enc, pre, index)
    sparse = SparseDecode.apply(sparse_values.clamp_min(0), index, w_dec)
    found = torch.autograd.grad((sparse * out).sum() + sparse_values.pow(2).sum(), [x, w_enc, b_enc, w_dec])
    dense_values = x @ w_enc.T + b_enc
    mask = torch.zeros(9, 20).scatter_(1, index, 1.0)
    dense = (dense_values.clamp_min(0) * mask) @ w_dec
    expected = torch.autograd.grad((dense * out).sum() + (dense_values * mask).pow(2).sum(), [x, w_enc, b_enc, w_dec])
    torch.testing.assert_close(sparse, dense)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def dense_loss(trainee, raw):
    """The loss of a topk or batchtopk trainee, every latent computed."""
    x = raw * trainee.scale
    pre = (x - trainee.b_dec) @ trainee.w_enc.T + trainee.b_enc
    k = trainee.settings.k
    cut = (
        pre.topk(k, 1).values[:, -1:] if trainee.settings.kind == "topk" else pre.flatten().topk(k * len(x)).values[-1]
    )
    z = torch.where(pre >= cut.clamp_min(0), pre, 0.0)
    error = x - z @ trainee.w_dec - trainee.b_dec
    return error.pow(2).sum(-1).mean() / (x - x.mean(0)).pow(2).sum(-1).mean()


@pytest.mark.parametrize("kind", ["topk", "batchtopk"])
def test_a_whole_step_has_the_dense_gradients(kind, cache):
    raw = next(cache.batches(256, seed=1))
    trainee = Trainee(settings(kind), raw.mean(0), 0.3)
    parts = [trainee.w_enc, trainee.b_enc, trainee.w_dec, trainee.b_dec]
    loss, fvu = trainee.loss(raw)
    dense = dense_loss(trainee, raw)
    torch.testing.assert_close(loss, dense)
    torch.testing.assert_close(fvu, dense.detach())
    for one, other in zip(torch.autograd.grad(loss, parts), torch.autograd.grad(dense, parts), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)


def test_dead_latents_are_revived(cache, monkeypatch):
    """The auxiliary loss reaches the encoder and decoder of latents that never fire, and of no others."""
    monkeypatch.setattr(training, "_DEAD_AFTER", 100)
    raw = next(cache.batches(256, seed=1))
    trainee = Trainee(settings("topk"), raw.mean(0), 0.3)
    with torch.no_grad():
        trainee.b_enc[:4] = -50  # never among the largest
    loss, fvu = trainee.loss(raw)
    assert loss > fvu
    with torch.no_grad():
        trainee.b_enc[:4] = 0
        trainee.w_enc[:4] *= 1e-3
    trainee.silent[:4] = 1000
    loss, _ = trainee.loss(raw)
    gradient = torch.autograd.grad(loss, trainee.w_enc)[0]
    assert (gradient[:4].norm(dim=1) > 0).any()
