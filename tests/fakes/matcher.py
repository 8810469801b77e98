"""A matcher whose answers a test lays down."""

from dedupd.core.errors import NotFoundError, UnreadableImageError
from dedupd.core.ports import DecodedImage, FoundMatch, ReadFile
from dedupd.core.records import Box, ContentId, Edge, Evidence, Geometry, Relation

NOW_NS = 1_760_000_000_000_000_000


class LaidMatcher:
    """A whole `Matcher`: what `answers` says of a digest, beside the same bytes and the edges that the store knows.

    Every pair without an edge is re-encoded to it. While `fault` is set, `find` raises it.
    """

    def __init__(self, library):
        self._library = library
        self.answers: dict[bytes, list[FoundMatch]] = {}
        self.fault: Exception | None = None

    def find(self, read: ReadFile, *, pixel_digest) -> list[FoundMatch]:
        if self.fault is not None:
            raise self.fault
        found = list(self.answers.get(read.digest, []))
        with self._library.view() as view:
            known = view.content_by_digest(read.digest)
            if known is None and not isinstance(read.image, DecodedImage):
                raise UnreadableImageError("the picture was not decoded, and its bytes are not in the library.")
            if known is not None and view.some_files_of(known.id, 1):
                same = FoundMatch(
                    content=known.id,
                    relation=Relation.SAME_BYTES,
                    similarity=1.0,
                    reason="equal byte for byte",
                    probability=1.0,
                )
                found.append(same)
        return sorted(found, key=lambda match: (match.relation.rank, -match.similarity, match.content))

    def explain(self, a: ContentId, b: ContentId) -> Edge:
        a, b = sorted((a, b))
        with self._library.view() as view:
            if view.content(a) is None or view.content(b) is None:
                raise NotFoundError(f"contents {a} and {b} cannot be compared: one is not in the library.")
            return view.edge(a, b) or half_the_size(a, b)


def half_the_size(a: ContentId, b: ContentId) -> Edge:
    """A verified pair, a < b."""
    evidence = Evidence(
        method="dense",
        similarity=0.987,
        geometry=Geometry(
            scale=0.5, rotation_deg=0.0, is_mirrored=False, overlap_of_a=1.0, overlap_of_b=1.0, inliers=0
        ),
        residual_low=0.9,
        worst_region=0.01,
        motion_px=0.2,
        tone_change=0.0,
        differences=(Box(left=0.1, top=0.2, right=0.3, bottom=0.4),),
    )
    return Edge(
        a=a,
        b=b,
        relation=Relation.RE_ENCODED,
        similarity=0.987,
        reason="The same whole picture at half the size.",
        evidence=evidence,
        verifier="rules-1",
        found_at_ns=NOW_NS,
    )
