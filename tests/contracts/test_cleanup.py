"""What every `Cleanup` promises. MAKERS lay down a small library on disk, in which two pictures have copies.

The index stands still: what a test changes on disk afterwards, it does not see.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from fakes.cleanup import PlainCleanup
from fakes.groups import FixedGroups
from fakes.image_reader import NOW_NS, decoded_image

from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.local_actor import LocalActor
from dedupd.cleanup.plan_file import encode_plan, plan_id
from dedupd.cleanup.plan_store import PlanStore
from dedupd.core.cleanup_plan import Action, Outcome, OutcomeKind, PlanState, RunKind, Spared, StoredPlan
from dedupd.core.cleanup_ports import Cleanup, ExpireWish, PlanWish
from dedupd.core.errors import NotFoundError, RequestError, RetryError
from dedupd.core.grouping import Group, Member
from dedupd.core.ports import Descriptor, Library, NewContent
from dedupd.core.records import (
    ContentId,
    Edge,
    Evidence,
    FilePath,
    FileRecord,
    FileStage,
    FileStat,
    ModelTag,
    Relation,
    RootId,
    RootIdentity,
    RootRecord,
    RootState,
)
from dedupd.daemon.build import stat_of
from dedupd.daemon.clean_up_news import CleanUpNews
from dedupd.daemon.cleaning import DaemonCleanup
from dedupd.pipeline.group_book import GroupBook
from dedupd.settings.cleanup_policies import cleanup_policies
from dedupd.settings.schema import Settings
from dedupd.store import LmdbLibrary

FIRST = ("keep.jpg", "copy.jpg", "small.png")  # one picture: equal bytes, and encoded anew
SECOND = ("other.jpg", "other copy.jpg")  # another: equal bytes
LONE = "lone.jpg"
PHOTOS = RootId(1)
EXACT = frozenset({Relation.SAME_BYTES})
BOTH = frozenset({Relation.SAME_BYTES, Relation.RE_ENCODED})
ALL_AGES = PlanWish(min_age_s=0.0, relations=BOTH)
A_DAY_S = 86_400.0
UNKNOWN = "0" * 64


@dataclass
class Stand:
    """A clean-up, the library behind it, the photos on disk, and a clock."""

    cleanup: Cleanup
    library: Library
    photos: Path
    pass_time: Callable[[float], None]  # seconds
    told: list[Outcome] = field(default_factory=list)

    def draft(self, **wish) -> StoredPlan:
        return self.cleanup.draft(replace(ALL_AGES, **wish))

    def apply(self, **wish) -> StoredPlan:
        """Draw up and apply."""
        stored = self.draft(**wish)
        self.cleanup.apply(stored.id, self.told.append)
        return stored

    def content(self, name: str) -> ContentId:
        with self.library.view() as view:
            return view.file(place_of(name)).content

    def bytes_on_disk(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.photos.iterdir()) if path.is_file()}

    def doubt(self) -> None:
        """The root's state says that what it shows cannot be believed."""
        with self.library.transaction() as txn:
            txn.put_root(replace(txn.root(PHOTOS), state=RootState.SUSPECT, state_reason="emptied"))


def place_of(name: str) -> FilePath:
    return FilePath(root=PHOTOS, directory=b"", name=name.encode())


@contextmanager
def plain_cleanup(base: Path) -> Iterator[Stand]:
    photos = base / "photos"
    photos.mkdir()
    library = LmdbLibrary(base / "state", map_bytes=64 * 1024 * 1024)
    bodies = {"keep.jpg": b"A", "copy.jpg": b"A", "small.png": b"B", "other.jpg": b"C", "other copy.jpg": b"C"}
    with library.transaction() as txn:
        txn.put_root(root_record(txn.new_root_id(), photos))
        contents = {name: lay_down(txn, photos / name, body) for name, body in {**bodies, LONE: b"D"}.items()}
    member = Member(
        content=contents["small.png"], relation=Relation.RE_ENCODED, similarity=0.97, reason="smaller", probability=0.99
    )
    groups = FixedGroups([
        Group(id=contents["keep.jpg"], keeper=contents["keep.jpg"], keeper_reason="larger", members=(member,)),
        Group(id=contents["other.jpg"], keeper=contents["other.jpg"], keeper_reason="only bytes", members=()),
    ])  # fmt: skip
    cleanup = PlainCleanup(library=library, groups=groups, base=base / "quarantine", now_ns=NOW_NS)

    def pass_time(seconds: float) -> None:
        cleanup.now_ns += int(seconds * 10**9)

    yield Stand(cleanup=cleanup, library=library, photos=photos, pass_time=pass_time)
    library.close()


