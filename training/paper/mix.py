"""Make the text that an SAE is trained on: rows of token ids, each document put through the model's chat template.

    python mix.py MODEL OUT --tokens 2e9 --web fineweb.jsonl.gz --chat chats.jsonl --safety unsafe.jsonl

The paper's mix, as far as we know, is 86% web text, the rest chats and safety sets, about 2 billion tokens, all
chat-templated; a web page becomes one user turn here. How the other 14% part into chats and safety sets, and which sets
these were, we could not verify: 10 and 4 are our reading.

A source is a file that `clampdown train-sae` reads too (JSONL, also .gz, or plain text), or a data set of the hub,
hub:OWNER/NAME[:CONFIG[:SPLIT]], which is streamed. One that ends before its share is full is read again, and that is
told. OUT gets rows.bin (uint32, --row ids a row; the kinds evenly spread) and, once all is there, mix.json.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import TemplateError
from transformers import AutoTokenizer

from clampdown.discovery.corpus import documents, row_document
from clampdown.errors import ClampdownError
from clampdown.models.source import find_source

SHARES = {"web": 0.86, "chat": 0.10, "safety": 0.04}
_AT_ONCE = 256
"""Documents tokenised together: the tokenizer shares them out over all cores."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="its tokenizer and template are used")
    parser.add_argument("out", type=Path)
    parser.add_argument("--tokens", type=float, default=2e9)
    parser.add_argument("--row", type=int, default=2048, help="token ids a row (default: 2048)")
    for kind, share in SHARES.items():
        parser.add_argument(f"--{kind}", nargs="+", default=[], metavar="SOURCE")
        parser.add_argument(f"--{kind}-share", type=float, default=share, help=f"(default: {share})")
    args = parser.parse_args()
    sources = {kind: getattr(args, kind) for kind in SHARES if getattr(args, kind)}
    if not sources:
        parser.error("name at least one source: --web, --chat or --safety")
    share = {kind: getattr(args, f"{kind}_share") for kind in sources}
    rows = {kind: max(1, round(args.tokens / args.row * s / sum(share.values()))) for kind, s in share.items()}
    source = find_source(args.model)
    tokenizer = AutoTokenizer.from_pretrained(source.path, revision=source.revision)
    streams = {kind: Stream(tokenizer, named, kind, args.row) for kind, named in sources.items()}
    write(args.out / "rows.bin", streams, rows)
    facts = {"model": args.model, "row": args.row, "rows": sum(rows.values()), "tokens": args.row * sum(rows.values())}
    facts["kinds"] = {
        kind: {"sources": s.sources, "rows": rows[kind], "read_again": s.again, "template_refused": s.refused}
        for kind, s in streams.items()
    }
    (args.out / "mix.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts, indent=1))


def write(path: Path, streams: "dict[str, Stream]", rows: dict[str, int]) -> None:
    """The rows in turns, such that every stretch of the file has the same mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    turns = sorted(((i + 0.5) / count, kind) for kind, count in rows.items() for i in range(count))
    read = {kind: iter(stream) for kind, stream in streams.items()}
    part = path.with_suffix(".part")
    with part.open("wb") as out:
        for _, kind in turns:
            out.write(np.array(next(read[kind]), dtype="<u4").tobytes())
    os.replace(part, path)


class Stream:
    """One kind's documents as rows of `size` ids, without end.

    `again` counts how often its sources were read anew, `refused` the chats that the model's template can't render.
    """

    def __init__(self, tokenizer: Any, sources: list[str], kind: str, size: int) -> None:
        self.tokenizer, self.sources, self.kind, self.size = tokenizer, sources, kind, size
        self.again = self.refused = 0

    def __iter__(self) -> Iterator[list[int]]:
        held: list[int] = []
        while True:
            found = False
            texts = self._texts()
            while some := list(islice(texts, _AT_ONCE)):
                found = True
                for ids in self.tokenizer(some, add_special_tokens=False).input_ids:
                    held += ids
                full = len(held) // self.size * self.size
                yield from (held[start : start + self.size] for start in range(0, full, self.size))
                held = held[full:]
            if not found:
                raise ClampdownError(f"no text for --{self.kind} in {', '.join(self.sources)}")
            self.again += 1
            print(f"{self.kind}: the sources are used up, reading them again ({self.again})", file=sys.stderr)

    def _texts(self) -> Iterator[str]:
        for source in self.sources:
            for document in read(source):
                chat = document if isinstance(document, list) else [{"role": "user", "content": document}]
                try:
                    yield self.tokenizer.apply_chat_template(chat, tokenize=False)
                except TemplateError:  # two turns of one role, or a system prompt, where the template wants none
                    self.refused += 1


def read(source: str) -> Iterator[str | list[dict[str, str]]]:
    """A source's documents: texts, or chats as lists of messages."""
    if not source.startswith("hub:"):
        yield from documents(Path(source).expanduser())
        return
    from datasets import load_dataset

    name, config, split = (*source.removeprefix("hub:").split(":"), "", "")[:3]
    ours = {"conversation": "messages", "response": "completion"}
    for number, row in enumerate(load_dataset(name, config or None, split=split or "train", streaming=True), 1):
        yield row_document({ours.get(key, key): value for key, value in row.items()}, f"{source}, row {number}")


if __name__ == "__main__":
    try:
        main()
    except ClampdownError as error:
        raise SystemExit(f"mix.py: {error}") from error
