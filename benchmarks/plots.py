"""Plots as SVG text, by hand: bars, lines and points on linear or logarithmic axes. No plotting library, no state.

A plot is drawn for a light page; where the reader's device is set to dark, the style in it changes the inks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

SIDE_PX, MARGIN_PX = 320, 56
BAR_PX, LABEL_PX, BARS_PX = 16, 170, 420
INK, GRID, GOOD, BAD, OTHER, PAPER = "#24292f", "#d0d7de", "#1f6feb", "#cf222e", "#8c959f", "white"
PALETTE = (GOOD, "#d4820f", "#2da44e", "#a475f9", "#cf222e", "#0b9aa8", "#bf5a9c", "#8a7a3d", "#8c959f", "#6e7781")
STYLE = "font-family:system-ui,sans-serif;font-size:12px"
DARK = {INK: "#e6edf3", GRID: "#3d444d", PAPER: "#0d1117", GOOD: "#4493f8"}
CHART_PX = (520, 320)
LEGEND_PX, LEGEND_LINE_PX = 190, 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What runs along one side of a chart, and where it is told."""

    label: str
    ticks: Mapping[float, str]  # words by value; the first and the last value are the ends of the axis
    is_log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies between the ends, 0 … 1; beyond them at the end, in the middle of an axis of one value."""
        ends = [math.log(end) if self.is_log else end for end in (min(self.ticks), max(self.ticks))]
        if ends[0] == ends[1]:
            return 0.5
        place = math.log(max(value, 1e-12)) if self.is_log else value
        return min(1.0, max(0.0, (place - ends[0]) / (ends[1] - ends[0])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points of one kind, joined by a line or not."""

    name: str
    points: Sequence[tuple[float, float]]
    ink: str
    is_line: bool = True
    has_dots: bool = True
    is_dashed: bool = False


def even_ticks(high: float, most: int = 6) -> dict[float, str]:
    """Round values from 0 to beyond `high`, at most about `most` of them, with their words."""
    step = 10 ** math.floor(math.log10(max(high, 1e-9) / most))
    step *= next((times for times in (1, 2, 5, 10) if high / (step * times) <= most), 10)
    digits = max(0, -math.floor(math.log10(step)))
    count = math.ceil(high / step - 1e-9)
    return {round(step * number, 10): f"{step * number:,.{digits}f}" for number in range(max(1, count) + 1)}


def log_ticks(low: float, high: float) -> dict[float, str]:
    """Powers of ten around two values, with their words."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    return {10.0**power: f"{10.0**power:,.15g}" for power in range(first, max(last, first + 1) + 1)}


def svg(width: int, height: int, parts: Sequence[str], title: str) -> str:
    dark = " ".join(
        f'[fill="{light}"] {{ fill: {ink} }} [stroke="{light}"] {{ stroke: {ink} }}' for light, ink in DARK.items()
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" style="{STYLE}">\n<title>{escape(title)}</title>\n'
        f"<style>@media (prefers-color-scheme: dark) {{ {dark} }}</style>\n"
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>\n' + "\n".join(parts) + "\n</svg>\n"
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


def amounts_svg(amounts: Mapping[str, tuple[float, str]], title: str, mark: str = "") -> str:
    """Horizontal bars of amounts, 0 … the largest; each with its words, the one named `mark` in another ink."""
    largest = max((amount for amount, _ in amounts.values()), default=1.0) or 1.0
    label_px = max(LABEL_PX, 12 + 7 * max(map(len, amounts), default=0))
    told_px = 8 + 7 * max((len(words) for _, words in amounts.values()), default=0)
    parts = [text(label_px, 18, title, "start")]
    for row, (name, (amount, words)) in enumerate(amounts.items()):
        y = 32 + row * (BAR_PX + 6)
        width = BARS_PX * amount / largest
        parts.append(text(label_px - 8, y + 12, name, "end"))
        parts.append(
            f'<rect x="{label_px}" y="{y}" width="{width:.1f}" height="{BAR_PX}" rx="2" '
            f'fill="{GOOD if name == mark else OTHER}"/>'
        )
        parts.append(text(label_px + width + 6, y + 12, words, "start"))
    return svg(label_px + BARS_PX + told_px, 40 + len(amounts) * (BAR_PX + 6), parts, title)


def chart_svg(series: Sequence[Series], across: Axis, up: Axis, title: str) -> str:
    """Series on two axes, with a legend beside them."""
    width, height = CHART_PX
    left, top = MARGIN_PX + 8, 34

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return left + across.share(point[0]) * width, top + (1 - up.share(point[1])) * height

    parts = [text(left, 18, title, "start")]
    for value, words in across.ticks.items():
        x = left + across.share(value) * width
        parts += [line(x, top, x, top + height), text(x, top + height + 18, words)]
    for value, words in up.ticks.items():
        y = top + (1 - up.share(value)) * height
        parts += [line(left, y, left + width, y), text(left - 8, y + 4, words, "end")]
    for number, own in enumerate(series):
        places = [place(point) for point in own.points]
        dash = ' stroke-dasharray="5 4"' if own.is_dashed else ""
        if own.is_line:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{own.ink}" stroke-width="2"{dash}/>')
        if own.has_dots:
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{own.ink}"><title>{escape(own.name)}: '
                f"{point[0]:.4g}, {point[1]:.4g}</title></circle>"
                for (x, y), point in zip(places, own.points, strict=True)
            ]
        x, y = left + width + 20, top + 6 + number * LEGEND_LINE_PX
        if own.is_line:
            parts.append(f'<path d="M{x} {y}h22" stroke="{own.ink}" stroke-width="2"{dash}/>')
        if own.has_dots:
            parts.append(f'<circle cx="{x + 11}" cy="{y}" r="4" fill="{own.ink}"/>')
        parts.append(text(x + 28, y + 4, own.name, "start"))
    parts.append(text(left + width / 2, top + height + 40, across.label))
    middle = top + height / 2
    parts.append(f'<g transform="rotate(-90 14 {middle})">{text(14, middle, up.label)}</g>')
    needed = top + 12 + len(series) * LEGEND_LINE_PX
    legend_px = max(LEGEND_PX, 56 + 7 * max((len(own.name) for own in series), default=0))
    return svg(left + width + legend_px, max(top + height + 54, needed), parts, title)
