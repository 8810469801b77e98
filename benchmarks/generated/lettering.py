"""Text drawn into pictures: captions, watermarks, date stamps, and what stands on signs and documents.

Fonts are those that come with Pillow and OpenCV, so that a set is the same everywhere.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from benchmarks.generated.bases import Pixels

Colour = tuple[int, int, int]

WORDS = (
    "summer", "holidays", "by", "the", "lake", "family", "mountain", "harbour", "birthday", "of", "our", "trip",
    "sale", "new", "old", "market", "street", "garden", "first", "day", "snow", "river", "castle", "evening", "light",
    "north", "coast", "2019", "2021", "two", "three", "copyright", "photo", "studio", "memories", "with", "love",
    "when", "you", "see", "it", "nobody", "expects", "monday", "mood", "best", "friends", "forever", "happy",
    "anniversary",
)  # fmt: skip
HERSHEY = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)


@lru_cache(maxsize=256)
def font_of(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=max(6, size_px))


def phrase(rng: Generator, words: int) -> str:
    text = " ".join(rng.choice(WORDS, words))
    return (str.upper, str.title, str.capitalize, str)[rng.integers(4)](text)


def date_text(rng: Generator) -> str:
    year, month, day = int(rng.integers(1998, 2025)), int(rng.integers(1, 13)), int(rng.integers(1, 29))
    hour, minute = int(rng.integers(24)), int(rng.integers(60))
    forms = (f"{day:02}.{month:02}.{year}", f"'{year % 100:02} {month} {day}", f"{year}/{month:02}/{day:02}")
    return (*forms, f"{year}-{month:02}-{day:02} {hour:02}:{minute:02}")[rng.integers(4)]


def colour(rng: Generator) -> Colour:
    """Mostly black, white, yellow or red, as text on photographs is."""
    usual = ((255, 255, 255), (255, 255, 255), (0, 0, 0), (255, 220, 0), (230, 30, 30))
    choice = int(rng.integers(8))
    return usual[choice] if choice < len(usual) else tuple(int(c) for c in rng.integers(0, 256, 3))  # type: ignore[return-value]


def text_mask(text: str, height_px: float, rng: Generator | None = None) -> np.ndarray:
    """uint8 [h, w]: coverage of one line or several whose letters are about that high."""
    if rng is not None and rng.random() < 0.4:
        return _hershey_mask(text, height_px, HERSHEY[rng.integers(len(HERSHEY))])
    font = font_of(round(height_px * 1.3))
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), text, font=font)
    image = Image.new("L", (max(1, int(right - left) + 2), max(1, int(bottom - top) + 2)))
    ImageDraw.Draw(image).multiline_text((1 - left, 1 - top), text, fill=255, font=font)
    return np.asarray(image)


def _hershey_mask(text: str, height_px: float, font: int) -> np.ndarray:
    lines = text.split("\n")
    thickness = max(1, round(height_px / 12))
    scale = max(0.25, height_px / 22)
    sizes = [cv2.getTextSize(line, font, scale, thickness)[0] for line in lines]
    step = round(height_px * 1.6) + thickness
    mask = np.zeros((step * len(lines) + thickness, max(w for w, _ in sizes) + 2 * thickness), np.uint8)
    for row, line in enumerate(lines):
        place = (thickness, round(row * step + height_px * 1.15))
        cv2.putText(mask, line, place, font, scale, 255, thickness, cv2.LINE_AA)
    return mask


def put_mask(picture: Pixels, mask: np.ndarray, at: tuple[int, int], ink: Colour, opacity: float = 1.0) -> None:
    """Paint the mask in place, its upper left corner at (x, y); what lies outside is cut off."""
    x, y = at
    height, width = picture.shape[:2]
    top, left = max(0, y), max(0, x)
    bottom, right = min(height, y + mask.shape[0]), min(width, x + mask.shape[1])
    if bottom <= top or right <= left:
        return
    alpha = (mask[top - y : bottom - y, left - x : right - x].astype(np.float32) * (opacity / 255))[..., None]
    part = picture[top:bottom, left:right]
    part[:] = (part * (1 - alpha) + np.asarray(ink, np.float32) * alpha + 0.5).astype(np.uint8)


def put_text(picture: Pixels, mask: np.ndarray, at: tuple[int, int], rng: Generator, opacity: float = 1.0) -> Colour:
    """Text in a drawn colour, at times with an outline or a shadow; returns the colour."""
    ink = colour(rng)
    far = (0, 0, 0) if sum(ink) > 380 else (255, 255, 255)
    dress = rng.random()
    if dress < 0.3:
        thick = max(1, mask.shape[0] // 25)
        padded = np.pad(mask, thick)
        outline = cv2.dilate(padded, np.ones((2 * thick + 1, 2 * thick + 1), np.uint8))
        put_mask(picture, outline, (at[0] - thick, at[1] - thick), far, opacity)
    elif dress < 0.55:
        off = max(1, mask.shape[0] // 20)
        shadow = cv2.GaussianBlur(np.pad(mask, 2 * off), (0, 0), off * 0.7)
        put_mask(picture, shadow, (at[0] - off, at[1] - off), far, 0.8 * opacity)
    put_mask(picture, mask, at, ink, opacity)
    return ink
