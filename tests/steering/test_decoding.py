"""Steering one more token: it costs a few operations, and an accelerator is never made to wait for it."""

from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import DynamicCache

from clampdown.errors import ClampdownError
from clampdown.recipe import Clamp, Direction, Positions, Recipe
from clampdown.steering import rows
from clampdown.steering.attach import Steering
from clampdown.steering.positions import PlaceTracker
from clampdown.steering.tally import Tally

WAITS = ("aten._local_scalar_dense", "aten.nonzero", "aten.is_nonzero", "aten.masked_select", "aten.item")
VIEWS = ("aten.select", "aten.slice", "aten.unsqueeze", "aten.t.", "aten.expand", "aten.view", "aten.unbind")


class Operations(TorchDispatchMode):
    """Counts what PyTorch is asked to do."""

    def __init__(self):
        super().__init__()
        self.seen = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen[str(function)] += 1
        return function(*args, **(kwargs or {}))


@pytest.fixture
def accelerator(monkeypatch):
    """The CPU treated as a device that one has to wait for."""
    monkeypatch.setattr(rows, "_free_to_ask", lambda x: False)


@pytest.fixture(scope="module")
def clamp(make_sae):
    return make_sae("jumprelu", name="mine")


@pytest.fixture(scope="module")
def recipe():
    values = {latent: 2.0 for latent in range(0, 50, 5)}
    return Recipe("r", "tiny", "", (Clamp("mine", "", 1, values),), positions=Positions(sink_norm=1e6))


def decoding(model, recipes, saes, rows=3):
    """What the third token of a sequence asks for."""
    ids, cache = torch.arange(3, 3 + rows * 6).reshape(rows, 6), DynamicCache()
    mask = torch.ones(rows, 8, dtype=torch.long)
    with torch.no_grad(), Steering(model, recipes, saes=saes) as steering:
        model.hf(input_ids=ids, attention_mask=mask[:, :6], past_key_values=cache)
        model.hf(input_ids=ids[:, :1], attention_mask=mask[:, :7], past_key_values=cache)
        with Operations() as counted:
            model.hf(input_ids=ids[:, :1], attention_mask=mask, past_key_values=cache)
    return counted.seen, steering.receipts()


def test_a_step_adds_few_operations_and_waits_for_none(tiny, recipe, clamp, accelerator):
    plain = decoding(tiny, None, [])[0]
    steered, receipts = decoding(tiny, recipe, [clamp])
    added = steered - plain
    assert not [name for name in added if name.startswith(WAITS)], added
    assert sum(count for name, count in added.items() if not name.startswith(VIEWS)) <= 30, added
    assert [r.tokens_edited for r in receipts] == [7] * 3


def test_nor_where_rows_differ(tiny, recipe, clamp, accelerator):
    other = Recipe("o", "tiny", "", (Direction(1, 2.0, seed=1), Direction(2, 1.0, seed=2)))
    added = decoding(tiny, [recipe, None, other], [clamp])[0] - decoding(tiny, None, [])[0]
    assert not [name for name in added if name.startswith(WAITS)], added


def test_a_step_is_the_same_on_either_kind_of_device(tiny, recipe, clamp, monkeypatch):
    other = Recipe("o", "tiny", "", (Direction(2, 3.0, seed=1),), positions=Positions("first-generated", 1))
    found = []
    for free in (True, False):
        monkeypatch.setattr(rows, "_free_to_ask", lambda x, free=free: free)
        for recipes in (recipe, other, [recipe, None, other]):
            found.append(decoding(tiny, recipes, [clamp])[1])
    assert found[:3] == found[3:]
    assert [r.tokens_edited for r in found[1]] == [1] * 3


@pytest.mark.parametrize("steps", [2, rows._UNREAD + 1])
def test_what_is_not_finite_is_told_in_the_end(tiny, accelerator, steps):
    huge = Recipe("huge", "tiny", "", (Direction(1, 1e38, values=(1e18,) * 32),), positions=Positions("generated"))
    cache, ids = DynamicCache(), torch.ones(1, 4, dtype=torch.long)
    with pytest.raises(ClampdownError, match=r"huge: steering at layer 1 .* not finite"), Steering(tiny, huge):  # noqa: PT012
        tiny.hf(input_ids=ids, past_key_values=cache)
        for _ in range(steps):
            tiny.hf(input_ids=ids[:, :1], past_key_values=cache)


def test_receipts_are_not_given_for_what_is_not_finite(tiny, accelerator):
    huge = Recipe("huge", "tiny", "", (Direction(1, 1e38, values=(1e18,) * 32),), positions=Positions("generated"))
    steering, cache, ids = Steering(tiny, huge), DynamicCache(), torch.ones(1, 4, dtype=torch.long)
    with pytest.raises(ClampdownError, match="not finite"), steering:  # noqa: PT012
        tiny.hf(input_ids=ids, past_key_values=cache)
        tiny.hf(input_ids=ids[:, :1], past_key_values=cache)
        steering.receipts()


def test_a_tally_of_rows_that_end_and_rows_that_part():
    tally = Tally(3, torch.device("cpu"))
    tally.saw(torch.tensor([[True, True], [False, True], [True, True]]))
    yes, ratio = torch.tensor([[False, True]] * 3), torch.tensor([[0.0, 0.5]] * 3)
    tally.edited(yes, yes, ratio)
    tally.keep(torch.tensor([2, 0]))
    assert tally.alive.tolist() == [2, 0]
    one = torch.ones(2, 1, dtype=torch.bool)
    tally.saw(one)
    tally.edited(one, one, torch.tensor([[1.5], [0.5]]))
    assert tally.rows() == [(3, 2, 0.5), (1, 1, 0.5), (3, 2, 1.0)]
    tally = Tally(2, torch.device("cpu"))
    tally.saw(torch.tensor([[True, True], [False, True]]))
    tally.fan_out(torch.tensor([1, 1, 0]))
    tally.saw(torch.ones(3, 1, dtype=torch.bool))
    assert [seen for seen, _, _ in tally.rows()] == [2, 2, 3] and len(tally) == 3


