"""Pushes to compare an edit with: at the same positions, each token's Δ as long as the recipe's mean ‖Δ‖."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from clampdown.recipe import Clamp, Direction, Recipe
from clampdown.saes.sae import SAE
from clampdown.studies.calibration import Calibration
from clampdown.studies.explanation.stretch import stretching


@dataclass(frozen=True)
class Variant:
    """One row of the table: one recipe, or several draws of one kind.

    Attributes:
        matched: whether its ‖Δ‖ is the recipe's.
        saes: SAEs that lie in no file.
        latents: whose decoder rows its draws add.
        about: what it is, in a sentence.
    """

    name: str
    label: str
    about: str
    recipes: tuple[Recipe, ...]
    matched: bool = True
    saes: tuple[SAE, ...] = ()
    latents: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sizes:
    """How large an edit is where the calibration looks, by layer: mean ‖Δ‖, mean ‖x‖, and the mean of their ratio."""

    delta: Mapping[int, float]
    residual: Mapping[int, float]
    ratio: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def of(cls, calibration: Calibration, recipe: Recipe) -> "Sizes":
        delta, residual, ratio = {}, {}, {}
        for layer in calibration.layers:
            push = calibration.deltas(layer, recipe.edits).norm(dim=-1).double()
            length = calibration.x[layer].norm(dim=-1).double()
            delta[layer], residual[layer] = float(push.mean()), float(length.mean())
            ratio[layer] = float((push / length.clamp_min(1e-12)).mean())
        return cls(delta, residual, ratio)


def whole(recipe: Recipe) -> Variant:
    """The edit itself."""
    about = "The recipe as it is, in its own window."
    return Variant("edit", "the edit itself", about, (replace(recipe, name="edit", note=""),))


def parted(recipe: Recipe) -> list[Variant]:
    """The edit in the prompt's part of its window alone, and in the answer's; nothing where the window has one part."""
    window = recipe.positions
    if "none" in (window.prompt, window.generated):
        return []
    prompt = replace(window, generated="none", fade=0)
    answer = replace(window, prompt="none")
    return [
        Variant(
            f"edit-{name}",
            f"the edit, on the {words} only",
            f"The same in the part of its window that lies in the {words}.",
            (replace(recipe, name=f"edit-{name}", note="", positions=positions),),
        )
        for name, words, positions in (("prompt", "prompt", prompt), ("answer", "answer", answer))
    ]


def rescaled(recipe: Recipe, sizes: Sizes, d_model: int) -> list[Variant]:
    """The residual made longer, and shorter, by the edit's mean ‖Δ‖: no direction of its own."""
    found = []
    for name, sign in (("longer", 1), ("shorter", -1)):
        shares = {layer: sign * sizes.delta[layer] / sizes.residual[layer] for layer in sizes.delta}
        if min(shares.values()) <= -1:
            continue  # it would turn the residual round
        saes = tuple(stretching(layer, d_model, 1 + share) for layer, share in shares.items())
        edits = tuple(Clamp(sae.name, "", sae.layer, {}, "reconstruct") for sae in saes)
        factors = ", ".join(f"{1 + share:.3f}" for share in shares.values())
        about = f"The residual times {factors}: the same mean ‖Δ‖ along the residual itself."
        made = replace(recipe, name=name, note="", edits=edits)
        found.append(Variant(name, f"the residual, {name}", about, (made,), saes=saes))
    return found


def random_directions(recipe: Recipe, sizes: Sizes, draws: int, seed: int) -> Variant:
    """Random directions added: Δ has the edit's mean ‖Δ‖ on every token."""
    recipes = tuple(random_direction(recipe, sizes, f"{seed} explain {draw}") for draw in range(draws))
    about = f"A direction drawn at random, added; mean of {draws} draws."
    return Variant("random", "random directions", about, recipes)


def random_direction(recipe: Recipe, sizes: Sizes, name: str) -> Recipe:
    """One random direction at each of the recipe's layers, as long as its mean ‖Δ‖ there."""
    edits = tuple(
        Direction(layer, length, seed=random.Random(f"{name} {layer}").randrange(2**31))
        for layer, length in sizes.delta.items()
    )
    return replace(recipe, name="random direction", note="", edits=edits)


def latent_rows(recipe: Recipe, sizes: Sizes, sae: SAE, latents: Sequence[int]) -> tuple[Recipe, ...]:
    """Each latent's decoder row added, as long as the edit's mean ‖Δ‖ on every token."""
    rows = sae.only(list(latents)).w_dec.double()
    rows = rows / rows.norm(dim=-1, keepdim=True)
    return tuple(
        replace(
            recipe,
            name=f"latent {latent}",
            note="",
            edits=(Direction(sae.layer, sizes.delta[sae.layer], values=tuple(row.tolist())),),
        )
        for latent, row in zip(latents, rows, strict=True)
    )


def reconstructed(recipe: Recipe, sae: SAE) -> Variant:
    """The SAE's output in place of the residual, nothing clamped: its error alone, at its own size."""
    clamp = Clamp(sae.name, sae.sha256, sae.layer, {}, "reconstruct")
    about = f"{sae.name}'s reconstruction in place of the residual, no latent clamped: its error, at its own size."
    made = replace(recipe, name="reconstruction", note="", edits=(clamp,))
    return Variant("reconstruction", "the SAE's error alone", about, (made,), matched=False)
