"""How a notebook shows an answer and a study: as HTML that holds all it needs, runs no script, and escapes all text."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from clampdown.engine.request import Answer
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.saes.load import load_sae
from clampdown.studies.report import Study, environment
from clampdown.studies.story import mends


class StudyResults(dict[str, Any]):
    """A study's results, which a notebook shows as their frontier."""

    def _repr_html_(self) -> str:
        study = Study(self)
        template = environment().get_template("notebook.html.j2")
        return template.render(answer=None, r=self, charts=study.frontier(), mends=mends(study))


class Tinted(NamedTuple):
    """One token of an answer; strength: its activation as a share of the largest one in the answer."""

    text: str
    activation: float
    strength: float


def answer_html(answer: Answer, model: ChatModel | None, prompt: Sequence[int], recipe: Recipe | None) -> str:
    """An answer with its tokens tinted by the most active latent of those that the recipe clamps.

    prompt: its token ids. model: None where it is there no more; then nothing is tinted, nor while it is steered.
    """
    try:
        latent, tokens = tinted(answer, model, prompt, recipe) if model else (None, [])
    except ClampdownError:
        latent, tokens = None, []
    receipt = answer.receipt
    said = [f"{receipt.tokens_edited} of {receipt.tokens_seen} tokens were edited"] if recipe else ["Not steered"]
    said += [f"the gate was {receipt.gate}"] if receipt.gate else []
    said += [] if answer.finished else ["cut off at its length"]
    template = environment().get_template("notebook.html.j2")
    return template.render(answer=answer, latent=latent, tokens=tokens, receipt="; ".join(said) + ".")


def tinted(
    answer: Answer, model: ChatModel, prompt: Sequence[int], recipe: Recipe | None
) -> tuple[int | None, list[Tinted]]:
    """The latent that is most active in an answer, of those clamped, and the answer's tokens; none where none fires.

    The text is read without steering, after its prompt: it shows what a latent sees, not what a clamp makes of it.

    Raises:
        ClampdownError: the model is being steered in this thread.
    """
    if recipe is None or not recipe.clamps or not answer.ids:
        return None, []
    ids = [*prompt, *answer.ids]
    layers = sorted({clamp.layer for clamp in recipe.clamps})
    with model.unsteered(), torch.inference_mode():
        found = dict(zip(layers, model.residual(model.pad([ids]), layers), strict=True))
        read = {
            latent: load_sae(clamp.sae).encode_latents(x, [latent])[:, 0].tolist()
            for clamp in recipe.clamps
            for x in [found[clamp.layer][0, -len(answer.ids) :].float().cpu()]
            for latent in clamp.values
        }
    latent = max(read, key=lambda one: max(read[one]))
    top = max(read[latent])
    if top <= 0:
        return None, []
    texts = _texts(model, answer.ids)
    return latent, [Tinted(text, value, value / top) for text, value in zip(texts, read[latent], strict=True)]


def _texts(model: ChatModel, ids: tuple[int, ...]) -> list[str]:
    """Each token's text, which together are the answer's: a character of several tokens stands with its last one."""
    said, texts = "", []
    for end in range(1, len(ids) + 1):
        now = model.tokenizer.decode(list(ids[:end]), skip_special_tokens=True)
        text = now[len(said) :] if now.startswith(said) and not now.endswith("\ufffd") else ""
        said += text
        texts.append(text)
    return texts
