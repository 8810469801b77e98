"""Compare a directory's listing with what the store knows of it. Decides nothing about trust, writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from dedupd.core.ports import Library, LibraryView, Listing
from dedupd.core.records import FilePath, FileRecord, FileStage, Problem, ProblemCode, RootId
from dedupd.core.stat_key import fingerprint, unpack


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs; names are of the listing's directory."""

    new: tuple[bytes, ...] = ()
    changed: tuple[bytes, ...] = ()
    gone: tuple[bytes, ...] = ()
    refreshed: tuple[FileRecord, ...] = ()  # known bytes, only the row needs mending
    odd: Mapping[bytes, Problem] = field(default_factory=dict)
    lacks_fingerprint: bool = False  # nothing differs, and the next look can be cheaper


_NOTHING = Changes()
_NOTHING_BUT_A_FINGERPRINT = Changes(lacks_fingerprint=True)


DIRECTORIES_AT_ONCE = 8  # more bring nothing: what is saved is the way back and forth between kernel and store


def compare_listings(library: Library, root: RootId, listings: Sequence[Listing]) -> list[Changes]:
    """What to do about each of some directories, as the store knows them at one moment."""
    with library.view() as view:
        return [compare_listing(view, root, listing) for listing in listings]


def compare_listing(view: LibraryView, root: RootId, listing: Listing) -> Changes:
    """What to do about one directory.

    An unchanged one costs a digest of its listing where the store keeps a fingerprint of its rows, and reading these
    where it does not. A fingerprint is only ever believed when it agrees; what it does not settle the rows do.
    """
    if listing.files and not listing.odd:
        kept = view.fingerprint(root, listing.directory)
        if kept is not None and kept == fingerprint(listing.files):
            return _NOTHING
    known = view.packed_stats_in(root, listing.directory)
    if known == listing.files and not listing.odd:
        return _NOTHING_BUT_A_FINGERPRINT if known else _NOTHING
    new: list[bytes] = []
    changed: list[bytes] = []
    refreshed: list[FileRecord] = []
    for name, packed in listing.files.items():
        if known.get(name) == packed:
            continue
        record = view.file(FilePath(root=root, directory=listing.directory, name=name))
        if record is None:
            new.append(name)
        elif (mended := _mended(record, packed)) is not None:
            refreshed.append(mended)
        else:
            changed.append(name)
    return Changes(
        new=tuple(new),
        changed=tuple(changed),
        gone=tuple(known.keys() - listing.files.keys() - listing.odd.keys()),
        refreshed=tuple(refreshed),
        odd={
            name: problem for name, problem in listing.odd.items() if not _is_told(view, root, listing, name, problem)
        },
    )


def _mended(record: FileRecord, packed: bytes) -> FileRecord | None:
    """The row as it should be when the bytes cannot have changed; None when the file must be read again.

    That is a file that was only missing, or whose disk got another device number at a reboot.
    """
    stat = unpack(packed)
    if replace(stat, dev=record.stat.dev) != record.stat or record.stage is FileStage.SET_ASIDE:
        return None
    return replace(record, stat=stat, missing_since_ns=None)


# The disk does not answer or may not be asked: what is known of the file's bytes is as good as before.
_SAYS_NOTHING = frozenset({ProblemCode.IO_ERROR, ProblemCode.NO_PERMISSION})


def _is_told(view: LibraryView, root: RootId, listing: Listing, name: bytes, problem: Problem) -> bool:
    record = view.file(FilePath(root=root, directory=listing.directory, name=name))
    if record is None:
        return False
    if record.content is not None and problem.code in _SAYS_NOTHING:
        return True
    return record.missing_since_ns is None and record.problem is not None and record.problem.code is problem.code
