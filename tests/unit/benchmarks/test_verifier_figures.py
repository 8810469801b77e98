from __future__ import annotations

import pytest

from benchmarks.accuracy_pairs import Compared, calibration, re_encoded_wrongly, series_by_kind
from benchmarks.truth import Picture, Truth
from dedupd.core.records import Relation


def compared(truth, probability, relation=Relation.EDITED, *, kind="", pair=(b"/a", b"/b")):
    return Compared(
        truth=truth, kind=kind, pair=pair, relation=relation, probability=probability, reason="", cpu_ms=1.0
    )


def picture(path, transform):
    return Picture(
        path=path, source="s", series="", series_kind="", transform=transform, tier="", is_original=not transform
    )


def truth_of(*pictures):
    return Truth(
        pictures={p.path: p for p in pictures},
        same=frozenset(),
        look_alike=frozenset(),
        to_original=(),
        unjudged=frozenset(),
    )


def test_probabilities_that_come_true_have_no_calibration_error():
    found = [compared("original", 0.8)] * 4 + [compared("series", 0.8)] + [compared("unrelated", 0.0)] * 5
    result = calibration(found)
    assert result["expected_error"] == pytest.approx(0.0)
    assert [(row["pairs"], row["observed"]) for row in result["bins"]] == [(5, 0.0), (5, 0.8)]


def test_the_calibration_error_is_the_mean_distance_weighted_by_pairs():
    found = [compared("copies", 0.2)] * 3 + [compared("series", 0.94)]
    assert calibration(found)["expected_error"] == pytest.approx((3 * 0.8 + 0.94) / 4)


def test_a_certain_pair_lies_in_the_last_bin():
    assert calibration([compared("original", 1.0)])["bins"][0]["to"] == 1.0


def test_re_encoded_is_wrong_for_an_edit_and_for_another_shot_but_not_for_a_smaller_copy():
    truth = truth_of(picture(b"/o", ""), picture(b"/crop", "crop_5"), picture(b"/small", "resize"))
    found = [
        compared("original", 1.0, Relation.RE_ENCODED, pair=(b"/crop", b"/o")),
        compared("original", 1.0, Relation.RE_ENCODED, pair=(b"/o", b"/small")),
        compared("copies", 1.0, Relation.RE_ENCODED, pair=(b"/crop", b"/small")),
        compared("series", 1.0, Relation.RE_ENCODED, kind="burst_moved", pair=(b"/x", b"/y")),
        compared("series", 1.0, Relation.SIMILAR, kind="burst_moved", pair=(b"/x", b"/z")),
    ]
    wrong = re_encoded_wrongly(truth, found)
    assert wrong["count"] == 3
    assert wrong["by_kind"] == {"burst_moved": 1, "crop_5": 2}


def test_accepted_look_alikes_are_counted_by_kind():
    found = [
        compared("series", 0.9, Relation.EDITED, kind="parallax"),
        compared("series", 0.1, Relation.SIMILAR, kind="parallax"),
    ]
    assert series_by_kind(found) == {"parallax": {"pairs": 2, "accepted": 1}}
