"""What clients send: bodies and query strings. Unknown fields are refused, so a misspelt one is never ignored."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

MAX_DIGESTS = 10_000  # 67 bytes each in JSON: fits the limit below
MAX_JSON_BYTES = 1024 * 1024
MAX_IMAGE_BYTES = 512 * 1024 * 1024  # the limit for files in the library too: larger ones are "too-large"

MAX_NAME = 1000  # characters; more does not fit on a picture anyway
MAX_AGE_S = 3_153_600_000  # a hundred years
MAX_VERDICT_PICTURES = 100  # every pair of them is a verdict: 4950
MAX_SIMILAR = 1000
MAX_NUMBER = 2**62  # far above any id or sequence, and below what 64 bits hold

DigestText = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="BLAKE3-256 in lower-case hex")]
DuplicateRelation = Literal["same-bytes", "same-pixels", "re-encoded", "edited"]
ActionWord = Literal["quarantine", "hardlink", "reflink", "move", "sort", "trash"]
ReportFormat = Literal["json", "csv", "html"]
SheetFormat = Literal["png", "jpeg", "webp"]
ExplainFormat = Annotated[
    Literal["json", "png", "jpeg", "webp"], Meta(description="json, or a picture for people that shows both")
]
LowestRelation = Annotated[
    DuplicateRelation, Meta(description="the loosest relation that counts; everything closer counts too")
]


class HaveRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask which of these digests the library knows."""

    digests: Annotated[tuple[DigestText, ...], Meta(max_length=MAX_DIGESTS)]


class RescanRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scan these roots; null or left out: all."""

    roots: tuple[int, ...] | None = None


class PauseRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hold up the backlog for so long; null or left out: until it is resumed."""

    for_s: Annotated[float, Meta(gt=0, le=MAX_AGE_S)] | None = None


class PictureName(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A picture of the library, by one of these; `path_b64` counts where both it and `path` are given.

    So a file can be named with the fields that an answer gave it.
    """

    content: Annotated[int, Meta(ge=0, le=MAX_NUMBER)] = 0
    path: str = ""  # absolute
    path_b64: str = ""  # the exact bytes in base64


class PlanRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Draw a plan up; what is null or left out is as the policy has it."""

    policy: Annotated[str, Meta(max_length=MAX_NAME, description="a configured policy or a preset; empty: default")] = (
        ""
    )
    relations: Annotated[tuple[DuplicateRelation, ...] | None, Meta(description="just these, not down to one")] = None
    roots: tuple[int, ...] | None = None
    below: Annotated[str, Meta(description="absolute path of a folder: only files below it go")] = ""
    below_b64: str = ""
    groups: tuple[int, ...] | None = None
    action: ActionWord | None = None
    folder: Annotated[str, Meta(description="absolute path, for move and sort")] = ""
    folder_b64: str = ""
    min_age_s: Annotated[float, Meta(ge=0, le=MAX_AGE_S)] | None = None


class UndoRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Put back what a plan took."""

    plan: Annotated[str, Meta(description="its id or a start of it, 8 digits or more; empty: applied last")] = ""
    items: Annotated[tuple[int, ...] | None, Meta(description="null or left out: all")] = None


class ExpireRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Delete for good what GET /v1/quarantine/expiry showed with the same `plan` and `now`."""

    confirm: Annotated[str, Meta(min_length=1, max_length=MAX_NAME, description="the token that it gave")]
    plan: Annotated[str, Meta(description="as for undo; empty: all plans")] = ""
    now: Annotated[bool, Meta(description="also what is not due yet")] = False


class VerdictRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pictures that are no duplicates of each other: either two or more of them, or a group."""

    pictures: Annotated[tuple[PictureName, ...], Meta(max_length=MAX_VERDICT_PICTURES)] = ()
    group: Annotated[int, Meta(ge=0, le=MAX_NUMBER, description="its id, or that of any content in it")] = 0


class PinRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file to keep, or no longer; `path_b64` counts where both are given."""

    path: str = ""  # absolute
    path_b64: str = ""


class PlanQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of GET /v1/plans/{plan}."""

    format: Literal["json", "csv"] = "json"


class ExpiryQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of GET /v1/quarantine/expiry."""

    plan: Annotated[str, Meta(description="id of a plan or a start of it; left out: all")] = ""
    now: Annotated[bool, Meta(description="also what is not due yet")] = False


class NoQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A route without parameters."""


class ReportQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of GET /v1/report."""

    format: ReportFormat = "json"
    relation: LowestRelation = "edited"


class GroupsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of GET /v1/groups."""

    limit: Annotated[int, Meta(ge=1, le=1000, description="groups in one page")] = 50
    after: Annotated[int, Meta(ge=0, le=MAX_NUMBER, description="id of the last group seen; 0: from the first")] = 0
    relation: LowestRelation = "edited"


class ProblemsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of GET /v1/problems."""

    limit: Annotated[int, Meta(ge=1, le=10_000, description="files in one page")] = 1000
    after: Annotated[int, Meta(ge=0, le=MAX_NUMBER, description="how many to pass over: `next` of the page before")] = 0


class FindQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of POST /v1/find."""

    pixels: Annotated[bool, Meta(description="only same-bytes and same-pixels count")] = False


class SimilarQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of GET /v1/similar."""

    content: Annotated[int, Meta(ge=1, le=MAX_NUMBER, description="a picture of the library")]
    limit: Annotated[int, Meta(ge=1, le=MAX_SIMILAR, description="pictures in the answer")] = 20
    model: Annotated[str, Meta(max_length=MAX_NAME, description="only this one; left out: the first that is ready")] = (
        ""
    )


class SimilarUploadQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of POST /v1/similar."""

    limit: Annotated[int, Meta(ge=1, le=MAX_SIMILAR, description="pictures in the answer")] = 20
    model: Annotated[str, Meta(max_length=MAX_NAME, description="only this one; left out: the first that is ready")] = (
        ""
    )


class ExplainQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of GET /v1/explain."""

    a: Annotated[str, Meta(description="absolute path in the library, or content:NUMBER")]
    b: Annotated[str, Meta(description="absolute path in the library, or content:NUMBER")]
    format: ExplainFormat = "json"


class ExplainUploadQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of POST /v1/explain: what is left out of `a` and `b` comes in the body."""

    a: Annotated[str, Meta(description="as for GET; left out: A's bytes are in the body")] = ""
    b: Annotated[str, Meta(description="as for GET; left out: B's bytes are in the body")] = ""
    a_bytes: Annotated[
        int, Meta(ge=0, le=MAX_NUMBER, description="with both in the body: how many of its bytes are A's, the first")
    ] = 0
    name_a: Annotated[str, Meta(max_length=MAX_NAME, description="what A is called on the picture")] = ""
    name_b: Annotated[str, Meta(max_length=MAX_NAME, description="what B is called on the picture")] = ""
    format: ExplainFormat = "json"


class EventsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of GET /v1/events."""

    after: Annotated[
        int,
        Meta(
            ge=-1,
            le=MAX_NUMBER,
            description="sequence last seen; 0: everything still kept; -1: as Last-Event-ID says, else only new ones",
        ),
    ] = -1
    follow: Annotated[bool, Meta(description="0: end after what is there now")] = True
