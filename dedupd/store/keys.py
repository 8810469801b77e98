"""The layout of every key in the store. Pure: bytes in, bytes out; owns no state.

Integers are big-endian, so that the order of keys is the order of numbers. LMDB's limit for a key is 511 bytes; the
longest here is an inode key: 16 + 20 + 396 bytes.
"""

from __future__ import annotations

import struct

from blake3 import blake3

from dedupd.core.records import ContentId, FilePath, RootId, Sequence

ROOT_BYTES = 4
DIRECTORY_HASH_BYTES = 16  # BLAKE3 cut to 128 bits: nobody who may create directories can afford a collision
DIRECTORY_KEY_BYTES = ROOT_BYTES + DIRECTORY_HASH_BYTES
CONTENT_BYTES = 8
INODE_BYTES = 16  # device and inode number
LONGEST_PLAIN_NAME_BYTES = 380  # longer names are kept in the record; Linux itself stops at 255, some FUSE do not
LONG_NAME_DIGEST_BYTES = 16

_INODE = struct.Struct(">QQ")
_MASK = 0xFFFF_FFFF_FFFF_FFFF


def root_key(root: RootId) -> bytes:
    """Key of a root; also the prefix of all its directories and files."""
    return root.to_bytes(ROOT_BYTES, "big")


def root_of(key: bytes) -> RootId:
    """The root of a root, directory or file key."""
    return RootId(int.from_bytes(key[:ROOT_BYTES], "big"))


def directory_key(root: RootId, directory: bytes) -> bytes:
    """Key of a directory; also the prefix of the files right in it, so that they are one range."""
    return root.to_bytes(ROOT_BYTES, "big") + blake3(directory).digest(DIRECTORY_HASH_BYTES)


def file_key(path: FilePath) -> bytes:
    """Key of a file: its directory's key and its name, or the start and the digest of a name that is too long."""
    return directory_key(path.root, path.directory) + name_part(path.name)


def name_part(name: bytes) -> bytes:
    """What stands for a name in a file key."""
    if len(name) <= LONGEST_PLAIN_NAME_BYTES:
        return name
    return name[:LONGEST_PLAIN_NAME_BYTES] + blake3(name).digest(LONG_NAME_DIGEST_BYTES)


def is_long_name(name: bytes) -> bool:
    """Whether a name does not fit into a key and must be in the record."""
    return len(name) > LONGEST_PLAIN_NAME_BYTES


def content_key(content: ContentId) -> bytes:
    """Key of a content, its vectors, its queries, its count of files."""
    return content.to_bytes(CONTENT_BYTES, "big")


def content_of(key: bytes, at: int = 0) -> ContentId:
    """The content id that starts at an offset of a key."""
    return ContentId(int.from_bytes(key[at : at + CONTENT_BYTES], "big"))


def pair_key(first: ContentId, second: ContentId) -> bytes:
    """Key of two contents in this order."""
    return first.to_bytes(CONTENT_BYTES, "big") + second.to_bytes(CONTENT_BYTES, "big")


def pair_of(key: bytes) -> tuple[ContentId, ContentId]:
    """The two contents of a pair's key."""
    return content_of(key), content_of(key, CONTENT_BYTES)


def inode_key(dev: int, ino: int) -> bytes:
    """Prefix of the files at one inode."""
    return _INODE.pack(dev & _MASK, ino & _MASK)


def sequence_key(sequence: Sequence) -> bytes:
    """Key of an event or a step of the vector log."""
    return sequence.to_bytes(8, "big")


def sequence_of(key: bytes) -> Sequence:
    """The sequence number of an event or a step of the vector log."""
    return Sequence(int.from_bytes(key, "big"))
