"""Housekeeping: try set-aside files again, forget what has been missing for long, trim logs.

Functions that the scheduler calls; each is one or a few short transactions. Never forgets a row of a root that is not
online: an unmounted disk is not a deleted library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from blake3 import blake3

from dedupd.core.ports import Library, PreviewCache
from dedupd.core.records import ContentId, FilePath, FileRecord, FileStage, ProblemCode, RootRecord, RootState, Sequence

_CHUNK = 256  # rows a transaction, so that the flow never waits long
_DAY_NS = 86_400 * 1_000_000_000

_DECODERS = "decoders"  # the store's cursor that says by which decoders what is set aside was looked at
# What another version of a decoder, or another limit, may well read. The rest lies with the file or the disk.
_OF_THE_DECODER = frozenset({
    ProblemCode.NOT_AN_IMAGE,
    ProblemCode.UNSUPPORTED,
    ProblemCode.DAMAGED,
    ProblemCode.TOO_LARGE,
    ProblemCode.TOO_MANY_PIXELS,
    ProblemCode.TIMEOUT,
    ProblemCode.DECODER_DIED,
    ProblemCode.NOT_DESCRIBED,
})  # fmt: skip


def retry_set_aside(library: Library, now_ns: int) -> int:
    """Make files pending again whose time for another try has come; returns how many."""
    with library.view() as view:
        online = {r.id for r in view.roots() if r.state is RootState.ONLINE and r.is_watched}
        due = [
            f.path
            for f in view.problems()
            if f.problem is not None
            and f.problem.retry_at_ns is not None
            and f.problem.retry_at_ns <= now_ns
            and f.missing_since_ns is None
            and f.path.root in online
        ]
    _make_pending(library, due)
    return len(due)


def retry_after_upgrade(library: Library, decoders: str) -> int:
    """Make files pending again that other decoders than these could not read; returns how many.

    Args:
        library: the store.
        decoders: which ones read from now on, with their versions.
    """
    tag = Sequence(int.from_bytes(blake3(decoders.encode()).digest(7), "big"))
    with library.view() as view:
        if view.cursor(_DECODERS) == tag:
            return 0
        watched = {root.id for root in view.roots() if root.is_watched}  # what is pending elsewhere is never read
        due = [
            f.path
            for f in view.problems()
            if f.problem is not None and f.problem.code in _OF_THE_DECODER and f.path.root in watched
        ]
    _make_pending(library, due)
    with library.transaction() as txn:  # last: killed before, it is done again
        txn.set_cursor(_DECODERS, tag)
    return len(due)


def _make_pending(library: Library, due: list[FilePath]) -> None:
    for start in range(0, len(due), _CHUNK):
        with library.transaction() as txn:
            for path in due[start : start + _CHUNK]:
                record = txn.file(path)
                if record is not None and record.stage is FileStage.SET_ASIDE:
                    txn.put_file(replace(record, stage=FileStage.PENDING))


def purge_missing(library: Library, now_ns: int, missing_days: float) -> int:
    """Forget files that have been missing for `missing_days` while their root was online; returns how many.

    The root must have had a full scan after that time, so that two scans at least did not find the file.
    """
    patience_ns = int(missing_days * _DAY_NS)
    with library.view() as view:
        roots = {r.id: r for r in view.roots()}
        due = [
            f.path for f in view.missing_files() if _is_gone_for_good(f, roots.get(f.path.root), now_ns, patience_ns)
        ]
    for start in range(0, len(due), _CHUNK):
        with library.transaction() as txn:
            for path in due[start : start + _CHUNK]:
                record = txn.file(path)
                if record is not None and record.missing_since_ns is not None:
                    txn.remove_file(path)
    return len(due)


def sweep_orphans(library: Library, previews: PreviewCache, forget: Callable[[list[ContentId]], None]) -> int:
    """Remove contents that no file holds any more; returns how many.

    Does nothing while files of watched roots are pending: a file that was touched gets its content back once it has
    been read again. What is pending in a root that is no longer watched will never be read and does not count.
    """
    with library.view() as view:
        watched = {root.id for root in view.roots() if root.is_watched}
        if any(file.path.root in watched for file in view.pending_files(view.counts().files_pending)):
            return 0
        orphans = [c.id for c in view.contents() if not (view.some_files_of(c.id, 1) or view.files_of(c.id))]
    for start in range(0, len(orphans), _CHUNK):
        removed: list[ContentId] = []
        with library.transaction() as txn:
            for content in orphans[start : start + _CHUNK]:
                if txn.content(content) is not None and not txn.files_of(content):
                    txn.remove_content(content)
                    removed.append(content)
        for content in removed:
            previews.remove(content)
        forget(removed)
    return len(orphans)


def trim_outbox(library: Library, keep: int) -> int:
    """Drop the oldest events beyond `keep`; returns how many."""
    with library.view() as view:
        if view.counts().events <= keep:
            return 0
    with library.transaction() as txn:
        return txn.trim_events(keep)


def _is_gone_for_good(file: FileRecord, root: RootRecord | None, now_ns: int, patience_ns: int) -> bool:
    since = file.missing_since_ns
    if since is None or root is None or root.state is not RootState.ONLINE or not root.is_watched:
        return False
    return now_ns - since >= patience_ns and (root.last_full_scan_ns or 0) >= since + patience_ns
