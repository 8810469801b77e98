"""What is recorded of a TorchScript file, in a small JSON beside it; looks at the file without loading it.

    NAME.pt         the network: [n, 3, px, px] in, [n, dim] out
    NAME.pt.json    its checksum and length, its input, where its candidates start

A TorchScript file is code. So only a file whose record a person had written (`dedupd models add`) is ever loaded, and
only while it is what was recorded. Imports no torch.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import msgspec

from dedupd.core.errors import ConfigError
from dedupd.core.records import ModelTag
from dedupd.core.undecodable import UNDECODABLE
from dedupd.embedding.checksums import Checksums
from dedupd.embedding.families import CODE_VERSION
from dedupd.embedding.model_spec import TORCHSCRIPT_LOADER, ModelSpec
from dedupd.embedding.preprocess import ExactSize, Preprocessing, Triple
from dedupd.embedding.processor_config import BILINEAR, IMAGENET_MEAN, IMAGENET_STD, affine

FAMILY = "torchscript"
SUFFIXES = (".pt", ".torchscript", ".ts")
DEFAULT_INPUT_PX = 288  # as the published copy-detection networks were tested (SSCD's README)
COPY_CANDIDATE_SIMILARITY = 0.55  # estimate: at 0.75 SSCD has 90 % precision on DISC, candidates are for recall


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person trusts, and how it is fed."""

    sha256: str  # hex, of the file
    dim: Annotated[int, msgspec.Meta(ge=1, le=65_536)]
    input_px: Annotated[int, msgspec.Meta(ge=8, le=2048)] = DEFAULT_INPUT_PX  # both sides
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    candidate_similarity: Annotated[float, msgspec.Meta(ge=-1, le=1)] = COPY_CANDIDATE_SIMILARITY

    @property
    def preprocessing(self) -> Preprocessing:
        """A square of the whole picture, as numbers around 0."""
        return square(self.input_px, self.mean, self.std)


def square(px: int, mean: Triple, std: Triple) -> Preprocessing:
    """The preprocessing that squeezes every picture into a square."""
    scale, offset = affine(mean, std, 1 / 255)
    return Preprocessing(
        target=ExactSize(height=px, width=px), resample=BILINEAR, crop=None, scale=scale, offset=offset
    )


def is_name_of_one(path: Path) -> bool:
    """Whether a file is called as TorchScript files are."""
    return path.suffix in SUFFIXES


def record_of(path: Path) -> Path:
    """Where the record of a file lies."""
    return path.with_name(f"{path.name}.json")


def read_record(path: Path) -> Record:
    """What was recorded of a TorchScript file.

    Raises:
        ConfigError: nothing was, or the record is damaged.
    """
    beside = record_of(path)
    try:
        return msgspec.json.decode(beside.read_bytes(), type=Record)
    except FileNotFoundError:
        raise ConfigError(
            f"{path} has no record ({beside.name}). A TorchScript file is code that dedupd would run: if you trust "
            f"this one, `dedupd models add {path}` records it."
        ) from None
    except OSError as error:
        raise ConfigError(f"{beside} cannot be read: {error.strerror}. Check its permissions.") from error
    except UNDECODABLE as error:
        raise ConfigError(f"{beside}: {error}. `dedupd models add {path}` writes it anew.") from error


def inspect(name: str, path: Path, checksums: Checksums, dtype: str) -> ModelSpec:
    """Say what a TorchScript file is, by its record.

    Raises:
        ConfigError: there is no record, or the file is not what was recorded.
    """
    record = read_record(path)
    if checksums.sha256_of(path) != record.sha256:
        raise ConfigError(
            f"{path} differs from what was recorded in {record_of(path).name}. If you trust what it is now, "
            f"`dedupd models add {path}` records it anew."
        )
    said = (record.sha256, record.dim, record.input_px, record.mean, record.std, dtype, CODE_VERSION)
    digest = hashlib.blake2b(repr(said).encode(), digest_size=4).hexdigest()
    return ModelSpec(
        name=name,
        folder=str(path),
        tag=ModelTag(f"{FAMILY}-{record.dim}-{digest}"),
        dim=record.dim,
        family=FAMILY,
        input_px=record.input_px,
        candidate_similarity=record.candidate_similarity,
        dtype=dtype,
        loader=TORCHSCRIPT_LOADER,
    )
