"""What of a request's keys and values others may use: extra keys of vLLM's prefix cache, for each of its blocks.

A block's hash holds that of the one before, so what stands in one block's key is in all later ones. What is read
unsteered is shared by all: the prompt of a recipe whose window begins at its last token, say. What is steered is shared
by requests under that recipe; and where the window tells prompt from answer, what follows the prompt's end by those
whose prompt ends there, for in the next turn the same tokens are prompt.
"""

from typing import Any

from clampdown.models.prompt import Prompt, Spans
from clampdown.plugins.vllm.wire import Asked
from clampdown.recipe import Recipe
from clampdown.steering.decision import unasked
from clampdown.steering.gates.asking import asks
from clampdown.steering.gates.gate_file import GateFile
from clampdown.steering.gates.spans import read_positions


def steers(asked: Asked) -> bool:
    """Whether the request's tokens may come to be edited."""
    decision = unasked(asked.recipe, asked.decision)
    watches = asked.recipe.gate is not None and asked.recipe.gate.decide == "watch"
    return bool(asked.recipe.edits) and not watches and (decision is None or decision.steers)


def block_keys(asked: Asked, prompt_length: int, start: int, end: int, request: str) -> tuple[Any, ...]:
    """The extra keys of the block that holds tokens [start, end) of a request so numbered."""
    if not steers(asked):
        return ()
    recipe, window = asked.recipe, asked.recipe.positions
    begins = {"last": prompt_length - 1, "none": prompt_length}.get(window.prompt, 0)
    if end <= begins:
        return ()
    if asks(recipe) and begins == 0:
        return ("clampdown", recipe.sha256, request)  # steered or not, as the whole prompt decides
    if end <= prompt_length and not asks(recipe):
        return ("clampdown", recipe.sha256, *_here(asked.user, start, end, window.prompt))
    if window.everywhere:
        return ("clampdown", recipe.sha256)
    return ("clampdown", recipe.sha256, prompt_length, *_all(asked.user, recipe))


def _here(user: Spans | None, start: int, end: int, window: str) -> tuple[Any, ...]:
    """Where in a block the user's turns lie, if the window edits these."""
    if window != "user":
        return ()
    return tuple((max(a, start), min(b, end)) for a, b in user or () if max(a, start) < min(b, end))


def _all(user: Spans | None, recipe: Recipe) -> tuple[Any, ...]:
    return tuple(user or ()) if recipe.positions.prompt == "user" or asks(recipe) else ()


def most_cached(asked: Asked, prompt: Prompt, gate: GateFile | None) -> int | None:
    """How many of the prompt's tokens may come from the cache: a gate must see those that it reads. None is any."""
    if not asks(asked.recipe) or gate is None:
        return None
    if asked.recipe.positions.prompt in ("all", "user"):
        return 0
    if not gate.parts:
        return None
    return min(min(read_positions(prompt, part.pool, part.over)) for part in gate.parts)
