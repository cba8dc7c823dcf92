"""SAEs by name: files first, then SAELens' releases, then the hub, spoken to through its real client.

No hub is at hand, so a small server on this machine answers in the hub's place: it lists a repository's files, and
serves them under a commit.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
import torch

from clampdown.errors import ClampdownError
from clampdown.saes import directory, load
from clampdown.saes.files import file_sha256, save_sae
from clampdown.saes.load import load_sae
from clampdown.saes.locate import fetch

COMMIT, OLDER = "a" * 40, "b" * 40


class Hub(BaseHTTPRequestHandler):
    """Repositories are folders of `root`; `older` holds what they held at an earlier commit."""

    root: Path
    asked: list[str]

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def log_message(self, *_):
        pass

    def _answer(self, body):
        path = unquote(self.path.partition("?")[0])
        self.asked.append(f"{self.command} {path}")
        if path.startswith("/api/models/"):
            repo, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            file = None
        else:
            repo, _, rest = path[1:].partition("/resolve/")
            revision, _, file = rest.partition("/")
        commit = {"": COMMIT, "main": COMMIT, COMMIT: COMMIT, OLDER: OLDER}.get(revision)
        folder = self.root / ("older" if commit == OLDER else ".") / repo
        if not folder.is_dir():
            return self._send(404, code="RepoNotFound")
        if commit is None:
            return self._send(404, code="RevisionNotFound")
        if file is None:
            names = [f.relative_to(folder).as_posix() for f in sorted(folder.rglob("*")) if f.is_file()]
            facts = {"id": repo, "sha": commit, "siblings": [{"rfilename": name} for name in names]}
            return self._send(200, json.dumps(facts).encode(), "application/json")
        if repo.startswith("gated/"):
            return self._send(403, code="GatedRepo")
        content = (folder / file).read_bytes()
        self._send(200, content, commit=commit, body=body)

    def _send(self, status, content=b"", kind="application/octet-stream", code="", commit="", body=True):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if code:
            self.send_header("X-Error-Code", code)
        if commit:
            self.send_header("X-Repo-Commit", commit)
            self.send_header("ETag", f'"{abs(hash(content))}"')
        self.end_headers()
        if body:
            self.wfile.write(content)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The server's class: its `root` is where repositories go, `asked` what it was asked."""
    from huggingface_hub import constants

    class Mine(Hub):
        root, asked = tmp_path / "hub", []

    Mine.root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)  # no file of ours has a name that is tried here
    load._remote.cache_clear()
    yield Mine
    server.shutdown()
    server.server_close()


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:9/{repo_id}/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    load._remote.cache_clear()


@pytest.fixture
def releases(monkeypatch):
    """A directory of releases in place of the one that comes along."""

    def put(**found):
        monkeypatch.setattr(directory, "directory", lambda: {"source": "a test", "releases": found})
        directory.entries.cache_clear()

    yield put
    directory.entries.cache_clear()


def put_sae_lens(folder, hook="blocks.2.hook_resid_post", **config):
    """An SAE in SAELens' format, d_in 4, d_sae 6."""
    from safetensors.torch import save_file

    draw = torch.Generator().manual_seed(0)
    shapes = {"W_enc": (4, 6), "b_enc": (6,), "W_dec": (6, 4), "b_dec": (4,)}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: torch.randn(*shape, generator=draw) for key, shape in shapes.items()}, folder / "sae_weights.safetensors"
    )
    facts = {"architecture": "standard", "d_in": 4, "d_sae": 6, "metadata": {"hook_name": hook, "model_name": "m"}}
    (folder / "cfg.json").write_text(json.dumps(facts | config))


def test_only_what_an_sae_needs_is_fetched(hub):
    repo = hub.root / "owner" / "saes"
    put_sae_lens(repo / "layer.2" / "wide")
    put_sae_lens(repo / "layer.3" / "wide")
    (repo / "layer.2" / "wide" / "sparsity.safetensors").write_bytes(b"large")
    (repo / "layer.2" / "config.json").write_text("{}")
    (repo / "README.md").write_text("words")
    located = fetch("owner/saes", "layer.2/wide")
    assert located.commit == COMMIT and located.path.name == "sae_weights.safetensors"
    fetched = [
        line.partition(COMMIT)[2] or line for line in hub.asked if line.startswith("GET") and "/resolve/" in line
    ]
    assert {Path(line).name for line in fetched} == {"cfg.json", "config.json", "sae_weights.safetensors"}
    assert not any("layer.3" in line for line in hub.asked)


