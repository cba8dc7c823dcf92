"""A study knows its chat template: another one is another study, and one that writes the date keeps to one."""

import json
import sqlite3
from copy import deepcopy
from dataclasses import replace
from datetime import datetime

import pytest

from clampdown.errors import ClampdownError
from clampdown.measuring.attacks.spec import AttackSpec
from clampdown.studies import rendered, run
from clampdown.studies.against import against
from clampdown.studies.arms import build_arms
from clampdown.studies.batches import cut
from clampdown.studies.plan import Plan
from clampdown.studies.probes.attacks import attack_columns
from clampdown.studies.record import read_record
from clampdown.studies.run import conclude, study
from clampdown.studies.worker import Worker

PLAN = Plan(name="tiny", max_new_tokens=3, batch=4, factors=(1.0,), strengths=(1.0,), arms=("none", "clamp"))
SAID = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}{{ '<assistant>' if add_generation_prompt }}"
DATED = "Today is {{ strftime_now('%d %B %Y') }}.\n" + SAID
FIRST, NEXT = datetime(2031, 3, 9, 23, 50), datetime(2031, 3, 10, 0, 10)


def with_template(model, text, **special):
    """The model with another template, and perhaps other special tokens."""
    tokenizer = deepcopy(model.tokenizer)
    tokenizer.chat_template = text
    for name, value in special.items():
        setattr(tokenizer, name, value)
    return replace(model, tokenizer=tokenizer)


@pytest.fixture
def clock(monkeypatch):
    """Sets what the study takes for the present."""

    def at(moment):
        fixed = type("Fixed", (datetime,), {"now": classmethod(lambda _cls, tz=None: moment)})
        monkeypatch.setattr(run, "datetime", fixed)

    return at


def seen_by(monkeypatch, model):
    """All prompts that batches are answered to, as text, in order."""
    prompts, real = [], Worker._surprise

    def noting(self, batch, rows, answers, labels):
        prompts.extend(model.tokenizer.decode(row) for row in rows)
        return real(self, batch, rows, answers, labels)

    monkeypatch.setattr(Worker, "_surprise", noting)
    return prompts


# ---- telling templates apart


@pytest.mark.parametrize("other", [SAID + " ", SAID.replace("<assistant>", "<helper>"), DATED])
def test_an_edited_template_is_another_study(model, recipe, sets, tmp_path, other):
    study(with_template(model, SAID), recipe, sets[:1], PLAN, tmp_path)
    study(with_template(model, SAID), recipe, sets[:1], PLAN, tmp_path)
    with pytest.raises(ClampdownError, match="another chat template"):
        study(with_template(model, other), recipe, sets[:1], PLAN, tmp_path)


def test_special_tokens_that_a_template_is_given_are_part_of_it(model):
    plain = with_template(model, "{{ bos_token }}" + SAID)
    other = with_template(model, "{{ bos_token }}" + SAID, bos_token="<|endoftext|>")
    assert rendered.template_fingerprint(plain) != rendered.template_fingerprint(other)


def test_batches_are_keyed_by_the_tokens_asked_and_attacks_by_the_template(model, recipe, sets):
    columns = {c.item_set.name: c for c in attack_columns(AttackSpec("past-tense", limit=2))}
    asked = [*sets[:1], *(c.item_set for c in columns.values())]

    def keys(one):
        return {batch.key for batch in cut(one, build_arms(one, recipe, PLAN), asked, PLAN, columns)}

    first = keys(with_template(model, SAID))
    assert keys(with_template(model, SAID)) == first
    assert not keys(with_template(model, SAID.replace("<assistant>", "<helper>"))) & first
    dated = with_template(model, DATED)
    assert keys(dated.at(FIRST)) == keys(dated.at(FIRST))
    assert not keys(dated.at(FIRST)) & keys(dated.at(NEXT)), "another date is another prompt"


