"""The memory keeper measures real processes, does what the rules ask for, and gives back what is left over."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dedupd.core.memory_rules import MIB, MemoryUse
from dedupd.daemon.memory import MemoryKeeper, ceiling_bytes, group_limit_bytes, used_now
from dedupd.store.mapped_pages import give_back_pages

CEILING = 800 * MIB


class Staff:
    """Decode workers that only listen."""

    def __init__(self) -> None:
        self.pids = [7, 8]
        self.allowed = 0
        self.renewed: list[frozenset[int]] = []

    def worker_pids(self) -> list[int]:
        return self.pids

    def allow(self, workers: int) -> None:
        self.allowed = workers

    def renew(self, pids: frozenset[int]) -> None:
        self.renewed.append(pids)


class Stand:
    """A keeper over what the test says is used."""

    def __init__(self, own_mib: int, **workers_mib: int) -> None:
        self.staff = Staff()
        self.told: list[str] = []
        self.given_back = 0
        self.set(own_mib, **workers_mib)
        self.keeper = MemoryKeeper(
            reader=self.staff,
            workers=4,
            ceiling_bytes=CEILING,
            give_back=self._give_back,
            tell=self.told.append,
            use_now=lambda _: self.use,
        )

    def set(self, own_mib: int, **workers_mib: int) -> None:
        workers = {int(pid.removeprefix("w")): mib * MIB for pid, mib in workers_mib.items()}
        self.use = MemoryUse(own_bytes=own_mib * MIB, workers=workers)

    def _give_back(self) -> None:
        self.given_back += 1


def test_workers_become_fewer_when_they_are_large_and_more_again_later() -> None:
    stand = Stand(100, w7=40)
    stand.keeper.look()
    assert stand.staff.allowed == 4
    stand.set(100, w7=400, w8=400)
    stand.keeper.look()
    assert stand.staff.allowed == 1
    assert stand.staff.renewed == [frozenset({7})]
    assert stand.keeper.standing.workers_allowed == 1
    stand.set(100, w7=40)
    for _ in range(600):
        stand.keeper.look()
    assert stand.staff.allowed == 4
    assert not stand.told


def test_a_ceiling_that_cannot_be_held_is_told_once_and_again_when_it_comes_back() -> None:
    stand = Stand(790)
    stand.keeper.look()
    stand.keeper.look()
    assert len(stand.told) == 1
    assert stand.keeper.standing.trouble == stand.told[0]
    assert "limits.memory_mb" in stand.told[0]
    stand.keeper.configure(2 * CEILING)
    stand.keeper.look()
    assert stand.keeper.standing.trouble == ""
    stand.keeper.configure(CEILING)
    stand.keeper.look()
    assert len(stand.told) == 2


def test_memory_is_given_back_once_nobody_reads_any_more() -> None:
    stand = Stand(100, w7=80)
    for _ in range(3):
        stand.keeper.look()
    assert stand.given_back == 0, "while something is read it would be fetched again at once"
    stand.set(100, w7=30)
    for _ in range(3):
        stand.keeper.look()
    assert stand.given_back == 1
    stand.set(150)
    stand.keeper.look()
    assert stand.given_back == 1, "who grows is at work"
    stand.keeper.look()
    assert stand.given_back == 2


def test_pages_that_a_scan_mapped_are_given_back_though_nothing_else_grew() -> None:
    stand = Stand(100)
    for _ in range(3):
        stand.keeper.look()
    assert stand.given_back == 1
    stand.use = MemoryUse(own_bytes=100 * MIB, mapped_bytes=50 * MIB)
    stand.keeper.look()
    stand.keeper.look()
    assert stand.given_back == 2
    assert stand.keeper.standing.use.total_bytes == 100 * MIB, "they do not count for the ceiling"


def test_a_child_that_is_a_decode_worker_is_counted_apart() -> None:
    script = "block = b'x' * (64 << 20); print(len(block), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        apart, together = used_now([child.pid]), used_now([])
        child.kill()
    assert set(apart.workers) == {child.pid}
    assert apart.workers[child.pid] >= 64 * MIB
    assert not together.workers
    assert together.own_bytes >= 64 * MIB


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, None),
        ({"system.slice/dedupd.service/memory.high": "1572864000"}, 1_572_864_000),
        ({"system.slice/dedupd.service/memory.max": "max", "system.slice/memory.max": "800000000"}, 800_000_000),
        ({"system.slice/dedupd.service/memory.high": "900", "system.slice/dedupd.service/memory.max": "700"}, 700),
    ],
)
def test_the_lowest_limit_of_the_control_groups_counts(
    tmp_path: Path, limits: dict[str, str], expected: int | None
) -> None:
    own = tmp_path / "cgroup"
    own.write_text("0::/system.slice/dedupd.service\n")
    for name, value in limits.items():
        file = tmp_path / "fs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(value + "\n")
    assert group_limit_bytes(tmp_path / "fs", own) == expected


def test_a_machine_of_the_old_control_groups_has_no_limit(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("12:memory:/user.slice\n")
    assert group_limit_bytes(tmp_path, own) is None
    assert group_limit_bytes(tmp_path, tmp_path / "none") is None


def test_the_configuration_comes_before_the_machine() -> None:
    assert ceiling_bytes(300) == 300 * MIB
    assert 0 < ceiling_bytes(0) < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_pages_of_a_mapped_file_are_given_back_and_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "data.mdb"
    path.write_bytes(os.urandom(8 * MIB))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as pages:
        before = bytes(pages)
        assert resident_kib(path) >= 8 << 10
        assert give_back_pages(path) == 1
        assert resident_kib(path) == 0
        assert bytes(pages) == before
    assert give_back_pages(path) == 0, "it is not mapped any more"


def resident_kib(path: Path) -> int:
    is_inside, kib = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.partition(" ")[0]:
            is_inside = line.endswith(str(path))
        elif is_inside and line.startswith("Rss:"):
            kib += int(line.split()[1])
    return kib
