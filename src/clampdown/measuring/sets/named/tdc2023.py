"""The red-teaming behaviours of the Trojan Detection Challenge 2023, development and test phase together."""

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

SETS = (
    NamedSet(
        name="tdc2023",
        family="tdc2023",
        kinds=("unsafe",),
        size=100,
        split="development and test",
        about="harmful instructions of the TDC 2023 red-teaming track",
        paper="Mazeika et al. 2023, NeurIPS competition track",
        licence="MIT",
        origin=Origin(
            "centerforaisafety/tdc2023-starter-kit",
            ("red_teaming/data/dev/behaviors.json", "red_teaming/data/test/behaviors.json"),
            revision="f7ddd7d1c7bda82c6609ecfaf1484565d08d754a",
            host="github",
        ),
        columns=Columns(text="prompt", id="id"),
        local=("unsafe/tdc2023.jsonl", "tdc2023.jsonl"),
    ),
)
