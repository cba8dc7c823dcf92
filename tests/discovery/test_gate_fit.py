"""Fitting gates of every kind on a tiny model: what is fitted is what runs, and the threshold keeps its word."""

from dataclasses import replace

import pytest
import torch
from gate_rows import pairs, row

from clampdown.discovery.gates import features
from clampdown.discovery.gates.calibrate import calibrated
from clampdown.discovery.gates.check import check_gate
from clampdown.discovery.gates.explain import explainer
from clampdown.discovery.gates.features import (
    Read,
    WindowMeans,
    pooled_residuals,
    pooled_with_windows,
    token_means,
    token_residuals,
)
from clampdown.discovery.gates.fit import fit_gate
from clampdown.discovery.gates.hidden_layers import Inputs, fit_layers
from clampdown.discovery.gates.hidden_probe import EPOCHS, fit_hidden_probe
from clampdown.discovery.gates.logistic import Scale, fit_l1, fit_l2
from clampdown.discovery.gates.options import FitOptions
from clampdown.discovery.gates.passes import passes
from clampdown.discovery.gates.scores import compiled, prompt_scores
from clampdown.discovery.gates.split import split
from clampdown.errors import ClampdownError
from clampdown.measuring.statistics.ranking import auc, rate_bound
from clampdown.models import residual
from clampdown.recipe import Direction, Recipe
from clampdown.saes.files import save_sae
from clampdown.saes.load import load_sae
from clampdown.steering.gates.gate_file import save_gate
from clampdown.steering.gates.reading import gate_scores

EASY = {"false_positives": 0.2}
ROWS = pairs(ordinary=120)


@pytest.fixture(scope="module")
def sae(tmp_path_factory, make_sae):
    path = tmp_path_factory.mktemp("sae") / "sae.safetensors"
    save_sae(make_sae(n=96), path)
    return load_sae(str(path))


@pytest.fixture(scope="module")
def prompts(tiny):
    chats = [
        [{"role": "user", "content": "How do I thank a teacher?"}],
        [{"role": "user", "content": "Why?"}],
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How do I rob the old mill?"}],
        [
            {"role": "user", "content": "Hello there"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "Name a colour, please."},
        ],
        *([{"role": "user", "content": f"Say {'very ' * n}softly."}] for n in range(8)),
    ]
    return [tiny.prompt_ids(chat) for chat in chats]


def test_prompts_read_together_give_what_each_gives_by_itself(tiny, prompts):
    reads = [
        Read("last", 2),
        Read("mean", 1),
        Read("request-last", 3),
        Read("mean", 3, "users"),
        Read("mean", 0, "prompt"),
    ]
    assert {bool(some.shared) for some in passes(tiny, prompts)} == {True, False}
    together = pooled_residuals(tiny, prompts, reads)
    for place, prompt in enumerate(prompts):
        (alone,) = pooled_residuals(tiny, [prompt], reads)
        torch.testing.assert_close(together[place], alone, rtol=1e-3, atol=1e-3)
    (held,) = token_residuals(tiny, prompts, [Read("max", 1)])
    torch.testing.assert_close(token_means(held), together[:, 1])
    several = [Read("max", 1), Read("max", 3)]
    pooled, windows = pooled_with_windows(tiny, prompts, reads, several, 4)
    torch.testing.assert_close(pooled, together, rtol=1e-3, atol=1e-3)
    tokens = token_residuals(tiny, prompts, several)
    for place, count in enumerate(windows.counts.tolist()):
        (own,) = windows.of(torch.tensor([place])).x.split(count)
        said = [of.x.split(of.counts.tolist())[place] for of in tokens]
        n = len(said[0])
        starts = sorted({*range(0, max(n - 4, 0) + 1, 2), max(n - 4, 0)})
        expected = [torch.stack([x[s : s + 4].mean(0) for x in said]) for s in starts]
        torch.testing.assert_close(own, torch.stack(expected), rtol=1e-3, atol=1e-3)


HIDDEN = {"hidden": 70, "pools": ("last@1", "mean", "request-last@2"), "over": "users"}


