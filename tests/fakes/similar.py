"""Models whose word on what is near a test lays down."""

from dedupd.core.errors import NotFoundError, RetryError, UnreadableImageError
from dedupd.core.ports import DecodedImage, Neighbour, ReadFile, SimilarFound
from dedupd.core.records import ContentId, ModelTag


class LaidSimilar:
    """A whole `SimilarPictures`: to every model each picture is near all of the library, the older the nearer.

    `models` are those that are ready, the best first; `begun` those that are not.
    """

    def __init__(self, library):
        self._library = library
        self.models = {"builtin": ModelTag("test-1")}
        self.begun = set()

    def similar(self, asked: ContentId | ReadFile, *, limit: int, name: str = "") -> SimilarFound:
        if name in self.begun:
            raise RetryError(f"The model {name} has not looked at every picture yet.")
        if name and name not in self.models:
            raise NotFoundError(f"No model {name} is in use.")
        name = name or next(iter(self.models))
        with self._library.view() as view:
            is_sent = isinstance(asked, ReadFile)
            own = view.content_by_digest(asked.digest) if is_sent else view.content(asked)
            contents = [content.id for content in view.contents()]
        if own is None and not is_sent:
            raise NotFoundError(f"There is no content {asked} in the library.")
        if own is None and not isinstance(asked.image, DecodedImage):
            raise UnreadableImageError("the picture was not decoded.")
        others = [content for content in contents if own is None or content != own.id]
        near = [Neighbour(content=content, similarity=1 - n / 100) for n, content in enumerate(others[:limit])]
        return SimilarFound(name=name, model=self.models[name], neighbours=tuple(near))
