"""Each write, sync and rename of the store and the snapshot fails once, or for good, or is the last of the process.

strace counts the calls of an undisturbed run, then makes one of them fail. Whatever comes: the run ends with the right
result or stops with an error that says why; nothing acknowledged is lost; the next start finds all.
By default every 45th of these is tried, with DEDUPD_EVERY_STEP=1 each.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from fakes.flow_work import FlowWork, check_closed, check_complete, check_whole
from fakes.forked import Forked

from dedupd.core.errors import AccessError, DegradedError, StopError, StoreWriteError

STRIDE = 1 if os.environ.get("DEDUPD_EVERY_STEP") else 45
CALLS = ("pwrite64", "pwritev", "write", "ftruncate", "fdatasync", "fsync", "rename")
FAULTS = [
    *(f"error={name}:when={{at}}{lasting}" for name in ("EIO", "ENOSPC", "EROFS") for lasting in ("", "+")),
    "signal=KILL:when={at}",
]
BATCHES = 4
SNAPSHOT_AFTER = (2, 4)


def work_once(folder, say):
    """Deal with the batches that are there, one by one; say what is done for good, and why it stopped."""
    os.kill(os.getpid(), signal.SIGSTOP)  # until strace has it
    try:
        work = FlowWork(folder)
        for number in range(1, BATCHES + 1):
            work.dirty(f"d{number}")
            work.work()
            say("batch", number=number)
            if number in SNAPSHOT_AFTER:
                try:
                    say("snapshot", sequence=work.save_snapshot())
                except DegradedError as error:
                    say("degraded", why=str(error))
    except (StopError, AccessError) as error:
        say("stopped", kind=type(error).__name__, why=str(error))
        if isinstance(error, StoreWriteError) and "work" in locals():
            with pytest.raises(StoreWriteError), work.library.transaction():
                pytest.fail("the store goes on after a failed commit")
        return
    work.close()


def look_after(folder, acknowledged, say):
    """The next start, without faults."""
    if acknowledged:
        check_closed(folder)
    work = FlowWork(folder)
    check_whole(work, acknowledged)
    work.settle_all()
    check_complete(work)
    work.close()


def under_strace(folder, *options):
    """A run with strace at it, to its end."""
    process = Forked(partial(work_once, folder))
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    command = ["strace", "-f", "-qq", "-o", folder / "calls", "-e", f"trace={','.join(CALLS)}", *options]
    with subprocess.Popen([*command, "-p", str(process.pid)], stderr=subprocess.PIPE) as strace:
        while not all(b"TracerPid:\t0\n" not in task.read_bytes() for task in threads_of(process.pid)):
            if strace.poll() is not None:
                process.kill()
                process.last_words()
                pytest.skip(f"NOT TESTED, failing system calls: {os.fsdecode(strace.stderr.read())}")
        os.kill(process.pid, signal.SIGCONT)
        process.last_words()
    return process


def threads_of(pid):
    return list(Path(f"/proc/{pid}/task").glob("*/status"))


def counted(folder):
    """How often the run made each call."""
    lines = (folder / "calls").read_text().splitlines()
    names = (line.split(maxsplit=1)[1].partition("(")[0] for line in lines)
    return Counter(name for name in names if name in CALLS)


@pytest.fixture
def make_folder(fast_dir):
    """Folders with the photos of the run, and nothing else."""
    first = fast_dir / "photos"

    def make(name):
        folder = fast_dir / name
        folder.mkdir()
        (folder / "photos").symlink_to(first)
        return folder

    work = FlowWork(fast_dir)
    for number in range(1, BATCHES + 1):
        work.put_batch(number)
    work.close()
    return make


@pytest.mark.slow
@pytest.mark.timeout(120 if STRIDE > 1 else 3600)
def test_a_failing_call_ends_the_run_or_changes_nothing(make_folder, capsys):
    if shutil.which("strace") is None:
        pytest.skip("NOT TESTED, failing system calls: strace is not installed")
    whole = make_folder("undisturbed")
    undisturbed = under_strace(whole)
    undisturbed.refuse_failure()
    assert len(undisturbed.acknowledged("snapshot")) == len(SNAPSHOT_AFTER)
    calls = counted(whole)
    assert {"pwrite64", "fdatasync", "fsync", "rename", "write"} <= set(calls)

    sites = [(call, at, fault) for call in calls for at in range(1, calls[call] + 1) for fault in FAULTS]
    ends = Counter()
    for number, (call, at, fault) in enumerate(sites[::STRIDE]):
        folder = make_folder(str(number))
        process = under_strace(folder, "-e", f"inject={call}:{fault.format(at=at)}")
        try:
            process.refuse_failure()
            done = [said["number"] for said in process.acknowledged("batch")]
            after = Forked(partial(look_after, folder, max(done, default=0)))
            after.hear("ended")
            after.last_words()
            after.refuse_failure()
            assert after.acknowledged("ended"), "the next start died"
        except AssertionError as error:
            raise AssertionError(f"{call} {fault.format(at=at)}: {error}") from error
        ends[end_of(process)] += 1
        shutil.rmtree(folder)
    assert ends["stopped"]
    if STRIDE == 1:
        with capsys.disabled():
            sys.stdout.write(f"\n{dict(calls)}: {len(sites)} runs, {dict(ends)} ")


def end_of(process):
    """What came of a fault."""
    for word in ("stopped", "degraded", "ended"):
        if process.acknowledged(word):
            return word
    return "killed"
