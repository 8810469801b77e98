"""`dedupctl doctor`: what stands in the daemon's way on this machine."""

from __future__ import annotations

import argparse

from dedupd.cli.asking import client_of
from dedupd.cli.printing import Output, escaped

_SIGNS = {"ok": "ok      ", "warning": "WARNING ", "problem": "PROBLEM "}


def run(args: argparse.Namespace, output: Output) -> int:
    """Ask and print; 1 if something does not work."""
    answer = client_of(args).doctor()
    if output.is_json:
        output.document(answer)
    else:
        for finding in answer.findings:
            output.line(f"{_SIGNS.get(finding.verdict, '')}{escaped(finding.subject)}: {escaped(finding.words)}")
            if finding.remedy:
                output.line(f"        → {escaped(finding.remedy)}")
    return 1 if answer.verdict == "problem" else 0
