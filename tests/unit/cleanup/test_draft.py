"""What a plan takes, what it leaves alone and why: real files, the real store, the real groups."""

import os
from dataclasses import replace

import pytest
from fakes.photo_shelf import ALL, NO_LIMITS, PhotoShelf, going, kept, left

from dedupd.core.cleanup_limits import UsedToday
from dedupd.core.cleanup_plan import Action, Limits
from dedupd.core.cleanup_policy import CleanupPolicy
from dedupd.core.cleanup_ports import PlanWish
from dedupd.core.errors import NotFoundError, RequestError
from dedupd.core.folder_globs import FolderGlobs
from dedupd.core.keep_policy import PRESETS, keep_policy
from dedupd.core.records import Capture, ContentStage, FileStage, Relation, RootState
from dedupd.core.verdicts import NotDuplicate, Pin

HOUR_NS = 3_600_000_000_000


@pytest.fixture
def shelf(tmp_path):
    shelf = PhotoShelf(tmp_path, ("photos", "phone"))
    yield shelf
    shelf.close()


def details(plan):
    return {os.fsdecode(one.path.relative()): one.detail for one in plan.left_alone}


# ------------------------------------------------------------------------------- what goes, what stays


def test_of_equal_bytes_one_file_stays_and_the_plan_says_why(shelf):
    shelf.picture("a/IMG_1.jpg", "beach")
    shelf.picture("b/IMG_1 (1).jpg", "beach")
    plan = shelf.draft()
    [item] = plan.items
    assert (going(plan), kept(plan)) == (["b/IMG_1 (1).jpg"], {"a/IMG_1.jpg"})
    assert item.relation is Relation.SAME_BYTES
    assert item.reason == "the same bytes"
    assert item.keep_reason == "its name is not a copy's, as IMG_1 (1).jpg is"
    assert item.frees_bytes == len("beach") == plan.frees_bytes
    [victim] = item.victims
    assert victim.is_exact
    assert victim.stays == item.keeper
    facts = shelf.where("b/IMG_1 (1).jpg").stat()
    assert (victim.file.stat.ino, victim.file.stat.mtime_ns) == (facts.st_ino, facts.st_mtime_ns)
    assert [root.path for root in plan.roots] == [os.fsencode(shelf.where(""))]
    assert plan.left_alone == ()


def test_the_best_content_stays_and_every_file_of_the_others_goes(shelf):
    large = shelf.picture("large.jpg", "large", width=4032)
    small = shelf.picture("small.jpg", "small", width=1600)
    shelf.picture("copy of small.jpg", "small", width=1600)
    shelf.pair(large, small)
    plan = shelf.draft()
    assert going(plan) == ["copy of small.jpg", "small.jpg"]
    for item in plan.items:
        assert item.keep_reason == "higher true resolution, 4032×3024 against 1600×1200"
        assert (item.relation, item.similarity, item.probability, item.reason) == (
            Relation.RE_ENCODED, 0.9, 0.99, "looked at",
        )  # fmt: skip
        assert not item.victims[0].is_exact


def test_the_policy_chooses_the_file_that_stays(shelf):
    large = shelf.picture("large.jpg", "large bytes", width=4032)
    small = shelf.picture("small.jpg", "small", width=1600)
    shelf.pair(large, small)
    assert kept(shelf.draft(keep=keep_policy("smallest"))) == {"small.jpg"}
    assert kept(shelf.draft(keep=keep_policy("lexi"))) == {"large.jpg"}
    preferred = keep_policy(["folders", "original"], folders=[b"small.jpg"])
    plan = shelf.draft(keep=preferred)
    assert kept(plan) == {"small.jpg"}
    assert plan.keep == ("folders", "original", "path")


def test_the_presets_of_a_plan_keep_what_groups_keep(shelf):
    a = shelf.picture("z/a.jpg", "a", width=800)
    b = shelf.picture("b.jpg", "bb", width=801, fmt="PNG")
    shelf.picture("best/b.jpg", "bb", width=801)
    shelf.pair(a, b)
    [group] = shelf.groups().all(ALL)
    plan = shelf.draft(keep=keep_policy("best"))
    with shelf.library.view() as view:
        assert {view.content_by_digest(item.keeper.digest).id for item in plan.items} == {group.keeper}


# ----------------------------------------------------------------------------------------------- pairs


