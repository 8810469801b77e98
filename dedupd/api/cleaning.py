"""Answers about clean-up: plans, the quarantine, verdicts, pins. Blocking; runs in threads, owns nothing.

Who may ask for what is not decided here (`admins`), nor is what happens to a file (the `Cleanup` port).
"""

from __future__ import annotations

import base64
import binascii
import os
import re

from dedupd.api.pictures import file_path_at, named_content
from dedupd.api.plan_csv import plan_csv
from dedupd.api.runs import Work
from dedupd.core.cleanup_plan import Action, StoredPlan
from dedupd.core.cleanup_ports import Cleanup, ExpireWish, PlanWish
from dedupd.core.errors import NotFoundError, RequestError
from dedupd.core.ports import Groups, Library, LibraryView
from dedupd.core.records import ContentId, FilePath, Relation, RootId
from dedupd.core.verdicts import NotDuplicate
from dedupd.protocol import convert_cleanup as convert
from dedupd.protocol.cleanup import (
    ExpiryMessage,
    NamedPictureMessage,
    PinMessage,
    PinsMessage,
    PlanMessage,
    PlansMessage,
    QuarantineMessage,
    UnpinnedMessage,
    VerdictMessage,
    VerdictsMessage,
    WithdrawnMessage,
)
from dedupd.protocol.convert import absolute_path
from dedupd.protocol.report import path_message
from dedupd.protocol.requests import ExpireRequest, ExpiryQuery, PinRequest, PlanRequest, UndoRequest, VerdictRequest
from dedupd.protocol.text import path_text, utc_text

_PLAN_NAME = re.compile(r"[0-9a-f]{8,64}")


