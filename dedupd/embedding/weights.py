"""Which safetensors files hold a model's weights, and what their headers say. Loads no weight.

Format: eight bytes with the header's length, little-endian, the header as JSON, then the tensors.
Source: the safetensors format description. Stateless.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import msgspec

from dedupd.core.errors import ConfigError
from dedupd.core.undecodable import UNDECODABLE

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_PICKLED = ("pytorch_model*.bin", "*.pth", "*.ckpt", "*.pkl")
_LENGTH = struct.Struct("<Q")
_MAX_HEADER_BYTES = 100_000_000  # the format's own limit

Shapes = dict[str, tuple[int, ...]]


class _Index(msgspec.Struct, frozen=True):
    weight_map: dict[str, str]  # a tensor's name → the file that holds it


class _Tensor(msgspec.Struct, frozen=True):
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The weights of a model's folder: one file, or the parts that its index names.

    Raises:
        ConfigError: there are none, only pickled ones, or a part is missing.
    """
    if (folder / SINGLE).is_file():
        return (folder / SINGLE,)
    if (folder / INDEX).is_file():
        parts = tuple(folder / name for name in parts_of((folder / INDEX).read_bytes(), folder))
        for part in parts:
            if not part.is_file():
                raise ConfigError(f"{folder}: {part.name} is missing, which {INDEX} names. Fetch the model again.")
        return parts
    pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
    if pickled:
        raise ConfigError(
            f"{folder}: only pickled weights ({pickled[0]}), which can run any code when they are loaded. dedupd takes "
            f"safetensors only: name a revision of the model that has {SINGLE}."
        )
    raise ConfigError(f"{folder}: no weights ({SINGLE}). Fetch the model again, or name another folder.")


def parts_of(index: bytes, folder: Path) -> tuple[str, ...]:
    """The names of the files that an index names, each once.

    Raises:
        ConfigError: it is no index, or names something outside the folder.
    """
    try:
        names = sorted(set(msgspec.json.decode(index, type=_Index).weight_map.values()))
    except UNDECODABLE as error:
        raise ConfigError(f"{folder / INDEX} cannot be read: {error}. Fetch the model again.") from error
    for name in names:
        if name != os.path.basename(name) or not name.endswith(".safetensors"):  # noqa: PTH119 - a name, not a path
            raise ConfigError(f"{folder / INDEX} names {name!r}, which is no file of the model. Fetch it elsewhere.")
    return tuple(names)


def tensor_shapes(files: Sequence[Path]) -> Shapes:
    """The shape of every tensor, by its name, from the headers alone.

    Raises:
        ConfigError: a file is not safetensors, or is cut short.
    """
    shapes: Shapes = {}
    for path in files:
        shapes |= {name: tensor.shape for name, tensor in _header_of(path).items()}
    return shapes


def _header_of(path: Path) -> dict[str, _Tensor]:
    try:
        with path.open("rb") as file:
            start = file.read(_LENGTH.size)
            length = _LENGTH.unpack(start)[0] if len(start) == _LENGTH.size else _MAX_HEADER_BYTES + 1
            raw = file.read(length) if length <= _MAX_HEADER_BYTES else b""
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error
    try:
        header = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        tensors = {
            name: msgspec.json.decode(value, type=_Tensor) for name, value in header.items() if name != "__metadata__"
        }
    except UNDECODABLE as error:
        raise ConfigError(f"{path} is no safetensors file, or is cut short. Fetch the model again.") from error
    end = max((tensor.data_offsets[1] for tensor in tensors.values()), default=0)
    if size < _LENGTH.size + length + end:
        raise ConfigError(f"{path} is cut short ({size:,} bytes). Fetch the model again.")
    return tensors
