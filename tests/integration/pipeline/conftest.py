"""One bench for the flow: the real store, lister, index and stages, driven step by step in the test's own thread.

Only the disk's hints, the clock and the pictures are played. A "picture" here is a short text that names its scene:
two files of one scene are the same picture saved again, so that a hundred tests cost no decoding.
"""

import os
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

import blake3
import numpy as np
import pytest

from dedupd.core.errors import RetryError
from dedupd.core.events import DuplicateFound
from dedupd.core.ignore_rules import IgnoreRules
from dedupd.core.ports import DecodedImage, Descriptor, DirtyDirectory, Model, ReadFile
from dedupd.core.records import (
    Capture,
    Evidence,
    FilePath,
    Geometry,
    ModelTag,
    Problem,
    ProblemCode,
    Quality,
    RootId,
)
from dedupd.core.settle import Settling
from dedupd.daemon.build import stat_of
from dedupd.index.exact_index import ExactIndex
from dedupd.pipeline.compare import Comparer
from dedupd.pipeline.describe import Describe
from dedupd.pipeline.generation_book import FurtherModel, GenerationBook
from dedupd.pipeline.generations import Generations
from dedupd.pipeline.group_book import GroupBook
from dedupd.pipeline.intake import Intake
from dedupd.pipeline.link import Link
from dedupd.pipeline.rates import Rates
from dedupd.pipeline.roots import RootBook
from dedupd.pipeline.similar import SimilarFinder
from dedupd.pipeline.small_pictures import SmallPictures
from dedupd.sources.local_scan import LocalLister
from dedupd.store import DiskPreviewCache, LmdbLibrary

DIM = 32
AGED_S = 3600  # files look as if written an hour ago, so that one look is enough


class HandClock:
    """Stands still until a test moves it."""

    def __init__(self):
        self.s = 1000.0
        self.wall = 1_800_000_000_000_000_000

    def monotonic_s(self):
        return self.s

    def wall_ns(self):
        self.wall += 1  # no two moments are the same, as in life
        return self.wall

    def advance(self, seconds):
        self.s += seconds
        self.wall += int(seconds * 1e9)


class HurriedClock:
    """The hand clock's wall time; a monotonic time that runs away, so that no batch waits for company."""

    def __init__(self, hand):
        self._hand = hand
        self._s = 0.0

    def monotonic_s(self):
        self._s += 0.2
        return self._s

    def wall_ns(self):
        return self._hand.wall_ns()


class ScriptedChanges:
    """A `ChangeSource` that says what the test put in."""

    def __init__(self):
        self.dirty = []

    def start(self, roots): ...

    def set_roots(self, roots): ...

    def take(self, timeout_s):
        taken, self.dirty = self.dirty, []
        return taken

    def health(self):
        return []

    def close(self): ...


def encoded(scene, variant="", form="JPEG"):
    return f"picture|{scene}|{variant}|{form}".encode()


def _problem(code, detail):
    return Problem(code=code, detail=detail, at_ns=0, retry_at_ns=None)


def _vector(scene):
    """Unit length; "beach@0", "beach@1", … are views of one scene, each near the next, far from the one after it."""
    name, _, turn = scene.partition("@")
    rng = np.random.default_rng(int.from_bytes(blake3.blake3(name.encode()).digest(4), "big"))
    first, second = np.linalg.qr(rng.normal(size=(DIM, 2)))[0].T
    angle = np.deg2rad(30 * int(turn or 0))  # cos 30° = 0.87, cos 60° = 0.5
    return (first * np.cos(angle) + second * np.sin(angle)).astype(np.float32)


def _small(scene):
    """A small image that says its scene in its first bytes."""
    return np.frombuffer(scene.encode().ljust(96, b"\0")[:96], np.uint8).reshape(4, 8, 3)


