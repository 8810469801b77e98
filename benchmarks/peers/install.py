"""Installs peers: each in a virtual environment of its own, or from the distribution's packages. Measures nothing.

What cannot be installed is told with the reason. An environment is used again while its requirements are the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.peers.peer import Peer

STAMP = "requirements"
DEADLINE_S = 1800.0
SYSTEM_PYTHON = "/usr/bin/python3"  # sees what the distribution's packages install


class NotInstalledError(Exception):
    """A peer cannot be had here; the message says why."""


def default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dedupd-benchmarks" / "peers"


def python_of(peer: Peer, cache: Path) -> str:
    """The Python that the peer's adapter runs in, after installing what is missing.

    Raises:
        NotInstalledError: it cannot be installed.
    """
    if peer.debian:
        _from_distribution(peer)
        return SYSTEM_PYTHON
    home = cache / peer.key
    python, stamp, wanted = home / "bin" / "python", home / STAMP, "\n".join(peer.pip)
    if not (stamp.exists() and stamp.read_text() == wanted):
        shutil.rmtree(home, ignore_errors=True)
        print(f"installing {', '.join(peer.pip)} …", file=sys.stderr, flush=True)
        venv.create(home, with_pip=True)
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.pip])
        stamp.write_text(wanted)
    return str(python)


def _from_distribution(peer: Peer) -> None:
    missing = [package for package in peer.debian if not _has(package)]
    if not missing:
        return
    if not (os.geteuid() == 0 and shutil.which("apt-get")):
        raise NotInstalledError(f"needs the packages {', '.join(missing)}: apt-get install {' '.join(missing)}")
    print(f"installing {', '.join(missing)} …", file=sys.stderr, flush=True)
    _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing])


def _has(package: str) -> bool:
    if shutil.which("dpkg-query") is None:
        return False
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", package], capture_output=True, text=True, check=False
    )
    return asked.stdout == "installed"


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"installing took more than {DEADLINE_S:.0f} s") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise NotInstalledError(said[-1] if said else f"{command[0]} ended with {done.returncode}")
