"""The families of arms: each makes recipes by name, all without a gate, from the shipped edit or beside it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from few import by_attribution, by_logits, pruned, pursued
from keep_off import axes, kept_off, whitened
from torch import Tensor
from trained import kept_off_by_training, tuned_at

from clampdown.discovery.evidence import Evidence, gather
from clampdown.discovery.windows import window
from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.measuring.sets.sets import builtin_set, selecting_prompts
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Clamp, Direction, Edit, Recipe
from clampdown.recipe.bundled import REFUSAL, bundled_path
from clampdown.saes.load import load_sae
from clampdown.saes.sae import SAE
from clampdown.saes.sinks import sink_norm
from clampdown.steering.scaling import scaled
from clampdown.studies.calibration import Calibration, scale_to
from clampdown.studies.controls import difference_in_means, random_directions
from clampdown.studies.plan import Plan

SHIPPED = "shipped"
OWN = "last"
"""The shipped window: the prompt's last token and the whole answer."""
DRAWS = 5
Made = dict[str, Recipe]


class Workshop:
    """What arms are made of: the model, the shipped direction, the SAE, and what ordinary prompts use."""

    def __init__(self, model: ChatModel, shipped: Recipe, seed: int) -> None:
        self.model, self.shipped, self.seed = model, shipped, seed
        [edit] = shipped.edits
        assert isinstance(edit, Direction)
        self.direction, self.layer = edit, edit.layer
        self.vector = torch.tensor(edit.values) * edit.strength
        self.clamp = replace(Recipe.load(bundled_path(REFUSAL)), gate=None)
        self._norms: dict[int, float] = {edit.layer: shipped.positions.sink_norm or 0.0}

    @cached_property
    def sae(self) -> SAE:
        return load_sae(self.clamp.clamps[0].sae)

    def arm(self, name: str, edits: Sequence[Edit], where: str = OWN) -> Recipe:
        norm = self.norm(min(edit.layer for edit in edits))
        return replace(self.shipped, name=name, note="", edits=tuple(edits), positions=window(where, norm))

    def along(self, vector: Tensor, layer: int | None = None) -> Direction:
        layer = self.layer if layer is None else layer
        return Direction(layer, 1.0, values=tuple(float(f"{v:.5g}") for v in vector.tolist()))

    def times(self, factor: float) -> Direction:
        return replace(self.direction, strength=self.direction.strength * factor)

    def clamps(self, values: dict[int, float], operation: str = "set") -> Clamp:
        return Clamp(self.sae.name, self.sae.sha256, self.sae.layer, values, operation=operation)

    def norm(self, layer: int) -> float:
        """Beyond which a position is a sink."""
        if layer not in self._norms:
            batch = self.model.pad([self.model.prompt_ids(text) for text in self.ordinary[:16]], side="right")
            with self.model.unsteered():
                [x] = self.model.residual(batch, [layer])
            real = batch.attention_mask.bool()
            real[:, 0] = False
            self._norms[layer] = sink_norm(x[real].float().norm(dim=-1))
        return self._norms[layer]

    @cached_property
    def ordinary(self) -> list[str]:
        """Safe prompts and look-alikes of the selecting half."""
        return [item.text for kind in ("safe", "lookalike") for item in builtin_set(kind).half("select").items][::4]

    @cached_property
    def used(self) -> Tensor:
        """Residuals at the shipped layer where the window holds ordinary prompts and the model's own answers."""
        found = []
        for start in range(0, len(self.ordinary), 16):
            prompts = [self.model.prompt_ids(text, room=16) for text in self.ordinary[start : start + 16]]
            answers = generate(self.model, prompts, [None] * len(prompts), Sampling(16))
            rows = [prompt + tuple(answer.ids) for prompt, answer in zip(prompts, answers, strict=True)]
            with self.model.unsteered():
                [x] = self.model.residual(self.model.pad(rows, side="right"), [self.layer])
            found += [x[i, len(prompts[i]) - 1 : len(row)].float() for i, row in enumerate(rows)]
        return torch.cat(found)

    @cached_property
    def evidence(self) -> Evidence:
        unsafe, safe = (selecting_prompts(kind, 24, self.seed) for kind in ("unsafe", "safe"))
        return gather(self.model, self.layer, unsafe, safe, selecting_prompts("text", 8, self.seed))

    @cached_property
    def base(self) -> Tensor:
        """The latents' mean activations on complying answers: what a clamp that adds begins from."""
        return self.sae.encode(self.evidence.unsafe.complying()).mean(0)

    def as_clamp(self, found: dict[int, float], operation: str = "set") -> Clamp:
        """Coefficients on decoder rows as a clamp: upon what the latents are at in complying answers."""
        return self.clamps({k: round(float(self.base[k]) + v, 3) for k, v in found.items()}, operation)


