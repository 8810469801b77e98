"""The whole flow at work on a state directory that something happens to, and what must be true of it afterwards.

The store, the index with its snapshots, the previews and the stages are the real ones; pictures are played. Each batch
of files is a folder: a new scene, saved once more, a copy of the same bytes, an older scene saved anew, and a loner.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter, defaultdict
from pathlib import Path

from blake3 import blake3
from fakes.bench import DIM, FlowBench

from dedupd.core.records import DUPLICATE_RELATIONS, ContentStage, FileStage
from dedupd.index.catch_up import open_index, save_snapshot
from dedupd.index.exact_index import ExactIndex
from dedupd.pipeline.group_book import GroupBook
from dedupd.store import check

FILES_A_BATCH = 5
BATCHES_A_SNAPSHOT = 3


class FlowWork(FlowBench):
    """The flow in `folder`: photos in `photos`, everything else in `state`."""

    @property
    def index_folder(self) -> Path:
        """Where the snapshots are."""
        return self.tmp_path / "state" / "index"

    def opened_index(self):
        """As the daemon opens it."""
        self.opened = open_index(self.index_folder, self.embedder.model, self.library)
        return self.opened.index

    def save_snapshot(self) -> int:
        """As the daemon saves it; returns the sequence that it holds."""
        with self.library.view() as view:
            sequence = view.sequence()
        keep_from = save_snapshot(self.index, self.index_folder, self.embedder.model, sequence)
        with self.library.transaction() as txn:
            txn.trim_vector_log(keep_from)
        return sequence

    def write(self, name, scene, variant=""):
        """A photo, there as a whole or not at all whatever happens."""
        new = super().write(f"new {os.getpid()}", scene, variant, root=self.tmp_path)
        path = self.photos / name
        path.parent.mkdir(exist_ok=True)
        return new.replace(path)

    def put_batch(self, number: int) -> str:
        """Write the photos of a batch; returns their folder."""
        folder = f"d{number}"
        self.write(f"{folder}/a.jpg", f"s{number}")
        self.write(f"{folder}/b.jpg", f"s{number}", "small")
        self.write(f"{folder}/copy of a.jpg", f"s{number}")
        self.write(f"{folder}/again.jpg", f"s{number // 2}", f"late {number}")
        self.write(f"{folder}/alone.jpg", f"alone{number}")
        return folder

    def do_batch(self, number: int) -> None:
        """A batch arrives and is dealt with to its end."""
        self.dirty(self.put_batch(number))
        self.work()

    @property
    def next_batch(self) -> int:
        """The number of the batch after all of which there is a photo."""
        return 1 + max((int(path.name[1:]) for path in self.photos.iterdir()), default=0)

    def scenes(self) -> dict[str, set[str]]:
        """What is really the same: scene → the photos of it."""
        found = defaultdict(set)
        for path in self.photos.glob("*/*.jpg"):
            found[path.read_text().split("|")[1]].add(str(path.relative_to(self.photos)))
        return found


def work_on(folder: Path, acknowledged: int, say) -> None:
    """Start on what is there, hold it to what must be true, and work until the end comes.

    Says "open" with the seconds that it took, "batch" with the number of each that is done for good, and "snapshot".
    """
    began = time.monotonic()
    work = FlowWork(folder)
    say("open", seconds=time.monotonic() - began, origin=work.opened.origin)
    check_whole(work, acknowledged)
    work.settle_all()
    check_complete(work)
    say("batch", number=work.next_batch - 1)
    for number in itertools.count(work.next_batch):
        work.do_batch(number)
        say("batch", number=number)
        if number % BATCHES_A_SNAPSHOT == 0:
            say("snapshot", sequence=work.save_snapshot())


def check_closed(folder: Path) -> None:
    """The store of a process that is gone is whole."""
    report = check(folder / "state")
    assert report.is_clean, report.findings


def check_whole(work: FlowWork, acknowledged: int) -> None:
    """Nothing of the batches that were acknowledged is lost, and what is derived is what it is derived from."""
    with work.library.view() as view:
        for number in range(1, acknowledged + 1):
            files = {file.path.name: file for file in view.files_in(1, b"d%d" % number)}
            there = {os.fsencode(path.name) for path in (work.photos / f"d{number}").iterdir()}
            assert set(files) == there, f"batch {number} lacks files"  # the end may have come while it was written
            for name, file in files.items():
                bytes_there = (work.photos / f"d{number}" / os.fsdecode(name)).read_bytes()
                assert file.stage is FileStage.INDEXED
                content = view.content(file.content)
                assert content.digest == blake3(bytes_there).digest()
                assert content.stage is ContentStage.LINKED
    check_index(work)
    check_groups(work)


def check_index(work: FlowWork) -> None:
    """The index answers as one that is made anew of the store's vectors."""
    rebuilt = ExactIndex(DIM)
    with work.library.view() as view:
        linked = dict(view.all_vectors())
    rebuilt.add(list(linked), list(linked.values()))
    assert len(work.index) == len(linked)
    assert all(content in work.index for content in linked)
    one, other = (index.search(list(linked.values()), limit=50, min_similarity=0.8) for index in (work.index, rebuilt))
    assert [{n.content for n in found} for found in one] == [{n.content for n in found} for found in other]


def check_groups(work: FlowWork) -> None:
    """The groups are those that the edges make."""
    rebuilt = GroupBook(work.library)
    rebuilt.load()
    assert by_id(work.groups) == by_id(rebuilt)


def by_id(groups: GroupBook):
    """Every group, without the order of equal ones."""
    return {group.id: group for group in groups.all(DUPLICATE_RELATIONS)}


def check_complete(work: FlowWork) -> None:
    """Everything on the disk is known, every true pair is found, and each duplicate was told once."""
    check_index(work)
    check_groups(work)
    scenes = work.scenes()
    assert set(work.known()) == set().union(*scenes.values())
    assert set(work.known().values()) <= {"indexed"}
    grouped = set()
    with work.library.view() as view:
        for group in work.groups.all(DUPLICATE_RELATIONS):
            assert not group.related
            files = (file for content in group.contents for file in view.files_of(content))
            grouped.add(frozenset(os.fsdecode(file.path.relative()) for file in files))
    assert grouped == {frozenset(paths) for paths in scenes.values() if len(paths) > 1}
    told = Counter(work.told())
    assert set(told.values()) <= {1}, "a duplicate was told twice"
    untold = {paths: paths - set(told) for paths in grouped}
    assert all(len(left) == 1 for left in untold.values()), f"one of each group came first: {untold}"
