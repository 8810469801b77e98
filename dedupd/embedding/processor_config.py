"""A model's `preprocessor_config.json`, as the steps that it comes to.

What a configuration leaves out is as transformers' processor of that name has it. Does no preprocessing. Stateless.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from dedupd.core.errors import ConfigError
from dedupd.core.undecodable import UNDECODABLE
from dedupd.embedding.families import Family
from dedupd.embedding.preprocess import ExactSize, PatchBudget, Preprocessing, ShortestSide, Triple

FILES = ("preprocessor_config.json", "processor_config.json")  # newer files hold the first within the second

_PLAIN = (0.5, 0.5, 0.5)  # what transformers calls IMAGENET_STANDARD
_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_NEAREST, _BOX_TO_HAMMING, BILINEAR, _BICUBIC = 0, 5, 2, 3  # Pillow's numbers
_CONVNEXT_WARPS_FROM_PX = 384  # below, ConvNeXt's processor resizes larger and crops

Size = int | dict[str, int | None] | None


class _Processor(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that say what comes out; others are left alone. The defaults are those of every processor."""

    do_resize: bool | None = True
    size: Size = None
    resample: int | None = None
    do_center_crop: bool | None = None
    crop_size: Size = None
    do_rescale: bool | None = True
    rescale_factor: float = 1 / 255
    do_normalize: bool | None = True
    image_mean: float | tuple[float, ...] | None = None
    image_std: float | tuple[float, ...] | None = None
    do_pad: bool | None = None
    crop_pct: float | None = None  # ConvNeXt
    rescale_offset: bool | None = None  # EfficientNet: bytes become -1 … 1
    include_top: bool | None = None  # EfficientNet: divided by the deviation a second time
    patch_size: int = 16  # SigLIP 2
    max_num_patches: int = 256


class _Named(msgspec.Struct, frozen=True):
    image_processor_type: str | None = None
    feature_extractor_type: str | None = None
    image_processor: msgspec.Raw = msgspec.Raw(b"null")  # in processor_config.json


class _Defaults(msgspec.Struct, frozen=True, kw_only=True):
    size: Size = None
    int_is: Literal["shortest", "square"] = "square"  # what a plain number for a size means
    resample: int
    crop_size: Size = None
    mean: Triple
    std: Triple


