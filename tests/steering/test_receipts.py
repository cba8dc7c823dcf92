"""Receipts: what a recipe had to leave, told in words, and several as one."""

from dataclasses import replace

import pytest

from clampdown.recipe import Direction, Gate, Recipe
from clampdown.steering.receipt import Receipt, joined

PLAIN = Recipe("plain", "m", "", (Direction(1, 1.0, seed=0),))
GATED = replace(PLAIN, gate=Gate("g.safetensors", "ab" * 32))
WATCHED = GATED.deciding("watch")
OUTSIDE = replace(PLAIN, gate=Gate(external="wildguard"))


def receipt(recipe, edited, gate="", **how):
    return Receipt(recipe.sha256 if recipe else "", 12, edited, 0.4 if edited else 0.0, "sliced", gate, **how)


@pytest.mark.parametrize(
    ("recipe", "edited", "gate", "good"),
    [
        (None, 0, "", True),
        (None, 1, "", False),
        (PLAIN, 11, "", True),
        (PLAIN, 0, "", False),
        (PLAIN, 11, "open", False),  # nobody could have asked it
        (GATED, 11, "open", True),
        (GATED, 0, "shut", True),
        (GATED, 0, "open", False),
        (GATED, 11, "shut", False),
        (GATED, 11, "", False),  # its gate was never asked
        (GATED, 0, "", False),
        (GATED, 11, "mixed", True),
        (GATED, 0, "mixed", False),
        (WATCHED, 0, "open", True),
        (WATCHED, 0, "shut", True),
        (WATCHED, 0, "mixed", True),
        (WATCHED, 11, "open", False),
        (OUTSIDE, 11, "open", True),
        (OUTSIDE, 0, "shut", True),
        (replace(PLAIN, edits=(), system_prompt="Be kind."), 0, "", True),
    ],
)
def test_what_a_receipt_accounts_for(recipe, edited, gate, good):
    assert receipt(recipe, edited, gate).accounts_for(recipe) is good
    assert not receipt(replace(PLAIN, system_prompt="another"), edited, gate).accounts_for(recipe)


def test_several_receipts_as_one():
    opened = receipt(GATED, 11, "open", score=2.0, threshold=0.5, read_again=9)
    shut = receipt(GATED, 0, "shut", score=-1.0, threshold=0.5)
    one = joined([opened, shut])
    assert (one.gate, one.score, one.threshold, one.read_again, one.tokens_seen) == ("mixed", None, 0.5, 9, 24)
    assert one.relative_norm == pytest.approx(0.4) and one.accounts_for(GATED)
    assert joined([shut, shut]) == replace(shut, tokens_seen=24) and joined([shut, shut]).accounts_for(GATED)
    # what all rows begin with was read before its gate was asked
    row = joined([Receipt(GATED.sha256, 5, 4, 0.2, "sliced"), opened])
    assert (row.gate, row.score, row.tokens_edited) == ("open", 2.0, 15) and row.accounts_for(GATED)
    assert joined([]).gate == "" and joined([receipt(PLAIN, 11)]).to_dict() == receipt(PLAIN, 11).to_dict()


def test_a_receipt_in_words_tells_what_the_gate_said():
    opened = receipt(GATED, 11, "open", score=2.0, threshold=0.5, read_again=9)
    assert str(opened).startswith("gate open (2 ≥ 0.5) · steered by") and "9 read again" in str(opened)
    assert str(receipt(GATED, 0, "shut", score=-1.0, threshold=0.5)) == "gate shut (-1 < 0.5) · unsteered · 12 tokens"
    assert str(receipt(OUTSIDE, 0, "shut")) == "gate shut · unsteered · 12 tokens"
    assert "only watched, unsteered" in str(receipt(WATCHED, 0, "open", score=2.0, threshold=0.5))
    assert "gate" not in str(receipt(PLAIN, 11)) and set(receipt(PLAIN, 11).to_dict()) < set(opened.to_dict())
    assert Receipt(**opened.to_dict()) == opened
