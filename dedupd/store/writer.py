"""All changes to the store: the `LibraryTransaction` port. Keeps every derived row in step, in the same transaction.

Commits nothing itself; `library` does. Decides nothing about pictures.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import lmdb

from dedupd.core import stat_key
from dedupd.core.events import Fact
from dedupd.core.ports import NewContent
from dedupd.core.records import (
    DIGEST_BYTES,
    ContentId,
    ContentRecord,
    ContentStage,
    Edge,
    FilePath,
    FileRecord,
    FileStage,
    ModelTag,
    RootId,
    RootRecord,
    Sequence,
)
from dedupd.core.verdicts import NotDuplicate, Pin, Tombstone
from dedupd.store import codec, content_codec, derived, frame, keys, outbox, verdict_codec
from dedupd.store.environment import Tables
from dedupd.store.generation_writes import GenerationWrites
from dedupd.store.reader import LmdbView
from dedupd.store.row_writes import MOST_STORED, refuse_odd_vectors

_MOST_QUERIES = 48


class LmdbTransaction(GenerationWrites, LmdbView):
    """See `core.ports.LibraryTransaction`. ValueError means that the caller is wrong about what the store holds."""

    def __init__(self, txn: lmdb.Transaction[bytes], tables: Tables) -> None:
        super().__init__(txn, tables)
        self.changed_contents: set[ContentId] = set()  # see `Library.on_changed_contents`

    # -------------------------------------------------------------------------------------------------------- roots

    def new_root_id(self) -> RootId:
        """An id that no root ever had."""
        return RootId(self._next(b"last_root"))

    def put_root(self, root: RootRecord) -> None:
        """Store a root under its id."""
        self._put(self._tables.roots, keys.root_key(root.id), codec.root_body(root))
        if root.id > self._number(b"last_root"):
            self._put(self._tables.meta, b"last_root", frame.number_body(root.id))

    def remove_root(self, root: RootId) -> int:
        """Forget a root and its files; returns how many files. Contents stay until they are removed."""
        prefix = keys.root_key(root)
        removed = 0
        for key, value in self._scan(self._tables.files, prefix):
            self._change_file(key, self._file_from(key, value), None)
            removed += 1
        for key, _ in self._scan(self._tables.directories, prefix):
            self._delete(self._tables.directories, key)
        self._delete(self._tables.roots, prefix)
        return removed

    # -------------------------------------------------------------------------------------------------------- files

    def put_file(self, file: FileRecord) -> None:
        """Store a file under its path.

        Raises:
            ValueError: its root or content is not known, its stage and content contradict each other, or its path is
                none.
        """
        self._refuse_odd_file(file)
        key = keys.file_key(file.path)
        before = self._file_at(key)
        if before is None:
            self._add_directory(file.path)
        if file.content is not None and (before is None or before.content != file.content):
            self._known_content(file.content)
        self._change_file(key, before, file)

    def remove_file(self, path: FilePath) -> None:
        """Forget a file; one that is not known is no error."""
        key = keys.file_key(path)
        before = self._file_at(key)
        if before is None:
            return
        self._change_file(key, before, None)
        directory = key[: keys.DIRECTORY_KEY_BYTES]
        if next(self._scan(self._tables.files, directory), None) is None:
            self._delete(self._tables.directories, directory)

    def keep_fingerprint(self, root: RootId, directory: bytes) -> None:
        """Keep the fingerprint of a directory's stats as they are now; of one without files there is none."""
        key = keys.directory_key(root, directory)
        stats = self._packed_stats(key)
        if stats:
            self._put(self._tables.fingerprints, key, stat_key.fingerprint(stats))

    def _change_file(self, key: bytes, before: FileRecord | None, after: FileRecord | None) -> None:
        """The one place where a file's row is written or deleted, with all that follows from it."""
        if after is None:
            self._delete(self._tables.files, key)
        else:
            self._put(self._tables.files, key, codec.file_body(after))
        self._change_rows(
            set() if before is None else derived.rows_of_file(key, before),
            set() if after is None else derived.rows_of_file(key, after),
        )
        self._change_present(derived.present_content(before), derived.present_content(after))
        held = {(derived.present_content(file), derived.present_stat(file)) for file in (before, after)}
        if len(held) > 1:
            self.changed_contents.update(content for content, _ in held if content is not None)
        if derived.present_stat(before) != derived.present_stat(after):
            self._delete(self._tables.fingerprints, key[: keys.DIRECTORY_KEY_BYTES])

    def _refuse_odd_file(self, file: FileRecord) -> None:
        path = file.path
        if not path.name or b"/" in path.name or path.directory.startswith(b"/") or path.directory.endswith(b"/"):
            raise ValueError(f"{path}: not the path of a file below a root")
        if (file.stage is FileStage.INDEXED) != (file.content is not None):
            raise ValueError(
                f"{path}: a file has a content when it is indexed, only then: {file.content}, {file.stage}"
            )
        if self._txn.get(keys.root_key(path.root), None, self._tables.roots.handle) is None:
            raise ValueError(f"{path}: no root {path.root}")

    def _add_directory(self, path: FilePath) -> None:
        table, key = self._tables.directories, keys.directory_key(path.root, path.directory)
        known = self._body(table, key)
        if known is None:
            self._put(table, key, path.directory)
        elif known != path.directory:
            raise frame.DamagedRecordError(table.name, key, "two directories have one hash")

    def _change_present(self, before: ContentId | None, after: ContentId | None) -> None:
        """Keep the number of present files of a content, and the list of shared contents."""
        if before == after:
            return
        for content, step in ((before, -1), (after, 1)):
            if content is not None:
                self._count_present(content, step)

    def _count_present(self, content: ContentId, step: int) -> None:
        table, key = self._tables.present_files, keys.content_key(content)
        body = self._body(table, key)
        count = step + (0 if body is None else frame.number_from(table.name, key, body))
        if count < 0:
            raise frame.DamagedRecordError(table.name, key, "it counts fewer files than there are")
        if count:
            self._put(table, key, frame.number_body(count))
        else:
            self._delete(table, key)
        if count == 2 and step == 1:
            self._txn.put(key, b"", db=self._tables.shared.handle)
        elif count == 1 and step == -1:
            self._delete(self._tables.shared, key)

    # ----------------------------------------------------------------------------------------------------- contents

    def add_content(self, new: NewContent, model: ModelTag) -> ContentRecord:
        """Store a content in stage DESCRIBED; if its digest is known, return the known one unchanged.

        Raises:
            ValueError: the descriptor has other shapes than `core.ports.Descriptor` says, or the digest is empty.
        """
        known = self.content_by_digest(new.digest)
        if known is not None:
            return known
        stored, queries = new.descriptor.stored, new.descriptor.queries
        refuse_odd_vectors(stored, MOST_STORED, "stored")
        refuse_odd_vectors(queries, _MOST_QUERIES, "queries")
        if stored.shape[1] != queries.shape[1] or not new.digest:
            raise ValueError(f"content: digest {new.digest.hex()!r}, stored {stored.shape}, queries {queries.shape}")
        image = new.image
        content = ContentRecord(
            id=ContentId(self._next(b"last_content")),
            digest=new.digest,
            size_bytes=new.size_bytes,
            format=image.format,
            width_px=image.width_px,
            height_px=image.height_px,
            image_digest=image.image_digest,
            pixel_digest=None,
            quality=image.quality,
            capture=image.capture,
            decoder=image.decoder,
            stage=ContentStage.DESCRIBED,
            first_seen_ns=new.first_seen_ns,
            trailing_bytes=image.trailing_bytes,
        )
        key, number = keys.content_key(content.id), self._model_number(model)
        self._put(self._tables.contents, key, content_codec.content_body(content))
        self._put(self._tables.digests, new.digest, frame.number_body(content.id))
        self._change_rows(set(), derived.rows_of_content(content))
        self._put(self._tables.vectors, key, frame.vectors_body(stored, number))
        self._put(self._tables.queries, key, frame.vectors_body(queries, number))
        return content

    def put_content(self, content: ContentRecord) -> None:
        """Replace what is known of a content. Its digest and stage stay: `mark_linked` changes the stage.

        Raises:
            ValueError: it is not known, or digest or stage differ from what is stored (the caller's copy is old).
        """
        before = self._known_content(content.id)
        if (content.digest, content.stage) != (before.digest, before.stage):
            raise ValueError(f"content {content.id}: digest and stage cannot be put, read it again in this transaction")
        self._replace_content(before, content)
        self.changed_contents.add(content.id)

    def mark_linked(self, content: ContentId) -> None:
        """Stage LINKED: its queries are dropped, the vector log gets an entry. Linked already: nothing happens.

        Raises:
            ValueError: it is not known.
        """
        before = self._known_content(content)
        if before.stage is ContentStage.LINKED:
            return
        self._replace_content(before, replace(before, stage=ContentStage.LINKED))
        self._delete(self._tables.queries, keys.content_key(content))
        self._log_vectors(content, is_removal=False)

    def remove_content(self, content: ContentId) -> list[Edge]:
        """Forget a content that no file holds, with its edges (returned) and vectors; the vector log gets an entry.

        One that is not known is no error and leaves no entry.

        Raises:
            ValueError: a file, there or missing, still holds it.
        """
        before = self.content(content)
        if before is None:
            return []
        key = keys.content_key(content)
        holder = next(self._scan(self._tables.content_files, key), None)
        if holder is not None:
            file = self._known_file(holder[0][keys.CONTENT_BYTES :])
            raise ValueError(f"content {content}: {file.path} still holds it")
        edges = self._edges_of(content)
        for edge in edges:
            self._delete(self._tables.edges, keys.pair_key(edge.a, edge.b))
            self._change_rows(derived.rows_of_edge(edge), set())
        self._change_rows(derived.rows_of_content(before), set())
        self._delete(self._tables.digests, before.digest)
        for table in (self._tables.contents, self._tables.vectors, self._tables.queries):
            self._delete(table, key)
        self._remove_from_generations(content)
        self._log_vectors(content, is_removal=True)
        self.changed_contents.update((content, *(end for edge in edges for end in (edge.a, edge.b))))
        return edges

    def _replace_content(self, before: ContentRecord, after: ContentRecord) -> None:
        self._put(self._tables.contents, keys.content_key(after.id), content_codec.content_body(after))
        self._change_rows(derived.rows_of_content(before), derived.rows_of_content(after))

    def _known_content(self, content: ContentId) -> ContentRecord:
        found = self.content(content)
        if found is None:
            raise ValueError(f"no content {content}")
        return found

    def _log_vectors(self, content: ContentId, *, is_removal: bool) -> None:
        key = keys.sequence_key(self._next_sequence())
        self._put(self._tables.vector_log, key, outbox.vector_change_body(content, is_removal=is_removal))

    # ----------------------------------------------------------------------------------------- verdicts, tombstones

    def put_verdict(self, verdict: NotDuplicate) -> None:
        """Keep what a person said of two contents, known or not, in place of what was said before.

        Raises:
            ValueError: these are not two digests, the smaller first.
        """
        if verdict.a >= verdict.b:
            raise ValueError(f"verdict: {verdict.a.hex()!r} does not come before {verdict.b.hex()!r}")
        key = verdict_codec.verdict_key(_digest(verdict.a), _digest(verdict.b))
        self._put(self._tables.verdicts, key, verdict_codec.verdict_body(verdict))
        self._note_said_of(verdict.a, verdict.b)

    def remove_verdict(self, one: bytes, other: bytes) -> bool:
        """Forget what was said of two digests, named in any order; whether anything was."""
        key = verdict_codec.verdict_key(_digest(one), _digest(other))
        self._note_said_of(one, other)
        return self._delete(self._tables.verdicts, key)

    def _note_said_of(self, *digests: bytes) -> None:
        found = (self.content_by_digest(digest) for digest in digests)
        self.changed_contents.update(content.id for content in found if content is not None)

    def put_pin(self, pin: Pin) -> None:
        """Keep that a content is to be kept; ValueError where its digest is none."""
        self._put(self._tables.pins, _digest(pin.digest), verdict_codec.pin_body(pin))
        self._note_said_of(pin.digest)

    def remove_pin(self, digest: bytes) -> bool:
        """Forget a pin; whether there was one."""
        self._note_said_of(digest)
        return self._delete(self._tables.pins, _digest(digest))

    def put_tombstone(self, tombstone: Tombstone) -> None:
        """Keep that a content was cleaned up, in place of an earlier time; ValueError where its digest is none."""
        key = _digest(tombstone.digest)
        self._put(self._tables.tombstones, key, verdict_codec.tombstone_body(tombstone))

    def remove_tombstone(self, digest: bytes) -> bool:
        """Forget that a content was cleaned up; whether it was."""
        return self._delete(self._tables.tombstones, _digest(digest))

    # ------------------------------------------------------------------------------------------------ edges, events

    def put_edge(self, edge: Edge) -> None:
        """Store a pair, in place of what was known of it.

        Raises:
            ValueError: a < b does not hold, or one of them is not known.
        """
        if edge.a >= edge.b:
            raise ValueError(f"edge {edge.a}–{edge.b}: the smaller content comes first")
        for end in (edge.a, edge.b):
            if self._txn.get(keys.content_key(end), None, self._tables.contents.handle) is None:
                raise ValueError(f"edge {edge.a}–{edge.b}: no content {end}")
        self._put(self._tables.edges, keys.pair_key(edge.a, edge.b), content_codec.edge_body(edge))
        self._change_rows(set(), derived.rows_of_edge(edge))
        self.changed_contents.update((edge.a, edge.b))

    def _edges_of(self, content: ContentId) -> list[Edge]:
        prefix, table = keys.content_key(content), self._tables.edges
        pairs = [key for key, _ in self._scan(table, prefix)]
        for key, _ in self._scan(self._tables.edge_ends, prefix):
            pairs.append(key[keys.CONTENT_BYTES :] + prefix)
        found: list[Edge] = []
        for pair in sorted(pairs):
            body = self._body(table, pair)
            if body is None:
                raise frame.DamagedRecordError(table.name, pair, "it is not there, but an index names it")
            found.append(content_codec.edge_from(pair, body))
        return found

    def append(self, fact: Fact, at_ns: int) -> Sequence:
        """Tell the world; returns the event's sequence number."""
        sequence = self._next_sequence()
        self._put(self._tables.outbox, keys.sequence_key(sequence), outbox.event_body(fact, at_ns))
        self._put(self._tables.meta, b"last_event", frame.number_body(sequence))
        return sequence

    def last_event(self) -> Sequence:
        """Sequence of the newest event ever appended, trimmed or not; 0 when there was none."""
        return Sequence(self._number(b"last_event"))

    def trim_events(self, keep: int) -> int:
        """Drop all but the newest `keep` events; returns how many went."""
        surplus = max(0, self._entries(self._tables.outbox) - max(0, keep))
        for key, _ in islice(self._scan(self._tables.outbox), surplus):
            self._delete(self._tables.outbox, key)
        return surplus

    def trim_vector_log(self, before: Sequence) -> int:
        """Drop the steps with a sequence below `before`; returns how many went."""
        table, end = self._tables.vector_log, keys.sequence_key(before)
        last, removed = b"", 0
        for key, _ in self._scan(table):
            if key >= end:
                break
            self._delete(table, key)
            last, removed = key, removed + 1
        if removed:
            trimmed = frame.number_body(keys.sequence_of(last))
            self._put(self._tables.meta, b"vector_log_trimmed", trimmed)
        return removed

    def set_cursor(self, name: str, sequence: Sequence) -> None:
        """Remember how far a consumer of events has come; the name has 1 … 500 bytes."""
        self._put(self._tables.cursors, name.encode(), frame.number_body(sequence))

    # ------------------------------------------------------------------------------------------------------ writing

    def is_in_use(self) -> bool:
        """Whether a process opened the store and did not close it."""
        return self._number(b"in_use") != 0

    def mark_in_use(self, in_use: bool, app_version: str) -> None:  # noqa: FBT001  # reads as a sentence
        """Note that this version of dedupd has the store open, or that it closed it.

        Fingerprints count only where nothing was written since the store was closed with them: an older dedupd changes
        files' rows and lets the fingerprints stand. LMDB numbers its transactions, whoever writes.
        """
        if in_use and self._number(b"closed_in") != self._txn.id() - 1:
            self._txn.drop(self._tables.fingerprints.handle, delete=False)
        self._put(self._tables.meta, b"closed_in", frame.number_body(0 if in_use else self._txn.id()))
        self._put(self._tables.meta, b"in_use", frame.number_body(int(in_use)))
        self._put(self._tables.meta, b"app_version", app_version.encode())

    def _change_rows(self, before: set[derived.DerivedRow], after: set[derived.DerivedRow]) -> None:
        if before == after:
            return
        for name, key in before - after:
            self._txn.delete(key, db=getattr(self._tables, name).handle)
        for name, key in after - before:
            self._txn.put(key, b"", db=getattr(self._tables, name).handle)

    def _next(self, name: bytes) -> int:
        number = self._number(name) + 1
        self._put(self._tables.meta, name, frame.number_body(number))
        return number

    def _next_sequence(self) -> Sequence:
        return Sequence(self._next(b"sequence"))


def _digest(digest: bytes) -> bytes:
    if len(digest) != DIGEST_BYTES:
        raise ValueError(f"{digest.hex()!r} is no digest of {DIGEST_BYTES} bytes")
    return digest
