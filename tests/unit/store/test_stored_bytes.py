"""The bytes of one record of each kind, as schema 1 wrote them. They must stay readable for ever.

A field that is appended changes what is written; then add a case beside the old one, and keep the old one readable.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from dedupd.core.cleanup_plan import RunKind
from dedupd.core.events import CleanedReturned, CleanupFinished, Degraded, DuplicateFound, Event, Match, Origin
from dedupd.core.generation import Generation
from dedupd.core.ports import VectorChange
from dedupd.core.records import (
    Box,
    Capture,
    ContentId,
    ContentRecord,
    ContentStage,
    Edge,
    Evidence,
    FilePath,
    FileRecord,
    FileStage,
    FileStat,
    Geometry,
    ModelTag,
    Problem,
    ProblemCode,
    Quality,
    Relation,
    RootId,
    RootIdentity,
    RootRecord,
    RootState,
    Sequence,
)
from dedupd.core.verdicts import NotDuplicate, Pin, Tombstone
from dedupd.store import codec, content_codec, frame, generation_codec, keys, outbox, verdict_codec

PATH = FilePath(root=RootId(7), directory=b"2024/\xff", name=b"IMG_1.jpg")
FILE = FileRecord(
    path=PATH,
    stat=FileStat(dev=2049, ino=131, size_bytes=3_540_000, mtime_ns=1_700_000_000_000_000_001, ctime_ns=-1),
    stage=FileStage.SET_ASIDE,
    content=None,
    first_seen_ns=1_700_000_000_000_000_002,
    missing_since_ns=5,
    attempts=2,
    problem=Problem(code=ProblemCode.TRUNCATED, detail="ends after 12 bytes", at_ns=6, retry_at_ns=None),
    link_of_same_inode=True,
)
CONTENT = ContentRecord(
    id=ContentId(300),
    digest=bytes(range(32)),
    size_bytes=3_540_000,
    format="JPEG",
    width_px=4032,
    height_px=3024,
    image_digest=b"i" * 4,
    pixel_digest=None,
    quality=Quality(sharpness=12.5, information=6.25, jpeg_quality=92),
    capture=Capture(taken_at_ms=-5, make="Nïkon", exposure_s=0.25, iso=100, has_gps=True),
    decoder="d1",
    stage=ContentStage.LINKED,
    first_seen_ns=8,
)
EDGE = Edge(
    a=ContentId(1),
    b=ContentId(300),
    relation=Relation.RE_ENCODED,
    similarity=0.75,
    reason="half the size",
    evidence=Evidence(
        method="dense",
        similarity=0.5,
        geometry=Geometry(
            scale=0.5, rotation_deg=-90.0, is_mirrored=True, overlap_of_a=1.0, overlap_of_b=0.5, inliers=12
        ),
        residual_low=0.25,
        worst_region=0.125,
        motion_px=0.5,
        tone_change=0.0,
        differences=(Box(left=0.0, top=0.25, right=0.5, bottom=1.0),),
        noise_correlation=-0.5,
    ),
    verifier="v1",
    found_at_ns=9,
)
GENERATION = Generation(
    tag=ModelTag("further-6"), name="a/model", dim=768, candidate_similarity=0.75, was_complete=True, contents=300
)
ROOT = RootRecord(
    id=RootId(7),
    path=b"/photos",
    identity=RootIdentity(dev=2049, fsid=2**64 - 1, ino=2, filesystem="ext4"),
    state=RootState.ONLINE,
    state_reason="",
    last_full_scan_ns=10,
    added_at_ns=11,
    is_watched=False,
)
MATCH = Match(path=PATH, content=ContentId(1), relation=Relation.SAME_PIXELS, similarity=1.0, probability=0.5)
EVENT = Event(
    sequence=Sequence(513),
    at_ns=12,
    fact=DuplicateFound(
        path=PATH,
        content=ContentId(300),
        size_bytes=17,
        origin=Origin.SCAN,
        matches=(MATCH,),
        group=ContentId(1),
    ),
)
FINISHED = CleanupFinished(
    plan="ab12",
    run=RunKind.EXPIRE,
    done=1,
    conflicts=2,
    failed=3,
    skipped=4,
    bytes_=5,
    stopped="full",
    is_automatic=True,
)
RETURNED = CleanedReturned(
    path=PATH,
    content=ContentId(300),
    size_bytes=17,
    origin=Origin.ARRIVAL,
    cleaned_at_ns=16,
    plan="ab12",
    kept=b"/photos/\xff",
    is_kept_there=True,
)
VERDICT = NotDuplicate(a=b"\1" * 32, b=b"\2" * 32, said_at_ns=14)
PIN = Pin(digest=b"\3" * 32, path=PATH, said_at_ns=15)
TOMBSTONE = Tombstone(digest=b"\4" * 32, cleaned_at_ns=16, plan="ab12", path=b"/photos/\xff", kept=b"/photos/a")
VECTORS = np.array([[0.5, -0.25], [1.0, 0.0]], np.float32)

FILE_KEY = keys.file_key(PATH)
CONTENT_KEY = keys.content_key(CONTENT.id)
EDGE_KEY = keys.pair_key(EDGE.a, EDGE.b)
ROOT_KEY = keys.root_key(ROOT.id)
EVENT_KEY = keys.sequence_key(EVENT.sequence)
VERDICT_KEY = verdict_codec.verdict_key(VERDICT.b, VERDICT.a)

GOLDEN = {
    "file": (
        "0fc328f50101080000000000008300000000000000200436000000000001002a36fe9c9717ffffffffffffffff98a973"
        "65742d6173696465c0cf17979cfe362a0002050294a97472756e6361746564b3656e6473206166746572203132206279"
        "74657306c0c3c0"
    ),
    "content": (
        "07f0a4059dc420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fce00360420a44a5045"
        "47cd0fc0cd0bd0c40469696969c09ecb4029000000000000cb40190000000000005ccb000000000000000000c0cb3ff0"
        "000000000000c2cb0000000000000000c0cb0000000000000000cb0000000000000000cb0000000000000000cb000000"
        "00000000009efbc2a64ec3af6b6f6ec0c0cb3fd0000000000000c064c0c3c0c2c0c2a26431a66c696e6b65640800"
    ),
    "edge": (
        "95046e8c97aa72652d656e636f646564cb3fe8000000000000ad68616c66207468652073697a65dc001ba564656e7365"
        "cb3fe000000000000097cb3fe0000000000000cbc056800000000000c3cb3ff0000000000000cb3fe00000000000000c"
        "90cb3fd0000000000000cb3fc0000000000000cb3fe0000000000000cb00000000000000009194cb0000000000000000"
        "cb3fd0000000000000cb3fe0000000000000cb3ff0000000000000cbbfe00000000000009090cb0000000000000000cb"
        "0000000000000000cb00000000000000000000cb0000000000000000cb000000000000000090cb3ff0000000000000cb"
        "0000000000000000c20090c0cb0000000000000000cb0000000000000000a2763109cb0000000000000000"
    ),
    "root": "8ff8847297c4072f70686f746f7394cd0801cfffffffffffffffff02a465787434a66f6e6c696e65a00a0bc2",
    "event": (
        "afe0324898af6475706c69636174652d666f756e640c9307c406323032342fffc409494d475f312e6a7067cd012c11a4"
        "7363616e91959307c406323032342fffc409494d475f312e6a706701ab73616d652d706978656c73cb3ff00000000000"
        "00cb3fe000000000000001"
    ),
    "finished": ("1fd942019bb0636c65616e75702d66696e69736865640ca461623132a66578706972650102030405a466756c6cc3"),
    "returned": (
        "e38527ec9ab0636c65616e65642d72657475726e65640c9307c406323032342fffc409494d475f312e6a7067cd012c11"
        "a76172726976616c10a461623132c4092f70686f746f732fffc3"
    ),
    "verdict": "9bb93a43910e",
    "pin": "5bcc7b45929307c406323032342fffc409494d475f312e6a70670f",
    "tombstone": "b43545ef9410a461623132c4092f70686f746f732fffc4092f70686f746f732f61",
    "generation": "e331c3ac95a7612f6d6f64656ccd0300cb3fe8000000000000c3cd012c",
    "vector change": "fd6229a12c0100000000000001",
    "vectors": "bf9f9462010202000300003800b4003c0000",
    "number": "7be6557e0102000000000000",
}

EVENT_BEFORE_PROBABILITIES = (
    "7e3ad0d598af6475706c69636174652d666f756e640c9307c406323032342fffc409494d475f312e6a7067cd012c11a4"
    "7363616e91949307c406323032342fffc409494d475f312e6a706701ab73616d652d706978656c73cb3ff00000000000"
    "0001"
)
CONTENT_BEFORE_TRUE_DETAIL = (
    "d6e285439cc420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fce00360420a44a5045"
    "47cd0fc0cd0bd0c40469696969c094cb4029000000000000cb40190000000000005ccb00000000000000009bfbc2a64e"
    "c3af6b6f6ec0c0cb3fd0000000000000c064c0c3c0a26431a66c696e6b656408"
)
CONTENT_BEFORE_NOTES = (
    "328ce3f39cc420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fce00360420a44a5045"
    "47cd0fc0cd0bd0c40469696969c09ecb4029000000000000cb40190000000000005ccb000000000000000000c0cb3ff0"
    "000000000000c2cb0000000000000000c0cb0000000000000000cb0000000000000000cb0000000000000000cb000000"
    "00000000009bfbc2a64ec3af6b6f6ec0c0cb3fd0000000000000c064c0c3c0a26431a66c696e6b656408"
)
CONTENT_BEFORE_RATINGS = (
    "6032ccd69cc420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fce00360420a44a5045"
    "47cd0fc0cd0bd0c40469696969c09ecb4029000000000000cb40190000000000005ccb000000000000000000c0cb3ff0"
    "000000000000c2cb0000000000000000c0cb0000000000000000cb0000000000000000cb0000000000000000cb000000"
    "00000000009cfbc2a64ec3af6b6f6ec0c0cb3fd0000000000000c064c0c3c0c2a26431a66c696e6b656408"
)
EDGE_BEFORE_CORNERS = (
    "180ce62897aa72652d656e636f646564cb3fe8000000000000ad68616c66207468652073697a65dc0019a564656e7365"
    "cb3fe000000000000096cb3fe0000000000000cbc056800000000000c3cb3ff0000000000000cb3fe00000000000000c"
    "cb3fd0000000000000cb3fc0000000000000cb3fe0000000000000cb00000000000000009194cb0000000000000000cb"
    "3fd0000000000000cb3fe0000000000000cb3ff0000000000000cbbfe00000000000009090cb0000000000000000cb00"
    "00000000000000cb00000000000000000000cb0000000000000000cb000000000000000090cb3ff0000000000000cb00"
    "00000000000000c20090c0a2763109cb0000000000000000"
)
EDGE_BEFORE_CALIBRATION = (
    "02b5210096aa72652d656e636f646564cb3fe8000000000000ad68616c66207468652073697a65dc0012a564656e7365"
    "cb3fe000000000000096cb3fe0000000000000cbc056800000000000c3cb3ff0000000000000cb3fe00000000000000c"
    "cb3fd0000000000000cb3fc0000000000000cb3fe0000000000000cb00000000000000009194cb0000000000000000cb"
    "3fd0000000000000cb3fe0000000000000cb3ff0000000000000cbbfe00000000000009090cb0000000000000000cb00"
    "00000000000000cb00000000000000000000cb0000000000000000cb0000000000000000a2763109"
)


def test_keys_are_laid_out_as_schema_1_says() -> None:
    assert FILE_KEY.hex() == "00000007b788bb57b7ef82a80e82e2679b22b0af494d475f312e6a7067"
    assert (CONTENT_KEY.hex(), EDGE_KEY.hex()) == ("000000000000012c", "0000000000000001000000000000012c")
    assert (ROOT_KEY.hex(), EVENT_KEY.hex()) == ("00000007", "0000000000000201")
    assert generation_codec.vectors_key(2, ContentId(300)).hex() == "0002000000000000012c"
    assert keys.inode_key(2049, 131).hex() == "00000000000008010000000000000083"
    assert keys.name_part(b"n" * 381).hex() == "6e" * 380 + "10d2c8e7da647273d47b5cafd1035c52"


def test_records_are_written_as_schema_1_says() -> None:
    written = {
        "file": frame.framed(FILE_KEY, codec.file_body(FILE)),
        "content": frame.framed(CONTENT_KEY, content_codec.content_body(CONTENT)),
        "edge": frame.framed(EDGE_KEY, content_codec.edge_body(EDGE)),
        "root": frame.framed(ROOT_KEY, codec.root_body(ROOT)),
        "event": frame.framed(EVENT_KEY, outbox.event_body(EVENT.fact, EVENT.at_ns)),
        "finished": frame.framed(EVENT_KEY, outbox.event_body(FINISHED, 12)),
        "returned": frame.framed(EVENT_KEY, outbox.event_body(RETURNED, 12)),
        "verdict": frame.framed(VERDICT_KEY, verdict_codec.verdict_body(VERDICT)),
        "pin": frame.framed(PIN.digest, verdict_codec.pin_body(PIN)),
        "tombstone": frame.framed(TOMBSTONE.digest, verdict_codec.tombstone_body(TOMBSTONE)),
        "generation": frame.framed(b"\0\2", generation_codec.generation_body(GENERATION)),
        "vector change": frame.framed(EVENT_KEY, outbox.vector_change_body(CONTENT.id, is_removal=True)),
        "vectors": frame.framed(CONTENT_KEY, frame.vectors_body(VECTORS, 3)),
        "number": frame.framed(b"sequence", frame.number_body(513)),
    }
    assert {name: value.hex() for name, value in written.items()} == GOLDEN


def body_of(name: str, table: str, key: bytes) -> bytes:
    return frame.unframed(table, key, bytes.fromhex(GOLDEN[name]))


def test_records_of_schema_1_are_read() -> None:
    assert codec.file_from(FILE_KEY, body_of("file", "files", FILE_KEY), PATH.directory) == FILE
    assert content_codec.content_from(CONTENT_KEY, body_of("content", "contents", CONTENT_KEY)) == CONTENT
    assert content_codec.edge_from(EDGE_KEY, body_of("edge", "edges", EDGE_KEY)) == EDGE
    assert codec.root_from(ROOT_KEY, body_of("root", "roots", ROOT_KEY)) == ROOT
    assert outbox.event_from(EVENT_KEY, body_of("event", "outbox", EVENT_KEY)) == EVENT
    for name, fact in (("finished", FINISHED), ("returned", RETURNED)):
        assert outbox.event_from(EVENT_KEY, body_of(name, "outbox", EVENT_KEY)) == replace(EVENT, fact=fact)
    assert verdict_codec.verdict_from(VERDICT_KEY, body_of("verdict", "verdicts", VERDICT_KEY)) == VERDICT
    assert verdict_codec.pin_from(PIN.digest, body_of("pin", "pins", PIN.digest)) == PIN
    tombstone = body_of("tombstone", "tombstones", TOMBSTONE.digest)
    assert verdict_codec.tombstone_from(TOMBSTONE.digest, tombstone) == TOMBSTONE
    generation = body_of("generation", "generations", b"\0\2")
    assert generation_codec.generation_from(b"\0\2", generation, GENERATION.tag) == GENERATION
    change = outbox.vector_change_from(EVENT_KEY, body_of("vector change", "vector_log", EVENT_KEY))
    assert change == VectorChange(sequence=EVENT.sequence, content=CONTENT.id, is_removal=True)
    body = body_of("vectors", "vectors", CONTENT_KEY)
    np.testing.assert_array_equal(frame.vectors_from("vectors", CONTENT_KEY, body), VECTORS)
    assert frame.vectors_model("vectors", CONTENT_KEY, body) == 3
    assert frame.number_from("meta", b"sequence", body_of("number", "meta", b"sequence")) == 513


def test_a_record_without_the_fields_that_came_later_is_read() -> None:
    short = msgspec.msgpack.encode([b"/photos", None, "online", "", None, 11])
    assert codec.root_from(ROOT_KEY, short).is_watched


@pytest.mark.parametrize("earlier", [EDGE_BEFORE_CALIBRATION, EDGE_BEFORE_CORNERS])
def test_an_edge_from_before_probabilities_or_corners_is_read(earlier: str) -> None:
    body = frame.unframed("edges", EDGE_KEY, bytes.fromhex(earlier))
    assert content_codec.edge_from(EDGE_KEY, body) == EDGE


@pytest.mark.parametrize("earlier", [CONTENT_BEFORE_TRUE_DETAIL, CONTENT_BEFORE_NOTES, CONTENT_BEFORE_RATINGS])
def test_a_content_from_before_true_detail_notes_or_ratings_is_read(earlier: str) -> None:
    body = frame.unframed("contents", CONTENT_KEY, bytes.fromhex(earlier))
    assert content_codec.content_from(CONTENT_KEY, body) == CONTENT


def test_an_event_from_before_probabilities_is_read() -> None:
    body = frame.unframed("outbox", EVENT_KEY, bytes.fromhex(EVENT_BEFORE_PROBABILITIES))
    fact = replace(EVENT.fact, matches=(replace(MATCH, probability=0.0),))  # type: ignore[type-var]  # a union of facts
    assert outbox.event_from(EVENT_KEY, body) == replace(EVENT, fact=fact)


def test_a_record_with_a_field_of_a_later_version_is_read() -> None:
    surplus = msgspec.msgpack.encode([b"/photos", None, "online", "", None, 11, False, "a later field"])
    assert not codec.root_from(ROOT_KEY, surplus).is_watched


@pytest.mark.parametrize("bit", range(0, 8 * 100, 7))
def test_any_flipped_bit_is_noticed(bit: int) -> None:
    value = bytearray(bytes.fromhex(GOLDEN["edge"]))
    value[bit // 8] ^= 1 << bit % 8
    with pytest.raises(frame.DamagedRecordError, match=f"{EDGE_KEY.hex()} of table edges"):
        frame.unframed("edges", EDGE_KEY, bytes(value))


def test_a_record_under_another_key_is_noticed() -> None:
    with pytest.raises(frame.DamagedRecordError):
        frame.unframed("edges", keys.pair_key(ContentId(1), ContentId(301)), bytes.fromhex(GOLDEN["edge"]))


def test_a_record_that_no_version_wrote_is_damage_not_a_crash() -> None:
    for body in (b"", b"\xc1", msgspec.msgpack.encode(["x"]), msgspec.msgpack.encode({"a": 1})):
        with pytest.raises(frame.DamagedRecordError):
            codec.root_from(ROOT_KEY, body)
        with pytest.raises(frame.DamagedRecordError):
            outbox.event_from(EVENT_KEY, body)
    with pytest.raises(frame.DamagedRecordError):
        codec.root_from(ROOT_KEY, msgspec.msgpack.encode([b"/", None, "no such state", "", None, 1]))
    for body in (b"", bytes(6), frame.vectors_body(VECTORS, 1)[:-1]):
        with pytest.raises(frame.DamagedRecordError):
            frame.vectors_from("vectors", CONTENT_KEY, body)
        good = (EDGE_KEY, frame.vectors_body(VECTORS, 1))
        with pytest.raises(frame.DamagedRecordError, match=CONTENT_KEY.hex()):
            list(frame.vectors_from_each("vectors", [good, (CONTENT_KEY, body)]))


def test_vectors_of_several_lengths_are_read_together() -> None:
    written = [VECTORS, np.eye(3, 5, dtype=np.float32), VECTORS[:1] * 0.5]
    rows = [(CONTENT_KEY, frame.vectors_body(vectors, model)) for model, vectors in enumerate(written)]
    for read, vectors in zip(frame.vectors_from_each("vectors", rows), written, strict=True):
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, vectors)
    assert list(frame.vectors_from_each("vectors", [])) == []


def test_text_that_is_no_utf8_is_kept_readable() -> None:
    """A camera's maker note or an error text with a path in it must not stop the daemon."""
    fact = Degraded(what="index", message="d\udce9j\u00e0")
    event = outbox.event_from(EVENT_KEY, outbox.event_body(fact, 1))
    assert event.fact == Degraded(what="index", message="d\\udce9j\u00e0")


def test_numpy_numbers_are_stored_as_numbers() -> None:
    edge = content_codec.edge_from(EDGE_KEY, content_codec.edge_body(with_similarity(np.float32(0.75))))
    assert edge == EDGE
    edge = content_codec.edge_from(EDGE_KEY, content_codec.edge_body(with_similarity(np.float64(0.75))))
    assert edge == EDGE


def with_similarity(similarity: object) -> Edge:
    fields = {name: getattr(EDGE, name) for name in EDGE.__slots__} | {"similarity": similarity}
    return Edge(**fields)  # type: ignore[arg-type]
