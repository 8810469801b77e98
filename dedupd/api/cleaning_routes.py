"""The routes of the clean-up: requests in, answers of `cleaning` out, runs as streams. Decides nothing.

Named as the specifications in `routes.CLEANUP_ROUTES`, to which the application binds them.
"""

from __future__ import annotations

import anyio
import anyio.to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from dedupd.api.answer import json_answer
from dedupd.api.cleaning import CleaningAnswers
from dedupd.api.decode import json_of, query_of
from dedupd.api.runs import RunStreams, Work
from dedupd.protocol.requests import (
    MAX_JSON_BYTES,
    ExpireRequest,
    ExpiryQuery,
    NoQuery,
    PinRequest,
    PlanQuery,
    PlanRequest,
    UndoRequest,
    VerdictRequest,
)

_MAX_DRAFTS = 2  # a plan of a large library looks at all of it


class CleaningRoutes:
    """The handlers, one a route."""

    def __init__(self, answers: CleaningAnswers, runs: RunStreams) -> None:
        self._answers = answers
        self._runs = runs
        self._drafts = anyio.CapacityLimiter(_MAX_DRAFTS)

    async def draft_plan(self, request: Request) -> Response:
        query_of(request, NoQuery)
        wanted = await json_of(request, PlanRequest, limit_bytes=MAX_JSON_BYTES)
        plan = await anyio.to_thread.run_sync(self._answers.draft, wanted, limiter=self._drafts)
        return json_answer(plan, status=201)

    async def plans(self, request: Request) -> Response:
        query_of(request, NoQuery)
        return json_answer(await run_in_threadpool(self._answers.plans))

    async def plan(self, request: Request) -> Response:
        query = query_of(request, PlanQuery)
        name = _plan_in_path(request)
        if query.format == "csv":
            return Response(await run_in_threadpool(self._answers.plan_csv, name), media_type="text/csv; charset=utf-8")
        return json_answer(await run_in_threadpool(self._answers.plan, name))

    async def apply_plan(self, request: Request) -> Response:
        query_of(request, NoQuery)
        return await self._run(self._answers.applying(_plan_in_path(request)))

    async def undo(self, request: Request) -> Response:
        query_of(request, NoQuery)
        wanted = await json_of(request, UndoRequest, limit_bytes=MAX_JSON_BYTES)
        return await self._run(self._answers.undoing(wanted))

    async def quarantine(self, request: Request) -> Response:
        query_of(request, NoQuery)
        return json_answer(await run_in_threadpool(self._answers.quarantine))

    async def expiry(self, request: Request) -> Response:
        query = query_of(request, ExpiryQuery)
        return json_answer(await run_in_threadpool(self._answers.expiry, query))

    async def expire(self, request: Request) -> Response:
        query_of(request, NoQuery)
        wanted = await json_of(request, ExpireRequest, limit_bytes=MAX_JSON_BYTES)
        return await self._run(self._answers.expiring(wanted))

    async def verdicts(self, request: Request) -> Response:
        query_of(request, NoQuery)
        return json_answer(await run_in_threadpool(self._answers.verdicts))

    async def reject(self, request: Request) -> Response:
        query_of(request, NoQuery)
        wanted = await json_of(request, VerdictRequest, limit_bytes=MAX_JSON_BYTES)
        return json_answer(await run_in_threadpool(self._answers.reject, wanted))

    async def withdraw(self, request: Request) -> Response:
        query_of(request, NoQuery)
        wanted = await json_of(request, VerdictRequest, limit_bytes=MAX_JSON_BYTES)
        return json_answer(await run_in_threadpool(self._answers.withdraw, wanted))

    async def pins(self, request: Request) -> Response:
        query_of(request, NoQuery)
        return json_answer(await run_in_threadpool(self._answers.pins))

    async def pin(self, request: Request) -> Response:
        query_of(request, NoQuery)
        wanted = await json_of(request, PinRequest, limit_bytes=MAX_JSON_BYTES)
        return json_answer(await run_in_threadpool(self._answers.pin, wanted))

    async def unpin(self, request: Request) -> Response:
        query_of(request, NoQuery)
        wanted = await json_of(request, PinRequest, limit_bytes=MAX_JSON_BYTES)
        return json_answer(await run_in_threadpool(self._answers.unpin, wanted))

    async def _run(self, work: Work) -> Response:
        return StreamingResponse(await self._runs.start(work), media_type="application/x-ndjson")


def _plan_in_path(request: Request) -> str:
    return str(request.path_params["plan"])
