"""How the daemon behaves towards systemd, the clock and the disks that send no events."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def notify_socket(tmp_path, monkeypatch):
    """What systemd listens on; `texts` collects what was said."""

    class Heard:
        def __init__(self):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.sock.bind(str(tmp_path / "notify"))
            self.sock.settimeout(0.2)
            self.texts = []

        def has(self, words):
            try:
                while True:
                    self.texts.append(self.sock.recv(4096).decode())
            except TimeoutError:
                pass
            return any(words in text for text in self.texts)

    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    heard = Heard()
    yield heard
    heard.sock.close()


def test_systemd_is_told_ready_alive_reloading_and_stopping(make_daemon, library, tools, notify_socket):
    daemon = make_daemon(config=f'roots = ["{library}"]\n').start(wait=False)
    tools.wait_for(lambda: notify_socket.has("READY=1"), "READY")
    assert daemon.answers(), "ready means that the socket answers"
    tools.wait_for(lambda: notify_socket.has("WATCHDOG=1"), "the watchdog to be fed")
    tools.wait_for(lambda: notify_socket.has("STATUS=idle: 8 pictures in 9 files"), "the status line", 40)
    daemon.process.send_signal(signal.SIGHUP)
    tools.wait_for(lambda: notify_socket.has("RELOADING=1\nMONOTONIC_USEC="), "RELOADING")
    assert daemon.stop() == 0
    assert notify_socket.has("STOPPING=1")


def test_the_workers_do_not_speak_to_systemd(make_daemon, library, notify_socket):
    daemon = make_daemon(library).start()
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(daemon.process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert children
    for pid in children:
        assert b"NOTIFY_SOCKET" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_a_folder_without_events_is_polled(make_daemon, library, tools):
    daemon = make_daemon(library, config="[watch]\npoll_always = true\npoll_every_s = 0.5\n").start()
    daemon.idle(images=9)
    [root] = daemon.json("roots")["roots"]
    assert root["watching"]["state"] == "polling"
    tools.save_aged(tools.picture(50), library / "phone" / "new.jpg")
    daemon.idle(images=10)


def test_the_schedule_scans_again_by_itself(make_daemon, library, tools):
    daemon = make_daemon(library, config="[watch]\nrescan_every_s = 1\n").start()
    daemon.idle(images=9)
    before = len(daemon.events("scan-finished"))
    tools.wait_for(lambda: len(daemon.events("scan-finished")) > before, "the next scan")


def test_a_usage_error_exits_64():
    done = subprocess.run([sys.executable, "-m", "dedupd.daemon.main", "frob"], capture_output=True, check=False)
    assert done.returncode == os.EX_USAGE


def test_a_reload_with_an_alert_that_cannot_be_used_keeps_the_old_ones(make_daemon, library, tools):
    daemon = make_daemon(config=f'roots = ["{library}"]\n').start()
    (daemon.home / "dedupd.toml").write_text(f'roots = ["{library}"]\n[alerts]\nurls = ["nosuch://x"]\n')
    daemon.process.send_signal(signal.SIGHUP)
    tools.wait_for(lambda: "config.refused" in daemon.log.read_text(), "the refusal")
    assert daemon.answers()
    assert daemon.stop() == 0
