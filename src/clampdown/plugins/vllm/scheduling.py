"""vLLM's scheduler: what of a steered request's keys others may use, what a gate must see, what is read again."""

import time
from typing import Any

from clampdown.models.prompt import Prompt
from clampdown.plugins.vllm.patching import around
from clampdown.plugins.vllm.prefix_keys import block_keys, most_cached
from clampdown.plugins.vllm.told import RECEIPT, Told
from clampdown.plugins.vllm.wire import Asked, asked_by
from clampdown.steering.gates.gate_file import read_gate


def patch() -> None:
    """Let vLLM's scheduler and prefix cache know of steering."""
    from vllm.v1.core import block_pool, kv_cache_utils
    from vllm.v1.core.kv_cache_manager import KVCacheManager
    from vllm.v1.core.sched.scheduler import Scheduler

    def keys(original: Any, request: Any, start: int, end: int, first: int) -> Any:
        found, after = original(request, start, end, first)
        asked = _asked(request)
        if asked is not None:
            found = (*(found or ()), *block_keys(asked, request.num_prompt_tokens, start, end, request.request_id))
        return found or None, after

    def computed(original: Any, self: Any, request: Any) -> Any:
        most = _most(request)
        return original(self, request if most is None else _Shorter(request, most))

    def update(original: Any, self: Any, scheduled: Any, output: Any) -> Any:
        told: Told | None = getattr(output, "clampdown", None)
        if told is None:
            return original(self, scheduled, output)
        for number in told.restarts:
            if (request := self.requests.get(number)) in self.running:
                self.running.remove(request)
                self._preempt_request(request, time.monotonic(), drop_stale_output=True)
        for number in told.errors:
            output.sampled_token_ids[output.req_id_to_index[number]] = []
            self.encoder_cache_mismatch_reqs.add(number)  # those that it ends with an error
        found = original(self, scheduled, output)
        for some in found.values():
            for one in some.outputs:
                if one.finish_reason is not None and (receipt := told.receipt(one.request_id)) is not None:
                    one.kv_transfer_params = {**(one.kv_transfer_params or {}), RECEIPT: receipt}
        return found

    around(Scheduler, "update_from_output", update)
    around(kv_cache_utils, "generate_block_hash_extra_keys", keys)
    block_pool.generate_block_hash_extra_keys = kv_cache_utils.generate_block_hash_extra_keys
    around(KVCacheManager, "get_computed_blocks", computed)


class _Shorter:
    """A request as one of whose tokens only so many may be found in the cache."""

    def __init__(self, request: Any, most: int) -> None:
        self._request = request
        self.num_tokens = min(request.num_tokens, most + 1)  # the last is always computed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)


def _asked(request: Any) -> Asked | None:
    params = request.sampling_params
    return None if params is None else asked_by(params.extra_args)


def _most(request: Any) -> int | None:
    asked = _asked(request)
    if asked is None or asked.recipe.gate is None or not asked.recipe.gate.file:
        return None
    return most_cached(asked, Prompt(request.prompt_token_ids, asked.user), read_gate(asked.recipe.gate))
