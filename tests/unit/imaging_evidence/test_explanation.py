"""A change of the whole picture is explained and leaves little; a change in one place stays."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from properties.transformations import blurred, coloured, greyed, sharpened, toned
from unit.imaging_evidence.made_pictures import PHOTOS, frame_of, photo, residual_of, saved, side

from dedupd.core.arrays import Pixels
from dedupd.imaging.evidence import compare_images
from dedupd.imaging.explanation import Explained, explain, filtered
from dedupd.imaging.residual import measure, measure_locally
from dedupd.imaging.tone import curves_between, is_same_tone, mix_between

Change = Callable[[Image.Image], Image.Image]


def of(change: Callable[..., Pixels], *parameters: float) -> Change:
    return lambda image: Image.fromarray(np.ascontiguousarray(change(np.asarray(image), *parameters)))


TONES: dict[str, Change] = {
    "brighter": of(toned, 1.0, 0.12, 1.0),
    "darker": of(toned, 1.0, -0.12, 1.0),
    "more contrast": of(toned, 1.3, 0.0, 1.0),
    "less contrast": of(toned, 0.7, 0.0, 1.0),
    "gamma 0.7": of(toned, 1.0, 0.0, 0.7),
    "gamma 1.5": of(toned, 1.0, 0.0, 1.5),
    "warmer": of(coloured, 1.0, 1.15),
    "colder": of(coloured, 1.0, 0.87),
    "more saturated": of(coloured, 1.6, 1.0),
    "less saturated": of(coloured, 0.4, 1.0),
    "grey": of(greyed),
}
FILTERS: dict[str, Change] = {
    "slightly blurred": of(blurred, 1.2),
    "blurred": of(blurred, 2.0),
    "much blurred": of(blurred, 3.0),
    "sharpened": of(sharpened, 1.5, 0.5),
    "sharpened finely": of(sharpened, 0.8, 0.6),
}


def explained(first: Image.Image, second: Image.Image) -> Explained:
    return filtered(explain(frame_of(first, second)))


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("change", TONES)
def test_a_tone_or_colour_edit_leaves_no_difference(name: str, change: str):
    for first, second in ((photo(name), TONES[change](photo(name))), (TONES[change](photo(name)), photo(name))):
        found = explained(first, saved(second, 90))
        assert found.regions.excess < 0.95
        assert found.regions.typical < 1.0
        assert found.tone_change > 0.01


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("change", FILTERS)
def test_a_blur_or_sharpening_leaves_no_difference(name: str, change: str):
    for first, second in ((photo(name), FILTERS[change](photo(name))), (FILTERS[change](photo(name)), photo(name))):
        found = explained(first, saved(second, 90))
        assert found.regions.excess < 1.0
        assert found.regions.typical < 1.8
        assert found.tone_change < 0.02


@pytest.mark.parametrize("name", PHOTOS)
def test_a_copy_saved_again_needs_no_explanation(name: str):
    found = explained(photo(name), saved(photo(name), 80))
    assert found.tone_change == 0
    assert found.filter_gains is None
    assert found.regions.excess < 0.6


@pytest.mark.parametrize("change", [*TONES, *FILTERS])
@pytest.mark.parametrize("name", ["chelsea", "china"])
def test_a_thing_that_moved_stays_a_difference_whatever_was_done_to_the_whole(name: str, change: str):
    before, after = photo(name).copy(), photo(name).copy()
    thing = photo("coffee").resize((50, 50))
    x, y = before.width // 2, before.height // 3
    before.paste(thing, (x, y))
    after.paste(thing, (x + 30, y + 12))
    found = residual_of(before, saved((TONES | FILTERS)[change](after), 90)).regions
    assert found.excess > 1.2
    if change == "grey":
        return  # where colour is gone and something moved, that it moved is promised, not where
    scale = min(1.0, 384 / max(before.size))
    assert any(
        x - 15 < left / scale < right / scale < x + 95 and y - 15 < top / scale < bottom / scale < y + 77
        for left, top, right, bottom in found.boxes
    )


@pytest.mark.parametrize("name", PHOTOS)
def test_a_part_made_brighter_is_not_explained_by_a_tone(name: str):
    after = np.asarray(photo(name)).copy()
    rows, columns = (slice(s // 3, s // 3 + s // 6) for s in after.shape[:2])
    after[rows, columns] = toned(after[rows, columns], 1.0, 0.15, 1.0)
    found = explained(photo(name), saved(Image.fromarray(after), 90))
    assert found.regions.excess > 1.2


def test_colours_taken_away_are_found_from_the_picture_that_has_them():
    grey = Image.fromarray(greyed(np.asarray(photo("coffee"))))
    for first, second in ((photo("coffee"), grey), (grey, photo("coffee"))):
        frame = frame_of(first, second)
        found = explain(frame)
        made_from_moved = found.y_is_moved
        made = frame.moved if made_from_moved else frame.reference
        assert float(np.ptp(made, axis=2).mean()) > 20
        assert float(np.ptp(found.y, axis=2).mean()) < 1


# --------------------------------------------------------------------------------------------------- tone, alone


def sample(count: int = 2000) -> np.ndarray:
    return np.random.default_rng(7).uniform(10, 245, (count, 3)).astype(np.float32)


def test_a_curve_is_found_although_a_tenth_of_the_places_changed():
    source = sample()
    target = 255 * (source / 255) ** np.float32(1.4)
    target[::10] = sample()[::-10]
    after = curves_between(source, target).apply(source[None])[0]
    assert np.median(np.abs(after - target)) < 1.0


def test_curves_never_fall():
    source = sample()
    tone = curves_between(source, 255 - source)
    assert (np.diff(tone.curves, axis=1) >= 0).all()
    assert tone.error > 0.9


def test_a_mix_finds_saturation_and_grey():
    source = sample()
    luma = source @ np.array([0.299, 0.587, 0.114], np.float32)
    for saturation in (0.0, 0.5, 1.3):
        target = luma[:, None] + saturation * (source - luma[:, None])
        tone = mix_between(source, target)
        assert np.median(np.abs(tone.apply(source[None])[0] - target)) < 1.5
        assert tone.error < curves_between(source, target).error


def test_noise_is_no_tone_and_five_hundredths_of_contrast_are_one():
    source = sample()
    noise = np.random.default_rng(8).normal(0, 6, source.shape).astype(np.float32)
    assert is_same_tone(source, source + noise)
    assert not is_same_tone(source, 128 + 1.05 * (source - 128) + noise)
    assert not is_same_tone(source, source + 3)
    assert is_same_tone(source[:5], source[:5] + 50)  # too few places to tell


def test_the_curves_stay_within_the_range_of_a_picture():
    source = sample()
    found = curves_between(source, source * 3 - 200).apply(source[None])
    assert 0 <= found.min() <= found.max() <= 255


# ------------------------------------------------------------------------------------------------ gains of detail


@pytest.mark.parametrize("name", PHOTOS)
def test_a_blurred_copy_has_less_of_the_finest_detail_seen_from_either_side(name: str):
    sharp, blunt = side(photo(name)), side(saved(of(blurred, 2.0)(photo(name)), 92))
    there, back = compare_images(sharp, blunt).band_gains, compare_images(blunt, sharp).band_gains
    assert there[0] < 0.5
    assert there[0] < there[1] < there[2] < there[3]
    assert there[3] == pytest.approx(1, abs=0.03)
    assert back == pytest.approx([1 / gain for gain in there], rel=1e-4)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_sharpened_copy_has_more_of_the_finest_detail_seen_from_either_side(name: str):
    plain, crisp = side(photo(name)), side(saved(of(sharpened, 1.5, 1.0)(photo(name)), 92))
    there, back = compare_images(plain, crisp).band_gains, compare_images(crisp, plain).band_gains
    assert there[0] > 1.25
    assert there[0] > there[1] > there[2]
    assert there[3] == pytest.approx(1, abs=0.03)
    assert back == pytest.approx([1 / gain for gain in there], rel=1e-4)


@pytest.mark.parametrize("name", PHOTOS)
def test_saturation_is_told_by_the_chroma_gain_and_detail_by_the_others(name: str):
    found = compare_images(side(photo(name)), side(saved(of(coloured, 0.5, 1.0)(photo(name)), 92)))
    assert found.chroma_gain == pytest.approx(0.5, abs=0.06)
    assert found.band_gains == pytest.approx([1.0] * 4, abs=0.06)


@pytest.mark.parametrize("changed", ["as it was", "grey", "much blurred", "sharpened", "written on"])
def test_the_short_measure_says_the_same_of_what_it_says(changed: str):
    image = photo("chelsea")
    other = {**TONES, **FILTERS, "as it was": saved, "written on": written_on}[changed](image)
    for pair in ((image, other), (other, image)):
        frame = frame_of(*pair)
        full, short = measure(frame), measure_locally(frame)
        assert short.bands == full.bands._replace(lows=())
        assert full.bands.lows
        assert (short.regions, short.area_px, short.boxes) == (full.regions, full.area_px, full.boxes)


def written_on(image: Image.Image) -> Image.Image:
    copy = image.copy()
    ImageDraw.Draw(copy).text((20, 20), "KITTEN 2019", "white", ImageFont.load_default(48))
    return copy
