"""The composition root: makes every part and hands each its collaborators. Read this to know what there is.

`Engine` starts its parts in the order they are listed and stops them in the mirror order.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dedupd.core.errors import ConfigError, DegradedError
from dedupd.core.events import Degraded
from dedupd.core.ignore_rules import IgnoreRules
from dedupd.core.manners import MannersRules
from dedupd.core.ports import ChangeSource
from dedupd.core.records import ContentId, FileStat, ModelTag
from dedupd.core.settle import Settling
from dedupd.core.shares import ShareRules
from dedupd.daemon.further import MakeEmbedder, device_embedders, make_further
from dedupd.daemon.grower import Grower
from dedupd.daemon.log import fields
from dedupd.daemon.memory import MemoryKeeper, ceiling_bytes
from dedupd.daemon.pressure import pressure_now, rules_of, share_rules_of
from dedupd.daemon.spending import spending_now
from dedupd.embedding.local_embedder import LocalEmbedder
from dedupd.imaging.decode_pool import DecodePool
from dedupd.imaging.decoder_versions import decoder_versions
from dedupd.imaging.limits import MIB, DecodeLimits
from dedupd.imaging.spawn import Spawned, worker_count
from dedupd.index.catch_up import OpenedIndex, fill_index, generation_vectors_of, open_index, save_snapshot
from dedupd.index.faiss_index import FaissIndex
from dedupd.pipeline.compare import Comparer
from dedupd.pipeline.describe import Describe
from dedupd.pipeline.explain import Explainer
from dedupd.pipeline.generation_book import FurtherModel, GenerationBook
from dedupd.pipeline.generations import Generations
from dedupd.pipeline.group_book import GroupBook
from dedupd.pipeline.housekeep import retry_after_upgrade
from dedupd.pipeline.intake import Intake
from dedupd.pipeline.link import Link
from dedupd.pipeline.manners import Manners
from dedupd.pipeline.matcher import LibraryMatcher
from dedupd.pipeline.rates import Rates
from dedupd.pipeline.roots import RootBook
from dedupd.pipeline.shares import Shares
from dedupd.pipeline.similar import SimilarFinder
from dedupd.pipeline.small_pictures import SmallPictures
from dedupd.pipeline.stage import OnCrash, Stage, SystemClock
from dedupd.settings.schema import Decode, Settings
from dedupd.sources.local_scan import LocalLister
from dedupd.store import DiskPreviewCache, LmdbLibrary

_log = logging.getLogger(__name__)

_MEGAPIXEL = 1_000_000
_FILL_LATER_FROM = 50_000  # contents; half a second


@dataclass(slots=True)
class Engine:
    """Everything between the disk and the answers, without API, alerts and schedule."""

    settings: Settings
    state_dir: Path
    clock: SystemClock
    manners: Manners
    library: LmdbLibrary
    previews: DiskPreviewCache
    reader: DecodePool
    embedder: LocalEmbedder
    opened: OpenedIndex
    groups: GroupBook
    rates: Rates
    roots: RootBook
    matcher: LibraryMatcher
    similar: SimilarFinder
    further: list[FurtherModel]
    book: GenerationBook
    generations: Generations
    link: Link
    describe: Describe
    changes: ChangeSource
    intake: Intake
    workers: int
    memory: MemoryKeeper

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The threads of the flow, in the order of starting: the last of the flow first, the background at the end."""
        return (self.link, self.describe, self.intake, self.generations)

    def start(self, root_paths: Sequence[Path]) -> None:
        """Begin to work: watch first, then list."""
        self.roots.configure([os.fsencode(path) for path in root_paths])
        if again := retry_after_upgrade(self.library, decoder_versions(_limits(self.settings.decode))):
            _log.info("decode.changed %s", fields(tried_again=again))
        if not self.opened.is_whole:
            self.link.before_all(self._fill_index)
        self.link.start()
        self.describe.start()
        self.changes.start(self.roots.watched())
        self.intake.scan(None)  # before it starts: else it may begin with a wait for changes
        self.intake.start()
        self.generations.start()
        self.memory.start()

    def forget(self, contents: list[ContentId]) -> None:
        """Have every stage forget contents that were removed from the store."""
        self.link.forget(contents)
        self.generations.forget(contents)

    def stop(self, timeout_s: float) -> None:
        """Stop in mirror order; what was not finished is found again at the next start."""
        for stage in reversed(self.stages):
            stage.request_stop()
        self.memory.stop()
        self.changes.close()
        self.reader.close()
        for stage in reversed(self.stages):
            if not stage.join(timeout_s):
                _log.warning("stage.slow %s", fields(stage=stage.name))
        for embedder in (*(model.embedder for model in self.further), self.embedder):
            embedder.close()
        self.library.close()

    def _fill_index(self, goes_on: Callable[[], bool]) -> None:
        """Read the index from the store, in the link thread: nothing else changes it meanwhile."""
        filled = fill_index(self.opened, self.library, goes_on)
        if filled is not None:
            self.opened = filled
            _log.info("index.filled %s", fields(contents=len(filled.index)))

    def save_snapshot(self) -> None:
        """Have the link thread write the index's snapshot between two batches."""
        self.link.between_batches(self._save_snapshot)

    def _save_snapshot(self) -> None:
        with self.library.view() as view:
            sequence = view.sequence()
            changes = view.vector_changes(self.opened.sequence) or ()
            removed = [change.content for change in changes if change.is_removal]
        if sequence == self.opened.sequence and self.opened.origin == "snapshot":
            return
        # Contents are swept by another thread, which may not have told the link stage of the last ones yet; the log
        # up to the sequence names them. Ids are never used again, so removing one twice does no harm.
        self.opened.index.remove(removed)
        try:
            keep_from = save_snapshot(self.opened.index, self.state_dir / "index", self.embedder.model, sequence)
        except DegradedError as error:
            _log.warning("index.snapshot %s", fields(error=error))
            _tell_degraded(self.library, self.clock, "index", str(error))
            return
        self.opened = OpenedIndex(index=self.opened.index, sequence=sequence, origin="snapshot")
        with self.library.transaction() as txn:
            txn.trim_vector_log(keep_from)


