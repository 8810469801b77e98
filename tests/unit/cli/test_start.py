"""dedupctl starts with little: no engine, no tables, before it is known that somebody needs them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dedupd.cli.completions import FILES, completion

HEAVY = {"numpy", "faiss", "torch", "lmdb", "cv2", "PIL", "rich", "blake3", "uvicorn", "starlette", "anyio", "asyncio"}
PROBE = """
import json, sys
from dedupd.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def modules_after(*arguments):
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["status"],
        ["status", "--json"],
        ["find", "/nowhere"],
        ["report"],
        ["plan"],
        ["apply", "3f9a1c2b"],
        ["undo", "--last"],
        ["quarantine"],
        ["not-duplicate", "/a", "/b"],
        ["keep", "/a"],
    ],
)
def test_nothing_heavy_is_imported(arguments, tmp_path):
    loaded = modules_after("--socket", str(tmp_path / "nobody"), *arguments)
    assert "argparse" in loaded
    assert not loaded & HEAVY


def test_help_does_not_even_need_the_client():
    assert not modules_after("--help") & {"msgspec", "http", "ssl"}


@pytest.mark.parametrize("shell", FILES)
def test_the_committed_completions_are_current(shell):
    committed = Path(__file__).parents[3] / "contrib" / "completions" / FILES[shell]
    assert committed.read_text(encoding="utf-8") == completion(shell), "run: python -m dedupd.cli.completions"


def test_the_bash_completion_is_a_valid_script():
    done = subprocess.run(["bash", "-n"], input=completion("bash"), text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
