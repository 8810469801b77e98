"""Series of documents and screens that differ in what counts: another number, a page more, one more message.

Each drawing is a function of two random states: `look` (the template, equal in a series) and `text` (what is filled
in). Some series are screens, equal but for their content; some are scans with a scanner's noise and a sheet laid askew.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from benchmarks.generated.bases import Pixels
from benchmarks.generated.camera import GAMMA, Camera, exposed
from benchmarks.generated.copies import encoded
from benchmarks.generated.lettering import WORDS, font_of

Drawing = Callable[[Generator, list[Generator]], list[Image.Image]]

INK = (25, 25, 30)
NAMES = (
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Emma",
    "Finn",
    "Greta",
    "Hanna",
    "Ida",
    "Jonas",
    "Karl",
    "Lena",
    "Noah",
    "Vera",
)
PLACES = ("Springfield", "Riverton", "Lakeside", "Hillcrest", "Oakwood", "Fairview", "Ashford", "Milton", "Newport")


def text_at(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size_px: int, ink: object = INK) -> None:
    draw.text(at, text, fill=ink, font=font_of(size_px))  # type: ignore[arg-type]  # a colour


def words(rng: Generator, count: int) -> str:
    return " ".join(str(w) for w in rng.choice(WORDS, count))


def paragraph(draw: ImageDraw.ImageDraw, rng: Generator, left: int, top: int, lines: int, size_px: int) -> int:
    for line in range(lines):
        text_at(draw, (left, top + line * size_px * 3 // 2), words(rng, int(rng.integers(7, 11)))[:78], size_px)
    return top + lines * size_px * 3 // 2


def forms(look: Generator, texts: list[Generator], *, is_first_blank: bool = False) -> list[Image.Image]:
    """One form, filled in by several people (or not at all)."""
    title, labels = words(look, 3).title(), [words(look, 2).capitalize() for _ in range(int(look.integers(6, 12)))]
    accent, changes = tuple(int(c) for c in look.integers(30, 150, 3)), int(look.integers(1, len(labels)))
    kept = [f"{look.choice(NAMES)} {look.integers(10, 9999)}" for _ in labels]
    pages = []
    for number, rng in enumerate(texts):
        page = Image.new("RGB", (1000, 1414), "white")
        draw = ImageDraw.Draw(page)
        draw.rectangle((60, 60, 940, 130), fill=accent)
        text_at(draw, (80, 74), title, 36, "white")
        for row, label in enumerate(labels):
            y = 190 + row * 92
            text_at(draw, (70, y), label, 20)
            draw.rectangle((330, y - 8, 930, y + 44), outline=(120, 120, 120), width=2)
            if not (is_first_blank and number == 0):
                own = f"{rng.choice(NAMES)} {rng.integers(10, 9999)}" if row == changes else kept[row]
                text_at(draw, (344, y), own, 28, (20, 30, 120))
        text_at(draw, (70, 1340), words(np.random.default_rng(len(title)), 9), 16)
        pages.append(page)
    return pages


def blank_forms(look: Generator, texts: list[Generator]) -> list[Image.Image]:
    return forms(look, texts, is_first_blank=True)


def letter_pages(look: Generator, texts: list[Generator]) -> list[Image.Image]:
    """Pages of one letter: head and foot the same, the text another."""
    firm, pages = words(look, 2).title(), []
    for number, rng in enumerate(texts, 1):
        page = Image.new("RGB", (1000, 1414), "white")
        draw = ImageDraw.Draw(page)
        text_at(draw, (80, 70), firm, 40)
        draw.line((80, 130, 920, 130), fill=(150, 30, 30), width=4)
        y = 190
        while y < 1150:
            y = paragraph(draw, rng, 80, y, int(rng.integers(3, 7)), 21) + 30
        text_at(draw, (820, 1340), f"Page {number}", 18)
        pages.append(page)
    return pages


def receipts(look: Generator, texts: list[Generator]) -> list[Image.Image]:
    """One shop, some days: mostly the same things."""
    shop, usual = f"{look.choice(PLACES)} Market", [words(look, 2).upper()[:18] for _ in range(9)]
    strips = []
    for rng in texts:
        strip = Image.new("RGB", (480, 960), (252, 252, 248))
        draw = ImageDraw.Draw(strip)
        text_at(draw, (100, 30), shop.upper(), 26)
        day, month, hour = (int(rng.integers(low, high)) for low, high in ((1, 29), (1, 13), (8, 20)))
        text_at(draw, (130, 70), f"{day:02}.{month:02}.2023 {hour:02}:{rng.integers(60):02}", 18)
        total, y = 0.0, 130
        for item in usual:
            price = float(rng.integers(49, 1999)) / 100 if rng.random() < 0.5 else 2.49
            text_at(draw, (40, y), item, 19)
            text_at(draw, (370, y), f"{price:6.2f}", 19)
            total, y = total + price, y + 40
        draw.line((40, y + 8, 440, y + 8), fill=INK, width=2)
        text_at(draw, (40, y + 24), "TOTAL", 26)
        text_at(draw, (350, y + 24), f"{total:.2f}", 26)
        text_at(draw, (90, y + 130), "THANK YOU FOR YOUR VISIT", 18)
        strips.append(strip)
    return strips


def app_screens(look: Generator, texts: list[Generator]) -> list[Image.Image]:
    """A program's list: bars and buttons equal, the entries others."""
    is_dark, title = bool(look.random() < 0.4), words(look, 1).title()
    ground, ink = ((18, 18, 22), (235, 235, 235)) if is_dark else ((246, 246, 248), INK)
    accent = tuple(int(c) for c in look.integers(40, 220, 3))
    screens = []
    for rng in texts:
        screen = Image.new("RGB", (720, 1280), ground)
        draw = ImageDraw.Draw(screen)
        draw.rectangle((0, 0, 720, 120), fill=accent)
        text_at(draw, (40, 50), title, 36, "white")
        text_at(draw, (600, 10), f"{rng.integers(24):02}:{rng.integers(60):02}", 22, "white")
        for row in range(9):
            y = 140 + row * 112
            draw.ellipse((30, y, 110, y + 80), fill=tuple(int(c) for c in rng.integers(60, 230, 3)))
            text_at(draw, (136, y + 4), f"{rng.choice(NAMES)} {rng.choice(PLACES)}", 28, ink)
            text_at(draw, (136, y + 44), words(rng, 4)[:40], 20, (130, 130, 135))
        draw.ellipse((590, 1140, 690, 1240), fill=accent)
        screens.append(screen)
    return screens


