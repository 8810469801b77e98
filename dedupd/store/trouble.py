"""What the errors of LMDB and of the disk mean for dedupd, said so that a person can act. Pure; owns no state."""

from __future__ import annotations

import errno
from pathlib import Path

import lmdb

from dedupd.core.errors import AccessError, DiskFullError, StopError, StoreDamagedError, StoreWriteError


def opening_error(error: lmdb.Error, directory: Path) -> StopError:
    """What an LMDB error while opening means."""
    code = getattr(error, "code", 0)
    if _is_full(error):
        return disk_full(directory, error)
    if code in {errno.EACCES, errno.EPERM, errno.EROFS} or isinstance(error, lmdb.ReadonlyError):
        raise no_permission(directory, str(error)) from error
    if code > 0:
        return StopError(f"{directory}: cannot open the store: {error}. Check the disk and the limits of the process")
    return store_damaged(directory, str(error))


def writing_error(error: lmdb.Error, directory: Path) -> StoreWriteError:
    """What an LMDB error while writing means: nothing goes on after it."""
    if _is_full(error):
        return disk_full(directory, error)
    return StoreWriteError(
        f"{directory}: writing failed: {error}. What was acknowledged before is kept. dedupd stops; check the disk "
        "(kernel log), then start it again"
    )


def reading_error(error: lmdb.Error, directory: Path) -> StopError:
    """What an LMDB error while reading means."""
    if isinstance(error, (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError, lmdb.PanicError)):
        return store_damaged(directory, str(error))
    return StopError(f"{directory}: reading failed: {error}. Restart dedupd; if it happens again run `dedupd check`")


def store_damaged(directory: Path, cause: str) -> StoreDamagedError:
    """The error for a store that LMDB cannot read."""
    return StoreDamagedError(
        f"{directory}: the store is damaged: {cause}. Your photos are not touched. Check the disk, then restore the "
        "state directory from a backup or move it away so that the next start indexes anew"
    )


def disk_full(directory: Path, error: Exception) -> DiskFullError:
    """The error for a full disk, or for a store that outgrew its map (the next start opens it with a larger one)."""
    if isinstance(error, lmdb.MapFullError):
        return DiskFullError(
            f"{directory}: the store outgrew the address space it was opened with. Nothing that was acknowledged is "
            "lost. Start dedupd again: it opens the store with twice the space"
        )
    return DiskFullError(
        f"{directory}: no space left for the store. Nothing that was acknowledged is lost. Free some space on this "
        "filesystem, or move the state directory to a larger one, then start dedupd again"
    )


def _is_full(error: lmdb.Error) -> bool:
    is_disk_full = getattr(error, "code", 0) in {errno.ENOSPC, errno.EDQUOT}
    return is_disk_full or isinstance(error, (lmdb.MapFullError, lmdb.DiskError))


def os_error(error: OSError, state_dir: Path) -> DiskFullError | AccessError | StopError:
    """What an error of the operating system in the state directory means."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return disk_full(state_dir, error)
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return no_permission(state_dir, error.strerror or str(error))
    return StopError(f"{state_dir}: cannot use the state directory: {error.strerror or error}. Name another one")


def no_permission(state_dir: Path, cause: str) -> AccessError:
    """The error for a state directory that this user may not use."""
    return AccessError(
        f"{state_dir}: the state directory is not writable: {cause}. Give it to the user that dedupd runs as, or name "
        "another one"
    )
