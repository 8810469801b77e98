"""Compare: turn candidate pairs into verified pairs, with the pixels' evidence and the rules that decide.

Stateless but for its collaborators; used by the link stage and by questions. Never trusts the index: every pair that
is not equal by digest gets a look at both pictures.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace

from dedupd.core.bundle import is_raw_pair
from dedupd.core.ports import (
    DecodedImage,
    EvidenceSide,
    ImageReader,
    Library,
    LibraryView,
    PreviewCache,
    Priority,
    ReadFile,
)
from dedupd.core.records import NOTHING_FOUND, ContentId, ContentRecord, Edge, Evidence, Problem, Relation, RootId
from dedupd.core.relation import VERIFIER_TAG, decide
from dedupd.pipeline.asked import Asked, GaveUpError, promising_pairs
from dedupd.pipeline.candidates import Pair
from dedupd.pipeline.facts import present_files
from dedupd.pipeline.full_look import FullLook, Looked
from dedupd.pipeline.rates import Rates
from dedupd.pipeline.stage import Clock

_log = logging.getLogger(__name__)

# A pixel digest costs two full decodes, so it is made only where the small images leave hardly a doubt.
_PIXEL_CHECK_SIMILARITY = 0.98
_FILES_TRIED = 8  # of a content, until one of them can be read
_LOSSLESS = frozenset({"PNG", "TIFF", "BMP", "GIF", "WEBP"})

_EQUAL_BY_DIGEST = Evidence(
    method="digest",
    similarity=1.0,
    geometry=None,
    residual_low=1.0,
    worst_region=0.0,
    motion_px=0.0,
    tone_change=0.0,
)


@dataclass(frozen=True, slots=True)
class Verified:
    """Edges found, and contents whose pixel digest was made on the way (to be stored)."""

    edges: tuple[Edge, ...]
    digested: tuple[ContentRecord, ...]


class Comparer:
    """Verifies pairs of contents of the library. Thread-safe."""

    def __init__(
        self,
        *,
        library: Library,
        reader: ImageReader,
        previews: PreviewCache,
        clock: Clock,
        rates: Rates,
        root_paths: Callable[[], Mapping[RootId, bytes]],
    ) -> None:
        self._library = library
        self._reader = reader
        self._full_look = FullLook(reader)
        self._previews = previews
        self._clock = clock
        self._rates = rates
        self._root_paths = root_paths

    def verify(
        self, pairs: Iterable[Pair], priority: Priority, *, gives_up: Callable[[], bool] = lambda: False
    ) -> Verified:
        """Look at each pair; the result holds every relation but DIFFERENT, and no bundles.

        Raises:
            GaveUpError: `gives_up` said so; what the pool has not begun is taken back.
        """
        asked = Asked(gives_up)
        try:
            return self._verified(pairs, priority, asked)
        except GaveUpError:
            asked.cancel()
            raise

    def _verified(self, pairs: Iterable[Pair], priority: Priority, asked: Asked) -> Verified:
        with self._library.view() as view:
            records, todo = self._load(view, pairs)
        edges: list[Edge] = []
        readable: list[Pair] = []
        sides: dict[ContentId, EvidenceSide] = {}
        for pair in todo:
            a, b = records[pair[0]], records[pair[1]]
            if a.image_digest is not None and a.image_digest == b.image_digest:
                edges.append(self._edge(a, b, _EQUAL_BY_DIGEST))
                continue
            sides.update({c.id: side for c in (a, b) if c.id not in sides and (side := self.side(c)) is not None})
            if a.id in sides and b.id in sides:
                readable.append(pair)
            else:
                _log.warning("compare.unreadable a=%d b=%d", *pair)
        promising = promising_pairs(self._reader, readable, sides, priority, asked)
        edges += [self._edge(records[a], records[b], NOTHING_FOUND) for a, b in readable if (a, b) not in promising]
        started: list[tuple[Pair, tuple[EvidenceSide, EvidenceSide], Future[Evidence | Problem]]] = []
        for pair in readable:
            if pair in promising:
                both = sides[pair[0]], sides[pair[1]]
                started.append((pair, both, asked.remember(self._reader.compare(*both, priority=priority))))
        digested: dict[ContentId, ContentRecord] = {}
        seen: list[tuple[ContentRecord, ContentRecord, Edge, Future[Evidence | Problem] | None]] = []
        for pair, both, future in started:
            evidence = asked.answer(future)
            if isinstance(evidence, Problem):
                _log.warning("compare.failed a=%d b=%d code=%s detail=%r", *pair, evidence.code.value, evidence.detail)
                continue
            a, b = (digested.get(c, records[c]) for c in pair)
            edge = self._edge(a, b, evidence)
            if _may_have_equal_pixels(a, b, edge):
                a, b = self._with_pixel_digest(a, priority), self._with_pixel_digest(b, priority)
                digested.update({c.id: c for c in (a, b) if c.pixel_digest is not None})
                edge = self._edge(a, b, evidence)
            look = None
            if self._full_look.pays(a, b, edge):
                first, second = (Looked(c, s, self.path_of(c.id)) for c, s in zip((a, b), both, strict=True))
                look = self._full_look.begin(first, second, edge, priority)
                look = asked.remember(look) if look is not None else None
            seen.append((a, b, edge, look))
        edges += [
            edge if look is None else self._full_look.concluded(a, b, edge, asked.answer(look))
            for a, b, edge, look in seen
        ]
        self._rates.count(compared=len(readable), now_s=self._clock.monotonic_s())
        return Verified(
            edges=tuple(e for e in edges if e.relation is not Relation.DIFFERENT),
            digested=tuple(digested.values()),
        )

    def explain(self, a: ContentId, b: ContentId) -> Edge | None:
        """One pair with all it shows, DIFFERENT included; None when a picture cannot be read any more."""
        with self._library.view() as view:
            first, second = (view.content(c) for c in sorted((a, b)))
        if first is None or second is None:
            return None
        side = self.side(first)
        return self.look(first, side, second) if side is not None else None

    def look(
        self,
        a: ContentRecord,
        side_a: EvidenceSide,
        b: ContentRecord,
        pixel_digest: Callable[[], bytes | None] | None = None,
        *,
        side_b: EvidenceSide | None = None,
        pixel_digest_b: Callable[[], bytes | None] | None = None,
        source: Callable[[], bytes | int | None] | None = None,
        source_b: Callable[[], bytes | int | None] | None = None,
    ) -> Edge | None:
        """Two pictures, in the library or not (then their id is 0); stores nothing.

        Args:
            a: the picture.
            side_a: it, ready to be compared.
            b: the other.
            pixel_digest: makes the digest of a's pixels when a is not in the library.
            side_b: b, ready to be compared, when it is not in the library.
            pixel_digest_b: the same of b's pixels.
            source: opens a, for a look at all its pixels, when it is not in the library; what it gives is closed.
            source_b: the same of b.
        """
        if a.image_digest is not None and a.image_digest == b.image_digest:
            return self._edge(a, b, _EQUAL_BY_DIGEST)
        side_b = side_b or self.side(b)
        if side_b is None:
            return None
        evidence = self._reader.compare(side_a, side_b, priority=Priority.QUESTION).result()
        if isinstance(evidence, Problem):
            return None
        edge = self._edge(a, b, evidence)
        if _may_have_equal_pixels(a, b, edge):
            if pixel_digest_b is not None:
                b = replace(b, pixel_digest=pixel_digest_b())
            else:
                b = self._with_pixel_digest(b, Priority.QUESTION)
            if pixel_digest is not None and b.pixel_digest is not None:
                a = replace(a, pixel_digest=pixel_digest())
            elif pixel_digest is None:
                a = self._with_pixel_digest(a, Priority.QUESTION)
            edge = self._edge(a, b, evidence)
        if not self._full_look.pays(a, b, edge):
            return edge
        first = Looked(a, side_a, source() if source is not None else self.path_of(a.id))
        second = Looked(b, side_b, source_b() if source_b is not None else self.path_of(b.id))
        look = self._full_look.begin(first, second, edge, Priority.QUESTION)
        return edge if look is None else self._full_look.concluded(a, b, edge, look.result())

    def side(self, content: ContentRecord) -> EvidenceSide | None:
        """One picture ready to be compared; its preview is made again from a file when the cache lost it."""
        preview = self.preview_of(content, Priority.EVIDENCE)
        if preview is None:
            return None
        return EvidenceSide(content=content.id, preview=preview, width_px=content.width_px, height_px=content.height_px)

    def preview_of(self, content: ContentRecord, priority: Priority) -> bytes | None:
        """A content's preview, made again from a file where the cache lost it; None where no file can be read now."""
        return self._previews.get(content.id) or self._remake_preview(content, priority)

    def _load(self, view: LibraryView, pairs: Iterable[Pair]) -> tuple[dict[ContentId, ContentRecord], list[Pair]]:
        records: dict[ContentId, ContentRecord] = {}
        todo: list[Pair] = []
        for pair in pairs:
            for content in pair:
                if content not in records and (record := view.content(content)) is not None:
                    records[content] = record
            a, b = records.get(pair[0]), records.get(pair[1])
            if a is None or b is None or view.edge(*pair) is not None:
                continue
            if (a.format == "RAW") != (b.format == "RAW") and is_raw_pair(
                a.format, self._paths(view, a.id), b.format, self._paths(view, b.id)
            ):
                continue
            todo.append(pair)
        return records, todo

    def _paths(self, view: LibraryView, content: ContentId) -> list[bytes]:
        return [b"%d/%s" % (f.path.root, f.path.relative()) for f in present_files(view, content)]

    def _edge(self, a: ContentRecord, b: ContentRecord, evidence: Evidence) -> Edge:
        verdict = decide(a, b, evidence)
        return Edge(
            a=a.id,
            b=b.id,
            relation=verdict.relation,
            similarity=evidence.similarity,
            reason=verdict.reason,
            evidence=evidence,
            verifier=VERIFIER_TAG,
            found_at_ns=self._clock.wall_ns(),
            probability=verdict.probability,
        )

    def _with_pixel_digest(self, content: ContentRecord, priority: Priority) -> ContentRecord:
        if content.pixel_digest is not None:
            return content
        for path in self.paths_of(content.id):
            digest = self._reader.pixel_digest(path, priority=priority).result()
            if not isinstance(digest, Problem):
                return replace(content, pixel_digest=digest)
        return content

    def _remake_preview(self, content: ContentRecord, priority: Priority) -> bytes | None:
        for path in self.paths_of(content.id):
            read = self._reader.read(path, is_known=lambda digest: digest != content.digest, priority=priority).result()
            if isinstance(read, ReadFile) and isinstance(read.image, DecodedImage) and read.digest == content.digest:
                self._previews.put(content.id, read.image.preview)
                return read.image.preview
        return None

    def path_of(self, content: ContentId) -> bytes | None:
        """Where a file of a content should be; None where none is known."""
        return next(iter(self.paths_of(content)), None)

    def paths_of(self, content: ContentId) -> list[bytes]:
        """Where a content's files should be, as many as are worth a try."""
        with self._library.view() as view:
            files = view.some_files_of(content, _FILES_TRIED)
        roots = self._root_paths()
        return [roots[file.path.root] + b"/" + file.path.relative() for file in files if file.path.root in roots]


def _may_have_equal_pixels(a: ContentRecord, b: ContentRecord, edge: Edge) -> bool:
    """Whether a full decode of both could show equal pixels: a lossless copy, or a JPEG stored another way."""
    if edge.relation is not Relation.RE_ENCODED or edge.similarity < _PIXEL_CHECK_SIMILARITY:
        return False
    if (a.width_px, a.height_px) != (b.width_px, b.height_px):
        return False
    if a.format == b.format == "JPEG":
        return a.quality.jpeg_quality == b.quality.jpeg_quality
    return a.format in _LOSSLESS or b.format in _LOSSLESS
