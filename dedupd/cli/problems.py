"""`dedupctl problems`: files that are not indexed, why, and what helps."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from dedupd.cli.asking import client_of
from dedupd.cli.printing import Output, duration_text
from dedupd.core.wording import count_text
from dedupd.protocol.fields import ProblemName
from dedupd.protocol.status import ProblemMessage, ProblemsMessage

_PAGE = 10_000  # the API's limit

WHAT_HELPS: dict[ProblemName, str] = {
    "not-an-image": "no picture, whatever the name says",
    "unsupported-format": "a picture of a kind that is not read; convert it if it is to be found",
    "empty": "no byte is in it; look for a backup",
    "truncated": "only its beginning is there; copy it again, or look for a backup",
    "damaged": "the decoder refused it; look for a backup",
    "too-large": "larger than a file may be",
    "too-many-pixels": "raise decode.max_jpeg_megapixels or decode.max_other_megapixels if it is no bomb",
    "decoder-timeout": "raise decode.timeout_s if this machine is slow",
    "decoder-died": "it ended the decoder twice; please report the file, if you may show it",
    "not-described": "a model failed on it; the log says why",
    "no-permission": "give the user of dedupd the right to read it",
    "io-error": "the disk or the network failed; look at the disk first (SMART, dmesg)",
    "not-a-regular-file": "a pipe, a socket or a device with a picture's name",
    "still-changing": "some program goes on writing to it",
}


def run(args: argparse.Namespace, output: Output) -> int:
    """Ask for all pages and print."""
    client = client_of(args)
    problems: list[ProblemMessage] = []
    after: int | None = 0
    while after is not None:
        page = client.problems(limit=_PAGE, after=after)
        problems += (problem for problem in page.problems if args.code is None or problem.code == args.code)
        after = page.next
    if output.is_json:
        output.document(ProblemsMessage(problems=tuple(problems), total=len(problems), next=None))
    elif problems:
        now_s = time.time()
        rows = [
            [problem.code, _next_try(problem.retry_at, now_s), problem.detail, problem.path]
            for problem in sorted(problems, key=lambda problem: problem.code)  # in each kind as before, by path
        ]
        output.table(["PROBLEM", "NEXT TRY", "DETAIL", "PATH"], rows)
        for line in _summary(problems):
            output.line(line)
    elif args.code is not None:
        output.line(f"No file is not indexed for this reason: {args.code}.")
    else:
        output.line("No problems: every file that looks like a picture is indexed.")
    return 0


def _summary(problems: Sequence[ProblemMessage]) -> Iterator[str]:
    """How many of each kind, the most frequent first, and what helps."""
    yield ""
    yield f"{count_text(len(problems), 'file is', 'files are')} not indexed:"
    counts = Counter(problem.code for problem in problems)
    for code, count in counts.most_common():
        yield f"{count:8,} {code}: {WHAT_HELPS[code]}"


def _next_try(retry_at: str | None, now_s: float) -> str:
    """When a file is read again, for a person; `retry_at` is ISO 8601 in UTC."""
    if retry_at is None:
        return "when it changes"
    left_s = datetime.fromisoformat(retry_at).timestamp() - now_s
    return f"in {duration_text(left_s)}" if left_s > 0 else "now"
