"""Opens a picture of any supported format up to the point where its pixels can be had.

Checks size before any pixel is decoded. Does not scale or convert (`rgb`), keeps nothing.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass

import PIL
from PIL import AvifImagePlugin, Image, JpegImagePlugin

from dedupd.core.records import ProblemCode
from dedupd.imaging import raw
from dedupd.imaging.formats import ends_early, sniff
from dedupd.imaging.limits import DecodeLimits, UnreadableImageError

ORIENTATION = 0x0112  # EXIF tag
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
    exif: Image.Exif
    orientation: int  # 1 … 8, what has still to be applied to `image`
    width_px: int  # as stored, before orientation
    height_px: int
    decoder: str  # first part of the decoder tag

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
    exif = exif_of(image)
    return Picture(
        format=fmt,
        image=image,
        exif=exif,
        # libheif has applied the container's rotation, and by its standard EXIF's says nothing more.
        orientation=1 if fmt == "HEIF" else orientation_of(exif),
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
    if isinstance(error, NotImplementedError) or "unsupported" in text.lower() or "unknown" in text.lower():
        return UnreadableImageError(ProblemCode.UNSUPPORTED, _one_line(f"a {fmt} variant that is not read: {text}"))
    if isinstance(error, PIL.UnidentifiedImageError):  # its text names an object in memory
        text = "the header is not valid"
    return UnreadableImageError(ProblemCode.DAMAGED, _one_line(f"the {fmt} decoder refused it: {text}"))


def orientation_of(exif: Image.Exif) -> int:
    """1 … 8; 1 for anything else that is written there."""
    try:
        value = exif.get(ORIENTATION, 1)
    except (*DECODER_ERRORS, MemoryError):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def exif_of(image: Image.Image) -> Image.Exif:
    """The EXIF that came with an image, empty where there is none or it cannot be parsed.

    Not `image.getexif()`: that takes the orientation from XMP where EXIF has none, which no viewer does.
    """
    exif = Image.Exif()
    try:
        if image.format == "TIFF":
            return image.getexif()
        block = image.info.get("exif")
        if isinstance(block, bytes):
            exif.load(block)
    except (*DECODER_ERRORS, MemoryError):
        return Image.Exif()
    return exif


def _check_pixels(size: tuple[int, int], limit: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise UnreadableImageError(ProblemCode.DAMAGED, "the header says zero pixels")
    if width * height > limit:
        raise UnreadableImageError(
            ProblemCode.TOO_MANY_PIXELS, f"{width} × {height} px is over the limit of {limit // 1_000_000} megapixels"
        )


def _open_raw(data: bytes, limits: DecodeLimits) -> Picture:
    def load_exif(block: bytes) -> Image.Exif:
        exif = Image.Exif()
        try:
            exif.load(block)
        except (*DECODER_ERRORS, MemoryError):
            return Image.Exif()
        return exif

    found = raw.open_raw(data, lambda size: _check_pixels(size, limits.max_pixels))
    # Every RAW that is a TIFF inside carries its EXIF in the first directory; makers change the magic number.
    exif = (
        load_exif(data[:2] + (b"*\0" if data[:2] == b"II" else b"\0*") + data[4:])
        if data[:2] in {b"II", b"MM"}
        else None
    )
    return Picture(
        format="RAW",
        image=found.image,
        exif=exif or exif_of(found.image),
        orientation=found.orientation,
        width_px=found.width_px,
        height_px=found.height_px,
        decoder=found.decoder,
    )


def _register_heif() -> None:
    """Make Pillow know HEIF; does nothing the second time."""
    if "HEIF" in Image.OPEN:
        return
    import pillow_heif  # noqa: PLC0415 - 37 ms and 20 MB that most libraries never need

    pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:160]