class TestPlaces:
    """The tracker's short way, for one more token in the same cache, tells what its long way does."""

    @staticmethod
    def both(mask, steps, scope="generated"):
        rows, columns = mask.shape
        cache = DynamicCache()
        quick, slow = PlaceTracker(), PlaceTracker()
        ids = torch.zeros(rows, columns, dtype=torch.long)
        found = []
        for step in range(steps + 1):
            call = {"input_ids": ids if not step else ids[:, :1], "past_key_values": cache, "attention_mask": mask}
            if step:
                slow._cache = None
            found.append([tracker.places((), call) for tracker in (quick, slow)])
            new = torch.zeros(rows, 1, columns if not step else 1, 4)
            cache.update(new, new, 0)
            more = torch.ones(rows, 1, dtype=torch.long)
            more[0] = step % 2  # a row that is padded now and then
            mask = torch.cat([mask, more], 1)
        return found

    def test_positions_and_scopes(self):
        mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
        for quick, slow in self.both(mask, 4):
            for scope, count in (("all", None), ("all-but-sinks", None), ("generated", None), ("first-generated", 2)):
                asked = Positions(scope, count)
                assert torch.equal(quick.selected(asked), slow.selected(asked)), scope
            assert torch.equal(quick.position[quick.real], slow.position[slow.real])
        assert quick.begun and not slow.begun

    def test_a_row_that_has_not_begun_keeps_its_first_token(self):
        mask = torch.tensor([[0, 0], [1, 1]])
        found = self.both(mask, 2)
        for quick, slow in found:
            assert torch.equal(quick.selected(Positions()), slow.selected(Positions()))
        assert not found[-1][0].begun

    def test_another_cache_of_the_same_length_is_read_anew(self):
        tracker, ids = PlaceTracker(), torch.zeros(1, 4, dtype=torch.long)
        one, other = DynamicCache(), DynamicCache()
        tracker.places((), {"input_ids": ids, "past_key_values": one})
        for cache in (one, other):
            cache.update(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4), 0)
        mask = torch.tensor([[0, 0, 1, 1, 1]])
        call = {"input_ids": ids[:, :1], "attention_mask": mask, "past_key_values": other}
        assert tracker.places((), call).position.tolist() == [[2]]

    def test_a_strange_cache_leaves_the_prompt_uncertain(self):
        tracker, ids = PlaceTracker(), torch.zeros(1, 10, dtype=torch.long)
        one, other = DynamicCache(), DynamicCache()
        for cache, length in ((one, 3), (other, 10)):
            tracker.places((), {"input_ids": ids[:, :length], "past_key_values": cache})
            cache.update(torch.zeros(1, 1, length, 4), torch.zeros(1, 1, length, 4), 0)
        found = tracker.places((), {"input_ids": ids[:, :1], "past_key_values": one})
        with pytest.raises(ClampdownError, match="prompt from answer"):
            found.selected(Positions("generated"))

    def test_a_prompt_read_beforehand_is_prompt(self):
        tracker, ids, cache = PlaceTracker(), torch.zeros(1, 3, dtype=torch.long), DynamicCache()
        cache.update(torch.zeros(1, 1, 3, 4), torch.zeros(1, 1, 3, 4), 0)
        found = tracker.places((), {"input_ids": ids[:, :1], "past_key_values": cache})
        assert found.selected(Positions("generated")).tolist() == [[True]]


def test_an_error_of_the_models_own_does_not_hide_ours(tiny, accelerator):
    huge = Recipe("huge", "tiny", "", (Direction(1, 1e38, values=(1e18,) * 32),), positions=Positions("generated"))
    cache, ids, steering = DynamicCache(), torch.ones(1, 4, dtype=torch.long), Steering(tiny, huge)
    with pytest.raises(ClampdownError, match="not finite") as caught, steering:  # noqa: PT012
        tiny.hf(input_ids=ids, past_key_values=cache)
        tiny.hf(input_ids=ids[:, :1], past_key_values=cache)
        raise RuntimeError("probability tensor contains inf")
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(ClampdownError, match="not finite"):
        steering.receipts()


def test_rows_are_not_fanned_out_once_some_left(tiny, recipe, clamp):
    ids = torch.ones(3, 4, dtype=torch.long)
    with torch.inference_mode(), Steering(tiny, [recipe, None, recipe], saes=[clamp]) as steering:
        tiny.hf(input_ids=ids, past_key_values=DynamicCache())
        steering.rows.keep(torch.tensor([1, 2]))
        with pytest.raises(ClampdownError, match="left out"):
            steering.fan_out(torch.tensor([0, 0, 1]))


def test_a_mask_passed_by_position_is_read(tiny, recipe, clamp):
    ids, mask = torch.ones(1, 4, dtype=torch.long), torch.tensor([[0, 0, 1, 1]])
    with torch.inference_mode(), Steering(tiny, recipe, saes=[clamp]) as steering:
        tiny.hf(ids, mask)
    assert steering.receipts()[0].tokens_seen == 2
