"""The event stream: nothing skipped in silence, resume anywhere, bounded, and never in the way of stopping."""

import asyncio
import queue
import socket
import threading
import time
from dataclasses import replace

import pytest

from dedupd.api.event_stream import MAX_STREAMS, EventStreams
from dedupd.core.cleanup_plan import RunKind
from dedupd.core.errors import RetryError
from dedupd.core.events import (
    CleanedReturned,
    CleanupFinished,
    Degraded,
    DuplicateFound,
    Match,
    Origin,
    ScanFinished,
)
from dedupd.core.records import ContentId, FilePath, Relation, RootId
from dedupd.protocol.events import (
    CleanedReturnedEvent,
    CleanupFinishedEvent,
    DegradedEvent,
    DuplicateFoundEvent,
    GapEvent,
)

DEADLINE_S = 10.0


def note(text):
    return Degraded(what="test", message=text)


def messages(events):
    return [event.message for event in events]


def follow_into(client, after, seen, *, count, on_lost=None):
    """Put `count` events into a queue."""
    stream = client.events(after, on_lost=on_lost)
    for _ in range(count):
        seen.put(next(stream))
    stream.close()


def raw_stream(stand, target, headers=""):
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    raw.settimeout(DEADLINE_S)
    raw.connect(str(stand.socket_path))
    raw.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
    return raw


def read_until(raw, mark):
    received = b""
    while mark not in received:
        piece = raw.recv(65536)
        assert piece, received
        received += piece
    return received


def wait_until(is_so):
    deadline = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def test_events_after_a_sequence_come_once_in_order(stand):
    sequences = stand.tell(*(note(str(i)) for i in range(600)))
    events = list(stand.client.events(sequences[99], follow=False))
    assert messages(events) == [str(i) for i in range(100, 600)]
    assert [event.sequence for event in events] == sequences[100:]


def test_zero_asks_for_everything_that_is_kept(stand):
    stand.tell(note("first"), note("second"))
    assert messages(stand.client.events(0, follow=False)) == ["first", "second"]


def test_without_a_position_only_new_events_come(stand, in_background):
    stand.tell(note("old"))
    raw = raw_stream(stand, "/v1/events")
    read_until(raw, b"id: 1\n\n")  # the position comes first, so the stream is open now
    stand.tell(note("new"))
    received = read_until(raw, b"\n\n")
    raw.close()
    assert b'"message":"new"' in received
    assert b"id: 2\n" in received


def test_last_event_id_resumes_like_after(stand):
    first, _ = stand.tell(note("seen"), note("unseen"))
    raw = raw_stream(stand, "/v1/events?follow=0", f"Last-Event-ID: {first}\r\nConnection: close\r\n")
    received = read_until(raw, b"unseen")
    raw.close()
    assert b'"seen"' not in received


def test_a_duplicate_tells_both_paths(stand):
    stand.add_root("photos")
    path = FilePath(root=RootId(1), directory=b"new", name=b"copy.jpg")
    old = FilePath(root=RootId(1), directory=b"", name=b"\xff.jpg")
    match = Match(path=old, content=1, relation=Relation.RE_ENCODED, similarity=0.98)
    stand.tell(DuplicateFound(path=path, content=2, size_bytes=7, origin=Origin.ARRIVAL, matches=(match,), group=1))
    (event,) = stand.client.events(0, follow=False)
    assert isinstance(event, DuplicateFoundEvent)
    assert event.path == str(stand.base / "photos/new/copy.jpg")
    assert event.matches[0].path == str(stand.base / "photos") + r"/\xff.jpg"
    assert event.matches[0].relation == "re-encoded"


def test_a_trimmed_range_is_told_as_a_gap_before_what_is_left(stand):
    sequences = stand.tell(*(note(str(i)) for i in range(10)))
    with stand.library.transaction() as txn:
        txn.trim_events(keep=3)
    gap, *rest = stand.client.events(sequences[2], follow=False)
    assert isinstance(gap, GapEvent)
    assert (gap.after, gap.oldest) == (sequences[2], sequences[7])
    assert messages(rest) == ["7", "8", "9"]
    assert messages(stand.client.events(gap.sequence, follow=False)) == ["7", "8", "9"]


def test_a_client_that_missed_nothing_is_told_of_no_gap(stand):
    sequences = stand.tell(*(note(str(i)) for i in range(10)))
    with stand.library.transaction() as txn:
        txn.trim_events(keep=3)
    assert messages(stand.client.events(sequences[6], follow=False)) == ["7", "8", "9"]


def test_a_position_of_another_library_is_a_gap_and_not_silence(stand):
    stand.tell(note("only"))
    gap, *rest = stand.client.events(1000, follow=False)
    assert isinstance(gap, GapEvent)
    assert messages(rest) == ["only"]


def test_vector_changes_between_events_are_no_gap_for_a_follower(stand, in_background):
    seen = queue.Queue()
    in_background(lambda: follow_into(stand.client, 0, seen, count=1))
    stand.add_root("photos")
    content = stand.add_file("photos", b"a.jpg", b"PIC a")
    with stand.library.transaction() as txn:
        txn.mark_linked(content)  # takes a sequence number of its own
    stand.tell(note("first event ever"))
    assert isinstance(seen.get(timeout=DEADLINE_S), DegradedEvent)


