"""The report: safe with hostile text, whole with missing parts, and never half written."""

from __future__ import annotations

import copy
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import synthetic

from clampdown.errors import ClampdownError
from clampdown.studies import charts, report, wording
from clampdown.studies.report import render_report, write_report
from clampdown.studies.story import mends, next_steps

VOID = {"meta", "link", "br", "wbr", "img", "input", "hr", "circle", "line", "polygon", "polyline", "path"}


class Page(HTMLParser):
    """Just enough of a browser: which elements there are, where they sit, and what they say."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[tuple[str, dict[str, str | None]]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[tuple[tuple[str, dict[str, str | None]], ...], str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append((tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack and self.stack[-1][0] == tag, f"</{tag}> closes {self.stack[-1:]}"
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self.stack), data))

    def within(self, tag: str) -> list[str]:
        return [text.strip() for path, text in self.texts if any(t == tag for t, _ in path) and text.strip()]


@pytest.fixture(scope="module")
def full() -> dict[str, Any]:
    return synthetic.results()


@pytest.fixture(scope="module")
def page(full: dict[str, Any]) -> Page:
    return Page(render_report(full))


def test_every_element_is_closed(page: Page) -> None:
    assert page.stack == []


def test_hostile_text_stays_text(full: dict[str, Any], page: Page) -> None:
    scripts = [a for t, a in page.elements if t == "script"]
    assert len(scripts) == 1 and not scripts[0]
    assert not [t for t, _ in page.elements if t in ("img", "iframe", "object", "embed", "link", "b")]
    assert any('<script>alert("pwned")</script>' in text for _, text in page.texts)


def test_hostile_text_everywhere_it_can_come_from(full: dict[str, Any]) -> None:
    """Every string of the results, names and labels too, is replaced by an attack."""

    def poison(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: poison(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [poison(v, key) for v in value]
        kept = ("schema", "kind", "metric", "group")
        return f"{value}\"'><script>x</script>" if isinstance(value, str) and key not in kept else value

    poisoned = Page(render_report(poison(full)))
    assert sum(t == "script" for t, _ in poisoned.elements) == 1
    assert poisoned.stack == []


def test_handlers_and_outside_addresses_are_absent(page: Page) -> None:
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert not {"src", "srcset", "data", "action", "poster"} & set(attributes), tag
        for name in ("href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#"), attributes
    css = "".join(page.within("style"))
    assert "url(" not in css and "@import" not in css


def test_policy_allows_nothing_but_our_script(page: Page) -> None:
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    script = "".join(text for path, text in page.texts if path and path[-1][0] == "script")
    digest = report.base64.b64encode(report.hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None and "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy


def test_jump_links_reach_their_sections(page: Page) -> None:
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {(a["href"] or "")[1:] for t, a in page.elements if t == "a"}
    assert targets <= set(ids)
    assert {"frontier", "arms", "differences", "latents", "answers", "harms", "recipe", "methods"} <= targets


def test_every_arm_is_in_the_table(full: dict[str, Any], page: Page) -> None:
    cells = page.within("th")
    assert all(arm["label"] in cells for arm in full["arms"])


def test_unsafe_answers_are_folded_and_ordinary_ones_are_not(full: dict[str, Any], page: Page) -> None:
    assert not [a for t, a in page.elements if t == "details" and "open" in a]
    folded = page.within("details")
    for example in full["examples"]:
        for answer in example["answers"]:
            start = answer["text"][:20]
            if example["kind"] == "unsafe":
                assert any(text.startswith(start) for text in folded)
    assert "The capital of France is Paris." not in folded
    assert "The capital of France is Paris." in page.within("article")


def test_a_kind_nobody_knows_is_folded(full: dict[str, Any]) -> None:
    changed = copy.deepcopy(full)
    changed["examples"] = [dict(full["examples"][0], kind="jailbreak")]
    assert "The capital of France is Paris." in Page(render_report(changed)).within("details")


def test_key_figures(full: dict[str, Any]) -> None:
    changed = copy.deepcopy(full)
    arm = next(a for a in changed["arms"] if a["name"] == synthetic.CHOSEN)
    row = next(m for m in arm["measures"] if m["kind"] == "unsafe" and m["metric"] == "refusal")
    row.update(value=0.735, low=0.64, high=0.81, n=96)
    html = render_report(changed)
    assert '<p class="big">74%</p>' in html or '<p class="big">73%</p>' in html
    assert "95% interval 64–81%, n 96" in html


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_numbers_that_were_not_measured(full: dict[str, Any], value: float | None) -> None:
    def blank(item: Any) -> Any:
        if isinstance(item, dict):
            return {k: blank(v) for k, v in item.items()}
        if isinstance(item, list):
            return [blank(v) for v in item]
        return value if isinstance(item, (int, float)) else item

    html = render_report(blank(full))
    shown = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", html, flags=re.S)
    assert Page(html).stack == []
    assert not re.search(r">\s*(nan|inf|None)\s*<|nan%|inf%|None%", shown)


@pytest.mark.parametrize("missing", [k for k in synthetic.results() if k != "schema"])
@pytest.mark.parametrize("how", ["absent", "none"])
def test_any_part_may_be_missing(full: dict[str, Any], missing: str, how: str) -> None:
    changed = {k: v for k, v in full.items() if k != missing}
    if how == "none":
        changed[missing] = None
    assert Page(render_report(changed)).stack == []


def test_a_study_with_nothing_in_it() -> None:
    html = render_report(synthetic.bare())
    assert "recommends no arm" in html and "<svg" not in html


def test_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="clampdown-study/1"):
        render_report({"schema": "clampdown-study/2"})


def test_surrogates_and_controls_do_not_stop_the_writing(full: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write_report(full, out)
    text = out.read_bytes().decode("utf-8")
    assert text.startswith("<!doctype html>") and "\x00" not in text
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_failed_write_leaves_the_old_page(
    full: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report.html"
    out.write_text("the old page")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ClampdownError, match="disk full"):
        write_report(full, out)
    assert out.read_text() == "the old page"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_chart_names_do_not_collide() -> None:
    spots = [(0.02 * (i % 5), 0.03 * (i // 5)) for i in range(20)] + [(0.5, 0.8), (0.52, 0.8), (0.9, 1.0), (1.0, 0.0)]
    groups = ("clamp", "baseline", "control")
    dots = [charts.Point(f"latents ×{i}", groups[i % 3], x, y) for i, (x, y) in enumerate(spots)]
    svg = str(charts.scatter(dots, x_title="x", y_title="y", name="test"))
    found = re.findall(r'class="name" x="([\d.]+)" y="([\d.]+)">([^<]+)<', svg)
    boxes = [(float(x), float(y) - 11, float(x) + 5.8 * len(name), float(y) + 2) for x, y, name in found]
    assert len(boxes) >= 6
    for i, a in enumerate(boxes):
        assert a[0] >= charts.LEFT and a[2] <= charts.WIDTH
        for b in boxes[i + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_every_arm_but_the_crowd_of_controls_is_named_on_every_chart(full: dict[str, Any]) -> None:
    for chart in report.Study(full).frontier():
        names = re.findall(r'class="name[^>]*>([^<]+)<', str(chart["svg"]))
        assert {a["label"] for a in full["arms"] if a["group"] != "control"} <= set(names), chart["set"]


def test_chart_marks_babble_and_joins_sweeps(full: dict[str, Any]) -> None:
    study = report.Study(full)
    svg = str(study.frontier()[0]["svg"])
    hollow = sum(study.babbles(a) for a in full["arms"])
    assert hollow >= 2 and svg.count(" hollow") == hollow
    assert svg.count("<polyline") == 2  # the clamp's sweep and the direction's
    assert svg.count("<title>") == len(full["arms"])
    assert study.sweeps["clamp-1.25"] != study.sweeps["clamp-1.25-gated"]


def test_unnumbered_clamps_are_one_sweep() -> None:
    arms = [{"name": n, "group": "clamp"} for n in ("gentle", "firm")] + [{"name": "none", "group": "none"}]
    assert report._sweeps(arms) == {"gentle": "clamp", "firm": "clamp"}


def test_no_bar_strikes_through_a_name(full: dict[str, Any]) -> None:
    """What is drawn before a name's own paper lies below it, and nothing but marks is drawn after."""
    for chart in report.Study(full).frontier():
        svg = str(chart["svg"])
        assert svg.rindex('class="bar') < svg.index('class="paper"') and svg.count('class="bar') > 20
        assert svg.rindex("<polyline") < svg.index('class="paper"')
        assert svg.count('class="paper"') == len(re.findall(r'class="name', svg))


