"""What a gate is made of: parts that read the residual stream after a layer, each pooled over a prompt's positions.

With x_t the residual of token t in float32, as the model gives it:

    f_t = φ(W x_t + b)        features of the token, [feature]
    s_t = h · f_t             its score
    part = pool over positions of s_t
    score = bias + Σ parts (+ words, see `words`; + hidden layers, see `hidden`)

and the gate opens where score ≥ threshold.

φ is the identity (linear), max(·, 0) (relu), |cosine of x_t and each row of W| (cosine: CAST's condition, the cosine of
x with its projection on a vector), or the activations of chosen latents of an SAE, which brings W and b itself (sae).
A part that feeds a hidden layer (hidden) has no h: it gives W pool(x), a number for each of the layer's units. With the
pool max that layer is the one of windows, which is fed by each window's mean and counts where it scores highest.
Whatever standardises features is folded into W, b, h and bias.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from clampdown.errors import ClampdownError

FEATURES = ("linear", "relu", "cosine", "sae", "hidden")
POOLS = ("last", "request-last", "mean", "max", "attention")
LINEAR_POOLS = ("last", "request-last", "mean")
"""Those after which a product may come as well as before."""
OVER = ("request", "users", "prompt")


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a gate's score.

    Attributes:
        layer: the residual after this block is read.
        head: h, [feature]; None of a part that feeds a hidden layer.
        features: φ, one of `FEATURES`.
        w, b: [feature, d_model] and [feature]; b may be left out. A part of an SAE has neither, one that feeds a
            hidden layer no b, and a row of w for each unit.
        pool: "last" (the prompt's last token), "request-last" (the last of the last user turn's content), or over
            several tokens "mean", "max" (the largest mean of `window` tokens in a row) or "attention" (a mean weighted
            by the softmax of attend · x_t).
        over: those tokens: "request" (the last user turn's content), "users" (all user turns', end to end) or "prompt".
            The first token, an attention sink, is never among them where there is another.
        attend: [d_model], for the pool "attention".
        sae, sae_sha256, latents: the SAE's name and hash, and its latents, for the features "sae".

    Raises:
        ClampdownError: something is missing, too much, of a wrong shape or not finite.
    """

    layer: int
    head: Tensor | None = None
    features: str = "linear"
    w: Tensor | None = None
    b: Tensor | None = None
    pool: str = "last"
    over: str = "request"
    window: int = 1
    attend: Tensor | None = None
    sae: str = ""
    sae_sha256: str = ""
    latents: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _require(isinstance(self.sae, str) and isinstance(self.sae_sha256, str), "an SAE's name and hash must be texts")
        for key, known in (("features", FEATURES), ("pool", POOLS), ("over", OVER)):
            _require(getattr(self, key) in known, f"{key} must be one of {', '.join(known)}")
        _require(type(self.layer) is int and self.layer >= 0, "layer must be a whole number from 0")
        _require(type(self.window) is int and self.window >= 1, "window must be a whole number of tokens from 1")
        _require(self.window == 1 or self.pool == "max", "a window of several tokens goes with the pool max")
        _require((self.attend is not None) == (self.pool == "attention"), "attend goes with the pool attention alone")
        _require(self.features == "sae" or not (self.sae or self.latents), "an SAE goes with the features sae alone")
        if self.features == "hidden":
            _require(self.head is None and self.b is None, "a part that feeds a hidden layer has no head and no b")
            good = self.w is not None and self.w.dim() == 2 and len(self.w) > 0
            _require(good, "w must be [unit, d_model], a row for each unit of the hidden layer")
            feeding = (*LINEAR_POOLS, "max")
            _require(self.pool in feeding, f"a hidden layer is fed by the pools {', '.join(feeding)}")
        else:
            self._check_scoring()
        for name, tensor in self.tensors().items():
            _require(tensor.dtype == torch.float32, f"{name} must be float32")
            _require(bool(torch.isfinite(tensor).all()), f"{name} holds a value that is not finite")

    def _check_scoring(self) -> None:
        """What must hold of a part that gives a score."""
        head = self.head
        if head is None or head.dim() != 1 or not len(head):
            raise ClampdownError("head must be [feature], of one feature at least")
        if self.features == "sae":
            _require(bool(self.sae) and self.w is None and self.b is None, "features of an SAE bring their own weights")
            _require(len(self.latents) == len(head), "head needs one weight for each latent")
            _require(len(set(self.latents)) == len(self.latents) and min(self.latents) >= 0, "latents must differ")
            return
        good = self.w is not None and self.w.dim() == 2 and len(self.w) == len(head)
        _require(good, "w must be [feature, d_model], a row for each of head")
        _require(self.b is None or self.b.shape == head.shape, "b must be as long as head")
        _require(self.features != "cosine" or self.b is None, "a cosine has no b")

    def __str__(self) -> str:
        """In words, such as "3 linear features, mean over the request"."""
        latents = (
            f"latents {', '.join(map(str, self.latents[:8]))}{' …' if len(self.latents) > 8 else ''} of {self.sae}"
        )
        count = len(self.latents) if self.w is None else len(self.w)
        plural = "s" * (count > 1)
        dense = f"{count} hidden unit{plural} fed" if self.feeds else f"{count} {self.features} feature{plural}"
        what = latents if self.sae else dense
        over = {"request": "the request", "users": "all that users say", "prompt": "the prompt"}[self.over]
        windows = f" of windows of {self.window} tokens" if self.window > 1 else ""
        single = {"last": "the prompt's last token", "request-last": "the request's last token"}
        return f"{what}, {single.get(self.pool) or f'{self.pool}{windows} over {over}'}"

    @property
    def feeds(self) -> bool:
        """Whether it feeds a hidden layer, and so has no score of its own."""
        return self.features == "hidden"

    @property
    def of_windows(self) -> bool:
        """Whether the layer that it feeds is the one of windows."""
        return self.feeds and self.pool == "max"

    def tensors(self) -> dict[str, Tensor]:
        """The part's tensors by name."""
        held = {"head": self.head, "w": self.w, "b": self.b, "attend": self.attend}
        return {name: tensor for name, tensor in held.items() if tensor is not None}

    def check_width(self, d_model: int) -> None:
        """Raises ClampdownError where the part is for residuals of another width."""
        for name in ("w", "attend"):
            tensor = getattr(self, name)
            if tensor is not None and tensor.shape[-1] != d_model:
                raise ClampdownError(f"{name} is for residuals of width {tensor.shape[-1]}, the model's is {d_model}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ClampdownError(message)
