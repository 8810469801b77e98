"""Whatever lies in the folders and whatever the policy says: no plan takes what it must not take."""

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from fakes.photo_shelf import NO_LIMITS, PhotoShelf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dedupd.core.cleanup_plan import Action, Role
from dedupd.core.cleanup_policy import CleanupPolicy, Companions
from dedupd.core.folder_globs import FolderGlobs
from dedupd.core.keep_policy import PRESETS, keep_policy
from dedupd.core.records import Relation

RELATIONS = [Relation.SAME_PIXELS, Relation.RE_ENCODED, Relation.EDITED]
PLACES = [f"{folder}{name}" for folder in ("", "a/", "a/b/", "c/") for name in ("1.jpg", "1.dng", "1 (1).jpg", "2.png")]
SIDECARS = [f"{folder}{name}" for folder in ("", "a/", "c/") for name in ("1.xmp", "1.mov", "2.png.xmp")]


@dataclass(frozen=True)
class Library:
    """Where which picture lies, which resemble each other, what lies beside them."""

    pictures: dict[str, int]  # place → number of its content
    pairs: dict[tuple[int, int], Relation]
    sidecars: dict[str, bytes]
    links: dict[str, str]

    def lay_down(self, shelf: PhotoShelf, order: list[str]) -> None:
        contents = {}
        for place in order:
            number = self.pictures[place]
            fmt = "RAW" if number == 0 else "JPEG"
            contents[number] = shelf.picture(place, f"picture {number}", width=400 + number % 3, fmt=fmt)
        for (a, b), relation in self.pairs.items():
            if a in contents and b in contents:
                shelf.pair(contents[a], contents[b], relation)
        for place, note in self.sidecars.items():
            shelf.write(place, note)
        for name, to in self.links.items():
            if to in self.pictures and not shelf.where(name).exists():
                shelf.link(name, to)


LIBRARIES = st.builds(
    Library,
    pictures=st.dictionaries(st.sampled_from(PLACES), st.integers(0, 4), min_size=2, max_size=8),
    pairs=st.dictionaries(
        st.tuples(st.integers(0, 4), st.integers(0, 4)).filter(lambda p: p[0] < p[1]), st.sampled_from(RELATIONS)
    ),
    sidecars=st.dictionaries(st.sampled_from(SIDECARS), st.sampled_from([b"one", b"two"]), max_size=4),
    links=st.dictionaries(st.sampled_from(["l1.jpg", "a/l2.jpg"]), st.sampled_from(PLACES), max_size=2),
)
POLICIES = st.builds(
    lambda keep, relations, action, companions, protected, limits: CleanupPolicy(
        name="any",
        keep=keep_policy(keep, folders=[b"c"]),
        relations=frozenset({Relation.SAME_BYTES}) if action is Action.HARDLINK else frozenset(relations),
        action=action,
        companions=companions,
        protected=FolderGlobs(protected),
        limits=replace(NO_LIMITS, files_per_run=limits[0], directory_share=limits[1]),
    ),
    st.sampled_from([*PRESETS, ("folders", "largest"), ("bundle", "resolution", "oldest-mtime")]),
    st.sets(st.sampled_from([Relation.SAME_BYTES, *RELATIONS]), min_size=1),
    st.sampled_from([Action.QUARANTINE, Action.HARDLINK, Action.TRASH]),
    st.sampled_from(Companions),
    st.sampled_from([[], [b"c"], [b"*.dng"]]),
    st.tuples(st.sampled_from([0, 1, 3]), st.sampled_from([0.5, 1.0])),
)
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def drawn_up(library, policy, order=None):
    """(plan, shelf's records by path) of a library laid down anew."""
    with tempfile.TemporaryDirectory() as folder:
        shelf = PhotoShelf(Path(folder))
        try:
            with shelf.together():
                library.lay_down(shelf, order or list(library.pictures))
            plan = shelf.draft(policy)
            with shelf.library.view() as view:
                files = {os.fsdecode(f.path.relative()): f for f in view.files()}
                edges = {(e.a, e.b): e.relation for e in view.edges()}
                made = [g.contents for g in shelf.groups().all(policy.relations)]
        finally:
            shelf.close()
    return plan, files, edges, made


