"""What people are told of watching that is not as it should be: once, and nothing that mends itself."""

from dataclasses import replace

import pytest

from dedupd.core.events import Degraded
from dedupd.core.ports import WatchHealth, WatchState
from dedupd.core.records import RootId, Sequence
from dedupd.pipeline.watch_trouble import WatchTrouble
from dedupd.store.library import LmdbLibrary

WELL = WatchHealth(
    root=RootId(1), state=WatchState.WATCHING, watched_directories=9, unwatched_directories=0, overflows=0, message=""
)
PARTIAL = replace(WELL, state=WatchState.PARTIAL, unwatched_directories=31, message="watches ran out: sysctl x=1")
FAILED = replace(WELL, state=WatchState.FAILED, message="the watcher process died and is being restarted")


class FixedClock:
    def wall_ns(self):
        return 1

    def monotonic_s(self):
        return 1.0


class Book:
    """A real store, the trouble under test, and what was told."""

    def __init__(self, library):
        self.library = library
        self.trouble = WatchTrouble(library, FixedClock())

    def look(self, *health, is_believed=True):
        self.trouble.look(health, believed=lambda root: "a root" if is_believed else None)
        with self.library.view() as view:
            events = view.events(Sequence(0), 100)
        return [event.fact.message for event in events if isinstance(event.fact, Degraded)]


@pytest.fixture
def book(tmp_path):
    library = LmdbLibrary(tmp_path / "state")
    yield Book(library)
    library.close()


def test_watches_that_ran_out_are_told_at_once_and_once(book):
    assert book.look(WELL) == []
    assert book.look(PARTIAL) == [PARTIAL.message]
    assert book.look(replace(PARTIAL, unwatched_directories=30)) == [PARTIAL.message]


def test_what_was_well_again_in_between_is_told_again(book):
    book.look(PARTIAL)
    book.look(WELL)
    assert len(book.look(PARTIAL)) == 2


def test_a_watcher_that_is_started_again_is_told_only_if_it_stays_away(book):
    assert book.look(FAILED) == []
    assert book.look(WELL) == []
    assert book.look(FAILED) == []
    assert book.look(FAILED) == [FAILED.message]


def test_two_roots_with_one_trouble_are_one_message(book):
    assert book.look(PARTIAL, replace(PARTIAL, root=RootId(2))) == [PARTIAL.message]


def test_a_root_that_is_not_believed_is_told_of_elsewhere(book):
    for _ in range(3):
        assert book.look(FAILED, PARTIAL, is_believed=False) == []
