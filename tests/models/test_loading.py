"""Where models come from and where they go: the hub's real client, device maps, packed weights, and what is refused."""

import importlib.util
import json
import os
import shutil
import socket
from pathlib import Path

import pytest
import torch
from families import build
from hub import COMMIT
from safetensors.torch import load_file, save_file

from clampdown.discovery.describe import promoted
from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.models import residual
from clampdown.models.chat_model import load_chat_model
from clampdown.models.source import weight_files
from clampdown.recipe import Clamp, Direction, Recipe
from clampdown.steering.attach import Steering
from clampdown.steering.self_test import self_test


def refused(one_line, *words, name, **how):
    with pytest.raises(ClampdownError) as caught:
        load_chat_model(name, **{"dtype": "float32", **how})
    one_line(caught, *words)


def test_a_hub_id_is_loaded_with_or_without_a_revision(hub, tiny):
    plain, pinned = load_chat_model("org/tiny", dtype="float32"), load_chat_model("org/tiny@v1", dtype="float32")
    assert plain.name == "org/tiny" and pinned.name == "org/tiny@v1"
    assert plain.sha256 == pinned.sha256 == tiny.sha256 and plain.folder.name == COMMIT
    assert load_chat_model("org/tiny", dtype="float32", revision=COMMIT).name == f"org/tiny@{COMMIT}"


def test_what_the_hub_refuses_is_told_in_one_line(hub, one_line):
    refused(one_line, "gated", "licence", "hf auth login", name="org/gated")
    refused(one_line, "neither a folder", "check the name", name="org/none")
    refused(one_line, "no revision v9", name="org/tiny@v9")
    refused(one_line, "leave out main", name="org/tiny@v1", revision="main")


def test_without_a_network_the_cache_serves(hub, tiny, monkeypatch, one_line):
    load_chat_model("org/tiny", dtype="float32")
    from huggingface_hub import constants

    hub.close()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # as HF_HUB_OFFLINE=1 does: no waiting for many tries
    assert load_chat_model("org/tiny", dtype="float32").sha256 == tiny.sha256
    refused(one_line, "can't be reached", "not in the cache", name="org/other")


def test_what_is_here_has_no_revision(tiny, one_line, tmp_path):
    refused(one_line, "no revisions", name=str(tiny.folder), revision="main")
    refused(one_line, "no such file or folder", name="./none")
    (tmp_path / "weights.bin").write_bytes(b"")
    refused(one_line, "name its folder", name=str(tmp_path / "weights.bin"))


@pytest.mark.skipif(os.name == "nt", reason="pipes")
def test_what_is_neither_a_file_nor_a_folder_is_told_and_not_looked_for_on_the_hub(one_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # as "owner/name", they could be a repository's
    (tmp_path / "here").mkdir()
    os.mkfifo(tmp_path / "here" / "pipe")
    os.mkfifo(tmp_path / "here" / "pipe.gguf")
    (tmp_path / "here" / "link").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("here/socket")
        kinds = {"pipe": "a pipe", "pipe.gguf": "a pipe", "link": "No such file", "socket": "a socket"}
        for name, word in kinds.items():
            refused(one_line, "can't read model", f"here/{name}", word, name=f"here/{name}")
    refused(one_line, "/dev/null", "a device", name="/dev/null")
    refused(one_line, "no such file or folder", name="~no-such-user-here/model")
    for odd in ("x" * 5000, "x\0y", ""):
        refused(one_line, "could not load model", name=odd)


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("m.Q4_K.gguf-split-a", b"GGUF rest", ("a piece of a GGUF", "cat FIRST SECOND")),
        ("m.Q4_K.gguf-split-b", b"rest", ("a piece of a GGUF", "cat FIRST SECOND")),
        ("m.gguf.part2of3", b"rest", ("a piece of a GGUF", "cat FIRST SECOND")),
        ("sha256-4d7a", b"GGUF rest", ("it is GGUF", "end its name in .gguf")),
        ("m.safetensors", b"rest", ("name its folder",)),
        ("m.GGUF", b"rest", ("no whole GGUF file",)),
    ],
)
def test_a_file_that_is_no_whole_gguf_by_its_name_is_told(name, content, words, one_line, tmp_path):
    (tmp_path / name).write_bytes(content)
    refused(one_line, name, *words, name=str(tmp_path / name))


@pytest.fixture
def copy(tiny, tmp_path):
    shutil.copytree(tiny.folder, tmp_path / "m")

    def change(**settings):
        path = tmp_path / "m" / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
        return str(tmp_path / "m")

    return change


