"""Every route against the real server: answers as described, refusals in one shape, nothing opened that was named."""

import http.client
import json
import socket
from contextlib import suppress
from urllib.parse import quote

import jsonschema
import pytest
from blake3 import blake3
from openapi_spec_validator import validate

from dedupd.core.ports import FoundMatch
from dedupd.core.records import Relation, RootState
from dedupd.protocol.requests import MAX_JSON_BYTES


def ask(stand, method, target, body=None, headers=None):
    """Status, headers and body of one exchange, below the client of ours."""
    connection = http.client.HTTPConnection("test")
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(10)
    connection.sock.connect(str(stand.socket_path))
    with suppress(BrokenPipeError):  # refused before all of the body was sent: the answer is there to be read
        connection.request(method, target, body=body, headers=headers or {})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, response.headers, content


def ask_json(stand, method, target, body=None):
    status, _, content = ask(stand, method, target, body)
    return status, json.loads(content)


def answer_schema(openapi, path, method, status):
    content = openapi["paths"][path][method]["responses"][str(status)]["content"]["application/json"]["schema"]
    return {**content, "components": openapi["components"]}


def assert_as_described(stand, method, target, path, body=None):
    _, openapi = ask_json(stand, "GET", "/openapi.json")
    status, answer = ask_json(stand, method, target, body)
    jsonschema.validate(answer, answer_schema(openapi, path, method.lower(), status))
    return status, answer


def test_the_openapi_description_is_valid(stand):
    status, description = ask_json(stand, "GET", "/openapi.json")
    assert status == 200
    validate(description)


def send_chunks(raw, *, limit_bytes):
    piece = b"x" * 65536
    for _ in range(limit_bytes // len(piece)):
        raw.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/healthz", "/healthz"),
        ("/v1/status", "/v1/status"),
        ("/v1/report", "/v1/report"),
        ("/v1/groups", "/v1/groups"),
        ("/v1/groups/1", "/v1/groups/{id}"),
        ("/v1/problems", "/v1/problems"),
        ("/v1/roots", "/v1/roots"),
        ("/v1/explain?a=content:1&b=content:2", "/v1/explain"),
    ],
)
def test_get_answers_are_as_described(shared_album, target, path):
    status, _ = assert_as_described(shared_album, "GET", target, path)
    assert status == 200


def test_metrics_are_text_that_prometheus_reads(shared_album):
    status, headers, body = ask(shared_album, "GET", "/metrics")
    assert status == 200
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# TYPE dedupd_pictures gauge\ndedupd_pictures " in body


@pytest.mark.parametrize(
    ("method", "target", "path", "body", "expected"),
    [
        ("POST", "/v1/roots/2/accept", "/v1/roots/{id}/accept", None, 200),
        ("DELETE", "/v1/roots/1", "/v1/roots/{id}", None, 400),
        ("POST", "/v1/rescan", "/v1/rescan", b"", 202),
        ("POST", "/v1/rescan", "/v1/rescan", b'{"roots": [1]}', 202),
        ("POST", "/v1/find", "/v1/find", b"PIC one", 200),
        ("POST", "/v1/find", "/v1/find", b"text", 422),
        ("POST", "/v1/have", "/v1/have", b'{"digests": []}', 200),
        ("GET", "/v1/groups/99", "/v1/groups/{id}", None, 404),
        ("GET", "/v1/preview/99", "/v1/preview/{id}", None, 404),
    ],
)
def test_other_answers_and_refusals_are_as_described(album, method, target, path, body, expected):
    status, _ = assert_as_described(album, method, target, path, body)
    assert status == expected


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "code"),
    [
        ("GET", "/nowhere", None, 404, "not-found"),
        ("GET", "/v1/status/", None, 404, "not-found"),
        ("DELETE", "/v1/status", None, 405, "request"),
        ("GET", "/v1/status?unknown=1", None, 400, "request"),
        ("GET", "/v1/groups?limit=0", None, 400, "request"),
        ("GET", "/v1/groups?limit=ten", None, 400, "request"),
        ("GET", "/v1/groups?limit=1&limit=2", None, 400, "request"),
        ("GET", f"/v1/groups?after={'9' * 30}", None, 400, "request"),
        ("GET", "/v1/groups?after=77", None, 404, "not-found"),
        ("GET", "/v1/groups/x", None, 404, "not-found"),
        ("GET", f"/v1/groups/{'9' * 5000}", None, 404, "not-found"),
        ("GET", f"/v1/groups/{2**48}", None, 404, "not-found"),
        ("GET", f"/v1/preview/{2**48}", None, 404, "not-found"),
        ("POST", f"/v1/roots/{2**32}/accept", None, 404, "not-found"),
        ("GET", "/v1/report?format=pdf", None, 400, "request"),
        ("GET", "/v1/report?relation=similar", None, 400, "request"),
        ("GET", "/v1/explain?a=content:1", None, 400, "request"),
        ("GET", f"/v1/explain?a=content:1&b=content:{2**48}", None, 404, "not-found"),
        ("GET", "/v1/explain?a=relative.jpg&b=content:1", None, 404, "not-found"),
        ("GET", "/v1/explain?a=/%00&b=content:1", None, 404, "not-found"),
        ("GET", f"/v1/explain?a=/{'x' * 5000}&b=content:1", None, 404, "not-found"),
        ("GET", "/v1/events?after=-2", None, 400, "request"),
        ("POST", "/v1/rescan", b"{", 400, "request"),
        ("POST", "/v1/rescan", b"\xff", 400, "request"),
        ("POST", "/v1/rescan", b"[" * 100_000, 400, "request"),
        ("POST", "/v1/rescan", b'{"root": [1]}', 400, "request"),
        ("POST", "/v1/rescan", b'{"roots": ["1"]}', 400, "request"),
        ("POST", "/v1/rescan", b'{"roots": [99]}', 404, "not-found"),
        ("POST", "/v1/have", b"", 400, "request"),
        ("POST", "/v1/have", b'{"digests": ["xyz"]}', 400, "request"),
        ("POST", "/v1/have", b" " * (MAX_JSON_BYTES + 1), 413, "request"),
        ("POST", "/v1/find", b"", 400, "request"),
        ("POST", "/v1/find?pixels=perhaps", b"PIC", 400, "request"),
        ("POST", "/v1/find", b"x" * (1024 * 1024 + 1), 413, "request"),
    ],
)
def test_refusals_have_one_shape(shared_album, method, target, body, status, code):
    got, answer = ask_json(shared_album, method, target, body)
    assert (got, answer["error"]["code"]) == (status, code)
    assert answer["error"]["message"]
    assert set(answer["error"]) >= {"code", "message", "hint"}


