"""Train a TopK, BatchTopK or JumpReLU SAE on activations; interrupted, it goes on from its last checkpoint.

Several processes train one SAE together: each has its share of every batch, and they add up their gradients.

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

from clampdown.errors import ClampdownError, reason
from clampdown.saes.activations import Activations
from clampdown.saes.ranks import ALONE, Ranks
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

    def __init__(self, settings: Settings, mean: Tensor, scale: float, ranks: Ranks = ALONE) -> None:
        super().__init__()
        self.ranks = ranks
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
        """Loss to descend and fraction of variance unexplained (FVU), for raw activations [rows, d_model].

        Both are of the whole batch, of which this process has some rows; the gradient is of these alone.
        """
        x = raw * self.scale
        count, total = self._whole(x)
        if self.settings.kind == "jumprelu":
            return self._jumprelu_loss(x, count, total)
        inner = x - self.b_dec
        with torch.no_grad():
            pre = torch.nn.functional.linear(inner, self.w_enc, self.b_enc)
        index, keep = self._choose(pre)
        values = SparseEncode.apply(inner, self.w_enc, self.b_enc, pre, index).clamp_min(0) * keep
        error = x - self.b_dec - SparseDecode.apply(values, index, self.w_dec)
        fired = torch.zeros_like(self.silent).index_add_(0, index.reshape(-1), (values > 0).float().reshape(-1))
        fvu = self.ranks.total(error.pow(2).sum()) / total
        return fvu + self._aux(inner, pre, error.detach(), count, total, fired), fvu.detach()

    @torch.no_grad()
    def _whole(self, x: Tensor) -> tuple[int, Tensor]:
        """Rows of the whole batch, and their squared distances from their mean, summed."""
        sums = torch.cat([x.sum(0), x.new_tensor([float(len(x))])])
        self.ranks.add_up([sums])
        apart = (x - sums[:-1] / sums[-1]).pow(2).sum()
        self.ranks.add_up([apart])
        return int(sums[-1]), apart

    def _choose(self, pre: Tensor) -> tuple[Tensor, Tensor]:
        """Indices [rows, width] of latents that may be on and a mask of those that are."""
        if self.settings.kind == "topk":
            index = pre.topk(self.settings.k, dim=1, sorted=False).indices
            return index, torch.ones((), device=pre.device)
        # A token may use up to four times its share: enough for all but freak tokens, and the products stay sparse.
        top = pre.topk(min(4 * self.settings.k, pre.shape[1]), dim=1, sorted=False)
        cut = self._all_values(top.values, self.settings.k).clamp_min(0)
        self.cut.copy_(cut if self.cut == 0 else 0.99 * self.cut + 0.01 * cut)
        return top.indices, (top.values >= cut).float()

    def _all_values(self, values: Tensor, each: int) -> Tensor:
        """The smallest of the largest values of the whole batch, `each` a row."""
        rows = torch.tensor(float(len(values)), device=values.device)
        self.ranks.add_up([rows])
        most = -(-self.settings.batch // self.ranks.count)  # rows that are a sink's are left out here and there
        padded = torch.nn.functional.pad(values, (0, 0, 0, most - len(values)), value=-math.inf)
        return self.ranks.gathered(padded).reshape(-1).topk(each * int(rows), sorted=False).values.min()

    def _aux(
        self, inner: Tensor, pre: Tensor, error: Tensor, count: int, total: Tensor, fired: Tensor
    ) -> Tensor | float:
        """Let latents that stay silent explain what is left; a quarter of the rows is enough to wake them."""
        self.ranks.add_up([fired])
        self.silent += count
        self.silent[fired > 0] = 0
        dead = (self.silent > _DEAD_AFTER).nonzero().squeeze(-1)
        if len(dead) == 0:
            return 0.0
        some = slice(None, None, 4)
        rows = torch.tensor(float(len(pre[some])), device=pre.device)
        self.ranks.add_up([rows])
        width = min(len(dead), max(1, pre.shape[1] // 16))
        local = pre[some][:, dead].topk(width, dim=1, sorted=False).indices
        index = dead[local]
        values = SparseEncode.apply(inner[some].detach(), self.w_enc, self.b_enc, pre[some], index).clamp_min(0)
        left = error[some] - SparseDecode.apply(values, index, self.w_dec)
        return _AUX_SHARE * (self.ranks.total(left.pow(2).sum()) / rows) / (total / count)

    def _jumprelu_loss(self, x: Tensor, count: int, total: Tensor) -> tuple[Tensor, Tensor]:
        pre = torch.nn.functional.linear(x - self.b_dec, self.w_enc, self.b_enc)
        gate = Step.apply(pre, self.log_threshold.exp())
        error = x - self.b_dec - (pre * gate) @ self.w_dec
        l0 = self.ranks.total(gate.sum()) / count
        fired = gate.detach().sum(0)
        self.ranks.add_up([fired])
        self.silent += count
        self.silent[fired > 0] = 0
        fvu = self.ranks.total(error.pow(2).sum()) / total
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
    activations: Activations,
    settings: Settings,
    folder: Path,
    progress: Callable[[int, float], None] = lambda tokens, fvu: None,
    *,
    device: str | torch.device = "cpu",
    ranks: Ranks = ALONE,
) -> Trainee:
    """Train to the end, from the checkpoint in `folder` where there is one with the same settings.

    `progress` is told the tokens of each step and its FVU. Learning rate: 5% warm-up, then linear to zero
    over the last third. Of several processes, which share the folder, the first writes there.
    """
    trainee = Trainee(settings, *_statistics(activations), ranks).to(device)
    optimizer = torch.optim.Adam(trainee.parameters(), lr=settings.lr, betas=(0.9, 0.999), eps=1e-8, **_fused(device))
    start = ranks.agree(lambda: _resume(folder, settings, trainee, optimizer))
    progress(start * settings.batch, float("nan"))
    stream = _stream(activations, settings, start, ranks)
    for step, raw in zip(range(start, settings.steps), stream, strict=False):
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * _schedule(step / settings.steps)
        loss, fvu = trainee.loss(raw.to(device))
        if not torch.isfinite(loss):  # everywhere, since it is of the whole batch
            ranks.fail(f"training diverged at step {step} (the loss is not finite); try a smaller --lr")
        optimizer.zero_grad()
        loss.backward()
        ranks.add_up(p.grad for p in trainee.parameters() if p.grad is not None)
        nn.utils.clip_grad_norm_(trainee.parameters(), 1.0)
        optimizer.step()
        trainee.normalise_decoder()
        progress(settings.batch, float(fvu))
        if (step + 1) % _CHECKPOINT_STEPS == 0 and ranks.first:
            _checkpoint(folder, settings, step + 1, trainee, optimizer)
    return trainee.cpu()


def _fused(device: str | torch.device) -> dict[str, bool]:
    """One kernel for all of Adam's arithmetic, which is otherwise a dozen passes over the parameters."""
    return {"fused": True} if torch.device(device).type in ("cpu", "cuda") else {}