def test_what_is_no_decoder_only_language_model_is_refused(copy, one_line):
    refused(one_line, "encoder-decoder (t5)", name=copy(model_type="t5", is_encoder_decoder=True))
    refused(one_line, "no language model (vit)", name=copy(model_type="vit", is_encoder_decoder=False))
    refused(one_line, "does not know its architecture", name=copy(model_type="abacus"))
    refused(one_line, "code of its own", name=copy(model_type="abacus", auto_map={"AutoConfig": "code.Config"}))


def test_a_model_without_decoder_blocks_is_refused(tiny, tmp_path, one_line):
    from transformers import BertConfig, BertLMHeadModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertLMHeadModel(BertConfig(vocab_size=99, **sizes)).save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    refused(one_line, "decoder", name=str(tmp_path))


def test_a_model_without_keys_and_values_is_refused(tiny, tmp_path, one_line):
    from transformers import MambaConfig, MambaForCausalLM

    MambaForCausalLM(MambaConfig(vocab_size=99, hidden_size=16, num_hidden_layers=1)).save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    refused(one_line, "no keys and values (mamba)", "attention", name=str(tmp_path))


@pytest.mark.parametrize("family", ["llama3", "gemma3-pictures"])
def test_blocks_that_the_configuration_leaves_out_are_missed(family, tiny, tmp_path, one_line):
    """Transformers would load the lower ones, and say nothing."""
    build(family, tiny.tokenizer).save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    load_chat_model(str(tmp_path), dtype="float32")
    path = tmp_path / "config.json"
    told = json.loads(path.read_text())
    text = told.get("text_config", told)
    text["num_hidden_layers"] = 2
    if "layer_types" in text:
        text["layer_types"] = text["layer_types"][:2]
    path.write_text(json.dumps(told))
    refused(one_line, "blocks up to 3", "of 2 blocks", "num_hidden_layers", name=str(tmp_path))


def test_blocks_that_only_predict_further_tokens_are_not_missed(copy):
    """As in DeepSeek V3 and GLM 4.5: one block more than those that run."""
    model = load_chat_model(copy(num_hidden_layers=3, num_nextn_predict_layers=1), dtype="float32")
    assert model.n_layers == 3


def test_weights_saved_without_a_head_are_counted_too(tiny, copy, one_line):
    folder = Path(copy(num_hidden_layers=3))
    tiny.hf.model.save_pretrained(folder / "bare")
    (folder / "bare" / "model.safetensors").replace(folder / "model.safetensors")
    refused(one_line, "blocks up to 3", "of 3 blocks", name=str(folder))


def test_bin_files_are_loaded_and_hashed(tiny, copy):
    folder = Path(copy())
    (folder / "model.safetensors").unlink()
    state = tiny.hf.state_dict()
    torch.save({name: tensor for name, tensor in state.items() if "lm_head" not in name}, folder / "pytorch_model.bin")
    torch.save({"a": torch.ones(1)}, folder / "training_args.bin")
    model = load_chat_model(str(folder), dtype="float32")
    assert [path.name for path in weight_files(folder)] == ["pytorch_model.bin"]
    assert model.sha256 == tiny.sha256, "the same tensors are loaded"