def test_a_name_on_the_hub_is_an_sae_that_says_its_commit(hub):
    put_sae_lens(hub.root / "owner" / "saes" / "layer.2")
    put_sae_lens(hub.root / "older" / "owner" / "saes" / "layer.2", hook="blocks.1.hook_resid_post")
    sae = load_sae("owner/saes/layer.2")
    assert (sae.name, sae.layer, sae.model) == (f"owner/saes/layer.2@{COMMIT}", 2, "m")
    said = {"repository": "owner/saes", "revision": COMMIT, "pinned": "no", "verified": "no"}
    assert said.items() <= sae.about.items()
    assert load_sae("owner/saes/layer.2") is sae
    again = load_sae(sae.name)
    assert (again.name, again.about["pinned"], again.w_enc is sae.w_enc) == (sae.name, "by you", True)
    pinned = load_sae(f"owner/saes/layer.2@{OLDER}")
    assert (pinned.layer, pinned.about["revision"], pinned.about["pinned"]) == (1, OLDER, "by you")
    only = load_sae("owner/saes@main")  # by no folder
    assert (only.name, only.about["pinned"]) == (sae.name, "no")


def test_our_own_format_comes_from_the_hub_too(hub, make_sae):
    save_sae(make_sae("topk"), hub.root / "owner" / "ours" / "sae.safetensors")
    sae = load_sae("owner/ours")
    assert (sae.name, sae.kind, sae.n_latents) == (f"owner/ours@{COMMIT}", "topk", 96)
    assert sae.sha256 == file_sha256(hub.root / "owner" / "ours" / "sae.safetensors")
    assert sae.about["revision"] == COMMIT
    save_sae(make_sae("topk"), hub.root / "owner" / "alike" / "a.safetensors")
    assert load_sae("owner/alike").name == f"owner/alike/a.safetensors@{COMMIT}"


def test_the_hubs_cache_keeps_the_names_that_say_layer_and_model(hub):
    """Gemma Scope says them nowhere else."""
    import numpy as np

    place = hub.root / "google" / "gemma-scope-2b-pt-res" / "layer_3" / "width_16k" / "average_l0_5"
    place.mkdir(parents=True)
    shapes = {"W_enc": (4, 6), "b_enc": (6,), "W_dec": (6, 4), "b_dec": (4,), "threshold": (6,)}
    np.savez(place / "params.npz", **{key: np.ones(shape, np.float32) for key, shape in shapes.items()})
    sae = load_sae("google/gemma-scope-2b-pt-res/layer_3/width_16k/average_l0_5")
    assert (sae.layer, sae.model, sae.kind) == (3, "google/gemma-2-2b", "jumprelu")


def test_what_was_fetched_is_found_without_a_network(hub, request):
    put_sae_lens(hub.root / "owner" / "saes" / "layer.2")
    first = load_sae("owner/saes/layer.2")
    request.getfixturevalue("no_hub")
    again = load_sae("owner/saes/layer.2")
    assert again is not first and again.sha256 == first.sha256
    assert again.about["revision"] == COMMIT and again.name == first.name
    assert load_sae(first.name).about["revision"] == COMMIT


@pytest.mark.parametrize("several", [True, False])
def test_without_a_network_an_inexact_name_is_not_guessed(several, hub, request, one_line, make_sae):
    """What lies here may be one of many."""
    for number in (2, 3)[: 1 + several]:
        put_sae_lens(hub.root / "owner" / "saes" / f"layer.{number}")
        save_sae(make_sae(), hub.root / "owner" / "alike" / f"{number}.safetensors")
    names = [load_sae(name).name for name in ("owner/saes/layer.2", "owner/alike/2.safetensors")]
    request.getfixturevalue("no_hub")
    for repo, exact in (("owner/saes", "owner/saes/layer.2"), ("owner/alike", "owner/alike/2.safetensors")):
        with pytest.raises(ClampdownError) as caught:
            load_sae(repo)
        one_line(caught, "can't reach the hub", f"such as {exact}")
    assert [load_sae(name).name for name in names] == names


