"""A real systemd as PID 1 of its own namespaces, with our units and nothing else of the machine's services.

It sees the machine's programs and changes nothing of it: /etc, /usr/bin, /var/lib, /run, /srv and so on lie on a tmpfs
that ends with it. Needs root, mounts, overlayfs and a cgroup2 hierarchy.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PROJECT = Path(__file__).parents[2]
SYSTEMD = Path("/lib/systemd/systemd")
SYSTEM_UNITS = Path("/lib/systemd/system")
PROGRAMS = ("bash", "journalctl", "nsenter", "setpriv", "systemctl", "systemd-sysusers", "systemd-tmpfiles", "unshare")
DEADLINE_S = 90

# What our units order themselves by, and the journal; everything else of the machine stays out.
BORROWED = (
    "basic.target",
    "local-fs.target",
    "local-fs-pre.target",
    "multi-user.target",
    "paths.target",
    "remote-fs.target",
    "shutdown.target",
    "slices.target",
    "sockets.target",
    "sysinit.target",
    "timers.target",
    "umount.target",
    "systemd-journald.service",
    "systemd-journald.socket",
    "systemd-journald-dev-log.socket",
)

SET_UP = r"""
set -eu
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/units /mnt/python /mnt/project
mount --bind "$UNITS" /mnt/units
mount --bind "$PYTHON" /mnt/python
mount --bind "$PROJECT" /mnt/project
mount -t proc proc /proc
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for directory in etc usr/bin; do
    upper=/mnt/up/$directory work=/mnt/work/$directory
    mkdir -p $upper $work
    mount -t overlay overlay -o lowerdir=/$directory,upperdir=$upper,workdir=$work /$directory
done
for directory in run tmp srv var/lib var/log root home; do
    [ -d /$directory ] && mount -t tmpfs -o mode=755 tmpfs /$directory