def root_record(root: RootId, path: Path) -> RootRecord:
    return RootRecord(
        id=root,
        path=os.fsencode(path),
        identity=None,
        state=RootState.ONLINE,
        state_reason="",
        last_full_scan_ns=NOW_NS,
        added_at_ns=NOW_NS,
        is_watched=True,
    )


def lay_down(txn, path: Path, body: bytes) -> ContentId:
    """A file on disk and in the library."""
    path.write_bytes(body)
    vectors = np.eye(1, 4, dtype=np.float32)
    new = NewContent(
        digest=blake3(body).digest(),
        size_bytes=len(body),
        image=decoded_image(),
        descriptor=Descriptor(stored=vectors, queries=vectors),
        first_seen_ns=NOW_NS,
    )
    content = txn.add_content(new, ModelTag("test")).id
    now = path.stat()
    stat = FileStat(
        dev=now.st_dev, ino=now.st_ino, size_bytes=now.st_size, mtime_ns=now.st_mtime_ns, ctime_ns=now.st_ctime_ns
    )
    place = place_of(path.name)
    txn.put_file(FileRecord(path=place, stat=stat, stage=FileStage.INDEXED, content=content, first_seen_ns=NOW_NS))
    return content


@contextmanager
def daemon_cleanup(base: Path) -> Iterator[Stand]:
    """The daemon's own: real groups, real drawing up, a real actor in this process."""
    photos = base / "photos"
    photos.mkdir()
    library = LmdbLibrary(base / "state", map_bytes=64 * 1024 * 1024)
    bodies = {"keep.jpg": b"A", "copy.jpg": b"A", "small.png": b"B", "other.jpg": b"C", "other copy.jpg": b"C"}
    facts = photos.stat()
    identity = RootIdentity(dev=facts.st_dev, fsid=os.statvfs(photos).f_fsid, ino=facts.st_ino, filesystem="ext4")
    with library.transaction() as txn:
        txn.put_root(replace(root_record(txn.new_root_id(), photos), identity=identity))
        contents = {name: lay_down(txn, photos / name, body) for name, body in {**bodies, LONE: b"D"}.items()}
        txn.put_edge(edge(contents["keep.jpg"], contents["small.png"], Relation.RE_ENCODED))
    groups = GroupBook(library)
    groups.load()
    now = [max(NOW_NS, time.time_ns())]  # the files are made now, and what is younger than it is left alone
    actor = LocalActor(base / "actor", FileCalls(), lambda: now[0])
    news = CleanUpNews(
        library=library,
        actor=actor,
        stat_of=stat_of,
        look_again=lambda _path: None,
        expect=lambda _path, _content: None,
        now_ns=lambda: now[0],
    )
    cleanup = DaemonCleanup(
        library=library,
        groups=groups,
        actor=actor,
        plans=PlanStore(base / "plans"),
        news=news,
        policies=lambda: cleanup_policies(Settings().cleanup),
        keep_ns=lambda: 30 * DAY_NS,
        plan_ns=lambda: DAY_NS,
        now_ns=lambda: now[0],
    )

    def pass_time(seconds: float) -> None:
        now[0] += int(seconds * 10**9)

    pass_time(1)
    yield Stand(cleanup=cleanup, library=library, photos=photos, pass_time=pass_time)
    actor.close()
    library.close()


def edge(a: ContentId, b: ContentId, relation: Relation) -> Edge:
    return Edge(
        a=min(a, b),
        b=max(a, b),
        relation=relation,
        similarity=0.97,
        reason="smaller",
        evidence=Evidence(
            method="dense",
            similarity=0.97,
            geometry=None,
            residual_low=1.0,
            worst_region=0.0,
            motion_px=0.0,
            tone_change=0.0,
        ),
        verifier="test",
        found_at_ns=NOW_NS,
        probability=0.99,
    )


