"""Tuning an edit: the loss is what steering does, only held-out prompts tell, and what is no refusal is no target."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

from clampdown import library
from clampdown.discovery.answers import COMPLIANCE, REFUSAL
from clampdown.discovery.gates.rows import GateRow, shipped_rows
from clampdown.discovery.tree import grow
from clampdown.discovery.tuning.held_out import HeldOut, weakest
from clampdown.discovery.tuning.lesson import Lesson
from clampdown.discovery.tuning.optimise import optimise
from clampdown.discovery.tuning.options import TuneOptions
from clampdown.discovery.tuning.path import chosen_latents
from clampdown.discovery.tuning.plan import Plan
from clampdown.discovery.tuning.prompts import divided, unsafe_rows
from clampdown.discovery.tuning.targets import Target, cut, targets
from clampdown.discovery.tuning.trained import TrainedClamp, TrainedDirection
from clampdown.discovery.tuning.tune import _doubt, _unedited, tune
from clampdown.engine.request import Continuation
from clampdown.engine.scoring import sweep_loglikelihood
from clampdown.errors import ClampdownError
from clampdown.measuring.sets.sets import builtin_set
from clampdown.measuring.statistics.rates import Interval
from clampdown.models import residual
from clampdown.progress import quiet
from clampdown.recipe import Clamp, Direction, Gate, Positions, Recipe
from clampdown.saes.files import save_sae
from clampdown.saes.load import load_sae

ASKED = [
    "How do I rob a bank?",
    "hi",
    [{"role": "user", "content": "A bank."}, {"role": "assistant", "content": "So?"}],
]
SAID = ["I can't help with that.", "No.", "I'm sorry, but I can't do that for you."]
ROWS = [GateRow((("user", f"How do I rob bank {n}?"),), True, "k", f"{n}") for n in range(90)]
NO = "I'm sorry, but I can't help with that."
WINDOWS = [
    Positions(),
    Positions(prompt="last"),
    Positions(prompt="user", generated=3),
    Positions(prompt="none", generated="all"),
    Positions(prompt="last", generated=2, fade=3),
    Positions(prompt="all", generated="none", sinks=True),
]


def taught(model, layer, positions=None, sink=None):
    """A lesson of three targets, one after a conversation."""
    asked = [*ASKED[:2], [*ASKED[2], {"role": "user", "content": "How do I rob it?"}]]
    told = [
        Target(model.prompt_ids(prompt), (*model.text_ids(text), model.end_id), text)
        for prompt, text in zip(asked, SAID, strict=True)
    ]
    return Lesson(model, layer, told, lambda _: positions or Positions(sink_norm=sink), quiet), told


@pytest.fixture(params=["topk", "jumprelu", "layer_norm"])
def sae(request, make_sae, tmp_path):
    kind = {"layer_norm": {"kind": "relu", "normalise": "layer_norm"}}.get(request.param, {"kind": request.param})
    path = tmp_path / "sae.safetensors"
    save_sae(replace(make_sae(**kind), model="tiny"), path)
    return load_sae(str(path))


def by_engine(model, edit, positions, told):
    recipe = Recipe("tuned", model.name, model.sha256, (edit,), positions)
    asked = [Continuation(target.prompt, target.answer) for target in told]
    return [score.log_probability for score in sweep_loglikelihood(model, [recipe], asked).scores[0]]


def by_tuner(lesson, trained, told):
    with torch.no_grad():
        nats = lesson.log_likelihoods(range(len(told)), trained.delta)
    return [float(part.sum()) for part in nats.split([len(target.answer) for target in told])]


@pytest.mark.parametrize("positions", WINDOWS, ids=str)
def test_what_is_trained_is_what_steering_does(tiny, positions):
    lesson, told = taught(tiny, 1, positions)
    lesson.positions = positions = replace(positions, sink_norm=float(lesson.norms().quantile(0.8)))
    trained = TrainedDirection(1, torch.linspace(-3, 3, tiny.d_model))
    found = by_tuner(lesson, trained, told)
    assert found == pytest.approx(by_engine(tiny, trained.edit(1.0), positions, told), abs=2e-2)
    plain = by_tuner(lesson, TrainedDirection(1, torch.zeros(tiny.d_model)), told)
    assert found != pytest.approx(plain, abs=0.1)


def test_a_trained_clamp_is_what_steering_does(tiny, sae):
    lesson, told = taught(tiny, 1)
    trained = TrainedClamp(sae, {3: 4.0, 17: 2.0, 40: 0.0}, tiny.device)
    found = by_tuner(lesson, trained, told)
    assert found == pytest.approx(by_engine(tiny, trained.edit(1.0), Positions(), told), abs=2e-2)


def test_training_makes_the_targets_likelier_and_leaves_the_model_as_it_was(tiny):
    lesson, told = taught(tiny, 1)
    trained = TrainedDirection(1, torch.zeros(tiny.d_model))
    tiny.hf.requires_grad_(True)
    try:
        losses = optimise(lesson, trained, steps=12, batch=2, rate=0.5, seed=0, progress=quiet)
        assert all(w.requires_grad and w.grad is None for w in tiny.hf.parameters())
    finally:
        tiny.hf.requires_grad_(False)
    assert len(losses) == 12
    before = by_tuner(lesson, TrainedDirection(1, torch.zeros(tiny.d_model)), told)
    assert sum(by_tuner(lesson, trained, told)) > sum(before) + 5


def test_a_training_that_is_stopped_leaves_the_model_as_it_was(tiny):
    def stop(stage, *_):
        if stage == "tuning":
            raise KeyboardInterrupt

    lesson, told = taught(tiny, 1)
    nothing = TrainedDirection(1, torch.zeros(tiny.d_model))
    before = by_tuner(lesson, nothing, told)
    tiny.hf.requires_grad_(True)
    try:
        with pytest.raises(KeyboardInterrupt):
            optimise(
                lesson, TrainedDirection(1, torch.ones(tiny.d_model)), steps=3, batch=2, rate=1, seed=0, progress=stop
            )
        assert all(weight.requires_grad for weight in tiny.hf.parameters())
    finally:
        tiny.hf.requires_grad_(False)
    assert by_tuner(lesson, nothing, told) == before
    with tiny.unsteered():
        assert not any(block._forward_hooks for block in residual.blocks(tiny.hf))


def test_a_clamp_s_values_never_fall_below_zero(tiny, sae):
    lesson, _ = taught(tiny, 1)
    trained = TrainedClamp(sae, dict.fromkeys(range(24), 0.2), tiny.device)
    optimise(lesson, trained, steps=6, batch=3, rate=1.0, seed=0, progress=quiet)
    values = trained.edit(1.0).values
    assert min(values.values()) == 0 and max(values.values()) > 0


def test_latents_are_chosen_that_make_the_targets_likelier(tiny, sae):
    lesson, told = taught(tiny, 1)
    found = chosen_latents(lesson, sae, 4, steps=10, batch=3, rate=1.0, seed=0, progress=quiet)
    assert len(found) == 4 and min(found.values()) > 0
    nothing = TrainedDirection(1, torch.zeros(tiny.d_model))
    pushed = TrainedDirection(1, sum(value * sae.w_dec[latent].float() for latent, value in found.items()))
    assert sum(by_tuner(lesson, pushed, told)) > sum(by_tuner(lesson, nothing, told))


@pytest.mark.parametrize(
    "text, finished, kept",
    [
        (f"{NO} I'm not able to. And", False, f"{NO} I'm not able to."),
        (f"{NO} I'm not", False, NO),
        ("I can't help you with that. However, I can tell you how it is done.", True, "I can't help you with that."),
        ("I can't help you with that. You're looking for a bank.", True, "I can't help you with that."),
        ("I can't help you with that, but I can give you a list:\n1. Masks", True, ""),
        ("I'm sorry, but I can't help with", False, ""),
        ("I'm sorry, but I can't wait to tell you about banks.", True, ""),
        ("", True, ""),
    ],
)
def test_only_what_refuses_and_offers_nothing_is_a_target(text, finished, kept):
    assert cut("How do I rob a bank?", text, finished) == kept


def test_a_model_that_can_t_finish_a_refusal_is_told(tiny, one_line):
    rows = [GateRow((("user", f"How do I rob bank {n}?"),), True, "k", f"{n}") for n in range(8)]
    with pytest.raises(ClampdownError) as caught:
        targets(tiny, rows, None, quiet)
    one_line(caught, "tiny", "refusals")


def test_prompts_are_apart_by_pair_and_of_all_kinds():
    rows, named = unsafe_rows([], only=False)
    assert not named and all(row.unsafe for row in rows) and "languages" not in {row.kind for row in rows}
    reported = {item.text for item in builtin_set("unsafe").half("report").items}
    parts = divided(rows, named, (240, 48, 64), 0)
    assert [len(part) for part in parts] == [240, 48, 64]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not {row.cluster for row in parts[one]} & {row.cluster for row in parts[other]}
    assert not reported & {row.text for part in parts for row in part}
    carried = [row for row in parts.training if len(row.messages) > 1 or len(row.text) > 260]
    assert len(carried) == 40 and any(len(row.messages) > 1 for row in carried)
    shipped = {row.kind for row in shipped_rows() if row.unsafe}
    assert len({row.kind for row in parts.training}) > 0.8 * len(shipped)
    assert divided(rows, named, (240, 48, 64), 0) == parts != divided(rows, named, (240, 48, 64), 1)


def test_named_files_make_up_half(tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("".join(f"How do I rob bank {n}?\n" for n in range(90)))
    rows, named = unsafe_rows([str(file)], only=False)
    training = divided(rows, named, (24, 8, 8), 0).training
    assert len(training) == 24 and Counter(row.kind in named for row in training)[True] == 12
    only = divided(*unsafe_rows([str(file)], only=True), (24, 8, 8), 0).training
    assert len(only) == 24 and all(row.text.startswith("How do I rob bank") for row in only)


def test_too_few_prompts_are_told(tmp_path, one_line):
    file = tmp_path / "mine.txt"
    file.write_text("How do I rob a bank?\nHow do I rob a shop?\n")
    with pytest.raises(ClampdownError) as caught:
        divided(*unsafe_rows([str(file)], only=True), (24, 8, 8), 0)
    one_line(caught, "too few")
    with pytest.raises(ClampdownError) as caught:
        unsafe_rows([], only=True)
    one_line(caught, "--unsafe")


@pytest.mark.parametrize(
    "rates, chosen",
    [((0.2, 0.9, 0.95, 0.96), 0.7), ((0.9, 0.91, 0.9, 0.3), 0.35), ((0, 0, 0, 0.1), 1.0), ((0.94, 0.96), 0.35)],
)
def test_the_weakest_of_those_near_the_best_is_chosen(rates, chosen):
    def result(rate):
        return HeldOut(Interval(rate, 0.0, 1.0), Interval(rate, 0.0, 1.0), 50, 0.0, 0.0, 1.0)

    assert weakest([(f, result(r)) for f, r in zip((0.35, 0.5, 0.7, 1.0), rates, strict=False)]) == chosen


@pytest.mark.parametrize("edits", [(), (Direction(1, 1.0, seed=1),)])
def test_no_steering_keeps_the_recipe_s_system_prompt(edits):
    recipe = Recipe("mine", "tiny", "0" * 64, edits, gate=Gate(external="wildguard"))
    assert _unedited(recipe) is None
    plain = _unedited(replace(recipe, system_prompt="Be kind."))
    assert plain is not None and (plain.system_prompt, plain.edits, plain.gate) == ("Be kind.", (), None)


@pytest.mark.parametrize(
    "edits, rates, words",
    [
        (0, (0.02, 0.02, 0.02), ["does not work", "before it was 2%"]),
        (0, (0.02, 0.02, 0.5), []),
        (1, (0.02, 0.9, 0.9), []),
        (1, (0.02, 0.9, 0.86), []),
        (1, (0.02, 0.9, 0.6), ["fewer than mine", "60% of 50", "before 90%", "keep that one"]),
        (1, (0.02, 0.9, 0.02), ["does not work", "without an edit it is 2%"]),
        (1, (0.0, 0.0, 0.0), ["does not work"]),
    ],
)
def test_only_what_is_worse_than_what_it_was_made_from_is_warned_of(edits, rates, words):
    def result(rate):
        interval = Interval(rate, max(0.0, rate - 0.1), min(1.0, rate + 0.1))
        return HeldOut(interval, interval, 50, 0.0, 0.0, 1.0)

    start = Recipe("mine", "tiny", "0" * 64, (Direction(1, 1.0, seed=1),) * edits)
    said = _doubt(start, *map(result, rates))
    assert bool(said) == bool(words) and all(word in said for word in words)


@pytest.mark.parametrize(
    "wrong, word",
    [
        ({"kind": "probe"}, "kind"),
        ({"start": "here"}, "start"),
        ({"latents": 4}, "clamp"),
        ({"kind": "clamp", "layer": 3}, "SAE"),
        ({"kind": "clamp", "start": "means"}, "direction"),
        ({"steps": 0}, "steps"),
        ({"prompt": "first"}, "prompt"),
        ({"prompt": "none", "generated": "none"}, "window"),
        ({"generated": -1}, "generated"),
    ],
)
def test_options_that_can_t_be_are_told(wrong, word, one_line):
    with pytest.raises(ClampdownError) as caught:
        TuneOptions(**wrong)
    one_line(caught, word)


def test_what_does_not_fit_is_told_before_anything_runs(tiny, make_sae, one_line):
    mine = Recipe("mine", "tiny", tiny.sha256, (Direction(1, 1.0, seed=1),))
    wide = make_sae(d=64)
    tried = [
        ((library.default_recipe(), TuneOptions()), {}, "weights"),
        ((mine, TuneOptions(layer=4)), {}, "layer 4"),
        ((mine, TuneOptions(kind="clamp")), {}, "latents"),
        ((mine, TuneOptions(kind="clamp", latents=3)), {}, "SAE"),
        ((mine, TuneOptions(kind="clamp", latents=3)), {"sae": wide}, "width"),
        ((mine, TuneOptions()), {"sae": wide}, "SAE"),
    ]
    for (recipe, options), more, word in tried:
        with pytest.raises(ClampdownError) as caught:
            tune(tiny, recipe, ROWS, options, **more)
        one_line(caught, word)


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"values": {999_999: 3.0}}, "latent 999999 does not exist"),
        ({"sae_sha256": "0" * 64}, "000000000000"),
        ({"layer": 2}, "recipe clamps at 2"),
    ],
)
@pytest.mark.parametrize("kind", ["clamp", "direction"])
def test_a_clamp_that_does_not_fit_its_sae_is_told_before_anything_runs(tiny, sae, changes, word, kind, one_line):
    edit = Clamp(**({"layer": 1, "values": {3: 4.0}, "sae": sae.name, "sae_sha256": sae.sha256} | changes))
    recipe = Recipe("mine", "tiny", tiny.sha256, (edit,), gate=Gate(external="wildguard"))

    def ran(*_):
        raise AssertionError("something ran")

    with pytest.raises(ClampdownError) as caught:
        tune(tiny, recipe, ROWS, TuneOptions(kind=kind), progress=ran)
    one_line(caught, word)


@pytest.mark.parametrize("operation", ["at-least", "multiply"])
def test_a_clamp_that_does_not_set_its_latents_has_no_values_to_tune(tiny, sae, operation, one_line):
    edit = Clamp(sae.name, sae.sha256, 1, {3: 4.0}, operation=operation)
    with pytest.raises(ClampdownError) as caught:
        tune(tiny, Recipe("mine", "tiny", tiny.sha256, (edit,)), ROWS, TuneOptions(kind="clamp"))
    one_line(caught, "mine", "sets its latents")


def test_a_direction_may_begin_at_the_difference_in_means(tiny):
    recipe = Recipe("mine", "tiny", tiny.sha256, (Direction(1, 1.0, seed=1),))
    plan = Plan(tiny, recipe, TuneOptions(start="means", steps=1, rate=1e-6), None)
    asked = ["How do I rob a bank?", "How do I rob a shop?"]
    trained, losses = plan.trained(taught(tiny, 1)[0], asked, quiet)
    tree = grow(tiny, 1, asked, REFUSAL, COMPLIANCE)
    means = tree.refusing().mean(0) - tree.complying().mean(0)
    assert len(losses) == 1 and trained.edit(1.0).values == pytest.approx(means.tolist(), abs=1e-3)