@pytest.mark.parametrize("how", [{}, HIDDEN, {**HIDDEN, "pools": (*HIDDEN["pools"], "max@1-2"), "window": 3}])
def test_scores_of_many_prompts_are_those_of_the_code_that_decides(tiny, prompts, how):
    found = fit_gate(tiny, ROWS, FitOptions(blocks="1-2", **EASY, **how))
    gate = compiled(tiny, found.file)
    many = prompt_scores(tiny, [gate], prompts)[0]
    alone = [gate_scores(tiny, gate, [prompt])[0] for prompt in prompts]
    torch.testing.assert_close(many, torch.tensor(alone, dtype=torch.float64), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "probe", "pools": ("last", "mean@2"), "blocks": "1,3"},
        {"kind": "probe", "pools": ("max",), "blocks": "2", "window": 2},
        {"kind": "probe", "pools": ("attention",), "blocks": "1-2"},
        {"kind": "probe", "pools": ("request-last",), "over": "users"},
        {"kind": "probe", "pools": ("last", "mean"), "hidden": 96},
        {"kind": "probe", "pools": ("last", "max@1-2"), "hidden": 96, "window": 2},
        {"kind": "latents", "latents": 3},
        {"kind": "latents", "pools": ("max",), "latents": 3},
        {"kind": "latent-probe"},
        {"kind": "condition", "pools": ("mean",)},
        {"kind": "words"},
    ],
    ids=lambda options: "-".join(
        [options["kind"], *options.get("pools", ()), *(["hidden"] if "hidden" in options else [])]
    ),
)
def test_every_kind_tells_pairs_apart_that_it_never_saw(tiny, sae, options):
    found = fit_gate(tiny, ROWS, FitOptions(**EASY, **options), sae=sae)
    whole = found.confirmed[0]
    least = {"condition": 0.5, "latents": 0.6}.get(options["kind"], 0.75)
    assert whole.auc.value > least and whole.unsafe_n > 10 and whole.safe_n > 10
    assert found.file.opened.score >= found.file.threshold > found.file.shut.score
    assert found.calibration.bound <= 0.2 and found.calibration.n > 20
    if options["kind"] != "words":
        assert found.file.model_sha256 == tiny.sha256
        gate = compiled(tiny, found.file)
        from clampdown.models.prompt import Prompt

        for sample in (found.file.opened, found.file.shut):
            (score,) = gate_scores(tiny, gate, [Prompt(sample.ids, sample.user)])
            assert score == pytest.approx(sample.score, abs=1e-3)


@pytest.mark.parametrize("hidden", [0, 80])
def test_the_same_seed_gives_the_same_file(tiny, tmp_path, hidden):
    def written(seed):
        torch.rand(1)  # whatever else draws numbers
        file = fit_gate(tiny, ROWS, FitOptions(blocks="2", seed=seed, hidden=hidden, **EASY)).file
        return {save_gate(file, tmp_path / f"{seed}-{n}").sha256 for n in range(8)}

    first = written(0)
    assert len(first) == 1 and first == written(0) != written(1)


def test_what_is_confirmed_with_is_told_by_kind(tiny):
    found = fit_gate(tiny, ROWS, FitOptions(blocks="2", **EASY))
    kinds = {one.kind: one for one in found.confirmed}
    assert set(kinds) == {"all", "ordinary", "way-0", "way-1", "way-2"}
    assert kinds["ordinary"].unsafe is None and kinds["ordinary"].auc is None
    assert kinds["all"].safe_n == sum(one.safe_n for one in found.confirmed[1:])
    assert sum(found.counts) == len(ROWS)


def test_a_gate_that_its_words_beat_is_warned_of(tiny):
    rows = [replace(r, messages=(("user", f"{r.text} {'zzq' if r.unsafe else 'qqz'}"),)) for r in ROWS]
    found = fit_gate(tiny, rows, FitOptions(kind="condition", blocks="0", **EASY))
    assert found.baseline.auc.value == 1.0
    assert "no better" in found.warning


