"""All that `dedupctl explain` shows of a pair: evidence, figures and, where asked for, the sheet.

Puts together what its neighbours find and draw. Decides nothing, keeps no state.
"""

from __future__ import annotations

import cv2
import numpy as np

from dedupd.core.arrays import Pixels
from dedupd.core.illustration import Illustrated, SheetWords
from dedupd.core.pair_words import turn_words
from dedupd.imaging.evidence import aligned, compare_images
from dedupd.imaging.figures import figures_of
from dedupd.imaging.illustrate import panels_of, unit_map
from dedupd.imaging.prepared_side import PreparedSide
from dedupd.imaging.sheet import aligned_sheet, panel_limit, plain_sheet


def examine(
    a: PreparedSide, b: PreparedSide, *, large_a: Pixels | None, large_b: Pixels | None, words: SheetWords | None
) -> Illustrated:
    """Compare two pictures, measure the usual figures, and draw the sheet.

    Args:
        a: one picture's small image.
        b: the other's.
        large_a: the first picture decoded larger, to be drawn; None: the small image has to do.
        large_b: the same of the other.
        words: what stands on the sheet; None: no sheet.
    """
    evidence = compare_images(a, b)
    # In the order in which evidence is made, so that the figures do not depend on who is called A either.
    is_swapped = a.order_key > b.order_key
    first, second = (b, a) if is_swapped else (a, b)
    frame = aligned(first, second) if evidence.geometry is not None else None
    shown_a, shown_b = a.small if large_a is None else large_a, b.small if large_b is None else large_b
    if frame is None:
        sheet = None if words is None else plain_sheet(shown_a, shown_b, words)
        return Illustrated(evidence=evidence, figures=None, sheet=sheet)
    to_first = frame.alignment.b_to_a
    b_to_a = np.asarray(cv2.invertAffineTransform(to_first), np.float64) if is_swapped else to_first
    figures = figures_of(a, b, frame, b_to_a)
    if words is None:
        return Illustrated(evidence=evidence, figures=figures, sheet=None)
    small_a, small_b = (a.small_width_px, a.small_height_px), (b.small_width_px, b.small_height_px)
    fractions = unit_map(b_to_a, small_a, small_b)
    panels = panels_of(shown_a, shown_b, fractions, evidence.differences, panel_limit)
    turned = turn_words(evidence.geometry) if evidence.geometry is not None else ""
    sheet = aligned_sheet(panels, words, f"here {turned}" if turned else "")
    return Illustrated(evidence=evidence, figures=figures, sheet=sheet)
