"""Real daemons on real files: a library of pictures of our own making, and processes that end with their test."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

DEADLINE_S = 60


def picture(seed, size=(640, 480)):
    """A picture with structure at every scale, so that features and descriptors have something to hold on to."""
    rng = np.random.default_rng(seed)
    width, height = size
    canvas = np.zeros((height, width, 3), np.float32)
    for cells in (3, 7, 16, 40, 100):
        noise = rng.normal(size=(cells, cells, 3)).astype(np.float32)
        layer = Image.fromarray(((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8))
        canvas += np.asarray(layer.resize(size, Image.Resampling.BICUBIC), np.float32) / cells**0.5
    canvas = (canvas - canvas.min()) / np.ptp(canvas) * 255
    image = Image.fromarray(canvas.astype(np.uint8))
    for _ in range(12):  # hard edges: boxes of one colour
        x, y = rng.integers(0, width - 60), rng.integers(0, height - 60)
        box = tuple(int(v) for v in (x, y, x + rng.integers(20, 60), y + rng.integers(20, 60)))
        image.paste(tuple(int(v) for v in rng.integers(0, 255, 3)), box)
    return image.filter(ImageFilter.GaussianBlur(0.6))


def save_aged(image, path, **options):
    """Save as if written long ago, so that nothing waits for it to settle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    age(path)


def age(path, seconds=3600):
    then = time.time() - seconds
    os.utime(path, (then, then))


def make_library(folder, originals=6):
    """`originals` pictures, the first with a copy, a smaller copy and a turned one."""
    for number in range(originals):
        save_aged(picture(number), folder / "camera" / f"IMG_{number:04}.jpg", quality=92)
    first = picture(0)
    (folder / "backup").mkdir(exist_ok=True)
    (folder / "backup" / "IMG_0000 (1).jpg").write_bytes((folder / "camera" / "IMG_0000.jpg").read_bytes())
    age(folder / "backup" / "IMG_0000 (1).jpg")
    save_aged(first.resize((320, 240)), folder / "phone" / "IMG-20240101-WA0001.jpg", quality=70)
    save_aged(picture(1).rotate(90, expand=True), folder / "phone" / "turned.png")
    return folder


def wait_for(condition, what, deadline_s=DEADLINE_S):
    """The condition's first true answer; the condition is looked at, nothing is assumed after a fixed time."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.05)
    pytest.fail(f"waited {deadline_s} s in vain for {what}")
    return None


class Daemon:
    """One `dedupd run` and the `dedupctl` that talks to it."""

    def __init__(self, home: Path, *roots, config=None, prefix=()):
        self.home = home
        self.roots = [Path(r) for r in roots]
        self.config = config
        self.prefix = [str(word) for word in prefix]  # what runs it: "unshare …", "setpriv …"
        self.state = home / "state"
        self.socket = home / "run" / "s.sock"
        self.log = home / "log"
        self.process = None

    def start(self, *, wait=True):
        arguments = [*self.prefix, sys.executable, "-m", "dedupd.daemon.main", "run", *map(str, self.roots)]
        arguments += ["--state-dir", str(self.state), "--socket", str(self.socket)]
        if self.config is not None:
            (self.home / "dedupd.toml").write_text(self.config)
            arguments += ["--config", str(self.home / "dedupd.toml")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True)
        if wait:
            wait_for(self.answers, f"the daemon to answer\n{self.log.read_text()}")
        return self

    def answers(self):
        assert self.process.poll() is None, self.log.read_text()
        return self.ctl("status", check=False).returncode == 0

    def ctl(self, *arguments, check=True, **options):
        done = subprocess.run(
            [sys.executable, "-m", "dedupd.cli.main", "--socket", str(self.socket), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            **options,
        )
        if check:
            assert done.returncode == 0, (arguments, done.returncode, done.stdout, done.stderr)
        return done

    def json(self, *arguments):
        return json.loads(self.ctl("--json", *arguments).stdout)

    def idle(self, *, images=None):
        """Wait until all is worked off; the status then."""

        def look():
            status = self.json("status")
            counts = status["counts"]
            done = status["activity"] == "idle" and not counts["files_pending"] and not counts["contents_unlinked"]
            return status if done and (images is None or counts["files"] >= images) else None

        return wait_for(look, "the daemon to become idle")

    def events(self, kind=None):
        lines = self.ctl("--json", "events").stdout.splitlines()
        events = [json.loads(line) for line in lines]
        return [e for e in events if kind is None or e["kind"] == kind]

    def groups(self):
        """The report's groups as a set of sets of paths."""
        report = self.json("report", "--format", "json")
        return {frozenset([g["keep"]["path"], *(d["path"] for d in g["duplicates"])]) for g in report["groups"]}

    def stop(self, number=signal.SIGTERM, timeout_s=20):
        self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


@pytest.fixture
def make_daemon(tmp_path):
    daemons = []

    def make(*roots, **options):
        home = tmp_path / f"home{len(daemons)}"
        home.mkdir()
        daemons.append(Daemon(home, *roots, **options))
        return daemons[-1]

    yield make
    for daemon in daemons:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.kill()


@pytest.fixture
def library(tmp_path):
    return make_library(tmp_path / "photos")


@pytest.fixture
def tools():
    """The functions above, for tests that make their own pictures."""

    class Tools:
        picture = staticmethod(picture)
        save_aged = staticmethod(save_aged)
        age = staticmethod(age)
        wait_for = staticmethod(wait_for)
        make_library = staticmethod(make_library)

    return Tools
