"""The look at the full pictures, for duplicates that the small images show but cannot prove.

Asks the decode workers and applies the rules of `core.relation`; can only turn a duplicate into `similar`. Stores
nothing; owns nothing.
"""

from __future__ import annotations

import logging
import os
from concurrent.futures import Future
from dataclasses import dataclass, replace

from dedupd.core.full_look import contradicted_by_full_look, needs_full_look
from dedupd.core.ports import EvidenceSide, FullSide, ImageReader, Priority
from dedupd.core.records import ContentRecord, Edge, Evidence, Problem, Relation
from dedupd.core.relation import Verdict

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Looked:
    """A picture as the small look had it, and where it is in full."""

    record: ContentRecord
    side: EvidenceSide
    source: bytes | int | None  # an absolute path, or an open descriptor that is handed over; None: nowhere


class FullLook:
    """Looks at full pictures where `core.relation` says that it pays. Thread-safe."""

    def __init__(self, reader: ImageReader) -> None:
        self._reader = reader

    def pays(self, a: ContentRecord, b: ContentRecord, edge: Edge) -> bool:
        """Whether the pair of an edge, made from small images, is one to look at in full."""
        verdict = Verdict(relation=edge.relation, reason=edge.reason, probability=edge.probability)
        return needs_full_look(a, b, edge.evidence, verdict)

    def begin(self, a: Looked, b: Looked, edge: Edge, priority: Priority) -> Future[Evidence | Problem] | None:
        """Start the look; None where a picture is nowhere to be read, which leaves the edge as it is."""
        if a.source is None or b.source is None:
            for source in (a.source, b.source):
                if isinstance(source, int):
                    os.close(source)
            _log.warning("full_look.unreadable a=%d b=%d", a.record.id, b.record.id)
            return None
        return self._reader.compare_fully(
            FullSide(side=a.side, source=a.source, digest=a.record.digest),
            FullSide(side=b.side, source=b.source, digest=b.record.digest),
            edge.evidence,
            priority=priority,
        )

    def concluded(self, a: ContentRecord, b: ContentRecord, edge: Edge, found: Evidence | Problem) -> Edge:
        """The edge with what the full pictures showed; as it was where they could not be read."""
        if isinstance(found, Problem):
            _log.warning("full_look.failed a=%d b=%d code=%s detail=%r", edge.a, edge.b, found.code.value, found.detail)
            return edge
        contradiction = contradicted_by_full_look(a, b, found)
        if contradiction is None:
            return replace(edge, evidence=found)
        return replace(
            edge,
            relation=Relation.SIMILAR,
            reason=f"Alike when small, but not one shot: {contradiction}.",
            evidence=found,
            probability=0.0,
        )
