"""A study whose prompts another engine answers: the same rows, and a study of its own."""

import json
from dataclasses import replace

import pytest

from clampdown.engine.cluster import Cluster
from clampdown.engine.local import LocalEngine
from clampdown.errors import ClampdownError
from clampdown.measuring.attacks.spec import AttackSpec
from clampdown.measuring.sets.sets import Item, ItemSet
from clampdown.models.chat_model import ChatModel
from clampdown.studies.against import against
from clampdown.studies.plan import Plan
from clampdown.studies.probes.attacks import attack_columns
from clampdown.studies.probes.letters import LetterColumn
from clampdown.studies.record import flat_rows, read_record
from clampdown.studies.run import study

PLAN = Plan(
    name="tiny", max_new_tokens=4, batch=8, factors=(1.0,), strengths=(1.0,),
    arms=("none", "clamp", "system-prompt", "fixed-refusal"), gates=("recipe", "open"),
)  # fmt: skip


class Counted(LocalEngine):
    """Counts what it is asked."""

    def __init__(self, model: ChatModel) -> None:
        super().__init__(model, most=3)
        self.asked = 0

    def submit(self, request):
        self.asked += 1
        return super().submit(request)


@pytest.fixture(scope="module")
def columns(tmp_path_factory):
    path = tmp_path_factory.mktemp("turns") / "turns.jsonl"
    turns = [{"id": f"u{i}", "label": "unsafe", "user_turns": [f"First {i}", f"Then {i}"]} for i in range(3)]
    path.write_text("".join(json.dumps(turn) + "\n" for turn in turns))
    items = tuple(Item(f"l{i}", f"Which is {i}?", "", f"c{i}", ("red", "blue"), i % 2) for i in range(3))
    letters = LetterColumn(ItemSet("letters:colours", "capability", "here", "l", items))
    return [letters, *attack_columns(AttackSpec("scripted", "turns", str(path)))]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return tmp_path_factory.mktemp("usual"), tmp_path_factory.mktemp("other")


@pytest.fixture(scope="module")
def engine(model, gated, sets, columns, folders):
    """One that has answered a study, which the usual loop has answered too."""
    counted = Counted(model)
    study(model, gated, sets, PLAN, folders[0], columns=columns)
    study(model, gated, sets, PLAN, folders[1], columns=columns, engine=counted)
    return counted


def test_it_answers_all_that_is_answered_and_the_rows_are_the_same(engine, folders, sets):
    usual, other = map(read_record, folders)
    assert usual.rows.keys() == other.rows.keys()
    for key, rows in usual.rows.items():
        assert [_said(row) for row in rows] == [_said(row) for row in other.rows[key]], key
    answered = sum(len(rows) for (arm, _), rows in usual.rows.items() if arm in ("none", "clamp-1"))
    scored = 2 * sum(len(s.items) for s in sets if s.kind in ("capability", "text"))
    assert engine.idle and engine.asked > answered - scored  # and more: other arms, and a conversation's every turn


def _said(row):
    """All but how far rounding goes, which depends on what shares a batch."""
    counts = row.receipt and {key: row.receipt[key] for key in ("recipe_sha256", "tokens_seen", "tokens_edited")}
    return row.place, row.text, row.label, row.scores, row.metrics, row.gate and row.gate["open"], counts


def test_two_studies_apart_by_the_engine_are_two_studies_and_the_comparison_says_so(engine, folders):
    usual, other = map(read_record, folders)
    assert usual.sha256 != other.sha256
    assert other.about["environment"]["engine"] == engine.version and "engine" not in usual.about["environment"]
    assert {row["engine"] for row in flat_rows(other)} == {engine.version}
    notes = against(usual, other, "clamp-1", "clamp-1")["notes"]
    assert any(note.startswith(f"engine differs: transformers and {engine.version}; ") for note in notes)


def test_a_study_goes_on_with_the_engine_that_it_began_with(model, gated, sets, columns, folders, engine):
    before = engine.asked
    study(model, gated, sets, PLAN, folders[1], columns=columns, engine=engine)
    assert engine.asked == before
    with pytest.raises(ClampdownError, match="libraries and precision"):
        study(model, gated, sets, PLAN, folders[1], columns=columns)


def test_what_can_not_go_together_is_said_before_anything_is_asked(model, gated, sets, tmp_path):
    with pytest.raises(ClampdownError, match="leave out the cluster, or the engine"):
        study(model, gated, sets, PLAN, tmp_path / "a", cluster=Cluster("", 1), engine=LocalEngine(model))
    other = replace(model, name="another")
    other.__dict__["sha256"] = "0" * 64
    with pytest.raises(ClampdownError, match="the engine answers for another, and the study is of tiny"):
        study(model, gated, sets, PLAN, tmp_path / "b", engine=LocalEngine(other))
    wider = replace(model, template_options={"thinking": True})
    with pytest.raises(ClampdownError, match="another dtype or template"):
        study(model, gated, sets, PLAN, tmp_path / "c", engine=LocalEngine(wider))
    assert not list(tmp_path.iterdir())


def test_samples_of_an_engine_differ_from_place_to_place_and_not_from_time_to_time(model):
    from clampdown.engine.generation import generate
    from clampdown.engine.request import Sampling

    prompts = [model.prompt_ids("Well?")] * 4
    drawn = [
        [answer.ids for answer in generate(model, prompts, [None] * 4, Sampling(8, 5.0, 3), engine=LocalEngine(model))]
        for _ in range(2)
    ]
    assert drawn[0] == drawn[1] and len(set(drawn[0])) == 4


def test_a_closed_batch_needs_an_engine_of_its_own(model):
    from clampdown.engine.generation import generate
    from clampdown.engine.request import Request, Sampling

    engine = LocalEngine(model)
    other = engine.submit(Request([5, 6], None, Sampling(4)))
    with pytest.raises(ClampdownError, match="answers others"):
        generate(model, [[5]], [None], Sampling(4), engine=engine)
    assert engine.holds(other)


def test_an_engine_is_left_idle_where_a_request_is_refused(model):
    from clampdown.engine.generation import generate
    from clampdown.engine.request import Sampling

    engine = LocalEngine(model)
    with pytest.raises(ClampdownError, match="exceed"):
        generate(model, [[5], [5] * 300], [None, None], Sampling(8), engine=engine)
    assert engine.idle
