"""`dedupd backup` and `dedupd restore`: what cannot be derived again, as one tar file.

In it: the store, whole and consistent, the plans, and the journal of an actor of our own. Index and previews are caches
and stay out. The daemon gives it while it runs, as its LMDB environment may be open in one process alone; without a
daemon the store is read directly. Restoring fills an empty state directory, and checks what it filled.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dedupd.client.client import Client
from dedupd.core.errors import AlreadyRunningError, StopError, StoreDamagedError
from dedupd.store import CheckReport, check
from dedupd.store.backup import copy_closed_store
from dedupd.store.state_directory import lock_state

_STORE = "library/data.mdb"
_MEMBER = re.compile(r"library/data\.mdb|plans/[0-9a-f]{64}\.plan|actor/[\w.-]+\.journal")
_PIECE_BYTES = 1 << 20
_END = bytes(2 * tarfile.BLOCKSIZE)


def backup_pieces(state_dir: Path, store: IO[bytes]) -> Iterator[bytes]:
    """The tar file in pieces; `store` is the copy of the LMDB file. The journal comes last: it may only be newer."""
    yield from _member(_STORE, store)
    for folder, pattern in (("plans", "*.plan"), ("actor", "*.journal")):
        for path in sorted((state_dir / folder).glob(pattern)):
            with path.open("rb") as file:
                yield from _member(f"{folder}/{path.name}", file)
    yield _END


def back_up(state_dir: Path, socket: Path | None, target: Path) -> int:
    """Write a backup of a state directory; its size in bytes. `socket`: where its daemon answers, if one runs.

    Raises:
        StopError: the target is there already, or cannot be written.
        DaemonUnreachableError: a process uses the state directory and does not answer.
    """
    with _new_file(target) as file:
        try:
            lock_fd = lock_state(state_dir)
        except AlreadyRunningError:
            _write(Client(socket).backup_pieces(), file)
        else:
            try:
                with tempfile.TemporaryFile(dir=target.parent) as store:
                    copy_closed_store(state_dir, store)
                    _write(backup_pieces(state_dir, store), file)
            finally:
                os.close(lock_fd)
        if not _is_whole(file):
            raise StopError(f"{target}: the backup broke off and was not kept. Try again")
        return file.seek(0, os.SEEK_END)


def restore(source: Path, state_dir: Path) -> CheckReport:
    """Fill an empty state directory from a backup; what the check of it says.

    Raises:
        StopError: something is in the state directory already, or the file is no backup.
        StoreDamagedError: the store in it is damaged; nothing is left of it.
    """
    lock_fd = lock_state(state_dir)
    try:
        there = sorted(path.name for path in state_dir.iterdir() if path.name != "lock")
        if there:
            raise StopError(
                f"{state_dir}: a backup is only restored into an empty directory, and {there[0]} is there. Move what "
                "is there away, or name another --state-dir"
            )
        try:
            _extract(source, state_dir)
        except BaseException:
            _clear(state_dir)
            raise
    finally:
        os.close(lock_fd)
    report = check(state_dir)
    if not report.is_clean:
        _clear(state_dir)
        raise StoreDamagedError(f"{source}: its store is damaged ({report.findings[0].message}); nothing was restored")
    return report


def _extract(source: Path, state_dir: Path) -> None:
    has_store = False
    try:
        with tarfile.open(source, "r:") as tar:
            for member in tar:
                if not member.isreg() or not _MEMBER.fullmatch(member.name):
                    raise StopError(f"{source}: it is no backup of dedupd, {member.name!r} is in it")
                content = tar.extractfile(member)
                assert content is not None  # a regular file
                path = state_dir / member.name
                path.parent.mkdir(mode=0o700, exist_ok=True)
                with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                    shutil.copyfileobj(content, file, _PIECE_BYTES)
                    file.flush()
                    os.fsync(file.fileno())
                has_store |= member.name == _STORE
    except tarfile.TarError as error:
        raise StopError(f"{source}: it is no backup of dedupd: {error}") from error
    except OSError as error:
        raise StopError(f"{source}: {error.strerror}: {error.filename}") from error
    if not has_store:
        raise StopError(f"{source}: it is no backup of dedupd, no store is in it")
    for folder in (*(path for path in state_dir.iterdir() if path.is_dir()), state_dir):
        _sync_directory(folder)


def _clear(state_dir: Path) -> None:
    for name in ("library", "plans", "actor"):
        shutil.rmtree(state_dir / name, ignore_errors=True)


def _member(name: str, file: IO[bytes]) -> Iterator[bytes]:
    """One file of the tar; what is appended to it meanwhile is left out."""
    info = tarfile.TarInfo(name)
    info.mode = 0o600
    facts = os.fstat(file.fileno())
    info.size, info.mtime = facts.st_size, int(facts.st_mtime)
    yield info.tobuf()
    left = info.size
    file.seek(0)
    while left:
        piece = file.read(min(left, _PIECE_BYTES))
        if not piece:
            raise StopError(f"{name} became shorter while it was backed up. Try again")
        left -= len(piece)
        yield piece
    yield bytes(-info.size % tarfile.BLOCKSIZE)


def _write(pieces: Iterable[bytes], file: IO[bytes]) -> None:
    for piece in pieces:
        file.write(piece)
    file.flush()
    os.fsync(file.fileno())


def _is_whole(file: IO[bytes]) -> bool:
    file.seek(-len(_END), os.SEEK_END)
    return file.read() == _END


@contextmanager
def _new_file(target: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name when it is complete and synced, and only if nothing is there."""
    if target.exists():
        raise StopError(f"{target}: it is there already; a backup overwrites nothing")
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.") as file:
            yield file
            os.link(file.name, target)
            _sync_directory(target.parent)
    except OSError as error:
        raise StopError(f"{target}: {error.strerror}") from error


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
