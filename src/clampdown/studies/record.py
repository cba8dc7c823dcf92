"""A study as it was kept: its database read back, with all that another person needs to check it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clampdown.engine.engine import Engine
from clampdown.errors import ClampdownError
from clampdown.measuring.attacks.outcome import Outcome
from clampdown.measuring.attacks.surprising import without_babble
from clampdown.measuring.judging.fluency import ENOUGH, surprise_limit
from clampdown.measuring.sets.sets import ItemSet
from clampdown.models.chat_model import ChatModel
from clampdown.models.template import is_dated, template_text
from clampdown.recipe import Recipe
from clampdown.studies.arms import Arm, recommended_name
from clampdown.studies.batches import samples
from clampdown.studies.damage import checked, is_database, require, told_as_damage
from clampdown.studies.environment import answered_by, environment
from clampdown.studies.kept import ABOUT, IDENTITY, check_about, check_names, check_rows, kept_set
from clampdown.studies.latents import described
from clampdown.studies.measures import Rows, keyed
from clampdown.studies.plan import Plan
from clampdown.studies.rendered import template_fingerprint
from clampdown.studies.store import Row, Store
from clampdown.writing import json_text, write_whole

DATABASE = "study.sqlite"
ROWS_SCHEMA = "clampdown-rows/1"


@dataclass(frozen=True)
class Record:
    """What a study asked, under which arms, and what it got.

    Attributes:
        identity: everything that decided the answers; studies with equal ones are the same study.
        about: {"created", "seconds", "environment", "plan", "model", "recipe", "latents", "template", "babble"}, as
            plain data; `template` is {"sha256", "moment"}, the chat template's fingerprint and the moment at which its
            clock was stopped (None: it has none), or None where an older Clampdown kept neither; `babble` is
            {"limit", "n"}, the surprise above which answers were called incoherent, or None.
        rows: by the names of arm and set; an arm that has not finished a set has fewer rows than items.
    """

    path: Path
    identity: Mapping[str, Any]
    about: Mapping[str, Any]
    arms: tuple[Arm, ...]
    sets: tuple[ItemSet, ...]
    rows: Rows

    @property
    def sha256(self) -> str:
        """Hash of the identity."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    @property
    def name(self) -> str:
        return self.path.resolve().parent.name

    @property
    def recommended(self) -> str:
        """The name of the arm that is the recipe as it is."""
        return recommended_name(Recipe.from_dict(self.about["recipe"]), Plan.from_dict(self.about["plan"]))

    @property
    def asked(self) -> list[dict[str, Any]]:
        """What each set is: {"name", "kind", "n", "source", "sha256", "split"}."""
        keys = ("name", "kind", "source", "sha256", "split")
        return [{"n": len(s.items)} | {key: getattr(s, key) for key in keys} for s in self.sets]

    def arm(self, name: str) -> Arm:
        """The arm of that name. Raises ClampdownError, naming those there are."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise ClampdownError(f"study {self.name} has no arm {name!r}; it has {', '.join(a.name for a in self.arms)}")

    def done(self, arm: Arm, item_set: ItemSet) -> bool:
        """Whether every item of a set is answered under an arm, as often as the plan says."""
        wanted = len(item_set.items) * samples(item_set, Plan.from_dict(self.about["plan"]))
        return len(self.rows.get((arm.name, item_set.name), ())) == wanted


def facts(
    model: ChatModel,
    recipe: Recipe,
    sets: Sequence[ItemSet],
    plan: Plan,
    latents: Sequence[Mapping[str, Any]],
    started: datetime,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """What a store keeps besides arms and rows, so that `read_record` can give a study back without its inputs.

    started: the local time, which a chat template that writes the date is given throughout.
    """
    moment = started.isoformat() if is_dated(template_text(model.tokenizer)) else None
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": environment(model, [item_set.name for item_set in sets], engine),
        "plan": plan.to_dict(),
        "model": {"name": model.name, "sha256": model.sha256},
        "template": {"sha256": template_fingerprint(model), "moment": moment},
        "recipe": recipe.to_dict(),
        "sets": [asdict(item_set) for item_set in sets],
        "latents": described(model, recipe, latents),
    }


def read_record(path: Path) -> Record:
    """Read a study from its folder or its database.

    Answers that an older version of the default judge labelled are judged again first.

    Raises:
        ClampdownError: there is no study, it never started, or an older Clampdown kept too little of it.
    """
    path = Path(path).expanduser()
    path = path / DATABASE if path.is_dir() else path
    if not path.is_file():
        raise ClampdownError(f"no study at {path}; name a study's folder, or the {DATABASE} in it")
    if path.name != DATABASE and not is_database(path):
        raise ClampdownError(f"{path} is no study's database; name a study's folder, or the {DATABASE} in it")
    with Store(path) as store:
        identity, kept_arms, kept_sets = (store.meta(key) for key in ("identity", "arms", "sets"))
        if identity is None or kept_arms is None:
            raise ClampdownError(f"{path} holds no answers yet; start the study again")
        if kept_sets is None:
            raise ClampdownError(f"{path} was made by an older Clampdown, which kept no items; start its study again")
        with told_as_damage(path, "what it asked"):
            require(identity, IDENTITY, "its identity")
            arms = tuple(checked(Arm.from_dict(arm)) for arm in kept_arms)
            sets = tuple(kept_set(body) for body in kept_sets)
            check_names(arms, sets)
        store.relabel()
        rows = {(a.name, s.name): some for a in arms for s in sets if (some := store.rows(a.name, s.name))}
        about = {key: store.meta(key) for key in ABOUT}
        about["seconds"] = store.seconds()
    with told_as_damage(path, "what it kept"):
        check_about(about, arms)
        for arm in arms:
            for item_set in sets:
                check_rows(arm, item_set, rows.get((arm.name, item_set.name), ()))
    about["babble"] = _babble(rows)
    return Record(path, identity, about, arms, sets, relabelled(rows, about["babble"]))


def _babble(rows: Rows) -> dict[str, Any] | None:
    """What is babble to the unsteered model, from its own answers; None where these are too few."""
    told = [row.surprise for (arm, _), some in rows.items() if arm == "none" for row in some if row.surprise]
    return {"limit": surprise_limit(told), "n": len(told)} if len(told) >= ENOUGH else None


def relabelled(rows: Rows, babble: Mapping[str, Any] | None) -> Rows:
    """The rows, those incoherent that complied in words and surprise the unsteered model too much."""
    if babble is None:
        return rows
    return {key: [_fluent(row, babble["limit"]) for row in some] for key, some in rows.items()}


def _fluent(row: Row, limit: float) -> Row:
    if row.attack is not None:
        outcome = without_babble(Outcome.from_dict(row.attack), limit)
        last = outcome.turns[outcome.final] if outcome.turns else None
        row = replace(row, text=last.answer, finished=last.finished) if last else row
        return replace(row, label=outcome.final_label, attack=outcome.to_dict(), looping=outcome.final_loops)
    surprising = row.surprise is not None and row.surprise > limit
    return replace(row, label="incoherent") if surprising and row.label == "compliance" else row


def flat_rows(record: Record) -> list[dict[str, Any]]:
    """One plain row for each answer: arm, item, sample, prompt, text, label, judge, receipt, versions, seed and hashes.

    `looping` says whether a judged answer says one thing over and over; `gate_open`, `gate_score` and `gate_threshold`
    what the arm's gate said of the prompt, where it has one. An attack is one row, whose `attack` is the
    whole of it, as JSON; so is `metrics`.
    """
    made = record.about["environment"]
    same = {
        "study": record.sha256,
        "model": record.about["model"]["name"],
        "model_sha256": record.about["model"]["sha256"],
        "seed": record.about["plan"]["seed"],
        **{key: made[key] for key in ("clampdown", "torch", "transformers", "dtype", "device")},
        "engine": answered_by(made),
    }
    found = []
    for arm in record.arms:
        for item_set in record.sets:
            for (_, sample), row in keyed(record.rows.get((arm.name, item_set.name), ())):
                found.append(_flat(arm, item_set, row, sample) | same)
    return found


def as_json(record: Record) -> dict[str, Any]:
    """`flat_rows` with what they share, as one object of schema "clampdown-rows/1"."""
    shared = {"environment": record.about["environment"], "sets": record.asked}
    return {"schema": ROWS_SCHEMA, **shared, "rows": flat_rows(record)}


def write_json(record: Record, path: Path) -> int:
    """Write `as_json` to `path`, whole or not at all, and say how many rows there are."""
    body = as_json(record)
    write_whole(path, json_text(body))
    return len(body["rows"])


def _flat(arm: Arm, item_set: ItemSet, row: Row, sample: int) -> dict[str, Any]:
    item, recipe = item_set.items[row.place], arm.recipes[row.draw]
    receipt, gate = row.receipt or {}, row.decision or {}
    return {
        "arm": arm.name,
        "set": item_set.name,
        "kind": item_set.kind,
        "item": row.item,
        "category": item.category,
        "cluster": item.cluster,
        "draw": row.draw,
        "sample": sample,
        "recipe_sha256": recipe.sha256 if recipe else "",
        "prompt": row.prompt,
        "choices": list(item.choices),
        "answer": item.answer if item.choices else None,
        "text": row.text,
        "finished": row.finished,
        "label": row.label,
        "judge": row.judge,
        "looping": row.looping,
        "scores": row.scores,
        "metrics": None if row.metrics is None else json.dumps(row.metrics),
        "attack": None if row.attack is None else json.dumps(row.attack),
        "surprise": row.surprise,
        "nats": row.nats,
        "bytes": row.bytes,
        "tokens_seen": receipt.get("tokens_seen"),
        "tokens_edited": receipt.get("tokens_edited"),
        "relative_norm": receipt.get("relative_norm"),
        "path": receipt.get("path"),
        "gate_open": gate.get("open"),
        "gate_score": gate.get("score"),
        "gate_threshold": gate.get("threshold"),
    }
