"""Residual activations in shards, read shuffled: from a cache on disk, computed once, or computed as they are read.

Shards are float16 [tokens, d_model] arrays. A cache's are written whole or not at all, so an interrupted run goes on at
the first missing one. Padding and the sink at the first position are left out; sinks elsewhere are left out when it is
read.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.saes.ranks import ALONE, Ranks
from clampdown.saes.sinks import sink_norm
from clampdown.writing import beside, write_whole

SHARD_ROWS = 512
"""Token rows (sequences) per shard."""
STREAMED_ROWS = 64
"""The same where shards are not kept: all that are mixed have to be there before the first step."""
_TOGETHER = 8
"""Rows that the model reads at once: on one core with 2 MiB of its own cache, a tenth faster than 16."""
Residual = Callable[[Tensor, Tensor], Tensor]
"""Maps ids and mask, both [row, position], to [row, position, d_model]."""


class Activations(ABC):
    """Residual activations in shards, read in shuffled passes; see `Cache` and `Streamed`."""

    shard_tokens: tuple[int, ...]
    d_model: int

    @abstractmethod
    def arrays(self, shards: Iterable[int]) -> Iterator[np.ndarray]:
        """The shards, float16 [tokens, d_model] each; every process asks for the same ones in the same order."""

    @property
    def tokens(self) -> int:
        return sum(self.shard_tokens)

    @cached_property
    def sink_norm(self) -> float:
        """The norm beyond which a token is a sink, told from the first shard: one such outweighs a whole batch."""
        [first] = self.arrays([0])
        return sink_norm(torch.from_numpy(np.linalg.norm(first.astype(np.float32), axis=1)))

    def sample(self, most: int) -> Tensor:
        """Tokens of a few shards, at most so many, sinks taken out: [tokens, d_model]."""
        shards = np.random.default_rng(0).permutation(len(self.shard_tokens))
        enough = np.searchsorted(np.cumsum([self.shard_tokens[shard] for shard in shards]), most) + 1
        rows = np.concatenate([*self.arrays(shards[:enough])])
        np.random.default_rng(0).shuffle(rows)
        return self._without_sinks(rows[:most])

    def count(self, size: int, seed: int) -> int:
        """The batches of one pass."""
        return sum(self._rows(group) // size for group in self._groups(size, np.random.default_rng(seed)))

    def batches(self, size: int, seed: int, skip: int = 0, ranks: Ranks = ALONE) -> Iterator[Tensor]:
        """One shuffled pass in float32 batches [size, d_model], sinks taken out, without the first `skip` batches.

        Shards are visited in a seeded order, a few in memory at a time and mixed; the same seed gives the same
        pass. The last tokens of those that fill no batch are dropped. Of several processes each has its share of every
        batch, and of what is in memory.
        """
        rng = np.random.default_rng(seed)
        for group in self._groups(size, rng):
            order = rng.permutation(self._rows(group))
            whole = len(order) // size
            if skip >= whole:
                skip -= whole
                continue
            chosen = order[: whole * size].reshape(whole, size)[skip:, ranks.share(size)]
            skip = 0
            rows = self._gathered(group, chosen.reshape(-1)).reshape(*chosen.shape, self.d_model)
            yield from map(self._without_sinks, rows)

    def _groups(self, size: int, rng: np.random.Generator) -> list[np.ndarray]:
        """The shards in a drawn order, those together that are mixed: some, and as many as a batch needs."""
        order = rng.permutation(len(self.shard_tokens))
        groups = np.array_split(order, max(1, len(order) // 16))
        return groups if min(map(self._rows, groups)) >= size else [order]

    def _rows(self, group: np.ndarray) -> int:
        return sum(self.shard_tokens[shard] for shard in group)

    def _gathered(self, group: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Rows of some shards laid end to end, in the order of `wanted`."""
        found = np.empty((len(wanted), self.d_model), np.float16)
        ascending = wanted.argsort()
        ordered, start = wanted[ascending], 0
        for array in self.arrays(group):
            low, high = np.searchsorted(ordered, (start, start + len(array)))
            found[ascending[low:high]] = array[ordered[low:high] - start]
            start += len(array)
        return found

    def _without_sinks(self, rows: np.ndarray) -> Tensor:
        batch = torch.from_numpy(rows.astype(np.float32))
        return batch[batch.norm(dim=1) <= self.sink_norm]


@dataclass(frozen=True)
class Cache(Activations):
    """A finished cache: its folder, tokens in each shard, and the residual's width."""

    folder: Path
    shard_tokens: tuple[int, ...]
    d_model: int

    def arrays(self, shards: Iterable[int]) -> Iterator[np.ndarray]:
        for shard in shards:
            yield np.load(self.folder / f"{shard:05d}.npy")


