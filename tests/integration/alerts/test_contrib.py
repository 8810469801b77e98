"""The samples in contrib/alerts do what their headers say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

from dedupd.alerts.channels import AppriseChannel, HookChannel
from dedupd.core.alert_rules import AlertKind, AlertMessage
from dedupd.core.errors import RetryError
from dedupd.core.records import Sequence
from dedupd.settings.schema import Settings

CONTRIB = Path(__file__).parents[3] / "contrib" / "alerts"


def alert(**changes):
    values = {
        "kind": AlertKind.DUPLICATES,
        "title": "--title; $(x)",
        "body": "<b>a&b.jpg</b> is an exact copy of old/a.jpg",
        "path": b"/photos/a.jpg",
        "count": 1,
        "events": (),
        "first": Sequence(1),
    }
    return AlertMessage(**(values | changes))


@pytest.fixture
def notify_send(tmp_path, monkeypatch):
    """A notify-send that writes its arguments down and ends as told."""
    program = tmp_path / "bin" / "notify-send"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "told = json.dumps([sys.argv[1:], os.environ.get('DBUS_SESSION_BUS_ADDRESS')])\n"
        f"open({str(tmp_path / 'shown')!r}, 'w').write(told)\n"
        f"sys.exit(int(open({str(tmp_path / 'status')!r}).read()))\n"
    )
    program.chmod(0o755)
    (tmp_path / "status").write_text("0")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1234")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    return tmp_path


def desktop():
    return HookChannel([str(CONTRIB / "desktop-notification")], 20.0, dict)


def test_the_desktop_script_shows_title_and_body_as_plain_text(notify_send):
    desktop().send(alert())
    arguments, bus = json.loads((notify_send / "shown").read_text())
    assert "--urgency=normal" in arguments
    assert arguments[arguments.index("--") + 1 :] == [
        "--title; $(x)",
        "&lt;b&gt;a&amp;b.jpg&lt;/b&gt; is an exact copy of old/a.jpg",
    ]
    assert bus == "unix:path=/run/user/1234/bus"


def test_the_desktop_script_shortens_long_alerts_and_marks_urgent_ones(notify_send):
    desktop().send(alert(kind=AlertKind.ROOT_SUSPECT, body="\n".join("abcdefgh")))
    arguments, _ = json.loads((notify_send / "shown").read_text())
    assert "--urgency=critical" in arguments
    assert arguments[-1] == "a\nb\nc\nd\ne\n…"


def test_a_notification_that_could_not_be_shown_is_tried_again(notify_send):
    (notify_send / "status").write_text("1")
    with pytest.raises(RetryError, match="exit status 1"):
        desktop().send(alert())


def test_without_notify_send_the_desktop_script_names_the_package(tmp_path):
    (tmp_path / "python3").symlink_to(sys.executable)
    told = subprocess.run(
        [sys.executable, CONTRIB / "desktop-notification"],
        input=b'{"kind": "duplicates", "title": "t", "body": "b"}',
        env={"PATH": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert told.returncode == 1
    assert b"libnotify-bin" in told.stderr


def test_the_file_hook_appends_one_line_for_each_alert(tmp_path):
    target = tmp_path / "alerts of today.jsonl"
    hook = HookChannel([str(CONTRIB / "append-to-file"), str(target)], 20.0, dict)
    hook.send(alert(title="one"))
    hook.send(alert(title="two"))
    assert [json.loads(line)["title"] for line in target.read_text().splitlines()] == ["one", "two"]


@pytest.mark.parametrize("name", ["ntfy.toml", "mail.toml"])
def test_sample_configurations_are_valid_and_apprise_knows_every_url_in_them(name):
    text = (CONTRIB / name).read_text()
    settings = msgspec.convert(tomllib.loads(text), Settings)
    commented = [line.partition('"')[2].rpartition('"')[0] for line in text.splitlines() if "urls = [" in line]
    assert set(settings.alerts.urls) <= set(commented)
    for url in commented:
        AppriseChannel(url)
