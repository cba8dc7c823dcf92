"""The search for a more precise edit: which arm is a family's best, what is compared, and that a cut run goes on."""

import json
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "benchmarks" / "precision"))

import forced  # noqa: E402
from few import pursued  # noqa: E402
from frontier import arms_table, best, comparisons, damage, share  # noqa: E402
from halves import Items  # noqa: E402

from clampdown.measuring.sets.sets import Item  # noqa: E402
from clampdown.recipe import Direction, Positions, Recipe  # noqa: E402


def record(unsafe, kl, margin, **more):
    told = {"unsafe": unsafe, "loops": "0" * len(unsafe), "safe": "10", "lookalike": "01", "right": "1010"}
    told |= {"kl": [kl] * 6, "nats": [30.0] * 6, "bytes": [40] * 6, "edited": [0.5] * 6, "margin": [margin] * 4}
    counts = {"unsafe": len(unsafe), "safe": 2, "lookalike": 2, "questions": 4}
    clusters = {kind: [str(i) for i in range(count)] for kind, count in counts.items()}
    return told | {"clusters": clusters} | more


NONE = record("0000000000", 0.0, 2.0)
SHIPPED = record("1111111110", 0.8, 1.0)
ARMS = {
    "as good, cheaper": record("1111111100", 0.2, 1.5),
    "cheapest, and weak": record("1100000000", 0.0, 2.0),
    "as good, dearer": record("1111111111", 0.9, 0.5),
    "weak": record("1110000000", 0.4, 1.5),
    "weak, dearer": record("1111000000", 0.8, 0.5),
}
FAMILIES = {
    "shipped": {"shipped": {}},
    "one": dict.fromkeys(["as good, cheaper", "cheapest, and weak", "as good, dearer"]),
    "other": dict.fromkeys(["weak", "weak, dearer"]),
    "not yet": {"unmeasured": {}},
}
BODY = {"settings": {"seed": 0}, "families": FAMILIES, "report": {}}
BODY |= {"select": {"none": NONE, "shipped": SHIPPED, **ARMS}}


def test_a_familys_best_does_the_least_damage_among_those_that_refuse_enough():
    assert best(BODY) == ["shipped", "as good, cheaper", "weak"], "a tenth less is enough; what is weak is compared so"
    assert damage(SHIPPED, NONE, SHIPPED) == pytest.approx(2.0)
    assert damage(ARMS["as good, cheaper"], NONE, SHIPPED) == pytest.approx(0.25 + 0.5)
    assert damage(record("1", 0.0, 9.0), NONE, SHIPPED) == 0.0, "a margin that grows pays for nothing"


def test_items_that_can_not_be_told_are_left_out():
    assert share({"unsafe": "1-0-"}) == 0.5 and share({"unsafe": "--"}) != share({"unsafe": "--"})


def test_differences_are_paired_on_what_both_were_asked_and_marked_where_they_hold():
    other = record("11111111--", 0.2, 1.0)
    told = comparisons({"none": NONE, "shipped": SHIPPED, "arm": other})
    head, line = told.splitlines()[2], told.splitlines()[-1]
    assert "unsafe refused" in head and "1 arms on 6 measures, each interval at 99.17%" in told
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[0] == "arm" and cells[1] == "0 (0 to 0)"
    assert cells[4] == "−0.60 (−0.60 to −0.60) *" and cells[6] == "0.00 (0.00 to 0.00)"


def test_an_arm_that_was_given_up_has_no_figures_for_what_it_was_not_asked():
    left_out = ("safe", "lookalike", "right", "margin")
    short = {key: value for key, value in record("000", 0.1, 1.0).items() if key not in left_out}
    body = BODY | {"select": {"none": NONE, "shipped": SHIPPED, "weak": short}}
    line = arms_table(body, "select").splitlines()[-1]
    assert "| 0 (0 to 56) | 3 |" in line and line.count("–") == 4
    assert damage(short, NONE, SHIPPED) == pytest.approx(0.25)


def test_pursuit_rebuilds_a_sum_of_rows_and_never_subtracts():
    rows = torch.nn.functional.normalize(torch.randn(40, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    found = pursued(rows, 3.0 * rows[4] + 2.0 * rows[9], 3)
    assert list(found[1]) == [4] and found[2] == pytest.approx({4: 3.0, 9: 2.0}, abs=1e-3)
    assert all(value > 0 for told in pursued(rows, -rows[2], 3).values() for value in told.values())


ITEMS = Items(
    *(tuple(Item(f"{kind}{i}", f"{kind} of {i} kinds?", "x", str(i)) for i in range(3)) for kind in ("a", "b", "c")),
    (Item("q", "Which?", "x", "q", ("one", "two"), 0), Item("r", "What?", "x", "r", ("six", "ten", "two"), 2)),
    ("A plain passage about ships and the sea.", "Another one, of barns."),
)


@pytest.fixture
def arms(tiny):
    def arm(strength, **positions):
        return Recipe("r", "tiny", tiny.sha256, (Direction(1, strength, seed=3),), Positions(**positions))

    return {"nothing": arm(0.0), "much": arm(40.0), "window": arm(40.0, prompt="last", generated=2)}


def test_arms_are_measured_beside_no_steering(tiny, arms, monkeypatch):
    monkeypatch.setattr(forced, "TOKENS", {"unsafe": 4, "safe": 3, "lookalike": 3})
    found = forced.measured(tiny, ITEMS, arms, screen=False, plain=True)
    assert list(found) == ["none", *arms]
    for name, told in found.items():
        assert len(told["unsafe"]) == len(told["loops"]) == len(told["safe"]) == 3, name
        assert len(told["kl"]) == 2 and len(told["margin"]) == len(told["right"]) == 2, name
    assert found["none"]["kl"] == found["nothing"]["kl"] == [0.0, 0.0]
    assert found["nothing"]["margin"] == pytest.approx(found["none"]["margin"], abs=1e-3)
    assert all(value > 0 for value in found["much"]["kl"])
    assert found["window"]["edited"][0] < found["much"]["edited"][0] and found["none"]["edited"] == [0.0, 0.0]
    again = forced.measured(tiny, ITEMS, {"much": arms["much"]}, screen=False, plain=False)
    assert list(again) == ["much"] and again["much"]["kl"] == pytest.approx(found["much"]["kl"], abs=1e-4)


def test_an_arm_that_refuses_nothing_is_asked_no_more_prompts_while_one_screens(tiny, arms, monkeypatch):
    monkeypatch.setattr(forced, "TOKENS", {"unsafe": 4, "safe": 3, "lookalike": 3})
    monkeypatch.setattr(forced, "FIRST", 2)
    monkeypatch.setattr(forced, "judge", lambda text, answer, truncated: forced.Label.COMPLIANCE)
    found = forced.measured(tiny, ITEMS, arms, screen=True, plain=True)
    assert len(found["much"]["unsafe"]) == 2 and len(found["much"]["kl"]) == 2
    assert "safe" not in found["much"] and "margin" not in found["much"]
    assert len(found["none"]["unsafe"]) == 3 and len(found["none"]["safe"]) == 3
    json.dumps(found, allow_nan=False)
