"""lm-eval's requests under several recipes at once: what the recipes share runs once (see `sharing`)."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clampdown.engine.finite import finite_logits
from clampdown.engine.padding import UntilEnded
from clampdown.engine.prefill import shared_length
from clampdown.engine.request import Continuation
from clampdown.engine.scoring import WORTH_SHARING, LocalScorer
from clampdown.engine.sharing import Sweep
from clampdown.errors import ClampdownError
from clampdown.measuring.capability.lm_eval.answers import greedy_answers, is_greedy, real_tokens
from clampdown.measuring.capability.lm_eval.model import SteeredLM, check_recipe, named
from clampdown.models.bearing import bearing
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.recipe.bundled import NO_GATE
from clampdown.steering.receipt import joined


class SweepLM(SteeredLM):
    """Answers lm-eval for one recipe at a time (`turn_to`), and works for all of them the first time it is asked.

    All recipes have the same system prompt, for lm-eval asks it of the model when it builds the requests.
    """

    def __init__(self, model: ChatModel, recipes: Sequence[Recipe | None], **options: Any) -> None:
        super().__init__(model, recipes[0], **options)
        self.recipes = list(recipes)
        for recipe in self.recipes[1:]:
            if recipe is not None:
                check_recipe(model, recipe)
        self.arm = 0
        self._known: dict[str, list[tuple[list[Any], list[Any]]]] = {}
        self._sweep = Sweep(model, self.recipes)
        self._prefills: Iterator[Any] | None = None

    def turn_to(self, arm: int) -> None:
        """Answer for this recipe from now on, with no receipts yet."""
        self.arm, self.recipe, self.receipts = arm, self.recipes[arm], {}

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        def work() -> Iterator[tuple[list[Any], list[Any]]]:
            for _, some in groupby(requests, key=lambda request: request.task_name):  # a task's prompts begin alike
                self._taken = []
                found = super(SteeredLM, self).loglikelihood(list(some), disable_tqdm=disable_tqdm)
                yield [_apart(pair) for pair in found], self._taken

        self._check_greeted()
        return self._once("loglikelihood", requests, requests, work)

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        def work() -> Iterator[tuple[list[Any], list[Any]]]:
            self._taken = []
            with self._on_plain_text():
                found = super(SteeredLM, self).loglikelihood_rolling(requests, disable_tqdm=disable_tqdm)
            yield [list(map(float, each)) for each in found], self._taken

        owners = [request for request in requests for _ in range(self._windows(request))]
        return self._once("loglikelihood_rolling", requests, owners, work)

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        def work() -> Iterator[tuple[list[Any], list[Any]]]:
            for _, some in groupby(requests, key=lambda request: request.task_name):
                mine = list(some)
                self._sweep = Sweep(self.chat, self.recipes, self._shared(mine))
                yield self._texts(mine, disable_tqdm)

        self._check_greeted()
        return self._once("generate_until", requests, requests, work)

    def _once(
        self,
        kind: str,
        requests: Sequence[Any],
        owners: Sequence[Any],
        work: Callable[[], Iterator[tuple[list[Any], list[Any]]]],
    ) -> list[Any]:
        """This arm's answers. `work` gives each request's answers and each owner's receipts, for all arms together."""
        asked = json.dumps([kind, *(request.args for request in requests)], default=str)
        key = hashlib.sha256(asked.encode()).hexdigest()
        if key not in self._known:
            parts = list(work())
            answers = [answer for part, _ in parts for answer in part]
            taken = [receipt for _, part in parts for receipt in part]
            self._known[key] = [([a[n] for a in answers], [t[n] for t in taken]) for n in range(len(self.recipes))]
        mine, receipts = self._known[key][self.arm]
        self._note(owners, receipts)
        return mine

    def _loglikelihood_tokens(
        self, requests: Sequence[Any], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[Any]:
        """For each request the log-likelihoods under all recipes, and whether each is greedy's: two arrays [recipe]."""
        asked = [Continuation(context, answer) for _, context, answer in requests]
        scorer = LocalScorer(self.chat, batch_size=self.batch_size, max_length=self.max_length)
        swept = scorer.continuations(asked, [self._under(recipe) for recipe in self.recipes])
        arms = zip(swept.receipts, self.recipes, strict=True)
        self._taken += zip(*([named(receipt, recipe) for receipt in some] for some, recipe in arms), strict=True)
        return [
            (np.array([s.log_probability for s in each]), np.array([s.greedy for s in each]))
            for each in zip(*swept.scores, strict=True)
        ]

    def _answered(self, chunk: list[Any]) -> tuple[list[Any], list[Any]]:
        texts, receipts = [], []
        try:
            for arm in range(len(self.recipes)):
                # Where answers are sampled, all arms draw the same numbers.
                last = arm == len(self.recipes) - 1
                with nullcontext() if last else torch.random.fork_rng():
                    some, taken = super()._answered(chunk)
                texts.append(some)
                receipts.append(taken)
        finally:
            if self._prefills is not None:
                self._prefills.close()  # type: ignore[attr-defined]
                self._prefills = None
        return list(zip(*texts, strict=True)), list(zip(*receipts, strict=True))

    def _shared(self, requests: Sequence[Any]) -> list[int]:
        """What all prompts begin with; nothing where padding between it and the rest would be heard.

        That is where blocks see only so far, for padding shortens their view, or keep recurrent states.
        """
        rows = [self.tok_encode(request.args[0]) for request in requests]
        apart = self.chat.window is not None or not bearing(self.chat.hf).gaps
        most = shared_length(rows) if len(rows) > 1 and not apart else 0
        return rows[0][:most] if most >= WORTH_SHARING else []

    def _model_generate(self, context: Tensor, max_length: int, stop: list[str], **settings: Any) -> Tensor:
        mask = settings.pop("attention_mask")
        rows, room = real_tokens(context, mask), max_length - context.shape[1]
        sweep, known = self._sweep, len(self._sweep.prefix)
        if any(row[:known] != sweep.prefix for row in rows):  # lm-eval cuts long prompts at their beginning
            sweep = Sweep(self.chat, self.recipes)
        if self._prefills is None:
            self._prefills = sweep.prefilled(rows)
        batch = sweep.laid_out(rows)
        steering, cache, opening = prefilled = next(self._prefills)
        if is_greedy(self.chat, rows, room, settings):
            said = greedy_answers(self.chat, sweep.opened(prefilled, batch), rows, room, stop)
            self._last = [joined([opening, taken]) if opening else taken for taken in steering.receipts()]
            return torch.cat([batch.input_ids, said], dim=1)
        if prefilled.gated is not None:
            raise ClampdownError(
                "lm-eval samples these answers, or searches for them, and a recipe has a gate: that is not done for "
                f"several recipes at once; ask for greedy answers, for one recipe at a time, {NO_GATE}"
            )
        steering.tracker = UntilEnded(batch.attention_mask, self.chat.hf.generation_config.eos_token_id)
        settings |= {"attention_mask": batch.attention_mask, "past_key_values": cache}
        with finite_logits(self.chat.hf):
            found = super(SteeredLM, self)._model_generate(batch.input_ids, max_length, stop, **settings)
        self._last = [joined([opening, taken]) if opening else taken for taken in steering.receipts()]
        return found


def _apart(pair: tuple[Any, Any]) -> list[tuple[float, bool]]:
    """Arrays of scores and of greediness as one pair a recipe."""
    return [(float(score), bool(greedy)) for score, greedy in zip(*pair, strict=True)]
