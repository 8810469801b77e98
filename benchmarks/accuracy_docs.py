"""Puts the figures of `accuracy` into docs/accuracy.md, between markers, and its plots beside it. Measures nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.common import REPOSITORY, Result
from benchmarks.plots import bars_svg, reliability_svg

PAGE = REPOSITORY / "docs" / "accuracy.md"


def write_docs(result: Result, made_on: Result, page: Path = PAGE) -> None:
    """Replace the section of this kind of data, and its plots.

    A run on the set of our own making and a run on data of one's own have a section each.

    Args:
        result: what `accuracy` measured.
        made_on: commit and time, of `common.machine`.
        page: the page with the markers; plots are written beside it.
    """
    name = "generated" if result["data"] == "own making" else "labelled"
    begin, end = f"<!-- {name}: figures begin -->", f"<!-- {name}: figures end -->"
    before, found_begin, rest = page.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        sys.exit(f"{page} has no section between {begin!r} and {end!r}: put the two lines back")
    verifier = result["verifier"]
    calibration = verifier["calibration"]
    plots = {
        f"accuracy-{name}-reliability.svg": reliability_svg(calibration["bins"], calibration["expected_error"]),
        f"accuracy-{name}-recall.svg": bars_svg(
            {name: (own["recall"], own["copies"]) for name, own in result["recall_by_transform"].items()},
            "Copies grouped with their original, by transformation",
        ),
    }
    for file, drawn in plots.items():
        (page.parent / file).write_text(drawn)
    page.write_text(before + begin + "\n" + section(result, made_on, list(plots)) + end + after)


def section(result: Result, made_on: Result, plots: Sequence[str]) -> str:
    cost, pairs, alike = result["scan"], result["pairs"], result["look_alikes"]
    candidates, verifier = result["candidates"], result["verifier"]
    half = "both halves" if result["half"] == "both" else f"the {result['half']} half"
    called = "the set of our own making" if result["data"] == "own making" else f"the labelled set `{result['data']}`"
    head = (
        f"Commit `{made_on['commit']}`, {made_on['at'][:10]}, {called}, {half}: {result['pictures']} pictures, "
        f"{pairs['true']} true pairs, {alike['pairs']} pairs of look-alikes."
    )
    told = [
        head,
        "",
        *table(
            ("figure", "measured"),
            (
                ("precision over pairs", f"{result['precision']:.2%} of {pairs['reported']} reported"),
                ("recall over all pairs of copies", f"{result['recall']:.2%}"),
                ("look-alike pairs merged", f"{alike['merged']} of {alike['pairs']}"),
                ("other false pairs", str(result["other_false"])),
                ("re-encoded given to an edited or similar pair", str(verifier["re_encoded_wrongly"]["count"])),
                *(
                    (f"original among the first {k} candidates", f"{candidates[f'recall_at_{k}']:.1%}")
                    for k in (1, 3, 10)
                ),
                *(
                    (
                        f"the same among {key.removeprefix('among_')} synthetic distractors, first 10",
                        f"{own['recall_at_10']:.1%}",
                    )
                    for key, own in candidates.items()
                    if key.startswith("among_")
                ),
                ("pairs looked at, a picture", f"{cost['pairs_a_picture']:.2f}"),
                ("CPU time a picture, whole scan", f"{cost['cpu_ms_a_picture']:.0f} ms"),
                ("CPU time of a descriptor", f"{candidates['cpu_ms_a_descriptor']:.1f} ms"),
                ("CPU time a pair, median", f"{verifier['cpu_ms_a_pair']['p50']:.1f} ms"),
                ("expected calibration error", f"{verifier['calibration']['expected_error']:.4f}"),
            ),
        ),
        "",
        *table(
            ("tier", "copies", "grouped with the original", "verifier alone"),
            (
                (tier, str(own["copies"]), f"{own['recall']:.1%}", share_of(verifier["recall_by_tier"], tier))
                for tier, own in result["recall_by_tier"].items()
            ),
        ),
        "",
        *table(
            ("transformation", "copies", "candidate@10", "grouped with the original", "verifier alone", "relations"),
            (
                (
                    f"`{name}`",
                    str(own["copies"]),
                    f"{candidates['by_transform'][name]['recall_at_10']:.1%}",
                    f"{own['recall']:.1%}",
                    share_of(verifier["recall_by_transform"], name),
                    relations_of(verifier, name),
                )
                for name, own in result["recall_by_transform"].items()
            ),
        ),
        "",
        *table(
            ("look-alikes", "pairs", "merged by the scan", "accepted by the verifier"),
            (
                (f"`{kind}`", str(own["pairs"]), str(own["merged"]), accepted_of(verifier, kind))
                for kind, own in alike["by_kind"].items()
            ),
        ),
        "",
        *table(
            ("predicted probability", "pairs", "mean predicted", "observed"),
            (
                (
                    f"{row['from']:g} … {row['to']:g}",
                    str(row["pairs"]),
                    f"{row['predicted']:.4f}",
                    f"{row['observed']:.4f}",
                )
                for row in verifier["calibration"]["bins"]
            ),
        ),
        "",
        *(f"![{plot.rpartition('-')[2].removesuffix('.svg')}]({plot})" for plot in plots),
    ]
    return "\n".join(told) + "\n"


def share_of(recalls: Result, name: str) -> str:
    return f"{recalls[name]['recall']:.1%}" if name in recalls else ""


def relations_of(verifier: Result, transform: str) -> str:
    counts = verifier["recall_by_transform"].get(transform, {}).get("relations", {})
    return ", ".join(f"{relation} {count}" for relation, count in counts.items())


def accepted_of(verifier: Result, kind: str) -> str:
    own = verifier["series_by_kind"].get(kind)
    return f"{own['accepted']}" if own else ""


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in body)]
