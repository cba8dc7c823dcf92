"""A gate that decides outside: before a conversation is answered, a classifier is asked whether it asks for harm."""

from collections.abc import Mapping, Sequence

from clampdown.errors import ClampdownError
from clampdown.measuring.judging.base import Judge
from clampdown.measuring.judging.requests import request_judge, request_row
from clampdown.recipe import Recipe


class OutsideGate:
    """Decisions of one classifier, each asked once.

    judge: of requests, see `judges.requests`; its `version` says who decided.
    """

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self._known: dict[str, bool] = {}

    @property
    def version(self) -> str:
        return self.judge.version

    def decide(self, chats: Sequence[Sequence[Mapping[str, str]]]) -> list[bool]:
        """Whether the gate opens for each conversation. What the classifier does not say opens it.

        Raises:
            ClampdownError: the classifier can't be asked.
        """
        rows = [request_row(chat) for chat in chats]
        new = list({row.prompt: row for row in rows if row.prompt not in self._known}.values())
        verdicts = self.judge.verdicts(new) if new else []
        for row, verdict in zip(new, verdicts, strict=True):
            self._known[row.prompt] = verdict.harm is None or verdict.harm >= 0.5
        return [self._known[row.prompt] for row in rows]


def decides_outside(recipe: Recipe | None) -> bool:
    """Whether each request needs a decision from outside."""
    return recipe is not None and recipe.gate is not None and recipe.gate.asks and bool(recipe.gate.external)


def brought(
    outside: OutsideGate | None, recipes: Sequence[Recipe | None], chats: Sequence[Sequence[Mapping[str, str]]]
) -> list[bool | None]:
    """For each conversation the decision that its recipe needs from outside; None where it needs none.

    Raises:
        ClampdownError: one is needed, and there is nobody to ask, or the classifier can't be asked.
    """
    wanted = [place for place, recipe in enumerate(recipes) if decides_outside(recipe)]
    found: list[bool | None] = [None] * len(recipes)
    if wanted:
        gate = need_outside(outside, recipes[wanted[0]])
        for place, decision in zip(wanted, gate.decide([chats[place] for place in wanted]), strict=True):
            found[place] = decision
    return found


def need_outside(outside: OutsideGate | None, recipe: Recipe | None) -> OutsideGate:
    """Raises ClampdownError where nobody can be asked for this recipe's decisions."""
    assert recipe is not None and recipe.gate is not None
    if outside is None:
        raise ClampdownError(
            f"recipe {recipe.name}: its gate, {recipe.gate.external}, decides outside; name who is asked with "
            "--gate-endpoint and --gate-model, or force the gate open (decide in the recipe)"
        )
    return outside


def outside_gate(recipe: Recipe | None, endpoint: str | None, model: str | None) -> OutsideGate | None:
    """What a recipe's gate is asked through: a model behind an endpoint, or the classifier that the gate itself names.

    None where nothing is decided outside.

    Args:
        endpoint: a URL up to and with /v1.
        model: the classifier's name there; None is the gate's own.

    Raises:
        ClampdownError: the gate names nobody who could be asked, or one is named and nothing is decided outside.
    """
    if not decides_outside(recipe):
        if endpoint or model:
            raise ClampdownError("--gate-endpoint and --gate-model are for a recipe whose gate decides outside")
        return None
    assert recipe is not None and recipe.gate is not None
    own = recipe.gate.external
    if endpoint:
        return OutsideGate(request_judge(f"openai:{model or own}@{endpoint}"))
    if model:
        raise ClampdownError("--gate-model needs --gate-endpoint, the URL up to and with /v1")
    if own.partition(":")[0] in ("openai", "wildguard"):
        return OutsideGate(request_judge(own))
    raise ClampdownError(f"recipe {recipe.name}: name who stands for its gate, {own}: --gate-endpoint and --gate-model")
