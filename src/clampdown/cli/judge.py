"""`clampdown judge`: label answers from a file, or say how far a judge agrees with people's labels."""

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clampdown.cli.options import add_json, check_writable, command, existing, print_json
from clampdown.cli.progress import ProgressBar
from clampdown.errors import ClampdownError
from clampdown.writing import write_whole

if TYPE_CHECKING:
    from clampdown.measuring.judges.agreement import Agreement
    from clampdown.measuring.judges.base import Judge, Row, Verdict
    from clampdown.measuring.judges.labelled import Labelled

_PART = 64
"""Rows a judge is given at once, so that progress shows."""
_EXAMPLE = """  clampdown judge answers.jsonl                                  count the labels
  clampdown judge answers.jsonl --out labelled.jsonl             and write them
  clampdown judge --labels human.jsonl                           agreement with people, and kappa
  clampdown export STUDY --format json --out study.json
  clampdown judge study.json --judge wildguard                   another judge's view of a study's answers
  clampdown judge --labels human.jsonl --judge openai:my-model@http://localhost:8000/v1"""


def add_parser(subparsers: Any) -> None:
    said = (
        "Label answers: refusal, partial, moralising, compliance, incoherent or unscored. FILE is JSONL or CSV (also "
        ".gz) with columns prompt and completion, and perhaps truncated; or a study's answers, as `clampdown export "
        "STUDY --format json` writes them, which are counted by arm and set. With --labels it also has human_label, as "
        "in XSTest's file (1_full_compliance, 2_full_refusal, 3_partial_refusal), and the judge is measured against it."
    )
    parser = command(subparsers, "judge", "label answers, or measure a judge against people", said, _EXAMPLE)
    parser.add_argument("file", metavar="FILE", nargs="?", type=_answers, help="answers to label")
    parser.add_argument("--labels", metavar="FILE", type=existing, help="answers with people's labels")
    parser.add_argument(
        "--judge",
        metavar="J",
        default="rules",
        help="rules, wildguard[:MODEL], harmbench[:MODEL], openai:MODEL@URL, strongreject:MODEL@URL or "
        "xstest:MODEL@URL; a key comes from OPENAI_API_KEY (default: rules)",
    )
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the rows with their labels as JSONL")
    add_json(parser, "the labels as JSONL, or with --labels the figures")
    parser.set_defaults(run=run)


def _answers(text: str) -> Path:
    """The path of a file that is there; who names a study is told how to make one of it."""
    if Path(text).expanduser().is_dir():
        how = f"clampdown export {text} --format json --out answers.json"
        raise argparse.ArgumentTypeError(f"{text} is a folder; if it is a study, name what this writes: {how}")
    return existing(text)


def run(args: argparse.Namespace) -> int:
    if (args.file is None) == (args.labels is None):
        raise ClampdownError("name one file: FILE to label its answers, or --labels FILE to measure the judge")
    from clampdown.measuring.judges.agreement import agreement
    from clampdown.measuring.judges.by_name import judge_by_name
    from clampdown.measuring.judges.labelled import read_labelled

    if args.out:
        check_writable(args.out)
    asked = read_labelled(args.labels or args.file, labels=args.labels is not None)
    judge = judge_by_name(args.judge)
    verdicts = _verdicts(judge, asked.rows)
    if args.out:
        _write(args.out, asked, verdicts)
    if args.labels:
        prompts = [row.prompt for row in asked.rows]
        found = agreement(asked.human, [verdict.label for verdict in verdicts], prompts)
        if args.json:
            print_json(_figures(judge, found) | {"unscored_why": _reasons(verdicts)})
        else:
            _print(judge, found)
            _print_reasons(verdicts)
    elif args.json:
        for line in _lines(asked, verdicts):
            print(line)
    else:
        _print_counts(judge, verdicts)
        _print_reasons(verdicts)
        if asked.places:
            _print_places(asked.places, verdicts)
    return 0


def _verdicts(judge: "Judge", rows: "Sequence[Row]") -> "list[Verdict]":
    found: list[Verdict] = []
    with ProgressBar() as progress:
        for at in range(0, len(rows), _PART):
            progress("judging", at, len(rows), judge.name)
            found += judge.verdicts(rows[at : at + _PART])
    return found


