"""Link: each true pair exactly once, whatever was stopped in between; groups that do not chain; nothing left over."""

from contextlib import nullcontext
from dataclasses import replace

import pytest

from dedupd.core.events import DuplicateFound
from dedupd.core.records import DUPLICATE_RELATIONS, Problem, ProblemCode, Relation
from dedupd.daemon.build import Engine
from dedupd.index.catch_up import OpenedIndex, open_index, stored_vectors_of
from dedupd.index.exact_index import ExactIndex
from dedupd.index.faiss_index import FaissIndex
from dedupd.pipeline.group_book import GroupBook
from dedupd.pipeline.housekeep import sweep_orphans

DIM = 32


class ShortSightedIndex(ExactIndex):
    """Answers each question with one neighbour, the newest: every picture is chained to the one before it."""

    def search(self, queries, *, limit, min_similarity):
        found = super().search(queries, limit=100, min_similarity=min_similarity)
        return [sorted(near, key=lambda n: -n.content)[:1] for near in found]


class LosingIndex(ExactIndex):
    """Forgets to add, as a process killed between the commit and the index does."""

    is_losing = True

    def add(self, contents, vectors):
        if not self.is_losing:
            super().add(contents, vectors)


def contents(bench, *names):
    return [bench.record(name).content for name in names]


def test_every_pair_of_a_batch_is_looked_at_once_and_told_by_the_later_one(bench):
    names = [f"{n}.jpg" for n in range(4)]
    for name in names:
        bench.write(name, "beach", name)
    bench.settle_all()
    assert len(bench.edges()) == len(set(bench.edges())) == 6
    assert len(bench.reader.compared) == 6
    assert len(bench.told()) == len(set(bench.told())) == 3
    bench.settle_all()
    assert len(bench.reader.compared) == 6


def test_pairs_without_hope_at_a_glance_get_no_look(bench):
    bench.reader.may_be_alike = lambda a, b: not (b"|2.jpg" in a or b"|2.jpg" in b)
    for number in range(4):
        bench.write(f"{number}.jpg", "beach", f"{number}.jpg")
    bench.settle_all()
    assert len(bench.reader.compared) == 3
    assert sum(map(len, bench.reader.glanced)) == 6, "many at once"
    assert len(bench.edges()) == 3
    assert not any(contents(bench, "2.jpg")[0] in edge for edge in bench.edges())


def test_a_glance_that_fails_gives_up_no_pair(bench):
    bench.reader.glance_problem = Problem(
        code=ProblemCode.DECODER_DIED, detail="it died on it twice", at_ns=0, retry_at_ns=None
    )
    for number in range(3):
        bench.write(f"{number}.jpg", "beach", str(number))
    bench.settle_all()
    assert bench.reader.glanced
    assert len(bench.reader.compared) == len(bench.edges()) == 3


def test_a_single_pair_is_looked_at_without_a_glance(bench):
    for number in range(2):
        bench.write(f"{number}.jpg", "beach", str(number))
    bench.settle_all()
    assert len(bench.reader.compared) == 1
    assert not bench.reader.glanced


def test_pictures_that_come_one_by_one_make_a_star_although_the_index_only_shows_a_chain(make_bench):
    bench = make_bench(index=ShortSightedIndex(DIM))
    for number in range(5):
        bench.write(f"{number}.jpg", "beach", str(number))
        bench.dirty("")
        bench.work()
    [group] = bench.groups.all(DUPLICATE_RELATIONS)
    assert len(group.contents) == 5
    assert group.related == ()
    assert len(bench.edges()) == 10


def test_the_best_picture_gets_a_direct_pair_with_all_of_a_large_group_although_it_comes_last(make_bench):
    bench = make_bench(index=ShortSightedIndex(DIM))
    for number in range(40):
        bench.write(f"{number}.jpg", "beach", str(number))
        bench.dirty("")
        bench.work()
    bench.write("best.png", "beach", "best", form="PNG")
    bench.dirty("")
    bench.work()
    [group] = bench.groups.all(DUPLICATE_RELATIONS)
    assert [group.keeper] == contents(bench, "best.png")
    assert len(group.contents) == 41
    assert group.related == ()


