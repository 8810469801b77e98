"""dedupctl as people run it: a process, its output, its exit code, against a real server."""

import grp
import json
import os
import pty
import signal
import subprocess
import sys

import jsonschema
import msgspec
import pytest
from blake3 import blake3

from dedupd.cli import documents
from dedupd.core.events import Degraded, RootSuspect, ScanFinished
from dedupd.core.ports import Activity, FoundMatch
from dedupd.core.records import Relation, RootState
from dedupd.protocol.events import EventMessage
from dedupd.protocol.pictures import GroupMessage, GroupsMessage, PairMessage
from dedupd.protocol.report import ReportMessage
from dedupd.protocol.status import ForgottenMessage, ProblemsMessage, RootMessage, RootsMessage, StatusMessage

HOSTILE = "\x1b[2Jfake\nline.jpg"  # clears the screen and begins a line of its own


def picture(stand, name, body):
    path = stand.base / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


def write_card(stand, **photos):
    for name, body in photos.items():
        picture(stand, f"card/DCIM/{name}.jpg", body)
    return stand.base / "card"


@pytest.mark.parametrize(
    ("arguments", "document"),
    [
        (["status"], StatusMessage),
        (["report"], ReportMessage),
        (["report", "--format", "json"], ReportMessage),
        (["groups"], GroupsMessage),
        (["groups", "--limit", "1"], GroupsMessage),
        (["show", "1"], GroupMessage),
        (["problems"], ProblemsMessage),
        (["roots"], RootsMessage),
        (["explain", "content:1", "content:2"], PairMessage),
        (["rescan"], documents.RescanDocument),
        (["version"], documents.VersionDocument),
    ],
)
def test_json_is_one_document_as_described(shared_album, shared_dedupctl, arguments, document):
    said = shared_dedupctl(*arguments, "--json")
    assert (said.code, said.err) == (0, "")
    jsonschema.validate(json.loads(said.out), msgspec.json.schema(document))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["status"],
            ["scanning, 12.5 pictures/s, about 3 min left", "8 files", "1 file: `dedupctl problems`", "offline"],
        ),
        (["status"], ["! The disk is nearly full", "! Watches ran out: sysctl", "2 .mp4"]),
        (
            ["report"],
            ["re-encoded", "97 %", "99.9 %", "2 groups, 3 duplicates", "largest picture first", "a/one small.jpg"],
        ),
        (["groups"], ["GROUP", "re-encoded", "97 %", "99.9 %", "edited", "2 groups."]),
        (["groups", "--relation", "re-encoded"], ["1 group."]),
        (["groups", "--limit", "1"], ["go on with --after"]),
        (
            ["show", "1"],
            [
                "keep: higher resolution",
                "JPEG 64×32",
                "Canon EOS R5",
                "97 % alike, one shot to 99.9 %: half the size",
                "a/one link.jpg",
            ],
        ),
        (
            ["problems"],
            ["damaged", "the decoder refused it", "broken.jpg", "1 file is not indexed", "look for a backup"],
        ),
        (["problems", "--code", "damaged"], ["broken.jpg"]),
        (["problems", "--code", "empty"], ["No file is not indexed for this reason: empty"]),
        (["roots"], ["online", "offline", "partial", "photos"]),
        (
            ["explain", "content:1", "content:2"],
            ["re-encoded: 98 % alike", "half the size", "50 % of A's size", "differs at 10 %", "SSIM 0.980", "Canon"],
        ),
        (["version"], ["dedupctl ", "daemon "]),
        (["rescan"], ["1 root will be scanned"]),
    ],
)
def test_text_says_what_matters(shared_album, shared_dedupctl, arguments, expected):
    said = shared_dedupctl(*arguments)
    assert (said.code, said.err) == (0, "")
    for words in expected:
        assert words in said.out


@pytest.mark.parametrize(
    "arguments", [["report"], ["groups"], ["show", "4"], ["report", "--format", "json"], ["status"]]
)
def test_a_pipe_gets_neither_colour_nor_control_characters(shared_album, shared_dedupctl, arguments):
    said = shared_dedupctl(*arguments)
    assert said.code == 0
    assert all(c.isprintable() or c == "\n" for c in said.out)
    assert "fake\nline" not in said.out


def test_a_hostile_name_is_shown_escaped(shared_album, shared_dedupctl):
    said = shared_dedupctl("show", str(shared_album.groups.groups[1].id))
    assert r"\x1b[2Jfake\nline.jpg" in said.out


def test_on_a_terminal_tables_are_rich_and_names_still_harmless(shared_album):
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "dedupd.cli.main", "--socket", str(shared_album.socket_path), "groups"]
    environ = os.environ | {"TERM": "xterm", "COLUMNS": "200"}
    process = subprocess.Popen(command, stdout=slave, stderr=slave, stdin=subprocess.DEVNULL, env=environ)
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 65536):
            shown += piece
    except OSError:  # how Linux tells that the other side is closed
        pass
    os.close(master)
    assert process.wait(30) == 0
    assert b"re-encoded" in shown
    assert b"\x1b[1m" in shown  # bold headings
    assert b"\x1b[2J" not in shown


