"""Values of files, contents, edges and roots: msgpack arrays with explicit conversion. Pure; owns no state.

Fields are only ever appended, with a default, so that records of an older dedupd stay readable; msgspec ignores
surplus ones. A file's body starts with a flags byte and the packed stat at a fixed place, so that reconciling reads
them without decoding. Events are in `outbox`.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import numpy as np

from dedupd.core import stat_key
from dedupd.core.records import (
    Box,
    Capture,
    ContentId,
    ContentRecord,
    ContentStage,
    Edge,
    Evidence,
    FilePath,
    FileRecord,
    FileStage,
    Geometry,
    Problem,
    ProblemCode,
    Quality,
    Relation,
    RootId,
    RootIdentity,
    RootRecord,
    RootState,
)
from dedupd.store import keys
from dedupd.store.frame import CHECKSUM_BYTES, damaged

IS_MISSING = 1  # bits of the flags byte
HAS_LONG_NAME = 2
FLAGS_AT = CHECKSUM_BYTES  # offsets in a framed value
STAT_AT = FLAGS_AT + 1
STAT_END = STAT_AT + stat_key.PACKED_BYTES
_ROW_AT = 1 + stat_key.PACKED_BYTES  # offset in the body

_Row = TypeVar("_Row")


def _plain_number(value: Any) -> Any:
    """A numpy scalar, which estimates easily are, as Python's own number."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"the store cannot hold a {type(value).__name__}")


encode = msgspec.msgpack.Encoder(enc_hook=_plain_number).encode


class _ProblemRow(msgspec.Struct, array_like=True, frozen=True):
    code: ProblemCode
    detail: str
    at_ns: int
    retry_at_ns: int | None


class _FileRow(msgspec.Struct, array_like=True, frozen=True):
    stage: FileStage
    content: int | None
    first_seen_ns: int
    missing_since_ns: int | None = None
    attempts: int = 0
    problem: _ProblemRow | None = None
    link_of_same_inode: bool = False
    long_name: bytes | None = None


class _QualityRow(msgspec.Struct, array_like=True, frozen=True):
    sharpness: float
    information: float
    jpeg_quality: int | None = None


class _CaptureRow(msgspec.Struct, array_like=True, frozen=True):
    taken_at_ms: int | None = None
    has_subseconds: bool = False
    make: str | None = None
    model: str | None = None
    serial: str | None = None
    exposure_s: float | None = None
    f_number: float | None = None
    iso: int | None = None
    image_id: str | None = None
    has_gps: bool = False
    software: str | None = None


class _ContentRow(msgspec.Struct, array_like=True, frozen=True):
    digest: bytes
    size_bytes: int
    format: str
    width_px: int
    height_px: int
    image_digest: bytes | None
    pixel_digest: bytes | None
    quality: _QualityRow
    capture: _CaptureRow
    decoder: str
    stage: ContentStage
    first_seen_ns: int


class _GeometryRow(msgspec.Struct, array_like=True, frozen=True):
    scale: float
    rotation_deg: float
    is_mirrored: bool
    overlap_of_a: float
    overlap_of_b: float
    inliers: int


class _EvidenceRow(msgspec.Struct, array_like=True, frozen=True):
    method: str
    similarity: float
    geometry: _GeometryRow | None
    residual_low: float
    worst_region: float
    motion_px: float
    tone_change: float
    differences: tuple[tuple[float, float, float, float], ...] = ()
    noise_correlation: float | None = None


class _EdgeRow(msgspec.Struct, array_like=True, frozen=True):
    relation: Relation
    similarity: float
    reason: str
    evidence: _EvidenceRow
    verifier: str
    found_at_ns: int


class _RootRow(msgspec.Struct, array_like=True, frozen=True):
    path: bytes
    identity: tuple[int, int, int, str] | None
    state: RootState
    state_reason: str
    last_full_scan_ns: int | None
    added_at_ns: int
    is_watched: bool = True


_file_decoder = msgspec.msgpack.Decoder(_FileRow)
_content_decoder = msgspec.msgpack.Decoder(_ContentRow)
_edge_decoder = msgspec.msgpack.Decoder(_EdgeRow)
_root_decoder = msgspec.msgpack.Decoder(_RootRow)


