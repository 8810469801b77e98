"""An old journal becomes smaller and says the same; killed at any step it still does."""

from __future__ import annotations

from itertools import count, pairwise

import pytest
from fakes.cleanup_bench import Bench, FaultyCalls, Killed, name_of
from fakes.journal_desk import Desk
from hypothesis import given
from hypothesis import strategies as st

from dedupd.cleanup.book import Book
from dedupd.cleanup.compaction import AFTER_NS, Compaction
from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.history import TAKEN_NS
from dedupd.cleanup.journal import Journal
from dedupd.cleanup.journal_records import ActKind, Intended, RunStarted
from dedupd.cleanup.undo import restoring
from dedupd.core.cleanup_plan import Action, OutcomeKind, RunKind
from dedupd.core.errors import NotFoundError, RequestError

DAY_NS = 86_400 * 10**9


def plan_of(number):
    return f"{number:064x}"


def compacted(desk, calls=None):
    """Make the journal smaller, whatever it saves; how many files were rewritten."""
    journal, compaction = Journal(desk.directory, calls or FileCalls()), Compaction(desk.now_ns, worth_bytes=0)
    book = Book(journal, lambda: desk.now_ns, compaction.note)
    return compaction.run(journal, book.history)


def said(desk):
    """All that a journal is for, as a start finds it."""
    book = desk.opened()
    history = book.history
    runs = {
        run.plan_id: (run.number, run.action, [item for item in range(9) if item in run.items], run.first_sequence)
        for run in history.runs.values()
        if run.kind is RunKind.APPLY
    }
    return (
        history.set_aside,
        history.open,
        history.last_sequence,
        runs,
        history.bases,
        history.done_since(desk.now_ns - TAKEN_NS),
        list(book.outcomes(0)),
    )


def intents(desk):
    """(file, unit) of what the journal says was meant to be done."""
    return [(at.file, r.unit) for at, r in Journal(desk.directory, FileCalls()).load() if isinstance(r, Intended)]


def size(desk):
    return sum(path.stat().st_size for path in desk.directory.glob("*.journal"))


def lived(directory) -> Desk:
    """A journal with runs of every kind and end, all of them old, and one that is new."""
    desk = Desk(directory)
    for number in range(1, 8):
        desk.apply(plan_of(number), 3, kind=OutcomeKind.CONFLICT if number == 3 else OutcomeKind.DONE)
        desk.now_ns += DAY_NS
    desk.undo(plan_of(1))
    desk.expire(plan_of(2))
    desk.undo(plan_of(4), OutcomeKind.FAILED)
    desk.expire(plan_of(5), OutcomeKind.CONFLICT)  # held …
    desk.expire(plan_of(5))  # … and deleted later
    desk.expire(plan_of(6), OutcomeKind.CONFLICT)
    cut_short(desk, plan_of(7))
    desk.now_ns += AFTER_NS + DAY_NS
    desk.apply(plan_of(8), 2)
    desk.undo(plan_of(8))
    return desk


def cut_short(desk, plan):
    """An undo whose actor is killed between intent and outcome."""
    aside = desk.book.history.of_plan(plan)[0]
    run = desk.book.start(RunKind.UNDO, plan, desk.told.append)
    run.intend(plan, aside.outcome.item, (restoring(aside, ActKind.RENAME, aside.act.file.place),))


def test_what_is_over_goes_and_all_that_is_said_stays(tmp_path):
    desk = lived(tmp_path)
    before, plan_records = (
        said(desk),
        [r for _, r in Journal(tmp_path, FileCalls()).load() if isinstance(r, RunStarted)],
    )
    whole = size(desk)
    assert compacted(desk) > 5
    assert said(desk) == before
    assert size(desk) < 0.75 * whole
    left = {file for file, _ in intents(desk)}
    assert left == {4, 6, 7, 10, 13, 14, 15, 16}, "what can still be put back, what took it up again, and what is new"
    started = {r.run: r for _, r in Journal(tmp_path, FileCalls()).load() if isinstance(r, RunStarted)}
    assert {run for run, record in started.items() if bytes(record.plan) != b"null"} == {4, 6, 7, 15}
    assert [(r.run, r.plan_id, r.items, r.bases) for r in started.values()] == [
        (r.run, r.plan_id, r.items, r.bases) for r in plan_records
    ]
    assert compacted(desk) == 0, "there is nothing more to drop"


def test_young_and_little_journals_stay_as_they_are(tmp_path):
    desk = lived(tmp_path)
    journal, compaction = Journal(tmp_path, FileCalls()), Compaction(desk.now_ns)
    book = Book(journal, lambda: desk.now_ns, compaction.note)
    assert compaction.run(journal, book.history) == 0, "it is not worth it"
    desk.now_ns -= 9 * DAY_NS
    assert compacted(desk) == 0, "nothing is old enough"


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_step_it_says_the_same_and_the_next_start_goes_on(tmp_path, when):
    def die():
        raise Killed

    done = lived(tmp_path / "done")
    compacted(done)
    for at in count(1):
        desk = lived(tmp_path / f"{at}")
        before = said(desk)
        calls = FaultyCalls(at, **{when: die})
        try:
            compacted(desk, calls)
        except Killed:
            assert said(desk) == before, (at, calls.steps)
            compacted(desk)
            assert said(desk) == before, (at, calls.steps)
            assert intents(desk) == intents(done)
        if not calls.has_struck:
            assert at > 60, "every call was killed once"
            return


