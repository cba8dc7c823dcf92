"""A study's answers as logs of Inspect, one an arm, for `inspect view` and for those who analyse with it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.sets import ItemSet
from clampdown.studies.arms import Arm
from clampdown.studies.environment import answered_by
from clampdown.studies.measures import headline, keyed, measures
from clampdown.studies.plan import Plan
from clampdown.studies.record import Record
from clampdown.studies.store import Row
from clampdown.writing import beside


def write_inspect_logs(record: Record, folder: Path) -> list[Path]:
    """Write one `.eval` file for each arm into `folder`; each sample is one item under that arm, once an epoch.

    A sample's scores are its judge's label, or whether the choice was right, or a passage's bits per byte; its metadata
    hold the receipt, label, surprise, the recipe's hash, set, kind, category and cluster. An attack is one sample: its
    messages are the turns that the target remembers, and all of it is among the metadata.

    Raises:
        ClampdownError: inspect-ai is missing, or the folder can't be written to.
    """
    try:
        from inspect_ai.log import write_eval_log
    except ImportError as error:
        raise ClampdownError(
            "Inspect's logs need inspect-ai; install it with: pip install 'clampdown[inspect]'"
        ) from error
    paths = [folder / f"{record.name}_{arm.name}.eval" for arm in record.arms]
    for arm, path in zip(record.arms, paths, strict=True):
        with beside(path) as part:
            write_eval_log(_log(record, arm), str(part), format="eval")
    return paths


def _log(record: Record, arm: Arm) -> Any:
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalResults, EvalSpec, EvalStats

    made = record.about["environment"]
    samples = [
        _sample(record, arm, item_set, row, sample, names[row.place])
        for item_set in record.sets
        for names in [_names(item_set)]
        for (_, sample), row in keyed(record.rows.get((arm.name, item_set.name), ()))
    ]
    ids = list(dict.fromkeys(sample.id for sample in samples))
    plan = dict(record.about["plan"])
    spec = EvalSpec(
        created=record.about["created"],
        run_id=record.sha256[:22],
        task_id=f"{record.sha256[:12]}-{arm.name}",
        task=f"clampdown/{arm.name}",
        task_args={"arm": arm.name, "plan": plan},
        dataset=EvalDataset(
            name=", ".join(item_set.name for item_set in record.sets),
            samples=len(ids),
            sample_ids=ids,
        ),
        model=f"clampdown/{record.about['model']['name']}",
        model_args={
            "sha256": record.about["model"]["sha256"],
            "dtype": made["dtype"],
            "device": made["device"],
            "engine": answered_by(made),
        },
        config=EvalConfig(epochs=plan["samples"]),
        packages={key: made[key] for key in ("clampdown", "torch", "transformers", "lm-eval") if made.get(key)},
        metadata={
            "identity": dict(record.identity),
            "environment": dict(made),
            "sets": record.asked,
            "arm": arm.to_dict(),
        },
    )
    created = record.about["created"]
    results = EvalResults(total_samples=len(samples), completed_samples=len(samples), scores=_scores(record, arm))
    return EvalLog(
        status="success",
        eval=spec,
        results=results,
        stats=EvalStats(started_at=created, completed_at=created),
        samples=samples,
    )


def _scores(record: Record, arm: Arm) -> list[Any]:
    """The arm's measures with their intervals, one score a set."""
    from inspect_ai.log import EvalMetric, EvalScore

    found: dict[str, Any] = {}
    plan = Plan.from_dict(record.about["plan"])
    for measure in measures(arm, record.sets, record.rows, plan.seed, room=plan.room):
        if measure["value"] is None:
            continue
        name = measure["set"]
        score = found.setdefault(name, EvalScore(name=name, scorer="clampdown"))
        bounds = {key: measure[key] for key in ("n", "low", "high")}
        score.metrics[measure["metric"]] = EvalMetric(name=measure["metric"], value=measure["value"], metadata=bounds)
    return list(found.values())


def _names(item_set: ItemSet) -> list[str]:
    """The items' ids, each once: of two samples with one id and epoch, Inspect keeps the last alone."""
    used: Counter[str] = Counter()
    found = []
    for item in item_set.items:
        used[item.id] += 1
        again = f" ({used[item.id]})" if used[item.id] > 1 else ""
        found.append(f"{item_set.name}/{item.id}{again}")
    return found


def _sample(record: Record, arm: Arm, item_set: ItemSet, row: Row, sample: int, name: str) -> Any:
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ModelOutput
    from inspect_ai.scorer import Score

    item, recipe = item_set.items[row.place], arm.recipes[row.draw]
    text = row.text or ""
    stopped: Any = "unknown" if row.finished is None else "stop" if row.finished else "max_tokens"
    output = ModelOutput.from_content(model=record.about["model"]["name"], content=text, stop_reason=stopped)
    return EvalSample(
        id=name,
        epoch=sample + 1,
        input=row.prompt,
        choices=list(item.choices) or None,
        target=chr(ord("A") + item.answer) if item.choices else "",
        messages=[*_asked(row), output.choices[0].message] if row.text is not None else _asked(row),
        output=output,
        scores={"clampdown": Score(value=_value(item_set, row), answer=row.text, explanation=row.judge)},
        metadata={
            "set": item_set.name,
            "kind": item_set.kind,
            "category": item.category,
            "cluster": item.cluster,
            "draw": row.draw,
            "sample": sample,
            "recipe_sha256": recipe.sha256 if recipe else "",
            "receipt": row.receipt,
            "gate": row.decision,
            "label": row.label,
            "looping": row.looping,
            "surprise": row.surprise,
            "scores": row.scores,
            "nats": row.nats,
            "bytes": row.bytes,
            "metrics": row.metrics,
            "attack": row.attack,
        },
    )


def _asked(row: Row) -> list[Any]:
    """What the last answer answers: a prompt, or the conversation so far."""
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser

    if not row.attack or not row.attack["texts"]:
        return [ChatMessageUser(content=row.prompt)]
    turns, final = row.attack["texts"], row.attack["final"]
    last = turns[final]
    before = [t for t in turns[:final] if t["kept"] and t["stream"] == last["stream"]]
    told = [(ChatMessageUser(content=t["prompt"]), ChatMessageAssistant(content=t["answer"])) for t in before]
    return [*(message for pair in told for message in pair), ChatMessageUser(content=last["prompt"])]


def _value(item_set: ItemSet, row: Row) -> str | float:
    if row.label is not None and item_set.kind is not SetKind.CAPABILITY:
        return row.label
    values: Sequence[float] = list(headline(item_set, [row]).by_place.values())
    return values[0] if values else "unscored"