def chats(look: Generator, texts: list[Generator]) -> list[Image.Image]:
    """One talk, each time a message longer: it scrolls once the screen is full."""
    name = str(look.choice(NAMES))
    said = [(bool(look.random() < 0.5), words(look, int(look.integers(2, 12)))) for _ in range(12)]
    shown = int(look.integers(4, 11))
    screens = []
    for number in range(len(texts)):
        screen = Image.new("RGB", (720, 1280), (233, 226, 216))
        draw = ImageDraw.Draw(screen)
        bubbles = said[: shown + number][-9:]
        for row, (is_own, text) in enumerate(bubbles):
            y, box = 140 + row * 118, (150, 690) if is_own else (30, 570)
            draw.rounded_rectangle((box[0], y, box[1], y + 96), 16, fill=(220, 248, 198) if is_own else "white")
            text_at(draw, (box[0] + 20, y + 12), text[:38], 24)
            text_at(draw, (box[0] + 20, y + 46), text[38:76], 24)
        draw.rectangle((0, 0, 720, 110), fill=(7, 94, 84))
        text_at(draw, (110, 40), name, 34, "white")
        screens.append(screen)
    return screens


def spreadsheets(look: Generator, texts: list[Generator]) -> list[Image.Image]:
    """A table in which one to three cells have other figures."""
    rows, columns = 24, 8
    kept = look.integers(1, 99_999, (rows, columns))
    sheets = []
    for rng in texts:
        values = kept.copy()
        for _ in range(int(rng.integers(1, 4))):
            values[rng.integers(rows), rng.integers(columns)] = rng.integers(1, 99_999)
        sheet = Image.new("RGB", (1180, 760), "white")
        draw = ImageDraw.Draw(sheet)
        draw.rectangle((0, 0, 1180, 60), fill=(33, 115, 70))
        for row in range(rows):
            draw.line((0, 70 + row * 28, 1180, 70 + row * 28), fill=(210, 210, 210))
            text_at(draw, (12, 74 + row * 28), f"{row + 1}", 15, (110, 110, 110))
            for column in range(columns):
                text_at(draw, (66 + column * 140, 74 + row * 28), f"{values[row, column] / 100:.2f}", 17)
        for column in range(columns + 1):
            draw.line((52 + column * 140, 60, 52 + column * 140, 760), fill=(210, 210, 210))
        sheets.append(sheet)
    return sheets


