"""Watched folders that vanish and come back: each way a scene that fills its roots, vanishes them, and mends them.

Real mounts of real filesystems; what cannot be made here says why (`CannotBeMadeError`).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

Fill = Callable[[Path, int], None]  # puts pictures below a folder; the number says which

_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32): XFS_IOC_GOINGDOWN, EXT4_IOC_SHUTDOWN
_MAKERS = {"ext4": (32 << 20, ["mkfs.ext4", "-q", "-F"]), "xfs": (320 << 20, ["mkfs.xfs", "-q", "-f"])}


class CannotBeMadeError(Exception):
    """The scene needs rights or programs that are not there; says which."""


def run(*command: object) -> str:
    """What it wrote."""
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise CannotBeMadeError(f"{command[0]} is not installed") from error
    if done.returncode:
        raise CannotBeMadeError(f"{' '.join(map(str, command))}: {os.fsdecode(done.stderr).strip()}")
    return os.fsdecode(done.stdout).strip()


class Disk:
    """A filesystem in a file, which is unplugged and plugged in somewhere."""

    def __init__(self, image: Path, kind: str = "ext4") -> None:
        size, (program, *options) = _MAKERS[kind]
        with image.open("wb") as file:
            file.truncate(size)
        found = shutil.which(program) or shutil.which(program, path="/sbin:/usr/sbin") or program
        run(found, *options, image)
        self._image, self._kind = image, kind
        self._devices: list[str] = []

    def plug(self, at: Path) -> None:
        """Mount it, each time as another device: a mount namespace of others may still hold the one before."""
        device = run("losetup", "--find", "--show", self._image)
        self._devices.append(device)
        run("mount", *(["-o", "nouuid"] if self._kind == "xfs" else []), device, at)

    def close(self) -> None:
        for device in self._devices:
            subprocess.run(["losetup", "-d", device], check=False)


class Scene:
    """A root that is a folder as any; `vanish` once, then `mend`."""

    is_doubted = True  # whether the root must not be online while it is vanished
    pictures = 4

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number = folder, number
        self.root = folder / "root"
        self.roots = [self.root]
        self.disks: list[Disk] = []
        folder.mkdir()
        self.root.mkdir()

    def prepare(self, fill: Fill) -> None:
        fill(self.root, self.number)

    def make_disk(self, name: str, kind: str = "ext4") -> Disk:
        self.disks.append(Disk(self.folder / name, kind))
        return self.disks[-1]

    def vanish(self) -> None:
        raise NotImplementedError

    def mend(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        for place in reversed(self.roots):
            while subprocess.run(["umount", "-l", place], capture_output=True, check=False).returncode == 0:
                pass
        for disk in self.disks:
            disk.close()


class OnDisk(Scene):
    """A root that is the mount point of a disk."""

    kind = "ext4"

    def prepare(self, fill: Fill) -> None:
        self.disk = self.make_disk("disk", self.kind)
        self.disk.plug(self.root)
        super().prepare(fill)
        run("sync", "-f", self.root)


class LazyUnmount(OnDisk):
    def vanish(self) -> None:
        run("umount", "-l", self.root)

    def mend(self) -> None:
        self.disk.plug(self.root)


class EmptyDirectory(Scene):
    def vanish(self) -> None:
        self.root.rename(self.folder / "away")
        self.root.mkdir()

    def mend(self) -> None:
        self.root.rmdir()
        (self.folder / "away").rename(self.root)


class WrongDisk(OnDisk):
    """Another disk with another library."""

    def prepare(self, fill: Fill) -> None:
        super().prepare(fill)
        self.other = self.make_disk("other-disk")
        aside = self.folder / "aside"
        aside.mkdir()
        self.other.plug(aside)
        self.fill_other(aside, fill)
        run("umount", aside)

    def fill_other(self, aside: Path, fill: Fill) -> None:
        fill(aside / "of somebody else", self.number + 50)

    def vanish(self) -> None:
        run("umount", self.root)
        self.other.plug(self.root)

    def mend(self) -> None:
        run("umount", self.root)
        self.disk.plug(self.root)


class OtherFilesOfTheSameNames(WrongDisk):
    """What stands for a marker that is gone: the known sample is not there, though names and filesystem look alike."""

    def fill_other(self, aside: Path, fill: Fill) -> None:
        fill(aside, self.number + 50)


class FailingDisk(OnDisk):
    """The filesystem is shut down under the daemon: everything fails with EIO."""

    kind = "xfs"

    def vanish(self) -> None:
        fd = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", 0))
        finally:
            os.close(fd)

    def mend(self) -> None:
        run("umount", self.root)
        self.disk.plug(self.root)


class FailingBehindTheCache(FailingDisk):
    """ext4 lists on from memory when it is shut down, so the root is believed; but no file in it can be opened."""

    kind = "ext4"
    is_doubted = False


class PermissionLost(Scene):
    def vanish(self) -> None:
        self.root.chmod(0)

    def mend(self) -> None:
        self.root.chmod(0o755)


class FifthGone(Scene):
    """21 % of 300 files are gone in one pass, as where a subvolume is not mounted."""

    pictures = 300

    def prepare(self, fill: Fill) -> None:
        fill(self.root, self.number)
        one = next(self.root.rglob("*.jpg"))
        for number in range(self.pictures - 4):
            copy = self.root / "many" / f"{number % 8}" / f"{number}.jpg"
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(one, copy)
        self.gone = sorted((self.root / "many").rglob("*.jpg"))[: self.pictures * 21 // 100]

    def vanish(self) -> None:
        (self.folder / "away").mkdir()
        for path in self.gone:
            path.rename(self.folder / "away" / path.name)

    def mend(self) -> None:
        for path in self.gone:
            (self.folder / "away" / path.name).rename(path)


class Remounted(OnDisk):
    """The right disk again, under another device number and another filesystem id (XFS makes it of the number)."""

    kind = "xfs"
    is_doubted = False

    def vanish(self) -> None:
        run("umount", self.root)
        self.disk.plug(self.root)

    def mend(self) -> None:
        pass


class BindMount(Scene):
    """Other folders are bound over the root, the first in place of the right one, the second over that."""

    def prepare(self, fill: Fill) -> None:
        for name, number in (("source", self.number), ("other", self.number + 50)):
            (self.folder / name).mkdir()
            fill(self.folder / name, number)
        run("mount", "--bind", self.folder / "source", self.root)

    def vanish(self) -> None:
        run("umount", self.root)
        run("mount", "--bind", self.folder / "other", self.root)
        run("mount", "--bind", self.folder / "other", self.root)

    def mend(self) -> None:
        run("umount", self.root)
        run("umount", self.root)
        run("mount", "--bind", self.folder / "source", self.root)


class RootRenamed(Scene):
    def vanish(self) -> None:
        self.root.rename(self.folder / "renamed")

    def mend(self) -> None:
        (self.folder / "renamed").rename(self.root)


class ReadOnly(OnDisk):
    """The files can be read as before, so the root is believed; but nothing can be done there."""

    is_doubted = False

    def vanish(self) -> None:
        run("mount", "-o", "remount,ro", self.root)

    def mend(self) -> None:
        run("mount", "-o", "remount,rw", self.root)


class Exchanged(Scene):
    """What stands for a marker of another root: two watched disks change places."""

    def prepare(self, fill: Fill) -> None:
        second = self.folder / "second"
        second.mkdir()
        self.roots.append(second)
        for place, number in zip(self.roots, (self.number, self.number + 50), strict=True):
            self.make_disk(f"disk-{place.name}").plug(place)
            fill(place, number)

    def vanish(self) -> None:
        for place in self.roots:
            run("umount", place)
        for place, disk in zip(self.roots, reversed(self.disks), strict=True):
            disk.plug(place)

    def mend(self) -> None:
        for place in self.roots:
            run("umount", place)
        for place, disk in zip(self.roots, self.disks, strict=True):
            disk.plug(place)


SCENES = (
    LazyUnmount, EmptyDirectory, WrongDisk, FailingDisk, FailingBehindTheCache, PermissionLost, FifthGone, Remounted,
    BindMount, RootRenamed, ReadOnly, OtherFilesOfTheSameNames, Exchanged,
)  # fmt: skip
