"""The evidence of a pair seen from its other picture. Pure; looks at nothing again.

Needs the corners that the geometry keeps; without them only a new look at the pictures can tell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dedupd.core.records import Box, Evidence, Geometry

Point = tuple[float, float]

_UNIT: tuple[Point, ...] = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
_LEAST_AREA = 1e-9  # of a frame, in fractions; alignments are never as thin


def seen_from_b(evidence: Evidence) -> Evidence | None:
    """The evidence of (b, a) from that of (a, b); None where the corners are not known."""
    geometry = evidence.geometry
    if geometry is None:
        return evidence
    onto_b = _OntoB.of(geometry.corners)
    if onto_b is None:
        return None
    return replace(
        evidence,
        geometry=_turned_round(geometry, tuple(map(onto_b.point, _UNIT))),
        differences=tuple(map(onto_b.box, evidence.differences)),
        band_gains=tuple(1 / gain if gain > 0 else gain for gain in evidence.band_gains),
        chroma_gain=1 / evidence.chroma_gain if evidence.chroma_gain > 0 else evidence.chroma_gain,
        overlay_is_on_b=evidence.overlay_share > 0 and not evidence.overlay_is_on_b,
    )


def _turned_round(geometry: Geometry, corners: tuple[Point, ...]) -> Geometry:
    return replace(
        geometry,
        scale=1 / geometry.scale,
        # A mirror image that is turned lies back by the same turn: mirroring reverses it once more.
        rotation_deg=geometry.rotation_deg if geometry.is_mirrored else -geometry.rotation_deg,
        overlap_of_a=geometry.overlap_of_b,
        overlap_of_b=geometry.overlap_of_a,
        corners=corners,
    )


@dataclass(frozen=True, slots=True)
class _OntoB:
    """Fractions of A's frame to fractions of B's."""

    origin: Point  # B's top left in fractions of A
    across: Point  # B's width in fractions of A
    down: Point
    determinant: float

    @classmethod
    def of(cls, corners: tuple[Point, ...]) -> _OntoB | None:
        if len(corners) != len(_UNIT):
            return None
        origin, right, _, below = corners
        across = right[0] - origin[0], right[1] - origin[1]
        down = below[0] - origin[0], below[1] - origin[1]
        determinant = across[0] * down[1] - across[1] * down[0]
        return cls(origin, across, down, determinant) if abs(determinant) > _LEAST_AREA else None

    def point(self, at: Point) -> Point:
        x, y = at[0] - self.origin[0], at[1] - self.origin[1]
        return (
            (x * self.down[1] - y * self.down[0]) / self.determinant,
            (y * self.across[0] - x * self.across[1]) / self.determinant,
        )

    def box(self, box: Box) -> Box:
        corners = ((box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom))
        xs, ys = zip(*map(self.point, corners), strict=True)
        return Box(left=_share(min(xs)), top=_share(min(ys)), right=_share(max(xs)), bottom=_share(max(ys)))


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
