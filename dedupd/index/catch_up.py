"""The index at start: the snapshot brought up to the store's present, or everything read anew.

Never writes to the store. Reading anew may be left for later: then the index answers from what it has so far, while
nothing else changes it. Reads the change log in short views, so that
none keeps old pages alive for long.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Sequence_
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

from dedupd.core.arrays import Vectors
from dedupd.core.ports import Library, LibraryView, Model
from dedupd.core.records import ContentId, ModelTag, Sequence
from dedupd.index.faiss_index import EXACT_BELOW, FaissIndex, OnDue
from dedupd.index.questions import LoadVectors
from dedupd.index.snapshot import read_snapshot, write_snapshot

CHUNK = 2_000  # changes or contents taken at a time; a view of the change log lasts some 20 ms


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedIndex:
    """An index that holds what the store holds."""

    index: FaissIndex
    sequence: Sequence  # the store's sequence that it holds
    origin: str  # "snapshot", "snapshot+12" (changes replayed) or "rebuilt: <reason>"
    is_whole: bool = True  # False: it is empty still, `fill_index` reads it from the store


def open_index(
    directory: Path,
    model: Model,
    library: Library,
    *,
    exact_below: int = EXACT_BELOW,
    fill_later_from: int | None = None,
    on_due: OnDue | None = None,
) -> OpenedIndex:
    """The index of a model, from its snapshot in `directory` or from the store's vectors.

    Whatever is wrong with the snapshot, the result holds exactly the linked contents of the store at `sequence`. It
    may be due to grow; that takes seconds to minutes and is left to the caller's own time (`grow_if_due`).
    Where it must be made anew and the store has `fill_later_from` contents or more, it is empty and not whole. `on_due`
    is told when another kind would be right, also while it is filled.
    """
    make = partial(FaissIndex, model.dim, stored_vectors_of(library), exact_below=exact_below, on_due=on_due)
    with library.view() as view:
        newest = view.sequence()
    snapshot = read_snapshot(directory, model, newest)
    if isinstance(snapshot, str):
        return _anew(make(), library, snapshot, fill_later_from)
    index = make(held=snapshot.held)
    caught_up = _replayed(index, library, snapshot.sequence)
    if isinstance(caught_up, str):
        return _anew(make(), library, caught_up, fill_later_from)
    sequence, changes = caught_up
    return OpenedIndex(index=index, sequence=sequence, origin=f"snapshot+{changes}" if changes else "snapshot")


def save_snapshot(index: FaissIndex, directory: Path, model: Model, sequence: Sequence) -> Sequence:
    """Write the index as the snapshot of `sequence`: from the thread that changes it, after all changes up to there.

    Returns:
        The oldest sequence that a kept snapshot may be replayed from: `trim_vector_log` may drop what is before it.

    Raises:
        DegradedError: it could not be written; the previous snapshot is still good.
    """
    return write_snapshot(index, directory, model, sequence)


def stored_vectors_of(library: Library) -> LoadVectors:
    """What a `FaissIndex` reads full-precision vectors with: one short view for each call."""

    def load(contents: Sequence_[ContentId]) -> list[Vectors | None]:
        with library.view() as view:
            return view.stored_vectors_of(contents)

    return load


def generation_vectors_of(library: Library, model: ModelTag) -> LoadVectors:
    """The same of a further model."""

    def load(contents: Sequence_[ContentId]) -> list[Vectors | None]:
        with library.view() as view:
            return [view.generation_vectors(model, content) for content in contents]

    return load


def _replayed(index: FaissIndex, library: Library, after: Sequence) -> tuple[Sequence, int] | str:
    """Repeat the store's vector changes; returns the sequence reached and how many, or why that cannot be right."""
    replayed = 0
    while True:
        with library.view() as view:
            log = view.vector_changes(after)
            if log is None:
                return f"the change log does not reach back to {after}"
            changes = list(islice(log, CHUNK))
            _apply(index, view, {change.content: change.is_removal for change in changes})
            replayed += len(changes)
            if len(changes) < CHUNK:
                counts = view.counts()
                linked = counts.contents - counts.contents_unlinked
                if len(index) != linked:
                    return f"the index holds {len(index)} contents after the replay, the store {linked}"
                return view.sequence(), replayed
            after = changes[-1].sequence


def _apply(index: FaissIndex, view: LibraryView, last_is_removal: dict[ContentId, bool]) -> None:
    """Bring contents to what the view says; the log only says where to look."""
    present: dict[ContentId, Vectors] = {}
    for content, is_removal in last_is_removal.items():
        rows = None if is_removal else view.stored_vectors(content)
        if rows is not None:
            present[content] = rows
    index.remove(content for content in last_is_removal if content not in present)
    index.add(list(present), list(present.values()))


def _anew(index: FaissIndex, library: Library, reason: str, fill_later_from: int | None) -> OpenedIndex:
    with library.view() as view:
        is_for_later = fill_later_from is not None and view.counts().contents >= fill_later_from
        sequence = view.sequence()
    empty = OpenedIndex(index=index, sequence=sequence, origin=f"rebuilt: {reason}", is_whole=False)
    filled = empty if is_for_later else fill_index(empty, library)
    assert filled is not None
    return filled


def fill_index(opened: OpenedIndex, library: Library, goes_on: Callable[[], bool] = lambda: True) -> OpenedIndex | None:
    """Read every linked content in one view: a consistent look, some 10 s for a million; None: it was stopped.

    From the thread that changes the index, before any change. What is removed from the store meanwhile must be removed
    from the index afterwards.
    """
    with library.view() as view:
        sequence = view.sequence()
        everything = view.all_vectors()
        while chunk := dict(islice(everything, CHUNK)):
            if not goes_on():
                return None
            opened.index.add(list(chunk), list(chunk.values()))
    return replace(opened, sequence=sequence, is_whole=True)