def test_report_out_replaces_the_file_whole(album, dedupctl):
    target = album.base / "report.csv"
    target.write_text("old")
    said = dedupctl("report", "--format", "csv", "--out", target)
    assert (said.code, said.out) == (0, "")
    assert "wrote" in said.err
    assert "one small.jpg" in target.read_text()
    assert not list(album.base.glob(".dedupctl*"))


def test_report_out_keeps_the_old_file_when_the_daemon_is_gone(album, dedupctl):
    target = album.base / "report.csv"
    target.write_text("old")
    album.stop()
    assert dedupctl("report", "--format", "csv", "--out", target).code == 69
    assert target.read_text() == "old"
    assert not list(album.base.glob(".dedupctl*"))


def test_report_into_a_folder_that_is_not_there_names_it(album, dedupctl):
    said = dedupctl("report", "--format", "csv", "--out", album.base / "no" / "report.csv")
    assert said.code == 66
    assert "report.csv" in said.err


# ---------------------------------------------------------------------------------------------------------------- find


def test_find_says_yes_no_and_trouble_by_exit_code(album, dedupctl):
    known = picture(album, "known.jpg", b"PIC one")
    unknown = picture(album, "unknown.jpg", b"PIC nobody")
    text = picture(album, "text.jpg", b"text")
    assert dedupctl("find", known).code == 0
    assert dedupctl("find", unknown).code == 1
    assert dedupctl("find", known, unknown).code == 1
    assert dedupctl("find", text).code == 65
    assert dedupctl("find", album.base / "nowhere.jpg").code == 66
    assert dedupctl("find", album.base).code == 74


def test_find_goes_on_after_a_bad_picture(album, dedupctl):
    text = picture(album, "text.jpg", b"text")
    known = picture(album, "known.jpg", b"PIC one")
    said = dedupctl("find", text, known)
    assert said.code == 65
    assert "text.jpg" in said.err
    assert "known.jpg: found" in said.out
    assert "a/one.jpg" in said.out


def test_find_does_not_count_what_is_only_similar_or_gone(album, dedupctl):
    gone = picture(album, "gone.jpg", b"PIC gone")
    assert dedupctl("find", gone).code == 1
    similar = picture(album, "similar.jpg", b"PIC burst")
    album.matcher.answers[blake3(b"PIC burst").digest()] = [
        FoundMatch(content=1, relation=Relation.SIMILAR, similarity=0.8, reason="another exposure")
    ]
    said = dedupctl("find", similar)
    assert said.code == 1
    assert "similar, 80 %" in said.out


def test_find_pixels_leaves_looser_matches_out(album, dedupctl):
    looser = picture(album, "looser.jpg", b"PIC looser")
    album.matcher.answers[blake3(b"PIC looser").digest()] = [
        FoundMatch(content=1, relation=Relation.RE_ENCODED, similarity=0.9, reason="smaller")
    ]
    assert dedupctl("find", looser).code == 0
    assert dedupctl("find", "--pixels", looser).code == 1


def test_find_json_carries_answers_and_errors(album, dedupctl):
    known = picture(album, "known.jpg", b"PIC one")
    text = picture(album, "text.jpg", b"text")
    said = dedupctl("find", known, text, "--json")
    document = json.loads(said.out)
    jsonschema.validate(document, msgspec.json.schema(documents.FindDocument))
    assert [image["is_found"] for image in document["images"]] == [True, False]
    assert document["images"][1]["error"]["code"] == "unreadable-image"


def test_a_picture_over_the_limit_is_refused_in_words(album, dedupctl):
    large = picture(album, "large.jpg", b"PIC" + b"x" * (8 * 1024 * 1024))
    said = dedupctl("find", large)
    assert said.code == 64
    assert "over the limit of 1 MiB" in said.err


# ---------------------------------------------------------------------------------------------------------------- have


def test_have_says_yes_only_when_every_photo_is_there(album, dedupctl):
    card = write_card(album, one=b"PIC one", odd=b"PIC odd")
    said = dedupctl("have", card)
    assert said.code == 0
    assert "2 photos: 2 there" in said.out
    write_card(album, new=b"PIC new")
    said = dedupctl("have", card)
    assert said.code == 1
    assert "missing:\n" in said.out
    assert "DCIM/new.jpg" in said.out
    assert "DCIM/one.jpg" not in said.out


