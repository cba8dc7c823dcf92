"""Before vLLM serves: a prompt is answered steered and unsteered, and where the edit does not show, vLLM is stopped."""

import time
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.plugins.vllm.patching import around
from clampdown.plugins.vllm.told import RECEIPT
from clampdown.plugins.vllm.version import LEAVE_OUT
from clampdown.plugins.vllm.wire import Asked, to_extra_args
from clampdown.recipe import Direction, Positions, Recipe

_TOKENS = 4
_PROMPT = 24
"""Tokens of the answers, and of a prompt whose ids are the first of the vocabulary: any model has these."""
_STRENGTH = 1e4
"""A push that no residual withstands: whatever was said without it, the next token is as if all were this direction."""


def patch() -> None:
    """Let every engine of vLLM test itself once it is made."""
    from vllm.v1.engine.core import EngineCore

    def made(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self_test(self)

    around(EngineCore, "__init__", made)


def self_test(core: Any) -> None:
    """Answer one prompt unsteered alone, then in one batch unsteered and steered from its last token on.

    Raises:
        ClampdownError: nothing was edited, the steered answer is the unsteered one, or that one has changed.
    """
    layers = core.vllm_config.model_config.hf_text_config.num_hidden_layers
    edit = Direction(layers // 2, _STRENGTH, seed=0)
    recipe = Recipe("self-test", "any", "", (edit,), Positions(prompt="last"))
    [alone] = _answers(core, [None])
    plain, steered = _answers(core, [None, recipe])
    core.reset_prefix_cache()
    receipt = steered[1]
    if plain[0] != alone[0]:
        why = "an unsteered request answered otherwise beside a steered one"
    elif receipt is None or receipt.get("tokens_edited") != _TOKENS or receipt.get("error"):
        why = f"{(receipt or {}).get('tokens_edited', 0)} tokens were edited in place of {_TOKENS}"
    elif plain[1] is not None or steered[0] == plain[0]:
        why = "the edit did not show in what was said"
    else:
        return
    raise ClampdownError(f"vLLM was stopped, for in a self-test {why}; nothing would be steered as asked, {LEAVE_OUT}")


def _answers(core: Any, recipes: list[Recipe | None]) -> list[tuple[list[int], dict[str, Any] | None]]:
    """Of each request the tokens said and the receipt."""
    from vllm import SamplingParams
    from vllm.v1.engine import EngineCoreRequest

    for number, recipe in enumerate(recipes):
        extra = None if recipe is None else {k: str(v) for k, v in to_extra_args(Asked(recipe)).items()}
        params = SamplingParams(temperature=0.0, max_tokens=_TOKENS, ignore_eos=True, extra_args=extra)
        asked = EngineCoreRequest(
            request_id=f"clampdown-self-test-{number}",
            prompt_token_ids=list(range(_PROMPT)),
            mm_features=None,
            sampling_params=params,
            pooling_params=None,
            arrival_time=time.time(),
            lora_request=None,
            cache_salt=None,
            data_parallel_rank=None,
        )
        core.add_request(*core.preprocess_add_request(asked))
    said: list[list[int]] = [[] for _ in recipes]
    receipts: list[dict[str, Any] | None] = [None for _ in recipes]
    left = len(recipes)
    while left:
        for some in (core.step_fn()[0] or {}).values():
            for one in some.outputs:
                place = int(one.request_id.rpartition("-")[2])
                said[place] += one.new_token_ids
                if one.finish_reason is not None:
                    receipts[place] = (one.kv_transfer_params or {}).get(RECEIPT)
                    left -= 1
    return list(zip(said, receipts, strict=True))
