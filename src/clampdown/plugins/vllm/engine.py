"""The engine on vLLM, in this process: requests as anywhere here, answered by vLLM's batches and keys."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from clampdown.engine.request import Answer, Chance, Event, Request
from clampdown.errors import ClampdownError, reason
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import user_turns
from clampdown.plugins.vllm.told import RECEIPT
from clampdown.plugins.vllm.version import TESTED
from clampdown.plugins.vllm.wire import Asked, to_extra_args
from clampdown.steering.decision import unasked
from clampdown.steering.receipt import Receipt

_SEEDS = 2**63
_ROOM = {
    "block_size",
    "gpu_memory_utilization",
    "max_model_len",
    "max_num_batched_tokens",
    "num_gpu_blocks_override",
}
"""Options that give room and change no answer beyond rounding."""


@dataclass
class _Running:
    request: Request
    ids: list[int] = field(default_factory=list)


class VllmEngine:
    """Answers requests by vLLM. For one thread.

    Args:
        model: what is served, as Transformers has loaded it or as its shape alone; vLLM loads its folder.
        most: rows of a batch; further requests wait.
        options: for vLLM's `EngineArgs`, such as gpu_memory_utilization. Those that may change what is said are part of
            `version`.

    Raises:
        ClampdownError: vLLM is missing or another version, can't run the model, or does not steer in its self-test.
    """

    def __init__(self, model: ChatModel, *, most: int = 32, **options: Any) -> None:
        self.model, self._options = model, options
        self._vllm = _started(model, most, options)
        self.context_length = int(self._vllm.model_config.max_model_len)
        self._numbers = count()
        self._asked: dict[int, _Running] = {}

    @property
    def idle(self) -> bool:
        return not self._asked

    @property
    def version(self) -> str:
        told = ", ".join(f"{name}={value}" for name, value in sorted(self._options.items()) if name not in _ROOM)
        return f"vllm {TESTED}" + (f" ({told})" if told else "")

    def submit(self, request: Request) -> int:
        """Queue a request; its number.

        Raises:
            ClampdownError: it does not fit the context, its recipe or gate does not fit the model, its recipe's gate
                lies outside and it brings no decision, or it wants tools' calls spared.
        """
        from vllm.exceptions import VLLMError

        prompt, sampling = len(request.prompt), request.sampling
        if prompt + sampling.max_new_tokens > self.context_length:
            raise ClampdownError(
                f"a prompt of {prompt} tokens and an answer of {sampling.max_new_tokens} exceed "
                f"vLLM's context of {self.context_length}: shorten either"
            )
        unasked(request.recipe, request.decision)
        if request.spare:
            raise ClampdownError(
                "vLLM's engine can't spare tools' calls: leave out spare, or use --engine transformers"
            )
        number = next(self._numbers)
        try:
            params = self._params(request)
            self._vllm.add_request(str(number), {"prompt_token_ids": list(request.prompt)}, params)
        except (VLLMError, ValueError) as error:
            told = error.__cause__ if isinstance(error.__cause__, ClampdownError) else error
            raise ClampdownError(str(told)) from error
        self._asked[number] = _Running(request)
        return number

    def _params(self, request: Request) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        sampling, recipe = request.sampling, request.recipe
        asked = None if recipe is None else Asked(recipe, user_turns(request.prompt), request.decision)
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p if sampling.temperature else 1.0,
            seed=sampling.seed % _SEEDS if sampling.temperature else None,
            max_tokens=sampling.max_new_tokens,
            stop_token_ids=sorted(self._ends(request)),
            ignore_eos=True,  # those are named
            detokenize=False,
            logprobs=request.likeliest,
            output_kind=RequestOutputKind.DELTA,
            extra_args=None if asked is None else to_extra_args(asked),
        )

    def _ends(self, request: Request) -> frozenset[int]:
        return self.model.stop_ids if request.stop_ids is None else request.stop_ids

    def step(self) -> list[Event]:
        """Go on with vLLM's next batch; what came of it."""
        if self.idle:
            return []
        events: list[Event] = []
        for output in self._vllm.step():
            number = int(output.request_id)
            running = self._asked.get(number)
            if running is None:
                continue
            [said] = output.outputs
            chances = [None] * len(said.token_ids) if said.logprobs is None else said.logprobs
            for token, chance in zip(said.token_ids, chances, strict=True):
                running.ids.append(token)
                events.append(Event(number, token, chance=_chance(token, chance, running.request.likeliest)))
            if output.finished:
                del self._asked[number]
                told = (output.kv_transfer_params or {}).get(RECEIPT)
                failed = said.finish_reason == "error" and not (told or {}).get("error")
                events.append(Event(number, answer=self._answer(running, told, "vLLM ended it" if failed else "")))
        return events

    def _answer(self, running: _Running, told: Mapping[str, Any] | None, error: str = "") -> Answer:
        fields = dict(told or {})
        error = fields.pop("error", error)
        if running.request.recipe is not None and told is None:
            raise ClampdownError("vLLM told nothing of what it steered; nothing is returned for what may be unsteered")
        seen = len(running.request.prompt) + max(len(running.ids) - 1, 0)
        receipt = Receipt(**fields) if told is not None else Receipt(tokens_seen=seen)
        if error:
            return Answer("", (), False, receipt, error)
        ended = bool(running.ids) and running.ids[-1] in self._ends(running.request)
        return Answer(self.model.said(running.ids, running.request.prompt), tuple(running.ids), ended, receipt)

    def cancel(self, request: int) -> None:
        """Drop a request, if it is not over; no event of it follows."""
        if self._asked.pop(request, None) is not None:
            self._vllm.abort_request([str(request)])

    def end(self, request: int) -> Answer | None:
        """Let a running request's answer end with what it has said; no event of it follows. None if it does not run."""
        running = self._asked.get(request)
        if running is None or not running.ids:
            return None
        told = None
        if running.request.recipe is not None:
            found = self._vllm.collective_rpc("clampdown_receipts", args=([self._inside(request)],))
            told = next((one for worker in found for one in worker.values()), None)
        self.cancel(request)
        return self._answer(running, told)

    def _inside(self, request: int) -> str:
        """What vLLM calls a request inside."""
        [number] = self._vllm.output_processor.external_req_ids[str(request)]
        return str(number)

    def holds(self, request: int) -> bool:
        """Whether a request waits or runs."""
        return request in self._asked

    def close(self) -> None:
        """Let go of what vLLM holds."""
        self._vllm.engine_core.shutdown()


