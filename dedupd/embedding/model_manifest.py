"""What was recorded of a model when it was fetched: where it came from, at which commit, every file's checksum.

    MODELS/OWNER/NAME/current.json    the manifest, replaced in one step
    MODELS/OWNER/NAME/COMMIT/…        the files that it names, never changed

Reads and writes manifests; fetches nothing. `model_store` owns the directory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from dedupd.core.errors import ConfigError
from dedupd.core.undecodable import UNDECODABLE

MANIFEST = "current.json"
FORMAT = 1
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_HUB_NAME = re.compile(rf"{_PART}(/{_PART})?")
COMMIT = re.compile(r"[0-9a-f]{40}")


class RecordedFile(msgspec.Struct, frozen=True):
    """One file of a model."""

    name: str
    sha256: str  # hex
    size_bytes: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one commit."""

    format: int
    name: str  # on the hub
    revision: str  # the commit, 40 hexadecimal digits
    asked_for: str  # the branch, tag or commit that was named
    files: tuple[RecordedFile, ...]


def is_hub_name(name: str) -> bool:
    """Whether this may be a model's name on the hub, OWNER/NAME or NAME."""
    return _HUB_NAME.fullmatch(name) is not None


def home_of(name: str, models_dir: Path) -> Path:
    """The directory of a model, whatever its revision; the name must be a hub name."""
    assert is_hub_name(name), name
    return models_dir / name


def folder_of(manifest: Manifest, models_dir: Path) -> Path:
    """Where the files of a manifest lie."""
    return home_of(manifest.name, models_dir) / manifest.revision


def read_manifest(name: str, models_dir: Path) -> Manifest | None:
    """What was recorded of a model; None if it was never fetched.

    Raises:
        ConfigError: the record is damaged or of a newer dedupd.
    """
    path = home_of(name, models_dir) / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error
    except UNDECODABLE as error:
        raise ConfigError(f"{path} is damaged: {error}. `dedupd models pull {name}` writes it anew.") from error
    is_sound = COMMIT.fullmatch(manifest.revision) and all(f.name == Path(f.name).name for f in manifest.files)
    if manifest.format != FORMAT or manifest.name != name or not is_sound:
        raise ConfigError(f"{path} is not of this dedupd. `dedupd models pull {name}` writes it anew.")
    return manifest


def write_manifest(manifest: Manifest, models_dir: Path) -> None:
    """Record a model in one step: temporary name, sync, rename, sync of the directory."""
    home = home_of(manifest.name, models_dir)
    temporary = home / f".{MANIFEST}.{os.getpid()}"
    with temporary.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest)))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(home / MANIFEST)
    fd = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def recorded_names(models_dir: Path) -> Iterator[str]:
    """The names of the models that were fetched, in order."""
    homes = {path.parent for pattern in (f"*/{MANIFEST}", f"*/*/{MANIFEST}") for path in models_dir.glob(pattern)}
    for home in sorted(homes):
        name = home.relative_to(models_dir).as_posix()
        if is_hub_name(name):
            yield name
