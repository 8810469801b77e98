"""Core values to wire messages: all that is known of a pair. Pure; nothing comes back this way.

Imports core.ports: for the daemon's side only.
"""

from __future__ import annotations

from dedupd.core.illustration import Figures
from dedupd.core.pair_words import pair_words, verdict_words
from dedupd.core.ports import Explained
from dedupd.core.records import ContentRecord, Evidence, Geometry, Relation
from dedupd.core.side_by_side import Fact, Measured, metadata_facts, quality_facts
from dedupd.protocol.pictures import (
    BoxMessage,
    EvidenceMessage,
    FactMessage,
    FiguresMessage,
    GeometryMessage,
    PairMessage,
    PictureMessage,
)
from dedupd.protocol.text import utc_text


def pair_message(explained: Explained, a: PictureMessage, b: PictureMessage) -> PairMessage:
    """The wire form of a pair."""
    edge, evidence = explained.edge, explained.evidence
    return PairMessage(
        a=a,
        b=b,
        relation=edge.relation,
        similarity=edge.similarity,
        probability=edge.probability,
        reason=edge.reason,
        verifier=edge.verifier,
        found_at=utc_text(edge.found_at_ns),
        evidence=None if evidence is None else _evidence(evidence),
        words=(*verdict_words(explained.verdict), *(() if evidence is None else pair_words(evidence))),
        figures=None if explained.figures is None else _figures(explained.figures),
        metadata=tuple(map(_fact, metadata_facts(explained.a.capture, explained.b.capture))),
        quality=tuple(map(_fact, quality_facts(_measured(explained.a), _measured(explained.b)))),
    )


def same_content_message(content: ContentRecord, a: PictureMessage, b: PictureMessage) -> PairMessage:
    """Two files of one content: nothing to look at, the digests are equal."""
    return PairMessage(
        a=a,
        b=b,
        relation=Relation.SAME_BYTES,
        similarity=1.0,
        probability=1.0,
        reason="The files are equal byte for byte.",
        verifier="digest",
        found_at=None,
        evidence=None,
        words=(),
        figures=None,
        metadata=tuple(map(_fact, metadata_facts(content.capture, content.capture))),
        quality=tuple(map(_fact, quality_facts(_measured(content), _measured(content)))),
    )


def _evidence(evidence: Evidence) -> EvidenceMessage:
    return EvidenceMessage(
        method=evidence.method,
        similarity=evidence.similarity,
        geometry=None if evidence.geometry is None else _geometry(evidence.geometry),
        residual_low=evidence.residual_low,
        worst_region=evidence.worst_region,
        motion_px=evidence.motion_px,
        tone_change=evidence.tone_change,
        noise_correlation=evidence.noise_correlation,
        differences=tuple(
            BoxMessage(left=box.left, top=box.top, right=box.right, bottom=box.bottom) for box in evidence.differences
        ),
        excess=evidence.excess,
        error_levels=evidence.error_levels,
        band_errors=evidence.band_errors,
        band_gains=evidence.band_gains,
        chroma_gain=evidence.chroma_gain,
        overlay_share=evidence.overlay_share,
        overlay_is_on_b=evidence.overlay_is_on_b,
        frame_offset_px=evidence.frame_offset_px,
        protrusion_px=evidence.protrusion_px,
        compared_px=evidence.compared_px,
        fine_px=evidence.fine_px,
    )


def _geometry(geometry: Geometry) -> GeometryMessage:
    return GeometryMessage(
        scale=geometry.scale,
        rotation_deg=geometry.rotation_deg,
        is_mirrored=geometry.is_mirrored,
        overlap_of_a=geometry.overlap_of_a,
        overlap_of_b=geometry.overlap_of_b,
        inliers=geometry.inliers,
    )


def _figures(figures: Figures) -> FiguresMessage:
    return FiguresMessage(
        width=figures.width_px,
        height=figures.height_px,
        mse=figures.mse,
        psnr_db=figures.psnr_db,
        ssim=figures.ssim,
        toned_mse=figures.toned_mse,
        toned_psnr_db=figures.toned_psnr_db,
        toned_ssim=figures.toned_ssim,
        keypoints_a=figures.keypoints_a,
        keypoints_b=figures.keypoints_b,
        matches=figures.matches,
        agreeing=figures.agreeing,
    )


def _measured(content: ContentRecord) -> Measured:
    return Measured(
        format=content.format,
        width_px=content.width_px,
        height_px=content.height_px,
        size_bytes=content.size_bytes,
        quality=content.quality,
    )


def _fact(fact: Fact) -> FactMessage:
    return FactMessage(name=fact.name, a=fact.a, b=fact.b, standing=fact.standing)