@pytest.mark.parametrize(
    "options, said",
    [
        ({"blocks": "9"}, "layer 9 does not exist"),
        ({"blocks": "3-1"}, "8,11-14"),
        ({"pools": ("median",)}, "pool must be one of"),
        ({"pools": ("mean", "max")}, "by itself"),
        ({"kind": "condition", "pools": ("attention",)}, "kind probe"),
        ({"kind": "latents", "blocks": "2"}, "another --sae"),
        ({"window": 3}, "pool max"),
        ({"latents": 3}, "latent-probe"),
        ({"hidden": 64, "kind": "condition"}, "goes with the kind probe"),
        ({"hidden": 64, "pools": ("max",)}, "perhaps with max beside them"),
        ({"hidden": 64, "pools": ("last", "attention")}, "perhaps with max beside them"),
        ({"hidden": 64, "pools": ("last",), "window": 3}, "pool max"),
        ({"pools": ("last", "max")}, "fitted by itself"),
        ({"hidden": 10**6}, "at most 4096 units"),
        ({"hidden": -1}, "0 is none"),
        ({"false_positives": 1.0}, "between 0 and 1"),
        ({"look_alikes": 0.0}, "look-alikes must lie above 0"),
        ({"calibrate": ("weather",)}, "no safe prompt is of the kind weather"),
        ({"false_positives": 0.001}, "2995"),
        ({"false_positives": 0.01, "conformal": True}, "takes 99"),
    ],
)
def test_what_can_not_be_fitted_is_said_in_one_line(tiny, one_line, options, said):
    with pytest.raises(ClampdownError) as caught:
        fit_gate(tiny, ROWS, FitOptions(**({"false_positives": 0.2} | options)))
    one_line(caught, said)


def test_too_few_rows_are_refused_before_the_model_reads(tiny, one_line):
    with pytest.raises(ClampdownError) as caught:
        fit_gate(tiny, [row(f"Number {n}", False, "safe", str(n)) for n in range(100)], FitOptions(**EASY))
    one_line(caught, "there are 0 unsafe prompts to fit the gate with")


def test_an_sae_of_another_width_and_blocks_too_many_to_hold_are_refused(tiny, make_sae, one_line, monkeypatch):
    with pytest.raises(ClampdownError) as caught:
        fit_gate(tiny, ROWS, FitOptions(kind="latents", **EASY), sae=make_sae(d=16))
    one_line(caught, "width 16", "the model's is 32")
    monkeypatch.setattr(features, "_MOST", 1 << 16)
    for options, said in (({"pools": ("max",)}, "fewer --blocks"), ({"kind": "latents"}, "a narrower SAE")):
        with pytest.raises(ClampdownError) as caught:
            fit_gate(tiny, ROWS, FitOptions(**EASY, **options), sae=make_sae(n=4096))
        one_line(caught, "GiB", said)


def test_residuals_that_overflow_are_told(tiny, one_line):
    weight = residual.blocks(tiny.hf)[1].mlp.down_proj.weight
    before = weight.detach().clone()
    weight.data.fill_(3e38)
    try:
        with pytest.raises(ClampdownError) as caught:
            fit_gate(tiny, ROWS, FitOptions(blocks="2", **EASY))
    finally:
        weight.data.copy_(before)
    one_line(caught, "not finite", "float32")


def test_thresholds_keep_to_the_rate_for_prompts_not_seen():
    draw = torch.Generator().manual_seed(0)
    kept = 0
    for _ in range(200):
        found = calibrated(torch.randn(600, generator=draw).tolist(), 0.02)
        true = float(1 - torch.distributions.Normal(0, 1).cdf(torch.tensor(found.threshold)))
        kept += true <= 0.02
        assert found.bound == pytest.approx(rate_bound(found.passed, 600)) and found.bound <= 0.02
    assert kept >= 0.9 * 200
    exact, average = (calibrated([float(n) for n in range(600)], 0.02, conformal=c) for c in (False, True))
    assert average.passed == 11 and exact.passed < average.passed and exact.threshold > average.threshold
    with pytest.raises(ClampdownError, match="takes 149"):
        calibrated([0.0] * 148, 0.02)


