"""ARC: grade-school science questions. The challenge part holds those that simple methods got wrong."""

from dataclasses import replace

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

_CHALLENGE = NamedSet(
    name="arc-challenge",
    family="arc",
    kinds=("capability",),
    size=1172,
    split="test",
    about="school science questions that simple methods get wrong (test)",
    paper="Clark et al. 2018, arXiv 1803.05457",
    licence="CC BY-SA 4.0",
    origin=Origin(
        "allenai/ai2_arc",
        ("ARC-Challenge/test-00000-of-00001.parquet",),
        revision="210d026faf9955653af8916fad021475a3f00453",
    ),
    columns=Columns(
        text="question", id="id", choices="choices.text|choices", labels="choices.label", answer="answerKey|answer"
    ),
)
SETS = (
    _CHALLENGE,
    replace(
        _CHALLENGE,
        name="arc-easy",
        size=2376,
        about="the other school science questions (test)",
        origin=replace(_CHALLENGE.origin, files=("ARC-Easy/test-00000-of-00001.parquet",)),
    ),
    replace(
        _CHALLENGE,
        name="arc-challenge-train",
        size=1119,
        split="train",
        about="the challenge questions of the training part; not to be reported as ARC",
        origin=replace(_CHALLENGE.origin, files=("ARC-Challenge/train-00000-of-00001.parquet",)),
        local=("capability/arc_challenge_train.jsonl", "arc_challenge_train.jsonl"),
    ),
)
