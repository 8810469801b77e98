"""A run over 200 files that is killed at each call of a port: every later start finds each true pair exactly once.

A kill leaves what the files hold at that moment. So the run is done once; before each call, and after each transaction,
the state on the disk is looked at, and kept wherever it is another than before. Calls between which the disk does not
change leave the same for the next start. Then there is a start from each of them; by default from every 25th, with
DEDUPD_EVERY_STEP=1 from all.
"""

import os
import shutil
import sys
import time
from contextlib import contextmanager

import pytest
from fakes.flow_work import BATCHES_A_SNAPSHOT, FILES_A_BATCH, FlowWork, check_closed, check_complete, check_whole
from fakes.sweeps import RECOVERY_S

STRIDE = 1 if os.environ.get("DEDUPD_EVERY_STEP") else 25
FILES = 200
BATCHES = FILES // FILES_A_BATCH
SCANNED = BATCHES // 2  # batches that a first scan finds; the rest arrives one by one
META_BYTES = 2 * 4096  # LMDB's two meta pages: they change with every transaction


class Stepping:
    """A port whose every call is a step."""

    def __init__(self, port, part, step):
        self._port, self._part, self._step = port, part, step

    def __getattr__(self, name):
        found = getattr(self._part, name)
        if not callable(found):
            return found

        def call(*args, **kwargs):
            self._step(f"{self._port}.{name}")
            result = found(*args, **kwargs)
            return self._within(name, result) if hasattr(result, "__enter__") else result

        return call

    @contextmanager
    def _within(self, name, entered):
        with entered as it:
            yield it
        self._step(f"after {self._port}.{name}")

    def __len__(self):
        return len(self._part)

    def __contains__(self, content):
        return content in self._part


class Moments:
    """The states of the disk at all steps, each different one once."""

    def __init__(self, folder):
        self.folder = folder
        self.state = folder / "state"
        self.steps = 0
        self.ports = set()
        self.acknowledged = 0
        self.kept = []  # (folder, step, batches acknowledged by then)
        self._last = None

    def step(self, name):
        self.steps += 1
        self.ports.add(name)
        now = self._fingerprint()
        if now == self._last:
            return
        self._last = now
        place = self.folder / f"moment{len(self.kept)}"
        if len(self.kept) % STRIDE == 0:
            shutil.copytree(self.state, place / "state")
        self.kept.append((place, name, self.acknowledged))

    def _fingerprint(self):
        data = self.state / "library" / "data.mdb"
        meta = b""
        if data.exists():
            with data.open("rb") as file:
                meta = file.read(META_BYTES)
        folders = [self.state, self.state / "index", self.state / "previews", self.state / "previews" / "unfinished"]
        others = [entry for folder in folders if folder.exists() for entry in os.scandir(folder)]
        return meta, {(entry.path, entry.stat().st_mtime_ns, entry.inode()) for entry in others}


@pytest.fixture
def moments(fast_dir):
    return Moments(fast_dir)


@pytest.mark.slow
@pytest.mark.timeout(120 if STRIDE > 1 else 1200)
def test_a_kill_at_any_port_call_loses_nothing_and_finds_each_pair_once(moments, capsys):
    folder = moments.folder
    work = FlowWork(folder, around=lambda port, part: Stepping(port, part, moments.step))
    for number in range(1, SCANNED + 1):
        work.put_batch(number)
    work.settle_all()
    moments.acknowledged = SCANNED
    for number in range(SCANNED + 1, BATCHES + 1):
        work.do_batch(number)
        moments.acknowledged = number
        if number % BATCHES_A_SNAPSHOT == 0:
            work.save_snapshot()
    check_complete(work)
    told = work.told()
    work.close()
    moments.step("the end")
    assert len(list((folder / "photos").rglob("*.jpg"))) == FILES
    assert {name.partition(".")[0] for name in moments.ports} >= {"library", "reader", "embedder", "index", "lister"}

    longest_s = 0.0
    for place, step, acknowledged in moments.kept[::STRIDE]:
        if (place / "state" / "library" / "data.mdb").exists():
            check_closed(place)
        began = time.monotonic()
        again = FlowWork(place, roots=(str(folder / "photos"),))
        longest_s = max(longest_s, time.monotonic() - began)
        check_whole(again, acknowledged)
        again.settle_all()
        check_complete(again)
        assert len(again.told()) == len(told), step
        again.close()
        shutil.rmtree(place)
    assert longest_s < RECOVERY_S
    if STRIDE == 1:
        with capsys.disabled():
            sys.stdout.write(
                f"\n{moments.steps} calls of {len(moments.ports)} kinds, {len(moments.kept)} different states of the "
                f"disk, a start from each; the longest took {longest_s:.2f} s "
            )
