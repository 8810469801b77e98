"""A real server on a real socket over the real store; behind the other ports small stand-ins with fixed answers."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3

from dedupd.api.app import Application
from dedupd.api.listen import ListeningSocket, bind_socket
from dedupd.api.server import ApiServer
from dedupd.client import Client
from dedupd.core.errors import NotFoundError, RequestError
from dedupd.core.grouping import Group, Member
from dedupd.core.ports import (
    Activity,
    DecodedImage,
    Descriptor,
    FoundMatch,
    NewContent,
    Priority,
    Progress,
    ReadFile,
    RootProgress,
    WatchHealth,
    WatchState,
)
from dedupd.core.records import (
    Box,
    Capture,
    ContentId,
    Edge,
    Evidence,
    FilePath,
    FileRecord,
    FileStage,
    FileStat,
    Geometry,
    ModelTag,
    Problem,
    ProblemCode,
    Quality,
    Relation,
    RootId,
    RootRecord,
    RootState,
)
from dedupd.reporting.render import ReportFormat, render
from dedupd.reporting.report import draft_report
from dedupd.store.library import LmdbLibrary
from dedupd.store.preview_cache import DiskPreviewCache

NOW_NS = 1_760_000_000_000_000_000
MODEL = ModelTag("test-1")


def decoded_image(size_px=64):
    return DecodedImage(
        format="JPEG",
        width_px=size_px,
        height_px=size_px // 2,
        image_digest=None,
        capture=Capture(taken_at_ms=1_714_564_800_250, make="Canon", model="Canon EOS R5"),
        quality=Quality(sharpness=10.0, information=5.0, jpeg_quality=90),
        decoder="test",
        small=np.zeros((8, 16, 3), np.uint8),
        preview=b"\xff\xd8 small \xff\xd9",
    )


class Reader:
    """Bytes that begin with PIC are a picture."""

    def __init__(self):
        self.is_stuck = False

    def read_descriptor(self, fd: int, *, priority: Priority) -> "Future[ReadFile | Problem]":
        future: Future[ReadFile | Problem] = Future()
        if self.is_stuck:
            os.close(fd)
            return future
        with os.fdopen(fd, "rb") as file:
            body = file.read()
            status = os.fstat(file.fileno())
        stat = FileStat(dev=status.st_dev, ino=status.st_ino, size_bytes=len(body), mtime_ns=0, ctime_ns=0)
        image = decoded_image()
        if not body.startswith(b"PIC"):
            image = Problem(code=ProblemCode.NOT_AN_IMAGE, detail="no picture", at_ns=NOW_NS, retry_at_ns=None)
        future.set_result(ReadFile(digest=blake3(body).digest(), stat=stat, image=image))
        return future


class Matcher:
    """Answers with what a test laid down, beside the same bytes that the store knows."""

    def __init__(self, library):
        self._library = library
        self.answers: dict[bytes, list[FoundMatch]] = {}
        self.fault: Exception | None = None

    def find(self, read: ReadFile, *, pixel_digest) -> list[FoundMatch]:
        if self.fault is not None:
            raise self.fault
        with self._library.view() as view:
            known = view.content_by_digest(read.digest)
        found = []
        if known is not None:
            found = [FoundMatch(content=known.id, relation=Relation.SAME_BYTES, similarity=1.0, reason="same bytes")]
        return found + self.answers.get(read.digest, [])

    def explain(self, a: ContentId, b: ContentId) -> Edge:
        evidence = Evidence(
            method="dense",
            similarity=0.987,
            geometry=Geometry(
                scale=0.5, rotation_deg=0.0, is_mirrored=False, overlap_of_a=1.0, overlap_of_b=1.0, inliers=0
            ),
            residual_low=0.9,
            worst_region=0.01,
            motion_px=0.2,
            tone_change=0.0,
            differences=(Box(left=0.1, top=0.2, right=0.3, bottom=0.4),),
        )
        return Edge(
            a=a,
            b=b,
            relation=Relation.RE_ENCODED,
            similarity=0.987,
            reason="The same whole picture at half the size.",
            evidence=evidence,
            verifier="rules-1",
            found_at_ns=NOW_NS,
        )


class Groups:
    def __init__(self):
        self.groups: list[Group] = []

    def all(self, relations):
        chosen = (
            replace(group, members=tuple(m for m in group.members if m.relation in relations)) for group in self.groups
        )
        return [group for group in chosen if group.members]

    def find(self, group):
        return next((g for g in self.groups if g.id == group), None)

    def holding(self, content):
        return next((g for g in self.groups if content in g.contents), None)


class Control:
    def __init__(self, library):
        self._library = library
        self.rescans: list = []
        self.on_rescan: Callable[[], None] = lambda: None
        self.activity = Activity.SCANNING

    def progress(self) -> Progress:
        with self._library.view() as view:
            counts, roots = view.counts(), view.roots()
        health = WatchHealth(
            root=RootId(1),
            state=WatchState.PARTIAL,
            watched_directories=5,
            unwatched_directories=2,
            overflows=0,
            message="Watches ran out: sysctl fs.inotify.max_user_watches=524288",
        )
        shown = tuple(
            RootProgress(
                root=root, health=health if root.is_watched else None, files=3, others={".mp4": 2}, is_scanning=False
            )
            for root in roots
        )
        return Progress(
            activity=self.activity,
            started_at_ns=NOW_NS,
            counts=counts,
            roots=shown,
            read_total=10,
            decoded_total=8,
            compared_total=4,
            images_per_s=12.5,
            eta_s=200.0,
            degraded=("The disk is nearly full: free some space.",),
            workers=2,
            index_kind="exact",
            indexed=5,
            model=MODEL,
        )

    def rescan(self, roots):
        self.rescans.append(roots)
        self.on_rescan()

    def accept_root(self, root):
        with self._library.transaction() as txn:
            known = txn.root(root)
            if known is None:
                raise NotFoundError(f"There is no root {root}.")
            txn.put_root(replace(known, state=RootState.ONLINE, state_reason=""))

    def forget_root(self, root):
        with self._library.transaction() as txn:
            if txn.root(root).is_watched:
                raise RequestError("The root is still configured: take it out of the configuration first.")
            return txn.remove_root(root)


@dataclass
class Reports:
    library: LmdbLibrary
    groups: Groups
    previews: DiskPreviewCache

    def draft(self, relations):
        with self.library.view() as view:
            return draft_report(
                view, self.groups, relations=relations, keep_policy="largest picture first", now_ns=NOW_NS
            )

    def render(self, report, report_format, /):
        return render(report, ReportFormat(report_format), self.previews.get)


@dataclass
class Stand:
    """The daemon's API as a test drives it."""

    base: Path
    library: LmdbLibrary
    reader: Reader
    matcher: Matcher
    groups: Groups
    control: Control
    previews: DiskPreviewCache
    roots: dict[str, RootId] = field(default_factory=dict)
    server: ApiServer | None = None
    listening: ListeningSocket | None = None
    max_image_bytes: int = 1024 * 1024

    @property
    def socket_path(self) -> Path:
        return self.base / "run" / "dedupd.sock"

    @property
    def client(self) -> Client:
        return Client(self.socket_path)

    def start(self):
        app = Application(
            library=self.library,
            reader=self.reader,
            matcher=self.matcher,
            groups=self.groups,
            control=self.control,
            reports=Reports(self.library, self.groups, self.previews),
            previews=self.previews,
            upload_dir=self.base,
            max_image_bytes=self.max_image_bytes,
        )
        self.listening = bind_socket(self.socket_path)
        self.server = ApiServer(app, self.listening.socket)
        self.server.start()

    def stop(self) -> bool:
        has_ended = self.server is None or self.server.stop(5.0)
        if self.listening is not None:
            self.listening.close()
        self.server = self.listening = None
        return has_ended

    def add_root(self, name, *, state=RootState.ONLINE, reason="", is_watched=True) -> RootId:
        with self.library.transaction() as txn:
            root = txn.new_root_id()
            txn.put_root(
                RootRecord(
                    id=root,
                    path=os.fsencode(self.base) + b"/" + os.fsencode(name),
                    identity=None,
                    state=state,
                    state_reason=reason,
                    last_full_scan_ns=NOW_NS,
                    added_at_ns=NOW_NS,
                    is_watched=is_watched,
                )
            )
        self.roots[name] = root
        return root

    def path(self, root: str, relative: bytes) -> bytes:
        return os.fsencode(self.base) + b"/" + os.fsencode(root) + b"/" + relative

    def add_file(self, root, relative: bytes, body: bytes | None, *, ino=None, missing=False, problem=None):
        """Lay a file down in the store (not on disk); returns its content's id."""
        directory, _, name = relative.rpartition(b"/")
        path = FilePath(root=self.roots[root], directory=directory, name=name)
        size_bytes = 7 if body is None else len(body)
        with self.library.transaction() as txn:
            content = None
            if body is not None:
                vectors = np.eye(1, 4, dtype=np.float32)
                new = NewContent(
                    digest=blake3(body).digest(),
                    size_bytes=size_bytes,
                    image=decoded_image(),
                    descriptor=Descriptor(stored=vectors, queries=vectors),
                    first_seen_ns=NOW_NS,
                )
                content = txn.add_content(new, MODEL).id
            txn.put_file(
                FileRecord(
                    path=path,
                    stat=FileStat(
                        dev=1,
                        ino=hash(path) % 2**40 if ino is None else ino,
                        size_bytes=size_bytes,
                        mtime_ns=NOW_NS,
                        ctime_ns=NOW_NS,
                    ),
                    stage=FileStage.SET_ASIDE if problem else FileStage.INDEXED,
                    content=content,
                    first_seen_ns=NOW_NS,
                    missing_since_ns=NOW_NS if missing else None,
                    problem=problem,
                )
            )
        return content

    def add_problem(self, root, relative: bytes, code=ProblemCode.DAMAGED, detail="the decoder refused it"):
        problem = Problem(code=code, detail=detail, at_ns=NOW_NS, retry_at_ns=None)
        self.add_file(root, relative, None, problem=problem)

    def tell(self, *facts):
        with self.library.transaction() as txn:
            return [txn.append(fact, NOW_NS) for fact in facts]


