"""Whether an SAE fits a model: measured on a page of chat text, with a verdict in words."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from clampdown.discovery.corpus import read_rows
from clampdown.discovery.evaluate_sae import SAEFacts, evaluate_sae, finite_residual
from clampdown.errors import ClampdownError
from clampdown.measuring.sets.sets import builtin_set
from clampdown.models.chat_model import ChatModel
from clampdown.progress import Progress, quiet
from clampdown.saes.sae import SAE
from clampdown.saes.sinks import sink_norm

SCHEMA = "clampdown-sae-check/1"
FITS, POORLY, NOT = "fits", "fits poorly", "does not fit"
_PASSAGES, _REQUESTS, _TOKENS = 8, 8, 2048
_FVU, _NEARBY, _ADDED = 0.5, 0.9, 1.0
"""Where fitting poorly begins: variance unexplained, a neighbour's as a share of it, and nats added."""
_SHORT, _LONG = 0.5, 1.5
"""Where L0 is too far from its k, as a share of it."""
_CROWD = 0.25
"""The share of all latents on at a token above which an SAE without a k is not sparse."""


@dataclass(frozen=True)
class SAECheck:
    """What `check_sae` found.

    Attributes:
        verdict: "fits", "fits poorly", or "does not fit" where nothing can be measured: width or layer is wrong.
        reasons: why it does not fit, or not well, each with what usually causes it.
        notes: what does not decide, but is good to know.
        model, sae: names, hashes and sizes of both.
        layer: the layer that was looked at.
        text: what the page is made of.
        facts: what was measured; None where nothing could be.
    """

    verdict: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    model: dict[str, Any]
    sae: dict[str, Any]
    layer: int
    text: str
    facts: SAEFacts | None

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data, `schema` "clampdown-sae-check/1".

        Besides the attributes' names: model holds name, sha256, width and layers; sae holds name, sha256, kind, k,
        latents, width, layer, normalise, model and, null where it was not fetched, repository, revision (its commit),
        pinned (whether you named that commit) and verified (whether a published checksum was compared); facts (null
        where nothing was measured) holds tokens, l0, fvu, cross_entropy and cross_entropy_added (nats a token), silent
        (a fraction), norm, and nearby: the fvu at neighbouring layers, by number.
        """
        return {"schema": SCHEMA, **asdict(self)}


def check_sae(
    model: ChatModel, sae: SAE, *, layer: int | None = None, text: Path | None = None, progress: Progress = quiet
) -> SAECheck:
    """Measure an SAE on a page of chat text, some 2,000 tokens, and say whether it fits the model.

    Sinks are left out: first positions, and residuals ten times longer than the median. The layers next to the SAE's
    are tried too, because some publishers number a layer by the residual that enters it.

    Args:
        layer: look at this layer, whatever the SAE says.
        text: a file of chats or plain text to take the page from; None takes built-in prompts and passages.

    Raises:
        ClampdownError: the text can't be read, or the SAE or the model's residual holds a value that is not finite.
    """
    at = sae.layer if layer is None else layer
    wrong = _mismatch(model, sae, at)
    facts = None
    if not wrong:
        here = sae if at == sae.layer else replace(sae, layer=at)
        facts = _measured(model, here, _page(model, text), progress)
    reasons = tuple(wrong) if facts is None else tuple(_complaints(facts, sae, at))
    shape = "chats" if model.tokenizer.chat_template else "plain text, since the model has no chat template"
    verdict = NOT if wrong else POORLY if reasons else FITS
    return SAECheck(
        verdict=verdict,
        reasons=reasons,
        notes=tuple(_notes(model, sae, at)),
        model={"name": model.name, "sha256": model.sha256, "width": model.d_model, "layers": model.n_layers},
        sae={
            **{key: getattr(sae, key) for key in ("name", "sha256", "kind", "k")},
            "latents": sae.n_latents,
            "width": sae.d_model,
            **{key: getattr(sae, key) for key in ("layer", "normalise", "model")},
            **_origin(sae),
        },
        layer=at,
        text=f"from {text}" if text else f"built-in passages and requests, as {shape}",
        facts=facts,
    )


def _origin(sae: SAE) -> dict[str, Any]:
    """Where it was fetched from, and how sure that is; nothing where it was not."""
    sure = {key: said != "no" if (said := sae.about.get(key)) else None for key in ("pinned", "verified")}
    return {key: sae.about.get(key) for key in ("repository", "revision")} | sure


def _mismatch(model: ChatModel, sae: SAE, layer: int) -> list[str]:
    """Why nothing can be measured."""
    found = []
    if sae.d_model != model.d_model:
        found.append(
            f"it is for residuals of width {sae.d_model}, but {model.name}'s is {model.d_model}: another model's SAE"
        )
    if not 0 <= layer < model.n_layers:
        found.append(f"layer {layer} does not exist: {model.name} has blocks 0 to {model.n_layers - 1}")
    return found


def _page(model: ChatModel, text: Path | None) -> list[Sequence[int]]:
    """Rows of token ids: what the file holds, or passages told on request, and requests about to be answered."""
    if text is not None:
        return [row for row in read_rows(model, [text], 0, _TOKENS) if len(row) > 1]
    rows: list[Sequence[int]] = []
    passages, requests = builtin_set("text").items, builtin_set("safe").items
    if not model.tokenizer.chat_template:  # a base model's
        texts = [item.text for item in (*passages[:_PASSAGES], *requests[:_REQUESTS])]
        return [ids for text in texts if len(ids := model.tokenizer(text).input_ids) > 1]
    for item in passages[:: len(passages) // _PASSAGES][:_PASSAGES]:
        asked = f"Write a short passage headed “{item.cluster.replace('-', ' ')}”."
        chat = [{"role": "user", "content": asked}, {"role": "assistant", "content": item.text}]
        rows.append(model.chat_ids(chat, answer=False))
    for item in requests[:: len(requests) // _REQUESTS][:_REQUESTS]:
        rows.append(model.prompt_ids(item.text))
    return rows


def _measured(model: ChatModel, sae: SAE, rows: Sequence[Sequence[int]], progress: Progress) -> SAEFacts:
    if not rows:
        raise ClampdownError("the text holds no two tokens in a row; give --text more")
    batch = model.pad(rows[:4], side="right")
    with model.unsteered():
        x = model.residual(batch, [sae.layer])[0].float()
    norms = x.norm(dim=-1)[batch.attention_mask.bool().to(x.device)]
    limit = sink_norm(finite_residual(model, sae.layer, norms))
    nearby = [layer for layer in (sae.layer - 1, sae.layer + 1) if 0 <= layer < model.n_layers]
    return evaluate_sae(model, sae, rows, progress, sink_norm=limit, nearby=nearby)


def _complaints(facts: SAEFacts, sae: SAE, layer: int) -> list[str]:
    """What is not as it should be, each with what usually causes it."""
    found = []
    best = min(facts.nearby, key=facts.nearby.__getitem__, default=layer)
    better = best != layer and facts.nearby[best] < _NEARBY * facts.fvu
    if better:
        counted = "may count layers by the residual that enters them" if best < layer else "may mean that one"
        found.append(
            f"layer {best} fits better ({facts.nearby[best]:.2f} of the variance unexplained against {facts.fvu:.2f}): "
            f"its publisher {counted}"
        )
    sparse, said = _sparse(facts, sae)
    if not sparse:
        found.append(f"{said}; usually the input's normalisation or the thresholds are not as in training")
    if facts.fvu > _FVU and (not better or facts.nearby[best] > _FVU):
        worse = ", more than the mean alone would leave" if facts.fvu > 1 else ""
        cause = "another layer, the base model's SAE on a chat model, or other weights"
        if not sparse or facts.fvu > 1:
            cause = f"a normalisation that is missing, {cause}"
        found.append(f"{facts.fvu:.2f} of the variance is unexplained{worse}; usually {cause}")
    if facts.cross_entropy_added > _ADDED and not found:
        found.append(
            f"spliced in, it adds {facts.cross_entropy_added:.2f} nats a token, though it explains the variance; "
            "usually it was trained on text unlike chats, or with first tokens (BOS) left in"
        )
    return found


def _sparse(facts: SAEFacts, sae: SAE) -> tuple[bool, str]:
    """Whether about as many latents are on as the SAE promises, and the words if not."""
    if sae.k is not None:
        said = f"{facts.l0:.1f} latents are on at a token, but its k is {sae.k}"
        return _SHORT * sae.k <= facts.l0 <= _LONG * sae.k, said
    if facts.l0 < 1:
        return False, f"only {facts.l0:.2f} latents are on at a token"
    return facts.l0 <= _CROWD * sae.n_latents, f"{facts.l0:.0f} of {sae.n_latents} latents are on at a token"


def _notes(model: ChatModel, sae: SAE, layer: int) -> list[str]:
    found = []
    trained_on = str(sae.about.get("model_sha256") or "")
    if not model.is_named(trained_on):
        found.append(f"it was trained on weights {trained_on[:12]}, but these are {model.sha256[:12]}")
    elif sae.model and not trained_on and _last(sae.model) != _last(model.name):
        found.append(f"it names {sae.model} as its model, not {model.name}")
    if layer != sae.layer:
        found.append(f"it says layer {sae.layer}; layer {layer} was looked at")
    if sae.k is not None and sae.threshold is not None and float(sae.threshold.min()) < 0:
        found.append("its threshold was never set in training, so every positive latent is on")
    return found


def _last(name: str) -> str:
    """A model's name without its owner or folder, for comparing."""
    return Path(name).name.lower()
