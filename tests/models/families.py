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

_MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1, "mamba_chunk_size": 4}
_ALTERNATELY = ["linear_attention", "full_attention"] * 2
_CONVOLUTIONS = {"layer_types": ["conv", "conv", "full_attention", "conv"]}

HYBRIDS = {
    "lfm2": Family("Lfm2Config", "Lfm2ForCausalLM", _CONVOLUTIONS),
    # Its projections' bias is heard from padding: rows of different lengths can't be read together.
    "lfm2-bias": Family("Lfm2Config", "Lfm2ForCausalLM", _CONVOLUTIONS | {"conv_bias": True}),
    "falcon-h1": Family(
        "FalconH1Config", "FalconH1ForCausalLM", _MAMBA | {"mamba_d_ssm": 32, "mamba_n_heads": 4, "head_dim": 8}
    ),
    # Its blocks begin anew where several tokens follow a cache: they have to come one by one.
    "jamba": Family(
        "JambaConfig",
        "JambaForCausalLM",
        {
            **{"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1},
            **{"num_experts": 2, "num_experts_per_tok": 1, "mamba_d_state": 8, "mamba_dt_rank": 4},
            "use_mamba_kernels": False,
        },
    ),
    "bamba": Family("BambaConfig", "BambaForCausalLM", _MAMBA | {"attn_layer_indices": [1, 3]}),
    "zamba2": Family(
        "Zamba2Config",
        "Zamba2ForCausalLM",
        {
            **{"mamba_d_state": 8, "n_mamba_heads": 8, "mamba_headdim": 8, "mamba_ngroups": 1, "chunk_size": 4},
            **{"num_mem_blocks": 1, "layers_block_type": ["mamba", "hybrid"] * 2, "adapter_rank": 4},
            **{"attention_head_dim": 16, "attention_hidden_size": 64},
        },
    ),
    "nemotron-h": Family(
        "NemotronHConfig",
        "NemotronHForCausalLM",
        {
            **{"layers_block_type": ["mamba", "attention", "mlp", "mamba"], "ssm_state_size": 8, "chunk_size": 4},
            **{"mamba_num_heads": 8, "mamba_head_dim": 8, "n_groups": 1, "expand": 2, "head_dim": 8},
        },
    ),
    "qwen3-next": Family(
        "Qwen3NextConfig",
        "Qwen3NextForCausalLM",
        {
            **{"layer_types": _ALTERNATELY, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "head_dim": 8},
            **{"linear_key_head_dim": 8, "linear_value_head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2},
            **{"moe_intermediate_size": 32, "shared_expert_intermediate_size": 32},
        },
    ),
    "granite-hybrid": Family(
        "GraniteMoeHybridConfig",
        "GraniteMoeHybridForCausalLM",
        _MAMBA | _EXPERTS | {"layer_types": ["mamba", "attention"] * 2, "shared_intermediate_size": 48},
    ),
}
"""Models whose blocks keep recurrent or convolution states, instead of keys and values or beside them."""


def build(name: str, tokenizer: Any, **changes: Any) -> Any:
    """A tiny model of the family, its weights random but such that blocks, and edits below them, matter."""
    import transformers

    family = {**FAMILIES, **HYBRIDS}[name]
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
        if name in HYBRIDS:  # their recurrences are scaled as they should be; a bias is never nought
            weight.data += 0.5 * torch.randn_like(weight) if part.endswith("proj.bias") else 0
            strong = 1.5 if name.startswith("lfm2") else 4  # products of three projections need less to matter
            weight.data *= strong if part.endswith("proj.weight") and ".layers." in part else 1
        elif "norm" in part:
            weight.data += 0.3 * torch.randn_like(weight)
        elif "layers." in part and "vision" not in part and weight.dim() >= 2:
            weight.data *= 8
    return model
