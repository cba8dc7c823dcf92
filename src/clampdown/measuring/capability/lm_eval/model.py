"""lm-eval's own Transformers model with a recipe on it: everything it asks of the model is steered and receipted.

Scores without a recipe are those of lm-eval's `hf` model bit for bit, for its code makes them; greedy answers come from
our engine, in lm-eval's batches. lm-eval loads with this module; import it only where it is used.
"""

import json
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import lm_eval
import torch
import transformers
from lm_eval.models.huggingface import HFLM
from torch import Tensor
from tqdm import tqdm

from clampdown import __version__
from clampdown.engine.finite import NOT_FINITE, finite_logits
from clampdown.engine.padding import RightPadded, UntilEnded
from clampdown.engine.prefill import opened
from clampdown.errors import ClampdownError
from clampdown.measuring.capability.lm_eval.answers import greedy_answers, is_greedy, real_tokens
from clampdown.measuring.judging.outside_gate import decides_outside
from clampdown.models import control_tokens
from clampdown.models.bearing import bearing
from clampdown.models.bundled import NAME
from clampdown.models.chat_model import ChatModel, load_chat_model
from clampdown.recipe import Recipe
from clampdown.recipe.bundled import recipe_path
from clampdown.steering.attach import Steering
from clampdown.steering.receipt import Receipt, joined
from clampdown.steering.self_test import self_test

OPTIONS = (
    "add_bos_token",
    "chat_template_args",
    "enable_thinking",
    "logits_cache",
    "max_length",
    "prefix_token_id",
    "softmax_dtype",
    "think_end_token",
    "truncation",
    "trust_remote_code",
)
"""The options of lm-eval's `hf` model that make sense for a model which is loaded already."""


