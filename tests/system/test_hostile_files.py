"""Files and names that mean harm: the daemon lives, each ends as indexed or in `dedupctl problems`, with a reason."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from fakes.bombs import bombs
from fakes.skipping import not_possible
from PIL import Image

from dedupd.core.records import Sequence
from dedupd.store import LmdbLibrary

WORKER_BYTES = 1_500_000_000  # what a decode worker may take, whatever it is given

# Those that a reader with limits can read; of the rest only an end is asked for.
READABLE = {
    "png-just-under-limit.png",
    "png-16-bit.png",
    "png-in-name-only.png",
    "gif-animated.gif",
    "webp-animated.webp",
    "jpeg-cmyk.jpg",
    "jpeg-20-mb-tail.jpg",
    "polyglot.jpg",
    "tiff-lzw.tif",
}


class Workers:
    """Watches a daemon's decode workers; `peak_bytes` is the most that one of them ever had resident."""

    def __init__(self, pid):
        self._pid = pid
        self.peak_bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def pids(self):
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                is_child = f"\nPPid:\t{self._pid}\n" in (process / "status").read_text()
                if is_child and b"dedupd.imaging.worker" in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
            except OSError:
                continue
        return found

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _watch(self):
        while not self._over.wait(0.2):
            for pid in self.pids():
                try:
                    status = Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    continue
                for line in status.splitlines():
                    if line.startswith("VmHWM:"):
                        self.peak_bytes = max(self.peak_bytes, int(line.split()[1]) * 1024)


def reasons(daemon):
    """Name → code, for what `dedupctl problems` lists."""
    problems = daemon.json("problems")["problems"]
    assert all(problem["detail"] for problem in problems)
    return {problem["path"].rpartition("/")[2]: problem["code"] for problem in problems}


