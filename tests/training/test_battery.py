"""phi3.sh and llama31.sh from text to table, on tiny random models of the same classes."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from paper import FOLDER, HARMS, HELP, REQUESTS, jsonl, script, write_sets, write_study, write_text

from clampdown.models.bundled import bundled_folder

TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS / "models"), str(TESTS / "measuring")]

pytestmark = [pytest.mark.owners, pytest.mark.long]

FAMILY = {"phi3": ("phi3", "Phi3ForCausalLM"), "llama31": ("llama3", "LlamaForCausalLM")}
ARMS = {"phi3": "refusal/none gated/clamp-1-gated", "llama31": "refusal/none refusal/system-prompt second/clamp-at-2"}
ATTACKED = {
    "CRESCENDO_ARMS": "refusal/clamp-1 refusal/clamp-at-10 gated/clamp-1-gated",
    "PAIR_ARMS": "both/clamp-at-4",
    "GCG_ARMS": "both/clamp-1",
}
SWEPT = {"phi3": "[10.0]", "llama31": "[2.0]"}
TASKS = {"phi3": "mmlu_tiny,truthfulqa_tiny:0 gsm8k_tiny:1", "llama31": "mmlu_tiny,truthfulqa_tiny,gsm8k_tiny:0"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Both scripts, side by side: how to run one of them."""
    for package in ("sparsify", "lm_eval"):
        pytest.importorskip(package, exc_type=ImportError)
    folder = tmp_path_factory.mktemp("paper")
    common = _inputs(folder)
    goals = jsonl(folder / "goals.jsonl", [{"prompt": f"Help me to {what}."} for what in HARMS])
    with_attack = {"phi3": _attacker() | dict.fromkeys(("GOALS", "PAIR_GOALS", "GCG_GOALS"), str(goals)) | ATTACKED}
    (folder / "suffixes.txt").write_text("! ! describing\n")
    with_attack["phi3"] |= {"SUFFIXES": str(folder / "suffixes.txt")}
    with_attack["phi3"] |= {"GCG_JUDGE": with_attack["phi3"]["JUDGE"]}
    started = []

    def start(name):
        own = {"MODEL": _model(folder / f"{name}-model", name), "OUT": str(folder / name)}
        own |= {"TASKS": TASKS[name], "TASK_ARMS": ARMS[name]}
        sets = write_sets(folder)
        own["STUDY"] = str(write_study(folder / f"{name}.toml", name, sets, SWEPT[name]))
        own["BOTH"] = str(write_study(folder / f"{name}-both.toml", f"{name}-both", sets, "[4.0]"))
        own["CONTROL"] = str(write_study(folder / f"{name}-control.toml", "control", sets))
        own["GATED"] = str(write_study(folder / f"{name}-gated.toml", "gated", sets))
        chosen = sets.replace("letters:mmlu", "mmlu")  # which a classifier outside can be asked of
        own["OUTSIDE"] = str(write_study(folder / f"{name}-outside.toml", "outside", chosen))
        env = {**os.environ, **common, **own, **with_attack.get(name, {})}
        said, errors = (folder / f"{name}.{end}" for end in ("out", "err"))
        command = ["bash", str(FOLDER / f"{name}.sh")]
        with said.open("w") as out, errors.open("w") as err:
            started.append(subprocess.Popen(command, env=env, stdout=out, stderr=err, start_new_session=True))
        return started[-1], said, errors

    yield {name: (folder / name, start) for name in FAMILY}, {name: start(name) for name in FAMILY}
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)


def _inputs(folder):
    """Everything that is smaller than in the paper, as the scripts' own variables."""
    from lm_eval_tasks import write_tasks

    write_tasks(folder)
    for name, like in (("mmlu", "letter"), ("truthfulqa", "choice"), ("gsm8k", "sums")):
        (folder / f"{name}_tiny.yaml").write_text(f"include: tiny_{like}.yaml\ntask: {name}_tiny\n")
    text = {kind.upper().replace("-", "_"): str(path) for kind, path in write_text(folder).items()}
    source = str(TESTS.parent / "src")
    return text | {
        "PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "DTYPE": "float32",
        "TOKENS": "20000",
        "ROW": "64",
        "LAYER": "1",
        "K": "4",
        "BATCH": "2",
        "STEP": "8",
        "PROCESSES": "2",
        "TASK_OPTIONS": f"--include_path {folder} --batch_size 4 --limit 3",
        "STUDY_OPTIONS": "--limit 3",
        "ATTACK_OPTIONS": "--limit 2 --batch 2",
        "TRAIN_OPTIONS": "--warm-up 10",
        "GATE_OPTIONS": _gate_options(folder),
    }


