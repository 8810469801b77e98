"""The ASGI application: binds the route table to the answers. Blocking work runs in threads, never on the loop.

Owns the limits on work at the same time and the sign that the server stops; everything else belongs to the ports.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from dedupd.api.admins import Admins
from dedupd.api.answer import json_answer
from dedupd.api.cleaning import CleaningAnswers
from dedupd.api.cleaning_routes import CleaningRoutes
from dedupd.api.decode import json_of, number_in_path, query_of
from dedupd.api.event_stream import EventStreams
from dedupd.api.explaining import SHEET_MEDIA, Named, PairAnswers
from dedupd.api.failures import RefusedError, failure_response
from dedupd.api.metrics import MEDIA_TYPE as METRICS_MEDIA
from dedupd.api.openapi import describe_api
from dedupd.api.peer import peer_in
from dedupd.api.pictures import PictureAnswers, PictureReads, relations_down_to
from dedupd.api.report_source import ReportSource
from dedupd.api.routes import CLEANUP_ROUTES, LIBRARY_ROUTES, TAR, RouteSpec
from dedupd.api.runs import RunStreams
from dedupd.api.similarity import SimilarAnswers
from dedupd.api.standing import StandingAnswers
from dedupd.api.upload import UploadSlots, receive_image, receive_pair
from dedupd.core.cleanup_ports import Cleanup
from dedupd.core.errors import AccessError, DedupdError, DegradedError, NotFoundError, RequestError
from dedupd.core.ports import Control, Groups, ImageReader, Library, Matcher, SimilarPictures
from dedupd.core.records import ContentId
from dedupd.protocol.requests import (
    MAX_IMAGE_BYTES,
    MAX_JSON_BYTES,
    EventsQuery,
    ExplainQuery,
    ExplainUploadQuery,
    FindQuery,
    GroupsQuery,
    HaveRequest,
    NoQuery,
    PauseRequest,
    ProblemsQuery,
    ReportQuery,
    RescanRequest,
    SimilarQuery,
    SimilarUploadQuery,
)

_log = logging.getLogger(__name__)

_MAX_QUESTIONS = 4  # pictures decoded and pairs compared on demand; others wait their turn
_MAX_REPORTS = 2  # a report of a large library takes memory
_QUARANTINE_S = 30 * 86_400.0
_LAST_CONTENT = 2**48 - 1
_REPORT_MEDIA = {"json": "application/json", "csv": "text/csv; charset=utf-8", "html": "text/html; charset=utf-8"}
_SAFETY_HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}

Handler = Callable[[Request], Awaitable[Response]]


class Application:
    """dedupd's API over its ports. `stop()` ends the open event streams; the ports are closed by their owner."""

    def __init__(
        self,
        *,
        library: Library,
        reader: ImageReader,
        matcher: Matcher,
        similar: SimilarPictures,
        groups: Groups,
        control: Control,
        reports: ReportSource,
        preview_of: Callable[[ContentId], bytes | None],
        upload_dir: Path | None = None,
        max_image_bytes: int = MAX_IMAGE_BYTES,
        cleanup: Cleanup | None = None,
        admins: Admins | None = None,
        quarantine_s: float = _QUARANTINE_S,
        make_backup: Callable[[], Iterator[bytes]] | None = None,
    ) -> None:
        """Bind the ports.

        Args:
            library: and the other ports without a word here: what their names say.
            preview_of: the small JPEG of a content as it is shown, None where there is none.
            upload_dir: where what clients send lies while it is looked at, without a name.
            max_image_bytes: of one picture that is sent.
            cleanup: None: this daemon does no clean-up, and says so.
            admins: who may change something; None: root and the daemon's own user.
            make_backup: copies the state at once and gives the copy in pieces; None: there is nothing to copy.
            quarantine_s: how long files stay in the quarantine; only told.
        """
        self._stopping = threading.Event()
        self._make_backup = make_backup
        self._backup_limiter = anyio.CapacityLimiter(1)
        self._standing = StandingAnswers(library=library, control=control)
        reads = PictureReads(reader, self._stopping)
        self._pictures = PictureAnswers(library=library, reader=reader, matcher=matcher, groups=groups, reads=reads)
        self._nearness = SimilarAnswers(library=library, similar=similar, groups=groups, reads=reads)
        self._pairs = PairAnswers(library=library, matcher=matcher, reads=reads)
        self._streams = EventStreams(library, self._stopping)
        self._reports = reports
        self._preview_of = preview_of
        self._upload_dir = upload_dir
        self._max_image_bytes = max_image_bytes
        self._questions = asyncio.Semaphore(_MAX_QUESTIONS)
        self._uploads = UploadSlots()
        self._report_limiter = anyio.CapacityLimiter(_MAX_REPORTS)
        self._openapi = msgspec.json.encode(describe_api())
        self._admins = Admins.named() if admins is None else admins
        answers = CleaningAnswers(cleanup=cleanup, library=library, groups=groups, quarantine_s=quarantine_s)
        cleaning = CleaningRoutes(answers, RunStreams(self._stopping))
        bound = [(spec, getattr(self, f"_{spec.name}")) for spec in LIBRARY_ROUTES]
        bound += [(spec, getattr(cleaning, spec.name)) for spec in CLEANUP_ROUTES]
        routes = [Route(spec.path, self._guarded(spec, handler), methods=[spec.method]) for spec, handler in bound]
        self._asgi = Starlette(routes=routes, exception_handlers={HTTPException: _unrouted})
        self._asgi.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        await self._asgi(scope, receive, send)

    def stop(self) -> None:
        """Let event streams and waiting questions end, within half a second."""
        self._stopping.set()

    def _guarded(self, spec: RouteSpec, handler: Handler) -> Handler:
        """A fault in one answer must not end the server (hence the broad except) and is told in the one shape."""

        async def guarded(request: Request) -> Response:
            try:
                self._admit(request, spec)
                response = await handler(request)
            except (DedupdError, RefusedError) as error:
                response = failure_response(error)
            except ClientDisconnect:
                response = Response(status_code=400)  # nobody reads it
            except Exception as error:  # noqa: BLE001 - one fault must not end the server; told as a 500 and in the log
                _log.exception("api.fault", extra={"method": request.method, "route": request.url.path})
                response = failure_response(error)
            for name, value in _SAFETY_HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return guarded

    def _admit(self, request: Request, spec: RouteSpec) -> None:
        """Refuse who may not use a route, before anything of the request is read."""
        if spec.is_admin:
            try:
                self._admins.require(peer_in(request), spec.right)
            except AccessError as error:
                raise RefusedError(403, error) from error

    async def _health(self, request: Request) -> Response:
        query_of(request, NoQuery)
        return json_answer(self._standing.health())

    async def _openapi_description(self, request: Request) -> Response:
        query_of(request, NoQuery)
        return Response(self._openapi, media_type="application/json")

    async def _status(self, request: Request) -> Response:
        query_of(request, NoQuery)
        return json_answer(await run_in_threadpool(self._standing.status))

    async def _doctor(self, request: Request) -> Response:
        query_of(request, NoQuery)
        return json_answer(await run_in_threadpool(self._standing.doctor))

    async def _metrics(self, request: Request) -> Response:
        query_of(request, NoQuery)
        return Response(await run_in_threadpool(self._standing.metrics), media_type=METRICS_MEDIA)

    async def _report(self, request: Request) -> Response:
        query = query_of(request, ReportQuery)

        def begin() -> Iterator[bytes]:
            report = self._reports.draft(relations_down_to(query.relation))
            return iter(self._reports.render(report, query.format))

        pieces = await anyio.to_thread.run_sync(begin, limiter=self._report_limiter)
        return StreamingResponse(pieces, media_type=_REPORT_MEDIA[query.format])

    async def _groups(self, request: Request) -> Response:
        query = query_of(request, GroupsQuery)
        return json_answer(await run_in_threadpool(self._pictures.groups, query))

    async def _group(self, request: Request) -> Response:
        query_of(request, NoQuery)
        return json_answer(await run_in_threadpool(self._pictures.group, number_in_path(request)))

    async def _problems(self, request: Request) -> Response:
        query = query_of(request, ProblemsQuery)
        return json_answer(await run_in_threadpool(self._standing.problems, query))

    async def _roots(self, request: Request) -> Response:
        query_of(request, NoQuery)
        return json_answer(await run_in_threadpool(self._standing.roots))

    async def _accept_root(self, request: Request) -> Response:
        query_of(request, NoQuery)
        return json_answer(await run_in_threadpool(self._standing.accept_root, number_in_path(request)))

    async def _forget_root(self, request: Request) -> Response:
        query_of(request, NoQuery)
        return json_answer(await run_in_threadpool(self._standing.forget_root, number_in_path(request)))

    async def _rescan(self, request: Request) -> Response:
        query_of(request, NoQuery)
        wanted = await json_of(request, RescanRequest, limit_bytes=MAX_JSON_BYTES)
        return json_answer(await run_in_threadpool(self._standing.rescan, wanted), status=202)

    async def _pause(self, request: Request) -> Response:
        query_of(request, NoQuery)
        wanted = await json_of(request, PauseRequest, limit_bytes=MAX_JSON_BYTES)
        return json_answer(await run_in_threadpool(self._standing.pause, wanted))

    async def _resume(self, request: Request) -> Response:
        query_of(request, NoQuery)
        return json_answer(await run_in_threadpool(self._standing.resume))

    async def _backup(self, request: Request) -> Response:
        query_of(request, NoQuery)
        if self._make_backup is None:
            raise DegradedError("This daemon keeps nothing that could be backed up.")
        pieces = await anyio.to_thread.run_sync(self._make_backup, limiter=self._backup_limiter)
        return StreamingResponse(pieces, media_type=TAR)

    async def _have(self, request: Request) -> Response:
        query_of(request, NoQuery)
        wanted = await json_of(request, HaveRequest, limit_bytes=MAX_JSON_BYTES)
        return json_answer(await run_in_threadpool(self._pictures.have, wanted))

    async def _find(self, request: Request) -> Response:
        query = query_of(request, FindQuery)
        async with self._uploads.of(request):
            fd = await receive_image(request, limit_bytes=self._max_image_bytes, directory=self._upload_dir)
            async with self._questions:
                return json_answer(await run_in_threadpool(self._pictures.find, fd, is_strict=query.pixels))

    async def _similar(self, request: Request) -> Response:
        query = query_of(request, SimilarQuery)
        async with self._questions:
            return json_answer(await run_in_threadpool(self._nearness.of_content, query))

    async def _similar_upload(self, request: Request) -> Response:
        query = query_of(request, SimilarUploadQuery)
        async with self._uploads.of(request):
            fd = await receive_image(request, limit_bytes=self._max_image_bytes, directory=self._upload_dir)
            async with self._questions:
                return json_answer(await run_in_threadpool(self._nearness.of_upload, fd, query))

    async def _explain(self, request: Request) -> Response:
        query = query_of(request, ExplainQuery)
        async with self._questions:
            return await self._pair(Named(query.a), Named(query.b), query.format)

    async def _explain_upload(self, request: Request) -> Response:
        query = query_of(request, ExplainUploadQuery)
        if query.a and query.b:
            raise RequestError("Both pictures are named, so there is nothing to send: ask with GET.")
        a_bytes = None if query.a or query.b else query.a_bytes
        limit_bytes, directory = self._max_image_bytes, self._upload_dir
        async with (
            self._uploads.of(request),
            receive_pair(request, a_bytes=a_bytes, limit_bytes=limit_bytes, directory=directory) as (first, second),
            self._questions,
        ):
            a = Named(query.a) if query.a else Named(query.name_a, first)
            b = Named(query.b) if query.b else Named(query.name_b, first if second is None else second)
            return await self._pair(a, b, query.format)

    async def _pair(self, a: Named, b: Named, form: str) -> Response:
        if form == "json":
            return json_answer(await run_in_threadpool(self._pairs.explain, a, b))
        return Response(await run_in_threadpool(self._pairs.draw, a, b, form), media_type=SHEET_MEDIA[form])

    async def _events(self, request: Request) -> Response:
        query = query_of(request, EventsQuery)
        after = query.after
        if after < 0 and (seen := request.headers.get("last-event-id")) is not None:
            after = _last_event_id(seen)
        frames = self._streams.open(after, follow=query.follow)
        return StreamingResponse(frames, media_type="text/event-stream")

    async def _preview(self, request: Request) -> Response:
        query_of(request, NoQuery)
        number = number_in_path(request)
        preview = None
        if number <= _LAST_CONTENT:
            preview = await run_in_threadpool(self._preview_of, ContentId(number))
        if preview is None:
            raise NotFoundError(f"There is no preview of content {number}.")
        return Response(preview, media_type="image/jpeg")


def _last_event_id(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    raise RequestError("Last-Event-ID is no sequence number.")


async def _unrouted(request: Request, error: Exception) -> Response:
    """Unknown routes and methods, in the same shape as every other refusal."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    what = f"{request.method} {request.url.path}"
    if status == 404:
        return failure_response(NotFoundError(f"There is no route {what}. /openapi.json names them all."))
    refusal = failure_response(RefusedError(status, RequestError(f"{what} is not possible.")))
    if status == 405:
        refusal.headers["allow"] = ", ".join(sorted(_methods_at(request)))
    return refusal


def _methods_at(request: Request) -> set[str]:
    """What a path can be asked with; starlette names the methods of the first route alone."""
    routes: list[Route] = request.app.routes
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return {method for route in matching for method in route.methods or ()}
