"""The model families that steering is tested on, each as a tiny random model of its real configuration class."""

from typing import Any, NamedTuple

import torch

WIDTH = 32
WINDOW = 6
"""The attention window of the families that have one: shorter than the tests' rows, so that it matters."""

_PLAIN = {
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
_SLIDING, _FULL = "sliding_attention", "full_attention"
_LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
_GEMMA = {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": WINDOW, "tie_word_embeddings": True}
_GEMMA3 = _GEMMA | {"layer_types": [_SLIDING, _SLIDING, _FULL, _SLIDING]}
_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
_GPT_OSS = {
    "head_dim": 8,
    "sliding_window": WINDOW,
    "layer_types": [_SLIDING, _FULL] * 2,
    "max_position_embeddings": 131_072,  # 32 times what its positions are stretched from
}
_PICTURES = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}


class Family(NamedTuple):
    """Names of the configuration and model classes in Transformers, and what is set beside the plain sizes."""

    config: str
    model: str
    settings: dict[str, Any] = {}  # noqa: RUF012
    window: int | None = None


FAMILIES = {
    "phi3": Family("Phi3Config", "Phi3ForCausalLM", {"sliding_window": WINDOW}, WINDOW),
    "llama3": Family("LlamaConfig", "LlamaForCausalLM", {"rope_parameters": _LLAMA3_ROPE}),
    # Norms before and after each half of a block, soft caps on attention and logits, scaled embeddings.
    "gemma2": Family("Gemma2Config", "Gemma2ForCausalLM", _GEMMA | {"final_logit_softcapping": 3.0}, WINDOW),
    "gemma3": Family("Gemma3TextConfig", "Gemma3ForCausalLM", _GEMMA3, WINDOW),
    # As the hub's larger ones come: the language model inside one that also takes pictures.
    "gemma3-pictures": Family("Gemma3Config", "Gemma3ForConditionalGeneration", {"text_config": _GEMMA3}, WINDOW),
    "qwen2": Family("Qwen2Config", "Qwen2ForCausalLM", {"tie_word_embeddings": True}),
    "qwen3": Family("Qwen3Config", "Qwen3ForCausalLM", {"head_dim": 8}),
    "mistral": Family("MistralConfig", "MistralForCausalLM", {"sliding_window": WINDOW}, WINDOW),
    "olmo2": Family("Olmo2Config", "Olmo2ForCausalLM"),  # norms after each half of a block only
    "smollm2": Family("LlamaConfig", "LlamaForCausalLM", {"tie_word_embeddings": True}),
    "smollm3": Family("SmolLM3Config", "SmolLM3ForCausalLM", {"no_rope_layer_interval": 2}),
    "gpt-oss": Family(
        "GptOssConfig",
        "GptOssForCausalLM",
        _EXPERTS | _GPT_OSS,
        WINDOW,
    ),
    "mixtral": Family("MixtralConfig", "MixtralForCausalLM", _EXPERTS),
    "qwen3-moe": Family(
        "Qwen3MoeConfig",
        "Qwen3MoeForCausalLM",
        {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "head_dim": 8},
    ),
}


def build(name: str, tokenizer: Any, **changes: Any) -> Any:
    """A tiny model of the family, its weights random but such that blocks, and edits below them, matter."""
    import transformers

    family = FAMILIES[name]
    vocabulary = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    settings = _PLAIN | vocabulary | family.settings | changes
    if "text_config" in family.settings:
        ids = {"image_token_index": 7, "boi_token_index": 8, "eoi_token_index": 9, "mm_tokens_per_image": 1}
        text = _PLAIN | vocabulary | family.settings["text_config"]
        settings = {"text_config": text, "vision_config": _PICTURES, **ids}
    torch.manual_seed(0)
    model = getattr(transformers, family.model)(getattr(transformers, family.config)(**settings))
    model = model.eval().requires_grad_(False)
    model.get_input_embeddings().weight.data *= 50
    if model.get_output_embeddings().weight is not model.get_input_embeddings().weight:
        model.get_output_embeddings().weight.data *= 50
    for part, weight in model.named_parameters():
        if "norm" in part:
            weight.data += 0.3 * torch.randn_like(weight)
        elif "layers." in part and "vision" not in part and weight.dim() >= 2:
            weight.data *= 8
    return model
