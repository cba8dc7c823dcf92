"""Thoughts in an answer, told apart from what it says to the user. Pure text; no model needed.

Models mark their thoughts by tags (<think> in Qwen 3, SmolLM3 and DeepSeek, and others below) or by channels
(gpt-oss' harmony). Where the tags are special tokens, a tokenizer's usual decoding drops them: `MARKERS` are those
to keep, and `told` writes channels as <think> tags, so that the rest of the house knows one form.
"""

import re

HARMONY = ("<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|return|>", "<|call|>", "<|constrain|>")
MARKERS = (
    *("<think>", "</think>", "<|START_THINKING|>", "<|END_THINKING|>", "[THINK]", "[/THINK]"),
    *("<seed:think>", "</seed:think>", "<|channel>", "<channel|>"),
)
"""The special tokens, of various models, that open and close a thought; HARMONY has those of gpt-oss."""

_OPEN = (
    r"<(?i:think(?:ing)?|thought|seed:think)>|<\|START_THINKING\|>|\[THINK\]|◁think▷"  # Cohere, Magistral, Kimi
    r"|<\|channel>thought\b"  # Gemma 4
)
_CLOSE = r"</(?i:think(?:ing)?|thought|seed:think)>|<\|END_THINKING\|>|\[/THINK\]|◁/think▷|<channel\|>"
_TAG = re.compile(f"({_OPEN})|{_CLOSE}")
_OPEN_AT_END = re.compile(rf"(?:{_OPEN})\s*\Z")
_CHANNEL = re.compile(
    r"(?:<\|start\|>[^<]*)?<\|channel\|>([^<]*)(?:<\|constrain\|>[^<]*)?<\|message\|>(.*?)"
    r"(<\|end\|>|<\|return\|>|<\|call\|>|(?=<\|start\|>|<\|channel\|>)|\Z)",
    re.S,
)
_UNFINISHED = re.compile(r"<\|(?:start|channel)\|>.*", re.S)


def spoken(answer: str) -> str | None:
    """The answer without its thoughts; None when a thought never ends, for then nothing was said yet."""
    text = told(answer)
    kept: list[str] = []
    thinking, at = False, 0
    for tag in _TAG.finditer(text):
        if tag.group(1) is None:
            if not thinking:
                kept.clear()  # some templates open the block in the prompt, so that only its end shows
            thinking = False
        elif not thinking:
            kept.append(text[at : tag.start()])
            thinking = True
        at = tag.end()
    return None if thinking else " ".join(part for part in (*kept, text[at:]) if part)


def told(text: str) -> str:
    """Harmony's channels as text: what is for the user as it is, all else between <think> tags.

    The text of a longer answer begins with that of a shorter one, so it can be streamed.
    """
    if "<|channel|>" not in text:
        return text
    parts, at = [], 0
    for message in _CHANNEL.finditer(text):
        channel, body, end = message.groups()
        parts.append(text[at : message.start()])
        # A commentary with a recipient is a call of a tool, without one it is for the user.
        aloud = channel.strip() in ("final", "commentary")
        parts.append(body if aloud else f"<think>{body}" + ("</think>" if end else ""))
        at = message.end()
    return "".join([*parts, _UNFINISHED.sub("", text[at:])])


def opens_thought(prompt: str) -> bool:
    """Whether a rendered prompt ends inside a thought, as some templates do: the answer then begins with one."""
    return bool(_OPEN_AT_END.search(prompt))
