"""How right is the verifier alone, whatever the index finds? Precision, recall by edit, calibration, CPU time a pair.

    python -m benchmarks.accuracy_pairs [--data DIR] [--half tune|report] [--hard FOLDER] [--state DIR]

Compared are all pairs of a copy and its original, some pairs of two copies, all pairs of one series, and the unrelated
pairs whose descriptors are nearest. DIR is as for `accuracy`; every folder below FOLDER is one more series of
look-alikes. With --state the scanned library is kept there, and a later run with the same data only compares (which is
right while only the rules changed, not what is stored).
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import Result, Row, run_alone, spread
from benchmarks.generated.write import DEFAULT_SOURCES, write_set
from benchmarks.group_scores import share
from benchmarks.opened_library import OpenedLibrary
from benchmarks.processes import scan
from benchmarks.truth import TIERS, Pair, Picture, Truth, read_truth
from dedupd.core.records import Relation

QUICK = ("--sources", "3", "--copy-pairs", "300", "--unrelated", "200")
EDGES = (0.0, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 0.999, 1.0)  # of the bins of predicted probability
COPIES = 16  # of a source of the set that is made
FALSE_SHOWN = 60  # in the result
STORE = "library"  # of a state directory that a scan has left


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A pair, what it is in truth ("original", "copies", "series" or "unrelated"), and what was decided."""

    truth: str
    kind: str  # of the series; "" for others
    pair: Pair
    relation: Relation
    probability: float
    reason: str
    cpu_ms: float | None  # None: equal digests, nothing was compared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with truth.csv (default: a set is made)")
    parser.add_argument("--ignore", type=Path, metavar="PAIRS.csv", help="pairs that count neither way")
    parser.add_argument("--half", choices=("tune", "report"), help="only sources and series of that half")
    parser.add_argument("--sources", type=int, default=DEFAULT_SOURCES, help="of the set that is made")
    parser.add_argument("--hard", type=Path, metavar="FOLDER", help="folder of folders, each a series of look-alikes")
    parser.add_argument("--state", type=Path, metavar="DIR", help="keep the scanned library, or use the one kept")
    add_pair_arguments(parser)


def add_pair_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--copy-pairs", type=int, default=2000, help="pairs of two copies, drawn at random")
    parser.add_argument("--unrelated", type=int, default=1000, help="unrelated pairs, the nearest first")


def run(arguments: argparse.Namespace) -> Result:
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        table = (
            arguments.data / "truth.csv"
            if arguments.data
            else write_set(home / "photos", sources=arguments.sources, half=arguments.half, copies=COPIES)
        )
        state = arguments.state or home / "state"
        if not (state / STORE).exists():
            scan(table.parent, state, *([arguments.hard] if arguments.hard else []))
        truth = read_truth(table, ignore=arguments.ignore, half=arguments.half, series=arguments.hard)
        return measure(truth, state, copy_pairs=arguments.copy_pairs, unrelated=arguments.unrelated)


def measure(truth: Truth, state: Path, *, copy_pairs: int, unrelated: int) -> Result:
    """Compare pairs of a scanned library and sum up."""
    with OpenedLibrary(state) as library:
        found = list(compared(library, truth, pairs_of(library, truth, copy_pairs, unrelated)))
    by_truth = defaultdict(list)
    for pair in found:
        by_truth[pair.truth].append(pair)
    right = [p for p in found if is_right(p) and p.relation.is_duplicate]
    wrong = [p for p in found if not is_right(p) and p.relation.is_duplicate]
    return {
        "pairs": {name: {"compared": len(own), "accepted": accepted(own)} for name, own in sorted(by_truth.items())},
        "precision": share(len(right), len(right) + len(wrong)),
        "recall_copy_original": share(accepted(by_truth["original"]), len(by_truth["original"])),
        "recall_copy_copy": share(accepted(by_truth["copies"]), len(by_truth["copies"])),
        "recall_by_transform": recall_by(truth, by_truth["original"], "transform"),
        "recall_by_tier": recall_by(truth, by_truth["original"], "tier"),
        "series_by_kind": series_by_kind(by_truth["series"]),
        "false_accepts": [told(p) for p in wrong[:FALSE_SHOWN]],
        "re_encoded_wrongly": re_encoded_wrongly(truth, found),
        "calibration": calibration(found),
        "cpu_ms_a_pair": spread([p.cpu_ms for p in found if p.cpu_ms is not None] or [0.0]),
        "cpu_ms_a_pair_by_truth": {
            name: round(statistics.median(times), 2)
            for name, own in sorted(by_truth.items())
            if (times := [p.cpu_ms for p in own if p.cpu_ms is not None])
        },
    }


def pairs_of(library: OpenedLibrary, truth: Truth, copy_pairs: int, unrelated: int) -> Iterator[tuple[str, Pair]]:
    """What to compare, with what it is in truth; pairs of one picture follow each other, since a worker keeps it."""
    originals = {pair for _, pair in truth.to_original}
    yield from (("original", pair) for pair in sorted(originals & truth.same))
    others = sorted(truth.same - originals)
    yield from (("copies", pair) for pair in sorted(random.Random(0).sample(others, min(copy_pairs, len(others)))))
    yield from (("series", pair) for pair in sorted(truth.look_alike))
    taken = 0
    for _, pair in library.nearest(sorted(truth.pictures)):
        if taken >= unrelated:
            break
        if not truth.is_kin(pair):
            taken += 1
            yield "unrelated", pair


