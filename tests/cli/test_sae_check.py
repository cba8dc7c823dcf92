"""`clampdown sae check`: its screen, its JSON and its exit codes."""

import json
from dataclasses import replace

import pytest
import torch

from clampdown import library
from clampdown.cli import sae_check
from clampdown.saes import load
from clampdown.saes.files import save_sae
from clampdown.saes.sae import SAE


@pytest.fixture
def check(clampdown, monkeypatch, tiny, tmp_path):
    """Run the command on the tiny model and an SAE written to a file."""
    monkeypatch.setattr(sae_check, "load_model", lambda name, dtype, progress: library.Model(tiny))

    def run(sae, *options):
        path = tmp_path / "sae.safetensors"
        save_sae(sae, path)
        return clampdown("sae", "check", "tiny", path, *options)

    return run


def perfect(width):
    rows = torch.cat([torch.eye(width), -torch.eye(width), torch.zeros(4 * width, width)])
    bias = torch.cat([torch.zeros(2 * width), -torch.ones(4 * width)])
    return SAE("perfect", "relu", 1, rows, bias, rows.clone(), torch.zeros(width))


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.jsonl"
    path.write_text(json.dumps({"prompt": "What is salt?", "completion": "A mineral. " * 20}) + "\n")
    return path


def errors(err):
    """What the command said itself; on a slow machine its progress is there too."""
    return [line for line in err.splitlines() if line.startswith("clampdown:")]


def test_one_that_fits(check, tiny, page):
    status, out, err = check(perfect(tiny.d_model), "--text", page)
    assert (status, errors(err)) == (0, [])
    assert out.splitlines()[-1] == "fits"
    assert "variance unexplained" in out and "at layer 2" in out
    lines = [line for line in out.splitlines() if str(page.parent) not in line]  # a path is as long as it is
    assert len(out.splitlines()) <= 24 and max(map(len, lines)) <= 120


def test_one_that_fits_poorly_says_why(check, make_sae, page):
    status, out, _ = check(make_sae(), "--text", page)
    assert status == 1
    assert "\nfits poorly:\n- " in out
    assert "topk, k 8" in out


def test_one_that_was_fetched_says_from_where_and_how_sure_that_is(check, tiny, page, monkeypatch):
    about = {"repository": "owner/saes", "revision": "a" * 40, "pinned": "no", "verified": "no"}
    read = load.load_sae
    monkeypatch.setattr(load, "load_sae", lambda name: read(name).noting(**about))  # as what fetches it does
    _, out, _ = check(perfect(tiny.d_model), "--text", page)
    assert f"owner/saes at {'a' * 12}, not pinned; no published checksum, so nobody could verify it" in out
    about |= {"pinned": "by you", "verified": "yes, by the directory's hash"}
    _, out, _ = check(perfect(tiny.d_model), "--text", page)
    assert "pinned by you; checksum verified" in out


def test_a_file_that_says_of_itself_where_it_is_from_is_not_believed(check, tiny, page):
    about = {"repository": "owner/saes", "revision": 5, "pinned": "by you", "verified": "yes", "made by": "me"}
    sae = replace(perfect(tiny.d_model), about=about)
    status, out, _ = check(sae, "--text", page)
    assert status == 0 and "owner/saes" not in out and "verified" not in out
    body = json.loads(check(sae, "--text", page, "--json")[1])
    assert not any(body["sae"][key] for key in ("repository", "revision", "pinned", "verified"))


def test_a_file_cannot_forge_a_line_of_the_verdict(check, make_sae, page):
    for about, model in (({}, "x\nfits"), ({"model_sha256": "x\nfits\n"}, ""), ({"model_sha256": 5}, "")):
        _, out, _ = check(replace(make_sae(), about=about, model=model), "--text", page)
        assert "fits" not in out.splitlines() and "\nnote: it " in out


def test_one_of_another_width_is_one_line(check, make_sae):
    status, out, err = check(make_sae(d=48))
    assert (status, out) == (2, "")
    [line] = errors(err)
    assert "does not fit" in line and "width 48" in line and "32" in line


def test_a_layer_that_is_not_there_is_one_line(check, make_sae):
    status, _, err = check(make_sae(), "--layer", "9")
    assert status == 2
    [line] = errors(err)
    assert "layer 9 does not exist" in line


def test_for_machines(check, make_sae, page):
    status, out, _ = check(make_sae(), "--json", "--text", page)
    body = json.loads(out)
    assert (status, body["schema"], body["verdict"]) == (1, "clampdown-sae-check/1", "fits poorly")
    assert 0 < body["facts"]["tokens"] < 200
    status, out, err = check(make_sae(d=48), "--json")
    body = json.loads(out)
    assert (status, errors(err), body["verdict"], body["facts"]) == (2, [], "does not fit", None)


def test_help_tells_the_exit_codes(clampdown):
    status, out, _ = clampdown("sae", "check", "--help")
    assert status == 0
    assert "0 it fits, 1 it fits poorly, 2 it does not fit" in out
