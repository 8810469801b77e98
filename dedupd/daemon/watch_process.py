"""The watcher process with the daemon's log: `python -m dedupd.daemon.watch_process`, run by `sources.local_watch`.

What it does stands in `sources.watch_process`, which knows nothing of the journal.
"""

from __future__ import annotations

import sys

from dedupd.daemon.log import set_up_logging
from dedupd.sources.watch_process import main

if __name__ == "__main__":
    set_up_logging("warning", "dedupd-watch")
    main(sys.argv[1:])
