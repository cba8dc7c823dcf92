"""What is wished of a model's chat template: another one in its place, and answers without thoughts."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from clampdown.errors import ClampdownError, reason
from clampdown.models import thinking
from clampdown.reading import read_text, stand_in

_PROBE = [{"role": "user", "content": "Speak of herons."}]


class Wish(NamedTuple):
    """A template's text in place of the model's own, whether thoughts are wanted, and a chat at all.

    called: what the template was named by, for errors.
    options: what the template is told besides, whatever was wished.
    """

    text: str = ""
    called: str = ""
    thinking: bool = True
    chat: bool = True
    options: Mapping[str, Any] = {}  # never written to

    @classmethod
    def read(
        cls,
        template: str | Path | None = None,
        thinking: bool = True,
        chat: bool = True,
        options: Mapping[str, Any] | None = None,
    ) -> "Wish":
        """Raises ClampdownError for a template's file that is not there or can't be read."""
        text, called = read_template(template) if template else ("", "")
        return cls(text, called, thinking, chat, options or {})

    def check(self, name: str, has_template: bool) -> None:
        """Raises ClampdownError where a chat is wanted of a model that has no template, and none was given."""
        if not (has_template or self.text) and (self.chat or not self.thinking):
            raise no_template(name)

    def fulfil(self, name: str, tokenizer: Any) -> dict[str, Any]:
        """Give the tokenizer its template, and return what that has to be told whenever it is applied.

        Raises:
            ClampdownError: no template; one that fails; or thoughts that it can't leave out.
        """
        self.check(name, bool(tokenizer.chat_template))
        if self.text:
            tokenizer.chat_template = self.text
            self._try(tokenizer)
        return dict(self.options) if self.thinking else {**self.options, **_quiet(name, tokenizer, self.options)}

    def _try(self, tokenizer: Any) -> None:
        try:
            rendered = _rendered(tokenizer, self.options)
        except Exception as error:  # a template is a program
            why = reason(error).rstrip(".")
            raise ClampdownError(f"chat template {self.called} fails on a plain request: {why}; mend it") from error
        if _PROBE[0]["content"] not in rendered:
            raise ClampdownError(f"chat template {self.called} leaves out what the user says; give another")


def no_template(name: str) -> ClampdownError:
    """A base model was asked to chat."""
    return ClampdownError(
        f"model {name} has no chat template, as base models don't: give one with --chat-template FILE "
        "(chat_template= in Python), or name its chat model"
    )


def read_template(given: str | Path) -> tuple[str, str]:
    """A template's text, and what to call it: from a Jinja file, from a tokenizer's JSON that holds one, or as it is.

    Raises:
        ClampdownError: no such file, or nothing in it.
    """
    said = str(given)
    if isinstance(given, str) and ("{{" in said or "{%" in said):
        return said, "on the command line" if len(said) > 40 else repr(said)
    path = Path(given).expanduser()
    if not os.path.exists(path):  # Path.exists raises where a folder may not be read
        raise ClampdownError(
            f"no chat template {said}: name a Jinja file, or give the template itself, with its {{{{ }}}}"
        )
    text = read_text(path, "chat template")
    if text.strip() and (found := stand_in(text[:512].encode())):
        raise ClampdownError(f"can't read chat template {said}: {found}")
    if path.suffix == ".json":
        try:
            text = json.loads(text)["chat_template"]
            if not isinstance(text, str):
                raise ValueError("it has several templates")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ClampdownError(
                f"can't read chat template {said}: it is JSON without one text under chat_template; name a Jinja file"
            ) from error
    if not text.strip():
        raise ClampdownError(f"chat template {said} is empty; name a Jinja file")
    return text, said


def _rendered(tokenizer: Any, options: Mapping[str, Any]) -> str:
    return str(tokenizer.apply_chat_template(_PROBE, tokenize=False, **{**options, "add_generation_prompt": True}))


def _quiet(name: str, tokenizer: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that switch thoughts off; where the prompt ends inside a thought all the same, the template closes it."""
    text = tokenizer.get_chat_template()
    found = thinking.switch(text)
    try:
        prompt = _rendered(tokenizer, {**options, **found})
    except Exception as error:  # a template is a program
        why = reason(error).rstrip(".")
        raise ClampdownError(f"model {name}'s chat template fails on a plain request: {why}; mend it") from error
    if closing := thinking.closing(prompt):
        end = f"{{% if add_generation_prompt %}}{{{{ {json.dumps(closing)} }}}}{{% endif %}}"
        tokenizer.chat_template = text.removesuffix("\n") + end  # Jinja drops a template's last line break
    elif not found:
        raise ClampdownError(f"model {name}'s chat template {thinking.no_switch(text)}; leave --no-thinking out")
    return found
