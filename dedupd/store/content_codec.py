"""Values of contents and edges: msgpack arrays with explicit conversion. Pure; owns no state.

Fields are only ever appended, with a default. A content's vectors are values of their own (`frame`), so that scans of
the records stay small.
"""

from __future__ import annotations

import msgspec

from dedupd.core.grouping import Bond
from dedupd.core.pair_words import LEAST_OVERLAY
from dedupd.core.records import (
    Box,
    Capture,
    ContentRecord,
    ContentStage,
    Edge,
    Evidence,
    Geometry,
    Quality,
    Relation,
)
from dedupd.store import keys
from dedupd.store.codec import decoded, encode, stored_text


class _QualityRow(msgspec.Struct, array_like=True, frozen=True):
    sharpness: float
    information: float
    jpeg_quality: int | None = None
    frame_share: float = 0.0
    detail_bytes: int = 0
    earlier_jpeg_quality: int | None = None
    fullness: float = 1.0
    has_full_chroma: bool = False
    fine_colour: float = 0.0
    crispness: float | None = None
    noise: float = 0.0
    clipped_share: float = 0.0
    drawn_share: float = 0.0
    colour: float = 0.0


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
    has_notes: bool = False
    rating: int | None = None
    has_icc: bool = False


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
    trailing_bytes: int = 0


class _GeometryRow(msgspec.Struct, array_like=True, frozen=True):
    scale: float
    rotation_deg: float
    is_mirrored: bool
    overlap_of_a: float
    overlap_of_b: float
    inliers: int
    corners: tuple[tuple[float, float], ...] = ()


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
    band_errors: tuple[float, ...] = ()
    band_lows: tuple[float, ...] = ()
    excess: float = 0.0
    bad_share: float = 0.0
    error_levels: float = 0.0
    textured_windows: int = 0
    compared_px: int = 0
    frame_offset_px: float = 0.0
    protrusion_px: float = 0.0
    band_gains: tuple[float, ...] = ()
    chroma_gain: float = 1.0
    overlay_share: float = 0.0
    overlay_is_on_b: bool = False
    fine_px: int = 0
    fine_errors: tuple[float, ...] = ()
    fine_noise_correlation: float | None = None
    usual_excess: float = 0.0
    fine_foreign: float = 0.0


class _EdgeRow(msgspec.Struct, array_like=True, frozen=True):
    relation: Relation
    similarity: float
    reason: str
    evidence: _EvidenceRow
    verifier: str
    found_at_ns: int
    probability: float = 0.0


_content_decoder = msgspec.msgpack.Decoder(_ContentRow)
_edge_decoder = msgspec.msgpack.Decoder(_EdgeRow)


def _stored_text_or_none(text: str | None) -> str | None:
    return None if text is None else stored_text(text)


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
            quality=_QualityRow(
                sharpness=quality.sharpness,
                information=quality.information,
                jpeg_quality=quality.jpeg_quality,
                frame_share=quality.frame_share,
                detail_bytes=quality.detail_bytes,
                earlier_jpeg_quality=quality.earlier_jpeg_quality,
                fullness=quality.fullness,
                has_full_chroma=quality.has_full_chroma,
                fine_colour=quality.fine_colour,
                crispness=quality.crispness,
                noise=quality.noise,
                clipped_share=quality.clipped_share,
                drawn_share=quality.drawn_share,
                colour=quality.colour,
            ),
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
                has_notes=capture.has_notes,
                rating=capture.rating,
                has_icc=capture.has_icc,
            ),
            decoder=content.decoder,
            stage=content.stage,
            first_seen_ns=content.first_seen_ns,
            trailing_bytes=content.trailing_bytes,
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
            sharpness=quality.sharpness,
            information=quality.information,
            jpeg_quality=quality.jpeg_quality,
            frame_share=quality.frame_share,
            detail_bytes=quality.detail_bytes,
            earlier_jpeg_quality=quality.earlier_jpeg_quality,
            fullness=quality.fullness,
            has_full_chroma=quality.has_full_chroma,
            fine_colour=quality.fine_colour,
            crispness=quality.crispness,
            noise=quality.noise,
            clipped_share=quality.clipped_share,
            drawn_share=quality.drawn_share,
            colour=quality.colour,
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
            has_notes=capture.has_notes,
            rating=capture.rating,
            has_icc=capture.has_icc,
        ),
        decoder=row.decoder,
        stage=row.stage,
        first_seen_ns=row.first_seen_ns,
        trailing_bytes=row.trailing_bytes,
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
            corners=geometry.corners,
        ),
        residual_low=evidence.residual_low,
        worst_region=evidence.worst_region,
        motion_px=evidence.motion_px,
        tone_change=evidence.tone_change,
        differences=tuple((box.left, box.top, box.right, box.bottom) for box in evidence.differences),
        noise_correlation=evidence.noise_correlation,
        band_errors=evidence.band_errors,
        band_lows=evidence.band_lows,
        excess=evidence.excess,
        bad_share=evidence.bad_share,
        error_levels=evidence.error_levels,
        textured_windows=evidence.textured_windows,
        compared_px=evidence.compared_px,
        frame_offset_px=evidence.frame_offset_px,
        protrusion_px=evidence.protrusion_px,
        band_gains=evidence.band_gains,
        chroma_gain=evidence.chroma_gain,
        overlay_share=evidence.overlay_share,
        overlay_is_on_b=evidence.overlay_is_on_b,
        fine_px=evidence.fine_px,
        fine_errors=evidence.fine_errors,
        fine_noise_correlation=evidence.fine_noise_correlation,
        usual_excess=evidence.usual_excess,
        fine_foreign=evidence.fine_foreign,
    )
    return encode(
        _EdgeRow(
            edge.relation,
            edge.similarity,
            stored_text(edge.reason),
            row,
            edge.verifier,
            edge.found_at_ns,
            edge.probability,
        )
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
        probability=row.probability,
    )


def bond_from(key: bytes, body: bytes) -> Bond:
    """What grouping needs of the edge of a body."""
    row = decoded(_edge_decoder, "edges", key, body)
    evidence, geometry = row.evidence, row.evidence.geometry
    return Bond(
        *keys.pair_of(key),
        row.relation,
        row.similarity,
        row.probability,
        evidence.overlay_share >= LEAST_OVERLAY,
        evidence.overlay_is_on_b,
        1.0 if geometry is None else geometry.overlap_of_a,
        1.0 if geometry is None else geometry.overlap_of_b,
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
            corners=geometry.corners,
        ),
        residual_low=row.residual_low,
        worst_region=row.worst_region,
        motion_px=row.motion_px,
        tone_change=row.tone_change,
        differences=tuple(Box(left=x0, top=y0, right=x1, bottom=y1) for x0, y0, x1, y1 in row.differences),
        noise_correlation=row.noise_correlation,
        band_errors=row.band_errors,
        band_lows=row.band_lows,
        excess=row.excess,
        bad_share=row.bad_share,
        error_levels=row.error_levels,
        textured_windows=row.textured_windows,
        compared_px=row.compared_px,
        frame_offset_px=row.frame_offset_px,
        protrusion_px=row.protrusion_px,
        band_gains=row.band_gains,
        chroma_gain=row.chroma_gain,
        overlay_share=row.overlay_share,
        overlay_is_on_b=row.overlay_is_on_b,
        fine_px=row.fine_px,
        fine_errors=row.fine_errors,
        fine_noise_correlation=row.fine_noise_correlation,
        usual_excess=row.usual_excess,
        fine_foreign=row.fine_foreign,
    )
