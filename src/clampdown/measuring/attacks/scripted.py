"""Multi-turn sets that need no attacker: the user's turns come from a file, the model's own answers in between."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clampdown.errors import ClampdownError
from clampdown.measuring.attacks.conversation import Target, assistant, user
from clampdown.measuring.attacks.outcome import Exchange, Goal, Labeller, Outcome, Turn, Verdict, by_rules
from clampdown.measuring.attacks.scoring import Scorer
from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.sets import read_rows, safety
from clampdown.measuring.sets.tables import TableRow, check_columns, columns_found

_COLUMNS = {"user_turns", "turns", "goal", "prompt", "id", "category", "cluster", "label"}


def load_scripts(path: Path, *, kind: SetKind = SetKind.UNSAFE, cluster: str = "cluster") -> list[Goal]:
    """Scripted conversations from a JSONL file (or .gz): `user_turns` or `turns`, a list of the user's messages.

    Where a row has a `label` of safe, benign, unsafe or harmful, that decides its kind; without one it is of `kind`.
    The goal is `goal` or `prompt` where a row has one, else its last turn.

    Args:
        cluster: the column whose value items share that are resampled together; without it, each row stands alone.

    Raises:
        ClampdownError: the file can't be read, a row has no turns, or two have the same id.
    """
    path = Path(path).expanduser()
    rows, _ = read_rows(path, kind)
    if not rows:
        raise ClampdownError(f"set {path} is empty; it needs at least one conversation")
    check_columns(rows, _COLUMNS)
    goals = [_goal(row, f"{path.name}-{row.number}", kind, cluster) for row in rows]
    name, times = Counter(goal.id for goal in goals).most_common(1)[0]
    if times > 1:
        raise ClampdownError(
            f"set {path} has {times} rows with the id {name!r}; arms are paired by it, so give each one"
        )
    return goals


def _goal(row: TableRow, name: str, kind: SetKind, cluster: str) -> Goal:
    cells = row.cells
    turns = cells.get("user_turns", cells.get("turns"))
    if not isinstance(turns, list) or not turns or not all(isinstance(t, str) and t.strip() for t in turns):
        raise ClampdownError(
            f"{row.where} has no user_turns (or turns): a list of the user's messages, none of them empty "
            f"({columns_found(cells)})"
        )
    name = str(cells.get("id") or name)
    text = str(cells.get("goal") or cells.get("prompt") or turns[-1])
    category, together = str(cells.get("category") or ""), str(cells.get(cluster) or name)
    return Goal(name, text, category, together, safety(row) or kind, tuple(turns))


@dataclass(frozen=True)
class Scripted:
    """Play each goal's own user turns against the target; `scorer` is a judge of harm, where success is asked for."""

    name: str = "scripted"
    scorer: Scorer | None = None
    seed: int = 0

    def run(self, goals: Sequence[Goal], target: Target, label: Labeller = by_rules) -> list[Outcome]:
        """Turn t of all conversations is one batch; those with fewer turns leave, and so do those that grow too long.

        Raises:
            ClampdownError: a goal has no user turns.
        """
        for goal in goals:
            if not goal.user_turns:
                raise ClampdownError(f"goal {goal.id} has no user turns to play; load it from a file that has some")
        chats: list[list[dict[str, str]]] = [[] for _ in goals]
        told: list[list[Turn]] = [[] for _ in goals]
        cut: set[int] = set()
        for number in range(max((len(goal.user_turns) for goal in goals), default=0)):
            live = [i for i, goal in enumerate(goals) if i not in cut and number < len(goal.user_turns)]
            if not live:
                break
            for i in live:
                chats[i].append(user(goals[i].user_turns[number]))
            replies = dict(zip(live, target.reply([chats[i] for i in live], seed=self.seed + number), strict=True))
            seen = {
                i: Exchange(goals[i].text, goals[i].user_turns[number], reply.text, reply.finished, reply.blocked)
                for i, reply in replies.items()
                if reply is not None
            }
            asked = list(seen.values())
            verdicts = self.scorer(asked) if self.scorer and asked else [Verdict()] * len(asked)
            for i, given, verdict in zip(seen, label(asked), verdicts, strict=True):
                reply = replies[i]
                assert reply is not None
                chats[i].append(assistant(reply.text))
                told[i].append(Turn.of(seen[i].prompt, reply, given, verdict=verdict))
            cut |= set(live) - set(seen)
        return [
            Outcome(self.name, goal, tuple(turns), len(turns) - 1, "context" if i in cut else "end")
            for i, (goal, turns) in enumerate(zip(goals, told, strict=True))
        ]
