"""Edits that lay something over a picture or around it: captions, watermarks, stamps, logos, borders, screenshots.

Each takes uint8 RGB pixels and gives new ones with a word on how (the `params` of the truth table).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from benchmarks.generated.bases import Pixels
from benchmarks.generated.lettering import Colour, colour, date_text, phrase, put_mask, put_text, text_mask

Edited = tuple[Pixels, str]

BORDERS: tuple[Colour, ...] = ((0, 0, 0), (255, 255, 255), (216, 201, 163), (128, 128, 128))
PHONES_PX = ((720, 1560), (1170, 2532), (1080, 2340), (750, 1334))
DESKTOPS_PX = ((1366, 768), (1280, 720), (1920, 1080))


def border(picture: Pixels, rng: Generator) -> Edited:
    width = max(4, int(min(picture.shape[:2]) * rng.uniform(0.015, 0.11)))
    ink = BORDERS[rng.integers(len(BORDERS))]
    around = cv2.copyMakeBorder(picture, width, width, width, width, cv2.BORDER_CONSTANT, value=ink)
    return around, f"px={width},{ink}"


def caption_bar(picture: Pixels, rng: Generator) -> Edited:
    """A bar above or below, the picture whole."""
    width = picture.shape[1]
    lines = int(rng.integers(1, 4))
    letters = max(9.0, width * rng.uniform(0.03, 0.07))
    text = "\n".join(phrase(rng, int(rng.integers(2, 5))) for _ in range(lines))
    mask = text_mask(text, letters, rng)
    bar_px = int(mask.shape[0] + letters * rng.uniform(0.6, 1.6))
    is_dark = rng.random() < 0.4
    bar = np.full((bar_px, width, 3), 12 if is_dark else 250, np.uint8)
    left = int((width - mask.shape[1]) * rng.uniform(0.1, 0.6)) if mask.shape[1] < width else 3
    put_mask(bar, mask, (left, (bar_px - mask.shape[0]) // 2), (255, 255, 255) if is_dark else (0, 0, 0))
    side = "top" if rng.random() < 0.5 else "bottom"
    return np.concatenate([bar, picture] if side == "top" else [picture, bar]), f"{side},h={bar_px}"


def caption_over(picture: Pixels, rng: Generator) -> Edited:
    """Text on the picture, with or without a band below it."""
    picture = picture.copy()
    height, width = picture.shape[:2]
    lines = int(rng.integers(1, 4))
    letters = max(8.0, width * rng.uniform(0.03, 0.09))
    mask = text_mask("\n".join(phrase(rng, int(rng.integers(1, 4))) for _ in range(lines)), letters, rng)
    top = int(rng.choice([0.03, 0.4, 0.97]) * max(1, height - mask.shape[0]))
    left = int(max(2, (width - mask.shape[1]) * rng.uniform(0.05, 0.95)))
    opacity = float(rng.choice([1.0, 1.0, 0.8, 0.6]))
    if rng.random() < 0.4:
        pad = int(letters * 0.5)
        band = picture[max(0, top - pad) : top + mask.shape[0] + pad]
        shade, strength = np.float32(0 if rng.random() < 0.7 else 255), rng.uniform(0.35, 1.0)
        band[:] = (band * (1 - strength) + shade * strength).astype(np.uint8)
    put_text(picture, mask, (left, top), rng, opacity)
    return picture, f"overlay,h={mask.shape[0]},opacity={opacity}"


def date_stamp(picture: Pixels, rng: Generator) -> Edited:
    picture = picture.copy()
    height, width = picture.shape[:2]
    mask = text_mask(date_text(rng), max(7.0, width * rng.uniform(0.02, 0.045)), rng)
    ink = ((255, 140, 0), (255, 200, 40), (255, 255, 255), (230, 60, 30))[rng.integers(4)]
    left = width - mask.shape[1] - width // 30 if rng.random() < 0.8 else width // 30
    put_mask(picture, mask, (left, height - mask.shape[0] - height // 30), ink, float(rng.uniform(0.75, 1.0)))
    return picture, f"date,h={mask.shape[0]}"


def watermark_corner(picture: Pixels, rng: Generator) -> Edited:
    picture = picture.copy()
    height, width = picture.shape[:2]
    text = ("© " if rng.random() < 0.5 else "") + phrase(rng, int(rng.integers(1, 3)))
    mask = text_mask(text, max(7.0, width * rng.uniform(0.02, 0.05)), rng)
    opacity = float(rng.uniform(0.25, 0.9))
    at_right, at_bottom = rng.random(2) < (0.7, 0.8)
    left = width - mask.shape[1] - width // 40 if at_right else width // 40
    top = height - mask.shape[0] - height // 40 if at_bottom else height // 40
    put_text(picture, mask, (left, top), rng, opacity)
    return picture, f"corner,opacity={opacity:.2f}"


def watermark_tiled(picture: Pixels, rng: Generator) -> Edited:
    height, width = picture.shape[:2]
    mask = text_mask(phrase(rng, int(rng.integers(1, 3))), max(8.0, width * rng.uniform(0.025, 0.06)), rng)
    reach = int(1.5 * max(height, width))
    gap_y, gap_x = int(mask.shape[0] * rng.uniform(1.5, 4)), int(mask.shape[1] * rng.uniform(0.2, 0.8))
    tile = np.pad(mask, ((0, gap_y), (0, gap_x)))
    sheet = np.tile(tile, (reach // tile.shape[0] + 2, reach // tile.shape[1] + 2))[: 2 * reach, : 2 * reach]
    angle = float(rng.choice([0.0, 20.0, 30.0, 45.0, -30.0]))
    turn = cv2.getRotationMatrix2D((sheet.shape[1] / 2, sheet.shape[0] / 2), angle, 1.0)
    turn[:, 2] += ((width - sheet.shape[1]) / 2, (height - sheet.shape[0]) / 2)
    laid = cv2.warpAffine(sheet, turn, (width, height))
    picture, opacity = picture.copy(), float(rng.uniform(0.25, 0.5))
    put_mask(picture, laid, (0, 0), (255, 255, 255) if rng.random() < 0.7 else colour(rng), opacity)
    return picture, f"tiled,deg={angle:.0f},opacity={opacity:.2f}"


def logo(picture: Pixels, rng: Generator) -> Edited:
    """A small sign of plain shapes in a corner."""
    picture = picture.copy()
    height, width = picture.shape[:2]
    side = int(min(height, width) * rng.uniform(0.06, 0.16))
    left = int(rng.choice([0.02, 0.98]) * (width - side))
    top = int(rng.choice([0.02, 0.98]) * (height - side))
    for shape in range(int(rng.integers(1, 4))):
        mask = np.zeros((side, side), np.uint8)
        kind, shrink = rng.integers(3), 1 - 0.3 * shape
        if kind == 0:
            cv2.circle(mask, (side // 2, side // 2), int(side * 0.48 * shrink), 255, -1, cv2.LINE_AA)
        elif kind == 1:
            edge = int(side * (1 - shrink) / 2)
            mask[edge : side - edge, edge : side - edge] = 255
        else:
            points = (rng.uniform(0.1, 0.9, (3, 2)) * side).astype(np.int32)
            cv2.fillPoly(mask, [points], 255, cv2.LINE_AA)
        put_mask(picture, mask, (left, top), tuple(int(c) for c in rng.integers(0, 256, 3)), 0.95)  # type: ignore[arg-type]
    return picture, f"logo,px={side}"


def screenshot_phone(picture: Pixels, rng: Generator) -> Edited:
    """A gallery program's full screen: the picture at the screen's width between bars."""
    width, height = PHONES_PX[rng.integers(len(PHONES_PX))]
    screen = np.full((height, width, 3), int(rng.choice([0, 16, 255])), np.uint8)
    ink = (255, 255, 255) if screen[0, 0, 0] < 99 else (20, 20, 20)
    scale = min(width / picture.shape[1], height * 0.8 / picture.shape[0])
    put_picture(screen, resized(picture, scale), 0.5, 0.5)
    bar = height // 40
    clock = f"{rng.integers(24):02}:{rng.integers(60):02}"
    put_mask(screen, text_mask(clock, bar * 0.45), (width // 16, bar // 3), ink)
    put_mask(screen, text_mask(f"5G  {rng.integers(5, 99)}%", bar * 0.4), (width * 13 // 16, bar // 3), ink)
    put_mask(screen, text_mask(phrase(rng, 2), bar * 0.5), (width // 12, int(bar * 2.2)), ink)
    for n in range(4):
        cv2.circle(screen, (width * (2 * n + 1) // 8, height - 2 * bar), bar // 2, ink, 2, cv2.LINE_AA)
    return screen, f"{width}x{height}"


def screenshot_desktop(picture: Pixels, rng: Generator) -> Edited:
    """A window of a viewer on a desktop."""
    width, height = DESKTOPS_PX[rng.integers(len(DESKTOPS_PX))]
    ground = rng.integers(20, 200, 3)
    screen = np.empty((height, width, 3), np.uint8)
    screen[:] = (ground * np.linspace(1, 0.6, height)[:, None])[:, None]
    bar = height // 28
    screen[bar:-bar] = int(rng.choice([32, 240, 255]))
    screen[-bar:] = (40, 40, 48)
    scale = min(width * 0.94 / picture.shape[1], (height - 3 * bar) * 0.94 / picture.shape[0], 1.6)
    put_picture(screen, resized(picture, scale), 0.5, 0.5)
    title = f"IMG_{rng.integers(9999):04}.jpg - Viewer"
    put_mask(screen, text_mask(title, bar * 0.45), (bar, bar // 4), (255, 255, 255))
    put_mask(screen, text_mask(date_text(rng), bar * 0.4), (width - 8 * bar, height - bar * 3 // 4), (230, 230, 230))
    return screen, f"{width}x{height}"


def resized(picture: Pixels, scale: float, method: int = cv2.INTER_AREA) -> Pixels:
    method = method if scale < 1 else cv2.INTER_CUBIC
    size = (max(8, round(picture.shape[1] * scale)), max(8, round(picture.shape[0] * scale)))
    return cv2.resize(picture, size, interpolation=method)


def put_picture(screen: Pixels, picture: Pixels, x: float, y: float) -> None:
    """Paste, with the free room shared as (x, y) say."""
    top = int((screen.shape[0] - picture.shape[0]) * y)
    left = int((screen.shape[1] - picture.shape[1]) * x)
    screen[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
