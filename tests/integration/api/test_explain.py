"""`explain` by command and by HTTP: of pictures in the library and outside it, in words and as a picture."""

import http.client
import json
import os
import socket
from contextlib import suppress

import msgspec
import pytest

from dedupd.core.verdicts import NotDuplicate, digest_pair
from dedupd.protocol.pictures import PairMessage
from dedupd.protocol.requests import MAX_NAME


def post(stand, target, body):
    connection = http.client.HTTPConnection("test")
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(10)
    connection.sock.connect(str(stand.socket_path))
    with suppress(BrokenPipeError):  # refused before all of the body was sent: the answer is there to be read
        connection.request("POST", target, body=body)
    response = connection.getresponse()
    return response.status, response.headers["content-type"], response.read()


def saved(stand, name, body):
    path = stand.base / name
    path.write_bytes(body)
    return path


def test_a_file_that_the_library_does_not_know_is_sent(album, dedupctl):
    mine = saved(album, "mine.jpg", b"PIC mine")
    said = dedupctl("explain", mine, "content:1", "--json")
    assert said.code == 0, said.err
    pair = msgspec.json.decode(said.out, type=PairMessage)
    assert (pair.a.content, pair.a.files, pair.b.content) == (0, (), 1)
    assert "not in the library" in dedupctl("explain", "content:1", mine).out


def test_two_files_that_the_library_does_not_know_are_sent_in_their_order(album, dedupctl):
    one, two = saved(album, "one.jpg", b"PIC " + b"1" * 300_000), saved(album, "two.jpg", b"PIC 22")
    pair = msgspec.json.decode(dedupctl("explain", one, two, "--json").out, type=PairMessage)
    assert (pair.a.size_bytes, pair.b.size_bytes) == (300_004, 6)


def test_sent_bytes_that_the_library_holds_are_the_content_that_they_are(album, dedupctl):
    elsewhere = saved(album, "copy of one.jpg", b"PIC one")
    pair = msgspec.json.decode(dedupctl("explain", elsewhere, "content:2", "--json").out, type=PairMessage)
    assert pair.a.content == 1
    assert pair.a.files
    assert msgspec.json.decode(dedupctl("explain", elsewhere, elsewhere, "--json").out).get("relation") == "same-bytes"


def test_nothing_of_what_was_sent_stays(album, dedupctl):
    mine = saved(album, "mine.jpg", b"PIC mine")
    before = sorted(album.base.iterdir())
    dedupctl("explain", mine, "content:1")
    dedupctl("explain", mine, mine)
    assert sorted(album.base.iterdir()) == before


@pytest.mark.parametrize(("suffix", "form"), [(".png", "png"), (".JPG", "jpeg"), (".jpeg", "jpeg"), (".webp", "webp")])
def test_the_picture_has_the_format_of_its_name(album, dedupctl, suffix, form):
    target = album.base / f"difference{suffix}"
    said = dedupctl("explain", "content:1", "content:2", "--image", target)
    assert (said.code, target.read_bytes()) == (0, b"a sheet as " + form.encode())
    assert str(target) in said.out


def test_the_picture_is_told_names_and_no_paths(album, dedupctl):
    mine = saved(album, "mine.jpg", b"PIC mine")
    dedupctl("explain", mine, "content:1", "--image", album.base / "x.png")
    [words] = album.matcher.drawn
    assert (words.name_a, words.name_b) == ("mine.jpg", "one link.jpg")
    assert words.title == "re-encoded: 98 % alike"
    assert "64 × 32 JPEG" in words.about_a
    assert str(album.base) not in str(words)


def test_a_picture_that_is_there_is_kept_unless_forced(album, dedupctl):
    target = saved(album, "precious.png", b"mine")
    said = dedupctl("explain", "content:1", "content:2", "--image", target)
    assert (said.code, target.read_bytes()) == (74, b"mine")
    assert "--force" in said.err
    assert album.matcher.drawn == []
    assert dedupctl("explain", "content:1", "content:2", "--image", target, "--force").code == 0
    assert target.read_bytes() == b"a sheet as png"
    assert list(album.base.glob(".dedupctl*")) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["content:1", "content:2", "--image", "x.gif"], 64, ".png, .jpg"),
        (["content:1", "content:2", "--image", "no/such/folder/x.png"], 74, "no folder"),
        (["content:1", "content:99"], 66, "content 99"),
        (["content:1", "nowhere.jpg"], 66, "not in the library"),
        (["content:1", "text.jpg"], 65, "Picture B cannot be read"),
        (["pipe.jpg", "content:1"], 74, "no regular file"),
    ],
)
def test_what_cannot_be_done_is_told(album, dedupctl, arguments, code, words):
    saved(album, "text.jpg", b"Dear diary")
    os.mkfifo(album.base / "pipe.jpg")
    said = dedupctl("explain", *arguments, cwd=album.base)
    assert said.code == code, said.err
    assert words in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("a=content:1&b=content:2", b"PIC", 400),  # nothing to send
        ("", b"PIC one", 400),  # where does B begin?
        ("a_bytes=7", b"PIC one", 400),  # no byte of B
        ("a_bytes=99999999", b"PIC one", 400),
        ("a=content:1", b"", 400),
        ("a=content:1", b"text", 422),
        ("a=content:99", b"PIC", 404),
        ("a=content:1&format=gif", b"PIC", 400),
        (f"a=content:1&name_b={'x' * (MAX_NAME + 1)}", b"PIC", 400),
        ("a=content:1", b"PIC" + b"x" * 1024 * 1024, 413),
        ("a_bytes=3", b"PICPIC" + b"x" * 1024 * 1024, 413),
    ],
)
def test_wrong_questions_are_refused(shared_album, query, body, status):
    got, _, answer = post(shared_album, f"/v1/explain?{query}", body)
    assert got == status, answer
    assert json.loads(answer)["error"]["message"]


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_a_pair_of_the_library_is_drawn_over_http(shared_album, form):
    assert shared_album.client.draw_pair(b"content:1", b"content:2", form) == b"a sheet as " + form.encode()
    status, kind, body = post(shared_album, f"/v1/explain?a=content:1&format={form}", b"PIC mine")
    assert (status, kind, body) == (200, f"image/{form}", b"a sheet as " + form.encode())


def test_a_pair_that_a_person_rejected_is_explained_with_what_was_said(album, dedupctl):
    with album.library.view() as view:
        one, two = view.content(1).digest, view.content(2).digest
    a, b = digest_pair(one, two)
    with album.library.transaction() as txn:
        txn.put_verdict(NotDuplicate(a=a, b=b, said_at_ns=1_777_766_400_000_000_000))
    said = dedupctl("explain", "content:2", "content:1")
    assert said.code == 0, said.err
    assert "You said on 3 May 2026 that these are no duplicates" in said.out