_KNOWN = {
    "Siglip2ImageProcessor": _Defaults(resample=BILINEAR, mean=_PLAIN, std=_PLAIN),
    "SiglipImageProcessor": _Defaults(
        size={"height": 224, "width": 224}, int_is="shortest", resample=_BICUBIC, mean=_PLAIN, std=_PLAIN
    ),
    "CLIPImageProcessor": _Defaults(
        size=224, int_is="shortest", resample=_BICUBIC, crop_size=224, mean=_CLIP_MEAN, std=_CLIP_STD
    ),
    "BitImageProcessor": _Defaults(
        size=224, int_is="shortest", resample=_BICUBIC, crop_size=224, mean=_CLIP_MEAN, std=_CLIP_STD
    ),
    "ViTImageProcessor": _Defaults(size=224, resample=BILINEAR, mean=_PLAIN, std=_PLAIN),
    "DINOv3ViTImageProcessor": _Defaults(size=224, resample=BILINEAR, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "ConvNextImageProcessor": _Defaults(size=384, int_is="shortest", resample=_BICUBIC, mean=_PLAIN, std=_PLAIN),
    "EfficientNetImageProcessor": _Defaults(size=346, resample=_BICUBIC, mean=_PLAIN, std=_PLAIN),
}
_CROPPED_UNLESS_SAID = ("CLIPImageProcessor", "BitImageProcessor")


def read_preprocessing(folder: Path, family: Family) -> Preprocessing:
    """The steps that a model's folder asks for; without a configuration those of its family.

    Raises:
        ConfigError: the configuration is damaged, or asks for what dedupd does not do.
    """
    path = next((folder / name for name in FILES if (folder / name).is_file()), folder / FILES[0])
    try:
        raw: bytes | msgspec.Raw = path.read_bytes() if path.is_file() else b"{}"
        named = msgspec.json.decode(raw, type=_Named)
        if bytes(named.image_processor) != b"null":
            raw = named.image_processor
            named = msgspec.json.decode(raw, type=_Named)
        processor = msgspec.json.decode(raw, type=_Processor)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error
    except UNDECODABLE as error:
        raise ConfigError(f"{path} says something that dedupd cannot read: {error}. Fetch the model again.") from error
    kind = _plain_name(named.image_processor_type or named.feature_extractor_type or family.processor)
    if kind not in _KNOWN:
        raise ConfigError(f"{path}: the preprocessing {kind} is not known here. Known are {', '.join(sorted(_KNOWN))}.")
    return _steps(processor, kind, path)


def affine(
    mean: Triple, std: Triple, factor: float, shift: float = 0.0, *, twice: bool = False
) -> tuple[Triple, Triple]:
    """Scale and offset for `(byte * factor + shift - mean) / std`, divided by std again if `twice`."""
    scale, offset = [], []
    for middle, deviation in zip(mean, std, strict=True):
        divisor = deviation * deviation if twice else deviation
        scale.append(factor / divisor)
        offset.append((shift - middle) / divisor)
    return (scale[0], scale[1], scale[2]), (offset[0], offset[1], offset[2])


def _steps(said: _Processor, kind: str, path: Path) -> Preprocessing:
    known = _KNOWN[kind]
    if said.do_resize is False or said.do_pad:
        raise ConfigError(f"{path}: pictures that are not resized, or are padded, cannot be compared. Choose another.")
    resample = known.resample if said.resample is None else said.resample
    if not _NEAREST <= resample <= _BOX_TO_HAMMING:
        raise ConfigError(f"{path}: `resample` {resample} is no filter. Fetch the model again.")
    target, crop = _target(said, kind, path)
    mean = _triple(said.image_mean, known.mean, path) if said.do_normalize is not False else (0.0, 0.0, 0.0)
    std = _triple(said.image_std, known.std, path) if said.do_normalize is not False else (1.0, 1.0, 1.0)
    is_efficientnet = kind == "EfficientNetImageProcessor"
    scale, offset = affine(
        mean,
        std,
        said.rescale_factor if said.do_rescale is not False else 1.0,
        -1.0 if is_efficientnet and said.rescale_offset else 0.0,
        twice=is_efficientnet and said.include_top is not False,
    )
    return Preprocessing(target=target, resample=resample, crop=crop, scale=scale, offset=offset)


def _target(said: _Processor, kind: str, path: Path) -> tuple[ExactSize | ShortestSide | PatchBudget, ExactSize | None]:
    if kind == "Siglip2ImageProcessor":
        return PatchBudget(patches=said.max_num_patches, patch_px=said.patch_size), None
    known = _KNOWN[kind]
    target = _size(said.size if said.size is not None else known.size, known.int_is, path)
    if kind == "ConvNextImageProcessor":
        return _convnext_target(target, said.crop_pct or 224 / 256, path)
    is_cropped = said.do_center_crop if said.do_center_crop is not None else kind in _CROPPED_UNLESS_SAID
    crop = _size(said.crop_size or known.crop_size, "square", path) if is_cropped else None
    if isinstance(target, ShortestSide) and not isinstance(crop, ExactSize):
        raise ConfigError(f"{path}: does not bring pictures to one size (no `crop_size`). Choose another model.")
    return target, crop if isinstance(crop, ExactSize) else None


def _convnext_target(
    target: ExactSize | ShortestSide, crop_pct: float, path: Path
) -> tuple[ExactSize | ShortestSide, ExactSize | None]:
    if not isinstance(target, ShortestSide):
        raise ConfigError(f"{path}: `size` without `shortest_edge`, which ConvNeXt needs. Fetch the model again.")
    square = ExactSize(height=target.px, width=target.px)
    if target.px >= _CONVNEXT_WARPS_FROM_PX:
        return square, None
    return ShortestSide(px=int(target.px / crop_pct)), square


def _size(size: Size, int_is: str, path: Path) -> ExactSize | ShortestSide:
    if isinstance(size, int):
        return ShortestSide(px=size) if int_is == "shortest" else ExactSize(height=size, width=size)
    sides = {name: px for name, px in (size or {}).items() if px}
    match sides:
        case {"height": height, "width": width, **others} if not others:
            return ExactSize(height=height, width=width)
        case {"shortest_edge": px, **others} if not others:
            return ShortestSide(px=px)
        case _:
            raise ConfigError(f"{path}: a size of {sides} is not known here. Choose another model.")


def _triple(value: float | tuple[float, ...] | None, default: Triple, path: Path) -> Triple:
    match value:
        case None:
            return default
        case (red, green, blue):
            return (red, green, blue)
        case tuple():
            raise ConfigError(f"{path}: {len(value)} colours where dedupd has three. Choose another model.")
        case number:
            return (number, number, number)


def _plain_name(kind: str) -> str:
    """The processor's name without what says which library does it, or how old the file is."""
    return kind.removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")
