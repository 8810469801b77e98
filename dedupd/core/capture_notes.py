"""What the cameras' own notes say about two pictures: that they are two shots, or one and the same.

Pure. What is missing on either side says nothing, because many programs drop fields when they save.
"""

from __future__ import annotations

from dedupd.core.records import Capture

EXPOSURE_RATIO = 1.02  # rounding of rationals; a third of a stop is 1.26
F_NUMBER_STEP = 0.06  # cameras count in tenths


def capture_contradiction(a: Capture, b: Capture) -> str | None:
    """Why the cameras' own notes say that these are two shots; None when they do not.

    What is missing on either side says nothing, because many programs drop fields when they save.
    """
    checks = (_other_camera, _other_moment, _other_exposure)
    return next((reason for check in checks if (reason := check(a, b)) is not None), None)


def _other_camera(a: Capture, b: Capture) -> str | None:
    if _differ(a.make, b.make) or _differ(a.model, b.model):
        return f"one is by {a.model or a.make}, one by {b.model or b.make}"
    if _differ(a.serial, b.serial):
        return "the cameras' serial numbers differ"
    return None


def _other_moment(a: Capture, b: Capture) -> str | None:
    if _differ(a.image_id, b.image_id):
        return "the camera's image numbers differ"
    if a.taken_at_ms is None or b.taken_at_ms is None:
        return None
    unit_ms = 1 if a.has_subseconds and b.has_subseconds else 1000
    return "the capture times differ" if a.taken_at_ms // unit_ms != b.taken_at_ms // unit_ms else None


def _other_exposure(a: Capture, b: Capture) -> str | None:
    if (
        a.exposure_s
        and b.exposure_s
        and max(a.exposure_s, b.exposure_s) > EXPOSURE_RATIO * min(a.exposure_s, b.exposure_s)
    ):
        return "the exposure times differ"
    if a.f_number and b.f_number and abs(a.f_number - b.f_number) > F_NUMBER_STEP:
        return "the apertures differ"
    return "the sensitivities (ISO) differ" if _differ(a.iso, b.iso) else None


def _differ(a: object | None, b: object | None) -> bool:
    return a is not None and b is not None and a != b


def are_one_capture(a: Capture, b: Capture) -> bool:
    """Whether both carry the same capture time to the fraction of a second, or the same image number."""
    if a.image_id is not None and a.image_id == b.image_id:
        return True
    has_fractions = a.has_subseconds and b.has_subseconds
    return has_fractions and a.taken_at_ms is not None and a.taken_at_ms == b.taken_at_ms
