"""Where a copy differs from the kept picture: marks over both thumbnails, and the evidence in words.

Pure text making; the marks are inline SVG that needs no script. Everything that comes from files is escaped by the
caller; what is made here are numbers and our own words.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

from dedupd.core.other_side import seen_from_b
from dedupd.core.pair_words import pair_words
from dedupd.core.records import Box, ContentId, Edge, Evidence, Relation

COPY, KEPT = "this copy", "the kept picture"
SAME_FRAME = 0.012  # of a side; edges nearer than this are not drawn
_UNIT = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))

Point = tuple[float, float]
Quad = tuple[Point, ...]
Size = tuple[int, int]  # width and height; only their ratio counts


@dataclass(frozen=True, slots=True)
class Difference:
    """What is marked on the two pictures, in fractions of each one's frame."""

    on_kept: tuple[Quad, ...]  # places that differ
    on_copy: tuple[Quad, ...]
    copy_edge: Quad | None  # the copy's frame on the kept picture, where it shows less of it
    kept_edge: Quad | None  # the kept picture's frame on the copy, where that shows more
    words: tuple[str, ...]

    @property
    def is_marked(self) -> bool:
        """Whether there is anything to see on the pictures."""
        return bool(self.on_kept or self.on_copy or self.copy_edge or self.kept_edge)


def difference_of(edge: Edge, keep: ContentId) -> Difference:
    """What the evidence of a pair says, seen from the kept picture.

    Pairs that were found before their corners were kept have marks only on the one whose fractions the boxes are in.
    """
    there, back = edge.evidence, seen_from_b(edge.evidence)
    from_kept, from_copy = (there, back) if edge.a == keep else (back, there)
    words = pair_words(from_kept, KEPT, COPY) if from_kept is not None else pair_words(there, COPY, KEPT)
    return Difference(
        on_kept=_places(from_kept),
        on_copy=_places(from_copy),
        copy_edge=_edge(from_kept),
        kept_edge=_edge(from_copy),
        words=words,
    )


def marks(size: Size, places: tuple[Quad, ...], edge: Quad | None) -> str:
    """An SVG that lies over a picture of this shape; "" where there is nothing to mark."""
    width, height = size
    shapes = ""
    if edge is not None:
        outline = _path(edge, size)
        shapes += f'<path class="outside" d="M0 0H{width}V{height}H0Z{outline}"/>'
        shapes += f'<path class="halo" d="{outline}"/><path class="edge" d="{outline}"/>'
    for place in places:
        outline = _path(place, size)
        shapes += f'<path class="halo" d="{outline}"/><path class="place" d="{outline}"/>'
    if not shapes:
        return ""
    return f'<svg class="marks" viewBox="0 0 {width} {height}" aria-hidden="true">{shapes}</svg>'


def told(difference: Difference, relation: Relation, kept_picture: str) -> str:
    """What differs in words: open for what was edited, on demand for others, where there is anything to see.

    Args:
        difference: what to tell.
        relation: of the copy to the kept picture.
        kept_picture: the kept picture's frame with its marks as HTML, "" for none.
    """
    if not difference.words or not (difference.is_marked or relation is Relation.EDITED):
        return ""
    is_open = " open" if relation is Relation.EDITED else ""
    items = "".join(f"<li>{html.escape(words)}</li>" for words in difference.words)
    legend = ""
    if kept_picture:
        edge = '<span class="edge">edge of this copy</span>' if difference.copy_edge is not None else ""
        place = '<span class="place">what differs</span>' if difference.on_kept else ""
        legend = f'<p class="legend">On the kept picture: {edge}{place}</p>'
    return (
        f'<details class="where"{is_open}><summary>How it differs</summary>'
        f"{legend}{kept_picture}<ul>{items}</ul></details>"
    )


def _places(evidence: Evidence | None) -> tuple[Quad, ...]:
    return () if evidence is None else tuple(map(_quad, evidence.differences))


def _quad(box: Box) -> Quad:
    return ((box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom))


def _edge(evidence: Evidence | None) -> Quad | None:
    """B's frame on A, where it is smaller and not the same."""
    if evidence is None or evidence.geometry is None or len(evidence.geometry.corners) != 4:
        return None
    corners = evidence.geometry.corners
    return None if _area(corners) >= 1 or _is_whole(corners) else corners


def _area(quad: Quad) -> float:
    """By the shoelace formula."""
    return abs(sum(x * v - u * y for (x, y), (u, v) in zip(quad, (*quad[1:], quad[0]), strict=True))) / 2


def _is_whole(corners: Quad) -> bool:
    """Whether the corners are those of the whole frame, in whatever order: turned and mirrored frames are the same."""
    return all(min(max(abs(x - u), abs(y - v)) for x, y in corners) <= SAME_FRAME for u, v in _UNIT)


def _path(quad: Quad, size: Size) -> str:
    """A closed SVG path, kept within a picture's reach so that no number is absurd."""
    points = (f"{min(max(x, -1.0), 2.0) * size[0]:.1f} {min(max(y, -1.0), 2.0) * size[1]:.1f}" for x, y in quad)
    return "M" + "L".join(points) + "Z"