def stored_text(text: str) -> str:
    r"""Text as msgpack can hold it: a byte that was no UTF-8 (a lone surrogate, from a camera or a path) as \udcXX."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _stored_text_or_none(text: str | None) -> str | None:
    return None if text is None else stored_text(text)


def decoded(decoder: msgspec.msgpack.Decoder[_Row], table: str, key: bytes, body: bytes) -> _Row:
    """One row of a body whose checksum holds.

    Raises:
        StoreDamagedError: it is not what this table holds.
    """
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, ValueError) as error:  # bad msgpack, a wrong type, bad UTF-8
        raise damaged(table, key, str(error)) from error


def file_body(file: FileRecord) -> bytes:
    """The body of a file's value."""
    name = file.path.name
    flags = IS_MISSING if file.missing_since_ns is not None else 0
    if keys.is_long_name(name):
        flags |= HAS_LONG_NAME
    row = _FileRow(
        stage=file.stage,
        content=file.content,
        first_seen_ns=file.first_seen_ns,
        missing_since_ns=file.missing_since_ns,
        attempts=file.attempts,
        problem=None if file.problem is None else _problem_row(file.problem),
        link_of_same_inode=file.link_of_same_inode,
        long_name=name if flags & HAS_LONG_NAME else None,
    )
    return bytes((flags,)) + stat_key.pack(file.stat) + encode(row)


def file_from(key: bytes, body: bytes, directory: bytes) -> FileRecord:
    """The file of a body; `directory` is the path that its key's directory part stands for."""
    row = decoded(_file_decoder, "files", key, body[_ROW_AT:])
    name = key[keys.DIRECTORY_KEY_BYTES :] if row.long_name is None else row.long_name
    return FileRecord(
        path=FilePath(root=keys.root_of(key), directory=directory, name=name),
        stat=stat_key.unpack(body[1:_ROW_AT]),
        stage=row.stage,
        content=None if row.content is None else ContentId(row.content),
        first_seen_ns=row.first_seen_ns,
        missing_since_ns=row.missing_since_ns,
        attempts=row.attempts,
        problem=None if row.problem is None else _problem(row.problem),
        link_of_same_inode=row.link_of_same_inode,
    )


def long_name(key: bytes, body: bytes) -> bytes:
    """The name of a file whose flags say HAS_LONG_NAME."""
    return decoded(_file_decoder, "files", key, body[_ROW_AT:]).long_name or b""


def _problem_row(problem: Problem) -> _ProblemRow:
    return _ProblemRow(
        code=problem.code,
        detail=stored_text(problem.detail),
        at_ns=problem.at_ns,
        retry_at_ns=problem.retry_at_ns,
    )


def _problem(row: _ProblemRow) -> Problem:
    return Problem(code=row.code, detail=row.detail, at_ns=row.at_ns, retry_at_ns=row.retry_at_ns)


def content_body(content: ContentRecord) -> bytes:
    """The body of a content's value."""
    quality, capture = content.quality, content.capture
    return encode(
        _ContentRow(
            digest=content.digest,
            size_bytes=content.size_bytes,
            format=content.format,
            width_px=content.width_px,
            height_px=content.height_px,
            image_digest=content.image_digest,
            pixel_digest=content.pixel_digest,
            quality=_QualityRow(quality.sharpness, quality.information, quality.jpeg_quality),
            capture=_CaptureRow(
                taken_at_ms=capture.taken_at_ms,
                has_subseconds=capture.has_subseconds,
                make=_stored_text_or_none(capture.make),
                model=_stored_text_or_none(capture.model),
                serial=_stored_text_or_none(capture.serial),
                exposure_s=capture.exposure_s,
                f_number=capture.f_number,
                iso=capture.iso,
                image_id=_stored_text_or_none(capture.image_id),
                has_gps=capture.has_gps,
                software=_stored_text_or_none(capture.software),
            ),
            decoder=content.decoder,
            stage=content.stage,
            first_seen_ns=content.first_seen_ns,
        )
    )


