"""Says which decoders, in which versions and within which limits, read pictures here. Loads none of them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import dedupd
from dedupd.imaging.limits import DecodeLimits

_DISTRIBUTIONS = ("pillow", "pillow-heif", "rawpy", "opencv-python-headless", "numpy")


def decoder_versions(limits: DecodeLimits) -> str:
    """A text that is another one when a file that could not be read might be readable now."""
    versions = [f"dedupd {dedupd.__version__}"]
    for name in _DISTRIBUTIONS:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:  # from a distribution's own packages; then dedupd's version has to do
            continue
    bounds = (limits.max_file_bytes, limits.max_jpeg_pixels, limits.max_pixels, limits.address_space_bytes)
    return ", ".join([*versions, "limits " + "/".join(map(str, bounds))])


def has_compiled_jpeg() -> bool:
    """Whether JPEGs are decoded and scaled by the compiled parts, which need a C compiler at installation."""
    return all(find_spec(f"dedupd.imaging.{part}") is not None for part in ("_jpeg_eighth", "_resize"))
