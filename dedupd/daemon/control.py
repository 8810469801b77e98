"""What people may ask of the running daemon, and how it says that it is getting on. Owns nothing; asks the engine."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from dedupd.core.errors import NotFoundError, RequestError
from dedupd.core.examination import Finding
from dedupd.core.manners import Hold
from dedupd.core.ports import Activity, Counts, GenerationProgress, Progress, RootProgress, WatchState
from dedupd.core.records import RootId, RootState
from dedupd.core.wording import path_words
from dedupd.daemon.build import Engine
from dedupd.daemon.doctor import clock_offset_s, examine
from dedupd.index.catch_up import OpenedIndex


class DaemonControl:
    """Implements the `Control` port."""

    def __init__(self, engine: Engine, socket_path: Path | None = None) -> None:
        """Over an engine; `socket_path`: where the daemon listens, if it does by a path."""
        self._engine = engine
        self._socket_path = socket_path
        self._clock_offset_s = clock_offset_s()
        self._started_at_ns = engine.clock.wall_ns()
        self._stopping = threading.Event()

    def announce_stop(self) -> None:
        """From now on the activity is "stopping"."""
        self._stopping.set()

    def progress(self) -> Progress:
        """How things stand."""
        engine = self._engine
        now_s = engine.clock.monotonic_s()
        health = {h.root: h for h in engine.changes.health()}
        scanning = engine.intake.scanning()
        with engine.library.view() as view:
            counts = view.counts()
            records = view.roots()
        roots = tuple(
            RootProgress(
                root=record,
                health=health.get(record.id),
                files=engine.roots.known_files(record.id),
                others=engine.intake.others.get(record.id, {}),
                is_scanning=record.id in scanning,
            )
            for record in records
        )
        generations = engine.generations.progress()
        memory = engine.memory.standing
        pending = counts.files_pending + counts.contents_unlinked
        return Progress(
            activity=self._activity(counts, is_scanning=bool(scanning)),
            started_at_ns=self._started_at_ns,
            counts=counts,
            roots=roots,
            read_total=engine.rates.read_total,
            decoded_total=engine.rates.decoded_total,
            compared_total=engine.rates.compared_total,
            images_per_s=engine.rates.images_per_s(now_s),
            eta_s=None if scanning else engine.rates.eta_s(pending, now_s),
            degraded=(
                *_complaints(roots),
                *_model_complaints(generations),
                *filter(None, [memory.trouble, _index_complaint(engine.opened, counts)]),
            ),
            workers=engine.workers,
            index_kind=engine.opened.index.kind,
            indexed=len(engine.opened.index),
            model=engine.embedder.model.tag,
            generations=generations,
            hold=engine.manners.hold(),
            memory=memory if memory.use.total_bytes else None,
        )

    def rescan(self, roots: Sequence[RootId] | None) -> None:
        """Scan these roots, or all, as soon as possible."""
        for root in roots or ():
            self._known(root)
        self._engine.intake.scan(roots)

    def accept_root(self, root: RootId) -> None:
        """Believe what a suspect root shows now."""
        self._known(root)
        self._engine.intake.accept(root)

    def forget_root(self, root: RootId) -> int:
        """Drop a root that is no longer configured, and its rows."""
        path = self._known(root)
        files = self._engine.roots.forget(root)
        if files is None:
            raise RequestError(
                f"the root {path_words(path)} is configured; take it out of the configuration and reload before "
                "forgetting it."
            )
        return files

    def examine(self) -> tuple[Finding, ...]:
        """Look at what the machine gives."""
        progress = self.progress()
        return examine(
            self._engine.settings,
            state_dir=self._engine.state_dir,
            roots=[root.root.path for root in progress.roots if root.root.is_watched],
            socket_path=self._socket_path,
            progress=progress,
            jumped_s=clock_offset_s() - self._clock_offset_s,
        )

    def pause(self, for_s: float | None) -> Hold | None:
        """Hold up the backlog for so long, or until `resume`."""
        self._engine.manners.pause(for_s)
        return self._engine.manners.hold()

    def resume(self) -> Hold | None:
        """End a pause."""
        self._engine.manners.resume()
        return self._engine.manners.hold()

    def _known(self, root: RootId) -> bytes:
        path = self._engine.roots.paths().get(root)
        if path is None:
            raise NotFoundError(f"there is no root {root}; `dedupctl roots` lists them.")
        return path

    def _activity(self, counts: Counts, *, is_scanning: bool) -> Activity:
        if self._stopping.is_set():
            return Activity.STOPPING
        if not self._engine.opened.is_whole:
            return Activity.STARTING
        if is_scanning:
            return Activity.SCANNING
        is_idle = self._engine.describe.is_idle and self._engine.intake.is_idle and not counts.contents_unlinked
        return Activity.IDLE if is_idle else Activity.WORKING


def _complaints(roots: Sequence[RootProgress]) -> list[str]:
    complaints = []
    for root in roots:
        if root.root.is_watched and root.root.state is not RootState.ONLINE:
            complaints.append(f"{path_words(root.root.path)} is {root.root.state.value}: {root.root.state_reason}")
        if root.health and root.health.message and root.health.state in {WatchState.PARTIAL, WatchState.FAILED}:
            complaints.append(root.health.message)
    return complaints


def _index_complaint(opened: OpenedIndex, counts: Counts) -> str:
    """That the index does not hold everything yet; "": it does."""
    if opened.is_whole:
        return ""
    linked = counts.contents - counts.contents_unlinked
    return (
        f"the index is being made anew, {len(opened.index):,} of {linked:,} pictures are in it: until then only equal "
        "bytes are found for sure, and what arrives is compared later. It ends by itself"
    )


def _model_complaints(generations: Sequence[GenerationProgress]) -> list[str]:
    """What keeps a model from being run; a device's own words name the model already."""
    return [
        f"the model {generation.name} rests: {generation.trouble}" for generation in generations if generation.trouble
    ]
