"""The embedder that needs no device and no download: one background thread that describes batches in order.

Does not resolve references: the caller brings the pixels. Owns its thread; the vectors belong to the receiver.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from dedupd.core.ports import Descriptor, EmbedItem, Model, Reach
from dedupd.embedding.describe import describe, model_tag
from dedupd.embedding.projection import load_projection

# Cosines and ranks; docs/descriptor.md has recall and candidates a picture around them. Nearly every copy is among the
# first three or above 0.7, while chance neighbours crowd below 0.6 as a library grows. From 0.9 on it is nearly always
# a copy, or a burst.
CANDIDATE_SIMILARITY = 0.5
REACH = (Reach(CANDIDATE_SIMILARITY, 3), Reach(0.6, 6), Reach(0.7, 10), Reach(0.9, 1000))


class LocalEmbedder:
    """The `Embedder` port with the built-in descriptor.

    Batches are worked off one after the other in the order they came; one thread is enough, as describing takes a
    fraction of decoding. An item without pixels fails its whole batch with ValueError, through the future; a caller
    that has only a reference decodes it first.

    Raises:
        ValueError: on construction, if the shipped matrix is damaged.
    """

    def __init__(self) -> None:
        self._projection = load_projection()
        self.model = Model(
            tag=model_tag(self._projection),
            dim=self._projection.dim,
            candidate_similarity=CANDIDATE_SIMILARITY,
            reach=REACH,
        )
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embed")

    def embed(self, batch: Sequence[EmbedItem]) -> Future[list[Descriptor]]:
        """One descriptor per item, in order; RuntimeError after `close`."""
        return self._thread.submit(self._describe_all, tuple(batch))

    def close(self) -> None:
        """Cancel the batches that have not begun, wait for the one under way."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _describe_all(self, batch: tuple[EmbedItem, ...]) -> list[Descriptor]:
        return [self._describe(item) for item in batch]

    def _describe(self, item: EmbedItem) -> Descriptor:
        if item.small is None:
            raise ValueError(f"no pixels for content {item.digest.hex()[:16]}; decode it before embedding")
        return describe(item.small, self._projection)
