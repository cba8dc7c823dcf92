"""Which tokens of an answer are of a tool's call: what programs read is to be exact, so a request may have it spared.

Models mark calls in the text, some by tokens of their own. What stands between the marks is not edited: from the token
that ends the opening mark to the last one before the closing mark is whole. Some calls run to the answer's end.
"""

from clampdown.models.chat_model import ChatModel

MARKS = {
    "<tool_call>": "</tool_call>",  # Qwen, Hermes, SmolLM
    "<function=": "</function>",  # Llama
    "<function_call>": "</function_call>",
    "<|tool_call|>": "<|/tool_call|>",  # Phi
    "<|tool_call_start|>": "<|tool_call_end|>",  # LFM
    "<|tool_calls_section_begin|>": "<|tool_calls_section_end|>",  # Kimi
    "<｜tool▁calls▁begin｜>": "<｜tool▁calls▁end｜>",
    "[TOOL_CALLS]": "",  # Mistral
    "<|python_tag|>": "",  # Llama
}
"""How calls begin and end in the text that models say; those without an end run to the answer's."""
_LAST = 64
"""Tokens that hold any mark whole."""


class ToolCalls:
    """Follows one answer, token by token.

    Attributes:
        inside: whether the last token is of a call.
        spared: how many of them the model has read, unedited.
    """

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self._closing: str | None = None  # of the call that has begun
        self._recent: list[int] = []  # since the last mark
        self.spared = 0

    @property
    def inside(self) -> bool:
        return self._closing is not None

    def add(self, token: int) -> None:
        """Hear one more token."""
        self._recent = [*self._recent[1 - _LAST :], token]
        text = str(self._model.tokenizer.decode(self._recent, skip_special_tokens=False))
        if self._closing is None:
            begun = [(text.rfind(mark), closing) for mark, closing in MARKS.items() if mark in text]
            if begun:
                self._closing, self._recent = max(begun)[1], []
        elif self._closing and self._closing in text:
            self._closing, self._recent = None, []
