"""Who may do what: the kernel says who asks, and only admins may change something. Every user against every route."""

import http.client
import json
import os
import pwd
import socket
import subprocess
import sys

import pytest
from fakes.skipping import not_tested

from dedupd.api.admins import Admins
from dedupd.api.peer import Peer, peer_of
from dedupd.api.routes import ROUTES
from dedupd.api.server import ApiServer
from dedupd.core.errors import AccessError, ConfigError
from dedupd.protocol.requests import PlanRequest

from .test_routes import ask_json

OWN, ADMIN, STRANGER = 40_001, 40_002, 40_003  # nobody's on any machine
CHANGES = {  # routes that only admins may use; every other one is open to whoever may connect
    "accept_root",
    "apply_plan",
    "backup",
    "expire",
    "forget_root",
    "pause",
    "pin",
    "reject",
    "resume",
    "undo",
    "unpin",
    "withdraw",
}
TELLS_ALL = {"backup"}  # changes nothing, but holds every path
OPEN_THOUGH_NO_GET = {
    "draft_plan",
    "explain_upload",
    "find",
    "have",
    "rescan",
    "similar_upload",
}  # none of them changes anything

EVERYTHING = PlanRequest(relations=("same-bytes", "re-encoded", "edited"))

AS_USER = """
import http.client, json, os, socket, sys
uid, requests = int(sys.argv[1]), json.loads(sys.argv[2])
os.setgroups([])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
answers = []
for method, target, body in requests:
    connection = http.client.HTTPConnection("test")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect("dedupd.sock")
    try:
        connection.request(method, target, body=body)
    except BrokenPipeError:  # refused before all of the body was sent: the answer is there to be read
        pass
    response = connection.getresponse()
    answers.append([response.status, response.read().decode("utf-8", "replace")])
print(json.dumps(answers))
"""


def needs_root():
    if os.geteuid() != 0:
        not_tested("which user may use which route: only root can ask as another user")


