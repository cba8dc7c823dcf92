"""POST /v1/clampdown/activations: a recipe's latents in a text, token by token, and what its gate says of it."""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import BaseModel, Field, model_validator

from clampdown.engine.deciding import decided
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import user_turns
from clampdown.recipe import Recipe
from clampdown.recipe.system import system_text
from clampdown.saes.load import load_sae
from clampdown.serving.logprobs import token_text
from clampdown.serving.requests import Body, ChatMessage, Override
from clampdown.serving.shelf import shown_sae
from clampdown.steering.gates.asking import asks


class ActivationsRequest(Body):
    """A chat, rendered as it would be answered, or a plain text; and the recipe that says which latents."""

    model: Annotated[str, Field(max_length=500)]
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=1000)] | None = None
    text: Annotated[str, Field(min_length=1)] | None = None
    answer: str | None = Field(None, description="what was answered to the messages; it is read after them")
    clampdown: Override | None = None

    @model_validator(mode="after")
    def _either(self) -> "ActivationsRequest":
        if (self.messages is None) == (self.text is None):
            raise ValueError("give either messages or a text")
        if self.answer is not None and self.messages is None:
            raise ValueError("an answer goes with messages")
        return self

    def ids(self, model: ChatModel, recipe: Recipe | None) -> Sequence[int]:
        """The token ids of all but the answer."""
        if self.text is not None:
            return list(model.tokenizer(self.text).input_ids)
        chat = [message.plain() for message in self.messages or ()]
        own = chat.pop(0)["content"] if chat[0]["role"] == "system" and len(chat) > 1 else ""
        return model.prompt_ids(chat, system=system_text(recipe, own))

    def read_after(self, model: ChatModel) -> Sequence[int]:
        """The token ids of the answer."""
        return list(model.tokenizer(self.answer, add_special_tokens=False).input_ids) if self.answer else []


class ClampActivations(BaseModel):
    """Of each of a clamp's latents its activation at each token, in the SAE's own units."""

    sae: str
    layer: int
    activations: dict[str, list[float]]


class GateSaid(BaseModel):
    """What the gate says of the text, were it a prompt."""

    open: bool
    score: float | None
    threshold: float | None


class Activations(BaseModel):
    """Of the unsteered model, in the order of the tokens.

    Attributes:
        user: the tokens [start, end) of each user turn; null where that is not known.
        answer: the first token of the answer; null where none was given.
    """

    tokens: list[str]
    user: list[tuple[int, int]] | None
    answer: int | None
    clamps: list[ClampActivations]
    gate: GateSaid | None


def activations(
    model: ChatModel, ids: Sequence[int], recipe: Recipe | None, answer: Sequence[int] | None = None
) -> Activations:
    """What the latents that a recipe clamps do in a text (token ids) read unsteered, and what its gate says of it.

    answer: more ids, which are read after the text; the gate never sees them.

    Raises:
        ClampdownError: an SAE or the gate does not fit the model.
    """
    clamps = recipe.clamps if recipe else []
    layers = sorted({clamp.layer for clamp in clamps})
    residuals: dict[int, Any] = {}
    read = [*ids, *(answer or ())]
    if layers:
        with model.unsteered():
            found = model.residual(model.pad([read]), layers)
        residuals = {layer: x[0].float().cpu() for layer, x in zip(layers, found, strict=True)}
    told = []
    for clamp in clamps:
        latents = list(clamp.values)
        with torch.inference_mode():
            z = load_sae(clamp.sae).encode(residuals[clamp.layer])[:, latents].T.tolist()
        named = {str(latent): values for latent, values in zip(latents, z, strict=True)}
        told.append(ClampActivations(sae=shown_sae(clamp.sae), layer=clamp.layer, activations=named))
    gate = None
    if recipe is not None and asks(recipe):
        [said] = decided(model, [ids], recipe)
        gate = GateSaid(open=said.open, score=said.score, threshold=said.threshold)
    spans = user_turns(ids)
    return Activations(
        tokens=[token_text(model, token) for token in read],
        user=None if spans is None else list(spans),
        answer=None if answer is None else len(ids),
        clamps=told,
        gate=gate,
    )
