"""Scores the groups of a report against the truth, over pairs of files. Runs nothing."""

from __future__ import annotations

import base64
import itertools
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.common import Result
from benchmarks.truth import TIERS, Pair, Picture, Truth, pair_of


def reported_paths(group: dict[str, Any]) -> list[bytes]:
    """The files of a group of the report, as the file system names them; `related` ones are not reported."""
    files = [group["keep"], *group["duplicates"]]
    return [base64.b64decode(f["path_b64"]) if "path_b64" in f else os.fsencode(f["path"]) for f in files]


def score(truth: Truth, groups: Iterable[Iterable[bytes]]) -> Result:
    """Precision, recall and look-alikes merged; a pair is reported when one group holds both files.

    Pairs without a picture of the truth's half say nothing.
    """
    reported = {
        pair_of(*pair) for group in groups for pair in itertools.combinations(sorted(group), 2) if judged(truth, pair)
    }
    right, merged = reported & truth.same, reported & truth.look_alike
    wrong = reported - truth.same - truth.look_alike
    merged_by_kind = Counter(truth.kind_of(pair) for pair in merged)
    return {
        "pictures": len(truth.pictures),
        "precision": share(len(right), len(reported)),
        "recall": share(len(right), len(truth.same)),
        "pairs": {"reported": len(reported), "right": len(right), "true": len(truth.same)},
        "look_alikes": {
            "pairs": len(truth.look_alike),
            "merged": len(merged),
            "by_kind": {
                kind: {"pairs": pairs, "merged": merged_by_kind[kind]}
                for kind, pairs in sorted(Counter(map(truth.kind_of, truth.look_alike)).items())
            },
        },
        "other_false": len(wrong),
        "false_pairs": [[os.fsdecode(os.path.basename(p)) for p in pair] for pair in sorted(merged | wrong)],  # noqa: PTH119
        "recall_by_transform": recall_by(truth, reported, lambda copy: copy.transform),
        "recall_by_tier": {
            tier: found
            for tier, found in sorted(
                recall_by(truth, reported, lambda copy: copy.tier).items(),
                key=lambda item: TIERS.index(item[0]) if item[0] in TIERS else len(TIERS),
            )
            if tier
        },
    }


def judged(truth: Truth, pair: Pair) -> bool:
    return pair_of(*pair) not in truth.unjudged and any(path in truth.pictures for path in pair)


def recall_by(truth: Truth, reported: set[Pair], key: Callable[[Picture], str]) -> dict[str, Result]:
    """Recall of (copy, its original) by what `key` says of the copy."""
    found = defaultdict(list)
    for copy, pair in truth.to_original:
        found[key(copy)].append(pair in reported)
    return {name: {"copies": len(hits), "recall": share(sum(hits), len(hits))} for name, hits in sorted(found.items())}


def share(part: int, whole: int) -> float:
    """Of nothing, everything."""
    return round(part / whole, 5) if whole else 1.0
