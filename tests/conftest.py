"""A tiny random model with the bundled model's tokenizer, tiny random SAEs, and the bundled model itself."""

import pytest
import torch
from jaxtyping import install_import_hook
from shapes import FOLDERS

install_import_hook(FOLDERS, "shapes.checked")

from clampdown.models.bundled import bundled_folder
from clampdown.models.chat_model import ChatModel, load_chat_model
from clampdown.saes.sae import SAE

WIDTH = 32


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Tiny products gain nothing from threads, and lose much where another program wants the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny_config(tokenizer, **changes):
    from transformers import LlamaConfig

    plain = {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    return LlamaConfig(**(plain | changes))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> ChatModel:
    """Four random blocks of width 32; saved, so that it has a hash and can be loaded."""
    from transformers import AutoTokenizer, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = AutoTokenizer.from_pretrained(bundled_folder(), padding_side="left")
    torch.manual_seed(0)
    hf = LlamaForCausalLM(tiny_config(tokenizer)).eval().requires_grad_(False)
    hf.get_input_embeddings().weight.data *= 50  # residuals about as large as the SAEs' rows, so that a clamp shows
    for name, weight in hf.named_parameters():
        if "layers" in name and weight.dim() == 2:
            weight.data *= 8  # blocks that matter, so that an edit below them does
    hf.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return ChatModel("tiny", folder, hf, tokenizer)


@pytest.fixture(scope="session")
def bundled() -> ChatModel:
    return load_chat_model(dtype="float32")


def build_sae(kind="topk", normalise="none", *, layer=1, n=96, d=WIDTH, name="tiny", seed=1, maximum=True) -> SAE:
    draw = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.randn(*shape, generator=draw)

    w_dec = rand(n, d)
    w_dec = w_dec / w_dec.norm(dim=-1, keepdim=True)
    return SAE(
        name=name,
        kind=kind,
        layer=layer,
        w_enc=w_dec + 0.1 * rand(n, d),
        b_enc=0.1 * rand(n),
        w_dec=w_dec,
        b_dec=0.2 * rand(d),
        k=8 if kind == "topk" else None,
        threshold=0.3 + 0.2 * rand(n).abs() if kind in ("jumprelu", "batchtopk") else None,
        maximum=1 + rand(n).abs() if maximum else None,
        normalise=normalise,
        gate_bias=0.1 * rand(n) if kind == "gated" else None,
        magnitude_scale=0.5 + rand(n).abs() if kind == "gated" else None,
    )


@pytest.fixture(scope="session")
def make_sae():
    return build_sae


@pytest.fixture
def one_line():
    """Check an error as users see it: one line of text, and the words it must hold."""

    def check(caught, *words):
        message = str(caught.value)
        assert message and "\n" not in message and "\r" not in message, message
        for word in words:
            assert word in message, message

    return check