def test_whoever_comes_to_a_large_group_gets_a_direct_pair_with_its_best_wherever_that_stands_in_it(make_bench):
    bench = make_bench(index=ShortSightedIndex(DIM))
    for number in range(76):
        bench.write(
            f"{number}.{'png' if number == 70 else 'jpg'}", "beach", str(number), form="PNG" if number == 70 else "JPEG"
        )
        bench.dirty("")
        bench.work()
    [group] = bench.groups.all(DUPLICATE_RELATIONS)
    assert [group.keeper] == contents(bench, "70.png")
    assert len(group.contents) == 76
    assert group.related == ()


def test_when_the_best_of_a_group_goes_the_next_newcomer_ties_all_to_the_one_that_follows_it(make_bench):
    bench = make_bench(index=ShortSightedIndex(DIM))
    forms = {5: "TIFF", 25: "PNG"}
    for number in range(30):
        bench.write(f"{number}.jpg", "beach", str(number), form=forms.get(number, "JPEG"))
        bench.dirty("")
        bench.work()
    (bench.photos / "5.jpg").unlink()
    bench.dirty("")
    bench.ripen()
    bench.write("last.jpg", "beach", "last")
    bench.dirty("")
    bench.work()
    [group] = bench.groups.all(DUPLICATE_RELATIONS)
    assert [group.keeper] == contents(bench, "25.jpg")
    assert len(group.contents) == 30
    assert group.related == ()


def test_the_picture_with_a_watermark_on_it_is_not_the_one_that_is_kept(bench):
    for name in ("a.jpg", "b.jpg"):
        bench.write(name, "beach", name)
    bench.settle_all()
    with bench.library.view() as view:
        [edge] = view.edges()
    for is_on_b, clean in ((True, edge.a), (False, edge.b)):
        marked = replace(edge.evidence, overlay_share=0.04, overlay_is_on_b=is_on_b)
        bench.groups.add(replace(edge, evidence=marked))
        [group] = bench.groups.all(DUPLICATE_RELATIONS)
        assert group.keeper == clean
        assert group.keeper_reason == "without the text or watermark on the other"


def test_a_chain_within_one_batch_is_closed_to_its_ends(bench):
    for number in range(4):  # each near the next, none near the one after it
        bench.write(f"{number}.jpg", f"beach@{number}")
    bench.settle_all()
    assert len(bench.edges()) == 6
    [group] = bench.groups.all(DUPLICATE_RELATIONS)
    assert len(group.contents) == 4


def test_a_stop_between_commit_and_index_loses_no_pair(make_bench):
    index = LosingIndex(DIM)
    bench = make_bench(index=index)
    bench.write("a.jpg", "beach", "one")
    bench.settle_all()
    assert len(index) == 0
    index.is_losing = False
    bench.reopen()  # the index is filled from what is linked, as at a start
    bench.write("b.jpg", "beach", "two")
    bench.settle_all()
    assert len(bench.edges()) == 1
    assert bench.told() == ["b.jpg"]


def test_contents_that_were_described_but_not_linked_are_linked_at_the_next_start(bench):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        bench.write(name, "beach", name)
    bench.scan()
    bench.read()
    assert bench.counts().contents_unlinked == 3
    bench.reopen()
    bench.compare()
    assert len(bench.edges()) == 3
    assert bench.counts().contents_unlinked == 0
    assert sorted(bench.told()) == sorted(set(bench.told()))
    assert len(bench.told()) == 2


@pytest.mark.parametrize("suffixes", [("x.cr2", "x.jpg"), ("X.CR2", "x.JPG")])
def test_a_raw_and_the_jpeg_shot_with_it_are_no_pair(bench, suffixes):
    raw, jpeg = suffixes
    bench.write(f"d/{raw}", "beach", "raw", form="RAW")
    bench.write(f"d/{jpeg}", "beach", "jpeg")
    bench.write("copy/small.jpg", "beach", "small")
    bench.settle_all()
    raw_id, jpeg_id, copy_id = contents(bench, f"d/{raw}", f"d/{jpeg}", "copy/small.jpg")
    assert {frozenset(edge) for edge in bench.edges()} == {frozenset((raw_id, copy_id)), frozenset((jpeg_id, copy_id))}


