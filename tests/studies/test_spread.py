"""Studies on Ray's workers: what they give is what one process gives, also where workers are killed meanwhile."""

import os
import signal
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "steering"))

from gates import part, written

from clampdown import library
from clampdown.cli.main import main
from clampdown.engine.cluster import Cluster, _begin
from clampdown.engine.tasks import Task, Tasks
from clampdown.engine.workers import pool
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import load_chat_model
from clampdown.studies.plan import Plan
from clampdown.studies.run import study
from clampdown.studies.store import export

if find_spec("ray"):
    import ray
needs_ray = pytest.mark.skipif(not find_spec("ray"), reason="needs Ray (tests/optional.txt)")

PLAN = Plan(
    name="spread", max_new_tokens=3, batch=4, arms=("none", "clamp", "random-latents", "system-prompt", "fixed-refusal")
)
CLUSTER = Cluster(workers=2)


@pytest.fixture(scope="module")
def loaded(model):
    """The tiny model as a worker would load it."""
    model.tokenizer.save_pretrained(model.folder)
    return load_chat_model(str(model.folder), dtype="float32")


@pytest.fixture(scope="module")
def gated(recipe, loaded, sets, tmp_path_factory):
    asked = [loaded.prompt_ids(item.text) for item in sets[0].items]
    path = tmp_path_factory.mktemp("gate") / "gate.safetensors"
    named = replace(recipe, model=loaded.name, model_sha256=loaded.sha256)
    return replace(named, gate=written(path, loaded, [part(2, pool="mean")], asked))


@pytest.fixture(scope="module")
def alone(loaded, gated, sets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    return folder, study(loaded, gated, sets, PLAN, folder)


@pytest.fixture(scope="module")
def cluster():
    os.environ.setdefault("RAY_worker_niceness", "0")  # else whatever runs beside a test goes first
    _begin(ray, CLUSTER)
    yield CLUSTER
    ray.shutdown()


def same(found, wanted) -> bool:
    """Whether two exports hold the same: all but fractions exactly, and these to 1e-6."""
    if isinstance(wanted, float) and isinstance(found, float):
        return found == pytest.approx(wanted, abs=1e-6)
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(same(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return found == wanted and type(found) is type(wanted)


@needs_ray
def test_two_workers_give_what_one_process_gives(loaded, gated, sets, alone, cluster, tmp_path):
    told, early = [], []
    found = study(
        loaded, gated, sets, PLAN, tmp_path, lambda *step: told.append(step), first_report=early.append, cluster=cluster
    )
    folder, wanted = alone
    assert same(export(tmp_path / "study.sqlite"), export(folder / "study.sqlite"))
    assert [arm["measures"] for arm in found["arms"]] == [arm["measures"] for arm in wanted["arms"]]
    steps = [step for step in told if step[0] == "study"]
    assert sum(done for _, done, _, _ in steps) == steps[0][2] > 0
    assert len(early) == 1 and early[0]["missing"]


@needs_ray
def test_killed_workers_lose_nothing_of_a_study_that_one_process_began(loaded, gated, sets, alone, cluster, tmp_path):
    def stop(stage, done, total, remark):
        if stage == "study" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(loaded, gated, sets, PLAN, tmp_path, stop)
    killed: set[int] = set()
    steps = [0]

    def kill(stage, done, total, remark):
        steps[0] += stage == "study" and done > 0
        for pid in workers_of_mine() if steps[0] in (3, 9) and len(killed) < steps[0] // 3 else ():
            if pid not in killed:
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)
                break

    study(loaded, gated, sets, PLAN, tmp_path, kill, cluster=cluster)
    assert len(killed) >= 2
    assert same(export(tmp_path / "study.sqlite"), export(alone[0] / "study.sqlite"))


class Errand:
    """Tasks that say their number, fail, or end their worker; pickled by value, since workers lack this file."""

    def __init__(self, facts="same"):
        self.told = facts

    def facts(self, model):
        import os

        return {"process": os.getpid() if self.told == "differ" else 0}

    def begin(self, model):
        def do(given):
            import os

            if given == "fail":
                raise ValueError("this went wrong\nat some place")
            if given == "die":
                os.kill(os.getpid(), 9)
            if given == "refuse":
                from clampdown.errors import ClampdownError

                raise ClampdownError("the model is not what it seems")
            return given, model.name

        return do


def run(model, cluster, *given, errand=None):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    tasks = Tasks(Task(n, f"task {n}", lambda told=told: told) for n, told in enumerate(given))
    with pool(replace(cluster, workers=1), model, errand or Errand()) as some:
        return {task.number: found for task, found, _ in some.results(tasks)}


@needs_ray
@pytest.mark.parametrize(
    "given, words",
    [
        ("fail", ("task 1", "ValueError", "this went wrong", "kept")),
        ("refuse", ("the model is not what it seems",)),
        ("die", ("3 workers were lost", "task 1", "memory", "kept")),
    ],
)
def test_what_goes_wrong_in_a_worker_is_told_in_one_line(loaded, cluster, one_line, given, words):
    with pytest.raises(ClampdownError) as caught:
        run(loaded, cluster, "a", given)
    one_line(caught, *words)


@needs_ray
def test_workers_that_are_not_like_this_machine_are_refused(loaded, cluster, one_line):
    with pytest.raises(ClampdownError) as caught:
        run(loaded, cluster, "a", errand=Errand("differ"))
    one_line(caught, "another process", "same packages")
    with pytest.raises(ClampdownError) as caught:
        run(replace(loaded, loaded_by={"name": "/no/such/model"}), cluster, "a")
    one_line(caught, "/no/such/model")


def test_without_ray_one_line_says_so(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["study", "--ray"]) == 2
    said = capsys.readouterr().err.strip()
    assert "clampdown[ray]" in said and "\n" not in said


@pytest.mark.parametrize(
    "arguments, words",
    [(["--ray", "mine.toml"], "write the file before --ray"), (["--ray-workers", "2"], "add --ray")],
)
def test_options_that_do_not_fit_are_told(arguments, words, capsys):
    assert main(["study", *arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert words in said and "\n" not in said


def test_in_python_the_same_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClampdownError, match="give ray"):
        library.study(ray_workers=2)
    with pytest.raises(ClampdownError, match=r"clampdown\[ray\]"):
        library.study(ray="")
    with pytest.raises(ClampdownError, match="ray must be"):
        library.study(ray=8)


def workers_of_mine() -> list[int]:
    """Processes of Ray's workers that hold a model, below this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (
                folder.joinpath("cmdline").read_bytes().startswith(b"ray::Holder")
                and _above(_above(int(folder.name))) == os.getpid()
            ):
                found.append(int(folder.name))
        except OSError:
            continue
    return sorted(found)


def _above(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
