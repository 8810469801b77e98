"""A writer, a renamer and a symlinker at work in the very folders in which 10,000 acts are done: none touches a file
that it should not, and what was set aside is what was planned.
"""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from blake3 import blake3
from fakes.cleanup_bench import Bench, name_of

from dedupd.core.cleanup_plan import Action, OutcomeKind

ACTS = 10_000
FILES = 1_000  # in one plan
MEMORY = Path("/dev/shm")

RIVAL = r"""
import mmap, os, random, sys, time
from contextlib import suppress
root, kind, seed, files = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rng = random.Random(kind + str(seed))
with open(os.path.join(root, "..", "progress"), "rb") as file:
    progress = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
print("ready", flush=True)
before = -1
while True:
    number = int.from_bytes(progress[:8], "little")
    if number == before or number >= files:
        time.sleep(0.0001)
        continue
    before = number
    if rng.random() < 0.5:
        continue
    time.sleep(rng.uniform(0, 0.0015))  # about as long as an act takes: any moment of it
    folder, name = os.path.join(root, "copies", str(number % 10)), f"{number}.jpg"
    with suppress(OSError):
        if kind == "symlinker":
            away = folder + ".away"
            os.rename(folder, away)
            os.symlink(os.path.join(root, "..", "outside"), folder)
            os.unlink(folder)
            os.rename(away, folder)
            continue
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)  # not through the symlinker's symlinks
        try:
            if kind == "writer":
                fd = os.open(name, os.O_WRONLY, dir_fd=at)
                os.write(fd, b"WRITTEN")
                os.close(fd)
            elif rng.random() < 0.5:
                os.rename(name, name + ".elsewhere", src_dir_fd=at, dst_dir_fd=at)  # and another file comes
                fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=at)
                os.write(fd, b"a file that just came %d" % number)
                os.close(fd)
            else:
                os.rename(name, name + ".elsewhere", src_dir_fd=at, dst_dir_fd=at)
                os.rename(name + ".elsewhere", name, src_dir_fd=at, dst_dir_fd=at)
        finally:
            os.close(at)
"""


@pytest.fixture
def directory():
    with tempfile.TemporaryDirectory(prefix="dedupd-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as top:
        yield Path(top)


def content(number: int) -> bytes:
    return (b"picture %d " % number) * 20


def laid_out(directory: Path) -> Bench:
    """Files in pairs, and the same names with the same bytes outside the root, where the symlinks lead."""
    directory.mkdir()
    bench = Bench(directory)
    outside = directory / "outside"
    outside.mkdir()
    (directory / "progress").write_bytes(bytes(8))
    for number in range(FILES):
        bench.write(f"keep/{number}.jpg", content(number))
        bench.write(f"copies/{number % 10}/{number}.jpg", content(number))
        (outside / f"{number}.jpg").write_bytes(content(number))
    return bench


def rivals(bench: Bench, seed: int) -> list[subprocess.Popen]:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RIVAL, str(bench.root), kind, str(seed), str(FILES)], stdout=subprocess.PIPE
        )
        for kind in ("writer", "renamer", "symlinker")
    ]
    for process in processes:
        assert process.stdout.readline() == b"ready\n"
    return processes


def test_rivals_never_make_an_act_touch_a_wrong_file(directory):
    acts, counts = 0, dict.fromkeys(OutcomeKind, 0)
    for round_ in range(ACTS // FILES):
        bench = laid_out(directory / str(round_))
        outside = {path: (path.stat().st_ino, path.read_bytes()) for path in (bench.directory / "outside").iterdir()}
        action = (Action.QUARANTINE, Action.HARDLINK, Action.MOVE, Action.SORT)[round_ % 4]
        items = [bench.pair(n + 1, f"keep/{n}.jpg", f"copies/{n % 10}/{n}.jpg") for n in range(FILES)]
        plan = bench.plan(*items, action=action)
        copies = {n: bench.root / f"copies/{n % 10}/{n}.jpg" for n in range(FILES)}
        inodes = {bytes(path): (path.stat().st_ino, n) for n, path in copies.items()}
        processes = rivals(bench, round_)
        try:
            with (bench.directory / "progress").open("r+b") as file, mmap.mmap(file.fileno(), 8) as progress:

                def tell(outcome, bench=bench, progress=progress):
                    bench.told.append(outcome)
                    progress[:8] = outcome.item.to_bytes(8, "little")  # items are numbered from 1, files from 0

                bench.actor().apply(name_of(plan), plan, tell)
        finally:
            for process in processes:
                process.send_signal(signal.SIGKILL)
                process.wait()
                process.stdout.close()
        for outcome in bench.told:
            if outcome.path not in inodes:
                continue  # a kept file that was sorted
            acts += 1
            counts[outcome.kind] += 1
            ino, number = inodes[outcome.path]
            if outcome.kind is OutcomeKind.DONE:
                lies = Path(os.fsdecode(outcome.now_at))
                assert lies.stat().st_ino == ino, "another file was set aside"
                assert lies.read_bytes() == content(number), "a file was set aside with other bytes than planned"
                assert blake3(lies.read_bytes()).digest() == outcome.digest
        # A writer that meets a hard link writes into the kept file: then the one set aside still has the bytes.
        here = {path.read_bytes() for top in (bench.root, bench.folder) for path in top.rglob("*.jpg*")}
        assert {content(number) for number in range(FILES)} <= here, "a last copy is gone"
        assert outside == {p: (p.stat().st_ino, p.read_bytes()) for p in (bench.directory / "outside").iterdir()}
        away = [*(bench.root / ".dedupd-quarantine").rglob("*.jpg"), *bench.folder.rglob("*.jpg")]
        told = {os.fsdecode(outcome.now_at) for outcome in bench.told}
        assert {str(path) for path in away} <= told, "a file was taken and nobody said so"
        bench.close()
    assert acts == ACTS
    assert counts[OutcomeKind.DONE] > ACTS / 10, counts
    assert counts[OutcomeKind.CONFLICT] > 0, "the rivals never came in between"