def test_an_answer_while_the_library_is_not_complete_says_so(album, dedupctl):
    card = write_card(album, new=b"PIC new")
    for arguments in (["have", card], ["find", card / "DCIM" / "new.jpg"]):
        album.control.activity = Activity.SCANNING
        assert "the daemon is scanning" in dedupctl(*arguments).err
        album.control.activity = Activity.IDLE
        assert dedupctl(*arguments).err == ""


def test_have_lists_looser_copies_apart_and_counts_as_told(album, dedupctl):
    card = write_card(album, encoded=b"PIC encoded", cropped=b"PIC cropped")
    for body, relation in ((b"PIC encoded", Relation.RE_ENCODED), (b"PIC cropped", Relation.EDITED)):
        album.matcher.answers[blake3(body).digest()] = [
            FoundMatch(content=1, relation=relation, similarity=0.9, reason="found", probability=0.875)
        ]
    for relation, code, there in (("re-encoded", 1, 1), ("edited", 0, 2), ("same-bytes", 1, 0)):
        document = json.loads(dedupctl("have", card, "--relation", relation, "--json").out)
        jsonschema.validate(document, msgspec.json.schema(documents.HaveDocument))
        verdicts = [photo["verdict"] for photo in document["photos"]]
        assert verdicts.count("there") == there
        assert {photo["probability"] for photo in document["photos"]} == {0.875}
        assert document["is_complete"] == (code == 0)
    said = dedupctl("have", card)
    assert said.code == 1
    assert "only a looser copy than re-encoded is there:" in said.out
    assert "(edited of " in said.out
    assert ", one shot to 87 %)" in said.out


def test_have_does_not_take_the_card_for_its_own_copy(album, dedupctl):
    card = write_card(album, only=b"PIC only here")
    album.add_root("card")
    album.add_file("card", b"DCIM/only.jpg", b"PIC only here")
    assert dedupctl("have", card).code == 1


def test_have_does_not_count_missing_files_or_offline_roots(album, dedupctl):
    card = write_card(album, gone=b"PIC gone", away=b"PIC away")
    said = dedupctl("have", card)
    assert said.code == 1
    assert "2 missing" in said.out


def test_have_counts_what_it_cannot_read_as_not_there(album, dedupctl):
    card = write_card(album, one=b"PIC one", torn=b"torn")
    said = dedupctl("have", card)
    assert said.code == 1
    assert "cannot be read" in said.out
    assert "torn.jpg  (The picture cannot be read: no picture)" in said.out


def test_have_passes_over_what_is_no_photo_and_says_so(album, dedupctl):
    card = write_card(album, one=b"PIC one")
    picture(album, "card/film.MP4", b"film")
    picture(album, "card/README", b"text")
    picture(album, "card/@eaDir/one.jpg", b"PIC thumb")
    (card / "link.jpg").symlink_to("/etc/hostname")
    os.mkfifo(card / "pipe.jpg")
    said = dedupctl("have", card)
    assert said.code == 0
    assert "1 .mp4" in said.out
    for words in ("1 without suffix", "1 ignored", "1 symlink", "1 special"):
        assert words in said.out


def test_have_copes_with_any_name(album, dedupctl):
    card = write_card(album)
    picture(album, os.fsdecode(b"card/\xff\x1b[2J\n.jpg"), b"PIC nobody")
    said = dedupctl("have", card)
    assert said.code == 1
    assert r"\xff\x1b[2J\n.jpg" in said.out


def test_have_of_a_folder_that_is_not_there_is_an_error_and_not_an_answer(album, dedupctl):
    said = dedupctl("have", album.base / "nowhere")
    assert said.code == 66
    assert "nowhere: there is no such file." in said.err


# ------------------------------------------------------------------------------------------------------ events, rescan


def test_events_without_follow_end_with_what_is_kept(album, dedupctl):
    sequences = album.tell(Degraded(what="test", message="first"), Degraded(what="test", message="second"))
    said = dedupctl("events")
    assert [line.rsplit(": ", 1)[1] for line in said.out.splitlines()] == ["first", "second"]
    said = dedupctl("events", "--after", str(sequences[0]), "--json")
    (event,) = map(json.loads, said.out.splitlines())
    jsonschema.validate(event, msgspec.json.schema(EventMessage))
    assert event["message"] == "second"


