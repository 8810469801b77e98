"""`dedupctl report`: a table for a person, or the daemon's JSON, CSV or HTML as it comes."""

from __future__ import annotations

import argparse
import sys

from dedupd.cli.asking import client_of
from dedupd.cli.new_file import write_whole
from dedupd.cli.printing import Output, escaped, json_text
from dedupd.core.errors import RequestError
from dedupd.core.wording import bytes_text, count_text, percent_text, probability_text
from dedupd.protocol.report import ReportMessage
from dedupd.protocol.requests import ReportFormat


def run(args: argparse.Namespace, output: Output) -> int:
    """Ask and print, or write to a file."""
    client = client_of(args)
    if args.format == "table" and not output.is_json:
        if args.out:
            raise RequestError("A table is for the screen.\nUse --format json, csv or html with --out.")
        _print_table(client.report(relation=args.relation), output)
        return 0
    report_format: ReportFormat = "json" if args.format == "table" else args.format
    pieces = client.report_pieces(report_format, relation=args.relation)
    if args.out:
        write_whole(args.out, pieces)
        print(f"dedupctl: wrote {escaped(args.out)}", file=sys.stderr)
    elif sys.stdout.isatty():  # only text may reach a terminal, and only such as cannot steer it
        whole = b"".join(pieces)
        print(json_text(whole) if report_format == "json" else "\n".join(map(escaped, whole.decode().split("\n"))))
    else:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
    return 0


def _print_table(report: ReportMessage, output: Output) -> None:
    rows: list[list[str]] = []
    for group in report.groups:
        rows.append([str(group.id), "keep", "", "", "", bytes_text(group.keep.size_bytes), group.keep.path])
        rows += [
            [
                "",
                file.relation or "",
                percent_text(file.similarity),
                probability_text(file.probability),
                bytes_text(file.frees_bytes),
                bytes_text(file.size_bytes),
                file.path,
            ]
            for file in group.duplicates
        ]
    if rows:
        output.table(["GROUP", "RELATION", "SIMILAR", "ONE SHOT", "FREES", "SIZE", "PATH"], rows, right=(0, 2, 3, 4, 5))
        output.line()
    output.line(
        f"{count_text(report.duplicate_groups, 'group', 'groups')}, "
        f"{count_text(report.total_duplicates, 'duplicate', 'duplicates')} among "
        f"{count_text(report.total_images, 'picture file', 'picture files')}; "
        f"removing them would free {bytes_text(report.frees_bytes)}. Kept by: {escaped(report.keep_policy)}."
    )
    if report.pending:
        output.line(f"Not complete: {report.pending:,} still to work off.")
    if report.problems:
        output.line(f"{count_text(report.problems, 'file is', 'files are')} not indexed: `dedupctl problems` says why.")
