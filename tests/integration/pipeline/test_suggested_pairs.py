"""What further models suggest is looked at like every candidate, once, after what arrives, and told once a file.

Views of one scene a quarter turn apart are far from each other to the built-in descriptor of these tests, and the same
picture to the second look: what only another model can bring together.
"""

from dedupd.core.events import DuplicateFound, Origin
from dedupd.core.ports import Priority
from dedupd.core.records import DUPLICATE_RELATIONS


def content(bench, name):
    return bench.record(name).content


def suggest(bench, *pairs):
    with bench.library.transaction() as txn:
        txn.suggest_pairs([tuple(sorted(content(bench, name) for name in pair)) for pair in pairs])
    bench.link.suggested()


def far_apart(bench, *scenes):
    """Files named as their scenes, read and linked."""
    for scene in scenes:
        bench.write(f"{scene}.jpg", scene)
    bench.settle_all()
    return [f"{scene}.jpg" for scene in scenes]


def test_a_suggested_pair_is_verified_grouped_and_told_as_any_other(bench):
    first, second, other = far_apart(bench, "beach@0", "beach@3", "wood")
    assert (bench.edges(), bench.told()) == ([], [])
    suggest(bench, (first, second), (first, other))
    bench.link._step()
    assert bench.edges() == [tuple(sorted((content(bench, first), content(bench, second))))]
    [group] = bench.groups.all(DUPLICATE_RELATIONS)
    assert set(group.contents) == {content(bench, first), content(bench, second)}
    later = max((first, second), key=lambda name: content(bench, name))
    assert bench.told() == [later]
    assert bench.counts().pairs_suggested == 0


def test_what_was_looked_at_is_not_looked_at_again(bench):
    first, second, other = far_apart(bench, "beach@0", "beach@3", "wood")
    suggest(bench, (first, second), (first, other))
    bench.link._step()
    looks = len(bench.reader.compared)
    suggest(bench, (first, second), (first, other))
    bench.link._step()
    assert len(bench.reader.compared) == looks
    assert len(bench.told()) == 1
    assert bench.counts().pairs_suggested == 0


def test_what_waits_is_found_again_after_a_restart_and_no_more(bench):
    first, second = far_apart(bench, "beach@0", "beach@3")
    suggest(bench, (first, second))
    bench.reopen()
    bench.link._step()
    assert len(bench.edges()) == 1
    looks = len(bench.reader.compared)
    bench.reopen()
    bench.link._step()
    assert (len(bench.reader.compared), len(bench.told())) == (looks, 1)


def test_a_suggestion_waits_while_no_decode_worker_can_be_started(bench):
    first, second = far_apart(bench, "beach@0", "beach@3")
    suggest(bench, (first, second))
    bench.reader.is_failing = True
    bench.link._step()
    assert (bench.edges(), bench.counts().pairs_suggested) == ([], 1)
    bench.reader.is_failing = False
    bench.link._step()
    assert len(bench.edges()) == 1


def test_a_content_that_went_meanwhile_is_no_stumbling_block(bench):
    first, second = far_apart(bench, "beach@0", "beach@3")
    suggest(bench, (first, second))
    gone = content(bench, second)
    (bench.photos / second).unlink()
    with bench.library.transaction() as txn:
        txn.remove_file(bench.path(second))
        txn.remove_content(gone)
    bench.link._step()
    assert (bench.edges(), bench.counts().pairs_suggested) == ([], 0)


def test_a_file_that_was_told_of_is_not_told_again_when_its_group_grows(bench):
    far_apart(bench, "beach@1", "beach@2")  # near: the second is told as a duplicate of the first
    assert len(bench.told()) == 1
    far_apart(bench, "beach@4")
    [alone] = set(bench.known()) - {"beach@1.jpg", "beach@2.jpg"}
    suggest(bench, ("beach@1.jpg", alone))
    bench.link._step()
    assert len(bench.told()) == len(set(bench.told())) == 2
    [group] = bench.groups.all(DUPLICATE_RELATIONS)
    assert (len(group.contents), group.related) == (3, ())


def test_an_arrival_whose_duplicate_only_a_model_finds_is_told_as_an_arrival(bench):
    [old] = far_apart(bench, "beach@0")
    bench.write("new.jpg", "beach@3")
    bench.dirty("", closed=["new.jpg"])
    bench.ripen()
    bench.work()
    assert bench.told() == []
    suggest(bench, (old, "new.jpg"))
    bench.link._step()
    [fact] = bench.events(DuplicateFound)
    assert (fact.path.name, fact.origin) == (b"new.jpg", Origin.ARRIVAL)


def test_what_arrives_is_linked_before_a_long_row_of_suggestions(bench):
    scenes = [f"scene{n}" for n in range(40)]
    names = far_apart(bench, *scenes)
    suggest(bench, *((a, b) for a in names[:20] for b in names[20:]))
    bench.write("twin.jpg", "scene0", "again")
    bench.dirty("")
    bench.read()
    looks_before = len(bench.reader.compared)
    seen = []

    def note():
        seen.append(len(bench.reader.compared) - looks_before)

    bench.reader.compare_hook = note
    bench.link.notice({})
    bench.link._step()
    assert len(seen) == 401
    assert bench.reader.compared[looks_before][0].split(b"|")[1] == b"scene0"
    assert bench.reader.compared[looks_before][1].split(b"|")[1] == b"scene0"


def test_a_suggestion_never_keeps_the_link_stage_waiting_behind_a_backlog(bench):
    first, second = far_apart(bench, "beach@0", "beach@3")
    suggest(bench, (first, second))
    bench.link._step()
    assert bench.reader.urgency
    assert max(bench.reader.urgency) < Priority.BACKLOG


def test_a_preview_is_not_made_again_from_a_file_that_holds_another_picture_by_now(bench):
    first, second = far_apart(bench, "beach@0", "beach@3")
    bench.previews.remove(content(bench, first))
    bench.write(first, "wood")
    suggest(bench, (first, second))
    bench.link._step()
    assert (bench.reader.compared, bench.edges()) == ([], [])
    assert bench.previews.get(content(bench, first)) is None
