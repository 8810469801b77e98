"""A file is read once it has stopped changing, and not before."""

from dedupd.core.records import FilePath, RootId
from dedupd.core.settle import LookAgainAt, Settled, Settling
from dedupd.core.stat_key import pack_fields

WALL_NS = 1_700_000_000_123_456_789
S = 1_000_000_000


def a_path(name=b"a.jpg"):
    return FilePath(root=RootId(1), directory=b"d", name=name)


def packed(size=10, mtime_ns=WALL_NS, ino=7, ctime_ns=0):
    return pack_fields(1, ino, size, mtime_ns, ctime_ns)


def look(settling, stat, now_s, *, closed=False, path=None, wall_ns=None):
    wall_now_ns = WALL_NS + int(now_s * S) if wall_ns is None else wall_ns
    return settling.look(path or a_path(), stat, now_s=now_s, wall_now_ns=wall_now_ns, was_closed=closed)


def test_an_old_file_settles_at_the_first_look():
    settling = Settling()
    assert look(settling, packed(mtime_ns=WALL_NS - 10 * S), 0.0) == Settled()
    assert len(settling) == 0


def test_a_closed_file_settles_half_a_second_later():
    settling = Settling()
    assert look(settling, packed(), 0.0, closed=True) == LookAgainAt(0.5)
    assert settling.due(0.4) == []
    assert settling.due(0.5) == [a_path()]
    assert look(settling, packed(), 0.5) == Settled()
    assert settling.next_due() is None


def test_a_plain_write_waits_the_longer_time():
    settling = Settling()
    assert look(settling, packed(), 0.0) == LookAgainAt(10.0)
    assert look(settling, packed(), 9.9) == LookAgainAt(10.0)
    assert look(settling, packed(), 10.0) == Settled()


def test_a_close_shortens_the_wait_of_a_write_that_went_before():
    settling = Settling()
    look(settling, packed(size=1), 0.0)
    assert look(settling, packed(size=5, mtime_ns=WALL_NS + 3 * S), 3.0, closed=True) == LookAgainAt(3.5)
    assert look(settling, packed(size=5, mtime_ns=WALL_NS + 3 * S), 3.5) == Settled()


def test_a_change_after_the_close_waits_for_the_next_close():
    settling = Settling()
    look(settling, packed(size=1), 0.0, closed=True)
    assert look(settling, packed(size=2), 0.5) == LookAgainAt(10.5)
    assert look(settling, packed(size=2), 1.0, closed=True) == Settled()


def test_repeated_closes_without_a_change_do_not_put_it_off():
    settling = Settling()
    look(settling, packed(), 0.0, closed=True)
    look(settling, packed(), 0.3, closed=True)
    assert look(settling, packed(), 0.5, closed=True) == Settled()


def test_another_inode_of_equal_size_and_time_starts_afresh():
    settling = Settling()
    look(settling, packed(ino=7), 0.0, closed=True)
    assert look(settling, packed(ino=8), 0.5, closed=True) == LookAgainAt(1.0)


def test_chmod_and_link_do_not_start_afresh():
    settling = Settling()
    look(settling, packed(ctime_ns=1), 0.0, closed=True)
    assert look(settling, packed(ctime_ns=2), 0.5) == Settled()


def test_one_look_is_not_two_even_with_no_quiet_time():
    settling = Settling(quiet_after_close_s=0.0)
    assert isinstance(look(settling, packed(), 0.0, closed=True), LookAgainAt)
    assert look(settling, packed(), 0.001) == Settled()


def test_a_coarse_mtime_waits_until_its_step_is_over():
    # Two writes of equal size within one FAT time step leave equal stats.
    settling = Settling()
    mtime_ns = WALL_NS // S * S
    wall_ns = mtime_ns + S // 10
    assert look(settling, packed(mtime_ns=mtime_ns), 0.0, closed=True, wall_ns=wall_ns) == LookAgainAt(1.9)
    assert look(settling, packed(mtime_ns=mtime_ns), 1.9, wall_ns=mtime_ns + 2 * S) == Settled()


def test_an_mtime_in_the_future_settles_by_the_monotonic_clock():
    settling = Settling()
    future = packed(mtime_ns=WALL_NS + 10_000 * S)
    assert look(settling, future, 0.0) == LookAgainAt(10.0)
    assert look(settling, future, 10.0) == Settled()


def test_a_forgotten_file_is_not_due():
    settling = Settling()
    look(settling, packed(), 0.0, closed=True)
    settling.forget(a_path())
    settling.forget(a_path(b"never-seen.jpg"))
    assert settling.due(100.0) == []
    assert len(settling) == 0


def test_a_due_file_that_nobody_looks_at_comes_again():
    settling = Settling()
    look(settling, packed(), 0.0, closed=True)
    assert settling.due(0.5) == [a_path()]
    assert settling.due(0.6) == []
    assert settling.next_due() == 10.5
    assert settling.due(10.5) == [a_path()]


def test_due_names_the_longest_due_first():
    settling = Settling()
    look(settling, packed(), 0.2, closed=True, path=a_path(b"second"))
    look(settling, packed(), 0.0, closed=True, path=a_path(b"first"))
    assert [p.name for p in settling.due(1.0)] == [b"first", b"second"]


def test_without_room_the_caller_is_told_to_list_again_and_a_later_first_look_settles():
    settling = Settling(limit=1)
    look(settling, packed(), 0.0, closed=True)
    other = a_path(b"other")
    answer = look(settling, packed(), 0.0, closed=True, path=other)
    assert answer == LookAgainAt(10.0, is_tracked=False)
    assert len(settling) == 1
    assert look(settling, packed(), 10.0, path=other) == Settled()


def test_memory_stays_bounded_while_one_file_changes_for_ever():
    settling = Settling()
    for i in range(10_000):
        look(settling, packed(size=i), i / 10, closed=True)
    assert len(settling._heap) < 200
