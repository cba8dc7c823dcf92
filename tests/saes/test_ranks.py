"""Two processes that train together end where one does."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from clampdown.errors import ClampdownError
from clampdown.saes import training
from clampdown.saes.activations import Cache, Streamed
from clampdown.saes.ranks import ALONE, Ranks, joined
from clampdown.saes.training import TRAINABLE, Settings, train

WIDTH = 12
KINDS = (*TRAINABLE, "streamed")


def settings(kind: str) -> Settings:
    return Settings("topk" if kind == "streamed" else kind, latents=40, k=5, tokens=61 * 32, batch=61, lr=1e-3)


def residual(ids, mask):
    """As many numbers for each token as a model's residual has, which depend on its neighbours too."""
    draw = torch.randn(50, WIDTH, generator=torch.Generator().manual_seed(0))
    x = draw[ids]
    return x + 0.5 * x.roll(1, 1) + 3


def source(kind, folder, ranks=ALONE):
    if kind == "streamed":
        draw = torch.Generator().manual_seed(1)
        rows = [torch.randint(1, 50, (9,), generator=draw).tolist() for _ in range(150)]
        return Streamed(rows, residual, WIDTH, ranks)
    return Cache(folder, (300, 260, 340), WIDTH)


def trained(kind, folder, ranks=ALONE, dead_after=50):
    """The trainee. Some latents are soon taken for dead, so that the loss that wakes them runs too."""
    training._DEAD_AFTER = dead_after
    training._CHECKPOINT_STEPS = 20
    place = folder / f"{kind}-{ranks.count}-{dead_after}"
    return train(source(kind, folder, ranks), settings(kind), place, ranks=ranks)


@pytest.fixture(scope="module", autouse=True)
def constants():
    before = training._DEAD_AFTER, training._CHECKPOINT_STEPS
    yield
    training._DEAD_AFTER, training._CHECKPOINT_STEPS = before


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("activations")
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20, WIDTH))
    for shard, tokens in enumerate((300, 260, 340)):
        z = rng.uniform(1, 2, (tokens, 20)) * (rng.random((tokens, 20)) < 0.2)
        array = 3 * z @ rows + 5
        array[:2] *= 1000  # sinks, which are not in the same number in every process' share
        np.save(folder / f"{shard:05d}.npy", array.clip(-6e4, 6e4).astype(np.float16))
    return folder


@pytest.fixture(scope="module")
def together(folder):
    """What each of two processes ends with, by kind."""
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    run += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", __file__, str(folder)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=500, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_train_what_one_does(kind, folder, together):
    alone = trained(kind, folder).state_dict()
    first, second = (one[kind] for one in together)
    for name, value in alone.items():
        assert torch.equal(first[name], second[name]), name
        if name != "silent":  # where a latent that is on by a hair is off, that is counted in hundreds of tokens
            apart = (first[name] - value).abs()
            assert apart.mean() < 2e-5 and apart.max() < 2e-3, name  # Adam makes much of gradients that are almost none
    assert (folder / f"{kind}-2-50" / "checkpoint.pt").is_file()
    if kind != "jumprelu":
        asleep = trained(kind, folder, dead_after=10**9).state_dict()
        assert not torch.equal(asleep["w_enc"], alone["w_enc"]), "the loss that wakes latents did not run"


def test_a_failure_in_one_process_is_told_once_by_that_one(folder, together):
    said = [one["said"] for one in together]
    assert said == [None, "no text here"]


def test_what_is_streamed_is_what_a_cache_holds(tmp_path):
    from clampdown.saes.activations import build_cache

    stream = source("streamed", tmp_path)
    cache = build_cache(tmp_path, [list(row) for row in stream.sequences], residual, {})
    assert cache.tokens == stream.tokens == 150 * 8
    one, other = (sorted(map(tuple, torch.cat([*made.batches(1, 0)]).tolist())) for made in (cache, stream))
    assert one == other


def test_one_process_is_alone_whatever_torchrun_says(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    with joined() as ranks:
        assert ranks is ALONE and ranks.first
    assert [Ranks(rank, 3).share(10) for rank in range(3)] == [slice(0, 3), slice(3, 6), slice(6, 10)]


def main(folder):
    """One of two processes."""
    with joined() as ranks:
        found = {kind: trained(kind, folder, ranks).state_dict() for kind in KINDS}

        def fail():
            if ranks.rank == 1:
                raise ClampdownError("no text here")

        try:
            ranks.agree(fail)
        except ClampdownError as error:
            found["said"] = str(error)
        except SystemExit:
            found["said"] = None
        torch.save(found, folder / f"rank{ranks.rank}.pt")


if __name__ == "__main__":
    from pathlib import Path

    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