DAY_NS = 86_400 * 10**9
MAKERS = {"plain": plain_cleanup, "daemon": daemon_cleanup}


@pytest.fixture(params=MAKERS)
def stand(request, tmp_path) -> Iterator[Stand]:
    with MAKERS[request.param](tmp_path) as stand:
        yield stand


def names_of(files) -> set[str]:
    return {file.path.name.decode() for file in files}


def victims_of(stored: StoredPlan) -> set[str]:
    return names_of(victim.file for item in stored.plan.items for victim in item.victims)


def keepers_of(stored: StoredPlan) -> set[str]:
    return names_of(item.keeper for item in stored.plan.items)


# ---------------------------------------------------------------------------------------------------------------- plans


def test_a_plan_touches_nothing_and_leaves_each_picture_a_file(stand):
    before = stand.bytes_on_disk()
    stored = stand.draft()
    assert stand.bytes_on_disk() == before
    assert stored.state is PlanState.READY
    assert len(victims_of(stored)) == 3
    assert not victims_of(stored) & keepers_of(stored)
    for picture in (FIRST, SECOND):
        assert len(set(picture) - victims_of(stored)) == 1
    assert LONE not in victims_of(stored)


def test_a_plan_is_named_by_its_content(stand):
    stored = stand.draft()
    assert stored.id == plan_id(encode_plan(stored.plan))


def test_a_plan_is_found_by_its_name_and_by_a_start_of_it(stand):
    stored = stand.draft()
    assert stand.cleanup.plan(stored.id) == stand.cleanup.plan(stored.id[:8]) == stored
    with pytest.raises(NotFoundError):
        stand.cleanup.plan(UNKNOWN)
    with pytest.raises(NotFoundError):
        stand.cleanup.plan(UNKNOWN[:8])


def test_plans_are_listed_the_newest_first(stand):
    first = stand.draft()
    stand.pass_time(1)
    second = stand.draft()
    assert [stored.id for stored in stand.cleanup.plans()] == [second.id, first.id]


def test_only_what_was_asked_for_goes(stand):
    assert "small.png" not in victims_of(stand.draft(relations=EXACT))
    assert victims_of(stand.draft(groups=frozenset({stand.content("other.jpg")}))) < set(SECOND)
    assert victims_of(stand.draft(roots=frozenset({PHOTOS}))) == victims_of(stand.draft())
    assert victims_of(stand.draft(folder_prefix=os.fsencode(stand.photos / "below"))) == set()


def test_what_is_left_alone_is_named_with_the_reason(stand):
    stored = stand.draft(relations=EXACT)
    (spared,) = stored.plan.left_alone
    assert (spared.path.name, spared.why) == (b"small.png", Spared.RELATION)
    assert spared.detail


@pytest.mark.parametrize(
    "wish",
    [{"policy": "no such"}, {"roots": frozenset({RootId(99)})}, {"groups": frozenset({ContentId(9999)})}],
    ids=["policy", "root", "group"],
)
def test_what_is_not_there_cannot_be_planned_for(stand, wish):
    with pytest.raises(NotFoundError):
        stand.draft(**wish)
    assert stand.cleanup.plans() == []


@pytest.mark.parametrize(
    "wish",
    [
        {"action": Action.HARDLINK, "relations": frozenset({Relation.RE_ENCODED})},
        {"action": Action.MOVE},
        {"action": Action.QUARANTINE, "folder": b"/elsewhere"},
    ],
    ids=["linking other bytes", "moving nowhere", "a folder for nothing"],
)
def test_a_wish_that_contradicts_itself_is_refused(stand, wish):
    with pytest.raises(RequestError):
        stand.draft(**wish)
    assert stand.cleanup.plans() == []


# ---------------------------------------------------------------------------------------------------------- apply, undo


