"""The cache with room to grow holds what Transformers' own does, whatever is done to it on the way."""

import weakref

import pytest
import torch
import transformers
from families import HYBRIDS, build
from transformers.cache_utils import DynamicLayer

from clampdown.errors import ClampdownError
from clampdown.models.key_values import choose_rows, copied, empty_cache, joined, repeat_rows, roomy_cache
from clampdown.models.room import RoomyLayer


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


def test_rows_that_leave_leave_no_buffer_behind():
    """Every block chooses before the first one grows: kept so long, the old buffers would stand beside the new."""
    layer = RoomyLayer(10)
    grown(layer, 0, 4)
    before, expected = weakref.ref(layer._held[0]), layer.keys[[2, 0]]
    layer.reorder_cache(torch.tensor([2, 0]))
    assert before() is None and torch.equal(layer.keys, expected)
    where = layer.keys.data_ptr()
    grown(layer, 1, 6, rows=2)
    assert layer.keys.data_ptr() == where and torch.equal(layer.keys[:, :, :4], expected)


def test_a_copy_goes_its_own_way():
    layer = RoomyLayer(10)
    grown(layer, 0, 4)
    one, two = layer.alone(), layer.alone()
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


# ---- rows, whatever a model's blocks keep of them


@pytest.fixture(scope="module", params=["smollm2", "gemma3", *HYBRIDS])
def hf(request, tiny):
    if request.param in HYBRIDS and not hasattr(transformers, HYBRIDS[request.param].config):
        pytest.skip(f"this Transformers has no {request.param}")
    return build(request.param, tiny.tokenizer)


def ids_of(seed, rows, columns):
    return torch.randint(3, 40_000, (rows, columns), generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def read(hf, ids, cache=None):
    cache = empty_cache(hf) if cache is None else cache
    hf(input_ids=ids, past_key_values=cache, use_cache=True)
    return cache


@torch.inference_mode()
def step(hf, cache, ids, mask=None, position=None):
    """Logits [row, vocabulary] after one more token a row."""
    more = {} if mask is None else {"attention_mask": mask}
    place = torch.full_like(ids, cache.get_seq_length()) if position is None else position
    return hf(input_ids=ids, position_ids=place, past_key_values=cache, use_cache=True, **more).logits[:, -1]


def close(one, other):
    torch.testing.assert_close(one, other, atol=2e-3, rtol=2e-3)


def test_rows_are_chosen_repeated_and_copied(hf):
    ids, then = ids_of(1, 3, 9), ids_of(2, 3, 2)
    whole = read(hf, ids)
    apart, chosen, repeated = copied(whole), copied(whole), copied(whole)
    choose_rows(chosen, torch.tensor([2, 0]))
    repeat_rows(repeated, 3, 2)
    expected = [step(hf, whole, then[:, [n]]) for n in range(2)]
    for n, told in enumerate(expected):
        close(step(hf, chosen, then[[2, 0]][:, [n]]), told[[2, 0]])
        close(step(hf, repeated, then.repeat_interleave(2, 0)[:, [n]]), told.repeat_interleave(2, 0))
        close(step(hf, apart, then[:, [n]]), told)


def test_rows_of_different_lengths_go_on_together_as_alone(hf, one_line):
    rows, then = [ids_of(1, 2, 9), ids_of(2, 1, 4)], ids_of(3, 3, 3)
    caches = [read(hf, ids) for ids in rows]
    masks = [torch.ones_like(ids) for ids in rows]
    if any(getattr(layer, "is_sliding", False) for layer in caches[0].layers):
        with pytest.raises(ClampdownError) as caught:
            joined(caches, masks)
        one_line(caught, "can't be joined", "SlidingWindow")
        return
    together, mask = joined(caches, masks)
    assert mask.tolist() == [[1] * 9, [1] * 9, [0] * 5 + [1] * 4]
    position = mask.sum(-1, keepdim=True)
    for n in range(3):
        alone = torch.cat([step(hf, caches[0], then[:2, [n]]), step(hf, caches[1], then[2:, [n]])])
        mask = torch.cat([mask, mask.new_ones(3, 1)], dim=1)
        close(step(hf, together, then[:, [n]], mask, position + n), alone)