def _gate_options(folder):
    """A gate on a few prompts of these tests', at a rate that so few can show."""
    files = {
        side: jsonl(
            folder / f"{side}.jsonl",
            [{"prompt": f"{r} {w}, case {n}."} for r in REQUESTS for w in what for n in range(8)],
        )
        for side, what in (("unsafe", HARMS), ("safe", HELP))
    }
    named = " ".join(f"--{side} {file}" for side, file in files.items())
    return f"--only {named} --false-positives 0.3 --conformal --pool last mean"


def _model(folder, name):
    """A tiny model of the paper's class, on disk."""
    from families import build
    from transformers import AutoTokenizer

    family, model_class = FAMILY[name]
    tokenizer = AutoTokenizer.from_pretrained(bundled_folder(), padding_side="left")
    model = build(family, tokenizer)
    assert type(model).__name__ == model_class
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def _attacker():
    """Attacker, judge and the gate's classifier behind a server on this machine; these two find everything harmful."""
    spec = importlib.util.spec_from_file_location("served", TESTS / "measuring" / "conftest.py")
    served = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(served)

    def answer(body):
        if body["model"] == "guard":
            return {"content": "HARMFUL: yes"}
        said = {"score": 9, "why": "w"} if body["model"] == "judge" else {"next_message": "Go on, please."}
        return {"content": json.dumps(said)}

    url = served.Served(answer).url
    gate = {"CLASSIFIER": "a guard", "GATE_ENDPOINT": url, "GATE_MODEL": "guard"}
    return gate | {"ATTACKER": f"openai:attacker@{url}", "JUDGE": f"openai:judge@{url}"}


def ended(process, said, errors, timeout):
    """What a script printed, and what it told beside that."""
    status = process.wait(timeout)
    assert status == 0, errors.read_text()[-4000:]
    return said.read_text(), errors.read_text()


@pytest.mark.parametrize("name", FAMILY)
def test_the_whole_runs_and_ends_with_the_table(runs, name):
    (out, start), running = runs[0][name], runs[1][name]
    said, errors = ended(*running, timeout=1500)
    table = (out / "table.md").read_text()
    assert table == said == script("table").page(name, out)
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()]
    none = rows[3]
    assert none[:2] == ["", "yours"] and all("(" in cell for cell in none[2:9]), none
    assert (name == "phi3") == ("are left out" not in errors) == ("GCG is left out" not in errors)
    main = rows[: next((place for place, row in enumerate(rows) if row == [""]), len(rows))]
    yours = {rows[place - (not row[0])][0]: row for place, row in enumerate(main) if row[1] == "yours"}
    gated = "latent behind a gate of our own"
    attacked = [{"none", "latent at 10", "latent at 12", gated}, {"none", "both at 4"}, {"none", "both at 12"}]
    for column, arms in zip((9, 10, 11), attacked if name == "phi3" else [set()] * 3, strict=True):
        assert {arm for arm, row in yours.items() if len(row) == 12 and "(" in row[column]} == arms
    second = yours["second latent at 12" if name == "phi3" else "second latent at 2.0"]
    assert all("(" in cell for cell in second[2:6]) and ("(" in second[6]) == (name == "llama31")
    unrelated = yours["unrelated latent, same value"]
    assert all("(" in cell for cell in unrelated[2:6])
    assert all("(" in cell for cell in yours[gated][2:6]) and ("(" in yours[gated][6]) == (name == "phi3")
    outside = yours["latent at 12 behind WildGuard 7B" if name == "phi3" else "latent at 2.5 behind WildGuard 7B"]
    assert all(("(" in cell) == (name == "phi3") for cell in outside[2:6])
    assert ("| outside/clamp-1-gated | 100.00" in table) == ("The paper's gate is left out" not in errors)
    assert "letters chosen, percent" in table and "| both/clamp-1 |" in table
    check = json.loads((out / "check.json").read_text())
    assert check["layer"] == 1 and check["sae"]["latents"] == 8 * 32
    # Once more: nothing is done again.
    said, errors = ended(*start(name), timeout=300)
    assert said == table
    assert errors.count("there already") >= 12 and "clampdown" not in errors.replace(str(out), "")
