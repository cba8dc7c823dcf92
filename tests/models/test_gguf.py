"""GGUF files written by the library that owns the format, read back: the same logits, tokenizer and template."""

import gguf
import numpy as np
import pytest
import torch
from families import build

from clampdown.errors import ClampdownError
from clampdown.models.chat_model import load_chat_model
from clampdown.recipe import Direction, Recipe
from clampdown.steering.attach import Steering

pytest.importorskip("accelerate")

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ARCHITECTURES = {  # GGUF's name, by family
    "llama3": "llama",
    "mistral": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma2": "gemma2",
    "gemma3": "gemma3",
    "phi3": "phi3",
}
UNTOLD = {  # what a file does not tell, but is the same in all real ones
    "gemma2": {"query_pre_attn_scalar": 256, "final_logit_softcapping": 30.0},
    "gemma3": {
        "query_pre_attn_scalar": 256,
        "num_hidden_layers": 6,
        "layer_types": ["sliding_attention"] * 5 + ["full_attention"],
    },
}
FACTORS = [1.0, 1.0, 2.0, 8.0]
"""By what a Llama 3.1 file divides its four rotary frequencies (here)."""


class Vocabulary:
    """A byte-level vocabulary of 256 letters, one pair, and three control tokens; the first two bound a turn."""

    bos_token_id, eos_token_id, pad_token_id = 0, 2, 2

    def __init__(self):
        from transformers.convert_slow_tokenizer import bytes_to_unicode

        self.tokens = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", *bytes_to_unicode().values(), "th"]

    def __len__(self):
        return len(self.tokens)


def plain(family):
    """The family without what GGUF keeps apart: positions are stretched by tensors or keys of the file."""
    model = build(family, Vocabulary(), **UNTOLD.get(family, {}))
    rotary = model.get_decoder().rotary_emb
    if family == "llama3":  # as the file below says it
        from transformers import LlamaForCausalLM

        config = model.config
        config.rope_parameters = {"rope_type": "default", "rope_theta": 10_000.0}
        fresh = LlamaForCausalLM(config).eval()
        fresh.load_state_dict(model.state_dict())
        fresh.model.rotary_emb.inv_freq /= torch.tensor(FACTORS)
        return fresh
    if family == "gemma3":
        rotary.full_attention_inv_freq /= 4.0
    return model


