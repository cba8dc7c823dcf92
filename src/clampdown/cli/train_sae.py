"""`clampdown train-sae`: train a sparse autoencoder on a model's residual stream."""

import argparse
import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clampdown.cli.loading import load_model
from clampdown.cli.options import add_json, add_model, check_writable, command, existing, out_path, positive, whole
from clampdown.cli.progress import ProgressBar
from clampdown.cli.terminal import one_line, print_json, say
from clampdown.errors import ClampdownError
from clampdown.progress import quiet

if TYPE_CHECKING:
    from clampdown.saes.ranks import Ranks
    from clampdown.saes.sae import SAE

KINDS = ("topk", "batchtopk", "jumprelu")
_EXAMPLE = """  clampdown train-sae chats.jsonl --layer 12 --out my-sae
  clampdown train-sae wiki.txt chats.jsonl.gz --layer 12 --kind jumprelu --tokens 5000000 --out my-sae
  torchrun --nproc-per-node 8 -m clampdown train-sae chats.jsonl --layer 12 --out my-sae"""


def add_parser(subparsers: Any) -> None:
    said = (
        "Train an SAE on the residual stream after one layer. Activations are computed once, by the blocks up to that "
        "layer only, and kept in the folder. Interrupted, the same command goes on where it was. Several processes "
        "train one SAE together where torchrun starts them, each with its share of every batch."
    )
    parser = command(subparsers, "train-sae", "train an SAE on any model, layer and text", said, _EXAMPLE)
    parser.add_argument("text", metavar="TEXT", nargs="+", type=existing, help="text, or JSONL of chats (also .gz)")
    parser.add_argument("--layer", metavar="L", type=whole, required=True, help="the block it reads after, from 0")
    add_model(parser)
    parser.add_argument("--kind", choices=KINDS, default="topk", help="(default: topk)")
    parser.add_argument("--latents", metavar="N", type=positive, help="(default: 8 times the residual's width)")
    parser.add_argument("--k", metavar="K", type=positive, default=32, help="latents on at a token (default: 32)")
    parser.add_argument(
        "--tokens", metavar="N", type=positive, default=20_000_000, help="tokens seen, repeats counted (default: 20 M)"
    )
    parser.add_argument("--text-tokens", metavar="N", type=positive, help="different tokens (default: all there are)")
    parser.add_argument("--batch", metavar="N", type=positive, default=4096, help="tokens a step (default: 4096)")
    parser.add_argument("--lr", metavar="X", type=_rate, default=4e-4, help="learning rate (default: 0.0004)")
    parser.add_argument("--seed", metavar="S", type=whole, default=0, help="(default: 0)")
    said = "keep no activations on disk: compute them as they are read, in every pass over the text"
    parser.add_argument("--stream", action="store_true", help=said)
    parser.add_argument("--out", metavar="FOLDER", type=out_path, required=True, help="where the SAE and its cache go")
    add_json(parser, "what was trained")
    parser.set_defaults(run=run, plain_text=True, when_stopped="; the same command goes on where it was")


def run(args: argparse.Namespace) -> int:
    from clampdown.saes.ranks import joined

    with joined() as ranks:
        sae = _trained(args, ranks)
        if ranks.first:
            _print(sae, args.out / "sae.safetensors", args.model, args.json)
    return 0


def _trained(args: argparse.Namespace, ranks: "Ranks") -> "SAE":
    ranks.agree(lambda: _check(args) if ranks.first else None)
    with ProgressBar() if ranks.first else nullcontext(quiet) as progress:
        model = ranks.agree(lambda: load_model(args.model, args, progress)).chat
        progress("reading the text", 0, 0, "")
        from clampdown.discovery.train_sae import train_sae
        from clampdown.saes.training import Settings

        plan = {"kind": args.kind, "latents": args.latents or 8 * model.d_model, "k": args.k, "tokens": args.tokens}
        settings = ranks.agree(lambda: Settings(**plan, batch=args.batch, lr=args.lr, seed=args.seed))
        return train_sae(
            model,
            args.layer,
            args.text,
            args.out,
            settings,
            text_tokens=args.text_tokens,
            keep=not args.stream,
            ranks=ranks,
            progress=progress,
        )


def _check(args: argparse.Namespace) -> None:
    check_writable(args.out, "folder")
    _check_own(args.out)
    if args.tokens < args.batch:
        raise ClampdownError(f"--tokens {args.tokens} does not fill one batch of {args.batch}; train on more")


def _check_own(folder: Path) -> None:
    """Raises ClampdownError where the folder holds an SAE that no run of ours left there: it would be replaced."""
    path = folder / "sae.safetensors"
    if path.exists() and not any((folder / name).exists() for name in ("activations", "checkpoint.pt")):
        raise ClampdownError(f"{path} is there already, and not of a run that could go on; name another --out")


def _print(sae: "SAE", path: Path, model: str | None, as_json: bool) -> None:
    if as_json:
        facts = {"kind": sae.kind, "layer": sae.layer, "latents": sae.n_latents, "k": sae.k, "model": sae.model}
        print_json({"sae": str(path), **facts, "about": sae.about})
        return
    say(f"{sae.kind} SAE with {sae.n_latents:,} latents, after layer {sae.layer} of {one_line(sae.model)}")
    named = shlex.quote(str(path)) + (f" --model {shlex.quote(model)}" if model else "")
    say(f"sae:    {path}\nnext:   clampdown show {shlex.quote(str(path))}\n        clampdown find --sae {named}")


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, got {text}")
    return value
