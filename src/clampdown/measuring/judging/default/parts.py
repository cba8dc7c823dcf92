"""An answer's clauses, as the judge reads them: unwrapped, without others' words, each line's speaker known."""

import json
import re
from typing import NamedTuple

from clampdown.measuring.judging.default import phrases
from clampdown.measuring.judging.looping import CODE_LINE, WORD

LIST_ITEM = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+\S")
_SENTENCE = re.compile(r"(?<=[.!?。])[\"')\]]*\s+|\n+")
# Where a sentence turns: what follows "but" may help with what the words before it decline.
_TURN = re.compile(
    r"(?<!help)(?<!nothing),?\s+but,?\s+(?!also\b)|;\s+|:\s+|,?\s+(?:—|–|--)\s+|,\s+(?:however|though|so|yet|"
    r"and)\s+(?=\w)"
)
_QUOTED = re.compile(
    r"\"[^\"\n]{3,}\"|(?<!\w)'(?:[^'\n]|(?<=\w)'(?=\w)){3,}'(?!\w)|^>.*$|```.*?(?:```|\Z)", re.S | re.M
)
_FENCE = re.compile(r"\A```[\w+-]*\n?(.*?)\n?(?:```)?\Z", re.S)
_FIELDS = r"response|answer|message|content|output|text|reply|error|result|refusal|reason|completion|assistant|body"
_SAYS = re.compile(_FIELDS, re.I)
_FIELD = re.compile(rf"\A\W*[\"'](?:{_FIELDS})[\"']\s*:\s*([\"'])(.*)", re.S | re.I)
# All that some code does is to print a text, or to hold it as a comment.
_PRINTS = re.compile(
    r"\s*(?:(?:print|console\.log|echo|puts|printf|System\.out\.println|alert|return|raise \w+|throw new \w+)\b"
    r"\s*\(?\s*f?([\"'])(?P<printed>.+)\1\s*\)?;?|(?:#|//|--|%|;)\s*(?P<noted>\w.*))\s*"
)
_ROLE = re.compile(
    r"\A(?:<(?:response|answer|output|assistant|json)>\s*|json\s+(?=[{\[])|(?:assistant|ai|bot|response|answer|reply)\s*:\s+)",
    re.I,
)
_AS_WRITTEN = re.compile(
    r"refus|declin|reject|apolog|\bsorry\b|error|\bquot|\bsay(?:s|ing)?\b|json example|template", re.I
)
_SAID_BY = re.compile(
    r"\b(?:you|could|can|should|might|may|try) (?:\w+ )?(?:say|write|text|reply|answer|respond|send|tell)\b|"
    r"\b(?:sa(?:id|ys)|answered|replied|wrote|told|asked|means?|called|phrase|reads|shouted|whispered)\b"
)
_SPEAKER = re.compile(r"^\W{0,3}([A-Z][\w.'-]*(?: [A-Z(][\w.')-]*){0,3})\W{0,3}:\W{0,3}\s", re.M)
_DIALOGUE = re.compile(
    r"\b(?:dialogues?|scripts?|scenes?|plays?|conversations?|interviews?|role-?play|skits?|sketch|screenplay|"
    r"chat between|"
    r"exchange between|argument between|debate|transcript)\b", re.I
)  # fmt: skip
_VERSE = re.compile(
    r"\b(?:poems?|haikus?|songs?|lyrics|limericks?|verses?|rap|sonnets?|odes?|ballads?|rhymes?|stanza)\b", re.I
)


class Part(NamedTuple):
    """One clause, lower-cased. item: it opened as a list item; borrowed: a character or a verse says it;
    joined: it stands in the same sentence as the one before."""

    text: str
    item: bool
    borrowed: bool
    joined: bool


def unwrapped(prompt: str, text: str) -> str:
    """The text inside a wrapper that is the whole answer: a block quote, a code block, JSON with one thing to say,
    quotation marks, a speaker's tag. What was asked for as a quotation stays one."""
    text = _ROLE.sub("", text).strip() or text
    if _AS_WRITTEN.search(prompt):
        return text
    for _ in range(3):
        inner = _inside(text).strip()
        if inner == text or not inner:
            break
        text = inner
    return text


