"""Describe a batch of decoded pictures by the model; one that the model fails on must not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from dedupd.core.ports import Descriptor, Embedder, EmbedItem, ReadFile
from dedupd.core.records import Problem, ProblemCode
from dedupd.pipeline.work import Done

_log = logging.getLogger(__name__)


def embed_batch(embedder: Embedder, fresh: Sequence[Done]) -> tuple[list[tuple[Done, Descriptor]], list[Done]]:
    """Descriptors of reads that decoded a picture, and those that the model failed on, their outcome a problem now."""
    described: list[tuple[Done, Descriptor]] = []
    failed: list[Done] = []
    if not fresh:
        return described, failed
    try:
        descriptors = embedder.embed([_item_of(done) for done in fresh]).result()
        return list(zip(fresh, descriptors, strict=True)), failed
    except Exception:  # noqa: BLE001 - below each is tried alone, where its failure is recorded
        _log.exception("describe.batch-failed files=%d", len(fresh))
    for done in fresh:
        try:
            described += zip([done], embedder.embed([_item_of(done)]).result(), strict=True)
        except Exception as error:  # noqa: BLE001 - recorded with the file; the stage must outlive one picture
            detail = f"the model failed on it: {type(error).__name__}"
            problem = Problem(code=ProblemCode.NOT_DESCRIBED, detail=detail, at_ns=0, retry_at_ns=None)
            failed.append(replace(done, outcome=problem))
    return described, failed


def _item_of(done: Done) -> EmbedItem:
    assert isinstance(done.outcome, ReadFile)
    assert done.image is not None
    return EmbedItem(digest=done.outcome.digest, path=done.work.absolute, small=done.image.small)
