"""What arrives goes before a first scan: read, committed, linked and told of at once, and every pair is found still."""

from dedupd.core.events import DuplicateFound, Origin
from dedupd.core.ports import Priority


def arrive(bench, name, scene, variant=""):
    """Write a file that has settled; its row is there, and it is still to be read."""
    bench.write(name, scene, variant)
    bench.dirty("", closed=[name])
    bench.ripen()


def described_backlog(bench, *scenes):
    """Files of a first scan that are described and not compared yet."""
    for number, scene in enumerate(scenes):
        bench.write(f"{number:02}.jpg", scene, str(number))
    bench.scan()
    bench.read()
    assert bench.counts().contents_unlinked == len(scenes)


def first_told(bench):
    fact = bench.events(DuplicateFound)[0]
    return fact.path.name, fact.origin


def test_what_arrives_is_linked_and_told_of_before_a_backlog_that_waits(bench):
    bench.write("old.jpg", "beach", "old")
    bench.settle_all()
    described_backlog(bench, "lake", "lake", *(f"scene{n}" for n in range(40)))
    bench.reader.urgency.clear()
    arrive(bench, "new.jpg", "beach", "new")
    bench.read()
    bench.compare()
    assert first_told(bench) == (b"new.jpg", Origin.ARRIVAL)
    assert bench.reader.urgency[0] == Priority.ARRIVAL_EVIDENCE
    assert set(bench.reader.urgency[1:]) == {Priority.EVIDENCE}
    assert len(bench.edges()) == 2
    assert bench.counts().contents_unlinked == 0


def test_a_batch_of_the_backlog_is_given_up_when_something_arrives(bench):
    bench.write("old.jpg", "beach", "old")
    bench.settle_all()
    described_backlog(bench, "lake", "lake")
    arrive(bench, "new.jpg", "beach", "new")

    def read_meanwhile():
        bench.reader.compare_hook = lambda: None
        bench.read()  # while the backlog's pair is being looked at

    bench.reader.compare_hook = read_meanwhile
    bench.compare()
    assert first_told(bench) == (b"new.jpg", Origin.ARRIVAL)
    assert len(bench.edges()) == len(set(bench.edges())) == 2
    assert bench.counts().contents_unlinked == 0


def test_a_duplicate_in_the_backlog_is_told_by_the_arrival_that_was_linked_before_it(bench):
    described_backlog(bench, *(f"scene{n}" for n in range(5)))
    arrive(bench, "new.jpg", "scene3", "new")
    bench.read()
    bench.compare()
    [fact] = bench.events(DuplicateFound)
    assert (fact.path.name, fact.origin) == (b"new.jpg", Origin.ARRIVAL)
    assert [match.path.name for match in fact.matches] == [b"03.jpg"]


def test_an_arrival_is_told_of_once_although_the_backlog_holds_more_of_its_duplicates(bench):
    bench.write("old.jpg", "beach", "old")
    bench.settle_all()
    described_backlog(bench, "lake", "beach")
    arrive(bench, "new.jpg", "beach", "new")
    bench.read()
    bench.compare()
    assert sorted(bench.told()) == ["01.jpg", "new.jpg"]
    assert len(bench.edges()) == 3


def test_a_file_that_arrives_is_asked_for_although_the_backlog_has_taken_all_places(bench):
    bench.reader.is_held = True
    for number in range(40):
        bench.write(f"{number:02}.jpg", f"scene{number}")
    bench.scan()
    bench.read_once()
    asked = len(bench.reader.read_paths)
    assert asked < 40
    arrive(bench, "new.jpg", "beach")
    bench.read_once()
    assert [path.rpartition(b"/")[2] for path in bench.reader.read_paths[asked:]] == [b"new.jpg"]


def test_an_arrival_is_committed_before_what_was_read_with_it(bench):
    bench.reader.is_held = True
    bench.write("00.jpg", "scene0")
    bench.scan()
    bench.read_once()
    arrive(bench, "new.jpg", "beach")
    bench.read_once()
    bench.reader.release()
    bench.read_once()
    assert bench.record("new.jpg").content < bench.record("00.jpg").content
