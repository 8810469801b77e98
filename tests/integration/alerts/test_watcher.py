"""The whole way of an alert: an event committed to a real store until a program or a web server has it."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fakes.channel import Recorder

from dedupd.alerts.channels import AppriseChannel, HookChannel
from dedupd.alerts.watcher import AlertWatcher
from dedupd.core.alert_rules import AlertKind, AlertPolicy
from dedupd.core.events import DuplicateFound, Match, Origin, RootSuspect, ScanFinished
from dedupd.core.records import (
    ContentId,
    FilePath,
    FileRecord,
    FileStage,
    FileStat,
    Relation,
    RootId,
    RootRecord,
    RootState,
)
from dedupd.store import LmdbLibrary

ROOT = RootId(1)
DEADLINE_S = 20.0
AT_ONCE = AlertPolicy(quiet_s=0.0, gather_at_most_s=0.2)


def root_paths():
    return {ROOT: b"/photos"}


def wait_until(claim):
    deadline = time.monotonic() + DEADLINE_S
    while not claim():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def library(tmp_path):
    library = LmdbLibrary(tmp_path / "state")
    root = RootRecord(
        id=ROOT,
        path=b"/photos",
        identity=None,
        state=RootState.ONLINE,
        state_reason="",
        last_full_scan_ns=None,
        added_at_ns=1,
    )
    with library.transaction() as txn:
        txn.put_root(root)
    yield library
    library.close()


def duplicate(name, origin=Origin.ARRIVAL):
    old = FilePath(root=ROOT, directory=b"old", name=b"a.jpg")
    return DuplicateFound(
        path=FilePath(root=ROOT, directory=b"new", name=name),
        content=ContentId(1),
        size_bytes=9,
        origin=origin,
        matches=(Match(path=old, content=ContentId(1), relation=Relation.SAME_BYTES, similarity=1.0),),
        group=ContentId(1),
    )


def tell(library, *facts):
    with library.transaction() as txn:
        return [txn.append(fact, time.time_ns()) for fact in facts]


def cursor(library, name="alerts"):
    with library.view() as view:
        return view.cursor(name)


@contextmanager
def watching(library, *channels, policy=AT_ONCE, **options):
    options = {"per_hour": 1000, "delays_s": (0.01,), "give_up_s": 3600.0, "look_every_s": 0.05} | options
    watcher = AlertWatcher(library, channels, policy=policy, root_paths=root_paths, **options)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop(5.0)


def test_a_duplicate_reaches_a_program_without_waiting_for_more(library, tmp_path):
    script = tmp_path / "hook.py"
    script.write_text(f"import sys\nopen({str(tmp_path / 'told')!r}, 'a').write(sys.stdin.read())\n")
    hook = HookChannel([sys.executable, "-S", str(script)], 10.0, root_paths)
    with watching(library, hook, policy=AlertPolicy()) as watcher:
        tell(library, duplicate(b"x.jpg"))
        wait_until(lambda: watcher.channels()[0].sent == 1)
    told = json.loads((tmp_path / "told").read_text())
    assert told["body"] == "x.jpg in new is an exact copy of old/a.jpg"


def test_arrivals_in_a_row_come_as_one_now_and_one_for_the_rest(library):
    channel = Recorder()
    with watching(library, channel, policy=AlertPolicy(quiet_s=0.3, gather_at_most_s=5.0)):
        tell(library, *(duplicate(b"%d.jpg" % n) for n in range(13)))
        wait_until(lambda: len(channel.messages) == 2)
    assert [m.count for m in channel.messages] == [1, 12]
    assert channel.messages[1].title == "12 new photos are duplicates"


def test_the_very_first_start_does_not_tell_history(library):
    tell(library, duplicate(b"old.jpg"))
    channel = Recorder()
    with watching(library, channel):
        tell(library, duplicate(b"new.jpg"))
        wait_until(lambda: channel.messages)
    assert channel.names == [b"new.jpg"]


def test_what_came_while_nobody_watched_is_told_at_the_next_start_and_nothing_twice(library):
    channel = Recorder()
    with watching(library, channel):
        tell(library, duplicate(b"1.jpg"))
        wait_until(lambda: channel.messages)
    tell(library, duplicate(b"2.jpg"))
    with watching(library, channel):
        wait_until(lambda: len(channel.messages) == 2)
        tell(library, duplicate(b"3.jpg"))
        wait_until(lambda: len(channel.messages) == 3)
    assert channel.names == [b"1.jpg", b"2.jpg", b"3.jpg"]


def test_the_first_event_of_a_new_library_is_told_even_if_the_first_run_was_cut_short(library):
    broken = Recorder()
    broken.is_broken = True
    with watching(library, broken) as watcher:
        tell(library, duplicate(b"1.jpg"))
        wait_until(lambda: watcher.channels()[0].failures > 0)
    channel = Recorder()
    with watching(library, channel):
        wait_until(lambda: channel.messages)
    assert channel.names == [b"1.jpg"]


def test_what_was_not_delivered_at_the_end_is_told_after_the_next_start(library):
    channel = Recorder()
    with watching(library, channel) as watcher:
        tell(library, duplicate(b"1.jpg"))
        wait_until(lambda: channel.messages)
        channel.is_broken = True
        first, _ = tell(library, duplicate(b"2.jpg"), duplicate(b"3.jpg"))
        wait_until(lambda: watcher.channels()[0].failures >= 2)
    assert cursor(library) == first - 1
    channel.is_broken = False
    with watching(library, channel):
        wait_until(lambda: len(channel.names) >= 3)
    assert channel.names == [b"1.jpg", b"2.jpg", b"3.jpg"]
    assert cursor(library) == first + 1


def test_a_channel_that_hangs_holds_up_neither_the_others_nor_the_flow(library):
    slow, quick = Recorder("slow"), Recorder("quick")
    slow.gate.clear()
    with watching(library, slow, quick) as watcher:
        for n in range(20):
            tell(library, duplicate(b"%d.jpg" % n))
        wait_until(lambda: len(quick.names) == 20)
        assert slow.messages == []
        slow.gate.set()
        wait_until(lambda: len(slow.names) == 20)
        assert [status.waiting for status in watcher.channels()] == [0, 0]


def test_stopping_keeps_its_time_while_a_hook_hangs_and_leaves_no_process(library, tmp_path):
    script = tmp_path / "hook.py"
    script.write_text(
        f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    hook = HookChannel([sys.executable, str(script)], 600.0, root_paths)
    watcher = AlertWatcher(library, [hook], policy=AT_ONCE, per_hour=10, root_paths=root_paths)
    watcher.start()
    (sequence,) = tell(library, duplicate(b"x.jpg"))
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    assert watcher.stop(2.0)  # the hook hangs for ten minutes
    assert not watcher.is_alive
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert cursor(library) == sequence - 1  # not delivered: told again at the next start


def test_a_server_that_fails_and_recovers_gets_every_alert_once(library, caplog):
    caplog.set_level(logging.INFO, "dedupd.alerts")
    posts, answers = [], [500, 503, 500]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = answers.pop(0) if answers else 200
            if status == 200:
                posts.append(body["message"])
            self.send_response(status)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        channel = AppriseChannel(f"json://127.0.0.1:{server.server_port}/s3cret")
        with watching(library, channel) as watcher:
            tell(library, duplicate(b"1.jpg"), duplicate(b"2.jpg"))
            wait_until(lambda: len(posts) == 2)
            wait_until(lambda: watcher.channels()[0].waiting == 0)
            status = watcher.channels()[0]
        server.shutdown()
        thread.join(DEADLINE_S)
    assert posts == [f"{n}.jpg in new is an exact copy of old/a.jpg" for n in (1, 2)]
    assert (status.sent, status.failures, status.dropped, status.trouble) == (2, 3, 0, "")
    told = [record.getMessage() for record in caplog.records if "alert." in record.getMessage()]
    assert [line.split()[0] for line in told if "posted" not in line] == [
        "alert.delivery_failed",  # once an outage
        "alert.channel_recovered",
    ]
    assert "HTTP 500" in told[0]
    assert "s3cret" not in caplog.text


def test_after_a_long_outage_what_waited_comes_as_a_summary(library):
    channel = Recorder()
    channel.is_broken = True
    with watching(library, channel) as watcher:
        for n in range(30):
            tell(library, duplicate(b"%d.jpg" % n))
        wait_until(lambda: watcher.channels()[0].waiting == 30 and watcher.channels()[0].failures > 6)
        channel.is_broken = False
        wait_until(lambda: watcher.channels()[0].waiting == 0)
    assert [m.kind for m in channel.messages] == [AlertKind.SUMMARY]
    assert channel.messages[0].count == 30


def test_what_cannot_be_delivered_for_too_long_is_dropped_counted_and_logged(library, caplog):
    channel = Recorder()
    channel.is_broken = True
    with watching(library, channel, give_up_s=0.05) as watcher:
        (sequence,) = tell(library, duplicate(b"1.jpg"))
        wait_until(lambda: watcher.channels()[0].dropped == 1)
        assert watcher.channels()[0].waiting == 0
        channel.is_broken = False
        tell(library, duplicate(b"2.jpg"))
        wait_until(lambda: channel.messages)
    assert channel.names == [b"2.jpg"]
    assert cursor(library) > sequence
    assert any("alert.dropped" in message and "the far end is down" in message for message in caplog.messages)


def test_over_the_hourly_limit_alerts_wait_and_come_as_one_but_urgent_ones_pass(library):
    channel, log, now_s = Recorder(), Recorder(is_limited=False), [0.0]
    with watching(library, channel, log, per_hour=2, clock=lambda: now_s[0]) as watcher:
        for n in range(6):
            tell(library, duplicate(b"%d.jpg" % n))
        wait_until(lambda: watcher.channels()[0].waiting == 4)
        assert len(channel.messages) == 2
        tell(library, RootSuspect(root=ROOT, root_path=b"/photos", reason="it is empty", known_files=3))
        wait_until(lambda: len(channel.messages) == 3)
        assert channel.messages[2].kind is AlertKind.ROOT_SUSPECT
        now_s[0] = 3601.0
        tell(library, duplicate(b"6.jpg"))
        wait_until(lambda: watcher.channels()[0].waiting == 0)
    assert [m.title for m in channel.messages[3:]] == ["5 more alerts"]
    assert [m.count for m in log.messages] == [1] * 8  # the log has no limit


def test_a_scan_is_summed_up_once_nothing_is_pending(library):
    pending = FileRecord(
        path=FilePath(root=ROOT, directory=b"new", name=b"wait.jpg"),
        stat=FileStat(dev=1, ino=1, size_bytes=1, mtime_ns=1, ctime_ns=1),
        stage=FileStage.PENDING,
        content=None,
        first_seen_ns=1,
    )
    channel = Recorder()
    scanned = ScanFinished(root=ROOT, root_path=b"/photos", files=9, added=9, changed=0, missing=0, duration_s=1.0)
    with watching(library, channel):
        with library.transaction() as txn:
            txn.put_file(pending)
            first = txn.append(duplicate(b"1.jpg", Origin.SCAN), 1)
            txn.append(scanned, 1)
        tell(library, duplicate(b"now.jpg"))
        wait_until(lambda: channel.names == [b"now.jpg"])
    assert cursor(library, "alerts.scans") == first - 1
    with watching(library, channel):  # the next run finds the scan's duplicates again, not the arrival
        with library.transaction() as txn:
            txn.append(duplicate(b"2.jpg", Origin.SCAN), 1)
            txn.remove_file(pending.path)
        wait_until(lambda: len(channel.messages) == 2)
    assert channel.names == [b"now.jpg", b"1.jpg", b"2.jpg"]
    assert channel.messages[1].title == "Scan of photos: 2 duplicates"


def test_files_that_wait_for_an_absent_disk_do_not_hold_back_the_summary(library):
    away = RootId(2)
    path = FilePath(root=away, directory=b"", name=b"waits.jpg")
    with library.transaction() as txn:
        record = txn.root(ROOT)
        txn.put_root(replace(record, id=away, path=b"/away", state=RootState.OFFLINE, state_reason="not there"))
        stat = FileStat(dev=1, ino=1, size_bytes=1, mtime_ns=1, ctime_ns=1)
        txn.put_file(FileRecord(path=path, stat=stat, stage=FileStage.PENDING, content=None, first_seen_ns=1))
    channel = Recorder()
    finished = ScanFinished(root=ROOT, root_path=b"/photos", files=2, added=2, changed=0, missing=0, duration_s=1.0)
    with watching(library, channel):
        tell(library, duplicate(b"a.jpg", Origin.SCAN), finished)
        wait_until(lambda: channel.messages)
    assert channel.messages[0].kind is AlertKind.SCAN_DUPLICATES


def test_without_channels_events_are_passed_over_and_not_told_later(library):
    with watching(library):
        (sequence,) = tell(library, duplicate(b"1.jpg"))
    with watching(library):
        pass
    assert cursor(library) == sequence


def test_a_broken_channel_does_not_end_the_watcher(library):
    class Broken(Recorder):
        def send(self, message):
            raise ZeroDivisionError("s3cret")

    broken, good = Broken("broken"), Recorder("good")
    with watching(library, broken, good) as watcher:
        tell(library, duplicate(b"1.jpg"))
        wait_until(lambda: good.messages and watcher.channels()[0].failures)
        assert watcher.is_alive
        assert watcher.channels()[0].trouble == "unexpected ZeroDivisionError in the channel"


def test_a_library_that_closed_first_lets_the_watcher_stop(library):
    channel = Recorder()
    with watching(library, channel) as watcher:
        tell(library, duplicate(b"1.jpg"))
        wait_until(lambda: channel.messages)
        library.close()
        assert watcher.stop(3.0)
        assert not watcher.is_alive
