"""A chat model: weights, tokenizer and template, loaded so that its residual stream can be reached."""

import copy
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.models import (
    bundled,
    control_tokens,
    exclusive,
    fingerprint,
    patience,
    residual,
    source,
    template,
    thinking,
)
from clampdown.models.prompt import Prompt, Spans
from clampdown.models.template_choice import Wish, no_template
from clampdown.models.user_turns import Surroundings, hollowed

Message = dict[str, str]
"""{"role": "system" | "user" | "assistant", "content": text}"""

_TAIL = 16  # tokens; enough for what a template ends with
_PROBE = [{"role": "system", "content": "Speak of herons."}, {"role": "user", "content": "Well?"}]


class Batch(NamedTuple):
    """Token ids and attention mask, [row, position] each."""

    input_ids: Tensor
    attention_mask: Tensor

    def as_inputs(self) -> dict[str, Tensor]:
        return {"input_ids": self.input_ids, "attention_mask": self.attention_mask}


@dataclass(frozen=True, eq=False)
class ChatModel:
    """A causal language model, with a chat template mostly. Make one with `load_chat_model`.

    Attributes:
        name: what it was loaded by, the hub's revision included.
        folder: where the weight files lie, or the GGUF file.
        hf: a transformers PreTrainedModel.
        tokenizer: a transformers PreTrainedTokenizerBase.
        template_options: passed to every rendering of the chat template, such as {"enable_thinking": False}.
        quantization: "8bit" or "4bit" where the weights were packed when loaded, else empty.
        unread: names of tensors in the weight files that were not loaded.
        loaded_by: arguments that make `load_chat_model` load the same; empty where it did not.
    """

    name: str
    folder: Path
    hf: Any
    tokenizer: Any
    template_options: Mapping[str, Any] = field(default_factory=dict)
    quantization: str = ""
    unread: frozenset[str] = frozenset()
    loaded_by: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_layers(self) -> int:
        return len(residual.blocks(self.hf))

    @property
    def d_model(self) -> int:
        return self.hf.get_input_embeddings().weight.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        return self.hf.dtype

    @property
    def device(self) -> torch.device:
        return residual.embedding_device(self.hf)

    def device_at(self, layer: int) -> torch.device:
        """Where block `layer` runs: with a device map, not every block is where the ids are."""
        residual.check_layer(layer, self.n_layers)
        return residual.device_of(residual.blocks(self.hf)[layer])

    @property
    def context_length(self) -> int:
        return int(getattr(self.hf.config.get_text_config(), "max_position_embeddings", 0)) or 2048

    @cached_property
    def window(self) -> int | None:
        """How far back the blocks that see least look, in columns of the cache; None where all see everything."""
        from transformers import DynamicCache

        layers = DynamicCache(config=self.hf.config).layers
        return min((w for layer in layers if (w := getattr(layer, "sliding_window", None))), default=None)

    @cached_property
    def sha256(self) -> str:
        """Hash of what is loaded: tensors by name and the configuration's facts, however the files are cut.

        How the weights were packed when loaded changes nothing; an adapter that peft added does.
        """
        return fingerprint.fingerprint(self.hf, self.folder, self.unread, bool(self.quantization))

    def is_named(self, sha256: str) -> bool:
        """Whether a recipe or an SAE that names its model's hash means this one.

        By `sha256`, or by the hash of the weight files themselves, which named models before. An empty hash is any.
        """
        if not sha256 or not self.sha256 or sha256 == self.sha256:
            return True
        return not getattr(self.hf, "_hf_peft_config_loaded", False) and sha256 == self._file_hash

    @cached_property
    def _file_hash(self) -> str:
        return fingerprint.file_hash(source.weight_files(self.folder))

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """Token ids that end an answer: those the files name, and the one the template closes an answer with."""
        named = (self.tokenizer, self.hf.config.get_text_config(), self.hf.generation_config)
        found = [getattr(by, "eos_token_id", None) for by in named]
        flat = [i for item in found for i in (item if isinstance(item, list | tuple) else [item])]
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

    def at(self, moment: datetime) -> "ChatModel":
        """This model with its chat template's clock stopped at `moment`; itself where the template asks no time."""
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
        found: list[Message] = []
        held: list[str] = []
        for message in chat:
            if message["role"] == "system":
                held.append(message["content"])
                continue
            if message["role"] == "user":
                message, held = {**message, "content": "\n\n".join([*held, message["content"]])}, []
            found.append(message)
        if held:
            raise ClampdownError(
                f"model {self.name}'s chat template has no place for a system prompt, and no user's turn follows "
                "that could hold it; add one"
            )
        return found

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
            told = ", ".join(message["role"] for message in chat) or "none"
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise ClampdownError(
                f"model {self.name}'s chat template refuses these turns ({told}): {reason}; give it others, or mend it"
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
        return self.opening(prompt) + self.told(self.decoded(ids))

    def decoded(self, ids: Sequence[int]) -> str:
        """The ids as text, those left out that `said` leaves out; thoughts marked as the model marks them."""
        kept = self._thought_marks
        if kept:
            return self.tokenizer.decode([i for i in ids if i not in self._special or i in kept])
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def says(self, token: int) -> bool:
        """Whether a token is part of what `said` tells, and not left out."""
        return token not in self._special or token in self._thought_marks or self.decoded([token]) != ""

    def told(self, decoded: str) -> str:
        """The same with thoughts marked as this house does."""
        return thinking.told(decoded) if self._thought_marks else decoded

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

    def pad(self, rows: Sequence[Sequence[int]], side: str = "left") -> Batch:
        """Rows of ids as one padded batch on the model's device."""
        width = max(map(len, rows))
        fill = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else 0
        ids, mask = [], []
        for row in rows:
            gap = width - len(row)
            before, after = (gap, 0) if side == "left" else (0, gap)
            ids.append([fill] * before + list(row) + [fill] * after)
            mask.append([0] * before + [1] * len(row) + [0] * after)
        kind = {"dtype": torch.long, "device": self.device}
        return Batch(torch.tensor(ids, **kind), torch.tensor(mask, **kind))

    def unsteered(self) -> AbstractContextManager[Any]:
        """Within, this thread alone runs the model, and no steering is on.

        Raises:
            ClampdownError: on entering, this thread steers the model already.
        """
        return exclusive.unsteered(residual.decoder(self.hf))

    def residual(self, batch: Batch, layers: Sequence[int]) -> list[Tensor]:
        """Residual stream after each layer, [row, position, d_model] each, without gradients."""
        with torch.inference_mode():
            return residual.read_residual(self.hf, batch.as_inputs(), layers)


def load_chat_model(
    name: str = bundled.NAME,
    *,
    dtype: str = "auto",
    device: str | None = None,
    device_map: str | Mapping[str, Any] | None = None,
    quantization: str | None = None,
    revision: str | None = None,
    template_options: Mapping[str, Any] | None = None,
    chat_template: str | Path | None = None,
    thinking: bool = True,
    chat: bool = True,
) -> ChatModel:
    """Load a chat model by the bundled one's name, by local folder, by hub id, or from a .gguf file here or on the hub.

    Args:
        name: a hub id may carry its revision: "org/model@main", "org/model/file.gguf@main".
        dtype: a torch dtype's name or "auto": on a CPU whichever of float32 and bfloat16 a short probe finds faster,
            elsewhere the one the weights are stored in.
        device: such as "cpu" or "cuda:1"; None takes the GPU if there is one.
        device_map: spreads the blocks over devices, as accelerate does: "auto", or a dict of module names.
        quantization: "8bit" or "4bit" packs the weights by bitsandbytes.
        revision: of a hub repository: a branch, a tag or a commit.
        template_options: passed to the chat template whenever it is applied, such as {"enable_thinking": False}.
        chat_template: a Jinja file, or the template itself, in place of the model's own; base models have none.
        thinking: False asks for answers without thoughts, in whatever way the template knows, or by closing the
            thought that it opens; refused where it knows none.
        chat: False loads a model without a chat template too, for plain text; rendering a chat is then refused.

    Raises:
        ClampdownError: no such model, gated or out of reach, damaged weights, not a decoder-only language model, no
            chat template, a model that keeps no keys and values, unknown dtype, or a package that is missing.
    """
    from clampdown.models.loading import Placing, load

    found = source.find_source(name, revision)
    wish = Wish.read(chat_template, thinking, chat, template_options)
    got = load(found, Placing(dtype, device, device_map, quantization), wish)
    called = f"{name}@{revision}" if revision and not name.endswith(f"@{revision}") else name
    again: dict[str, Any] = {
        "name": name,
        "dtype": dtype,
        "device": device,
        "device_map": device_map,
        "quantization": quantization,
    }
    again |= {"revision": revision, "template_options": template_options, "chat_template": wish.text or None}
    again |= {"thinking": thinking, "chat": chat}
    told = got.template_options, quantization or "", got.unread
    return ChatModel(called, got.place, got.model, got.tokenizer, *told, again)