def test_look_alikes_raise_a_threshold_that_ordinary_prompts_would_leave_low(tiny):
    lax = {"kind": "words", "false_positives": 0.9}
    lone, held = (fit_gate(tiny, ROWS, FitOptions(**lax, look_alikes=share)) for share in (1.0, 0.3))
    assert lone.stricter is None and "and raised for" not in lone.file.about
    assert held.stricter is not None and held.stricter.threshold == held.file.threshold > lone.file.threshold
    assert held.stricter.bound <= 0.3 and held.stricter.passed <= 0.3 * held.stricter.n
    assert held.calibration == lone.calibration and "look-alikes" in held.file.about["and raised for"]
    assert f"(at threshold {held.calibration.threshold:.4g})" in held.file.about["calibrated on"]
    assert "at threshold" not in lone.file.about["calibrated on"]
    told = held.to_dict()
    assert told["calibration"]["threshold"] < told["stricter"]["threshold"] == told["threshold"]
    few = fit_gate(tiny, ROWS, FitOptions(**lax, look_alikes=0.01))  # which so few prompts can't show
    assert few.stricter is None and few.file.threshold == lone.file.threshold


def test_a_gate_that_opens_on_nothing_unsafe_is_told_with_both_shares_that_may_be_raised(tiny, one_line):
    learned = set(split(ROWS, {"ordinary"}, 0).fit)  # what is held out is labelled the other way round
    turned = [
        r if n in learned or r.kind == "ordinary" else replace(r, unsafe=not r.unsafe) for n, r in enumerate(ROWS)
    ]
    with pytest.raises(ClampdownError) as caught:
        fit_gate(tiny, turned, FitOptions(kind="words", false_positives=0.2, look_alikes=0.2))
    one_line(caught, "raise --false-positives and --look-alikes")


def test_scores_that_tie_never_pass_together():
    found = calibrated([1.0] * 300 + [0.0] * 300, 0.02)
    assert found.passed == 0 and found.threshold > 1.0


def test_the_least_of_both_penalties_is_found():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(200, 6, generator=draw)
    y = (x[:, 0] - x[:, 1] + 0.5 * torch.randn(200, generator=draw) > 0).float()
    weight = torch.full((200,), 1 / 200)
    line = fit_l2(x, y, weight, 0.01)
    off = weight * (line.scores(x).sigmoid() - y)
    torch.testing.assert_close(off @ x + 0.01 * line.w, torch.zeros(6), atol=1e-4, rtol=0)
    sparse = fit_l1(x, y, weight, 0.05)
    slope = (weight * (sparse.scores(x).sigmoid() - y)) @ x
    on = sparse.w != 0
    assert on[0] and on[1] and not on.all()
    torch.testing.assert_close(slope[on], -0.05 * sparse.w[on].sign(), atol=1e-3, rtol=0)
    assert (slope[~on].abs() <= 0.05).all()


def ring(n, seed):
    """Rows of which those far out in some plane are of the one label, so that no line tells them apart: [n, 24]."""
    plane = torch.randn(2, 24, generator=torch.Generator().manual_seed(9))
    draw = torch.Generator().manual_seed(seed)
    u = torch.randn(n, 2, generator=draw)
    return u @ plane + 0.3 * torch.randn(n, 24, generator=draw), (u.norm(dim=1) > 1.2).float()