def shipped(shop: Workshop) -> Made:
    return {SHIPPED: shop.shipped}


def strengths(shop: Workshop) -> Made:
    return {f"tuned × {f:g}": shop.arm("a", [shop.times(f)]) for f in (0.5, 0.7)}


def windows(shop: Workshop) -> Made:
    found = {}
    for where in ("last+1", "last+2", "last+3", "last+8", "last+14", "last+4~8", "all+14"):
        found[f"tuned, {where}"] = shop.arm("a", [shop.times(1)], where)
    return found | {f"tuned × {f:g}, last+8": shop.arm("a", [shop.times(f)], "last+8") for f in (0.7,)}


def clamps(shop: Workshop) -> Made:
    found = {}
    for factor, where in ((0.7, "all+14"), (1, "all+14"), (1, "last+8")):
        found[f"4 latents × {factor:g}, {where}"] = shop.arm("a", scaled(shop.clamp, factor), where)
    return found


def operations(shop: Workshop) -> Made:
    [clamp] = shop.clamp.clamps
    found = {}
    for factor in (1,):
        made = replace(scaled(shop.clamp, factor)[0], operation="at-least")
        found[f"4 latents at least × {factor:g}, all+14"] = shop.arm("a", [made], "all+14")
    for factor in (3.0, 30.0):
        made = replace(clamp, values=dict.fromkeys(clamp.values, factor), operation="multiply")
        found[f"4 latents multiplied by {factor:g}, all+14"] = shop.arm("a", [made], "all+14")
    return found


def means(shop: Workshop) -> Made:
    found = {}
    tried = ((shop.layer, (1.0, 1.4), OWN), (shop.layer, (1.0,), "all+14"), (15, (1.0,), OWN))
    for layer, strengths, where in tried:
        at = replace(shop.shipped, edits=(Direction(layer, 1.0, seed=0),))
        for strength, parts in zip(
            strengths, difference_in_means(shop.model, at, Plan(strengths=strengths)), strict=True
        ):
            [made] = parts[4]
            found[f"means at {layer} × {strength:g}, {where}"] = shop.arm("a", made.edits, where)
    return found


def few_latents(shop: Workshop) -> Made:
    found = {}
    for how, (one, other) in (("attribution", by_attribution(shop)), ("logits", by_logits(shop))):
        for value in (12.0,):
            found[f"latents {one} and {other} at {value:g} (by {how})"] = shop.arm(
                "a", [shop.clamps({one: value, other: value})]
            )
        found[f"latent {one} at 30 (by {how})"] = shop.arm("a", [shop.clamps({one: 30.0})])
    pair = list(shop.clamp.clamps[0].values)[:2]
    return found | {f"latents {pair[0]} and {pair[1]} at 10": shop.arm("a", [shop.clamps(dict.fromkeys(pair, 10.0))])}


def pruned_sets(shop: Workshop) -> Made:
    """The shipped latents and eight by attribution, pruned greedily, in the window of the answer's first 14."""
    sets = pruned(shop)
    return {f"{k} latents, pruned, all+14": shop.arm("a", [shop.clamps(sets[k])], "all+14") for k in (8, 5, 3, 2)}