# Blocks 1 and 2 are read from disk whenever they run, so that their weights are nowhere in between.
SPREAD = {"model.embed_tokens": "cpu", "lm_head": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu"}
SPREAD |= {f"model.layers.{n}": "disk" if n in (1, 2) else "cpu" for n in range(4)}


@pytest.mark.parametrize("where", ["cpu", SPREAD], ids=["one place", "spread"])
def test_a_device_map_changes_nothing_but_the_place(where, tiny, make_sae):
    pytest.importorskip("accelerate")
    model = load_chat_model(str(tiny.folder), dtype="float32", device_map=where)
    assert model.device.type == "cpu" and [model.device_at(n).type for n in range(4)] == ["cpu"] * 4
    recipe = Recipe("r", "tiny", tiny.sha256, (Clamp("tiny", "", 1, {3: 4.0}), Direction(2, 5.0, seed=1)))
    rows = [tiny.prompt_ids("Hi"), tiny.prompt_ids("What is it?")]
    batch = tiny.pad(rows)
    told = []
    for each in (tiny, model):
        with torch.no_grad(), Steering(each, [recipe, None], saes=[make_sae()]):
            told.append(each.hf(**batch.as_inputs()).logits)
    torch.testing.assert_close(told[0], told[1])
    steer = Recipe("r", "tiny", "", (Direction(1, 5.0, seed=1),))
    self_test(model, steer)
    own, plain = (generate(each, rows, [steer, None], Sampling(4)) for each in (model, tiny))
    assert [a.ids for a in own] == [a.ids for a in plain]


def test_blocks_run_alone_where_accelerate_placed_them(tiny):
    pytest.importorskip("accelerate")
    model = load_chat_model(str(tiny.folder), dtype="float32", device_map=SPREAD)
    batch = tiny.pad([[5, 6, 7, 8]])
    with torch.no_grad():
        whole = tiny.hf(**batch.as_inputs()).logits
        x = model.residual(batch, [1])[0]
        for _ in range(2):  # the blocks passed over must keep what accelerate gave them
            with residual.starting_after(model.hf, 1) as begin:
                begin(x)
                torch.testing.assert_close(model.hf(**batch.as_inputs()).logits, whole)
            torch.testing.assert_close(model.hf(**batch.as_inputs()).logits, whole)


@pytest.mark.parametrize(
    "family, away",
    [
        ("llama3", ("lm_head", "model.norm")),
        ("gemma2", ("model.norm",)),  # this one and the next have one matrix at both ends
        ("qwen2", ("model.embed_tokens", "lm_head")),
    ],
)
def test_what_rows_promote_is_read_where_the_head_lies(family, away, tiny, tmp_path, make_sae):
    pytest.importorskip("accelerate")
    build(family, tiny.tokenizer).save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    plain = load_chat_model(str(tmp_path), dtype="float32")
    spread = load_chat_model(str(tmp_path), dtype="float32", device_map=SPREAD | dict.fromkeys(away, "disk"))
    assert promoted(spread, make_sae(), [3, 40]) == promoted(plain, make_sae(), [3, 40])


def test_what_does_not_go_together_is_refused(tiny, one_line):
    name = str(tiny.folder)
    refused(one_line, "not both", name=name, device="cpu", device_map="auto")
    refused(one_line, "unknown quantization '3bit'", "8bit", name=name, quantization="3bit")
    refused(one_line, "could not load model", "auto, balanced or sequential", name=name, device_map="abacus")
    refused(one_line, "unknown device 'gpu'", "cuda:1", name=name, device="gpu")


def test_packages_that_are_missing_are_named(tiny, monkeypatch, one_line):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in gone else find(name, *a))
    gone = {"bitsandbytes"}
    refused(one_line, "4bit quantization needs bitsandbytes", "pip install", name=str(tiny.folder), quantization="4bit")
    gone = {"accelerate"}
    refused(one_line, "a device map needs accelerate", "pip install", name=str(tiny.folder), device_map="auto")


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_packed_weights_are_steered(bits, tiny, tmp_path):
    # Twice as wide as usual: where a processor has AVX-512, bitsandbytes packs 64 weights at a time.
    wide = {"hidden_size": 64, "head_dim": 16, "intermediate_size": 128}
    config = type(tiny.hf.config)(**(tiny.hf.config.to_dict() | wide))
    type(tiny.hf)(config).save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    model = load_chat_model(str(tmp_path), quantization=bits, dtype="float32")
    assert model.sha256 == load_chat_model(str(tmp_path), dtype="float32").sha256 and model.quantization == bits
    packed = sum(type(part).__module__.startswith("bitsandbytes") for part in model.hf.modules())
    assert packed >= 28, "seven products in each of the four blocks"
    recipe = Recipe("r", "tiny", model.sha256, (Direction(1, 20.0, seed=1),))
    self_test(model, recipe)
    [answer] = generate(model, [model.prompt_ids("Hi")], [recipe], Sampling(3))
    assert answer.receipt.tokens_edited > 3


@pytest.mark.parametrize("part", ["qweight", "weight_packed", "q_weight"])
def test_packed_weights_of_which_the_configuration_tells_nothing_are_told(part, copy, one_line):
    folder = Path(copy())
    state = load_file(folder / "model.safetensors")
    moved = {name.removesuffix("weight") + part: name for name in state if "_proj." in name}
    kept = {name: state[name] for name in state if name not in moved.values()}
    save_file(kept | {new: state[old] for new, old in moved.items()}, folder / "model.safetensors", {"format": "pt"})
    refused(one_line, f"are packed (model.layers.0.mlp.down_proj.{part})", "packed from", name=str(folder))


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
@pytest.mark.parametrize("bits", ["load_in_8bit", "load_in_4bit"])
def test_weights_that_are_not_packed_as_their_configuration_says_are_refused(bits, tiny, tmp_path, one_line):
    tiny.hf.save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", bits: True}
    (tmp_path / "config.json").write_text(json.dumps(config))
    refused(one_line, "not packed", "quantization_config", name=str(tmp_path))