def test_each_call_that_fails_leaves_a_journal_that_says_the_same(tmp_path):
    def fail():
        raise OSError(28, "No space left on device")

    for at in count(1):
        desk = lived(tmp_path / f"{at}")
        before = said(desk)
        calls = FaultyCalls(at, before=fail)
        try:
            compacted(desk, calls)
        except OSError:
            assert said(desk) == before, (at, calls.steps)
            desk.apply(plan_of(9), 1)
            compacted(desk)
            assert len(said(desk)[-1]) == len(before[-1]) + 1
            continue
        assert not calls.has_struck
        return


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["apply", "undo", "expire", "wait", "compact", "compact and die"]),
        st.integers(1, 4),
        st.sampled_from([OutcomeKind.DONE, OutcomeKind.CONFLICT, OutcomeKind.STRANDED]),
    ),
    max_size=25,
)


@given(steps=STEPS, backwards=st.booleans(), at=st.integers(1, 80))
def test_after_any_history_the_smaller_journal_says_the_same(tmp_path_factory, steps, backwards, at):
    """Also where the clock was put back: what took an act back may look older than the act."""
    desk, applied = Desk(tmp_path_factory.mktemp("journal")), 0
    for step, number, kind in steps:
        match step:
            case "apply":
                applied += 1
                desk.apply(plan_of(applied), number, kind=kind)
            case "undo":
                desk.undo(plan_of(number), kind)
            case "expire":
                desk.expire(plan_of(number), kind)
            case "wait":
                desk.now_ns += (-1 if backwards and number == 4 else 1) * number * AFTER_NS // 2
            case _:
                before = said(desk)
                dies = FaultyCalls(at, before=_die) if step == "compact and die" else None
                try:
                    compacted(desk, dies)
                except Killed:
                    assert said(desk) == before
                assert said(desk) == before
                desk.book.close()
                desk.book = desk.opened()


def _die():
    raise Killed


def test_an_actor_makes_an_old_journal_smaller_when_it_starts_and_can_undo_what_it_could(tmp_path):
    bench = Bench(tmp_path)
    for number in range(150):
        bench.write(f"keep/{number}.jpg", b"picture %d" % number)
        bench.write(f"copy/{number}.jpg", b"picture %d" % number)
    pairs = [bench.pair(number % 50 + 1, f"keep/{number}.jpg", f"copy/{number}.jpg") for number in range(150)]
    back, gone, stays = (bench.plan(*pairs[50 * part : 50 * part + 50]) for part in range(3))
    for plan in (back, gone, stays):
        bench.apply(plan)
    bench.undo(back)
    bench.expire(plan=gone)
    before, aside = bench.actor().outcomes(0, 1000), bench.actor().quarantined()
    assert len(aside) == 50
    bench.close()
    files = sorted((tmp_path / "journal").glob("*.journal"))
    sizes = [path.stat().st_size for path in files]

    bench.now_ns += 91 * DAY_NS
    actor = bench.actor()
    shrunk = [path.stat().st_size for path in files]
    assert [now < was for now, was in zip(shrunk, sizes, strict=True)] == [True, True, False, True, False]
    assert (actor.outcomes(0, 1000), actor.quarantined()) == (before, aside)
    assert [b.sequence - a.sequence for a, b in pairwise(actor.outcomes(0, 1000))] == [1] * 249
    with pytest.raises(RequestError, match="applied"):
        actor.apply(name_of(back), back, bench.told.append)
    with pytest.raises(NotFoundError, match="left to put back"):
        bench.undo(gone)
    assert bench.undo(back, items=frozenset({3})).skipped == 1
    assert bench.undo(stays).done == 50
    assert all((bench.root / f"copy/{number}.jpg").exists() == (not 50 <= number < 100) for number in range(150))


def test_without_old_intents_no_action_loses_what_can_be_undone(tmp_path):
    for action in (Action.HARDLINK, Action.MOVE):
        (tmp_path / action).mkdir()
        bench = Bench(tmp_path / action)
        for name in ("keep.jpg", "copy.jpg"):
            bench.write(name, b"picture")
        plan = bench.plan(bench.pair(1, "keep.jpg", "copy.jpg"), action=action)
        bench.apply(plan)
        bench.close()
        bench.now_ns += 400 * DAY_NS
        journal, compaction = Journal(bench.directory / "journal", FileCalls()), Compaction(bench.now_ns, worth_bytes=0)
        compaction.run(journal, Book(journal, lambda: bench.now_ns, compaction.note).history)  # noqa: B023
        assert bench.undo(plan).done == 1
