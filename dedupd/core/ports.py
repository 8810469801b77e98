"""Where the departments meet: what each offers, said as protocols.

`daemon/build.py` hands each part its collaborators; no department imports another. Every port has one contract suite
in `tests/contracts/` that the real implementation and any fake must pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as Sequence_
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dedupd.core.decoded import SMALL_SIDE_PX as SMALL_SIDE_PX  # noqa: PLC0414 - mypy's mark of what is part of …
from dedupd.core.decoded import DecodedImage as DecodedImage  # noqa: PLC0414 - … the ports too
from dedupd.core.events import Event, Fact
from dedupd.core.examination import Finding
from dedupd.core.generation import Generation
from dedupd.core.grouping import Bond, Group, GroupPage, Share
from dedupd.core.illustration import Figures, Illustrated, SheetWords
from dedupd.core.manners import Hold
from dedupd.core.memory_rules import MemoryStanding
from dedupd.core.records import (
    ContentId,
    ContentRecord,
    Edge,
    Evidence,
    FilePath,
    FileRecord,
    FileStat,
    ModelTag,
    Problem,
    Relation,
    RootId,
    RootIdentity,
    RootRecord,
    Sequence,
)
from dedupd.core.verdicts import NotDuplicate, Pin, Tombstone

if TYPE_CHECKING:  # the client side knows the ports' values and starts without numpy
    from dedupd.core.arrays import Pixels, Vectors

# ---------------------------------------------------------------------------------------------------------- imaging


class Priority(IntEnum):
    """Which work the decode workers take first."""

    QUESTION = 0  # a person waits
    ARRIVAL_EVIDENCE = 1  # finishes the work on what has arrived
    ARRIVAL = 2  # a file that appeared while watching
    EVIDENCE = 3  # finishes work of a first scan already begun
    BACKLOG = 4  # a first scan
    BACKGROUND = 5  # further models: nobody waits, and nothing else may wait for it


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFile:
    """A file that was read to its end and did not change meanwhile."""

    digest: bytes
    stat: FileStat  # fstat of the descriptor that was read, equal before and after
    image: DecodedImage | Problem | None  # None: the caller said that it knows this digest already


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceSide:
    """One of two pictures to compare."""

    content: ContentId | None  # lets a worker keep decoded previews and features; None: do not keep
    preview: bytes  # JPEG as in DecodedImage
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSide:
    """One of two pictures to be shown to people."""

    side: EvidenceSide
    source: bytes | int | None  # where to decode it larger: an absolute path, or an open descriptor; None: nowhere
    digest: bytes  # of the content: a source that holds other bytes by now is not drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class FullSide:
    """One of two pictures to compare in full."""

    side: EvidenceSide
    source: bytes | int  # an absolute path, or an open descriptor
    digest: bytes  # of the content: a source that holds other bytes by now is not looked at


class ImageReader(Protocol):
    """Reads untrusted bytes in worker processes. Thread-safe; futures never raise for what a file contains."""

    def read(self, path: bytes, *, is_known: Callable[[bytes], bool], priority: Priority) -> Future[ReadFile | Problem]:
        """Read, digest and, unless `is_known(digest)`, decode the file at an absolute path.

        The path is opened with O_NOFOLLOW and must be a regular file. `is_known` is called from a pool thread.
        """

    def read_descriptor(self, fd: int, *, priority: Priority) -> Future[ReadFile | Problem]:
        """The same for an open descriptor (an upload); the reader closes it."""

    def pixel_digest(self, source: bytes | int, *, priority: Priority) -> Future[bytes | Problem]:
        """Digest of all pixels, oriented, in their own depth and bands; also of the size.

        The source is an absolute path, or an open descriptor, which the reader closes.
        """

    def decode_preview(self, preview: bytes, *, priority: Priority) -> Future[Pixels | Problem]:
        """The small image that a preview is of, as `DecodedImage.small` was but for the JPEG's loss."""

    def glance(
        self, previews: Sequence_[bytes], pairs: Sequence_[tuple[int, int]], *, priority: Priority
    ) -> Future[tuple[bool, ...] | Problem]:
        """For each pair, by the places of its two among the previews: whether `compare` could find it alike.

        Costs a small part of `compare`. Of those that do not pay `compare` would say NOTHING_FOUND.
        """

    def compare(self, a: EvidenceSide, b: EvidenceSide, *, priority: Priority) -> Future[Evidence | Problem]:
        """A second look at a candidate pair."""

    def compare_fully(
        self, a: FullSide, b: FullSide, evidence: Evidence, *, priority: Priority
    ) -> Future[Evidence | Problem]:
        """A third look, at the full pictures of a pair of which `compare` found this evidence.

        The answer is the evidence with what the full pictures add. The reader closes descriptors, whatever comes of it.
        """

    def illustrate(
        self, a: ShownSide, b: ShownSide, words: SheetWords | None, *, priority: Priority
    ) -> Future[Illustrated | Problem]:
        """Evidence, figures and, with words, the sheet of any two pictures.

        The sheet is drawn from the sources where they can be read, else from the previews. The reader closes
        descriptors, whatever comes of it.
        """

    def close(self) -> None:
        """Stop the workers; work not begun is cancelled."""