def test_applying_takes_just_what_the_plan_names_and_tells_each_file(stand):
    before = stand.bytes_on_disk()
    stored = stand.draft()
    end = stand.cleanup.apply(stored.id, stand.told.append)
    assert set(before) - set(stand.bytes_on_disk()) == victims_of(stored)
    assert {Path(os.fsdecode(outcome.path)).name for outcome in stand.told} == victims_of(stored)
    assert {outcome.kind for outcome in stand.told} == {OutcomeKind.DONE}
    assert {outcome.plan for outcome in stand.told} == {stored.id}
    for outcome in stand.told:
        assert blake3(Path(os.fsdecode(outcome.now_at)).read_bytes()).digest() == outcome.digest
        assert Path(os.fsdecode(outcome.kept)).is_file()
    assert (end.run, end.plan, end.done, end.conflicts, end.failed, end.skipped) == (
        RunKind.APPLY, stored.id, 3, 0, 0, 0
    )  # fmt: skip
    assert end.bytes_ == sum(outcome.size_bytes for outcome in stand.told)
    assert stand.cleanup.plan(stored.id).state is PlanState.APPLIED


def test_outcomes_are_numbered_over_all_runs(stand):
    stored = stand.apply()
    stand.cleanup.undo(stored.id, None, stand.told.append)
    numbers = [outcome.sequence for outcome in stand.told]
    assert len(numbers) == 6
    assert numbers == sorted(set(numbers))


def test_a_plan_is_applied_once(stand):
    stored = stand.apply()
    after = stand.bytes_on_disk()
    with pytest.raises(RequestError):
        stand.cleanup.apply(stored.id, stand.told.append)
    stand.cleanup.undo(stored.id, None, stand.told.append)
    before = stand.bytes_on_disk()
    with pytest.raises(RequestError):
        stand.cleanup.apply(stored.id, stand.told.append)
    assert after != before == stand.bytes_on_disk()


def test_an_unknown_plan_is_neither_applied_nor_undone(stand):
    for ask in (lambda: stand.cleanup.apply(UNKNOWN, stand.told.append),
                lambda: stand.cleanup.undo(UNKNOWN, None, stand.told.append)):  # fmt: skip
        with pytest.raises(NotFoundError):
            ask()
    assert stand.told == []


def test_a_plan_that_is_too_old_is_not_applied(stand):
    before, stored = stand.bytes_on_disk(), stand.draft()
    stand.pass_time(A_DAY_S + 1)
    assert stand.cleanup.plan(stored.id).state is PlanState.EXPIRED
    with pytest.raises(RequestError):
        stand.cleanup.apply(stored.id, stand.told.append)
    assert (stand.bytes_on_disk(), stand.told) == (before, [])


def test_a_plan_whose_groups_have_changed_is_not_applied(stand):
    before, stored = stand.bytes_on_disk(), stand.draft()
    stand.cleanup.reject(frozenset({stand.content("keep.jpg"), stand.content("small.png")}))
    with pytest.raises(RequestError):
        stand.cleanup.apply(stored.id, stand.told.append)
    assert (stand.bytes_on_disk(), stand.told) == (before, [])


def test_nothing_goes_from_a_root_that_is_in_doubt(stand):
    before, stored = stand.bytes_on_disk(), stand.draft()
    stand.doubt()
    with pytest.raises(RetryError):
        stand.cleanup.apply(stored.id, stand.told.append)
    assert (stand.bytes_on_disk(), stand.told) == (before, [])


def test_a_file_that_changed_since_is_a_conflict_and_stays_while_the_others_go(stand):
    stored = stand.draft()
    changed = next(iter(victims_of(stored) & set(FIRST)))
    (stand.photos / changed).write_bytes(b"somebody works on it")
    end = stand.cleanup.apply(stored.id, stand.told.append)
    assert (end.done, end.conflicts) == (2, 1)
    assert (stand.photos / changed).read_bytes() == b"somebody works on it"
    (conflict,) = (outcome for outcome in stand.told if outcome.kind is OutcomeKind.CONFLICT)
    assert os.fsdecode(conflict.path) == str(stand.photos / changed)
    assert conflict.detail


def test_one_run_at_a_time(stand):
    stored, refused = stand.draft(), []

    def tell(outcome: Outcome) -> None:
        stand.told.append(outcome)
        with ThreadPoolExecutor(1) as other, pytest.raises(RetryError):
            other.submit(stand.cleanup.undo, stored.id, None, refused.append).result(30)

    assert stand.cleanup.apply(stored.id, tell).done == 3
    assert refused == []


