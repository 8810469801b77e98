"""The table of routes: what the server binds, what OpenAPI describes, what the documentation must name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from msgspec import Struct

from dedupd.api.metrics import MEDIA_TYPE as METRICS_MEDIA
from dedupd.protocol import requests
from dedupd.protocol.cleanup import (
    ExpiryMessage,
    PinMessage,
    PinsMessage,
    PlanMessage,
    PlansMessage,
    QuarantineMessage,
    RunMessage,
    UnpinnedMessage,
    VerdictsMessage,
    WithdrawnMessage,
)
from dedupd.protocol.events import EventMessage
from dedupd.protocol.pictures import FindMessage, GroupMessage, GroupsMessage, HaveMessage, PairMessage, SimilarMessage
from dedupd.protocol.report import ReportMessage
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

TAR = "application/x-tar"
NDJSON = "application/x-ndjson"
SSE = "text/event-stream"


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
    right: str = ""  # what only an admin may do, as in "apply plans"; "": open to whoever may connect

    @property
    def is_admin(self) -> bool:
        """Whether only an admin may use it."""
        return bool(self.right)


LIBRARY_ROUTES = (
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
        name="metrics",
        method="GET",
        path="/metrics",
        summary="The same in numbers, as Prometheus reads it",
        answer=None,
        media_types=(METRICS_MEDIA,),
    ),
    RouteSpec(
        name="doctor",
        method="GET",
        path="/v1/doctor",
        summary="What stands in the daemon's way on this machine, each thing with its remedy",
        answer=DoctorMessage,
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
        refusals=(404,),
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
        right="accept roots",
    ),
    RouteSpec(
        name="forget_root",
        method="DELETE",
        path="/v1/roots/{id}",
        summary="Drop a root that is no longer configured, with its rows; touches no photo",
        answer=ForgottenMessage,
        refusals=(404,),
        right="forget roots",
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
        name="pause",
        method="POST",
        path="/v1/pause",
        summary="Hold up the backlog for a time, or until it is resumed",
        answer=PauseMessage,
        body=Body.JSON,
        body_type=requests.PauseRequest,
        refusals=(413,),
        right="pause the backlog",
    ),
    RouteSpec(
        name="resume",
        method="DELETE",
        path="/v1/pause",
        summary="End a pause; answers with what holds the backlog up all the same",
        answer=PauseMessage,
        right="pause the backlog",
    ),
    RouteSpec(
        name="backup",
        method="GET",
        path="/v1/backup",
        summary="What cannot be derived again, as one tar file",
        answer=None,
        media_types=(TAR,),
        right="take a backup",
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
        name="similar",
        method="GET",
        path="/v1/similar",
        summary="What a model says is near a picture of the library",
        answer=SimilarMessage,
        query=requests.SimilarQuery,
        refusals=(404,),
    ),
    RouteSpec(
        name="similar_upload",
        method="POST",
        path="/v1/similar",
        summary="The same of a picture that is sent; the body is the file's bytes",
        answer=SimilarMessage,
        query=requests.SimilarUploadQuery,
        body=Body.IMAGE,
        refusals=(404, 408, 413, 422),
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
        media_types=(SSE,),
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

# What a clean-up may do to files is decided behind the `Cleanup` port; who may ask for it, by `right`.
CLEANUP_ROUTES = (
    RouteSpec(
        name="draft_plan",
        method="POST",
        path="/v1/plans",
        summary="Draw a plan up and store it; touches nothing",
        answer=PlanMessage,
        body=Body.JSON,
        body_type=requests.PlanRequest,
        status=201,
        refusals=(404, 413),
    ),
    RouteSpec(name="plans", method="GET", path="/v1/plans", summary="The plans, the newest first", answer=PlansMessage),
    RouteSpec(
        name="plan",
        method="GET",
        path="/v1/plans/{plan}",
        summary="One plan whole",
        answer=PlanMessage,
        query=requests.PlanQuery,
        media_types=("application/json", "text/csv"),
        refusals=(404,),
    ),
    RouteSpec(
        name="apply_plan",
        method="POST",
        path="/v1/plans/{plan}/apply",
        summary="Do a plan; one JSON object a line, for each file as it is done, then for the end",
        answer=RunMessage,
        media_types=(NDJSON,),
        refusals=(404,),
        right="apply plans",
    ),
    RouteSpec(
        name="undo",
        method="POST",
        path="/v1/undo",
        summary="Put back what a plan took; answers as applying does",
        answer=RunMessage,
        body=Body.JSON,
        body_type=requests.UndoRequest,
        media_types=(NDJSON,),
        refusals=(404, 413),
        right="undo plans",
    ),
    RouteSpec(
        name="quarantine",
        method="GET",
        path="/v1/quarantine",
        summary="What can still be put back, the oldest first",
        answer=QuarantineMessage,
    ),
    RouteSpec(
        name="expiry",
        method="GET",
        path="/v1/quarantine/expiry",
        summary="What an expiry would delete for good, and the token that confirms it; touches nothing",
        answer=ExpiryMessage,
        query=requests.ExpiryQuery,
        refusals=(404,),
    ),
    RouteSpec(
        name="expire",
        method="POST",
        path="/v1/quarantine/expire",
        summary="Delete for good what was shown; answers as applying does",
        answer=RunMessage,
        body=Body.JSON,
        body_type=requests.ExpireRequest,
        media_types=(NDJSON,),
        refusals=(404, 413),
        right="delete from the quarantine",
    ),
    RouteSpec(
        name="verdicts",
        method="GET",
        path="/v1/verdicts",
        summary="Which pictures people said are no duplicates, the newest first",
        answer=VerdictsMessage,
    ),
    RouteSpec(
        name="reject",
        method="POST",
        path="/v1/verdicts",
        summary="Say that pictures are no duplicates of each other; answers with what was said",
        answer=VerdictsMessage,
        body=Body.JSON,
        body_type=requests.VerdictRequest,
        refusals=(404, 413),
        right="say what is no duplicate",
    ),
    RouteSpec(
        name="withdraw",
        method="DELETE",
        path="/v1/verdicts",
        summary="Take back what was said about any two of these pictures",
        answer=WithdrawnMessage,
        body=Body.JSON,
        body_type=requests.VerdictRequest,
        refusals=(404, 413),
        right="say what is no duplicate",
    ),
    RouteSpec(name="pins", method="GET", path="/v1/pins", summary="What people said to keep", answer=PinsMessage),
    RouteSpec(
        name="pin",
        method="POST",
        path="/v1/pins",
        summary="Keep a file, whatever a policy says",
        answer=PinMessage,
        body=Body.JSON,
        body_type=requests.PinRequest,
        refusals=(404, 413),
        right="say what is kept",
    ),
    RouteSpec(
        name="unpin",
        method="DELETE",
        path="/v1/pins",
        summary="Keep a file no longer than a policy says",
        answer=UnpinnedMessage,
        body=Body.JSON,
        body_type=requests.PinRequest,
        refusals=(404, 413),
        right="say what is kept",
    ),
)

ROUTES = (*LIBRARY_ROUTES, *CLEANUP_ROUTES)
