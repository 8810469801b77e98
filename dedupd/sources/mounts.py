"""What is mounted where, from /proc/self/mountinfo.

Reads that one file, never a filesystem, so a hanging network share cannot hang it. Stateless.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_MOUNTINFO = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(rb"\\([0-7]{3})")  # space, tab, newline and backslash are written in octal, proc(5)

# Changes made on another machine (or below a FUSE process) raise no inotify event here. fuseblk is left out: a local
# disk, all whose changes pass through this kernel.
_NETWORK_FILESYSTEMS = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "coda", "fuse", "gfs2", "gpfs", "lustre", "ncpfs", "nfs", "nfs4"),
        *("ocfs2", "orangefs", "prl_fs", "pvfs2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of mountinfo."""

    point: bytes  # absolute
    device: bytes  # b"major:minor"
    filesystem: str  # "ext4", "nfs4", "fuse.mergerfs"


def read_mounts() -> list[Mount]:
    """Everything mounted in this mount namespace, in mount order: of two at one point the later one is seen."""
    mounts = []
    for line in _MOUNTINFO.read_bytes().splitlines():
        # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
        fields, _, rest = line.partition(b" - ")
        columns = fields.split(b" ")
        mounts.append(
            Mount(point=_unescape(columns[4]), device=columns[2], filesystem=rest.split(b" ")[0].decode("ascii"))
        )
    return mounts


def mount_of(path: bytes, mounts: list[Mount]) -> Mount | None:
    """The mount that an absolute path without symlinks is on."""
    holding = (mount for mount in reversed(mounts) if is_below(path, mount.point))
    return max(holding, key=lambda mount: len(mount.point), default=None)  # of equal ones max keeps the first: the last


def is_network_filesystem(filesystem: str) -> bool:
    """Whether changes may be made where inotify does not see them, so that the root is to be polled."""
    return filesystem in _NETWORK_FILESYSTEMS or filesystem.startswith("fuse.")


def is_below(path: bytes, directory: bytes) -> bool:
    """Whether an absolute path is a directory or something under it."""
    return path == directory or path.startswith(directory.rstrip(b"/") + b"/")


def _unescape(field: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), field)