def rebuilt(shop: Workshop) -> Made:
    """The tuned direction from decoder rows of the SAE, as long as it was: how many latents is it?"""
    found, steps = {}, pursued(shop.sae.w_dec.float(), shop.vector, 64)

    def whole(k: int) -> dict[int, float]:
        made = sum(value * shop.sae.w_dec[latent].float() for latent, value in steps[k].items())
        assert isinstance(made, Tensor)
        return {latent: value * float(shop.vector.norm() / made.norm()) for latent, value in steps[k].items()}

    for k in (1, 2, 4, 8, 16, 32, 64):
        made = sum(value * shop.sae.w_dec[latent].float() for latent, value in whole(k).items())
        assert isinstance(made, Tensor)
        found[f"tuned, from {k} latents, added"] = shop.arm("a", [shop.along(made)])
    found["tuned, from 16 latents, clamped"] = shop.arm("a", [shop.as_clamp(whole(16))])
    return found | {"tuned, from 16 latents, at least": shop.arm("a", [shop.as_clamp(whole(16), "at-least")])}


def projected(shop: Workshop) -> Made:
    found = {}
    for k in (16, 64, 128):
        found[f"tuned, off {k} axes"] = shop.arm("a", [shop.along(kept_off(shop.vector, axes(shop.used, k)))])
    short = kept_off(shop.vector, axes(shop.used, 16), restored=False)
    found["tuned, off 16 axes, as short as that leaves it"] = shop.arm("a", [shop.along(short)])
    return found | {"tuned, whitened": shop.arm("a", [shop.along(whitened(shop.vector, shop.used))])}


def directions_at_random(shop: Workshop) -> Made:
    """Random directions as long as the shipped edit is where it edits."""
    calibration = Calibration(shop.model, shop.shipped, shop.seed)
    target = calibration.mean_norm(shop.shipped.edits)
    [(*_, drawn)] = random_directions(shop.shipped, calibration, target, Plan())
    return {f"random direction {n}": shop.arm("a", recipe.edits) for n, recipe in enumerate(drawn, 1) if recipe}


def latents_at_random(shop: Workshop) -> Made:
    """Four living latents at one value, with which they push as hard."""
    calibration = Calibration(shop.model, shop.shipped, shop.seed)
    target = calibration.mean_norm(shop.shipped.edits)
    pool, draw = calibration.alive(shop.layer, shop.sae.name), torch.Generator().manual_seed(shop.seed)
    found: Made = {}
    while len(found) < DRAWS:
        some = [pool[i] for i in torch.randperm(len(pool), generator=draw)[:4].tolist()]

        def at(value: float, some: list[int] = some) -> list[Edit]:
            return [shop.clamps(dict.fromkeys(some, value))]

        value = scale_to(lambda value, at=at: calibration.mean_norm(at(value)), target)  # type: ignore[misc]
        if value is not None:
            found[f"4 random latents {len(found) + 1}"] = shop.arm("a", at(value))
    return found


def kept_off_ordinary(shop: Workshop) -> Made:
    """Tuned on refusals of unsafe prompts and, at some weight, on the model's own answers to ordinary ones."""
    found = {}
    for weight in (0.5, 2.0):
        vector = kept_off_by_training(shop, weight, OWN)
        for where in (OWN, "last+3", "last+8") if weight < 1 else (OWN,):
            found[f"tuned with ordinary × {weight:g}, {where}"] = shop.arm("a", [shop.along(vector)], where)
    return found


def layers(shop: Workshop) -> Made:
    found = {}
    for layer in (9, 15, 18):
        vector = tuned_at(shop, layer)
        for factor in (0.6,):
            found[f"tuned at {layer} × {factor:g}"] = shop.arm("a", [shop.along(factor * vector, layer)])
    return found


FAMILIES: dict[str, Callable[[Workshop], Made]] = {
    "shipped": shipped,
    "strengths": strengths,
    "windows": windows,
    "means": means,
    "projected": projected,
    "rebuilt": rebuilt,
    "random directions": directions_at_random,
    "random latents": latents_at_random,
    "clamps": clamps,
    "operations": operations,
    "few latents": few_latents,
    "pruned": pruned_sets,
    "ordinary": kept_off_ordinary,
    "layers": layers,
}
