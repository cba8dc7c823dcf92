"""Training an SAE on a model, end to end and tiny: what it writes, that it resumes, and what it refuses."""

import json
import os
import subprocess
import sys

import pytest
import torch

from clampdown.discovery import train_sae as module
from clampdown.discovery.train_sae import cache_activations, train_sae
from clampdown.errors import ClampdownError
from clampdown.recipe import Clamp, Recipe
from clampdown.saes import training
from clampdown.saes.load import load_sae
from clampdown.saes.training import Settings
from clampdown.steering.self_test import self_test

PLAN = Settings("topk", latents=64, k=8, tokens=64 * 60, batch=64, lr=2e-3)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "chat.jsonl"
    words = ["sea", "sky", "rain", "wind", "stone", "river", "cloud", "light", "dark", "green"]
    rows = (
        {"prompt": f"Tell me of {a} and {b}.", "completion": f"The {b} is {a}, number {n}."}
        for n, (a, b) in enumerate((a, b) for a in words for b in words)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_what_is_trained_is_saved_and_can_steer(tiny, text, tmp_path):
    told = []
    sae = train_sae(tiny, 1, [text], tmp_path / "mine", PLAN, progress=lambda *step: told.append(step))
    back = load_sae(str(tmp_path / "mine" / "sae.safetensors"))
    assert torch.equal(back.w_enc, sae.w_enc)
    assert (back.kind, back.layer, back.k, back.model) == ("topk", 1, 8, "tiny")
    assert back.about["model_sha256"] == tiny.sha256 and back.about["tokens_seen"] == str(64 * 60)
    x = tiny.residual(tiny.pad([tiny.prompt_ids("Tell me of sea and sky.")]), [1])[0][0, 1:].float()
    assert float((x - back.reconstruct(x)).pow(2).sum() / (x - x.mean(0)).pow(2).sum()) < 0.5
    self_test(tiny, Recipe("r", "tiny", tiny.sha256, (Clamp(str(tmp_path / "mine"), back.sha256, 1, {5: 3.0}),)))
    assert {step[0] for step in told} == {"activations", "training"}


def test_killed_in_either_half_it_ends_the_same(tiny, text, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_CHECKPOINT_STEPS", 10)
    from clampdown.saes import activations

    monkeypatch.setattr(activations, "SHARD_ROWS", 30)
    whole = train_sae(tiny, 1, [text], tmp_path / "whole", PLAN)

    def killer(part, count):
        def progress(name, *_):
            nonlocal count
            count -= name == part
            if count == 0:
                raise KeyboardInterrupt

        return progress

    for part, count in (("activations", 2), ("training", 25)):
        with pytest.raises(KeyboardInterrupt):
            train_sae(tiny, 1, [text], tmp_path / "parts", PLAN, progress=killer(part, count))
    assert not (tmp_path / "parts" / "sae.safetensors").exists()
    calls = []
    residual = type(tiny).residual
    monkeypatch.setattr(type(tiny), "residual", lambda *a: calls.append(1) or residual(*a))
    parts = train_sae(tiny, 1, [text], tmp_path / "parts", PLAN)
    assert not calls, "activations were computed again"
    for part in ("w_enc", "b_enc", "w_dec", "b_dec"):
        assert torch.equal(getattr(whole, part), getattr(parts, part))


def test_the_cache_holds_the_residual(tiny, tmp_path):
    rows = [tiny.ids("The sea is blue."), tiny.ids("So is the sky, on most days.")]
    cache = cache_activations(tiny, 2, rows, tmp_path)
    assert cache.tokens == sum(len(row) - 1 for row in rows)
    alone = [tiny.residual(tiny.pad([row]), [2])[0][0, 1:] for row in rows]
    kept = torch.cat(list(cache.batches(1, 0)))
    for x in torch.cat(alone):
        assert (kept - x).abs().amax(1).min() < 0.02 * x.abs().max()


def test_what_does_not_fit_is_refused(tiny, text, tmp_path, one_line):
    with pytest.raises(ClampdownError) as caught:
        train_sae(tiny, 4, [text], tmp_path / "a", PLAN)
    one_line(caught, "layer 4")
    assert not (tmp_path / "a").exists()
    train_sae(tiny, 1, [text], tmp_path / "b", PLAN)
    for layer, tokens in ((2, None), (1, 500)):
        with pytest.raises(ClampdownError) as caught:
            train_sae(tiny, layer, [text], tmp_path / "b", PLAN, text_tokens=tokens)
        one_line(caught, "another folder")
    with pytest.raises(ClampdownError) as caught:
        module.train_sae(tiny, 1, [text], tmp_path / "c", Settings("topk", 64, 8, 10**6, 10**6))
    one_line(caught, "do not fill one batch")


def test_two_processes_of_torchrun_end_where_one_does_and_the_first_alone_speaks(tiny, text, tmp_path):
    asked = ["-m", "clampdown", "train-sae", str(text), "--model", str(tiny.folder), "--dtype", "float32"]
    asked += ["--layer", "1", "--latents", "64", "--k", "8", "--tokens", "1920", "--batch", "64", "--json"]
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    torchrun += ["--rdzv-endpoint", "localhost:0"]
    found = {}
    for name, start, more in (("one", [], []), ("two", torchrun, []), ("stream", torchrun, ["--stream"])):
        run = [sys.executable, *start, *asked, *more, "--out", str(tmp_path / name)]
        done = subprocess.run(run, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        assert done.returncode == 0, done.stderr[-2000:]
        assert json.loads(done.stdout)["sae"] == str(tmp_path / name / "sae.safetensors")
        found[name] = load_sae(str(tmp_path / name / "sae.safetensors"))
    for part in ("w_enc", "b_enc", "w_dec", "b_dec", "maximum"):
        torch.testing.assert_close(getattr(found["two"], part), getattr(found["one"], part), atol=1e-4, rtol=1e-3)
    assert not (tmp_path / "stream" / "activations").exists()
    assert found["stream"].about["different_tokens"] == found["one"].about["different_tokens"]

    run = [sys.executable, *torchrun, *asked, "--layer", "9", "--out", str(tmp_path / "none")]
    done = subprocess.run(run, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode and done.stderr.count("layer 9") == 1 and not (tmp_path / "none").exists()