def name(file):
    return os.fsdecode(file.path.relative())


@FEW
@given(LIBRARIES, POLICIES)
def test_a_plan_takes_only_what_stays_elsewhere(library, policy):
    plan, files, edges, made = drawn_up(library, policy)
    victims = [victim for item in plan.items for victim in item.victims]
    paths = [name(victim.file) for victim in victims]
    going = {victim.file.stat.ino for victim in victims}
    assert len(paths) == len(set(paths)), "no file goes twice"
    assert not going & {victim.stays.stat.ino for victim in victims}, "what goes is not what stays"
    assert not set(paths) & {os.fsdecode(one.path.relative()) for one in plan.left_alone}
    for item in plan.items:
        kept = files[name(item.keeper)].content
        for victim in item.victims:
            assert victim.file.digest != b""
            assert victim.is_exact == (victim.file.digest == victim.stays.digest)
            if victim.role is Role.PICTURE:
                gone = files[name(victim.file)].content
                relation = Relation.SAME_BYTES if gone == kept else edges[min(gone, kept), max(gone, kept)]
                assert relation is item.relation
                assert relation in policy.relations
                assert os.fsencode(f"/photos/{name(victim.file)}") not in policy.protected
    for contents in made:
        left = [path for path, file in files.items() if file.content in contents and path not in paths]
        assert left, "no group loses its last file"
        untold = set(left) - {os.fsdecode(one.path.relative()) for one in plan.left_alone}
        assert len(untold) <= 1, "of every file but the kept one it is told why it stays"
    assert not policy.limits.files_per_run or len(victims) <= policy.limits.files_per_run


@FEW
@given(LIBRARIES, POLICIES)
def test_all_names_of_an_inode_go_or_none(library, policy):
    plan, files, _, _ = drawn_up(library, policy)
    going = {name(victim.file) for item in plan.items for victim in item.victims}
    by_inode = {}
    for path, file in files.items():
        by_inode.setdefault(file.stat.ino, set()).add(path)
    for paths in by_inode.values():
        assert paths <= going or not paths & going
    freed = sum(files[min(paths)].stat.size_bytes for paths in by_inode.values() if paths <= going)
    noted = {victim.file.path: victim for item in plan.items for victim in item.victims if victim.carried_to is None}
    beside = sum(victim.file.stat.size_bytes for victim in noted.values() if name(victim.file) not in files)
    assert plan.frees_bytes == freed + beside


@FEW
@given(LIBRARIES, POLICIES)
def test_companions_go_with_their_like_or_are_carried(library, policy):
    plan, *_ = drawn_up(library, policy)
    carried = [victim.carried_to for item in plan.items for victim in item.victims if victim.carried_to is not None]
    assert len(carried) == len(set(carried))
    going = {name(victim.file) for item in plan.items for victim in item.victims}
    stays = {*library.pictures, *library.sidecars} - going
    for item in plan.items:
        along = [victim for victim in item.victims if victim.role is not Role.PICTURE]
        assert not (policy.action is Action.HARDLINK and along)
        for victim in along:
            if victim.carried_to is not None:
                assert victim.role is Role.SIDECAR
                assert policy.companions is Companions.CARRY
                assert os.fsdecode(victim.carried_to.relative()) not in stays
                assert victim.carried_to.directory == item.keeper.path.directory
            else:
                assert victim.stays.digest == victim.file.digest


@FEW
@given(LIBRARIES, POLICIES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(library, policy, randomness):
    def told(plan):
        return {(name(v.file), name(v.stays), item.relation, v.role) for item in plan.items for v in item.victims}

    order = list(library.pictures)
    before = drawn_up(library, policy, order)[0]
    randomness.shuffle(order)
    assert told(drawn_up(library, policy, order)[0]) == told(before)
