"""Answers about the daemon itself: status, roots, problems, scans. Blocking; runs in threads, owns nothing."""

from __future__ import annotations

from itertools import islice

import dedupd
from dedupd.api.metrics import metrics_text
from dedupd.core.errors import NotFoundError
from dedupd.core.ports import Control, Library
from dedupd.core.records import RootId, RootState
from dedupd.protocol import convert
from dedupd.protocol.requests import PauseRequest, ProblemsQuery, RescanRequest
from dedupd.protocol.status import (
    DoctorMessage,
    ForgottenMessage,
    HealthMessage,
    PauseMessage,
    ProblemsMessage,
    RescanMessage,
    RootMessage,
    RootsMessage,
    StatusMessage,
)

_LAST_ROOT = 2**32 - 1


class StandingAnswers:
    """Answers about the daemon from the store and its control."""

    def __init__(self, *, library: Library, control: Control) -> None:
        self._library = library
        self._control = control

    def health(self) -> HealthMessage:
        return HealthMessage(status="ok", version=dedupd.__version__)

    def status(self) -> StatusMessage:
        progress = self._control.progress()
        with self._library.view() as view:
            sequence = view.sequence()
        return convert.status_message(progress, sequence=sequence, version=dedupd.__version__)

    def doctor(self) -> DoctorMessage:
        return convert.doctor_message(self._control.examine())

    def metrics(self) -> str:
        return metrics_text(self._control.progress(), dedupd.__version__)

    def roots(self) -> RootsMessage:
        return RootsMessage(roots=tuple(map(convert.root_message, self._control.progress().roots)))

    def accept_root(self, number: int) -> RootMessage:
        root = self._known_root(number)
        self._control.accept_root(root)
        for message in self.roots().roots:
            if message.id == root:
                return message
        raise NotFoundError(f"Root {number} went meanwhile.")

    def forget_root(self, number: int) -> ForgottenMessage:
        root = self._known_root(number)
        return ForgottenMessage(root=root, files=self._control.forget_root(root))

    def rescan(self, request: RescanRequest) -> RescanMessage:
        """`sequence` is taken before the scan is asked for, so its end is always told after it."""
        with self._library.view() as view:
            sequence = view.sequence()
            watched = [root.id for root in view.roots() if root.is_watched and root.state is not RootState.OFFLINE]
        chosen = None if request.roots is None else [self._known_root(number) for number in request.roots]
        self._control.rescan(chosen)
        return RescanMessage(roots=tuple(watched if chosen is None else chosen), sequence=sequence)

    def pause(self, request: PauseRequest) -> PauseMessage:
        return PauseMessage(hold=convert.hold_message(self._control.pause(request.for_s)))

    def resume(self) -> PauseMessage:
        return PauseMessage(hold=convert.hold_message(self._control.resume()))

    def problems(self, query: ProblemsQuery) -> ProblemsMessage:
        with self._library.view() as view:
            total = view.counts().files_set_aside
            root_paths = {root.id: root.path for root in view.roots()}
            files = list(islice(view.problems(), query.after, query.after + query.limit + 1))
        messages = (convert.problem_message(file, root_paths) for file in files[: query.limit])
        return ProblemsMessage(
            problems=tuple(message for message in messages if message is not None),
            total=total,
            next=query.after + query.limit if len(files) > query.limit else None,
        )

    def _known_root(self, number: int) -> RootId:
        if 0 <= number <= _LAST_ROOT:
            with self._library.view() as view:
                root = view.root(RootId(number))
            if root is not None:
                return root.id
        raise NotFoundError(f"There is no root {number}. `dedupctl roots` lists them.")
