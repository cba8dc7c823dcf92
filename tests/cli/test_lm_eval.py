"""`clampdown lm-eval`: lm-eval's own options, results that say what was steered, one line where something is off."""

import json
import logging
import sys
from pathlib import Path

import pytest

from clampdown.recipe import Direction, Positions, Recipe

pytest.importorskip("lm_eval", exc_type=ImportError)
sys.path.append(str(Path(__file__).parent.parent / "measuring"))

from lm_eval_tasks import write_tasks

CAPABILITY = Path(__file__).resolve().parents[3] / "shared" / "data" / "capability"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, tiny):
    path = tmp_path_factory.mktemp("recipe") / "R.toml"
    Recipe("steered", str(tiny.folder), tiny.sha256, (Direction(1, 20.0, seed=1),)).save(path)
    return path


@pytest.fixture
def lm_eval(clampdown, folder, tiny, monkeypatch):
    """The command on the tiny model, one of its tasks folder's tasks named."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    # lm-eval logs to the standard error of its first run, which pytest closes.
    monkeypatch.setattr("lm_eval.utils._LOGGING_CONFIGURED", False)
    monkeypatch.setattr(logging.getLogger("lm_eval"), "handlers", [])

    def run(*arguments, tasks="tiny_choice", model=tiny.folder):
        named = ["--dtype", "float32", *(["--model", model] if model else [])]
        return clampdown("lm-eval", *named, "--tasks", tasks, "--include_path", folder, *arguments)

    return run


def one_line(err):
    lines = [line for line in err.splitlines() if line.startswith("clampdown: ")]
    return len(lines) == 1 and err.rstrip().endswith(lines[0])


def saved(out):
    [path] = out.rglob("results_*.json")
    return json.loads(path.read_text())


def test_results_say_what_was_steered(lm_eval, recipe, tmp_path, tiny):
    """Multiple choice, generation and text at once, in the chat template, with examples; options of lm-eval's own."""
    tasks = "tiny_choice,tiny_sums,tiny_text"
    options = ["--apply_chat_template", "--num_fewshot", "1", "--batch_size", "2", "--device", "cpu"]
    options += ["--gen_kwargs", "max_gen_toks=3", "--limit", "2", "--log_samples", "--output_path", tmp_path]
    template = tmp_path / "thinking.jinja"
    template.write_text(tiny.tokenizer.chat_template + "{% if enable_thinking %}<think>{% endif %}")
    options += ["--chat-template", template, "--no-thinking"]
    status, out, err = lm_eval("--recipe", recipe, *options, tasks=tasks, model=None)
    assert status == 0, err
    assert "tiny_choice" in out and "exact_match" in out
    results = saved(tmp_path)
    facts, loaded = results["config"]["clampdown"], results["config"]["model_args"]
    assert (loaded["dtype"], loaded["enable_thinking"]) == ("float32", False)
    assert facts["recipe_sha256"] == Recipe.load(recipe).sha256 and facts["model_sha256"] == tiny.sha256
    assert 0 < facts["tokens_edited"] < facts["tokens_seen"]
    assert facts["relative_norm"] > 0 and facts["path"] == "direction" and facts["device"] == "cpu"
    assert set(facts["versions"]) == {"clampdown", "lm_eval", "torch", "transformers"}
    assert results["n-samples"]["tiny_text"]["effective"] == 2
    [samples] = tmp_path.rglob("samples_tiny_sums_*.jsonl")
    assert len(samples.read_text().splitlines()) == 2


def test_without_a_recipe_the_scores_are_those_of_lm_evals_own_model(lm_eval, tmp_path, tiny, folder):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    assert lm_eval("--batch_size", "2", "--output_path", tmp_path, tasks="tiny_choice,tiny_letter")[0] == 0
    ours = saved(tmp_path)
    assert ours["config"]["clampdown"]["recipe"] is None
    theirs = simple_evaluate(
        "hf",
        model_args={"pretrained": str(tiny.folder), "dtype": "float32"},
        tasks=["tiny_choice", "tiny_letter"],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        batch_size=2,
        device="cpu",
    )
    for name, metrics in theirs["results"].items():
        assert {k: v for k, v in ours["results"][name].items() if k in metrics} == {
            k: v for k, v in metrics.items() if k in ours["results"][name]
        }


def test_nothing_steered_is_an_error_and_writes_nothing(lm_eval, tmp_path, tiny):
    path, out = tmp_path / "R.toml", tmp_path / "out"
    Recipe("r", "tiny", "", (Direction(1, 1.0, seed=1),), Positions("generated")).save(path)
    status, _, err = lm_eval("--recipe", path, "--output_path", out, tasks="tiny_letter")
    assert status == 2 and one_line(err) and "edited none" in err
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--frob"], "lm-eval: unrecognized arguments: --frob; `lm-eval run --help`"),
        (["--limit", "many"], "--limit"),
        (["--tasks", "no_such_task"], "knows no task no_such_task; see `lm-eval ls tasks`"),
        (["--num_fewshot", "1", "--use_cache", "cache", "--recipe", "R"], "--use_cache"),
        (["--recipe", "nowhere.toml"], "no file nowhere.toml"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_the_user_can_mend_is_one_line_and_exit_code_2(lm_eval, recipe, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    status, _, err = lm_eval(*(recipe if a == "R" else a for a in arguments))
    assert status == 2
    assert one_line(err), err
    assert said in err


def test_no_options_at_all(clampdown):
    status, out, err = clampdown("lm-eval")
    assert (status, out) == (2, "") and one_line(err) and "--tasks" in err


@pytest.mark.skipif(not CAPABILITY.is_dir(), reason="the development data is not at hand")
def test_public_data_in_local_task_files(lm_eval, recipe, tmp_path):
    tasks = {
        "arc_challenge_train": "output_type: multiple_choice\ndoc_to_choice: '{{choices}}'\ndoc_to_target: answer\n",
        "truthfulqa_mc": "output_type: multiple_choice\ndoc_to_choice: '{{mc1_targets|list}}'\ndoc_to_target: 0\n",
        "gsm8k_test": "output_type: generate_until\ndoc_to_target: '{{final}}'\ngeneration_kwargs: {max_gen_toks: 4}\n",
    }
    for file, body in tasks.items():
        data = f"data_files: {{test: {CAPABILITY / file}.jsonl}}, cache_dir: {tmp_path / 'cache'}"
        head = f"task: our_{file}\ndataset_path: json\ndataset_kwargs: {{{data}}}\ntest_split: test\n"
        (tmp_path / f"{file}.yaml").write_text(head + "doc_to_text: '{{question}}'\n" + body)
    options = ["--limit", "3", "--batch_size", "3", "--output_path", tmp_path / "out", "--apply_chat_template"]
    names = ",".join(f"our_{file}" for file in tasks)
    status, _, err = lm_eval("--recipe", recipe, "--include_path", tmp_path, *options, tasks=names)
    assert status == 0, err
    results = saved(tmp_path / "out")
    assert results["config"]["clampdown"]["tokens_edited"] > 0
    assert {f"our_{file}" for file in tasks} <= set(results["results"])