class PlayedReader:
    """An `ImageReader` of played pictures: answers at once, or, while `is_held`, when the test says so."""

    def __init__(self):
        self.is_held = False
        self.held = []
        self.read_paths = []
        self.decoded = []  # paths
        self.unpacked = []  # previews
        self.compared = []  # pairs of previews
        self.urgency = []  # with which priority
        self.compared_fully = []  # pairs of paths
        self.is_failing = False  # no worker can be started
        self.refused = {}  # path → Problem, instead of reading
        self.compare_hook = lambda: None
        self.glanced = []  # lists of pairs of previews
        self.glance_problem = None  # what every glance is answered with
        self.may_be_alike = lambda a, b: True

    def read(self, path, *, is_known, priority):
        future = Future()
        self.read_paths.append(path)
        if self.is_held:
            self.held.append((future, path, is_known))
        else:
            self._answer(future, path, is_known)
        return future

    def release(self, *, keep_held=False):
        held, self.held = self.held, []
        self.is_held = keep_held
        for future, path, is_known in held:
            self._answer(future, path, is_known)

    def read_now(self, path):
        """Answer one held request with what the file holds now; the commit comes with the next step."""
        for item in list(self.held):
            if item[1] == path:
                self.held.remove(item)
                self._answer(*item)

    def _answer(self, future, path, is_known):
        if self.is_failing:
            future.set_exception(RetryError("no decode worker can be started"))
            return
        future.set_result(self.refused.get(path) or self._read(path, is_known))

    def _read(self, path, is_known):
        stat = stat_of(path)
        if stat is None:
            return _problem(ProblemCode.IO_ERROR, "it vanished before it was read")
        data = Path(os.fsdecode(path)).read_bytes()
        if not data:
            return _problem(ProblemCode.EMPTY, "the file holds no bytes")
        digest = blake3.blake3(data).digest()
        if data.startswith(b"picture|killer"):  # the pool asks again for the second attempt
            answers = [is_known(digest), is_known(digest)]
            image = None if any(answers) else _problem(ProblemCode.DECODER_DIED, "the decoder died on it twice")
            return ReadFile(digest=digest, stat=stat, image=image)
        if is_known(digest):
            return ReadFile(digest=digest, stat=stat, image=None)
        self.decoded.append(path)
        parts = data.decode(errors="replace").split("|")
        if parts[0] != "picture":
            return ReadFile(digest=digest, stat=stat, image=_problem(ProblemCode.NOT_AN_IMAGE, "no picture format"))
        if parts[1] == "truncated":
            return ReadFile(digest=digest, stat=stat, image=_problem(ProblemCode.TRUNCATED, "it ends too early"))
        image = DecodedImage(
            format=parts[3],
            width_px=800,
            height_px=600,
            image_digest=None,
            capture=Capture(),
            quality=Quality(sharpness=1.0, information=5.0),
            decoder="played",
            small=_small(parts[1]),
            preview=data,
        )
        return ReadFile(digest=digest, stat=stat, image=image)

    def read_descriptor(self, fd, *, priority):
        raise NotImplementedError

    def pixel_digest(self, path, *, priority):
        raise NotImplementedError  # the played evidence never asks for it

    def decode_preview(self, preview, *, priority):
        future = Future()
        self.unpacked.append(preview)
        if self.is_failing:
            future.set_exception(RetryError("no decode worker can be started"))
            return future
        parts = preview.decode(errors="replace").split("|")
        is_played = parts[0] == "picture"
        future.set_result(
            _small(parts[1]) if is_played else _problem(ProblemCode.DAMAGED, "the stored preview is broken")
        )
        return future

    def glance(self, previews, pairs, *, priority):
        future = Future()
        if self.is_failing:
            future.set_exception(RetryError("no decode worker can be started"))
            return future
        self.glanced.append([(previews[a], previews[b]) for a, b in pairs])
        future.set_result(self.glance_problem or tuple(self.may_be_alike(previews[a], previews[b]) for a, b in pairs))
        return future

    def compare(self, a, b, *, priority):
        future = Future()
        if self.is_failing:
            future.set_exception(RetryError("no decode worker can be started"))
            return future
        self.compare_hook()
        self.compared.append((a.preview, b.preview))
        self.urgency.append(priority)
        is_same = a.preview.split(b"|")[1].split(b"@")[0] == b.preview.split(b"|")[1].split(b"@")[0]
        geometry = Geometry(
            scale=1.0, rotation_deg=0.0, is_mirrored=False, overlap_of_a=1.0, overlap_of_b=1.0, inliers=100
        )
        future.set_result(
            Evidence(
                method="features",
                similarity=0.9 if is_same else 0.0,
                geometry=geometry if is_same else None,
                residual_low=0.9,
                worst_region=0.0,
                motion_px=0.0,
                tone_change=0.0,
                textured_windows=100,
                band_errors=(0.0,) * 4,
                band_lows=(0.0,) * 4,
            )
        )
        return future

    def compare_fully(self, a, b, evidence, *, priority):
        """Pictures of the variant "reshot" turn out to have noise of their own in full size."""
        future = Future()
        self.compared_fully.append((a.source, b.source))
        shown = []
        for side in (a, b):
            if stat_of(side.source) is None:
                future.set_result(_problem(ProblemCode.IO_ERROR, "it vanished before it was read"))
                return future
            data = Path(os.fsdecode(side.source)).read_bytes()
            if blake3.blake3(data).digest() != side.digest:
                future.set_result(_problem(ProblemCode.CHANGING, "the file holds another picture by now"))
                return future
            shown.append(data.split(b"|")[2])
        noise = 0.0 if b"reshot" in shown else 0.9
        future.set_result(replace(evidence, fine_px=600, fine_noise_correlation=noise))
        return future

    def close(self): ...