def test_events_follow_goes_on_over_a_restart_until_interrupted(album):
    (seen,) = album.tell(Degraded(what="test", message="old"))
    command = [sys.executable, "-m", "dedupd.cli.main", "events", "--follow", "--json"]
    environ = os.environ | {"DEDUPD_SOCKET": str(album.socket_path)}
    with subprocess.Popen(
        [*command, "--after", str(seen)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ
    ) as process:
        album.tell(Degraded(what="test", message="before"))
        assert json.loads(process.stdout.readline())["message"] == "before"
        album.stop()
        assert b"trying again" in process.stderr.readline()
        album.tell(Degraded(what="test", message="meanwhile"))
        album.start()
        assert json.loads(process.stdout.readline())["message"] == "meanwhile"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert b"Traceback" not in process.stderr.read()


def test_a_reader_that_leaves_ends_the_follower_quietly(album):
    album.tell(*(Degraded(what="test", message="x" * 1000) for _ in range(200)))
    command = [sys.executable, "-m", "dedupd.cli.main", "--socket", str(album.socket_path), "events"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr.read() == b""


def scanned(album):
    root = album.roots["photos"]
    return ScanFinished(root=root, root_path=b"/photos", files=9, added=1, changed=0, missing=2, duration_s=0.1)


def test_rescan_wait_ends_with_the_scan_that_it_asked_for(album, dedupctl):
    album.tell(scanned(album))  # an earlier one
    album.control.on_rescan = lambda: album.tell(scanned(album))
    said = dedupctl("rescan", "--wait", album.base / "photos")
    assert said.code == 0
    assert said.out == "/photos: 9 files, 1 new, 0 changed, 2 missing\n"
    assert album.control.rescans == [[album.roots["photos"]]]


def test_rescan_wait_does_not_wait_for_a_root_that_turns_suspect(album, dedupctl):
    suspect = RootSuspect(root=album.roots["photos"], root_path=b"/photos", reason="emptied", known_files=9)
    album.control.on_rescan = lambda: album.tell(suspect)
    said = dedupctl("rescan", "--wait")
    assert said.code == 70
    assert "suspect: emptied" in said.err


def test_roots_by_path_and_by_number(album, dedupctl):
    album.add_root("old", is_watched=False)
    suspect = album.add_root("moved", state=RootState.SUSPECT, reason="another filesystem")
    assert "if what it shows now is right" in dedupctl("status").out
    assert dedupctl("roots", "accept", album.base / "moved").code == 0
    with album.library.view() as view:
        assert view.root(suspect).state is RootState.ONLINE
    said = dedupctl("roots", "accept", str(suspect), "--json")
    jsonschema.validate(json.loads(said.out), msgspec.json.schema(RootMessage))
    said = dedupctl("roots", "forget", album.base / "old", "--json")
    jsonschema.validate(json.loads(said.out), msgspec.json.schema(ForgottenMessage))
    assert dedupctl("roots", "forget", "1").code == 64  # still configured
    assert dedupctl("roots", "forget", "/nowhere").code == 66
    assert dedupctl("roots", "accept").code == 64


# --------------------------------------------------------------------------------------------------------------- errors


def test_without_a_daemon_each_socket_tried_and_the_remedy_are_named(album, dedupctl):
    album.stop()
    said = dedupctl("status")
    assert said.code == 69
    assert str(album.socket_path) in said.err
    assert "dedupd run" in said.err
    assert said.out == ""


def test_version_answers_without_a_daemon(album, dedupctl):
    album.stop()
    said = dedupctl("version", "--json")
    assert said.code == 0
    assert json.loads(said.out)["daemon"] is None


AS_NOBODY = """
import os, sys
from dedupd.cli import main
main.main(["--socket", "/nowhere/dedupd.sock", "status"])  # imports all of it while this user may read it
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
sys.exit(main.main(sys.argv[1:]))
"""


def test_a_socket_of_somebody_else_names_the_group(album):
    arguments = ["--socket", str(album.socket_path), "status"]
    if os.geteuid() == 0:  # root may use every socket, so ask as somebody
        command = [sys.executable, "-c", AS_NOBODY, *arguments]
    else:
        album.socket_path.chmod(0)
        command = [sys.executable, "-m", "dedupd.cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 77, done.stderr
    assert f"open to the group {grp.getgrgid(os.getegid()).gr_name}" in done.stderr
    assert str(album.socket_path) in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["show"],
        ["show", "x"],
        ["groups", "--limit", "0"],
        ["report", "--relation", "similar"],
        ["find"],
    ],
)
def test_wrong_usage_has_its_own_exit_code(shared_dedupctl, arguments):
    said = shared_dedupctl(*arguments)
    assert said.code == 64
    assert "--help" in said.err


def test_an_unknown_group_is_told_with_the_next_step(shared_album, shared_dedupctl):
    said = shared_dedupctl("show", "99")
    assert said.code == 66
    assert "dedupctl groups" in said.err


def test_a_table_cannot_go_into_a_file(shared_album, shared_dedupctl):
    assert shared_dedupctl("report", "--out", shared_album.base / "x").code == 64


def test_explain_takes_relative_paths_and_resolves_links_only_if_needed(album, dedupctl):
    (album.base / "photos" / "a").mkdir(parents=True)
    (album.base / "link").symlink_to(album.base / "photos")
    said = dedupctl("explain", "photos/a/one.jpg", "link/a/one small.jpg", cwd=album.base)
    assert said.code == 0, said.err
    assert "a/one small.jpg" in said.out