def content_from(key: bytes, body: bytes) -> ContentRecord:
    """The content of a body."""
    row = decoded(_content_decoder, "contents", key, body)
    quality, capture = row.quality, row.capture
    return ContentRecord(
        id=keys.content_of(key),
        digest=row.digest,
        size_bytes=row.size_bytes,
        format=row.format,
        width_px=row.width_px,
        height_px=row.height_px,
        image_digest=row.image_digest,
        pixel_digest=row.pixel_digest,
        quality=Quality(
            sharpness=quality.sharpness, information=quality.information, jpeg_quality=quality.jpeg_quality
        ),
        capture=Capture(
            taken_at_ms=capture.taken_at_ms,
            has_subseconds=capture.has_subseconds,
            make=capture.make,
            model=capture.model,
            serial=capture.serial,
            exposure_s=capture.exposure_s,
            f_number=capture.f_number,
            iso=capture.iso,
            image_id=capture.image_id,
            has_gps=capture.has_gps,
            software=capture.software,
        ),
        decoder=row.decoder,
        stage=row.stage,
        first_seen_ns=row.first_seen_ns,
    )


def edge_body(edge: Edge) -> bytes:
    """The body of an edge's value."""
    evidence, geometry = edge.evidence, edge.evidence.geometry
    row = _EvidenceRow(
        method=evidence.method,
        similarity=evidence.similarity,
        geometry=None
        if geometry is None
        else _GeometryRow(
            scale=geometry.scale,
            rotation_deg=geometry.rotation_deg,
            is_mirrored=geometry.is_mirrored,
            overlap_of_a=geometry.overlap_of_a,
            overlap_of_b=geometry.overlap_of_b,
            inliers=geometry.inliers,
        ),
        residual_low=evidence.residual_low,
        worst_region=evidence.worst_region,
        motion_px=evidence.motion_px,
        tone_change=evidence.tone_change,
        differences=tuple((box.left, box.top, box.right, box.bottom) for box in evidence.differences),
        noise_correlation=evidence.noise_correlation,
    )
    return encode(
        _EdgeRow(edge.relation, edge.similarity, stored_text(edge.reason), row, edge.verifier, edge.found_at_ns)
    )


def edge_from(key: bytes, body: bytes) -> Edge:
    """The edge of a body."""
    row = decoded(_edge_decoder, "edges", key, body)
    return Edge(
        a=keys.content_of(key),
        b=keys.content_of(key, keys.CONTENT_BYTES),
        relation=row.relation,
        similarity=row.similarity,
        reason=row.reason,
        evidence=_evidence(row.evidence),
        verifier=row.verifier,
        found_at_ns=row.found_at_ns,
    )


def _evidence(row: _EvidenceRow) -> Evidence:
    geometry = row.geometry
    return Evidence(
        method=row.method,
        similarity=row.similarity,
        geometry=None
        if geometry is None
        else Geometry(
            scale=geometry.scale,
            rotation_deg=geometry.rotation_deg,
            is_mirrored=geometry.is_mirrored,
            overlap_of_a=geometry.overlap_of_a,
            overlap_of_b=geometry.overlap_of_b,
            inliers=geometry.inliers,
        ),
        residual_low=row.residual_low,
        worst_region=row.worst_region,
        motion_px=row.motion_px,
        tone_change=row.tone_change,
        differences=tuple(Box(left=x0, top=y0, right=x1, bottom=y1) for x0, y0, x1, y1 in row.differences),
        noise_correlation=row.noise_correlation,
    )


def root_body(root: RootRecord) -> bytes:
    """The body of a root's value."""
    identity = root.identity
    return encode(
        _RootRow(
            path=root.path,
            identity=None
            if identity is None
            else (identity.dev, identity.fsid, identity.ino, stored_text(identity.filesystem)),
            state=root.state,
            state_reason=stored_text(root.state_reason),
            last_full_scan_ns=root.last_full_scan_ns,
            added_at_ns=root.added_at_ns,
            is_watched=root.is_watched,
        )
    )


def root_from(key: bytes, body: bytes) -> RootRecord:
    """The root of a body."""
    row = decoded(_root_decoder, "roots", key, body)
    identity = None
    if row.identity is not None:
        dev, fsid, ino, filesystem = row.identity
        identity = RootIdentity(dev=dev, fsid=fsid, ino=ino, filesystem=filesystem)
    return RootRecord(
        id=RootId(keys.root_of(key)),
        path=row.path,
        identity=identity,
        state=row.state,
        state_reason=row.state_reason,
        last_full_scan_ns=row.last_full_scan_ns,
        added_at_ns=row.added_at_ns,
        is_watched=row.is_watched,
    )
