"""`dedupctl problems`: files that are not indexed, and why."""

from __future__ import annotations

import argparse

from dedupd.cli.asking import client_of
from dedupd.cli.printing import Output
from dedupd.protocol.status import ProblemMessage, ProblemsMessage

_PAGE = 10_000  # the API's limit


def run(args: argparse.Namespace, output: Output) -> int:
    """Ask for all pages and print."""
    client = client_of(args)
    problems: list[ProblemMessage] = []
    after: int | None = 0
    while after is not None:
        page = client.problems(limit=_PAGE, after=after)
        problems += page.problems
        after = page.next
    if output.is_json:
        output.document(ProblemsMessage(problems=tuple(problems), total=len(problems), next=None))
    elif problems:
        rows = [
            [problem.code, problem.retry_at or "when it changes", problem.detail, problem.path] for problem in problems
        ]
        output.table(["PROBLEM", "NEXT TRY", "DETAIL", "PATH"], rows)
    else:
        output.line("No problems: every file that looks like a picture is indexed.")
    return 0