def ask_as(stand, uid, requests):
    """What a process of this user is answered: (status, body) of each request."""
    folder = stand.socket_path.parent
    folder.chmod(0o755)
    stand.socket_path.chmod(0o666)  # the point is what happens once somebody is connected
    arguments = [str(uid), json.dumps(requests)]
    done = subprocess.run(
        [sys.executable, "-c", AS_USER, *arguments], cwd=folder, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return [tuple(answer) for answer in json.loads(done.stdout)]


def a_request(spec, plan):
    """Something that the route understands; what it names mostly is not there."""
    target = spec.path.replace("{id}", "77").replace("{plan}", plan)
    if spec.name == "explain":
        target += "?a=content:1&b=content:2"
    if spec.name == "events":
        target += "?after=0&follow=0"
    bodies = {
        "expire": '{"confirm": "wrong", "now": true}',
        "find": "PIC one",
        "explain_upload": "PIC one",
        "pin": '{"path": "/nowhere"}',
        "unpin": '{"path": "/nowhere"}',
        "have": '{"digests": []}',
        "reject": '{"group": 1}',
        "withdraw": '{"group": 1}',
    }
    body = bodies.get(spec.name, "{}" if spec.body_type is not None else None)
    return [spec.method, target, body]


@pytest.fixture
def guarded(cleanable):
    """A server whose own user and whose admin are users of the test."""
    cleanable.stop()
    cleanable.admins = Admins(frozenset({0, OWN, ADMIN}))
    cleanable.start()
    return cleanable


def test_the_routes_that_change_something_are_known():
    assert {spec.name for spec in ROUTES if spec.is_admin} == CHANGES
    assert {spec.name for spec in ROUTES if spec.method != "GET"} == CHANGES - TELLS_ALL | OPEN_THOUGH_NO_GET


@pytest.mark.parametrize("uid", [0, OWN, ADMIN, STRANGER])
def test_every_user_is_answered_on_every_route_or_refused_by_right(guarded, uid):
    needs_root()
    plan = guarded.client.draft_plan(EVERYTHING).id
    specs = sorted(ROUTES, key=lambda spec: spec.name == "apply_plan")  # last: it changes what the others see
    answers = ask_as(guarded, uid, [a_request(spec, plan) for spec in specs])
    for spec, (status, body) in zip(specs, answers, strict=True):
        is_refused = spec.name in CHANGES and uid == STRANGER
        assert (status == 403) == is_refused, (spec.name, status, body)
        if is_refused:
            error = json.loads(body)["error"]
            assert error["code"] == "no-permission"
            assert f"uid {STRANGER}" in error["message"]
            assert spec.right in error["message"]
            assert "cleanup.admins" in error["message"]


def test_what_a_stranger_asks_for_changes_nothing(guarded):
    needs_root()
    plan = guarded.client.draft_plan(EVERYTHING)
    before = guarded.on_disk()
    answers = ask_as(guarded, STRANGER, [a_request(spec, plan.id) for spec in ROUTES if spec.is_admin])
    assert {status for status, _ in answers} == {403}
    assert guarded.on_disk() == before
    assert guarded.client.plan(plan.id).state == "ready"
    assert guarded.client.verdicts().verdicts == guarded.client.pins().pins == guarded.client.quarantine().files == ()


def test_an_admin_applies_and_undoes(guarded):
    needs_root()
    plan = guarded.client.draft_plan(EVERYTHING)
    before = guarded.on_disk()
    (applied,) = ask_as(guarded, ADMIN, [["POST", f"/v1/plans/{plan.id}/apply", None]])
    assert applied[0] == 200
    assert guarded.on_disk() != before
    (undone,) = ask_as(guarded, ADMIN, [["POST", "/v1/undo", "{}"]])
    assert undone[0] == 200
    assert guarded.on_disk() == before


def test_a_refused_body_is_not_read(guarded):
    needs_root()
    (answer,) = ask_as(guarded, STRANGER, [["POST", "/v1/pins", "x" * 100_000]])
    assert answer[0] == 403


def test_who_cannot_be_told_apart_may_ask_but_change_nothing(cleanable):
    plan = cleanable.client.draft_plan(EVERYTHING)
    before = cleanable.on_disk()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = ApiServer(cleanable.app, listening)
        server.start()
        port = listening.getsockname()[1]
        assert _ask_over_tcp(port, "GET", f"/v1/plans/{plan.id}") == 200
        assert _ask_over_tcp(port, "POST", f"/v1/plans/{plan.id}/apply") == 403
        assert server.stop()
    assert cleanable.on_disk() == before


def _ask_over_tcp(port, method, target):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, target)
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_kernel_says_who_is_at_the_other_end(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        client.connect(str(tmp_path / "s"))
        connected, _ = listening.accept()
        with connected:
            assert peer_of(connected) == Peer(os.getpid(), os.geteuid(), os.getegid())
    with socket.socket(socket.AF_INET) as other:
        assert peer_of(other) is None
    assert peer_of(None) is None


def test_a_closed_connection_is_nobody_s():
    one, other = socket.socketpair(socket.AF_UNIX)
    other.close()
    one.close()
    assert peer_of(one) is None


def test_root_and_the_daemon_s_own_user_are_admins_without_being_named():
    assert Admins.named().uids == {0, os.geteuid()}
    Admins.named().require(Peer(1, os.geteuid(), 0), "apply plans")
    Admins.named().require(Peer(1, 0, 0), "apply plans")


def test_the_daemon_s_own_user_is_who_it_runs_as():
    needs_root()
    script = (
        "import os\nfrom dedupd.api.admins import Admins\n"
        f"os.setresuid({OWN}, {OWN}, {OWN})\nprint(sorted(Admins.named().uids))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == f"[0, {OWN}]"


def test_admins_are_named_by_user_or_number():
    name = pwd.getpwuid(1).pw_name
    assert Admins.named([name, str(ADMIN)]).uids == {0, os.geteuid(), 1, ADMIN}


@pytest.mark.parametrize("name", ["no such user here", "", "a\0b", "-1", str(2**32 - 1), "9" * 30])
def test_an_admin_that_is_nobody_is_told_at_start(name):
    with pytest.raises(ConfigError, match=r"cleanup\.admins"):
        Admins.named([name])


def test_a_refusal_names_the_user_what_was_asked_for_and_the_setting():
    user = pwd.getpwuid(1)
    with pytest.raises(AccessError) as refused:
        Admins.named().require(Peer(1, user.pw_uid, 1), "apply plans")
    for words in (f"{user.pw_name} (uid 1)", "may not apply plans", "cleanup.admins", f'Add "{user.pw_name}"'):
        assert words in str(refused.value)
    with pytest.raises(AccessError, match=f"^uid {STRANGER} may not"):
        Admins.named().require(Peer(1, STRANGER, 1), "undo plans")
    with pytest.raises(AccessError, match="Nobody can say who asks"):
        Admins.named().require(None, "undo plans")


def test_each_connection_is_asked_anew_and_a_connection_that_stays_open_keeps_its_user(guarded):
    status, _ = ask_json(guarded, "POST", "/v1/undo", b"{}")
    assert status == 404  # our own user: nothing was applied yet
    if os.geteuid() == 0:
        (answer,) = ask_as(guarded, STRANGER, [["POST", "/v1/undo", "{}"]])
        assert answer[0] == 403
        assert ask_json(guarded, "POST", "/v1/undo", b"{}")[0] == 404
