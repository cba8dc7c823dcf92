"""SAE files: round trips, and everything a file can do wrong."""

import hashlib
import json
import os
import pickle
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from clampdown.errors import ClampdownError
from clampdown.recipe import Clamp
from clampdown.saes import files, hashes
from clampdown.saes.files import file_sha256, save_sae
from clampdown.saes.load import load_sae
from clampdown.saes.sae import KINDS, NORMALISATIONS
from clampdown.steering.edits import DeltaClamp, ReconstructClamp, compile_edit


@pytest.mark.parametrize("normalise", NORMALISATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_loaded(kind, normalise, tmp_path, make_sae):
    sae, path = make_sae(kind, normalise), tmp_path / "s.safetensors"
    save_sae(sae, path)
    back = load_sae(str(path))
    for part in ("kind", "layer", "k", "normalise", "subtract_decoder_bias"):
        assert getattr(back, part) == getattr(sae, part)
    for part in ("w_enc", "b_enc", "w_dec", "b_dec", "threshold", "maximum", "gate_bias", "magnitude_scale"):
        if getattr(sae, part) is not None:
            assert torch.equal(getattr(back, part), getattr(sae, part))
    assert back.sha256 == file_sha256(path)
    assert [p.name for p in tmp_path.iterdir()] == ["s.safetensors"]
    assert load_sae(str(tmp_path)).sha256 == back.sha256  # by its folder


def test_float16_file_is_read_as_float32(tmp_path, make_sae):
    sae, path = make_sae("topk"), tmp_path / "s.safetensors"
    save_sae(sae, path, torch.float16)
    assert load_file(path)["w_enc"].dtype == torch.float16
    back = load_sae(str(path))
    assert back.w_enc.dtype == torch.float32
    assert torch.equal(back.w_enc, sae.w_enc.half().float())
    x = torch.randn(20, 32, generator=torch.Generator().manual_seed(0))
    # Latents at the edge of the k may change places; all others move by rounding only.
    assert ((back.encode(x) - sae.encode(x)).abs() < 0.01).float().mean() > 0.99


def test_tied_weights_can_be_saved(tmp_path, make_sae):
    from dataclasses import replace

    sae = make_sae("topk")
    save_sae(replace(sae, w_enc=sae.w_dec), tmp_path / "s.safetensors")
    assert torch.equal(load_sae(str(tmp_path)).w_enc, sae.w_dec)


def test_a_file_written_anew_is_read_anew(tmp_path, make_sae):
    path = tmp_path / "s.safetensors"
    save_sae(make_sae("topk", seed=1), path)
    first = load_sae(str(path))
    assert load_sae(str(path)) is first
    save_sae(make_sae("topk", seed=2), path)
    assert load_sae(str(path)).sha256 != first.sha256


def test_a_value_beyond_float16_is_not_written(tmp_path, make_sae, one_line):
    from dataclasses import replace

    sae = make_sae("topk")
    with pytest.raises(ClampdownError) as caught:
        save_sae(replace(sae, b_enc=sae.b_enc + 1e6), tmp_path / "s.safetensors", torch.float16)
    one_line(caught, "b_enc")
    assert not list(tmp_path.iterdir())


def write(path, sae, facts=None, tensors=None, form="clampdown-sae-1"):
    """A file of ours with something changed."""
    save_sae(sae, path)
    stored = load_file(path) | (tensors or {})
    plain = {"kind": sae.kind, "layer": sae.layer, "k": sae.k, "normalise": "none", "subtract_decoder_bias": True}
    header = facts if isinstance(facts, str) else json.dumps(plain | (facts or {}))
    save_file({k: v for k, v in stored.items() if v is not None}, path, metadata={"format": form, "sae": header})


BAD = {
    "NaN": ({"tensors": {"w_enc": torch.full((96, 32), torch.nan)}}, "w_enc"),
    "inf": ({"tensors": {"b_dec": torch.full((32,), torch.inf)}}, "b_dec"),
    "shape": ({"tensors": {"w_dec": torch.zeros(32, 96)}}, "w_dec"),
    "lacks": ({"tensors": {"b_enc": None}}, "b_enc"),
    "unknown tensor": ({"tensors": {"layer": torch.zeros(1)}}, "layer"),
    "kind": ({"facts": {"kind": "gated"}}, "gated"),
    "kind is a list": ({"facts": {"kind": []}}, "kind"),
    "layer is a text": ({"facts": {"layer": "12"}}, "layer"),
    "layer is true": ({"facts": {"layer": True}}, "layer"),
    "layer is half": ({"facts": {"layer": 1.5}}, "layer"),
    "negative layer": ({"facts": {"layer": -1}}, "layer"),
    "k is a text": ({"facts": {"k": "8"}}, "k"),
    "k too large": ({"facts": {"k": 1000}}, "k between"),
    "bias is a text": ({"facts": {"subtract_decoder_bias": "false"}}, "subtract_decoder_bias"),
    "about is a text": ({"facts": {"about": "x"}}, "about"),
    "unknown property": ({"facts": {"sha256": "0"}}, "sha256"),
    "header is a list": ({"facts": "[1, 2]"}, "header"),
    "header is cut": ({"facts": '{"kind": '}, "header"),
    "header is deep": ({"facts": "[" * 100_000}, "header"),
    "format": ({"form": "other"}, "format"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_lies_is_refused(case, tmp_path, make_sae, one_line):
    change, word = BAD[case]
    path = tmp_path / "s.safetensors"
    write(path, make_sae("topk"), **change)
    with pytest.raises(ClampdownError) as caught:
        load_sae(str(path))
    one_line(caught, word)


def test_damaged_and_missing_files_are_refused(tmp_path, make_sae, one_line):
    whole = tmp_path / "whole.safetensors"
    save_sae(make_sae("topk"), whole)
    contents = {
        "cut": whole.read_bytes()[:-100],
        "stub": whole.read_bytes()[:20],
        "empty": b"",
        "page": b"<!DOCTYPE html><html>not found</html>",
    }
    for name, content in contents.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content)
        with pytest.raises(ClampdownError) as caught:
            load_sae(str(path))
        one_line(caught, name)
    for name in (str(tmp_path / "none"), str(tmp_path), "~nobody-of-that-name/sae"):
        with pytest.raises(ClampdownError) as caught:
            load_sae(name)
        one_line(caught)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("name", ["sae.safetensors", "sae_weights.safetensors", "params.npz", "ae.pt", "layer3.sae.pt"])
def test_what_lies_in_a_files_place_is_told(name, tmp_path, one_line):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2690\n"
    for content, word in ((pointer, "git lfs pull"), (b"<!doctype html><html>", "a web page")):
        folder = tmp_path / "SAE-Res-W1K-L0_50" / word.split()[-1] / "layer_3"
        folder.mkdir(parents=True)
        (folder / "cfg.json").write_text('{"d_in": 4, "d_sae": 8, "architecture": "standard", "hook_name": "blocks.1"}')
        (folder / name).write_bytes(content)
        with pytest.raises(ClampdownError) as caught:
            load_sae(str(folder / name))
        one_line(caught, name, word)


def test_a_pickle_is_never_run(tmp_path, monkeypatch, one_line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Bomb()))
    torch.save({"w_enc": Bomb()}, tmp_path / "b.pt")
    for name in ("a.pkl", "b.pt"):
        with pytest.raises(ClampdownError) as caught:
            load_sae(name)
        one_line(caught, name)
    assert not (tmp_path / "exploded").exists()


def test_a_full_disk_gives_one_line_and_leaves_nothing(tmp_path):
    """The limit on a file's size stands in for a full disk: the kernel cuts the write short in the same way."""
    code = """
import resource, signal, sys, torch
from pathlib import Path
from clampdown.errors import ClampdownError
from clampdown.saes.files import save_sae
from clampdown.saes.sae import SAE
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
w = torch.ones(96, 32)
try:
    save_sae(SAE("s", "relu", 0, w, w[:, 0], w, w[0]), Path(sys.argv[1]) / "s.safetensors")
except ClampdownError as error:
    assert "\\n" not in str(error)
    print("refused", end="")
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert done.stdout == "refused", done.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture
def mapped(monkeypatch, tmp_path):
    """Every file counts as a large one, and the cache folder is the test's own."""
    monkeypatch.setenv("CLAMPDOWN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "LARGE", 0)
    monkeypatch.setattr(hashes, "LARGE", 0)
    return tmp_path / "sae.safetensors"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_large_file_is_clamped_as_it_is_stored(dtype, kind, mapped, make_sae):
    sae = make_sae(kind)
    save_sae(sae, mapped, dtype)
    back, plain = load_sae(str(mapped)), sae.to("cpu", dtype)
    assert back.w_enc.dtype == back.w_dec.dtype == dtype
    x = torch.randn(20, 32, generator=torch.Generator().manual_seed(0))
    for clamp in (DeltaClamp, ReconstructClamp):
        assert torch.equal(clamp(back, 1, {3: 2.0, 9: 0.0}).delta(x), clamp(plain, 1, {3: 2.0, 9: 0.0}).delta(x))


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads Linux's own count of memory")
def test_a_slice_of_a_large_file_reads_little_of_it(tmp_path):
    """256 MiB, of which a clamp of four latents takes eight rows of 4 KiB; the kernel maps some of what is around."""
    code = """
import os, sys, torch
from pathlib import Path
from clampdown.recipe import Clamp
from clampdown.saes import files
from clampdown.saes.sae import SAE
from clampdown.steering.edits import compile_edit

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

def clamp(path):
    edit = Clamp(str(path), "", 3, {latent * 7000 + 7: 1.0 for latent in range(4)})
    made = compile_edit(edit, n_layers=4, d_model=2048, device=torch.device("cpu"))
    return made.delta(torch.ones(2, 2048))

folder, w = Path(sys.argv[1]), torch.ones(1 << 15, 2048, dtype=torch.bfloat16)
files.LARGE = 0
for name in "ab":
    files.save_sae(SAE(name, "relu", 3, w, w[:, 0], w, w[0]), folder / f"{name}.safetensors", w.dtype)
del w
clamp(folder / "a.safetensors")  # so that what is loaded once only is not counted
before = resident()
clamp(folder / "b.safetensors")
print(resident() - before)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert float(done.stdout) < 32, done.stderr


def spoiled(part, row, path, sae):
    save_sae(sae, path)
    stored = load_file(path)
    stored[part][row] = torch.inf
    facts = {"kind": sae.kind, "layer": 1, "k": sae.k, "normalise": "none", "subtract_decoder_bias": True}
    save_file(stored, path, metadata={"format": "clampdown-sae-1", "sae": json.dumps(facts)})


@pytest.mark.parametrize(
    "kind, part, refused",
    [("jumprelu", "w_enc", False), ("jumprelu", "w_dec", False), ("topk", "w_enc", True), ("topk", "w_dec", False)],
)
def test_a_large_file_is_checked_where_it_is_used(kind, part, refused, mapped, make_sae, one_line):
    spoiled(part, 7, mapped, make_sae(kind))

    def clamp(**changes):
        return compile_edit(
            Clamp(str(mapped), "", 1, **{"values": {3: 1.0}} | changes),
            n_layers=2,
            d_model=32,
            device=torch.device("cpu"),
        )

    for changes in ({"values": {7: 1.0}}, {"rule": "reconstruct"}, {} if refused else {"values": {3: 1.0, 7: 0.0}}):
        with pytest.raises(ClampdownError) as caught:
            clamp(**changes)
        one_line(caught, str(mapped), part, "not finite")
    if not refused:
        assert torch.isfinite(clamp().delta(torch.ones(1, 32))).all()


def test_a_large_files_hash_is_kept_until_the_file_changes(mapped, make_sae):
    store = mapped.parent / "cache" / "hashes.json"
    save_sae(make_sae("topk"), mapped)
    sae = load_sae(str(mapped))
    assert not store.exists()  # nobody asked
    first = sae.sha256
    assert first == hashlib.sha256(mapped.read_bytes()).hexdigest()
    store.write_text(store.read_text().replace(first, "f" * 64))
    assert file_sha256(mapped) == "f" * 64  # so it was not read again
    for damage in (
        "",
        "{",
        "[]",
        json.dumps({str(mapped): 1}),
        store.read_text().replace("[", "[[").replace("]", "]]"),
    ):
        store.write_text(damage)
        assert file_sha256(mapped) == first == json.loads(store.read_text())[str(mapped)][-1]
    save_sae(make_sae("topk", seed=9), mapped)
    assert file_sha256(mapped) == hashlib.sha256(mapped.read_bytes()).hexdigest() != first
    assert [p.name for p in store.parent.iterdir()] == ["hashes.json"]


def test_a_cache_that_cannot_be_written_is_done_without(mapped, make_sae):
    (mapped.parent / "cache").write_text("a file stands in the folder's place")
    save_sae(make_sae("topk"), mapped)
    assert load_sae(str(mapped)).sha256 == hashlib.sha256(mapped.read_bytes()).hexdigest()


def test_a_recipe_still_asks_for_a_large_files_hash(mapped, make_sae, one_line):
    save_sae(make_sae("topk"), mapped)
    right = load_sae(str(mapped)).sha256
    for sha256 in (right, "", "0" * 64):
        edit = Clamp(str(mapped), sha256, 1, {3: 1.0})
        if sha256 != "0" * 64:
            compile_edit(edit, n_layers=2, d_model=32, device=torch.device("cpu"))
            continue
        with pytest.raises(ClampdownError) as caught:
            compile_edit(edit, n_layers=2, d_model=32, device=torch.device("cpu"))
        one_line(caught, right[:12])


def test_a_large_file_written_anew_has_not_the_hash_of_what_was_loaded(mapped, make_sae, one_line):
    save_sae(make_sae("topk"), mapped)
    sae = load_sae(str(mapped))
    save_sae(make_sae("relu"), mapped)
    with pytest.raises(ClampdownError) as caught:
        _ = sae.sha256
    one_line(caught, str(mapped), "load it again")
    assert load_sae(str(mapped)).kind == "relu"


@pytest.mark.skipif(os.name == "nt", reason="permissions")
def test_whoever_reads_other_files_reads_an_sae(make_sae, tmp_path):
    (tmp_path / "any").write_text("")
    save_sae(make_sae(), tmp_path / "sae.safetensors")
    assert (tmp_path / "sae.safetensors").stat().st_mode == (tmp_path / "any").stat().st_mode
