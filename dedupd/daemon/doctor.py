"""`dedupd doctor`, and the daemon's side of `dedupctl doctor`: gathers the facts that `core.examination` judges.

Looks only; needs no daemon, but knows more inside of one: how many directories are watched, and how index and models
stand. Owns nothing.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from dedupd.core.errors import StopError
from dedupd.core.examination import (
    Finding,
    Verdict,
    examine_clock,
    examine_disk,
    examine_index,
    examine_jpeg_decoder,
    examine_memory,
    examine_open_files,
    examine_watches,
)
from dedupd.core.ports import Activity, Progress
from dedupd.core.wording import path_words
from dedupd.imaging.decoder_versions import has_compiled_jpeg
from dedupd.settings.schema import Settings
from dedupd.store.state_directory import check_filesystem

_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
_TIMEX_BYTES = 512  # struct timex has 208 on 64 bits
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


def clock_offset_s() -> float:
    """CLOCK_REALTIME less CLOCK_BOOTTIME: constant unless somebody sets the clock."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def examine(
    settings: Settings,
    *,
    state_dir: Path,
    roots: Sequence[bytes],
    socket_path: Path | None = None,
    progress: Progress | None = None,
    jumped_s: float = 0.0,
) -> tuple[Finding, ...]:
    """Look at everything.

    Args:
        settings: the configuration.
        state_dir: where the store is.
        roots: absolute paths that are watched.
        socket_path: where the daemon listens; None: not looked at.
        progress: how the running daemon stands; None: there is none.
        jumped_s: how far the clock was set since the start.
    """
    watching = [root.health for root in progress.roots if root.health] if progress else []
    return (
        *(_root(path) for path in roots),
        examine_watches(
            limit=_number(_WATCHES),
            watched=sum(health.watched_directories for health in watching),
            unwatched=sum(health.unwatched_directories for health in watching),
        ),
        examine_open_files(
            limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0], used=len(list(Path("/proc/self/fd").iterdir()))
        ),
        *_state_directory(state_dir),
        *([_socket(socket_path)] if socket_path is not None else []),
        _actor(settings),
        *(_standing(progress) if progress else []),
        examine_jpeg_decoder(is_compiled=has_compiled_jpeg()),
        examine_clock(is_synchronised=_is_synchronised(), jumped_s=jumped_s),
    )


def _root(path: bytes) -> Finding:
    shown = path_words(path)
    try:
        facts = Path(os.fsdecode(path)).stat()
        with os.scandir(path) as entries:
            next(entries, None)
    except (FileNotFoundError, NotADirectoryError):
        return _problem("root", f"{shown} is not there", "mount its disk, or take it out of `roots`")
    except PermissionError:
        remedy = f"give dedupd the right to list and enter it: setfacl -R -m u:{_user_name()}:rX {shown}"
        return _problem("root", f"{shown} may not be read by {_user_name()}", remedy)
    except OSError as error:
        return _problem("root", f"{shown} cannot be read: {error.strerror}", "look at the disk and the kernel's log")
    if not os.access(path, os.R_OK | os.X_OK):
        return _problem("root", f"{shown} may not be entered by {_user_name()}", f"chmod or setfacl rX on {shown}")
    return Finding(subject="root", verdict=Verdict.OK, words=f"{shown} can be read (device {facts.st_dev})")