def test_each_arm_is_named_on_a_chart_or_below_it(full: dict[str, Any]) -> None:
    below = Page(render_report(full)).within("figcaption")
    for chart in report.Study(full).frontier():
        names = re.findall(r'class="name[^>]*>([^<]+)<', str(chart["svg"]))
        told = [text.rsplit(" (", 1)[0] for text in chart["unnamed"]]
        assert sorted(names + told) == sorted(arm["label"] for arm in full["arms"])
        assert not told or any("; ".join(chart["unnamed"]) in text for text in below)


def test_names_stay_in_the_picture() -> None:
    dots = [charts.Point("A wide name, MMMM ×1.25", "clamp", x, y) for x in (0.0, 0.5, 1.0) for y in (0.0, 0.5, 1.0)]
    svg = str(charts.scatter(dots, x_title="x", y_title="y", name="test"))
    rects = re.findall(r'class="paper" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', svg)
    assert len(rects) >= 6 and all(float(x) + float(wide) <= charts.WIDTH for x, wide in rects)


def test_a_models_name_in_the_heading_is_one_box(full: dict[str, Any]) -> None:
    changed = full | {"title": "guarded on tiny-135m-instruct: what", "model": {"name": "tiny-135m-instruct"}}
    assert '<h1>guarded on <span class="whole">tiny-135m-instruct:</span> what</h1>' in render_report(changed)
    assert str(wording.whole("a <b>-x", "<b>-x")) == 'a <span class="whole">&lt;b&gt;-x</span>'


