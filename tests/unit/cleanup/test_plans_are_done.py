"""What is planned can be done by the real actor as it stands, and undone: bundles, hard links, carried sidecars."""

import os

import pytest
from fakes.photo_shelf import PhotoShelf

from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.local_actor import LocalActor
from dedupd.cleanup.plan_file import encode_plan, plan_id
from dedupd.core.cleanup_plan import Action, OutcomeKind
from dedupd.core.cleanup_policy import Companions
from dedupd.core.keep_policy import keep_policy
from dedupd.core.records import Relation


@pytest.fixture
def shelf(tmp_path):
    shelf = PhotoShelf(tmp_path)
    for folder in ("a", "b"):
        shelf.picture(f"{folder}/IMG_1.CR2", "raw", fmt="RAW")
        shelf.picture(f"{folder}/IMG_1.JPG", "a larger jpeg")
        shelf.write(f"{folder}/IMG_1.xmp", b"of both")
        shelf.picture(f"{folder}/IMG_2.HEIC", "heic")
        shelf.write(f"{folder}/IMG_2.MOV", b"moving")
    shelf.picture("a/3.jpg", "third picture")
    shelf.picture("b/3.jpg", "third picture")
    shelf.link("c/3 linked.jpg", "b/3.jpg")
    large, small = shelf.picture("a/4.jpg", "large one", width=4000), shelf.picture("b/four.jpg", "small")
    shelf.pair(large, small)
    shelf.write("b/four.xmp", b"only here")
    shelf.picture("b/stays.jpg", "no duplicate")
    yield shelf
    shelf.close()


def tree(shelf):
    """Every file outside the quarantine: bytes, mode, time."""
    top = shelf.where("")
    return {
        str(path.relative_to(top)): (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns)
        for path in top.rglob("*")
        if path.is_file() and ".dedupd-quarantine" not in path.parts
    }


@pytest.mark.parametrize("action", [Action.QUARANTINE, Action.HARDLINK, Action.MOVE, Action.SORT])
def test_all_that_is_planned_is_done_and_undone(shelf, tmp_path, action):
    relations = {"relations": frozenset({Relation.SAME_BYTES})} if action is Action.HARDLINK else {}
    folder = os.fsencode(tmp_path / "photos" / "aside") if action in {Action.MOVE, Action.SORT} else b""
    (tmp_path / "photos" / "aside").mkdir()
    keep = keep_policy(["folders", "original"], folders=[b"a"])
    plan = shelf.draft(action=action, folder=folder, companions=Companions.CARRY, keep=keep, **relations)
    assert len(plan.items) == 4
    before = tree(shelf)
    actor = LocalActor(tmp_path / "journal", FileCalls(), lambda: plan.created_at_ns)
    outcomes = []
    name = plan_id(encode_plan(plan))
    end = actor.apply(name, plan, outcomes.append)
    assert [(o.kind, o.detail) for o in outcomes if o.kind is not OutcomeKind.DONE] == []
    assert (end.conflicts, end.failed, end.skipped, end.stopped) == (0, 0, 0, "")
    gone = set(before) - set(tree(shelf))
    planned = {os.fsdecode(v.file.path.relative()) for i in plan.items for v in i.victims}
    if action is Action.HARDLINK:
        assert gone == set()
        assert shelf.where("a/3.jpg").stat().st_nlink == 3
    else:
        assert planned <= gone
        assert shelf.where("b/stays.jpg").exists()
        best = shelf.where("aside/best/photos") if action is Action.SORT else shelf.where("")
        assert (best / "a/4.xmp").read_bytes() == b"only here"
        assert (best / "a/IMG_2.MOV").read_bytes() == b"moving"
    actor.undo(name, None, outcomes.append)
    assert tree(shelf) == before
    actor.close()