def write(path, family, model, **changes):
    """A GGUF file of a tiny model, as llama.cpp's converter would lay it out."""
    arch, config, words = ARCHITECTURES[family], model.config, Vocabulary()
    writer = gguf.GGUFWriter(path, changes.get("arch", arch))
    writer.add_name("tiny")
    writer.add_context_length(512)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(changes.get("blocks", config.num_hidden_layers))
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_key_length(8)
    writer.add_rope_dimension_count(8)
    writer.add_vocab_size(len(words))
    if window := getattr(config, "sliding_window", None):
        writer.add_sliding_window(window)
    writer.add_rope_freq_base(_theta(config))
    if family == "gemma3" or "stretch" in changes:
        writer.add_rope_scaling_type(changes.get("stretch", gguf.RopeScalingType.LINEAR))
        writer.add_rope_scaling_factor(4.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(words.tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * 257)
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    if changes.get("template", TEMPLATE):
        writer.add_chat_template(TEMPLATE)
    for key, value in changes.get("keys", {}).items():
        (writer.add_string if isinstance(value, str) else writer.add_uint16)(key, value)
    names = gguf.get_tensor_name_map(_kind(arch), config.num_hidden_layers)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        base, _, end = name.rpartition(".")
        if base.endswith(changes.get("without", "-")):
            continue
        writer.add_tensor(f"{names.get_name(base)}.{end}", _laid_out(arch, config, base, weight).numpy())
    if family == "llama3":
        writer.add_tensor("rope_freqs.weight", np.array(FACTORS, np.float32))
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    return path


def _kind(arch):
    return next(kind for kind, name in gguf.MODEL_ARCH_NAMES.items() if name == arch)


def _theta(config):
    told = config.rope_parameters
    return (told.get("full_attention") or told)["rope_theta"]


def _laid_out(arch, config, base, weight):
    weight = weight.float()
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(base.rpartition(".")[2])
    if arch == "llama" and heads:  # rotary halves become interleaved pairs
        return weight.reshape(heads, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape).contiguous()
    return weight + 1 if arch.startswith("gemma") and "norm" in base else weight


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_a_file_gives_the_logits_of_what_was_written(family, tmp_path):
    hf = plain(family)
    model = load_chat_model(str(write(tmp_path / "m.gguf", family, hf)), dtype="float32")
    ids = torch.randint(3, 259, (1, 24), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = hf(input_ids=ids).logits
        if family == "mistral":  # GGUF knows it as a Llama, whose blocks have no window
            ids, expected = ids[:, :6], expected[:, :6]
        torch.testing.assert_close(model.hf(input_ids=ids).logits, expected, atol=2e-3, rtol=1e-3)
        with Steering(model, Recipe("r", "m", model.sha256, (Direction(1, 5.0, seed=1),))):
            assert (model.hf(input_ids=ids).logits - expected).abs().max() > 0.1
    assert len(model.sha256) == 64


@pytest.fixture(scope="module")
def llama():
    return plain("llama3")


def test_tokenizer_template_and_ends_come_from_the_file(llama, tmp_path):
    path = write(tmp_path / "m.gguf", "llama3", llama)
    model = load_chat_model(str(path), dtype="float32")
    ids = model.prompt_ids("Hé!")
    assert model.tokenizer.decode(ids) == "<|im_start|>user\nHé!<|im_end|>\n<|im_start|>assistant\n"
    assert ids.count(0) == 2 and ids.count(1) == 1
    assert model.stop_ids == {1, 2}, "the end of a turn is in the template alone"


def test_the_hash_is_the_file_s_own(llama, tmp_path):
    one = write(tmp_path / "one.gguf", "llama3", llama)
    before = load_chat_model(str(one), dtype="float32").sha256
    write(tmp_path / "two.gguf", "qwen2", plain("qwen2"))
    assert load_chat_model(str(one), dtype="bfloat16").sha256 == before
    assert load_chat_model(str(tmp_path / "two.gguf"), dtype="float32").sha256 != before


@pytest.fixture
def files(llama, hub, tmp_path):
    """A hub with one file, in a folder of its repository."""
    (tmp_path / "files" / "small").mkdir(parents=True)
    hub.repositories["org/files"] = tmp_path / "files"
    return write(tmp_path / "files" / "small" / "m.gguf", "llama3", llama)


def test_a_file_on_the_hub_is_fetched_by_its_name(files, hub, monkeypatch, one_line):
    name = "org/files/small/m.gguf"
    models = [load_chat_model(f"{name}{rev}", dtype="float32") for rev in ("", "@v1")]
    here = load_chat_model(str(files), dtype="float32")
    assert [model.name for model in models] == [name, f"{name}@v1"]
    assert {model.sha256 for model in models} == {here.sha256}
    assert models[0].folder.name == "m.gguf" and models[0].folder != files
    from huggingface_hub import constants

    hub.close()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_chat_model(name, dtype="float32").sha256 == here.sha256
    with pytest.raises(ClampdownError) as caught:
        load_chat_model("org/files/other.gguf")
    one_line(caught, "org/files/other.gguf", "can't be reached", "not in the cache")


@pytest.mark.parametrize(
    "name, words",
    [
        ("org/files/none.gguf", ("its repository has no such file", "huggingface.co/org/files/tree/main")),
        ("org/files/small/m.gguf@v9", ("no revision v9",)),
        ("org/none/m.gguf", ("neither a folder here",)),
        ("org/gated/m.gguf", ("gated", "hf auth login")),
        ("org/m.gguf", ("no such file",)),
    ],
)
def test_what_the_hub_refuses_is_told_in_one_line(name, words, files, one_line):
    with pytest.raises(ClampdownError) as caught:
        load_chat_model(name, dtype="float32")
    one_line(caught, name, *words)


def test_a_file_that_a_folder_here_lacks_is_not_looked_for_on_the_hub(files, tmp_path, monkeypatch, one_line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "files").mkdir(parents=True)
    with pytest.raises(ClampdownError) as caught:
        load_chat_model("org/files/small/m.gguf")
    one_line(caught, "no such file")


BAD = {
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-4000]), "no whole GGUF"),
    "short": (lambda path: path.write_bytes(path.read_bytes()[:100]), "no whole GGUF"),
    "empty": (lambda path: path.write_bytes(b""), "no whole GGUF"),
    "noise": (lambda path: path.write_bytes(b"\xff\x00" * 500), "no whole GGUF"),
}


@pytest.mark.parametrize("damage", BAD)
def test_a_damaged_file_is_refused(damage, llama, tmp_path, one_line):
    path = write(tmp_path / "m.gguf", "llama3", llama)
    do, words = BAD[damage]
    do(path)
    with pytest.raises(ClampdownError) as caught:
        load_chat_model(str(path), dtype="float32")
    one_line(caught, str(path), words)


