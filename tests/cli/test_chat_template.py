"""`--chat-template` and `--no-thinking` as commands take them, and base models where plain text is enough."""

import json
import shutil

import pytest

from clampdown.recipe import Direction, Recipe
from clampdown.saes.files import save_sae

OWN = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}{% if enable_thinking %}<think>{% endif %}"


@pytest.fixture
def base(tiny, tmp_path):
    """The tiny model as a base model comes: without a chat template."""
    shutil.copytree(tiny.folder, tmp_path / "base", ignore=shutil.ignore_patterns("*.jinja"))
    path = tmp_path / "base" / "tokenizer_config.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "chat_template"}))
    return ["--model", tmp_path / "base", "--dtype", "float32"]


def test_a_base_model_chats_by_a_template_that_is_given(clampdown, base, tiny, tmp_path):
    Recipe("r", "base", tiny.sha256, (Direction(1, 20.0, seed=1),)).save(tmp_path / "r.toml")
    asked = ["chat", "Hi", *base, "--recipe", tmp_path / "r.toml", "--tokens", 3]
    status, _, err = clampdown(*asked)
    assert status == 2 and "no chat template" in err and "--chat-template FILE" in err
    assert len([line for line in err.splitlines() if line.startswith("clampdown: ")]) == 1
    (tmp_path / "t.jinja").write_text(OWN)
    status, out, err = clampdown(*asked, "--chat-template", tmp_path / "t.jinja", "--no-thinking")
    assert status == 0 and "steered by" in out + err, err
    status, _, err = clampdown(*asked, "--chat-template", "{{ messages[0].content }}", "--no-thinking")
    assert status == 2 and "no switch for thinking" in err


def test_an_sae_of_a_base_model_is_checked_without_a_template(clampdown, base, make_sae, tmp_path):
    save_sae(make_sae("relu"), tmp_path / "sae.safetensors")
    told = ["sae", "check", base[1], tmp_path / "sae.safetensors", *base[2:], "--json"]
    status, out, err = clampdown(*told)
    assert status in (0, 1), err
    assert "plain text, since the model has no chat template" in json.loads(out)["text"]
    (tmp_path / "page.txt").write_text("The heron stood in the reeds and watched the water.\n\n" * 20)
    assert clampdown(*told, "--text", tmp_path / "page.txt")[0] in (0, 1)
    (tmp_path / "chat.jsonl").write_text('{"prompt": "Hi", "completion": "Hello."}\n')
    status, _, err = clampdown(*told, "--text", tmp_path / "chat.jsonl")
    assert status == 2 and "--chat-template FILE" in err


def test_an_sae_is_trained_on_a_base_model_and_plain_text(clampdown, base, tmp_path):
    (tmp_path / "text.txt").write_text("The heron stood in the reeds and watched the water.\n\n" * 200)
    asked = ["train-sae", tmp_path / "text.txt", "--layer", 1, *base, "--latents", 64, "--k", 4, "--tokens", 512]
    status, _, err = clampdown(*asked, "--batch", 256, "--out", tmp_path / "sae")
    assert status == 0 and (tmp_path / "sae" / "sae.safetensors").is_file(), err


def test_lm_eval_without_its_chat_template_needs_none(base, tmp_path, one_line):
    pytest.importorskip("lm_eval")
    from clampdown.errors import ClampdownError
    from clampdown.measuring.capability.lm_eval.model import SteeredLM

    recipe = Recipe("r", "base", "", (Direction(1, 5.0, seed=1),))
    model = SteeredLM(model=str(base[1]), dtype="float32", recipe=recipe)
    with pytest.raises(ClampdownError) as caught:
        model.apply_chat_template([{"role": "user", "content": "Hi"}])
    one_line(caught, "no chat template", "--chat-template FILE")
    given = SteeredLM(model=str(base[1]), dtype="float32", chat_template=OWN, enable_thinking=False)
    assert given.apply_chat_template([{"role": "user", "content": "Hi"}]) == "[user] Hi\n"
