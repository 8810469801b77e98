"""Plots as SVG text, by hand: a reliability diagram and bars of recall. No plotting library, no state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

SIDE_PX, MARGIN_PX = 320, 56
BAR_PX, LABEL_PX, BARS_PX = 16, 170, 420
INK, GRID, GOOD, BAD = "#24292f", "#d0d7de", "#1f6feb", "#cf222e"
STYLE = "font-family:system-ui,sans-serif;font-size:12px"


def svg(width: int, height: int, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" style="{STYLE}">\n<title>{escape(title)}</title>\n'
        f'<rect width="{width}" height="{height}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def text(x: float, y: float, words: str, anchor: str = "middle", ink: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{ink}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, ink: str = GRID, extra: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{ink}" {extra}/>'


def reliability_svg(bins: Sequence[Mapping[str, Any]], expected_error: float) -> str:
    """Predicted probability against the observed share; a dot's area tells how many pairs are in the bin."""
    left, top = MARGIN_PX, 30

    def place(predicted: float, observed: float) -> tuple[float, float]:
        return left + predicted * SIDE_PX, top + (1 - observed) * SIDE_PX

    parts = []
    for step in range(6):
        value = step / 5
        x, y = place(value, value)
        parts += [line(x, top, x, top + SIDE_PX), line(left, y, left + SIDE_PX, y)]
        parts += [text(x, top + SIDE_PX + 18, f"{value:.1f}"), text(left - 8, y + 4, f"{value:.1f}", "end")]
    parts.append(line(*place(0, 0), *place(1, 1), INK, 'stroke-dasharray="4 4"'))
    points = [place(row["predicted"], row["observed"]) for row in bins]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{GOOD}" stroke-opacity="0.5"/>')
    for (x, y), row in zip(points, bins, strict=True):
        radius = 2.5 + 1.6 * math.log10(row["pairs"])
        told = f"{row['pairs']} pairs, predicted {row['predicted']:.3f}, observed {row['observed']:.3f}"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{GOOD}" fill-opacity="0.75">'
            f"<title>{told}</title></circle>"
        )
    middle = left + SIDE_PX / 2
    parts.append(text(middle, 18, f"expected calibration error {expected_error:.4f}"))
    parts.append(text(middle, top + SIDE_PX + 40, "predicted probability of one shot"))
    parts.append(
        f'<g transform="rotate(-90 16 {top + SIDE_PX / 2})">{text(16, top + SIDE_PX / 2, "observed share")}</g>'
    )
    return svg(left + SIDE_PX + 24, top + SIDE_PX + 56, parts, "Reliability of the verifier's probability")


def bars_svg(values: Mapping[str, tuple[float, int]], title: str) -> str:
    """Horizontal bars of shares, 0 … 1; each value with the number it was taken over."""
    parts = [text(LABEL_PX + BARS_PX / 2, 18, title)]
    height = 34 + len(values) * (BAR_PX + 6)
    for step in range(6):
        x = LABEL_PX + BARS_PX * step / 5
        parts += [line(x, 28, x, height), text(x, height + 16, f"{20 * step} %")]
    for row, (name, (share, count)) in enumerate(values.items()):
        y = 32 + row * (BAR_PX + 6)
        ink = GOOD if share >= 0.85 else BAD
        parts.append(text(LABEL_PX - 8, y + 12, f"{name} ({count})", "end"))
        parts.append(
            f'<rect x="{LABEL_PX}" y="{y}" width="{BARS_PX * share:.1f}" height="{BAR_PX}" fill="{ink}" '
            f'fill-opacity="0.8"/>'
        )
        parts.append(text(LABEL_PX + BARS_PX * share + 6, y + 12, f"{share:.0%}", "start"))
    return svg(LABEL_PX + BARS_PX + 60, height + 28, parts, title)