@contextmanager
def running_stand(base) -> Iterator[Stand]:
    library = LmdbLibrary(base / "state", map_bytes=64 * 1024 * 1024)
    stand = Stand(
        base=base,
        library=library,
        reader=Reader(),
        matcher=Matcher(library),
        groups=Groups(),
        control=Control(library),
        previews=DiskPreviewCache(base / "previews"),
    )
    stand.start()
    yield stand
    stand.stop()
    library.close()


@pytest.fixture
def stand(tmp_path) -> Iterator[Stand]:
    """A running server over an empty library."""
    with running_stand(tmp_path) as stand:
        yield stand


@pytest.fixture
def album(stand) -> Stand:
    """A running server over the library of most tests."""
    return filled(stand)


@pytest.fixture(scope="module")
def shared_album(tmp_path_factory) -> Iterator[Stand]:
    """The same for tests that only ask: started once, as a start and a stop take half a second."""
    with running_stand(tmp_path_factory.mktemp("shared")) as stand:
        yield filled(stand)


def filled(stand) -> Stand:
    """Two groups, a hard link, names that are not UTF-8 or hostile, a problem, a root that is offline."""
    stand.add_root("photos")
    stand.add_root("disk", state=RootState.OFFLINE, reason="the directory is not there")
    keeper = stand.add_file("photos", b"a/one.jpg", b"PIC one", ino=1)
    stand.add_file("photos", b"a/one link.jpg", b"PIC one", ino=1)
    smaller = stand.add_file("photos", b"a/one small.jpg", b"PIC one small")
    odd = stand.add_file("photos", b"b/\xff\xfe.jpg", b"PIC odd")
    hostile = stand.add_file("photos", b"b/\x1b[2Jfake\nline.jpg", b"PIC hostile")
    stand.add_file("photos", b"gone.jpg", b"PIC gone", missing=True)
    stand.add_file("disk", b"away.jpg", b"PIC away")
    stand.add_problem("photos", b"broken.jpg")
    stand.groups.groups = [
        Group(
            id=keeper, keeper=keeper, keeper_reason="higher resolution", members=(tied(smaller, Relation.RE_ENCODED),)
        ),
        Group(id=odd, keeper=odd, keeper_reason="older", members=(tied(hostile, Relation.EDITED),), related=(smaller,)),
    ]
    stand.previews.put(keeper, decoded_image().preview)
    return stand


def tied(content, relation) -> Member:
    return Member(content=content, relation=relation, similarity=0.97, reason="half the size")


@dataclass(frozen=True)
class Said:
    """What a dedupctl process said."""

    code: int
    out: str
    err: str


@pytest.fixture
def dedupctl(stand) -> Callable[..., Said]:
    """Run dedupctl as a process of its own against the test's own server."""
    return partial(run_dedupctl, stand.socket_path)


@pytest.fixture
def shared_dedupctl(shared_album) -> Callable[..., Said]:
    """The same against the shared server."""
    return partial(run_dedupctl, shared_album.socket_path)


def run_dedupctl(socket_path, *arguments, **options) -> Said:
    command = [sys.executable, "-m", "dedupd.cli.main", "--socket", socket_path, *arguments]
    done = subprocess.run(list(map(os.fspath, command)), capture_output=True, timeout=30, check=False, **options)
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def in_background() -> Iterator[Callable]:
    """Run a function in a thread that is joined at the end of the test."""
    threads: list[threading.Thread] = []

    def run(function, *args):
        thread = threading.Thread(target=function, args=args, daemon=True)
        threads.append(thread)
        thread.start()
        return thread

    yield run
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
