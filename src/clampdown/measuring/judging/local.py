"""Published classifiers that run here, through Transformers: WildGuard (7B) and HarmBench's (13B)."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.measuring.judging.base import EMPTY, UNREADABLE, Judge, Row, Verdict
from clampdown.measuring.judging.default.judge import Label
from clampdown.measuring.judging.default.reading import said
from clampdown.measuring.judging.rubrics import Rubric
from clampdown.models import control_tokens

_ANSWER = 512
"""Tokens of an answer that are judged: HarmBench's own limit, and enough for WildGuard's context."""


class LocalJudge(Judge):
    """A classifier that answers in text. `model` is a folder or hub id; it is loaded at the first row."""

    costly = True

    def __init__(self, name: str, model: str, rubric: Rubric, *, batch: int = 8, max_tokens: int = 32) -> None:
        self.name, self.model, self.rubric = name, model, rubric
        self.version = f"{model}, {rubric.version}"
        self.batch, self.max_tokens = batch, max_tokens

    def verdicts(self, rows: Sequence[Row]) -> list[Verdict]:
        """Raises ClampdownError when the model can't be loaded."""
        told = [Verdict(Label.UNSCORED, why=EMPTY)] * len(rows)
        asked = [i for i, row in enumerate(rows) if said(row.completion)]
        for at in range(0, len(asked), self.batch):
            part = asked[at : at + self.batch]
            for i, reply in zip(part, self._replies([rows[i] for i in part]), strict=True):
                verdict = self.rubric.parse(reply)
                told[i] = verdict._replace(why=UNREADABLE) if verdict.label is Label.UNSCORED else verdict
        return told

    def _replies(self, rows: Sequence[Row]) -> list[str]:
        import torch

        model, tokenizer = self._loaded
        texts = [self._filled(row) for row in rows]
        inputs = tokenizer.pad({"input_ids": texts}, return_tensors="pt").to(model.device)
        with torch.inference_mode():
            ids = model.generate(
                **inputs, do_sample=False, max_new_tokens=self.max_tokens, pad_token_id=tokenizer.pad_token_id
            )
        return tokenizer.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)

    def _filled(self, row: Row) -> list[int]:
        """Token ids of the rubric filled in; control tokens in what was asked and answered are text."""
        tokenizer = self._loaded[1]
        asked, answered = (control_tokens.marked(tokenizer, t) for t in (row.prompt, self._clipped(row.completion)))
        start, rest = control_tokens.split(self.rubric.fill(row._replace(prompt=asked, completion=answered)))
        return list(tokenizer(start).input_ids) + (control_tokens.encoded(tokenizer, rest) if rest else [])

    def _clipped(self, answer: str) -> str:
        tokenizer = self._loaded[1]
        ids = tokenizer(answer, add_special_tokens=False).input_ids
        return answer if len(ids) <= _ANSWER else tokenizer.decode(ids[:_ANSWER])

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """Model and tokenizer. These classifiers have no chat template, so `load_chat_model` is not for them."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from clampdown.models.source import failure, find_source

        source = find_source(self.model)
        try:
            tokenizer = AutoTokenizer.from_pretrained(source.path, padding_side="left", **source.options())
            model, told = AutoModelForCausalLM.from_pretrained(
                source.path, dtype="auto", output_loading_info=True, **source.options()
            )
        except Exception as error:  # Transformers, safetensors and the hub each raise their own kinds
            raise failure(source, error) from error
        if lacking := sorted(told["missing_keys"]):
            raise ClampdownError(f"judge {self.name}: model {source} is not whole: its weights lack {lacking[0]}")
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer
