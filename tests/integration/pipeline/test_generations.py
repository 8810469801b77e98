"""Further models: every content gets its vectors once, whatever is stopped in between; they suggest, others decide.

To the played model all turns of a scene are one picture, which the built-in descriptor of these tests cannot see, and
"beach-day" is near "beach-night", which the second look knows for another picture.
"""

import os

import numpy as np
import pytest

from dedupd.core.errors import DegradedError, RetryError
from dedupd.core.generation import Generation
from dedupd.core.ports import EmbedItem, NewContent
from dedupd.core.records import DUPLICATE_RELATIONS, ContentId, ModelTag

NAME = "some/model"


def vectors_of(bench, tag="further-1"):
    with bench.library.view() as view:
        return {c: v.tolist() for c, v in view.all_generation_vectors(ModelTag(tag), ContentId(0))}


def generations(bench):
    with bench.library.view() as view:
        return {g.tag: (g.was_complete, g.contents) for g in view.generations()}


def content(bench, scene):
    return bench.record(f"{scene}.jpg").content


def files(bench, *scenes):
    for scene in scenes:
        bench.write(f"{scene}.jpg", scene)
    bench.settle_all()


@pytest.fixture
def with_model(make_bench, make_model):
    """A bench with one further model, and files of these scenes read and linked."""

    def make(*scenes, **options):
        bench = make_bench(**options)
        bench.model = make_model()
        bench.further = [(NAME, bench.model)]
        bench.reopen()
        files(bench, *scenes)
        return bench

    return make


def test_every_picture_gets_its_vector_from_its_preview_and_is_read_no_second_time(with_model):
    bench = with_model("beach@0", "beach@3", "wood")
    reads = list(bench.reader.read_paths)
    bench.grow()
    assert sorted(bench.model.embedded) == ["beach@0", "beach@3", "wood"]
    assert bench.reader.read_paths == reads
    assert len(bench.reader.unpacked) == 3
    assert generations(bench) == {"further-1": (True, 3)}


def test_what_only_the_model_brings_together_is_verified_and_grouped(with_model):
    bench = with_model("beach@0", "beach@3", "wood").grow()
    assert bench.edges() == []
    bench.look_at_suggested()
    [group] = bench.groups.all(DUPLICATE_RELATIONS)
    assert set(group.contents) == {content(bench, "beach@0"), content(bench, "beach@3")}
    assert len(bench.told()) == 1


def test_a_neighbour_in_meaning_is_looked_at_and_is_no_duplicate(with_model):
    bench = with_model("beach-day", "beach-night").grow()
    assert bench.counts().pairs_suggested == 1
    bench.look_at_suggested()
    assert len(bench.reader.compared) == 1
    assert (bench.edges(), [*bench.groups.all(DUPLICATE_RELATIONS)]) == ([], [])
    assert len(bench.similar.similar(content(bench, "beach-day"), limit=5).neighbours) == 1


def test_pairs_that_are_known_are_not_suggested_and_nothing_is_looked_at_twice_after_a_restart(with_model):
    bench = with_model("beach@0", "beach@1")  # near to the built-in descriptor too
    assert len(bench.edges()) == 1
    bench.grow()
    assert bench.counts().pairs_suggested == 0
    looks, embedded = len(bench.reader.compared), len(bench.model.embedded)
    bench.reopen().grow().look_at_suggested()
    assert (len(bench.reader.compared), len(bench.model.embedded)) == (looks, embedded)


def test_pictures_that_come_later_are_embedded_and_matched_too(with_model):
    bench = with_model("beach@0").grow()
    files(bench, "beach@3")
    bench.grow().look_at_suggested()
    assert bench.model.embedded == ["beach@0", "beach@3"]
    assert len(bench.edges()) == 1


def test_what_waits_to_be_linked_comes_first(with_model):
    bench = with_model("beach@0")
    bench.write("wood.jpg", "wood")
    bench.scan()
    bench.read()
    assert bench.counts().contents_unlinked == 1
    bench.nudge(5)
    assert bench.model.embedded == ["beach@0"]
    assert generations(bench) == {"further-1": (False, 1)}
    bench.compare()
    bench.grow()
    assert bench.model.embedded == ["beach@0", "wood"]


def test_a_preview_that_was_lost_is_made_again_from_a_file_that_holds_the_picture_still(with_model):
    bench = with_model("beach@0", "wood")
    bench.write("copy.jpg", "beach@0")
    bench.settle_all()
    lost, changed = content(bench, "beach@0"), content(bench, "wood")
    for one in (lost, changed):
        bench.previews.remove(one)
    (bench.photos / "beach@0.jpg").unlink()  # its copy is there
    bench.write("wood.jpg", "sea")  # unknown to dedupd as yet
    bench.grow()
    assert bench.model.embedded == ["beach@0"]
    assert bench.previews.get(lost) is not None
    assert bench.previews.get(changed) is None
    [progress] = bench.generations.progress()
    assert (progress.done, progress.total, progress.set_aside) == (1, 2, 1)
    assert progress.is_serving, "what cannot be read now keeps nobody waiting"


def test_what_could_not_be_read_is_tried_again_after_an_hour(with_model):
    bench = with_model("wood")
    bench.previews.remove(content(bench, "wood"))
    picture = bench.photos / "wood.jpg"
    data = picture.read_bytes()
    picture.unlink()
    bench.grow()
    assert bench.model.embedded == []
    picture.write_bytes(data)
    bench.clock.advance(3601)
    bench.nudge()
    bench.grow()
    assert bench.model.embedded == ["wood"]


def test_a_picture_that_the_model_fails_on_costs_only_itself(with_model, caplog):
    bench = with_model(*(f"scene{n}" for n in range(6)))
    bench.model.poison = {"scene3"}
    bench.grow()
    assert sorted(bench.model.embedded) == [f"scene{n}" for n in range(6) if n != 3]
    assert sum("generation.failed" in message for message in caplog.messages) == 1
    [progress] = bench.generations.progress()
    assert (progress.done, progress.set_aside, progress.is_serving) == (5, 1, True)


@pytest.mark.parametrize("error", [DegradedError("no device runs it"), RetryError("later")])
def test_a_model_without_a_device_rests_says_why_and_goes_on_later(with_model, error):
    bench = with_model("beach@0", "wood")
    bench.model.error = error
    bench.nudge(4)
    [progress] = bench.generations.progress()
    assert progress.trouble == str(error)
    assert len(bench.model.batches) == 1, "it is not asked again and again"
    assert bench.generations.is_idle, "nobody can do anything now"
    bench.model.error = None
    bench.clock.advance(31)
    bench.grow()
    assert sorted(bench.model.embedded) == ["beach@0", "wood"]
    assert bench.generations.progress()[0].trouble == ""


def test_decode_workers_that_cannot_be_started_delay_it_and_stop_nothing(with_model):
    bench = with_model("beach@0")
    bench.reader.is_failing = True
    bench.nudge(2)
    assert "no decode worker" in bench.generations.progress()[0].trouble
    bench.reader.is_failing = False
    bench.clock.advance(31)
    bench.grow()
    assert bench.model.embedded == ["beach@0"]


def test_a_content_that_is_swept_while_it_is_embedded_leaves_nothing_behind(with_model):
    bench = with_model("beach@0", "wood")
    bench.model.is_held = True
    bench.nudge(2)
    gone = content(bench, "wood")
    with bench.library.transaction() as txn:
        txn.remove_file(bench.path("wood.jpg"))
        txn.remove_content(gone)
    bench.generations.forget([gone])
    bench.model.release()
    bench.grow()
    assert set(vectors_of(bench)) == {content(bench, "beach@0")}
    [shelf] = bench.book.shelves()
    assert gone not in shelf.index


def test_a_content_that_goes_is_no_neighbour_any_more(with_model):
    bench = with_model("beach-day", "beach-night").grow()
    gone = content(bench, "beach-night")
    with bench.library.transaction() as txn:
        txn.remove_file(bench.path("beach-night.jpg"))
        txn.remove_content(gone)
    bench.generations.forget([gone])
    bench.generations._step()
    assert bench.similar.similar(content(bench, "beach-day"), limit=5).neighbours == ()
    assert generations(bench) == {"further-1": (True, 1)}


def test_an_empty_library_is_not_complete(with_model):
    bench = with_model().grow()
    assert generations(bench) == {"further-1": (False, 0)}


def test_a_library_that_is_still_being_read_is_not_complete(with_model):
    bench = with_model("beach@0")
    bench.reader.is_held = True
    bench.write("wood.jpg", "wood")
    bench.scan()
    bench.describe._step()
    bench.nudge(6)
    assert generations(bench) == {"further-1": (False, 1)}
    bench.reader.release()
    bench.work()
    bench.grow()
    assert generations(bench) == {"further-1": (True, 2)}


def test_an_index_that_has_become_much_larger_is_told_of_once(with_model):
    bench = with_model("beach@0").grow()
    assert bench.larger == []
    small = bench.reader.decode_preview(b"picture|x", priority=0).result()
    image = bench.reader._read(os.fsencode(bench.photos / "beach@0.jpg"), lambda _: False).image
    [descriptor] = bench.embedder.embed([EmbedItem(digest=b"", path=None, small=small)]).result()
    row = np.eye(1, 16, dtype=np.float32)
    with bench.library.transaction() as txn:
        for number in range(5_000):
            new = NewContent(
                digest=number.to_bytes(32, "big"), size_bytes=1, image=image, descriptor=descriptor, first_seen_ns=1
            )
            content = txn.add_content(new, bench.embedder.model.tag)
            txn.mark_linked(content.id)
            txn.put_generation_vectors(ModelTag("further-1"), {content.id: row})
    bench.reopen()
    bench.nudge(5)
    [shelf] = bench.book.shelves()
    assert bench.larger == [shelf.index]


# ---------------------------------------------------------------------------------------------- several, and changes


def test_two_models_unite_their_candidates_and_each_looks_at_every_picture_once(make_bench, make_model):
    bench = make_bench()
    one, two = make_model("further-1"), make_model("further-2", candidate_similarity=1.01)  # the second names nothing
    bench.further = [("one", one), ("two", two)]
    bench.reopen()
    files(bench, "beach@0", "beach@3", "wood")
    bench.grow().look_at_suggested()
    assert sorted(one.embedded) == sorted(two.embedded) == ["beach@0", "beach@3", "wood"]
    assert len(bench.edges()) == 1
    assert generations(bench) == {"further-1": (True, 3), "further-2": (True, 3)}
    assert [p.name for p in bench.generations.progress()] == ["one", "two"]


def test_a_replaced_model_serves_until_the_new_one_is_complete_and_then_goes(with_model, make_model):
    bench = with_model("beach-day", "beach-night", "wood").grow()
    new = make_model("further-2")
    new.is_held = True
    bench.further = [("new/model", new)]
    bench.reopen()
    bench.nudge(6)
    asked = content(bench, "beach-day")
    found = bench.similar.similar(asked, limit=1)
    assert (found.name, found.model) == (NAME, "further-1")
    assert [n.content for n in found.neighbours] == [content(bench, "beach-night")]
    told = {p.name: (p.is_serving, p.is_configured) for p in bench.generations.progress()}
    assert told == {"new/model": (False, True), NAME: (True, False)}
    new.release()
    bench.grow()
    assert generations(bench) == {"further-2": (True, 3)}
    assert vectors_of(bench) == {}
    assert bench.similar.similar(asked, limit=1).name == "new/model"


def test_a_model_that_is_taken_out_for_nothing_goes_at_once(with_model):
    bench = with_model("beach-day").grow()
    bench.further = []
    bench.reopen().grow()
    assert (generations(bench), vectors_of(bench)) == ({}, {})
    assert bench.similar.similar(content(bench, "beach-day"), limit=1).name == "builtin"


def test_what_never_was_complete_is_not_kept_for_another(with_model, make_model):
    bench = with_model("beach-day", "wood")
    with bench.library.transaction() as txn:
        txn.put_generation(Generation(tag=ModelTag("begun"), name="begun", dim=3, candidate_similarity=0.5))
        txn.put_generation_vectors(ModelTag("begun"), {ContentId(1): np.ones((1, 3), np.float32)})
    bench.reopen()
    bench.nudge()
    bench.generations._drop()
    assert set(generations(bench)) == {"further-1"}


def test_a_model_that_comes_back_before_it_is_replaced_goes_on_where_it_was(with_model, make_model):
    bench = with_model("beach-day", "wood").grow()
    old = bench.further
    other = make_model("further-2")
    other.is_held = True
    bench.further = [("other", other)]
    bench.reopen()
    bench.nudge(4)
    bench.further = old
    bench.reopen().grow()
    assert sorted(bench.model.embedded) == ["beach-day", "wood"]
    assert generations(bench) == {"further-1": (True, 2)}


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_model_change_interrupted_five_times_ends_in_the_same_index_and_groups(
    make_bench_at, make_model, tmp_path, steps
):
    scenes = [f"scene{n % 7}@{3 * n}" for n in range(40)]

    def changed(folder, interruptions):
        bench = make_bench_at(tmp_path / folder)
        bench.further = [(NAME, make_model())]
        bench.reopen()
        files(bench, *scenes)
        bench.grow().look_at_suggested()
        bench.further = [("new", make_model("further-2"))]
        bench.reopen()
        for _ in range(interruptions):
            for _ in range(steps):
                bench.generations._step()
            bench.link._step()
            bench.reopen()
        bench.grow().look_at_suggested()
        [shelf] = bench.book.shelves()
        index = {
            c: shelf.index.search([np.array(v, np.float32)], limit=40, min_similarity=0.5)
            for c, v in vectors_of(bench, "further-2").items()
        }
        near = {c: [n.content for n in found[0]] for c, found in index.items()}
        groups = [(g.id, sorted(g.contents)) for g in bench.groups.all(DUPLICATE_RELATIONS)]
        result = vectors_of(bench, "further-2"), near, sorted(groups), sorted(bench.edges()), sorted(bench.told())
        bench.close()
        return result

    assert changed("interrupted", 5) == changed("whole", 0)
