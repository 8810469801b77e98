"""Our units under a real systemd as PID 1: start, hang, reload, stop, sockets, and a clean-up through the actor.

`make test-systemd` runs it; it takes about three minutes and needs root.
"""

import base64
import http.server
import io
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .booted import PROJECT, Booted, CannotBootError, wait_for

pytestmark = pytest.mark.skipif(
    not os.environ.get("DEDUPD_TEST_SYSTEMD"), reason="NOT TESTED: units under a real systemd: `make test-systemd`"
)

CONFIG = """
roots = ["/srv/photos"]
[cleanup]
actor_socket = "/run/dedupd-actor/actor.sock"
min_age_h = 0
root_share = 1.0
directory_share = 1.0
"""
DROP_INS = sorted((PROJECT / "systemd/dedupd.service.d").glob("*.conf"))


@pytest.fixture(scope="module")
def booted(tmp_path_factory):
    base = tmp_path_factory.mktemp("booted")
    machine = Booted(base)
    try:
        machine.boot()
    except CannotBootError as error:
        pytest.skip(f"NOT TESTED: units under a real systemd: {error}")
    yield machine
    machine.end()


@pytest.fixture
def machine(booted):
    """The same with photos and configuration as at first, and nothing of ours started."""
    booted.systemctl("stop", "dedupd.service", "dedupd.socket", "dedupd-actor.service", "dedupd-actor.socket")
    booted.run("rm", "-rf", "/etc/systemd/system", "/run/systemd/system", "/srv/photos", "/srv/more")
    booted.run("bash", "-c", "rm -rf /var/lib/dedupd* /var/lib/private /mnt/units/dedupd*.d")
    booted.run("mkdir", "-p", "/run/systemd/system", "/srv/photos", "/srv/more")
    for number in range(3):
        lay(booted, f"/srv/photos/{number}.jpg", number)
    lay(booted, "/srv/photos/copy of 0.jpg", 0)
    booted.write("/etc/dedupd/dedupd.toml", CONFIG)
    booted.systemctl("daemon-reload")
    booted.systemctl("reset-failed")
    return booted


def lay(machine, path, seed):
    """A picture at a path inside, old enough to be settled."""
    noise = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    body = io.BytesIO()
    Image.fromarray(noise).resize((640, 480)).save(body, "JPEG")
    machine.run("bash", "-c", 'printf %s "$1" | base64 -d >"$0"', path, base64.b64encode(body.getvalue()).decode())
    machine.run("touch", "-d", "2001-09-09", path)


def idle(machine, files):
    def look():
        asked = machine.ctl("--json", "status", check=False)
        if asked.returncode != 0:
            return False  # it starts
        status = json.loads(asked.stdout)
        counts = status["counts"]
        return status["activity"] == "idle" and counts["files"] == files and not counts["files_pending"]

    wait_for(look, "the daemon to become idle")


def seccomp_filters(machine, pid):
    return int(machine.run("sed", "-n", r"s/^Seccomp_filters:\t//p", f"/proc/{pid}/status").stdout)


def test_it_starts_ready_and_confined(machine):
    machine.systemctl("start", "dedupd.service")
    idle(machine, files=4)
    pid = machine.show("dedupd", "MainPID")
    status = machine.run("cat", f"/proc/{pid}/status").stdout
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"
    assert int(facts["CapBnd"], 16) == int(facts["CapEff"], 16) == 0
    assert facts["Uid"].split() == [machine.run("id", "-u", "dedupd").stdout.strip()] * 4
    workers = machine.run("pgrep", "-f", "dedupd.imaging.worker").stdout.split()
    assert workers
    for worker in workers:  # they confine themselves further within the unit
        assert seccomp_filters(machine, worker) > int(facts["Seccomp_filters"])
    assert "decode.unconfined" not in machine.journal("dedupd")
    devices = machine.run("cat", f"/proc/{pid}/net/dev").stdout.splitlines()[2:]
    assert [line.split(":")[0].strip() for line in devices] == ["lo"]
    refused = machine.inside(pid, "touch", "/srv/photos/by the daemon")
    assert "Read-only file system" in refused.stderr
    assert machine.run("stat", "-c", "%a %U %G", "/run/dedupd", "/run/dedupd/dedupd.sock").stdout.splitlines() == [
        "750 dedupd dedupd",
        "660 dedupd dedupd",
    ]
    said = machine.run("journalctl", "-o", "json", "-t", "dedupd", "--no-pager").stdout
    assert '"PRIORITY":"6"' in said
    assert "dedupd.ready" in said


