"""An idle daemon with a large library: what memory it holds, and whether it lets the disks sleep.

    python -m benchmarks.idle [--files 100000] [--seconds 180] [--json FILE]

The library is made up: small files in folders of a hundred, each with a content of its own, vectors as the built-in
descriptor makes them, and one verified pair for every five. Nothing is decoded; what the daemon holds is the same.
Memory is the proportional set size of all processes, some time after the first scan, when decode workers have gone to
rest. Reads and writes are what the kernel
counts for them at the disks (/proc/PID/io) between scans.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.common import Result, Row, run_alone
from benchmarks.memory import Looks, kib_of, rounded
from benchmarks.pictures import age
from benchmarks.processes import descendants, running
from dedupd.core.arrays import Vectors
from dedupd.core.ports import DecodedImage, Descriptor, NewContent
from dedupd.core.records import (
    Capture,
    ContentId,
    Edge,
    Evidence,
    FilePath,
    FileRecord,
    FileStage,
    FileStat,
    Quality,
    Relation,
    RootId,
    RootRecord,
    RootState,
)
from dedupd.daemon.build import stat_of
from dedupd.embedding.local_embedder import LocalEmbedder
from dedupd.index.catch_up import open_index, save_snapshot
from dedupd.store import LmdbLibrary

QUICK = ("--files", "2000", "--seconds", "20")
PROMISE_MIB = 143  # 150 MB
A_FOLDER = 100
A_COMMIT = 10_000
VIEWS = 2  # stored vectors of a picture: the whole, and a trimmed view of most
PAIRED = 5  # every fifth content has a verified pair with the next
SEED = 20260101


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--files", type=int, default=100_000, help="how many files and contents")
    parser.add_argument("--seconds", type=float, default=180.0, help="how long reads and writes are counted")
    parser.add_argument("--settle", type=float, default=75.0, help="seconds before that, for what follows a scan")
    parser.add_argument("--workers", type=int, default=0, help="decode workers; 0: one a core")


def run(arguments: argparse.Namespace) -> Result:
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        folder = home / "photos"
        make_library(home / "state", folder, arguments.files)
        take_snapshot(home / "state")
        with running(home, folder, workers=arguments.workers) as daemon:
            status = daemon.wait_until_idle(files=arguments.files)
            while any(root.is_scanning or root.last_full_scan_at is None for root in status.roots):
                status = daemon.wait_until_idle(files=arguments.files)
            looks = Looks(daemon.pid)
            time.sleep(arguments.settle)
            memory = looks.now()
            own_mib = kib_of(f"/proc/{daemon.pid}/status", "VmRSS:") / 1024
            store_mib = mapped_mib(daemon.pid, "/data.mdb")
            private_mib = kib_of(f"/proc/{daemon.pid}/smaps_rollup", "Pss_Anon:") / 1024
            before = moved_bytes(daemon.pid)
            time.sleep(arguments.seconds)
            after = moved_bytes(daemon.pid)
            after_memory = looks.now()
    return {
        "files": status.counts.files,
        "contents": status.counts.contents,
        "indexed": status.indexed,
        "index_kind": status.index_kind,
        "pairs": status.counts.edges,
        "watched_directories": sum(r.watching.watched_directories for r in status.roots if r.watching),
        "workers": status.workers,
        "idle_mib": rounded(memory),
        "idle_mib_later": rounded(after_memory),
        "daemon_rss_mib": round(own_mib, 1),
        "store_pages_mib": round(store_mib, 1),
        "daemon_private_mib": round(private_mib, 1),
        "seconds": arguments.seconds,
        "read_bytes": after[0] - before[0],
        "written_bytes": after[1] - before[1],
    }


def make_library(state: Path, folder: Path, files: int, *, is_on_disk: bool = True) -> None:
    """A store that knows that many files, and the files; without them it is a library whose disk is not there."""
    if is_on_disk:
        folder.mkdir()
    library = LmdbLibrary(state)
    with library.transaction() as txn:
        txn.put_root(made_root(txn.new_root_id(), os.fsencode(folder)))
    _fill(library, folder, range(files), is_on_disk=is_on_disk)
    library.close()


def take_snapshot(state: Path) -> str:
    """Write a snapshot of all that the store holds, as a daemon does when it had time; the kind of its index."""
    library, embedder = LmdbLibrary(state), LocalEmbedder()
    opened = open_index(state / "index", embedder.model, library)
    opened.index.grow_if_due()
    save_snapshot(opened.index, state / "index", embedder.model, opened.sequence)
    embedder.close()
    library.close()
    return opened.index.kind


def add_files(state: Path, folder: Path, files: int) -> None:
    """As many more in such a library without its files."""
    library = LmdbLibrary(state)
    with library.view() as view:
        known = view.counts().contents
    _fill(library, folder, range(known, known + files), is_on_disk=False)
    library.close()


def _fill(library: LmdbLibrary, folder: Path, files: range, *, is_on_disk: bool) -> None:
    embedder = LocalEmbedder()
    model = embedder.model
    embedder.close()
    with library.view() as view:
        root = view.roots()[0].id
    rng = np.random.default_rng((SEED, files.start))
    for first in range(files.start, files.stop, A_COMMIT):
        numbers = range(first, min(files.stop, first + A_COMMIT))
        vectors = rng.standard_normal((len(numbers), VIEWS, model.dim), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
        with library.transaction() as txn:
            known: list[ContentId] = []
            for number, stored in zip(numbers, vectors, strict=True):
                directory = b"%06d" % (number // A_FOLDER)
                path = FilePath(root=root, directory=directory, name=b"IMG_%08d.jpg" % number)
                stat = _put_on_disk(folder, path, number) if is_on_disk else made_up_stat(number)
                content = txn.add_content(made_content(number, stored), model.tag)
                txn.mark_linked(content.id)
                known.append(content.id)
                txn.put_file(
                    FileRecord(path=path, stat=stat, stage=FileStage.INDEXED, content=content.id, first_seen_ns=1)
                )
            for a, b in zip(known[::PAIRED], known[1::PAIRED], strict=False):
                txn.put_edge(made_edge(a, b))


def _put_on_disk(folder: Path, path: FilePath, number: int) -> FileStat:
    on_disk = folder / os.fsdecode(path.directory) / os.fsdecode(path.name)
    on_disk.parent.mkdir(exist_ok=True)
    on_disk.write_bytes(b"%d" % number)
    age(on_disk)
    stat = stat_of(os.fsencode(on_disk))
    assert stat is not None
    return stat


def made_up_stat(number: int) -> FileStat:
    return FileStat(dev=1, ino=number + 1, size_bytes=3_000_000 + number, mtime_ns=number, ctime_ns=number)


def made_content(number: int, vectors: Vectors) -> NewContent:
    return NewContent(
        digest=number.to_bytes(32, "big"),
        size_bytes=3_000_000 + number,
        image=DecodedImage(
            format="JPEG",
            width_px=4032,
            height_px=3024,
            image_digest=(number + 2**64).to_bytes(32, "big"),
            capture=Capture(taken_at_ms=number * 1000, make="maker", model="camera", exposure_s=1 / 250, iso=100),
            quality=Quality(sharpness=12.5, information=6.25, jpeg_quality=92),
            decoder="made",
            small=np.zeros((4, 4, 3), np.uint8),
            preview=b"",
        ),
        descriptor=Descriptor(stored=vectors, queries=vectors),
        first_seen_ns=1,
    )


def made_root(root: RootId, path: bytes) -> RootRecord:
    return RootRecord(
        id=root,
        path=path,
        identity=None,
        state=RootState.ONLINE,
        state_reason="",
        last_full_scan_ns=None,
        added_at_ns=1,
    )


def made_edge(a: ContentId, b: ContentId) -> Edge:
    return Edge(
        a=a,
        b=b,
        relation=Relation.RE_ENCODED,
        similarity=0.99,
        reason="the same whole picture",
        evidence=Evidence(
            method="dense",
            similarity=0.99,
            geometry=None,
            residual_low=0.9,
            worst_region=0.0,
            motion_px=0.1,
            tone_change=0.0,
        ),
        verifier="made",
        found_at_ns=1,
        probability=0.99,
    )


def moved_bytes(pid: int) -> tuple[int, int]:
    """What all processes have read from and written to disks so far."""
    counted = [Path(f"/proc/{each}/io").read_text() for each in descendants(pid)]

    def total(name: str) -> int:
        return sum(int(line.split()[1]) for text in counted for line in text.splitlines() if line.startswith(name))

    return total("read_bytes:"), total("write_bytes:")


def mapped_mib(pid: int, name: str) -> float:
    """Resident pages of a file that the process maps."""
    is_inside, kib = False, 0
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if "-" in line.partition(" ")[0]:
            is_inside = line.endswith(name)
        elif is_inside and line.startswith("Pss:"):
            kib += int(line.split()[1])
    return kib / 1024


def rows(result: Result) -> list[Row]:
    memory = result["idle_mib"]
    parts = " + ".join(f"{memory[role]:.0f}" for role in ("daemon", "workers", "watcher"))
    still = f"{result['read_bytes']:,} B read, {result['written_bytes']:,} B written"
    return [
        Row(
            what=f"idle with {result['files']:,} files, daemon + decode workers + watcher",
            value=f"{memory['total']:.0f} MiB ({parts})",
        ),
        Row(
            what="… without pages of the store's file, which the kernel takes back when it needs them",
            value=f"{memory['total'] - result['store_pages_mib']:.0f} MiB",
            promise=f"{PROMISE_MIB} MiB",
            is_kept=memory["total"] - result["store_pages_mib"] <= PROMISE_MIB,
        ),
        Row(
            what=f"at the disks in {result['seconds']:g} s between scans",
            value=still,
            promise="nothing",
            is_kept=not (result["read_bytes"] or result["written_bytes"]),
        ),
    ]


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