def test_other_tokens_for_the_same_words_are_another_study(model, recipe, sets, tmp_path, monkeypatch):
    study(model, recipe, sets[:1], PLAN, tmp_path)
    other = with_template(model, model.tokenizer.chat_template)
    real = type(other).ids
    monkeypatch.setattr(type(other), "ids", lambda self, text: real(self, text.replace("please", "pl ease")))
    with pytest.raises(ClampdownError, match="another tokenization"):
        study(other, recipe, sets[:1], PLAN, tmp_path)


def test_another_end_of_answers_is_another_study(model, recipe, sets, tmp_path, monkeypatch):
    study(model, recipe, sets[:1], PLAN, tmp_path)
    monkeypatch.setattr(model.hf.generation_config, "eos_token_id", [0, 7])
    with pytest.raises(ClampdownError, match="another end of answers"):
        study(replace(model), recipe, sets[:1], PLAN, tmp_path)


# ---- dates


def test_a_dated_study_goes_on_tomorrow_with_the_date_of_its_start(model, recipe, sets, tmp_path, clock, monkeypatch):
    dated = with_template(model, DATED)
    prompts, real, done = seen_by(monkeypatch, dated), Worker.run, []

    def failing(*given):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return real(*given)

    clock(FIRST)
    monkeypatch.setattr(Worker, "run", failing)
    with pytest.raises(KeyboardInterrupt):
        study(dated, recipe, sets[:2], PLAN, tmp_path / "a")
    monkeypatch.setattr(Worker, "run", real)
    clock(NEXT)
    found = study(with_template(model, DATED), recipe, sets[:2], PLAN, tmp_path / "a")
    assert len(prompts) == 2 * 14 and all(prompt.startswith("Today is 09 March 2031.\n") for prompt in prompts)
    assert found["template"]["moment"] == FIRST.isoformat()
    told = {part["name"]: part["text"] for part in found["methods"]}
    assert "2031-03-09" in told["Date in the prompts"]
    assert "2031-03-09" in (tmp_path / "a" / "report.html").read_text()
    assert json.loads((tmp_path / "a" / "results.json").read_text())["template"] == found["template"]


def test_the_same_dated_study_has_one_folder_on_all_days(model, recipe, sets, clock, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    folders = []
    for moment in (FIRST, NEXT):
        clock(moment)
        folders.append(study(with_template(model, DATED), recipe, sets[:1], PLAN)["report"])
    assert folders[0] == folders[1]


def test_a_template_without_a_date_is_not_said_to_have_one(model, recipe, sets, tmp_path):
    found = study(with_template(model, SAID), recipe, sets[:1], PLAN, tmp_path)
    assert found["template"]["moment"] is None
    assert "Date in the prompts" not in {part["name"] for part in found["methods"]}


def test_a_template_that_draws_at_random_is_refused(model, recipe, sets, tmp_path, one_line):
    for text in ("{{ ['a', 'b'] | random }}", "{{ lipsum(n=1) }}", "{{ [['a']] | map('random') | first }}"):
        with pytest.raises(ClampdownError) as caught:
            study(with_template(model, text + SAID), recipe, sets[:1], PLAN, tmp_path)
        one_line(caught, "draws at random")
    rendered.check_steady(with_template(model, "A random helper, lipsum.\n" + SAID))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "{{ strftime_now('%d %b %Y, %H:%M:%S, %j, 100%%, %%d') }}",
        "\n{%- set day = strftime_now(format='%Y-%m-%d') -%}\n  [{{ day }}]",
        "{% macro said() %}{{ strftime_now('%A') }}{% endmacro %}{{ said() }}",
        "{% if strftime_now is defined %}{{ strftime_now('%Y') | int + 1 }}{% else %}26 Jul 2024{% endif %}",
        "{% set way = '%B' %}{{ strftime_now(way ~ ' ' ~ '%y') }}",
    ],
)
def test_a_stopped_clock_tells_what_a_running_one_would(model, text, monkeypatch):
    from transformers.utils import chat_template_utils

    fixed = type("Fixed", (datetime,), {"now": classmethod(lambda _cls, tz=None: FIRST)})
    monkeypatch.setattr(chat_template_utils, "datetime", fixed)
    messages = [{"role": "user", "content": "Well?"}]
    dated = with_template(model, text + SAID)
    running = dated.render(messages)
    monkeypatch.undo()
    assert dated.at(FIRST).render(messages) == running != dated.at(datetime(1999, 7, 2)).render(messages)


