"""The daemon's API as methods. One connection a question; raises the errors of core.errors, owns nothing.

Every method may raise DaemonUnreachableError, AccessError, and what the daemon refuses with.
"""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO

import msgspec

from dedupd.client.body import Pieces, Sent
from dedupd.client.event_frames import frames_of
from dedupd.client.exchange import ANSWER_TIMEOUT_S, SILENCE_S, Exchanges, Query, lost, read_whole
from dedupd.core.errors import DaemonUnreachableError, RetryError
from dedupd.protocol.events import EventMessage
from dedupd.protocol.paths import default_socket_paths
from dedupd.protocol.pictures import FindMessage, GroupMessage, GroupsMessage, HaveMessage, PairMessage, SimilarMessage
from dedupd.protocol.report import ReportMessage
from dedupd.protocol.requests import (
    DuplicateRelation,
    HaveRequest,
    PauseRequest,
    ReportFormat,
    RescanRequest,
    SheetFormat,
)
from dedupd.protocol.status import (
    DoctorMessage,
    ForgottenMessage,
    PauseMessage,
    ProblemsMessage,
    RescanMessage,
    RootMessage,
    RootsMessage,
    StatusMessage,
)

_PICTURE_TIMEOUT_S = 180.0  # above the daemon's own limit for reading a picture, so that its answer arrives
_FIRST_RETRY_S, _LAST_RETRY_S = 0.2, 5.0
_PIECE_BYTES = 256 * 1024
_LONGEST_NAME = 255  # bytes; file systems have none longer


