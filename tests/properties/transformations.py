"""The edits that a copy may have gone through, as Hypothesis strategies that draw their parameters.

Each value of CARD draws an `Edit`: a function of uint8 [height, width, 3] RGB that prints itself with its parameters.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from dedupd.core.arrays import Pixels


@dataclass(frozen=True)
class Edit:
    """A transformation with the parameters that were drawn."""

    change: Callable[..., Pixels]
    parameters: tuple[object, ...]

    def __call__(self, pixels: Pixels) -> Pixels:
        return np.ascontiguousarray(self.change(pixels, *self.parameters))

    def __repr__(self) -> str:
        return f"{self.change.__name__}{self.parameters}"


def edits(change: Callable[..., Pixels], *parameters: st.SearchStrategy) -> st.SearchStrategy[Edit]:
    return st.tuples(*parameters).map(lambda drawn: Edit(change, drawn))


def recompressed(pixels: Pixels, form: str, quality: int) -> Pixels:
    coded = io.BytesIO()
    Image.fromarray(pixels).save(coded, form, quality=quality, **({"speed": 10} if form == "AVIF" else {}))
    return np.asarray(Image.open(coded).convert("RGB"))


def resized(pixels: Pixels, share: float, method: int) -> Pixels:
    height, width = (max(1, round(share * side)) for side in pixels.shape[:2])
    return cv2.resize(pixels, (width, height), interpolation=method)


def toned(pixels: Pixels, gain: float, offset: float, gamma: float) -> Pixels:
    levels = ((np.arange(256) / 255) ** gamma - 0.5) * gain + 0.5 + offset
    return (255 * levels.clip(0, 1) + 0.5).astype(np.uint8)[pixels]


def coloured(pixels: Pixels, saturation: float, warmth: float) -> Pixels:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    changed = (grey + saturation * (pixels - grey)) * np.array([warmth, 1, 1 / warmth], np.float32)
    return changed.clip(0, 255).astype(np.uint8)


def greyed(pixels: Pixels) -> Pixels:
    return cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def blurred(pixels: Pixels, sigma_px: float) -> Pixels:
    return cv2.GaussianBlur(pixels, (0, 0), sigma_px)


def noisy(pixels: Pixels, sigma: float, seed: int) -> Pixels:
    noise = np.random.default_rng(seed).standard_normal(pixels.shape, np.float32)
    return (pixels + sigma * noise).clip(0, 255).astype(np.uint8)


def sharpened(pixels: Pixels, radius_px: float, amount: float) -> Pixels:
    return cv2.addWeighted(pixels, 1 + amount, cv2.GaussianBlur(pixels, (0, 0), radius_px), -amount, 0)


def bordered(pixels: Pixels, width_share: float, colour: tuple[int, int, int]) -> Pixels:
    width = max(1, round(width_share * min(pixels.shape[:2])))
    return cv2.copyMakeBorder(pixels, width, width, width, width, cv2.BORDER_CONSTANT, value=colour)


def letterboxed(pixels: Pixels, aspect: float, level: int) -> Pixels:
    """Put on a canvas of another aspect ratio, in its middle."""
    height, width = pixels.shape[:2]
    rows, columns = max(0, round(width / aspect) - height) // 2, max(0, round(height * aspect) - width) // 2
    return cv2.copyMakeBorder(pixels, rows, rows, columns, columns, cv2.BORDER_CONSTANT, value=(level,) * 3)


def captioned(pixels: Pixels, text: str, height_share: float, is_below: bool, is_beside: bool) -> Pixels:
    """A bar with a line of text over the picture's end, or beside it."""
    height, width = pixels.shape[:2]
    bar = max(8, round(height_share * height))
    page = Image.new("RGB", (width, height + bar * is_beside), "white")
    page.paste(Image.fromarray(pixels), (0, bar if is_beside and not is_below else 0))
    top = page.height - bar if is_below else 0
    pen = ImageDraw.Draw(page)
    pen.rectangle((0, top, width, top + bar), fill="white")
    pen.text((width // 20, top + bar // 8), text, fill="black", font=ImageFont.load_default(0.7 * bar))
    return np.asarray(page)


def watermarked(pixels: Pixels, text: str, opacity: float, is_tiled: bool) -> Pixels:
    height, width = pixels.shape[:2]
    mark = Image.new("L", (width, height))
    pen, font = ImageDraw.Draw(mark), ImageFont.load_default(height / 14)
    step = height // 4 if is_tiled else height
    for y in range(height - height // 10, 0, -step):
        for x in range(0 if is_tiled else width * 6 // 10, width, width // 2):
            pen.text((x, y), text, fill=255, font=font)
    cover = opacity * np.asarray(mark, np.float32)[..., None] / 255
    return (pixels * (1 - cover) + 255 * cover).astype(np.uint8)


def phone_screenshot(pixels: Pixels, is_dark: bool, clock: str) -> Pixels:
    """A gallery: the picture as wide as the screen, a clock above, buttons below."""
    height, width = pixels.shape[:2]
    ground, ink = ((17,) * 3, (235,) * 3) if is_dark else ((250,) * 3, (30,) * 3)
    page = Image.new("RGB", (width, max(round(2.1 * width), height)), ground)
    page.paste(Image.fromarray(pixels), (0, (page.height - height) // 2))
    pen = ImageDraw.Draw(page)
    pen.text((width // 30, width // 60), clock, fill=ink, font=ImageFont.load_default(width / 24))
    for x in (1, 3, 5, 7):
        pen.ellipse((x * width // 9, page.height - width // 9, (x + 0.6) * width // 9, page.height - width // 20), ink)
    return np.asarray(page)


def desktop_screenshot(pixels: Pixels, share: float, is_dark: bool, title: str) -> Pixels:
    """A viewer's window over the whole screen: a title bar, a line of tools, the picture in the middle."""
    height, width = 768, 1366
    ground, ink = ((43,) * 3, (210,) * 3) if is_dark else ((245,) * 3, (40,) * 3)
    page = Image.new("RGB", (width, height), ground)
    pen = ImageDraw.Draw(page)
    pen.rectangle((0, 0, width, 34), fill=(70, 74, 82) if is_dark else (222, 225, 230))
    pen.text((12, 8), title, fill=ink, font=ImageFont.load_default(15))
    for x in range(12, 300, 40):
        pen.rectangle((x, height - 30, x + 18, height - 12), outline=ink)
    scale = share * (height - 80) / pixels.shape[0]
    shown = Image.fromarray(pixels).resize((round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)))
    page.paste(shown, ((width - shown.width) // 2, 38 + (height - 80 - shown.height) // 2))
    return np.asarray(page)


def turned(pixels: Pixels, quarters: int, is_mirrored: bool) -> Pixels:
    return np.rot90(pixels[:, ::-1] if is_mirrored else pixels, quarters)


def tilted(pixels: Pixels, degrees: float, is_cut: bool) -> Pixels:
    """Rotated a little: what comes in at the corners is black, or cut away."""
    height, width = pixels.shape[:2]
    zoom = 1 + 1.6 * np.sin(np.deg2rad(abs(degrees))) if is_cut else 1.0
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, zoom)
    return cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR)


def cropped(pixels: Pixels, kept: float, down: float, right: float) -> Pixels:
    """A part with the picture's aspect ratio, anywhere; `kept` is a share of each side."""
    height, width = pixels.shape[:2]
    rows, columns = round(kept * height), round(kept * width)
    top, left = round(down * (height - rows)), round(right * (width - columns))
    return pixels[top : top + rows, left : left + columns]


_share = st.floats(0, 1)
_text = st.text("abcdefghijklmnoprstuvw ", min_size=5, max_size=18)
_colour = st.tuples(*[st.integers(0, 255)] * 3)
_methods = st.sampled_from([cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4])

CARD: dict[str, st.SearchStrategy[Edit]] = {
    "recompression": edits(recompressed, st.just("JPEG"), st.integers(10, 95)),
    "format": edits(recompressed, st.sampled_from(["WEBP", "AVIF", "PNG"]), st.integers(40, 95)),
    "resize": edits(resized, st.floats(0.1, 1.0), _methods),
    "tone": edits(toned, st.floats(0.7, 1.4), st.floats(-0.12, 0.12), st.floats(0.7, 1.5)),
    "colour": edits(coloured, st.floats(0.2, 1.8), st.floats(0.85, 1.18)),
    "greyscale": edits(greyed),
    "blur": edits(blurred, st.floats(0.5, 3.0)),
    "noise": edits(noisy, st.floats(2, 20), st.integers(0, 2**32 - 1)),
    "sharpening": edits(sharpened, st.floats(0.8, 3.0), st.floats(0.3, 1.5)),
    "border": edits(bordered, st.floats(0.01, 0.2), _colour),
    "letterbox": edits(letterboxed, st.floats(0.5, 2.4), st.sampled_from([0, 255])),
    "caption": edits(captioned, _text, st.floats(0.05, 0.14), st.booleans(), st.booleans()),
    "watermark": edits(watermarked, _text, st.floats(0.2, 0.7), st.booleans()),
    "phone screenshot": edits(phone_screenshot, st.booleans(), st.sampled_from(["9:41", "12:34", "23:05"])),
    "desktop screenshot": edits(desktop_screenshot, st.floats(0.7, 1.0), st.booleans(), _text),
    "quarter turn and mirror": edits(turned, st.integers(0, 3), st.booleans()),
    "small rotation": edits(tilted, st.floats(-5, 5), st.booleans()),
    "crop": edits(cropped, st.floats(0.84, 1.0), _share, _share),  # 0.84² is 70 % of the picture
}
