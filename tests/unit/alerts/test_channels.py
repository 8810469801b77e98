"""What each way to people promises: programs, an Apprise service on this machine, the log."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dedupd.alerts.channels import AppriseChannel, HookChannel, LogChannel
from dedupd.core.alert_rules import AlertKind, AlertMessage
from dedupd.core.errors import ConfigError, RetryError
from dedupd.core.events import DuplicateFound, Event, Match, Origin
from dedupd.core.records import ContentId, FilePath, Relation, RootId, Sequence

ROOT = RootId(1)
DEADLINE_S = 10.0


def root_paths():
    return {ROOT: b"/photos"}


def alert(name=b"IMG 1; $(touch x).jpg", **changes):
    path = FilePath(root=ROOT, directory=b"new", name=name)
    old = FilePath(root=ROOT, directory=b"old", name=b"a.jpg")
    match = Match(path=old, content=ContentId(1), relation=Relation.SAME_BYTES, similarity=1.0)
    fact = DuplicateFound(
        path=path, content=ContentId(1), size_bytes=9, origin=Origin.ARRIVAL, matches=(match,), group=ContentId(1)
    )
    values = {
        "kind": AlertKind.DUPLICATES,
        "title": "Duplicate photo",
        "body": "it is an exact copy of old/a.jpg",
        "path": b"/photos/new/" + name,
        "count": 1,
        "events": (Event(sequence=Sequence(7), at_ns=1, fact=fact),),
        "first": Sequence(7),
    }
    return AlertMessage(**(values | changes))


def wait_until(claim):
    deadline = time.monotonic() + DEADLINE_S
    while not claim():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def hook(tmp_path):
    """Makes a hook from the body of a Python program that has `out`, a folder to write into."""

    def make(body, timeout_s=DEADLINE_S):
        script = tmp_path / "hook.py"
        script.write_text(f"import json, os, pathlib, sys\nout = pathlib.Path({str(tmp_path)!r})\n{body}\n")
        return HookChannel([sys.executable, str(script), "fixed argument"], timeout_s, root_paths)

    return make


# ------------------------------------------------------------------------------------------------------------ hooks


def test_a_hook_gets_kind_path_and_the_whole_alert_as_json(hook, tmp_path):
    hook("(out / 'told').write_text(json.dumps([sys.argv[1:], json.load(sys.stdin)]))").send(alert())
    arguments, told = json.loads((tmp_path / "told").read_text())
    assert arguments == ["fixed argument", "duplicates", "/photos/new/IMG 1; $(touch x).jpg"]
    assert told["kind"] == "duplicates"
    assert told["title"] == "Duplicate photo"
    assert told["count"] == 1
    (event,) = told["events"]
    assert (event["kind"], event["sequence"]) == ("duplicate-found", 7)
    assert event["path"] == "/photos/new/IMG 1; $(touch x).jpg"
    assert event["matches"][0]["path"] == "/photos/old/a.jpg"
    assert not (tmp_path / "x").exists()


def test_a_hook_gets_the_exact_bytes_of_a_name_that_is_not_utf8(hook, tmp_path):
    hook("(out / 'told').write_bytes(os.fsencode(sys.argv[3]) + b'|' + sys.stdin.buffer.read())").send(alert(b"\xff"))
    path, _, text = (tmp_path / "told").read_bytes().partition(b"|")
    assert path == b"/photos/new/\xff"
    assert json.loads(text)["path_b64"] == "L3Bob3Rvcy9uZXcv/w=="


def test_a_hook_inherits_no_descriptor_no_session_and_no_service_variables(hook, tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("HOME", "/home/somebody")
    leaked = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(leaked, True)
    try:
        hook(
            "fds = [int(fd) for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}')]\n"
            "seen = {'fds': fds, 'session': os.getsid(0) == os.getpid(), 'cwd': os.getcwd(), 'env': dict(os.environ)}\n"
            "(out / 'seen').write_text(json.dumps(seen))"
        ).send(alert())
    finally:
        os.close(leaked)
    seen = json.loads((tmp_path / "seen").read_text())
    assert max(seen["fds"]) <= 3  # 3 is the listing's own
    assert seen["session"]
    assert seen["cwd"] == "/"
    assert seen["env"]["HOME"] == "/home/somebody"
    assert not {"NOTIFY_SOCKET", "LISTEN_FDS"} & set(seen["env"])


def test_a_hook_that_does_not_read_its_input_is_no_trouble(hook):
    hook("").send(alert(events=alert().events * 50))


def test_a_hook_that_fails_is_tried_again_with_its_last_words(hook):
    with pytest.raises(RetryError, match=r"exit status 3: no display"):
        hook("print('no display', file=sys.stderr); sys.exit(3)").send(alert())


def test_a_hook_over_its_time_is_killed_with_its_children(hook, tmp_path):
    channel = hook(
        "import subprocess, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "(out / 'pids').write_text(f'{os.getpid()} {child.pid}')\n"
        "time.sleep(600)",
        timeout_s=2.0,
    )
    with pytest.raises(RetryError, match="did not end within 2 s and was killed"):
        channel.send(alert())
    for pid in (tmp_path / "pids").read_text().split():
        wait_until(lambda pid=pid: not is_running(pid))


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_closing_kills_a_hook_that_runs_and_starts_no_other(hook, tmp_path):
    channel = hook("import time\n(out / 'runs').touch()\ntime.sleep(600)", timeout_s=600)
    failures = []

    def send():
        with pytest.raises(RetryError) as failure:
            channel.send(alert())
        failures.append(str(failure.value))

    thread = threading.Thread(target=send)
    thread.start()
    wait_until((tmp_path / "runs").exists)
    channel.close()
    thread.join(DEADLINE_S)
    assert "signal 9" in failures[0]
    with pytest.raises(RetryError, match="stopping"):
        channel.send(alert())


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(RetryError, match=r"cannot run /nowhere/hook: No such file or directory; see alerts\.hook"):
        HookChannel(["/nowhere/hook"], 1.0, root_paths).send(alert())


def test_a_hook_without_a_program_is_a_configuration_error():
    with pytest.raises(ConfigError, match=r"alerts\.hook"):
        HookChannel([], 1.0, root_paths)


# ---------------------------------------------------------------------------------------------------------- Apprise


@pytest.fixture
def server():
    """A web server on this machine; `status` is what it answers, `posts` what it got."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.posts.append((self.path, json.loads(body)))
            self.send_response(self.server.status)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.posts, httpd.status = [], 200
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join(DEADLINE_S)


