"""The entry point `vllm.general_plugins`: vLLM calls it in each of its processes before anything is made."""

import os
from collections.abc import Callable
from typing import Any

from clampdown.plugins.vllm.patching import around
from clampdown.plugins.vllm.version import check_version

_SECOND_RUNNER = "VLLM_USE_V2_MODEL_RUNNER"


def register() -> None:
    """Let this process's vLLM be steered. Raises ClampdownError for another version than the one that is tested."""
    import vllm

    check_version(vllm.__version__)
    os.environ.setdefault(_SECOND_RUNNER, "0")  # the first runner is the one that we know
    from vllm.v1.worker.cpu_model_runner import CPUModelRunner
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner
    from vllm.v1.worker.worker_base import WorkerBase

    from clampdown.plugins.vllm import door, rendered, runner, scheduling, self_test

    if getattr(GPUModelRunner, "clampdown", None) is not None:
        return
    GPUModelRunner.clampdown = False  # until one is attached

    def load_model(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> Any:
        runner.check_setup(self.vllm_config)
        runner.prepare(self.vllm_config)
        found = original(self, *args, **kwargs)
        runner.attach(self)
        return found

    def forward(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> Any:
        return self.clampdown.run(self, lambda: original(self, *args, **kwargs))

    def removed(original: Callable[..., Any], self: Any, number: str, state: Any) -> Any:
        self.clampdown.leave(number)
        return original(self, number, state)

    def sampled(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> Any:
        found, told = original(self, *args, **kwargs), self.clampdown.told
        if told is not None:
            output = getattr(found, "_model_runner_output", found)
            output.clampdown = told
            self.clampdown.told = None
        return found

    for kind in (GPUModelRunner, CPUModelRunner):
        if "load_model" in vars(kind):
            around(kind, "load_model", load_model)
    around(GPUModelRunner, "_model_forward", forward)
    around(GPUModelRunner, "_on_request_state_removed", removed)
    around(GPUModelRunner, "sample_tokens", sampled)
    WorkerBase.clampdown_receipts = lambda self, numbers: runner.receipts(self.model_runner, numbers)
    for part in (scheduling, door, rendered, self_test):
        part.patch()
