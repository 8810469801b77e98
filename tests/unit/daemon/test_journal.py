"""The log in the journal: each key a field, any bytes, and a journal that is dead or full harms nobody."""

import array
import logging
import mmap
import os
import socket
import struct
import sys

import pytest

from dedupd.daemon.journal import JournalHandler, is_stderr_the_journal
from dedupd.daemon.log import fields


class Journal:
    """The receiving end, as journald reads it."""

    def __init__(self, path):
        self.path = path
        self.listen()

    def listen(self):
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(os.fspath(self.path))
        self.socket.settimeout(10)

    def entry(self):
        body, passed, _, _ = self.socket.recvmsg(1 << 20, 1024)
        for _, _, raw in passed:
            [fd] = array.array("i", raw)
            with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as mapped:
                body = mapped[:]
            with pytest.raises(OSError, match="not permitted"):
                os.write(fd, b"x")  # sealed, or journald refuses it
            os.close(fd)
        return parsed(body)


def parsed(body):
    found = {}
    while body:
        line, _, rest = body.partition(b"\n")
        name, is_plain, value = line.partition(b"=")
        if not is_plain:
            length = struct.unpack("<Q", rest[:8])[0]
            value, body = rest[8 : 8 + length], rest[9 + length :]
            assert rest[8 + length : 9 + length] == b"\n"
        else:
            body = rest
        found[name.decode()] = value
    return found


@pytest.fixture
def journal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path has a short limit
    journal = Journal(tmp_path / "socket")
    yield journal
    journal.socket.close()


@pytest.fixture
def log(journal):
    log = logging.getLogger("dedupd.test-journal")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    handler = JournalHandler("dedupd", journal.path)
    log.addHandler(handler)
    yield log
    log.removeHandler(handler)
    handler.close()


def test_each_key_of_a_line_is_a_field(journal, log):
    log.warning("root.suspect %s", fields(root=b"/srv/caf\xe9", share=0.25, why="much of it is gone"))
    entry = journal.entry()
    assert entry["MESSAGE"].startswith(b"root.suspect root=")
    assert entry["DEDUPD_EVENT"] == b"root.suspect"
    assert entry["DEDUPD_ROOT"] == b"/srv/caf\xe9"
    assert (entry["DEDUPD_SHARE"], entry["DEDUPD_WHY"]) == (b"0.25", b"much of it is gone")
    assert (entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]) == (b"4", b"dedupd")
    assert entry["SYSLOG_PID"] == str(os.getpid()).encode()
    assert entry["CODE_FILE"] == __file__.encode()
    assert entry["CODE_FUNC"] == b"test_each_key_of_a_line_is_a_field"
    assert int(entry["CODE_LINE"]) > 0


def test_keys_of_a_format_and_extras_are_fields_too(journal, log):
    log.info("compare.failed a=%d b=%d done=100%% detail=%r %s", 3, 4, "x y", "words", extra={"path": b"/a\nb.jpg"})
    entry = journal.entry()
    assert (entry["DEDUPD_A"], entry["DEDUPD_B"], entry["DEDUPD_DETAIL"]) == (b"3", b"4", b"x y")
    assert entry["DEDUPD_PATH"] == b"/a\nb.jpg"
    assert "DEDUPD_DONE" not in entry


@pytest.mark.parametrize("path", [b"/a\nPRIORITY=0\nb.jpg", b"\xff\xfe", b"tab\there", b"\0", b"", b"\n", b"=\n="])
def test_any_name_arrives_as_it_is_and_forges_no_field(journal, log, path):
    log.info("file %s", fields(path=path, after="it"))
    entry = journal.entry()
    assert entry["DEDUPD_PATH"] == path
    assert entry["DEDUPD_AFTER"] == b"it"
    assert entry["PRIORITY"] == b"6"


def test_a_traceback_is_in_the_message(journal, log):
    try:
        int("odd")
    except ValueError:
        log.exception("job.failed %s", fields(job="sweep"))
    message = journal.entry()["MESSAGE"]
    assert message.startswith(b"job.failed job=sweep\nTraceback")
    assert message.endswith(b"'odd'")


def test_an_entry_that_no_datagram_holds_goes_by_a_sealed_file(journal, log):
    log.info("file %s", fields(path=b"x\n" * 1_000_000))
    assert journal.entry()["DEDUPD_PATH"] == b"x\n" * 1_000_000


def test_a_journal_that_takes_nothing_costs_entries_and_says_how_many(journal, log):
    sent = 0
    while not log.handlers[0]._lost:
        log.info("burst number=%d", sent)
        sent += 1
    for _ in range(100):  # none of them waits: the first that found no room did
        log.info("more")
    for number in range(sent - 1):
        assert journal.entry()["DEDUPD_NUMBER"] == str(number).encode()
    log.info("room again")
    assert journal.entry()["DEDUPD_LOST_BEFORE"] == b"101"
    log.info("as before")
    assert "DEDUPD_LOST_BEFORE" not in journal.entry()


def test_a_dead_journal_harms_nobody_and_one_that_is_back_is_found(journal, log, capsys):
    journal.socket.close()
    log.error("nobody listens")
    journal.path.unlink()
    log.error("nobody is there")
    journal.listen()
    log.error("back")
    entry = journal.entry()
    assert (entry["MESSAGE"], entry["DEDUPD_LOST_BEFORE"]) == (b"back", b"2")
    assert capsys.readouterr().err == ""


def test_standard_error_is_the_journal_only_while_it_is_what_systemd_connected(monkeypatch, tmp_path):
    with (tmp_path / "stream").open("w") as stream, (tmp_path / "other").open("w") as other:
        facts = os.fstat(stream.fileno())
        monkeypatch.setattr(sys, "stderr", stream)
        for said in ("", "nonsense", "1:2:3", f"{facts.st_dev}:{facts.st_ino + 1}"):
            monkeypatch.setenv("JOURNAL_STREAM", said)
            assert not is_stderr_the_journal()
        monkeypatch.setenv("JOURNAL_STREAM", f"{facts.st_dev}:{facts.st_ino}")
        assert is_stderr_the_journal()
        monkeypatch.setattr(sys, "stderr", other)
        assert not is_stderr_the_journal()
