"""Pictures, groups and answers about pairs on the wire. Holds no logic; `convert` fills these."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from dedupd.protocol.fields import RelationName, StandingName


class FileMessage(Struct, frozen=True, kw_only=True):
    """One path that holds a picture."""

    path: str  # absolute; relative to the root where the root is no longer known
    path_b64: str | UnsetType = UNSET  # only when the path is not valid UTF-8
    root: int
    modified_at: str
    modified_at_ns: int
    is_present: bool  # the last look found it, and its root is online
    missing_since: str | None


class PictureMessage(Struct, frozen=True, kw_only=True):
    """Distinct bytes that are a picture, and every path that holds them."""

    content: int
    digest: str  # BLAKE3-256 in hex
    size_bytes: int
    width: int  # px, orientation applied
    height: int
    format: str
    taken_at: str | None  # local camera time, no zone
    camera: str | None
    jpeg_quality: int | None
    files: tuple[FileMessage, ...]  # those that are there first


class MatchMessage(Struct, frozen=True, kw_only=True):
    """A picture and what ties it to the one in question."""

    relation: RelationName
    similarity: float  # 0 … 1
    probability: float  # 0 … 1, that both come from one shot; 0 where an older version found the pair
    reason: str
    picture: PictureMessage


class GroupMessage(Struct, frozen=True, kw_only=True):
    """A kept picture and its verified duplicates; `related` only chain to them and are never for clean-up."""

    id: int
    relation: RelationName  # the weakest in the group
    similarity: float  # 0 … 1, of the weakest
    probability: float  # 0 … 1, of the weakest
    frees_bytes: int  # what the files beside the kept one take; hard links count once
    files: int  # files that are there
    keeper: PictureMessage
    keeper_reason: str
    members: tuple[MatchMessage, ...]
    related: tuple[PictureMessage, ...]


class GroupsMessage(Struct, frozen=True, kw_only=True):
    """One page of groups, those that free the most bytes first."""

    groups: tuple[GroupMessage, ...]
    total: int
    next: int | None  # `after` of the next page; null on the last


class FindMessage(Struct, frozen=True, kw_only=True):
    """What the library holds of a picture that was sent."""

    digest: str
    size_bytes: int
    is_known: bool  # these very bytes are in the library
    format: str | None  # null when the bytes are known and could not be decoded again
    width: int | None
    height: int | None
    matches: tuple[MatchMessage, ...]  # the closest relation first; "similar" is no duplicate


class NearMessage(Struct, frozen=True, kw_only=True):
    """A picture that a model says is near the one in question."""

    similarity: float  # cosine, -1 … 1; of this model only, and no duplicate by itself
    relation: RelationName | None  # what the pixels said of the two; null: nobody looked, or they are different
    group: int | None  # of duplicates, that it is in; null: in none
    picture: PictureMessage


class SimilarMessage(Struct, frozen=True, kw_only=True):
    """What is near a picture in meaning. Never for clean-up."""

    name: str  # of the model that answered, as configured; "builtin": no vision model was ready, so: in looks
    model: str  # its exact tag
    content: int  # the picture in question; 0 where the library has no equal bytes
    near: tuple[NearMessage, ...]  # the nearest first, the picture itself left out


class KnownMessage(Struct, frozen=True, kw_only=True):
    """A digest that the library knows, with the files that are there now."""

    digest: str
    content: int
    files: tuple[FileMessage, ...]  # never empty: bytes that are only on a missing file count as unknown


class HaveMessage(Struct, frozen=True, kw_only=True):
    """Which digests the library knows byte for byte."""

    known: tuple[KnownMessage, ...]
    unknown: tuple[str, ...]


class BoxMessage(Struct, frozen=True, kw_only=True):
    """A rectangle in fractions of A's width and height, 0 … 1, origin top left."""

    left: float
    top: float
    right: float
    bottom: float


class GeometryMessage(Struct, frozen=True, kw_only=True):
    """How picture B maps onto picture A."""

    scale: float  # < 1: B is the smaller
    rotation_deg: float  # -180 … 180, clockwise, what turns B into A
    is_mirrored: bool
    overlap_of_a: float  # 0 … 1
    overlap_of_b: float  # 0 … 1
    inliers: int


class EvidenceMessage(Struct, frozen=True, kw_only=True):
    """What the second look at the pixels found."""

    method: str
    similarity: float
    geometry: GeometryMessage | None
    residual_low: float
    worst_region: float
    motion_px: float
    tone_change: float
    noise_correlation: float | None
    differences: tuple[BoxMessage, ...]
    excess: float
    error_levels: float
    band_errors: tuple[float, ...]
    band_gains: tuple[float, ...]
    chroma_gain: float
    overlay_share: float  # 0 … 1, share of what both show that text or a watermark on one of them covers
    overlay_is_on_b: bool
    frame_offset_px: float
    protrusion_px: float
    compared_px: int
    fine_px: int  # 0: the small pictures left no doubt


class FiguresMessage(Struct, frozen=True, kw_only=True):
    """The literature's figures of the aligned small pictures; decisions are not made from them."""

    width: int  # px, of what both show
    height: int
    mse: float  # of luma, 0 … 65025
    psnr_db: float | None  # null: nothing differs
    ssim: float  # -1 … 1
    toned_mse: float  # after one's brightness was brought to the other's
    toned_psnr_db: float | None
    toned_ssim: float
    keypoints_a: int
    keypoints_b: int
    matches: int  # keypoints that are each other's nearest
    agreeing: int  # of these, how many the alignment explains


class FactMessage(Struct, frozen=True, kw_only=True):
    """One thing that is known of two pictures, side by side."""

    name: str
    a: str | None  # null: this picture does not say
    b: str | None
    standing: StandingName


class PairMessage(Struct, frozen=True, kw_only=True):
    """Why two pictures are together or not, `a` and `b` as they were asked for; content 0 is not in the library."""

    a: PictureMessage
    b: PictureMessage
    relation: RelationName
    similarity: float  # 0 … 1
    probability: float  # 0 … 1, that both come from one shot; 0 where an older version found the pair
    reason: str
    verifier: str
    found_at: str | None  # null when both paths hold the same bytes: nothing had to be looked at
    evidence: EvidenceMessage | None  # seen from `a`; null where nothing had to be looked at, or cannot be now
    words: tuple[str, ...]  # what the evidence says, a sentence each
    figures: FiguresMessage | None  # null where the pictures do not lie on each other, or cannot be looked at now
    metadata: tuple[FactMessage, ...]  # what the cameras wrote, where at least one says it
    quality: tuple[FactMessage, ...]
