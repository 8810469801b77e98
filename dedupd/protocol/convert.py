"""Core values to wire messages: pictures, pairs, status, problems. Pure; nothing comes back this way.

Imports core.records (and so numpy): for the daemon's side only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dedupd.core.examination import Finding, worst
from dedupd.core.grouping import Group
from dedupd.core.manners import Hold
from dedupd.core.memory_rules import MemoryStanding
from dedupd.core.ports import GenerationProgress, Progress, RootProgress, WatchHealth
from dedupd.core.records import (
    Capture,
    ContentRecord,
    FilePath,
    FileRecord,
    Relation,
    RootId,
    RootRecord,
    RootState,
    Sequence,
)
from dedupd.protocol.pictures import (
    FileMessage,
    GroupMessage,
    MatchMessage,
    PictureMessage,
)
from dedupd.protocol.status import (
    CountsMessage,
    DeviceMessage,
    DoctorMessage,
    FindingMessage,
    GenerationMessage,
    HoldMessage,
    MemoryMessage,
    ProblemMessage,
    RootMessage,
    StatusMessage,
    WatchingMessage,
)
from dedupd.protocol.text import camera_text, path_b64, path_text, utc_text

Roots = Mapping[RootId, RootRecord]


def absolute_path(path: FilePath, root_paths: Mapping[RootId, bytes]) -> bytes:
    """The absolute path, or the one below the root where the root has been forgotten."""
    root = root_paths.get(path.root)
    return path.relative() if root is None else root.rstrip(b"/") + b"/" + path.relative()


def file_message(file: FileRecord, roots: Roots) -> FileMessage:
    """The wire form of a file; `roots` may lack its root."""
    root = roots.get(file.path.root)
    path = absolute_path(file.path, {} if root is None else {root.id: root.path})
    return FileMessage(
        path=path_text(path),
        path_b64=path_b64(path),
        root=file.path.root,
        modified_at=utc_text(file.stat.mtime_ns),
        modified_at_ns=file.stat.mtime_ns,
        is_present=is_present(file, roots),
        missing_since=None if file.missing_since_ns is None else utc_text(file.missing_since_ns),
    )


def is_present(file: FileRecord, roots: Roots) -> bool:
    """Whether the last look found the file and what its root shows can be believed."""
    root = roots.get(file.path.root)
    return file.missing_since_ns is None and root is not None and root.state is RootState.ONLINE


def picture_message(content: ContentRecord, files: Iterable[FileRecord], roots: Roots) -> PictureMessage:
    """The wire form of a content with its files."""
    return PictureMessage(
        content=content.id,
        digest=content.digest.hex(),
        size_bytes=content.size_bytes,
        width=content.width_px,
        height=content.height_px,
        format=content.format,
        taken_at=camera_text(content.capture.taken_at_ms),
        camera=_camera(content.capture),
        jpeg_quality=content.quality.jpeg_quality,
        files=tuple(file_message(file, roots) for file in files),
    )


def group_message(
    group: Group,
    *,
    keeper: PictureMessage,
    members: tuple[MatchMessage, ...],
    related: tuple[PictureMessage, ...],
    frees_bytes: int,
) -> GroupMessage:
    """The wire form of a group whose contents are converted already."""
    weakest = group.weakest
    pictures = (keeper, *(member.picture for member in members))
    return GroupMessage(
        id=group.id,
        relation=Relation.SAME_BYTES if weakest is None else weakest.relation,
        similarity=1.0 if weakest is None else weakest.similarity,
        probability=1.0 if weakest is None else weakest.probability,
        frees_bytes=frees_bytes,
        files=sum(file.missing_since is None for picture in pictures for file in picture.files),
        keeper=keeper,
        keeper_reason=group.keeper_reason,
        members=members,
        related=related,
    )


def status_message(progress: Progress, *, sequence: Sequence, version: str) -> StatusMessage:
    """The wire form of how things stand."""
    counts = progress.counts
    return StatusMessage(
        version=version,
        activity=progress.activity,
        started_at=utc_text(progress.started_at_ns),
        started_at_ns=progress.started_at_ns,
        sequence=sequence,
        counts=CountsMessage(
            files=counts.files,
            files_pending=counts.files_pending,
            files_set_aside=counts.files_set_aside,
            files_missing=counts.files_missing,
            contents=counts.contents,
            contents_unlinked=counts.contents_unlinked,
            edges=counts.edges,
            events=counts.events,
            pairs_suggested=counts.pairs_suggested,
        ),
        roots=tuple(root_message(root) for root in progress.roots),
        read_total=progress.read_total,
        decoded_total=progress.decoded_total,
        compared_total=progress.compared_total,
        images_per_s=progress.images_per_s,
        eta_s=progress.eta_s,
        degraded=progress.degraded,
        workers=progress.workers,
        index_kind=progress.index_kind,
        indexed=progress.indexed,
        model=progress.model,
        generations=tuple(map(_generation, progress.generations)),
        memory=memory_message(progress.memory),
        hold=hold_message(progress.hold),
    )


def memory_message(standing: MemoryStanding | None) -> MemoryMessage | None:
    """The wire form of how memory stands."""
    if standing is None:
        return None
    return MemoryMessage(
        used_bytes=standing.use.total_bytes,
        workers_bytes=standing.use.total_bytes - standing.use.own_bytes,
        ceiling_bytes=standing.ceiling_bytes,
        workers_running=len(standing.use.workers),
        workers_allowed=standing.workers_allowed,
    )


def doctor_message(findings: tuple[Finding, ...]) -> DoctorMessage:
    """The wire form of an examination."""
    return DoctorMessage(
        verdict=worst(findings),
        findings=tuple(
            FindingMessage(subject=f.subject, verdict=f.verdict, words=f.words, remedy=f.remedy) for f in findings
        ),
    )


def hold_message(hold: Hold | None) -> HoldMessage | None:
    """The wire form of why the backlog waits."""
    if hold is None:
        return None
    until = None if hold.until_ns is None else utc_text(hold.until_ns)
    return HoldMessage(reason=hold.reason, words=hold.words, until=until)


def root_message(progress: RootProgress) -> RootMessage:
    """The wire form of a root."""
    root = progress.root
    return RootMessage(
        id=root.id,
        path=path_text(root.path),
        path_b64=path_b64(root.path),
        state=root.state,
        state_reason=root.state_reason,
        is_watched=root.is_watched,
        is_scanning=progress.is_scanning,
        files=progress.files,
        others=progress.others,
        last_full_scan_at=None if root.last_full_scan_ns is None else utc_text(root.last_full_scan_ns),
        watching=None if progress.health is None else _watching(progress.health),
    )


def problem_message(file: FileRecord, root_paths: Mapping[RootId, bytes]) -> ProblemMessage | None:
    """The wire form of a file's problem; None where it has none."""
    if file.problem is None:
        return None
    path = absolute_path(file.path, root_paths)
    retry_at_ns = file.problem.retry_at_ns
    return ProblemMessage(
        path=path_text(path),
        path_b64=path_b64(path),
        root=file.path.root,
        code=file.problem.code,
        detail=file.problem.detail,
        at=utc_text(file.problem.at_ns),
        attempts=file.attempts,
        retry_at=None if retry_at_ns is None else utc_text(retry_at_ns),
    )