class CleaningAnswers:
    """Answers about clean-up from its port, with names looked up in the library."""

    def __init__(self, *, cleanup: Cleanup | None, library: Library, groups: Groups, quarantine_s: float) -> None:
        self._wired = cleanup
        self._library = library
        self._groups = groups
        self._quarantine_s = quarantine_s

    @property
    def _cleanup(self) -> Cleanup:
        if self._wired is None:
            raise RequestError(
                "This daemon does no clean-up: it was started without an actor. docs/safety.md says how to start one."
            )
        return self._wired

    def draft(self, request: PlanRequest) -> PlanMessage:
        wish = PlanWish(
            policy=request.policy,
            relations=None if request.relations is None else frozenset(map(Relation, request.relations)),
            roots=None if request.roots is None else frozenset(map(RootId, request.roots)),
            folder_prefix=_absolute(request.below, request.below_b64, "below"),
            groups=None if request.groups is None else frozenset(map(ContentId, request.groups)),
            action=None if request.action is None else Action(request.action),
            folder=_absolute(request.folder, request.folder_b64, "folder"),
            min_age_s=request.min_age_s,
        )
        return self._shown(self._cleanup.draft(wish))

    def plans(self) -> PlansMessage:
        return PlansMessage(plans=tuple(map(convert.plan_row, self._cleanup.plans())))

    def plan(self, name: str) -> PlanMessage:
        return self._shown(self._cleanup.plan(plan_named(name)))

    def plan_csv(self, name: str) -> bytes:
        return plan_csv(self.plan(name))

    def applying(self, name: str) -> Work:
        """The run that does a plan; not begun yet."""
        cleanup, plan = self._cleanup, plan_named(name)
        return lambda tell: cleanup.apply(plan, tell)

    def undoing(self, request: UndoRequest) -> Work:
        """The run that puts back; not begun yet."""
        cleanup, plan = self._cleanup, request.plan and plan_named(request.plan)
        items = None if request.items is None else frozenset(request.items)
        return lambda tell: cleanup.undo(plan, items, tell)

    def expiring(self, request: ExpireRequest) -> Work:
        """The run that deletes for good; not begun yet."""
        plan = request.plan and plan_named(request.plan)
        cleanup, wish = self._cleanup, ExpireWish(plan=plan, is_now=request.now, confirm=request.confirm)
        return lambda tell: cleanup.expire(wish, tell)

    def quarantine(self) -> QuarantineMessage:
        return convert.quarantine_message(self._cleanup.quarantined())

    def expiry(self, query: ExpiryQuery) -> ExpiryMessage:
        plan = query.plan and plan_named(query.plan)
        return convert.expiry_message(self._cleanup.expiry(ExpireWish(plan=plan, is_now=query.now)))

    def verdicts(self) -> VerdictsMessage:
        return self._verdicts(self._cleanup.rejected())

    def reject(self, request: VerdictRequest) -> VerdictsMessage:
        cleanup = self._cleanup
        return self._verdicts(cleanup.reject(self._contents(request)))

    def withdraw(self, request: VerdictRequest) -> WithdrawnMessage:
        cleanup = self._cleanup
        return WithdrawnMessage(verdicts=cleanup.withdraw(self._contents(request)))

    def pins(self) -> PinsMessage:
        pins = self._cleanup.pins()
        with self._library.view() as view:
            root_paths = _root_paths(view)
        return PinsMessage(pins=tuple(convert.pin_message(pin, root_paths) for pin in pins))

    def pin(self, request: PinRequest) -> PinMessage:
        cleanup = self._cleanup
        file, root_paths = self._file(request)
        return convert.pin_message(cleanup.pin(file), root_paths)

    def unpin(self, request: PinRequest) -> UnpinnedMessage:
        cleanup = self._cleanup
        file, root_paths = self._file(request)
        if not cleanup.unpin(file):
            shown = path_text(absolute_path(file, root_paths))
            raise NotFoundError(f"{shown} is not pinned. `dedupctl keep --list` shows what is.")
        return convert.unpinned_message(file, root_paths)

    def _shown(self, stored: StoredPlan) -> PlanMessage:
        with self._library.view() as view:
            root_paths = _root_paths(view)
        return convert.plan_message(stored, root_paths, quarantine_s=self._quarantine_s)

    def _contents(self, request: VerdictRequest) -> frozenset[ContentId]:
        """The contents that were named, two or more."""
        if request.group and request.pictures:
            raise RequestError("Name either pictures or a group, not both.")
        if request.group:
            number = ContentId(request.group)
            group = self._groups.find(number) or self._groups.holding(number)
            if group is None:
                raise NotFoundError(f"There is no group {number}. `dedupctl groups` lists them.")
            contents = frozenset(group.contents)
        else:
            names = [
                f"content:{picture.content}"
                if picture.content
                else os.fsdecode(_absolute(picture.path, picture.path_b64, "path"))
                for picture in request.pictures
            ]
            with self._library.view() as view:
                contents = frozenset(named_content(view, name).id for name in names)
            if len(names) < 2:
                raise RequestError("A verdict is on two pictures or more, or on a group.")
        if len(contents) < 2:
            raise RequestError("These files hold the same bytes: they are duplicates, whatever anybody says.")
        return contents

    def _verdicts(self, verdicts: list[NotDuplicate]) -> VerdictsMessage:
        with self._library.view() as view:
            root_paths = _root_paths(view)
            messages = tuple(
                VerdictMessage(
                    a=_named_picture(view, verdict.a, root_paths),
                    b=_named_picture(view, verdict.b, root_paths),
                    said_at=utc_text(verdict.said_at_ns),
                    said_at_ns=verdict.said_at_ns,
                )
                for verdict in verdicts
            )
        return VerdictsMessage(verdicts=messages)

    def _file(self, request: PinRequest) -> tuple[FilePath, dict[RootId, bytes]]:
        path = _absolute(request.path, request.path_b64, "path")
        with self._library.view() as view:
            file, root_paths = file_path_at(view, path), _root_paths(view)
        if file is None:
            raise NotFoundError(f"{path_text(path)} is in no root. `dedupctl roots` lists what is watched.")
        return file, root_paths


def plan_named(text: str) -> str:
    """The name of a plan, or a start of one, as a person gave it."""
    name = text.lower()
    if not _PLAN_NAME.fullmatch(name):
        raise NotFoundError(f"{text[:80]!r} names no plan: 8 to 64 hex digits do. `dedupctl plans` lists them.")
    return name


def _absolute(text: str, encoded: str, field: str) -> bytes:
    """The exact path of a field and its `…_b64`; b"" where neither is given."""
    try:
        path = base64.b64decode(encoded, validate=True) if encoded else os.fsencode(text)
    except (binascii.Error, ValueError) as error:
        raise RequestError(f"{field}_b64 is no base64: {error}.") from error
    if path and not path.startswith(b"/"):
        raise RequestError(f"{field} must be an absolute path, and {path_text(path)!r} is none.")
    return path


def _root_paths(view: LibraryView) -> dict[RootId, bytes]:
    return {root.id: root.path for root in view.roots()}


def _named_picture(view: LibraryView, digest: bytes, root_paths: dict[RootId, bytes]) -> NamedPictureMessage:
    record = view.content_by_digest(digest)
    files = () if record is None else view.files_of(record.id)
    return NamedPictureMessage(
        digest=digest.hex(),
        content=None if record is None else record.id,
        files=tuple(path_message(absolute_path(file.path, root_paths)) for file in files),
    )