class PlayedEmbedder:
    """Descriptors of the scenes that `PlayedReader` decoded."""

    def __init__(self):
        self.model = Model(tag=ModelTag("played-1"), dim=DIM, candidate_similarity=0.8)
        self.is_broken = False

    def embed(self, batch):
        future = Future()
        if self.is_broken:
            future.set_exception(RuntimeError("the model failed"))
            return future
        descriptors = []
        for item in batch:
            scene = item.small.tobytes().rstrip(b"\0").decode()
            vector = _vector(scene)[None, :]
            descriptors.append(Descriptor(stored=vector, queries=vector))
        future.set_result(descriptors)
        return future

    def close(self): ...


class PlayedModel:
    """A further model: to it all turns of a scene are one picture, and "beach-day" and "beach-night" are near.

    Answers at once, or, while `is_held`, when the test says so.
    """

    def __init__(self, tag="further-1", *, candidate_similarity=0.8):
        self.model = Model(tag=ModelTag(tag), dim=16, candidate_similarity=candidate_similarity)
        self.is_held = False
        self.held = []
        self.error = None  # what every batch fails with
        self.poison = set()  # scenes that it fails on
        self.embedded = []  # scenes
        self.batches = []  # sizes

    def embed(self, batch):
        future = Future()
        scenes = [item.small.tobytes().rstrip(b"\0").decode() for item in batch]
        if self.is_held:
            self.held.append((future, scenes))
        else:
            self._answer(future, scenes)
        return future

    def release(self):
        self.is_held = False
        held, self.held = self.held, []
        for future, scenes in held:
            self._answer(future, scenes)

    def _answer(self, future, scenes):
        self.batches.append(len(scenes))
        if self.error is not None:
            future.set_exception(self.error)
        elif self.poison & set(scenes):
            future.set_exception(ValueError("it failed on a picture"))
        else:
            self.embedded += scenes
            rows = [self._vector(scene)[None, :] for scene in scenes]
            future.set_result([Descriptor(stored=row, queries=row) for row in rows])

    def _vector(self, scene):
        name = scene.partition("@")[0]
        vector = self._noise(name.partition("-")[0]) + 0.3 * self._noise(name)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    def _noise(self, text):
        seed = int.from_bytes(blake3.blake3(f"{self.model.tag} {text}".encode()).digest(4), "big")
        vector = np.random.default_rng(seed).normal(size=self.model.dim)
        return vector / np.linalg.norm(vector)

    def close(self): ...


class CrashedError(AssertionError):
    pass


def _refuse_crash(stage, error):
    raise CrashedError(f"stage {stage}: {error!r}") from error


@dataclass
class Known:
    """One file as the store knows it, for short assertions."""

    stage: str
    content: int | None
    is_missing: bool


