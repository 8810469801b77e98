"""What dedupd knows: files, contents, pairs and roots, as immutable values.

A *file* is a path; a *content* is distinct bytes, keyed by its digest, and many files may hold one. Does not
read or write anything; the store owns the persistent form.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

RootId = NewType("RootId", int)  # 1 … 2**32-1, given once to each watched directory
ContentId = NewType("ContentId", int)  # 1 … 2**48-1, given once to each distinct content, never reused
Sequence = NewType("Sequence", int)  # 1 …, one more for each event or vector change; 0 is "before everything"
ModelTag = NewType("ModelTag", str)  # names a descriptor exactly: other weights or other input = another tag

DIGEST_BYTES = 32  # BLAKE3-256; equal digest is taken as equal bytes (re-checked byte by byte before any clean-up)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class FilePath:
    """Where a file is: a root, a directory below it, a name. All bytes, as the kernel gave them."""

    root: RootId
    directory: bytes  # relative to the root, no slash at either end, b"" for the root itself
    name: bytes  # one path component

    def relative(self) -> bytes:
        """The path below the root."""
        return self.directory + b"/" + self.name if self.directory else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStat:
    """The stat fields that tell whether a file may have changed."""

    dev: int
    ino: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int


class ProblemCode(StrEnum):
    """Why a file is not indexed. Stable: scripts match on these."""

    NOT_AN_IMAGE = "not-an-image"  # the bytes are no picture format that dedupd reads
    UNSUPPORTED = "unsupported-format"  # a picture, but of a format or variant that no decoder here reads
    EMPTY = "empty"  # zero bytes
    TRUNCATED = "truncated"  # the picture ends too early; retried, it may still be arriving
    DAMAGED = "damaged"  # the decoder refused the bytes
    TOO_LARGE = "too-large"  # the file is over the size limit
    TOO_MANY_PIXELS = "too-many-pixels"  # the picture is over the pixel limit (a decompression bomb, or a giant scan)
    TIMEOUT = "decoder-timeout"  # decoding took longer than allowed
    DECODER_DIED = "decoder-died"  # the decoder process died on this file twice
    NOT_DESCRIBED = "not-described"  # decoded, but the model failed on it: a fault of dedupd or of the model
    NO_PERMISSION = "no-permission"  # dedupd may not read it
    IO_ERROR = "io-error"  # the disk or the network failed while reading
    NOT_REGULAR = "not-a-regular-file"  # a pipe, a device, a socket
    CHANGING = "still-changing"  # changed while being read, again and again


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a file was set aside, and when to try again."""

    code: ProblemCode
    detail: str  # one line for a person; never contains the path
    at_ns: int  # CLOCK_REALTIME
    retry_at_ns: int | None  # None: only when the file or the decoder changes