UNREAD = {
    "yarn": ({"stretch": gguf.RopeScalingType.YARN}, "position scaling"),
    "27b": ({"arch": "gemma2", "blocks": 46}, "attention scaling"),
    "architecture": ({"arch": "bert"}, "not supported"),
    "tensor": ({"without": "layers.2.mlp.up_proj"}, "layers.2.mlp.up_proj.weight"),
    "template": ({"template": ""}, "chat template"),
}


@pytest.mark.parametrize("what", UNREAD)
def test_what_would_be_read_wrongly_is_refused(what, llama, tmp_path, one_line):
    changes, words = UNREAD[what]
    path = write(tmp_path / "m.gguf", "llama3", llama, **changes)
    with pytest.raises(ClampdownError) as caught:
        load_chat_model(str(path), dtype="float32")
    one_line(caught, str(path), words)


def test_one_part_of_a_split_file_says_so(llama, tmp_path, one_line):
    """By its name before it is fetched or opened, by its keys under any other name."""
    path = write(tmp_path / "m-00002-of-00003.gguf", "llama3", llama)
    for name in (str(path), "org/files/m-00002-of-00003.gguf"):
        with pytest.raises(ClampdownError) as caught:
            load_chat_model(name)
        one_line(caught, "part 2 of 3", "split GGUF", "llama-gguf-split --merge m-00001-of-00003.gguf")
    path = write(tmp_path / "part.gguf", "llama3", llama, keys={"split.no": 0, "split.count": 2})
    with pytest.raises(ClampdownError) as caught:
        load_chat_model(str(path))
    one_line(caught, str(path), "part 1 of 2", "llama-gguf-split")
    whole = write(tmp_path / "m-00001-of-00001.gguf", "llama3", llama)
    assert load_chat_model(str(whole), dtype="float32").n_layers == 4


@pytest.mark.parametrize(
    "content, words",
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>Sign in</html>", "web page"),
    ],
)
def test_what_lies_in_a_files_place_is_told(content, words, tmp_path, one_line):
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(ClampdownError) as caught:
        load_chat_model(str(tmp_path / "m.gguf"))
    one_line(caught, words, "m.gguf")


@pytest.mark.parametrize("changes, words", [({"keys": {"general.type": "adapter"}}, "an adapter (LoRA)")])
def test_a_file_that_is_no_model_is_told(changes, words, llama, tmp_path, one_line):
    path = write(tmp_path / "m.gguf", "llama3", llama, **changes)
    with pytest.raises(ClampdownError) as caught:
        load_chat_model(str(path))
    one_line(caught, words, "merged")


def test_a_missing_template_is_seen_before_anything_is_read(llama, tmp_path, monkeypatch, one_line):
    path = write(tmp_path / "m.gguf", "llama3", llama, template="")
    monkeypatch.setattr(gguf, "GGUFReader", lambda *a: pytest.fail("the slow reader was asked"))
    with pytest.raises(ClampdownError) as caught:
        load_chat_model(str(path))
    one_line(caught, "no chat template", "--chat-template")


def test_the_header_is_read_once(llama, tmp_path, monkeypatch):
    path, times = write(tmp_path / "m.gguf", "llama3", llama, template=""), []

    class Counted(gguf.GGUFReader):
        def __init__(self, *arguments):
            times.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(gguf, "GGUFReader", Counted)
    model = load_chat_model(str(path), dtype="float32", chat_template=TEMPLATE)
    assert len(times) == 1 and gguf.GGUFReader is Counted
    ids = torch.tensor([[0, 70, 80, 90]])
    torch.testing.assert_close(model.hf(ids).logits, llama(ids).logits, atol=1e-3, rtol=1e-3)


def test_what_does_not_go_with_gguf_is_refused(llama, tmp_path, one_line):
    path = write(tmp_path / "m.gguf", "llama3", llama)
    for wish, words in (({"quantization": "8bit"}, "packed already"), ({"revision": "v1"}, "no revisions")):
        with pytest.raises(ClampdownError) as caught:
            load_chat_model(str(path), **wish)
        one_line(caught, words)
    with pytest.raises(ClampdownError) as caught:
        load_chat_model(str(tmp_path), dtype="float32")
    one_line(caught, "name the file itself", "m.gguf")
    with pytest.raises(ClampdownError) as caught:
        load_chat_model(str(tmp_path / "none.gguf"))
    one_line(caught, "no such file")
