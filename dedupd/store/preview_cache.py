"""Small JPEGs by content, as files in 256 directories: the `PreviewCache` port.

A cache: it may lose entries at a power cut, it never serves a torn or a wrong one, and trouble with it stops nobody.
Written without fsync, so the digest at the end of each file is what makes it believable.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from blake3 import blake3

from dedupd.core.records import ContentId

_MARK = b"dup1"  # after the JPEG's end, so that the files open in any viewer
_DIGEST_BYTES = 16
_TRAILER_BYTES = len(_MARK) + _DIGEST_BYTES

_log = logging.getLogger(__name__)


class DiskPreviewCache:
    """See `core.ports.PreviewCache`. Owns `directory`; nobody else writes there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._unfinished = directory / "unfinished"
        self._has_warned = False
        shutil.rmtree(self._unfinished, ignore_errors=True)  # what a killed process left

    def get(self, content: ContentId) -> bytes | None:
        """The preview, or None where there is none that is whole."""
        try:
            stored = self._path(content).read_bytes()
        except OSError:
            return None
        preview, trailer = stored[:-_TRAILER_BYTES], stored[-_TRAILER_BYTES:]
        return preview if trailer == _trailer(content, preview) else None

    def put(self, content: ContentId, preview: bytes) -> None:
        """Keep a preview. A disk that is full or broken is logged once; the entry is then not there."""
        path = self._path(content)
        unfinished = self._unfinished / f"{content}-{threading.get_ident()}"
        stored = preview + _trailer(content, preview)
        try:
            _with_folder(self._unfinished, lambda: unfinished.write_bytes(stored))
            _with_folder(path.parent, lambda: unfinished.replace(path))
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            if not self._has_warned:
                self._has_warned = True
                _log.warning("preview-cache-write-failed directory=%s error=%s", self._directory, error)

    def remove(self, content: ContentId) -> None:
        """Forget a preview; one that is not there is no error."""
        with suppress(OSError):
            self._path(content).unlink()

    def _path(self, content: ContentId) -> Path:
        return self._directory / f"{content & 0xFF:02x}" / f"{content}.jpg"


def _with_folder(folder: Path, work: Callable[[], object]) -> None:
    """Do what needs a folder, which is there but for the first time, or when somebody emptied the cache."""
    try:
        work()
    except FileNotFoundError:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        work()


def _trailer(content: ContentId, preview: bytes) -> bytes:
    return _MARK + blake3(content.to_bytes(8, "big") + preview).digest(_DIGEST_BYTES)
