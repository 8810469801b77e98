"""The built-in descriptor on real photos: copies are near, orientations match, borders fall away."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance
from skimage import data

from dedupd.core.arrays import Pixels
from dedupd.core.ports import Descriptor
from dedupd.embedding import describe as describe_module
from dedupd.embedding.describe import describe, model_tag
from dedupd.embedding.local_embedder import CANDIDATE_SIMILARITY
from dedupd.embedding.projection import Projection, load_projection

PROJECTION = load_projection()


def grey(pixels: Pixels) -> Pixels:
    return np.repeat(pixels[:, :, None], 3, axis=2)


def small(pixels: Pixels) -> Pixels:
    image = Image.fromarray(pixels)
    image.thumbnail((384, 384), Image.Resampling.BOX)
    return np.asarray(image)


PHOTOS = {
    "astronaut": small(data.astronaut()),
    "chelsea": small(data.chelsea()),
    "coffee": small(data.coffee()),
    "rocket": small(data.rocket()),
    "camera": small(grey(data.camera())),
    "coins": small(grey(data.coins())),
    "moon": small(grey(data.moon())),
    "page": small(grey(data.page())),
    "text": small(grey(data.text())),
    "retina": small(data.retina()),
    "ihc": small(data.immunohistochemistry()),
    "hubble": small(data.hubble_deep_field()),
    "brick": small(grey(data.brick())),
    "grass": small(grey(data.grass())),
    "gravel": small(grey(data.gravel())),
}
FRAMED = ["astronaut", "chelsea", "coffee", "camera", "coins"]
TEXTURES = ["brick", "gravel", "hubble"]  # without large shapes even a small shift is another picture at 16 frequencies
SCENES = ["astronaut", "chelsea", "coffee", "camera"]  # one subject: a part of coins looks like any other part


def described(pixels: Pixels) -> Descriptor:
    return describe(pixels, PROJECTION)


LIBRARY = {name: described(pixels) for name, pixels in PHOTOS.items()}


def similarity(asked: Descriptor, stored: Descriptor) -> float:
    return float((asked.queries @ stored.stored.T).max())


def resized(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((150, 120), Image.Resampling.LANCZOS))


def recoded(pixels: Pixels) -> Pixels:
    coded = io.BytesIO()
    Image.fromarray(pixels).save(coded, "JPEG", quality=20)
    return np.asarray(Image.open(coded))


def brighter(pixels: Pixels) -> Pixels:
    return np.asarray(ImageEnhance.Contrast(ImageEnhance.Brightness(Image.fromarray(pixels)).enhance(1.2)).enhance(0.7))


def greyed(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"))


def mirrored_and_recoded(pixels: Pixels) -> Pixels:
    return recoded(np.ascontiguousarray(pixels[:, ::-1]))


def turned_and_resized(pixels: Pixels) -> Pixels:
    return resized(np.ascontiguousarray(np.rot90(pixels)))


def cropped_a_little(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    return pixels[height // 20 :, : width - width // 20]


def bordered(pixels: Pixels) -> Pixels:
    return np.pad(pixels, ((30, 30), (45, 45), (0, 0)), constant_values=255)


@pytest.mark.parametrize(
    "copy",
    [resized, recoded, brighter, greyed, mirrored_and_recoded, turned_and_resized, cropped_a_little, bordered],
    ids=lambda copy: copy.__name__,
)
def test_a_copy_ranks_its_original_first_and_above_the_threshold(copy: Callable[[Pixels], Pixels]):
    for name, pixels in PHOTOS.items():
        asked = described(copy(pixels))
        found = {other: similarity(asked, stored) for other, stored in LIBRARY.items()}
        assert max(found, key=found.__getitem__) == name
        assert found[name] >= CANDIDATE_SIMILARITY or (copy is cropped_a_little and name in TEXTURES)


@pytest.mark.parametrize("name", FRAMED)
@pytest.mark.parametrize("is_mirrored", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_some_query_is_the_turned_or_mirrored_picture_itself(name: str, turns: int, is_mirrored: bool):
    pixels = PHOTOS[name][:, ::-1] if is_mirrored else PHOTOS[name]
    turned = described(np.ascontiguousarray(np.rot90(pixels, turns))).stored[0]
    eight = LIBRARY[name].queries[:: len(LIBRARY[name].stored) - 1][:8]
    assert float((eight @ turned).max()) > 0.99
    assert int(((eight @ turned) > 0.99).sum()) == 1


@pytest.mark.parametrize("name", SCENES)
def test_the_corner_of_a_picture_and_the_picture_find_each_other(name: str):
    pixels = PHOTOS[name]
    height, width = pixels.shape[:2]
    corner = described(np.ascontiguousarray(pixels[height // 4 :, width // 4 :]))
    assert similarity(LIBRARY[name], corner) >= CANDIDATE_SIMILARITY
    found = {other: similarity(corner, stored) for other, stored in LIBRARY.items()}
    assert max(found, key=found.__getitem__) == name


def screenshot(pixels: Pixels) -> Pixels:
    """A phone's gallery: dark, a clock above, buttons below."""
    height, width = pixels.shape[:2]
    page = Image.new("RGB", (width, 2 * width), (17, 17, 17))
    page.paste(Image.fromarray(pixels), (0, (2 * width - height) // 2))
    pen = ImageDraw.Draw(page)
    pen.text((10, 6), "12:34", fill=(255, 255, 255))
    for x in (40, 160, 280):
        pen.ellipse((x, 2 * width - 40, x + 20, 2 * width - 20), outline=(255, 255, 255))
    return small(np.asarray(page))


@pytest.mark.parametrize("name", SCENES)
def test_a_photo_in_a_screenshot_finds_the_photo_and_is_found_by_it(name: str):
    shot = described(screenshot(PHOTOS[name]))
    found = {other: similarity(shot, stored) for other, stored in LIBRARY.items()}
    assert max(found, key=found.__getitem__) == name
    assert min(found[name], similarity(LIBRARY[name], shot)) >= CANDIDATE_SIMILARITY


@pytest.mark.parametrize("name", FRAMED)
def test_the_view_without_a_border_is_the_picture(name: str):
    stored = described(bordered(PHOTOS[name])).stored
    assert len(stored) >= 2
    assert float((stored[1:] @ LIBRARY[name].stored[0]).max()) > 0.99


def test_the_first_stored_vector_is_the_first_query():
    for descriptor in LIBRARY.values():
        assert descriptor.stored[0].tobytes() == descriptor.queries[0].tobytes()


def flat(level: tuple[int, int, int]) -> Pixels:
    return np.full((40, 60, 3), level, dtype=np.uint8)


def test_flat_pictures_of_other_brightness_or_colour_stay_apart():
    levels = [(0, 0, 0), (90, 90, 90), (170, 170, 170), (255, 255, 255), (200, 0, 0), (0, 200, 0), (0, 0, 200)]
    flats = [described(flat(level)).stored[0] for level in levels]
    closeness = np.array(flats) @ np.array(flats).T
    assert (closeness[~np.eye(len(flats), dtype=bool)] < 0.98).all()


def test_a_flat_picture_is_no_candidate_of_a_photo():
    for level in ((0, 0, 0), (128, 128, 128), (255, 255, 255)):
        asked = described(flat(level))
        assert max(similarity(asked, stored) for stored in LIBRARY.values()) < CANDIDATE_SIMILARITY


def test_a_flat_picture_is_described_alike_at_any_size():
    assert float(described(flat((10, 20, 30))).stored[0] @ described(flat((10, 20, 30))[:1, :1]).stored[0]) > 0.999


@pytest.mark.parametrize("shape", [(1, 2), (3, 2), (1, 384), (384, 1), (6, 384)])
def test_tiny_pictures_and_strips_of_noise_are_told_apart(shape: tuple[int, int]):
    rng = np.random.default_rng(1)
    first, second = (described(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)) for _ in range(2))
    assert similarity(first, first) > 0.999
    assert float(first.stored[0] @ second.stored[0]) < 0.99


def test_an_enlarged_tiny_picture_is_near_the_tiny_one():
    tiny = np.asarray(Image.fromarray(PHOTOS["coffee"]).resize((12, 8), Image.Resampling.BOX))
    enlarged = np.asarray(Image.fromarray(tiny).resize((360, 240), Image.Resampling.BICUBIC))
    assert similarity(described(enlarged), described(tiny)) >= CANDIDATE_SIMILARITY


@pytest.mark.parametrize(
    "bad",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_what_is_no_picture_is_refused_with_its_shape(bad: np.ndarray):
    with pytest.raises(ValueError, match="uint8"):
        describe(bad, PROJECTION)


def test_a_read_only_or_strided_picture_gives_the_same_vectors():
    pixels = PHOTOS["chelsea"]
    strided = np.ascontiguousarray(pixels[:, ::-1])[:, ::-1]
    strided.flags.writeable = False
    assert described(strided).queries.tobytes() == LIBRARY["chelsea"].queries.tobytes()


def test_the_tag_changes_with_the_matrix():
    other = Projection(matrix=PROJECTION.matrix * np.float32(1.001), offset=PROJECTION.offset)
    assert model_tag(other) != model_tag(PROJECTION)
    assert str(describe_module.VERSION) in model_tag(PROJECTION)