# -------------------------------------------------------------------------------------------------------- embedding


class Reach(NamedTuple):
    """How far down a picture's neighbours those of a similarity are looked at."""

    similarity: float  # cosine, from this on …
    nearest: int  # … a neighbour counts if it is among this many nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a descriptor is and where its candidates start."""

    tag: ModelTag
    dim: int
    candidate_similarity: float  # cosine below which no neighbour is worth a second look; set for recall
    reach: tuple[Reach, ...] = ()  # how many may be looked at, by similarity, the lowest first; none: as many as asked


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedItem:
    """One picture to describe: a reference that any machine can resolve, and the pixels where they are at hand."""

    digest: bytes
    path: bytes | None
    small: Pixels | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What a model says of one picture."""

    stored: Vectors  # [1 … 4, dim], put into the index (whole picture first, then trimmed views)
    queries: Vectors  # [1 … 48, dim], asked of the index (the whole picture, then its views, turned and in parts)


class Embedder(Protocol):
    """Turns pictures into descriptors, in batches. Thread-safe."""

    model: Model

    def embed(self, batch: Sequence_[EmbedItem]) -> Future[list[Descriptor]]:
        """One descriptor per item, in order."""

    def close(self) -> None:
        """Finish or cancel what is under way and free the device."""


# ------------------------------------------------------------------------------------------------------------ index


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A stored content near a query; the similarity is the best over all views of both."""

    content: ContentId
    similarity: float  # cosine, computed with the store's vectors, not the index's own


class VectorIndex(Protocol):
    """Nearest neighbours by cosine over all views of all contents. One thread writes; searches may run beside it."""

    def add(self, contents: Sequence_[ContentId], vectors: Sequence_[Vectors]) -> None:
        """Add or replace the views of each content (vectors[i] is [views, dim])."""

    def remove(self, contents: Iterable[ContentId]) -> int:
        """Forget contents; returns how many were there. Unknown ones are no error."""

    def search(self, queries: Sequence_[Vectors], *, limit: int, min_similarity: float) -> list[list[Neighbour]]:
        """For each picture's query vectors [q, dim]: up to `limit` contents, the nearest first, each once.

        Where not everything can be looked at, the first row of each picture, the whole of it, comes first.
        """

    def __len__(self) -> int:
        """How many contents it holds."""

    def __contains__(self, content: object) -> bool:
        """Whether it holds a content."""


