"""The sheet of `dedupctl explain --image`: both pictures, the difference, and what is to be said, as one image file.

Lays out and draws. Finds nothing out (`illustrate` does), knows no file. Keeps no state.
"""

from __future__ import annotations

import io
import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dedupd.core.arrays import Pixels
from dedupd.core.illustration import SheetFormat, SheetWords
from dedupd.imaging.illustrate import Panels, Quad, fitted

WIDTH_PX = 1600  # fits a screen and a page
MARGIN_PX = 28
GAP_PX = 24
MAX_PANEL_HEIGHT_PX = 760
LEAST_CELL_PX = 400  # so that captions have room below narrow pictures
RIM_PX = 14  # a frame this near to the panel's own edge is not drawn
BOX_PAD_PX = 5  # a box stands around what it marks
WIDE_SHAPE = 1.05  # width over height from which two panels stand side by side and the third below
TITLE_PX, NAME_PX, TEXT_PX = 38, 24, 22
LEADING = 1.35
MAX_LINES = 18
INK, SOFT = (31, 30, 28), (95, 91, 84)
FRAME_COLOUR, BOX_COLOUR = (0, 98, 190), (196, 26, 22)
_JPEG_QUALITY, _WEBP_QUALITY = 90, 88
_SAVED_AS = {
    SheetFormat.PNG: ("PNG", {"compress_level": 6}),
    SheetFormat.JPEG: ("JPEG", {"quality": _JPEG_QUALITY, "subsampling": 0}),
    SheetFormat.WEBP: ("WEBP", {"quality": _WEBP_QUALITY}),
}
# Pillow's bundled font has ASCII and little more; what has a plain form is written in it.
_PLAIN = {"×": "x", "–": "-", "—": "-", "≥": ">=", "≤": "<=", "→": "->", "′": "'", "″": '"'}

Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Panel:
    """One picture of the sheet with its caption and what is drawn on it."""

    pixels: Pixels
    name: str
    about: str
    frames: tuple[Quad, ...] = ()
    boxes: tuple[tuple[int, int, int, int], ...] = ()


def panel_limit(shape: float) -> tuple[int, int]:
    """Width and height that one panel may have, for pictures of this width over height."""
    columns = 2 if shape >= WIDE_SHAPE else 3
    return (WIDTH_PX - 2 * MARGIN_PX - (columns - 1) * GAP_PX) // columns, MAX_PANEL_HEIGHT_PX


def aligned_sheet(panels: Panels, words: SheetWords, how_b_lies: str) -> bytes:
    """The sheet of two pictures that lie on each other.

    Args:
        panels: what to show.
        words: what to say.
        how_b_lies: what was done to B so that it lies on A ("" for nothing).
    """
    frames = tuple(frame for frame in (panels.frame_a, panels.frame_b) if frame is not None)
    heat_words = f"brightness, darkest: {panels.full_levels} levels or more"
    row = [
        _Panel(panels.a, f"A  {words.name_a}", words.about_a, frames[1:], panels.boxes),
        _Panel(panels.b, f"B  {words.name_b}", _joined(words.about_b, how_b_lies), frames[:1], panels.boxes),
        _Panel(panels.heat, "Difference", heat_words, frames, panels.boxes),
    ]
    legend = []
    if panels.boxes:
        legend.append((BOX_COLOUR, "what differs"))
    if frames:
        legend.append((FRAME_COLOUR, "the other picture's edge"))
    return _sheet(row, words, tuple(legend))


def plain_sheet(a: Pixels, b: Pixels, words: SheetWords) -> bytes:
    """The sheet of two pictures that do not lie on each other."""
    limit = panel_limit(WIDE_SHAPE)
    row = [
        _Panel(fitted(a, limit), f"A  {words.name_a}", words.about_a),
        _Panel(fitted(b, limit), f"B  {words.name_b}", words.about_b),
    ]
    return _sheet(row, words, ())


def drawable(text: str) -> str:
    """The text in letters that the bundled font has: accents dropped, what is left over as question marks."""
    plain = "".join(_PLAIN.get(c, c) for c in text)
    out = []
    for c in plain:
        if _has_glyph(c):
            out.append(c)
            continue
        base = unicodedata.normalize("NFKD", c)[:1]
        out.append(base if base.isprintable() and _has_glyph(base) else "?")
    return "".join(out)


@cache
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size_px)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow is built with FreeType wherever it has wheels
    return font


@cache
def _has_glyph(character: str) -> bool:
    font = _font(TEXT_PX)
    return character == " " or bytes(font.getmask(character)) != bytes(font.getmask("\U0010fffd"))


