"""Dirty directories merge and stay bounded."""

import queue
import threading

from dedupd.sources import dirty_set
from dedupd.sources.dirty_set import DirtySet
from dedupd.sources.watch_wire import Dirt, Dirty, Frames, Health, Ready, RootHealth, frame


def test_marks_of_one_directory_merge():
    dirty = DirtySet()
    dirty.mark(1, b"a", closed=[b"x.jpg"])
    dirty.mark(1, b"a", is_recursive=True)
    dirty.mark(1, b"a", closed=[b"y.jpg"])
    dirty.mark(2, b"a")
    assert dirty.take(0) == [
        Dirt(root=1, directory=b"a", closed=frozenset({b"x.jpg", b"y.jpg"}), is_recursive=True),
        Dirt(root=2, directory=b"a"),
    ]
    assert dirty.take(0) == []


def test_too_many_directories_of_a_root_become_everything_below_it():
    dirty = DirtySet(directories_a_root=10)
    dirty.mark(2, b"other")
    for i in range(11):
        dirty.mark(1, b"%d" % i, closed=[b"x.jpg"])
    dirty.mark(1, b"later", closed=[b"y.jpg"])
    assert dirty.take(0) == [
        Dirt(root=2, directory=b"other"),
        Dirt(root=1, directory=b"", is_recursive=True),
        Dirt(root=1, directory=b"later", closed=frozenset({b"y.jpg"})),
    ]


def test_closed_names_are_bounded_and_room_comes_back():
    dirty = DirtySet()
    for i in range(dirty_set.CLOSED_NAMES + 1_000):
        dirty.mark(1, b"a", closed=[b"%d" % i])
    (entry,) = dirty.take(0)
    assert len(entry.closed) == dirty_set.CLOSED_NAMES
    dirty.mark(1, b"a", closed=[b"x"])
    assert dirty.take(0)[0].closed == {b"x"}


def test_a_waiting_taker_wakes_for_a_mark_and_for_close():
    dirty = DirtySet()
    taken = queue.SimpleQueue()

    def take_twice():
        taken.put(dirty.take(None))
        taken.put(dirty.take(None))

    threading.Thread(target=take_twice, daemon=True).start()
    dirty.mark(1, b"a")
    assert taken.get(timeout=10) == [Dirt(root=1, directory=b"a")]
    dirty.close()
    assert taken.get(timeout=10) == []


def test_messages_survive_any_cut_of_the_stream():
    messages = [
        Dirty(entries=[Dirt(root=1, directory=b"\xff/a", closed=frozenset({b"x"}), is_recursive=True)]),
        Health(roots=[RootHealth(1, "watching", 5, 0, 2, "")]),
        Ready(generation=3),
    ]
    stream = b"".join(map(frame, messages))
    for step in (1, 7, len(stream)):
        frames = Frames()
        received = [m for i in range(0, len(stream), step) for m in frames.feed(stream[i : i + step])]
        assert received == messages