def test_in_a_chain_no_plan_removes_a_picture_in_favour_of_one_it_was_not_compared_with(shelf):
    a = shelf.picture("a.jpg", "a", width=4000)
    b = shelf.picture("b.jpg", "bb", width=2000)
    c = shelf.picture("c.jpg", "ccc", width=1000)
    shelf.pair(a, b)
    shelf.pair(b, c)
    plan = shelf.draft()
    assert (going(plan), left(plan)) == (["b.jpg"], {"c.jpg": "no-verified-pair"})
    plan = shelf.draft(keep=keep_policy("largest"))
    for item in plan.items:
        assert {item.keeper.path.name, item.victims[0].file.path.name} in ({b"a.jpg", b"b.jpg"}, {b"b.jpg", b"c.jpg"})


def test_of_what_is_left_of_a_group_the_one_without_a_caption_stays(shelf):
    bare = shelf.picture("bare.jpg", "bare")
    gps = Capture(has_gps=True)
    captioned = shelf.picture("a.jpg", "captioned", width=410, capture=gps)
    plain = shelf.picture("z.jpg", "plain", capture=gps)
    shelf.pair(bare, captioned, overlay_share=0.1, overlay_is_on_b=True)
    shelf.pair(bare, plain)
    shelf.pair(captioned, plain)
    plan = shelf.draft(keep=keep_policy(["folders", "original"], folders=[b"bare.jpg"]))
    assert (going(plan), kept(plan)) == (["a.jpg"], {"z.jpg"})


def test_a_policy_that_keeps_the_end_of_a_chain_leaves_the_other_end_alone(shelf):
    middle = shelf.picture("m.jpg", "middle", width=4000)
    first = shelf.picture("a.jpg", "first")
    last = shelf.picture("z.jpg", "last")
    shelf.pair(middle, first)
    shelf.pair(middle, last)
    plan = shelf.draft(keep=keep_policy("lexi"))
    assert (going(plan), kept(plan)) == (["m.jpg"], {"a.jpg"})
    assert left(plan) == {"z.jpg": "no-verified-pair"}


def test_copies_of_what_only_chains_are_found_all_the_same(shelf):
    a, b = shelf.picture("a.jpg", "a", width=4000), shelf.picture("b.jpg", "bb", width=2000)
    c = shelf.picture("c.jpg", "ccc", width=1000)
    shelf.picture("copies/c.jpg", "ccc", width=1000)
    shelf.pair(a, b)
    shelf.pair(b, c)
    plan = shelf.draft()
    assert going(plan) == ["b.jpg", "copies/c.jpg"]
    assert {item.keeper.path.name for item in plan.items if item.relation is Relation.SAME_BYTES} == {b"c.jpg"}


def test_equal_pixels_need_no_pair(shelf):
    a = shelf.picture("a.png", "a", fmt="PNG", pixels=b"p" * 32)
    b = shelf.picture("b.png", "b", fmt="PNG", pixels=b"p" * 32)
    middle = shelf.picture("m.jpg", "m", width=4000)
    shelf.pair(middle, a)
    shelf.pair(middle, b)
    plan = shelf.draft(keep=keep_policy("lexi"))
    relations = {item.victims[0].file.path.name: item.relation for item in plan.items}
    assert relations[b"b.png"] is Relation.SAME_PIXELS


def test_a_relation_that_the_policy_does_not_name_is_left_alone(shelf):
    a, b = shelf.picture("a.jpg", "a", width=4000), shelf.picture("b.jpg", "bb", width=2000)
    c = shelf.picture("c.jpg", "ccc", width=1000)
    shelf.pair(a, b, Relation.RE_ENCODED)
    shelf.pair(a, c, Relation.RE_ENCODED)
    shelf.pair(b, c, Relation.EDITED)
    plan = shelf.draft(keep=keep_policy(["folders"], folders=[b"b.jpg"]), relations=ALL - {Relation.EDITED})
    assert going(plan) == ["a.jpg"]
    assert left(plan) == {"c.jpg": "relation"}
    assert shelf.draft(relations=frozenset({Relation.SAME_BYTES})).items == ()


