"""Thoughts in an answer, told apart from what it says to the user. Pure text; no model needed.

Models mark their thoughts by tags (<think> in Qwen 3, SmolLM3 and DeepSeek, and others below) or by channels
(gpt-oss' harmony). Where the tags are special tokens, a tokenizer's usual decoding drops them: `MARKERS` are those
to keep, and `told` writes channels as <think> tags, so that the rest of the house knows one form.
"""

import re
from typing import Any

HARMONY = ("<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|return|>", "<|call|>", "<|constrain|>")
MARKERS = (
    *("<think>", "</think>", "<|START_THINKING|>", "<|END_THINKING|>", "[THINK]", "[/THINK]"),
    *("<seed:think>", "</seed:think>", "<|channel>", "<channel|>"),
    *("<|begin_of_thought|>", "<|end_of_thought|>", "<|inner_prefix|>", "<|inner_suffix|>"),
    *("<longcat_think>", "</longcat_think>"),
)
"""The special tokens, of various models, that open and close a thought; HARMONY has those of gpt-oss."""

_OPEN = (
    r"<(?i:think(?:ing)?|thoughts?|reasoning|seed:think|longcat_think)>"
    r"|<\|START_THINKING\|>|\[THINK\]|◁think▷"  # Cohere, Magistral, Kimi
    r"|<\|channel>thought\b|<\|begin_of_thought\|>|<\|inner_prefix\|>"  # Gemma 4, OpenThinker, Apertus
)
_CLOSE = (
    r"</(?i:think(?:ing)?|thoughts?|reasoning|seed:think|longcat_think)>|<\|END_THINKING\|>|\[/THINK\]|◁/think▷|<channel\|>"
    r"|<\|end_of_thought\|>|<\|inner_suffix\|>"
)
_TAG = re.compile(f"({_OPEN})|{_CLOSE}")
_OPEN_AT_END = re.compile(rf"(?:{_OPEN})\s*\Z")
_CHANNEL = re.compile(
    r"(?:<\|start\|>[^<]*)?<\|channel\|>([^<]*)(?:<\|constrain\|>[^<]*)?<\|message\|>(.*?)"
    r"(<\|end\|>|<\|return\|>|<\|call\|>|(?=<\|start\|>|<\|channel\|>)|\Z)",
    re.S,
)
_SWITCHES = {
    "enable_thinking": False,  # Qwen 3, SmolLM3, GLM, Gemma 4, EXAONE, Hunyuan, Nemotron
    "thinking": False,  # Granite, DeepSeek 3.1, Kimi
    "reasoning": False,  # Cohere
    "thinking_budget": 0,  # Seed-OSS
}
"""What templates call the switch for thoughts, and its value for none."""
_CODE = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.S)
_STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.S)
_UNFINISHED = re.compile(r"<\|(?:start|channel)\|>.*", re.S)


def spoken(answer: str) -> str | None:
    """The answer without its thoughts; None when a thought never ends, for then nothing was said yet."""
    text = with_thoughts_marked(answer)
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


def with_thoughts_marked(text: str) -> str:
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


def switch(template: str) -> dict[str, Any]:
    """What to tell a chat template so that answers come without thoughts; nothing where it knows no such thing."""
    names = _names(template)
    found = {name: value for name, value in _SWITCHES.items() if name in names}
    if not found and "reasoning_effort" in names and re.search(r"""["']none["']""", template):
        return {"reasoning_effort": "none"}
    return found


def no_switch(template: str) -> str:
    """Why a chat template can't leave thoughts out, and what else there is."""
    if "reasoning_effort" in _names(template):
        return "can only shorten thoughts, by reasoning_effort, not switch them off: give answers more tokens"
    if "/no_think" in template:
        return "has no switch for thinking but a word in the system prompt: put /no_think there"
    return "has no switch for thinking, and opens no thought that could be closed"


def closing(prompt: str) -> str:
    """What ends the thought inside which a rendered prompt ends, so that the answer begins; "" where there is none."""
    if not (opened := _OPEN_AT_END.search(prompt)):
        return ""
    tag = opened.group().strip()
    known = {
        "[THINK]": "[/THINK]",
        "◁think▷": "◁/think▷",
        "<|START_THINKING|>": "<|END_THINKING|>",
        "<|begin_of_thought|>": "<|end_of_thought|>",
        "<|inner_prefix|>": "<|inner_suffix|>",
    }
    end = known.get(tag) or ("<channel|>" if tag.startswith("<|channel>") else f"</{tag[1:]}")
    return "\n" * max(0, 2 - opened.group().count("\n")) + f"{end}\n\n"


def _names(template: str) -> set[str]:
    """Names in a template's code, texts and comments left out."""
    code = " ".join(_CODE.findall(re.sub(r"\{#.*?#\}", "", template, flags=re.S)))
    return set(re.findall(r"[A-Za-z_]\w*", _STRING.sub("''", code)))
