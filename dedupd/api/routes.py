"""The table of routes: what the server binds, what OpenAPI describes, what the documentation must name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from msgspec import Struct

from dedupd.protocol import requests
from dedupd.protocol.events import EventMessage
from dedupd.protocol.pictures import FindMessage, GroupMessage, GroupsMessage, HaveMessage, PairMessage
from dedupd.protocol.report import ReportMessage
from dedupd.protocol.status import (
    ForgottenMessage,
    HealthMessage,
    ProblemsMessage,
    RescanMessage,
    RootMessage,
    RootsMessage,
    StatusMessage,
)


class Body(StrEnum):
    """What a request carries."""

    NONE = "none"
    JSON = "application/json"
    IMAGE = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSpec:
    """One route. `answer` is a type that msgspec can describe, None where the answer is not JSON."""

    name: str
    method: str
    path: str
    summary: str
    answer: Any
    query: type[Struct] = requests.NoQuery
    body: Body = Body.NONE
    body_type: type[Struct] | None = None
    media_types: tuple[str, ...] = ("application/json",)
    status: int = 200
    refusals: tuple[int, ...] = ()  # statuses beside those that every route may give


ROUTES = (
    RouteSpec(name="health", method="GET", path="/healthz", summary="Whether the daemon answers", answer=HealthMessage),
    RouteSpec(
        name="openapi_description",
        method="GET",
        path="/openapi.json",
        summary="This description",
        answer=dict[str, Any],
    ),
    RouteSpec(
        name="status", method="GET", path="/v1/status", summary="Progress, roots, what is wrong", answer=StatusMessage
    ),
    RouteSpec(
        name="report",
        method="GET",
        path="/v1/report",
        summary="All groups at this moment",
        answer=ReportMessage,
        query=requests.ReportQuery,
        media_types=("application/json", "text/csv", "text/html"),
    ),
    RouteSpec(
        name="groups",
        method="GET",
        path="/v1/groups",
        summary="Groups of duplicates, page by page, those that free the most bytes first",
        answer=GroupsMessage,
        query=requests.GroupsQuery,
    ),
    RouteSpec(
        name="group",
        method="GET",
        path="/v1/groups/{id}",
        summary="One group, by its id or by any content in it",
        answer=GroupMessage,
        refusals=(404,),
    ),
    RouteSpec(
        name="problems",
        method="GET",
        path="/v1/problems",
        summary="Files that are not indexed, and why",
        answer=ProblemsMessage,
        query=requests.ProblemsQuery,
    ),
    RouteSpec(name="roots", method="GET", path="/v1/roots", summary="The watched directories", answer=RootsMessage),
    RouteSpec(
        name="accept_root",
        method="POST",
        path="/v1/roots/{id}/accept",
        summary="Believe what a suspect root shows now",
        answer=RootMessage,
        refusals=(404,),
    ),
    RouteSpec(
        name="forget_root",
        method="DELETE",
        path="/v1/roots/{id}",
        summary="Drop a root that is no longer configured, with its rows; touches no photo",
        answer=ForgottenMessage,
        refusals=(404,),
    ),
    RouteSpec(
        name="rescan",
        method="POST",
        path="/v1/rescan",
        summary="Scan roots as soon as possible; answers at once",
        answer=RescanMessage,
        body=Body.JSON,
        body_type=requests.RescanRequest,
        status=202,
        refusals=(404, 413),
    ),
    RouteSpec(
        name="find",
        method="POST",
        path="/v1/find",
        summary="Which pictures of the library a picture is; the body is the file's bytes",
        answer=FindMessage,
        query=requests.FindQuery,
        body=Body.IMAGE,
        refusals=(408, 413, 422),
    ),
    RouteSpec(
        name="have",
        method="POST",
        path="/v1/have",
        summary="Which digests the library knows byte for byte",
        answer=HaveMessage,
        body=Body.JSON,
        body_type=requests.HaveRequest,
        refusals=(413,),
    ),
    RouteSpec(
        name="explain",
        method="GET",
        path="/v1/explain",
        summary="Why two pictures of the library are together or not; opens no path",
        answer=PairMessage,
        query=requests.ExplainQuery,
        media_types=("application/json", "image/png", "image/jpeg", "image/webp"),
        refusals=(404,),
    ),
    RouteSpec(
        name="explain_upload",
        method="POST",
        path="/v1/explain",
        summary="The same where one or both are not in the library; the body is their bytes, A's first",
        answer=PairMessage,
        query=requests.ExplainUploadQuery,
        body=Body.IMAGE,
        media_types=("application/json", "image/png", "image/jpeg", "image/webp"),
        refusals=(404, 408, 413, 422),
    ),
    RouteSpec(
        name="events",
        method="GET",
        path="/v1/events",
        summary="Server-sent events; the data of each is one JSON object",
        answer=EventMessage,
        query=requests.EventsQuery,
        media_types=("text/event-stream",),
    ),
    RouteSpec(
        name="preview",
        method="GET",
        path="/v1/preview/{id}",
        summary="A small JPEG of a content",
        answer=None,
        media_types=("image/jpeg",),
        refusals=(404,),
    ),
)
