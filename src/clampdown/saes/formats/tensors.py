"""Open the files that SAEs come in: mapped where they are large, nothing unpickled, one line for what is wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.reading import check_file, stand_in
from clampdown.saes.hashes import LARGE

_AS_STORED = (torch.bfloat16, torch.float16, torch.float32)


def open_tensors(path: Path, name: str) -> dict[str, Tensor]:
    """The tensors of a .safetensors, .npz, .pt or .pth file.

    A small file's come as float32. A large one's stay on the disk, mapped, in the dtype they are stored in.

    Raises:
        ClampdownError: not readable as what it is named, not a plain dictionary of tensors, or a file that only a
            full pickle can open.
    """
    check_file(path, f"{name}:")
    if path.stat().st_size and (found := stand_in(path)):  # an empty file its reader tells of
        raise ClampdownError(f"{name}: {path.name}: {found}")
    tensors = _READERS.get(path.suffix, _open_torch)(path, name)
    for key, t in tensors.items():
        if t.layout is not torch.strided or t.is_quantized or t.is_complex() or t.is_meta:
            raise ClampdownError(f"{name}: {key} is not an ordinary tensor of real numbers; ask its publisher for one")
    if path.stat().st_size > LARGE:
        return tensors
    return {key: t.float() if t.is_floating_point() else t for key, t in tensors.items()}


def take(tensors: Mapping[str, Tensor], name: str, *keys: str) -> list[Tensor]:
    """The tensors called `keys`, as weights that the arithmetic can use: other dtypes than it keeps become float32."""
    if lacking := [key for key in keys if key not in tensors]:
        raise ClampdownError(f"{name}: the SAE lacks {', '.join(lacking)}; its file holds {_shown(tensors)}")
    return [t if (t := tensors[key]).dtype in _AS_STORED else t.float() for key in keys]


def check_shape(tensor: Tensor, expected: tuple[Any, ...], key: str, source: str, name: str) -> None:
    """A file that says one shape and holds another is refused; None in `expected` stands for not told."""
    told = tuple(got if want is None else want for want, got in zip(expected, tensor.shape, strict=False))
    if tensor.dim() != len(expected) or told != tuple(tensor.shape):
        shape = tuple(tensor.shape)
        raise ClampdownError(f"{name}: {key} has shape {shape}, but {source} says {expected}; fetch it again")


def _open_safetensors(path: Path, name: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ClampdownError(f"{name}: {path.name} is not readable ({_said(error)}); fetch it again") from error


def _open_torch(path: Path, name: str) -> dict[str, Tensor]:
    try:
        try:
            body = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # the format before PyTorch 1.6 can't be mapped
            body = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file makes PyTorch raise almost anything; nothing in it is ever run
        raise ClampdownError(
            f"{name}: {path.name} is damaged, or holds more than tensors, which only running it could open; "
            "ask its publisher for safetensors"
        ) from error
    if not isinstance(body, Mapping):
        raise ClampdownError(f"{name}: {path.name} holds a {type(body).__name__}, not an SAE's tensors")
    return {str(key): value.detach() for key, value in body.items() if isinstance(value, Tensor)}


def _open_npz(path: Path, name: str) -> dict[str, Tensor]:
    """NumPy's savez stores its members unpacked, so that each can be mapped where it lies in the file."""
    import struct
    import zipfile

    import numpy as np

    tensors = {}
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            for member in archive.infolist():
                if member.compress_type != zipfile.ZIP_STORED:
                    with np.load(path, allow_pickle=False) as packed:
                        return {key: torch.from_numpy(packed[key]) for key in packed.files}
                file.seek(member.header_offset + 26)
                file.seek(sum(struct.unpack("<HH", file.read(4))), 1)  # the member's name, and what follows it
                version = np.lib.format.read_magic(file)
                reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                shape, fortran, dtype = reader[version](file)
                # "c": pages are shared until written, and PyTorch takes no read-only array without a warning.
                array = np.memmap(path, dtype, "c", file.tell(), shape, "F" if fortran else "C")
                tensors[member.filename.removesuffix(".npy")] = torch.from_numpy(np.asarray(array))
    except MemoryError:
        raise
    except Exception as error:  # so do these libraries
        raise ClampdownError(f"{name}: {path.name} is not readable ({_said(error)}); fetch it again") from error
    return tensors


_READERS = {".safetensors": _open_safetensors, ".npz": _open_npz}


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).partition("\n")[0]


def _shown(tensors: Mapping[str, Tensor]) -> str:
    names = sorted(tensors)
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "") or "nothing"
