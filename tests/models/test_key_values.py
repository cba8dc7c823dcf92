"""The cache with room to grow holds what Transformers' own does, whatever is done to it on the way."""

import pytest
import torch
from transformers.cache_utils import DynamicLayer

from clampdown.models.key_values import RoomyLayer, copied, roomy_cache


def grown(layer, seed, columns, rows=3):
    draw = torch.Generator().manual_seed(seed)
    return layer.update(*(torch.randn(rows, 2, columns, 4, generator=draw) for _ in range(2)))


@pytest.mark.parametrize("room", [1, 7, 40])
def test_it_grows_as_the_other_does(room):
    mine, other = RoomyLayer(room), DynamicLayer()
    for step, columns in enumerate((5, 1, 1, 9)):
        for a, b in zip(grown(mine, step, columns), grown(other, step, columns), strict=True):
            assert torch.equal(a, b)
    for layer in (mine, other):
        layer.batch_select_indices(torch.tensor([2, 0]))
        grown(layer, 9, 1, rows=2)
        layer.batch_repeat_interleave(3)
        layer.crop(-4)
        grown(layer, 10, 2, rows=6)
    assert torch.equal(mine.keys, other.keys) and torch.equal(mine.values, other.values)
    assert mine.get_seq_length() == other.get_seq_length() == 15


def test_growing_within_the_room_moves_nothing():
    layer = RoomyLayer(10)
    grown(layer, 0, 4)
    before = layer.keys.data_ptr()
    grown(layer, 1, 6)
    assert layer.keys.data_ptr() == before


def test_a_copy_goes_its_own_way():
    layer = RoomyLayer(10)
    grown(layer, 0, 4)
    one, two = copied(layer), copied(layer)
    assert one.keys.data_ptr() == layer.keys.data_ptr()
    ones, twos = grown(one, 1, 1)[0].clone(), grown(two, 2, 1)[0]
    mine = grown(layer, 3, 1)[0]
    assert torch.equal(one.keys, ones) and not torch.equal(ones[:, :, 4], twos[:, :, 4])
    assert not torch.equal(mine[:, :, 4], twos[:, :, 4]) and torch.equal(mine[:, :, :4], ones[:, :, :4])


def test_a_model_decodes_the_same_with_either(tiny):
    ids = torch.tensor([tiny.prompt_ids("What is a house?")])
    with torch.inference_mode():
        for cache in (None, roomy_cache(tiny.hf, ids.shape[1] + 1)):
            out = tiny.hf(input_ids=ids, past_key_values=cache, use_cache=True)
            told = tiny.hf(input_ids=ids[:, :1], past_key_values=out.past_key_values, use_cache=True).logits
            if cache is None:
                expected = told
    assert torch.equal(told, expected)
