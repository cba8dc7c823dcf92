"""Training an SAE with sparsify: on two processes, killed and resumed, and what it costs."""

import json
import subprocess
import sys
from argparse import Namespace

import numpy as np
import pytest
import torch
from paper import FOLDER, script

from clampdown.errors import ClampdownError
from clampdown.saes.load import load_sae

pytestmark = pytest.mark.owners
PAGE = FOLDER.parents[1] / "docs" / "paper.md"
ROW, LAYER = 32, 1


@pytest.fixture
def mix(tmp_path, tiny):
    folder = tmp_path / "mix"
    folder.mkdir()
    ids = np.random.default_rng(0).integers(20, 400, (64, ROW)).astype("<u4")
    ids.tofile(folder / "rows.bin")
    (folder / "mix.json").write_text(json.dumps({"row": ROW, "rows": len(ids), "tokens": ids.size}))
    return folder


def fvu(sae, model, mix):
    """The share of variance that an SAE leaves unexplained on the mix."""
    ids = torch.from_numpy(np.fromfile(mix / "rows.bin", dtype="<u4").astype(np.int64)).reshape(-1, ROW)
    with torch.no_grad():
        x = model.hf.model(ids, output_hidden_states=True).hidden_states[LAYER + 1].flatten(0, 1)
        error = x - sae.decode(sae.encode(x))
    return float(error.pow(2).sum() / (x - x.mean(0)).pow(2).sum())


def test_two_processes_train_one_sae(mix, tmp_path, tiny):
    pytest.importorskip("sparsify")
    out, shape = tmp_path / "sae", ["--layer", LAYER, "--expansion", 4, "--k", 8, "--batch", 2]
    shape += ["--step", 8, "--lr", 0.01, "--warm-up", 2]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*torchrun, FOLDER / "train_sae.py", tiny.folder, mix, out, *shape, "--save-every", 3]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    facts = json.loads((out / "training.json").read_text())
    assert (facts["processes"], facts["tokens"], facts["layer"]) == (2, 64 * ROW, LAYER)
    sae = load_sae(str(out))
    assert (sae.layer, sae.k, sae.n_latents, sae.d_model) == (LAYER, 8, 4 * tiny.d_model, tiny.d_model)
    assert fvu(sae, tiny, mix) < 0.9
    assert not list(tmp_path.glob("sae.*"))


def test_resumed_training_is_that_which_was_never_stopped(mix, tmp_path, tiny):
    pytest.importorskip("sparsify")
    module = script("train_sae")
    blocks = module.load_blocks(str(tiny.folder), LAYER, torch.device("cpu"))
    assert len(blocks.layers) == LAYER + 1

    def train(name, tokens):
        plain = {"layer": LAYER, "expansion": 4, "k": 8, "batch": 2, "step": 4, "save_every": 1000, "seed": 0}
        plain |= {"model": "tiny", "mix": mix, "out": tmp_path / name, "tokens": tokens}
        module.train(Namespace(**plain, optimizer="signum", lr=0.01, warm_up=0), blocks)
        return load_sae(str(tmp_path / name)).w_dec

    whole = train("whole", None)
    first = train("parts", 28 * ROW)
    # Killed while a save took the last one's place: that one is still there, under another name.
    (tmp_path / "parts").rename(tmp_path / "parts.old")
    torch.testing.assert_close(train("parts", None), whole, atol=1e-5, rtol=0)
    assert (first - whole).abs().mean() > 0.01  # as far as training still had to go


def test_a_step_adds_up_batches_and_a_save_counts_the_batch_that_ended_it(mix, tmp_path, tiny, one_line):
    """Killed right after a save, the same command takes up the batch after it: none twice, none left out."""
    pytest.importorskip("sparsify")
    module = script("train_sae")
    blocks = module.load_blocks(str(tiny.folder), LAYER, torch.device("cpu"))

    def start(name, **changes):
        plain = {"layer": LAYER, "expansion": 4, "k": 8, "batch": 2, "step": 8, "save_every": 2, "seed": 0}
        plain |= {"optimizer": "adam", "lr": 0.01, "warm_up": 4, "out": tmp_path / name} | changes
        args = Namespace(**plain)
        return module.prepare(args, module.share(mix, args.step, None, 0), blocks)

    whole = start("whole")
    whole.fit()
    assert whole.cfg.grad_acc_steps == 4 and whole.global_step == 32
    assert whole.optimizers[0].param_groups[0]["lr"] <= 0.01 and whole.lr_schedulers[0].last_epoch == 8
    killed = start("killed")
    keep, saves = killed._save, []
    killed._save = lambda: (keep(), saves.append(killed.global_step), 1 / 0)
    with pytest.raises(ZeroDivisionError):
        killed.fit()
    assert saves == [4], "sparsify counts steps from 1"
    again = start("killed")
    again.resume()
    assert again.global_step == 4
    again.fit()
    ours, theirs = (run.saes[f"layers.{LAYER}"].W_dec for run in (again, whole))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    with pytest.raises(ClampdownError) as caught:
        start("odd", batch=3)
    one_line(caught, "--step", "--batch")


def test_the_settings_are_the_papers():
    pytest.importorskip("sparsify")
    module = script("train_sae")
    assert (module.STEP, module.LEARNING_RATE, module.WARM_UP, module.DEAD) == (64, 1e-4, 1000, 10**7)


def test_the_cost_is_measured_on_random_weights_and_counted_as_the_page_counts(monkeypatch, capsys):
    pytest.importorskip("sparsify")
    monkeypatch.syspath_prepend(FOLDER)
    module = script("measure")
    for shape in module.SHAPES:
        model = module.random_blocks(shape, 6, 2048, torch.device("meta"))
        count = module.flop_a_token(Namespace(layer=6, row=2048, expansion=8), model)
        assert f"**{count / 1e9:.2f} GFLOP" in PAGE.read_text()
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "vocab_size": 100}
    monkeypatch.setitem(module.SHAPES, "phi3", ("phi3", sizes))
    options = ["--layer", "1", "--k", "4", "--batch", "2", "--row", "16", "--steps", "4"]
    monkeypatch.setattr(sys, "argv", ["measure.py", "phi3", *options])
    module.main()
    said = capsys.readouterr().out
    facts = json.loads(said[said.index("{") :])
    assert facts["shape"] == "phi3" and facts["processes"] == 1
    hours = 2e9 / 3600 / facts["tokens_per_second"]
    assert facts["hours_for_2e9_tokens"] == pytest.approx(hours, rel=0.02, abs=0.06)
