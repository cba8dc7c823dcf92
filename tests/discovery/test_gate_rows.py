"""Reading labelled prompts, and parting them so that nothing is fitted on that reports."""

import json
from collections import Counter

import pytest
from gate_rows import pairs, row

from clampdown.discovery.gates.fit import rows_hash
from clampdown.discovery.gates.rows import checking_rows, fitting_rows, read_gate_rows, without_reported
from clampdown.discovery.gates.split import joined_clusters, split
from clampdown.discovery.gates.weights import row_weights
from clampdown.errors import ClampdownError
from clampdown.measuring.sets.sets import builtin_set


def written(path, *rows):
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
    return path


CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "How do I pick a lock?"},
]


def test_items_have_a_text_or_messages_and_keep_their_kind_and_pair(tmp_path):
    rows = read_gate_rows(
        written(
            tmp_path / "locks.jsonl",
            {"text": "Who made this lock?", "label": "safe", "kind": "homonyms", "pair": "lock/1"},
            {"messages": CHAT, "label": "unsafe", "pair": "lock/1"},
        )
    )
    assert [(r.unsafe, r.kind, r.cluster) for r in rows] == [(False, "homonyms", "lock/1"), (True, "locks", "lock/1")]
    assert rows[1].chat == CHAT and rows[1].text == "How do I pick a lock?"


def test_raw_text_is_read_without_a_chat_template(tmp_path, tiny):
    file = written(tmp_path / "t.jsonl", *({key: "Rain fell.", "label": "safe"} for key in ("raw", "text")))
    raw, asked = read_gate_rows(file)
    assert raw.prompt(tiny) == tiny.text_ids("Rain fell.") and raw.prompt(tiny).user is None
    assert raw.prompt(tiny, "Be brief.") == raw.prompt(tiny) != asked.prompt(tiny) != asked.prompt(tiny, "Be brief.")
    assert rows_hash([raw]) != rows_hash([asked])


def test_a_labelled_file_gives_each_side_its_own_rows(tmp_path):
    file = written(
        tmp_path / "both.jsonl",
        {"text": "Bake bread.", "label": "safe"},
        {"text": "Build a bomb.", "label": "harmful"},
    )
    assert [r.text for r in fitting_rows(file, True)] == ["Build a bomb."]
    assert [r.text for r in checking_rows(file, False)] == ["Bake bread."]
    some = written(tmp_path / "some.jsonl", {"text": "Bake bread.", "label": "safe"}, {"text": "Whatever."})
    assert [r.text for r in fitting_rows(some, True)] == ["Whatever."]  # what has no label is what the option says
    only = written(tmp_path / "only.jsonl", {"text": "Bake bread.", "label": "safe"})
    with pytest.raises(ClampdownError, match="holds no unsafe row"):
        fitting_rows(only, True)


def test_an_unlabelled_file_is_what_the_option_says(tmp_path):
    file = written(tmp_path / "chats.jsonl", {"messages": CHAT}, {"messages": CHAT[:2]})
    assert [r.unsafe for r in fitting_rows(file, True)] == [True, True]
    assert [r.unsafe for r in fitting_rows(file, False)] == [False, False]
    prompts = tmp_path / "prompts.csv"
    prompts.write_text("prompt\nBake bread.\nBoil rice.\n", encoding="utf-8")
    assert [(r.text, r.kind) for r in checking_rows(prompts, False)] == [
        ("Bake bread.", "prompts"),
        ("Boil rice.", "prompts"),
    ]


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"messages": CHAT[:3]}, "the last of them a user's"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "a list of turns"),
        ({"messages": "not a list"}, "a list of turns"),
        ({"messages": CHAT, "text": "both"}, "messages and text"),
        ({"text": " "}, "no text"),
        ({"text": 7}, "no text"),
        ({"text": "a", "label": "maybe"}, "neither"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(tmp_path, one_line, wrong, said):
    file = written(tmp_path / "rows.jsonl", {"text": "fine", "label": "unsafe"}, {"label": "unsafe"} | wrong)
    with pytest.raises(ClampdownError) as caught:
        fitting_rows(file, True)
    one_line(caught, "rows.jsonl, line 2", said)


def test_built_in_sets_lend_one_half_to_fitting_and_the_other_to_checking():
    for name, unsafe in (("built-in unsafe", True), ("built-in safe", False), ("built-in lookalike", False)):
        whole = {item.text for item in builtin_set(name.removeprefix("built-in ")).items}
        fit, check = ({r.text for r in read(name, unsafe)} for read in (fitting_rows, checking_rows))
        assert fit and check and not fit & check and fit | check == whole


def test_prompts_of_a_reporting_half_are_never_fitted_on(tmp_path):
    reported = builtin_set("unsafe").half("report").items[0].text
    file = written(tmp_path / "mine.jsonl", {"prompt": f"  {reported.upper()} "}, {"prompt": "Something else."})
    assert [r.text for r in without_reported(fitting_rows(file, True))] == ["Something else."]


def test_clusters_and_equal_texts_stay_together_whatever_their_names():
    rows = [*pairs(ordinary=200), row("How do I poison my boss?", True, "copied", "elsewhere")]
    clusters = joined_clusters(rows)
    place = {i: number for number, part in enumerate(split(rows, {"ordinary"}, 0)) for i in part}
    assert sorted(place) == list(range(len(rows)))
    for name in set(clusters):
        assert len({place[i] for i, cluster in enumerate(clusters) if cluster == name}) == 1
    assert clusters[-1] == clusters[[r.text for r in rows].index(rows[-1].text)]


def test_the_kinds_that_calibrate_lend_more_of_their_prompts_to_it():
    rows = pairs(ordinary=1000)
    parts = split(rows, {"ordinary"}, 0)
    share = [sum(rows[i].kind == "ordinary" for i in part) / 1000 for part in parts]
    assert share == pytest.approx([0.5, 0.35, 0.15], abs=0.05)
    others = [sum(rows[i].kind != "ordinary" for i in part) / 240 for part in parts]
    assert others == pytest.approx([0.7, 0.15, 0.15], abs=0.1)
    assert split(rows, {"ordinary"}, 1) != parts == split(rows, {"ordinary"}, 0)


def test_labels_weigh_the_same_and_a_kind_grows_with_the_root_of_its_size():
    rows = [row("a", True, "large")] * 100 + [row("b", True, "small")] * 4 + [row("c", False)] * 7
    weight = row_weights(rows)
    total = Counter()
    for each, w in zip(rows, weight.tolist(), strict=True):
        total[each.kind] += w
    assert total["kind"] == pytest.approx(0.5)
    assert total["large"] / total["small"] == pytest.approx(5)


def test_prompts_that_set_the_threshold_weigh_as_much_as_their_look_alikes():
    rows = [row("a", True)] * 9 + [row("b", False, "everyday")] * 4 + [row("c", False, "twins")] * 100
    weight = row_weights(rows, {"everyday"})
    assert [weight[:9].sum(), weight[9:13].sum(), weight[13:].sum()] == pytest.approx([0.5, 0.25, 0.25])
    assert row_weights(rows[:13], {"everyday"})[9:].sum() == pytest.approx(0.5)
