"""The journal: what was acknowledged is there, what was torn never counts, and damage is named, never skipped."""

from __future__ import annotations

import errno
import os

import msgspec
import pytest
from fakes.cleanup_bench import FaultyCalls

from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.journal import Journal, has_history
from dedupd.cleanup.journal_records import RunOver, RunStarted
from dedupd.core.cleanup_plan import RunEnd, RunKind
from dedupd.core.errors import DiskFullError, StoreDamagedError, StoreWriteError


def started(number: int) -> RunStarted:
    return RunStarted(run=number, kind=RunKind.APPLY, plan_id="ab" * 32, at_ns=7, plan=msgspec.Raw(b'{"plan":1}'))


def over(number: int) -> RunOver:
    end = RunEnd(run=RunKind.APPLY, plan="", done=1, conflicts=0, failed=0, skipped=0, bytes_=2, stopped="")
    return RunOver(run=number, end=end)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "state" / "journal"


@pytest.fixture
def written(directory):
    """Two runs of two records."""
    journal = Journal(directory, FileCalls())
    for number in (1, 2):
        assert journal.begin() == number
        journal.append(started(number))
        journal.append(over(number))
    journal.end()
    return directory


def runs(directory):
    return [record.run for _, record in Journal(directory, FileCalls()).load()]


def test_what_is_appended_is_there_after_a_restart(written):
    records = [record for _, record in Journal(written, FileCalls()).load()]
    assert [type(record) for record in records] == [RunStarted, RunOver] * 2
    assert records[3] == over(2)
    assert bytes(records[0].plan) == b'{"plan":1}'
    assert Journal(written, FileCalls()).number == 2


def test_an_empty_journal_has_no_records(directory):
    assert runs(directory) == []
    assert directory.stat().st_mode & 0o777 == 0o700


def test_whether_anything_was_ever_done_is_told_without_opening_it(written, tmp_path):
    assert has_history(written)
    assert not has_history(tmp_path)


def test_other_files_in_its_directory_are_left_alone(written):
    (written / "lock").touch()
    (written / "notes.journal").write_text("by hand")
    assert runs(written) == [1, 1, 2, 2]


def test_a_record_is_read_again_from_where_it_was_appended(directory):
    journal = Journal(directory, FileCalls())
    places = []
    for number in (1, 2, 3):
        journal.begin()
        places += [journal.append(started(number)), journal.append(over(number))]
    assert [at for at, _ in journal.load()] == places
    for number, place in enumerate(places):
        assert [at for at, _ in journal.load(place)] == places[number:]
    assert [at for at, _ in Journal(directory, FileCalls()).load(places[3])] == places[3:]


def test_damage_after_a_position_is_named_by_its_line(written):
    path = written / "00000002.journal"
    place = [at for at, _ in Journal(written, FileCalls()).load()][3]
    path.write_bytes(path.read_bytes().replace(b'"done":1', b'"done":2') + b"x\n")
    with pytest.raises(StoreDamagedError, match=r"00000002\.journal: line 2 "):
        list(Journal(written, FileCalls()).load(place))


def test_a_torn_last_line_is_dropped_wherever_it_tore(written):
    path = written / "00000002.journal"
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1
    for length in range(second, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert runs(written) == [1, 1, 2], length
    path.write_bytes(whole[:-1])  # all of it but the end of the line
    assert runs(written) == [1, 1, 2, 2]
    path.write_bytes(b"")
    assert runs(written) == [1, 1]


def test_any_flipped_bit_before_the_last_line_is_named(written):
    path = written / "00000001.journal"
    whole = path.read_bytes()
    for position in range(whole.index(b"\n")):
        if position == 32:  # the space between checksum and record says nothing
            continue
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(StoreDamagedError, match=r"00000001\.journal: line 1 "):
            runs(written)


def test_a_missing_and_a_repeated_line_are_damage(written):
    path = written / "00000001.journal"
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + first + second)
    with pytest.raises(StoreDamagedError, match="line 2 "):
        runs(written)
    path.write_bytes(second + first)
    with pytest.raises(StoreDamagedError, match="line 1 "):
        runs(written)


def test_a_line_of_a_kind_that_is_not_known_is_damage(written):
    from dedupd.cleanup import journal

    path = written / "00000001.journal"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(journal._line(1, b'{"type":"of the future"}') + lines[1])
    with pytest.raises(StoreDamagedError):
        runs(written)


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.ENOSPC, DiskFullError), (errno.EIO, StoreWriteError), (errno.EROFS, StoreWriteError)]
)
def test_nothing_is_written_any_more_after_a_failed_write_or_sync(directory, code, kind):
    def fail():
        raise OSError(code, os.strerror(code))

    for at in range(1, 6):  # open, create, sync of the directory, write, sync
        journal = Journal(directory, FaultyCalls(at, before=fail))
        with pytest.raises(kind, match="journal"):
            journal.append(started(journal.begin()))
        with pytest.raises(StoreWriteError, match="failed before"):
            journal.begin()
        with pytest.raises(StoreWriteError, match="failed before"):
            journal.append(over(1))
        journal.end()
    assert all(isinstance(record, RunStarted) for _, record in Journal(directory, FileCalls()).load())