def test_undoing_puts_everything_back(stand):
    before, stored = stand.bytes_on_disk(), stand.apply()
    end = stand.cleanup.undo(stored.id, None, stand.told.append)
    assert stand.bytes_on_disk() == before
    assert (end.run, end.done, end.conflicts, end.failed) == (RunKind.UNDO, 3, 0, 0)
    assert stand.cleanup.plan(stored.id).state is PlanState.UNDONE
    assert stand.cleanup.quarantined() == []


def test_undoing_without_a_name_means_the_plan_applied_last(stand):
    stand.apply(groups=frozenset({stand.content("keep.jpg")}))
    stand.pass_time(1)
    between = stand.bytes_on_disk()
    last = stand.apply(groups=frozenset({stand.content("other.jpg")}))
    assert stand.cleanup.undo("", None, stand.told.append).plan == last.id
    assert stand.bytes_on_disk() == between


def test_undoing_some_items_puts_just_those_back(stand):
    stored = stand.apply()
    chosen = stored.plan.items[0]
    stand.cleanup.undo(stored.id[:8], frozenset({chosen.number}), stand.told.append)
    there = set(stand.bytes_on_disk())
    assert there & victims_of(stored) == names_of(victim.file for victim in chosen.victims)
    with pytest.raises(NotFoundError):
        stand.cleanup.undo(stored.id, frozenset({99}), stand.told.append)


def test_nothing_to_undo_is_said(stand):
    with pytest.raises(NotFoundError):
        stand.cleanup.undo("", None, stand.told.append)
    with pytest.raises(NotFoundError):
        stand.cleanup.undo(stand.draft().id, None, stand.told.append)


def test_a_name_that_was_taken_meanwhile_is_not_overwritten(stand):
    stored = stand.apply(groups=frozenset({stand.content("other.jpg")}))
    (taken,) = victims_of(stored)
    (stand.photos / taken).write_bytes(b"somebody else's")
    stand.told.clear()
    stand.cleanup.undo(stored.id, None, stand.told.append)
    (outcome,) = stand.told
    assert outcome.kind is OutcomeKind.RESTORED_BESIDE
    assert (stand.photos / taken).read_bytes() == b"somebody else's"
    assert blake3(Path(os.fsdecode(outcome.now_at)).read_bytes()).digest() == outcome.digest


# ----------------------------------------------------------------------------------------------------------- quarantine


def test_the_quarantine_lists_what_can_be_put_back(stand):
    stored = stand.apply()
    listed = stand.cleanup.quarantined()
    assert {Path(os.fsdecode(file.path)).name for file in listed} == victims_of(stored)
    assert [file.since_ns for file in listed] == sorted(file.since_ns for file in listed)
    for file in listed:
        assert (file.plan, file.action, file.held) == (stored.id, Action.QUARANTINE, "")
        assert blake3(Path(os.fsdecode(file.now_at)).read_bytes()).digest() == file.digest
        assert file.expires_at_ns > file.since_ns


def test_nothing_is_due_before_its_time(stand):
    stand.apply()
    assert stand.cleanup.expiry(ExpireWish()).due == ()
    stand.pass_time(31 * A_DAY_S)
    assert len(stand.cleanup.expiry(ExpireWish()).due) == 3


def test_now_means_also_what_is_not_due(stand):
    stored = stand.apply()
    assert len(stand.cleanup.expiry(ExpireWish(is_now=True)).due) == 3
    assert len(stand.cleanup.expiry(ExpireWish(is_now=True, plan=stored.id[:8])).due) == 3
    with pytest.raises(NotFoundError):
        stand.cleanup.expiry(ExpireWish(is_now=True, plan=UNKNOWN))


@pytest.mark.parametrize("confirm", ["", "nonsense"])
def test_nothing_is_deleted_without_the_token_of_what_was_shown(stand, confirm):
    stand.apply()
    listed = stand.cleanup.quarantined()
    with pytest.raises(RequestError):
        stand.cleanup.expire(ExpireWish(is_now=True, confirm=confirm), stand.told.append)
    assert stand.cleanup.quarantined() == listed
    assert all(Path(os.fsdecode(file.now_at)).is_file() for file in listed)


def test_a_token_confirms_no_more_than_was_shown(stand):
    first = stand.apply(groups=frozenset({stand.content("keep.jpg")}))
    token = stand.cleanup.expiry(ExpireWish(is_now=True)).token
    stand.apply(groups=frozenset({stand.content("other.jpg")}))
    with pytest.raises(RequestError):
        stand.cleanup.expire(ExpireWish(is_now=True, confirm=token), stand.told.append)
    assert len(stand.cleanup.quarantined()) == 3
    assert first.id in {file.plan for file in stand.cleanup.quarantined()}


