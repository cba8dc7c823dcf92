"""Answers for lm-eval from our engine, in lm-eval's batches and stopped as it stops them.

Only greedy answers: what else Transformers' `generate` can be asked for (sampling by the global seed, beams, penalties)
is left to it, so that lm-eval's results stay its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lm_eval.models.utils_hf import stop_sequences_criteria
from torch import Tensor

from clampdown.engine.generation import generate_until
from clampdown.engine.prefilled import Opened
from clampdown.engine.request import Request, Sampling
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel

_GREEDY = {"attention_mask", "do_sample", "temperature", "top_p", "top_k", "past_key_values"}
"""Settings that say nothing, or nothing more, where answers are greedy."""
_HARMLESS = {
    *("bos_token_id", "eos_token_id", "pad_token_id", "do_sample", "temperature", "top_p", "top_k", "max_length"),
    *("use_cache", "transformers_version"),
}
"""The same in a model's own configuration of its answers."""


def is_greedy(
    model: ChatModel, rows: Sequence[Sequence[int]], max_new_tokens: int, settings: Mapping[str, Any]
) -> bool:
    """Whether the engine can give lm-eval the answers that Transformers' `generate` would, by its settings."""
    configured = model.hf.generation_config.to_diff_dict().items()
    own = {key for key, value in configured if not key.startswith("_") and value not in (None, False)}
    asked = not settings.get("do_sample") and (settings.get("temperature") or 0.0) == 0.0
    fits = max_new_tokens > 0 and all(rows) and max(map(len, rows)) + max_new_tokens <= model.context_length
    return asked and fits and set(settings) <= _GREEDY and own <= _HARMLESS


def greedy_answers(
    model: ChatModel, begun: Opened, prompts: Sequence[Sequence[int]], max_new_tokens: int, stop: Sequence[str]
) -> Tensor:
    """Token ids of the answers to prompts that were read, filled up with padding: [row, position].

    A row ends with a token that the model's configuration names; all of them once each has said one of the texts in
    `stop`, as lm-eval has it.

    Raises:
        ClampdownError: logits that are not finite.
    """
    named = model.hf.generation_config.eos_token_id
    ends = frozenset([named] if isinstance(named, int) else named or ())
    recipes = begun.steering.rows.recipes
    sampling = Sampling(max_new_tokens)
    asked = [Request(p, recipe, sampling, ends) for p, recipe in zip(prompts, recipes, strict=True)]
    fill = model.tokenizer.pad_token_id or 0
    criteria = stop_sequences_criteria(model.tokenizer, list(stop), 0, len(asked))

    def laid_out(said: Sequence[Sequence[int]]) -> Tensor:
        width = max(map(len, said))
        return torch.tensor([[*ids, *[fill] * (width - len(ids))] for ids in said], device=model.device)

    def over(said: Sequence[Sequence[int]]) -> bool:
        return bool(criteria(laid_out(said), None).all())

    said = generate_until(model, begun, asked, over)
    if errors := begun.steering.errors:
        raise ClampdownError(next(iter(errors.values())))
    return laid_out(said)


def real_tokens(ids: Tensor, mask: Tensor) -> list[list[int]]:
    """Each row's token ids, without its padding."""
    return [row[real.bool()].tolist() for row, real in zip(ids, mask, strict=True)]
