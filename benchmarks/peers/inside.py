"""Runs one adapter in its peer's Python: `python -P inside.py ADAPTER.py FOLDER SETTING WORKERS OUT.json`.

Writes the groups, the version and how long the call itself took. Imports only the standard library.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from pathlib import Path


def main(adapter: str, folder: str, setting: str, workers: str, out: str) -> None:
    spec = importlib.util.spec_from_file_location("adapter", adapter)
    assert spec is not None
    assert spec.loader is not None
    peer = sys.modules["adapter"] = importlib.util.module_from_spec(spec)  # so that its functions can be pickled
    spec.loader.exec_module(peer)
    began_s = time.perf_counter()
    groups = peer.groups(Path(folder), peer.SETTINGS[setting], int(workers))
    call_s = time.perf_counter() - began_s
    Path(out).write_text(json.dumps({"groups": groups, "version": peer.version(), "call_s": call_s}))


if __name__ == "__main__":  # processes that a peer spawns load this file again
    main(*sys.argv[1:])