def test_a_hidden_layer_tells_apart_what_no_line_does():
    (x, y), (other, told) = ring(1500, 0), ring(500, 1)
    reads = [Read("mean", 0), Read("last", 2)]
    weight, clusters = torch.full((1500,), 1 / 1500), [str(n) for n in range(1500)]
    shifted, moved = 300 + 4 * x, 300 + 4 * other
    found = fit_hidden_probe(shifted.reshape(-1, 2, 12), y, weight, clusters, reads, units=100, seed=0)
    given = sum(part.w @ own.T for part, own in zip(found.parts, moved.split(12, 1), strict=True)).T
    scores = found.bias + found.hidden.score(given)
    line = fit_l2(x, y, weight, 1e-3).scores(other)
    areas = [auc(s[told == 1].tolist(), s[told == 0].tolist()).value for s in (scores, line)]
    assert areas[0] > 0.8 > 0.65 > areas[1]
    assert [(part.layer, part.pool, len(part.w)) for part in found.parts] == [(0, "mean", 100), (2, "last", 100)]
    assert found.about["hidden units"] == "100" and int(found.about["epochs"]) in EPOCHS


def test_rows_that_weigh_nothing_teach_a_hidden_layer_nothing():
    x, y = ring(400, 2)
    weight = torch.ones(400)
    weight[200:] = 0.0
    wrong = torch.cat([y[:200], 1 - y[200:]])
    one, two = (fit_layers(Inputs(x), labels, weight, 8, 2, 0).scores(Inputs(x)) for labels in (y, wrong))
    other = fit_layers(Inputs(x), y, weight, 8, 2, 1).scores(Inputs(x))
    assert torch.equal(one, two) and not torch.equal(one, other)


def hiding(n, seed):
    """Prompts of which the one label has one window, of one to six, that lies far out: all windows, and the labels."""
    draw = torch.Generator().manual_seed(seed)
    counts = torch.randint(1, 7, (n,), generator=draw)
    x, y = torch.randn(int(counts.sum()), 2, 8, generator=draw), torch.rand(n, generator=draw).round()
    chosen = (counts.cumsum(0) - counts) + (torch.rand(n, generator=draw) * counts).long()
    x[chosen[y == 1], 1, :3] += 2.5
    return WindowMeans(100 + 7 * x, counts, 4), y


def test_a_layer_of_windows_finds_the_one_that_counts():
    (windows, y), (other, told) = hiding(1500, 0), hiding(400, 1)
    x, weight, clusters = torch.randn(1500, 1, 8), torch.full((1500,), 1.0), [str(n) for n in range(1500)]
    reads, windowed = [Read("last", 0)], [Read("max", 1), Read("max", 2)]
    found = fit_hidden_probe(x, y, weight, clusters, reads, units=64, seed=0, windows=windows, windowed=windowed)
    first, one, two = found.parts
    assert [(p.layer, p.pool, p.window, len(p.w)) for p in (first, one, two)] == [
        (0, "last", 1, 64), (1, "max", 4, 32), (2, "max", 4, 32)
    ]  # fmt: skip
    each = found.windows.score(other.x[:, 0] @ one.w.T + other.x[:, 1] @ two.w.T)
    scores = torch.stack([some.amax() for some in each.split(other.counts.tolist())])
    assert auc(scores[told == 1].tolist(), scores[told == 0].tolist()).value > 0.93
    assert found.about["hidden units of windows"] == "32"


def test_windows_are_taken_and_scaled_as_a_plain_loop_would():
    (windows, _), weight = hiding(60, 3), torch.rand(60, generator=torch.Generator().manual_seed(2))
    each = windows.x.flatten(1).split(windows.counts.tolist())
    some = windows.of(torch.tensor([7, 3, 7]))
    assert torch.equal(some.x.flatten(1), torch.cat([each[7], each[3], each[7]]))
    assert some.rows.tolist() == [0] * len(each[7]) + [1] * len(each[3]) + [2] * len(each[7])
    share = torch.cat([w / len(own) * torch.ones(len(own)) for w, own in zip(weight, each, strict=True)])
    plain = Scale.of(windows.x.flatten(1), share)
    for got, expected in zip(windows.scale(weight), plain, strict=True):
        torch.testing.assert_close(got, expected)


def test_undoing_a_scale_keeps_scores():
    x = 100 + 5 * torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    scale = Scale.of(x, torch.rand(50, generator=torch.Generator().manual_seed(1)))
    line = fit_l2(scale(x), (x[:, 0] > 100).float(), torch.full((50,), 0.02), 0.1)
    torch.testing.assert_close(scale.undone(line).scores(x), line.scores(scale(x)), atol=1e-3, rtol=1e-3)


