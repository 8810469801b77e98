"""Settling against a model that remembers every look."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dedupd.core.records import FilePath, RootId
from dedupd.core.settle import LookAgainAt, Settled, Settling
from dedupd.core.stat_key import pack_fields

S = 1_000_000_000
TICKS = 1_024  # a second; as fractions of two, times compare exactly
START_NS = 1_700_000_000 * S + 1  # no whole second: the coarse-clock rule has its own unit test
CLOSE_S, WRITE_S, LIMIT = 0.5, 10.0, 3

paths = st.sampled_from([FilePath(root=RootId(1), directory=b"", name=name) for name in (b"a", b"b", b"c", b"d", b"e")])


class SettleMachine(RuleBasedStateMachine):
    """Files that are written, closed, replaced and removed while time passes."""

    def __init__(self):
        super().__init__()
        self.settling = Settling(quiet_after_close_s=CLOSE_S, quiet_after_write_s=WRITE_S, limit=LIMIT)
        self.now = 0
        self.files = {}  # path → (size, mtime_ns, written_at)
        self.closed = set()
        self.looks = {}  # tracked path → [(now, (size, mtime_ns), was_closed)], since the last settle or forget

    @rule(ticks=st.integers(1, 6 * TICKS))
    def time_passes(self, ticks):
        self.now += ticks

    @rule(path=paths, size=st.integers(1, 2))
    def write(self, path, size):
        self.now += 1  # a kernel's mtime moves on too
        self.files[path] = (size, START_NS + self.now * S // TICKS, self.now)

    @rule(path=paths)
    def close(self, path):
        if path in self.files:
            self.closed.add(path)

    @rule(path=paths)
    def remove(self, path):
        self.files.pop(path, None)
        self.closed.discard(path)
        self.looks.pop(path, None)
        self.settling.forget(path)

    @rule(path=paths)
    def look(self, path):
        if path not in self.files:
            return
        size, mtime_ns, _ = self.files[path]
        was_closed = path in self.closed
        self.closed.discard(path)
        is_first = path not in self.looks
        had_room = len(self.looks) < LIMIT
        answer = self.settling.look(
            path,
            pack_fields(1, 1, size, mtime_ns, 0),
            now_s=self.now / TICKS,
            wall_now_ns=START_NS + self.now * S // TICKS,
            was_closed=was_closed,
        )
        if is_first:
            is_old = self.now * S // TICKS + START_NS - mtime_ns >= WRITE_S * S
            assert isinstance(answer, Settled) == is_old
            if isinstance(answer, LookAgainAt):
                assert answer.is_tracked == had_room
                if had_room:
                    self.looks[path] = [(self.now, (size, mtime_ns), was_closed)]
            return
        self.looks[path].append((self.now, (size, mtime_ns), was_closed))
        assert isinstance(answer, Settled) == self.is_settled_by_the_rule(self.looks[path])
        if isinstance(answer, Settled):
            del self.looks[path]

    @rule()
    def look_at_what_is_due(self):
        for path in self.settling.due(self.now / TICKS):
            assert path in self.looks
            self.look(path)

    def is_settled_by_the_rule(self, looks):
        """Equal at the ends of a quiet stretch that is long enough for how it began."""
        last, content, _ = looks[-1]
        stretch = []
        for entry in reversed(looks):
            if entry[1] != content:
                break
            stretch.append(entry)
        quiet = (CLOSE_S if any(closed for _, _, closed in stretch) else WRITE_S) * TICKS
        first = stretch[-1][0]
        return last > first and last - first >= quiet

    @invariant()
    def tracks_exactly_what_was_looked_at_and_never_too_much(self):
        assert len(self.settling) == len(self.looks) <= LIMIT

    @invariant()
    def every_tracked_file_will_be_due(self):
        next_due = self.settling.next_due()
        assert (next_due is None) == (not self.looks)
        assert next_due is None or next_due <= self.now / TICKS + WRITE_S


SettleMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestSettle = SettleMachine.TestCase
