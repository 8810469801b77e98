"""What a person said of a pair or a picture holds whatever becomes of files, rows and groups."""

from blake3 import blake3

from dedupd.core.events import DuplicateFound
from dedupd.core.records import DUPLICATE_RELATIONS
from dedupd.core.verdicts import NotDuplicate, Pin, digest_pair
from dedupd.pipeline.housekeep import sweep_orphans


def digest_of(bench, name):
    return blake3((bench.photos / name).read_bytes()).digest()


def said(bench, one, other):
    a, b = digest_pair(digest_of(bench, one), digest_of(bench, other))
    return NotDuplicate(a=a, b=b, said_at_ns=bench.clock.wall)


def contents(bench, *names):
    return tuple(bench.record(name).content for name in names)


def reject(bench, one, other):
    with bench.library.transaction() as txn:
        txn.put_verdict(said(bench, one, other))
    bench.groups.reject([contents(bench, one, other)])


def withdraw(bench, one, other):
    verdict = said(bench, one, other)
    with bench.library.transaction() as txn:
        assert txn.remove_verdict(verdict.a, verdict.b)
    bench.groups.withdraw([contents(bench, one, other)])


def groups(bench):
    """Keeper and members of each group by the names of their files, and what only hangs on."""

    def names(numbers):
        with bench.library.view() as view:
            return {file.path.name.decode() for number in numbers for file in view.files_of(number)}

    return [
        (names([g.keeper]), names(m.content for m in g.members), names(g.related))
        for g in bench.groups.all(DUPLICATE_RELATIONS)
    ]


def two_alike(bench):
    bench.write("a.jpg", "beach", "a")
    bench.write("b.jpg", "beach", "b")
    return bench.settle_all()


def test_a_rejected_pair_is_in_no_group_but_its_edge_stays(bench):
    two_alike(bench)
    edges = bench.edges()
    assert len(groups(bench)) == len(edges) == 1
    reject(bench, "a.jpg", "b.jpg")
    assert groups(bench) == []
    assert bench.groups.holding(contents(bench, "a.jpg")[0]) is None
    assert bench.edges() == edges
    withdraw(bench, "b.jpg", "a.jpg")
    assert groups(bench) == [({"a.jpg"}, {"b.jpg"}, set())]


def test_a_rejected_pair_stays_apart_after_a_restart_a_rescan_and_a_move(bench):
    two_alike(bench)
    reject(bench, "a.jpg", "b.jpg")
    bench.reopen()
    assert groups(bench) == []
    (bench.photos / "a.jpg").rename(bench.photos / "moved.jpg")
    bench.settle_all()
    bench.settle_all()
    assert groups(bench) == []
    assert bench.reopen() is bench
    assert groups(bench) == []


def test_a_rejected_pair_stays_apart_when_one_is_forgotten_and_comes_back(bench):
    two_alike(bench)
    reject(bench, "a.jpg", "b.jpg")
    (bench.photos / "a.jpg").unlink()
    bench.settle_all()
    with bench.library.transaction() as txn:
        txn.remove_file(bench.path("a.jpg"))
    assert sweep_orphans(bench.library, bench.previews, bench.link.forget) == 1
    bench.compare()
    assert bench.edges() == []
    told = bench.told()
    bench.write("again.jpg", "beach", "a")
    bench.settle_all()
    assert len(bench.edges()) == 1, "it was looked at again"
    assert groups(bench) == []
    assert bench.told() == told
    assert groups(bench.reopen()) == []


def test_a_pair_that_is_rejected_before_it_is_looked_at_is_not_told(bench):
    bench.write("a.jpg", "beach", "a")
    bench.settle_all()
    bench.write("b.jpg", "beach", "b")
    with bench.library.transaction() as txn:
        txn.put_verdict(said(bench, "a.jpg", "b.jpg"))
    bench.settle_all()
    assert len(bench.edges()) == 1
    assert bench.told() == []
    assert groups(bench) == []
    withdraw(bench, "a.jpg", "b.jpg")
    assert len(groups(bench)) == 1


def test_a_further_copy_of_one_is_told_as_a_copy_of_that_one_only(bench):
    two_alike(bench)
    reject(bench, "a.jpg", "b.jpg")
    before = len(bench.events(DuplicateFound))
    bench.write("copy.jpg", "beach", "a")
    bench.dirty("", closed=["copy.jpg"])
    bench.work()
    [fact] = bench.events(DuplicateFound)[before:]
    assert [match.path.name for match in fact.matches] == [b"a.jpg"]


def test_a_newcomer_that_matches_both_brings_them_up_again_but_never_one_for_the_other(bench):
    two_alike(bench)
    reject(bench, "a.jpg", "b.jpg")
    bench.write("c.png", "beach", "c", form="PNG")  # better than both
    bench.settle_all()
    assert groups(bench) == [({"c.png"}, {"a.jpg", "b.jpg"}, set())]
    fact = bench.events(DuplicateFound)[-1]
    assert {match.path.name for match in fact.matches} == {b"a.jpg", b"b.jpg"}
    assert groups(bench.reopen()) == [({"c.png"}, {"a.jpg", "b.jpg"}, set())]


def test_a_newcomer_that_is_not_kept_joins_the_better_one_and_the_other_only_hangs_on(bench):
    bench.write("a.png", "beach", "a", form="PNG")
    bench.write("b.jpg", "beach", "b")
    bench.settle_all()
    reject(bench, "a.png", "b.jpg")
    bench.write("c.jpg", "beach", "c")
    bench.settle_all()
    [(keeper, members, related)] = groups(bench)
    assert (keeper, members, related) == ({"a.png"}, {"c.jpg"}, {"b.jpg"})


def test_a_pinned_picture_is_kept_although_another_is_better(bench):
    bench.write("a.png", "beach", "a", form="PNG")
    bench.write("b.jpg", "beach", "b")
    bench.settle_all()
    assert groups(bench) == [({"a.png"}, {"b.jpg"}, set())]
    with bench.library.transaction() as txn:
        txn.put_pin(Pin(digest=digest_of(bench, "b.jpg"), path=bench.path("b.jpg"), said_at_ns=1))
    assert groups(bench) == [({"b.jpg"}, {"a.png"}, set())]
    [group] = bench.groups.all(DUPLICATE_RELATIONS)
    assert group.keeper_reason == "you said to keep it"
    assert groups(bench.reopen()) == [({"b.jpg"}, {"a.png"}, set())]


def test_the_same_bytes_are_grouped_whatever_was_said_of_others(bench):
    two_alike(bench)
    bench.write("copy.jpg", "beach", "a")
    bench.settle_all()
    reject(bench, "a.jpg", "b.jpg")
    assert groups(bench) == [({"a.jpg", "copy.jpg"}, set(), set())]
