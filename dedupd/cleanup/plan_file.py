"""A plan as bytes, and the name that follows from them: the same plan always has the same name.

Canonical JSON (sorted keys, bytes as base64), so that the hash names the content. Owns no file.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from blake3 import blake3

from dedupd.core.cleanup_plan import Plan
from dedupd.core.errors import RequestError
from dedupd.core.undecodable import UNDECODABLE

FORMAT = 1
ID_DIGITS = 64


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Annotated[int, msgspec.Meta(ge=1)]
    plan: Plan


def encode_plan(plan: Plan) -> bytes:
    """The canonical bytes of a plan."""
    return msgspec.json.encode(_Document(format=FORMAT, plan=plan), order="sorted")


def plan_id(data: bytes) -> str:
    """The name of a plan's canonical bytes: BLAKE3-256 in hex."""
    return blake3(data).hexdigest()


def decode_plan(data: bytes, expected_id: str) -> Plan:
    """The plan of its canonical bytes.

    Raises:
        RequestError: the bytes are not those that the name stands for, or not those of a plan.
    """
    if plan_id(data) != expected_id:
        raise RequestError(f"The plan {expected_id[:12]} is damaged: its content has another hash. Draw it up again.")
    try:
        document = msgspec.json.decode(data, type=_Document)
    except UNDECODABLE as error:
        raise RequestError(f"The plan {expected_id[:12]} cannot be read: {error}. Draw it up again.") from error
    if document.format != FORMAT:
        raise RequestError(f"The plan {expected_id[:12]} has format {document.format}; this dedupd reads {FORMAT}.")
    return document.plan