class SteeredLM(HFLM):
    """A chat model under one recipe, or none, as lm-eval wants it.

    Args:
        model: a loaded model, or the name of one as `load_chat_model` takes it; then `dtype`, `device`, `device_map`,
            `quantization`, `revision` and `chat_template` are its arguments too, and `enable_thinking` may be False. A
            model without a chat template serves as long as lm-eval does not apply one.
        recipe: a recipe, its file, or the name of one that comes along. Its system prompt comes first in every chat;
            it needs lm-eval's chat template.
        batch_size: rows a batch; a number, since in low precision a score depends on it.
        options: any of `OPTIONS`, as lm-eval's `hf` model takes them.

    Raises:
        ClampdownError: the recipe does not fit or fails its self-test; an unknown option; later, from any request:
            steering that could not be done, or a score that is not finite.
    """

    def __init__(
        self,
        model: str | ChatModel = NAME,
        recipe: str | Path | Recipe | None = None,
        dtype: str = "auto",
        device: str | None = None,
        batch_size: int | str = 1,
        max_batch_size: int | None = None,
        device_map: str | None = None,
        quantization: str | None = None,
        revision: str | None = None,
        chat_template: str | None = None,
        **options: Any,
    ) -> None:
        _check(batch_size, options)
        if device == "cuda:0" and (device_map or not torch.cuda.is_available()):
            device = None  # lm-eval says this where nobody named a device
        if not isinstance(model, ChatModel):
            placing: dict[str, Any] = {"device_map": device_map, "quantization": quantization, "revision": revision}
            if options.get("enable_thinking") is False:  # by whatever name the template knows it
                placing["thinking"] = options.pop("enable_thinking")
            placing["chat_template"] = chat_template
            model = load_chat_model(model, dtype=dtype, device=device, chat=False, **placing)
        self.chat: ChatModel = model
        self.recipe = Recipe.load(recipe_path(recipe)) if isinstance(recipe, str | Path) else recipe
        template = {**self.chat.template_options, **(options.pop("chat_template_args", None) or {})}
        with _quiet():  # it warns of a loaded model, which is what we mean
            super().__init__(
                pretrained=self.chat.hf,
                tokenizer=self.chat.tokenizer,
                batch_size=int(batch_size),
                chat_template_args=template,
                **options,
            )
        self.receipts: dict[tuple[str | None, int | None], list[Receipt]] = {}
        self._rows: list[tuple[int, int]] | None = None
        self._last: list[Receipt] = []
        self._taken: list[Any] = []
        self._plain_text = False
        self._greeted = False
        if self.recipe is not None:
            check_recipe(self.chat, self.recipe)
            if not self.recipe.positions.everywhere or self.recipe.gate is not None:
                # lm-eval runs equal tokens once, even where one request's prompt ends inside another's answer.
                self.logits_cache = False

    @property
    def receipt(self) -> Receipt:
        """What was done to all requests so far."""
        return joined([receipt for some in self.receipts.values() for receipt in some])

    def facts(self) -> dict[str, Any]:
        """What ran: recipe, model, receipt and versions, for lm-eval's results.

        Raises:
            ClampdownError: there is a recipe with edits, but no token was edited.
        """
        recipe, receipt = self.recipe, self.receipt
        does_something = recipe is None or recipe.edits or recipe.system_prompt
        if recipe and not (does_something and receipt.accounts_for(recipe)):
            raise ClampdownError(
                f"recipe {recipe.name} edited none of the {receipt.tokens_seen} tokens of lm-eval's requests, so their "
                f"scores can't be reported as steered; check its edits and its positions ({recipe.positions})"
            )
        versions = {m.__name__: m.__version__ for m in (torch, transformers, lm_eval)} | {"clampdown": __version__}
        return {
            "recipe": recipe.name if recipe else None,
            **receipt.to_dict(),
            "model": self.chat.name,
            "model_sha256": self.chat.sha256,
            "dtype": str(self.chat.dtype).removeprefix("torch."),
            "device": str(self.chat.device),
            "versions": versions,
        }

    # ---- what lm-eval calls

    def get_model_info(self) -> dict[str, Any]:
        """lm-eval puts this into its results, under `config`; it asks once all is done, before it writes anything."""
        model = {"model_num_parameters": self.chat.hf.num_parameters(), "model_dtype": self.chat.dtype}
        return model | {"model_revision": "", "model_sha": self.chat.sha256, "clampdown": self.facts()}

    def set_cache_hook(self, cache_hook: Any) -> None:
        if self.recipe is not None:
            raise ClampdownError(
                "lm-eval's --use_cache keeps answers by their text alone, so one recipe's could pass for another's; "
                "leave it out"
            )
        super().set_cache_hook(cache_hook)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        self.chat.need_template()
        said, chat = self.recipe.system_prompt if self.recipe else "", list(chat_history)
        if said:
            own = chat.pop(0)["content"] if chat and chat[0]["role"] == "system" else ""
            chat = self.chat.turns(chat, system=f"{said}\n\n{own}" if own else said)
        chat = [self.chat.guarded(message) for message in chat]
        rendered = super().apply_chat_template(chat, add_generation_prompt)
        if said and said not in control_tokens.unmarked(
            rendered
        ):  # where a template refuses it, lm-eval goes on without
            raise ClampdownError(f"model {self.chat.name}'s chat template leaves out the recipe's system prompt")
        self._greeted = True
        return rendered

    def tok_encode(self, string: str, *args: Any, **kwargs: Any) -> list[int]:
        """As lm-eval does, but that control tokens which a chat's turns hold are text (`control_tokens`)."""
        start, rest = control_tokens.split(string)
        cut = kwargs.pop("left_truncate_len", None) if rest else None
        ids = super().tok_encode(start, *args, **kwargs) + (self.chat.ids(rest) if rest else [])
        return ids[-cut:] if cut else ids

    def tok_batch_encode(self, strings: list[str], padding_side: str = "left", *args: Any, **kwargs: Any) -> Any:
        """The same for a batch, padded: [row, position] ids and mask."""
        if not any(control_tokens.split(string)[1] for string in strings):
            return super().tok_batch_encode(strings, padding_side, *args, **kwargs)
        batch = self.chat.pad([self.tok_encode(string) for string in strings], side=padding_side)
        most = kwargs.get("left_truncate_len") or batch.input_ids.shape[1]
        return batch.input_ids[:, -most:], batch.attention_mask[:, -most:]

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        self._check_greeted()
        self._taken = []
        found = super().loglikelihood(requests, disable_tqdm=disable_tqdm)
        self._note(requests, self._taken)
        return found

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        self._taken = []
        with self._on_plain_text():
            found = super().loglikelihood_rolling(requests, disable_tqdm=disable_tqdm)
        self._note([request for request in requests for _ in range(self._windows(request))], self._taken)
        return found

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        self._check_greeted()
        texts, taken = self._texts(requests, disable_tqdm)
        self._note(requests, taken)
        return texts

    # ---- batches: lm-eval's own, one at a time, so that each row's prompt is known while it runs

    def _loglikelihood_tokens(
        self, requests: Sequence[Any], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        found: list[Any] = [None] * len(requests)
        taken = [Receipt(self.recipe.sha256 if self.recipe else "")] * len(requests)
        for groups in self._progress(self._batches(requests), "Scoring", disable_tqdm):
            places = [place for group in groups for place in group]
            lengths = [(len(c) + len(a), len(a)) for _, c, a in (requests[group[0]] for group in groups)]
            full = [min(whole - 1, self.max_length) for whole, _ in lengths]
            self._rows = [(real, real - answer + 1) for real, (_, answer) in zip(full, lengths, strict=True)]
            scores = super()._loglikelihood_tokens([requests[p] for p in places], True, len(groups))
            self._rows = None
            for place, score in zip(places, scores, strict=True):
                found[place] = score
            for group, receipt in zip(groups, self._last, strict=True):
                taken[group[0]] = receipt
        if not all(math.isfinite(score) for score, _ in found):
            raise ClampdownError(NOT_FINITE)
        self._taken += taken
        return found

    def _batches(self, requests: Sequence[Any]) -> list[list[list[int]]]:
        """Places of the requests, batch by batch and row by row: those that differ in their last token share a row."""
        groups: dict[Any, list[int]] = {}
        for place, (_, context, answer) in enumerate(requests):
            groups.setdefault((*context, *answer[:-1]) if self.logits_cache else place, []).append(place)
        # The one with the longest answer comes first: lm-eval runs that one for its group.
        rows = [sorted(group, key=lambda place: -len(requests[place][2])) for group in groups.values()]

        def order(group: list[int]) -> tuple[int, tuple[int, ...]]:
            ids = (*requests[group[0]][1], *requests[group[0]][2])
            return -len(ids), ids

        return _cut(sorted(rows, key=order), self.batch_size)

    def _alike(self, requests: Sequence[Any]) -> list[list[int]]:
        """Places of the requests, batch by batch, each of the same settings; of one length where padding is heard."""
        kinds: dict[str, list[int]] = {}
        key = [(-len(self.tok_encode(request.args[0])), request.args[0]) for request in requests]
        bears = bearing(self.chat.hf).padding
        for place, request in enumerate(requests):
            said = [request.args[1], 0 if bears else key[place][0]]
            kinds.setdefault(json.dumps(said, sort_keys=True, default=str), []).append(place)
        return [part for kind in kinds.values() for part in _cut(sorted(kind, key=key.__getitem__), self.batch_size)]

    def _texts(self, requests: Sequence[Any], disable_tqdm: bool) -> tuple[list[Any], list[Any]]:
        """Texts and receipts of all requests."""
        texts: list[Any] = [None] * len(requests)
        taken: list[Any] = [None] * len(requests)
        for places in self._progress(self._alike(requests), "Answering", disable_tqdm):
            chunk = [requests[place] for place in places]
            for place, text, receipt in zip(places, *self._answered(chunk), strict=True):
                texts[place], taken[place] = text, receipt
        return texts, taken

    def _answered(self, chunk: list[Any]) -> tuple[list[Any], list[Any]]:
        """Texts and receipts of one batch."""
        return super().generate_until(chunk, disable_tqdm=True), self._last

    def _windows(self, request: Any) -> int:
        """In how many pieces lm-eval scores a text."""
        return -(-len(self.tok_encode(request.args[0])) // self.max_length)

    # ---- the forward calls

    def _model_call(self, inps: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        rows = self._rows
        if rows is None or len(rows) != len(inps) or max(real for real, _ in rows) != inps.shape[1]:
            raise ClampdownError(f"lm-eval {lm_eval.__version__} batches in a way not known here; use lm-eval 0.4.13")
        mask = torch.arange(inps.shape[1]) < torch.tensor([real for real, _ in rows])[:, None]
        prompts = [prompt for _, prompt in rows]
        with Steering(self.chat, [self._under(self.recipe)] * len(rows), prompt_lengths=prompts) as steering:
            steering.tracker = RightPadded(prompts, mask.to(inps.device))
            logits = super()._model_call(inps, *args, **kwargs)
        self._last = [named(receipt, self.recipe) for receipt in steering.receipts()]
        return logits

    def _model_generate(self, context: Tensor, max_length: int, stop: list[str], **settings: Any) -> Tensor:
        mask, room = settings["attention_mask"], max_length - context.shape[1]
        rows, recipes = real_tokens(context, mask), [self.recipe] * len(context)
        if is_greedy(self.chat, rows, room, settings):
            with opened(self.chat, rows, recipes, room, share=False) as begun:
                said = greedy_answers(self.chat, begun, rows, room, stop)
            self._last = begun.steering.receipts()
            return torch.cat([context, said], dim=1)
        with Steering(self.chat, recipes) as steering, finite_logits(self.chat.hf):
            steering.tracker = UntilEnded(mask, self.chat.hf.generation_config.eos_token_id)
            found = super()._model_generate(context, max_length, stop, **settings)
        self._last = steering.receipts()
        return found

    # ---- small change

    @contextmanager
    def _on_plain_text(self) -> Iterator[None]:
        """Within, what is scored is a text that nobody asked for: gates are open."""
        self._plain_text = True
        try:
            yield
        finally:
            self._plain_text = False

    def _under(self, recipe: Recipe | None) -> Recipe | None:
        """The recipe that a row is scored under."""
        return recipe.on_plain_text() if recipe is not None and self._plain_text else recipe

    def _check_greeted(self) -> None:
        if self.recipe and self.recipe.system_prompt and not self._greeted:
            raise ClampdownError(
                f"recipe {self.recipe.name} has a system prompt, which needs a chat: say --apply_chat_template"
            )

    def _note(self, requests: Sequence[Any], receipts: Sequence[Receipt]) -> None:
        for request, receipt in zip(requests, receipts, strict=True):
            request.arguments = (control_tokens.unmarked(request.args[0]), *request.args[1:])  # as lm-eval logs it
            self.receipts.setdefault((request.task_name, request.doc_id), []).append(receipt)

    @staticmethod
    def _progress(batches: list[Any], what: str, disable: bool) -> Iterator[Any]:
        return iter(tqdm(batches, desc=what, disable=disable))


def named(receipt: Receipt, recipe: Recipe | None) -> Receipt:
    """The receipt under its recipe's own hash, however its gate was forced."""
    return receipt if recipe is None else replace(receipt, recipe_sha256=recipe.sha256)


def check_recipe(model: ChatModel, recipe: Recipe) -> None:
    """Test that a recipe does to this model what it says. Raises ClampdownError if not, or if lm-eval can't ask it."""
    if recipe.edits and recipe.positions.prompt == "user":
        raise ClampdownError(
            f"recipe {recipe.name} edits what the user says, but lm-eval's texts don't tell where that is; measure it "
            'with another window, such as prompt = "all"'
        )
    if decides_outside(recipe):
        raise ClampdownError(
            f"recipe {recipe.name}: its gate decides outside, and lm-eval's texts can't be asked of it one by one; "
            'force it open (decide = "open" under [gate]), or measure it with `clampdown study`'
        )
    if recipe.system_prompt:
        model.render([{"role": "user", "content": "?"}], system=recipe.system_prompt)  # some templates refuse one
    self_test(model, recipe)


def _check(batch_size: int | str, options: dict[str, Any]) -> None:
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise ClampdownError(
            f"unknown model argument {', '.join(unknown)}; known: {', '.join(OPTIONS)}; the model itself is named by "
            "--model and --dtype"
        )
    if not str(batch_size).isdigit() or int(batch_size) < 1:
        raise ClampdownError(
            f"lm-eval's batch size must be a number here, not {batch_size!r}: in low precision a score depends on it, "
            "so it must not depend on free memory"
        )


def _cut(rows: list[Any], size: int) -> list[list[Any]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


@contextmanager
def _quiet() -> Iterator[None]:
    log = logging.getLogger("lm_eval.models.huggingface")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before