def test_every_table_that_may_scroll_can_be_reached_and_has_a_name(page: Page) -> None:
    regions = [a for t, a in page.elements if t == "div" and a.get("class") == "scroll"]
    tables = [a for t, a in page.elements if t == "table"]
    assert len(regions) == len(tables) > 6
    assert all(a.get("tabindex") == "0" and a.get("role") == "region" and a.get("aria-label") for a in regions)
    cells = [path for path, _ in page.texts if any(tag == "td" for tag, _ in path)]
    assert all(any(a.get("class") == "scroll" for _, a in path) for path in cells)


def test_the_first_screen_tells_what_mends_the_cost_and_what_to_do_next(full: dict[str, Any]) -> None:
    words = Page(render_report(full)).within("dl")
    told = {"The trade-off", "What mends it", "What to do next"}
    assert told <= set(words) and "clampdown chat --recipe recipes/gated.toml" in words
    opened = next(a for a in full["arms"] if a["name"] == "clamp-1") | {"gate": "open"}
    gated = next(a for a in full["arms"] if a["name"] == synthetic.CHOSEN) | {"gate": "recipe"}
    study = report.Study(full | {"arms": [full["arms"][0], opened, gated]})
    assert "ordinary requests refused" in mends(study) and mends(study).startswith("Its gate")
    assert mends(report.Study(synthetic.bare())) == "" and next_steps(report.Study(synthetic.bare()), {}) == []
    dear = report.Study(full | {"recommended": full["recommended"] | {"name": "clamp-2"}})
    assert any("clampdown gate fit" in command for _, command in next_steps(dear, full))


