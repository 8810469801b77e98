"""Messages to answers. Owns nothing."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response


def json_answer(message: Any, *, status: int = 200) -> Response:
    """One message as JSON."""
    return Response(msgspec.json.encode(message), status_code=status, media_type="application/json")
