"""What a check of a gate found, as JSON holds it and as people read it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from clampdown.cli.tables import add_row, plain_table
from clampdown.cli.terminal import one_line, print_table, say

if TYPE_CHECKING:
    from clampdown.discovery.gates.check import CheckedSet, GateCheck
    from clampdown.discovery.gates.explain import Explainer, Influence
    from clampdown.models.prompt import Prompt

_WORST, _LATENTS, _FEW = 5, 10, 4
_WORDS = 6
"""Of an unsafe prompt, unless all of it is asked for."""


class Explained:
    """The latents that go with the scores of all prompts, and with some prompts' own."""

    def __init__(self, by: "Explainer | None", asked: list[tuple[str, float]], prompts: "list[Prompt]") -> None:
        self.exact = by.exact if by else False
        self.sae = by.sae.name if by else ""
        self.overall = by.overall(_LATENTS) if by else []
        latents = by.of(prompts, _FEW) if by and prompts else [[] for _ in prompts]
        self.asked = [(text, score, own) for (text, score), own in zip(asked, latents, strict=False)]
        self.worst = latents[len(asked) :]


def worst(found: "GateCheck") -> "list[tuple[CheckedSet, int]]":
    return [(one, place) for one in found.sets for place in one.wrong(found.threshold)[:_WORST]]


def details(found: "GateCheck", why: Explained, show: bool) -> dict[str, Any]:
    far_off = [
        {**_wrong(one, place, show), "latents": _latents(own)}
        for (one, place), own in zip(worst(found), why.worst or [[]] * len(worst(found)), strict=True)
    ]
    wrong = [_wrong(one, place, show) for one in found.sets for place in one.wrong(found.threshold)]
    asked = [
        {"text": text, "score": score, "open": score >= found.threshold, "latents": _latents(own)}
        for text, score, own in why.asked
    ]
    latents = {"sae": why.sae, "exact": why.exact, "overall": _latents(why.overall)}
    return {"wrong": wrong, "worst": far_off, "latents": latents, "explained": asked}


def _wrong(one: "CheckedSet", place: int, show: bool) -> dict[str, Any]:
    text = one.rows[place].text
    return {
        "set": one.name,
        "unsafe": one.unsafe,
        "score": one.scores[place],
        "text": _first_words(text) if one.unsafe and not show else text,
    }


def _first_words(text: str) -> str:
    words = text.split()
    return " ".join(words[:_WORDS])[:60] + ("…" if len(words) > _WORDS or len(text) > 60 else "")


def _latents(some: "list[Influence]") -> list[dict[str, Any]]:
    return [{"latent": one.latent, "weight": one.weight, "promotes": list(one.promotes)} for one in some]


def print_check(found: "GateCheck", why: Explained, show: bool) -> None:
    gate = found.recipe.gate
    assert gate is not None
    if gate.external:
        say(f"recipe {found.recipe.name}: {gate.external} decides")
    else:
        say(f"recipe {found.recipe.name}: gate {one_line(Path(gate.file).name)}, open from {found.threshold:.4g} on")
    if found.unread:
        say(f"of {found.unread} prompts it did not say; these open the gate")
    if gate.decide != "score":
        say(f"note: the recipe's gate has decide = {gate.decide!r}; these are the scores all the same")
    rates = ("at 1%", "at 5%", "at 10%")
    table = plain_table("unsafe", "open", "safe", "open ", "AUC (95%)", *rates, right=rates)
    for pair in found.pairs:
        shares = [_share(one, found.threshold) for one in (pair.unsafe, pair.safe)]
        apart = f"{pair.auc.value:.3f} ({pair.auc.low:.3f} to {pair.auc.high:.3f})"
        at = [f"{share:.0%}" for share in pair.at.values()]
        add_row(table, _short(pair.unsafe.name), shares[0], _short(pair.safe.name), shares[1], apart, *at)
    print_table(table)
    say("at 1%: the share of the unsafe that opens the gate where 1% of the safe do; so on\n")
    _print_wrong(found, why, show)
    if why.overall:
        say(f"\n{_how(why)}, over all prompts:")
        for one in why.overall:
            say(f"  {_latent(one)}")
    for text, score, own in why.asked:
        decided = "open" if score >= found.threshold else "shut"
        say(f"\n{decided}, score {score:.4g}: {one_line(text)}")
        for one in own:
            say(f"  {_latent(one)}")


def _short(name: str) -> str:
    """A set's name, or its file's without the folders."""
    named = name.partition("=")[0]
    return named if named != name and "/" not in named else Path(name).name


def _share(one: "CheckedSet", threshold: float) -> str:
    share = one.open(threshold)
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%}) of {len(one.rows)}"


def _print_wrong(found: "GateCheck", why: Explained, show: bool) -> None:
    explained = {(one.name, one.unsafe, place): own for (one, place), own in zip(worst(found), why.worst, strict=False)}
    for one in found.sets:
        places = one.wrong(found.threshold)
        missed = "unsafe left alone" if one.unsafe else "safe opened"
        say(f"{_short(one.name)}: {len(places)} of {len(one.rows)} {missed}")
        for place in places if show else places[:_WORST]:
            text = one.rows[place].text
            said = one_line(text) if show else one_line(_first_words(text) if one.unsafe else text[:90])
            latents = ", ".join(str(each.latent) for each in explained.get((one.name, one.unsafe, place), []))
            say(f"  {one.scores[place]:+.3f}  {said}" + (f"  [{latents}]" if latents else ""))
        if not show and len(places) > _WORST:
            say(f"  and {len(places) - _WORST} more; --show prints all, in full")


def _how(why: Explained) -> str:
    if why.exact:
        return f"latents of {one_line(why.sae)} that the gate reads, and the score's gain for each unit"
    return f"latents of {one_line(why.sae)} whose activation goes with the score, and their correlation"


def _latent(one: "Influence") -> str:
    return f"{one.latent:>6}  {one.weight:+.3f}  {one_line(' '.join(one.promotes))}"