def test_a_hang_is_ended_by_the_watchdog_and_it_starts_again(machine):
    machine.write("/mnt/units/dedupd.service.d/test.conf", "[Service]\nWatchdogSec=5\nRestartSec=0\n")
    machine.systemctl("daemon-reload")
    machine.systemctl("start", "dedupd.service")
    idle(machine, files=4)
    pid = machine.show("dedupd", "MainPID")
    machine.run("kill", "-STOP", pid)
    wait_for(lambda: machine.show("dedupd", "NRestarts") == "1", "the watchdog")
    assert "Watchdog timeout" in machine.journal("dedupd")
    assert machine.show("dedupd", "MainPID") != pid
    idle(machine, files=4)


@pytest.mark.timeout(300)
def test_stages_that_stand_still_starve_the_watchdog_though_the_process_lives(machine):
    """Of a stage that has not moved for 90 s the service is not well, whatever its main thread says."""
    machine.write("/mnt/units/dedupd.service.d/test.conf", "[Service]\nWatchdogSec=5\nRestartSec=0\n")
    machine.systemctl("daemon-reload")
    machine.systemctl("start", "dedupd.service")
    idle(machine, files=4)
    tracer = subprocess.Popen(
        [sys.executable, Path(__file__).parent / "stop_threads.py", machine.pid_outside("dedupd")],
        stdout=subprocess.PIPE,
    )
    with tracer:
        assert tracer.stdout.readline() == b"stopped\n"
        wait_for(lambda: machine.show("dedupd", "NRestarts") == "1", "the watchdog", 200)
    assert "Watchdog timeout" in machine.journal("dedupd")
    idle(machine, files=4)


def test_a_reload_takes_a_new_folder_and_a_wrong_one_changes_nothing(machine):
    machine.systemctl("start", "dedupd.service")
    idle(machine, files=4)
    lay(machine, "/srv/more/9.jpg", 9)
    machine.write("/etc/dedupd/dedupd.toml", CONFIG.replace('"/srv/photos"', '"/srv/photos", "/srv/more"'))
    machine.systemctl("reload", "dedupd.service")
    idle(machine, files=5)
    machine.write("/etc/dedupd/dedupd.toml", "nonsense = 1\n")
    machine.systemctl("reload", "dedupd.service")
    wait_for(lambda: "config.refused" in machine.journal("dedupd"), "the refusal")
    assert machine.show("dedupd", "ActiveState") == "active"
    assert machine.json("status")["counts"]["files"] == 5


def test_a_wrong_configuration_is_not_tried_again(machine):
    machine.write("/etc/dedupd/dedupd.toml", "nonsense = 1\n")
    machine.systemctl("start", "dedupd.service", check=False)
    wait_for(lambda: machine.show("dedupd", "ActiveState") == "failed", "the end")
    assert machine.show("dedupd", "ExecMainStatus") == "78"
    assert machine.show("dedupd", "NRestarts") == "0"


def test_it_stops_cleanly(machine):
    machine.systemctl("start", "dedupd.service")
    idle(machine, files=4)
    machine.systemctl("stop", "dedupd.service")
    assert machine.show("dedupd", "Result") == "success"
    assert machine.run("ls", "-A", "/run/dedupd").stdout == ""
    assert machine.show("dedupd", "NRestarts") == "0"


def test_a_question_starts_it_by_its_socket(machine):
    machine.systemctl("start", "dedupd.socket")
    assert machine.show("dedupd", "ActiveState") == "inactive"
    assert machine.run("stat", "-c", "%a %U %G", "/run/dedupd/dedupd.sock").stdout.strip() == "660 dedupd dedupd"
    idle(machine, files=4)
    machine.systemctl("restart", "dedupd.service")
    idle(machine, files=4)


