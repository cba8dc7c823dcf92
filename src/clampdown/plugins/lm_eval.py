"""`clampdown` as a model of lm-eval's, which finds no third-party models by itself: importing this registers it.

lm_eval.simple_evaluate(model="clampdown", model_args={"recipe": "R.toml"}, tasks=["arc_easy"])
"""

import contextlib
import io
import sys
from collections.abc import Sequence
from typing import Any

from lm_eval.api.registry import model_registry

from clampdown.errors import ClampdownError
from clampdown.measuring.capability.lm_eval.tasks import need, told

NAME = "clampdown"
model_registry.register(NAME, target="clampdown.measuring.capability.lm_eval.model:SteeredLM")


def run(arguments: Sequence[str], model_args: dict[str, Any]) -> None:
    """lm-eval's own `run` command with these arguments, on our model.

    Raises:
        ClampdownError: the arguments are not lm-eval's, a task or its data can't be had, or steering failed.
    """
    from lm_eval._cli import HarnessCLI
    from lm_eval.utils import setup_logging

    setup_logging("WARNING")
    said, before = io.StringIO(), sys.argv
    sys.argv = ["lm-eval", "run", *arguments]
    try:
        with contextlib.redirect_stderr(said):
            command = HarnessCLI()
            options = command.parse_args()
    except SystemExit as end:
        *_, line = ["", *said.getvalue().strip().splitlines()]
        why = line.rpartition("error: ")[2] or "its options can't be read"
        raise ClampdownError(f"lm-eval: {why}; `lm-eval run --help` lists its options") from end
    finally:
        sys.argv = before
    if options.model:
        raise ClampdownError("the model is Clampdown's: name it by --model and --dtype, before lm-eval's options")
    options.model = NAME
    options.model_args = {**(options.model_args or {}), **model_args}
    try:
        command.execute(options)
    except ModuleNotFoundError as error:
        raise need(error) from error
    except (ClampdownError, MemoryError):
        raise
    except Exception as error:  # datasets, YAML files and templates each raise their own kinds
        raise told(error) from error
