"""FIDEDUPERANGE on a real filesystem that has it: an XFS in a file. Skips where none can be made or mounted."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from fakes.cleanup_bench import Bench, DeedCalls
from fakes.skipping import not_possible, not_tested

from dedupd.cleanup.file_calls import SHARE_BYTES, FileCalls
from dedupd.core.cleanup_plan import Action, OutcomeKind

SIZE = SHARE_BYTES + 4096 * 100 + 123  # more than one request takes, and no multiple of a block
IMAGE_BYTES = 400 << 20  # mkfs.xfs takes no less than 300 MiB


@pytest.fixture(scope="module")
def xfs(tmp_path_factory):
    maker = shutil.which("mkfs.xfs") or shutil.which("mkfs.xfs", path="/sbin:/usr/sbin")
    if maker is None or os.getuid() != 0:
        not_tested("shared blocks need mkfs.xfs and root, to mount an XFS from a file")
    top = tmp_path_factory.mktemp("xfs")
    image, mount = top / "image", top / "mount"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run([maker, "-q", image], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, mount], capture_output=True, check=False)
    if mounted.returncode != 0:
        not_possible(f"shared blocks; an XFS cannot be mounted here: {os.fsdecode(mounted.stderr)}")
    yield mount
    subprocess.run(["umount", mount], check=True)
    image.unlink()


@pytest.fixture
def bench(xfs, request):
    directory = xfs / request.node.name
    directory.mkdir()
    bench = Bench(directory)
    content = os.urandom(SIZE)
    bench.write("keep/a.jpg", content)
    bench.write("copies/a.jpg", content)
    os.sync()
    yield bench
    bench.close()
    shutil.rmtree(directory)


def used_bytes(path):
    os.sync()
    facts = os.statvfs(path)
    return (facts.f_blocks - facts.f_bfree) * facts.f_frsize


def plan_of(bench):
    return bench.plan(bench.pair(1, "keep/a.jpg", "copies/a.jpg"), action=Action.REFLINK)


def test_equal_files_share_their_blocks_and_stay_two_files(bench, xfs):
    before = used_bytes(xfs)
    facts = bench.planned("copies/a.jpg")
    plan = plan_of(bench)
    assert bench.apply(plan).done == 1
    assert before - used_bytes(xfs) > SIZE * 0.9
    after = bench.planned("copies/a.jpg")
    assert (after.digest, after.stat.ino, after.stat.mtime_ns) == (facts.digest, facts.stat.ino, facts.stat.mtime_ns)
    bench.undo(plan)
    with (bench.root / "copies/a.jpg").open("r+b") as file:
        file.write(b"EDIT")
    assert (bench.root / "keep/a.jpg").read_bytes()[:4] != b"EDIT", "an edit of one changes only that"


def test_d1_a_byte_that_changes_before_the_kernel_looks_is_never_overwritten(bench):
    path = bench.root / "copies/a.jpg"
    plan = plan_of(bench)

    def flip():
        with path.open("r+b") as file:
            file.seek(SIZE - 1)  # in the second request
            byte = file.read(1)
            file.seek(SIZE - 1)
            file.write(bytes([byte[0] ^ 1]))

    bench.calls = DeedCalls("share", flip)
    bench.calls.share = FileCalls.share.__get__(bench.calls)  # the kernel's, with the deed before it
    bench.apply(plan)
    assert bench.told[0].kind is OutcomeKind.CONFLICT
    kept = (bench.root / "keep/a.jpg").read_bytes()
    assert path.read_bytes() == kept[:-1] + bytes([kept[-1] ^ 1])
