"""A plan as CSV (RFC 4180, UTF-8 without a byte order mark): one row for each file that would go or is left alone."""

from __future__ import annotations

import csv
import io

from msgspec import UNSET, UnsetType

from dedupd.protocol.cleanup import LeftAloneMessage, PlanItemMessage, PlanMessage, VictimMessage
from dedupd.protocol.text import cell_text

COLUMNS = (
    "item",  # empty for a file that is left alone
    "group",
    "what",  # the plan's action, carry, or left-alone
    "path",
    "role",
    "size",  # bytes
    "frees_bytes",  # of the item, in the row of its picture
    "relation",
    "similarity",
    "probability",
    "reason",
    "keep",
    "keep_reason",
    "to",  # where it is carried
    "path_b64",
    "keep_b64",
)


def plan_csv(plan: PlanMessage) -> bytes:
    """The plan's rows below their heading."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for item in plan.items:
        for place, victim in enumerate(item.victims):
            writer.writerow(_victim_row(plan.action, item, victim, frees_bytes=0 if place else item.frees_bytes))
    for file in plan.left_alone:
        writer.writerow(_left_alone_row(file))
    return text.getvalue().encode()


def _victim_row(
    action: str, item: PlanItemMessage, victim: VictimMessage, *, frees_bytes: int
) -> tuple[str | int, ...]:
    return (
        item.number,
        item.group,
        action if victim.carried_to is None else "carry",
        cell_text(victim.path),
        victim.role,
        victim.size_bytes,
        frees_bytes,
        item.relation,
        f"{item.similarity:.4f}",
        f"{item.probability:.4f}",
        cell_text(item.reason),
        cell_text(item.keeper.path),
        cell_text(item.keep_reason),
        "" if victim.carried_to is None else cell_text(victim.carried_to.path),
        _exact(victim.path_b64),
        _exact(item.keeper.path_b64),
    )


def _left_alone_row(file: LeftAloneMessage) -> tuple[str | int, ...]:
    row: dict[str, str | int] = {
        "group": file.group,
        "what": "left-alone",
        "path": cell_text(file.path),
        "size": file.size_bytes,
        "reason": cell_text(f"{file.why}: {file.detail}"),
        "path_b64": _exact(file.path_b64),
    }
    return tuple(row.get(column, "") for column in COLUMNS)


def _exact(path_b64: str | UnsetType) -> str:
    return "" if path_b64 is UNSET else path_b64
