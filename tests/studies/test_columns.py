"""Attacks, and questions answered in words, as columns of a study."""

import gc
import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from clampdown.errors import ClampdownError
from clampdown.measuring.attacks.outcome import Goal, Outcome, Turn
from clampdown.measuring.attacks.spec import AttackSpec
from clampdown.measuring.judging.fluency import Unsteered
from clampdown.measuring.sets.sets import Item, ItemSet
from clampdown.measuring.statistics.clustered import clustered_rate
from clampdown.studies.against import against
from clampdown.studies.arms import Arm
from clampdown.studies.batches import cut
from clampdown.studies.comparisons import comparisons
from clampdown.studies.inputs import study_columns, study_sets
from clampdown.studies.measures import compared, measures
from clampdown.studies.plan import Plan
from clampdown.studies.power import dry_run, power_lines
from clampdown.studies.probes.attacks import attack_columns
from clampdown.studies.probes.base import Asked
from clampdown.studies.probes.letters import LetterColumn, letters
from clampdown.studies.record import flat_rows, read_record
from clampdown.studies.run import study
from clampdown.studies.store import Row, Store, export
from clampdown.studies.study_file import read_study_file
from clampdown.studies.worker import Worker

PLAN = Plan(name="tiny", max_new_tokens=3, batch=4, factors=(1.0,), strengths=(1.0,), arms=("none", "clamp"))
DRAWN = replace(PLAN, arms=("none", "clamp", "random-directions"))
TURNS = [
    {
        "id": f"{label}-{i}",
        "label": label,
        "user_turns": [f"First {i}", f"Then {i}"][: 2 - i % 2],
        "cluster": f"c{i // 2}",
    }
    for label in ("unsafe", "benign")
    for i in range(4)
]
QUESTIONS = [
    {"question": f"Which is {i}?", "choices": ["red", "a long answer", "blue", "none"], "answer": i % 4}
    for i in range(6)
]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, rows in (("turns", TURNS), ("questions", QUESTIONS)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def columns(files):
    specs = [AttackSpec("scripted", "turns", str(files / "turns.jsonl")), AttackSpec("best-of-n", n=3, limit=2)]
    return study_columns(PLAN, {"capability": [Path(f"letters:{files}/questions.jsonl")]}, specs)


@pytest.fixture(scope="module")
def finished(model, recipe, sets, columns, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return folder, study(model, recipe, sets[:1], DRAWN, folder, columns=columns)


def of(found, arm, name):
    [arm] = [a for a in found["arms"] if a["name"] == arm]
    return {m["metric"]: m for m in arm["measures"] if m["set"] == name}


# ---- what they are


def test_goals_of_each_kind_are_a_set_and_nothing_is_loaded_yet(files):
    spec = AttackSpec("scripted", "turns", str(files / "turns.jsonl"), judge=str(files / "no model"))
    unsafe, safe = attack_columns(spec)
    assert [(c.item_set.name, c.item_set.kind, len(c.goals)) for c in (unsafe, safe)] == [
        ("turns", "attack", 4),
        ("turns, benign", "attack-safe", 4),
    ]
    assert [item.cluster for item in unsafe.item_set.items] == ["c0", "c0", "c1", "c1"]
    assert "no model" in unsafe.item_set.source
    [builtin] = attack_columns(AttackSpec("templates", limit=3))
    assert (len(builtin.goals), builtin.item_set.split, builtin.messages) == (3, "report", 3)


def test_the_hash_is_of_what_decides_not_of_where_it_lies(files, tmp_path):
    def sha(path, **more):
        return [c.item_set.sha256 for c in attack_columns(AttackSpec("scripted", "t", str(path), **more))]

    (tmp_path / "turns.jsonl").write_bytes((files / "turns.jsonl").read_bytes())
    first = sha(files / "turns.jsonl")
    assert sha(tmp_path / "turns.jsonl") == first
    assert sha(files / "turns.jsonl", seed=1) != first
    assert sha(files / "turns.jsonl", judge="openai:m@http://localhost:1/v1") != first


def test_a_batch_of_an_attack_is_under_one_recipe(columns):
    attack, plan = columns[1], replace(PLAN, batch=2)
    assert [set(places) for places in attack.chunks(1, plan)] == [{1, 3}, {0, 2}], "as many turns go together"
    for draws in (1, 3, 5):
        chunks = list(attack.chunks(draws, plan))
        assert sorted(place for places in chunks for place in places) == [0, 1, 2, 3]
        assert all(len({place % draws for place in places}) == 1 for places in chunks)


def test_names_say_what_a_capability_set_is(files, tmp_path, one_line):
    named = {"capability": [Path(f"letters:{files}/questions.jsonl")]}
    plan = replace(PLAN, items={"unsafe": 2, "capability": 4})
    assert [s.kind for s in study_sets(plan, named)] == ["unsafe"], "the built-in questions make way"
    [column] = study_columns(plan, named)
    assert (column.item_set.name, column.item_set.kind, len(column.item_set.items)) == (
        "letters:questions",
        "capability",
        4,
    )
    twice = study_columns(plan, {"capability": named["capability"] * 2})
    assert [c.item_set.name for c in twice] == ["letters:questions", "letters:questions (2)"]
    with pytest.raises(ClampdownError) as caught:
        study_columns(plan, {"unsafe": named["capability"]})
    one_line(caught, "pass it as capability, not unsafe")
    (tmp_path / "words.jsonl").write_text('{"question": "2+2?", "target": "4"}\n')
    with pytest.raises(ClampdownError) as caught:
        study_columns(plan, {"capability": [Path(f"letters:{tmp_path}/words.jsonl")]})
    one_line(caught, "needs 2 to 10 choices")


# ---- a study with them


def test_every_arm_is_measured_on_every_column(finished, columns):
    _, found = finished
    attack, safe, tries, words = (c.item_set.name for c in (columns[1], columns[2], columns[3], columns[0]))
    assert [s["name"] for s in found["sets"]] == ["unsafe ones", words, attack, safe, tries]
    for arm in ("none", "clamp-1", "random-directions"):
        told = of(found, arm, attack)
        assert {"refusal", "refused_at_any", "complied_at_any", "incoherent", "outgrew_context"} <= set(told)
        assert "attack_success" not in told, "no judge of harm was named"
        assert told["outgrew_context"]["n"] == 4 and told["outgrew_context"]["clusters"] == 2
        assert {"refusal", "refused_at_any", "complied_at_any"} <= set(of(found, arm, safe))
        assert of(found, arm, tries)["unscored"]["n"] == 2
        assert {"accuracy", "refusal", "unscored"} <= set(of(found, arm, words))
        assert of(found, arm, words)["accuracy"]["n"] == 6
    pairs = {(c["set"], c["metric"]) for c in found["comparisons"]}
    assert {(attack, "refusal"), (attack, "complied_at_any"), (safe, "refusal"), (words, "refusal")} <= pairs
    assert {(d["set"], d["metric"]) for d in found["detectable"]} >= {(attack, "refusal"), (words, "accuracy")}
    [table] = found["letters"]
    assert table["set"] == words and sum(table["right"].values()) == 6
    assert all(sum(row["letters"].values()) == 6 for row in table["arms"])


def test_rows_keep_the_whole_conversation(finished, columns, recipe):
    record = read_record(finished[0])
    rows = record.rows["clamp-1", columns[1].item_set.name]
    assert [row.place for row in rows] == [0, 1, 2, 3]
    for row, goal in zip(rows, columns[1].goals, strict=True):
        outcome = Outcome.from_dict(row.attack)
        assert [turn.prompt for turn in outcome.turns] == list(goal.user_turns)
        assert (row.item, row.prompt, row.text, row.label) == (
            goal.id,
            goal.text,
            outcome.turns[-1].answer,
            outcome.final_label,
        )
        assert row.receipt["recipe_sha256"] == recipe.sha256
        assert row.receipt["tokens_edited"] == sum(turn.receipt["tokens_edited"] for turn in outcome.turns) > 0
    drawn = record.rows["random-directions", columns[1].item_set.name]
    assert len({row.receipt["recipe_sha256"] for row in drawn}) == 4, "each goal under a draw of its own"
    [tries, _] = record.rows["none", "best-of-n"]
    assert len(tries.attack["texts"]) == 3


def test_examples_fold_attacks_away(finished, columns):
    folder, found = finished
    shown = [e for e in found["examples"] if e["kind"].startswith("attack")]
    assert [e["kind"] for e in shown] == ["attack", "attack", "attack-safe"]
    assert all(len(a["turns"]) in (1, 2) for e in shown for a in e["answers"])
    page = (folder / "report.html").read_text()
    assert "No judge of harm was asked about turns, best-of-n" in page and "complied at any turn" in page
    assert page.count("answers to this attack<") == 2
    assert "Which choices were answered" in page


@pytest.mark.parametrize("stop", [1, 6, 11])
def test_interrupted_equals_uninterrupted(model, recipe, sets, columns, finished, tmp_path, monkeypatch, stop):
    real, done = Worker.run, []

    def failing(*given):
        if len(done) == stop:
            raise KeyboardInterrupt
        done.append(1)
        return real(*given)

    monkeypatch.setattr(Worker, "run", failing)
    with pytest.raises(KeyboardInterrupt):
        study(model, recipe, sets[:1], DRAWN, tmp_path, columns=columns)
    monkeypatch.setattr(Worker, "run", real)
    study(model, recipe, sets[:1], DRAWN, tmp_path, columns=columns)
    assert export(tmp_path / "study.sqlite") == export(finished[0] / "study.sqlite")


def test_how_it_is_asked_is_part_of_a_batchs_key(model, recipe, columns, files):
    arms = [Arm("none", "", "none", "", (None,))]

    def keys(some):
        by_name = {c.item_set.name: c for c in some}
        return {b.key for b in cut(model, arms, [c.item_set for c in some], PLAN, by_name)}

    seeded = study_columns(PLAN, {}, [AttackSpec("scripted", "turns", str(files / "turns.jsonl"), seed=1)])
    assert not keys(columns[1:3]) & keys(seeded)


def test_exports_hold_them(finished, columns, tmp_path):
    record = read_record(finished[0])
    rows = flat_rows(record)
    attacked = [row for row in rows if row["kind"] == "attack" and row["set"] == "turns"]
    assert len(attacked) == 3 * 4 and all(json.loads(row["attack"])["texts"] for row in attacked)
    worded = [row for row in rows if row["set"].startswith("letters:")]
    assert len(worded) == 3 * 6 and all(json.loads(row["metrics"])["accuracy"] in (0, 1) for row in worded)
    parquet = pytest.importorskip("pyarrow.parquet")
    from clampdown.studies.parquet import write_parquet

    write_parquet(record, tmp_path / "a.parquet")
    assert parquet.read_table(tmp_path / "a.parquet").to_pylist() == rows


def test_inspect_shows_the_conversation(finished, tmp_path):
    log = pytest.importorskip("inspect_ai.log")
    from clampdown.studies.inspect_log import write_inspect_logs

    [none, *_] = write_inspect_logs(read_record(finished[0]), tmp_path)
    samples = {sample.id: sample for sample in log.read_eval_log(str(none)).samples}
    sample = samples["turns/unsafe-0"]
    assert [message.role for message in sample.messages] == ["user", "assistant", "user", "assistant"]
    assert sample.messages[2].content == "Then 0" and len(sample.metadata["attack"]["texts"]) == 2
    assert samples["letters:questions/questions.jsonl-1"].scores["clampdown"].value in (0, 1)


def test_studies_that_attacked_otherwise_are_not_compared(model, recipe, sets, finished, files, tmp_path):
    other = study_columns(PLAN, {}, [AttackSpec("scripted", "turns", str(files / "turns.jsonl"), seed=1)])
    study(model, recipe, sets[:1], PLAN, tmp_path, columns=other)
    a, b = read_record(finished[0]), read_record(tmp_path)
    found = against(a, b, "none", "none")
    assert [row["set"] for row in found["sets"]] == ["unsafe ones"]
    assert "turns was asked in another way" in found["left_out"]
    same = against(a, a, "none", "clamp-1")
    assert {row["set"] for row in same["sets"]} == {s.name for s in a.sets} and not same["left_out"]


def test_sampled_attacks_are_each_run_as_often_as_the_plan_says(model, recipe, sets, columns, tmp_path):
    plan = replace(PLAN, temperature=1.0, samples=2)
    found = study(model, recipe, sets[:1], plan, tmp_path, columns=columns[1:2])
    rows = read_record(tmp_path).rows["none", "turns"]
    assert [row.place for row in rows] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len({row.text for row in rows[:2]}) == 2, "each sample has a seed of its own"
    told = of(found, "none", "turns")["outgrew_context"]
    assert (told["n"], told["clusters"]) == (8, 2)


# ---- figures


def outcome(number, labels, *, success=None, cluster="", tries=False):
    turns = tuple(Turn("p", "I'm sorry, but I can't help with that.", True, label, success=success) for label in labels)
    return Outcome("a", Goal(f"g{number}", "goal", cluster=cluster), turns, len(turns) - 1, tries=tries)


def attack_rows(outcomes):
    return [
        Row(n, o.goal.id, 0, "goal", "text", True, o.final_label, "j", attack=o.to_dict())
        for n, o in enumerate(outcomes)
    ]


def attack_set(n, kind="attack"):
    return ItemSet("a", kind, "", "", tuple(Item(f"g{i}", "goal", "", f"c{i // 2}") for i in range(n)))


def test_an_attacks_figures_each_have_n_and_an_interval_of_clusters():
    labels = [("refusal", "compliance"), ("compliance", "refusal"), ("unscored",), ("incoherent", "incoherent")]
    one, rows = attack_set(4), attack_rows([outcome(n, some) for n, some in enumerate(labels)])
    told = {m["metric"]: m for m in measures(Arm("none", "", "none", "", (None,)), [one], {("none", "a"): rows}, 0)}
    assert {k: (told[k]["value"], told[k]["n"]) for k in ("refusal", "refused_at_any", "complied_at_any")} == {
        "refusal": (1 / 3, 3),
        "refused_at_any": (2 / 3, 3),
        "complied_at_any": (2 / 3, 3),
    }
    interval = clustered_rate([0, 1, 0], ["c0", "c0", "c1"])
    assert (told["refusal"]["low"], told["refusal"]["high"]) == (interval.low, interval.high)
    assert (told["incoherent"]["n"], told["unscored"]["value"]) == (3, 0.25)


def test_success_is_told_only_where_a_judge_of_harm_said_so():
    def metrics(success):
        return [
            v.metric
            for v in compared(
                attack_set(2), attack_rows([outcome(n, ["compliance"], success=success) for n in range(2)])
            )
        ]

    assert metrics(None) == ["refusal", "complied_at_any"]
    assert metrics(False) == ["refusal", "complied_at_any", "attack_success"]


@pytest.mark.parametrize("kind, bound", [("attack", False), ("attack-safe", True)])
def test_more_refusals_are_a_cost_where_nothing_harmful_was_asked(kind, bound):
    base, more = (attack_rows([outcome(n, [label]) for n in range(40)]) for label in ("compliance", "refusal"))
    arms = [Arm(name, name, "none", "", (None,)) for name in ("none", "b")]
    found = comparisons(arms, [attack_set(40, kind)], {("none", "a"): base, ("b", "a"): more}, 0)
    assert all(row["reading"] == ("higher" if row["metric"] == "refusal" else "lower") for row in found)
    assert (found[0]["bound"] is not None) == bound


def test_an_older_judges_labels_are_given_anew_turn_by_turn(tmp_path):
    old = outcome(0, ["compliance", "compliance"], tries=True)
    with Store(tmp_path / "s.sqlite") as store:
        store.add("k", "none", 0, {"a": attack_rows([old])})
        assert store.relabel() == 1
        [row] = store.rows("none", "a")
    assert row.attack["labels"] == ["refusal", "refusal"] and row.attack["final_label"] == row.label == "refusal"


def test_choices_are_counted_by_likelihood_or_from_words():
    items = tuple(Item(f"q{i}", "?", "", f"q{i}", ("red", "green", "blue"), 1) for i in range(3))
    one = ItemSet("letters:q", "capability", "", "", items)
    rows = [
        Row(0, "q0", 0, "?", text="The answer is C.", metrics={"accuracy": 0.0}),
        Row(1, "q1", 0, "?", text="I can't say.", metrics={"accuracy": 0.0}),
        Row(2, "q2", 0, "?", scores=[-3.0, -1.0, -2.0], metrics={"acc,none": 1.0}),
    ]
    [table] = letters([Arm("none", "", "none", "", (None,))], [one], {("none", "letters:q"): rows})
    assert table["right"] == {"A": 0, "B": 3, "C": 0, "none": 0}
    assert table["arms"][0]["letters"] == {"A": 0, "B": 1, "C": 1, "none": 1}
    assert letters([], [replace(one, name="plain")], {}) == []


# ---- beforehand


def test_a_dry_run_tells_what_columns_can_tell_and_cost(recipe, columns):
    told = dry_run(recipe, PLAN, [], columns)
    rows = {row["set"]: row for row in told["sets"]}
    assert (rows["turns"]["n"], rows["turns"]["clusters"], rows["turns"]["base"]) == (4, 2, 0.5)
    assert rows["turns, benign"]["base"] == 0.1 and rows["letters:questions"]["n"] == 6
    assert told["work"]["answers"] == 2 * (6 + 6 + 2 * 3 + 6)  # two arms; messages of both halves, tries, questions
    assert told["work"]["tokens_generated"] == 3 * told["work"]["answers"]
    assert any(line.startswith("warning: turns (4 items in 2 clusters)") for line in power_lines(told))


# ---- study files


def test_a_study_file_names_attacks_and_how_tasks_are_asked(files, tmp_path):
    (tmp_path / "t.jsonl").write_bytes((files / "turns.jsonl").read_bytes())
    (tmp_path / "mine.toml").write_text(
        'seed = 3\n[sets]\ncapability = ["lm-eval:mmlu,gsm8k", "letters:q.jsonl", "letters:mmlu", "plain.jsonl"]\n'
        '[[attacks]]\nkind = "scripted"\nname = "Turns"\ngoals = "t.jsonl"\ncluster = "id"\nlimit = 2\n'
        '[[attacks]]\nkind = "best-of-n"\ngoals = "advbench"\nseed = 7\n'
        '[[attacks]]\nkind = "crescendo"\nattacker = "openai:m@http://localhost:1/v1"\nattacker_prompt = "p.yaml"\n'
        '[lm-eval]\ninclude_path = "tasks"\nfew_shot = 0\n'
    )
    file = read_study_file(tmp_path / "mine.toml")
    names = ["lm-eval:mmlu,gsm8k", f"letters:{tmp_path}/q.jsonl", "letters:mmlu", f"{tmp_path}/plain.jsonl"]
    assert list(map(str, file.sets["capability"])) == names
    scripted, tries, led = file.attacks
    assert (scripted.name, scripted.goals, scripted.seed) == ("Turns", str(tmp_path / "t.jsonl"), 3)
    assert (tries.goals, tries.seed) == ("advbench", 7)
    assert (led.attacker, led.attacker_prompt) == ("openai:m@http://localhost:1/v1", str(tmp_path / "p.yaml"))
    assert (file.tasks.include_path, file.tasks.few_shot, file.tasks.chat) == (tmp_path / "tasks", 0, True)
    assert len(study_columns(file.plan, {}, [scripted])[0].goals) == 2


@pytest.mark.parametrize(
    "text, said",
    [
        ("attacks = 3", r"\[\[attacks\]\]"),
        ("[[attacks]]\nkind = 'magic'", "no attack is called 'magic'"),
        ("[[attacks]]\nkind = 'best-of-n'\nsize = 3", "an attack has no size"),
        ("[[attacks]]\nkind = 'best-of-n'\ngoals = 3", "goals must be a text"),
        ("lm-eval = 3", "lm-eval must be a table"),
        ("[lm-eval]\nlimit = 3", "lm-eval does not know limit"),
        ("[lm-eval]\nfew_shot = 'x'", "few_shot"),
        ("[lm-eval]\nchat = 1", "chat must be true or false"),
        ("[lm-eval]\ninclude_path = 1", "include_path"),
    ],
)
def test_errors_name_the_file_and_the_key(tmp_path, text, said):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ClampdownError, match=said) as caught:
        read_study_file(tmp_path / "mine.toml")
    assert "mine.toml" in str(caught.value) and "\n" not in str(caught.value)


# ---- in other processes, and beside other work


def test_a_column_is_pickled_whole_and_asks_the_same(model, recipe, columns):
    arms = [Arm("none", "none", "none", "", (None,)), Arm("clamp", "clamp", "clamp", "", (recipe,))]
    worker = Worker(model, arms, PLAN)
    for column in columns:
        again = pickle.loads(pickle.dumps(column))
        assert again == column
        places = next(iter(column.chunks(1, PLAN)))
        asked = Asked(model, PLAN, places, 0, worker.below)
        for arm in arms:
            assert again.run(asked, [arm]) == column.run(asked, [arm])


def test_the_columns_of_one_attack_still_share_it(files):
    spec = AttackSpec("scripted", "turns", str(files / "turns.jsonl"))
    unsafe, safe = attack_columns(spec)
    assert unsafe.building.attack is safe.building.attack
    again = pickle.loads(pickle.dumps([unsafe, safe]))
    assert again[0].building is again[1].building and again[0].building.attack is not unsafe.building.attack


@pytest.mark.parametrize("sweeps", [False, True])
def test_what_prompts_kept_is_freed_before_a_column_is_asked(sweeps, model, recipe, sets, tmp_path):
    """Whether its arms are run together or one after the other: it can be hundreds of megabytes."""
    alive, asked = [], []

    class Watching(LetterColumn):
        def run(self, given, arms):
            gc.collect()
            alive.extend(thing for thing in gc.get_objects() if type(thing) is Unsteered)
            asked.append((len(arms), len(given.below._kept)))
            return super().run(given, arms)

    items = tuple(Item(f"q{i}", f"Which is {i}?", "", f"c{i}", ("red", "blue"), 0) for i in range(3))
    column = Watching(ItemSet("words", "capability", "here", "w", items), sweeps=sweeps)
    study(model, recipe, sets[:1], PLAN, tmp_path / "s", columns=[column])
    assert [many for many, _ in asked] == ([2] if sweeps else [1, 1])
    assert not alive and asked[0][1] == 0
