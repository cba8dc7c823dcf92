"""Chat templates: given by hand, missing, and switched to answer without thoughts."""

import json
import os
import shutil

import pytest

from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.library import load
from clampdown.models.chat_model import load_chat_model
from clampdown.models.thinking import closing, switch
from clampdown.recipe import Direction, Recipe
from clampdown.steering.self_test import self_test

CHAT = [{"role": "user", "content": "Hi"}]
OWN = (
    "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[answer]{% endif %}"
)


def templated(extra=""):
    """ChatML with something of its own at the end of a prompt."""
    return (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n" + extra + "{% endif %}"
    )


@pytest.fixture
def base(tiny, tmp_path):
    """A folder without a chat template, as base models' are."""
    shutil.copytree(tiny.folder, tmp_path / "base", ignore=shutil.ignore_patterns("*.jinja"))
    path = tmp_path / "base" / "tokenizer_config.json"
    told = json.loads(path.read_text())
    told.pop("chat_template", None)
    path.write_text(json.dumps(told))
    return str(tmp_path / "base")


def refused(one_line, *words, **how):
    with pytest.raises(ClampdownError) as caught:
        load_chat_model(**{"dtype": "float32", **how})
    one_line(caught, *words)


def test_a_template_is_given_by_file_by_text_or_in_json(base, tmp_path):
    (tmp_path / "t.jinja").write_text(OWN)
    (tmp_path / "t.json").write_text(json.dumps({"chat_template": OWN}))
    for given in (tmp_path / "t.jinja", str(tmp_path / "t.jinja"), tmp_path / "t.json", OWN):
        model = load_chat_model(base, dtype="float32", chat_template=given)
        assert model.render(CHAT) == "[user] Hi\n[answer]"


def test_a_template_that_is_given_goes_before_the_models_own(tiny):
    assert load_chat_model(str(tiny.folder), dtype="float32", chat_template=OWN).render(CHAT).startswith("[user] Hi")


@pytest.mark.parametrize(
    "text, words",
    [
        ("{% for m in messages %}{{ m.content }}", ("fails on a plain request",)),
        ("{{ raise_exception('no') }}", ("fails on a plain request", "no")),
        ("{{ raise_exception('Not so.') }}", ("Not so; mend it",)),
        ("Hello. {{ bos_token }}", ("leaves out what the user says",)),
        ("", ("is empty",)),
    ],
)
def test_a_template_that_is_none_is_refused(text, words, base, tmp_path, one_line):
    (tmp_path / "t.jinja").write_text(text)
    refused(one_line, str(tmp_path / "t.jinja"), *words, name=base, chat_template=tmp_path / "t.jinja")


def test_a_template_that_is_not_there_is_refused(base, tmp_path, one_line):
    refused(one_line, "no chat template none.jinja", "Jinja file", name=base, chat_template="none.jinja")
    refused(one_line, "can't read", name=base, chat_template=str(tmp_path))
    (tmp_path / "t.json").write_text('{"model_max_length": 5}')
    refused(one_line, "can't read", name=base, chat_template=tmp_path / "t.json")
    (tmp_path / "page.jinja").write_text("<!DOCTYPE html>\n<html>Sign in</html>")
    refused(one_line, "page.jinja", "a web page", name=base, chat_template=tmp_path / "page.jinja")
    os.mkfifo(tmp_path / "pipe")  # which nobody writes to: opened, it would wait for ever
    refused(one_line, "can't read", "it is a pipe", name=base, chat_template=tmp_path / "pipe")
    (tmp_path / "t.json").write_text("[" * 100_000)
    refused(one_line, "can't read", name=base, chat_template=tmp_path / "t.json")
    (tmp_path / "t.jinja").write_bytes(b"\xff\xfe\x00")
    refused(one_line, "can't read", name=base, chat_template=tmp_path / "t.jinja")


def test_a_base_model_is_refused_before_its_weights_are_read_where_a_chat_is_sure(base, one_line, monkeypatch):
    monkeypatch.setattr("clampdown.models.loading._weights", lambda *a: pytest.fail("weights were read"))
    refused(one_line, base, "no chat template", "--chat-template FILE", "chat_template=", name=base)


