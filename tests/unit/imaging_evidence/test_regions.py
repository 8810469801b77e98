"""Where two pictures differ is found where it is, however small; what compression leaves is not a difference."""

import cv2
import numpy as np
import pytest
from unit.imaging_evidence.made_pictures import PHOTOS, photo, residual_of, saved

from dedupd.imaging.regions import MAX_BOXES, Disagreement, Regions, disagreement, regions_of

HEIGHT, WIDTH = 200, 300


def scene(name: str = "chelsea") -> np.ndarray:
    """float32 [200, 300, 3], a preview."""
    small = photo(name).resize((WIDTH, HEIGHT))
    return np.asarray(small, np.float32)


def compared(x: np.ndarray, y: np.ndarray, valid: np.ndarray | None = None) -> Regions:
    everywhere = np.ones(x.shape[:2], bool)
    return regions_of(disagreement(x, y, everywhere if valid is None else valid, may_be_clipped=False))


def patched(x: np.ndarray, place: tuple[int, int, int, int], change: tuple[float, float, float]) -> np.ndarray:
    left, top, right, bottom = place
    y = x.copy()
    y[top:bottom, left:right] = (y[top:bottom, left:right] + np.float32(change)).clip(0, 255)
    return y


@pytest.mark.parametrize(("levels", "side_px"), [(12, 16), (20, 8), (40, 5), (90, 3)])
@pytest.mark.parametrize("at", [(40, 30), (141, 97), (251, 150)])
def test_a_small_change_on_even_ground_is_found_where_it_is(levels: int, side_px: int, at: tuple[int, int]):
    ground = np.full((HEIGHT, WIDTH, 3), 120, np.float32)
    place = (at[0], at[1], at[0] + side_px, at[1] + side_px)
    for change in ((levels,) * 3, (-levels,) * 3):
        found = compared(ground, patched(ground, place, change))
        assert found.excess > 1
        [box] = found.boxes
        assert all(abs(edge - true) <= 5 for edge, true in zip(box, place, strict=True))


@pytest.mark.parametrize("name", PHOTOS)
def test_a_changed_part_of_a_photo_is_found_where_it_is(name: str):
    place = (180, 60, 204, 84)
    x = scene(name)
    y = x.copy()
    y[60:84, 180:204] = x[140:164, 40:64]
    found = compared(x, y)
    assert found.excess > 1.2
    for left, top, right, bottom in found.boxes:
        assert place[0] - 6 <= left < right <= place[2] + 6
        assert place[1] - 6 <= top < bottom <= place[3] + 6


def test_another_colour_of_the_same_brightness_is_a_difference():
    ground = np.full((HEIGHT, WIDTH, 3), 120, np.float32)
    red_for_green = (60.0, -60 * 0.299 / 0.587, 0.0)
    found = compared(ground, patched(ground, (100, 80, 116, 96), red_for_green))
    assert found.excess > 2
    assert found.typical == 0


def test_equal_pictures_have_no_regions():
    found = compared(scene(), scene())
    assert found == Regions((), (), 0.0, 0.0, 0.0)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("quality", [30, 50, 75, 90])
def test_compression_stays_below_what_is_tolerated(name: str, quality: int):
    found = residual_of(photo(name), saved(photo(name), quality)).regions
    assert found.excess < 1
    assert found.areas == found.boxes == ()


def test_half_a_pixel_beside_a_soft_edge_is_tolerated_and_three_are_not():
    x = scene("coffee")

    def moved(by_px: float) -> np.ndarray:
        return cv2.warpAffine(x, np.float32([[1, 0, by_px], [0, 1, 0]]), (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)

    assert compared(x, moved(0.3)).excess < 1 < compared(x, moved(3.0)).excess


def test_nothing_outside_the_overlap_counts():
    x = scene()
    y = patched(x, (10, 10, 60, 60), (80, 80, 80))
    valid = np.ones((HEIGHT, WIDTH), bool)
    assert compared(x, y, valid).areas
    valid[:90, :90] = False
    outside_made_equal = np.where(valid[..., None], y, x)
    assert compared(x, outside_made_equal, valid) == Regions((), (), 0.0, 0.0, 0.0)
    assert compared(x, y, np.zeros((HEIGHT, WIDTH), bool)) == Regions((), (), 0.0, 0.0, 0.0)


def test_areas_come_largest_first_in_pixels_of_the_full_frame():
    ground = np.full((HEIGHT, WIDTH, 3), 120, np.float32)
    y = ground
    sides = [6, 30, 18, 24, 12, 10, 14, 20, 8, 16]
    for i, side in enumerate(sides):
        left, top = 10 + 55 * (i % 5), 20 + 80 * (i // 5)
        y = patched(y, (left, top, left + side, top + side), (60, 60, 60))
    found = compared(ground, y)
    assert len(found.areas) == len(sides)
    assert list(found.areas) == sorted(found.areas, reverse=True)
    assert found.areas[0] == pytest.approx((30 + 4) ** 2, rel=0.15)
    assert len(found.boxes) == MAX_BOXES
    left, top, right, bottom = found.boxes[0]
    assert abs(left - 65) <= 4
    assert abs(top - 20) <= 4
    assert abs(right - 95) <= 4
    assert abs(bottom - 50) <= 4


def test_a_lone_place_is_rounding_and_no_region():
    ratio = np.zeros((50, 60), np.float32)
    ratio[20, 30] = 3.0
    found = regions_of(Disagreement(ratio, 0.0, np.ones(ratio.shape, bool)))
    assert found.areas == ()
    assert found.excess == 3.0


@pytest.mark.parametrize("count", [50, 101, 1000, 2400])
def test_usual_is_the_99th_percentile_of_the_places_compared(count: int):
    ratio = np.zeros(3000, np.float32)
    ratio[:count] = np.random.default_rng(count).permutation(np.linspace(0.01, 0.9, count))
    overlap = (np.arange(3000) < count).reshape(50, 60)
    found = regions_of(Disagreement(ratio.reshape(50, 60), 0.0, overlap))
    assert found.usual == pytest.approx(np.percentile(ratio[:count], 99, method="lower"), abs=1e-6)
    assert found.excess == pytest.approx(0.9)


def test_a_changed_thing_stands_out_most_where_all_else_is_equal():
    x = scene()
    found = compared(x, patched(x, (100, 80, 112, 88), (60, 60, 60)))
    assert found.excess > 1
    assert found.usual < 0.1
