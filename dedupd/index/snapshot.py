"""The index on disk: written so that a power cut leaves the old or the new, read so that any doubt means "rebuild".

A cache: losing every file here costs time, never an answer. Does not catch up with the store (`catch_up` does). Owns
the files of its directory; one process at a time, from one thread.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
from blake3 import blake3

from dedupd.core.errors import DegradedError
from dedupd.core.ports import Model
from dedupd.core.records import Sequence
from dedupd.index.faiss_binding import FAISS_VERSION
from dedupd.index.faiss_index import FaissIndex, Generation
from dedupd.index.inverted_lists import read_index
from dedupd.index.views import ViewTable

SCHEMA = 1
KEPT = 2  # snapshots: the second is for the day when the first is damaged
_CURRENT = "CURRENT"  # holds the sequence of the snapshot to try first
_NAME = re.compile(r"(?P<sequence>[0-9]{1,20})\.json")
_MANIFEST_MAX_BYTES = 65_536  # a manifest has about 400
_READ_BYTES = 1 << 20


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot file claims to be; `check` guards the claims themselves."""

    schema: int
    model: str
    dim: int
    kind: str
    count: int  # contents
    vectors: int
    sequence: int  # the index holds every vector change of the store up to here
    bytes: int
    blake3: str  # of the .faiss file
    faiss: str  # version that wrote it, for people
    check: str = ""  # BLAKE3 of this manifest with check = ""

    def sealed(self) -> Manifest:
        """The same with its `check`."""
        bare = msgspec.structs.replace(self, check="")
        return msgspec.structs.replace(bare, check=blake3(msgspec.json.encode(bare)).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot that passed every check."""

    sequence: Sequence
    held: Generation


def write_snapshot(index: FaissIndex, directory: Path, model: Model, sequence: Sequence) -> Sequence:
    """Write what the index holds as the snapshot of a sequence and drop all but the last two.

    Temporary file, fsync, rename, fsync of the directory: the only order that survived 25 of 25 power cuts on ext4
    and on XFS. Call it from the thread that changes the index, with the sequence that the index holds.

    Returns:
        The sequence of the oldest snapshot that is left; the store's vector log is needed after it.

    Raises:
        DegradedError: it cannot be written; what was there before is still there.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_leftovers(directory)
        digest = blake3()
        with _replacing(directory / f"{sequence}.faiss") as file:

            def sink(part: bytes) -> None:
                digest.update(part)
                file.write(part)

            size = index.write(sink)
            length = file.tell()
        manifest = Manifest(
            schema=SCHEMA,
            model=model.tag,
            dim=index.dim,
            kind=size.kind,
            count=size.contents,
            vectors=size.vectors,
            sequence=sequence,
            bytes=length,
            blake3=digest.hexdigest(),
            faiss=FAISS_VERSION,
        ).sealed()
        with _replacing(directory / f"{sequence}.json") as file:
            file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        _sync_directory(directory)  # the snapshot must be there before CURRENT says so
        with _replacing(directory / _CURRENT) as file:
            file.write(b"%d\n" % sequence)
        _sync_directory(directory)
        return _keep_last(directory, sequence)
    except OSError as error:
        raise DegradedError(
            f"index snapshot in {directory}: {error.strerror or error}; nothing is lost, but the next start takes "
            "longer; free space or correct the permissions there"
        ) from error


def read_snapshot(directory: Path, model: Model, newest: Sequence) -> Snapshot | str:
    """The best usable snapshot, or why there is none.

    Args:
        directory: where `write_snapshot` wrote.
        model: what the vectors must be from.
        newest: the store's sequence. A snapshot that is ahead of it belongs to another past of the store (a restored
            backup) and is deleted, so that it cannot look right once the store has come as far.
    """
    reasons: list[str] = []
    for sequence in _candidates(directory):
        if sequence > newest:
            _discard(directory, sequence)
            reasons.append(f"snapshot {sequence} is ahead of the store, which is at {newest}")
            continue
        try:
            return _checked(directory, sequence, model)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            reasons.append(f"snapshot {sequence}: {error}")
    return "; ".join(reasons) or "no snapshot"


def _candidates(directory: Path) -> list[Sequence]:
    """The sequences of the snapshots there, the one that CURRENT names first, then the newest."""
    try:
        found = {int(match["sequence"]) for path in directory.iterdir() if (match := _NAME.fullmatch(path.name))}
    except OSError:
        return []
    current = -1
    with suppress(OSError, ValueError), (directory / _CURRENT).open("rb") as file:
        current = int(file.read(32))
    return [Sequence(s) for s in sorted(found, key=lambda s: (s != current, -s))]


def _checked(directory: Path, sequence: Sequence, model: Model) -> Snapshot:
    """One snapshot, after every check; OSError, ValueError or MsgspecError say what is wrong with it."""
    with (directory / f"{sequence}.json").open("rb") as file:
        manifest = msgspec.json.decode(file.read(_MANIFEST_MAX_BYTES), type=Manifest)
    if manifest != manifest.sealed() or manifest.sequence != sequence:
        raise ValueError("its manifest is damaged")
    if manifest.schema != SCHEMA:
        raise ValueError(f"its layout is {manifest.schema}, this version reads {SCHEMA}")
    if (manifest.model, manifest.dim) != (model.tag, model.dim):
        raise ValueError(f"it is of model {manifest.model}, not {model.tag}")
    path = directory / f"{sequence}.faiss"
    digest = blake3()
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size != manifest.bytes:
            raise ValueError("its length is not what the manifest says")
        while part := file.read(_READ_BYTES):
            digest.update(part)
    if digest.hexdigest() != manifest.blake3:
        raise ValueError("its bytes are damaged")
    vectors = read_index(path)  # only now: FAISS may end the process on bytes that it did not write
    views = ViewTable.from_ids(vectors.ids())
    if (vectors.dim, vectors.kind, len(vectors), len(views)) != (
        manifest.dim,
        manifest.kind,
        manifest.vectors,
        manifest.count,
    ):
        raise ValueError("it does not hold what the manifest says")
    return Snapshot(sequence=sequence, held=Generation(vectors, views))


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path`, on disk, when the block ends well."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _sync_directory(directory: Path) -> None:
    """Make renames durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _keep_last(directory: Path, current: Sequence) -> Sequence:
    """Drop all but `current` and the newest before it (one after it is of another past); returns the oldest left."""
    found = sorted(_candidates(directory), reverse=True)
    kept = [sequence for sequence in found if sequence <= current][:KEPT]
    for sequence in found:
        if sequence not in kept:
            _discard(directory, sequence)
    return kept[-1]


def _discard(directory: Path, sequence: Sequence) -> None:
    """Drop one snapshot, its manifest first: a file without one is no snapshot."""
    for suffix in (".json", ".faiss"):
        with suppress(OSError):
            (directory / f"{sequence}{suffix}").unlink()


def _remove_leftovers(directory: Path) -> None:
    """Drop what an interrupted write left: temporary files, and index files without a manifest."""
    for path in directory.iterdir():
        if path.suffix == ".tmp" or (path.suffix == ".faiss" and not path.with_suffix(".json").exists()):
            path.unlink()
