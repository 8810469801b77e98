"""`dedupd` as it is, which at its end also writes down what its decode pool counted and its own CPU time.

    python -P benchmarks/counted_scan.py COUNTS.json scan FOLDER …

`dedupd scan` reports groups; how many pairs it looked at and which process spent the time stay inside it.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from dedupd.daemon import build, main
from dedupd.imaging.decode_pool import DecodePool

COUNTS = Path(sys.argv[1])


class CountedPool(DecodePool):
    """Writes its totals down when it closes."""

    def close(self) -> None:
        super().close()
        own = resource.getrusage(resource.RUSAGE_SELF)
        counts = {
            "parent_cpu_s": own.ru_utime + own.ru_stime,
            "read": self.read_total,
            "decoded": self.decoded_total,
            "compared": self.compared_total,
        }
        COUNTS.write_text(json.dumps(counts))


if __name__ == "__main__":
    build.DecodePool = CountedPool
    sys.exit(main.main(sys.argv[2:]))
