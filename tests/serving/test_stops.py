"""Stop texts are found however a text is cut into pieces, and nothing of them gets through."""

from hypothesis import given
from hypothesis import strategies as st

from clampdown.serving.stops import Stops

TEXT = st.text("ab\n", max_size=24)


@given(st.lists(TEXT, max_size=6), st.lists(TEXT, max_size=3))
def test_what_gets_through_is_what_stands_before_the_stop_that_is_complete_first(pieces, texts):
    stops, whole = Stops(texts), "".join(pieces)
    through = "".join(map(stops.add, pieces))
    assert whole.startswith(through)  # nothing is taken back later
    through += stops.rest()
    ends = [(whole.find(text) + len(text), whole.find(text)) for text in texts if text and text in whole]
    assert stops.found == bool(ends)
    assert through == (whole[: min(ends)[1]] if ends else whole) and stops.let == len(through)


def test_the_stop_that_is_complete_first_ends_a_text():
    for pieces in (["a\n\n\n"], ["a\n\n", "\n"], ["a", "\n"]):
        stops = Stops(["\n", "a\n\n\n"])
        assert "".join(map(stops.add, pieces)) == "a" and stops.found


def test_what_can_not_begin_a_stop_is_not_held_back():
    stops = Stops(["END"])
    assert [stops.add(piece) for piece in ("so ", "E", "N", "x", "E", "ND more", "!")] == [
        "so ",
        "",
        "",
        "ENx",
        "",
        "",
        "",
    ]
    assert stops.found and stops.rest() == ""
