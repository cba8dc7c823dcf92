"""The search for known SAEs: the bundled one, and the list of published ones that comes along."""

import argparse
import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from clampdown.cli import sae as command
from clampdown.errors import ClampdownError
from clampdown.saes import directory
from clampdown.saes.load import load_sae

MAKE = Path(__file__).resolve().parents[2] / "training" / "directory" / "make.py"


def run(*arguments):
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["sae", "search", *arguments])
    return args.run(args)


def test_the_bundled_sae_is_known_as_it_loads():
    entry, sae = directory.bundled_entry(), load_sae(directory.BUNDLED)
    assert (entry.name, entry.model, entry.layer) == (sae.name, sae.model, sae.layer)
    assert entry.width == str(sae.n_latents)


def test_the_bundled_one_comes_first_and_nothing_found_is_one_line(capsys, one_line):
    assert run("--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["directory"].startswith("SAELens ") and said["saes"][0]["name"] == directory.BUNDLED
    assert len(said["saes"]) == len(directory.entries()) + 1
    with pytest.raises(ClampdownError) as caught:
        run("no-such-thing")
    one_line(caught, "no known SAE")


def test_what_has_a_page_on_neuronpedia_says_where():
    entry = directory.find("gemma-scope-2-4b-it-res/layer_17_width_16k_l0_medium")
    assert entry.page == "https://www.neuronpedia.org/gemma-3-4b-it/17-gemmascope-2-res-16k"
    assert directory.find("gemma-scope-2-4b-it-transcoders/transcoder/layer_17_width_16k_l0_big").page == ""
    for name in ("gemma-scope-2-4b-it-res/layer_17_width_16k_l0_medium", "no-such-release/x"):
        named = directory.neuronpedia_of(name)  # a fetched SAE's own name ends in its commit
        assert directory.neuronpedia_of(f"{name}@{'0' * 40}") == named == (entry.neuronpedia if "gemma" in name else "")
    pages = [entry.neuronpedia for entry in directory.entries() if entry.neuronpedia]
    assert len(pages) > 2000 and all(re.fullmatch(r"[\w.-]+/[\w.-]+", page) for page in pages)


def test_a_search_needs_no_heavy_library():
    code = """
import argparse, sys
from clampdown.cli import sae
parser = argparse.ArgumentParser()
sae.add_parser(parser.add_subparsers())
args = parser.parse_args(["sae", "search", "smollm2", "--layer", "12"])
assert args.run(args) == 0
assert not {"torch", "transformers", "sae_lens", "huggingface_hub"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert directory.BUNDLED in done.stdout


@pytest.mark.parametrize(
    "name, layer, width, refused",
    [
        ("gemma-scope-2b-pt-res-canonical/layer_20/width_16k/canonical", 20, "16k", ""),
        ("gemma-scope-2b-pt-res/embedding/width_4k/average_l0_6", None, "4k", "of the embeddings"),
        ("gemma-scope-2b-pt-att/layer_0/width_16k/average_l0_104", 0, "16k", "of attention"),
        ("gemma-scope-2-4b-it-res/layer_17_width_16k_l0_big", 17, "16k", ""),
        ("gemma-scope-2-4b-it-transcoders/transcoder/layer_17_width_16k_l0_big", 17, "16k", "a transcoder"),
        ("llama_scope_lxr_8x/l8r_8x", 8, "8x", ""),
        ("llama_scope_lxm_32x/l8m_32x", 8, "32x", "of the MLP"),
        ("llama-3.1-8b-instruct-andyrdt/resid_post_layer_3_trainer_1", 3, "", ""),
        ("goodfire-llama-3.1-8b-instruct/layer_19", 19, "", ""),
        ("qwen-scope-3-1.7b-base-w32k-l50/layer0", 0, "32k", ""),
        ("mistral-7b-res-wg/blocks.8.hook_resid_pre", 7, "", ""),
        ("gpt2-small-res-jb/blocks.8.hook_resid_pre", 7, "", "for centred weights"),
        ("temporal-sae-llama-3.1-8b/blocks.15.hook_resid_post", 15, "", "a temporal SAE"),
    ],
)
def test_what_is_listed_of_an_sae(name, layer, width, refused):
    entry = directory.find(name)
    assert entry is not None
    assert (entry.layer, entry.width, entry.refused) == (layer, width, refused)


def test_every_release_is_of_a_format_that_is_read_or_refused():
    entries = directory.entries()
    assert len(entries) > 10_000 and not [entry for entry in entries if "unknown format" in entry.refused]
    assert all(entry.layer is not None for entry in entries if not entry.refused)
    assert directory.find("llama_scope_lxr_8x/l8r_8x").input_scale == pytest.approx(64 / 6.3125)


def test_words_model_and_layer_narrow_the_search(capsys):
    found = directory.search(["llama"], "meta-llama/Llama-3.1-8B-Instruct", 19)
    assert {entry.name for entry in found} >= {
        "goodfire-llama-3.1-8b-instruct/layer_19",
        "llama-3.1-8b-instruct-andyrdt/resid_post_layer_19_trainer_1",
    }
    assert all(entry.layer == 19 and "Instruct" in entry.model for entry in found)
    assert run("gemma-scope", "16k", "canonical") == 0
    out = capsys.readouterr().out
    assert "gemma-scope-2b-pt-res-canonical/layer_0/width_16k/canonical" in out and "more; add words" in out
    assert run("gemma-scope-2b-pt", "--layer", "20", "--json") == 0
    saes = json.loads(capsys.readouterr().out)["saes"]
    assert {entry["why"] for entry in saes} == {"", "of attention", "of the MLP", "a transcoder"}
    assert [entry["readable"] for entry in saes] == sorted((entry["readable"] for entry in saes), reverse=True)


def test_every_sae_that_the_page_of_models_names_is_one_of_its_model_at_its_layer():
    page = (MAKE.parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| (\S+) \|.*\| `([^`]+)` \((\d+)", page, re.MULTILINE)
    assert len(named) == 10
    for model, name, layer in named:
        entry = directory.find(name)
        assert entry is not None and not entry.refused, name
        assert entry.layer == int(layer) and entry.model.rpartition("/")[2] == model.rpartition("/")[2], name
    (command_line,) = re.findall(r"^S=(\S+)$", page, re.MULTILINE)
    assert command_line in {name for _, name, _ in named}


@pytest.mark.owners
def test_the_list_is_what_its_script_makes_of_the_sae_lens_that_is_installed():
    from importlib.metadata import version

    if find_spec("sae_lens") is None:
        pytest.skip("sae-lens is not installed")
    if directory.directory()["source"] != f"SAELens {version('sae-lens')}, pretrained_saes.yaml":
        pytest.skip("the list was made with another version")
    made = subprocess.run([sys.executable, MAKE, "--check"], capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
