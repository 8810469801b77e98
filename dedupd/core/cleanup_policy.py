"""What a clean-up policy may say: which relations, which roots, what is done and by which rules. Pure.

Does not choose a file (`core.keep_policy` does) and draws up no plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from dedupd.core.cleanup_plan import EXACT_ONLY, WITH_FOLDER, Action, Limits
from dedupd.core.cleanup_ports import PlanWish
from dedupd.core.errors import NotFoundError, RequestError
from dedupd.core.folder_globs import FolderGlobs
from dedupd.core.keep_policy import KeepPolicy, unknown_name
from dedupd.core.keeper import KEEP_POLICY
from dedupd.core.records import DUPLICATE_RELATIONS, Relation

AUTOMATIC = frozenset({Relation.SAME_BYTES, Relation.SAME_PIXELS})  # what may go without anybody looking
DEFAULT_RELATIONS = frozenset({Relation.SAME_BYTES, Relation.SAME_PIXELS, Relation.RE_ENCODED})


class Companions(StrEnum):
    """What happens to a duplicate with a sidecar that the kept picture lacks."""

    BLOCK = "block"  # it is left alone
    CARRY = "carry"  # the sidecar is moved beside the kept picture


class PolicyError(ValueError):
    """A policy contradicts itself; `key` says where."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupPolicy:
    """One way of cleaning up."""

    name: str
    keep: KeepPolicy = KeepPolicy()  # noqa: RUF009 - immutable
    relations: frozenset[Relation] = DEFAULT_RELATIONS
    roots: tuple[bytes, ...] = ()  # absolute; files go from these only; none: from all
    action: Action = Action.QUARANTINE
    folder: bytes = b""  # absolute, for MOVE and SORT
    companions: Companions = Companions.BLOCK
    is_automatic: bool = False
    limits: Limits = Limits()  # noqa: RUF009 - immutable
    protected: FolderGlobs = FolderGlobs()  # noqa: RUF009 - immutable


def check_policy(policy: CleanupPolicy) -> None:
    """Refuse what would not be safe or cannot be done.

    Raises:
        PolicyError: with the key that is wrong.
    """
    wrong = policy.relations - DUPLICATE_RELATIONS
    if wrong:
        names = ", ".join(sorted(wrong))
        raise PolicyError("relations", f"pictures that are only `{names}` are never cleaned up. Remove it.")
    if not policy.relations:
        raise PolicyError("relations", f"names no relation. There are: {_names(DUPLICATE_RELATIONS)}.")
    if policy.action in EXACT_ONLY and policy.relations != {Relation.SAME_BYTES}:
        raise PolicyError(
            "action",
            f"`{policy.action}` lets two files share their bytes, so only `same-bytes` can be done that way. "
            'Set relations = ["same-bytes"] or another action.',
        )
    if policy.action in WITH_FOLDER and not policy.folder.startswith(b"/"):
        raise PolicyError("folder", f"`{policy.action}` needs an absolute path of a folder to move files to.")
    if policy.folder and policy.action not in WITH_FOLDER:
        raise PolicyError("folder", f"`{policy.action}` moves nothing to a folder. Remove it, or set action = 'move'.")
    if policy.is_automatic and not policy.relations <= AUTOMATIC:
        raise PolicyError(
            "auto",
            f"only {_names(AUTOMATIC)} may be cleaned up without anybody looking; this policy acts on "
            f"{_names(policy.relations - AUTOMATIC)} as well.",
        )


def policy_named(policies: Mapping[str, CleanupPolicy], name: str) -> CleanupPolicy:
    """The policy of this name, "" for the default one.

    Raises:
        NotFoundError: there is none, with the nearest that there is.
    """
    found = policies.get(name or KEEP_POLICY)
    if found is None:
        raise NotFoundError(unknown_name("policy", name, list(policies)))
    return found


def narrowed(policy: CleanupPolicy, wish: PlanWish) -> CleanupPolicy:
    """The policy with what a person asked for instead of what it says itself.

    Raises:
        RequestError: the two contradict each other.
    """
    action = wish.action or policy.action
    relations = wish.relations if wish.relations is not None else policy.relations
    if wish.action in EXACT_ONLY and wish.relations is None:
        relations = relations & {Relation.SAME_BYTES}
    folder = wish.folder or (policy.folder if action in WITH_FOLDER else b"")
    limits = policy.limits if wish.min_age_s is None else replace(policy.limits, min_age_s=wish.min_age_s)
    asked = replace(policy, action=action, relations=relations, folder=folder, limits=limits, is_automatic=False)
    try:
        check_policy(asked)
    except PolicyError as error:
        raise RequestError(f"The plan cannot be drawn up: {error.key}: {error}") from error
    return replace(asked, is_automatic=policy.is_automatic and relations <= AUTOMATIC)


def _names(relations: frozenset[Relation]) -> str:
    return ", ".join(relation.value for relation in sorted(relations, key=lambda r: r.rank))
