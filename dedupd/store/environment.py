"""Opens the one LMDB environment of a state directory, safely or not at all.

Fully synchronous, one process (an exclusive lock on `<state>/lock`), local filesystems only. Knows the tables' names
and what LMDB's errors mean; not what is in a table.
"""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import lmdb

from dedupd.core.errors import StopError, StoreTooNewError
from dedupd.store import frame
from dedupd.store.state_directory import check_filesystem, lock_state
from dedupd.store.trouble import opening_error, os_error, store_damaged

SCHEMA = 1  # raised when an older dedupd could no longer read the store
MAP_BYTES = 64 << 30  # sparse: address space, not disk; opening costs the same for any size
_MIN_MAP_BYTES = 1 << 30  # where the address space is limited (ulimit -v, 32 bits) less must do
_MAX_READERS = 512  # LMDB's default of 126 runs out under many API clients
_MAX_TABLES = 64
_LIBRARY = "library"
_LATER_TABLES = frozenset(  # a store of schema 1 may lack them
    {b"verdicts", b"pins", b"tombstones", b"generations", b"generation_vectors", b"suggested", b"fingerprints"}
)
_ENGINE = 0  # LMDB 0.9's file format; py-lmdb 3 also bundles 1.0, whose files it cannot read


@dataclass(frozen=True, slots=True)
class Table:
    """One of LMDB's named databases: its name, for messages, and py-lmdb's handle."""

    name: str
    handle: Any  # lmdb._Database, a private name; None: an older dedupd wrote the store and has no such table


@dataclass(frozen=True, slots=True)
class Tables:
    """Every table. The upper part is the truth; the lower part is derived from it in the same transaction."""

    meta: Table  # name → number: schema, next ids, sequence, clean shutdown
    models: Table  # number → model tag
    roots: Table  # root → record
    files: Table  # root, directory hash, name → record
    contents: Table  # content → record
    vectors: Table  # content → stored vectors
    queries: Table  # content → query vectors, only while it is not linked
    edges: Table  # a, b → record, a < b
    outbox: Table  # sequence → event
    vector_log: Table  # sequence → content, added or removed
    cursors: Table  # consumer → sequence
    verdicts: Table  # smaller digest, larger digest → record
    pins: Table  # digest → record
    tombstones: Table  # digest → record
    generations: Table  # model → record
    generation_vectors: Table  # model, content → that model's vectors
    suggested: Table  # a, b →, a < b: a further model's candidates that nobody has looked at

    directories: Table  # root, directory hash → path
    fingerprints: Table  # root, directory hash → digest of its files' names and stats
    inodes: Table  # device, inode, file →
    pending: Table  # file →
    set_aside: Table  # file →
    missing: Table  # file →
    content_files: Table  # content, file →
    present_files: Table  # content → how many files that are there hold it
    shared: Table  # content →, where that is more than one
    digests: Table  # digest → content
    image_digests: Table  # image digest, content →
    edge_ends: Table  # b, a →


def open_tables(open_one: Callable[[bytes], Any]) -> Tables:
    """The tables, each opened by its name."""
    return Tables(*(Table(f.name, open_one(f.name.encode())) for f in dataclass_fields(Tables)))


@dataclass(slots=True)
class OpenStore:
    """An open environment with the lock that keeps others out."""

    directory: Path
    env: lmdb.Environment
    tables: Tables
    lock_fd: int
    warnings: tuple[str, ...]

    def close(self) -> None:
        """Close the environment, then let the next process in."""
        self.env.close()
        os.close(self.lock_fd)


def open_store(state_dir: Path, *, map_bytes: int = MAP_BYTES) -> OpenStore:
    """Open or create the store of a state directory for writing.

    Raises:
        AlreadyRunningError: another process has it open; names its pid.
        StopError: it is on a network filesystem.
        AccessError: the directory cannot be made or written.
        DiskFullError: no room even to open it.
        StoreDamagedError: LMDB refuses the file, or it ends too early.
        StoreTooNewError: a newer dedupd wrote it.
    """
    directory = state_dir / _LIBRARY
    lock_fd = lock_state(state_dir)
    try:
        warnings = check_filesystem(state_dir)
        is_new = not (directory / "data.mdb").exists()
        env = _open_environment(directory, map_bytes)
        try:
            _refuse_short_file(env, directory)
            tables = _create_tables(env, directory)
            env.reader_check()  # slots of processes that were killed
            if is_new:
                _sync_directories(directory, state_dir, state_dir.parent)
        except BaseException:
            env.close()
            raise
    except lmdb.Error as error:
        os.close(lock_fd)
        raise opening_error(error, directory) from error
    except OSError as error:
        os.close(lock_fd)
        raise os_error(error, state_dir) from error
    except BaseException:
        os.close(lock_fd)
        raise
    return OpenStore(directory=directory, env=env, tables=tables, lock_fd=lock_fd, warnings=warnings)