@pytest.mark.parametrize(
    "name, said",
    [
        ("owner/none", "there is no hub repository owner/none"),
        ("owner/saes@v9", "no revision 'v9'"),
        ("owner/saes", "holds 2 SAEs; name one, such as owner/saes/layer.2"),
        ("owner/saes/layer.7", "has no 'layer.7'; it has layer.2, layer.3"),
        ("owner/words", "holds no SAE's weights"),
        ("gated/saes", "is gated: accept its terms"),
    ],
)
def test_what_the_hub_can_not_give_is_one_line(name, said, hub, one_line):
    put_sae_lens(hub.root / "owner" / "saes" / "layer.2")
    put_sae_lens(hub.root / "owner" / "saes" / "layer.3")
    put_sae_lens(hub.root / "gated" / "saes")
    (hub.root / "owner" / "words").mkdir()
    (hub.root / "owner" / "words" / "README.md").write_text("words")
    with pytest.raises(ClampdownError) as caught:
        load_sae(name)
    one_line(caught, said)


def test_no_network_is_one_line(no_hub, tmp_path, monkeypatch, one_line):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ClampdownError) as caught:
        load_sae("owner/saes")
    one_line(caught, "no SAE at 'owner/saes' here", "can't reach the hub", "release/sae_id")


@pytest.mark.parametrize("name", ["a" * 5000, "owner/" + "a" * 5000])
def test_a_name_beyond_all_names_is_one_line(name, one_line):
    with pytest.raises(ClampdownError) as caught:
        load_sae(name)
    one_line(caught, "no SAE at", "too long", "hub id")
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("name", ["nothing", "/nowhere/at/all", "a b/c", "", "owner/saes@"])
def test_what_names_nothing_is_told_the_ways_to_name_an_sae(name, tmp_path, monkeypatch, one_line):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ClampdownError) as caught:
        load_sae(name)
    one_line(caught, "no SAE at", "hub id", "release/sae_id") if name else one_line(caught)


def test_a_file_wins_over_the_hub(hub, tmp_path, make_sae):
    put_sae_lens(hub.root / "owner" / "saes")
    put_sae_lens(tmp_path / "owner" / "saes", hook="blocks.0.hook_resid_post")
    assert load_sae("owner/saes").layer == 0 and not hub.asked


def test_a_release_gives_the_place_and_what_the_files_leave_out(hub, releases, one_line):
    put_sae_lens(hub.root / "owner" / "saes" / "deep", normalize_activations="expected_average_only_in")
    listed = {"id": "blocks.2", "path": "deep", "norm_scaling_factor": 2.0}
    other = {"id": "mlp", "path": "blocks.1.hook_mlp_out"}
    releases(mine={"repo_id": "owner/saes", "model": "m", "saes": [listed, other]})
    sae, plain = load_sae("mine/blocks.2"), load_sae("owner/saes/deep")
    torch.testing.assert_close(sae.w_enc, 2 * plain.w_enc)
    assert "not told" in plain.about["input scale"] and sae.about["repository"] == "owner/saes"
    for name, said in (
        ("mine/mlp", "of the MLP"),
        ("mine/other", "release mine has no SAE 'other', but blocks.2, mlp"),
    ):
        with pytest.raises(ClampdownError) as caught:
            load_sae(name)
        one_line(caught, said)


def test_a_hash_in_the_directory_is_checked(hub, releases, one_line):
    put_sae_lens(hub.root / "owner" / "saes" / "deep")
    right = file_sha256(hub.root / "owner" / "saes" / "deep" / "sae_weights.safetensors")
    entry = {"id": "a", "path": "deep", "sha256": right}
    releases(mine={"repo_id": "owner/saes", "model": "m", "saes": [entry, {**entry, "id": "b", "sha256": "0" * 64}]})
    sae = load_sae("mine/a")
    assert sae.about["verified"].startswith("yes") and sae.name == f"mine/a@{COMMIT}"
    with pytest.raises(ClampdownError) as caught:
        load_sae("mine/b")
    one_line(caught, right[:12], "0" * 12)