def test_the_actor_is_started_for_a_plan_and_puts_back_what_the_daemon_cannot_touch(machine):
    machine.systemctl("start", "dedupd-actor.socket", "dedupd.service")
    idle(machine, files=4)
    plan = machine.json("plan")["id"]
    machine.ctl("apply", plan)
    assert machine.run("test", "-e", "/srv/photos/copy of 0.jpg", check=False).returncode == 1
    assert machine.show("dedupd-actor", "ActiveState") == "active"
    pid = machine.show("dedupd", "MainPID")
    assert "Read-only file system" in machine.inside(pid, "mv", "/srv/photos/0.jpg", "/srv/photos/moved.jpg").stderr
    machine.ctl("undo", plan)
    assert machine.run("test", "-e", "/srv/photos/copy of 0.jpg", check=False).returncode == 0


@pytest.mark.parametrize("drop_in", DROP_INS, ids=lambda path: path.stem)
def test_it_runs_with_each_drop_in(machine, drop_in):
    machine.write(f"/mnt/units/dedupd.service.d/{drop_in.name}", drop_in.read_text())
    machine.systemctl("daemon-reload")
    machine.systemctl("start", "dedupd.service")
    idle(machine, files=4)
    assert drop_in.name in machine.show("dedupd", "DropInPaths")


def entries(machine, *matches):
    """Entries of the journal, oldest first."""
    said = machine.run("journalctl", "-o", "json", "--no-pager", "-u", "dedupd", *matches).stdout
    return [json.loads(line) for line in said.splitlines()]


def test_the_journal_has_a_field_for_each_key(machine):
    machine.systemctl("start", "dedupd.service")
    idle(machine, files=4)
    pid = machine.show("dedupd", "MainPID")
    [ready] = entries(machine, "DEDUPD_EVENT=dedupd.ready", f"_PID={pid}")
    assert (ready["PRIORITY"], ready["SYSLOG_IDENTIFIER"]) == ("6", "dedupd")
    assert (ready["DEDUPD_ROOTS"], ready["DEDUPD_STATE"]) == ("/srv/photos", "/var/lib/dedupd")
    assert ready["CODE_FILE"].endswith("dedupd/daemon/service.py")
    assert ready["_TRANSPORT"] == "journal"
    lay(machine, "/srv/photos/a\nPRIORITY=0.jpg", 0)
    wait_for(lambda: entries(machine, "DEDUPD_EVENT=alert", "DEDUPD_PATH=/srv/photos/a\nPRIORITY=0.jpg"), "the alert")
    assert entries(machine, "PRIORITY=0", "DEDUPD_EVENT=alert") == []


class Listener(http.server.ThreadingHTTPServer):
    """Takes alerts on the loopback interface, which the units share unless they have a network of their own."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Taking)
        self.taken = queue.SimpleQueue()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Taking(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.taken.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def listener():
    with Listener() as server:
        yield server
        server.shutdown()


def begin_with_alerts_to(machine, listener):
    url = f"json://127.0.0.1:{listener.server_port}/"
    machine.write("/etc/dedupd/dedupd.toml", CONFIG + f'[alerts]\nurls = ["{url}"]\nquiet_s = 0.1\n')
    machine.systemctl("start", "dedupd.service")
    idle(machine, files=4)
    lay(machine, "/srv/photos/another copy of 0.jpg", 0)


def test_alerts_leave_the_machine_with_the_drop_in(machine, listener):
    drop_in = PROJECT / "systemd/dedupd.service.d/network-alerts.conf"
    machine.write(f"/mnt/units/dedupd.service.d/{drop_in.name}", drop_in.read_text())
    machine.systemctl("daemon-reload")
    begin_with_alerts_to(machine, listener)
    told = b""
    while b"another copy of 0.jpg" not in told:  # the summary of the first scan may come before it
        told = listener.taken.get(timeout=60)
    assert entries(machine, "DEDUPD_EVENT=alert.delivery_failed") == []


def test_no_alert_leaves_the_machine_without_it(machine, listener):
    begin_with_alerts_to(machine, listener)
    pid = machine.show("dedupd", "MainPID")
    wait_for(lambda: entries(machine, "DEDUPD_EVENT=alert.delivery_failed", f"_PID={pid}"), "the failure to be told")
    assert listener.taken.empty()
    machine.run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/$0", listener.server_port)  # it is there for all others


def test_nothing_of_the_machine_s_own_services_was_started(booted):
    units = booted.systemctl("list-units", "--plain", "--no-legend", "--type=service", "--state=running").splitlines()
    assert {line.split()[0] for line in units} <= {"dedupd.service", "dedupd-actor.service", "systemd-journald.service"}
