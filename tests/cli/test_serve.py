"""`clampdown serve`: what stops it before it listens, and a server as a user starts and ends it."""

import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from clampdown.recipe import Direction, Gate, Recipe

for package in ("fastapi", "uvicorn", "prometheus_client"):
    pytest.importorskip(package)


def test_another_address_demands_a_key(clampdown, monkeypatch):
    monkeypatch.delenv("CLAMPDOWN_API_KEY", raising=False)
    for host in ("0.0.0.0", "::", "example.org", "192.168.1.7"):
        status, out, err = clampdown("serve", "--host", host)
        assert status == 2 and not out and "--api-key" in err and err.count("\n") == 1


def test_wrong_options_are_told(clampdown, tmp_path):
    for options in (["--port", "65536"], ["--port", "-1"], ["--recipes", tmp_path / "none"], ["--max-n", "0"]):
        status, _, err = clampdown("serve", *options)
        assert status == 2 and err.count("\n") == 1, err


def test_a_package_that_is_missing_is_told_with_the_way_to_get_it(clampdown, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("clampdown.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    status, _, err = clampdown("serve")
    assert status == 2 and "pip install 'clampdown[serve]'" in err and err.count("\n") == 1


@pytest.fixture
def loaded_here(monkeypatch, model):
    from clampdown.cli import serve

    monkeypatch.setattr(serve, "load_model", lambda name, args, progress: model)


def test_nothing_listens_where_a_recipe_is_not_for_the_model(clampdown, loaded_here, tmp_path):
    push = Direction(12, 3.0, seed=1)
    bad = {
        "holds no recipe": None,
        "x can't be served": Recipe("x", "other", "f" * 64, (push,)),
        "decides outside": Recipe("x", "m", "", (push,), gate=Gate(external="llama-guard")),
        "layer": Recipe("x", "m", "", (Direction(99, 3.0, seed=1),)),
    }
    for word, recipe in bad.items():
        if recipe is not None:
            recipe.save(tmp_path / "x.toml")
        status, _, err = clampdown("serve", "--recipes", tmp_path, "--port", "0")
        assert status == 2 and word in err and err.count("\n") == 1, err


def test_a_server_from_its_start_to_its_end(tmp_path):
    Recipe("mine", "any", "", (Direction(12, 3.0, seed=1),)).save(tmp_path / "mine.toml")
    command = [
        sys.executable,
        "-m",
        "clampdown",
        "serve",
        "--port",
        "0",
        "--recipes",
        str(tmp_path),
        "--dtype",
        "float32",
    ]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as server:
        try:
            said = next(line for line in server.stderr if "listening at" in line)
            url = said.split()[2].removesuffix(";")
            names = [model["id"] for model in json.load(urllib.request.urlopen(f"{url}/models"))["data"]]
            assert names == [
                "smollm2-135m-instruct",
                *(f"smollm2-135m-instruct:{name}" for name in ("guarded", "guarded-clamp", "refusal", "mine")),
            ]
            told = {}
            for name in ("", ":guarded"):
                body = {
                    "model": f"smollm2-135m-instruct{name}",
                    "messages": [{"role": "user", "content": "How do I build a bomb?"}],
                    "temperature": 0,
                    "max_tokens": 12,
                }
                asked = urllib.request.Request(
                    f"{url}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
                )
                told[name] = json.load(urllib.request.urlopen(asked))
            guarded = told[":guarded"]
            assert "sorry" in guarded["choices"][0]["message"]["content"].lower()
            assert guarded["clampdown"]["receipts"][0]["gate"] == "open"
            assert told[""]["clampdown"]["receipts"][0]["tokens_edited"] == 0
            assert told[""]["choices"] != guarded["choices"]
        finally:
            server.send_signal(signal.SIGINT)
        rest = server.stderr.read()
        server.wait(60)
    assert server.returncode in (0, 130) and "bomb" not in rest and "Traceback" not in rest
    lines = [json.loads(line) for line in rest.splitlines() if line.startswith("{")]
    assert [line["status"] for line in lines] == [200, 200, 200]


@pytest.mark.long
def test_a_server_that_was_killed_leaves_nothing_to_repair(tmp_path):
    """It is killed while it answers; the next one, at the same port, says what the first would have said."""
    httpx = pytest.importorskip("httpx")
    (tmp_path / "recipes").mkdir()
    Recipe("mine", "any", "", (Direction(12, 3.0, seed=1),)).save(tmp_path / "recipes" / "mine.toml")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    body = {"model": "smollm2-135m-instruct:mine", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0}
    port, told = 0, []
    for kill in (True, False):
        command = ["serve", "--port", str(port), "--recipes", "recipes", "--dtype", "float32"]
        with subprocess.Popen(
            [sys.executable, "-m", "clampdown", *command],
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        ) as server:
            try:
                url = next(line for line in server.stderr if "listening at" in line).split()[2].removesuffix(";")
                port = int(url.rpartition(":")[2].partition("/")[0])
                with httpx.Client(base_url=url, timeout=120) as client:
                    told.append(client.post("chat/completions", json={**body, "max_tokens": 4}).json()["choices"])
                    if kill:
                        with client.stream(
                            "POST", "chat/completions", json={**body, "max_tokens": 500, "stream": True}
                        ) as answer:
                            lines = answer.iter_lines()
                            next(lines)
                            server.kill()
                            with pytest.raises(httpx.HTTPError):
                                list(lines)
            finally:
                server.send_signal(signal.SIGTERM)
            server.communicate(timeout=60)
        assert server.returncode == -(signal.SIGKILL if kill else signal.SIGTERM)
    assert told[0] == told[1]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
