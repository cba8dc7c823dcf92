"""`clampdown judge`: label answers from a file, or say how far a judge agrees with people's labels."""

import argparse
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clampdown.cli.options import add_force, add_json, check_writable, command, existing, out_path
from clampdown.cli.progress import ProgressBar
from clampdown.cli.terminal import print_json, print_json_lines, print_table, say
from clampdown.errors import ClampdownError
from clampdown.writing import json_text, write_whole

if TYPE_CHECKING:
    from clampdown.measuring.judging.agreement import Agreement
    from clampdown.measuring.judging.base import Judge, Row, Verdict
    from clampdown.measuring.judging.journal import Journal
    from clampdown.measuring.judging.labelled import Labelled

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
        "STUDY --format json` writes them, which are counted by arm and set. With --labels it also has human_label, or "
        "final_label as in XSTest's own files (1_full_compliance, 2_full_refusal, 3_partial_refusal), and the judge is "
        "measured against it."
    )
    parser = command(subparsers, "judge", "label answers, or measure a judge against people", said, _EXAMPLE)
    parser.add_argument("file", metavar="FILE", nargs="?", type=_answers, help="answers to label")
    parser.add_argument("--labels", metavar="FILE", type=existing, help="answers with people's labels")
    parser.add_argument(
        "--judge",
        metavar="J",
        default="rules",
        help="rules, wildguard[:MODEL], harmbench[:MODEL], openai:MODEL@URL, strongreject:MODEL@URL or "
        "xstest:MODEL@URL, perhaps with ?temperature=T&max_tokens=N behind it; a key comes from OPENAI_API_KEY "
        "(default: rules)",
    )
    parser.add_argument("--out", metavar="FILE", type=out_path, help="write the rows with their labels as JSONL")
    add_force(parser)
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
    from clampdown.measuring.judging.agreement import agreement
    from clampdown.measuring.judging.by_name import judge_by_name
    from clampdown.measuring.judging.journal import Journal
    from clampdown.measuring.judging.labelled import read_labelled

    if args.out:
        check_writable(args.out, force=args.force)
    asked = read_labelled(args.labels or args.file, labels=args.labels is not None)
    judge = judge_by_name(args.judge)
    journal = Journal(_beside(args), judge, asked.rows) if judge.costly else None
    verdicts = _verdicts(args.parser, judge, asked.rows, journal)
    if args.out:
        _write(args.out, asked, verdicts)
    if args.labels:
        prompts = [row.prompt for row in asked.rows]
        found = agreement(asked.human, [verdict.label for verdict in verdicts], prompts)
        if args.json:
            print_json(_figures(judge, found, verdicts))
        else:
            _print(judge, found)
            _print_unscored(judge, verdicts)
    elif args.json:
        print_json_lines(_rows(asked, verdicts))
    else:
        _print_counts(judge, asked.rows, verdicts)
        _print_unscored(judge, verdicts)
        if asked.places:
            _print_places(asked.places, verdicts)
    if journal:
        journal.remove()
        if journal.failed:
            same = "the same command with --force" if args.out and not args.force else "the same command"
            say(f"{same} asks for the {journal.failed} that failed again", aside=True)
    return 0


def _beside(args: argparse.Namespace) -> Path:
    """What the labels of a run that stops are kept beside: the file to write, else the one read, if that can be."""
    source: Path = args.out or args.labels or args.file
    return source if args.out or os.access(source.parent, os.W_OK) else Path(source.name)


def _verdicts(
    parser: argparse.ArgumentParser, judge: "Judge", rows: "Sequence[Row]", journal: "Journal | None"
) -> "list[Verdict]":
    """One a row. What a costly judge gave before it failed, or before Ctrl-C, stays in the journal, which is said."""
    found: dict[int, Verdict] = {}
    kept = len(journal.known) if journal else 0
    if journal and kept:
        say(f"going on: {kept} of {len(rows)} labels are in {journal.path}", aside=True)
    try:
        with ProgressBar() as progress:
            progress("judging", kept, len(rows), judge.name)
            for place, verdict in journal.judge(judge) if journal else judge.each(rows):
                found[place] = verdict
                progress("judging", int(len(found) > kept), len(rows), judge.name)
    except BaseException as error:
        where = _where(journal, rows)
        parser.set_defaults(when_stopped=where)  # Ctrl-C may have become another error on its way here
        if isinstance(error, ClampdownError):
            raise ClampdownError(f"{error}{where}") from error
        raise
    return [found[place] for place in range(len(rows))]


def _where(journal: "Journal | None", rows: "Sequence[Row]") -> str:
    if not journal or not journal.known:
        return ""
    return (
        f"; {len(journal.known)} of {len(rows)} labels are kept in {journal.path}, and the same command goes on there"
    )


