"""A real server on a real socket over the real store; behind the other ports small stand-ins with fixed answers."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from fakes.cleanup import PlainCleanup
from fakes.control import MODEL, StillControl
from fakes.groups import FixedGroups
from fakes.image_reader import NOW_NS, PrefixReader, decoded_image
from fakes.matcher import LaidMatcher
from fakes.report_source import LibraryReports
from fakes.similar import LaidSimilar

from dedupd.api.admins import Admins
from dedupd.api.app import Application
from dedupd.api.limits import Limits
from dedupd.api.listen import ListeningSocket, bind_socket
from dedupd.api.server import ApiServer
from dedupd.client.cleaning import CleaningClient
from dedupd.core.grouping import Group, Member
from dedupd.core.ports import (
    Descriptor,
    NewContent,
)
from dedupd.core.records import (
    FilePath,
    FileRecord,
    FileStage,
    FileStat,
    Problem,
    ProblemCode,
    Relation,
    RootId,
    RootRecord,
    RootState,
)
from dedupd.daemon.backup import backup_pieces
from dedupd.store.library import LmdbLibrary
from dedupd.store.preview_cache import DiskPreviewCache


@dataclass
class Stand:
    """The daemon's API as a test drives it."""

    base: Path
    library: LmdbLibrary
    reader: PrefixReader
    matcher: LaidMatcher
    similar: LaidSimilar
    groups: FixedGroups
    control: StillControl
    previews: DiskPreviewCache
    cleanup: PlainCleanup | None
    admins: Admins | None = None
    bodies: dict[bytes, bytes] = field(default_factory=dict)  # absolute path → what the library says is there
    roots: dict[str, RootId] = field(default_factory=dict)
    app: Application | None = None
    server: ApiServer | None = None
    listening: ListeningSocket | None = None
    max_image_bytes: int = 1024 * 1024
    limits: Limits = field(default_factory=Limits)

    @property
    def socket_path(self) -> Path:
        return self.base / "run" / "dedupd.sock"

    @property
    def client(self) -> CleaningClient:
        return CleaningClient(self.socket_path)

    def start(self):
        self.app = Application(
            library=self.library,
            reader=self.reader,
            matcher=self.matcher,
            similar=self.similar,
            groups=self.groups,
            control=self.control,
            reports=LibraryReports(self.library, self.groups, self.previews),
            preview_of=self.previews.get,
            upload_dir=self.base,
            max_image_bytes=self.max_image_bytes,
            cleanup=self.cleanup,
            admins=self.admins,
            make_backup=self.backed_up,
        )
        self.listening = bind_socket(self.socket_path)
        self.server = ApiServer(self.app, self.listening.socket, self.limits)
        self.server.start()

    def backed_up(self) -> Iterator[bytes]:
        """The state as one tar file."""
        with tempfile.TemporaryFile(dir=self.base) as store:
            self.library.copy_to(store)
            return iter(list(backup_pieces(self.base / "state", store)))

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
        if body is not None and not missing:
            self.bodies[self.path(root, relative)] = body
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

    def write_to_disk(self):
        """Write the photos that the library knows, as it knows them."""
        for path, body in self.bodies.items():
            file = Path(os.fsdecode(path))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)
            os.utime(file, ns=(NOW_NS, NOW_NS))

    def on_disk(self):
        """What is on disk now, as `bodies`."""
        return {path: Path(os.fsdecode(path)).read_bytes() for path in self.bodies if os.path.lexists(path)}

    def tell(self, *facts):
        with self.library.transaction() as txn:
            return [txn.append(fact, NOW_NS) for fact in facts]


@contextmanager
def running_stand(base) -> Iterator[Stand]:
    library = LmdbLibrary(base / "state", map_bytes=64 * 1024 * 1024)
    groups = FixedGroups(library=library)
    stand = Stand(
        base=base,
        library=library,
        reader=PrefixReader(),
        matcher=LaidMatcher(library),
        similar=LaidSimilar(library),
        groups=groups,
        control=StillControl(library),
        previews=DiskPreviewCache(base / "previews"),
        cleanup=PlainCleanup(library=library, groups=groups, base=base / "quarantine", now_ns=NOW_NS),
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


@pytest.fixture
def cleanable(album) -> Stand:
    """The album with its photos on disk, so that they can be cleaned up."""
    album.write_to_disk()
    return album


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
    return Member(content=content, relation=relation, similarity=0.97, reason="half the size", probability=0.9995)


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