def test_what_a_person_said_to_be_no_duplicate_is_never_taken_for_it(shelf):
    a, b = shelf.picture("a.jpg", "a", width=4000), shelf.picture("b.jpg", "bb", width=2000)
    c = shelf.picture("c.jpg", "ccc", width=1000)
    for pair in ((a, b), (a, c), (b, c)):
        shelf.pair(*pair)
    with shelf.library.transaction() as txn:
        one, other = sorted(txn.content(content).digest for content in (b, c))
        txn.put_verdict(NotDuplicate(a=one, b=other, said_at_ns=1))
    plan = shelf.draft(keep=keep_policy(["folders"], folders=[b"b.jpg"]))
    assert all({i.keeper.path.name, i.victims[0].file.path.name} != {b"b.jpg", b"c.jpg"} for i in plan.items)
    assert plan.items


# ---------------------------------------------------------------------------------------------- guards


@pytest.mark.parametrize(
    ("only", "word"),
    [
        ({"taken_at_ms": 5}, "capture time"), ({"has_gps": True}, "place"), ({"rating": 4}, "rating"),
        ({"has_icc": True}, "colour profile"),
    ],
)  # fmt: skip
def test_the_only_copy_that_has_metadata_stays(shelf, only, word):
    bare = shelf.picture("bare.jpg", "b", width=4000)
    told = shelf.picture("told.jpg", "told", width=400, capture=Capture(**only))
    shelf.pair(bare, told)
    plan = shelf.draft(keep=keep_policy("smallest"))
    assert plan.items == ()
    assert left(plan) == {"told.jpg": "only-metadata"}
    assert word in details(plan)["told.jpg"]


def test_one_of_several_copies_with_metadata_is_enough(shelf):
    bare = shelf.picture("bare.jpg", "b", width=4000)
    told = Capture(taken_at_ms=5, has_gps=True)
    one, other = (shelf.picture(f"{n}.jpg", f"told {n}", capture=told) for n in (1, 2))
    for pair in ((bare, one), (bare, other), (one, other)):
        shelf.pair(*pair)
    plan = shelf.draft(keep=keep_policy("smallest"))
    assert (going(plan), kept(plan), left(plan)) == (["2.jpg"], {"1.jpg"}, {"1.jpg": "only-metadata"})


def test_the_only_motion_photo_stays(shelf):
    still = shelf.picture("still.jpg", "s", width=4000)
    motion = shelf.picture("motion.jpg", "motion", trailing=900)
    shelf.picture("motion copy.jpg", "motion", trailing=900)
    shelf.pair(still, motion)
    plan = shelf.draft()
    assert left(plan)["motion.jpg"] == "only-video"
    assert going(plan) == ["motion copy.jpg"], "the very same motion photo is there twice"


def test_what_a_person_pinned_is_kept_and_its_last_file_never_goes(shelf):
    large, small = shelf.picture("large.jpg", "large", width=4000), shelf.picture("small.jpg", "small")
    shelf.picture("s/small.jpg", "small")
    shelf.pair(large, small)
    with shelf.library.view() as view:
        digest = view.content(small).digest
        large_digest = view.content(large).digest
    pin = Pin(digest=digest, path=shelf.path("s/small.jpg"), said_at_ns=1)
    plan = shelf.draft(pins=(pin,))
    assert (going(plan), kept(plan)) == (["large.jpg", "small.jpg"], {"s/small.jpg"})
    assert {item.keep_reason for item in plan.items} == {"a person said to keep it"}
    both = (pin, Pin(digest=large_digest, path=shelf.path("large.jpg"), said_at_ns=1))
    plan = shelf.draft(pins=both)
    assert going(plan) == ["small.jpg"], "its bytes stay in the pinned file"
    assert "pinned" in left(plan).values()
    elsewhere = replace(pin, path=shelf.path("moved/small.jpg"))
    plan = shelf.draft(pins=(elsewhere, both[1]), keep=keep_policy("largest"))
    assert len([one for one in going(plan) if one.endswith("small.jpg")]) <= 1


def test_from_a_protected_folder_nothing_goes_and_what_lies_there_stays_rather(shelf):
    shelf.picture("a.jpg", "x")
    shelf.picture("originals/deep/a copy.jpg", "x")
    shelf.picture("originals/b.jpg", "x")
    plan = shelf.draft(protected=FolderGlobs([b"originals"]))
    assert (going(plan), kept(plan)) == (["a.jpg"], {"originals/b.jpg"})
    assert left(plan) == {"originals/deep/a copy.jpg": "protected"}
    assert plan.items[0].keep_reason == "it lies in a protected folder"


# ------------------------------------------------------------------------------------------- one inode