# ------------------------------------------------------------------------------------------------------------ store


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorChange:
    """One step of the log that an index snapshot catches up with."""

    sequence: Sequence
    content: ContentId
    is_removal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Totals, each kept up to date by the store."""

    files: int  # every path known, missing ones too
    files_pending: int
    files_set_aside: int
    files_missing: int
    contents: int
    contents_unlinked: int
    edges: int
    events: int
    pairs_suggested: int = 0  # by further models, and not looked at yet


@dataclass(frozen=True, slots=True, kw_only=True)
class NewContent:
    """A content that has no id yet."""

    digest: bytes
    size_bytes: int
    image: DecodedImage  # small and preview are not stored here
    descriptor: Descriptor
    first_seen_ns: int


class LibraryView(Protocol):
    """One consistent look at everything known. Short-lived: close it within a second."""

    def sequence(self) -> Sequence: ...
    def counts(self) -> Counts: ...

    def roots(self) -> list[RootRecord]: ...
    def root(self, root: RootId) -> RootRecord | None: ...

    def file(self, path: FilePath) -> FileRecord | None: ...
    def files_in(self, root: RootId, directory: bytes) -> list[FileRecord]: ...
    def packed_stats_in(self, root: RootId, directory: bytes) -> dict[bytes, bytes]:
        """Name → `core.stat_key.pack(stat)` for the files of one directory that are there and need no other look.

        The cheap form that reconciling compares with; files that are missing are left out.
        """

    def fingerprint(self, root: RootId, directory: bytes) -> bytes | None:
        """`core.stat_key.fingerprint` of what `packed_stats_in` would return, without reading it.

        None where it is not kept: nobody asked to keep it since one of these stats changed.
        """

    def count_present(self, root: RootId) -> int:
        """How many files of a root are there."""

    def directories(self, root: RootId) -> Iterator[bytes]:
        """Directories that hold at least one known file."""

    def files(self, root: RootId | None = None) -> Iterator[FileRecord]: ...
    def files_of(self, content: ContentId) -> list[FileRecord]:
        """The paths of a content, those that are there first, then by path."""

    def some_files_of(self, content: ContentId, limit: int) -> list[FileRecord]:
        """Up to `limit` paths of a content that are there, in no particular order; cheap where thousands share it."""

    def files_at_inode(self, dev: int, ino: int) -> list[FilePath]: ...
    def pending_files(self, limit: int) -> list[FileRecord]: ...
    def missing_files(self) -> Iterator[FileRecord]: ...
    def problems(self) -> Iterator[FileRecord]: ...

    def content(self, content: ContentId) -> ContentRecord | None: ...
    def content_by_digest(self, digest: bytes) -> ContentRecord | None: ...
    def contents(self) -> Iterator[ContentRecord]: ...
    def contents_with_image_digest(self, image_digest: bytes) -> list[ContentId]: ...
    def shared_contents(self) -> Iterator[ContentId]:
        """Contents that more than one present file holds, in id order."""

    def unlinked_contents(self, limit: int) -> list[tuple[ContentId, Descriptor]]:
        """Contents in stage DESCRIBED with the descriptor that linking asks the index with, oldest first."""

    def unlinked_content(self, content: ContentId) -> Descriptor | None:
        """The descriptor of a content in stage DESCRIBED; None for any other."""

    def stored_vectors(self, content: ContentId) -> Vectors | None: ...
    def stored_vectors_of(self, contents: Sequence_[ContentId]) -> list[Vectors | None]:
        """What `stored_vectors` says of each of these, read together."""

    def all_vectors(self) -> Iterator[tuple[ContentId, Vectors]]:
        """Vectors of LINKED contents only."""

    def vector_changes(self, after: Sequence) -> Iterator[VectorChange] | None:
        """What linking and removal did after a sequence; None when the log was trimmed past it."""

    def generations(self) -> list[Generation]:
        """Further models of which there are vectors, or will be, those that began first first."""

    def generation_vectors(self, model: ModelTag, content: ContentId) -> Vectors | None: ...
    def all_generation_vectors(self, model: ModelTag, after: ContentId) -> Iterator[tuple[ContentId, Vectors]]:
        """A generation's vectors of the contents with higher ids than `after`, in id order."""

    def contents_without(self, model: ModelTag, after: ContentId) -> Iterator[ContentId]:
        """Contents with higher ids than `after` that lack a generation's vectors, in id order.

        Ends at the first content that is not LINKED, so that arrivals come first; ids below it never return to
        that stage.
        """

    def suggested_pairs(self, limit: int) -> list[tuple[ContentId, ContentId]]:
        """Pairs (smaller id first) that further models name as candidates; a content of one may have gone since."""

    def edges(self) -> Iterator[Edge]: ...
    def bonds(self) -> Iterator[Bond]:
        """`core.grouping.bond_of` of every edge, in the same order; cheap enough for a million."""

    def edge(self, a: ContentId, b: ContentId) -> Edge | None: ...

    def verdict(self, one: bytes, other: bytes) -> NotDuplicate | None:
        """What a person said of two digests, named in any order. Needs no content, and outlives it: so do pins."""

    def verdicts(self) -> list[NotDuplicate]: ...
    def pin(self, digest: bytes) -> Pin | None: ...
    def pins(self) -> list[Pin]: ...
    def tombstone(self, digest: bytes) -> Tombstone | None:
        """That a clean-up took a file of this content away, the last time that it did."""

    def tombstones(self) -> Iterator[Tombstone]: ...

    def events(self, after: Sequence, limit: int) -> list[Event]: ...
    def oldest_event(self) -> Sequence:
        """Sequence of the oldest event still kept; sequence() + 1 when there is none."""

    def cursor(self, name: str) -> Sequence:
        """How far a named consumer of events has come; 0 when it never said."""