class Bench:
    def __init__(
        self, tmp_path, *, roots=("photos",), ignore=(), lister=None, index=None, settle_limit=100_000, around=None
    ):
        self.tmp_path = tmp_path
        self._around = around or (lambda _port, part: part)  # what stands between the stages and each port
        self.clock = HandClock()
        self.reader = self._around("reader", PlayedReader())
        self.larger = []  # indexes that were said to have become larger
        self.embedder = self._around("embedder", PlayedEmbedder())
        self.further = []  # models beside it: (name, embedder); what is put here counts from the next opening on
        self.changes = ScriptedChanges()
        self.ignore = ignore
        self._lister = lister
        self._index = index
        self._settle_limit = settle_limit
        self.root_paths = [tmp_path / name for name in roots]
        for path in self.root_paths:
            path.mkdir(parents=True, exist_ok=True)
        self.photos = self.root_paths[0]
        self.library = None
        self.open()

    def open(self):
        """Build everything on the state directory, as a start of the daemon does."""
        around = self._around
        self.library = around("library", LmdbLibrary(self.tmp_path / "state", map_bytes=1 << 30))
        self.previews = around("previews", DiskPreviewCache(self.tmp_path / "state" / "previews"))
        self.lister = around(
            "lister", self._lister or LocalLister(IgnoreRules([os.fsencode(glob) for glob in self.ignore]))
        )
        self.index = around("index", self.opened_index())
        self.groups = GroupBook(self.library)
        self.groups.load()
        self.rates = Rates()
        hurried = HurriedClock(self.clock)
        self.roots = RootBook(library=self.library, lister=self.lister, clock=self.clock, stat_of=stat_of)
        self.comparer = Comparer(
            library=self.library,
            reader=self.reader,
            previews=self.previews,
            clock=hurried,
            rates=self.rates,
            root_paths=self.roots.paths,
        )
        self.link = Link(
            library=self.library,
            index=self.index,
            model=self.embedder.model,
            comparer=self.comparer,
            groups=self.groups,
            clock=self.clock,
            candidates=32,
            on_crash=_refuse_crash,
        )
        self.book = GenerationBook(
            library=self.library,
            further=[FurtherModel(name=name, embedder=embedder) for name, embedder in self.further],
            make_index=lambda _tag, dim: ExactIndex(dim),
        )
        self.generations = Generations(
            library=self.library,
            book=self.book,
            pictures=SmallPictures(reader=self.reader, previews=self.previews, paths_of=self.comparer.paths_of),
            clock=self.clock,
            candidates=8,
            is_settled=lambda: self.intake.is_idle and self.describe.is_idle,
            on_suggested=self.link.suggested,
            on_larger=self.larger.append,
            on_crash=_refuse_crash,
        )
        self.similar = SimilarFinder(library=self.library, embedder=self.embedder, index=self.index, book=self.book)
        self.describe = Describe(
            library=self.library,
            reader=self.reader,
            embedder=self.embedder,
            previews=self.previews,
            clock=hurried,
            rates=self.rates,
            root_path=self.roots.online_path,
            stat_of=stat_of,
            ties=self.groups.ties,
            has_room=self.link.has_room,
            on_described=self.link.notice,
            workers=2,
            on_crash=_refuse_crash,
            on_vanished=lambda path: self.intake.look_again(path),  # noqa: PLW0108 - it is made after this
        )
        self.told_settling = 0
        self.intake = Intake(
            library=self.library,
            lister=self.lister,
            changes=self.changes,
            settling=Settling(limit=self._settle_limit),
            roots=self.roots,
            clock=self.clock,
            stat_of=stat_of,
            on_settling=self._count_settling,
            on_arrival=self.describe.arrive,
            on_pending=self.describe.notice,
            on_crash=_refuse_crash,
            on_reread=self.describe.expect,
        )
        self.roots.configure([os.fsencode(path) for path in self.root_paths])
        self.intake._prepare()
        self.link._prepare()
        self.generations._prepare()

    def _count_settling(self):
        self.told_settling += 1

    def opened_index(self):
        """The index of everything that is linked."""
        index = self._index or ExactIndex(DIM)
        with self.library.view() as view:
            for content, vectors in view.all_vectors():
                index.add([content], [vectors])
        return index

    def reopen(self):
        """Stop without any farewell of the stages and start again."""
        self.library.close()
        self.open()
        return self

    # ------------------------------------------------------------------------------------------------------- the disk

    def write(self, name, scene, variant="", *, form="JPEG", root=None, age_s=AGED_S):
        path = (root or self.photos) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(scene if isinstance(scene, bytes) else encoded(scene, variant, form))
        self.age(path, age_s)
        return path

    def age(self, path, age_s=AGED_S):
        then_ns = self.clock.wall - int(age_s * 1e9)
        os.utime(path, ns=(then_ns, then_ns))

    # ------------------------------------------------------------------------------------------------------- the flow

    def dirty(self, *directories, closed=(), is_recursive=False, root=1):
        for directory in directories:
            self.changes.dirty.append(
                DirtyDirectory(
                    root=RootId(root),
                    directory=os.fsencode(directory),
                    closed=frozenset(map(os.fsencode, closed)),
                    is_recursive=is_recursive,
                )
            )
        self.look()

    def look(self, steps=2):
        for _ in range(steps):
            self.intake._step()

    def ripen(self):
        """Let what is noticed gone, settling or set back become due."""
        for _ in range(3):
            self.clock.advance(2.5)
            self.look()

    def scan(self):
        self.intake.scan(None)
        self.look()

    def read(self, limit=60):
        """Describe what can be described now; fails where it goes on for ever."""
        for _ in range(limit):
            before = self.state()
            self.read_once()
            if self.describe.is_idle and self.state() == before and self.describe._results.empty():
                return
        pytest.fail(f"describe was still at it after {limit} steps: {self.reader.read_paths[-3:]}")

    def read_once(self):
        """One step of the describe stage, whatever is left to do after it."""
        self.describe.notice()
        self.describe._step()

    def state(self):
        with self.library.view() as view:
            return view.counts(), view.sequence()

    def compare(self):
        with self.library.view() as view:
            if not view.counts().contents_unlinked and not self.link._removed:
                return
        self.link._news.set()
        self.link._step()

    def work(self):
        self.read()
        self.compare()

    def nudge(self, steps=1):
        """Some steps of the generations' stage, without its waiting for news at their end."""
        for _ in range(steps):
            if not (self.generations._load() or self.generations._advance()):
                self.generations._complete()

    def grow(self, limit=200):
        """Have the further models look at everything; fails where it goes on for ever."""
        for _ in range(limit):
            if self.generations.is_idle:
                self.generations._complete()
                if self.generations.is_idle:  # being complete, it may let another go
                    return self
            self.generations._step()
        pytest.fail(f"the models were still at it after {limit} steps")

    def look_at_suggested(self):
        """Have the link stage look at what the further models suggest."""
        while self.counts().pairs_suggested:
            self.link.suggested()
            self.link._step()
        return self

    def settle_all(self):
        """Scan, read and compare until nothing is left to do."""
        self.scan()
        self.work()
        self.ripen()
        self.work()
        return self

    # ------------------------------------------------------------------------------------------------------ what is so

    def path(self, name, root=1):
        directory, _, base = name.rpartition("/")
        return FilePath(root=RootId(root), directory=os.fsencode(directory), name=os.fsencode(base))

    def record(self, name, root=1):
        with self.library.view() as view:
            return view.file(self.path(name, root))

    def known(self):
        """Relative path → stage, "missing" for what is marked so."""
        with self.library.view() as view:
            return {
                os.fsdecode(f.path.relative()): "missing" if f.missing_since_ns is not None else f.stage.value
                for f in view.files()
            }

    def events(self, kind=None):
        with self.library.view() as view:
            return [e.fact for e in view.events(0, 10_000) if kind is None or isinstance(e.fact, kind)]

    def told(self):
        """The files of DuplicateFound events, in the order of telling."""
        return [os.fsdecode(fact.path.relative()) for fact in self.events(DuplicateFound)]

    def edges(self):
        with self.library.view() as view:
            return [(edge.a, edge.b) for edge in view.edges()]

    def counts(self):
        with self.library.view() as view:
            return view.counts()

    def root_record(self, root=1):
        with self.library.view() as view:
            return view.root(RootId(root))

    def close(self):
        self.library.close()