def _statistics(activations: Activations) -> tuple[Tensor, float]:
    """Mean activation, and the scale that brings the mean square of centred activations to one."""
    sample = activations.sample(65_536)
    mean = sample.mean(0)
    return mean, float(1 / (sample - mean).pow(2).mean().sqrt())


def _schedule(done: float) -> float:
    return min(1.0, done / 0.05 + 1e-3, (1 - done) * 3)


def _stream(activations: Activations, settings: Settings, start: int, ranks: Ranks) -> Iterator[Tensor]:
    """This process' share of batch after batch, pass after pass, without the first `start` batches."""
    if activations.tokens < settings.batch:
        raise ClampdownError(f"{activations.tokens} cached tokens do not fill one batch of {settings.batch}; add text")
    seed = settings.seed + 1
    while start >= (count := activations.count(settings.batch, seed)):
        start, seed = start - count, seed + 1
    while True:
        yield from activations.batches(settings.batch, seed, start, ranks)
        start, seed = 0, seed + 1


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
            raise ClampdownError(f"could not write {path}: {reason(error)}") from error


def _resume(folder: Path, settings: Settings, trainee: Trainee, optimizer: torch.optim.Adam) -> int:
    path = folder / "checkpoint.pt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            return 0
        state = torch.load(path, weights_only=True, map_location=trainee.w_dec.device)
        same = state["settings"] == asdict(settings)
        if same:
            trainee.load_state_dict(state["trainee"])
            optimizer.load_state_dict(state["optimizer"])
            return int(state["step"])
    except Exception as error:  # a damaged file makes PyTorch raise almost anything; nothing in it is ever run
        raise ClampdownError(f"{path} can't be read; delete it to start anew") from error
    raise ClampdownError(f"{path} is of another run; name another folder, or delete it to start anew")