def test_d3_hard_links_are_one_file_and_free_nothing(shelf):
    shelf.picture("a.jpg", "x")
    shelf.link("b.jpg", "a.jpg")
    plan = shelf.draft()
    assert (plan.items, left(plan)) == ((), {"b.jpg": "hard-link"})
    assert "nothing would be freed" in details(plan)["b.jpg"]


def test_d3_a_file_is_counted_once_and_only_when_its_last_name_goes(shelf):
    shelf.picture("a.jpg", "xxxx")
    shelf.picture("b/1.jpg", "xxxx")
    shelf.link("b/2.jpg", "b/1.jpg")
    plan = shelf.draft(keep=keep_policy("lexi"))
    [item] = plan.items
    assert going(plan) == ["b/1.jpg", "b/2.jpg"]
    assert item.frees_bytes == 4
    os.link(shelf.where("b/1.jpg"), shelf.paths[1].parent / "elsewhere.jpg")
    with shelf.library.view() as view:
        content = view.file(shelf.path("b/1.jpg")).content
    for name in ("b/1.jpg", "b/2.jpg"):
        shelf.know(name, content)
    plan = shelf.draft(keep=keep_policy("lexi"))
    assert [item.frees_bytes for item in plan.items] == [0], "a name that dedupd does not know is left"


def test_d16_all_names_of_an_inode_go_or_none(shelf):
    shelf.picture("a.jpg", "xxxx")
    shelf.picture("b/1.jpg", "xxxx")
    shelf.link("c/2.jpg", "b/1.jpg")
    plan = shelf.draft(wish=PlanWish(folder_prefix=os.fsencode(shelf.where("b"))), keep=keep_policy("lexi"))
    assert plan.items == ()
    assert left(plan) == {"b/1.jpg": "hard-link", "c/2.jpg": "outside"}


def test_d16_a_file_with_unknown_names_is_not_linked_anew(shelf):
    shelf.picture("a.jpg", "xxxx")
    content = shelf.picture("b.jpg", "xxxx")
    os.link(shelf.where("b.jpg"), shelf.paths[1].parent / "elsewhere.jpg")
    shelf.know("b.jpg", content)
    policy = {"action": Action.HARDLINK, "relations": frozenset({Relation.SAME_BYTES}), "keep": keep_policy("lexi")}
    assert left(shelf.draft(**policy)) == {"b.jpg": "hard-link"}


def test_d5_no_path_stays_and_goes_in_one_plan(shelf):
    for folder in ("a", "b"):
        shelf.picture(f"{folder}/IMG_1.CR2", "raw", fmt="RAW")
        shelf.picture(f"{folder}/IMG_1.jpg", "jpeg")
    # RAWs are kept in b, JPEGs in a: together with what belongs to them, each would go in favour of the other.
    keep = keep_policy(["folders"], folders=[b"b/*.CR2", b"a/*.jpg"])
    plan = shelf.draft(keep=keep)
    stays = {victim.stays.stat.ino for item in plan.items for victim in item.victims}
    goes = {victim.file.stat.ino for item in plan.items for victim in item.victims}
    assert not stays & goes
    assert len(goes) == 2
    assert plan.items


def test_d5_what_is_kept_for_one_file_does_not_go_along_with_another(shelf):
    for folder in "abc":
        shelf.picture(f"{folder}/IMG_1.jpg", "a larger jpeg")
    for folder in "ac":
        shelf.picture(f"{folder}/IMG_1.CR2", "raw", fmt="RAW")
    # b's JPEG goes because a's stays; then a's RAW, which would take a's JPEG along, must not go because c's stays.
    keep = keep_policy(["folders"], folders=[b"a/*.jpg", b"c/*.CR2"])
    plan = shelf.draft(keep=keep, protected=FolderGlobs([b"c/*.jpg"]))
    assert going(plan) == ["b/IMG_1.jpg"]
    assert left(plan) == {"a/IMG_1.CR2": "in-use", "c/IMG_1.jpg": "protected"}


