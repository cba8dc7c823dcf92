"""The study's database: whole batches or none, one study a file, one clear line for what goes wrong."""

from dataclasses import asdict

import pytest

from clampdown.errors import ClampdownError
from clampdown.measuring.judging.default.judge import JUDGE_VERSION, judge
from clampdown.measuring.sets.sets import Item, ItemSet
from clampdown.studies.store import Row, Store, export

ROWS = [
    Row(0, "a", 0, "How?", "I can't help with that.", True, "refusal", JUDGE_VERSION, {"tokens_edited": 3}),
    Row(1, "b", 1, "What \ud800?", "Like this.", False, "compliance", JUDGE_VERSION, {"tokens_edited": 4}),
]


def test_rows_come_back_as_they_were_but_for_lone_surrogates(tmp_path):
    with Store(tmp_path / "s.sqlite") as store:
        store.add("k", "none", 0, {"unsafe": ROWS}, 1.5)
        store.add(
            "l",
            "none",
            0,
            {"other": [Row(0, "q", 0, "?", scores=[-1.5, -0.1]), Row(1, "t", 0, "t", nats=3.25, bytes=9)]},
        )
    with Store(tmp_path / "s.sqlite") as store:
        assert store.finished() == {"k", "l"}
        assert store.rows("none", "unsafe")[0] == ROWS[0]
        assert store.rows("none", "unsafe")[1].prompt == "What ??"
        assert store.rows("none", "other")[0].scores == [-1.5, -0.1]
        assert store.rows("none", "other")[1].nats == 3.25
        assert store.seconds() == 1.5


def test_a_batch_is_written_whole_or_not_at_all(tmp_path):
    with Store(tmp_path / "s.sqlite") as store:
        with pytest.raises(ClampdownError):
            store.add("k", "none", 0, {"unsafe": [ROWS[0], Row(1, None, 0, "no item")]})  # type: ignore[arg-type]
        assert store.finished() == set() and store.rows("none", "unsafe") == []
        store.add("k", "none", 0, {"unsafe": ROWS})
        assert len(store.rows("none", "unsafe")) == 2


def test_one_database_holds_one_study(tmp_path):
    with Store(tmp_path / "s.sqlite") as store:
        store.claim({"recipe": "a", "plan": {"seed": 1}}, {"created": "then"})
        store.claim({"recipe": "a", "plan": {"seed": 1}}, {"created": "later"})
        assert store.meta("created") == "then"
        with pytest.raises(ClampdownError, match=r"another study \(another recipe\).*another folder"):
            store.claim({"recipe": "b", "plan": {"seed": 1}}, {})


def test_export_has_no_times_and_does_not_depend_on_the_order_of_writing(tmp_path):
    for name, order in (("one", (0, 1)), ("two", (1, 0))):
        with Store(tmp_path / name) as store:
            store.claim({"recipe": "a"}, {"created": name})
            for number in order:
                store.add(f"k{number}", "none", number, {"unsafe": ROWS[number : number + 1]}, float(number))
    assert export(tmp_path / "one") == export(tmp_path / "two")


def test_answers_of_an_older_judge_are_judged_again(tmp_path):
    old = Row(0, "a", 0, "How?", "I'm sorry, but I can't help with that.", True, "compliance", "rules-0", {})
    with Store(tmp_path / "s.sqlite") as store:
        store.add("k", "none", 0, {"unsafe": [old]})
        assert (store.relabel(), store.relabel()) == (1, 0)
        assert store.rows("none", "unsafe")[0].label == "refusal"


def test_an_answer_is_judged_again_by_its_items_own_text_as_it_was_at_first(tmp_path):
    """A prompt of lm-eval's holds examples, whose words would excuse a refusal; its end may be unknown."""
    asked = ItemSet("lm-eval:t", "capability", "", "", (Item("t-3", "What is 2 + 2?", "t", "t-3"),))
    prompt = "Q: Please rewrite the sentence politely. A: ok\nQ: What is 2 + 2?"
    refused = Row(0, "t-3", 0, prompt, "I cannot answer.", label="compliance", judge="rules-0")
    sorry = "I'm sorry about the long and slow walk to the far end of the wide and windy harbour"
    assert judge("", sorry) != judge("", sorry, truncated=True)
    half = Row(0, "t-3", 0, prompt, sorry, label="refusal", judge="rules-0")
    with Store(tmp_path / "s.sqlite") as store:
        store.claim({}, {"sets": [asdict(asked)]})
        store.add("k", "none", 0, {asked.name: [refused]})
        store.add("l", "clamp", 0, {asked.name: [half]})
        assert store.relabel() == 2
        assert store.rows("none", asked.name)[0].label == "refusal"
        [again] = store.rows("clamp", asked.name)
        assert again.label == str(judge("What is 2 + 2?", sorry)) and again.finished is None


def test_a_damaged_database_is_one_clear_line(tmp_path):
    (tmp_path / "s.sqlite").write_bytes(b"not a database, whatever it is called " * 300)
    with pytest.raises(ClampdownError, match=r"s\.sqlite: .*delete it") as caught:
        Store(tmp_path / "s.sqlite")
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_one_clear_line_and_leaves_no_half_batch(tmp_path):
    with Store(tmp_path / "s.sqlite") as store:
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(ClampdownError, match="free some space"):
            store.add("k", "none", 0, {"unsafe": [Row(i, "a", 0, "long " * 500) for i in range(50)]})
        assert store.finished() == set()


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ClampdownError, match="name another"):
        Store(tmp_path / "file" / "s.sqlite")
    with pytest.raises(ClampdownError, match="no study database"):
        export(tmp_path / "nothing.sqlite")
