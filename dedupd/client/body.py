"""Several open files as one body of a request. Owns nothing: who opened the files closes them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Sent:
    """A picture that is sent, and what it is called where it is shown."""

    name: bytes
    file: IO[bytes]


class Pieces:
    """Files one after the other, each exactly as long as it was when this was made."""

    def __init__(self, files: Sequence[IO[bytes]]) -> None:
        self._files = files
        self.sizes = [os.fstat(file.fileno()).st_size for file in files]

    def __iter__(self) -> Iterator[bytes]:
        """The bytes from the start of each file, also when asked for again; a file that shrank ends early."""
        for file, size in zip(self._files, self.sizes, strict=True):
            file.seek(0)
            left = size
            while left and (piece := file.read(min(left, _PIECE_BYTES))):
                left -= len(piece)
                yield piece
