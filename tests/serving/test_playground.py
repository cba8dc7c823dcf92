"""The page and what it asks of the API: served whole, under a strict policy, with nothing from elsewhere."""

import re
from dataclasses import replace
from importlib.resources import files

import pytest
from served import chat, listening, serving

from clampdown.recipe import Clamp, Direction, Gate, Recipe
from clampdown.recipe.bundled import bundled_path
from clampdown.studies import charts

PARTS = {path.name: path.read_text() for path in (files("clampdown") / "serving" / "playground").iterdir()}


def test_every_part_is_served_under_a_strict_policy(http):
    addresses = {f"/playground/{name}": text for name, text in PARTS.items()}
    for address, text in (addresses | {"/": PARTS["index.html"], "/docs": PARTS["docs.html"]}).items():
        told = http.get(address)
        assert told.status_code == 200 and told.text == text, address
        policy = told.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert set(re.findall(r"(?:script|style|connect|img)-src ([^;]*)", policy)) == {"'self'"}
        assert told.headers["x-content-type-options"] == "nosniff"
        kind = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
        assert told.headers["content-type"].startswith(kind[(address if "." in address else "x.html").split(".")[-1]])
    for missing in ("none.js", "..%2Fapp.py", "%2e%2e/app.py"):
        assert http.get(f"/playground/{missing}").status_code == 404


def test_nothing_comes_from_elsewhere_and_nothing_is_written_inline():
    for name, text in PARTS.items():
        assert set(re.findall(r"https?://[^\s\"'`)]*", text)) <= {"http://www.w3.org/2000/svg"}, name
        assert not re.search(r"\beval\(|innerHTML|outerHTML|insertAdjacentHTML|document\.write|cssText", text), name
        for wanted in re.findall(r"(?:from|import) \"\./([\w.]+)\"|playground/([\w.]+)\"", text):
            assert "".join(wanted) in PARTS, (name, wanted)
    for page in ("index.html", "docs.html"):
        assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)", PARTS[page])


def test_the_page_speaks_the_public_api_alone(http):
    described = set(http.get("/openapi.json").json()["paths"])
    asked = {path for text in PARTS.values() for path in re.findall(r"[\"'`](v1/[\w/]+)", text)}
    assert asked == {"v1/models", "v1/chat/completions", "v1/clampdown/activations", "v1/clampdown/recipes",
                     "v1/clampdown/recipes/", "v1/clampdown/frontier"}  # fmt: skip
    assert {f"/{path}" for path in asked if not path.endswith("/")} <= described


def test_the_page_needs_no_key_and_the_api_does(shelf):
    httpx = pytest.importorskip("httpx")
    with listening(serving(shelf), key="sesame") as (url, _), httpx.Client(base_url=url) as client:
        for address in ("/", "/docs", "/playground/main.js"):
            assert client.get(address).status_code == 200
        for address in ("/v1/clampdown/frontier", "/v1/clampdown/recipes/tiny:clamp", "/openapi.json", "/playground"):
            assert client.get(address).status_code == 401, address


@pytest.mark.parametrize("name", ["clamp", "push", "gated", "spoken"])
def test_a_recipe_told_whole_may_be_sent_back(name, http, recipes):
    whole = http.get(f"/v1/clampdown/recipes/tiny:{name}").json()
    assert whole["sha256"] == recipes[name].sha256 and "/" not in repr(whole["recipe"])
    by_name = http.post("/v1/chat/completions", json=chat(f"tiny:{name}")).json()
    inline = http.post("/v1/chat/completions", json=chat("tiny", clampdown={"recipe": whole["recipe"]})).json()
    assert inline["choices"] == by_name["choices"]
    assert inline["clampdown"]["receipts"][0]["tokens_edited"] == by_name["clampdown"]["receipts"][0]["tokens_edited"]


def test_a_recipe_told_whole_says_what_its_gate_and_latents_are(http, recipes, tiny, shelf):
    from clampdown.steering.gates.compiled import compile_gate

    gated = http.get("/v1/clampdown/recipes/tiny:gated").json()
    assert gated["opens_from"] == compile_gate(tiny, recipes["gated"]).threshold
    assert gated["gate_file"] == recipes["gated"].gate.kept_name
    clamp = http.get("/v1/clampdown/recipes/tiny:clamp").json()
    assert [(one["latent"], one["layer"], one["value"]) for one in clamp["latents"]] == [(3, 1, 6.0), (7, 1, 4.0)]
    assert clamp["latents"][0]["promotes"] == ["rose"] and "promotes" not in clamp["latents"][1]
    assert http.get("/v1/clampdown/recipes/tiny").status_code == 404
    assert http.get("/v1/clampdown/recipes/tiny:none").status_code == 400


