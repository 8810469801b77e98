"""A RAW file that no camera made."""

import struct

import numpy as np


def dng(sensor: np.ndarray, *, orientation: int = 1, model: bytes = b"Test Camera") -> bytes:
    """A minimal Adobe DNG: one uncompressed 16-bit RGGB mosaic, no preview."""
    height, width = sensor.shape
    body = sensor.astype("<u2").tobytes()
    text = model + b"\0"
    unit = struct.pack("<18i", *(n for row in ((1, 0, 0), (0, 1, 0), (0, 0, 1)) for v in row for n in (v, 1)))
    extra = {"text": text + b"\0" * (len(text) % 2), "matrix": unit}
    entries = 20
    at = 8 + 2 + 12 * entries + 4
    place = {}
    for name, block in extra.items():
        place[name] = at
        at += len(block)
    tags = [
        (254, 4, 1, 0),
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 16),
        (259, 3, 1, 1),
        (262, 3, 1, 32803),
        (271, 2, len(text), place["text"]),
        (272, 2, len(text), place["text"]),
        (273, 4, 1, at),
        (274, 3, 1, orientation),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, len(body)),
        (284, 3, 1, 1),
        (33421, 3, 2, 2 | 2 << 16),
        (33422, 1, 4, int.from_bytes(bytes((0, 1, 1, 2)), "little")),
        (50706, 1, 4, int.from_bytes(bytes((1, 4, 0, 0)), "little")),
        (50708, 2, len(text), place["text"]),
        (50717, 4, 1, 65535),
        (50721, 10, 9, place["matrix"]),
    ]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8) + directory + b"".join(extra.values()) + body
