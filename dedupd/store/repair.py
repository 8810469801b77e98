"""Makes what is derived anew from what it is derived from. Explicit, and all or nothing: never done by itself.

What only the records say (files, contents, vectors, edges, verdicts) is not touched: if something there is wrong, the
repair is refused and the store stays as it was. Holds the state directory's lock, so it refuses to run beside a daemon.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import lmdb

from dedupd.core.errors import StoreDamagedError
from dedupd.core.records import ContentId, ContentRecord
from dedupd.store import codec, content_codec, derived, frame, keys
from dedupd.store.check import CheckReport, check, inspect
from dedupd.store.environment import open_store
from dedupd.store.trouble import writing_error
from dedupd.store.writer import LmdbTransaction

DERIVED_TABLES = (
    *derived.FILE_TABLES,
    "fingerprints",  # not made anew: the next scan keeps them again
    "present_files",
    "shared",
    "digests",
    "image_digests",
    "edge_ends",
)
_INDEX = "index"  # of the state directory: the snapshot, which the next start builds again


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """What was wrong before, and what is now: nothing."""

    before: CheckReport
    after: CheckReport

    @property
    def has_repaired(self) -> bool:
        """Whether there was anything to do."""
        return not self.before.is_clean


def repair(state_dir: Path) -> RepairReport:
    """Check the store; where it is not sound, make every derived table anew, and keep that only if it then is.

    Raises:
        StoreDamagedError: what is wrong cannot be derived again; nothing was changed.
        StopError, AlreadyRunningError, StoreTooNewError: as `check`.
        StoreWriteError: writing failed; nothing was changed.
    """
    before = check(state_dir)
    if before.is_clean:
        return RepairReport(before=before, after=before)
    if not before.rows:
        raise _refusal(before)
    store = open_store(state_dir)
    try:
        with store.env.begin(write=True) as txn:
            ends = set(txn.cursor(store.tables.edge_ends.handle).iternext(keys=True, values=False))
            for name in DERIVED_TABLES:
                txn.drop(getattr(store.tables, name).handle, delete=False)
            rebuild = _Rebuild(txn, store.tables)
            rebuild.rebuild()
            rebuild.refuse_lost_edges(ends, before)
            after = inspect(txn, store.tables, store.directory)
            if not after.is_clean:
                raise _refusal(after)  # leaving by an exception aborts
    except lmdb.Error as error:
        raise writing_error(error, store.directory) from error
    finally:
        store.close()
    shutil.rmtree(state_dir / _INDEX, ignore_errors=True)
    return RepairReport(before=before, after=after)


class _Rebuild(LmdbTransaction):
    """Writes the rows that the records make; a record that cannot be read makes none, and the inspection says it."""

    def rebuild(self) -> None:
        for key, value in self._scan(self._tables.contents):
            content = self._content_of(key, value)
            if content is not None:
                self._put(self._tables.digests, content.digest, frame.number_body(content.id))
                self._change_rows(set(), derived.rows_of_content(content))
        for key, value in self._scan(self._tables.files):
            self._add_file(key, value)
        for key, value in self._scan(self._tables.edges):
            try:
                edge = content_codec.edge_from(key, frame.unframed("edges", key, value))
            except frame.DamagedRecordError:
                continue
            self._change_rows(set(), derived.rows_of_edge(edge))

    def refuse_lost_edges(self, ends: set[bytes], before: CheckReport) -> None:
        """An end whose edge is gone is the only trace of a pair that nobody would look at again."""
        for key in ends:
            if (
                len(key) != 2 * keys.CONTENT_BYTES
                or self._txn.get(key, None, self._tables.edge_ends.handle) is not None
            ):
                continue
            if all(self.content(content) is not None for content in keys.pair_of(key)):
                raise _refusal(before)

    def _content_of(self, key: bytes, value: bytes) -> ContentRecord | None:
        try:
            return content_codec.content_from(key, frame.unframed("contents", key, value))
        except frame.DamagedRecordError:
            return None

    def _add_file(self, key: bytes, value: bytes) -> None:
        try:
            file = codec.file_from(key, frame.unframed("files", key, value), self._directory_of(key))
        except frame.DamagedRecordError:
            return
        self._change_rows(set(), derived.rows_of_file(key, file))
        content: ContentId | None = derived.present_content(file)
        if content is not None:
            self._count_present(content, 1)


def _refusal(report: CheckReport) -> StoreDamagedError:
    first = report.findings[0]
    others = len(report.findings) + report.findings_left_out - 1
    more = f", and {others:,} more" if others else ""
    return StoreDamagedError(
        f"{report.directory}: {first.table} {first.key}: {first.message}{more}. That cannot be derived again, and "
        "nothing was changed. Restore a backup, or move the state directory away and let dedupd index anew"
    )
