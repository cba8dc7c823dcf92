"""Keys and values with room set aside, so that growing by a token does not copy all of them."""

from typing import Any

from torch import Tensor
from transformers.cache_utils import DynamicLayer


class RoomyLayer(DynamicLayer):
    """One block's keys and values, [row, head, column, d_head], as views of buffers that are longer.

    Transformers' own layer concatenates: with many short rows that is a third of a decoding step on a processor.
    """

    keys: Tensor
    values: Tensor
    _layer_type = None  # no model gets this layer by its configuration

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns
        self._held: tuple[Tensor, Tensor] | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append, and return all keys and values."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self._held is None or not self._fits(self._held[0], end):
            self._held = self._moved(self.keys, key_states, end), self._moved(self.values, value_states, end)
        for buffer, states in zip(self._held, (key_states, value_states), strict=True):
            buffer[:, :, start:end] = states
        self.keys, self.values = (buffer[:, :, :end] for buffer in self._held)
        return self.keys, self.values

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Go on with these rows, in buffers of their own at once, so that those of all rows are not held beside."""
        super().reorder_cache(beam_idx)
        if self._held is not None:
            self._held, end = None, self.get_seq_length()
            self._held = self._moved(self.keys, self.keys, end), self._moved(self.values, self.values, end)
            self.keys, self.values = (buffer[:, :, :end] for buffer in self._held)

    def alone(self) -> "RoomyLayer":
        """A copy that shares what is held and nothing that is to come."""
        found = RoomyLayer(self.columns)
        found.__dict__.update(self.__dict__, _held=None)
        return found

    def _fits(self, buffer: Tensor, end: int) -> bool:
        """Whether the keys are still the buffer's (rows may have been chosen or repeated) and `end` columns fit."""
        same = self.keys.data_ptr() == buffer.data_ptr() and len(self.keys) == len(buffer)
        return same and buffer.shape[2] >= end

    def _moved(self, old: Tensor, like: Tensor, end: int) -> Tensor:
        columns = self.columns if end <= self.columns else 2 * end
        buffer = like.new_empty(*like.shape[:2], columns, like.shape[3])
        if old.numel():
            buffer[:, :, : old.shape[2]] = old
        return buffer
