"""Journal and history as one: memory holds what can still be undone, the journal the rest, and both say the same."""

from __future__ import annotations

from itertools import islice

import pytest
from fakes.journal_desk import BASE, Desk, result_of

from dedupd.cleanup.history import TAKEN_NS
from dedupd.cleanup.journal_records import ActKind
from dedupd.cleanup.undo import restoring
from dedupd.core.cleanup_plan import OutcomeKind, RunKind

PLAN = "ab" * 32


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path / "journal")


def test_every_outcome_is_read_again_from_wherever_one_asks(desk):
    for number, files in enumerate((3, 700, 0, 1, 300)):  # marks lie 256 outcomes apart, and at each file
        desk.apply(f"{number:064x}", files)
    desk.undo(f"{1:064x}")
    assert [outcome.sequence for outcome in desk.told] == list(range(1, 1705))
    for book in (desk.book, desk.opened()):
        for after in (0, 1, 2, 3, 255, 256, 257, 500, 702, 703, 704, 1003, 1004, 1005, 1703, 1704, 9999):
            assert list(islice(book.outcomes(after), 40)) == desk.told[after : after + 40], after
        assert list(book.outcomes(0)) == desk.told


def test_what_is_not_on_the_disk_whole_is_not_told(desk):
    desk.apply(PLAN, 2)
    with (desk.directory / "00000001.journal").open("ab") as file:
        file.write(b"0" * 32 + b' {"type":"outc')  # as a reader may find it while a line is written
    assert list(desk.book.outcomes(0)) == desk.told
    assert list(desk.book.outcomes(2)) == []


def test_outcomes_are_read_while_a_run_goes_on(desk):
    heard = []
    desk.told = Hearing(lambda outcome: heard.append(list(desk.book.outcomes(outcome.sequence - 1))), desk.told)
    desk.apply(PLAN, 5)
    assert heard == [[outcome] for outcome in desk.told.outcomes], "an outcome is in the journal before it is told"


class Hearing:
    def __init__(self, hear, outcomes) -> None:
        self.hear = hear
        self.outcomes = outcomes

    def append(self, outcome) -> None:
        self.outcomes.append(outcome)
        self.hear(outcome)


def test_of_what_is_back_or_deleted_memory_holds_a_line_a_plan(desk):
    back, gone, stays = (f"{number:064x}" for number in (1, 2, 3))
    for plan in (back, gone, stays):
        desk.apply(plan, 4)
    desk.undo(back)
    desk.expire(gone)
    desk.undo(stays, OutcomeKind.CONFLICT)
    for book in (desk.book, desk.opened()):
        history = book.history
        assert [aside.outcome.plan for aside in history.set_aside.values()] == [stays] * 4
        assert len(history.taken) == 8, "deleted files were taken as well"
        assert history.open == {}
        assert [run.plan_id for run in history.runs.values()] == [back, gone, stays]
        assert history.last_sequence == 24
        assert history.base_of(b"/photos") == BASE
        assert history.last_applied() == history.applied(stays)
        applied = history.applied(back)
        assert [item for item in range(7) if item in applied.items] == [1, 2, 3, 4]


def test_what_was_taken_is_counted_for_a_month(desk):
    desk.apply(f"{1:064x}", 3)
    first_ns = desk.now_ns
    desk.now_ns += TAKEN_NS // 2
    desk.apply(f"{2:064x}", 2)
    assert desk.book.history.done_since(first_ns) == (5, 1 + 2 + 3 + 1 + 2)
    desk.now_ns += TAKEN_NS // 2 + 1
    desk.apply(f"{3:064x}", 2)
    for book in (desk.book, desk.opened()):
        assert book.history.done_since(0) == (4, 6)
        assert len(book.history.set_aside) == 7, "all of it can still be put back"


def test_a_run_that_was_cut_short_stays_known_until_it_is_settled(desk):
    desk.apply(PLAN, 1)
    [aside] = desk.book.history.of_plan(PLAN)
    run = desk.book.start(RunKind.UNDO, PLAN, desk.told.append)
    act = restoring(aside, ActKind.RENAME, aside.act.file.place)
    run.intend(PLAN, 1, (act,))
    desk.book.close()
    again = desk.opened()
    assert [(run.kind, run.plan_id) for run in again.history.runs.values()] == [
        (RunKind.APPLY, PLAN),
        (RunKind.UNDO, PLAN),
    ]
    assert list(again.history.open) == [(2, 1)]
    again.begin_file()
    again.resume(2, desk.told.append).settle(1, PLAN, 1, (act,), [result_of(OutcomeKind.DONE, 1, is_at_target=True)])
    assert again.history.open == {}
    assert again.history.set_aside == {}
    assert list(again.outcomes(0)) == desk.told == list(desk.opened().outcomes(0))
