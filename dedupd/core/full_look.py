"""When a duplicate by the small images deserves a look at the full pictures, and what that may object.

Pure; a full look only ever lowers a verdict. Looking is `imaging.fine_look`'s.
"""

from __future__ import annotations

import math

from dedupd.core.capture_notes import are_one_capture
from dedupd.core.records import ContentRecord, Evidence, Relation
from dedupd.core.relation import Verdict

FULL_LOOK_GAIN = 1.8  # full pixels for one small pixel of the shared part, from which they can show more
FULL_LOOK_PX = 700  # long side of the shared part
SURE = 0.97  # probability from which a plain copy needs no full look: nothing about it is unusual
OWN_NOISE = 0.15  # correlation of grain; copies that still have grain stay above 0.21
CHANGED_EXCESS = 1.2  # of the full pictures; copies stay below 1.0, a digit of three small pixels has 1.8 and more


def needs_full_look(a: ContentRecord, b: ContentRecord, evidence: Evidence, verdict: Verdict) -> bool:
    """Whether a duplicate by the small images is worth a look at the full pictures.

    Args:
        a: one content.
        b: the other.
        evidence: what comparing their small images found.
        verdict: what `decide` made of it.
    """
    if verdict.relation not in {Relation.RE_ENCODED, Relation.EDITED} or evidence.geometry is None:
        return False
    if verdict.relation is Relation.RE_ENCODED and verdict.probability >= SURE:
        return False
    if are_one_capture(a.capture, b.capture):
        return False
    part = math.sqrt(evidence.geometry.overlap_of_a) * min(
        1.0, evidence.geometry.scale
    )  # of a's side, in the coarser's pixels
    long_px, short_px = (side(a.width_px, a.height_px) * part for side in (max, min))
    return long_px >= FULL_LOOK_PX and short_px >= FULL_LOOK_GAIN * evidence.compared_px


def contradicted_by_full_look(evidence: Evidence) -> str | None:
    """Why the full pictures show two shots where the small images showed a copy; None when they do not.

    Only ever lowers a verdict: noise that compression or denoising took away says nothing.

    Args:
        evidence: what the full look left of the pair's evidence.
    """
    if not evidence.fine_px:
        return None
    if evidence.fine_noise_correlation is not None and evidence.fine_noise_correlation < OWN_NOISE:
        return "each has noise of its own"
    if evidence.excess > CHANGED_EXCESS and evidence.overlay_share == 0:  # added text is a difference, but explained
        return "in full size something in it is different"
    return None
