"""Other programs that find duplicates, on the same files in the same run as dedupd: speed, memory, precision, recall.

    python -m benchmarks.peers [--data DIR] [--files 500] [--labelled DIR] [--peers NAME …] [--rounds 2]
                               [--workers 2] [--cache DIR] [--json FILE]

Speed is that of a first scan of `--files` pictures that are made to cost what those of DIR cost (`camera_set`; with
--as-is those of DIR themselves; without DIR, JPEGs of 8 megapixels of our own making). Accuracy is over the pairs of
the labelled folder (`truth`; without one a set is made). Each peer runs by its adapter, on the same cores, with a home
of its own so that no cache is warm, right after a run of dedupd; its ratio is to that run, and the median of the rounds
is told. What cannot be installed, fails or reaches a limit is told as such. Wall-clock times are of whole processes,
their start and imports included; `call_s` is the call alone.
"""

from __future__ import annotations

from benchmarks.peers.compare import QUICK, add_arguments, run
from benchmarks.peers.drawn import plots
from benchmarks.peers.table import rows

__all__ = ["QUICK", "add_arguments", "plots", "rows", "run"]