def test_bombs_end_as_indexed_or_with_a_reason_and_no_worker_grows_large(make_daemon, tools, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    given = bombs()
    for name, data in given.items():
        (photos / name).write_bytes(data)
        tools.age(photos / name)
    tools.save_aged(tools.picture(1), photos / "clean.jpg")
    daemon = make_daemon(photos).start()
    with Workers(daemon.process.pid) as workers:
        status = daemon.idle(images=len(given) + 1)
    assert daemon.process.poll() is None
    assert 0 < workers.peak_bytes <= WORKER_BYTES
    aside = reasons(daemon)
    assert status["counts"]["files_set_aside"] == len(aside)
    assert status["counts"]["files"] == len(given) + 1
    assert READABLE.isdisjoint(aside), {name: aside[name] for name in READABLE & aside.keys()}
    assert "clean.jpg" not in aside
    for name in ("png-huge-header.png", "png-over-limit.png", "gif-huge.gif", "jpeg-huge.jpg", "heif-huge.heic"):
        assert name in aside
    assert "Traceback" not in daemon.log.read_text()
    assert daemon.stop() == 0


def test_of_a_clean_set_none_is_set_aside(make_daemon, tools, tmp_path):
    photos = tmp_path / "photos"
    import pillow_heif

    pillow_heif.register_heif_opener()
    kinds = ("jpg", "png", "webp", "tif", "gif", "bmp", "heic", "avif")
    for number, kind in enumerate(kinds):
        for mode in ("RGB", "L"):
            tools.save_aged(tools.picture(number, (200, 160)).convert(mode), photos / f"{mode}.{kind}")
    deep = np.arange(120 * 160, dtype=np.uint16).reshape(120, 160) * 3
    tools.save_aged(Image.fromarray(deep), photos / "deep.png")
    tools.save_aged(Image.fromarray(deep), photos / "deep.tif")
    tools.save_aged(tools.picture(50, (200, 160)).convert("CMYK"), photos / "cmyk.jpg")
    tools.save_aged(Image.new("RGB", (1, 1)), photos / "pixel.png")
    daemon = make_daemon(photos).start()
    status = daemon.idle(images=2 * len(kinds) + 4)
    assert reasons(daemon) == {}
    assert status["counts"]["files_set_aside"] == 0


def test_a_file_that_kills_its_worker_twice_is_set_aside_and_read_by_the_next_version(make_daemon, tools, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "slow.png").write_bytes(bombs()["png-just-under-limit.png"])  # a second and more to decode
    tools.age(photos / "slow.png")
    daemon = make_daemon(photos).start()
    workers = Workers(daemon.process.pid)

    def kill_until_it_is_set_aside():
        for pid in workers.pids():
            with contextlib.suppress(OSError):
                if "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text():  # it has started: its death counts
                    os.kill(pid, signal.SIGKILL)
        looks.append(None)
        return len(looks) % 20 == 0 and reasons(daemon).get("slow.png")

    looks = []
    assert tools.wait_for(kill_until_it_is_set_aside, "the file to be set aside") == "decoder-died"
    daemon.idle(images=1)
    assert daemon.stop() == 0

    daemon.start().idle(images=1)
    assert reasons(daemon) == {"slow.png": "decoder-died"}, "the same decoders do not try it again"
    assert daemon.stop() == 0

    library = LmdbLibrary(daemon.state)
    with library.transaction() as txn:
        txn.set_cursor("decoders", Sequence(1))  # as another version left it
    library.close()
    daemon.start().idle(images=1)
    assert reasons(daemon) == {}
    assert "decode.changed tried_again=1" in daemon.log.read_text()


def deep_directory(start, component, depth):
    """Make directories in each other, past what one path may say; a descriptor of the last."""
    fd = os.open(start, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir(component, dir_fd=fd)
        inner = os.open(component, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = inner
    return fd


def test_what_is_no_file_and_names_that_are_no_text(make_daemon, tools, tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    photos.mkdir()
    clean = tmp_path / "clean.jpg"
    tools.save_aged(tools.picture(1), clean)
    data = clean.read_bytes()

    names = [b"new\nline.jpg", b"\xff\xfe\xe9.jpg", b"\x1b[2J.jpg", b" .jpg", b"-rf.jpg", b"n" * 251 + b".jpg"]
    for number, name in enumerate(names):
        tools.save_aged(tools.picture(100 + number, (200, 150)), tmp_path / "one.jpg")
        (tmp_path / "one.jpg").rename(photos / os.fsdecode(name))

    monkeypatch.chdir(photos)
    os.mkfifo("pipe.jpg")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("socket.jpg")
    has_devices = True
    try:
        os.mknod("device.jpg", 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        has_devices = False
    Path("loop").symlink_to(".")
    Path("self.jpg").symlink_to("self.jpg")
    Path("proc").symlink_to("/proc")
    Path("environ.jpg").symlink_to("/proc/self/environ")
    Path("zero.jpg").symlink_to("/dev/zero")

    nested = deep_directory(photos, "d", 200)
    long = deep_directory(photos, "l" * 200, 18)  # 18 × 201 bytes, and the file's name: about 4,000 with the root
    too_long = deep_directory(photos, "t" * 200, 25)  # no path can name what is in there
    room = 4000 - 18 * 201 - len(os.fsencode(photos)) - 1
    for fd, name in ((nested, b"deep.jpg"), (long, b"x" * min(200, room - 4) + b".jpg"), (too_long, b"beyond.jpg")):
        file = os.open(name, os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=fd)
        os.write(file, data)
        os.close(file)
        os.utime(name, (1_600_000_000, 1_600_000_000), dir_fd=fd)
        os.close(fd)

    daemon = make_daemon(photos).start()
    status = daemon.idle(images=len(names) + 2)
    assert daemon.process.poll() is None
    aside = reasons(daemon)
    odd = {"pipe.jpg", "socket.jpg"} | ({"device.jpg"} if has_devices else set())
    assert {name for name, code in aside.items() if code == "not-a-regular-file"} == odd
    assert status["roots"][0]["others"]["symlink"] == 5
    indexed = status["counts"]["files"] - status["counts"]["files_set_aside"]
    assert indexed >= len(names) + 2, (status["counts"], aside)
    [group] = daemon.groups()
    assert any(path.endswith("/deep.jpg") for path in group), "200 levels down"
    assert any(len(os.fsencode(path)) > 3800 for path in group), "almost as long as a path may be"
    shown = daemon.ctl("problems").stdout + daemon.ctl("report").stdout
    assert "\x1b[2J" not in shown
    assert "new\nline" not in shown
    assert daemon.stop() == 0
    subprocess.run(["rm", "-rf", photos], check=True)  # pytest's own clean-up stops at long paths
    if not has_devices:
        not_possible("a device among the pictures: it cannot be made here")


def test_a_filesystem_of_the_kernel_s_own_is_read_as_any_other(make_daemon, tools, tmp_path):
    """Procfs as a root: endless, changing while it is listed, full of files whose size is a lie."""
    photos = tmp_path / "photos"
    tools.save_aged(tools.picture(1), photos / "clean.jpg")
    inside = tmp_path / "proc"
    inside.mkdir()
    if subprocess.run(["mount", "--bind", "/proc/self/net", inside], check=False, capture_output=True).returncode:
        pytest.skip("NOT TESTED: a part of procfs as a root; nothing can be mounted here")
    try:
        daemon = make_daemon(photos, inside).start()
        daemon.idle(images=1)
        assert daemon.process.poll() is None
        assert all(code != "decoder-died" for code in reasons(daemon).values())
        assert daemon.stop() == 0
    finally:
        subprocess.run(["umount", "-l", inside], check=False)
