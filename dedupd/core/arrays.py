"""The shapes of pixels and vectors, apart from the records so that the client side starts without numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]  # uint8 [height, width, 3], RGB, EXIF orientation applied
Vectors = npt.NDArray[np.float32]  # float32 [n, dim], rows of unit length
