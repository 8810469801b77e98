"""What a client may take of the daemon: how long, and how many connections. Figures only."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

KEY = "limits"  # in the state of each request


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Times in seconds, connections in numbers."""

    header_s: float = 10.0  # from connecting, or from the first byte of a further request, to the end of its header
    body_s: float = 30.0  # the longest wait for the next piece of a body
    slowest_body_bytes_s: int = 16 * 1024  # beyond the first `body_s`: a byte a second only holds a place
    idle_s: int = 60  # between two requests on one connection; whole seconds (uvicorn)
    stuck_s: float = 600.0  # who takes nothing of an answer for so long has gone; a person may page through a report
    connections: int = 64  # each may hold a descriptor, a thread for a moment and about 100 KiB
    of_one_user: int = 32


def limits_in(request: Request) -> Limits:
    """The limits under which a request came."""
    limits = request.scope.get("state", {}).get(KEY)
    return limits if isinstance(limits, Limits) else Limits()
