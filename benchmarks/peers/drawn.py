"""The comparison as plots: bars of how long each took, and precision over recall. Measures nothing."""

from __future__ import annotations

from benchmarks.common import Result
from benchmarks.peers.peer import NEAR
from benchmarks.plots import GOOD, PALETTE, Axis, Series, amounts_svg, chart_svg, even_ticks

LOWEST_PRECISION = 0.8  # where the axis begins; what is below is drawn at its edge
OWN = "dedupd"


def plots(result: Result) -> dict[str, str]:
    """SVG by name."""
    return {"peers-speed": speed_svg(result), "peers-accuracy": accuracy_svg(result)}


def speed_svg(result: Result) -> str:
    """Milliseconds a picture; a peer's is dedupd's median times its ratio, since that is what was compared."""
    speed = result["speed"]
    own_ms = 1000 * speed[OWN]["wall_s"] / speed["files"]
    amounts = {OWN: (own_ms, f"{own_ms:.0f} ms")}
    for key, measured in speed["peers"].items():
        if result["peers"][key]["finds"] == NEAR and not measured["failure"]:
            times = measured["times_dedupd"]
            amounts[result["peers"][key]["name"]] = (own_ms * times, f"{own_ms * times:.0f} ms, {times:.1f}×")
    ordered = dict(sorted(amounts.items(), key=lambda item: item[1][0]))
    mean_mb = speed["mean_bytes"] / 1e6
    return amounts_svg(ordered, f"First scan, wall-clock time a picture of {mean_mb:.1f} MB", mark=OWN)


def accuracy_svg(result: Result) -> str:
    """One dot a setting; those of one program are joined."""
    accuracy = result["accuracy"]
    own = accuracy[OWN]
    series = [Series(name=OWN, ink=GOOD, points=[(own["recall"], own["precision"])], is_line=False)]
    for key, by_setting in accuracy["peers"].items():
        if result["peers"][key]["finds"] != NEAR:
            continue
        points = sorted((m["recall"], m["precision"]) for m in by_setting.values() if not m["failure"])
        ink = PALETTE[1 + (len(series) - 1) % (len(PALETTE) - 1)]
        series.append(Series(name=result["peers"][key]["name"], ink=ink, points=points))
    ticks = {LOWEST_PRECISION + step / 20: f"{80 + 5 * step} %" for step in range(5)}
    return chart_svg(
        series,
        Axis(label="recall", ticks={value: f"{100 * value:.0f} %" for value in even_ticks(1.0)}),
        Axis(label="precision", ticks=ticks),
        f"Pairs of {accuracy['pictures']} pictures: how many are found, how many of those are right",
    )