def _sheet(row: list[_Panel], words: SheetWords, legend: tuple[tuple[tuple[int, int, int], str], ...]) -> bytes:
    width, height = (max(p.pixels.shape[i] for p in row) for i in (1, 0))
    columns = 2 if len(row) == 2 or width > panel_limit(0.0)[0] else 3
    cell = max(width, LEAST_CELL_PX)
    inner = columns * cell + (columns - 1) * GAP_PX
    caption = round((NAME_PX + TEXT_PX) * LEADING) + 14
    is_beside = len(row) > columns  # the words take the free cell
    text_width = cell if is_beside else inner
    lines = _wrapped(words.lines, text_width)
    step = round(TEXT_PX * LEADING)
    text_height = (len(lines) + (1 if legend else 0)) * step + 10
    top = MARGIN_PX + round(TITLE_PX * LEADING) + 6
    rows = -(-len(row) // columns)
    last_row = max(height, text_height) if is_beside else height
    bottom = top + (rows - 1) * (height + caption + GAP_PX) + last_row + caption
    sheet = Image.new(
        "RGB", (inner + 2 * MARGIN_PX, bottom + (0 if is_beside else text_height + GAP_PX) + MARGIN_PX), "white"
    )
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN_PX, MARGIN_PX - 6), _shortened(words.title, TITLE_PX, inner),
              INK, _font(TITLE_PX))  # fmt: skip
    for number, panel in enumerate(row):
        x = MARGIN_PX + (number % columns) * (cell + GAP_PX)
        y = top + (number // columns) * (height + caption + GAP_PX)
        _draw_panel(sheet, draw, panel, (x, y), cell)
    x, y = (MARGIN_PX + cell + GAP_PX, bottom - last_row) if is_beside else (MARGIN_PX, bottom + GAP_PX)
    for line in lines:
        draw.text((x, y), line, INK, _font(TEXT_PX))
        y += step
    _draw_legend(draw, legend, (x, y + 10))
    out = io.BytesIO()
    name, options = _SAVED_AS[words.form]
    sheet.save(out, name, **options)
    return out.getvalue()


def _draw_panel(sheet: Image.Image, draw: ImageDraw.ImageDraw, panel: _Panel, at: Point, cell: int) -> None:
    x, y = at
    draw.text((x, y), _shortened(panel.name, NAME_PX, cell), INK, _font(NAME_PX))
    y += round(NAME_PX * LEADING)
    draw.text((x, y), _shortened(panel.about, TEXT_PX, cell), SOFT, _font(TEXT_PX))
    y += round(TEXT_PX * LEADING) + 14
    image = Image.fromarray(np.ascontiguousarray(panel.pixels))
    on_it = ImageDraw.Draw(image)
    rim = np.array([[0, 0], [image.width, 0], [image.width, image.height], [0, image.height]])
    for frame in panel.frames:
        if abs(frame - rim).max() <= RIM_PX:
            continue
        _outline(on_it, [(round(px), round(py)) for px, py in frame], FRAME_COLOUR)
    for left, top, right, bottom in panel.boxes:
        x0, y0 = max(1, left - BOX_PAD_PX), max(1, top - BOX_PAD_PX)
        x1, y1 = min(image.width - 2, right + BOX_PAD_PX), min(image.height - 2, bottom + BOX_PAD_PX)
        _outline(on_it, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)], BOX_COLOUR)
    sheet.paste(image, (x, y))
    draw.rectangle((x - 1, y - 1, x + image.width, y + image.height), outline=(205, 201, 194))


def _outline(draw: ImageDraw.ImageDraw, corners: list[Point], colour: tuple[int, int, int]) -> None:
    """A closed line that shows on light and on dark."""
    closed = [*corners, corners[0], corners[1]]
    draw.line(closed, (255, 255, 255), 7, joint="curve")
    draw.line(closed, colour, 3, joint="curve")


def _draw_legend(draw: ImageDraw.ImageDraw, legend: tuple[tuple[tuple[int, int, int], str], ...], at: Point) -> None:
    x, y = at
    for colour, text in legend:
        draw.rectangle((x, y + 5, x + 26, y + 19), outline=colour, width=3)
        draw.text((x + 36, y), drawable(text), SOFT, _font(TEXT_PX))
        x += 36 + round(_font(TEXT_PX).getlength(text)) + 40


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _wrapped(lines: tuple[str, ...], width: int) -> list[str]:
    """Lines broken between words; at most MAX_LINES."""
    font, out = _font(TEXT_PX), []
    for line in lines:
        current = ""
        for word in drawable(line).split():
            longer = f"{current} {word}" if current else word
            if current and font.getlength(longer) > width:
                out.append(current)
                longer = word
            current = longer
        out.append(_shortened(current, TEXT_PX, width))
    return out if len(out) <= MAX_LINES else [*out[: MAX_LINES - 1], "…"]


def _shortened(text: str, size_px: int, width: int) -> str:
    """The text, its middle left out where it is too long: a name's end says as much as its beginning."""
    font, text = _font(size_px), drawable(text)
    if font.getlength(text) <= width:
        return text
    keep = len(text)
    while keep > 4 and font.getlength(_middle_left_out(text, keep)) > width:
        keep -= 1
    return _middle_left_out(text, keep)


def _middle_left_out(text: str, keep: int) -> str:
    head = (keep + 1) // 2
    return f"{text[:head]}…{text[len(text) - (keep - head) :]}"