class LibraryTransaction(LibraryView, Protocol):
    """A view that can change things; all or nothing."""

    def put_root(self, root: RootRecord) -> None: ...
    def new_root_id(self) -> RootId: ...
    def remove_root(self, root: RootId) -> int:
        """Forget a root and its files; returns how many files."""

    def put_file(self, file: FileRecord) -> None: ...
    def remove_file(self, path: FilePath) -> None: ...
    def keep_fingerprint(self, root: RootId, directory: bytes) -> None:
        """Keep the fingerprint of a directory's stats as they are now, until one of them changes."""

    def add_content(self, new: NewContent, model: ModelTag) -> ContentRecord:
        """Store a content in stage DESCRIBED; if its digest is known, return the known one unchanged."""

    def put_content(self, content: ContentRecord) -> None: ...
    def mark_linked(self, content: ContentId) -> None:
        """Stage LINKED: its queries are dropped, the vector log gets an entry."""

    def remove_content(self, content: ContentId) -> list[Edge]:
        """Forget a content that no file holds, with its edges (returned) and vectors; the vector log gets an entry."""

    def put_generation(self, generation: Generation) -> None:
        """Begin a generation, or change what is known of it; `contents` stays as the store counts it."""

    def put_generation_vectors(self, model: ModelTag, vectors: Mapping[ContentId, Vectors]) -> set[ContentId]:
        """Store contents' vectors [1 … 4, dim] of a generation; returns those that the library still holds."""

    def drop_generation(self, model: ModelTag, limit: int) -> bool:
        """Forget up to `limit` contents' vectors of a generation, and with the last of them itself: then True."""

    def suggest_pairs(self, pairs: Iterable[tuple[ContentId, ContentId]]) -> int:
        """Have pairs (smaller id first) looked at; returns how many are new. Those that have an edge are left out."""

    def remove_suggested(self, pairs: Iterable[tuple[ContentId, ContentId]]) -> None: ...

    def put_edge(self, edge: Edge) -> None: ...

    def put_verdict(self, verdict: NotDuplicate) -> None: ...
    def remove_verdict(self, one: bytes, other: bytes) -> bool:
        """Whether there was one; so the next two."""

    def put_pin(self, pin: Pin) -> None: ...
    def remove_pin(self, digest: bytes) -> bool: ...
    def put_tombstone(self, tombstone: Tombstone) -> None: ...
    def remove_tombstone(self, digest: bytes) -> bool: ...

    def append(self, fact: Fact, at_ns: int) -> Sequence: ...
    def trim_events(self, keep: int) -> int: ...
    def trim_vector_log(self, before: Sequence) -> int: ...
    def set_cursor(self, name: str, sequence: Sequence) -> None: ...


class Library(Protocol):
    """The store. Any commit error is fatal: it raises StoreWriteError and refuses all later work."""

    def view(self) -> AbstractContextManager[LibraryView]: ...
    def transaction(self) -> AbstractContextManager[LibraryTransaction]:
        """Commits on a clean exit, aborts on an exception. One at a time; others wait."""

    def on_changed_contents(self, listener: Callable[[frozenset[ContentId]], None]) -> None:
        """Call it after each commit with the contents that may be in another group, or another place of it, by it.

        Their files, record or edges changed, or what people said of them. Called by the thread that committed, before
        its `transaction` returns; it must not raise.
        """

    def wait_for_events(self, after: Sequence, timeout_s: float) -> bool:
        """True as soon as an event newer than `after` is committed."""

    def close(self) -> None: ...


class PreviewCache(Protocol):
    """Small JPEGs by content; a cache on disk that may lose entries, never serve wrong ones. Thread-safe."""

    def get(self, content: ContentId) -> bytes | None: ...
    def put(self, content: ContentId, preview: bytes) -> None: ...
    def remove(self, content: ContentId) -> None: ...


# ---------------------------------------------------------------------------------------------------------- sources


@dataclass(frozen=True, slots=True, kw_only=True)
class DirtyDirectory:
    """A hint that something happened in a directory. Only a stat decides what."""

    root: RootId
    directory: bytes
    closed: frozenset[bytes] = frozenset()  # names that a writer closed, or that were renamed into place
    is_recursive: bool = False  # everything below too: overflow, a directory moved in, a subtree without watches


class WatchState(StrEnum):
    """How changes of a root become known."""

    WATCHING = "watching"  # events
    POLLING = "polling"  # a network filesystem, or told to
    PARTIAL = "partial"  # watches ran out: some subtrees are polled
    STARTING = "starting"
    FAILED = "failed"  # the watcher died; it is being restarted, scans go on


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchHealth:
    """One root's watching, for status and alerts."""

    root: RootId
    state: WatchState
    watched_directories: int
    unwatched_directories: int
    overflows: int
    message: str  # "" when all is well; names the remedy (the sysctl) otherwise


