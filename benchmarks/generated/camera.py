"""A camera: takes a scene in linear light, at a pose, and gives the picture that an exposure would leave.

Noise comes before scaling down, as in a camera whose picture is shared at a smaller size. Photon noise is drawn as
Gaussian of the same variance, which at these counts is the same thing. Keeps no state; randomness is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.random import Generator

from benchmarks.generated.bases import Pixels

Linear = np.ndarray  # float32 [height, width, 3], linear light, 1.0 is where the sensor clips at 0 EV

GAMMA = 2.2
CURVE_STEPS = 4096  # 12 bits, as raw files have
MAX_RENDER_PX = 2200
WINDOW = 0.78  # share of a region's sides that one pose shows; the rest is room to move in


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Which part of a region a camera sees: the frame's centre, as shares of the sides, its turn and its zoom."""

    x: float = 0.5
    y: float = 0.5
    turn_deg: float = 0.0
    zoom: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """How a series is taken and saved."""

    size_px: int  # long side of the pictures
    photons: float = 20_000.0  # that a white pixel counts, at the size the scene is rendered
    read_noise: float = 0.0008  # of the full scale
    smear: float = 0.3  # share of the noise that the camera's noise filter has spread to neighbours
    ev: float = 0.0
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    contrast: float = 0.15  # of the S curve
    sharpen: float = 0.3
    quality: int = 90
    subsampling: int = 2  # Pillow's number: 2 is 4:2:0, 0 is 4:4:4

    def with_(self, **changes: object) -> Camera:
        return replace(self, **changes)  # type: ignore[arg-type]  # names are the fields'


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What lies before the camera."""

    linear: Linear
    detail: float = field(default=1.0)  # pixels of the photograph for one of the largest picture

    def seen(self, pose: Pose, size_px: int, moved: np.ndarray | None = None) -> Linear:
        """The light that falls on the sensor.

        Args:
            pose: where the camera is.
            size_px: long side of the picture to come; the light is rendered larger.
            moved: float32 [height, width, 2], how far each point is displaced, as shares of the frame's long side;
                scaled to the render's size.
        """
        height, width = self.linear.shape[:2]
        render_px = rendered_px(size_px)
        scale = render_px / (WINDOW * max(height, width))
        rows, columns = (max(8, round(WINDOW * side * scale)) for side in (height, width))
        base = self.linear
        if scale * 1.5 < 1:  # or the detail would alias
            base = cv2.resize(base, None, fx=1.3 * scale, fy=1.3 * scale, interpolation=cv2.INTER_AREA)
        step = base.shape[1] / width / scale / pose.zoom
        turn = np.deg2rad(pose.turn_deg)
        u, v = np.meshgrid(
            np.arange(columns, dtype=np.float32) - columns / 2, np.arange(rows, dtype=np.float32) - rows / 2
        )
        if moved is not None:
            moved = cv2.resize(moved, (columns, rows), interpolation=cv2.INTER_CUBIC) * max(rows, columns)
            u, v = u + moved[..., 0], v + moved[..., 1]
        cosine, sine = np.float32(np.cos(turn) * step), np.float32(np.sin(turn) * step)
        map_x = cosine * u - sine * v + np.float32(pose.x * base.shape[1] - 0.5)
        map_y = sine * u + cosine * v + np.float32(pose.y * base.shape[0] - 0.5)
        return cv2.remap(base, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT).clip(0, None)


def rendered_px(size_px: int) -> int:
    return min(2 * size_px, max(MAX_RENDER_PX, size_px))


def scene_of(pixels: Pixels, rng: Generator) -> Scene:
    """A photograph as a scene: highlights get back the room above white, upscaled ones a texture of their own."""
    linear = (np.arange(256, dtype=np.float32) / 255) ** GAMMA
    light = linear[pixels]
    light += 1.2 * light**6  # so that a shorter exposure shows more in the highlights
    grain = rng.standard_normal(pixels.shape[:2], np.float32)[..., None]
    grain = cv2.GaussianBlur(grain, (0, 0), 0.6)[..., None]
    edges = cv2.GaussianBlur(np.abs(cv2.Laplacian(pixels[..., 1], cv2.CV_32F)), (0, 0), 3)[..., None] / 40
    return Scene(linear=light * (1 + 0.12 * grain * edges.clip(0.02, 0.6)))


def exposed(light: Linear, camera: Camera, rng: Generator) -> Pixels:
    """One exposure, scaled to the camera's size."""
    signal = light * (np.float32(2.0**camera.ev) * np.asarray(camera.gains, np.float32))
    sigma = signal * np.float32(1 / camera.photons)  # in place from here on: these are large arrays
    sigma += np.float32(camera.read_noise**2)
    np.sqrt(sigma, out=sigma)
    noise = rng.standard_normal(signal.shape, np.float32)
    spread = cv2.GaussianBlur(noise, (5, 5), 1.0)
    sigma *= cv2.addWeighted(noise, 1 - camera.smear, spread, 2.5 * camera.smear, 0)
    signal += sigma
    signal *= CURVE_STEPS - 1
    np.clip(signal, 0, CURVE_STEPS - 1, out=signal)
    picture = tone_curve(camera.contrast)[signal.astype(np.uint16)]
    return sharpened(scaled(picture, camera.size_px), camera.sharpen)


def tone_curve(contrast: float) -> np.ndarray:
    """uint8 [CURVE_STEPS]: sRGB-like gamma and a gentle S."""
    x = (np.arange(CURVE_STEPS) / (CURVE_STEPS - 1)) ** (1 / GAMMA)
    x = x + contrast * (x * x * (3 - 2 * x) - x)
    return (255 * x + 0.5).astype(np.uint8)


def scaled(picture: Pixels, size_px: int) -> Pixels:
    height, width = picture.shape[:2]
    scale = size_px / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def sharpened(picture: Pixels, amount: float) -> Pixels:
    if not amount:
        return picture
    return cv2.addWeighted(picture, 1 + amount, cv2.GaussianBlur(picture, (0, 0), 0.8), -amount, 0)


def drawn_size(rng: Generator) -> int:
    """Long side of a series' or an original's pictures, px: mostly small, as pictures that were shared."""
    return int(rng.integers(1200, 2001)) if rng.random() < 0.12 else int(rng.choice([400, 480, 500, 533, 600, 640]))


def drawn_camera(rng: Generator) -> Camera:
    return Camera(
        size_px=drawn_size(rng),
        photons=float(np.exp(rng.uniform(np.log(2_500), np.log(60_000)))),
        read_noise=float(rng.uniform(0.0003, 0.002)),
        smear=float(rng.uniform(0.1, 0.6)),
        ev=float(rng.uniform(-0.4, 0.2)),
        gains=(float(rng.uniform(0.88, 1.12)), 1.0, float(rng.uniform(0.88, 1.12))),
        contrast=float(rng.uniform(0, 0.5)),
        sharpen=float(rng.choice([0.0, 0.3, 0.6, 0.9])),
        quality=int(rng.choice([75, 82, 85, 88, 90, 92, 95])),
        subsampling=0 if rng.random() < 0.2 else 2,
    )