class Client(Exchanges):
    """Asks a running daemon.

    Args:
        socket_path: where the daemon listens; None: where daemons usually do (protocol.paths.default_socket_paths).
    """

    def __init__(self, socket_path: str | os.PathLike[str] | None = None) -> None:
        super().__init__(default_socket_paths() if socket_path is None else (Path(socket_path),))

    def status(self) -> StatusMessage:
        """How things stand."""
        return self._ask("GET", "/v1/status", StatusMessage)

    def doctor(self) -> DoctorMessage:
        """What stands in the daemon's way on this machine."""
        return self._ask("GET", "/v1/doctor", DoctorMessage)

    def report(self, *, relation: DuplicateRelation = "edited") -> ReportMessage:
        """All groups, whole."""
        return self._ask("GET", "/v1/report", ReportMessage, query={"relation": relation})

    def report_pieces(self, report_format: ReportFormat, *, relation: DuplicateRelation = "edited") -> Iterator[bytes]:
        """The report's bytes as they come."""
        query: Query = {"format": report_format, "relation": relation}
        with closing(self._connect(_PICTURE_TIMEOUT_S)) as connection:
            response = self._exchange(connection, "GET", "/v1/report", query=query)
            try:
                while piece := response.read(_PIECE_BYTES):
                    yield piece
            except (http.client.HTTPException, OSError) as error:
                raise lost(error) from error

    def groups(self, *, limit: int = 50, after: int = 0, relation: DuplicateRelation = "edited") -> GroupsMessage:
        """One page of groups, those that free the most first."""
        query: Query = {"limit": limit, "after": after, "relation": relation}
        return self._ask("GET", "/v1/groups", GroupsMessage, query=query)

    def group(self, number: int) -> GroupMessage:
        """One group, by its id or by any content in it."""
        return self._ask("GET", f"/v1/groups/{number}", GroupMessage)

    def problems(self, *, limit: int = 1000, after: int = 0) -> ProblemsMessage:
        """One page of the files that are not indexed."""
        return self._ask("GET", "/v1/problems", ProblemsMessage, query={"limit": limit, "after": after})

    def roots(self) -> RootsMessage:
        """The watched directories."""
        return self._ask("GET", "/v1/roots", RootsMessage)

    def accept_root(self, number: int) -> RootMessage:
        """Believe what a suspect root shows now."""
        return self._ask("POST", f"/v1/roots/{number}/accept", RootMessage)

    def forget_root(self, number: int) -> ForgottenMessage:
        """Drop the rows of a root that is no longer configured."""
        return self._ask("DELETE", f"/v1/roots/{number}", ForgottenMessage)

    def rescan(self, roots: Iterable[int] | None = None) -> RescanMessage:
        """Ask for a scan; returns at once."""
        wanted = RescanRequest(roots=None if roots is None else tuple(roots))
        return self._ask("POST", "/v1/rescan", RescanMessage, body=msgspec.json.encode(wanted))

    def pause(self, for_s: float | None = None) -> PauseMessage:
        """Hold up the backlog for so long; None: until `resume`."""
        return self._ask("POST", "/v1/pause", PauseMessage, body=msgspec.json.encode(PauseRequest(for_s=for_s)))

    def resume(self) -> PauseMessage:
        """End a pause; what holds the backlog up all the same."""
        return self._ask("DELETE", "/v1/pause", PauseMessage)

    def backup_pieces(self) -> Iterator[bytes]:
        """A backup's bytes as they come."""
        with closing(self._connect(_PICTURE_TIMEOUT_S)) as connection:
            response = self._exchange(connection, "GET", "/v1/backup")
            try:
                while piece := response.read(_PIECE_BYTES):
                    yield piece
            except (http.client.HTTPException, OSError) as error:
                raise lost(error) from error

    def find(self, picture: IO[bytes], *, pixels: bool = False) -> FindMessage:
        """What the library holds of a picture; PictureRefusedError where it cannot be read.

        Args:
            picture: a file open for reading; sent whole.
            pixels: only equal pixels count.
        """
        query: Query = {"pixels": int(pixels)}
        return self._ask("POST", "/v1/find", FindMessage, query=query, body=picture, timeout_s=_PICTURE_TIMEOUT_S)

    def similar(self, content: int, *, limit: int = 20, model: str = "") -> SimilarMessage:
        """What a model says is near a picture of the library; without a name, the first model that is ready."""
        query: Query = {"content": content, "limit": limit, "model": model}
        return self._ask("GET", "/v1/similar", SimilarMessage, query=query, timeout_s=_PICTURE_TIMEOUT_S)

    def similar_to(self, picture: IO[bytes], *, limit: int = 20, model: str = "") -> SimilarMessage:
        """The same of a file that is open for reading; it is sent whole. PictureRefusedError: it cannot be read."""
        query: Query = {"limit": limit, "model": model}
        timeout_s = 2 * _PICTURE_TIMEOUT_S  # the model may have to be loaded once the picture is read
        return self._ask("POST", "/v1/similar", SimilarMessage, query=query, body=picture, timeout_s=timeout_s)

    def have(self, digests: Iterable[str]) -> HaveMessage:
        """Which BLAKE3 digests (hex) the library knows; at most requests.MAX_DIGESTS."""
        wanted = HaveRequest(digests=tuple(digests))
        return self._ask("POST", "/v1/have", HaveMessage, body=msgspec.json.encode(wanted))

    def explain(self, a: bytes | Sent, b: bytes | Sent) -> PairMessage:
        """Why two pictures are together or not.

        Args:
            a: an absolute path in the library or b"content:NUMBER", or a file that is sent.
            b: the same of the other.
        """
        method, query, body = _pair_question(a, b)
        return self._ask(method, "/v1/explain", PairMessage, query=query, body=body, timeout_s=_PICTURE_TIMEOUT_S)

    def draw_pair(self, a: bytes | Sent, b: bytes | Sent, image_format: SheetFormat) -> bytes:
        """The same as a picture for people, in a file's bytes."""
        method, query, body = _pair_question(a, b)
        with closing(self._connect(_PICTURE_TIMEOUT_S)) as connection:
            query = {**query, "format": image_format}
            return read_whole(self._exchange(connection, method, "/v1/explain", query=query, body=body))

    def preview(self, content: int) -> bytes:
        """A small JPEG of a content."""
        with closing(self._connect(ANSWER_TIMEOUT_S)) as connection:
            return read_whole(self._exchange(connection, "GET", f"/v1/preview/{content}"))

    def events(
        self, after: int | None = None, *, follow: bool = True, on_lost: Callable[[str], None] | None = None
    ) -> Iterator[EventMessage]:
        """Events after a sequence (None: only new ones), resuming by itself when the connection breaks.

        Without `follow` it ends after what is there. The first connection must succeed; later ones are tried until
        they do, and `on_lost` is told once for each break.
        """
        seen = -1 if after is None else after
        was_connected = False
        pause_s = _FIRST_RETRY_S
        while True:
            try:
                with closing(self._connect(SILENCE_S)) as connection:
                    response = self._exchange(
                        connection, "GET", "/v1/events", query={"after": seen, "follow": int(follow)}
                    )
                    for frame in frames_of(response):
                        was_connected, pause_s = True, _FIRST_RETRY_S
                        seen = frame.sequence
                        if frame.event is not None:
                            yield frame.event
                if not follow:
                    return
                trouble = "the daemon ended the stream"
            except (DaemonUnreachableError, RetryError, http.client.HTTPException, OSError) as error:
                if not (was_connected and follow):
                    raise lost(error) from error
                trouble = str(error).partition("\n")[0]
            if on_lost is not None and pause_s == _FIRST_RETRY_S:
                on_lost(trouble)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LAST_RETRY_S)


def _pair_question(a: bytes | Sent, b: bytes | Sent) -> tuple[str, Query, Pieces | None]:
    """Method, query and body that ask about two pictures."""
    query: dict[str, str | bytes | int] = {}
    sent = []
    for which, picture in (("a", a), ("b", b)):
        if isinstance(picture, bytes):
            query[which] = picture
        else:
            query[f"name_{which}"] = picture.name[:_LONGEST_NAME]
            sent.append(picture.file)
    if not sent:
        return "GET", query, None
    body = Pieces(sent)
    if len(sent) == 2:
        query["a_bytes"] = body.sizes[0]
    return "POST", query, body
