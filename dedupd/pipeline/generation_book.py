"""The generations of further models: their indexes in memory, which of them serve, how far each is.

Owns no truth: vectors, and whether a generation was ever complete, are in the store. The stage changes it; any thread
may ask.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from dedupd.core.generation import Generation, droppable, serving
from dedupd.core.ports import DeviceProgress, Embedder, Library, Model, VectorIndex
from dedupd.core.records import ContentId, ModelTag

MakeIndex = Callable[[ModelTag, int], VectorIndex]  # an empty index for a model's vectors of this length

_LOADED_A_STEP = 2_000  # contents; some 20 ms
_DROPPED_A_STEP = 1_000  # contents a transaction


def _no_devices() -> tuple[DeviceProgress, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherModel:
    """A model that is configured beside the built-in descriptor."""

    name: str  # as configured
    embedder: Embedder
    devices: Callable[[], tuple[DeviceProgress, ...]] = _no_devices


class Shelf:
    """One generation with its index in memory."""

    def __init__(self, generation: Generation, index: VectorIndex, further: FurtherModel | None) -> None:
        self.tag = generation.tag
        self.name = generation.name if further is None else further.name
        self.index = index
        self.further = further  # None: no longer configured
        self.is_loaded = False
        self.is_complete = generation.was_complete
        self._loaded_to = ContentId(0)
        self.model = (
            Model(tag=generation.tag, dim=generation.dim, candidate_similarity=generation.candidate_similarity)
            if further is None
            else further.embedder.model
        )

    def load_some(self, library: Library) -> None:
        """Take some more of the store's vectors into the index."""
        with library.view() as view:
            some = list(islice(view.all_generation_vectors(self.tag, self._loaded_to), _LOADED_A_STEP))
        self.index.add([content for content, _ in some], [vectors for _, vectors in some])
        self.is_loaded = len(some) < _LOADED_A_STEP
        if some:
            self._loaded_to = some[-1][0]


class GenerationBook:
    """See the module."""

    def __init__(self, *, library: Library, further: Sequence[FurtherModel], make_index: MakeIndex) -> None:
        self._library = library
        self._further = {model.embedder.model.tag: model for model in further}
        self._make_index = make_index
        self._lock = threading.Lock()
        self._shelves: dict[ModelTag, Shelf] = {}

    def open(self) -> None:
        """Begin the generations of models that are new, and make an empty index for each that is wanted."""
        with self._library.transaction() as txn:
            known = {generation.tag: generation for generation in txn.generations()}
            for tag, further in self._further.items():
                model = further.embedder.model
                before = known.get(tag)
                txn.put_generation(
                    Generation(
                        tag=tag,
                        name=further.name,
                        dim=model.dim,
                        candidate_similarity=model.candidate_similarity,
                        was_complete=before is not None and before.was_complete,
                    )
                )
            stored = txn.generations()
        unwanted = {generation.tag for generation in droppable(stored, self._further)}
        with self._lock:
            self._shelves = {
                g.tag: Shelf(g, self._make_index(g.tag, g.dim), self._further.get(g.tag))
                for g in stored
                if g.tag not in unwanted
            }

    def shelves(self) -> list[Shelf]:
        """Every generation that is kept, those of configured models first, in their order."""
        with self._lock:
            first = [self._shelves[tag] for tag in self._further if tag in self._shelves]
            return first + [shelf for tag, shelf in self._shelves.items() if tag not in self._further]

    def serving(self) -> list[Shelf]:
        """The generations that may be asked now, the best first."""
        with self._library.view() as view:
            stored = view.generations()
        with self._lock:
            found = [self._shelves.get(generation.tag) for generation in serving(stored, self._further)]
        return [shelf for shelf in found if shelf is not None and shelf.is_loaded]

    def complete(self, tag: ModelTag) -> bool:
        """Note that a generation is complete; whether it is so for the first time."""
        with self._library.transaction() as txn:
            generation = next((g for g in txn.generations() if g.tag == tag), None)
            if generation is None or generation.was_complete:
                return False
            txn.put_generation(replace(generation, was_complete=True))
        return True

    def drop_some(self) -> ModelTag | None:
        """Drop a bit of a generation that nothing needs any more; its tag, None when there is none."""
        with self._library.view() as view:
            gone = droppable(view.generations(), self._further)
        if not gone:
            return None
        tag = gone[0].tag
        with self._lock:
            self._shelves.pop(tag, None)
        with self._library.transaction() as txn:
            txn.drop_generation(tag, _DROPPED_A_STEP)
        return tag

    def is_up_to_date(self) -> bool:
        """Whether all indexes are loaded, and nothing is to be dropped."""
        with self._library.view() as view:
            stored = view.generations()
        return not droppable(stored, self._further) and all(shelf.is_loaded for shelf in self.shelves())

    def forget(self, contents: Sequence[ContentId]) -> None:
        """Drop contents from every index."""
        for shelf in self.shelves():
            shelf.index.remove(contents)
