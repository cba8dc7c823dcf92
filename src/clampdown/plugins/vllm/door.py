"""Where requests come in: what they ask is checked, and written out whole, before anything runs."""

import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.plugins.vllm.host import host_of
from clampdown.plugins.vllm.patching import around
from clampdown.plugins.vllm.rendered import RENDERED
from clampdown.plugins.vllm.wire import KEY, Asked, Written, body_of, recipe_of, to_extra_args, written
from clampdown.recipe import Recipe
from clampdown.steering.attach import compiled
from clampdown.steering.decision import unasked
from clampdown.steering.gates.asking import asks
from clampdown.steering.gates.compiled import compile_gate
from clampdown.steering.positions import check_told

RECIPES = "CLAMPDOWN_RECIPES"
"""Names the folder whose recipes requests may name, beside those that come along."""


class Door:
    """Checks what requests ask of one model.

    Raises:
        ClampdownError: a recipe in the folder can't be read.
    """

    def __init__(self, model: ChatModel) -> None:
        from clampdown.serving.shelf import Shelf, recipes_in, recipes_that_come_along

        self.model = model
        folder = os.environ.get(RECIPES)
        own = recipes_in(Path(folder).expanduser()) if folder else {}
        self.shelf = Shelf(model, model.name, recipes_that_come_along(model) | own)
        self._fits = lru_cache(maxsize=1024)(self._check)

    def asked(self, told: Written, prompt: Any) -> Asked:
        """What a request asks, checked against the model and its prompt's ids.

        Raises:
            ClampdownError: no such recipe, one that does not fit the model, a gate's decision that is missing, or a
                window or gate that needs the user's turns, where these are not known.
        """
        if prompt is None:
            raise ClampdownError("a recipe needs the prompt's token ids; embeddings alone are not steered")
        recipe = recipe_of(told.recipe) if told.own else self._named(told.recipe)
        if recipe.system_prompt and not told.own:
            raise ClampdownError(
                f"recipe {recipe.name} brings a system prompt, which vLLM's chats don't take from there: make it the "
                "chat's first message, and leave it out of the recipe"
            )
        self._fits(recipe)
        unasked(recipe, told.decision)
        check_told([recipe], [Prompt(prompt, told.user).user])
        return Asked(recipe, told.user, told.decision)

    def _named(self, text: str) -> Recipe:
        from clampdown.serving.refusals import Refusal

        if text.lstrip().startswith("{"):
            try:
                return self.shelf.inline(body_of(text))
            except Refusal as refused:
                raise ClampdownError(refused.message) from refused
        if text not in self.shelf.recipes:
            known = ", ".join(self.shelf.recipes) or "none"
            raise ClampdownError(f"there is no recipe {text[:80]!r} here; there is {known}")
        return self.shelf.recipes[text]

    def _check(self, recipe: Recipe) -> None:
        compiled(self.model, recipe)
        if asks(recipe):
            compile_gate(self.model, recipe)


def patch() -> None:
    """Let vLLM refuse what can't be steered as it asks."""
    from vllm.exceptions import VLLMValidationError
    from vllm.v1.engine.input_processor import InputProcessor

    def process_inputs(original: Any, self: Any, number: Any, prompt: Any, *args: Any, **kwargs: Any) -> Any:
        request = original(self, number, prompt, *args, **kwargs)
        params = request.sampling_params
        try:
            told = None if params is None else written(params.extra_args)
            if told is not None:
                if request.mm_features or request.lora_request or request.prompt_embeds is not None:
                    raise ClampdownError("a recipe steers a model that reads text alone, without an adapter")
                if told.user is None and not told.own and isinstance(prompt, dict):
                    ids = request.prompt_token_ids or []
                    told = replace(told, user=RENDERED.user_turns(prompt.get("prompt"), ids, self.tokenizer))
                asked = _door(self).asked(told, request.prompt_token_ids)
                kept = {key: value for key, value in params.extra_args.items() if not key.lower().startswith(KEY)}
                params.extra_args = kept | {key: str(text) for key, text in to_extra_args(asked).items()}
        except ClampdownError as error:
            raise VLLMValidationError(str(error), parameter="vllm_xargs") from error
        return request

    around(InputProcessor, "process_inputs", process_inputs)


def _door(processor: Any) -> Door:
    if not hasattr(processor, "clampdown"):
        processor.clampdown = Door(host_of(processor.vllm_config, torch.device("cpu")))
    found: Door = processor.clampdown
    return found
