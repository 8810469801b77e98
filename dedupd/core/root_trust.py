"""Can what a root shows be believed? A root that vanishes is not a library that was deleted.

The most repeated failure of photo servers is to take an unmounted disk for a mass deletion. So absence only counts
where the root still looks like itself; in doubt the rows stay and nothing is marked missing. Does not read the disk:
what was seen comes in as arguments, and the caller stores the verdict.

Syncthing recognises a folder by a marker file in it. dedupd writes none: it has the photos read-only. The identity of
the filesystem and a sample of known files stand in for it. The reasons given to a person say what was seen and what
to check, never how to silence the doubt: Syncthing users who were told to recreate the marker by hand lost everything.
"""

from __future__ import annotations

from dataclasses import dataclass

from dedupd.core.records import RootIdentity, RootState

MISSING_DIRECTORY = "the directory is not there"  # what Lister.identify answers for ENOENT and ENOTDIR

SAMPLE_FILES = 32  # known files to look at when the identity changed
SAMPLE_SHARE = 0.9  # of the sample must be there with equal size and mtime
GONE_SHARE = 0.2  # of the known files gone in one pass, and …
GONE_FILES = 50  # … more than this many: suspect (DESIGN, "Watching")

_KEPT = "Everything known of it is kept."


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A look at known files, spread over the root."""

    looked_at: int  # 0 … SAMPLE_FILES
    equal: int  # how many of them are there with equal size and mtime

    @property
    def is_convincing(self) -> bool:
        """Whether these are the files that are known."""
        return self.looked_at > 0 and self.equal >= SAMPLE_SHARE * self.looked_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The verdict on a root."""

    state: RootState
    reason: str  # for a person; "" when online

    @property
    def is_online(self) -> bool:
        """Whether absence may be believed."""
        return self.state is RootState.ONLINE


ONLINE = Trust(state=RootState.ONLINE, reason="")


def is_same_root(stored: RootIdentity, now: RootIdentity) -> bool:
    """Whether two looks at a path saw the same directory of the same filesystem.

    st_dev may change at a reboot, and f_fsid may be 0 (tells nothing) or derived from the device number, as XFS does:
    either of the two that agrees is enough.
    """
    is_same_filesystem = stored.dev == now.dev or (stored.fsid != 0 and stored.fsid == now.fsid)
    return is_same_filesystem and stored.ino == now.ino


def needs_sample(stored: RootIdentity | None, now: RootIdentity | str, known_files: int) -> bool:
    """Whether `judge` wants to see a sample of known files."""
    return known_files > 0 and isinstance(now, RootIdentity) and (stored is None or not is_same_root(stored, now))


def judge(
    *,
    stored: RootIdentity | None,
    now: RootIdentity | str,
    known_files: int,
    gone_files: int = 0,
    lists_empty: bool = False,
    sample: Sample | None = None,
    is_accepted: bool = False,
) -> Trust:
    """Decide whether a root is online, suspect or offline.

    Ask before a pass (with `gone_files` 0) and again after it, before any file is marked missing.

    Args:
        stored: the identity on record; None when the root was never seen.
        now: what Lister.identify says: the identity, or the trouble.
        known_files: files on record as there.
        gone_files: those of them that this pass did not find.
        lists_empty: the root directory has no entry at all.
        sample: wanted when `needs_sample`.
        is_accepted: a person said that what the root shows now is right. A root that cannot be read stays in doubt.
    """
    if isinstance(now, str):
        return _unseen(now)
    if is_accepted:
        return ONLINE
    if lists_empty and known_files > 0:
        return _suspect(
            f"It is empty, though {_files(known_files)} known in it.", "Check whether its disk is mounted there."
        )
    if needs_sample(stored, now, known_files) and not (sample is not None and sample.is_convincing):
        return _suspect(_exchanged(now, sample), "Check whether the right disk is mounted there.")
    if gone_files > GONE_FILES and gone_files > GONE_SHARE * known_files:
        return _suspect(
            f"{gone_files} of {known_files} known files were gone in one pass.",
            "Check whether every disk and subvolume below it is mounted.",
        )
    return ONLINE


def _unseen(trouble: str) -> Trust:
    if trouble == MISSING_DIRECTORY:
        return Trust(
            state=RootState.OFFLINE,
            reason=f"The directory is not there. {_KEPT} Check whether its disk is mounted.",
        )
    return _suspect(f"It cannot be read: {trouble}.", "Check the disk, the network share and the permissions.")


def _suspect(seen: str, check: str) -> Trust:
    return Trust(state=RootState.SUSPECT, reason=f"{seen} {_KEPT} {check}")


def _exchanged(now: RootIdentity, sample: Sample | None) -> str:
    seen = f"Another directory or filesystem ({now.filesystem}) is at its path"
    if sample is None or sample.looked_at == 0:
        return f"{seen}, and its files have not been compared yet."
    return f"{seen}, and only {sample.equal} of {sample.looked_at} known files that were compared are there."


def _files(count: int) -> str:
    return "1 file is" if count == 1 else f"{count} files are"
