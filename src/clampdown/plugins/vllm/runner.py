"""vLLM's model runner, steered: what each request asks is known before a pass, and written down after it."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from clampdown.errors import ClampdownError
from clampdown.plugins.vllm.host import host_of
from clampdown.plugins.vllm.op import ALONE, NAME, fasten
from clampdown.plugins.vllm.passes import Pass, Stretch
from clampdown.plugins.vllm.recipes import Recipes
from clampdown.plugins.vllm.requests import Steered
from clampdown.plugins.vllm.told import Told
from clampdown.plugins.vllm.version import LEAVE_OUT
from clampdown.plugins.vllm.wire import asked_by


class RunnerSteering:
    """What steers one runner's model.

    Attributes:
        live: the requests that ask for steering, by vLLM's ids; `plain` are those that don't.
        told: what the scheduler is to hear of the last pass.
    """

    def __init__(self, runner: Any) -> None:
        self.recipes = Recipes(host_of(runner.vllm_config, runner.device))
        self.device = runner.device
        self.live: dict[str, Steered] = {}
        self.plain: set[str] = set()
        self.told: Told | None = None
        self._now: Pass | None = None

    def steer(self, layer: int, hidden: Tensor, residual: Tensor | None) -> None:
        if self._now is not None and layer in self._now.layers:
            self._now.at(layer, hidden, residual)

    def run(self, runner: Any, call: Callable[[], Any]) -> Any:
        """What a call of the model gives for the runner's batch, its requests steered as they ask."""
        stretches = self._stretches(runner)
        if not stretches:
            return call()
        self._now = Pass(self.recipes, stretches, self.device)
        try:
            out = call()
            if self._now.again():
                out = call()  # writes the same keys anew, but where a gate has opened
            self._now.end()
        finally:
            self._now = None
        self.told = Told({n: self.live[n] for n in runner.input_batch.req_ids if n in self.live})
        for number in self.told.restarts:
            self.live[number].restarts = False
        return out

    def _stretches(self, runner: Any) -> list[Stretch]:
        batch = runner.input_batch
        borders = runner.query_start_loc.np
        found = []
        for row, number in enumerate(batch.req_ids):
            if number in self.plain:
                continue
            request = self.live.get(number) or self._join(number, runner.requests[number])
            if request is not None:
                start, begin = int(batch.num_computed_tokens_cpu[row]), int(borders[row])
                request.waits = request.waits and start > 0
                if request.waits:
                    continue
                found.append(Stretch(request, begin, start, int(borders[row + 1]) - begin))
        return found

    def _join(self, number: str, state: Any) -> Steered | None:
        asked = asked_by(state.sampling_params.extra_args) if state.sampling_params is not None else None
        if asked is None:
            self.plain.add(number)
            return None
        self.live[number] = Steered.of(asked, state.prompt_token_ids, self.recipes)
        return self.live[number]

    def leave(self, number: str) -> None:
        """A request left the batch for good."""
        self.live.pop(number, None)
        self.plain.discard(number)


def attach(runner: Any) -> None:
    """Steer a runner whose model was loaded. Raises ClampdownError where that can't be done as it is set up."""
    check_setup(runner.vllm_config)
    steering = RunnerSteering(runner)
    blocks = decoder_layers(runner.get_model(), steering.recipes.model.n_layers)
    fasten(blocks, steering)
    runner.clampdown = steering


def decoder_layers(model: nn.Module, n_layers: int) -> nn.ModuleList:
    """The list of the model's decoder layers. Raises ClampdownError where none or several could be it."""
    found = [module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) == n_layers]
    if len(found) != 1:
        raise ClampdownError(f"Clampdown does not find the decoder layers of {type(model).__name__}; {LEAVE_OUT}")
    return found[0]


def check_setup(config: Any) -> None:
    """Raises ClampdownError where vLLM is set up in a way in which steering is not known to hold."""
    parallel = config.parallel_config
    wrong = {
        "pipeline parallelism": parallel.pipeline_parallel_size > 1,
        "data parallelism": parallel.data_parallel_size > 1,
        "speculative decoding": config.speculative_config is not None,
        "a KV connector": config.kv_transfer_config is not None,
        "LoRA": config.lora_config is not None,
        "prompt embeddings": config.model_config.enable_prompt_embeds,
        "micro-batches": parallel.enable_dbo,
        "the second model runner": config.use_v2_model_runner,
        "a model that is no text generator": config.model_config.runner_type != "generate",
        "recurrent blocks": config.model_config.is_hybrid or config.model_config.is_attention_free,
    }
    if unknown := [name for name, found in wrong.items() if found]:
        raise ClampdownError(f"Clampdown does not steer vLLM with {' or '.join(unknown)}: leave it out, {LEAVE_OUT}")


def prepare(config: Any, *, graphs: bool | None = None) -> None:
    """Let what is compiled with our operators be kept apart, and graphs be recorded between them, never over them.

    A graph of a whole pass would run an operator when it is recorded, and not when it is played: nothing were steered.

    graphs: whether they can be recorded here; None is as vLLM says of its platform.
    """
    from vllm.config import CompilationMode, CUDAGraphMode
    from vllm.platforms import current_platform

    told = config.additional_config
    if isinstance(told, dict):
        told["clampdown"] = "steered after each layer, 1"
    compilation = config.compilation_config
    if not (current_platform.support_static_graph_mode() if graphs is None else graphs):
        return
    cut = compilation.is_attention_compiled_piecewise()
    if compilation.mode == CompilationMode.VLLM_COMPILE and compilation.splitting_ops:
        compilation.splitting_ops = [*compilation.splitting_ops, NAME, ALONE]
    mode = compilation.cudagraph_mode
    if mode is not None and (mode.has_full_cudagraphs() or not cut):
        compilation.cudagraph_mode = CUDAGraphMode.PIECEWISE if cut else CUDAGraphMode.NONE


def receipts(runner: Any, numbers: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The receipts so far of those of these requests that asked for steering."""
    told = Told(runner.clampdown.live)
    return {number: receipt for number in numbers if (receipt := told.receipt(number)) is not None}
