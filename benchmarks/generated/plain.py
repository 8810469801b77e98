"""Series of pictures that hold hardly anything: lens caps, skies, blank scans, fog. Of different shots each."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from benchmarks.generated.camera import Camera, Linear, drawn_camera, exposed
from benchmarks.generated.copies import encoded
from benchmarks.generated.look_alikes import field_of

FRAMES = 3


def black_frames(rng: Generator) -> list[Linear]:
    """The cap on the lens; a few hot pixels stay where they are."""
    light = np.zeros((600, 800, 3), np.float32)
    places = rng.integers(0, 600, (int(rng.integers(0, 9)), 2))
    light[places[:, 0], places[:, 1]] = rng.uniform(0.05, 0.5)
    return [light + np.float32(rng.uniform(0, 0.0006)) for _ in range(FRAMES)]


def skies(rng: Generator) -> list[Linear]:
    """Blue from top to bottom, at most a breath of cloud."""
    blue = np.array([0.12, 0.28, 0.62], np.float32) * np.float32(rng.uniform(0.6, 1.3))
    cloud = float(rng.choice([0.0, 0.01, 0.04]))
    lights = []
    for _ in range(FRAMES):
        fall = np.linspace(1, rng.uniform(1.2, 2.2), 600, dtype=np.float32)[:, None, None]
        veil = cv2.resize(field_of(rng, roughness_px=6), (800, 600), interpolation=cv2.INTER_CUBIC)[..., None]
        lights.append((blue * fall * (1 + cloud * veil)).clip(0, None) * np.ones((600, 800, 1), np.float32))
    return lights


def blank_scans(rng: Generator) -> list[Linear]:
    """White sheets from one scanner: its shading stays, the sheet's grain does not."""
    shading = 0.8 + 0.02 * cv2.resize(field_of(rng, roughness_px=10), (640, 880), interpolation=cv2.INTER_CUBIC)
    lights = []
    for _ in range(FRAMES):
        grain = cv2.GaussianBlur(rng.standard_normal((880, 640), np.float32), (0, 0), 1.2)
        sheet = (shading * (1 + 0.006 * grain))[..., None] * np.array([1.0, 0.99, 0.96], np.float32)
        for _ in range(int(rng.integers(0, 3))):  # dust
            x, y = int(rng.integers(640)), int(rng.integers(880))
            cv2.circle(sheet, (x, y), 1, (0.4, 0.4, 0.4), -1, cv2.LINE_AA)
        lights.append(sheet)
    return lights


def fog(rng: Generator) -> list[Linear]:
    """Grey with slow, weak forms that move on."""
    level = float(rng.uniform(0.2, 0.6))
    forms = field_of(rng, roughness_px=7, layers=2)
    lights = []
    for frame in range(FRAMES):
        mixed = np.cos(frame * 0.5) * forms[..., 0] + np.sin(frame * 0.5) * forms[..., 1]
        wide = cv2.resize(mixed.astype(np.float32), (800, 600), interpolation=cv2.INTER_CUBIC)
        lights.append(np.repeat((level * (1 + 0.04 * wide))[..., None], 3, 2))
    return lights


def blurred_lights(rng: Generator) -> list[Linear]:
    """Out of focus at night: discs of light in the dark, each time elsewhere."""
    lights = []
    tints = rng.uniform(0.2, 1.0, (6, 3))
    for _ in range(FRAMES):
        light = np.full((600, 800, 3), 0.004, np.float32)
        for tint in tints:
            at = (int(rng.integers(50, 750)), int(rng.integers(50, 550)))
            disc = cv2.circle(np.zeros((600, 800), np.float32), at, 45, 1.0, -1, cv2.LINE_AA)
            light += 0.25 * cv2.GaussianBlur(disc, (0, 0), 6)[..., None] * tint.astype(np.float32)
        lights.append(light)
    return lights


MAKERS = (black_frames, skies, blank_scans, fog, blurred_lights)


def low_information(rng: Generator, variant: int) -> list[bytes]:
    """One series of the kind that `variant` counts to."""
    camera: Camera = drawn_camera(rng).with_(size_px=int(rng.choice([400, 500, 640])))
    lights = MAKERS[variant % len(MAKERS)](rng)
    return [encoded(exposed(light, camera, rng), quality=camera.quality) for light in lights]
