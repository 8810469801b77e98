"""The event stream: nothing skipped in silence, resume anywhere, bounded, and never in the way of stopping."""

import asyncio
import queue
import socket
import threading
import time

import pytest

from dedupd.api.event_stream import MAX_STREAMS, EventStreams
from dedupd.core.errors import RetryError
from dedupd.core.events import Degraded, DuplicateFound, Match, Origin, ScanFinished
from dedupd.core.records import FilePath, Relation, RootId
from dedupd.protocol.events import DegradedEvent, DuplicateFoundEvent, GapEvent

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
    began = time.monotonic()
    assert stand.stop()
    assert time.monotonic() - began < 4.0  # half a second each in parallel; the rest is for a busy machine
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