# ----------------------------------------------------------------------------- what cannot be believed


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda path: path.unlink(), "not there"),
        (lambda path: path.write_bytes(b"other"), "changed"),
        (lambda path: os.utime(path, ns=(1, 1)), "changed"),
        (lambda path: (path.unlink(), path.symlink_to("a.jpg")), "no regular file"),
        (lambda path: (path.unlink(), path.mkdir()), "no regular file"),
    ],
)
def test_a_file_that_is_not_as_it_was_read_is_neither_kept_nor_taken(shelf, change, word):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        shelf.picture(name, "x")
    change(shelf.where("b.jpg"))
    plan = shelf.draft(keep=keep_policy(["folders"], folders=[b"b.jpg"]))
    assert (going(plan), left(plan)) == (["c.jpg"], {"b.jpg": "unsettled"})
    assert word in details(plan)["b.jpg"]


def test_the_last_file_that_is_as_it_was_read_never_goes(shelf):
    for name in ("a.jpg", "b.jpg"):
        shelf.picture(name, "x")
    shelf.where("a.jpg").unlink()
    assert shelf.draft().items == ()


def test_a_folder_that_became_a_symlink_is_not_followed(shelf):
    shelf.picture("a.jpg", "x")
    shelf.picture("b/b.jpg", "x")
    shelf.where("b").rename(shelf.where("real"))
    shelf.where("b").symlink_to("real")
    assert left(shelf.draft()) == {"b/b.jpg": "unsettled"}


def test_d4_an_empty_file_is_left_alone(shelf):
    shelf.picture("a.jpg", b"")
    shelf.picture("b.jpg", b"")
    plan = shelf.draft()
    assert (plan.items, left(plan)) == ((), {"a.jpg": "unsettled", "b.jpg": "unsettled"})


def test_what_is_missing_or_was_not_read_yet_counts_for_nothing(shelf):
    shelf.picture("a.jpg", "x")
    shelf.picture("b.jpg", "x")
    shelf.picture("c.jpg", "x")
    with shelf.library.transaction() as txn:
        txn.put_file(replace(txn.file(shelf.path("a.jpg")), missing_since_ns=5))
        txn.put_file(replace(txn.file(shelf.path("b.jpg")), stage=FileStage.PENDING, content=None))
    assert shelf.draft().items == ()


@pytest.mark.parametrize("how", [{"state": RootState.SUSPECT}, {"state": RootState.OFFLINE}, {"is_watched": False}])
def test_from_a_root_that_cannot_be_believed_nothing_goes_and_nothing_there_is_relied_on(shelf, how):
    shelf.picture("a.jpg", "x")
    shelf.picture("b.jpg", "x", root=2)
    shelf.put_root(2, shelf.where("", 2), **how)
    plan = shelf.draft(keep=keep_policy(["folders"], folders=[b"phone"]))
    assert (plan.items, left(plan)) == ((), {"b.jpg": "root-not-online"})


# -------------------------------------------------------------------------------------------- the wish


def test_a_wish_says_from_where_files_go(shelf):
    shelf.picture("a.jpg", "x")
    shelf.picture("b.jpg", "x", root=2)
    assert going(shelf.draft(roots=(os.fsencode(shelf.where("", 2)),))) == ["b.jpg"]
    prefix = os.fsencode(shelf.where("", 2))
    plan = shelf.draft(wish=PlanWish(folder_prefix=prefix))
    assert going(plan) == ["b.jpg"]
    assert plan.items[0].keep_reason == "it lies where no files are to go from"
    assert going(shelf.draft(wish=PlanWish(roots=frozenset({1})))) == ["a.jpg"]
    plan = shelf.draft(wish=PlanWish(roots=frozenset({1})), protected=FolderGlobs([b"photos"]))
    assert (plan.items, left(plan)) == ((), {"b.jpg": "outside"})


def test_a_better_picture_stays_although_files_are_to_go_from_where_it_lies(shelf):
    poor, good = shelf.picture("poor.jpg", "p"), shelf.picture("good.jpg", "g", width=4000, root=2)
    shelf.pair(poor, good)
    plan = shelf.draft(wish=PlanWish(roots=frozenset({2})))
    assert (plan.items, left(plan)) == ((), {"poor.jpg": "outside"})


def test_a_wish_names_groups(shelf):
    for name, shown in [("a", "x"), ("b", "x"), ("c", "y"), ("d", "y")]:
        shelf.picture(f"{name}.jpg", shown)
    [first, second] = sorted(group.id for group in shelf.groups().all(ALL))
    assert going(shelf.draft(wish=PlanWish(groups=frozenset({second})))) == ["d.jpg"]
    assert going(shelf.draft(wish=PlanWish(groups=frozenset({first, second})))) == ["b.jpg", "d.jpg"]


