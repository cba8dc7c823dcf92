"""A study file (TOML): a plan of one's own, and the model, recipe, sets, attacks and tasks that it is for."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clampdown.errors import ClampdownError, reason
from clampdown.measuring.judging.by_name import OF_HARM
from clampdown.measuring.sets.kinds import KINDS
from clampdown.measuring.sets.named import BUILT_IN, NAMED
from clampdown.measuring.sets.sets import LETTERS, LM_EVAL
from clampdown.reading import read_text
from clampdown.recipe.bundled import recipe_path
from clampdown.studies.plan import Plan, among, named_plan, number, require, whole

if TYPE_CHECKING:
    from clampdown.measuring.attacks.spec import AttackSpec
    from clampdown.measuring.capability.lm_eval.tasks import TaskSettings


@dataclass(frozen=True)
class StudyFile:
    """A study file: the plan, and what it names besides; None and {} leave the choice to the caller.

    `tasks` says how lm-eval's tasks among the sets are asked.
    """

    plan: Plan
    model: str | None = None
    recipe: Path | None = None
    sets: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    attacks: "tuple[AttackSpec, ...]" = ()
    tasks: "TaskSettings | None" = None


def read_study_file(path: Path) -> StudyFile:
    """Read a study file.

    Its keys are `plan` (the named plan it starts from, `quick` where it is missing), any key of `Plan`, `model`,
    `recipe`, and a table `sets` with a path or a name of a public set, or a list of these, for each kind; of capability
    also `lm-eval:` and tasks, or `letters:` and a set that is to be answered in words. Tables `attacks` hold one attack
    each (the fields of `AttackSpec`), and a table `lm-eval` may hold `include_path`, `few_shot` and `chat` (see
    `TaskSettings`). Paths are relative to the file; a recipe that comes along goes by its name.

    Raises:
        ClampdownError: the file can't be read, is not TOML, or has an unknown key or a wrong value.
    """
    path = Path(path).expanduser()
    try:
        body = tomllib.loads(read_text(path, "study file"))
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and endless brackets
        raise ClampdownError(f"study file {path} is not valid TOML ({reason(error)})") from error
    try:
        return _study(body, path)
    except ClampdownError as error:
        raise ClampdownError(f"study file {path}: {error}") from error
    except (ArithmeticError, ValueError) as error:  # numbers that no float holds, or that Python does not write out
        raise ClampdownError(f"study file {path} holds a number that is far too large") from error


def _study(body: Mapping[str, Any], path: Path) -> StudyFile:
    require(bool(body), 'it is empty; say at least what plan it starts from, such as plan = "quick"')
    keys = {f.name for f in fields(Plan)}
    others = {"plan", "model", "recipe", "sets", "attacks", "lm-eval"}
    unknown, known = sorted(set(body) - keys - others), ", ".join(sorted(keys | others))
    require(not unknown, f"unknown key {', '.join(unknown)}; known: {known}")
    for key in ("plan", "name", "model", "recipe"):
        require(isinstance(body.get(key, ""), str), f"{key} must be a text, got {body.get(key)!r}")
    base = named_plan(body.get("plan", "quick"))
    own = {"name": path.stem} | {key: _frozen(key, value) for key, value in body.items() if key in keys}
    plan, folder = replace(base, **own), path.parent
    return StudyFile(
        plan,
        _model(body.get("model"), folder),
        _recipe(body, folder),
        _sets(body, folder),
        _attacks(body, folder, plan),
        _tasks(body, folder),
    )


def _frozen(key: str, value: Any) -> Any:
    """TOML's lists as the plan's tuples."""
    if key in ("factors", "values", "strengths", "rules", "arms", "gates"):
        require(isinstance(value, list), f"{key} must be a list, got {value!r}")
        return tuple(float(v) if number(v) else v for v in value)
    if key == "temperature" and number(value):
        return float(value)
    if key == "items":
        require(isinstance(value, dict), "items must be a table of counts, such as [items] unsafe = 40")
    return value


def _model(name: str | None, folder: Path) -> str | None:
    local = folder / Path(name).expanduser() if name else None
    return str(local) if local is not None and local.is_dir() else name


def _recipe(body: Mapping[str, Any], folder: Path) -> Path | None:
    return recipe_path(body["recipe"], folder) if body.get("recipe") else None


def _sets(body: Mapping[str, Any], folder: Path) -> dict[str, tuple[Path, ...]]:
    table = body.get("sets", {})
    require(isinstance(table, dict), "sets must be a table of paths, such as [sets] unsafe = 'prompts.jsonl'")
    among("sets", tuple(table), KINDS)
    found = {}
    for kind, value in table.items():
        names = value if isinstance(value, list) else [value]
        good = bool(names) and all(isinstance(name, str) and name for name in names)
        require(good, f"sets.{kind} must be a path or a list of paths, got {value!r}")
        found[kind] = tuple(_set_path(name, folder) for name in names)
    return found


def _set_path(name: str, folder: Path) -> Path:
    """Where a set's file is; a set's name stays as it is, unless the study file's folder holds a file of that name."""
    path, (known, _, copy) = folder / Path(name).expanduser(), name.partition("=")
    if name.startswith(LM_EVAL):
        return Path(name)
    if name.startswith(LETTERS):
        return Path(f"{LETTERS}{_set_path(name.removeprefix(LETTERS), folder)}")
    if path.is_file() or known not in {*NAMED, *BUILT_IN}:
        return path
    return Path(f"{known}={folder / Path(copy).expanduser()}" if copy else name)