def build_engine(
    settings: Settings,
    state_dir: Path,
    make_changes: Callable[[IgnoreRules], ChangeSource],
    on_crash: OnCrash,
    make_embedder: MakeEmbedder | None = None,
    *,
    is_awaited: bool = False,
    started: Sequence[Spawned] = (),
    fill_later_from: int = _FILL_LATER_FROM,
) -> Engine:
    """Make every part of the engine; nothing runs yet but the decode workers' threads.

    Args:
        settings: the configuration.
        state_dir: where the store, the index and the previews are; made if it is not there.
        make_changes: what tells of changes on disk.
        on_crash: told when a stage ends by an error.
        make_embedder: makes the models beside the built-in descriptor; None: from disk, on the devices at hand.
        is_awaited: whether somebody waits for the end: then nothing holds the backlog up.
        started: decode workers that are on their way already; the others are started when they are needed.
        fill_later_from: contents from which an index that must be made anew is filled while questions are answered.

    Raises:
        StopError: the state directory or a model cannot be used; the message says why.
    """
    clock = SystemClock()
    library = LmdbLibrary(state_dir)
    try:
        tell = partial(_tell_degraded, library, clock, "model")
        further = make_further(settings, make_embedder or device_embedders(settings, state_dir, tell))
    except BaseException:
        library.close()
        raise
    previews = DiskPreviewCache(state_dir / "previews")
    ignore = ignore_rules(settings)
    lister = LocalLister(ignore)
    embedder = LocalEmbedder()
    groups = GroupBook(library)
    with ThreadPoolExecutor(1, "groups") as beside:
        loaded = beside.submit(groups.load)  # Python, while the index is read and checked by libraries
        later_from = None if is_awaited else fill_later_from
        opened = open_index(
            state_dir / "index", embedder.model, library, fill_later_from=later_from, on_due=Grower().look_at
        )
        _log.info("index.open %s", fields(origin=opened.origin, contents=len(opened.index)))
        loaded.result()
    rates = Rates()
    manners = Manners(
        library=library,
        clock=clock,
        rules=MannersRules() if is_awaited else rules_of(settings.manners),
        pressure=pressure_now,
        shares=Shares(
            clock=clock,
            rules=ShareRules() if is_awaited else share_rules_of(settings.manners),
            spending=spending_now,
            cores=len(os.sched_getaffinity(0)),
        ),
        heeds_pause=not is_awaited,
    )
    workers = worker_count(settings.decode.workers)
    reader = DecodePool(
        workers,
        limits=_limits(settings.decode, is_awaited=is_awaited),
        rest_after_s=settings.decode.rest_after_s,
        starts_warm=False,  # who starts again has most often nothing to read
        started=started,
        has_urgent=not is_awaited,  # nothing arrives in a scan that somebody waits for
    )
    roots = RootBook(library=library, lister=lister, clock=clock, stat_of=stat_of)
    comparer = Comparer(
        library=library, reader=reader, previews=previews, clock=clock, rates=rates, root_paths=roots.paths
    )
    matcher = LibraryMatcher(
        library=library,
        embedder=embedder,
        index=opened.index,
        comparer=comparer,
        groups=groups,
        explainer=Explainer(library=library, reader=reader, comparer=comparer),
        candidates=settings.match.candidates,
    )
    book = GenerationBook(library=library, further=further, make_index=partial(_generation_index, library))
    link = Link(
        library=library,
        index=opened.index,
        model=embedder.model,
        comparer=comparer,
        groups=groups,
        clock=clock,
        candidates=settings.match.candidates,
        on_crash=on_crash,
        allow_backlog=manners.allow_backlog,
    )
    describe = Describe(
        library=library,
        reader=reader,
        embedder=embedder,
        previews=previews,
        clock=clock,
        rates=rates,
        root_path=roots.online_path,
        stat_of=stat_of,
        ties=groups.ties,
        has_room=link.has_room,
        on_described=link.notice,
        on_vanished=lambda path: intake.look_again(path),  # noqa: PLW0108 - the two stages need each other
        workers=workers,
        on_crash=on_crash,
        allow_backlog=manners.allow_backlog,
        allow_arrivals=manners.allow_arrivals,
    )
    changes = make_changes(ignore)
    intake = Intake(
        library=library,
        lister=lister,
        changes=changes,
        settling=Settling(
            quiet_after_close_s=settings.watch.settle_after_close_s,
            quiet_after_write_s=settings.watch.settle_after_write_s,
        ),
        roots=roots,
        clock=clock,
        stat_of=stat_of,
        on_settling=reader.expect,
        on_arrival=describe.arrive,
        on_pending=describe.notice,
        on_reread=describe.expect,
        on_crash=on_crash,
    )
    generations = Generations(
        library=library,
        book=book,
        pictures=SmallPictures(reader=reader, previews=previews, paths_of=comparer.paths_of),
        clock=clock,
        candidates=settings.models.candidates,
        is_settled=lambda: intake.is_idle and describe.is_idle,
        on_suggested=link.suggested,
        on_larger=Grower().look_at,
        on_crash=on_crash,
        allow_backlog=manners.allow_backlog,
    )
    return Engine(
        settings=settings,
        state_dir=state_dir,
        clock=clock,
        manners=manners,
        library=library,
        previews=previews,
        reader=reader,
        embedder=embedder,
        opened=opened,
        groups=groups,
        rates=rates,
        roots=roots,
        matcher=matcher,
        similar=SimilarFinder(library=library, embedder=embedder, index=opened.index, book=book),
        further=further,
        book=book,
        generations=generations,
        link=link,
        describe=describe,
        changes=changes,
        intake=intake,
        workers=workers,
        memory=MemoryKeeper(
            reader=reader,
            workers=workers,
            ceiling_bytes=ceiling_bytes(settings.limits.memory_mb),
            give_back=library.give_back_pages,
            tell=partial(_tell_degraded, library, clock, "memory"),
        ),
    )