@pytest.mark.parametrize(
    ("wish", "error", "words"),
    [
        (PlanWish(groups=frozenset({77})), NotFoundError, "no group 77"),
        (PlanWish(roots=frozenset({9})), NotFoundError, "no root with the number 9"),
        (PlanWish(folder_prefix=b"/etc"), RequestError, "/etc lies in no watched folder"),
        (PlanWish(relations=frozenset({Relation.SIMILAR})), RequestError, "never cleaned up"),
        (PlanWish(action=Action.HARDLINK, relations=frozenset({Relation.EDITED})), RequestError, "same-bytes"),
    ],
)
def test_a_wrong_wish_is_told(shelf, wish, error, words):
    with pytest.raises(error, match=words):
        shelf.draft(wish=wish)


def test_a_policy_whose_root_is_not_watched_is_told(shelf):
    with pytest.raises(NotFoundError, match="/srv/none, which is no root"):
        shelf.draft(roots=(b"/srv/none",))


# ------------------------------------------------------------------------------------------ the action


def test_linking_leaves_every_name_and_so_all_that_belongs_to_it(shelf):
    shelf.picture("a.jpg", "xxxx")
    shelf.picture("b.jpg", "xxxx")
    shelf.write("b.xmp", b"note")
    linking = {"action": Action.HARDLINK, "relations": frozenset({Relation.SAME_BYTES})}
    plan = shelf.draft(**linking, keep=keep_policy("lexi"))
    assert (going(plan), plan.frees_bytes) == (["b.jpg"], 4)


def test_moving_frees_nothing_and_moves_nothing_twice(shelf):
    shelf.picture("a.jpg", "xxxx")
    shelf.picture("b.jpg", "xxxx")
    shelf.picture("done/c.jpg", "xxxx")
    plan = shelf.draft(action=Action.MOVE, folder=os.fsencode(shelf.where("done")))
    assert (going(plan), plan.frees_bytes) == (["b.jpg"], 0)
    assert left(plan) == {"done/c.jpg": "outside"}
    aside = {"action": Action.MOVE, "folder": os.fsencode(shelf.where("done"))}
    assert kept(shelf.draft(**aside, keep=keep_policy(["folders"], folders=[b"done"]))) == {"a.jpg"}


def test_what_cannot_be_moved_within_its_file_system_is_left_alone(shelf):
    shelf.picture("a.jpg", "xxxx")
    shelf.picture("b.jpg", "xxxx")
    assert left(shelf.draft(action=Action.MOVE, folder=b"/proc/nowhere")) == {"b.jpg": "filesystem"}


def test_sorting_moves_no_kept_file_that_is_protected(shelf):
    shelf.picture("a.jpg", "xxxx")
    shelf.picture("b.jpg", "xxxx")
    sort = {"action": Action.SORT, "folder": os.fsencode(shelf.where("sorted"))}
    assert going(shelf.draft(**sort)) == ["b.jpg"]
    assert left(shelf.draft(**sort, protected=FolderGlobs([b"a.jpg"]))) == {"b.jpg": "protected"}


def test_sorting_moves_what_belongs_to_the_kept_file_with_it_or_not_at_all(shelf):
    shelf.picture("a/1.jpg", "a larger jpeg")
    shelf.picture("a/1.dng", "raw", fmt="RAW")
    shelf.write("a/1.xmp", b"note")
    shelf.picture("b.jpg", "a larger jpeg")
    shelf.picture("c.dng", "raw", fmt="RAW")
    sort = {"action": Action.SORT, "folder": os.fsencode(shelf.where("sorted")), "keep": keep_policy("lexi")}
    plan = shelf.draft(**sort)
    [item] = plan.items
    assert going(plan) == ["b.jpg"]
    assert [one.path.relative() for one in item.companions] == [b"a/1.dng", b"a/1.xmp"]
    assert left(plan) == {"c.dng": "in-use"}, "a/1.dng moves with its JPEG already"
    assert all(item.companions == () for item in shelf.draft(keep=keep_policy("lexi")).items)
    shelf.picture("a/1.png", "another picture", fmt="PNG")
    assert left(shelf.draft(**sort)) == {"b.jpg": "companion", "c.dng": "companion"}


# ---------------------------------------------------------------------------------------------- limits


