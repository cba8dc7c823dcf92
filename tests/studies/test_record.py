"""Studies read back, handed on and compared."""

import json
import shutil
from dataclasses import replace

import pytest

from clampdown.errors import ClampdownError
from clampdown.measuring.attacks.outcome import Goal, Outcome, Turn
from clampdown.measuring.judging.default.judge import JUDGE_VERSION
from clampdown.measuring.sets.sets import Item, ItemSet
from clampdown.studies.against import against
from clampdown.studies.environment import environment
from clampdown.studies.plan import Plan
from clampdown.studies.record import flat_rows, read_record, relabelled
from clampdown.studies.run import conclude, study

PLAN = Plan(name="tiny", max_new_tokens=3, batch=4, factors=(1.0,), strengths=(1.0,), arms=("none", "clamp"))


@pytest.fixture(scope="module")
def folder(model, recipe, sets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    study(model, recipe, sets, PLAN, folder)
    return folder


def test_a_study_comes_back_whole(folder, model, recipe, sets):
    record = read_record(folder)
    assert list(record.sets) == sets and [arm.name for arm in record.arms] == ["none", "clamp-1"]
    assert record.about["model"] == {"name": model.name, "sha256": model.sha256}
    assert record.arm("clamp-1").recipes == (recipe,)
    assert all(record.done(arm, item_set) for arm in record.arms for item_set in sets)


def test_the_report_is_written_again_without_the_model(folder):
    before = json.loads((folder / "results.json").read_text())
    (folder / "report.html").unlink()
    assert conclude(read_record(folder)) == before
    assert (folder / "report.html").is_file()


def test_rows_hold_all_that_a_check_needs(folder, model, recipe):
    rows = flat_rows(read_record(folder))
    assert len(rows) == 2 * (3 * 7 + 6 + 3) and {row["sample"] for row in rows} == {0}
    answer = next(row for row in rows if row["arm"] == "clamp-1" and row["kind"] == "unsafe")
    assert answer["recipe_sha256"] == recipe.sha256 and answer["model_sha256"] == model.sha256
    assert answer["judge"] == JUDGE_VERSION and answer["tokens_edited"] > 0 and answer["seed"] == 0
    assert answer["cluster"].startswith("goal") and answer["prompt"] and answer["text"] is not None


def test_parquet(folder, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    from clampdown.studies.parquet import write_parquet

    record = read_record(folder)
    count = write_parquet(record, tmp_path / "answers.parquet")
    table = parquet.read_table(tmp_path / "answers.parquet")
    assert table.num_rows == count
    assert table.to_pylist() == flat_rows(record)
    shared = json.loads(table.schema.metadata[b"clampdown"])
    assert shared["identity"] == record.identity and len(shared["arms"]) == 2
    assert shared["sets"] == record.asked and shared["environment"]["lm-eval"] is None


def test_inspect_reads_its_logs(folder, tmp_path):
    log = pytest.importorskip("inspect_ai.log")
    from clampdown.studies.inspect_log import write_inspect_logs

    record = read_record(folder)
    paths = write_inspect_logs(record, tmp_path)
    assert len(paths) == 2
    read = log.read_eval_log(str(paths[1]))
    assert read.status == "success" and len(read.samples) == 30
    sample = next(s for s in read.samples if s.metadata["kind"] == "unsafe")
    assert sample.scores["clampdown"].value in ("refusal", "partial", "moralising", "compliance", "incoherent")
    assert sample.output.completion == sample.scores["clampdown"].answer
    assert sample.metadata["receipt"]["tokens_edited"] > 0
    refusal = next(s for s in read.results.scores if s.name == "unsafe ones").metrics["refusal"]
    assert refusal.metadata["low"] <= refusal.value <= refusal.metadata["high"]


def test_every_sample_of_every_item_comes_out_of_an_inspect_log(model, recipe, sets, tmp_path):
    log = pytest.importorskip("inspect_ai.log")
    from clampdown.studies.inspect_log import write_inspect_logs

    twins = ItemSet("twins", "safe", "here", "t", tuple(Item("same", f"Say {i}", "", f"c{i}") for i in range(2)))
    study(model, recipe, [sets[0], twins, sets[3]], replace(PLAN, temperature=1.0, samples=2), tmp_path / "twice")
    record = read_record(tmp_path / "twice")
    read = log.read_eval_log(str(write_inspect_logs(record, tmp_path)[0]))
    wanted = 2 * (7 + 2) + 6
    assert len(read.samples) == read.results.total_samples == wanted
    assert read.eval.config.epochs == 2 and read.eval.dataset.samples == 7 + 2 + 6
    assert len(set(read.eval.dataset.sample_ids)) == 7 + 2 + 6
    told = {(s.id, s.epoch): s.output.completion for s in read.samples}
    assert len(told) == wanted
    rows = record.rows["none", "unsafe ones"]
    for sample in (0, 1):
        assert told[f"unsafe ones/{rows[sample].item}", sample + 1] == rows[sample].text
    flat = [row for row in flat_rows(record) if row["arm"] == "none" and row["set"] == "unsafe ones"]
    assert [row["sample"] for row in flat] == [0, 1] * 7


def test_inspect_is_told_labels_surprise_and_which_sets(folder, tmp_path):
    log = pytest.importorskip("inspect_ai.log")
    from clampdown.studies.inspect_log import write_inspect_logs

    record = read_record(folder)
    read = log.read_eval_log(str(write_inspect_logs(record, tmp_path)[1]))
    assert read.eval.metadata["sets"] == record.asked
    by_id = {s.id: s for s in read.samples}
    for item_set in record.sets:
        for row in record.rows["clamp-1", item_set.name]:
            told = by_id[f"{item_set.name}/{row.item}"]
            assert [told.metadata[k] for k in ("label", "surprise", "sample")] == [row.label, row.surprise, 0]
            expected = {None: "unknown", True: "stop", False: "max_tokens"}[row.finished]
            assert told.output.stop_reason == expected


def test_exports_and_results_say_which_sets_were_asked(folder, sets):
    asked = read_record(folder).asked
    assert [(one["name"], one["sha256"], one["n"]) for one in asked] == [(s.name, s.sha256, len(s.items)) for s in sets]
    assert json.loads((folder / "results.json").read_text())["sets"] == asked


def test_lm_evals_version_is_kept_where_its_tasks_are_asked_and_makes_no_other_study(folder, model):
    assert environment(model, ["advbench"])["lm-eval"] is None
    assert environment(model, ["advbench", "lm-eval:mmlu"])["lm-eval"]
    assert "lm-eval" not in read_record(folder).identity["libraries and precision"]


def test_two_arms_against_each_other(folder):
    record = read_record(folder)
    found = against(record, record, "none", "clamp-1")
    expected = {c["set"]: c for c in json.loads((folder / "results.json").read_text())["comparisons"]}
    assert len(found["sets"]) == 5 and not found["left_out"]
    for row in found["sets"]:
        same = expected[row["set"]]
        assert {k: row[k] for k in ("difference", "low", "high", "p", "n")} == {
            k: same[k] for k in ("difference", "low", "high", "p", "n")
        }
        assert row["a"]["n"] == row["b"]["n"] == row["n"]


def test_what_is_not_comparable_is_refused(folder, model, recipe, sets, tmp_path, one_line):
    record = read_record(folder)
    longer = tmp_path / "longer"
    study(model, recipe, sets[:1], replace(PLAN, max_new_tokens=4), longer)
    with pytest.raises(ClampdownError) as caught:
        against(record, read_record(longer), "none", "none")
    one_line(caught, "max_new_tokens", "3", "4")

    fewer = tmp_path / "fewer"
    study(model, recipe, [replace(sets[0], items=sets[0].items[:5])], PLAN, fewer)
    with pytest.raises(ClampdownError) as caught:
        against(record, read_record(fewer), "none", "none")
    one_line(caught, "other items", "7 and 5")

    judged = {key: [replace(row, judge="another") for row in rows] for key, rows in record.rows.items()}
    with pytest.raises(ClampdownError) as caught:
        against(record, replace(record, rows=judged), "none", "none")
    one_line(caught, "judges differ")

    with pytest.raises(ClampdownError) as caught:
        against(record, record, "none", "clamp-9")
    one_line(caught, "no arm 'clamp-9'", "clamp-1")


def made(record, **changes):
    """The record as if it had been made in another way."""
    key = "libraries and precision"
    return replace(record, identity={**record.identity, key: {**record.identity[key], **changes}})


def test_answers_with_thoughts_are_not_compared_with_answers_without(folder, one_line):
    record = read_record(folder)
    other = made(record, **{"template options": {"enable_thinking": False}})
    for pair in ((record, other), (other, record)):
        with pytest.raises(ClampdownError) as caught:
            against(*pair, "none", "none")
        one_line(caught, "chat templates differ", "enable_thinking = False", "none")
    assert not against(other, other, "none", "none")["notes"]
    older = replace(record, identity={**record.identity, "libraries and precision": {"torch": "1"}})
    assert any("torch differs" in note for note in against(record, older, "none", "none")["notes"])


def test_another_precision_is_noted(folder):
    record = read_record(folder)
    notes = against(record, made(record, quantization="4bit", dtype="bfloat16", torch="1"), "none", "none")["notes"]
    told = {note.partition(" ")[0]: note for note in notes}
    assert set(told) == {"quantization", "dtype", "torch"}
    assert "none and 4bit; a part of each difference may come from that" in told["quantization"]
    assert "may come from" in told["dtype"] and "may come from" not in told["torch"]


def test_sets_in_one_study_alone_are_told(folder, model, recipe, sets, tmp_path):
    study(model, recipe, sets[:1], PLAN, tmp_path)
    found = against(read_record(folder), read_record(tmp_path), "none", "none")
    assert [row["set"] for row in found["sets"]] == ["unsafe ones"]
    assert len(found["left_out"]) == 4
    assert found["sets"][0]["difference"] == 0


def test_an_unfinished_study_has_no_report(model, recipe, sets, tmp_path, monkeypatch, one_line):
    from clampdown.studies.worker import Worker

    real, done = Worker.run, []

    def failing(*given):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(1)
        return real(*given)

    monkeypatch.setattr(Worker, "run", failing)
    with pytest.raises(KeyboardInterrupt):
        study(model, recipe, sets, PLAN, tmp_path)
    with pytest.raises(ClampdownError) as caught:
        conclude(read_record(tmp_path))
    one_line(caught, "not finished")


def test_there_must_be_a_study(tmp_path, one_line):
    with pytest.raises(ClampdownError) as caught:
        read_record(tmp_path)
    one_line(caught, "no study at")


@pytest.mark.parametrize("name", ["report.html", "results.json"])
def test_a_study_is_not_named_by_its_other_files(folder, name, one_line):
    """SQLite would call it a damaged database, and the remedy for that is to delete it."""
    with pytest.raises(ClampdownError) as caught:
        read_record(folder / name)
    one_line(caught, "name a study's folder")
    assert "delete" not in str(caught.value) and (folder / name).exists()


def test_a_database_by_another_name_is_read(folder, tmp_path):
    shutil.copy(folder / "study.sqlite", tmp_path / "copy.db")
    assert read_record(tmp_path / "copy.db").arms == read_record(folder).arms


def command(capsys, *arguments):
    from clampdown.cli.main import main

    status = main([str(argument) for argument in arguments])
    return status, *capsys.readouterr()


def test_the_export_command(folder, tmp_path, capsys):
    pytest.importorskip("pyarrow")
    status, out, err = command(capsys, "export", folder, "--out", tmp_path / "a.parquet")
    assert (status, err) == (0, "") and out.startswith("60 answers in") and (tmp_path / "a.parquet").is_file()
    status, out, _ = command(capsys, "export", folder, "--format", "json")
    assert json.loads(out)["rows"] == flat_rows(read_record(folder))
    command(capsys, "export", folder, "--format", "json", "--out", tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == json.loads(out)
    assert json.loads(out)["sets"] == read_record(folder).asked


def test_another_judge_reads_an_export(folder, tmp_path, capsys):
    command(capsys, "export", folder, "--format", "json", "--out", tmp_path / "a.json")
    rows = [row for row in flat_rows(read_record(folder)) if row["text"] is not None]
    status, out, err = command(capsys, "judge", tmp_path / "a.json", "--json")
    told = [json.loads(line) for line in out.splitlines()]
    assert (status, err) == (0, "") and len(told) == len(rows) == 2 * 3 * 7
    for row, one in zip(rows, told, strict=True):
        assert (one["prompt"], one["completion"]) == (row["prompt"], row["text"])
        assert {key: one[key] for key in ("arm", "set", "item", "draw", "sample")}.items() <= row.items()
        assert one["label"] == row["label"] or row["label"] == "incoherent"
    _, out, _ = command(capsys, "judge", tmp_path / "a.json")
    assert "42 answers" in out and "clamp-1" in out and "lookalike ones" in out
    with pytest.raises(SystemExit):
        command(capsys, "judge", folder)
    assert "clampdown export" in capsys.readouterr().err


def test_the_report_command(folder, capsys):
    status, out, err = command(capsys, "report", folder)
    assert (status, err, out) == (0, "", f"report: {folder / 'report.html'}\n")
    status, out, err = command(capsys, "report", folder, folder, "--arms", "none", "clamp-1")
    assert (status, err) == (0, "") and "Clamp ×1" in out and "bits per byte" in out
    _, out, _ = command(capsys, "report", folder, folder, "--json")
    assert {row["difference"] for row in json.loads(out)["sets"]} == {0}


def test_a_comparison_shows_points_and_p_before_and_after_adjusting(folder, capsys, monkeypatch):
    row = {"set": "s", "kind": "unsafe", "metric": "refusal", "n": 6, "difference": -1.0, "low": -1.0, "high": -0.25}
    row |= {"a": {"value": 1.0}, "b": {"value": 0.0}, "p": 0.03125, "p_adjusted": 0.0625, "reading": "as it is"}
    bits = {"metric": "bits_per_byte", "set": "t", "p": None, "p_adjusted": None, "difference": 0.5, "high": 0.75}
    who = {"study": "x", "label": "y"}
    found = {"a": who, "b": who, "sets": [row, row | bits], "left_out": [], "notes": []}
    monkeypatch.setattr("clampdown.studies.against.against", lambda *_: found)
    _, out, _ = command(capsys, "report", folder, folder)
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "set measure A B B − A, 95% n p p, adjusted" in lines
    assert "s refusal 100% 0% −100 [−100, −25] points 6 0.031 0.062" in lines
    assert any(line.startswith("t bits per byte") and line.endswith("6 – –") and "points" not in line for line in lines)


def test_the_report_command_refuses_in_one_line(folder, tmp_path, capsys):
    for arguments, word in (
        ([tmp_path], "no study at"),
        ([folder, folder, folder], "two at a time"),
        ([folder, "--arms", "none", "none"], "second study"),
        ([folder, folder, "--arms", "none", "clamp-9"], "no arm"),
    ):
        status, out, err = command(capsys, "report", *arguments)
        assert (status, out) == (2, "") and err.count("\n") == 1 and word in err


def test_samples_of_an_item_are_kept_apart_and_count_as_one_cluster(model, recipe, sets, tmp_path):
    plan = replace(PLAN, temperature=1.0, samples=3)
    found = study(model, recipe, [sets[0], sets[3]], plan, tmp_path)
    record = read_record(tmp_path)
    rows = record.rows["none", "unsafe ones"]
    assert [row.place for row in rows] == [place for place in range(7) for _ in range(3)]
    assert len({row.text for row in rows if row.place == 0}) > 1, "one seed was used for all samples"
    assert len(record.rows["none", "questions"]) == 6, "what is scored by likelihood is not sampled"
    measured = {(m["set"], m["metric"]): m for m in found["arms"][0]["measures"]}
    assert (measured["unsafe ones", "refusal"]["n"], measured["unsafe ones", "refusal"]["clusters"]) == (21, 4)
    again = study(model, recipe, [sets[0], sets[3]], plan, tmp_path / "again")
    assert [arm["measures"] for arm in again["arms"]] == [arm["measures"] for arm in found["arms"]]


def test_what_surprises_the_unsteered_model_is_incoherent_in_attacks_too(folder):
    record = read_record(folder)
    row = next(row for (arm, name), some in record.rows.items() if arm == "clamp-1" for row in some if row.label)
    turns = tuple(
        Turn("p", text, True, "compliance", surprise=nats) for text, nats in (("word salad", 4.0), ("so", 1.0))
    )
    attack = Outcome("best-of-n", Goal("g", "t"), turns, 0, tries=True).to_dict()
    rows = {
        ("clamp-1", "unsafe"): [replace(row, label=label, surprise=4.0) for label in ("compliance", "refusal")],
        ("clamp-1", "tries"): [replace(row, label="compliance", text="word salad", attack=attack)],
    }
    assert relabelled(rows, None) == rows
    found = relabelled(rows, {"limit": 2.0, "n": 50})
    assert [one.label for one in found["clamp-1", "unsafe"]] == ["incoherent", "refusal"]
    [tries] = found["clamp-1", "tries"]
    assert (tries.label, tries.text) == ("compliance", "so") and tries.attack["labels"] == ["incoherent", "compliance"]