def test_expiring_deletes_what_was_shown_and_nothing_else(stand):
    stored = stand.apply()
    there, listed = stand.bytes_on_disk(), stand.cleanup.quarantined()
    stand.pass_time(31 * A_DAY_S)
    stand.told.clear()
    token = stand.cleanup.expiry(ExpireWish()).token
    end = stand.cleanup.expire(ExpireWish(confirm=token), stand.told.append)
    assert (end.run, end.done, end.failed) == (RunKind.EXPIRE, 3, 0)
    assert {outcome.now_at for outcome in stand.told} == {b""}
    assert {outcome.plan for outcome in stand.told} == {stored.id}
    assert not any(os.path.lexists(file.now_at) for file in listed)
    assert stand.cleanup.quarantined() == []
    assert stand.bytes_on_disk() == there


# ----------------------------------------------------------------------------------------------------- what people said


def test_rejected_pictures_are_no_duplicates_until_that_is_withdrawn(stand):
    pair = frozenset({stand.content("keep.jpg"), stand.content("small.png")})
    (said,) = stand.cleanup.reject(pair)
    assert said.a < said.b
    assert stand.cleanup.rejected() == [said]
    assert "small.png" not in victims_of(stand.draft())
    assert stand.cleanup.withdraw(pair) == 1
    assert stand.cleanup.rejected() == []
    assert stand.cleanup.withdraw(pair) == 0
    stand.pass_time(1)
    assert len(victims_of(stand.draft()) & set(FIRST)) == 2


def test_of_several_every_one_is_rejected_with_every_other(stand):
    names = ("keep.jpg", "small.png", "other.jpg")
    said = stand.cleanup.reject(frozenset(map(stand.content, names)))
    assert len({(verdict.a, verdict.b) for verdict in said}) == 3


def test_the_newest_verdict_and_pin_come_first(stand):
    stand.cleanup.reject(frozenset({stand.content("keep.jpg"), stand.content("small.png")}))
    stand.cleanup.pin(place_of("keep.jpg"))
    stand.pass_time(1)
    stand.cleanup.reject(frozenset({stand.content("keep.jpg"), stand.content("other.jpg")}))
    stand.cleanup.pin(place_of("other.jpg"))
    for said in (stand.cleanup.rejected(), stand.cleanup.pins()):
        assert len(said) == 2
        assert said[0].said_at_ns > said[1].said_at_ns


def test_an_unknown_content_can_be_neither_rejected_nor_withdrawn(stand):
    pair = frozenset({stand.content("keep.jpg"), ContentId(9999)})
    for ask in (stand.cleanup.reject, stand.cleanup.withdraw):
        with pytest.raises(NotFoundError):
            ask(pair)
    assert stand.cleanup.rejected() == []


@pytest.mark.parametrize("name", SECOND)
def test_a_pinned_file_goes_in_no_plan(stand, name):
    pin = stand.cleanup.pin(place_of(name))
    assert pin.path == place_of(name)
    assert stand.cleanup.pins() == [pin]
    assert victims_of(stand.draft()) & set(SECOND) == set(SECOND) - {name}


def test_a_pin_is_taken_back_once(stand):
    stand.cleanup.pin(place_of("copy.jpg"))
    assert stand.cleanup.unpin(place_of("copy.jpg"))
    assert not stand.cleanup.unpin(place_of("copy.jpg"))
    assert stand.cleanup.pins() == []


def test_a_file_that_is_not_indexed_cannot_be_pinned(stand):
    with pytest.raises(NotFoundError):
        stand.cleanup.pin(place_of("nowhere.jpg"))
    assert not stand.cleanup.unpin(place_of("nowhere.jpg"))


def test_several_threads_may_ask(stand):
    stored = stand.apply()
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(stand.cleanup.plan, stored.id) for _ in range(10)]
        asked += [threads.submit(stand.cleanup.quarantined) for _ in range(10)]
        asked += [threads.submit(stand.draft) for _ in range(4)]
        for answer in asked:
            assert answer.result(60)