def _state_directory(state_dir: Path) -> Iterator[Finding]:
    if not state_dir.is_dir():
        remedy = "it is made at the first start; with a service, StateDirectory= of the unit makes it"
        yield Finding(
            subject="state-directory", verdict=Verdict.WARNING, words=f"{state_dir} is not there", remedy=remedy
        )
        return
    try:
        warnings = check_filesystem(state_dir)
    except StopError as error:
        yield _problem("state-directory", str(error), "set state_dir to a directory on a local disk")
        return
    if not os.access(state_dir, os.R_OK | os.W_OK | os.X_OK):
        remedy = f"chown -R {_user_name()} {state_dir}"
        yield _problem("state-directory", f"{state_dir} may not be written by {_user_name()}", remedy)
    elif stat.S_IMODE(state_dir.stat().st_mode) & 0o077:
        words = f"{state_dir} is open to others, and small previews of every photo are in it"
        yield Finding(subject="state-directory", verdict=Verdict.WARNING, words=words, remedy=f"chmod 0700 {state_dir}")
    else:
        verdict = Verdict.WARNING if warnings else Verdict.OK
        yield Finding(subject="state-directory", verdict=verdict, words=" ".join(warnings) or f"{state_dir} is well")
    space = os.statvfs(state_dir)
    yield examine_disk(
        directory=str(state_dir),
        free_bytes=space.f_bavail * space.f_frsize,
        total_bytes=space.f_blocks * space.f_frsize,
    )


def _socket(path: Path) -> Finding:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return _problem("socket", f"{path}: {error.strerror}", "is dedupd running? Else restart it")
    if mode & 0o007:
        return _problem("socket", f"{path} is open to every user (mode {mode:04o})", f"chmod 0660 {path}")
    if stat.S_IMODE(path.parent.stat().st_mode) & 0o002:
        return _problem(
            "socket", f"every user may replace what is in {path.parent}", f"chmod 0750 {path.parent}, then restart"
        )
    return Finding(subject="socket", verdict=Verdict.OK, words=f"{path}, mode {mode:04o}")


def _actor(settings: Settings) -> Finding:
    if not settings.cleanup.actor_socket:
        words = "dedupd starts the actor itself when something is cleaned up"
        return Finding(subject="actor", verdict=Verdict.OK, words=words)
    path = Path(settings.cleanup.actor_socket).expanduser()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(5)
        try:
            sock.connect(os.fspath(path))
        except OSError as error:
            words = f"{path} does not answer: {error.strerror or error}"
            return _problem("actor", words, "systemctl enable --now dedupd-actor.socket")
    return Finding(subject="actor", verdict=Verdict.OK, words=f"{path} answers")


def _standing(progress: Progress) -> Iterator[Finding]:
    """What only the running daemon knows."""
    counts = progress.counts
    if progress.activity is not Activity.STARTING:  # else what is degraded says it
        yield examine_index(indexed=progress.indexed, linked=counts.contents - counts.contents_unlinked)
    if progress.memory is not None:
        yield examine_memory(progress.memory)
    for generation in progress.generations:
        if generation.trouble:
            remedy = "`dedupd models check` checks its files; it is tried again by itself"
            yield Finding(
                subject="model",
                verdict=Verdict.WARNING,
                words=f"{generation.name}: {generation.trouble}",
                remedy=remedy,
            )
        else:
            yield Finding(subject="model", verdict=Verdict.OK, words=f"{generation.name}: no trouble")
        for device in generation.devices:
            if device.trouble:
                yield Finding(
                    subject="device",
                    verdict=Verdict.WARNING,
                    words=f"{device.name} {device.title}: {device.trouble}",
                    remedy="look at it (nvidia-smi), then restart dedupd",
                )
            else:
                yield Finding(subject="device", verdict=Verdict.OK, words=f"{device.name} {device.title} is well")
    for message in progress.degraded:
        yield _problem("degraded", message, "as it says")
    if progress.hold is not None:
        yield Finding(subject="backlog", verdict=Verdict.OK, words=f"it waits: {progress.hold.words}")


def _problem(subject: str, words: str, remedy: str) -> Finding:
    return Finding(subject=subject, verdict=Verdict.PROBLEM, words=words, remedy=remedy)


def _is_synchronised() -> bool | None:
    """What the kernel says of the clock; None where it may not be asked."""
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes = 0: only asks
    answer = ctypes.CDLL(None).adjtimex(buffer)
    return None if answer < 0 else answer != _TIME_ERROR


def _number(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_text(encoding="ascii"))
    return None


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"
