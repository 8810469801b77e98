"""Coefficients of the calibrated decision; written by `python -m benchmarks.relation.fit --write`."""

from __future__ import annotations

from dedupd.core.calibration import Account, Model, Penalty

MODEL = Model(
    fitted_on="1683 copies and 428 look-alikes, half tune of generated, labelled, real; 2026-11-20",
    bias={
        Account.PLAIN: 3.684,
        Account.RETONED: 4.080,
        Account.REFRAMED: 6.189,
        Account.REFRAMED_RETONED: 4.293,
    },
    overlay=0.000,
    penalties=(
        Penalty("spike", usual=1.57, weight=3.572),
        Penalty("foreign", usual=0.00825, weight=0.627),
        Penalty("worst_3", usual=0.00199, weight=0.465),
        Penalty("worst_4", usual=0.0004, weight=0.245),
    ),
)
