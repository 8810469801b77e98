"""Reads every record of a store and compares what is derived with what it is derived from. Changes nothing.

Holds the state directory's lock meanwhile, so it refuses to run beside a daemon. Whoever calls it may want to do so in
a child process: a disk that fails while a page is read ends the process, which no checksum can prevent.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import TypeVar

import lmdb

from dedupd.core import stat_key
from dedupd.core.records import ContentId, ContentRecord, FileRecord, FileStage
from dedupd.store import codec, content_codec, derived, frame, generation_codec, keys, outbox, verdict_codec
from dedupd.store.environment import Table, Tables, library_directory, opened_for_reading, structural_problems
from dedupd.store.reader import LmdbView
from dedupd.store.state_directory import lock_state

MOST_FINDINGS = 1000  # a report that is longer says nothing more

_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong."""

    table: str  # "pages" for LMDB's own structure
    key: str  # hexadecimal; "" when it is about the whole table
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What the check read and found."""

    directory: Path
    rows: dict[str, int]  # table → rows; empty when the pages are so damaged that nothing was read
    findings: tuple[Finding, ...]  # at most MOST_FINDINGS
    findings_left_out: int
    was_closed_cleanly: bool  # False after a kill or a power cut; that alone is nothing wrong

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def check(state_dir: Path) -> CheckReport:
    """Check the store of a state directory, pages first, then every record and every cross reference.

    Raises:
        StopError: there is no store.
        AlreadyRunningError: a daemon uses it.
        StoreDamagedError: so damaged that its tables cannot be listed.
        StoreTooNewError: a newer dedupd wrote it.
    """
    directory = library_directory(state_dir)
    lock_fd = lock_state(state_dir)
    try:
        problems = structural_problems(directory)
        if problems:
            found = tuple(Finding(table="pages", key="", message=problem) for problem in problems)
            return CheckReport(
                directory=directory,
                rows={},
                findings=found[:MOST_FINDINGS],
                findings_left_out=max(0, len(found) - MOST_FINDINGS),
                was_closed_cleanly=False,
            )
        with opened_for_reading(directory) as (env, tables), env.begin() as txn:
            return inspect(txn, tables, directory)
    finally:
        os.close(lock_fd)


def inspect(txn: lmdb.Transaction[bytes], tables: Tables, directory: Path) -> CheckReport:
    """What an open transaction shows, every record and every cross reference."""
    return _Inspection(txn, tables).report(directory)


class _Inspection(LmdbView):
    """One pass over every table; a view, because it must read exactly as views do."""

    def __init__(self, txn: lmdb.Transaction[bytes], tables: Tables) -> None:
        super().__init__(txn, tables)
        self._findings: list[Finding] = []
        self._left_out = 0
        self._expected: Counter[str] = Counter()  # derived table → rows that the records make
        self._contents: set[ContentId] = set()
        self._present: Counter[ContentId] = Counter()

    def report(self, directory: Path) -> CheckReport:
        """Do the pass."""
        self._check_numbers()
        self._check_roots()
        self._check_contents()
        self._check_files()
        self._check_fingerprints()
        self._check_present_files()
        self._check_edges()
        self._check_generations()
        self._check_verdicts()
        self._check_logs()
        self._check_derived_sizes()
        tables = (getattr(self._tables, field.name) for field in dataclass_fields(Tables))
        return CheckReport(
            directory=directory,
            rows={table.name: self._entries(table) for table in tables},
            findings=tuple(self._findings),
            findings_left_out=self._left_out,
            was_closed_cleanly=self._safe_number(b"in_use") == 0,
        )

    def _add(self, table: str, key: bytes, message: str) -> None:
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(Finding(table=table, key=key.hex(), message=message))
        else:
            self._left_out += 1

    def _records(self, table: Table, decode: Callable[[bytes, bytes], _Record]) -> Iterator[tuple[bytes, _Record]]:
        """Key and decoded body of each row; a damaged one becomes a finding."""
        for key, value in self._scan(table):
            try:
                record = decode(key, frame.unframed(table.name, key, value))
            except frame.DamagedRecordError as error:
                self._add(error.table, error.key, error.cause)
            else:
                yield key, record

    def _safe_number(self, name: bytes) -> int:
        try:
            return self._number(name)
        except frame.DamagedRecordError:
            return 0  # `_check_numbers` says it

    def _expect_rows(self, rows: set[derived.DerivedRow]) -> None:
        for name, key in rows:
            self._expect(getattr(self._tables, name), key)

    def _expect(self, table: Table, key: bytes) -> None:
        self._expected[table.name] += 1
        if self._txn.get(key, None, table.handle) is None:
            self._add(table.name, key, "the row is not there, though a record makes it")

    def _check_numbers(self) -> None:
        texts = {b"app_version"}
        for table in (self._tables.meta, self._tables.cursors):
            for key, body in self._records(table, lambda _, body: body):
                if key not in texts and len(body) != len(frame.number_body(0)):
                    self._add(table.name, key, "it is no number")
        for _ in self._records(self._tables.models, lambda _, body: body):
            pass

    def _check_roots(self) -> None:
        last = self._safe_number(b"last_root")
        for key, root in self._records(self._tables.roots, codec.root_from):
            if root.id > last:
                self._add("roots", key, f"its id is newer than the newest given, {last}")

    def _check_contents(self) -> None:
        last = self._safe_number(b"last_content")
        for key, content in self._records(self._tables.contents, content_codec.content_from):
            self._contents.add(content.id)
            if content.id > last:
                self._add("contents", key, f"its id is newer than the newest given, {last}")
            self._check_digest(key, content)
            self._expect_rows(derived.rows_of_content(content))
            self._expect(self._tables.vectors, key)
            if derived.has_queries(content):
                self._expect(self._tables.queries, key)
        for table in (self._tables.vectors, self._tables.queries):
            for key, body in self._records(table, lambda _, body: body):
                self._check_vectors(table.name, key, body)

    def _check_digest(self, key: bytes, content: ContentRecord) -> None:
        self._expect(self._tables.digests, content.digest)
        try:
            found = self.content_by_digest(content.digest)
        except frame.DamagedRecordError as error:
            self._add(error.table, error.key, error.cause)
            return
        if found is not None and found.id != content.id:
            self._add("digests", content.digest, f"it names content {found.id}, not {content.id} ({key.hex()})")

    def _check_vectors(self, table: str, key: bytes, body: bytes) -> None:
        try:
            frame.vectors_from(table, key, body)
            model = frame.vectors_model(table, key, body)
        except frame.DamagedRecordError as error:
            self._add(error.table, error.key, error.cause)
            return
        if self._txn.get(frame.model_key(model), None, self._tables.models.handle) is None:
            self._add(table, key, f"model number {model} has no name")

    def _check_files(self) -> None:
        directories: set[bytes] = set()
        for key, body in self._records(self._tables.files, lambda _, body: body):
            directories.add(key[: keys.DIRECTORY_KEY_BYTES])
            try:
                file = codec.file_from(key, body, self._directory_of(key))
            except frame.DamagedRecordError as error:
                self._add(error.table, error.key, error.cause)
                continue
            self._check_file(key, body, file)
        self._expected["directories"] = len(directories)
        for key, _ in self._records(self._tables.directories, lambda _, body: body):
            if key not in directories:
                self._add("directories", key, "no file is in it")

    def _check_file(self, key: bytes, body: bytes, file: FileRecord) -> None:
        if keys.file_key(file.path) != key:
            self._add("files", key, f"it is the record of another path, {file.path}")
        if codec.flags_of(file) != body[0]:
            self._add("files", key, "its flags say something else than its record")
        if (file.stage is FileStage.INDEXED) != (file.content is not None):
            self._add("files", key, f"its stage is {file.stage}, its content {file.content}")
        if file.content is not None and file.content not in self._contents:
            self._add("files", key, f"its content {file.content} is not there")
        if self._txn.get(keys.root_key(file.path.root), None, self._tables.roots.handle) is None:
            self._add("files", key, f"its root {file.path.root} is not there")
        self._expect_rows(derived.rows_of_file(key, file))
        content = derived.present_content(file)
        if content is not None:
            self._present[content] += 1

    def _check_fingerprints(self) -> None:
        """What they say counts only after a clean end: after a kill, or an older dedupd, the next start drops them."""
        do_they_count = self._safe_number(b"closed_in") == self._txn.id()
        for key, kept in self._records(self._tables.fingerprints, lambda _, body: body):
            try:
                stats = self._packed_stats(key)
            except frame.DamagedRecordError:
                continue  # `_check_files` says it
            if do_they_count and (not stats or kept != stat_key.fingerprint(stats)):
                self._add("fingerprints", key, "it does not stand for the files of its directory")

    def _check_present_files(self) -> None:
        table = self._tables.present_files
        self._expected["present_files"] = len(self._present)
        for content, count in self._present.items():
            if count > 1:
                self._expect(self._tables.shared, keys.content_key(content))
        for key, body in self._records(table, lambda _, body: body):
            stored = int.from_bytes(body, "little")
            count = self._present[keys.content_of(key)]
            if stored != count:
                self._add(table.name, key, f"it counts {stored} files, there are {count}")

    def _check_edges(self) -> None:
        for key, edge in self._records(self._tables.edges, content_codec.edge_from):
            if edge.a >= edge.b:
                self._add("edges", key, "its smaller content does not come first")
            for end in (edge.a, edge.b):
                if end not in self._contents:
                    self._add("edges", key, f"content {end} is not there")
            self._expect_rows(derived.rows_of_edge(edge))

    def _check_generations(self) -> None:
        """Each counts its vectors, and a content's go with it. A suggested pair may outlive a content for a while."""
        held: Counter[bytes] = Counter()
        vectors = self._tables.generation_vectors
        for key, body in self._records(vectors, lambda _, body: body):
            held[key[: generation_codec.MODEL_BYTES]] += 1
            self._check_vectors(vectors.name, key, body)
            if generation_codec.content_of(key) not in self._contents:
                self._add(vectors.name, key, f"content {generation_codec.content_of(key)} is not there")
        generations = self._tables.generations
        for key, body in self._records(generations, lambda _, body: body):
            try:
                found = self._generation_from(key, frame.framed(key, body))
            except frame.DamagedRecordError as error:
                self._add(error.table, error.key, error.cause)
                continue
            if found.contents != held[key]:
                self._add(generations.name, key, f"it counts {found.contents} contents, there are {held[key]}")
        for key in held:
            if self._body_is_absent(generations, key):
                self._add(vectors.name, key, "there are vectors of a generation that is not there")
        for key, _ in self._scan(self._tables.suggested):
            if len(key) != 2 * keys.CONTENT_BYTES or key[: keys.CONTENT_BYTES] >= key[keys.CONTENT_BYTES :]:
                self._add("suggested", key, "it is no pair with the smaller content first")

    def _body_is_absent(self, table: Table, key: bytes) -> bool:
        return table.handle is None or self._txn.get(key, None, table.handle) is None

    def _check_verdicts(self) -> None:
        """They go by digest and need no content to be there."""
        tables = self._tables
        for _ in self._records(tables.verdicts, verdict_codec.verdict_from):
            pass
        for _ in self._records(tables.pins, verdict_codec.pin_from):
            pass
        for _ in self._records(tables.tombstones, verdict_codec.tombstone_from):
            pass

    def _check_logs(self) -> None:
        newest, last_event = self._safe_number(b"sequence"), self._safe_number(b"last_event")
        for key, event in self._records(self._tables.outbox, outbox.event_from):
            if event.sequence > min(newest, last_event):
                self._add("outbox", key, f"event {event.sequence} is newer than the newest given, {newest}")
        for key, change in self._records(self._tables.vector_log, outbox.vector_change_from):
            if change.sequence > newest:
                self._add("vector_log", key, f"step {change.sequence} is newer than the newest given, {newest}")
            if self._txn.get(key, None, self._tables.outbox.handle) is not None:
                self._add("vector_log", key, f"an event has the number {change.sequence} too")

    def _check_derived_sizes(self) -> None:
        """Every row that must be there was looked for; one too many shows in the number of rows."""
        names = (*derived.FILE_TABLES, "image_digests", "edge_ends", "digests", "vectors", "queries")
        for name in (*names, "directories", "present_files", "shared"):
            rows, expected = self._entries(getattr(self._tables, name)), self._expected[name]
            if rows != expected:
                self._add(name, b"", f"it has {rows} rows, the records make {expected}")
