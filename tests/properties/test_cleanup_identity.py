"""Plan, apply, undo is the identity, whatever the action and order: bytes, mode, owner, attributes, times, paths."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from fakes.cleanup_bench import Bench, ComparingCalls, name_of
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dedupd.core.cleanup_plan import Action

MEMORY = Path("/dev/shm")
PICTURES = 4
COPIES = 3


def facts(path: Path) -> tuple:
    stat = path.stat()
    attributes = {key: os.getxattr(path, key) for key in os.listxattr(path)}
    return path.read_bytes(), stat.st_ino, stat.st_mode, stat.st_uid, stat.st_gid, stat.st_mtime_ns, attributes


class CleaningAndUndoing(RuleBasedStateMachine):
    """A library of pictures with copies; plans over any of them are applied and undone in any order."""

    @initialize(modes=st.lists(st.sampled_from([0o600, 0o644, 0o440]), min_size=12, max_size=12))
    def lay_out(self, modes):
        self.top = Path(tempfile.mkdtemp(prefix="dedupd-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))
        self.bench = Bench(self.top, ComparingCalls())
        (self.top / "home").mkdir()
        for picture in range(PICTURES):
            for copy in range(COPIES):
                name = f"{copy}/{picture}.jpg"
                path = self.bench.write(name, b"picture %d" % picture * 50, mtime_ns=10**18 + 7 * copy + picture)
                os.setxattr(path, "user.copy", b"%d" % copy)
                path.chmod(modes[picture * COPIES + copy])
        self.before = self.look()
        self.applied = []  # plans with something to put back, the last one last

    def look(self):
        files = {}
        for path in sorted(self.bench.root.rglob("*")):
            if path.is_file() and ".dedupd-quarantine" not in path.parts:
                files[str(path.relative_to(self.bench.root))] = facts(path)
        return files

    def free(self):
        """Pictures of which every copy is at home."""
        return [p for p in range(PICTURES) if all((self.bench.root / f"{c}/{p}.jpg").exists() for c in range(COPIES))]

    @rule(
        action=st.sampled_from(list(Action)),
        pictures=st.sets(st.integers(0, PICTURES - 1), min_size=1),
        kept=st.integers(0, COPIES - 1),
        gone=st.sets(st.integers(0, COPIES - 1), min_size=1),
    )
    def apply(self, action, pictures, kept, gone):
        busy = {picture for _, taken in self.applied for picture in taken}
        chosen = sorted(set(self.free()) & pictures - busy)
        pairs = [(p, c) for p in chosen for c in sorted(gone - {kept})]
        if not pairs:
            return
        items = [self.bench.pair(n, f"{kept}/{p}.jpg", f"{c}/{p}.jpg") for n, (p, c) in enumerate(pairs, start=1)]
        self.bench.now_ns += 10**9  # so that no two plans are the same
        plan = self.bench.plan(*items, action=action)
        end = self.bench.apply(plan)
        assert (end.done, end.conflicts, end.failed, end.skipped) == (len(pairs), 0, 0, 0), self.bench.told
        if action is not Action.REFLINK:
            self.applied.append((plan, set(chosen)))

    @precondition(lambda self: self.applied)
    @rule(data=st.data(), one_by_one=st.booleans())
    def undo(self, data, one_by_one):
        plan, _ = self.applied.pop(data.draw(st.integers(0, len(self.applied) - 1)))
        if one_by_one:
            for number in data.draw(st.permutations([item.number for item in plan.items])):
                self.bench.actor().undo(name_of(plan), frozenset({number}), self.bench.told.append)
        else:
            self.bench.undo(plan)

    @rule()
    def start_anew(self):
        outcomes = self.bench.actor().outcomes(0, 10_000)
        assert outcomes == self.bench.actor().outcomes(0, 10_000)
        assert [outcome.sequence for outcome in outcomes] == list(range(1, len(outcomes) + 1))

    @invariant()
    def every_picture_is_somewhere(self):
        contents = set(self.bench.everything().values())
        assert contents == {b"picture %d" % picture * 50 for picture in range(PICTURES)}

    @invariant()
    def what_is_undone_is_as_it_was(self):
        busy = {picture for _, taken in self.applied for picture in taken}
        now = self.look()
        for name, known in self.before.items():
            if int(Path(name).stem) not in busy:
                assert now.get(name) == known, name
        if not self.applied:
            assert now == self.before

    def teardown(self):
        if hasattr(self, "top"):
            self.bench.close()
            shutil.rmtree(self.top)


TestCleaningAndUndoing = CleaningAndUndoing.TestCase
TestCleaningAndUndoing.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)