class FileStage(StrEnum):
    """How far a file has come."""

    PENDING = "pending"  # seen, not read yet
    INDEXED = "indexed"  # its content is known
    SET_ASIDE = "set-aside"  # not indexed; `problem` says why


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One path and what is known of it."""

    path: FilePath
    stat: FileStat
    stage: FileStage
    content: ContentId | None  # set when stage is INDEXED
    first_seen_ns: int
    missing_since_ns: int | None = None  # first scan that did not find it; None: it is there
    attempts: int = 0  # failed attempts at reading these bytes
    problem: Problem | None = None
    link_of_same_inode: bool = False  # another known path has the same (dev, ino): a hard link frees no space


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """What the camera wrote. Missing says nothing; two values that differ say "two shots"."""

    taken_at_ms: int | None = None  # local camera time, ms since 1970-01-01 as if it were UTC
    has_subseconds: bool = False
    make: str | None = None
    model: str | None = None
    serial: str | None = None
    exposure_s: float | None = None
    f_number: float | None = None
    iso: int | None = None
    image_id: str | None = None  # ImageUniqueID or the maker's image number
    has_gps: bool = False
    software: str | None = None
    has_notes: bool = False  # XMP or IPTC: a title, keywords, a credit, the history of edits
    rating: int | None = None  # 1 … 5 stars that a person gave, in EXIF or XMP
    has_icc: bool = False  # an embedded colour profile that is not sRGB


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Estimates made while decoding; comparable between pictures only as documented."""

    sharpness: float  # variance of the Laplacian of luma at the small image's scale, ≥ 0
    information: float  # bits of luma entropy in textured cells, 0 (flat) … 8; below ~1 the picture says little
    jpeg_quality: int | None = None  # 1 … 100 as libjpeg counts, from the quantisation tables
    frame_share: float = 0.0  # 0 … 1, share of the picture that is a uniform border around it
    detail_bytes: int = 0  # what the whole picture would take as a JPEG of quality 75, about; 0: not estimated
    earlier_jpeg_quality: int | None = None  # of a coarser compression whose traces the pixels show; None: none seen
    fullness: float = 1.0  # > 0, a JPEG's size over what its pixels take at its quality; lower: it was saved before
    has_full_chroma: bool = False  # a JPEG that keeps colour at the same resolution as brightness (4:4:4)
    fine_colour: float = 0.0  # ≥ 0, energy of the finest detail in colour, grey levels²; 0: not measured
    crispness: float | None = None  # logarithm, finest detail over that at half the size; None: not measured
    noise: float = 0.0  # grey levels, in the calmest quarter of the small image
    clipped_share: float = 0.0  # 0 … 1, share of the small image's values that are black or white
    drawn_share: float = 0.0  # 0 … 1, share of the small image's cells that hold one value
    colour: float = 0.0  # grey levels between the strongest and the weakest channel, mean of the small image


class ContentStage(StrEnum):
    """How far a content has come."""

    DESCRIBED = "described"  # digests, metadata and descriptor are stored
    LINKED = "linked"  # searched, verified, in the index


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRecord:
    """Distinct bytes that are a picture."""

    id: ContentId
    digest: bytes  # DIGEST_BYTES
    size_bytes: int
    format: str  # "JPEG", "PNG", "HEIF", "AVIF", "RAW", … (Pillow's names where it has one)
    width_px: int  # orientation applied
    height_px: int
    image_digest: bytes | None  # JPEG: digest of the entropy-coded data and its tables, metadata left out
    pixel_digest: bytes | None  # digest of all decoded, oriented pixels; made only for candidates
    quality: Quality
    capture: Capture
    decoder: str  # which decoder at which scale made the small image; another decoder = another tag
    stage: ContentStage
    first_seen_ns: int
    trailing_bytes: int = 0  # what follows the picture in its file: a motion photo's video, a second picture


class Relation(StrEnum):
    """What a verified pair of pictures is, the closest first."""

    SAME_BYTES = "same-bytes"
    SAME_PIXELS = "same-pixels"
    RE_ENCODED = "re-encoded"
    EDITED = "edited"
    SIMILAR = "similar"
    DIFFERENT = "different"

    @property
    def is_duplicate(self) -> bool:
        """Whether people would call this pair a duplicate: everything down to EDITED."""
        return self in DUPLICATE_RELATIONS

    @property
    def rank(self) -> int:
        """0 for SAME_BYTES … 5 for DIFFERENT."""
        return _RELATION_ORDER.index(self)


