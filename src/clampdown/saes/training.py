"""Train a TopK, BatchTopK or JumpReLU SAE on cached activations; interrupted, it goes on from its last checkpoint.

Sources: TopK and its auxiliary loss on dead latents, Gao et al. 2024 (arXiv 2406.04093); BatchTopK, Bussmann et al.
2024 (arXiv 2412.06410); JumpReLU with straight-through gradients, Rajamanoharan et al. 2024 (arXiv 2407.14435), with
its penalty on the squared relative distance from a target L0.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from clampdown.errors import ClampdownError
from clampdown.saes.activations import Cache
from clampdown.saes.sae import SAE
from clampdown.saes.sparse_step import SparseDecode, SparseEncode
from clampdown.writing import beside

TRAINABLE = ("topk", "batchtopk", "jumprelu")
_DEAD_AFTER = 500_000  # tokens without firing
_AUX_SHARE = 1 / 32
_BANDWIDTH = 0.03
_CHECKPOINT_STEPS = 200


@dataclass(frozen=True)
class Settings:
    """What a training run is; `tokens` counts what it sees, repeats included."""

    kind: str = "topk"
    latents: int = 4608
    k: int = 32
    tokens: int = 20_000_000
    batch: int = 4096
    lr: float = 4e-4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in TRAINABLE:
            raise ClampdownError(f"can't train a {self.kind!r} SAE; kinds are {', '.join(TRAINABLE)}")
        if not 0 < self.k <= self.latents:
            raise ClampdownError(f"k must be between 1 and the number of latents ({self.latents}), got {self.k}")
        if self.batch < 8:
            raise ClampdownError(f"a batch needs at least 8 tokens, got {self.batch}")
        if not 0 < self.lr < math.inf:
            raise ClampdownError(f"the learning rate must be a positive number, got {self.lr}")
        if self.tokens < self.batch:
            raise ClampdownError(f"{self.tokens} tokens do not fill one batch of {self.batch}; train on more")

    @property
    def steps(self) -> int:
        return self.tokens // self.batch


class Trainee(nn.Module):
    """The SAE while it learns: unit-norm decoder rows, inputs scaled to a mean square of one."""

    def __init__(self, settings: Settings, mean: Tensor, scale: float) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(settings.seed)
        rows = torch.randn(settings.latents, len(mean), generator=generator)
        rows /= rows.norm(dim=1, keepdim=True)
        self.settings = settings
        self.w_dec = nn.Parameter(rows.clone())
        self.w_enc = nn.Parameter(rows.clone())
        self.b_enc = nn.Parameter(torch.zeros(settings.latents))
        self.b_dec = nn.Parameter(mean * scale)
        self.log_threshold = nn.Parameter(torch.full((settings.latents,), math.log(0.5)))
        self.register_buffer("scale", torch.tensor(scale))
        self.register_buffer("silent", torch.zeros(settings.latents))  # tokens since each latent fired
        self.register_buffer("cut", torch.tensor(0.0))  # running batchtopk threshold

    def loss(self, raw: Float[Tensor, "row d_model"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Loss to descend and fraction of variance unexplained (FVU), for raw activations [rows, d_model]."""
        x = raw * self.scale
        variance = (x - x.mean(0)).pow(2).sum(-1).mean()
        if self.settings.kind == "jumprelu":
            return self._jumprelu_loss(x, variance)
        inner = x - self.b_dec
        with torch.no_grad():
            pre = torch.nn.functional.linear(inner, self.w_enc, self.b_enc)
        index, keep = self._choose(pre)
        values = SparseEncode.apply(inner, self.w_enc, self.b_enc, pre, index).clamp_min(0) * keep
        error = x - self.b_dec - SparseDecode.apply(values, index, self.w_dec)
        fired = torch.zeros_like(self.silent).index_add_(0, index.reshape(-1), (values > 0).float().reshape(-1))
        fvu = error.pow(2).sum(-1).mean() / variance
        return fvu + self._aux(inner, pre, error.detach(), variance, fired), fvu.detach()

    def _choose(self, pre: Tensor) -> tuple[Tensor, Tensor]:
        """Indices [rows, width] of latents that may be on and a mask of those that are."""
        if self.settings.kind == "topk":
            index = pre.topk(self.settings.k, dim=1, sorted=False).indices
            return index, torch.ones((), device=pre.device)
        # A token may use up to four times its share: enough for all but freak tokens, and the products stay sparse.
        top = pre.topk(min(4 * self.settings.k, pre.shape[1]), dim=1, sorted=False)
        cut = top.values.reshape(-1).topk(self.settings.k * len(pre), sorted=False).values.min().clamp_min(0)
        self.cut.copy_(cut if self.cut == 0 else 0.99 * self.cut + 0.01 * cut)
        return top.indices, (top.values >= cut).float()

    def _aux(self, inner: Tensor, pre: Tensor, error: Tensor, variance: Tensor, fired: Tensor) -> Tensor:
        """Let latents that stay silent explain what is left; a quarter of the rows is enough to wake them."""
        self.silent += len(pre)
        self.silent[fired > 0] = 0
        dead = (self.silent > _DEAD_AFTER).nonzero().squeeze(-1)
        if len(dead) == 0:
            return torch.zeros(())
        rows = slice(0, len(pre) // 4)
        width = min(len(dead), max(1, pre.shape[1] // 16))
        local = pre[rows][:, dead].topk(width, dim=1, sorted=False).indices
        index = dead[local]
        values = SparseEncode.apply(inner[rows].detach(), self.w_enc, self.b_enc, pre[rows], index).clamp_min(0)
        left = error[rows] - SparseDecode.apply(values, index, self.w_dec)
        return _AUX_SHARE * left.pow(2).sum(-1).mean() / variance

    def _jumprelu_loss(self, x: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        pre = torch.nn.functional.linear(x - self.b_dec, self.w_enc, self.b_enc)
        gate = Step.apply(pre, self.log_threshold.exp())
        error = x - self.b_dec - (pre * gate) @ self.w_dec
        l0 = gate.sum(-1).mean()
        self.silent += len(x)
        self.silent[gate.detach().any(0)] = 0
        fvu = error.pow(2).sum(-1).mean() / variance
        return fvu + 0.3 * (l0 / self.settings.k - 1).pow(2), fvu.detach()

    @torch.no_grad()
    def normalise_decoder(self) -> None:
        self.w_dec /= self.w_dec.norm(dim=1, keepdim=True)

    @torch.no_grad()
    def finished(self, name: str, layer: int, model: str, about: dict[str, str]) -> SAE:
        """The trained SAE in the residual's own units: the input scale is folded into biases and thresholds."""
        kind, n = self.settings.kind, self.settings.latents
        threshold = None
        if kind == "jumprelu":
            threshold = self.log_threshold.exp() / self.scale
        elif kind == "batchtopk":
            threshold = torch.full((n,), float(self.cut)) / self.scale
        return SAE(
            name=name,
            kind=kind,
            layer=layer,
            w_enc=self.w_enc.detach().clone(),
            b_enc=self.b_enc.detach() / self.scale,
            w_dec=self.w_dec.detach().clone(),
            b_dec=self.b_dec.detach() / self.scale,
            k=self.settings.k if kind == "topk" else None,
            threshold=threshold,
            model=model,
            about=about,
        )


class Step(torch.autograd.Function):
    """H(pre − threshold) with a rectangle kernel's pseudo-derivative for both arguments."""

    @staticmethod
    def forward(ctx, pre: Tensor, threshold: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(pre, threshold)
        return (pre > threshold).to(pre.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[no-untyped-def]
        pre, threshold = ctx.saved_tensors
        near = ((pre - threshold).abs() < _BANDWIDTH / 2).to(pre.dtype) / _BANDWIDTH * grad
        return near, -near.sum(0)


def train(
    cache: Cache,
    settings: Settings,
    folder: Path,
    progress: Callable[[int, float], None] = lambda tokens, fvu: None,
) -> Trainee:
    """Train to the end, from the checkpoint in `folder` where there is one with the same settings.

    `progress` is told the tokens of each step and its FVU. Learning rate: 5% warm-up, then linear to zero
    over the last third.
    """
    trainee = Trainee(settings, *_statistics(cache))
    optimizer = torch.optim.Adam(trainee.parameters(), lr=settings.lr, betas=(0.9, 0.999), eps=1e-8)
    start = _resume(folder, settings, trainee, optimizer)
    progress(start * settings.batch, float("nan"))
    for step, raw in zip(range(start, settings.steps), _stream(cache, settings, start), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * _schedule(step / settings.steps)
        loss, fvu = trainee.loss(raw)
        if not torch.isfinite(loss):
            raise ClampdownError(f"training diverged at step {step} (the loss is not finite); try a smaller --lr")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trainee.parameters(), 1.0)
        optimizer.step()
        trainee.normalise_decoder()
        progress(settings.batch, float(fvu))
        if (step + 1) % _CHECKPOINT_STEPS == 0:
            _checkpoint(folder, settings, step + 1, trainee, optimizer)
    return trainee


def _statistics(cache: Cache) -> tuple[Tensor, float]:
    """Mean activation, and the scale that brings the mean square of centred activations to one."""
    sample = next(cache.batches(min(65_536, cache.tokens), seed=0))
    mean = sample.mean(0)
    return mean, float(1 / (sample - mean).pow(2).mean().sqrt())


def _schedule(done: float) -> float:
    return min(1.0, done / 0.05 + 1e-3, (1 - done) * 3)


def _stream(cache: Cache, settings: Settings, start: int) -> Iterator[Tensor]:
    per_pass = cache.tokens // settings.batch
    if per_pass == 0:
        raise ClampdownError(f"{cache.tokens} cached tokens do not fill one batch of {settings.batch}; add text")
    done = start
    while True:
        skip = done % per_pass
        for batch in cache.batches(settings.batch, seed=settings.seed + 1 + done // per_pass, skip=skip):
            done += 1
            yield batch


def _checkpoint(folder: Path, settings: Settings, step: int, trainee: Trainee, optimizer: torch.optim.Adam) -> None:
    state = {
        "settings": asdict(settings),
        "step": step,
        "trainee": trainee.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    path = folder / "checkpoint.pt"
    with beside(path) as part:
        try:
            torch.save(state, part)
        except RuntimeError as error:  # as which PyTorch reports a full disk
            raise ClampdownError(f"could not write {path}: {str(error).partition(chr(10))[0]}") from error


def _resume(folder: Path, settings: Settings, trainee: Trainee, optimizer: torch.optim.Adam) -> int:
    path = folder / "checkpoint.pt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            return 0
        state = torch.load(path, weights_only=True)
        same = state["settings"] == asdict(settings)
        if same:
            trainee.load_state_dict(state["trainee"])
            optimizer.load_state_dict(state["optimizer"])
            return int(state["step"])
    except Exception as error:  # a damaged file makes PyTorch raise almost anything; nothing in it is ever run
        raise ClampdownError(f"{path} can't be read; delete it to start anew") from error
    raise ClampdownError(f"{path} is of another run; name another folder, or delete it to start anew")
