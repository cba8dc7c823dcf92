"""Judges by the names that users write."""

from collections.abc import Callable

from clampdown.errors import ClampdownError
from clampdown.measuring.endpoint.client import Endpoint
from clampdown.measuring.judging import rubrics
from clampdown.measuring.judging.base import Judge, RulesJudge
from clampdown.measuring.judging.endpoint import EndpointJudge
from clampdown.measuring.judging.local import LocalJudge
from clampdown.measuring.judging.rubrics import Rubric

NAMES = "rules, wildguard, harmbench, openai:MODEL@URL, strongreject:MODEL@URL or xstest:MODEL@URL"
OF_HARM = ("wildguard", "harmbench", "strongreject")
"""The kinds that tell how far an answer does harm."""
OF_REFUSALS = ("rules", "xstest")
"""The kinds that tell refusals alone; any other name is a chat model's, or an endpoint's."""
_ASKED: dict[str, Callable[[], Rubric]] = {
    "openai": rubrics.own,
    "strongreject": rubrics.strongreject,
    "xstest": rubrics.xstest,
}
_RUN: dict[str, tuple[str, Callable[[], Rubric]]] = {
    "wildguard": ("allenai/wildguard", rubrics.wildguard),
    "harmbench": ("cais/HarmBench-Llama-2-13b-cls", rubrics.harmbench),
}


def judge_by_name(name: str) -> Judge:
    """A judge: see NAMES. `wildguard:FOLDER` and `harmbench:FOLDER` take the classifier from a folder or hub id.

    The key of an endpoint comes from OPENAI_API_KEY. Nothing is loaded or asked yet.

    Raises:
        ClampdownError: no such judge, no model named, or the package with its official prompt is not installed.
    """
    kind, _, rest = name.partition(":")
    if name == "rules":
        return RulesJudge()
    if kind in _RUN:
        model, rubric = _RUN[kind]
        return LocalJudge(kind, rest or model, rubric())
    if kind in _ASKED:
        if not rest:
            raise ClampdownError(
                f"judge {kind} needs a model to ask: write {kind}:MODEL@URL, the URL up to and with /v1"
            )
        return EndpointJudge(kind, Endpoint.parse(f"openai:{rest}"), _ASKED[kind]())
    raise ClampdownError(f"there is no judge {name!r}; name {NAMES}")
