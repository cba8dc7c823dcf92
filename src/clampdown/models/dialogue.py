"""What is said to a model and what it says, as text, turns and token ids: all of a chat model but its weights."""

import copy
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Self

from clampdown.errors import ClampdownError, reason
from clampdown.models import control_tokens, patience, template, thinking
from clampdown.models.prompt import Prompt, Spans
from clampdown.models.template_choice import no_template
from clampdown.models.user_turns import Surroundings, hollowed

Message = dict[str, str]
"""{"role": "system" | "user" | "assistant", "content": text}"""

_TAIL = 16  # tokens; enough for what a template ends with
_PROBE = [{"role": "system", "content": "Speak of herons."}, {"role": "user", "content": "Well?"}]


class Dialogue:
    """A tokenizer and its chat template, with what a model's files say of its context and of where answers end.

    Attributes:
        name: of the model, as errors call it.
        tokenizer: a transformers PreTrainedTokenizerBase.
        template_options: passed to every rendering of the chat template, such as {"enable_thinking": False}.
    """

    name: str
    tokenizer: Any
    template_options: Mapping[str, Any]

    def __init__(
        self,
        name: str,
        tokenizer: Any,
        config: Any,
        generation_config: Any = None,
        template_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self.tokenizer, self.template_options = name, tokenizer, template_options or {}
        self._configs = config, generation_config

    @property
    def configs(self) -> tuple[Any, Any]:
        """The model's configuration, and how it generates (or None), as Transformers has them."""
        return self._configs

    @property
    def context_length(self) -> int:
        """Tokens that prompt and answer may have together."""
        return int(getattr(self.configs[0].get_text_config(), "max_position_embeddings", 0)) or 2048

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """Token ids that end an answer: those the files name, and the one the template closes an answer with."""
        config, generation_config = self.configs
        sources = (self.tokenizer, config.get_text_config(), generation_config)
        named = [getattr(source, "eos_token_id", None) for source in sources]
        flat = [i for item in named for i in (item if isinstance(item, list | tuple) else [item])]
        return frozenset(i for i in (*flat, self._closing_id()) if i is not None)

    @property
    def end_id(self) -> int | None:
        """The token that ends an answer: the one the template closes it with, or else the tokenizer's own."""
        closing = self._closing_id()
        return self.tokenizer.eos_token_id if closing is None else closing

    def _closing_id(self) -> int | None:
        """A GGUF file, say, names one end only, which need not be that of a turn."""
        said = "Yes, twice."
        try:
            text = self.render(
                [{"role": "user", "content": "Well?"}, {"role": "assistant", "content": said}], answer=False
            )
        except ClampdownError:
            return None
        close = self._control.match(text.rpartition(said)[2].lstrip()) if self._control else None
        return self.tokenizer.convert_tokens_to_ids(close.group()) if close else None

    @cached_property
    def _control(self) -> re.Pattern[str] | None:
        """Matches the tokenizer's added tokens: those of the template, and others of its vocabulary's own."""
        added = {token.content for token in self.tokenizer.added_tokens_decoder.values() if token.content.strip()}
        longest_first = sorted(added, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first))) if added else None

    def at(self, moment: datetime) -> Self:
        """The same with its chat template's clock stopped at `moment`; itself where the template asks no time."""
        text = template.template_text(self.tokenizer)
        if not template.is_dated(text):
            return self
        still = copy.copy(self)  # with all that is cached of it, such as the hash of its weights
        object.__setattr__(still, "tokenizer", copy.copy(self.tokenizer))
        still.tokenizer.chat_template = template.stopped(text, moment)
        return still

    def render(self, messages: Sequence[Message], *, system: str | None = None, answer: bool = True) -> str:
        """The chat template applied; `answer` leaves it open for the assistant's turn."""
        return self._templated(self.turns(messages, system), answer, tokenize=False)

    def turns(self, messages: Sequence[Message], system: str | None = None) -> list[Message]:
        """The messages as the chat template takes them, `system` first.

        Where it has no place for a system turn, that turn's text opens the user's next, a blank line between.

        Raises:
            ClampdownError: such a turn has none of the user's after it.
        """
        chat = ([{"role": "system", "content": system}] if system else []) + list(messages)
        if all(message["role"] != "system" for message in chat) or not self.system_as_user:
            return chat
        turns: list[Message] = []
        held: list[str] = []
        for message in chat:
            if message["role"] == "system":
                held.append(message["content"])
                continue
            if message["role"] == "user":
                message, held = {**message, "content": "\n\n".join([*held, message["content"]])}, []
            turns.append(message)
        if held:
            raise ClampdownError(
                f"model {self.name}'s chat template has no place for a system prompt, and no user's turn follows "
                "that could hold it; add one"
            )
        return turns

    @cached_property
    def system_as_user(self) -> bool:
        """Whether a system prompt goes into the user's turn, because the chat template refuses or drops its own."""
        try:
            return _PROBE[0]["content"] not in self._templated(_PROBE, True, tokenize=False)
        except ClampdownError:
            return True

    def _templated(self, chat: list[Message], answer: bool, **how: Any) -> Any:
        self.need_template()
        options = {**self.template_options, "add_generation_prompt": answer, **how}
        try:
            with patience.watched(self.name):
                return self.tokenizer.apply_chat_template(chat, **options)
        except Exception as error:  # a template is a program: it may refuse turns in its own words, or just fail
            roles = ", ".join(message["role"] for message in chat) or "none"
            raise ClampdownError(
                f"model {self.name}'s chat template refuses these turns ({roles}): {reason(error)}; give it others, or "
                "mend it"
            ) from error

    def need_template(self) -> None:
        """Raises ClampdownError where the model has no chat template, as base models don't."""
        if not self.tokenizer.chat_template:
            raise no_template(self.name)

    def probe_ids(self, text: str) -> Sequence[int]:
        """Ids of a short prompt for trying things out: as a chat, or as plain text where there is no template."""
        return self.prompt_ids(text) if self.tokenizer.chat_template else self.tokenizer(text).input_ids

    @cached_property
    def opens_thought(self) -> bool:
        """Whether the template ends a prompt inside a thought, so that every answer begins with one."""
        try:
            return thinking.opens_thought(self.render([{"role": "user", "content": "Well?"}]))
        except ClampdownError:
            return False

    def ids(self, text: str) -> list[int]:
        """Token ids of already rendered text: nothing is added."""
        return control_tokens.encoded(self.tokenizer, text)

    def text_ids(self, text: str) -> list[int]:
        """Token ids of plain text, such as a passage or a choice: control tokens written in it are text."""
        return self.ids(self.guarded({"role": "user", "content": text})["content"])

    def chat_ids(self, messages: Sequence[Message], *, system: str | None = None, answer: bool = True) -> list[int]:
        """Token ids of rendered messages.

        Control tokens written in a system prompt, by the user or in an answer, such as <|im_end|>, are ordinary text
        there, so that no turn can end itself; the marks of a thought in an answer are not. (Where Transformers is too
        old to tell them apart they still can.)
        """
        return self.ids(self._chat_text(messages, system, answer))

    def _chat_text(self, messages: Sequence[Message], system: str | None, answer: bool) -> str:
        chat = [self.guarded(message) for message in self.turns(messages, system)]
        return str(self._templated(chat, answer, tokenize=False))

    def guarded(self, message: Message) -> Message:
        """A message in which control tokens are marked as text, for a template to be put around (`control_tokens`)."""
        if not self._control or not self._control.search(str(message["content"])):
            return message
        leave: tuple[str, ...] = ()
        if message["role"] == "assistant":
            leave = (*thinking.MARKERS, *(thinking.HARMONY if "<|channel|>" in self.tokenizer.get_vocab() else ()))
        text = control_tokens.marked(self.tokenizer, message["content"], leave)
        return {**message, "content": text}

    def prompt_ids(self, prompt: str | Sequence[Message], *, system: str | None = None, room: int = 1) -> Prompt:
        """Ids of a rendered prompt, which must leave `room` tokens of the context for the answer."""
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        text = self._chat_text(messages, system, True)
        ids = self.ids(text)
        if len(ids) + room > self.context_length:
            start = str(messages[-1]["content"])[:40]
            raise ClampdownError(
                f"prompt {start!r}... has {len(ids)} tokens; with {room} for the answer that exceeds the model's "
                f"context of {self.context_length}: shorten it"
            )
        places = self._user_places(messages, system, text)
        return Prompt(ids, places and control_tokens.token_spans(self.tokenizer, text, ids, places))

    def _user_places(self, messages: Sequence[Message], system: str | None, text: str) -> Spans | None:
        """Where the contents of the user's turns are in the rendered chat; None where that is not certain."""
        said = [self.guarded(message)["content"] for message in messages if message["role"] == "user"]
        if not all(isinstance(content, str) for content in said):
            return None
        hollow = [self.guarded(message) for message in self.turns(hollowed(messages), system)]
        key = (template.template_text(self.tokenizer), repr(hollow))
        try:
            return self._surroundings.places(text, said, key, lambda: self._templated(hollow, True, tokenize=False))
        except ClampdownError:  # a template that reads what users say, and refuses the markers
            return None

    @cached_property
    def _surroundings(self) -> Surroundings:
        return Surroundings()

    def said(self, ids: Sequence[int], prompt: Sequence[int] = ()) -> str:
        """The text of an answer's ids, special tokens left out but for those that mark thoughts.

        Where `prompt` ends inside a thought, the text opens it, so that the thought can be told from the answer.
        """
        return self.opening(prompt) + self.with_thoughts_marked(self.decoded(ids))

    def decoded(self, ids: Sequence[int]) -> str:
        """The ids as text, those left out that `said` leaves out; thoughts marked as the model marks them."""
        kept = self._thought_marks
        if kept:
            return self.tokenizer.decode([i for i in ids if i not in self._special or i in kept])
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def says(self, token: int) -> bool:
        """Whether a token is part of what `said` tells, and not left out."""
        return token not in self._special or token in self._thought_marks or self.decoded([token]) != ""

    def with_thoughts_marked(self, decoded: str) -> str:
        """The same with thoughts marked as this house does."""
        return thinking.with_thoughts_marked(decoded) if self._thought_marks else decoded

    def opening(self, prompt: Sequence[int]) -> str:
        """What a text begins with: the mark of a thought that the prompt opened."""
        opened = thinking.opens_thought(self.tokenizer.decode(prompt[-_TAIL:])) if prompt else False
        return "<think>\n" if opened else ""

    @cached_property
    def _special(self) -> frozenset[int]:
        marked = {i for i, token in self.tokenizer.added_tokens_decoder.items() if token.special}
        return frozenset({*marked, *self.tokenizer.all_special_ids})

    @cached_property
    def _thought_marks(self) -> frozenset[int]:
        """Special tokens that mark thoughts; most models have none."""
        names = {self.tokenizer.convert_ids_to_tokens(i): i for i in self._special}
        wanted = (*thinking.MARKERS, *(thinking.HARMONY if "<|channel|>" in names else ()))
        return frozenset(names[name] for name in wanted if name in names)