def test_workers_that_cannot_be_started_delay_linking_and_stop_nothing(bench):
    for name in ("a.jpg", "b.jpg"):
        bench.write(name, "beach", name)
    bench.scan()
    bench.read()
    bench.reader.is_failing = True
    bench.compare()
    assert bench.counts().contents_unlinked == 2
    bench.reader.is_failing = False
    bench.link._step()  # it tries again by itself
    assert bench.counts().contents_unlinked == 0
    assert len(bench.edges()) == 1


def test_a_content_that_is_swept_while_its_pair_is_compared_is_left_out(bench):
    bench.write("a.jpg", "beach", "one")
    bench.settle_all()
    bench.write("b.jpg", "beach", "two")
    bench.dirty("")
    bench.read()
    [first] = contents(bench, "a.jpg")
    with bench.library.transaction() as txn:
        txn.remove_file(bench.path("a.jpg"))

    def sweep():
        with bench.library.view() as view:
            is_there = view.content(first) is not None
        if is_there:
            assert sweep_orphans(bench.library, bench.previews, bench.link.forget) == 1

    bench.reader.compare_hook = sweep
    bench.compare()
    assert bench.edges() == []
    assert bench.counts().contents_unlinked == 0
    bench.compare()
    assert first not in bench.index
    assert [*bench.groups.all(DUPLICATE_RELATIONS)] == []


def test_a_newcomer_that_is_swept_while_it_is_compared_is_not_indexed(bench):
    bench.write("a.jpg", "beach", "one")
    bench.settle_all()
    bench.write("b.jpg", "beach", "two")
    bench.dirty("")
    bench.read()
    [newcomer] = contents(bench, "b.jpg")
    with bench.library.transaction() as txn:
        txn.remove_file(bench.path("b.jpg"))
    bench.reader.compare_hook = lambda: sweep_orphans(bench.library, bench.previews, bench.link.forget)
    bench.compare()
    bench.compare()
    assert newcomer not in bench.index
    assert bench.counts().contents == 1


def test_a_snapshot_holds_no_content_that_its_sequence_says_is_removed(bench, tmp_path):
    index = FaissIndex(DIM, stored_vectors_of(bench.library))
    bench.link._index = index
    bench.write("a.jpg", "one")
    bench.write("b.jpg", "two")
    bench.settle_all()
    [gone, stays] = contents(bench, "a.jpg", "b.jpg")
    engine = snapshot_engine(bench, OpenedIndex(index=index, sequence=0, origin="new"))
    engine.save_snapshot()
    bench.link._step()
    with bench.library.transaction() as txn:
        txn.remove_file(bench.path("a.jpg"))
        txn.remove_content(gone)  # swept, and the link stage has not been told yet
    engine.save_snapshot()
    bench.link._step()
    opened = open_index(tmp_path / "state" / "index", bench.embedder.model, bench.library)
    assert opened.origin == "snapshot"
    assert (gone in opened.index, stays in opened.index) == (False, True)


def snapshot_engine(bench, opened):
    """An engine of which only what writes a snapshot is there."""
    engine = Engine.__new__(Engine)
    engine.library, engine.opened, engine.link = bench.library, opened, bench.link
    engine.embedder, engine.clock, engine.state_dir = bench.embedder, bench.clock, bench.tmp_path / "state"
    return engine


def test_the_vector_log_is_kept_for_both_snapshots(bench, tmp_path):
    index = FaissIndex(DIM, stored_vectors_of(bench.library))
    bench.link._index = index
    engine = snapshot_engine(bench, OpenedIndex(index=index, sequence=0, origin="new"))
    for number in range(4):
        bench.write(f"{number}.jpg", f"scene{number}")
        bench.dirty("")
        bench.work()
        engine.save_snapshot()
        bench.link._step()
    folder = tmp_path / "state" / "index"
    snapshots = sorted(folder.glob("*.json"), key=lambda path: int(path.stem))
    snapshots[-1].write_text("damaged")
    opened = open_index(folder, bench.embedder.model, bench.library)
    assert opened.origin == "snapshot+1"
    assert len(opened.index) == 4


