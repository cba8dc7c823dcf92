"""What the model reads of each item, as token ids: they tell one chat template and tokenizer from another."""

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import datetime

from clampdown.errors import ClampdownError
from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.sets import ItemSet
from clampdown.models.chat_model import ChatModel
from clampdown.models.template import template_text
from clampdown.studies.plan import Plan
from clampdown.studies.probes.base import is_column

ANY_DAY = datetime(2000, 1, 2, 3, 4, 5)
"""The moment at which templates are told apart, so that a dated one has the same fingerprint on all days."""
_DRAWS = re.compile(r"\|\s*random\b|['\"]random['\"]|\blipsum\b")
_CODE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_WELL, _YES = {"role": "user", "content": "Well?"}, {"role": "assistant", "content": "Yes, twice."}
_PROBES = (
    [_WELL],
    [{"role": "system", "content": "Speak of herons."}, _WELL],
    [_WELL, _YES, {"role": "user", "content": "And the 2 others?\n"}],
    [_WELL, _YES],
)


class Rendered:
    """The ids of each item's prompt, or of a passage, by set and system prompt; each is rendered once."""

    def __init__(self, model: ChatModel, plan: Plan) -> None:
        self.model, self.plan = model, plan
        self._known: dict[tuple[str, str, str], list[Sequence[int]]] = {}

    def ids(self, item_set: ItemSet, system: str) -> list[Sequence[int]]:
        """One row of ids an item. Raises ClampdownError if a prompt is longer than the context."""
        key = (system, item_set.name, item_set.sha256)
        if key not in self._known:
            self._known[key] = self._render(item_set, system or None)
        return self._known[key]

    def _render(self, item_set: ItemSet, system: str | None) -> list[Sequence[int]]:
        if item_set.kind is SetKind.TEXT:
            return [self.model.text_ids(item.text) for item in item_set.items]
        room = 64 if item_set.kind is SetKind.CAPABILITY else self.plan.max_new_tokens
        return [self.model.prompt_ids(item.text, system=system, room=room) for item in item_set.items]

    def digest(self, sets: Sequence[ItemSet]) -> dict[str, str]:
        """A hash of each set's ids without a system prompt, its choices among them.

        What a column asks is rendered as it goes, and the template's own fingerprint stands for how: here its items are
        plain text.
        """
        return {item_set.name: self._hash(item_set) for item_set in sets}

    def _hash(self, item_set: ItemSet) -> str:
        choices = [choice for item in item_set.items for choice in item.choices]
        if is_column(item_set.name) or item_set.kind.is_attack:
            told = [self._plain([item.text for item in item_set.items]), self._plain(choices)]
        else:
            told = [self.ids(item_set, ""), self._plain(choices)]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def _plain(self, texts: list[str]) -> list[Sequence[int]]:
        return list(self.model.tokenizer(texts, add_special_tokens=False).input_ids) if texts else []


def check_steady(model: ChatModel) -> None:
    """Raise ClampdownError for a template that draws at random: a stopped clock does not make its prompts the same."""
    if any(_DRAWS.search(code) for code in _CODE.findall(template_text(model.tokenizer))):
        raise ClampdownError(
            f"model {model.name}'s chat template draws at random, so no prompt of a study could be asked again; "
            "use a template without that"
        )


def template_fingerprint(model: ChatModel) -> str:
    """A hash of the template's text, the special tokens it is given, and what it makes of a few fixed chats."""
    still = model.at(ANY_DAY)
    special = {name: str(token) for name, token in model.tokenizer.special_tokens_map.items()}
    told = [template_text(model.tokenizer), special, *(_ids(still, chat) for chat in _PROBES)]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _ids(model: ChatModel, chat: list[dict[str, str]]) -> list[int] | None:
    try:
        return model.chat_ids(chat, answer=chat[-1]["role"] == "user")
    except ClampdownError:  # the template takes no such turns
        return None