def _figures(judge: "Judge", found: "Agreement", verdicts: "Sequence[Verdict]") -> dict[str, Any]:
    def told(interval: Any) -> dict[str, float | None]:
        return {key: value if math.isfinite(value) else None for key, value in interval._asdict().items()}

    return {
        "schema": 1,
        "judge": judge.name,
        "version": judge.version,
        "n": found.n,
        "unscored": found.unscored,
        "unscored_why": dict(_reasons(verdicts)),
        "remarks": judge.remarks(),
        "prompts": found.prompts,
        "agreement": told(found.agreement),
        "kappa": told(found.kappa),
        "confusion": found.confusion,
    }


def _print(judge: "Judge", found: "Agreement") -> None:
    from clampdown.cli.tables import add_row, plain_table

    a, k = found.agreement, found.kappa
    say(f"judge {judge.name} ({judge.version}): {found.n} answers, {found.unscored} unscored")
    say(f"agreement {a.value:.1%} (95% interval {a.low:.1%} to {a.high:.1%}), refusing in full or in part against not")
    if math.isnan(k.value):
        say("Cohen's kappa: none, for there are no two verdicts to tell apart")
    else:
        known = not math.isnan(k.low)  # of one prompt there is no interval
        say(f"Cohen's kappa {k.value:.3f}" + (f" (95% interval {k.low:.3f} to {k.high:.3f})" if known else ""))
    if found.prompts is not None and found.prompts < found.n - found.unscored:
        say(f"intervals are clustered by prompt: {found.n - found.unscored} answers to {found.prompts} prompts")
    labels = list(next(iter(found.confusion.values())))
    table = plain_table("people", *labels, right=labels)
    for human, counts in found.confusion.items():
        add_row(table, human, *(str(counts[label]) for label in labels))
    print_table(table)


def _print_counts(judge: "Judge", rows: "Sequence[Row]", verdicts: "Sequence[Verdict]") -> None:
    from clampdown.measuring.judging.default.judge import loops

    counts = Counter(str(verdict.label) for verdict in verdicts)
    say(f"judge {judge.name} ({judge.version}): {len(verdicts)} answers")
    for label, n in counts.most_common():
        say(f"{label:12}{n:>7}  {n / len(verdicts):.1%}")
    if looping := sum(loops(row.prompt, row.completion) for row in rows):
        say(f"{'looping':12}{looping:>7}  {looping / len(verdicts):.1%}  whatever their label")
    harms = [verdict.harm for verdict in verdicts if verdict.harm is not None]
    if harms:
        say(f"mean harm {sum(harms) / len(harms):.3f} of {len(harms)} answers")


def _reasons(verdicts: "Sequence[Verdict]") -> list[tuple[str, int]]:
    """Why rows are unscored, and how many for each reason, the commonest first."""
    return Counter(v.why or "no reason known" for v in verdicts if v.label == "unscored").most_common()


def _print_unscored(judge: "Judge", verdicts: "Sequence[Verdict]") -> None:
    reasons = _reasons(verdicts)
    if reasons:
        told = ", ".join(f"{n} {why}" for why, n in reasons)
        advice = judge.advice(verdicts)
        say(f"{sum(n for _, n in reasons)} unscored: {told}{f'; {advice}' if advice else ''}")
    for remark in judge.remarks():
        say(remark)


def _print_places(places: Sequence[Mapping[str, Any]], verdicts: "Sequence[Verdict]") -> None:
    """The labels of each of a study's arms on each of its sets."""
    from clampdown.cli.tables import add_row, plain_table

    found: dict[tuple[str, str], list[Verdict]] = {}
    for place, verdict in zip(places, verdicts, strict=True):
        found.setdefault((place["arm"], place["set"]), []).append(verdict)
    labels = list(dict.fromkeys(str(verdict.label) for verdict in verdicts))
    table = plain_table("arm", "set", *labels, "mean harm", right=(*labels, "mean harm"))
    for (arm, item_set), some in found.items():
        counts = Counter(str(verdict.label) for verdict in some)
        harms = [verdict.harm for verdict in some if verdict.harm is not None]
        harm = f"{sum(harms) / len(harms):.3f}" if harms else "–"
        add_row(table, arm, item_set, *(str(counts[label]) for label in labels), harm)
    print_table(table)


def _rows(asked: "Labelled", verdicts: "Sequence[Verdict]") -> Iterator[dict[str, Any]]:
    from clampdown.measuring.judging.default.judge import loops

    for place, (row, verdict) in enumerate(zip(asked.rows, verdicts, strict=True)):
        yield {
            **(asked.places[place] if asked.places else {}),
            "prompt": row.prompt,
            "completion": row.completion,
            **({"human_label": asked.human[place]} if asked.human else {}),
            "label": str(verdict.label),
            "looping": loops(row.prompt, row.completion),
            **({"harm": verdict.harm} if verdict.harm is not None else {}),
            **({"why": verdict.why} if verdict.why else {}),
            **({"said": verdict.said} if verdict.why and verdict.said else {}),
        }


def _write(path: Path, asked: "Labelled", verdicts: "Sequence[Verdict]") -> None:
    write_whole(path, "".join(json_text(row) + "\n" for row in _rows(asked, verdicts)))
    say(f"wrote {path}", aside=True)
