"""Peers are run within limits, and each adapter says all that the comparison tells of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peers import inside
from benchmarks.peers.adapters import pdqhash_faiss
from benchmarks.peers.install import NotInstalledError, python_of
from benchmarks.peers.metered import Limits, metered
from benchmarks.peers.peer import NEAR, Peer, all_peers

ROOMY = Limits(wall_s=60.0, memory_mib=4000.0, cores=1)
FAKE = """
import multiprocessing
SETTINGS = {"twice": 2}
def version(): return "7"
def name_of(number): return f"copy {number}.jpg"
def groups(folder, setting, workers):
    with multiprocessing.Pool(workers) as pool:
        return [[str(folder / name) for name in pool.map(name_of, range(setting))]]
"""


def run_python(code: str, limits: Limits, home: Path):
    return metered([sys.executable, "-c", code], limits, home)


@pytest.mark.parametrize("peer", all_peers().values(), ids=lambda peer: peer.key)
def test_an_adapter_says_what_it_is_and_pins_what_it_installs(peer: Peer) -> None:
    assert bool(peer.pip) != bool(peer.debian), "one way to install it"
    assert peer.settings
    assert peer.call
    assert ": " in peer.about, "its name, then what it does"
    assert (peer.times is not None) == (peer.finds == NEAR)
    assert all("==" in wanted for wanted in peer.pip)


@pytest.mark.parametrize("peer", all_peers().values(), ids=lambda peer: peer.key)
def test_an_adapter_loads_with_the_standard_library_alone(peer: Peer) -> None:
    code = f"import runpy; runpy.run_path({str(peer.adapter)!r})"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_the_peers_that_the_comparison_promises_are_there() -> None:
    names = {peer.name for peer in all_peers().values()}
    assert names >= {"czkawka", "imagededup", "difPy", "fastdup", "image-dedup-ai", "PDQ + FAISS", "findimagedupes"}
    assert names >= {"dupeGuru", "jdupes", "rmlint"}


def test_an_answer_comes_back_with_odd_names_and_from_processes_of_its_own(tmp_path: Path) -> None:
    adapter, out = tmp_path / "fake.py", tmp_path / "out.json"
    adapter.write_text(FAKE)
    folder = tmp_path / os.fsdecode(b"not \xff utf-8")
    command = [sys.executable, "-P", inside.__file__, adapter, folder, "twice", "2", out]
    assert metered(command, ROOMY, tmp_path / "home").failure == ""
    answer = json.loads(out.read_bytes())
    assert answer["version"] == "7"
    assert answer["groups"] == [[str(folder / f"copy {number}.jpg") for number in range(2)]]


def test_a_program_that_fails_is_told_by_its_last_words(tmp_path: Path) -> None:
    done = run_python("import sys; print('dear me', file=sys.stderr); sys.exit(3)", ROOMY, tmp_path / "home")
    assert done.failure == "ended with 3: dear me"


def test_a_program_without_an_end_is_ended_with_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    done = run_python(code, Limits(wall_s=1.0, memory_mib=4000.0, cores=1), tmp_path / "home")
    assert done.failure == "not done after 1 s"
    child = Path("/proc", (tmp_path / "pid").read_text())
    assert not child.exists() or "\nState:\tZ" in (child / "status").read_text()


def test_a_program_that_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    code = "import time; held = bytearray(300 << 20); held[::4096] = b'x' * len(held[::4096]); time.sleep(600)"
    done = run_python(code, Limits(wall_s=60.0, memory_mib=200.0, cores=1), tmp_path / "home")
    assert done.failure == "over 200 MiB"
    assert done.peak_mib > 200


def test_a_run_has_a_home_of_its_own(tmp_path: Path) -> None:
    code = "import pathlib; pathlib.Path.home().joinpath('cache').write_text('warm')"
    assert run_python(code, ROOMY, tmp_path / "home").failure == ""
    assert (tmp_path / "home" / "cache").read_text() == "warm"


def test_what_cannot_be_installed_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no dpkg-query, no apt-get
    with pytest.raises(NotInstalledError, match="apt-get install jdupes"):
        python_of(all_peers()["jdupes"], tmp_path)


def test_our_own_driver_joins_what_pairs_connect() -> None:
    assert pdqhash_faiss.components(["a", "b", "c", "d"], [(0, 1), (1, 3)]) == [["a", "b", "d"]]
