"""Runs the comparison with peers as a program."""

from __future__ import annotations

from benchmarks import peers
from benchmarks.common import run_alone

if __name__ == "__main__":
    run_alone(peers, "peers")
