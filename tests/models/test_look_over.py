"""Folders that hold no model that could be loaded: each says what it is and what to do, before weights are read."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from clampdown.errors import ClampdownError
from clampdown.models.chat_model import load_chat_model

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 269060552\n"
PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"


@pytest.fixture
def folder(tiny, tmp_path):
    shutil.copytree(tiny.folder, tmp_path / "m")
    return tmp_path / "m"


@pytest.fixture
def refused(folder, one_line, monkeypatch):
    """The folder is refused in one line with these words, its name among them, and its weights are left unread."""

    def check(*words, at=folder):
        monkeypatch.setattr("clampdown.models.loading._weights", lambda *a: pytest.fail("weights were read"))
        with pytest.raises(ClampdownError) as caught:
            load_chat_model(str(at), dtype="float32")
        one_line(caught, str(at), *words)

    return check


def only(folder, *kept):
    for path in folder.iterdir():
        if not path.name.startswith(kept):
            path.unlink()


def configured(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def sharded(folder):
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    where = {}
    for part in (0, 1):
        name = f"model-0000{part + 1}-of-00002.safetensors"
        own = {key: state[key] for key in sorted(state)[part::2]}
        save_file(own, folder / name, metadata={"format": "pt"})
        where |= dict.fromkeys(own, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    return where


# A pointer in the chat template's place would be the whole prompt, whatever is asked.
BESIDE = ["chat_template.jinja", "special_tokens_map.json", "generation_config.json", "vocab.txt", "merges.txt"]


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json", *BESIDE])
@pytest.mark.parametrize(
    "content, words",
    [(POINTER, "git lfs pull"), (PAGE, "web page"), (b"", "it is empty")],
    ids=["lfs", "page", "empty"],
)
def test_what_lies_in_a_files_place_is_told(name, content, words, folder, refused):
    (folder / name).write_bytes(content)
    refused(f"its {name}", words)


@pytest.mark.parametrize("content, words", [(POINTER, "git lfs pull"), (PAGE, "web page"), (b"abc", "no PyTorch file")])
def test_a_pickles_place_too(content, words, folder, refused):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)
    refused("its pytorch_model.bin", words)


def test_an_indexs_place_too(folder, refused):
    sharded(folder)
    (folder / "model.safetensors.index.json").write_bytes(POINTER)
    refused("its model.safetensors.index.json", "git lfs pull")


def test_noise_is_no_safetensors_file(folder, refused):
    (folder / "model.safetensors").write_bytes(b"\xff\x00" * 500)
    refused("no safetensors file", "fetch it again")


def test_a_file_or_shard_cut_short_is_told_with_its_length(folder, refused):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-1000])
    refused("cut short", f"{len(whole):,}")
    (folder / "model.safetensors").write_bytes(whole)
    sharded(folder)
    path = folder / "model-00002-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    refused("model-00002-of-00002.safetensors", "cut short")


def test_a_missing_shard_is_named(folder, refused):
    sharded(folder)
    (folder / "model-00001-of-00002.safetensors").unlink()
    refused("lacks model-00001-of-00002.safetensors", "1 of 2 missing", "fetch it again")


def test_shards_without_their_index_want_it(folder, refused):
    sharded(folder)
    (folder / "model.safetensors.index.json").unlink()
    refused("shards of weights (2)", "not model.safetensors.index.json")


@pytest.mark.parametrize("name", ["../m.safetensors", "/etc/m.safetensors"])
def test_an_index_does_not_lead_out_of_the_folder(name, folder, refused):
    where = sharded(folder)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": where | {"model.norm.weight": name}}))
    refused(name, "outside the folder")


DEEP = "[" * 50_000
DAMAGED = ["{", "[]", '{"weight_map": {"a": 5}}', '{"weight_map": ["a"]}', f'{{"weight_map": {DEEP}']


@pytest.mark.parametrize("content", DAMAGED, ids=lambda text: text[:30])
def test_a_damaged_index_is_told(content, folder, refused):
    sharded(folder)
    (folder / "model.safetensors.index.json").write_text(content)
    refused("index.json is damaged")


def adapter(folder):
    told = {"base_model_name_or_path": "org/whole", "peft_type": "LORA"}
    (folder / "adapter_config.json").write_text(json.dumps(told))
    save_file({"base_model.model.lora_A.weight": torch.ones(2, 2)}, folder / "adapter_model.safetensors")


def test_an_adapter_alone_is_to_be_merged(folder, refused):
    (folder / "model.safetensors").unlink()
    adapter(folder)
    words = ("adapter", "of org/whole", "merge_and_unload")
    refused(*words)
    (folder / "config.json").write_text("{}")
    refused(*words)
    (folder / "config.json").unlink()
    refused(*words)
    (folder / "adapter_config.json").write_text(DEEP)
    refused("adapter", "merge_and_unload")


PACKED = {
    "AWQ": {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True},
    "GPTQ": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False},
    "compressed-tensors": {"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {}},
    "HQQ": {"quant_method": "hqq", "quant_config": {}},
}


@pytest.mark.parametrize("called", PACKED)
def test_weights_packed_by_what_is_not_here_name_it(called, folder, refused, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *a: None)
    configured(folder, quantization_config=PACKED[called])
    refused(f"packed by {called}", "pip install", "or name the model that it was packed from")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("method", ["exl2", "no-such-packing"])
def test_weights_packed_by_what_transformers_does_not_know_say_so(method, folder, refused):
    configured(folder, quantization_config={"quant_method": method, "bits": 4})
    refused(f"packed by {method}", "does not read", "name the model that it was packed from")


def test_weights_that_only_a_gpu_reads_say_so(folder, refused, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *a: object())
    configured(folder, quantization_config={"quant_method": "fbgemm_fp8"})
    refused("FP8", "GPU only")


def test_weights_packed_by_mlx_are_mlxs(folder, refused):
    configured(folder, quantization={"group_size": 64, "bits": 4})
    refused("packed by MLX", "made from")


OTHERS = {
    "model.gguf": ("GGUF", "name the file itself", "model.gguf"),
    "model.onnx": ("ONNX", "safetensors"),
    "openvino_model.xml": ("OpenVINO",),
    "tf_model.h5": ("TensorFlow",),
    "flax_model.msgpack": ("Flax",),
    "consolidated.00.pth": ("Meta's own layout",),
    "consolidated.safetensors": ("Mistral's own layout",),
    "weights.00.npz": ("MLX",),
    "__0_0.distcp": ("distributed training",),
    "model.fp16.safetensors": ("model.fp16.safetensors", "no model.safetensors", "rename"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_weights_of_another_layout_are_named(name, folder, refused):
    (folder / "model.safetensors").rename(folder / name)
    refused(*OTHERS[name])


def test_onnx_in_its_own_folder_is_named(folder, refused):
    (folder / "onnx").mkdir()
    (folder / "model.safetensors").rename(folder / "onnx" / "model.onnx")
    refused("ONNX")


def test_a_tokenizer_alone_is_no_model(folder, refused):
    only(folder, "tokenizer")
    refused("a tokenizer", "fetch the whole model")


def test_a_model_without_a_tokenizer_is_told(folder, refused):
    (folder / "tokenizer.json").unlink()
    refused("no tokenizer", "fetch that too")


def test_a_configuration_without_weights_is_no_model(folder, refused):
    (folder / "model.safetensors").unlink()
    refused("holds no weights")


def test_a_folder_of_pictures_model_is_told(folder, refused):
    only(folder, "none")
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    refused("diffusers", "language model")


@pytest.mark.parametrize(
    "name, content",
    [
        ("cfg.json", '{"d_in": 32, "d_sae": 96, "architecture": "topk"}'),
        ("config.json", '{"trainer": {"dict_class": "AutoEncoderTopK", "activation_dim": 32}}'),
        ("ae.pt", ""),
    ],
)
def test_an_sae_is_no_model(name, content, folder, refused):
    only(folder, "none")
    (folder / name).write_text(content)
    refused("an SAE's")


def test_a_configuration_of_nothing_known_is_told(folder, refused):
    (folder / "config.json").write_text('{"hidden_size": 32}')
    refused("no model_type")
    (folder / "config.json").write_text("[" * 100_000)
    refused("config.json", "not valid JSON")
    (folder / "config.json").write_text("[]")
    refused("config.json")


def test_an_empty_folder_and_one_around_the_model_say_so(folder, refused, tmp_path):
    refused("holds no model itself", f"{folder} does", at=tmp_path)
    (tmp_path / "cached" / "snapshots").mkdir(parents=True)
    folder.rename(tmp_path / "cached" / "snapshots" / "abc")
    refused("snapshots/abc does", at=tmp_path / "cached")
    (tmp_path / "empty").mkdir()
    refused("the folder is empty", at=tmp_path / "empty")
