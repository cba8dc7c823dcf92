"""Whatever is altered in a study's database, commands and a study that goes on end with one line."""

import json
import sqlite3

import pytest

from clampdown.cli.main import main
from clampdown.errors import ClampdownError
from clampdown.measuring.attacks.spec import AttackSpec
from clampdown.studies.damage import parsed
from clampdown.studies.plan import Plan
from clampdown.studies.probes.attacks import attack_columns
from clampdown.studies.run import study

PLAN = Plan(name="tiny", max_new_tokens=3, batch=8, factors=(1.0,), strengths=(1.0,), arms=("none", "clamp"))
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture(scope="module")
def asked(model, recipe, sets):
    columns = attack_columns(AttackSpec("past-tense", limit=2))
    return lambda folder: study(model, recipe, sets, PLAN, folder, columns=columns)


@pytest.fixture(scope="module")
def whole(asked, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    asked(folder)
    return (folder / "study.sqlite").read_bytes()


@pytest.fixture
def altered(whole, tmp_path):
    """A copy of the database with one cell changed."""

    def change(command, *values):
        (tmp_path / "study.sqlite").write_bytes(whole)
        with sqlite3.connect(tmp_path / "study.sqlite") as db:
            assert db.execute(command, values).rowcount > 0
        db.close()
        return tmp_path

    return change


def commands(folder):
    out = folder / "out"
    yield ["report", folder]
    yield ["report", folder, folder]
    yield ["export", folder, "--format", "json", "--out", out / "a.json"]


def check_one_line(folder, capsys, asked, *words):
    """Every command, and the study itself, says one line; at least one does."""
    refused = 0
    for arguments in commands(folder):
        status = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert status in (0, 2) and err.count("\n") == (status == 2), err
        if status == 2:
            refused += 1
            assert out == "" and all(word in err for word in words), err
    said = going_on(asked, folder)
    assert "\n" not in said
    assert refused or said, "what was altered is read as if it were sound"


def going_on(asked, folder):
    """What a study says that can't go on; empty where it does."""
    try:
        asked(folder)
    except ClampdownError as error:
        return str(error)
    return ""


META = ("identity", "arms", "sets", "plan", "recipe", "model", "environment", "created", "template")


@pytest.mark.parametrize("key", META)
@pytest.mark.parametrize("text", ["", "{", '"x"', "7", "[7]", '{"name": NaN}', DEEP, "1" * 5000, "x\ud7ff"[:1]])
def test_a_fact_that_is_none(altered, asked, capsys, key, text):
    if key == "created" and text == '"x"':
        pytest.skip("a text as good as any")
    folder = altered("UPDATE meta SET value = ? WHERE key = ?", text, key)
    check_one_line(folder, capsys, asked, "study.sqlite")


@pytest.mark.parametrize("where", ["receipt", "scores", "attack"])
@pytest.mark.parametrize("text", ["{", '"x"', "[[]]", '{"tokens_seen": "many"}', "[NaN, 1, 2, 3]", "[1e999]", DEEP])
def test_json_of_a_row_that_is_none(altered, asked, capsys, where, text):
    folder = altered(f"UPDATE row SET {where} = ? WHERE {where} IS NOT NULL", text)
    check_one_line(folder, capsys, asked, "study.sqlite", "damaged")


@pytest.mark.parametrize(
    "change",
    [
        "place = 1000",
        "place = -1",
        "draw = 9",
        "draw = 'x'",
        "item = 'another'",
        "text = x'ff00'",
        "text = NULL",
        "label = 5",
        "nats = 'x'",
        "bytes = 1.5",
        "surprise = 9e999",
        "attack = NULL",
        "scores = NULL",
        "judge = 'older', text = NULL",
    ],
)
def test_a_cell_of_the_wrong_kind(altered, asked, capsys, change):
    folder = altered(f"UPDATE OR IGNORE row SET {change} WHERE 1")
    check_one_line(folder, capsys, asked, "study.sqlite")


@pytest.mark.parametrize("path", ["$.final", "$.texts[0].label", "$.texts[0].receipt", "$.kind", "$.texts"])
def test_a_part_of_an_attack_that_is_none(altered, asked, capsys, path):
    folder = altered("UPDATE row SET attack = json_set(attack, ?, 77) WHERE attack IS NOT NULL", path)
    check_one_line(folder, capsys, asked, "damaged")


@pytest.mark.parametrize("name", ["../../out", "", "clamp-1", "/etc/x", "none\n"])
def test_an_arm_does_not_write_where_it_likes(altered, asked, capsys, name):
    folder = altered("UPDATE meta SET value = json_set(value, '$[0].name', ?) WHERE key = 'arms'", name)
    check_one_line(folder, capsys, asked, "damaged")
    assert {path.name for path in folder.iterdir()} <= {"study.sqlite", "results.json", "report.html"}


def test_lone_surrogates_are_no_reason_to_fail(altered, capsys):
    """A set may hold them; no file of text can."""
    folder = altered("UPDATE meta SET value = replace(value, 'please', '\\ud800') WHERE key = 'sets'")
    for arguments in commands(folder):
        assert main([str(a) for a in arguments]) == 0, capsys.readouterr().err


def test_json_as_plain_data():
    assert parsed('{"a": [1, "\\ud800", null]}') == {"a": [1, "?", None]}
    for text in ("[NaN]", "[-Infinity]", "[" * 80 + "]" * 80):
        with pytest.raises((ValueError, RecursionError)):
            parsed(text)


@pytest.mark.parametrize("body", [DEEP, "[" * 300 + "]" * 300, "NaN", "9" * 5000, '{"a": 1}', "7", '"x"'])
def test_results_that_are_damaged(tmp_path, capsys, body):
    (tmp_path / "results.json").write_text('{"schema": "clampdown-study/1", "arms": ' + body + "}")
    for more in ([], ["--json"]):
        if more and body in ('{"a": 1}', "7", '"x"'):
            continue  # printed as they are
        assert main(["show", str(tmp_path), *more]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and "damaged" in err


def test_rows_that_lack_keys_are_read_as_far_as_they_go(tmp_path, capsys):
    body = {"schema": "clampdown-rows/1", "rows": [{"prompt": "x", "text": "Yes."}, {"prompt": "x"}]}
    (tmp_path / "a.json").write_text(json.dumps(body))
    assert main(["judge", str(tmp_path / "a.json"), "--json"]) == 0
    assert capsys.readouterr().out.count("\n") == 1
