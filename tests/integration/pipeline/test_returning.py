"""A content that was cleaned up and comes back is told of, once for each file that brings it, and nothing else is."""

import os

import pytest
from blake3 import blake3

from dedupd.core.events import CleanedReturned, Origin
from dedupd.core.verdicts import Tombstone
from dedupd.pipeline.housekeep import sweep_orphans

PLAN = "ab" * 32


@pytest.fixture
def cleaned(bench):
    """A picture that was kept, and one that a clean-up took away: its row is marked missing."""
    kept = bench.write("kept.png", "beach", "best", form="PNG")
    gone = bench.write("gone.jpg", "beach", "worse")
    bench.settle_all()
    clean(bench, gone, kept)
    bench.events_before = len(bench.events())
    return bench


def clean(bench, gone, kept):
    """What the actor and the daemon do, as far as the flow sees it."""
    stone = Tombstone(
        digest=blake3(gone.read_bytes()).digest(),
        cleaned_at_ns=bench.clock.wall,
        plan=PLAN,
        path=os.fsencode(gone),
        kept=os.fsencode(kept),
    )
    gone.rename(bench.tmp_path / "quarantined")
    with bench.library.transaction() as txn:
        txn.put_tombstone(stone)
    bench.dirty("")
    bench.ripen()


def returned(bench):
    return [(fact.path.relative().decode(), fact.is_kept_there) for fact in bench.events(CleanedReturned)]


def arrive(bench, name, scene, variant, **options):
    bench.write(name, scene, variant, **options)
    bench.dirty("", closed=[name])
    bench.work()


def test_the_same_path_with_the_same_bytes_is_told_once(cleaned):
    arrive(cleaned, "gone.jpg", "beach", "worse")
    [fact] = cleaned.events(CleanedReturned)
    assert fact.path == cleaned.path("gone.jpg")
    assert (fact.origin, fact.plan, fact.is_kept_there) == (Origin.ARRIVAL, PLAN, True)
    assert fact.kept == os.fsencode(cleaned.photos / "kept.png")
    assert fact.content == cleaned.record("gone.jpg").content
    assert fact.size_bytes == (cleaned.photos / "gone.jpg").stat().st_size
    cleaned.settle_all()
    cleaned.reopen().settle_all()
    assert len(cleaned.events(CleanedReturned)) == 1


def test_every_further_path_that_brings_it_is_told(cleaned):
    for name in ("phone.jpg", "backup.jpg"):
        arrive(cleaned, name, "beach", "worse")
    assert returned(cleaned) == [("phone.jpg", True), ("backup.jpg", True)]


def test_a_path_that_brings_it_goes_and_brings_it_again_is_told_twice(cleaned):
    for _ in range(2):
        arrive(cleaned, "phone.jpg", "beach", "worse")
        (cleaned.photos / "phone.jpg").unlink()
        cleaned.dirty("")
        cleaned.ripen()
    assert returned(cleaned) == [("phone.jpg", True)] * 2


def test_it_is_told_although_the_library_has_forgotten_the_content(cleaned):
    content = cleaned.record("gone.jpg").content
    with cleaned.library.transaction() as txn:
        txn.remove_file(cleaned.path("gone.jpg"))
    assert sweep_orphans(cleaned.library, cleaned.previews, cleaned.link.forget) == 1
    cleaned.compare()
    arrive(cleaned, "again.jpg", "beach", "worse")
    [fact] = cleaned.events(CleanedReturned)
    assert fact.content == cleaned.record("again.jpg").content != content


def test_a_scan_that_finds_it_tells_it_as_found_by_a_scan(cleaned):
    cleaned.write("found.jpg", "beach", "worse")
    cleaned.settle_all()
    [fact] = cleaned.events(CleanedReturned)
    assert fact.origin is Origin.SCAN


def test_it_says_when_the_file_that_was_kept_is_gone(cleaned):
    (cleaned.photos / "kept.png").unlink()
    arrive(cleaned, "gone.jpg", "beach", "worse")
    assert returned(cleaned) == [("gone.jpg", False)]


def test_it_is_written_with_the_row_of_the_file_and_before_what_it_duplicates(cleaned):
    arrive(cleaned, "gone.jpg", "beach", "worse")
    arrive(cleaned, "copy.jpg", "beach", "worse")
    kinds = [(type(fact).__name__, fact.path.name) for fact in cleaned.events()[cleaned.events_before :]]
    assert kinds[0] == ("CleanedReturned", b"gone.jpg")
    assert kinds[-2:] == [("CleanedReturned", b"copy.jpg"), ("DuplicateFound", b"copy.jpg")]


def test_what_undo_put_back_is_no_return(cleaned):
    with cleaned.library.transaction() as txn:
        assert txn.remove_tombstone(blake3((cleaned.tmp_path / "quarantined").read_bytes()).digest())
    (cleaned.tmp_path / "quarantined").rename(cleaned.photos / "gone.jpg")
    cleaned.dirty("", closed=["gone.jpg"])
    cleaned.work()
    assert cleaned.record("gone.jpg").content is not None
    assert returned(cleaned) == []


def test_other_pictures_are_no_return(cleaned):
    arrive(cleaned, "third.jpg", "beach", "third")
    arrive(cleaned, "gone.jpg", "mountain", "another under the old name")
    assert returned(cleaned) == []


def test_the_kept_file_of_equal_bytes_is_no_return_whatever_happens_to_it(bench):
    kept = bench.write("a.jpg", "beach", "a")
    gone = bench.write("b.jpg", "beach", "a")
    bench.settle_all()
    clean(bench, gone, kept)
    bench.age(kept, 50)  # touched
    bench.dirty("")
    bench.work()
    kept.rename(bench.photos / "moved.jpg")
    bench.settle_all()
    (bench.photos / "moved.jpg").rename(kept)
    bench.settle_all()
    os.link(kept, bench.photos / "link.jpg")
    bench.settle_all()
    assert returned(bench) == []
    arrive(bench, "b.jpg", "beach", "a")
    assert returned(bench) == [("b.jpg", True)]


def test_the_kept_file_that_was_away_and_is_back_is_no_return(bench):
    bench.write("other.jpg", "mountain")  # so that the root is not empty
    kept = bench.write("a.jpg", "beach", "a")
    gone = bench.write("b.jpg", "beach", "a")
    bench.settle_all()
    clean(bench, gone, kept)
    kept.unlink()
    bench.dirty("")
    bench.ripen()
    assert bench.known()["a.jpg"] == "missing"
    arrive(bench, "a.jpg", "beach", "a")
    assert bench.known()["a.jpg"] == "indexed"
    assert returned(bench) == []
