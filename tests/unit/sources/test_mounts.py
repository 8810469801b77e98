"""What is mounted where."""

import os
from pathlib import Path

import pytest

from dedupd.sources.mounts import Mount, is_below, is_network_filesystem, mount_of, read_mounts


def mount(point, filesystem="ext4"):
    return Mount(point=point, device=b"8:1", filesystem=filesystem)


def test_this_machine_has_a_root_and_proc():
    mounts = read_mounts()
    assert mount_of(b"/proc/self", mounts).filesystem == "proc"
    assert mount_of(os.fsencode(Path.cwd()), mounts) is not None


def test_the_longest_mount_point_holds_a_path():
    mounts = [mount(b"/"), mount(b"/mnt/photos", "nfs4"), mount(b"/mnt")]
    assert mount_of(b"/mnt/photos/2024", mounts).filesystem == "nfs4"
    assert mount_of(b"/mnt/photos2", mounts).point == b"/mnt"
    assert mount_of(b"/mnt/photos", mounts).filesystem == "nfs4"


def test_of_two_mounts_at_one_point_the_later_is_seen():
    mounts = [mount(b"/"), mount(b"/data", "autofs"), mount(b"/data", "nfs4")]
    assert mount_of(b"/data/x", mounts).filesystem == "nfs4"


def test_below_counts_whole_components():
    assert is_below(b"/a/b", b"/a")
    assert is_below(b"/a", b"/")
    assert is_below(b"/a", b"/a")
    assert not is_below(b"/ab", b"/a")


@pytest.mark.parametrize("name", ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse.sshfs", "fuse.mergerfs"])
def test_filesystems_that_others_write_to_are_network_filesystems(name):
    assert is_network_filesystem(name)


@pytest.mark.parametrize("name", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "exfat", "autofs"])
def test_local_filesystems_are_not(name):
    assert not is_network_filesystem(name)
