"""`clampdown sae check`: whether an SAE fits a model, in one screen."""

import argparse
from typing import TYPE_CHECKING, Any

from clampdown.cli.loading import load_model
from clampdown.cli.options import add_json, add_placing, command, existing, whole
from clampdown.cli.progress import ProgressBar
from clampdown.cli.terminal import one_line, print_facts, print_json, say
from clampdown.errors import ClampdownError

if TYPE_CHECKING:
    from clampdown.discovery.check_sae import SAECheck

_EXAMPLE = """  clampdown sae check smollm2-135m-instruct smollm2-135m-instruct/layer-12
  clampdown sae check ./my-model my-sae/sae.safetensors --text chats.jsonl
  clampdown sae check ./my-model my-sae/sae.safetensors --layer 11 --json

exit code:
  0 it fits, 1 it fits poorly, 2 it does not fit, or something went wrong"""
_STATUS = {"fits": 0, "fits poorly": 1, "does not fit": 2}


def add_parser(subparsers: Any) -> None:
    said = (
        "Measure an SAE on a page of chat text: width and layer, variance unexplained there and at the layers beside "
        "it, latents on at a token, and what the model loses when the reconstruction takes the residual's place. The "
        "verdict says whether it fits, and if not, what usually causes that."
    )
    parser = command(subparsers, "check", "tell whether an SAE fits a model", said, _EXAMPLE)
    parser.add_argument("model", metavar="MODEL", help="model folder or hub id")
    parser.add_argument("sae", metavar="SAE", help="the SAE's file, folder or name")
    parser.add_argument("--layer", metavar="L", type=whole, help="look at this layer (default: the SAE's own)")
    parser.add_argument(
        "--text", metavar="FILE", type=existing, help="chats (JSONL) or text, in place of what is built in"
    )
    add_placing(parser)
    add_json(parser, "what was found (schema clampdown-sae-check/1)")
    parser.set_defaults(run=run, plain_text=True)


def run(args: argparse.Namespace) -> int:
    with ProgressBar() as progress:
        from clampdown.saes.load import load_sae

        sae = load_sae(args.sae)  # before the model: it tells sooner that a name is wrong
        model = load_model(args.model, args, progress).chat
        from clampdown.discovery.check_sae import check_sae

        found = check_sae(model, sae, layer=args.layer, text=args.text, progress=progress)
    if args.json:
        print_json(found.to_dict())
    elif found.facts is None:
        raise ClampdownError(f"SAE {sae.name} {found.verdict}: {'; '.join(found.reasons)}")
    else:
        _print(found)
    return _STATUS[found.verdict]


def _origin(sae: dict[str, Any]) -> dict[str, str]:
    """Where the SAE was fetched from, and how sure that is."""
    if not sae["repository"]:
        return {}
    pinned = "pinned by you" if sae["pinned"] else "not pinned"
    verified = "checksum verified" if sae["verified"] else "no published checksum, so nobody could verify it"
    return {"fetched from": f"{sae['repository']} at {sae['revision'][:12]}, {pinned}; {verified}"}


def _print(found: "SAECheck") -> None:
    facts, sae, model = found.facts, found.sae, found.model
    assert facts is not None
    kind = f"{sae['kind']}, k {sae['k']}" if sae["k"] else sae["kind"]
    nearby = ", ".join(f"{fvu:.3f} at layer {layer}" for layer, fvu in facts.nearby.items())
    lines = {
        "sae": f"{sae['name']} ({kind}, {sae['latents']:,} latents)",
        **_origin(sae),
        "model": f"{model['name']} ({model['layers']} blocks of width {model['width']})",
        "layer": found.layer,
        "text": f"{facts.tokens:,} tokens, sinks left out: {found.text}",
        "variance unexplained": f"{facts.fvu:.3f}" + (f"; {nearby}" if nearby else ""),
        "latents on at a token": f"{facts.l0:.1f}" + (f" of k = {sae['k']}" if sae["k"] else ""),
        "never on here": f"{facts.silent:.1%} of all latents",
        "cross-entropy": f"{facts.cross_entropy:.3f} nats a token, {facts.cross_entropy_added:+.3f} with it spliced in",
        "residual's length": f"{facts.norm:.1f} on average",
    }
    print_facts(lines)
    say()
    for note in found.notes:
        say(f"note: {one_line(note)}")
    say(found.verdict if not found.reasons else f"{found.verdict}:")
    for reason in found.reasons:
        say(f"- {one_line(reason)}")
