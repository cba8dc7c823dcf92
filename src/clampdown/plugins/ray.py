"""Steered answers in Ray Data's batch jobs: by our own engine in `map_batches`, or by vLLM in `ray.data.llm`.

    prompts.map_batches(Steered, fn_constructor_kwargs={"recipe": "guarded"}, batch_size=64,
                        compute=ray.data.ActorPoolStrategy(size=8), num_gpus=1)

    build_processor(vLLMEngineProcessorConfig(model_source=...), preprocess=Asking("guarded"))

The second needs the vLLM plug-in on the workers.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clampdown import arguments, library
from clampdown.errors import ClampdownError
from clampdown.measuring.judging.outside_gate import decides_outside
from clampdown.plugins.vllm.wire import DECISION, KEY
from clampdown.recipe import Recipe
from clampdown.recipe.system import system_text


class Steered:
    """Answers a column of prompts with a model and a recipe; Ray makes one in each worker.

    A row gets the columns `answer`, `finished`, `receipt` (JSON) and `error`, which says why there is no answer, or
    nothing: one prompt that is too long ends no job.

    Args:
        recipe: a `Recipe`, a file that all workers see, or the name of one that comes along; None steers nothing.
        model: a model's name, as `clampdown.load` takes it; None is the one that the recipe names.
        load: further arguments of `clampdown.load`.
        column: of the prompts: texts, or conversations (lists of {"role", "content"}).
        system: a system prompt; a recipe's own comes before it.
        generating: further arguments of `Model.generate`, such as max_new_tokens.

    Raises:
        ClampdownError: the model can't be loaded, or the recipe does not fit it.
    """

    def __init__(
        self,
        recipe: Recipe | str | Path | None = None,
        *,
        model: str | None = None,
        load: Mapping[str, Any] | None = None,
        column: str = "prompt",
        system: str = "",
        **generating: Any,
    ) -> None:
        self.recipe = arguments.recipe(recipe)
        named = model or (self.recipe.model if self.recipe else "")
        self.model = library.load(*([named] if named else []), **(load or {}))
        if self.recipe is not None:
            self.model.check(self.recipe)
        self.column, self.system, self.generating = column, system, generating

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        if self.column not in batch:
            raise ClampdownError(f"the data has no column {self.column!r}; it has {', '.join(batch)}")
        prompts = [_plain(prompt) for prompt in batch[self.column]]
        errors = [self._error(prompt) for prompt in prompts]
        asked = [prompt for prompt, error in zip(prompts, errors, strict=True) if not error]
        answers = iter(self._answers(asked))
        found = [None if error else next(answers) for error in errors]
        return batch | {
            "answer": [answer.text if answer else "" for answer in found],
            "finished": [bool(answer and answer.finished) for answer in found],
            "receipt": [json.dumps(answer.receipt.to_dict() if answer else None) for answer in found],
            "error": [error or (answer.error if answer else "") for answer, error in zip(found, errors, strict=True)],
        }

    def _answers(self, prompts: Sequence[Any]) -> Sequence[Any]:
        if not prompts:
            return []
        try:
            return self.model.generate(prompts, self.recipe, system=self.system, **self.generating)
        except ClampdownError as error:
            answers = getattr(error, "answers", None)  # some were not finite; the others are there
            if answers is None:
                raise
            return answers

    def _error(self, prompt: Any) -> str:
        """Why a prompt can't be asked; nothing where it can."""
        room = self.generating.get("max_new_tokens", 64)
        try:
            if not prompt:
                return "the prompt is empty; say something"
            self.model.chat.prompt_ids(prompt, system=system_text(self.recipe, self.system), room=room)
        except ClampdownError as error:
            return str(error)
        return ""


class Asking:
    """Makes a row of prompts a request of vLLM's under a recipe: `preprocess` of `ray.data.llm.build_processor`.

    Args:
        recipe: as of `Steered`; None asks an unsteered answer.
        column: of the prompts, as of `Steered`.
        system: a system prompt; the recipe's own comes before it.
        sampling: vLLM's sampling parameters, such as max_tokens.
    """

    def __init__(
        self, recipe: Recipe | str | Path | None = None, *, column: str = "prompt", system: str = "", **sampling: Any
    ) -> None:
        self.recipe, self.column, self.system = arguments.recipe(recipe), column, system
        steering = self.recipe and replace(self.recipe, system_prompt="")  # which the chat holds
        self.sampling = sampling_params(steering, **sampling)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        prompt = _plain(row[self.column])
        chat = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
        if told := system_text(self.recipe, self.system):
            chat = [{"role": "system", "content": told}, *chat]
        return {"messages": chat, "sampling_params": dict(self.sampling)}


def sampling_params(recipe: Recipe | str | Path | None, **sampling: Any) -> dict[str, Any]:
    """vLLM's sampling parameters for requests under a recipe, greedy if no temperature is given.

    A gate is named by its hash alone, as no path that a request brings is followed: vLLM's workers must have a recipe
    with it, one that comes along or one in CLAMPDOWN_RECIPES.

    Raises:
        ClampdownError: the recipe's gate decides outside, for each request by itself; or its window holds what the user
            says, which vLLM can't tell from the template in rows that come tokenized.
    """
    found = {"temperature": 0.0, **sampling}
    chosen = arguments.recipe(recipe)
    if chosen is None:
        return found
    if decides_outside(chosen):
        raise ClampdownError(
            f"recipe {chosen.name}: its gate decides outside, so parameters can't be the same for all requests; add "
            f"{DECISION}, open or shut, to each row's extra_args, and force the gate open here"
        )
    if chosen.positions.prompt == "user":
        raise ClampdownError(
            f"recipe {chosen.name}: its window holds what the user says, which ray.data.llm's rows don't tell; use "
            "Steered, or a window of all or the last of the prompt's tokens"
        )
    body = chosen.to_dict()
    body.get("gate", {}).pop("file", None)
    return found | {"extra_args": {**found.get("extra_args", {}), KEY: json.dumps(body)}}


def _plain(prompt: Any) -> Any:
    """A prompt as Python has it: Arrow gives arrays and its own dictionaries for conversations."""
    if isinstance(prompt, str):
        return prompt
    return [{"role": str(turn["role"]), "content": str(turn["content"])} for turn in prompt]
