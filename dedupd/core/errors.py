"""Errors grouped by how dedupd reacts to them, each with a stable code and an exit code.

Per-file trouble is no exception that travels: it is a `records.Problem` stored with the file.
Exit codes follow sysexits.h where it has a fitting one.
"""

from __future__ import annotations


class DedupdError(Exception):
    """Base of everything dedupd raises on purpose. A message names the object, the cause and the next step."""

    code = "error"
    exit_code = 1


class StopError(DedupdError):
    """The process cannot go on honestly: configuration, damaged store, a second copy."""


class ConfigError(StopError):
    """The configuration is wrong. systemd must not restart on it (RestartPreventExitStatus=78)."""

    code = "config"
    exit_code = 78  # EX_CONFIG


class AlreadyRunningError(StopError):
    """Another dedupd holds the state directory or the socket."""

    code = "already-running"
    exit_code = 75  # EX_TEMPFAIL


class StoreDamagedError(StopError):
    """A record fails its checksum, or LMDB refuses the file."""

    code = "store-damaged"
    exit_code = 65  # EX_DATAERR


class StoreTooNewError(StopError):
    """The store was written by a newer dedupd; refusing is the only safe answer."""

    code = "store-too-new"
    exit_code = 78


class StoreWriteError(StopError):
    """A commit failed. LMDB must not be trusted in this process any more: stop, restart, verify."""

    code = "store-write"
    exit_code = 74  # EX_IOERR


class DiskFullError(StoreWriteError):
    """The state directory's filesystem is full. Nothing that was acknowledged is lost."""

    code = "disk-full"
    exit_code = 74


class FaultError(StopError):
    """A part of dedupd met a bug. Going on with half a pipeline would be silence where an alert is due."""

    code = "fault"
    exit_code = 70  # EX_SOFTWARE


class DegradedError(DedupdError):
    """Something dedupd can go on without (index snapshot, a device); reported in status and by an alert."""

    code = "degraded"


class RetryError(DedupdError):
    """Temporary; tried again with back-off."""

    code = "retry"


class DaemonUnreachableError(DedupdError):
    """The client found no daemon behind the socket."""

    code = "daemon-not-running"
    exit_code = 69  # EX_UNAVAILABLE


class RequestError(DedupdError):
    """The daemon refused the request; the message is the daemon's."""

    code = "request"
    exit_code = 64  # EX_USAGE


class NotFoundError(DedupdError):
    """What the person named is not in the library."""

    code = "not-found"
    exit_code = 66  # EX_NOINPUT


class UnreadableImageError(DedupdError):
    """The image that the person named cannot be read; `problem_code` says why."""

    code = "unreadable-image"
    exit_code = 65


class AccessError(DedupdError):
    """The person may not do this (socket permissions, state directory not writable)."""

    code = "no-permission"
    exit_code = 77  # EX_NOPERM