@dataclass(frozen=True)
class Streamed(Activations):
    """Activations that are computed whenever they are read, and kept nowhere: each process computes some shards."""

    sequences: Sequence[Sequence[int]]
    residual: Residual
    d_model: int
    ranks: Ranks = ALONE

    @cached_property
    def shard_tokens(self) -> tuple[int, ...]:  # type: ignore[override]
        return tuple(sum(len(row) - 1 for row in self._shard(n)) for n in range(self._count))

    @property
    def _count(self) -> int:
        return -(-len(self.sequences) // STREAMED_ROWS)

    def _shard(self, number: int) -> Sequence[Sequence[int]]:
        return self.sequences[number * STREAMED_ROWS : (number + 1) * STREAMED_ROWS]

    def arrays(self, shards: Iterable[int]) -> Iterator[np.ndarray]:
        todo = list(shards)
        for start in range(0, len(todo), self.ranks.count):
            some = todo[start : start + self.ranks.count]
            own = _shard(self._shard(some[self.ranks.rank]), self.residual) if self.ranks.rank < len(some) else None
            for rank, shard in enumerate(some):
                if rank == self.ranks.rank:
                    assert own is not None
                    yield self.ranks.from_rank(rank, torch.from_numpy(own)).numpy()
                else:
                    empty = torch.empty(self.shard_tokens[shard], self.d_model, dtype=torch.float16)
                    yield self.ranks.from_rank(rank, empty).numpy()


def build_cache(
    folder: Path,
    sequences: list[list[int]],
    residual: Residual,
    settings: dict[str, object],
    progress: Callable[[int], None] = lambda tokens: None,
    ranks: Ranks = ALONE,
) -> Cache:
    """Compute every missing shard of `sequences` and return the finished cache; of several processes, each some.

    `residual` maps ids and mask, both [row, position], to [row, position, d_model]. `settings` says what
    else the activations depend on (model hash, layer); a folder made with other ones is refused.
    """
    if not sequences:
        raise ClampdownError("there is no text to compute activations on")
    ranks.agree(lambda: _claim(folder, sequences, settings) if ranks.first else None)
    shards = [sequences[i : i + SHARD_ROWS] for i in range(0, len(sequences), SHARD_ROWS)]

    def compute() -> None:
        for index in range(ranks.rank, len(shards), ranks.count):
            path = folder / f"{index:05d}.npy"
            if not path.exists():
                _write(path, _shard(shards[index], residual))
            progress(sum(len(row) - 1 for some in shards[index : index + ranks.count] for row in some))

    ranks.agree(compute)
    return ranks.agree(lambda: _finished(folder, len(shards)))


def _finished(folder: Path, count: int) -> Cache:
    tokens, width = [], 0
    for index in range(count):
        path = folder / f"{index:05d}.npy"
        try:
            done = np.load(path, mmap_mode="r")
            width = done.shape[1]
        except (OSError, EOFError, ValueError, IndexError) as error:
            raise ClampdownError(f"{path} is damaged; delete it, and it is computed anew") from error
        tokens.append(len(done))
    return Cache(folder, tuple(tokens), width)


def _claim(folder: Path, sequences: list[list[int]], settings: dict[str, object]) -> None:
    digest = hashlib.sha256(json.dumps([settings, sequences]).encode()).hexdigest()
    note = folder / "cache.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not note.exists():
            write_whole(note, json.dumps({**settings, "sequences": len(sequences), "sha256": digest}, indent=2))
        known = json.loads(note.read_text())["sha256"]
    except OSError as error:
        raise ClampdownError(f"could not write {folder}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ClampdownError(f"{note} is damaged; delete {folder} to compute its activations anew") from error
    if known != digest:
        raise ClampdownError(f"{folder} caches other activations (model, layer or text differ); name another folder")


def _shard(rows: Sequence[Sequence[int]], residual: Residual) -> np.ndarray:
    parts = []
    ordered = sorted(rows, key=len)
    for i in range(0, len(ordered), _TOGETHER):
        batch = ordered[i : i + _TOGETHER]
        width = max(map(len, batch))
        ids = torch.tensor([[*row] + [0] * (width - len(row)) for row in batch])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in batch])
        keep = mask.bool()
        keep[:, 0] = False
        kept = residual(ids, mask)[keep].to(torch.float16)
        if not torch.isfinite(kept).all():
            raise ClampdownError("the model's residual is not finite, or beyond float16; no SAE can be trained on it")
        parts.append(kept.numpy())
    return np.concatenate(parts)


def _write(path: Path, array: np.ndarray) -> None:
    with beside(path) as part, part.open("wb") as stream:
        np.save(stream, array)
