"""Which of several files is kept: an ordered list of criteria, the first difference decides, in words.

Pure. Which content of a group is kept without a policy is `core.keeper`'s; the preset `best` agrees with it. Never says
that a file may go.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dedupd.core.folder_globs import FolderGlobs
from dedupd.core.keep_criteria import CRITERIA, PINNED, FileCandidate, Preferences
from dedupd.core.keeper import FORMAT_ORDER, KEEP_POLICY

_NAMES = ("name", "own-inode", "shorter-path", "path")

# The classic five of other programs decide by one thing; a copy's name and the path settle what is equal.
PRESETS: dict[str, tuple[str, ...]] = {
    KEEP_POLICY: ("original", "protected", "folders", "bundle", *_NAMES),
    "lexi": ("protected", "folders", "path"),
    "smallest": ("protected", "folders", "smallest", *_NAMES),
    "largest": ("protected", "folders", "largest", *_NAMES),
    "newest": ("protected", "folders", "newest-mtime", *_NAMES),
    "oldest": ("protected", "folders", "oldest-mtime", *_NAMES),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepPolicy:
    """Criteria in order, with what two of them go by. What a person pinned comes before all of them."""

    criteria: tuple[str, ...] = PRESETS[KEEP_POLICY]
    preferences: Preferences = Preferences()  # noqa: RUF009 - immutable


def keep_policy(
    keep: str | Sequence[str] = KEEP_POLICY,
    *,
    folders: Iterable[bytes] = (),
    formats: Iterable[str] = (),
) -> KeepPolicy:
    """A policy by the name of a preset or a list of criteria; the path decides what they leave equal.

    Args:
        keep: one of PRESETS, or names of CRITERIA.
        folders: globs, the preferred first.
        formats: as in ContentRecord.format, the preferred first; none: RAW, lossless, HEIF, JPEG, the rest.

    Raises:
        ValueError: a name that is none, with the nearest that is one.
    """
    criteria = _preset(keep) if isinstance(keep, str) else tuple(_criterion(name) for name in keep)
    if "path" not in criteria:
        criteria = (*criteria, "path")
    ordered = tuple(dict.fromkeys(formats))
    for name in ordered:
        if name not in FORMAT_ORDER:
            raise ValueError(unknown_name("format", name, FORMAT_ORDER))
    rest = tuple(name for name in FORMAT_ORDER if name not in ordered)
    return KeepPolicy(
        criteria=tuple(dict.fromkeys(criteria)),
        preferences=Preferences(folders=FolderGlobs(folders), formats=ordered + rest),
    )


def choose_file(candidates: Sequence[FileCandidate], policy: KeepPolicy) -> FileCandidate:
    """The file to keep; the order in which they come changes nothing.

    Raises:
        ValueError: there is no candidate.
    """
    if not candidates:
        raise ValueError("nothing to choose a file to keep from")
    return min(candidates, key=lambda candidate: _key(candidate, policy))


def why_kept(kept: FileCandidate, other: FileCandidate, policy: KeepPolicy) -> str:
    """What the first difference between the kept file and another says."""
    for criterion in (PINNED, *(CRITERIA[name] for name in policy.criteria)):
        if criterion.key(kept, policy.preferences) != criterion.key(other, policy.preferences):
            return criterion.words(kept, other)
    return "they differ in nothing that the policy looks at"


def _key(candidate: FileCandidate, policy: KeepPolicy) -> tuple[object, ...]:
    criteria = (PINNED, *(CRITERIA[name] for name in policy.criteria))
    return tuple(criterion.key(candidate, policy.preferences) for criterion in criteria)


def _preset(name: str) -> tuple[str, ...]:
    if name in PRESETS:
        return PRESETS[name]
    if name in CRITERIA:  # `keep = "largest"` is a preset, `keep = "resolution"` is plain enough as well
        return (name, *PRESETS[KEEP_POLICY])
    raise ValueError(unknown_name("keep policy", name, [*PRESETS, *CRITERIA]))


def _criterion(name: str) -> str:
    if name not in CRITERIA:
        raise ValueError(unknown_name("keep criterion", name, list(CRITERIA)))
    return name


def unknown_name(kind: str, name: str, known: Sequence[str]) -> str:
    """The message about a name that is none of the known ones: the nearest of them, or all."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    advice = f"Did you mean `{by_lower[near[0]]}`?" if near else f"There are: {', '.join(known)}."
    return f"unknown {kind} `{name}`. {advice}"
