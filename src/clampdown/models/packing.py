"""Weights that were stored packed: which package unpacks them, and whether it is here."""

import importlib.util
from collections.abc import Iterable
from typing import Any, NamedTuple

from clampdown.errors import ClampdownError


class Packing(NamedTuple):
    """How people call it, packages of which any one unpacks it (import name: what pip calls it), and a GPU's need."""

    called: str
    packages: dict[str, str]
    gpu: bool = False


_PACKINGS = {
    "awq": Packing("AWQ", {"gptqmodel": "gptqmodel", "awq": "autoawq"}),
    "gptq": Packing("GPTQ", {"gptqmodel": "gptqmodel optimum", "auto_gptq": "auto-gptq optimum"}),
    "compressed-tensors": Packing("compressed-tensors", {"compressed_tensors": "compressed-tensors"}),
    "bitsandbytes": Packing("bitsandbytes", {"bitsandbytes": "bitsandbytes"}),
    "torchao": Packing("torchao", {"torchao": "torchao"}),
    "hqq": Packing("HQQ", {"hqq": "hqq"}),
    "quanto": Packing("Quanto", {"optimum": "optimum-quanto"}),
    "aqlm": Packing("AQLM", {"aqlm": "aqlm[gpu,cpu]"}),
    "vptq": Packing("VPTQ", {"vptq": "vptq"}, gpu=True),
    "auto-round": Packing("AutoRound", {"auto_round": "auto-round"}),
    "intel/auto-round": Packing("AutoRound", {"auto_round": "auto-round"}),
    "quark": Packing("Quark", {"quark": "amd-quark"}),
    "eetq": Packing("EETQ", {"kernels": "kernels"}, gpu=True),
    "spqr": Packing("SpQR", {"spqr_quant": "spqr_quant"}, gpu=True),
    "higgs": Packing("HIGGS", {"flute": "flute-kernel"}, gpu=True),
    "fp_quant": Packing("FP-Quant", {"fp_quant": "fp_quant"}, gpu=True),
    "fbgemm_fp8": Packing("FBGEMM's FP8", {"fbgemm_gpu": "fbgemm-gpu"}, gpu=True),
}
"""FP8 and MXFP4, which Transformers unpacks by itself where no GPU runs them, need no entry."""
_PACKED = ("qweight", "q_weight", "weight_packed", "weight_q", "weight_scale", "absmax", "codebooks", "qzeros")
"""Last parts of the names that packed weights have."""


def check_packing(name: str, config: Any) -> None:
    """Raises ClampdownError where the stored weights need a package, or a GPU, that is not here."""
    told = getattr(config, "quantization_config", None)
    if told is None:
        return
    method = told.get("quant_method") if isinstance(told, dict) else getattr(told, "quant_method", None)
    method = str(getattr(method, "value", method) or "")
    if not method and isinstance(told, dict) and (told.get("load_in_4bit") or told.get("load_in_8bit")):
        method = "bitsandbytes"
    packing = _PACKINGS.get(method)
    if packing is None:
        if method and not _is_known(method):
            raise ClampdownError(
                f"could not load model {name}: its weights are packed by {method}, which this Transformers does not "
                "read; name the model that it was packed from"
            )
        return
    start = f"could not load model {name}: its weights are packed by {packing.called}, which"
    other = "or name the model that it was packed from"
    if not any(map(importlib.util.find_spec, packing.packages)):
        package, pip = next(iter(packing.packages.items()))
        raise ClampdownError(f"{start} needs {package}, which is not installed: pip install {pip}, {other}")
    if packing.gpu:
        import torch

        if not torch.cuda.is_available():
            raise ClampdownError(f"{start} runs on a GPU only, and there is none here; find one, {other}")


def _is_known(method: str) -> bool:
    """Whether Transformers has a way to unpack it; else it would take the packed weights for none at all."""
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

    return method in AUTO_QUANTIZATION_CONFIG_MAPPING


def check_told(name: str, unread: Iterable[str]) -> None:
    """Raises ClampdownError where some of the tensors that were not read are packed weights, of which nothing told."""
    if packed := sorted(key for key in unread if key.rpartition(".")[2] in _PACKED):
        raise ClampdownError(
            f"could not load model {name}: its weights are packed ({packed[0]}), but its config.json does not say by "
            "what, as older GPTQ and AWQ files don't; name the model that it was packed from"
        )


def check_unpacked(name: str, model: Any) -> None:
    """Raises ClampdownError where a configuration tells of packed weights and those stored are not: none would run."""
    for module in model.modules():
        plain = type(getattr(module, "weight", None)).__module__.startswith("torch.")
        if type(module).__module__.startswith("bitsandbytes") and "Linear" in type(module).__name__ and plain:
            raise ClampdownError(
                f"could not load model {name}: its config.json says that bitsandbytes packed its weights, but they are "
                "not packed; take quantization_config out of its config.json"
            )
