"""Work of the describe stage: a pending file that is to be read, and what came of reading it."""

from __future__ import annotations

from dataclasses import dataclass

from dedupd.core.events import Origin
from dedupd.core.ports import DecodedImage, ReadFile
from dedupd.core.records import FilePath, FileStat, Problem


@dataclass(frozen=True, slots=True)
class Work:
    """A read that was asked for."""

    path: FilePath
    absolute: bytes
    origin: Origin
    stat: FileStat  # of the row when the read was asked for; another at the commit: it was registered anew


@dataclass(frozen=True, slots=True)
class Done:
    """A read that has come to an end."""

    work: Work
    outcome: ReadFile | Problem | None  # None: no worker could be started, which is no fault of the file
    is_second_look: bool = False  # it waited for the one that decodes its content

    @property
    def image(self) -> DecodedImage | None:
        """The picture, if this read decoded one."""
        if isinstance(self.outcome, ReadFile) and isinstance(self.outcome.image, DecodedImage):
            return self.outcome.image
        return None
