"""The cache of activations: resumed, shuffled, and refused for another text."""

import json

import numpy as np
import pytest
import torch

from clampdown.errors import ClampdownError
from clampdown.saes import activations
from clampdown.saes.activations import Cache, build_cache


def rows(count=40, seed=0):
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, 12, (count,), generator=draw).tolist()
    return [torch.randint(1, 1000, (n,), generator=draw).tolist() for n in lengths]


class Model:
    """Its residual tells which token at which position it was."""

    def __init__(self):
        self.calls = 0

    def __call__(self, ids, mask):
        self.calls += 1
        return torch.stack([ids, torch.arange(ids.shape[1]).expand_as(ids), mask], -1).float()


def build(folder, sequences, residual=None, **more):
    return build_cache(folder, sequences, residual or Model(), {"model": "m", "layer": 1} | more)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(activations, "SHARD_ROWS", 8)


def contents(cache):
    return sorted(map(tuple, torch.cat(list(cache.batches(1, 0))).tolist()))


def test_all_tokens_but_padding_and_the_first_are_kept(tmp_path):
    sequences = rows()
    cache = build(tmp_path, sequences)
    expected = sorted((float(token), float(n), 1.0) for row in sequences for n, token in enumerate(row) if n)
    assert cache.tokens == len(expected) and cache.d_model == 3
    assert contents(cache) == expected


def test_an_interrupted_cache_goes_on_at_the_first_missing_shard(tmp_path):
    whole = build(tmp_path / "whole", rows())

    class Killed(Model):
        def __call__(self, ids, mask):
            if self.calls == 3:
                raise KeyboardInterrupt
            return super().__call__(ids, mask)

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "parts", rows(), Killed())
    (tmp_path / "parts" / "00003.part").write_bytes(b"half")
    model = Model()
    parts = build(tmp_path / "parts", rows(), model)
    assert model.calls == 2
    assert parts.shard_tokens == whole.shard_tokens and contents(parts) == contents(whole)
    again = Model()
    build(tmp_path / "parts", rows(), again)
    assert again.calls == 0


@pytest.mark.parametrize("change", [{"model": "other"}, {"layer": 2}, {"dtype": "x"}])
def test_other_settings_are_refused(tmp_path, change, one_line):
    build(tmp_path, rows())
    with pytest.raises(ClampdownError) as caught:
        build(tmp_path, rows(), **change)
    one_line(caught, str(tmp_path), "another folder")


def test_another_text_is_refused(tmp_path):
    build(tmp_path, rows())
    with pytest.raises(ClampdownError, match="text differ"):
        build(tmp_path, rows(seed=1))


def test_a_pass_is_seeded_and_can_be_entered_anywhere(tmp_path):
    cache = build(tmp_path, rows(200))
    first = list(cache.batches(10, seed=1))
    assert len(first) == cache.tokens // 10
    for one, other in zip(first, cache.batches(10, seed=1), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(first[7:], cache.batches(10, seed=1, skip=7), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(first[0], next(cache.batches(10, seed=2)))
    seen = torch.cat(first)
    assert len(seen.unique(dim=0)) > 0.9 * len(seen)


def test_damaged_files_give_one_line(tmp_path, one_line):
    build(tmp_path, rows())
    shard, note = tmp_path / "00002.npy", tmp_path / "cache.json"
    whole = shard.read_bytes()
    bad = [whole[:40], whole[:-5], b"", b"text"]
    for content in bad:
        shard.write_bytes(content)
        with pytest.raises(ClampdownError) as caught:
            build(tmp_path, rows())
        one_line(caught, "00002.npy", "delete")
    np.save(shard, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ClampdownError, match="damaged"):
        build(tmp_path, rows())
    shard.unlink()
    build(tmp_path, rows())
    for text in ("", "{", "[]", json.dumps({"layer": 1})):
        note.write_text(text)
        with pytest.raises(ClampdownError) as caught:
            build(tmp_path, rows())
        one_line(caught, "cache.json", "delete")


def test_what_can_not_be_kept_is_refused(tmp_path, one_line):
    with pytest.raises(ClampdownError) as caught:
        build(tmp_path / "none", [])
    one_line(caught, "no text")
    with pytest.raises(ClampdownError) as caught:
        build(tmp_path / "nan", rows(), lambda ids, mask: Model()(ids, mask) * torch.nan)
    one_line(caught, "not finite")
    (tmp_path / "file").write_text("")
    with pytest.raises(ClampdownError) as caught:
        build(tmp_path / "file" / "cache", rows())
    one_line(caught, "could not write")


def test_a_cache_smaller_than_a_batch_gives_none(tmp_path):
    cache = build(tmp_path, rows(3))
    assert isinstance(cache, Cache) and not list(cache.batches(1000, 0))