def ignore_rules(settings: Settings) -> IgnoreRules:
    """The built-in ignores and the configuration's."""
    try:
        return IgnoreRules([os.fsencode(glob) for glob in settings.watch.ignore])
    except ValueError as error:
        raise ConfigError(f"`watch.ignore`: {error}.") from error


def stat_of(path: bytes) -> FileStat | None:
    """Lstat of a path as the store keeps it; None when nothing is there.

    Raises:
        OSError: the disk does not answer, or it may not be asked: then nothing is known, least of all absence.
    """
    try:
        facts = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(facts.st_mode):
        return None
    return FileStat(
        dev=facts.st_dev,
        ino=facts.st_ino,
        size_bytes=facts.st_size,
        mtime_ns=facts.st_mtime_ns,
        ctime_ns=facts.st_ctime_ns,
    )


def _generation_index(library: LmdbLibrary, model: ModelTag, dim: int) -> FaissIndex:
    return FaissIndex(dim, generation_vectors_of(library, model))


def _tell_degraded(library: LmdbLibrary, clock: SystemClock, what: str, message: str) -> None:
    with library.transaction() as txn:
        txn.append(Degraded(what=what, message=message), clock.wall_ns())


def _limits(decode: Decode, *, is_awaited: bool = False) -> DecodeLimits:
    limits = DecodeLimits(
        max_file_bytes=decode.max_file_mb * MIB,
        max_jpeg_pixels=decode.max_jpeg_megapixels * _MEGAPIXEL,
        max_pixels=decode.max_other_megapixels * _MEGAPIXEL,
        job_s=decode.timeout_s,
    )
    return replace(limits, nice=0) if is_awaited else limits
