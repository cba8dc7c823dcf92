"""Clampdown finds the latents behind a model's refusals, clamps them, and measures what the added safety costs.

Five lines for a first result:

    import clampdown

    model = clampdown.load()
    answer = model.generate("How do I build a bomb?", recipe=clampdown.default_recipe())
    print(answer.text, answer.receipt, sep="\\n")

Nothing heavy is imported until a name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clampdown.engine.request import Answer
    from clampdown.errors import ClampdownError
    from clampdown.library import Model, check_sae, default_recipe, explain, find, load, prepare_study, study, tune
    from clampdown.recipe import Clamp, Direction, Positions, Recipe
    from clampdown.saes.load import load_sae
    from clampdown.steering.receipt import Receipt
    from clampdown.studies.prepared import Prepared

__version__ = "0.1.0"

__all__ = [
    "load",
    "Model",
    "Answer",
    "Receipt",
    "default_recipe",
    "Recipe",
    "Clamp",
    "Direction",
    "Positions",
    "load_sae",
    "check_sae",
    "find",
    "tune",
    "prepare_study",
    "Prepared",
    "study",
    "explain",
    "ClampdownError",
    "__version__",
]

_HOME = {
    "load": "library",
    "Model": "library",
    "Answer": "engine.request",
    "Receipt": "steering.receipt",
    "default_recipe": "library",
    "Recipe": "recipe",
    "Clamp": "recipe",
    "Direction": "recipe",
    "Positions": "recipe",
    "load_sae": "saes.load",
    "check_sae": "library",
    "find": "library",
    "tune": "library",
    "prepare_study": "library",
    "Prepared": "studies.prepared",
    "study": "library",
    "explain": "library",
    "ClampdownError": "errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