def test_a_base_model_is_steered_on_plain_text(base, one_line):
    model = load(base, dtype="float32")
    recipe = Recipe("r", "base", model.chat.sha256, (Direction(1, 20.0, seed=1),))
    self_test(model.chat, recipe)
    ids = model.chat.ids("The heron stood")
    steered, plain = generate(model.chat, [ids, ids], [recipe, None], Sampling(4))
    assert steered.receipt.tokens_edited > 3 and steered.ids != plain.ids
    with pytest.raises(ClampdownError) as caught:
        model.generate("Hi")
    one_line(caught, "no chat template", "--chat-template FILE")


SWITCHED = {
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}": {
        "enable_thinking": False
    },
    "{% if thinking %}<think>{% else %}</think>{% endif %}": {"thinking": False},
    "{% if reasoning %}<|START_THINKING|>{% endif %}": {"reasoning": False},
    "{% if reasoning_effort == 'none' %}[no]{% endif %}": {"reasoning_effort": "none"},
    "{{ reasoning_effort or 'medium' }}": {},
    "{# enable_thinking #}{{ 'thinking' }} of thinking": {},
    "": {},
}


@pytest.mark.parametrize("extra", SWITCHED)
def test_the_switch_is_found_by_the_name_that_the_template_uses(extra):
    assert switch(templated(extra)) == SWITCHED[extra]


def test_thoughts_are_switched_off_as_the_template_can(tiny):
    extra = next(iter(SWITCHED))
    model = load_chat_model(str(tiny.folder), dtype="float32", chat_template=templated(extra), thinking=False)
    assert model.template_options == {"enable_thinking": False}
    assert model.render(CHAT).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n") and not model.opens_thought


@pytest.mark.parametrize(
    "opened, closed",
    [
        ("<think>\n", "<think>\n\n</think>\n\n"),
        ("<think>", "<think>\n\n</think>\n\n"),
        ("[THINK]", "[THINK]\n\n[/THINK]\n\n"),
        ("<seed:think>", "<seed:think>\n\n</seed:think>\n\n"),
        ("<|START_THINKING|>", "<|START_THINKING|>\n\n<|END_THINKING|>\n\n"),
        ("<|inner_prefix|>", "<|inner_prefix|>\n\n<|inner_suffix|>\n\n"),
        ("<longcat_think>\n", "<longcat_think>\n\n</longcat_think>\n\n"),
    ],
)
def test_a_thought_that_the_template_opens_is_closed(opened, closed, tiny):
    """As DeepSeek R1's and QwQ's templates do, which know no switch."""
    assert opened + closing(f"x {opened}") == closed
    given = {"chat_template": templated(opened) + "\n", "dtype": "float32"}
    thinks = load_chat_model(str(tiny.folder), **given)
    assert thinks.opens_thought
    model = load_chat_model(str(tiny.folder), thinking=False, **given)
    assert model.render(CHAT).endswith(f"<|im_start|>assistant\n{closed}") and not model.opens_thought
    assert model.render(CHAT, answer=False) == thinks.render(CHAT, answer=False)
    assert model.said(model.ids("Sure."), model.prompt_ids("Hi")) == "Sure."


def test_the_bundled_model_goes_by_its_name_not_by_its_folder(one_line):
    """Nor is anybody told to delete that for a mistyped option."""
    name = "smollm2-135m-instruct"
    refused(one_line, f"model {name}'s chat template", name=name, thinking=False)
    refused(one_line, f"could not load model {name}: unknown device map 'x'", name=name, device_map="x")


@pytest.mark.parametrize(
    "extra, words",
    [
        ("", ("no switch for thinking",)),
        ("{{ reasoning_effort or 'medium' }}", ("reasoning_effort", "more tokens")),
        ("{% if '/no_think' in messages[0].content %}{% endif %}", ("/no_think", "system prompt")),
    ],
)
def test_a_template_without_a_switch_says_so(extra, words, tiny, one_line):
    how = {"chat_template": templated(extra), "thinking": False}
    refused(one_line, *words, "leave --no-thinking out", name=str(tiny.folder), **how)