def test_nothing_young_goes(shelf):
    for name in ("a.jpg", "b.jpg"):
        shelf.picture(name, "x")
    day = replace(NO_LIMITS, min_age_s=86_400.0)
    plan = shelf.draft(limits=day)
    assert left(plan) == {"b.jpg": "too-young"}
    assert "less than the 24 hours" in details(plan)["b.jpg"]
    assert going(shelf.draft(limits=day, now_ns=shelf.now_ns() + 25 * HOUR_NS)) == ["b.jpg"]
    with shelf.library.transaction() as txn:
        txn.put_file(replace(txn.file(shelf.path("b.jpg")), first_seen_ns=shelf.now_ns() + 20 * HOUR_NS))
    plan = shelf.draft(limits=day, now_ns=shelf.now_ns() + 25 * HOUR_NS)
    assert "was first seen 5 hours ago" in details(plan)["b.jpg"]


def test_limits_cut_the_least_valuable_and_say_so(shelf):
    for size in (1, 2, 3):
        for copy in ("a", "b"):
            shelf.picture(f"{copy}/{size}.jpg", str(size) * size)
    plan = shelf.draft(limits=replace(NO_LIMITS, files_per_run=2))
    assert (going(plan), left(plan)) == (["b/2.jpg", "b/3.jpg"], {"b/1.jpg": "files-per-run"})
    assert [item.number for item in plan.items] == [1, 2]
    plan = shelf.draft(limits=replace(NO_LIMITS, bytes_per_day=10), used_today=UsedToday(files=1, bytes_=6))
    assert (going(plan), left(plan)) == (["b/1.jpg", "b/3.jpg"], {"b/2.jpg": "bytes-per-day"})


def test_the_last_picture_of_a_folder_stays(shelf):
    for name in ("a/1.jpg", "b/1.jpg", "b/2.jpg"):
        shelf.picture(name, "x")
    limits = replace(NO_LIMITS, directory_share=0.5)
    plan = shelf.draft(limits=limits, keep=keep_policy("lexi"))
    assert left(plan) == {"b/2.jpg": "directory-share"}
    assert going(shelf.draft(keep=keep_policy("lexi"))) == ["b/1.jpg", "b/2.jpg"]


def test_the_default_limits_are_those_of_the_plan(shelf):
    shelf.picture("a.jpg", "x")
    plan = shelf.draft(policy=CleanupPolicy(name="best"))
    assert plan.limits == Limits()
    assert plan.policy == "best"
    assert plan.keep == PRESETS["best"]


# --------------------------------------------------------------------------------- groups that move on


def test_the_mark_tells_that_the_groups_moved_on(shelf):
    a = shelf.picture("a.jpg", "a", width=4000)
    b = shelf.picture("b.jpg", "bb")
    shelf.picture("c.jpg", "bb")
    shelf.pair(a, b)
    marks = [shelf.draft().groups_mark, shelf.draft().groups_mark]
    assert marks[0] == marks[1]

    def changed():
        marks.append(shelf.draft().groups_mark)
        return marks[-1] not in marks[:-1]

    shelf.picture("elsewhere.jpg", "not in any group")
    assert shelf.draft().groups_mark == marks[0]
    os.utime(shelf.where("c.jpg"), ns=(5, 5))
    shelf.know("c.jpg", b)
    assert changed(), "a file was touched"
    shelf.where("c.jpg").rename(shelf.where("d.jpg"))
    with shelf.library.transaction() as txn:
        txn.remove_file(shelf.path("c.jpg"))
    shelf.know("d.jpg", b)
    assert changed(), "a file was renamed"
    shelf.pair(a, b, Relation.EDITED)
    assert changed(), "a pair was looked at again"
    with shelf.library.view() as view:
        pin = Pin(digest=view.content(b).digest, path=shelf.path("d.jpg"), said_at_ns=1)
    with shelf.library.transaction() as txn:
        txn.put_pin(pin)
    assert changed(), "a person pinned a file"
    e = shelf.picture("e.jpg", "eeee", width=8000)
    shelf.pair(a, e)
    assert changed(), "a picture joined"


def test_a_content_that_waits_to_be_linked_is_planned_by_its_bytes(shelf):
    content = shelf.picture("a.jpg", "x")
    shelf.picture("b.jpg", "x")
    with shelf.library.view() as view:
        assert view.content(content).stage is ContentStage.DESCRIBED
    assert going(shelf.draft()) == ["b.jpg"]