def test_an_endless_body_is_cut_off_at_the_limit(album):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as raw:
        raw.settimeout(10)
        raw.connect(str(album.socket_path))
        raw.sendall(b"POST /v1/find HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            send_chunks(raw, limit_bytes=64 * 1024 * 1024)
    assert album.client.status().version


def test_a_fault_behind_a_port_is_a_500_that_tells_nothing_and_the_server_lives(album):
    album.matcher.fault = ValueError("/secret/inside")
    status, answer = ask_json(album, "POST", "/v1/find", b"PIC one")
    assert status == 500
    assert answer["error"]["code"] == "error"
    assert "secret" not in json.dumps(answer)
    assert album.client.status().version


def test_a_closed_library_is_a_503_in_the_one_shape(album):
    album.library.close()
    status, answer = ask_json(album, "GET", "/v1/status")
    assert status == 503
    assert answer["error"]["message"]


def test_answers_say_that_they_are_not_to_be_guessed_or_kept(shared_album):
    _, headers, content = ask(shared_album, "GET", "/v1/preview/1")
    assert headers["content-type"] == "image/jpeg"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert content.startswith(b"\xff\xd8")


def test_pages_of_groups_show_each_group_once(shared_album):
    seen, after = [], 0
    while after is not None:
        page = shared_album.client.groups(limit=1, after=after)
        seen += [group.id for group in page.groups]
        after = page.next
    assert seen == [group.id for group in shared_album.groups.groups]
    assert page.total == 2


def test_a_group_counts_hard_links_once_and_is_found_by_any_content(shared_album):
    group = shared_album.client.group(shared_album.groups.groups[0].id)
    assert group.frees_bytes == len(b"PIC one small")
    assert group.files == 3
    assert group.relation == "re-encoded"
    member = group.members[0].picture.content
    assert shared_album.client.group(member).id == group.id


def test_a_lower_relation_leaves_looser_groups_out(shared_album):
    assert shared_album.client.groups(relation="edited").total == 2
    assert shared_album.client.groups(relation="re-encoded").total == 1
    assert shared_album.client.groups(relation="same-pixels").total == 0


def test_a_path_that_is_not_utf8_is_shown_escaped_and_carried_exactly(shared_album):
    group = shared_album.client.group(shared_album.groups.groups[1].id)
    file = group.keeper.files[0]
    assert file.path.endswith(r"/b/\xff\xfe.jpg")
    status, answer = ask_json(shared_album, "GET", f"/v1/groups/{group.id}")
    carried = answer["keeper"]["files"][0]["path_b64"]
    assert carried
    assert "path_b64" not in answer["members"][0]["picture"]["files"][0]
    assert status == 200


def test_report_in_each_format(shared_album):
    report = shared_album.client.report()
    assert (report.duplicate_groups, report.total_duplicates) == (2, 3)  # the hard link is a duplicate file as well
    assert report.groups[0].keep.relation is None
    csv = b"".join(shared_album.client.report_pieces("csv"))
    html = b"".join(shared_album.client.report_pieces("html"))
    assert b"one small.jpg" in csv
    assert html.lstrip().lower().startswith(b"<!doctype html")


def test_have_counts_only_files_that_are_there_now(shared_album):
    bodies = [b"PIC one", b"PIC gone", b"PIC away", b"PIC never seen"]
    digests = [blake3(body).hexdigest() for body in bodies]
    answer = shared_album.client.have([*digests, digests[0]])
    assert [known.digest for known in answer.known] == digests[:1]
    assert list(answer.unknown) == digests[1:]
    assert all(file.is_present for file in answer.known[0].files)


def test_find_by_bytes_by_pixels_and_not_at_all(album, tmp_path):
    content = album.groups.groups[0].keeper
    looser = blake3(b"PIC looser").digest()
    album.matcher.answers[looser] = [
        FoundMatch(content=content, relation=Relation.SAME_PIXELS, similarity=1.0, reason="equal pixels"),
        FoundMatch(content=content, relation=Relation.RE_ENCODED, similarity=0.9, reason="smaller"),
    ]
    for body, strict, relations in [
        (b"PIC one", False, ["same-bytes"]),
        (b"PIC looser", False, ["same-pixels", "re-encoded"]),
        (b"PIC looser", True, ["same-pixels"]),
        (b"PIC nobody", False, []),
    ]:
        picture = tmp_path / "asked"
        picture.write_bytes(body)
        with picture.open("rb") as file:
            answer = album.client.find(file, pixels=strict)
        assert [match.relation for match in answer.matches] == relations
        assert answer.is_known == (body == b"PIC one")


def test_known_bytes_are_found_even_if_they_cannot_be_decoded_now(album):
    album.add_file("photos", b"old.jpg", b"no picture to this decoder")
    status, answer = ask_json(album, "POST", "/v1/find", b"no picture to this decoder")
    assert status == 200
    assert answer["is_known"]
    assert answer["format"] is None


def test_an_unreadable_picture_names_its_problem(shared_album):
    status, answer = ask_json(shared_album, "POST", "/v1/find", b"text")
    assert status == 422
    assert answer["error"]["code"] == "unreadable-image"
    assert answer["error"]["problem"] == "not-an-image"


def test_an_upload_leaves_nothing_behind(shared_album):
    before = sorted(shared_album.base.iterdir())
    for body in (b"PIC one", b"text", b"x" * (1024 * 1024 + 1)):
        ask(shared_album, "POST", "/v1/find", body)
    assert sorted(shared_album.base.iterdir()) == before


def test_explain_matches_paths_with_the_records_and_opens_none(shared_album):
    first, second = shared_album.path("photos", b"a/one.jpg"), shared_album.path("photos", b"b/\xff\xfe.jpg")
    pair = shared_album.client.explain(second, first)  # neither exists on disk
    back = shared_album.client.explain(first, second)
    assert (pair.a.content, pair.b.content) == (back.b.content, back.a.content)
    assert pair.relation == "re-encoded"
    assert (pair.evidence.geometry.scale, back.evidence.geometry.scale) == (2.0, 0.5)
    assert back.words[0] == "B shows the subject at 50 % of A's size."
    assert back.figures.psnr_db == pytest.approx(40.0, abs=0.1)
    assert {fact.name: fact.standing for fact in back.metadata}["model"] == "same"


def test_explain_of_one_content_says_same_bytes(shared_album):
    pair = shared_album.client.explain(
        shared_album.path("photos", b"a/one.jpg"), shared_album.path("photos", b"a/one link.jpg")
    )
    assert pair.relation == "same-bytes"
    assert pair.evidence is None


def test_explain_says_why_a_known_file_has_no_answer(shared_album):
    target = quote(shared_album.path("photos", b"broken.jpg"))
    status, answer = ask_json(shared_album, "GET", f"/v1/explain?a={target}&b=content:1")
    assert status == 404
    assert "the decoder refused it" in answer["error"]["message"]


def test_accepting_a_suspect_root_answers_with_its_new_state(album):
    root = album.add_root("moved", state=RootState.SUSPECT, reason="another filesystem")
    assert album.client.accept_root(root).state == "online"


def test_forgetting_a_root_says_how_many_files_went(album):
    root = album.add_root("old", is_watched=False)
    album.add_file("old", b"x.jpg", b"PIC x")
    forgotten = album.client.forget_root(root)
    assert (forgotten.root, forgotten.files) == (root, 1)


def test_pages_of_problems_show_each_once(album):
    for number in range(4):
        album.add_problem("photos", b"bad %d.jpg" % number)
    seen, after = [], 0
    while after is not None:
        page = album.client.problems(limit=2, after=after)
        seen += [problem.path for problem in page.problems]
        after = page.next
    assert len(seen) == len(set(seen)) == page.total == 5


def test_stopping_waits_for_no_stuck_reader(album, in_background):
    album.reader.is_stuck = True
    answers = []
    in_background(lambda: answers.append(ask(album, "POST", "/v1/find", b"PIC one")[0]))
    album.client.status()
    assert album.stop()
