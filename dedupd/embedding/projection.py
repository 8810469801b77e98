"""The fitted linear projection from features to descriptors, shipped beside this module.

Fitted by benchmarks/descriptor/fit.py; what from and how well it does is in docs/descriptor.md. Immutable once loaded.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from dedupd.embedding.coefficients import Floats
from dedupd.embedding.features import FEATURES

MATRIX_FILE = "projection.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """An affine map of features."""

    matrix: Floats  # [328, dim]
    offset: Floats  # [dim], minus the mean picture's projection

    @property
    def dim(self) -> int:
        """Length of a descriptor."""
        return int(self.matrix.shape[1])

    def fingerprint(self) -> bytes:
        """The bytes that a model's tag must depend on."""
        return self.matrix.tobytes() + self.offset.tobytes()


def load_projection() -> Projection:
    """Read the matrix that came with the package.

    Raises:
        ValueError: the file is not of this version's shape; the installation is damaged.
    """
    raw = files("dedupd.embedding").joinpath(MATRIX_FILE).read_bytes()
    with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
        matrix = arrays["matrix"].astype(np.float32)
        offset = arrays["offset"].astype(np.float32)
    if matrix.shape[0] != FEATURES or offset.shape != matrix.shape[1:]:
        shapes = f"{list(matrix.shape)} and {list(offset.shape)}"
        raise ValueError(f"{MATRIX_FILE} holds {shapes}, not [{FEATURES}, dim] and [dim]; install dedupd again")
    return Projection(matrix=matrix, offset=offset)
