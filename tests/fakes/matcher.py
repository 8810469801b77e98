"""A matcher whose answers a test lays down."""

from dataclasses import replace

from dedupd.core.errors import NotFoundError, UnreadableImageError
from dedupd.core.illustration import Figures, SheetWords
from dedupd.core.ports import DecodedImage, Explained, FoundMatch, ReadFile, Upload
from dedupd.core.records import Box, ContentId, ContentRecord, Edge, Evidence, Geometry, Relation
from dedupd.pipeline.explain import as_content

FIGURES = Figures(
    width_px=380,
    height_px=280,
    mse=6.5,
    ssim=0.98,
    toned_mse=6.5,
    toned_ssim=0.98,
    keypoints_a=400,
    keypoints_b=390,
    matches=310,
    agreeing=309,
)
NOW_NS = 1_760_000_000_000_000_000


class LaidMatcher:
    """A whole `Matcher`: what `answers` says of a digest, beside the same bytes and the edges that the store knows.

    Every pair without an edge is re-encoded to it. While `fault` is set, `find` raises it.
    """

    def __init__(self, library):
        self._library = library
        self.answers: dict[bytes, list[FoundMatch]] = {}
        self.fault: Exception | None = None
        self.drawn: list[SheetWords] = []

    def find(self, read: ReadFile, *, pixel_digest, source=None) -> list[FoundMatch]:
        if self.fault is not None:
            raise self.fault
        found = list(self.answers.get(read.digest, []))
        with self._library.view() as view:
            others = {match.content: view.content(match.content) for match in found}
            found = [m for m in found if (c := others[m.content]) is None or not view.verdict(read.digest, c.digest)]
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

    def explain(self, a: ContentId | Upload, b: ContentId | Upload) -> Explained:
        first, second = self._record(a), self._record(b)
        low, high = sorted((first.id, second.id))
        with self._library.view() as view:
            edge = view.edge(low, high) or half_the_size(low, high)
            verdict = view.verdict(first.digest, second.digest)
        evidence = edge.evidence if edge.a == first.id else from_the_other_side(edge.evidence)
        return Explained(a=first, b=second, edge=edge, evidence=evidence, figures=FIGURES, verdict=verdict)

    def draw(self, a: ContentId | Upload, b: ContentId | Upload, words: SheetWords) -> bytes:
        for picture in (a, b):
            self._record(picture)
        self.drawn.append(words)
        return b"a sheet as " + words.form.encode()

    def _record(self, picture: ContentId | Upload) -> ContentRecord:
        if isinstance(picture, Upload):
            return as_content(picture.read, picture.read.image)
        with self._library.view() as view:
            record = view.content(picture)
        if record is None:
            raise NotFoundError(f"content {picture} is not in the library.")
        return record


def from_the_other_side(evidence: Evidence) -> Evidence:
    """The evidence of the pair asked for the other way round; the boxes stay, as the whole frames lie on each other."""
    geometry = evidence.geometry
    seen = geometry and replace(
        geometry, scale=1 / geometry.scale, overlap_of_a=geometry.overlap_of_b, overlap_of_b=geometry.overlap_of_a
    )
    return replace(evidence, geometry=seen)


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