def test_activations_go_on_into_the_answer(http, tiny):
    said, answer = [{"role": "user", "content": "Sing of the sea!"}], "Waves are blue."
    body = {"model": "tiny:clamp", "messages": said}
    alone = http.post("/v1/clampdown/activations", json=body).json()
    told = http.post("/v1/clampdown/activations", json={**body, "answer": answer}).json()
    prompt = tiny.prompt_ids(said)
    assert told["answer"] == len(prompt) == len(alone["tokens"]) and alone["answer"] is None
    assert "".join(told["tokens"][told["answer"] :]) == answer
    [(start, end)] = told["user"]
    assert "".join(told["tokens"][start:end]) == "Sing of the sea!"
    for latent, values in told["clamps"][0]["activations"].items():
        assert len(values) == len(told["tokens"])
        assert values[: len(prompt)] == pytest.approx(alone["clamps"][0]["activations"][latent], abs=1e-3)
    # A gate is asked of the prompt alone, as it is when that is answered.
    gated = {**body, "model": "tiny:gated"}
    scores = [http.post("/v1/clampdown/activations", json=gated | more).json()["gate"]["score"]
              for more in ({}, {"answer": answer})]  # fmt: skip
    assert scores[0] == scores[1]
    refused = http.post("/v1/clampdown/activations", json={"model": "tiny", "text": "x", "answer": answer})
    assert refused.status_code == 400 and "goes with messages" in refused.json()["error"]["message"]


def test_without_a_study_the_frontier_is_empty(http):
    assert http.get("/v1/clampdown/frontier").json()["study"] is None


def test_a_point_that_cant_be_honoured_says_why(shelf, recipes):
    httpx = pytest.importorskip("httpx")
    elsewhere = Clamp("/another/sae.safetensors", "f" * 64, 1, {3: 1.0})
    lost = Recipe("lost", "tiny", "", (Direction(2, 3.0, seed=1),), gate=Gate(file="/gate", sha256="f" * 64))
    found = {"none": None, "clamp": recipes["clamp"], "gated": recipes["gated"], "lost": lost,
             "elsewhere": Recipe("elsewhere", "tiny", "", (elsewhere,))}  # fmt: skip
    points = [
        {"name": name, "label": name, "group": "clamp", "description": "", "recipe": recipe, "why": ""}
        for name, recipe in found.items()
    ]
    service = serving(shelf)
    service.frontier = {"study": "s", "title": "t", "created": "2026-01-01", "charts": [], "points": points}
    with listening(service) as (url, _), httpx.Client(base_url=url, timeout=60) as client:
        told = {point["name"]: point for point in client.get("/v1/clampdown/frontier").json()["points"]}
        assert told["none"]["recipe"] is None and not told["none"]["why"]
        assert "no SAE 'sae.safetensors'" not in told["elsewhere"]["why"] and "another hash" in told["elsewhere"]["why"]
        assert "no gate of that sha256" in told["lost"]["why"] and told["lost"]["recipe"] is None
        for name in ("clamp", "gated"):
            body = chat("tiny", clampdown={"recipe": told[name]["recipe"]})
            answer = client.post("/v1/chat/completions", json=body).json()
            assert answer["choices"] == client.post("/v1/chat/completions", json=chat(f"tiny:{name}")).json()["choices"]


def test_a_copied_recipe_finds_a_gate_that_came_along(tmp_path):
    along = Recipe.load(bundled_path("guarded-clamp"))
    copied = tmp_path / "copied.toml"
    copied.write_text(replace(along, gate=replace(along.gate, file=along.gate.kept_name)).to_toml())
    assert Recipe.load(copied).gate.file == along.gate.file
    beside = tmp_path / along.gate.kept_name
    beside.write_bytes(b"another")  # whoever puts a file there means it, and is told that it is another
    assert Recipe.load(copied).gate.file == str(beside)


def test_the_page_draws_all_of_a_chart_that_the_report_draws():
    """The charts are the report's, the page's style its own: a shape that it does not know would be black."""
    points = [charts.Point(f"a point {i}", "clamp", 0.1 * i, 0.9, arm=f"arm {i}", chosen=i == 1) for i in range(4)]
    svg = str(charts.scatter(points, x_title="cost", y_title="gain", name="gain against cost"))
    drawn = {name for classes in re.findall(r'class="([^"]*)"', svg) for name in classes.split()}
    styled = (files("clampdown") / "studies" / "chart.css.j2").read_text(encoding="utf-8")
    known, own = (set(re.findall(r"\.([a-z-]+)", css)) for css in (styled, PARTS["style.css"]))
    assert "paper" in drawn & known and not drawn & known - own