@contextmanager
def opened_for_reading(directory: Path) -> Iterator[tuple[lmdb.Environment, Tables]]:
    """The environment without LMDB's own locking, for a caller that holds the state directory's lock.

    Raises:
        StoreDamagedError, StoreTooNewError: as `open_store`.
    """
    try:
        with lmdb.Environment(
            str(directory),
            map_size=_map_bytes_for(directory, _MIN_MAP_BYTES),
            readonly=True,
            lock=False,
            max_dbs=_MAX_TABLES,
            lib_version=_ENGINE,
        ) as env:
            tables = open_tables(lambda name: _open_existing(env, name))
            with env.begin() as txn:
                _refuse_newer_schema(txn.get(b"schema", None, tables.meta.handle), directory)
            yield env, tables
    except lmdb.Error as error:
        raise opening_error(error, directory) from error


def library_directory(state_dir: Path) -> Path:
    """Where the environment is.

    Raises:
        StopError: there is none.
    """
    directory = state_dir / _LIBRARY
    if not (directory / "data.mdb").is_file():
        raise StopError(f"{state_dir}: no dedupd store here. Name the state directory that the daemon uses")
    return directory


def structural_problems(directory: Path) -> list[str]:
    """What is wrong with the pages of the closed data file; reads bytes only, so damage cannot kill the process.

    LMDB itself maps the file: a torn one ends the process by SIGBUS, which Python cannot catch.
    """
    verifier: Any = importlib.import_module("lmdb.verify")  # untyped
    try:
        return [str(problem) for problem in verifier.verify(str(directory))]
    except verifier.VerifyError as error:
        return [str(error)]


def _open_environment(directory: Path, map_bytes: int) -> lmdb.Environment:
    directory.mkdir(mode=0o700, exist_ok=True)
    with _reader_table_in_memory(directory):
        return _opened(directory, map_bytes)


@contextmanager
def _reader_table_in_memory(directory: Path) -> Iterator[None]:
    """Have LMDB open its lock file in memory, not on disk.

    It writes there with every view, and a disk that is written to every half minute never sleeps (measured: 32 KiB each
    time, by an idle daemon). Nobody else needs the file: the lock of the state directory keeps other processes out.
    """
    path = directory / "lock.mdb"
    path.unlink(missing_ok=True)  # of an older dedupd, or of one that was killed just here
    if not Path("/proc/self/fd").is_dir():
        yield
        return
    fd = os.memfd_create("dedupd-readers", os.MFD_CLOEXEC)
    try:
        path.symlink_to(f"/proc/self/fd/{fd}")
        try:
            yield  # LMDB opens it for itself
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(fd)


def _opened(directory: Path, map_bytes: int) -> lmdb.Environment:
    size = _map_bytes_for(directory, map_bytes)
    while True:
        try:
            return lmdb.Environment(
                str(directory),
                map_size=size,
                mode=0o600,
                max_readers=_MAX_READERS,
                max_dbs=_MAX_TABLES,
                sync=True,
                metasync=True,
                writemap=False,
                lib_version=_ENGINE,
            )
        except lmdb.Error as error:
            if not _is_out_of_memory(error) or size // 2 < _map_bytes_for(directory, _MIN_MAP_BYTES):
                raise
            size //= 2


def _map_bytes_for(directory: Path, least: int) -> int:
    """A map with room for the file to double, so that a store that outgrew its map opens with a larger one."""
    data = directory / "data.mdb"
    used = data.stat().st_size if data.exists() else 0
    size = least
    while size < 2 * used:
        size *= 2
    return size


def _is_out_of_memory(error: lmdb.Error) -> bool:
    return isinstance(error, lmdb.MemoryError) or getattr(error, "code", 0) == errno.ENOMEM


def _refuse_short_file(env: lmdb.Environment, directory: Path) -> None:
    """Keep LMDB from reading pages beyond the end of a file that was cut off.

    The end of the file may lack pages that are free, so a short file is looked at page by page before it is refused.
    """
    pages, page_bytes = env.info()["last_pgno"] + 1, env.stat()["psize"]
    if (directory / "data.mdb").stat().st_size >= pages * page_bytes:
        return
    problems = structural_problems(directory)
    if problems:
        raise store_damaged(directory, f"data.mdb ends too early: {problems[0]}")


def _open_existing(env: lmdb.Environment, name: bytes) -> Any:
    """A table's handle, None where an older dedupd did not make it."""
    try:
        return env.open_db(name, create=False)
    except lmdb.NotFoundError:
        if name in _LATER_TABLES:
            return None
        raise


def _create_tables(env: lmdb.Environment, directory: Path) -> Tables:
    with env.begin(write=True) as txn:
        meta = env.open_db(b"meta", txn=txn)
        schema = txn.get(b"schema", None, meta)
        if schema is None:
            txn.put(b"schema", frame.framed(b"schema", frame.number_body(SCHEMA)), db=meta)
        else:
            _refuse_newer_schema(schema, directory)
        return open_tables(lambda name: env.open_db(name, txn=txn))


def _refuse_newer_schema(value: bytes | None, directory: Path) -> None:
    if value is None:
        raise store_damaged(directory, "it names no schema version")
    found = frame.number_from("meta", b"schema", frame.unframed("meta", b"schema", value))
    if found > SCHEMA:
        raise StoreTooNewError(
            f"{directory}: a newer dedupd wrote this store (schema {found}, this one reads up to {SCHEMA}). Install "
            "the newer dedupd again, or name another state directory to index anew"
        )


def _sync_directories(*directories: Path) -> None:
    """Make a new store's directory entries survive a power cut."""
    for directory in directories:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