def compared(library: OpenedLibrary, truth: Truth, pairs: Iterable[tuple[str, Pair]]) -> Iterator[Compared]:
    for what, pair in pairs:
        kind = truth.kind_of(pair) if what == "series" else ""
        looked = library.look(pair)
        if looked is not None:
            edge = looked.edge
            yield Compared(
                truth=what,
                kind=kind,
                pair=pair,
                relation=edge.relation,
                probability=edge.probability,
                reason=edge.reason,
                cpu_ms=None if edge.evidence.method == "digest" else looked.cpu_ms,
            )
        elif library.is_one_content(pair):
            same = Relation.SAME_BYTES
            yield Compared(truth=what, kind=kind, pair=pair, relation=same, probability=1.0, reason="", cpu_ms=None)


def is_right(pair: Compared) -> bool:
    """Whether a pair is of one shot."""
    return pair.truth in {"original", "copies"}


def accepted(pairs: Iterable[Compared]) -> int:
    return sum(p.relation.is_duplicate for p in pairs)


def recall_by(truth: Truth, pairs: Sequence[Compared], what: str) -> dict[str, Result]:
    """Recall of copies by one of the truth's columns, with the relations that were given."""
    relations: dict[str, Counter[Relation]] = defaultdict(Counter)
    copies = {pair: copy for copy, pair in truth.to_original}
    for pair in pairs:
        relations[getattr(copies[pair.pair], what)][pair.relation] += 1
    ordered = sorted(relations, key=lambda name: (TIERS.index(name) if name in TIERS else len(TIERS), name))
    return {
        name: {
            "copies": relations[name].total(),
            "recall": share(sum(n for r, n in relations[name].items() if r.is_duplicate), relations[name].total()),
            "relations": {relation.value: count for relation, count in relations[name].most_common()},
        }
        for name in ordered
        if name
    }


def series_by_kind(pairs: Iterable[Compared]) -> dict[str, Result]:
    by_kind = defaultdict(list)
    for pair in pairs:
        by_kind[pair.kind].append(pair)
    return {kind: {"pairs": len(own), "accepted": accepted(own)} for kind, own in sorted(by_kind.items())}


def told(pair: Compared) -> list[str]:
    names = [os.fsdecode(b"/".join(path.split(b"/")[-2:])) for path in pair.pair]
    return [pair.kind or pair.truth, *names, pair.relation.value, f"{pair.probability:.4f}", pair.reason]


def re_encoded_wrongly(truth: Truth, found: Iterable[Compared]) -> Result:
    """How often `re-encoded` was given to a pair that was edited, or is no pair at all.

    Two copies that are both edited are left out: they may be equal but for an encoding.
    """
    wrong: dict[str, list[Compared]] = defaultdict(list)
    for pair in found:
        if pair.relation is not Relation.RE_ENCODED:
            continue
        a, b = (truth.pictures.get(path) for path in pair.pair)
        if pair.truth in {"series", "unrelated"}:
            wrong[pair.kind or pair.truth].append(pair)
        elif a is not None and b is not None and a.is_edit != b.is_edit:
            wrong[edited_of(a, b).transform].append(pair)
    return {
        "count": sum(map(len, wrong.values())),
        "by_kind": {kind: len(pairs) for kind, pairs in sorted(wrong.items())},
        "pairs": [told(p) for pairs in wrong.values() for p in pairs][:FALSE_SHOWN],
    }


def edited_of(a: Picture, b: Picture) -> Picture:
    return a if a.is_edit else b


def calibration(found: Iterable[Compared]) -> Result:
    """Predicted probability of one shot against the share that is of one shot, in bins."""
    bins: list[list[Compared]] = [[] for _ in EDGES[1:]]
    for pair in found:
        number = sum(pair.probability >= edge for edge in EDGES[1:-1])
        bins[number].append(pair)
    rows = [
        {
            "from": low,
            "to": high,
            "pairs": len(own),
            "predicted": round(statistics.fmean(p.probability for p in own), 5),
            "observed": share(sum(map(is_right, own)), len(own)),
        }
        for low, high, own in zip(EDGES, EDGES[1:], bins, strict=False)
        if own
    ]
    total = sum(row["pairs"] for row in rows) or 1
    error = sum(row["pairs"] * abs(row["predicted"] - row["observed"]) for row in rows) / total
    return {"bins": rows, "expected_error": round(error, 5)}


def rows(result: Result) -> list[Row]:
    return [
        *(
            Row(what=f"pairs accepted, {name}", value=f"{own['accepted']} of {own['compared']}")
            for name, own in result["pairs"].items()
        ),
        Row(what="precision over these pairs", value=f"{result['precision']:.2%}"),
        *(
            Row(what=f"  {name} ({own['copies']})", value=f"{own['recall']:.1%}")
            for key in ("recall_by_tier", "recall_by_transform")
            for name, own in result[key].items()
        ),
        *(
            Row(what=f"  look-alikes accepted: {kind}", value=f"{own['accepted']} of {own['pairs']}")
            for kind, own in result["series_by_kind"].items()
        ),
        *cost_rows(result),
    ]


def cost_rows(result: Result) -> list[Row]:
    """What `accuracy` tells of the verifier too."""
    wrong, cpu_ms = result["re_encoded_wrongly"]["count"], result["cpu_ms_a_pair"]["p50"]
    return [
        Row(what="re-encoded given to an edited or similar pair", value=str(wrong), promise="0", is_kept=not wrong),
        Row(what="expected calibration error", value=f"{result['calibration']['expected_error']:.4f}"),
        Row(what="CPU time a pair, median", value=f"{cpu_ms:.1f} ms", promise="≤ 30 ms", is_kept=cpu_ms <= 30),
    ]


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
