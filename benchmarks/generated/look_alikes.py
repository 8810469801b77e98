"""Series of exposures of one scene that are no duplicates of each other: bursts, brackets, other framings, video.

Each maker takes a scene and a camera at a pose and gives the series' files; every file is an exposure of its own with
noise of its own. Documents and nearly empty pictures are in `documents` and `plain`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator

from benchmarks.generated.bases import Pixels
from benchmarks.generated.camera import GAMMA, WINDOW, Camera, Linear, Pose, Scene, exposed
from benchmarks.generated.copies import encoded
from benchmarks.generated.lettering import put_mask, text_mask
from benchmarks.generated.objects import TRIES, is_seen, put_object, seen_change

PLATES = (  # ground and letters of signs
    ((245, 245, 240), (20, 20, 20)),
    ((15, 15, 18), (255, 120, 20)),
    ((250, 220, 40), (15, 15, 15)),
    ((30, 60, 150), (255, 255, 255)),
)
FIELD = 48  # side of the small grids that depth and movement are drawn on


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """What a series starts from."""

    scene: Scene
    camera: Camera
    pose: Pose
    rng: Generator
    others: tuple[Pixels, ...]  # photographs that objects are cut from

    def light(self, pose: Pose | None = None, moved: np.ndarray | None = None) -> Linear:
        return self.scene.seen(pose or self.pose, self.camera.size_px, moved)

    def shot(self, light: Linear, **changes: object) -> Pixels:
        return exposed(light, self.camera.with_(**changes), self.rng)

    def saved(self, *pictures: Pixels) -> list[bytes]:
        return [encoded(p, quality=self.camera.quality, subsampling=self.camera.subsampling) for p in pictures]


Maker = Callable[[Take], list[bytes]]


def field_of(rng: Generator, *, roughness_px: float, layers: int = 1) -> np.ndarray:
    """float32 [FIELD, FIELD, layers], smooth noise of mean 0 and deviation 1."""
    grid = rng.standard_normal((FIELD, FIELD, layers), np.float32)
    smooth = cv2.GaussianBlur(grid, (0, 0), roughness_px).reshape(FIELD, FIELD, layers)
    return (smooth - smooth.mean((0, 1))) / (smooth.std((0, 1)) + 1e-6)


def burst_moved(take: Take) -> list[bytes]:
    """A tripod or a steady hand, and something that moves, from hardly to across the frame."""
    for _ in range(TRIES):
        lights = moving_object(take)
        if is_seen(lights[0], lights[1]) and is_seen(lights[0], lights[2]):
            break
    return take.saved(*(take.shot(light) for light in lights))


def moving_object(take: Take) -> list[Linear]:
    rng, base = take.rng, take.light()
    size, look = float(np.exp(rng.uniform(np.log(0.02), np.log(0.15)))), int(rng.integers(1 << 31))
    start, heading = rng.uniform(0.2, 0.8, 2), rng.uniform(0, 2 * np.pi)
    stride = max(0.004, size * rng.choice([0.12, 0.3, 0.8, 2.0])) * np.array([np.cos(heading), np.sin(heading)])
    lights = [base.copy() for _ in range(3)]
    for frame, light in enumerate(lights):
        x, y = start + frame * stride
        put_object(light, take.others, np.random.default_rng(look), size, (float(x), float(y)))
    return lights


def object_appears(take: Take) -> list[bytes]:
    """Something is in one exposure only: a bird, a passer-by."""
    rng, base = take.rng, take.light()

    def change() -> Linear:
        light = base.copy()
        size = float(np.exp(rng.uniform(np.log(0.015), np.log(0.12))))
        put_object(light, take.others, rng, size, (float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.1, 0.9))))
        return light

    return take.saved(take.shot(base), *(take.shot(seen_change(base, change)) for _ in range(2)))


def light_switched(take: Take) -> list[bytes]:
    """A lamp goes on, then another one instead: a small bright spot and a wide, weak glow."""
    rng, base = take.rng, take.light()
    height, width = base.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)

    def change() -> Linear:
        at = rng.uniform(0.15, 0.6, 2)
        distance2 = (x - np.float32(at[0])) ** 2 + (y - np.float32(at[1])) ** 2
        lamp = np.exp(-distance2 / np.float32(2 * rng.uniform(0.006, 0.025) ** 2)) * np.float32(rng.uniform(0.4, 1.5))
        glow = np.exp(-distance2 / np.float32(2 * 0.12**2)) * np.float32(rng.uniform(0.0, 0.35))
        tint = np.array([1.0, rng.uniform(0.75, 1), rng.uniform(0.4, 0.9)], np.float32)
        return base * (1 + glow[..., None] * tint) + lamp[..., None] * tint

    return take.saved(take.shot(base), *(take.shot(seen_change(base, change)) for _ in range(2)))


def sign_changed(take: Take) -> list[bytes]:
    """A number or a word on a sign, a clock, a scoreboard or a price tag is another one."""
    rng, base = take.rng, take.light()
    height, width = base.shape[:2]
    letters_px = max(height, width) * float(np.exp(rng.uniform(np.log(0.018), np.log(0.06))))
    at = (int(rng.uniform(0.08, 0.6) * width), int(rng.uniform(0.08, 0.75) * height))
    plate, ink = PLATES[rng.integers(len(PLATES))]
    form, start = int(rng.integers(4)), int(rng.integers(100, 900))
    pictures = []
    for step in range(3):
        number = start + step * int(rng.choice([1, 1, 10]))
        clock, score = f"{number // 60 % 24:02}:{number % 60:02}", f"{number % 9} : {number // 9 % 9}"
        text = (clock, f"{number}", f"{number / 100:.2f} EUR", score)[form]
        light = base.copy()
        mask = text_mask(text, letters_px)
        pad = int(letters_px * 0.4)
        board = np.empty((mask.shape[0] + 2 * pad, round(letters_px * 6), 3), np.uint8)
        board[:] = plate
        put_mask(board, mask, (pad, pad), ink)
        part = light[at[1] : at[1] + board.shape[0], at[0] : at[0] + board.shape[1]]
        part[:] = ((board[: part.shape[0], : part.shape[1]].astype(np.float32) / 255) ** GAMMA) * np.float32(0.8)
        pictures.append(take.shot(cv2.GaussianBlur(light, (0, 0), 0.7)))
    return take.saved(*pictures)


def parallax(take: Take) -> list[bytes]:
    """The camera moves sideways and near things move more; the frame as a whole stays."""
    rng = take.rng
    depth = depth_of(rng)
    pixels = float(np.exp(rng.uniform(np.log(0.3), np.log(3.0)))) / 400  # of the long side, between near and far
    heading = rng.uniform(0, 2 * np.pi)
    way = np.array([np.cos(heading), np.sin(heading)], np.float32)
    shots = [take.shot(take.light(moved=(depth - depth.mean()) * way * np.float32(k * pixels))) for k in (0, 1, 2.2)]
    return take.saved(*shots)


def depth_of(rng: Generator) -> np.ndarray:
    """float32 [FIELD, FIELD, 1], 0 far … 1 near: the ground rises towards the camera, things stand before it."""
    ground = np.linspace(0, 1, FIELD, dtype=np.float32)[:, None, None] ** 1.5
    things = 1 / (1 + np.exp(-6 * (field_of(rng, roughness_px=5) - 0.6)))
    return np.clip(0.5 * ground + 0.5 * things, 0, 1).astype(np.float32)


def hand_held(take: Take) -> list[bytes]:
    """Two more tries by hand: each shows something that the others do not."""
    rng = take.rng
    shots = [take.shot(take.light())]
    for _ in range(2):
        shift = float(np.exp(rng.uniform(np.log(0.4), np.log(10.0)))) / 400 * WINDOW
        heading = rng.uniform(0, 2 * np.pi)
        pose = replace(
            take.pose,
            x=take.pose.x + shift * float(np.cos(heading)),
            y=take.pose.y + shift * float(np.sin(heading)),
            turn_deg=take.pose.turn_deg + float(rng.normal(0, 0.4)),
            zoom=take.pose.zoom * float(1 + rng.normal(0, 0.004)),
        )
        moved = depth_of(rng) * np.float32(shift * 0.15) if rng.random() < 0.7 else None
        shots.append(take.shot(take.light(pose, None if moved is None else np.repeat(moved, 2, 2))))
    return take.saved(*shots)


def hand_held_tiny(take: Take) -> list[bytes]:
    """A burst by hand: from a fifth of a pixel to two pixels apart, at 400 px."""
    rng = take.rng
    shots = [take.shot(take.light())]
    for _ in range(2):
        shift = rng.normal(0, 1, 2) * rng.choice([0.25, 0.7, 1.5]) / 400 * WINDOW
        turn_deg = take.pose.turn_deg + float(rng.normal(0, 0.08))
        pose = replace(take.pose, x=take.pose.x + shift[0], y=take.pose.y + shift[1], turn_deg=turn_deg)
        shots.append(take.shot(take.light(pose)))
    return take.saved(*shots)


def exposure_bracket(take: Take) -> list[bytes]:
    base, step = take.light(), float(take.rng.choice([0.5, 0.7, 1.0, 2.0]))
    return take.saved(*(take.shot(base, ev=take.camera.ev + k * step) for k in (-1, 0, 1)))


def white_balance_bracket(take: Take) -> list[bytes]:
    base, k = take.light(), float(take.rng.uniform(0.05, 0.22))
    red, _, blue = take.camera.gains
    return take.saved(*(take.shot(base, gains=(red * (1 + s * k), 1.0, blue / (1 + s * k))) for s in (-1, 0, 1)))


def focus_stack(take: Take) -> list[bytes]:
    """The plane of focus walks through the depth; every other lens also changes its angle of view while it does."""
    rng = take.rng
    depth, breathing = depth_of(rng), float(rng.choice([0.0, 0.003, 0.008]))
    strongest = float(rng.uniform(2, 7)) / 640
    shots = []
    for frame, plane in enumerate((0.1, 0.5, 0.9)):
        light = take.light(replace(take.pose, zoom=take.pose.zoom * (1 + frame * breathing)))
        height, width = light.shape[:2]
        away = cv2.resize(np.abs(depth - plane), (width, height), interpolation=cv2.INTER_LINEAR)
        light = defocused(light, away / max(0.2, float(away.max())), strongest * max(height, width))
        shots.append(take.shot(light))
    return take.saved(*shots)


def defocused(light: Linear, away: np.ndarray, strongest_px: float) -> Linear:
    """Blur by `away` (0 … 1) times strongest_px: a walk through four blurred versions."""
    levels = [light, *(cv2.GaussianBlur(light, (0, 0), strongest_px * k) for k in (0.25, 0.55, 1.0))]
    at = away * 3
    return sum(np.clip(1 - np.abs(at - k), 0, 1)[..., None] * level for k, level in enumerate(levels))  # type: ignore[return-value]


def panorama(take: Take) -> list[bytes]:
    """Neighbours of a panorama: 40 … 80 % of each is in the next; a lens shades its corners."""
    rng = take.rng
    overlap, light = float(rng.uniform(0.4, 0.8)), take.light()
    along = int(light.shape[1] > light.shape[0])
    whole_px = light.shape[along]
    part_px = round(whole_px / (1 + 2 * (1 - overlap)))
    shots = []
    for frame in range(3):
        start = min(whole_px - part_px, round(frame * (1 - overlap) * part_px))
        part = light[:, start : start + part_px] if along else light[start : start + part_px]
        y, x = np.mgrid[-1 : 1 : part.shape[0] * 1j, -1 : 1 : part.shape[1] * 1j].astype(np.float32)
        shaded = part * (1 - np.float32(0.12) * (x * x + y * y))[..., None]
        shots.append(take.shot(shaded, ev=take.camera.ev + float(rng.normal(0, 0.08))))
    return take.saved(*shots)


def small_warps(take: Take) -> list[bytes]:
    """Eyes that close, leaves in the wind: a few places change a little, the rest is still."""
    rng = take.rng
    base = take.light()
    y, x = np.mgrid[:96, :96].astype(np.float32) / 96

    def change() -> Linear:
        moved = np.zeros((96, 96, 2), np.float32)
        for _ in range(int(rng.integers(1, 5))):
            at, reach = rng.uniform(0.15, 0.85, 2), float(rng.uniform(0.015, 0.05))
            bump = np.exp(-((x - np.float32(at[0])) ** 2 + (y - np.float32(at[1])) ** 2) / np.float32(2 * reach**2))
            way = rng.normal(0, 1, 2)
            moved += bump[..., None] * (way / np.linalg.norm(way) * rng.uniform(1.0, 4.0) / 400).astype(np.float32)
        return take.light(moved=moved)

    return take.saved(take.shot(base), *(take.shot(seen_change(base, change)) for _ in range(2)))


def iso_change(take: Take) -> list[bytes]:
    """The same frame and brightness at another sensitivity: only the noise tells."""
    base = take.light()
    return take.saved(
        take.shot(base, photons=60_000.0), take.shot(base, photons=4_000.0, smear=0.4), take.shot(base, photons=700.0)
    )


def video_clock(take: Take) -> list[bytes]:
    """A camera that stands still and writes the time into its frames."""
    rng, base = take.rng, take.light()
    start, step = int(rng.integers(0, 80_000)), int(rng.choice([1, 1, 5, 60]))
    left, day = bool(rng.random() < 0.5), f"2024-{rng.integers(1, 13):02}-{rng.integers(1, 29):02}"
    pictures = []
    for frame in range(3):
        picture = take.shot(base)
        second = start + frame * step
        text = f"{day} {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        mask = text_mask(text, max(8, picture.shape[1] // 36))
        at = (picture.shape[1] // 40, picture.shape[0] // 40)
        at = at if left else (picture.shape[1] - mask.shape[1] - at[0], at[1])
        put_mask(picture, cv2.dilate(mask, np.ones((3, 3), np.uint8)), at, (0, 0, 0), 0.7)
        put_mask(picture, mask, at, (255, 255, 255))
        pictures.append(picture)
    return [encoded(p, quality=72) for p in pictures]


def tripod_ambiguous(take: Take) -> list[bytes]:
    """Nothing changes but the noise: people disagree whether these are duplicates."""
    base = take.light()
    return take.saved(take.shot(base), take.shot(base))


KINDS: dict[str, Maker] = {
    "burst_moved": burst_moved,
    "object_appears": object_appears,
    "light_switched": light_switched,
    "sign_changed": sign_changed,
    "parallax": parallax,
    "hand_held": hand_held,
    "hand_held_tiny": hand_held_tiny,
    "exposure_bracket": exposure_bracket,
    "white_balance_bracket": white_balance_bracket,
    "focus_stack": focus_stack,
    "panorama": panorama,
    "small_warps": small_warps,
    "iso_change": iso_change,
    "video_clock": video_clock,
    "tripod_ambiguous": tripod_ambiguous,
}
