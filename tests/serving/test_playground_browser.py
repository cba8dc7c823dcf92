"""The page in a real browser: a message to both sides, a dial, a point of the frontier, a reload; and what axe says."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from served import listening, serving

from clampdown.recipe import Recipe
from clampdown.saes.load import load_sae
from clampdown.studies import charts

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FINISHED = """() => {
  dispatchEvent(new Event("pagehide"));
  const turns = JSON.parse(localStorage.getItem("clampdown-playground") ?? "{}").turns ?? [];
  const sides = turns.flatMap((turn) => [turn.plain, turn.steered]);
  return turns.length === %d && sides.every((side) => side.status === "done" && side.receipt && side.read);
}"""


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    found = os.environ.get("CLAMPDOWN_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("there is no chromium here; install one, or name it in CLAMPDOWN_CHROMIUM")
    with api.sync_playwright() as played:
        started = played.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def frontier(recipes):
    arms = {"none": None, "push": recipes["push"], "clamp": recipes["clamp"]}
    places = {name: (0.2 * i, 0.3 * i) for i, name in enumerate(arms)}
    points = [charts.Point(name, "clamp", *place, arm=name) for name, place in places.items()]
    svg = str(charts.scatter(points, x_title="cost", y_title="gain", name="gain against cost"))
    return {
        "study": "a study",
        "title": "what refusals cost",
        "created": "2026-11-28",
        "charts": [{"kind": "safe", "set": "safe ones", "unsafe": "unsafe ones", "svg": svg}],
        "points": [
            {"name": n, "label": f"the {n} arm", "group": "none" if n == "none" else "clamp", "description": "An arm.",
             "recipe": recipe, "why": ""} for n, recipe in arms.items()
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def url(shelf, frontier):
    service = serving(shelf, answer_tokens=600)
    service.frontier = frontier
    with listening(service) as (address, _):
        yield address


@pytest.fixture
def page(browser, url):
    opened = browser.new_page(color_scheme="light", reduced_motion="reduce")
    opened.set_default_timeout(120_000)
    faults = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on(
        "console", lambda said: faults.append(said.text) if said.type == "error" and "of 400" not in said.text else None
    )
    opened.on("request", lambda asked: None if asked.url.startswith(url) else faults.append(asked.url))
    opened.goto(url)
    opened.locator("input[name=preset]").first.wait_for(state="attached")
    opened.evaluate("localStorage.clear()")
    opened.reload()
    yield opened
    assert not faults
    opened.close()


def opened(page, box):
    page.locator("input[name=preset]").first.wait_for(state="attached")
    if page.locator(f"#{box}-box").get_attribute("open") is None:
        page.locator(f"#{box}-box summary").first.click()


def turned(page, name, value):
    """Drag a dial: the slider says each value that it passes."""
    page.locator(f"input[name={name}]").evaluate(
        "(dial, to) => { dial.value = to; dial.dispatchEvent(new Event('input', { bubbles: true })); }", str(value)
    )


def kept(page):
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    return json.loads(page.evaluate("localStorage.getItem('clampdown-playground')"))


def said(page, text, turns):
    page.get_by_label("Your message", exact=True).fill(text)
    page.keyboard.press("Enter")
    page.wait_for_function(FINISHED % turns)
    return kept(page)["turns"][-1]


def short(page):
    opened(page, "dials")
    turned(page, "length", 12)


def preset(page, model):
    page.locator(f"input[name=preset][value='{model}']").check()


def test_a_message_is_answered_side_by_side_and_a_dragged_clamp_changes_one_side(page):
    preset(page, "tiny")
    short(page)
    turn = said(page, "Sing of the sea!", 1)
    assert turn["plain"]["text"] == turn["steered"]["text"] and not turn["steered"]["receipt"]["recipe_sha256"]
    preset(page, "tiny:clamp")
    turned(page, "latent-0-3", 12)
    page.get_by_role("button", name="Answer again").click()
    page.wait_for_function(FINISHED % 1)
    page.wait_for_function("() => document.querySelector('.steered .receipt').textContent.includes('tokens edited')")
    again = kept(page)["turns"][0]
    assert again["plain"] == turn["plain"] and again["steered"]["text"] != turn["plain"]["text"]
    shown = page.locator(".turn .side .words").all_inner_texts()
    assert shown == [again["plain"]["text"], again["steered"]["text"]]
    assert re.search(r"\d+ of \d+ tokens edited", page.locator(".steered .receipt").inner_text())


def test_each_side_has_its_own_history(page):
    preset(page, "tiny:clamp")
    short(page)
    asked = []
    page.on("request", lambda one: asked.append(one.post_data_json) if one.url.endswith("completions") else None)
    first = said(page, "Hi", 1)
    said(page, "And then?", 2)
    plain, steered = (next(one for one in asked[2:] if one["model"] == model) for model in ("tiny", "tiny:clamp"))
    for body, side in ((plain, "plain"), (steered, "steered")):
        assert [m["content"] for m in body["messages"]] == ["Hi", first[side]["text"], "And then?"]


def test_tokens_are_tinted_by_the_latent_pointed_at(page):
    preset(page, "tiny:clamp")
    short(page)
    read = said(page, "Sing of the sea!", 1)["steered"]["read"]
    assert "".join(text for text, _ in read["said"]) == "Sing of the sea!"
    for latent in ("3", "7"):
        page.locator("latent-panel .chip", has_text=re.compile(f"^{latent}$")).hover()
        tokens = page.locator(".side.steered .token")
        tints = tokens.evaluate_all("all => all.map((token) => +token.style.getPropertyValue('--a'))")
        assert [tint > 0 for tint in tints] == [bool(z.get(f"1/{latent}")) for _, z in read["answer"]]
    assert page.locator("latent-panel .about h3").inner_text() == "Latent 7"
    first = read["said"][0]
    page.locator(".said .token").first.hover()
    assert first[0] in page.locator("latent-panel .value").inner_text()


def test_a_gates_score_stands_against_its_threshold(page):
    preset(page, "tiny:gated")
    short(page)
    receipt = said(page, "Hi", 1)["steered"]["receipt"]
    meter = page.get_by_role("meter")
    assert float(meter.get_attribute("aria-valuenow")) == pytest.approx(receipt["score"], abs=0.01)
    assert f"Gate {receipt['gate']}" in meter.get_attribute("aria-valuetext")
    turned(page, "threshold", receipt["score"] - 0.5 if receipt["gate"] == "shut" else receipt["score"] + 0.5)
    page.get_by_role("button", name="Answer again").click()
    page.wait_for_function(FINISHED % 1)
    other = kept(page)["turns"][0]["steered"]["receipt"]
    assert {receipt["gate"], other["gate"]} == {"open", "shut"}
    assert other["score"] == pytest.approx(receipt["score"], abs=1e-4)


def test_a_point_of_the_frontier_is_loaded_and_nothing_is_lost_by_a_reload(page, recipes):
    short(page)
    opened(page, "frontier")
    page.locator("g[data-arm=clamp]").focus()
    page.keyboard.press("Enter")
    assert page.locator("input[name=preset][value=point]").is_checked()
    turn = said(page, "Sing of the sea!", 1)
    [clamp] = recipes["clamp"].clamps
    loaded = replace(recipes["clamp"], edits=(replace(clamp, sae_sha256=load_sae(clamp.sae).sha256),))
    assert turn["steered"]["receipt"]["recipe_sha256"] == loaded.sha256
    turned(page, "latent-0-3", 9)
    page.get_by_label("Your message", exact=True).fill("half a thou")
    before, shown = kept(page), page.locator(".turns").inner_text()
    page.reload()
    page.locator("input[name=preset][value=point]").wait_for(state="attached")
    page.wait_for_function("(shown) => document.querySelector('.turns').innerText === shown", arg=shown)
    assert kept(page) == before and before["dialled"]["edits"][0]["latents"]["3"] == 9
    assert page.get_by_label("Your message", exact=True).input_value() == "half a thou"
    assert page.locator("input[name=latent-0-3]").input_value() == "9"
    page.get_by_role("button", name="Clear").click()
    page.reload()
    assert page.locator(".turn").count() == 0


def test_an_answer_can_be_stopped_and_a_refusal_is_told_in_the_servers_words(page):
    opened(page, "dials")
    turned(page, "length", 400)
    page.get_by_label("Your message", exact=True).fill("Hi")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('.side .words').textContent.length > 3")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Send").wait_for()
    assert {side["status"] for side in (kept(page)["turns"][0][name] for name in ("plain", "steered"))} == {"stopped"}
    page.locator("input[name=length-number]").fill("700")
    page.get_by_label("Your message", exact=True).fill("Hi")
    page.keyboard.press("Enter")
    error = page.locator(".turn:last-child .side.steered .error")
    error.get_by_text("max_tokens asks for 700; this server allows 600").wait_for()


def test_what_is_copied_works_where_it_is_pasted(page, recipes, tmp_path):
    preset(page, "tiny:clamp")
    short(page)
    turned(page, "latent-0-3", 12)
    turn = said(page, "Say 'yes' & \"no\"\\", 1)
    opened(page, "copy")
    copied = {}
    for kind in ("Recipe", "curl", "Python"):
        page.locator("copy-recipe").get_by_role("button", name=kind, exact=True).click()
        copied[kind] = page.locator("copy-recipe pre").inner_text()
    sha256 = turn["steered"]["receipt"]["recipe_sha256"]
    assert Recipe.from_toml(copied["Recipe"]).clamps[0].values == {3: 12.0, 7: 4.0}
    (tmp_path / "asked.py").write_text(copied["Python"])
    told = subprocess.run([sys.executable, tmp_path / "asked.py"], capture_output=True, text=True, check=True).stdout
    assert told.startswith(turn["steered"]["text"]) and sha256 in told
    if shutil.which("curl"):
        told = subprocess.run(["bash", "-c", copied["curl"]], capture_output=True, text=True, check=True).stdout
        assert json.loads(told)["choices"][0]["message"]["content"] == turn["steered"]["text"] and sha256 in told


def test_a_key_is_asked_for_once_and_kept_in_this_tab(browser, shelf):
    with listening(serving(shelf), key="sésame") as (url, _):
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.goto(url)
        for given in ("wrong", "sésame"):
            page.get_by_label("API key").fill(given)
            page.get_by_role("button", name="Go on").click()
            if given == "wrong":
                page.get_by_text("this server needs its API key").wait_for()
        page.locator("input[name=preset]").first.wait_for(state="attached")
        page.reload()
        page.locator("input[name=preset]").first.wait_for(state="attached")
        assert page.evaluate("sessionStorage.length") == 1
        assert "sésame" not in page.evaluate("JSON.stringify(localStorage)")
        page.close()


@pytest.mark.parametrize("width, scheme", [(390, "dark"), (1400, "light")])
def test_axe_finds_no_serious_fault(page, url, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    preset(page, "tiny:gated")
    short(page)
    said(page, "Hi", 1)
    for box in ("dials", "latents", "frontier", "copy"):
        opened(page, box)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for address in (None, f"{url}/docs"):
        if address:
            page.goto(address)
            page.locator("h2").first.wait_for()
        faults = [f for f in axe.run(page).response["violations"] if f["impact"] in ("serious", "critical")]
        assert not faults, [(f["id"], [node["html"] for node in f["nodes"]][:3]) for f in faults]
