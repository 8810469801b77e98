"""The clean-up policies that the configuration describes, checked: what is wrong is told with its key.

Decides nothing about files, and looks at the disk only to follow symlinks in the paths of roots.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TypeVar

from dedupd.core.cleanup_plan import Action, Limits
from dedupd.core.cleanup_policy import CleanupPolicy, Companions, PolicyError, check_policy
from dedupd.core.folder_globs import FolderGlobs
from dedupd.core.keep_policy import PRESETS, keep_policy, unknown_name
from dedupd.core.records import DUPLICATE_RELATIONS, Relation
from dedupd.settings.schema import Cleanup, Policy

_Word = TypeVar("_Word", bound=StrEnum)

_GB = 1_000_000_000


def cleanup_policies(cleanup: Cleanup) -> dict[str, CleanupPolicy]:
    """Every policy by its name: the presets of `core.keep_policy`, then those of the configuration.

    Raises:
        PolicyError: one is wrong; its key is the whole path of the setting.
    """
    with _under("cleanup.protected"):
        protected = FolderGlobs(_globs(cleanup.protected))
    limits = limits_of(cleanup)
    policies = {
        name: CleanupPolicy(name=name, keep=keep_policy(name), limits=limits, protected=protected) for name in PRESETS
    }
    for number, policy in enumerate(cleanup.policies):
        place = f"cleanup.policies[{number}]"
        if policy.name in policies:
            what = "a preset" if policy.name in PRESETS else "the name of another policy"
            raise PolicyError(f"{place}.name", f"`{policy.name}` is {what}. Choose another name.")
        policies[policy.name] = _policy(policy, place, limits, protected)
    return policies


def limits_of(cleanup: Cleanup) -> Limits:
    """How much may happen at once."""
    return Limits(
        files_per_run=cleanup.files_per_run,
        bytes_per_run=round(cleanup.gb_per_run * _GB),
        files_per_day=cleanup.files_per_day,
        bytes_per_day=round(cleanup.gb_per_day * _GB),
        root_share=cleanup.root_share,
        directory_share=cleanup.directory_share,
        min_age_s=cleanup.min_age_h * 3600.0,
        conflicts=cleanup.conflicts,
    )


def _policy(policy: Policy, place: str, limits: Limits, protected: FolderGlobs) -> CleanupPolicy:
    with _under(f"{place}.relations"):
        relations = frozenset(map(_relation, policy.relations))
    with _under(f"{place}.action"):
        action = _word(Action, "action", policy.action)
    with _under(f"{place}.companions"):
        companions = _word(Companions, "word", policy.companions)
    with _under(f"{place}.formats"):
        keep_policy(formats=policy.formats)
    with _under(f"{place}.folders"):
        folders = _globs(policy.folders)
        FolderGlobs(folders)
    with _under(f"{place}.keep"):
        keep = keep_policy(policy.keep, folders=folders, formats=policy.formats)
    if policy.folders and "folders" not in keep.criteria:
        raise PolicyError(f"{place}.folders", "the criterion `folders` is not among `keep`: add it, or remove these.")
    if policy.formats and "format" not in keep.criteria:
        raise PolicyError(f"{place}.formats", "the criterion `format` is not among `keep`: add it, or remove these.")
    checked = CleanupPolicy(
        name=policy.name,
        keep=keep,
        relations=relations,
        roots=tuple(_absolute_roots(policy.roots, f"{place}.roots")),
        action=action,
        folder=os.fsencode(os.path.expanduser(policy.folder)),  # noqa: PTH111 - a path in bytes from here on
        companions=companions,
        is_automatic=policy.auto,
        limits=limits,
        protected=protected,
    )
    try:
        check_policy(checked)
    except PolicyError as error:
        raise PolicyError(f"{place}.{error.key}", str(error)) from error
    return checked


@contextmanager
def _under(key: str) -> Iterator[None]:
    """What is wrong within is told with this key."""
    try:
        yield
    except ValueError as error:
        raise PolicyError(key, str(error)) from error


def _relation(word: str) -> Relation:
    relation = _word(Relation, "relation", word, [r for r in Relation if r in DUPLICATE_RELATIONS])
    if relation not in DUPLICATE_RELATIONS:
        raise ValueError(f"pictures that are only `{relation}` are never cleaned up. Remove it.")
    return relation


def _word(words: type[_Word], kind: str, word: str, known: Iterable[_Word] = ()) -> _Word:
    try:
        return words(word)
    except ValueError:
        raise ValueError(unknown_name(kind, word, [one.value for one in known or words])) from None


def _globs(texts: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(os.fsencode(os.path.expanduser(text)) for text in texts)  # noqa: PTH111 - globs, no paths yet


def _absolute_roots(texts: Iterable[str], key: str) -> Iterator[bytes]:
    for text in texts:
        path = os.path.expanduser(text)  # noqa: PTH111 - becomes bytes, and `realpath` never asks that it be there
        if not path.startswith("/"):
            raise PolicyError(key, f"`{text}` is no absolute path. Name the folder as in `roots`.")
        yield os.fsencode(os.path.realpath(path))
