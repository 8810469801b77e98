"""The backlog keeps to its share of processor and disk on the long run, and arrivals are exempt."""

import os
import subprocess
import sys

import pytest

from dedupd.core.manners import HoldReason, MannersRules
from dedupd.core.shares import Allowance, ShareRules, Spent, spent_between
from dedupd.daemon.pressure import share_rules_of
from dedupd.daemon.spending import spending_now, spent_by
from dedupd.pipeline.manners import Manners
from dedupd.pipeline.shares import Shares
from dedupd.settings.schema import Manners as Settled
from dedupd.store import LmdbLibrary

CORES = 4


class Machine:
    """A clock by hand, and processes that take what the test says."""

    def __init__(self):
        self.now_s = 100.0
        self.taken = {1: Spent()}
        self.looks = 0

    def monotonic_s(self):
        return self.now_s

    def wall_ns(self):
        return round((1_700_000_000 + self.now_s) * 1e9)

    def spending(self):
        self.looks += 1
        return dict(self.taken)

    def take(self, cpu_s=0.0, read_bytes=0, pid=1):
        before = self.taken.get(pid, Spent())
        self.taken[pid] = Spent(cpu_s=before.cpu_s + cpu_s, read_bytes=before.read_bytes + read_bytes)

    def shares(self, **rules):
        return Shares(clock=self, rules=ShareRules(**rules), spending=self.spending, cores=CORES)


@pytest.fixture
def machine():
    return Machine()


def busy_for(machine, shares, seconds, *, cores=CORES, bytes_per_s=0, step_s=0.05):
    """Have the backlog take all that it is allowed to; what it took as a mean of cores."""
    began_s, took_s = machine.now_s, 0.0
    while machine.now_s < began_s + seconds:
        is_allowed = shares.allow()
        machine.now_s += step_s
        if is_allowed:
            machine.take(cpu_s=cores * step_s, read_bytes=round(bytes_per_s * step_s))
            took_s += cores * step_s
    return took_s / seconds


@pytest.mark.parametrize("percent", [10, 25, 50, 90])
def test_a_backlog_that_would_take_all_takes_its_share(machine, percent):
    used = busy_for(machine, machine.shares(cpu_percent=percent), 120)
    assert used == pytest.approx(CORES * percent / 100, rel=0.05)


def test_a_backlog_within_its_share_is_never_held_up(machine):
    shares = machine.shares(cpu_percent=50)
    assert busy_for(machine, shares, 60, cores=1) == pytest.approx(1, rel=0.01)
    assert shares.hold() is None


def test_without_a_share_nothing_is_measured(machine):
    shares = machine.shares()
    assert busy_for(machine, shares, 10) == pytest.approx(CORES, rel=0.01)
    assert machine.looks == 0


def test_bytes_have_a_share_of_their_own(machine):
    shares = machine.shares(read_bytes_per_s=10e6)
    busy_for(machine, shares, 60, cores=0, bytes_per_s=100e6)
    assert machine.taken[1].read_bytes / 60 == pytest.approx(10e6, rel=0.05)
    assert "10 MB/s" in shares.hold().words


def test_what_arrivals_take_is_made_up_for_by_the_backlog_but_not_for_ever(machine):
    shares = machine.shares(cpu_percent=50)
    assert shares.allow()
    machine.take(cpu_s=8.0)  # 4 s of the share
    machine.now_s += 0.2
    assert not shares.allow()
    machine.now_s += 4.0
    assert shares.allow()
    machine.take(cpu_s=10_000)
    machine.now_s += 0.2
    assert not shares.allow()
    machine.now_s += 10.1
    assert shares.allow()


def test_processes_come_and_go_and_are_all_counted(machine):
    before = {1: Spent(cpu_s=1.0, read_bytes=5), 2: Spent(cpu_s=9.0)}
    after = {1: Spent(cpu_s=1.5, read_bytes=7), 3: Spent(cpu_s=0.25), 2: Spent(cpu_s=0.5)}  # 2: another process by now
    assert spent_between(before, after) == Spent(cpu_s=0.75, read_bytes=2)
    shares = machine.shares(cpu_percent=50)
    shares.allow()
    machine.take(cpu_s=4.0, pid=7)
    machine.now_s += 0.2
    assert not shares.allow()


def test_new_rules_count_at_once_and_old_debts_are_forgotten(machine):
    shares = machine.shares(cpu_percent=1)
    shares.allow()
    machine.take(cpu_s=100)
    machine.now_s += 1
    assert not shares.allow()
    shares.configure(ShareRules(cpu_percent=2))
    assert shares.allow()
    assert shares.hold() is None


def test_an_allowance_is_exact_on_the_long_run():
    allowance = Allowance(2.0, 0.0)
    spent, now_s = 0.0, 0.0
    for _ in range(10_000):
        now_s += 0.01
        if allowance.spend(0, now_s):
            assert isinstance(allowance.spend(0.5, now_s), bool)
            spent += 0.5
    assert spent == pytest.approx(2.0 * now_s, abs=2.0 + 0.5)


def test_a_share_holds_the_backlog_alone_and_people_are_told(machine, tmp_path):
    library = LmdbLibrary(tmp_path / "state", map_bytes=64 * 1024 * 1024)
    shares = machine.shares(cpu_percent=50)
    manners = Manners(library=library, clock=machine, rules=MannersRules(), pressure=lambda: None, shares=shares)
    assert manners.allow_backlog()
    machine.take(cpu_s=4)
    machine.now_s += 0.5
    assert not manners.allow_backlog()
    assert manners.allow_arrivals()
    assert manners.allow_scans()
    assert manners.hold().reason is HoldReason.SHARE
    assert "50 %" in manners.hold().words
    machine.now_s += 2
    assert manners.allow_backlog()
    machine.now_s += 2
    assert manners.hold() is None
    library.close()


def test_the_configuration_s_units_are_those_of_the_rules():
    assert share_rules_of(Settled(cpu_share=50, read_mb_per_s=20)) == ShareRules(cpu_percent=50, read_bytes_per_s=20e6)
    assert not share_rules_of(Settled()).is_any_set


def test_the_kernel_s_figures_of_this_process_and_its_children_are_read():
    with subprocess.Popen(
        [sys.executable, "-c", "sum(range(10**7)); print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        child.stdout.readline()
        found = spending_now()
        assert found[child.pid].cpu_s > 0
        assert found[os.getpid()].cpu_s > 0
        child.communicate(b"\n")
    assert spent_by(child.pid) == Spent(), "of one that has ended nothing is known"