def square_codes(look: Generator, texts: list[Generator]) -> list[Image.Image]:
    """Codes of the QR pattern's look on the same slip; the dots are random, no reader would read them."""
    side, label = int(look.choice([25, 29, 33])), words(look, 2).upper()
    slips = []
    for rng in texts:
        dots = rng.integers(0, 2, (side, side)).astype(np.uint8)
        for top, left in ((0, 0), (0, side - 7), (side - 7, 0)):
            dots[max(0, top - 1) : top + 8, max(0, left - 1) : left + 8] = 0
            dots[top : top + 7, left : left + 7] = 1
            dots[top + 1 : top + 6, left + 1 : left + 6] = 0
            dots[top + 2 : top + 5, left + 2 : left + 5] = 1
        slip = Image.new("RGB", (620, 760), "white")
        code = Image.fromarray(255 * (1 - dots)).resize((500, 500), Image.Resampling.NEAREST)
        slip.paste(code.convert("RGB"), (60, 60))
        draw = ImageDraw.Draw(slip)
        text_at(draw, (70, 600), label, 34)
        text_at(draw, (70, 660), f"No. {rng.integers(10_000, 99_999)}", 26)
        slips.append(slip)
    return slips


DRAWINGS: tuple[tuple[str, Drawing], ...] = (
    ("document_form", forms),
    ("document_blank_form", blank_forms),
    ("document_pages", letter_pages),
    ("document_receipt", receipts),
    ("screen_app", app_screens),
    ("screen_chat", chats),
    ("screen_spreadsheet", spreadsheets),
    ("document_square_code", square_codes),
)


def document_series(rng: Generator, variant: int) -> tuple[str, list[tuple[bytes, str]]]:
    """The kind and the files (content, suffix) of one series of the drawing that `variant` counts to."""
    kind, draw = DRAWINGS[variant % len(DRAWINGS)]
    pages = [np.asarray(page) for page in draw(rng, list(rng.spawn(3)))]
    longest = int(rng.choice([480, 640, 800, 1100, 1414]))
    is_screen = kind.startswith("screen") or rng.random() < 0.35
    pages = [at_size(page, longest) for page in pages]
    if is_screen and rng.random() < 0.6:
        return kind, [(encoded(page, "PNG", compress_level=1), ".png") for page in pages]
    quality = int(rng.choice([70, 80, 85, 90, 95]))
    if not is_screen:
        askew = float(rng.choice([0.0, 0.0, 0.05, 0.3]))
        pages = [scanned(page, rng, askew) for page in pages]
    return kind, [(encoded(page, quality=quality), ".jpg") for page in pages]


def at_size(page: Pixels, longest_px: int) -> Pixels:
    scale = longest_px / max(page.shape[:2])
    return cv2.resize(page, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else page


def scanned(page: Pixels, rng: Generator, askew: float) -> Pixels:
    """Through a scanner: laid a little askew (deviation of the turn in degrees; of the shift ten times that in px)."""
    height, width = page.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.normal(0, 1)) * askew, 1.0)
    turn[:, 2] += rng.normal(0, 1, 2) * 10 * askew
    laid = cv2.warpAffine(page, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    light = (laid.astype(np.float32) / 255) ** GAMMA * 0.85
    camera = Camera(size_px=max(height, width), photons=8_000, read_noise=0.001, smear=0.2, contrast=0.3, sharpen=0.5)
    return exposed(light, camera, rng)
