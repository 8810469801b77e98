"""Pictures that say little: equal-looking ones of two shots are no duplicates, one saved again is not another."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from unit.imaging_evidence.made_pictures import judged, known

from dedupd.core.records import Relation

WIDTH, HEIGHT = 900, 600


def shaded(luma: np.ndarray, tint: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Image.Image:
    return Image.fromarray((luma[..., None] * np.float32(tint)).clip(0, 255).astype(np.uint8))


def grain(seed: int, levels: float, softness_px: float = 0.6) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), softness_px)
    return levels * soft / soft.std()


def black_frame(seed: int) -> Image.Image:
    """A shot with the lens cap on."""
    return shaded(6 + grain(seed, 3))


def night(seed: int) -> Image.Image:
    """Black with two lamps that stood still."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    luma = 4 + grain(seed, 4)
    for top, left in ((200, 250), (230, 700)):
        luma += 230 * np.exp(-((rows - top) ** 2 + (columns - left) ** 2) / (2 * 5.0**2))
    return shaded(luma)


def clear_sky(seed: int) -> Image.Image:
    return shaded(np.linspace(120, 215, HEIGHT, dtype=np.float32)[:, None] + grain(seed, 2.5), (0.6, 0.85, 1.1))


def cloudy_sky(seed: int) -> Image.Image:
    slope = np.linspace(130, 200, HEIGHT, dtype=np.float32)[:, None]
    return shaded(slope + grain(seed, 14, 45) + grain(seed + 100, 2), (0.75, 0.9, 1.05))


def blank_scan(seed: int) -> Image.Image:
    """Paper, darker towards the rim of the glass, with dust."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j].astype(np.float32)
    image = shaded(244 - 6 * (rows**2 + columns**2) + grain(seed, 1.2))
    for x, y in rng.integers(0, (WIDTH, HEIGHT), (25, 2)):
        length = rng.integers(1, 6)
        ImageDraw.Draw(image).line((x, y, x + length, y + length // 2), fill=(170, 168, 160), width=2)
    return image


def fog(seed: int) -> Image.Image:
    """One tree in fog, faint: another exposure of it has other noise."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    tree = 18 * np.exp(-((columns - 420) ** 2) / (2 * 30**2) - ((rows - 330) ** 2) / (2 * 120**2))
    return shaded(190 - tree + grain(seed, 3))


def page(seed: int) -> Image.Image:
    words = ["harbour", "winter", "of", "the", "letter", "came", "evening", "and", "seven", "window", "a", "street"]
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (850, 1200), (252, 252, 250))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(26)
    pen.text((80, 60), "Minutes of the meeting", fill=(20, 20, 20), font=ImageFont.load_default(40))
    for row in range(28):
        pen.text((80, 150 + 36 * row), " ".join(rng.choice(words, 9)), fill=(20, 20, 20), font=font)
    return image


LITTLE: dict[str, Callable[[int], Image.Image]] = {
    "black frame": black_frame,
    "night": night,
    "clear sky": clear_sky,
    "cloudy sky": cloudy_sky,
    "blank scan": blank_scan,
    "fog": fog,
    "page": page,
}


@pytest.mark.parametrize("kind", LITTLE)
@pytest.mark.parametrize("seeds", [(1, 2), (3, 4), (5, 6)])
def test_two_shots_of_nearly_nothing_are_no_duplicates(kind: str, seeds: tuple[int, int]):
    first, second = (LITTLE[kind](seed) for seed in seeds)
    for quality in (95, 80, 60):
        _, verdict = judged(known(first, 92), known(second, quality))
        assert not verdict.relation.is_duplicate, (quality, verdict)


@pytest.mark.parametrize("kind", LITTLE)
def test_a_smaller_copy_of_another_shot_is_no_duplicate_either(kind: str):
    first, second = (LITTLE[kind](seed) for seed in (1, 2))
    _, verdict = judged(known(first), known(second.resize((second.width // 2, second.height // 2))))
    assert not verdict.relation.is_duplicate, verdict


# What noise of three levels leaves in a preview is less than what compression leaves there: nothing is recognised.
@pytest.mark.parametrize("kind", [kind for kind in LITTLE if kind != "black frame"])
@pytest.mark.parametrize(("quality", "form"), [(85, "JPEG"), (60, "JPEG"), (80, "WEBP"), (1, "PNG")])
def test_a_picture_of_nearly_nothing_saved_again_is_not_another(kind: str, quality: int, form: str):
    image = LITTLE[kind](1)
    _, verdict = judged(known(image, 95), known(image, quality, form))
    assert verdict.relation is not Relation.DIFFERENT, verdict


def test_kinds_of_nothing_are_not_each_other():
    looked = {kind: known(make(1)) for kind, make in LITTLE.items()}
    for first in LITTLE:
        for second in LITTLE:
            if first < second:
                _, verdict = judged(looked[first], looked[second])
                assert not verdict.relation.is_duplicate, (first, second, verdict)