def test_a_latent_is_told_by_what_it_raises_and_lowers(full: dict[str, Any]) -> None:
    latents = [
        {"latent": 7, "value": 2.0, "raises": ["sorry", "cannot"], "lowers": ["Sure"], "contexts": [CONTEXT]},
        {"latent": 8, "value": 2.0, "raises": [], "lowers": [], "contexts": [CONTEXT]},
        {"latent": 9, "value": 2.0},
    ]
    sae = {"name": "a/b", "neuronpedia": "gpt2-small/8-res-jb"}
    html = render_report(full | {"latents": latents, "sae": sae})
    first, second, third = html[html.index('id="latents"') :].split("<article")[1:4]
    assert all(said in first for said in ("raises", "sorry", "lowers", "Sure")) and "No clear reading" not in first
    assert "I'm ↵ <mark" in first.replace("&#39;", "'") and "user" not in first
    assert "No clear reading: what it raises most" in second and "No clear reading.</p>" in third
    assert "gain, unsafe" not in third, "what is not known takes no room"
    assert 'href="https://www.neuronpedia.org/gpt2-small/8-res-jb/7"' in first
    hostile = full | {"latents": latents, "sae": sae | {"neuronpedia": "../x?y/javascript:z"}}
    assert "neuronpedia.org" not in render_report(hostile)


CONTEXT = {"before": "\nuser\nI'm\n", "token": " sorry", "after": ", no", "activation": 3.0}


def test_axes_hold_their_data() -> None:
    for low, high in ((0.0, 0.0), (0.61, 0.63), (0.0, 1.0), (0.247, 0.253)):
        for from_zero in (True, False):
            made = charts.axis([low, high], 0, 100, from_zero=from_zero)
            assert made.low <= low and high <= made.high and 2 <= len(made.ticks) <= 7


def test_attacks_tasks_and_choices_are_shown(full: dict[str, Any]) -> None:
    results, name = copy.deepcopy(full), "lm-eval:<b>one</b>,two"
    rate = {"n": 9, "value": 0.25, "low": 0.1, "high": 0.5}
    for arm in results["arms"]:
        for metric in ("refusal", "refused_at_any", "complied_at_any"):
            arm["measures"].append({"set": "slow talk", "kind": "attack", "metric": metric} | rate)
        arm["measures"].append({"set": name, "kind": "capability", "metric": "score"} | rate)
    some = [arm["name"] for arm in results["arms"][:2]]
    results["tasks"] = [{"set": name, "category": "one", "arm": arm, "metric": "score"} | rate for arm in some]
    told = {"A": 3, "B": 0, "none": 1}
    results["letters"] = [{"set": name, "right": told, "arms": [{"arm": arm, "letters": told} for arm in some]}]
    answers = [{"arm": "none", "text": "step one", "label": "compliance", "turns": ["refusal", "compliance"]}]
    results["examples"].append({"set": "slow talk", "kind": "attack", "prompt": "a goal", "answers": answers})
    html = render_report(results)
    page = Page(html)
    assert not page.stack and "<b>" not in html
    words = " ".join(text.strip() for _, text in page.texts if text.strip())
    for said in (
        "complied at any turn",
        "Attacks refused in the end",
        "refusal, compliance",
        "75%",
        "0.250",
        "task by",
    ):
        assert said in words, said
    assert "No judge of harm was asked about slow talk" in " ".join(words.split())
    assert any(text.strip() == "step one" for path, text in page.texts if any(tag == "details" for tag, _ in path))
    judged = {"set": "slow talk", "kind": "attack", "metric": "attack_success"} | rate
    results["arms"][0]["measures"].append(judged)
    html = render_report(results)
    assert "No judge of harm" not in html and "attack success" in html
