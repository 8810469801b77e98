"""Answers about what is near a picture by a model's word. Blocking; runs in threads, owns nothing.

Decides nothing: a neighbour is marked with what the pixels said of the two, and with its group.
"""

from __future__ import annotations

from dedupd.api.failures import BadPictureError
from dedupd.api.pictures import Gallery, PictureReads
from dedupd.core.errors import NotFoundError
from dedupd.core.ports import Groups, Library, Neighbour, SimilarFound, SimilarPictures
from dedupd.core.records import ContentId, Problem
from dedupd.protocol.pictures import NearMessage, SimilarMessage
from dedupd.protocol.requests import SimilarQuery, SimilarUploadQuery

_LAST_CONTENT = 2**48 - 1
_NOT_STORED = ContentId(0)


class SimilarAnswers:
    """Answers from the models behind the `SimilarPictures` port, the store and the groups."""

    def __init__(self, *, library: Library, similar: SimilarPictures, groups: Groups, reads: PictureReads) -> None:
        self._library = library
        self._similar = similar
        self._groups = groups
        self._reads = reads

    def of_content(self, query: SimilarQuery) -> SimilarMessage:
        """What is near a picture of the library."""
        if query.content > _LAST_CONTENT:
            raise NotFoundError(f"There is no content {query.content} in the library.")
        content = ContentId(query.content)
        return self._message(content, self._similar.similar(content, limit=query.limit, name=query.model))

    def of_upload(self, fd: int, query: SimilarUploadQuery) -> SimilarMessage:
        """What is near the picture behind a descriptor, which the reader closes."""
        read = self._reads.read(fd)
        with self._library.view() as view:
            known = view.content_by_digest(read.digest)
        if known is None and isinstance(read.image, Problem):
            raise BadPictureError(read.image)
        found = self._similar.similar(read, limit=query.limit, name=query.model)
        return self._message(_NOT_STORED if known is None else known.id, found)

    def _message(self, content: ContentId, found: SimilarFound) -> SimilarMessage:
        with self._library.view() as view:
            gallery = Gallery.of(view)
            near = [self._near(gallery, content, neighbour) for neighbour in found.neighbours]
        return SimilarMessage(
            name=found.name,
            model=found.model,
            content=content,
            near=tuple(message for message in near if message is not None),
        )

    def _near(self, gallery: Gallery, content: ContentId, neighbour: Neighbour) -> NearMessage | None:
        """None where the neighbour went since it was found."""
        picture = gallery.picture(neighbour.content)
        if picture is None:
            return None
        edge = gallery.view.edge(content, neighbour.content)
        group = self._groups.holding(neighbour.content)
        return NearMessage(
            similarity=neighbour.similarity,
            relation=None if edge is None else edge.relation,
            group=None if group is None else group.id,
            picture=picture,
        )
