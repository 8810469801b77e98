"""Whoever has not chosen a vision model pays nothing for it: no process of dedupd has torch or transformers."""

import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "transformers", "huggingface_hub", "safetensors", "tokenizers")


def processes_of(root_pid):
    """A process and all that it started."""
    children = Path(f"/proc/{root_pid}/task/{root_pid}/children")
    pids = [int(pid) for task in children.parents[1].glob("*/children") for pid in task.read_text().split()]
    return [root_pid, *(pid for child in pids for pid in processes_of(child))]


def test_no_process_of_a_daemon_without_a_model_has_torch(make_daemon, library):
    daemon = make_daemon(library).start()
    daemon.idle(images=9)
    pids = processes_of(daemon.process.pid)
    assert len(pids) > 2  # the watcher and a decode worker at least
    for pid in pids:
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert "libpython" in maps or "python" in maps
        assert not [line for line in maps.splitlines() if "/torch/" in line or "/tokenizers/" in line]


def test_reading_what_a_model_is_and_the_daemon_itself_import_no_torch():
    script = (
        "import sys, dedupd.daemon.service, dedupd.daemon.one_shot, dedupd.daemon.models\n"
        "import dedupd.embedding.model_folder\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=110, check=True)
    assert done.stdout.strip() == "[]"