def _figures(judge: "Judge", found: "Agreement") -> dict[str, Any]:
    def told(interval: Any) -> dict[str, float | None]:
        return {key: value if math.isfinite(value) else None for key, value in interval._asdict().items()}

    return {
        "schema": 1,
        "judge": judge.name,
        "version": judge.version,
        "n": found.n,
        "unscored": found.unscored,
        "prompts": found.prompts,
        "agreement": told(found.agreement),
        "kappa": told(found.kappa),
        "confusion": found.confusion,
    }


def _print(judge: "Judge", found: "Agreement") -> None:
    from clampdown.cli.tables import console, plain_table

    a, k = found.agreement, found.kappa
    print(f"judge {judge.name} ({judge.version}): {found.n} answers, {found.unscored} unscored")
    print(
        f"agreement {a.value:.1%} (95% interval {a.low:.1%} to {a.high:.1%}), refusing in full or in part against not"
    )
    print(f"Cohen's kappa {k.value:.3f} (95% interval {k.low:.3f} to {k.high:.3f})")
    if found.prompts is not None and found.prompts < found.n - found.unscored:
        print(f"intervals are clustered by prompt: {found.n - found.unscored} answers to {found.prompts} prompts")
    labels = list(next(iter(found.confusion.values())))
    table = plain_table("people", *labels, right=labels)
    for human, counts in found.confusion.items():
        table.add_row(human, *(str(counts[label]) for label in labels))
    console().print(table)


def _print_counts(judge: "Judge", verdicts: "Sequence[Verdict]") -> None:
    counts = Counter(str(verdict.label) for verdict in verdicts)
    print(f"judge {judge.name} ({judge.version}): {len(verdicts)} answers")
    for label, n in counts.most_common():
        print(f"{label:12}{n:>7}  {n / len(verdicts):.1%}")
    harms = [verdict.harm for verdict in verdicts if verdict.harm is not None]
    if harms:
        print(f"mean harm {sum(harms) / len(harms):.3f} of {len(harms)} answers")


def _reasons(verdicts: "Sequence[Verdict]") -> dict[str, int]:
    """Why answers are unscored, where the judge can tell: how many of each, most first."""
    return dict(Counter(verdict.why for verdict in verdicts if verdict.why).most_common())


def _print_reasons(verdicts: "Sequence[Verdict]") -> None:
    reasons = _reasons(verdicts)
    if reasons:
        print("unscored: " + "; ".join(f"{n} {why}" for why, n in reasons.items()))


def _print_places(places: Sequence[Mapping[str, Any]], verdicts: "Sequence[Verdict]") -> None:
    """The labels of each of a study's arms on each of its sets."""
    from rich.text import Text

    from clampdown.cli.tables import console, plain_table

    found: dict[tuple[str, str], list[Verdict]] = {}
    for place, verdict in zip(places, verdicts, strict=True):
        found.setdefault((place["arm"], place["set"]), []).append(verdict)
    labels = list(dict.fromkeys(str(verdict.label) for verdict in verdicts))
    table = plain_table("arm", "set", *labels, "mean harm", right=(*labels, "mean harm"))
    for (arm, item_set), some in found.items():
        counts = Counter(str(verdict.label) for verdict in some)
        harms = [verdict.harm for verdict in some if verdict.harm is not None]
        harm = f"{sum(harms) / len(harms):.3f}" if harms else "–"
        table.add_row(Text(arm), Text(item_set), *(str(counts[label]) for label in labels), harm)
    console().print(table)


def _lines(asked: "Labelled", verdicts: "Sequence[Verdict]") -> Iterator[str]:
    for place, (row, verdict) in enumerate(zip(asked.rows, verdicts, strict=True)):
        told: Mapping[str, Any] = {
            **(asked.places[place] if asked.places else {}),
            "prompt": row.prompt,
            "completion": row.completion,
            **({"human_label": asked.human[place]} if asked.human else {}),
            "label": str(verdict.label),
            **({"harm": verdict.harm} if verdict.harm is not None else {}),
            **({"why": verdict.why} if verdict.why else {}),
        }
        yield json.dumps(told, ensure_ascii=False)


def _write(path: Path, asked: "Labelled", verdicts: "Sequence[Verdict]") -> None:
    write_whole(path, "".join(line + "\n" for line in _lines(asked, verdicts)))
    print(f"wrote {path}", file=sys.stderr)
