"""A storm of files: created, renamed and removed as fast as the disk takes them, the same for the same seed.

Most files hold one of a few pictures, so that the content is little work; some hold one of their own, so that there
is always something to embed. Never leaves a root with so much gone at once that it must be doubted.
"""

from __future__ import annotations

import os
import random
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from dedupd.core.ignore_rules import IgnoreRules, may_be_picture

FEW = 12  # pictures that most files hold
OWN_SHARE = 0.01  # of the files, that hold a picture of their own
RENAMED = 0.5  # of the files, a fifth of them over another file
REMOVED = 0.1
DIRECTORY_EVERY = 100  # files a new directory
DIRECTORY_RENAMED_EVERY = 2_000  # files


def tiny_picture(seed: int) -> bytes:
    """A JPEG of about a kilobyte."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    out = BytesIO()
    Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC).save(out, "JPEG", quality=80)
    return out.getvalue()


class Storm:
    """See the module; `blow` once."""

    def __init__(self, root: Path, *, files: int, seed: int = 6) -> None:
        self._root = root
        self._files = files
        self._random = random.Random(seed)
        self._directories: list[str] = []
        self._live: list[str] = []
        self._few = [tiny_picture(n) for n in range(FEW)]
        self.created = self.renamed = self.removed = self.directories_renamed = 0

    def make_directories(self) -> None:
        """Make all directories before the storm, so that they are watched when it begins."""
        for number in range(0, self._files, DIRECTORY_EVERY):
            self._make_directory(number // DIRECTORY_EVERY)

    def blow(self) -> None:
        """Create, rename and remove, and make directories meanwhile unless that was done."""
        were_made = bool(self._directories)
        for number in range(self._files):
            if number % DIRECTORY_EVERY == 0 and not were_made:
                self._make_directory(number // DIRECTORY_EVERY)
            self._create(number)
            if self._random.random() < RENAMED:
                self._rename(number)
            if self._random.random() < REMOVED and len(self._live) > 10:
                (self._root / self._take()).unlink()
                self.removed += 1
            if number % DIRECTORY_RENAMED_EVERY == DIRECTORY_RENAMED_EVERY - 1:
                self._rename_directory()

    def _make_directory(self, number: int) -> None:
        parent = f"{self._random.choice(self._directories)}/" if self._directories and number % 3 else ""
        name = f"{parent}d{number}" if parent.count("/") < 6 else f"d{number}"
        (self._root / name).mkdir()
        self._directories.append(name)

    def _create(self, number: int) -> None:
        is_own = self._random.random() < OWN_SHARE
        name = f"{self._random.choice(self._directories[-40:])}/{number}.jpg"
        (self._root / name).write_bytes(tiny_picture(1_000_000 + number) if is_own else self._random.choice(self._few))
        self._live.append(name)
        self.created += 1

    def _rename(self, number: int) -> None:
        old = self._take()
        if self._live and self._random.random() < 0.2:
            new = self._take()  # over another
            self.removed += 1
        else:
            new = f"{self._random.choice(self._directories)}/r{number}.jpg"
        (self._root / old).rename(self._root / new)
        self._live.append(new)
        self.renamed += 1

    def _rename_directory(self) -> None:
        at = self._random.randrange(len(self._directories))
        old = self._directories[at]
        new = f"m{self.directories_renamed}-{at}"
        (self._root / old).rename(self._root / new)

        def moved(path: str) -> str:
            return new + path[len(old) :] if path == old or path.startswith(old + "/") else path

        self._directories = [moved(path) for path in self._directories]
        self._live = [moved(path) for path in self._live]
        self.directories_renamed += 1

    def _take(self) -> str:
        """One of the live files, out of the list; mostly a young one, as its row may not be there yet."""
        young = max(0, len(self._live) - 200) if self._random.random() < 0.7 else 0
        at = self._random.randrange(young, len(self._live))
        self._live[at], self._live[-1] = self._live[-1], self._live[at]
        return self._live.pop()


def on_disk(root: Path) -> set[bytes]:
    """Every file below a root that dedupd is to know, by its path below the root."""
    rules = IgnoreRules()
    top = os.fsencode(root)
    found = set()
    for directory, names, files in os.walk(top):
        below = directory[len(top) :].strip(b"/")
        names[:] = [name for name in names if not rules.is_ignored(below, name)]
        found |= {
            below + b"/" + name if below else name
            for name in files
            if may_be_picture(name) and not rules.is_ignored(below, name)
        }
    return found
