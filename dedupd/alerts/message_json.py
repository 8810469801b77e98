"""An alert as JSON, for hooks. docs/alerts.md documents it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import UNSET, Struct, UnsetType

from dedupd.core.alert_rules import AlertMessage
from dedupd.core.records import RootId
from dedupd.protocol.convert_events import event_message
from dedupd.protocol.events import EventMessage
from dedupd.protocol.text import path_b64, path_text


class AlertJson(Struct, frozen=True, kw_only=True):
    """What a hook reads on standard input."""

    kind: str  # core.alert_rules.AlertKind
    title: str
    body: str
    path: str | None  # absolute: the first file or the root that it is about
    path_b64: str | UnsetType = UNSET  # only when the path is not valid UTF-8
    count: int  # how many events it speaks of
    events: tuple[EventMessage, ...]  # as GET /v1/events gives them; the first of `count`


def alert_json(message: AlertMessage, root_paths: Mapping[RootId, bytes]) -> bytes:
    """The alert as one line of UTF-8 JSON."""
    path = message.path
    told = AlertJson(
        kind=message.kind,
        title=message.title,
        body=message.body,
        path=None if path is None else path_text(path),
        path_b64=UNSET if path is None else path_b64(path),
        count=message.count,
        events=tuple(event_message(event, root_paths) for event in message.events),
    )
    return msgspec.json.encode(told) + b"\n"