done
chmod 1777 /tmp
# The interpreter and the project may lie where only root may go.
for pair in "/mnt/python:$PYTHON" "/mnt/project:$PROJECT"; do
    there=${pair#*:}
    if ! setpriv --reuid 65534 --regid 65534 --clear-groups test -r "$there"; then
        parent=$there
        while ! setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$(dirname "$parent")"; do
            parent=$(dirname "$parent")
        done
        mkdir -p "$there" 2>/dev/null || { mount -t tmpfs -o mode=755 tmpfs "$parent"; mkdir -p "$there"; }
        mount --bind "${pair%%:*}" "$there"
    fi
done
printf '#!/bin/sh\nexec %s -B -m dedupd.daemon.main "$@"\n' "$INTERPRETER" >/usr/bin/dedupd
chmod 755 /usr/bin/dedupd
printf '%032x\n' 1 >/etc/machine-id
systemd-sysusers "$PROJECT/systemd/dedupd.sysusers"
systemd-tmpfiles --create "$PROJECT/systemd/dedupd.tmpfiles"
mkdir -p /etc/dedupd
printf '[Journal]\nReadKMsg=no\nStorage=volatile\n' >/etc/systemd/journald.conf
exec env -i container=test SYSTEMD_UNIT_PATH=/mnt/units PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    "$SYSTEMD" --system --unit=default.target --log-target=journal --log-level=info
"""


class CannotBootError(Exception):
    """This machine lets no systemd be booted."""


class Booted:
    """A systemd that runs. `run` and what builds on it work inside, as root."""

    def __init__(self, base):
        self.units = base / "units"
        self.log = base / "boot.log"
        self._unshare = self._pid = self._cgroup = None

    def boot(self):
        """Boot, or raise CannotBootError."""
        self._lay_out_units()
        self._cgroup = _own_cgroup()
        environ = {
            "UNITS": str(self.units),
            "PYTHON": sys.base_prefix,
            "PROJECT": str(PROJECT),
            "INTERPRETER": sys.executable,
            "SYSTEMD": str(SYSTEMD),
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }
        enter = 'echo $$ >"$0/cgroup.procs" && exec unshare -m -p -f -u -i -C bash -c "$1"'
        with self.log.open("wb") as log:
            self._unshare = subprocess.Popen(
                ["bash", "-c", enter, self._cgroup, SET_UP],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until_s = time.monotonic() + DEADLINE_S
        while not self._is_up():
            if self._unshare.poll() is not None or time.monotonic() > until_s:
                self.end()
                raise CannotBootError(self.log.read_text(errors="replace")[-500:])
            time.sleep(0.1)

    def end(self):
        """Kill PID 1, and all else with it."""
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        if self._unshare is not None:
            self._unshare.kill()
            self._unshare.wait(30)
        if self._cgroup is not None:
            for directory, _, _ in os.walk(self._cgroup, topdown=False):
                wait_for(lambda at=directory: _is_removed(at), f"{directory} to be empty")

    def run(self, *command, check=True, timeout_s=DEADLINE_S):
        """A program inside."""
        done = subprocess.run(
            ["nsenter", "-t", str(self._pid), "-m", "-p", "-u", "-i", "-C", *map(str, command)],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check:
            assert done.returncode == 0, (
                command,
                done.returncode,
                done.stdout,
                done.stderr,
                self.journal("dedupd")[-2000:],
            )
        return done

    def systemctl(self, *arguments, check=True):
        return self.run("systemctl", "--no-pager", *arguments, check=check).stdout.strip()

    def show(self, unit, *names):
        """Properties of a unit."""
        return self.systemctl("show", unit, "--value", *(f"--property={name}" for name in names))

    def journal(self, unit):
        return self.run("journalctl", "--no-pager", "-u", unit, "-o", "short", check=False).stdout

    def ctl(self, *arguments, check=True):
        """`dedupctl`."""
        return self.run(sys.executable, "-B", "-m", "dedupd.cli.main", *arguments, check=check)

    def json(self, *arguments):
        return json.loads(self.ctl("--json", *arguments).stdout)

    def write(self, path, text):
        """A file inside."""
        self.run("mkdir", "-p", Path(path).parent)
        self.run("bash", "-c", 'printf %s "$1" >"$0"', path, text)

    def pid_outside(self, unit):
        """The number that a unit's main process has outside."""
        inside = self.show(unit, "MainPID")
        for procs in Path(self._cgroup).rglob(f"{unit}.service/cgroup.procs"):
            for number in procs.read_text().split():
                facts = Path(f"/proc/{number}/status").read_text().split("NSpid:\t")[1].splitlines()[0]
                if facts.split()[-1] == inside:
                    return number
        raise AssertionError(f"{unit} has no process")

    def inside(self, pid, *command):
        """A program in the mount namespace of one of the services' processes; its number is as seen inside."""
        return self.run("nsenter", "-t", pid, "-m", *command, check=False)

    def _lay_out_units(self):
        self.units.mkdir()
        for name in BORROWED:
            shutil.copy(SYSTEM_UNITS / name, self.units / name)
        wanted = "multi-user.target systemd-journald.service"
        (self.units / "default.target").write_text(f"[Unit]\nRequires={wanted}\nAfter={wanted}\n")
        for unit in (PROJECT / "systemd").iterdir():
            if unit.suffix in (".service", ".socket"):
                shutil.copy(unit, self.units / unit.name)

    def _is_up(self):
        if self._pid is None:
            number = self._unshare.pid
            with suppress(OSError):
                children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
                self._pid = int(children[0]) if children else None
            return False
        try:
            is_systemd = Path(f"/proc/{self._pid}/comm").read_text().strip() == "systemd"
        except OSError:
            return False
        return is_systemd and self.run("systemctl", "is-active", "default.target", check=False).returncode == 0


def wait_for(condition, what, deadline_s=DEADLINE_S):
    """The condition's first true answer."""
    until_s = time.monotonic() + deadline_s
    while time.monotonic() < until_s:
        if answer := condition():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"waited {deadline_s} s in vain for {what}")


def _own_cgroup():
    """A new cgroup2 group, in a hierarchy of its own or beside the old ones."""
    if os.geteuid() != 0:
        raise CannotBootError("only root can")
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing or not SYSTEMD.exists():
        raise CannotBootError(f"not installed: {' '.join(missing) or 'systemd'}")
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    for _, where, kind, *_ in mounts:
        if kind == "cgroup2":
            group = Path(where) / f"dedupd-test-{os.getpid()}"
            try:
                group.mkdir()
            except OSError as error:
                raise CannotBootError(f"{group}: {error.strerror}") from error
            return group
    raise CannotBootError("there is no cgroup2 hierarchy")


def _is_removed(directory):
    try:
        Path(directory).rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
