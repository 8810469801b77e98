"""How right are the groups? `dedupd scan` on pictures of which the truth is known, then candidates and the verifier.

    python -m benchmarks.accuracy [--data DIR] [--half tune|report] [--ignore PAIRS.csv] [--write-docs] [--json FILE]

DIR holds truth.csv (see `truth`); without --data a set is made in a temporary folder (see `generated`). PAIRS.csv
(path_a, path_b) names pairs that nobody is judged on. --half looks at one half of the sources only, so that what was
tuned and what is reported stay apart. --write-docs puts tables and plots into docs/accuracy.md.

A pair is reported when one group holds both files, `related` ones left out. Recall by transform and tier is that of
(copy, original). Candidates and verifier are measured by `candidates` and `accuracy_pairs`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import accuracy_pairs
from benchmarks.accuracy_docs import write_docs
from benchmarks.accuracy_pairs import COPIES
from benchmarks.candidate_recall import candidate_recall
from benchmarks.common import Result, Row, machine, run_alone
from benchmarks.generated.write import DEFAULT_SOURCES, write_set
from benchmarks.group_scores import reported_paths, score
from benchmarks.processes import scan
from benchmarks.truth import read_truth

QUICK = ("--sources", "3", "--copy-pairs", "300", "--unrelated", "200")
PROMISE_PRECISION, PROMISE_RECALL = 0.999, 0.90
PROMISES_BY_TIER = {"exact": 1.0, "lossless": 1.0, "easy": 0.99, "medium": 0.97, "hard": 0.85}
PROMISE_CANDIDATES, PROMISE_PAIRS_A_PICTURE = 0.98, 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with truth.csv (default: a set is made)")
    parser.add_argument("--ignore", type=Path, metavar="PAIRS.csv", help="pairs that count neither way")
    parser.add_argument("--half", choices=("tune", "report"), help="only sources and series of that half")
    parser.add_argument("--sources", type=int, default=DEFAULT_SOURCES, help="of the set that is made, for each use")
    parser.add_argument("--workers", type=int, default=0, help="decode workers; 0: one a core")
    parser.add_argument("--write-docs", action="store_true", help="tables and plots into docs/accuracy.md")
    parser.add_argument("--synthetic", type=int, default=0, help="distractors to measure candidates among, too")
    accuracy_pairs.add_pair_arguments(parser)


def run(arguments: argparse.Namespace) -> Result:
    made_on = machine()  # before, since the code may be another when a long run ends
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        if arguments.data:
            table = arguments.data / "truth.csv"
        else:
            table = write_set(home / "photos", sources=arguments.sources, half=arguments.half, copies=COPIES)
        truth = read_truth(table, ignore=arguments.ignore, half=arguments.half)
        done = scan(table.parent, home / "state", workers=arguments.workers)
        result = {
            "data": arguments.data.name if arguments.data else "own making",
            "half": arguments.half or "both",
            **score(truth, [reported_paths(group) for group in done.report["groups"]]),
            "scan": {
                "files": done.read,
                "decoded": done.decoded,
                "pairs_looked_at": done.compared,
                "pairs_a_picture": round(done.compared / max(1, done.decoded), 2),
                "set_aside": done.report["problems"],
                "cpu_s": round(done.spent.cpu_s, 2),
                "cpu_ms_a_picture": round(1000 * done.spent.cpu_s / max(1, done.read), 1),
                "wall_s": round(done.spent.wall_s, 2),
                "parent_cpu_s": round(done.parent_cpu_s, 2),
            },
            "candidates": candidate_recall(table, arguments.half, synthetic=arguments.synthetic),
            "verifier": accuracy_pairs.measure(
                truth, home / "state", copy_pairs=arguments.copy_pairs, unrelated=arguments.unrelated
            ),
        }
    if arguments.write_docs:
        write_docs(result, made_on)
    return result


def rows(result: Result) -> list[Row]:
    pairs, alike, cost = result["pairs"], result["look_alikes"], result["scan"]
    return [
        Row(
            what="pairs reported that are right",
            value=f"{result['precision']:.2%} of {pairs['reported']}",
            promise=f"≥ {PROMISE_PRECISION:.1%}",
            is_kept=result["precision"] >= PROMISE_PRECISION,
        ),
        Row(
            what="true pairs that are reported",
            value=f"{result['recall']:.2%} of {pairs['true']}",
            promise=f"≥ {PROMISE_RECALL:.0%}",
            is_kept=result["recall"] >= PROMISE_RECALL,
        ),
        Row(
            what="look-alike pairs merged",
            value=f"{alike['merged']} of {alike['pairs']}",
            promise="0",
            is_kept=alike["merged"] == 0,
        ),
        *(
            Row(what=f"  {kind}", value=f"{own['merged']} of {own['pairs']}")
            for kind, own in alike["by_kind"].items()
            if own["merged"]
        ),
        *(
            Row(
                what=f"copies found, {tier} ({own['copies']})",
                value=f"{own['recall']:.1%}",
                promise=f"≥ {PROMISES_BY_TIER[tier]:.0%}" if tier in PROMISES_BY_TIER else "",
                is_kept=own["recall"] >= PROMISES_BY_TIER[tier] if tier in PROMISES_BY_TIER else None,
            )
            for tier, own in result["recall_by_tier"].items()
        ),
        *(
            Row(what=f"  {transform} ({own['copies']})", value=f"{own['recall']:.1%}")
            for transform, own in result["recall_by_transform"].items()
        ),
        Row(
            what="originals among the first 10 candidates",
            value=f"{result['candidates']['recall_at_10']:.1%}",
            promise=f"≥ {PROMISE_CANDIDATES:.0%}",
            is_kept=result["candidates"]["recall_at_10"] >= PROMISE_CANDIDATES,
        ),
        Row(
            what="pairs looked at, a picture",
            value=f"{cost['pairs_a_picture']:.2f}",
            promise=f"≤ {PROMISE_PAIRS_A_PICTURE:.0f}",
            is_kept=cost["pairs_a_picture"] <= PROMISE_PAIRS_A_PICTURE,
        ),
        Row(what=f"scan of {cost['files']} files", value=f"{cost['cpu_s']:.1f} CPU s, {cost['wall_s']:.1f} s"),
        *accuracy_pairs.cost_rows(result["verifier"]),
    ]


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
