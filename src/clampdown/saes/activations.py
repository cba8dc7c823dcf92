"""A cache of residual activations on disk: computed once, in shards, read back shuffled.

Shards are float16 [tokens, d_model] arrays, written whole or not at all, so an interrupted run goes on at the first
missing one. Padding and the sink at the first position are left out; sinks elsewhere are left out when it is read.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.saes.sinks import sink_norm
from clampdown.writing import beside, write_whole

SHARD_ROWS = 512
"""Token rows (sequences) per shard."""


@dataclass(frozen=True)
class Cache:
    """A finished cache: its folder, tokens in each shard, and the residual's width."""

    folder: Path
    shard_tokens: tuple[int, ...]
    d_model: int

    @property
    def tokens(self) -> int:
        return sum(self.shard_tokens)

    @cached_property
    def sink_norm(self) -> float:
        """The norm beyond which a token is a sink, told from the first shard: one such outweighs a whole batch."""
        first = np.load(self.folder / "00000.npy")
        return sink_norm(torch.from_numpy(np.linalg.norm(first.astype(np.float32), axis=1)))

    def batches(self, size: int, seed: int, skip: int = 0) -> Iterator[Tensor]:
        """One shuffled pass in float32 batches [size, d_model], sinks taken out, without the first `skip` batches.

        Shards are visited in a seeded order, a few in memory at a time and mixed; the same seed gives the same
        pass. The last tokens that fill no batch are dropped.
        """
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self.shard_tokens))
        pool = np.empty((0, self.d_model), np.float16)
        for group in np.array_split(order, max(1, len(order) // 16)):
            loaded = [pool, *(np.load(self.folder / f"{i:05d}.npy") for i in group)]
            pool = np.concatenate(loaded)
            rng.shuffle(pool)
            whole = len(pool) // size * size
            for start in range(0, whole, size):
                if skip:
                    skip -= 1
                    continue
                batch = torch.from_numpy(pool[start : start + size].astype(np.float32))
                yield batch[batch.norm(dim=1) <= self.sink_norm]
            pool = pool[whole:]


def build_cache(
    folder: Path,
    sequences: list[list[int]],
    residual: Callable[[Tensor, Tensor], Tensor],
    settings: dict[str, object],
    progress: Callable[[int], None] = lambda tokens: None,
) -> Cache:
    """Compute every missing shard of `sequences` and return the finished cache.

    `residual` maps ids and mask, both [row, position], to [row, position, d_model]. `settings` says what
    else the activations depend on (model hash, layer); a folder made with other ones is refused.
    """
    if not sequences:
        raise ClampdownError("there is no text to compute activations on")
    _claim(folder, sequences, settings)
    shards = [sequences[i : i + SHARD_ROWS] for i in range(0, len(sequences), SHARD_ROWS)]
    tokens, width = [], 0
    for index, rows in enumerate(shards):
        path = folder / f"{index:05d}.npy"
        if not path.exists():
            _write(path, _shard(rows, residual))
        try:
            done = np.load(path, mmap_mode="r")
            width = done.shape[1]
        except (OSError, EOFError, ValueError, IndexError) as error:
            raise ClampdownError(f"{path} is damaged; delete it, and it is computed anew") from error
        tokens.append(len(done))
        progress(len(done))
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
    except (ValueError, KeyError, TypeError) as error:
        raise ClampdownError(f"{note} is damaged; delete {folder} to compute its activations anew") from error
    if known != digest:
        raise ClampdownError(f"{folder} caches other activations (model, layer or text differ); name another folder")


def _shard(rows: list[list[int]], residual: Callable[[Tensor, Tensor], Tensor]) -> np.ndarray:
    parts = []
    ordered = sorted(rows, key=len)
    for i in range(0, len(ordered), 16):
        batch = ordered[i : i + 16]
        width = max(map(len, batch))
        ids = torch.tensor([row + [0] * (width - len(row)) for row in batch])
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