class ChangeSource(Protocol):
    """Says which directories to look at. Owns the watcher process."""

    def start(self, roots: Sequence_[RootRecord]) -> None:
        """Begin watching; returns once every root is watched (or known to be polled), so listing may begin."""

    def set_roots(self, roots: Sequence_[RootRecord]) -> None:
        """Watch these from now on; unchanged roots keep their watches."""

    def take(self, timeout_s: float) -> list[DirtyDirectory]:
        """What became dirty, merged by directory; empty after the timeout."""

    def health(self) -> list[WatchHealth]: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One directory as it is now, ignore rules applied. Symlinks and what is no picture are only counted."""

    directory: bytes
    files: dict[bytes, bytes]  # name → packed stat (core.stat_key), regular files that may be pictures
    subdirectories: tuple[bytes, ...]  # names to descend into: same device, not ignored
    others: dict[str, int]  # suffix (".mp4", "" for none) or "symlink"/"mount point" → how many were passed over
    odd: dict[bytes, Problem]  # names that look like pictures but are no regular file, or cannot be stat'ed
    is_complete: bool  # False: the directory could not be read; `trouble` says why, absence means nothing
    trouble: str


class Lister(Protocol):
    """Reads directories of a root. Stateless; opens by descriptor, never follows symlinks."""

    def listing(self, root: RootRecord, directory: bytes) -> Listing: ...
    def identify(self, path: bytes) -> RootIdentity | str:
        """What filesystem is there now, or why it cannot be told (missing, I/O error, no permission)."""


# ------------------------------------------------------------------------------------------------------- the answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A picture that was sent and read, of which the library holds no equal bytes."""

    read: ReadFile  # with its image
    fd: int  # its bytes; whoever asks keeps it open until the answer is there, and closes it


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A pair as somebody asked for it, A first."""

    a: ContentRecord  # id 0: not in the library
    b: ContentRecord
    edge: Edge  # what was decided, as stored or as it would be; ids and evidence in the order of ids
    evidence: Evidence | None  # seen from A; None where the pictures cannot be looked at from there now
    figures: Figures | None  # None where they cannot be looked at, or do not lie on each other
    verdict: NotDuplicate | None = None  # what a person said of them


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMatch:
    """A content of the library that a picture asked about matches."""

    content: ContentId
    relation: Relation
    similarity: float  # 0 … 1
    reason: str
    probability: float = 0.0  # 0 … 1, as `records.Edge.probability`


class Matcher(Protocol):
    """Answers questions about pictures against the library. Thread-safe; may take seconds, never on the API loop."""

    def find(
        self,
        read: ReadFile,
        *,
        pixel_digest: Callable[[], bytes | None],
        source: Callable[[], int | None] | None = None,
    ) -> list[FoundMatch]:
        """Contents that the picture duplicates or resembles, the closest relation first; SIMILAR ones last.

        `read.image` may be None where the digest is known. `pixel_digest` is called where only all pixels of the
        picture can tell whether they are equal (a full decode); None when it cannot be made. `source` opens the
        picture where only its full size can tell whether it is one shot; the reader closes what it gives. What a
        person said to be no duplicate of it is left out.
        """

    def explain(self, a: ContentId | Upload, b: ContentId | Upload) -> Explained:
        """Why two pictures are together or not: the stored edge, or one made now (it may say DIFFERENT).

        Raises:
            NotFoundError: a content is not in the library, or neither stored nor readable now.
        """

    def draw(self, a: ContentId | Upload, b: ContentId | Upload, words: SheetWords) -> bytes:
        """The sheet of two pictures, in the format that the words name.

        Raises:
            NotFoundError: a content is not in the library, or cannot be shown now.
            RetryError: the decode workers failed on it.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarFound:
    """What is near a picture in meaning, or in looks where the built-in descriptor answered. No duplicates by this."""

    name: str  # of the model that answered; "builtin" for the built-in descriptor
    model: ModelTag
    neighbours: tuple[Neighbour, ...]  # the nearest first; the picture itself is left out


