"""The benchmark of growth: its pictures are distinct and the same each time, its exponent is the slope."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks import leaves
from benchmarks.growth import COPY_EVERY, exponent, is_copy


def test_a_picture_is_the_same_each_time_and_unlike_the_next() -> None:
    assert np.array_equal(leaves.leaves(7), leaves.leaves(7))
    small = [cv2.resize(leaves.leaves(number), (16, 12)).astype(float) for number in (1, 2)]
    assert np.abs(small[0] - small[1]).mean() > 10


def test_a_large_picture_shows_the_same_leaves() -> None:
    large = leaves.leaves(7, 1600)
    assert sorted(large.shape) == [3, 1200, 1600]
    small = leaves.leaves(7)
    reduced = cv2.resize(large, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.astype(float) - small).mean() < 6


def test_one_in_a_hundred_is_a_copy() -> None:
    assert sum(is_copy(number) for number in range(1000)) == 1000 // COPY_EVERY


@pytest.mark.parametrize("slope", [1.0, 1.3])
def test_the_exponent_is_the_slope_of_the_logarithms(slope: float) -> None:
    points = [{"files": files, "cpu_s": 0.01 * files**slope} for files in (1000, 3000, 10_000)]
    assert exponent(points, "cpu_s") == pytest.approx(slope, abs=0.002)


def test_one_size_has_no_exponent() -> None:
    assert exponent([{"files": 1000, "cpu_s": 1.0}], "cpu_s") is None
