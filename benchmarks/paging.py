"""Groups page by page, and the report, of libraries with ever more duplicates: CPU time, and memory of their process.

    python -m benchmarks.paging [--pairs 1000 20000 200000] [--json FILE]

The libraries are made up in the store: two contents a pair, each with a file, none on a disk. One process for each
library opens it, makes the groups from the edges as a daemon's start does, and asks what the API asks: a first page of
fifty, which puts all groups in order; the pages after it; a page after one file has come; all of them in pages of a
thousand, as `dedupctl groups` does; the report's totals, and the whole report as JSON. Each answer is encoded. Memory
is what the process holds by itself (RssAnon) beyond the groups' pairs, looked at after each page or some pieces.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.common import Result, Row, median, run_alone
from benchmarks.idle import A_COMMIT, A_FOLDER, made_content, made_edge, made_root, made_up_stat
from dedupd.api.pictures import Gallery
from dedupd.core.keeper import KEEP_POLICY
from dedupd.core.records import (
    DUPLICATE_RELATIONS,
    ContentId,
    FilePath,
    FileRecord,
    FileStage,
    ModelTag,
    RootId,
)
from dedupd.pipeline.group_book import GroupBook
from dedupd.protocol.pictures import GroupsMessage
from dedupd.reporting.report import draft_report
from dedupd.reporting.write_json import json_chunks
from dedupd.store import LmdbLibrary

QUICK = ("--pairs", "1000", "10000")
ROOT = RootId(1)
PAGE, LONG_PAGE = 50, 1000
NEXT_PAGES = 20
CHANGES = 5
MOST_TIMES = 2.0  # what a page of the largest library may cost against one of the smallest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=int, nargs="+", default=[1_000, 20_000, 200_000], help="how many, each in turn")


def run(arguments: argparse.Namespace) -> Result:
    return {"pairs": {str(pairs): measured_apart(pairs) for pairs in arguments.pairs}}


def measured_apart(pairs: int) -> Result:
    with tempfile.TemporaryDirectory() as temporary:
        state = Path(temporary) / "state"
        make_pairs(state, pairs)
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            return process.submit(measured, state).result()


def make_pairs(state: Path, pairs: int) -> None:
    """A store with that many groups of two."""
    row = np.eye(1, 4, dtype=np.float32)
    library = LmdbLibrary(state)
    with library.transaction() as txn:
        txn.put_root(made_root(ROOT, b"/photos"))
    for first in range(0, 2 * pairs, A_COMMIT):
        with library.transaction() as txn:
            known: list[ContentId] = []
            for number in range(first, min(2 * pairs, first + A_COMMIT)):
                content = txn.add_content(made_content(number, row), ModelTag("made"))
                txn.mark_linked(content.id)
                txn.put_file(file_of(number, content.id))
                known.append(content.id)
            for a, b in zip(known[::2], known[1::2], strict=True):
                txn.put_edge(made_edge(a, b))
    library.close()


def file_of(number: int, content: ContentId) -> FileRecord:
    path = FilePath(root=ROOT, directory=b"%06d" % (number // A_FOLDER), name=b"IMG_%08d.jpg" % number)
    stat = made_up_stat(number)
    return FileRecord(path=path, stat=stat, stage=FileStage.INDEXED, content=content, first_seen_ns=1)


@dataclass(slots=True)
class Holding:
    """What this process holds by itself, beyond what it did at the beginning."""

    base_mib: float = 0.0
    peak_mib: float = 0.0

    def begin(self) -> None:
        gc.collect()
        self.base_mib, self.peak_mib = own_mib(), 0.0

    def look(self) -> None:
        self.peak_mib = max(self.peak_mib, own_mib() - self.base_mib)


def own_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024


def measured(state: Path) -> Result:
    """What questions about the groups of a library cost."""
    library = LmdbLibrary(state)
    book, holding = GroupBook(library), Holding()
    pairs = [0]
    load_s = cpu_s_of(lambda: pairs.append(book.load()))
    holding.begin()
    afters = [0]
    first_s = cpu_s_of(lambda: afters.append(page(library, book, afters[-1], PAGE)))
    gc.collect()
    order_mib = own_mib() - holding.base_mib
    next_s = [cpu_s_of(lambda: afters.append(page(library, book, afters[-1], PAGE))) for _ in range(NEXT_PAGES - 1)]
    changed_s = [after_a_change(library, book, number) for number in range(CHANGES)]
    holding.begin()
    walk_s = cpu_s_of(lambda: walk(library, book, holding.look))
    walk_mib = holding.peak_mib
    draft_s = cpu_s_of(lambda: drafted(library, book))
    holding.begin()
    report_s = cpu_s_of(lambda: consume(json_chunks(drafted(library, book)), holding.look))
    library.close()
    return {
        "pairs": pairs[-1],
        "load_cpu_s": round(load_s, 3),
        "first_page_cpu_s": round(first_s, 3),
        "order_mib": round(order_mib, 1),
        "page_cpu_ms": round(1000 * median(next_s), 2),
        "page_after_change_cpu_ms": round(1000 * median(changed_s), 2),
        "walk_cpu_s": round(walk_s, 3),
        "walk_mib": round(walk_mib, 1),
        "report_totals_cpu_ms": round(1000 * draft_s, 2),
        "report_cpu_s": round(report_s, 3),
        "report_mib": round(holding.peak_mib, 1),
    }


def cpu_s_of(ask: Callable[[], object]) -> float:
    began = time.process_time()
    ask()
    return time.process_time() - began


def page(library: LmdbLibrary, book: GroupBook, after: int, limit: int) -> int:
    """What GET /v1/groups does; the id that the next page is after, 0 where there is none."""
    listing = book.all(DUPLICATE_RELATIONS)
    found = listing.page(ContentId(after) if after else None, limit)
    assert found is not None
    with library.view() as view:
        gallery = Gallery.of(view)
        messages = tuple(message for group in found.groups if (message := gallery.group(group)) is not None)
    msgspec.json.encode(GroupsMessage(groups=messages, total=len(listing), next=found.next))
    return found.next or 0


def after_a_change(library: LmdbLibrary, book: GroupBook, number: int) -> float:
    """A further copy of a picture comes, then somebody asks for the first page."""
    with library.transaction() as txn:
        [first] = txn.files_of(ContentId(2 * number + 1))
        again = replace(first.path, name=b"again-" + first.path.name)
        txn.put_file(replace(first, path=again, stat=made_up_stat(10**9 + number)))
    return cpu_s_of(lambda: page(library, book, 0, PAGE))


def walk(library: LmdbLibrary, book: GroupBook, look: Callable[[], None]) -> None:
    after = page(library, book, 0, LONG_PAGE)
    while after:
        look()
        after = page(library, book, after, LONG_PAGE)


def drafted(library: LmdbLibrary, book: GroupBook) -> Any:
    return draft_report(library, book, relations=DUPLICATE_RELATIONS, keep_policy=KEEP_POLICY, now_ns=1)


def consume(pieces: Iterable[bytes], look: Callable[[], None]) -> None:
    for number, _ in enumerate(pieces):
        if number % LONG_PAGE == 0:
            look()


def rows(result: Result) -> list[Row]:
    by_pairs = result["pairs"]
    found = []
    for own in by_pairs.values():
        found += [
            Row(
                what=f"{own['pairs']:,} pairs: CPU of the first page / the next / one after a change",
                value=f"{own['first_page_cpu_s']:.2f} s / {own['page_cpu_ms']:.1f} / "
                f"{own['page_after_change_cpu_ms']:.1f} ms",
            ),
            Row(
                what="… of all pages / the report's totals / the whole report as JSON",
                value=f"{own['walk_cpu_s']:.1f} s / {own['report_totals_cpu_ms']:.1f} ms / {own['report_cpu_s']:.1f} s",
            ),
            Row(
                what="… memory of the order, and at most while all pages / the report are made",
                value=f"{own['order_mib']:.0f} MiB, {own['walk_mib']:.0f} / {own['report_mib']:.0f} MiB",
            ),
        ]
    small, large = (by_pairs[str(choose(map(int, by_pairs)))] for choose in (min, max))
    times = large["page_cpu_ms"] / small["page_cpu_ms"]
    found.append(
        Row(
            what=f"a page of {large['pairs']:,} pairs against one of {small['pairs']:,}",
            value=f"{times:.2f} times",
            promise=f"≤ {MOST_TIMES:g} times",
            is_kept=times <= MOST_TIMES,
        )
    )
    return found


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
