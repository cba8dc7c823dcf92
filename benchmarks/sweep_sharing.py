"""What a sweep over clamp values costs when it shares what does not depend on them.

    python benchmarks/sweep_sharing.py [--recipes 8] [--rows 16] [--length 128] [--questions 48] [--repeats 5]

The bundled model (30 blocks) and recipe (clamps after block 12), its values at C multiples. Contenders take turns
within each repeat, in an order that moves on; a share is the median over repeats of one time over another's of the same
repeat.

- every position: the logits of all positions of a batch under C recipes, against C runs of ours with the same steering,
  and against C runs of lm-eval's `steered` model (which clamps one latent, its own way). Theory:
  ((L + 1)/C + n − L − 1 + h)/(n + h), with h the head's cost in blocks, measured here.
- answers only: scoring multiple-choice requests, the head only where an answer's token is predicted; lm-eval's models
  run it everywhere, so against them the theory is ((L + 1)/C + n − L − 1)/(n + h), the head at the few left out.
- few-shot: the same requests behind worked examples that all share, with and without sharing their keys and values.
  Theory: tokens run, attention's growth with length left out.

lm-eval's parts are left out where it is not installed. `OMP_NUM_THREADS` sets the threads. The machine should be idle.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from clampdown.engine.prefill import shared_length
from clampdown.engine.request import Continuation
from clampdown.engine.scoring import sweep_loglikelihood
from clampdown.engine.sharing import Sweep
from clampdown.measuring.sets.sets import builtin_set
from clampdown.models import residual
from clampdown.models.chat_model import ChatModel, load_chat_model
from clampdown.recipe import Clamp, Recipe
from clampdown.recipe.bundled import REFUSAL, bundled_path
from clampdown.saes.load import load_sae
from clampdown.steering.attach import Steering
from clampdown.steering.scaling import scaled

Contenders = dict[str, Callable[[], Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, number in (
        ("recipes", 8),
        ("rows", 16),
        ("length", 128),
        ("questions", 48),
        ("shots", 5),
        ("repeats", 5),
    ):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--recipe", type=Path, help="(default: refusal, which comes along)")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    model = load_chat_model(dtype=options.dtype)
    base = Recipe.load(options.recipe or bundled_path(REFUSAL))
    factors = [0.5 + 1.5 * n / max(1, options.recipes - 1) for n in range(options.recipes)]
    recipes = [replace(base, edits=scaled(base, factor)) for factor in factors]
    theirs = Theirs(model, recipes) if find_spec("lm_eval") else None
    print(f"{model.name}, {options.dtype}, {torch.get_num_threads()} threads, {options.recipes} recipes, "
          f"{os.cpu_count()} cores with {os.getloadavg()[0]:.1f} programs running")  # fmt: skip
    found = every_position(model, recipes, theirs, options)
    head = found["head, in blocks"]
    found |= answers_only(model, recipes, theirs, options, head) | few_shot(model, recipes, options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def every_position(
    model: ChatModel, recipes: Sequence[Recipe], theirs: "Theirs | None", options: Any
) -> dict[str, float]:
    text = model.ids(" ".join(item.text for item in builtin_set("text").items))
    rows = [(text * 9)[n * options.length :][: options.length] for n in range(options.rows)]
    ids, prompts = torch.tensor(rows), [options.length] * options.rows

    def shared() -> None:
        for _ in Sweep(model, recipes).logits(rows, prompts):
            pass

    def apart() -> None:
        for recipe in recipes:
            with Steering(model, [recipe] * len(rows), prompt_lengths=prompts):
                model.hf(input_ids=ids, use_cache=False)

    contenders: Contenders = {
        "whole": lambda: model.hf(input_ids=ids, use_cache=False),
        "blocks": lambda: residual.decoder(model.hf)(input_ids=ids, use_cache=False),
        "shared": shared,
        "ours apart": apart,
    }
    if theirs:
        contenders["lm-eval's apart"] = lambda: theirs.each(lambda lm: lm._model_call(ids))
    times = timed(contenders, options.repeats)
    n, layer, c = model.n_layers, Sweep(model, recipes).layer, len(recipes)
    head = n * (share(times, "whole", "blocks") - 1)
    theory = ((layer + 1) / c + n - layer - 1 + head) / (n + head)
    found = {"head, in blocks": head, "every position, theory": theory}
    print(f"\nevery position: {options.rows} rows of {options.length} tokens; the head costs {head:.2f} blocks")
    return found | compared("every position", times, theory)


def answers_only(
    model: ChatModel, recipes: Sequence[Recipe], theirs: "Theirs | None", options: Any, head: float
) -> dict[str, float]:
    asked = requests(model, options.questions, 0)
    score = partial(sweep_loglikelihood, model, batch_size=options.rows, share_prefix=False)
    contenders: Contenders = {
        "shared": lambda: score(recipes, asked),
        "ours apart": lambda: [score([recipe], asked) for recipe in recipes],
    }
    if theirs:
        contenders |= theirs.scoring(asked, options.rows)
    times = timed(contenders, options.repeats)
    n, layer, c = model.n_layers, Sweep(model, recipes).layer, len(recipes)
    above = (layer + 1) / c + n - layer - 1
    print(f"\nanswers only: {len(asked)} requests of {options.questions} questions")
    found = {"answers only, theory": above / n, "answers only, theory against lm-eval": above / (n + head)}
    return found | compared("answers only", times, above / n, above / (n + head))


def few_shot(model: ChatModel, recipes: Sequence[Recipe], options: Any) -> dict[str, float]:
    asked = requests(model, options.questions, options.shots)
    score = partial(sweep_loglikelihood, model, recipes, asked, batch_size=options.rows)
    contenders: Contenders = {"prefix once": score, "prefix in every row": lambda: score(share_prefix=False)}
    times = timed(contenders, options.repeats)
    rows = list({(*request.prompt, *request.answer[:-1]) for request in asked})
    prefix = shared_length([request.prompt for request in asked])
    whole = sum(map(len, rows))
    theory = (prefix + whole - len(rows) * prefix) / whole
    measured = share(times, "prefix once", "prefix in every row")
    print(f"\nfew-shot: {prefix} tokens shared by {len(rows)} rows of {whole / len(rows):.0f} on average")
    print(f"  {'prefix once, of prefix in every row':44}{measured:6.3f}   theory {theory:.3f}")
    return {"few-shot": measured, "few-shot, theory": theory}


def requests(model: ChatModel, questions: int, shots: int) -> list[Continuation]:
    """Every choice of built-in questions, behind so many worked examples."""
    items = builtin_set("capability").items
    shown = "".join(f"Question: {i.text}\nAnswer: {i.choices[i.answer]}\n\n" for i in items[len(items) - shots :])
    asked = (list(items[: len(items) - shots]) * 9)[:questions]
    prompts = [model.ids(f"{shown}Question: {n}. {item.text}\nAnswer:") for n, item in enumerate(asked)]
    return [
        Continuation(prompt, model.ids(f" {choice}"))
        for prompt, item in zip(prompts, asked, strict=True)
        for choice in item.choices
    ]


class Theirs:
    """lm-eval's `steered` model, which takes one latent a layer, and its way of scoring."""

    def __init__(self, model: ChatModel, recipes: Sequence[Recipe]) -> None:
        from lm_eval.models.hf_steered import SteeredModel

        clamp = recipes[0].edits[0]
        assert isinstance(clamp, Clamp)
        latent = next(iter(clamp.values))
        sae = load_sae(clamp.sae)
        point = f"layers.{clamp.layer}"
        told = {"steering_vector": sae.w_dec[latent].clone(), "steering_coefficient": 1.0, "action": "clamp"}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "steer.pt"
            torch.save({point: told | {"bias": sae.b_dec.clone()}}, path)
            dtype = str(model.dtype).removeprefix("torch.")
            self.lm: Any = SteeredModel(str(model.folder), str(path), device=model.device.type, dtype=dtype)
        values = [float(next(iter(r.edits[0].values.values()))) for r in recipes]  # type: ignore[union-attr]
        act = self.lm.hook_to_steer[point]
        self.hooks = [{point: partial(act, value=value)} for value in values]

    def each(self, run: Callable[[Any], Any]) -> None:
        """Once for each value."""
        for hooks in self.hooks:
            self.lm.hook_to_steer = hooks
            with torch.no_grad():
                run(self.lm)

    def scoring(self, asked: Sequence[Continuation], batch_size: int) -> Contenders:
        self.lm.batch_size_per_gpu = batch_size
        rows = [(("", str(n)), list(r.prompt), list(r.answer)) for n, r in enumerate(asked)]
        return {"lm-eval's apart": lambda: self.each(lambda lm: lm._loglikelihood_tokens(rows, disable_tqdm=True))}


def timed(contenders: Contenders, repeats: int) -> dict[str, list[float]]:
    """Seconds of every contender, one list of `repeats` each; one more turn beforehand warms up."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    with torch.inference_mode():
        for turn in range(repeats + 1):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                start = time.perf_counter()
                contenders[name]()
                if turn:
                    times[name].append(time.perf_counter() - start)
    return times


def share(times: dict[str, list[float]], one: str, other: str) -> float:
    return statistics.median(a / b for a, b in zip(times[one], times[other], strict=True))


def compared(
    what: str, times: dict[str, list[float]], theory: float, against_theirs: float | None = None
) -> dict[str, float]:
    found = {}
    for other in (name for name in times if name.endswith("apart")):
        expected = theory if against_theirs is None or other.startswith("ours") else against_theirs
        measured = share(times, "shared", other)
        found[f"{what}, of {other}"] = measured
        told = f"theory {expected:.3f}, {measured / expected - 1:+.1%}"
        seconds = f"{statistics.median(times['shared']):.2f} of {statistics.median(times[other]):.2f} s"
        print(f"  {'shared, of ' + other:44}{measured:6.3f}   {told}; {seconds}")
    return found


if __name__ == "__main__":
    main()