class SimilarPictures(Protocol):
    """Finds what is near a picture, by the vectors alone. Thread-safe; may take minutes while a model loads."""

    def similar(self, asked: ContentId | ReadFile, *, limit: int, name: str = "") -> SimilarFound:
        """The nearest contents by a model, named as in the configuration; without a name by the best that is ready.

        Raises:
            NotFoundError: no such content, or no such model is in use.
            RetryError: the model that is named is not ready, or no device runs it now.
            UnreadableImageError: the picture was not decoded.
        """


class GroupListing(Protocol):
    """Which groups there were at one moment, in order. Each is made when it is reached, as it is then. Thread-safe."""

    @property
    def shares(self) -> Sequence_[Share]:
        """What each relation that occurs adds to all groups, the closest first."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Group]:
        """All of them, as often as asked, a few in memory at a time; those that went meanwhile are left out."""

    def page(self, after: ContentId | None, limit: int) -> GroupPage | None:
        """Up to `limit` groups from a place on.

        Args:
            after: `next` of a page before, of this listing or an earlier one; None: from the first. A group that
                stays as it is while pages are asked for comes once, whatever becomes of the others.
            limit: of groups, 1 or more.

        Returns:
            None where nobody remembers that place any more and there is no group with that id.
        """


class Groups(Protocol):
    """The groups of duplicates as they are now. Thread-safe."""

    def all(self, relations: frozenset[Relation]) -> GroupListing:
        """Every group that these relations make, those that free the most bytes first, of equal ones the larger."""

    def find(self, group: ContentId) -> Group | None:
        """The group with this id, over all duplicate relations."""

    def holding(self, content: ContentId) -> Group | None:
        """The group that a content is keeper or member of, over all duplicate relations."""


class Activity(StrEnum):
    """What the daemon is about, in one word."""

    STARTING = "starting"
    SCANNING = "scanning"  # a full scan is under way or its findings are being worked off
    WORKING = "working"  # arrivals are being worked off
    IDLE = "idle"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootProgress:
    """One root, for status."""

    root: RootRecord
    health: WatchHealth | None
    files: int  # known and there
    others: dict[str, int]  # suffix → entries passed over in the last full scan: what is not looked at, and why not
    is_scanning: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProgress:
    """One device that runs a model."""

    name: str  # "cuda:0", "cpu"
    title: str  # as its maker calls it
    images_per_s: float  # over the last half minute
    utilisation: float | None  # 0 … 1; None: nobody tells
    batch_size: int
    dtype: str  # empty until the model was loaded
    trouble: str  # why it is left out; empty: it is not


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationProgress:
    """How far a further model is."""

    name: str  # of the model, as configured
    model: ModelTag
    done: int  # contents with its vectors
    total: int  # contents
    set_aside: int  # contents that it cannot have now: the model fails on them, or no file of theirs can be read
    is_serving: bool
    is_configured: bool  # False: it serves until what takes its place is complete
    images_per_s: float  # over the last half minute
    eta_s: float | None
    trouble: str  # why it rests; empty: it does not
    devices: tuple[DeviceProgress, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How things stand, for status, progress bars and metrics."""

    activity: Activity
    started_at_ns: int
    counts: Counts
    roots: tuple[RootProgress, ...]
    read_total: int  # files read since start
    decoded_total: int  # pictures decoded since start; copies and moves are read but not decoded
    compared_total: int  # pairs looked at since start
    images_per_s: float  # over the last half minute, files described
    eta_s: float | None  # until the pending work is done; None: not known or nothing to do
    degraded: tuple[str, ...]  # messages that name the remedy; empty when all is well
    workers: int
    index_kind: str
    indexed: int
    model: ModelTag
    generations: tuple[GenerationProgress, ...] = ()
    hold: Hold | None = None  # why the backlog waits
    memory: MemoryStanding | None = None  # None: not measured yet


class Control(Protocol):
    """What a person may ask of the running daemon. Thread-safe."""

    def progress(self) -> Progress: ...
    def rescan(self, roots: Sequence_[RootId] | None) -> None:
        """Scan these roots (None: all) as soon as possible; returns at once."""

    def accept_root(self, root: RootId) -> None:
        """Believe what a suspect root shows now; NotFoundError for an unknown one."""

    def forget_root(self, root: RootId) -> int:
        """Drop a root that is no longer configured and its rows; RequestError while it is configured."""

    def examine(self) -> tuple[Finding, ...]:
        """Look at what the machine gives: limits, disks, rights, clock, devices."""

    def pause(self, for_s: float | None) -> Hold | None:
        """Hold up the backlog for so long, or until `resume`; what holds it up now. It survives a restart."""

    def resume(self) -> Hold | None:
        """End a pause; what holds the backlog up all the same."""