def _attacks(body: Mapping[str, Any], folder: Path, plan: Plan) -> "tuple[AttackSpec, ...]":
    """The attacks; the plan's seed is theirs too, where they name none."""
    tables = body.get("attacks", [])
    good = isinstance(tables, list) and all(isinstance(table, dict) for table in tables)
    require(good, "attacks must be tables, each under [[attacks]]")
    if not tables:
        return ()
    from clampdown.measuring.attacks.spec import AttackSpec

    return tuple(AttackSpec.from_dict({"seed": plan.seed} | _placed(table, folder)) for table in tables)


def _placed(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """An attack's table with its paths as seen from here."""
    found = dict(table)
    for key, value in table.items():
        if not isinstance(value, str) or not value:
            continue
        if key == "goals":
            found[key] = str(_set_path(value, folder))
        elif key in ("templates", "suffixes") or (key == "attacker_prompt" and value != "pyrit"):
            found[key] = str(folder / Path(value).expanduser())
        elif key in ("attacker", "judge"):
            kind, _, rest = value.partition(":")
            published = key == "judge" and kind in OF_HARM
            found[key] = ":".join(filter(None, (kind, _model(rest, folder)))) if published else _model(value, folder)
    return found


def _tasks(body: Mapping[str, Any], folder: Path) -> "TaskSettings | None":
    table = body.get("lm-eval")
    if table is None:
        return None
    from clampdown.measuring.capability.lm_eval.tasks import TaskSettings

    require(isinstance(table, dict), "lm-eval must be a table, such as [lm-eval] few_shot = 5")
    unknown = sorted(set(table) - {"include_path", "few_shot", "chat"})
    require(not unknown, f"lm-eval does not know {', '.join(unknown)}; known: include_path, few_shot, chat")
    path, shots, chat = table.get("include_path"), table.get("few_shot"), table.get("chat", True)
    require(path is None or isinstance(path, str), f"lm-eval.include_path must be a folder, got {path!r}")
    require(shots is None or (whole(shots) and shots >= 0), f"lm-eval.few_shot must be a whole number, got {shots!r}")
    require(isinstance(chat, bool), f"lm-eval.chat must be true or false, got {chat!r}")
    place = folder / Path(path).expanduser() if path else None
    return TaskSettings(include_path=place, few_shot=shots, chat=chat)
