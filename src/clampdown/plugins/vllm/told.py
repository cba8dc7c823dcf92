"""What a worker tells the scheduler of the requests it has steered in a pass, beside what was sampled."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from clampdown.plugins.vllm.requests import Steered

RECEIPT = "clampdown"
"""The receipt's name among a response's `kv_transfer_params`, the one place there for words of an engine's."""


class Told:
    """Of one pass.

    Attributes:
        restarts: requests that are to be read again from their first token: what was sampled for them is void.
        errors: requests that failed, and why.
    """

    def __init__(self, requests: Mapping[str, Steered]) -> None:
        self._requests: Mapping[str, Steered] | None = requests
        self._receipts: dict[str, dict[str, Any]] = {}
        self.restarts = [number for number, request in requests.items() if request.restarts]
        self.errors = {number: request.error for number, request in requests.items() if request.error}

    def receipt(self, number: str) -> dict[str, Any] | None:
        """The receipt of a request as it is now, with an error where there is one; None if it asked for nothing."""
        if self._requests is None:
            return self._receipts.get(number)
        request = self._requests.get(number)
        if request is None:
            return None
        return asdict(request.receipt()) | ({"error": request.error} if request.error else {})

    def __getstate__(self) -> dict[str, Any]:
        """To another process go the receipts alone."""
        told = {number: self.receipt(number) for number in self._requests or ()}
        return {**self.__dict__, "_requests": None, "_receipts": told}
