"""A daemon whose disk fails at a commit: it ends and says why, and the next start finds everything."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("system_conftest", Path(__file__).parents[1] / "system" / "conftest.py")
system = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(system)
make_daemon = system.make_daemon
library = system.library

EXIT_CANNOT_WRITE = 74
ERRORS = ("EIO", "ENOSPC", "EROFS") if os.environ.get("DEDUPD_EVERY_STEP") else ("EIO",)


@pytest.mark.parametrize("error", ERRORS)
def test_a_commit_that_fails_ends_the_daemon_and_the_next_one_goes_on(make_daemon, library, tmp_path, error):
    if shutil.which("strace") is None:
        pytest.skip("NOT TESTED, a daemon on a failing disk: strace is not installed")
    failing = f"inject=fdatasync:error={error}:when=3+"  # counted in each thread
    strace = ("strace", "-f", "-qq", "--seccomp-bpf", "-o", tmp_path / "calls", "-e", "trace=fdatasync", "-e", failing)
    daemon = make_daemon(library, prefix=strace).start(wait=False)
    ended = daemon.process.wait(60)
    if "INJECTED" not in (tmp_path / "calls").read_text():
        pytest.skip(f"NOT TESTED, a daemon on a failing disk: {daemon.log.read_text()[-300:]}")
    assert ended == EXIT_CANNOT_WRITE, daemon.log.read_text()
    log = daemon.log.read_text()
    assert str(daemon.state) in log
    assert ("Free some space" if error == "ENOSPC" else "check the disk") in log

    daemon.prefix = []
    daemon.start().idle(images=9)
    assert {len(group) for group in daemon.groups()} == {2, 3}
    assert daemon.stop() == 0