_RELATION_ORDER = list(Relation)
DUPLICATE_RELATIONS = frozenset({Relation.SAME_BYTES, Relation.SAME_PIXELS, Relation.RE_ENCODED, Relation.EDITED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle in fractions of a picture's width and height, 0 … 1, origin top left."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """How picture B maps onto picture A, in A's small-image pixels."""

    scale: float  # B's scale relative to A after both are brought to full size; < 1: B is the smaller
    rotation_deg: float  # -180 … 180, clockwise, what turns B into A
    is_mirrored: bool
    overlap_of_a: float  # 0 … 1, share of A's area that B covers
    overlap_of_b: float  # 0 … 1, share of B's area that A covers
    inliers: int  # matched features that agree with the mapping; 0 for dense alignment
    corners: tuple[tuple[float, float], ...] = ()  # of B's frame in fractions of A's, clockwise from B's top left


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a second look at the pixels of a pair found; decides nothing."""

    method: str  # "digest", "dense", "features", "none" (no alignment found)
    similarity: float  # 0 … 1, agreement of the aligned pixels after tone mapping; 1 is equal
    geometry: Geometry | None
    residual_low: float  # 0 … 1, 5th percentile of the local correlation in textured cells
    worst_region: float  # 0 … 1, share of the overlap in the largest connected region that disagrees
    motion_px: float  # remaining local motion after alignment, 95th percentile, small-image px
    tone_change: float  # 0 … 1, how much a global tone curve had to change; 0 none
    differences: tuple[Box, ...] = ()  # where they disagree, in A's frame, the largest first, at most 8
    noise_correlation: float | None = None  # -1 … 1, correlation of the high-pass residuals; None: not looked at
    # What follows lets the decision be strict where that is due; the defaults say "not measured".
    band_errors: tuple[float, ...] = ()  # 0 … 2, 1 - correlation of each octave of detail, the finest first
    band_lows: tuple[float, ...] = ()  # 0 … 2, the same in the worst places (95th percentile of windows)
    excess: float = 0.0  # ≥ 0, largest local difference over what compression explains
    bad_share: float = 0.0  # 0 … 1, share of the overlap in all regions that disagree
    error_levels: float = 0.0  # 0 … 255, median difference after tone mapping
    textured_windows: int = 0  # how many separate places with texture were compared
    compared_px: int = 0  # short side of the compared overlap, px
    frame_offset_px: float = 0.0  # how far the corners of the two whole frames are apart once aligned
    protrusion_px: float = 0.0  # how far the inner picture sticks out of the outer one; 0: one contains the other
    band_gains: tuple[float, ...] = ()  # > 0, B's detail over A's in each octave, the finest first; 1: equally sharp
    usual_excess: float = 0.0  # ≥ 0, 99th percentile of what `excess` is the largest of
    chroma_gain: float = 1.0  # ≥ 0, B's saturation over A's
    overlay_share: float = 0.0  # 0 … 1, share of the overlap that text or a watermark added to one of them covers
    overlay_is_on_b: bool = False  # which of them carries it
    fine_px: int = 0  # short side at which the full pictures were compared, px; 0: that was not needed
    fine_errors: tuple[float, ...] = ()  # 0 … 2, as `band_errors`, of the full pictures
    fine_noise_correlation: float | None = None  # -1 … 1, as `noise_correlation`, of the full pictures
    fine_foreign: float = 0.0  # 0 … 2, finest octave of the full pictures: error that a loss in one does not explain


NOTHING_FOUND = Evidence(
    method="none", similarity=0.0, geometry=None, residual_low=0.0, worst_region=1.0, motion_px=0.0, tone_change=0.0
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A verified pair of contents: the truth that groups are derived from. Always a < b."""

    a: ContentId
    b: ContentId
    relation: Relation
    similarity: float  # 0 … 1
    reason: str  # one sentence for a person: why this relation
    evidence: Evidence
    verifier: str  # tag of the rules that decided
    found_at_ns: int
    probability: float = 0.0  # 0 … 1, that both come from one shot, as calibrated (docs/accuracy.md)


class RootState(StrEnum):
    """Whether what a root shows can be believed."""

    ONLINE = "online"
    SUSPECT = "suspect"  # rows stay, nothing is marked missing, clean-up stops, until it is back or a person accepts
    OFFLINE = "offline"  # the directory is not there


@dataclass(frozen=True, slots=True, kw_only=True)
class RootIdentity:
    """What tells one filesystem from another at the same path."""

    dev: int  # st_dev; may change at reboot
    fsid: int  # statvfs f_fsid, 0 where the filesystem has none
    ino: int  # inode of the root directory
    filesystem: str  # "ext4", "nfs4", … from mountinfo


@dataclass(frozen=True, slots=True, kw_only=True)
class RootRecord:
    """A watched directory."""

    id: RootId
    path: bytes  # absolute
    identity: RootIdentity | None  # None until first seen
    state: RootState
    state_reason: str  # "" when online
    last_full_scan_ns: int | None
    added_at_ns: int
    is_watched: bool = True  # False: no longer configured; its rows stay until `dedupctl roots forget`
