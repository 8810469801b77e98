"""Fits the calibrated decision: `python -m benchmarks.relation.fit ROWS.csv [--write]`.

Rows come from `gather`. Fits on the half "tune" and prints how it does on the half "report". The model is logistic
regression over penalties ln(value / usual), nothing below usual, with weights that cannot be negative: more
disagreement never makes a pair more probable. A measure whose weight ends near zero is left out. Then the scale of the
points is calibrated (Platt, 1999) on the same half with every set counting alike. --write replaces
dedupd/core/relation_model.py.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from dedupd.core.calibration import Account

MEASURES = ("spike", "motion", "foreign", "octave_3", "octave_4", "worst_3", "worst_4")
FLOORS = {"foreign": 0.004, "octave_3": 1e-4, "octave_4": 3e-5, "worst_3": 5e-4, "worst_4": 2e-4}  # rounding
LOOK_ALIKE_WEIGHT = 3.0  # one look-alike taken for a copy weighs as much as three copies lost
RIDGE = 1e-4
MOST_SCALED = 3.0  # what calibrating may multiply points by
NEGLIGIBLE = 0.02  # weight from which a measure is kept
TARGET = Path("dedupd/core/relation_model.py")

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Pairs as arrays of one length."""

    values: Doubles  # [n, measures]
    has_overlay: Doubles  # [n], 0 or 1
    account: npt.NDArray[np.intp]  # [n], number in Account
    is_copy: npt.NDArray[np.bool_]
    is_tune: npt.NDArray[np.bool_]
    sets: npt.NDArray[np.str_]
    kinds: npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Fitted:
    """Coefficients in the order of MEASURES and of Account."""

    usual: Doubles  # [measures]
    bias: Doubles  # [accounts]
    weights: Doubles  # [measures]
    overlay: float

    def points(self, rows: Rows) -> Doubles:
        cost = penalties(rows.values, self.usual) @ self.weights + rows.has_overlay * self.overlay
        return np.asarray(self.bias[rows.account] - cost)


def read(path: Path) -> Rows:
    with path.open(newline="") as table:
        rows = list(csv.DictReader(table))
    accounts = [account.value for account in Account]
    return Rows(
        values=np.array([[float(row.get(m) or 0.0) for m in MEASURES] for row in rows]),
        has_overlay=np.array([float(row["has_overlay"]) for row in rows]),
        account=np.array([accounts.index(row["account"]) for row in rows]),
        is_copy=np.array([row["is_copy"] == "1" for row in rows]),
        is_tune=np.array([row["half"] == "tune" for row in rows]),
        sets=np.array([row["set"] for row in rows]),
        kinds=np.array([row["kind"] for row in rows]),
    )


def penalties(values: Doubles, usual: Doubles) -> Doubles:
    return np.asarray(np.maximum(0.0, np.log(np.maximum(values, 1e-12) / usual)))


def fit(rows: Rows) -> Fitted:
    """Logistic regression on the tune half."""
    copies = rows.is_tune & rows.is_copy
    usual = np.maximum(np.median(rows.values[copies], axis=0), [FLOORS.get(m, 1e-6) for m in MEASURES])
    tune = np.flatnonzero(rows.is_tune)
    design = np.column_stack([penalties(rows.values, usual), rows.has_overlay])[tune]
    account, is_copy = rows.account[tune], rows.is_copy[tune]
    weight = np.where(is_copy, 1.0, LOOK_ALIKE_WEIGHT)
    count = len(Account)

    def loss(theta: Doubles) -> tuple[float, Doubles]:
        points = theta[account] - design @ theta[count:]
        cost = np.where(is_copy, np.logaddexp(0, -points), np.logaddexp(0, points))
        wrong = weight * (1 / (1 + np.exp(-points)) - is_copy)
        by_account = np.bincount(account, wrong, minlength=count)
        gradient = np.concatenate([by_account, -(design * wrong[:, None]).sum(axis=0)]) / weight.sum()
        gradient[count:] += 2 * RIDGE * theta[count:]
        return float((weight * cost).sum() / weight.sum() + RIDGE * (theta[count:] ** 2).sum()), gradient

    start = np.concatenate([np.full(count, 4.0), np.full(design.shape[1], 0.5)])
    bounds = [(None, None)] * count + [(0.0, None)] * design.shape[1]
    theta = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 5000}).x
    found = Fitted(usual, theta[:count], theta[count:-1], float(theta[-1]))
    return _calibrated(found, rows)


