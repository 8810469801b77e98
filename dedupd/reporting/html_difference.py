"""Where a copy differs from the kept picture: marks over both thumbnails, and the evidence in words.

Pure text making; the marks are inline SVG that needs no script. Everything that comes from files is escaped by the
caller; what is made here are numbers and our own words.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

from dedupd.core.pair_words import pair_words
from dedupd.core.records import Box, ContentId, Edge, Relation

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
    copy_edge: Quad | None  # the copy's frame on the kept picture; None: the same frame, or not known
    kept_edge: Quad | None  # the kept picture's frame on the copy
    words: tuple[str, ...]

    @property
    def is_marked(self) -> bool:
        """Whether there is anything to see on the pictures."""
        return bool(self.on_kept or self.on_copy or self.copy_edge or self.kept_edge)


def difference_of(edge: Edge, keep: ContentId) -> Difference:
    """What the evidence of a pair says, seen from the kept picture.

    Pairs that were found before their corners were kept have marks on the one whose fractions the boxes are in.
    """
    evidence = edge.evidence
    is_keep_a = edge.a == keep
    names = (KEPT, COPY) if is_keep_a else (COPY, KEPT)
    corners = evidence.geometry.corners if evidence.geometry is not None else ()
    on_a = tuple(_quad(box) for box in evidence.differences)
    on_b: tuple[Quad, ...] = ()
    b_edge: Quad | None = None  # on A
    a_edge: Quad | None = None  # on B
    if len(corners) == 4:
        onto_b = _Inverse.of(corners)
        on_b = tuple(tuple(map(onto_b.point, quad)) for quad in on_a)
        if not _is_whole(corners):
            b_edge, a_edge = corners, tuple(map(onto_b.point, _UNIT))
    on_kept, on_copy = (on_a, on_b) if is_keep_a else (on_b, on_a)
    copy_edge, kept_edge = (b_edge, a_edge) if is_keep_a else (a_edge, b_edge)
    return Difference(on_kept, on_copy, copy_edge, kept_edge, pair_words(evidence, *names))


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
    """What differs in words, open for what was edited and on demand for others.

    Args:
        difference: what to tell.
        relation: of the copy to the kept picture.
        kept_picture: the kept picture's frame with its marks as HTML, "" for none.
    """
    if not difference.words:
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


def _quad(box: Box) -> Quad:
    return ((box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom))


def _is_whole(corners: Quad) -> bool:
    """Whether the corners are those of the whole frame, in whatever order: turned and mirrored frames are the same."""
    return all(min(max(abs(x - u), abs(y - v)) for x, y in corners) <= SAME_FRAME for u, v in _UNIT)


@dataclass(frozen=True, slots=True)
class _Inverse:
    """Fractions of A's frame to fractions of B's."""

    origin: Point
    across: Point  # what B's width is in fractions of A
    down: Point
    determinant: float

    @classmethod
    def of(cls, corners: Quad) -> _Inverse:
        origin, right, _, below = corners
        across = right[0] - origin[0], right[1] - origin[1]
        down = below[0] - origin[0], below[1] - origin[1]
        determinant = across[0] * down[1] - across[1] * down[0]
        return cls(origin, across, down, determinant if abs(determinant) > 1e-9 else 1e-9)

    def point(self, at: Point) -> Point:
        x, y = at[0] - self.origin[0], at[1] - self.origin[1]
        u = (x * self.down[1] - y * self.down[0]) / self.determinant
        v = (y * self.across[0] - x * self.across[1]) / self.determinant
        return u, v


def _path(quad: Quad, size: Size) -> str:
    """A closed SVG path, kept within a picture's reach so that no number is absurd."""
    points = (f"{min(max(x, -1.0), 2.0) * size[0]:.1f} {min(max(y, -1.0), 2.0) * size[1]:.1f}" for x, y in quad)
    return "M" + "L".join(points) + "Z"