def test_apprise_posts_title_and_body(server):
    AppriseChannel(f"json://127.0.0.1:{server.server_port}/hook").send(alert())
    ((path, posted),) = server.posts
    assert path == "/hook"
    assert (posted["title"], posted["message"]) == ("Duplicate photo", "it is an exact copy of old/a.jpg")
    assert posted["type"] == "info"


def test_urgent_alerts_go_out_as_warnings(server):
    AppriseChannel(f"json://127.0.0.1:{server.server_port}/").send(alert(is_urgent=True))
    assert server.posts[0][1]["type"] == "warning"


@pytest.fixture
def whole_log():
    """Everything that the root logger would write at the lowest level, as a daemon's log has it."""
    text = io.StringIO()
    handler, root = logging.StreamHandler(text), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


def test_no_part_of_an_apprise_url_is_shown_or_logged(server, whole_log):
    logging.getLogger("test").debug("the log is read")
    port = server.server_port
    channel = AppriseChannel(f"json://user:s3cret@127.0.0.1:{port}/t0ken?+X-Key=k3y")
    channel.send(alert())
    server.status = 500
    with pytest.raises(RetryError) as refused:
        channel.send(alert())
    server.shutdown()
    server.server_close()
    with pytest.raises(RetryError) as unreachable:
        channel.send(alert())
    shown = channel.name + str(refused.value) + str(unreachable.value) + whole_log.getvalue()
    assert "the log is read" in shown
    assert not [secret for secret in ("s3cret", "t0ken", "k3y", "127.0.0.1", str(port)) if secret in shown]
    assert "HTTP 500" in str(refused.value)
    assert channel.name == "apprise json"


@pytest.mark.parametrize("url", ["bogus://s3cret", "s3cret", "json://", ""])
def test_a_url_that_apprise_does_not_know_is_a_configuration_error_without_the_url(url):
    with pytest.raises(ConfigError) as error:
        AppriseChannel(url)
    assert "s3cret" not in str(error.value)
    assert "alerts.urls" in str(error.value)


# -------------------------------------------------------------------------------------------------------------- log


def test_the_log_gets_one_line_for_each_alert(caplog):
    caplog.set_level(logging.INFO, "dedupd.alerts")
    LogChannel().send(alert(body="one\ntwo", count=2))
    LogChannel().send(alert(is_urgent=True))
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
    assert caplog.messages[0] == "alert kind=duplicates count=2 Duplicate photo: one | two"