# -------------------------------------------------------------------------------------------------------------- groups


def test_the_group_of_a_content_is_the_same_whichever_way_it_is_asked_for(bench):
    bench.write("a.jpg", "beach", "one")
    bench.write("copy.jpg", "beach", "one")
    bench.write("b.jpg", "beach", "two")
    bench.settle_all()
    (bench.photos / "b.jpg").unlink()
    bench.dirty("")
    bench.ripen()
    [group] = bench.groups.all(DUPLICATE_RELATIONS)
    assert bench.groups.holding(group.keeper) == group
    assert bench.groups.find(group.id) == group


def test_groups_whose_files_are_all_gone_are_not_shown(bench):
    for name in ("a.jpg", "b.jpg"):
        bench.write(f"pair/{name}", "beach", name)
    bench.write("rest.jpg", "rest")
    bench.settle_all()
    for name in ("a.jpg", "b.jpg"):
        (bench.photos / "pair" / name).unlink()
    bench.dirty("pair")
    bench.ripen()
    assert [*bench.groups.all(DUPLICATE_RELATIONS)] == []
    assert [*bench.groups.all(frozenset({Relation.RE_ENCODED}))] == []
    assert [*bench.groups.all(frozenset({Relation.SAME_BYTES}))] == []


def test_groups_of_some_relations_only_hold_members_of_these(bench):
    bench.write("a.jpg", "beach", "one")
    bench.write("b.jpg", "beach", "two")
    bench.write("c.jpg", "forest")
    bench.write("d.jpg", "forest")
    bench.settle_all()
    assert [g.members for g in bench.groups.all(frozenset({Relation.SAME_BYTES}))] == [()]
    assert [len(g.contents) for g in bench.groups.all(frozenset({Relation.RE_ENCODED}))] == [2]
    assert len([*bench.groups.all(DUPLICATE_RELATIONS)]) == 2


def test_the_groups_that_free_the_most_come_first(bench):
    for number in range(6):
        bench.write(f"many{number}.jpg", "many", "x" * 40)
    for number in range(2):
        bench.write(f"pair{number}.jpg", "pair", f"{number}" * 100)
    bench.settle_all()
    first, second = [*bench.groups.all(DUPLICATE_RELATIONS)]
    assert first.members == ()
    assert len(second.members) == 1


def test_grouping_twenty_thousand_edges_is_not_quadratic(bench):
    bench.write("a.jpg", "beach", "one")
    bench.write("b.jpg", "beach", "two")
    bench.settle_all()
    with bench.library.view() as view:
        [edge] = view.edges()
        record = view.content(edge.a)
        file = view.file(bench.path("a.jpg"))

    class WideView:
        """A view of 30,000 contents that are all alike but for their ids."""

        def content(self, content):
            return replace(record, id=content)

        def files_of(self, content):
            return [file]

        def edge(self, a, b):
            return edge

        def shared_contents(self):
            return iter(())

        def verdict(self, one, other):
            return None

        def pin(self, digest):
            return None

        def some_files_of(self, content, limit):
            return [file]

    class WideLibrary:
        def on_changed_contents(self, listener):
            pass

        def view(self):
            return nullcontext(WideView())

    book = GroupBook(WideLibrary())
    for star in range(10_000):
        for ray in (1, 2):
            book.add(replace(edge, a=3 * star + 1, b=3 * star + 1 + ray))
    # Quadratic work over 30,000 contents would run into the limit that every test has.
    assert len([*book.all(DUPLICATE_RELATIONS)]) == 10_000
    assert len([*book.all(frozenset({edge.relation}))]) == 10_000


def test_neighbours_are_told_with_what_they_are(bench):
    bench.write("old.jpg", "beach", "one")
    bench.settle_all()
    bench.write("new.jpg", "beach", "two")
    bench.dirty("", closed=["new.jpg"])
    bench.work()
    [fact] = bench.events(DuplicateFound)
    assert [(m.path.name, m.relation) for m in fact.matches] == [(b"old.jpg", Relation.RE_ENCODED)]