def test_a_follower_resumes_by_itself_when_the_daemon_comes_back(stand, in_background):
    seen, lost = queue.Queue(), queue.Queue()
    in_background(lambda: follow_into(stand.client, 0, seen, count=3, on_lost=lost.put))
    stand.tell(note("before"))
    assert seen.get(timeout=DEADLINE_S).message == "before"
    assert stand.stop()
    assert lost.get(timeout=DEADLINE_S)
    stand.tell(note("while it was away"))
    stand.start()
    assert seen.get(timeout=DEADLINE_S).message == "while it was away"
    stand.tell(note("after"))
    assert seen.get(timeout=DEADLINE_S).message == "after"


def test_open_streams_do_not_hold_up_stopping(stand):
    streams = [raw_stream(stand, "/v1/events") for _ in range(5)]
    for raw in streams:
        read_until(raw, b"id: 0\n\n")
    assert stand.stop()  # within its time limit; the streams would go on for ever
    for raw in streams:
        raw.close()


def test_a_stream_too_many_is_refused_and_a_place_is_free_when_one_leaves(stand):
    streams = [raw_stream(stand, "/v1/events") for _ in range(MAX_STREAMS)]
    for raw in streams:
        read_until(raw, b"id: 0\n\n")
    with pytest.raises(RetryError):
        next(stand.client.events(0))
    streams.pop().close()
    stand.tell(note("seen"))

    def gets_in():
        try:
            return next(stand.client.events(0)).message == "seen"
        except RetryError:
            return False

    wait_until(gets_in)
    for raw in streams:
        raw.close()


def test_silence_is_broken_by_heartbeats_that_carry_the_position(stand):
    stand.tell(note("old"))

    async def first_frames():
        frames = EventStreams(stand.library, threading.Event(), heartbeat_s=0.0).open(-1, follow=True)
        got = [await anext(frames), await anext(frames)]
        await frames.aclose()
        return got

    assert asyncio.run(first_frames()) == [b"id: 1\n\n", b": heartbeat\nid: 1\n\n"]


def test_a_closing_library_ends_the_stream_without_a_fault(stand):
    stand.tell(note("old"))
    raw = raw_stream(stand, "/v1/events?after=0")
    read_until(raw, b"old")
    stand.library.close()
    assert read_until(raw, b"0\r\n\r\n")  # the end of a chunked body: an orderly end
    raw.close()


def test_scan_results_reach_the_client_whole(stand):
    root = stand.add_root("photos")
    scan = ScanFinished(root=root, root_path=b"/p", files=9, added=1, changed=2, missing=3, duration_s=0.5)
    stand.tell(scan)
    (event,) = stand.client.events(0, follow=False)
    assert (event.files, event.added, event.changed, event.missing, event.duration_s) == (9, 1, 2, 3, 0.5)


def clean_up_facts(root):
    finished = CleanupFinished(
        plan="ab" * 32, run=RunKind.APPLY, done=4, conflicts=3, failed=0, skipped=1, bytes_=10**9, stopped="enough"
    )
    returned = CleanedReturned(
        path=FilePath(root=root, directory=b"", name=b"back.jpg"),
        content=ContentId(2),
        size_bytes=7,
        origin=Origin.SCAN,
        cleaned_at_ns=1_777_766_400_000_000_000,
        plan="ab" * 32,
        kept=b"/elsewhere/\xff.jpg",
        is_kept_there=True,
    )
    return finished, returned


def test_clean_up_is_told_with_what_became_of_its_files(stand):
    stand.tell(*clean_up_facts(stand.add_root("photos")))
    run, back = stand.client.events(0, follow=False)
    assert isinstance(run, CleanupFinishedEvent)
    assert (run.run, run.done, run.conflicts, run.failed, run.skipped) == ("apply", 4, 3, 0, 1)
    assert (run.size_bytes, run.stopped, run.is_automatic) == (10**9, "enough", False)
    assert isinstance(back, CleanedReturnedEvent)
    assert (back.path, back.origin, back.is_kept_there) == (str(stand.base / "photos/back.jpg"), "scan", True)
    assert (back.kept, back.cleaned_at) == (r"/elsewhere/\xff.jpg", "2026-05-03T00:00:00.000000Z")


def test_clean_up_is_one_line_for_a_person(album, dedupctl):
    finished, returned = clean_up_facts(album.roots["photos"])
    gone = replace(returned, is_kept_there=False)
    undone = CleanupFinished(
        plan="", run=RunKind.EXPIRE, done=1, conflicts=0, failed=0, skipped=0, bytes_=5, stopped=""
    )
    sequences = album.tell(finished, returned, gone, undone)
    said = dedupctl("events", "--after", str(sequences[0] - 1))
    path = album.base / "photos" / "back.jpg"
    assert [line.rpartition("  ")[2] for line in said.out.splitlines()] == [
        "apply abababababab: 4 files done (1.0 GB), 3 in conflict, 1 not tried; stopped: enough",
        rf"{path}: back, cleaned up on 2026-05-03; /elsewhere/\xff.jpg is still there",
        rf"{path}: back, cleaned up on 2026-05-03; /elsewhere/\xff.jpg is not there any more",
        "expire: 1 file done (5 bytes)",
    ]
