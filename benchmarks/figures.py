"""Puts measured figures into docs/benchmarks.md and README.md, between markers, and the plots beside the former.

    python -m benchmarks.figures RESULT.json …       from what earlier runs wrote, the later ones over the former
    python -m benchmarks [NAME …] --write-docs       the same with what was just measured

A benchmark is shown where the page has its two markers; others are passed over. Measures nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.accuracy_docs import table
from benchmarks.common import REPOSITORY, Result, Row
from benchmarks.drawings import drawings_of
from benchmarks.peers import pages as peers_pages

PAGE = REPOSITORY / "docs" / "benchmarks.md"
README = REPOSITORY / "README.md"
VERDICT = {None: "", True: " (kept)", False: " (**not kept**)"}


def write_figures(made_on: Result, results: dict[str, Result], page: Path = PAGE, readme: Path = README) -> list[str]:
    """Replace the sections of these benchmarks, write their plots.

    Args:
        made_on: hardware, commit and time, of `common.machine`.
        results: by the benchmark's name.
        page: the page with the markers; plots are written beside it.
        readme: has the markers of the comparison with peers alone.

    Returns:
        the names of the benchmarks that the page has a place for.
    """
    written = []
    for name, result in results.items():
        if begin_of(name) not in page.read_text():
            continue
        drawn = drawings_of(name, result)
        for file, svg in drawn.items():
            (page.parent / f"benchmark-{file}.svg").write_text(svg)
        replace(page, name, section(name, result, made_on, list(drawn)))
        written.append(name)
    if "peers" in results and begin_of("peers") in readme.read_text():
        images = f"![Time a picture, by program]({page.parent.name}/benchmark-peers-speed.svg)"
        told = peers_pages.short_section(results["peers"], machine_of(made_on))
        replace(readme, "peers", [*told, "", images])
    return written


def section(name: str, result: Result, made_on: Result, drawn: Sequence[str]) -> list[str]:
    """Where it was measured, the table, and the plots."""
    if name == "peers":
        told = peers_pages.long_section(result)
    else:
        rows: Iterable[Row] = importlib.import_module(f"benchmarks.{name}").rows(result)
        told = table(
            ("figure", "measured", "promise"),
            ((row.what.strip(), row.value, f"{row.promise}{VERDICT[row.is_kept]}") for row in rows),
        )
    return [machine_of(made_on), "", *told, *(line for file in drawn for line in ("", image(file)))]


def image(file: str) -> str:
    return f"![{file.replace('-', ' ')}](benchmark-{file}.svg)"


def machine_of(made_on: Result) -> str:
    """Where and when; the load says whether to believe a wall-clock time (more than one a core: only the ratios)."""
    loads = [made_on[key][0] for key in ("load_average_before", "load_average_after") if key in made_on]
    return (
        f"Commit `{made_on['commit']}`, {made_on['at'][:10]}, {made_on['cores']} cores of {made_on['cpu']}, "
        f"{made_on['memory_mib'] / 1024:.0f} GiB, load average {' … '.join(f'{load:.1f}' for load in loads)}."
    )


def begin_of(name: str) -> str:
    return f"<!-- {name}: figures begin -->"


def replace(page: Path, name: str, told: Sequence[str]) -> None:
    begin, end = begin_of(name), f"<!-- {name}: figures end -->"
    before, found_begin, rest = page.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        sys.exit(f"{page} has no section between {begin!r} and {end!r}: put the two lines back")
    page.write_text("\n".join([before + begin, *told, end]) + after)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="RESULT.json")
    for file in parser.parse_args().files:
        made_on = json.loads(file.read_bytes())
        results = made_on.pop("results")
        written = write_figures(made_on, results)
        print(f"{file}: {', '.join(written) or 'nothing that the page has a place for'}")


if __name__ == "__main__":
    main()
