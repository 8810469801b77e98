"""Writes a report as JSON, group by group, so that a long one never stands in memory as text.

The shape is protocol.report's; nothing is added here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from dedupd.core.report import Report
from dedupd.protocol.report import report_group_message, report_message

_END = b"]}"  # closes `groups`, which is the last field of the message


def json_chunks(report: Report) -> Iterator[bytes]:
    """The report as UTF-8 JSON, one line a group."""
    frame = msgspec.json.encode(report_message(replace(report, groups=())))
    assert frame.endswith(b'"groups":[' + _END)
    yield frame.removesuffix(_END)
    for i, group in enumerate(report.groups):
        yield (b",\n" if i else b"\n") + msgspec.json.encode(report_group_message(group))
    yield b"\n" + _END + b"\n"