def recipe_with(tiny, found, folder):
    gate = save_gate(found.file, folder / "gate.safetensors")
    edit = Direction(1, 1.0, seed=0)
    return Recipe("gated", tiny.name, tiny.sha256, (edit,), gate=gate)


def test_a_check_compares_every_unsafe_set_with_every_safe_one(tiny, tmp_path):
    recipe = recipe_with(tiny, fit_gate(tiny, ROWS, FitOptions(blocks="2", **EASY)), tmp_path)
    bad = [r for r in ROWS if r.unsafe]
    good = [r for r in ROWS if not r.unsafe]
    found = check_gate(tiny, recipe, {"bad": bad, "half": bad[:20]}, {"good": good[:40]})
    assert [(p.unsafe.name, p.safe.name) for p in found.pairs] == [("bad", "good"), ("half", "good")]
    plain = found.to_dict()["pairs"][0]
    assert {"unsafe", "safe", "auc", "open"} <= set(plain) and set(plain["auc"]) == {"value", "low", "high"}
    one = found.unsafe[0]
    assert plain["open"]["unsafe"] == sum(score >= found.threshold for score in one.scores) / len(bad)
    wrong = one.wrong(found.threshold)
    assert [one.scores[i] for i in wrong] == sorted(s for s in one.scores if s < found.threshold)
    shut = check_gate(tiny, recipe, {"bad": bad[:5]}, {"good": good[:5]}, threshold=1e9)
    assert shut.to_dict()["pairs"][0]["open"] == {"unsafe": 0.0, "safe": 0.0}
    with pytest.raises(ClampdownError, match="has no gate"):
        check_gate(tiny, replace(recipe, gate=None), {"bad": bad[:5]}, {"good": good[:5]})


def test_the_parts_of_a_score_that_latents_make_add_up_to_it(tiny, sae, prompts):
    found = fit_gate(tiny, ROWS, FitOptions(kind="latents", latents=3, **EASY), sae=sae)
    gate = compiled(tiny, found.file)
    scores = prompt_scores(tiny, [gate], prompts)[0].tolist()
    why = explainer(tiny, gate, sae, prompts, scores)
    assert why.exact
    for score, own in zip(scores, why.of(prompts, 3), strict=True):
        assert sum(one.weight for one in own) == pytest.approx(score, abs=1e-3)


@pytest.mark.parametrize("hidden", [0, 64])
def test_a_dense_gate_is_explained_by_latents_that_go_with_its_score(tiny, sae, hidden):
    found = fit_gate(tiny, ROWS, FitOptions(blocks="1", pools=("mean",), hidden=hidden, **EASY))
    gate = compiled(tiny, found.file)
    some = [tiny.prompt_ids(r.chat) for r in ROWS[:200]]
    scores = prompt_scores(tiny, [gate], some)[0].tolist()
    why = explainer(tiny, gate, sae, some, scores)
    assert not why.exact
    best = why.overall(5)
    assert best and all(-1 <= one.weight <= 1 for one in best) and abs(best[0].weight) > 0.3
    assert all(len(one.promotes) == 4 for one in best)


@pytest.mark.parametrize(
    "options",
    [
        FitOptions(),
        FitOptions(blocks="1-2", pools=("last@2", "mean"), over="users", conformal=True, seed=3, false_positives=0.05),
        FitOptions(hidden=128, blocks="2"),
        FitOptions(hidden=0),
        FitOptions(kind="latents", latents=3, calibrate=("everyday talk", "ordinary")),
    ],
)
def test_the_command_in_a_gates_file_asks_for_the_same(options):
    import argparse
    import shlex

    from clampdown.cli import gate_fit

    parser = argparse.ArgumentParser()
    gate_fit.add_parser(parser.add_subparsers())
    program, group, *words = shlex.split(options.command)
    assert (program, group) == ("clampdown", "gate")
    assert gate_fit._options(parser.parse_args(words)) == options
