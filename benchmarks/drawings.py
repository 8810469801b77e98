"""What a benchmark's result looks like as plots: its own `plots`, or a drawing from here. Measures nothing.

Those of `accuracy` are drawn by `accuracy_docs`, in the page where they belong.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from benchmarks.common import Result
from benchmarks.plots import GOOD, PALETTE, Axis, Series, amounts_svg, chart_svg, log_ticks

Amounts = dict[str, tuple[float, str]]  # of a bar chart: amount and words by name


def drawings_of(name: str, result: Result) -> dict[str, str]:
    """SVG texts by name, which begins with that of the benchmark; none for one that has no plot, or was skipped."""
    if "skipped" in result:
        return {}
    own = getattr(importlib.import_module(f"benchmarks.{name}"), "plots", None)
    if own is not None:
        drawn: dict[str, str] = own(result)
        return drawn
    return {name: DRAWN[name](result)} if name in DRAWN else {}


def throughput(result: Result) -> str:
    amounts: Amounts = {"Pillow, draft decode alone": rate(result["pillow"]["images_per_s"])}
    for workers, own in result["workers"].items():
        amounts[f"first scan, {workers} worker{'s' * (workers != '1')}"] = rate(own["first"]["images_per_s"])
    return amounts_svg(amounts, f"Pictures a second, files of {result['mean_bytes'] / 1e6:.1f} MB")


def rate(per_s: float) -> tuple[float, str]:
    return per_s, f"{per_s:.0f}"


def latency(result: Result) -> str:
    amounts: Amounts = {"settling, by configuration": seconds(result["settle_s"])}
    for kind, own in {**result["close_to_event_s_by_kind"], "all": result["close_to_event_s"]}.items():
        amounts |= {f"{kind}, half of them": seconds(own["p50"]), f"{kind}, 99 of 100": seconds(own["p99"])}
    return amounts_svg(amounts, "From the close of a file to its event, seconds", mark="all, half of them")


def seconds(value: float) -> tuple[float, str]:
    return value, f"{value:.2f} s"


def memory(result: Result) -> str:
    amounts: Amounts = {
        f"{when}, {role}": (mib, f"{mib:.0f} MiB")
        for when, look in (("peak", result["peak_mib"]), ("idle", result["idle_mib"]))
        for role, mib in look.items()
    }
    return amounts_svg(amounts, f"Memory (PSS), {result['files']} files, {result['workers']} workers")


def startup(result: Result) -> str:
    amounts: Amounts = {
        name: (own["cpu_ms_median"], f"{own['cpu_ms_median']:.0f} ms") for name, own in result["commands"].items()
    }
    return amounts_svg(amounts, "CPU time of a start")


def reconcile(result: Result) -> str:
    amounts: Amounts = {
        "find -printf": (result["find_cpu_s"], f"{result['find_cpu_s']:.2f} s"),
        "dedupd": (result["reconcile_cpu_s"], f"{result['reconcile_cpu_s']:.2f} s"),
    }
    return amounts_svg(amounts, f"CPU time to look through {result['files']:,} unchanged files", mark="dedupd")


def scale(result: Result) -> str:
    sizes = result["sizes"]
    figures: dict[str, Callable[[Result], float]] = {
        "question, CPU ms": lambda own: own["question_cpu_ms"],
        "deletion, CPU ms": lambda own: own["deletion_cpu_ms"],
        "insertion with search, CPU ms": lambda own: 1000 / own["inserted_a_cpu_s"],
        "memory of the index, MB": lambda own: own["index_mb"],
    }
    series = [
        Series(
            name=name,
            ink=(GOOD, *PALETTE[1:])[number],
            points=[(own["pictures"], max(1e-3, figure(own))) for own in sizes],
        )
        for number, (name, figure) in enumerate(figures.items())
    ]
    values = [value for own in series for _, value in own.points]
    pictures = [own["pictures"] for own in sizes]
    return chart_svg(
        series,
        Axis(label="pictures", ticks=log_ticks(min(pictures), max(pictures)), is_log=True),
        Axis(label="ms, MB", ticks=log_ticks(min(values), max(values)), is_log=True),
        "The index by size",
    )


DRAWN: dict[str, Callable[[Result], str]] = {
    "throughput": throughput,
    "latency": latency,
    "memory": memory,
    "startup": startup,
    "reconcile": reconcile,
    "scale": scale,
}
