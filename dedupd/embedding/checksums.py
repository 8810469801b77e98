"""SHA-256 of large files, remembered by size and time of change, so that a start does not read gigabytes again.

Owns one file in the models directory. `dedupd models check` goes round it.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from dedupd.core.errors import ConfigError
from dedupd.core.undecodable import UNDECODABLE

CACHE_FILE = "checksums.json"


class _Known(msgspec.Struct, frozen=True):
    size_bytes: int
    mtime_ns: int
    sha256: str  # hex


class Checksums:
    """What is known of files' checksums; whoever cannot write it computes them again next time."""

    def __init__(self, models_dir: Path) -> None:
        """Keep what is known in a models directory, which need not be there yet."""
        self._path = models_dir / CACHE_FILE

    def sha256_of(self, path: Path) -> str:
        """The checksum of a file as it is now, hex; computed only if it is new or has changed.

        Raises:
            ConfigError: it cannot be read.
        """
        try:
            stat = path.stat()
            known = self._read()
            seen = known.get(str(path))
            if seen is not None and (seen.size_bytes, seen.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
                return seen.sha256
            digest = sha256(path)
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error
        known[str(path)] = _Known(stat.st_size, stat.st_mtime_ns, digest)
        self._write(known)
        return digest

    def _read(self) -> dict[str, _Known]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, _Known])
        except (OSError, *UNDECODABLE):
            return {}

    def _write(self, known: dict[str, _Known]) -> None:
        """Not synced: what is lost, or torn and so not read, is computed again."""
        kept = {path: entry for path, entry in known.items() if Path(path).exists()}
        temporary = self._path.with_name(f".{CACHE_FILE}.{os.getpid()}")
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(kept))
            temporary.replace(self._path)


def sha256(path: Path) -> str:
    """The checksum of a file's bytes, hex; OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
