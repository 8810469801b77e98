"""Answers to questions about pictures: which of the library this one is, and why two are together.

Looks with the same descriptor, index, evidence and rules as the link stage, and stores nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from dedupd.core.errors import UnreadableImageError
from dedupd.core.illustration import SheetWords
from dedupd.core.ports import (
    DecodedImage,
    Embedder,
    EmbedItem,
    EvidenceSide,
    Explained,
    FoundMatch,
    Library,
    ReadFile,
    Upload,
    VectorIndex,
)
from dedupd.core.records import ContentId, Edge, Problem, Relation
from dedupd.pipeline.candidates import PLAIN_INFORMATION, neighbours_in, worth_a_look
from dedupd.pipeline.compare import Comparer
from dedupd.pipeline.explain import NOT_STORED, Explainer, as_content
from dedupd.pipeline.group_book import GroupBook


class LibraryMatcher:
    """Implements the `Matcher` port."""

    def __init__(
        self,
        *,
        library: Library,
        embedder: Embedder,
        index: VectorIndex,
        comparer: Comparer,
        groups: GroupBook,
        explainer: Explainer,
        candidates: int,
    ) -> None:
        self._library = library
        self._embedder = embedder
        self._index = index
        self._comparer = comparer
        self._groups = groups
        self._explainer = explainer
        self._candidates = candidates

    def find(
        self,
        read: ReadFile,
        *,
        pixel_digest: Callable[[], bytes | None],
        source: Callable[[], int | None] | None = None,
    ) -> list[FoundMatch]:
        """Contents that the picture duplicates or resembles, the closest relation first.

        Raises:
            UnreadableImageError: the bytes are no picture that can be read, and are not known either.
        """
        with self._library.view() as view:
            known = view.content_by_digest(read.digest)
        if known is not None:
            return self._around(known.id)
        match read.image:
            case DecodedImage() as image:
                return self._look_for(read, image, cache(pixel_digest), source)
            case Problem(code=code, detail=detail):
                raise UnreadableImageError(f"the picture cannot be read: {detail} ({code.value}).")
            case None:
                raise UnreadableImageError("the picture was not decoded, and its bytes are not in the library.")

    def explain(self, a: ContentId | Upload, b: ContentId | Upload) -> Explained:
        """See the port."""
        return self._explainer.explain(a, b)

    def draw(self, a: ContentId | Upload, b: ContentId | Upload, words: SheetWords) -> bytes:
        """See the port."""
        return self._explainer.draw(a, b, words)

    def _around(self, content: ContentId) -> list[FoundMatch]:
        """A known content: its own files, then its verified duplicates."""
        found = []
        with self._library.view() as view:
            if view.some_files_of(content, 1):
                found.append(
                    FoundMatch(
                        content=content,
                        relation=Relation.SAME_BYTES,
                        similarity=1.0,
                        reason="the files are equal byte for byte",
                        probability=1.0,
                    )
                )
            for other in self._groups.ties(content):
                edge = view.edge(min(content, other), max(content, other))
                if edge is not None and view.some_files_of(other, 1):
                    found.append(_found(other, edge))
        return _sorted(found)

    def _look_for(
        self,
        read: ReadFile,
        image: DecodedImage,
        pixel_digest: Callable[[], bytes | None],
        source: Callable[[], int | None] | None,
    ) -> list[FoundMatch]:
        item = EmbedItem(digest=read.digest, path=None, small=image.small)
        descriptor = self._embedder.embed([item]).result()[0]
        model = self._embedder.model
        [near] = neighbours_in(self._index, [(NOT_STORED, descriptor)], model, self._candidates)
        is_plain = image.quality.information < PLAIN_INFORMATION
        neighbours = worth_a_look(near, model, self._candidates, is_plain=is_plain)
        asked = as_content(read, image)
        with self._library.view() as view:
            ids = {n.content for n in neighbours}
            if image.image_digest is not None:
                ids |= set(view.contents_with_image_digest(image.image_digest))
            for content in list(ids):  # what a near neighbour is grouped with may match too
                ids |= set(self._groups.ties(content))
            known = (c for i in sorted(ids) if (c := view.content(i)) is not None and view.some_files_of(i, 1))
            candidates = [c for c in known if view.verdict(read.digest, c.digest) is None]
        side = EvidenceSide(content=None, preview=image.preview, width_px=image.width_px, height_px=image.height_px)
        edges = [(c.id, self._comparer.look(asked, side, c, pixel_digest, source=source)) for c in candidates]
        return _sorted(
            [
                _found(content, edge)
                for content, edge in edges
                if edge is not None and edge.relation is not Relation.DIFFERENT
            ]
        )


def _found(content: ContentId, edge: Edge) -> FoundMatch:
    return FoundMatch(
        content=content,
        relation=edge.relation,
        similarity=edge.similarity,
        reason=edge.reason,
        probability=edge.probability,
    )


def _sorted(found: list[FoundMatch]) -> list[FoundMatch]:
    return sorted(found, key=lambda m: (m.relation.rank, -m.similarity, m.content))
