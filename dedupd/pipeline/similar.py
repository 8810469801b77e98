"""Similar: what is near a picture by a model's vectors alone, in meaning where a vision model answers.

Asks the best generation that serves, the built-in descriptor where none does. Looks at no pixels, decides nothing,
stores nothing; owns nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass

from dedupd.core.arrays import Vectors
from dedupd.core.errors import DegradedError, NotFoundError, RetryError, UnreadableImageError
from dedupd.core.ports import (
    DecodedImage,
    Embedder,
    EmbedItem,
    Library,
    LibraryView,
    Neighbour,
    ReadFile,
    SimilarFound,
    VectorIndex,
)
from dedupd.core.records import ContentId, ModelTag
from dedupd.pipeline.generation_book import GenerationBook, Shelf

BUILT_IN = "builtin"
_EMBED_S = 120.0  # a question may have to wait until a device has loaded the model
_LOWEST = -1.0  # every neighbour counts: how near it is, is told


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One model that can be asked."""

    name: str
    tag: ModelTag
    index: VectorIndex
    stored: Callable[[LibraryView, ContentId], Vectors | None]
    embedder: Embedder | None  # None: only contents that have vectors can be asked about


class SimilarFinder:
    """Implements the `SimilarPictures` port."""

    def __init__(self, *, library: Library, embedder: Embedder, index: VectorIndex, book: GenerationBook) -> None:
        """Hand it its collaborators.

        Args:
            library: the store.
            embedder: makes the built-in descriptors.
            index: holds them.
            book: the generations of further models.
        """
        self._library = library
        self._book = book
        self._built_in = _Asked(
            name=BUILT_IN,
            tag=embedder.model.tag,
            index=index,
            stored=lambda view, content: view.stored_vectors(content),
            embedder=embedder,
        )

    def similar(self, asked: ContentId | ReadFile, *, limit: int, name: str = "") -> SimilarFound:
        """See the port."""
        content, read = self._content_of(asked)
        trouble = ""
        for model in self._models(name):
            try:
                queries = self._queries(model, content, read)
            except (DegradedError, RetryError) as error:
                queries, trouble = None, str(error)
            if queries is not None:
                return SimilarFound(name=model.name, model=model.tag, neighbours=_near(model, queries, content, limit))
        if not trouble and read is not None and not isinstance(read.image, DecodedImage):
            raise UnreadableImageError("the picture was not decoded, so that no model can look at it.")
        raise RetryError(
            trouble or f"The model {name or BUILT_IN} has not looked at this picture yet; try again later."
        )

    def _content_of(self, asked: ContentId | ReadFile) -> tuple[ContentId | None, ReadFile | None]:
        """The content that is asked about, if the library has it, and the picture, if it was sent."""
        with self._library.view() as view:
            if not isinstance(asked, ReadFile):
                if view.content(asked) is None:
                    raise NotFoundError(f"There is no content {asked} in the library.")
                return asked, None
            known = view.content_by_digest(asked.digest)
        return (None if known is None else known.id), asked

    def _models(self, name: str) -> Sequence[_Asked]:
        """Whom to ask, the best first; with a name only that one.

        Raises:
            NotFoundError: no model of this name is in use.
            RetryError: it is, but does not serve yet.
        """
        serving = [*map(_asked, self._book.serving()), self._built_in]
        if not name:
            return serving
        named = [model for model in serving if name in {model.name, model.tag}]
        if not named:
            if any(name in {shelf.name, shelf.tag} for shelf in self._book.shelves()):
                raise RetryError(
                    f"The model {name} has not looked at every picture yet; `dedupctl status` says how far."
                )
            known = ", ".join(dict.fromkeys([*(shelf.name for shelf in self._book.shelves()), BUILT_IN]))
            raise NotFoundError(f"No model {name} is in use. In use: {known}.")
        return named

    def _queries(self, model: _Asked, content: ContentId | None, read: ReadFile | None) -> Vectors | None:
        """What to ask the index with; None where this model knows nothing of the picture and cannot look at it."""
        if content is not None:
            with self._library.view() as view:
                stored = model.stored(view, content)
            if stored is not None:
                return stored
        if model.embedder is None or read is None or not isinstance(read.image, DecodedImage):
            return None
        item = EmbedItem(digest=read.digest, path=None, small=read.image.small)
        try:
            return model.embedder.embed([item]).result(_EMBED_S)[0].queries
        except (TimeoutError, CancelledError) as error:
            raise RetryError(f"The model {model.name} did not answer in time; it may still be loading.") from error
        except ValueError as error:
            raise RetryError(f"The model {model.name} failed on this picture: {error}.") from error


def _asked(shelf: Shelf) -> _Asked:
    return _Asked(
        name=shelf.name,
        tag=shelf.tag,
        index=shelf.index,
        stored=lambda view, content: view.generation_vectors(shelf.tag, content),
        embedder=None if shelf.further is None else shelf.further.embedder,
    )


def _near(model: _Asked, queries: Vectors, content: ContentId | None, limit: int) -> tuple[Neighbour, ...]:
    [found] = model.index.search([queries], limit=limit + 1, min_similarity=_LOWEST)
    return tuple(_others(found, content))[:limit]


def _others(found: Sequence[Neighbour], content: ContentId | None) -> Iterator[Neighbour]:
    return (neighbour for neighbour in found if neighbour.content != content)
