"""Opens a picture of any supported format up to the point where its pixels can be had.

Checks size before any pixel is decoded. Does not scale or convert (`rgb`), keeps nothing.
"""

from __future__ import annotations

import codecs
import io
import struct
import warnings
from dataclasses import dataclass

import PIL
from PIL import AvifImagePlugin, Image, JpegImagePlugin

from dedupd.core.records import ProblemCode
from dedupd.imaging import raw
from dedupd.imaging.exif import ORIENTATION, Tags, read_tags
from dedupd.imaging.formats import ends_early, sniff
from dedupd.imaging.limits import DecodeLimits, UnreadableImageError

PILLOW = "pillow-" + PIL.__version__.partition(".")[0]

# What Pillow and the codecs behind it raise on bytes that they do not like; each seen on fuzzed files.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    struct.error,
)

_UNSUPPORTED_WORDS = ("unsupported", "unknown", "cannot handle")  # in Pillow's texts, seen on fuzzed files

# libheif applies the container's rotation, and by its standard EXIF's says nothing more; Pillow turns TIFF by itself.
_TURNED_BY_DECODER = frozenset({"HEIF", "TIFF"})

# Turning these transposes on gives the picture as it is meant to be seen (EXIF 2.32, tag 274).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(slots=True, kw_only=True)
class Picture:
    """An opened picture; `image` may not be decoded yet."""

    format: str  # as `formats.sniff` says it
    image: Image.Image
    tags: Tags
    orientation: int  # 1 … 8, what has still to be applied to `image`
    width_px: int  # as stored, before orientation
    height_px: int
    decoder: str  # first part of the decoder tag

    def load(self) -> None:
        """Decode the pixels. PNG may carry its EXIF, and so its orientation, behind them."""
        self.image.load()
        if self.format == "PNG" and not self.tags:
            self.tags = tags_of(self.image, b"")
            self.orientation = _orientation(self.tags)

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height with the orientation applied."""
        if self.orientation >= 5:  # the four that exchange the sides
            return self.height_px, self.width_px
        return self.width_px, self.height_px


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The image turned as its EXIF orientation says."""
    transpose = _UPRIGHT.get(orientation)
    return image if transpose is None else image.transpose(transpose)


def prepare_decoders(limits: DecodeLimits) -> None:
    """Set the process-wide guards of the decoders; called once by the worker, before the first picture."""
    warnings.simplefilter("ignore")  # broken metadata is no news
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = limits.max_pixels  # JPEG is opened past this guard and has its own
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # one worker, one core
    # A confined worker can load nothing later: Pillow asks all its plugins about what none of them knows.
    Image.init()
    _register_heif()
    for codec in ("ascii", "latin-1", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        codecs.lookup(codec)


def open_picture(data: bytes, limits: DecodeLimits) -> Picture:
    """Open the picture in these bytes; pixels of JPEG and most others are decoded later, on `image.load()`.

    Raises:
        UnreadableImageError: what is wrong with it; TOO_MANY_PIXELS comes before anything is decoded.
    """
    fmt = sniff(data)
    try:
        if fmt == "RAW":
            return _open_raw(data, limits)
        if fmt == "JPEG":
            # Not Image.open: that turns a JPEG with an appended second picture into an MPO file.
            image: Image.Image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        else:
            if fmt == "HEIF":
                _register_heif()
            image = Image.open(io.BytesIO(data), formats=(fmt,))
    except (*DECODER_ERRORS, MemoryError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise explain(error, data, fmt) from error
    _check_pixels(image.size, limits.max_jpeg_pixels if fmt == "JPEG" else limits.max_pixels)
    tags = tags_of(image, data)
    return Picture(
        format=fmt,
        image=image,
        tags=tags,
        orientation=1 if fmt in _TURNED_BY_DECODER else _orientation(tags),
        width_px=image.width,
        height_px=image.height,
        decoder="heif-1" if fmt == "HEIF" else PILLOW,
    )


def explain(error: BaseException, data: bytes, fmt: str) -> UnreadableImageError:
    """Say a decoder's exception as a problem."""
    if isinstance(error, UnreadableImageError):
        return error
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return UnreadableImageError(ProblemCode.TOO_MANY_PIXELS, "the picture is over the pixel limit")
    if isinstance(error, MemoryError):
        return UnreadableImageError(ProblemCode.TOO_MANY_PIXELS, "decoding needs more memory than a worker may have")
    text = str(error)
    if "truncated" in text.lower() or "premature" in text.lower() or ends_early(data, fmt):
        return UnreadableImageError(ProblemCode.TRUNCATED, f"the {fmt} picture ends too early")
    if isinstance(error, NotImplementedError) or any(word in text.lower() for word in _UNSUPPORTED_WORDS):
        return UnreadableImageError(ProblemCode.UNSUPPORTED, _one_line(f"a {fmt} variant that is not read: {text}"))
    if _speaks_to_programmers(error):
        text = "the header or a table is not valid"
    return UnreadableImageError(ProblemCode.DAMAGED, _one_line(f"the {fmt} decoder refused it: {text}"))


def _speaks_to_programmers(error: BaseException) -> bool:
    """Whether a text is of no use to others: it names an object in memory, or what Python tripped over.

    Pillow hands on errors of struct and of indexes as a SyntaxError with the same text.
    """
    if isinstance(error, PIL.UnidentifiedImageError) or not isinstance(error, OSError | SyntaxError):
        return True
    return error.__cause__ is not None or str(error) == "not identified by this driver"


def tags_of(image: Image.Image, data: bytes) -> Tags:
    """The EXIF tags that came with an image; empty where there are none.

    XMP is not asked: some programs keep an orientation there, but no viewer follows it.
    """
    if image.format == "TIFF":
        return read_tags(data)
    block = image.info.get("exif")
    return read_tags(block) if isinstance(block, bytes) else {}


def _orientation(tags: Tags) -> int:
    """1 … 8; 1 for anything else that is written there."""
    value = tags.get(ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _check_pixels(size: tuple[int, int], limit: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise UnreadableImageError(ProblemCode.DAMAGED, "the header says zero pixels")
    if width * height > limit:
        raise UnreadableImageError(
            ProblemCode.TOO_MANY_PIXELS, f"{width} × {height} px is over the limit of {limit // 1_000_000} megapixels"
        )


def _open_raw(data: bytes, limits: DecodeLimits) -> Picture:
    found = raw.open_raw(data, lambda size: _check_pixels(size, limits.max_pixels))
    return Picture(
        format="RAW",
        image=found.image,
        # Most RAW files are TIFF inside, with their EXIF in the first directory; others have it in their preview.
        tags=read_tags(data) or tags_of(found.image, b""),
        orientation=found.orientation,
        width_px=found.width_px,
        height_px=found.height_px,
        decoder=found.decoder,
    )


def _register_heif() -> None:
    """Make Pillow know HEIF; does nothing the second time."""
    if "HEIF" in Image.OPEN:
        return
    import pillow_heif  # noqa: PLC0415 - for the worker; `prepare_decoders` calls this

    pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:160]