def _calibrated(found: Fitted, rows: Rows) -> Fitted:
    """The same order of pairs, with points whose logistic is the share of copies; every set counts alike."""
    tune = np.flatnonzero(rows.is_tune)
    points, is_copy, sets = found.points(rows)[tune], rows.is_copy[tune], rows.sets[tune]
    weight = np.array([1.0 / np.count_nonzero(sets == s) for s in sets])

    def loss(theta: Doubles) -> float:
        scaled = theta[0] * points + theta[1]
        return float((weight * np.where(is_copy, np.logaddexp(0, -scaled), np.logaddexp(0, scaled))).sum())

    bounds = [(1 / MOST_SCALED, MOST_SCALED), (None, None)]  # sets that do not overlap would make it certain of all
    scale, shift = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead", bounds=bounds).x
    return Fitted(found.usual, found.bias * scale + shift, found.weights * scale, found.overlay * scale)


def describe(found: Fitted, rows: Rows) -> list[str]:
    """What the model does on each half: recall and false accepts by set at some probabilities."""
    probability = 1 / (1 + np.exp(-found.points(rows)))
    lines = []
    for half, is_half in (("tune", rows.is_tune), ("report", ~rows.is_tune)):
        for name in sorted(set(rows.sets)):
            here = is_half & (rows.sets == name)
            copies, others = probability[here & rows.is_copy], probability[here & ~rows.is_copy]
            told = [
                f"≥ {limit}: {np.mean(copies >= limit) if len(copies) else float('nan'):.1%} of {len(copies)} copies,"
                f" {np.count_nonzero(others >= limit)} of {len(others)} look-alikes"
                for limit in (0.5, 0.8, 0.9)
            ]
            lines.append(f"{half:6} {name:10} " + "; ".join(told))
    return lines


def source_of(found: Fitted, fitted_on: str) -> str:
    """The text of `core/relation_model.py`."""
    lines = [
        '"""Coefficients of the calibrated decision; written by `python -m benchmarks.relation.fit --write`."""',
        "",
        "from __future__ import annotations",
        "",
        "from dedupd.core.calibration import Account, Model, Penalty",
        "",
        "MODEL = Model(",
        f'    fitted_on="{fitted_on}",',
        "    bias={",
        *(f"        Account.{a.name}: {found.bias[i]:.3f}," for i, a in enumerate(Account)),
        "    },",
        f"    overlay={found.overlay:.3f},",
        "    penalties=(",
        *(
            f'        Penalty("{m}", usual={u:.3g}, weight={w:.3f}),'
            for m, u, w in zip(MEASURES, found.usual, found.weights, strict=True)
            if w >= NEGLIGIBLE
        ),
        "    ),",
        ")",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser: Any = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="what `gather` wrote")
    parser.add_argument("--write", action="store_true", help=f"replace {TARGET}")
    args = parser.parse_args()
    rows = read(args.rows)
    found = fit(rows)
    tune = rows.is_tune
    fitted_on = (
        f"{np.count_nonzero(tune & rows.is_copy)} copies and {np.count_nonzero(tune & ~rows.is_copy)} look-alikes, "
        f"half tune of {', '.join(sorted(set(rows.sets[tune])))}; {dt.datetime.now(tz=dt.UTC).date().isoformat()}"
    )
    text = source_of(found, fitted_on)
    print(text, *describe(found, rows), sep="\n")
    if args.write:
        TARGET.write_text(text)


if __name__ == "__main__":
    main()
