"""Whatever people do with their files, however late it is noticed: in the end the store says what is there."""

import os
import shutil
import tempfile
from itertools import combinations
from pathlib import Path

import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dedupd.core.ports import DirtyDirectory
from dedupd.core.records import RootId
from dedupd.store.check import check

DIRECTORIES = ("", "x", "x/y", "z")
NAMES = tuple(f"{directory}/{name}".lstrip("/") for directory in DIRECTORIES for name in ("a.jpg", "b.jpg", "c.jpg"))
SCENES = ("sea", "wood", "town", "truncated")

names = st.sampled_from(NAMES)
disk_steps = st.one_of(
    st.tuples(st.just("write"), names, st.sampled_from(SCENES), st.sampled_from("12")),
    st.tuples(st.just("delete"), names),
    st.tuples(st.just("move"), names, names),
    st.tuples(st.just("copy"), names, names),
    st.tuples(st.just("link"), names, names),
    st.tuples(st.just("swap"), names, names),
    st.tuples(st.just("touch"), names),
    st.tuples(st.just("move directory"), st.sampled_from(("x", "x/y", "z")), st.sampled_from(("x", "z", "x/y", "z/y"))),
)
daemon_steps = st.one_of(
    st.tuples(st.just("hints")),
    st.tuples(st.just("scan")),
    st.tuples(st.just("hold"), st.booleans()),
    st.tuples(st.just("read")),
    st.tuples(st.just("compare")),
    st.tuples(st.just("wait")),
    st.tuples(st.just("restart")),
)


def do_to_disk(bench, step, owed):
    """Change something on the disk; `owed` gets the directories that a watcher would name."""
    kind, *rest = step
    for name in rest[:1] if kind in {"write", "delete", "touch"} else rest:
        owed += [(name.rpartition("/")[0], False)]
    if kind == "move directory":
        owed += [(rest[1], True)]
    places = [bench.photos / part for part in rest[:2]] if kind != "write" else [bench.photos / rest[0]]
    if kind == "write":
        bench.write(*rest)
        return
    if not places[0].exists() or (kind == "swap" and not places[1].exists()):
        return
    if len(places) == 2 and (places[0] == places[1] or places[0] in places[1].parents):
        return
    if kind != "swap" and len(places) == 2:
        if places[1].exists() and (kind in {"link", "move directory"} or places[0].samefile(places[1])):
            return
        places[1].parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "delete":
            places[0].unlink()
        case "move" | "move directory":
            places[0].replace(places[1])
        case "copy":
            shutil.copy2(*places)
        case "link":
            os.link(*places)
        case "swap":
            aside = bench.photos / "aside.tmp"
            places[0].rename(aside)
            places[1].rename(places[0])
            aside.rename(places[1])
        case "touch":
            bench.age(places[0], 1000 + bench.clock.wall % 1000)


def do_to_daemon(bench, step, owed):
    match step:
        case ("hints",):
            pass_hints_on(bench, owed)
        case ("scan",):
            bench.scan()
        case ("hold", is_held):
            bench.reader.is_held = is_held
            bench.read_once()
        case ("read",):
            bench.reader.release()
            bench.read()
        case ("compare",):
            bench.compare()
        case ("wait",):
            bench.ripen()
        case ("restart",):
            bench.reader.held.clear()
            bench.reopen()
            bench.scan()
            owed.clear()


def pass_hints_on(bench, owed):
    for directory, is_recursive in owed:
        bench.changes.dirty.append(
            DirtyDirectory(root=RootId(1), directory=os.fsencode(directory), is_recursive=is_recursive)
        )
    owed.clear()
    bench.look()


def settle(bench, owed):
    """What was owed is told; no scan comes to the rescue."""
    pass_hints_on(bench, owed)
    for _ in range(3):
        bench.reader.release()
        bench.work()
        bench.ripen()
    bench.work()


def assert_store_is_like_disk(bench):
    on_disk = {str(path.relative_to(bench.photos)): path for path in bench.photos.rglob("*.jpg")}
    with bench.library.view() as view:
        there = {os.fsdecode(f.path.relative()): f for f in view.files() if f.missing_since_ns is None}
        assert there.keys() == on_disk.keys()
        present = set()
        for name, file in there.items():
            data = on_disk[name].read_bytes()
            if data.startswith(b"picture|truncated"):
                assert file.stage.value == "set-aside", name
                continue
            content = view.content(file.content)
            assert content.digest == blake3.blake3(data).digest(), name
            present.add((file.content, data.split(b"|")[1]))
        pairs = {(a[0], b[0]) for a, b in combinations(sorted(present), 2) if a[1] == b[1]}
        edges = [(e.a, e.b) for e in view.edges()]
        assert pairs <= set(edges)
        assert view.counts().files_pending == view.counts().contents_unlinked == 0
        assert len(bench.index) == view.counts().contents
    assert bench.intake.is_idle
    assert bench.describe.is_idle


def run_history(bench, history):
    bench.write("anchor/stays.jpg", "anchor")  # a root that is emptied would not be believed
    bench.settle_all()
    owed = []
    for step in history:
        (do_to_disk if step[0] in DISK else do_to_daemon)(bench, step, owed)
    settle(bench, owed)
    assert_store_is_like_disk(bench)


DISK = frozenset({"write", "delete", "move", "copy", "link", "swap", "touch", "move directory"})


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(history=st.lists(st.one_of(disk_steps, disk_steps, daemon_steps), min_size=12, max_size=40))
def test_in_the_end_the_store_says_what_the_disk_says(make_bench_at, history):
    with tempfile.TemporaryDirectory() as folder:
        bench = make_bench_at(Path(folder))
        try:
            run_history(bench, history)
        finally:
            bench.close()
        assert check(Path(folder) / "state").is_clean
