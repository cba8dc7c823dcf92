"""Make the text that an SAE is trained on: rows of token ids, each document put through the model's chat template.

    python mix.py MODEL OUT --fineweb fineweb.jsonl.gz --lmsys-chat chats.jsonl --wildguard hub:allenai/wildguardmix:...

The paper's mix has 2,583,969 texts, about 2.01 billion tokens, all chat-templated, from six sources; SHARES are their
shares in percent, which we read as shares of the texts. A web page becomes one user turn here. Sources that you don't
name are left out, and the others' shares grow.

A source is a file that `clampdown train-sae` reads too (JSONL, also .gz, or plain text), or a data set of the hub,
hub:OWNER/NAME[:CONFIG[:SPLIT]], which is streamed. One that ends before its share is full is read again, and that is
told. OUT gets rows.bin (uint32, --row ids a row; documents in turns by their shares, packed) and, once all is there,
mix.json.
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

SHARES = {
    "fineweb": 86.01,
    "lmsys-chat": 5.59,
    "wildchat": 4.80,
    "wildjailbreak": 1.65,
    "toxigen": 1.45,
    "wildguard": 0.50,
}
"""The paper's, in percent."""
TOKENS, TEXTS = 2.01e9, 2_583_969
_AT_ONCE = 256
"""Documents tokenised together: the tokenizer shares them out over all cores."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="its tokenizer and template are used")
    parser.add_argument("out", type=Path)
    parser.add_argument("--tokens", type=float, default=TOKENS, help=f"(default: {TOKENS:g})")
    parser.add_argument("--row", type=int, default=2048, help="token ids a row (default: 2048)")
    for kind, share in SHARES.items():
        parser.add_argument(f"--{kind}", nargs="+", default=[], metavar="SOURCE", help=f"{share}%% of the texts")
    args = parser.parse_args()
    sources = {kind: named for kind in SHARES if (named := getattr(args, kind.replace("-", "_")))}
    if not sources:
        parser.error(f"name at least one source: {', '.join(f'--{kind}' for kind in SHARES)}")
    rows = max(1, round(args.tokens / args.row))
    source = find_source(args.model)
    tokenizer = AutoTokenizer.from_pretrained(source.path, revision=source.revision)
    streams = {kind: Stream(tokenizer, named, kind) for kind, named in sources.items()}
    write(args.out / "rows.bin", streams, rows, args.row)
    facts = {"model": args.model, "row": args.row, "rows": rows, "tokens": args.row * rows}
    facts["kinds"] = {
        kind: {"sources": s.sources, "texts": s.texts, "tokens": s.tokens}
        | {"read_again": s.again, "template_refused": s.refused}
        for kind, s in streams.items()
    }
    (args.out / "mix.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts, indent=1))


def write(path: Path, streams: "dict[str, Stream]", rows: int, size: int) -> None:
    """Documents in turns, such that every stretch of the file has the same mix, packed into rows of `size` ids."""
    path.parent.mkdir(parents=True, exist_ok=True)
    read = {kind: iter(stream) for kind, stream in streams.items()}
    held: list[int] = []
    part = path.with_suffix(".part")
    with part.open("wb") as out:
        while rows:
            due = min(streams, key=lambda kind: (streams[kind].texts + 0.5) / SHARES[kind])
            held += next(read[due])
            for _ in range(min(rows, len(held) // size)):
                out.write(np.array(held[:size], dtype="<u4").tobytes())
                del held[:size]
                rows -= 1
    os.replace(part, path)


class Stream:
    """One kind's documents as token ids, without end.

    `texts` and `tokens` count what was taken, `again` how often its sources were read anew, `refused` the chats that
    the model's template can't render.
    """

    def __init__(self, tokenizer: Any, sources: list[str], kind: str) -> None:
        self.tokenizer, self.sources, self.kind = tokenizer, sources, kind
        self.texts = self.tokens = self.again = self.refused = 0

    def __iter__(self) -> Iterator[list[int]]:
        while True:
            found = False
            texts = self._rendered()
            while some := list(islice(texts, _AT_ONCE)):
                found = True
                for ids in self.tokenizer(some, add_special_tokens=False).input_ids:
                    self.texts += 1
                    self.tokens += len(ids)
                    yield ids
            if not found:
                raise ClampdownError(f"no text for --{self.kind} in {', '.join(self.sources)}")
            self.again += 1
            print(f"{self.kind}: the sources are used up, reading them again ({self.again})", file=sys.stderr)

    def _rendered(self) -> Iterator[str]:
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
    # As WildJailbreak's card has it.
    tabs = {"delimiter": "\t", "keep_default_na": False} if name == "allenai/wildjailbreak" else {}
    rows = load_dataset(name, config or None, split=split or "train", streaming=True, **tabs)
    for number, row in enumerate(rows, 1):
        yield row_document(_layout(row), f"{source}, row {number}")


def _layout(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the hub's sets in one of the layouts that files have."""
    if "generation" in row:  # ToxiGen, whose prompt is the examples that the sentence was made from
        return {"text": row["generation"]}
    if "vanilla" in row:  # WildJailbreak: the plain request, and for half of the rows its jailbreak
        return {"prompt": row.get("adversarial") or row["vanilla"], "completion": row.get("completion")}
    ours = {"conversation": "messages", "response": "completion"}
    return {ours.get(key, key): value for key, value in row.items()}


if __name__ == "__main__":
    try:
        main()
    except ClampdownError as error:
        raise SystemExit(f"mix.py: {error}") from error
