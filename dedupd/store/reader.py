"""One consistent look at the store: the `LibraryView` port on an LMDB transaction.

Reads only, decodes each record when it is asked for, hands out copies (never LMDB's own memory). Owns nothing but a
cache of directory names, which a hash names for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as ManyOf
from itertools import islice

import lmdb

from dedupd.core.arrays import Vectors
from dedupd.core.events import Event
from dedupd.core.grouping import Bond
from dedupd.core.ports import Counts, Descriptor, VectorChange
from dedupd.core.records import (
    ContentId,
    ContentRecord,
    Edge,
    FilePath,
    FileRecord,
    ModelTag,
    RootId,
    RootRecord,
    Sequence,
)
from dedupd.store import codec, content_codec, frame, keys, outbox
from dedupd.store.environment import Tables
from dedupd.store.generations import GenerationsView
from dedupd.store.verdicts import VerdictsView

_DIRECTORY_CHUNK = 128  # rows read ahead in a directory


class LmdbView(VerdictsView, GenerationsView):
    """See `core.ports.LibraryView`. Iterators may be left early and survive changes made meanwhile in a transaction."""

    def __init__(self, txn: lmdb.Transaction[bytes], tables: Tables) -> None:
        super().__init__(txn, tables)
        self._directories: dict[bytes, bytes] = {}  # directory key → path

    # ------------------------------------------------------------------------------------------------------- totals

    def sequence(self) -> Sequence:
        """The newest number given to an event or a vector change."""
        return Sequence(self._number(b"sequence"))

    def counts(self) -> Counts:
        """Totals from LMDB's own counters; a missing file is counted as missing only."""
        tables = self._tables
        return Counts(
            files=self._entries(tables.files),
            files_pending=self._entries(tables.pending),
            files_set_aside=self._entries(tables.set_aside),
            files_missing=self._entries(tables.missing),
            contents=self._entries(tables.contents),
            contents_unlinked=self._entries(tables.queries),
            edges=self._entries(tables.edges),
            events=self._entries(tables.outbox),
            pairs_suggested=self._entries(tables.suggested),
        )

    # -------------------------------------------------------------------------------------------------------- roots

    def roots(self) -> list[RootRecord]:
        """All roots, in the order of their ids."""
        table = self._tables.roots
        return [codec.root_from(key, frame.unframed(table.name, key, value)) for key, value in self._scan(table)]

    def root(self, root: RootId) -> RootRecord | None:
        """One root."""
        key = keys.root_key(root)
        body = self._body(self._tables.roots, key)
        return None if body is None else codec.root_from(key, body)

    # -------------------------------------------------------------------------------------------------------- files

    def file(self, path: FilePath) -> FileRecord | None:
        """The record of one path."""
        return self._file_at(keys.file_key(path))

    def files_in(self, root: RootId, directory: bytes) -> list[FileRecord]:
        """The files right in a directory, by name (names over 380 bytes: by their first 380)."""
        prefix = keys.directory_key(root, directory)
        return [self._file_from(key, value) for key, value in self._scan(self._tables.files, prefix)]

    def packed_stats_in(self, root: RootId, directory: bytes) -> dict[bytes, bytes]:
        """Name → packed stat of the files right in a directory, missing ones left out.

        Pending and set-aside files are in: while their stat is unchanged there is nothing to register anew;
        `pending_files` and `problems` (with its `retry_at_ns`) bring them up. Checksums are not looked at here: a
        wrong stat costs a second look at the file, and that look checks.
        """
        return self._packed_stats(keys.directory_key(root, directory))

    def _packed_stats(self, prefix: bytes) -> dict[bytes, bytes]:
        """The same by the directory's key."""
        begin, end, flags = codec.STAT_AT, codec.STAT_END, codec.FLAGS_AT
        name_at = len(prefix)
        stats: dict[bytes, bytes] = {}
        for chunk in self._chunks(self._tables.files, prefix, size=_DIRECTORY_CHUNK):
            plain = {key[name_at:]: value[begin:end] for key, value in chunk if not value[flags]}
            stats.update(plain)
            if len(plain) < len(chunk):
                stats.update(self._marked_stats(chunk))
        return stats

    def _marked_stats(self, chunk: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        """The same for the rows whose flags say that there is something special: those with a long name."""
        for key, value in chunk:
            if value[codec.FLAGS_AT] == codec.HAS_LONG_NAME:
                body = frame.unframed("files", key, value)
                yield codec.long_name(key, body), value[codec.STAT_AT : codec.STAT_END]

    def fingerprint(self, root: RootId, directory: bytes) -> bytes | None:
        """`stat_key.fingerprint` of these stats, where it is kept."""
        return self._body(self._tables.fingerprints, keys.directory_key(root, directory))

    def count_present(self, root: RootId) -> int:
        """How many files of a root are there: by LMDB's own counters where it is the only root, else by the keys."""
        files, missing, prefix = self._tables.files, self._tables.missing, keys.root_key(root)
        if self._entries(self._tables.roots) == 1:
            return self._entries(files) - self._entries(missing) if self.root(root) is not None else 0
        return self._count_keys(files, prefix) - self._count_keys(missing, prefix)

    def directories(self, root: RootId) -> Iterator[bytes]:
        """Directories that hold at least one known file, in no particular order."""
        table = self._tables.directories
        for key, value in self._scan(table, keys.root_key(root)):
            yield frame.unframed(table.name, key, value)

    def files(self, root: RootId | None = None) -> Iterator[FileRecord]:
        """Every file, missing ones too, directory by directory."""
        prefix = b"" if root is None else keys.root_key(root)
        for key, value in self._scan(self._tables.files, prefix):
            yield self._file_from(key, value)

    def files_of(self, content: ContentId) -> list[FileRecord]:
        """The paths of a content, those that are there first, then by path."""
        prefix = keys.content_key(content)
        found = [self._known_file(key[len(prefix) :]) for key, _ in self._scan(self._tables.content_files, prefix)]
        return sorted(found, key=_presence_and_path)

    def some_files_of(self, content: ContentId, limit: int) -> list[FileRecord]:
        """Up to `limit` paths of a content that are there, in key order."""
        prefix = keys.content_key(content)
        found = (self._known_file(key[len(prefix) :]) for key, _ in self._scan(self._tables.content_files, prefix))
        return list(islice((file for file in found if file.missing_since_ns is None), limit))

    def files_at_inode(self, dev: int, ino: int) -> list[FilePath]:
        """The known paths of an inode, missing ones too (a renamed file leaves one behind), by path."""
        prefix = keys.inode_key(dev, ino)
        return sorted(self._known_file(key[len(prefix) :]).path for key, _ in self._scan(self._tables.inodes, prefix))

    def pending_files(self, limit: int) -> list[FileRecord]:
        """Files in stage PENDING that are there, neighbours in a directory together."""
        return [self._known_file(key) for key, _ in islice(self._scan(self._tables.pending), limit)]

    def missing_files(self) -> Iterator[FileRecord]:
        """Files that were not found, of any stage."""
        for key, _ in self._scan(self._tables.missing):
            yield self._known_file(key)

    def problems(self) -> Iterator[FileRecord]:
        """Files in stage SET_ASIDE that are there."""
        for key, _ in self._scan(self._tables.set_aside):
            yield self._known_file(key)

    # ----------------------------------------------------------------------------------------------------- contents

    def content(self, content: ContentId) -> ContentRecord | None:
        """One content."""
        key = keys.content_key(content)
        body = self._body(self._tables.contents, key)
        return None if body is None else content_codec.content_from(key, body)

    def content_by_digest(self, digest: bytes) -> ContentRecord | None:
        """The content with these bytes."""
        if not digest:
            return None  # LMDB has no empty keys
        table = self._tables.digests
        body = self._body(table, digest)
        if body is None:
            return None
        found = self.content(ContentId(frame.number_from(table.name, digest, body)))
        if found is None or found.digest != digest:
            raise frame.DamagedRecordError(table.name, digest, "it names a content that is not there")
        return found

    def contents(self) -> Iterator[ContentRecord]:
        """Every content, in the order of ids."""
        table = self._tables.contents
        for key, value in self._scan(table):
            yield content_codec.content_from(key, frame.unframed(table.name, key, value))

    def contents_with_image_digest(self, image_digest: bytes) -> list[ContentId]:
        """Contents with equal image data, in the order of ids."""
        length = len(image_digest)
        return [
            keys.content_of(key, length)
            for key, _ in self._scan(self._tables.image_digests, image_digest)
            if len(key) == length + keys.CONTENT_BYTES
        ]

    def shared_contents(self) -> Iterator[ContentId]:
        """Contents that more than one present file holds, hard links counted as files, in id order."""
        for key, _ in self._scan(self._tables.shared):
            yield keys.content_of(key)

    def unlinked_contents(self, limit: int) -> list[tuple[ContentId, Descriptor]]:
        """Contents in stage DESCRIBED with their descriptors, oldest first."""
        rows = islice(self._scan(self._tables.queries), limit)
        return [(keys.content_of(key), self._unlinked(key, value)) for key, value in rows]

    def unlinked_content(self, content: ContentId) -> Descriptor | None:
        """The descriptor of a content in stage DESCRIBED; None for any other."""
        key = keys.content_key(content)
        value = self._txn.get(key, None, self._tables.queries.handle)
        return None if value is None else self._unlinked(key, value)

    def _unlinked(self, key: bytes, value: bytes) -> Descriptor:
        table = self._tables.queries
        stored = self.stored_vectors(keys.content_of(key))
        if stored is None:
            raise frame.DamagedRecordError(table.name, key, "its content has no stored vectors")
        queries = frame.vectors_from(table.name, key, frame.unframed(table.name, key, value))
        return Descriptor(stored=stored, queries=queries)

    def stored_vectors(self, content: ContentId) -> Vectors | None:
        """The views of a content, float32 [views, dim], half-precision values, of unit length within 1e-3."""
        table, key = self._tables.vectors, keys.content_key(content)
        body = self._body(table, key)
        return None if body is None else frame.vectors_from(table.name, key, body)

    def stored_vectors_of(self, contents: ManyOf[ContentId]) -> list[Vectors | None]:
        """What `stored_vectors` says of each of these; cheaper than one after the other."""
        table = self._tables.vectors
        rows = [(key, self._body(table, key)) for key in map(keys.content_key, contents)]
        found = frame.vectors_from_each(table.name, [(key, body) for key, body in rows if body is not None])
        return [None if body is None else next(found) for _, body in rows]

    def all_vectors(self) -> Iterator[tuple[ContentId, Vectors]]:
        """The vectors of LINKED contents, in the order of ids."""
        table, waiting = self._tables.vectors, self._tables.queries
        for key, value in self._scan(table):
            if self._txn.get(key, None, waiting.handle) is None:
                yield keys.content_of(key), frame.vectors_from(table.name, key, frame.unframed(table.name, key, value))

    def model_tags(self) -> list[ModelTag]:
        """The models that the stored vectors are of or were of; more than one means that a change is under way."""
        table = self._tables.models
        return [frame.model_from(frame.unframed(table.name, key, value)) for key, value in self._scan(table)]

    def vector_changes(self, after: Sequence) -> Iterator[VectorChange] | None:
        """What linking and removal did after a sequence; None when the log was trimmed past it."""
        if after < self._number(b"vector_log_trimmed"):
            return None
        return self._vector_changes(after)

    def _vector_changes(self, after: Sequence) -> Iterator[VectorChange]:
        table = self._tables.vector_log
        for key, value in self._scan(table, start=keys.sequence_key(Sequence(after + 1))):
            yield outbox.vector_change_from(key, frame.unframed(table.name, key, value))

    # ------------------------------------------------------------------------------------------------ edges, events

    def edges(self) -> Iterator[Edge]:
        """Every edge, by a, then by b."""
        table = self._tables.edges
        for key, value in self._scan(table):
            yield content_codec.edge_from(key, frame.unframed(table.name, key, value))

    def bonds(self) -> Iterator[Bond]:
        """What grouping needs of every edge, in the same order."""
        table = self._tables.edges
        for key, value in self._scan(table):
            yield content_codec.bond_from(key, frame.unframed(table.name, key, value))

    def edge(self, a: ContentId, b: ContentId) -> Edge | None:
        """The edge between two contents, named in any order."""
        key = keys.pair_key(min(a, b), max(a, b))
        body = self._body(self._tables.edges, key)
        return None if body is None else content_codec.edge_from(key, body)

    def events(self, after: Sequence, limit: int) -> list[Event]:
        """Up to `limit` events after a sequence, oldest first."""
        table = self._tables.outbox
        rows = islice(self._scan(table, start=keys.sequence_key(Sequence(after + 1))), limit)
        return [outbox.event_from(key, frame.unframed(table.name, key, value)) for key, value in rows]

    def oldest_event(self) -> Sequence:
        """Sequence of the oldest event still kept; sequence() + 1 when there is none."""
        for key, _ in self._scan(self._tables.outbox):
            return keys.sequence_of(key)
        return Sequence(self.sequence() + 1)

    def cursor(self, name: str) -> Sequence:
        """How far a named consumer of events has come; 0 when it never said."""
        table, key = self._tables.cursors, name.encode()
        body = self._body(table, key)
        return Sequence(0 if body is None else frame.number_from(table.name, key, body))

    # ------------------------------------------------------------------------------------------------------ reading

    def _file_at(self, key: bytes) -> FileRecord | None:
        value = self._txn.get(key, None, self._tables.files.handle)
        return None if value is None else self._file_from(key, value)

    def _known_file(self, key: bytes) -> FileRecord:
        """The file that a derived row names."""
        file = self._file_at(key)
        if file is None:
            raise frame.DamagedRecordError("files", key, "it is not there, but an index names it")
        return file

    def _file_from(self, key: bytes, value: bytes) -> FileRecord:
        return codec.file_from(key, frame.unframed("files", key, value), self._directory_of(key))

    def _directory_of(self, key: bytes) -> bytes:
        prefix = key[: keys.DIRECTORY_KEY_BYTES]
        known = self._directories.get(prefix)
        if known is None:
            known = self._body(self._tables.directories, prefix)
            if known is None:
                raise frame.DamagedRecordError("directories", prefix, "it is not there, but a file is in it")
            self._directories[prefix] = known
        return known


def _presence_and_path(file: FileRecord) -> tuple[bool, RootId, bytes, bytes]:
    """As (is missing, path), in plain values: thousands of copies are compared five times as fast."""
    path = file.path
    return file.missing_since_ns is not None, path.root, path.directory, path.name