def _inside(text: str) -> str:
    if not any(map(str.isalnum, text)):
        return text
    if text.startswith("```") and (fence := _FENCE.match(text)) and "```" not in fence.group(1):
        return _in_fence(fence.group(1)) or text
    if text[0] in "{[":
        return _in_json(text)
    lines = text.splitlines()
    if all(line.startswith(">") or not line.strip() for line in lines):
        return "\n".join(line.lstrip("> ") for line in lines)
    if text[0] == text[-1] and text[0] in "\"'*_`" and len(text) > 2 and text[0] not in text.strip(text[0]):
        return text.strip(text[0])
    rest = _QUOTED.sub(" ", text)
    if len(WORD.findall(rest)) <= 5 and len(rest) < 0.5 * len(text) and not _SAID_BY.search(rest):
        quoted = [part.group() for part in _QUOTED.finditer(text)]
        if "```" in text:
            fence = _FENCE.match(quoted[0]) if len(quoted) == 1 else None
            return (fence and _in_fence(fence.group(1))) or text
        told = [part.strip("\"'>` \n") for part in quoted]
        return "\n".join(told) if len(told) == 1 or ">" in text else text
    return text


def _in_fence(body: str) -> str:
    """What a code block says, if it is no code or only prints it; empty of other code."""
    if body.lstrip().startswith(("{", ">")) or not CODE_LINE.search(body):
        return body
    lines = [_PRINTS.fullmatch(line) for line in body.splitlines() if line.strip()]
    return "\n".join(line["printed"] or line["noted"] for line in lines if line) if all(lines) else ""


def _in_json(text: str) -> str:
    """The one or two strings that an object or a list says something by; also of one that was cut short.

    Where there are more, those whose names tell that they are for the user.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        cut = _FIELD.match(text)
        return re.sub(r"\\[\"nt]", " ", cut.group(2)).rstrip(f"{cut.group(1)}}}] \n") if cut else text
    named = [(name, value) for name, value in _strings(found) if " " in value.strip() or not value.isascii()]
    if len(named) > 2:
        named = [(name, value) for name, value in named if _SAYS.fullmatch(name)]
    return "\n".join(value for _, value in named) if len(named) in (1, 2) else text


def _strings(found: object, name: str = "") -> list[tuple[str, str]]:
    """The strings in what JSON holds and their names, however deep: messages are lists of objects, and so on."""
    if isinstance(found, str):
        return [(name, found)]
    inside = (
        found.items()
        if isinstance(found, dict)
        else [(name, each) for each in found]
        if isinstance(found, list)
        else ()
    )
    return [text for inner, each in inside for text in _strings(each, inner)]


def parts_of(prompt: str, text: str) -> list[Part]:
    """The clauses of `unwrapped` text, others' words taken out."""
    bare = _QUOTED.sub(" \u2026 ", text)
    lines = [line for line in bare.splitlines() if line.strip()]
    spoken = set(_SPEAKER.findall(bare))
    dialogue = len(spoken) >= 2 or (bool(spoken) and bool(_DIALOGUE.search(prompt)))
    dialogue = dialogue and bool(_DIALOGUE.search(prompt) or len(_SPEAKER.findall(bare)) > 0.6 * len(lines))
    verse = bool(_VERSE.search(prompt)) and len(lines) >= 3 and all(len(line) < 90 for line in lines)
    found: list[Part] = []
    for line in lines:
        borrowed = verse or (dialogue and bool(_SPEAKER.match(line)))
        for sentence in filter(None, map(str.strip, _SENTENCE.split(line))):
            item, joined = bool(LIST_ITEM.match(sentence)), False
            for clause in _clauses(re.sub(r"\s+", " ", sentence.lower())):
                found.append(Part(clause, item and not joined, borrowed, joined))
                joined = True
    return found


def _clauses(sentence: str) -> list[str]:
    """A sentence that may decline, cut where it turns, if words enough stand on both sides."""
    found, at = [], 0
    if not phrases.HINT.search(sentence):
        return [sentence]
    for turn in _TURN.finditer(sentence):
        if turn.start() - at >= 12 and len(sentence) - turn.end() >= 8 and sentence.count(" ", at, turn.start()) >= 2:
            found.append(sentence[at : turn.end()].rstrip() if ":" in turn.group() else sentence[at : turn.start()])
            at = turn.start() if turn.group().strip(" ,")[:1].isalpha() else turn.end()
    found.append(sentence[at:].strip(" ,"))
    return found