def _started(model: ChatModel, most: int, options: Mapping[str, Any]) -> Any:
    """vLLM's engine for a model's folder."""
    if model.quantization:
        raise ClampdownError(f"vLLM reads the model's folder itself, not as {model.quantization}: load it plainly")
    if wrong := {"model", "dtype", "tokenizer", "quantization", "revision"} & set(options):
        raise ClampdownError(f"vLLM's {sorted(wrong)[0]} is that of the model it is made for; load another model")
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    try:
        from clampdown.plugins.vllm.register import register

        register()
        from vllm import EngineArgs
        from vllm.v1.engine.llm_engine import LLMEngine
    except ModuleNotFoundError as error:
        raise ClampdownError(f"--engine vllm needs {error.name}; docs/vllm.md says how to install it") from error
    asked = {"model": str(model.folder), "dtype": str(model.dtype).removeprefix("torch."), "max_num_seqs": most}
    asked |= {"disable_log_stats": True, "trust_remote_code": False, "use_tqdm_on_load": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of what it imports, for those who write it
            return LLMEngine.from_engine_args(EngineArgs(**(asked | dict(options))))
    except ClampdownError:
        raise
    except Exception as error:  # of whatever it could not be started
        raise ClampdownError(f"vLLM could not be started: {reason(error)}") from error


def _chance(token: int, told: Mapping[int, Any] | None, likeliest: int | None) -> Chance | None:
    """How likely a token was, as vLLM tells it."""
    if told is None or likeliest is None:
        return None
    best = sorted(((one.rank, other, one.logprob) for other, one in told.items()), key=lambda each: each[0])
    return Chance(token, told[token].logprob, tuple((other, value) for _, other, value in best[:likeliest]))