class VeiledLister:
    """The real lister, but some directories cannot be read, as after chmod 000 or with a disk mounted over them."""

    def __init__(self, ignore=()):
        self._real = LocalLister(IgnoreRules(ignore))
        self.veiled = set()  # cannot be read themselves
        self.covered = set()  # another filesystem lies over them: what is below is simply not there
        self.listed = []

    def listing(self, root, directory):
        self.listed.append(directory)
        if directory in self.veiled or directory in self.covered:
            bare = self._real.listing(root, b"no/such/directory")
            return replace(bare, directory=directory, is_complete=False, trouble="played")
        if any(directory.startswith(place + b"/") for place in self.covered):
            return replace(self._real.listing(root, b"no/such/directory"), directory=directory)
        listing = self._real.listing(root, directory)
        prefix = directory + b"/" if directory else b""
        shown = tuple(name for name in listing.subdirectories if prefix + name not in self.covered)
        return replace(listing, subdirectories=shown)

    def identify(self, path):
        return self._real.identify(path)


@pytest.fixture
def make_bench(tmp_path):
    benches = []

    def make(**options):
        benches.append(Bench(tmp_path, **options))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()


@pytest.fixture
def bench(make_bench):
    return make_bench()


@pytest.fixture
def veiled_lister():
    return VeiledLister()


@pytest.fixture(scope="session")
def make_bench_at():
    """For tests that need many benches: in a folder of their own, closed by them."""
    return Bench


@pytest.fixture(scope="session")
def make_model():
    return PlayedModel