def _camera(capture: Capture) -> str | None:
    """Maker and model, without saying the maker twice ("Canon EOS R5", not "Canon Canon EOS R5")."""
    make, model = (capture.make or "").strip(), (capture.model or "").strip()
    if model.lower().startswith(make.lower()):
        make = ""
    return f"{make} {model}".strip() or None


def _generation(progress: GenerationProgress) -> GenerationMessage:
    return GenerationMessage(
        name=progress.name,
        model=progress.model,
        done=progress.done,
        total=progress.total,
        set_aside=progress.set_aside,
        is_serving=progress.is_serving,
        is_configured=progress.is_configured,
        images_per_s=progress.images_per_s,
        eta_s=progress.eta_s,
        trouble=progress.trouble,
        devices=tuple(
            DeviceMessage(
                name=device.name,
                title=device.title,
                images_per_s=device.images_per_s,
                utilisation=device.utilisation,
                batch_size=device.batch_size,
                dtype=device.dtype,
                trouble=device.trouble,
            )
            for device in progress.devices
        ),
    )


def _watching(health: WatchHealth) -> WatchingMessage:
    return WatchingMessage(
        state=health.state,
        watched_directories=health.watched_directories,
        unwatched_directories=health.unwatched_directories,
        overflows=health.overflows,
        message=health.message,
    )