def test_a_stopped_clock_leaves_the_model_and_other_templates_as_they_were(model):
    dated = with_template(model, DATED)
    still = dated.at(FIRST)
    assert still.hf is dated.hf and dated.tokenizer.chat_template == DATED and still.stop_ids == dated.stop_ids
    assert model.at(FIRST) is model


# ---- two studies, and old ones


def test_a_comparison_says_that_templates_or_dates_differ(model, recipe, sets, tmp_path, clock):
    for name, text, moment in (("a", DATED, FIRST), ("b", DATED, NEXT), ("c", SAID, NEXT)):
        clock(moment)
        study(with_template(model, text), recipe, sets[:1], PLAN, tmp_path / name)
    a, b, c = (read_record(tmp_path / name) for name in "abc")
    assert any(
        "2031-03-09 in one and 2031-03-10 in the other" in note for note in against(a, b, "none", "none")["notes"]
    )
    assert any("chat templates differ" in note for note in against(b, c, "none", "none")["notes"])
    assert not against(a, a, "none", "none")["notes"]


def as_kept_before(path):
    """Take out of a database what an older Clampdown did not keep: it told no template from another."""
    with sqlite3.connect(path) as db:
        [(text,)] = db.execute("SELECT value FROM meta WHERE key = 'identity'")
        identity = json.loads(text)
        for key in ("chat template", "tokenization", "end of answers"):
            del identity[key]
        db.execute("UPDATE meta SET value = ? WHERE key = 'identity'", (json.dumps(identity),))
        db.execute("DELETE FROM meta WHERE key = 'template'")
    db.close()


def test_an_older_study_can_not_go_on_but_its_report_can_be_written(model, recipe, sets, tmp_path, one_line):
    new = study(model, recipe, sets, PLAN, tmp_path / "new")
    study(model, recipe, sets, PLAN, tmp_path / "old")
    as_kept_before(tmp_path / "old" / "study.sqlite")
    with pytest.raises(ClampdownError) as caught:
        study(model, recipe, sets, PLAN, tmp_path / "old")
    one_line(caught, "older Clampdown", "chat template", "can't go on", "clampdown report")
    (tmp_path / "old" / "report.html").unlink()
    again = conclude(read_record(tmp_path / "old"))
    assert again["template"] is None and (tmp_path / "old" / "report.html").is_file()
    assert [arm["measures"] for arm in again["arms"]] == [arm["measures"] for arm in new["arms"]]
    old = read_record(tmp_path / "old")
    notes = against(old, read_record(tmp_path / "new"), "none", "none")["notes"]
    assert any("did not keep the chat template of old" in note for note in notes)


def test_no_arm_goes_on_with_another_prompt(model, recipe, sets, tmp_path):
    study(model, recipe, sets[:1], PLAN, tmp_path)
    with sqlite3.connect(tmp_path / "study.sqlite") as db:
        [(key,)] = db.execute("SELECT key FROM batch LIMIT 1")
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute("UPDATE batch SET key = 'of other prompts' WHERE key = ?", (key,))
        db.execute("UPDATE row SET batch = 'of other prompts' WHERE batch = ?", (key,))
    db.close()
    with pytest.raises(ClampdownError, match="other prompts than would be asked now"):
        study(model, recipe, sets[:1], PLAN, tmp_path)
