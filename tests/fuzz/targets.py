"""What is fuzzed: for each parser of bytes that others write, a function that lets only a fault of ours escape.

Each has seeds, valid inputs that a mutator starts from. Found inputs are kept in `corpus/`, a folder for each target.
"""

import io
import random
import shutil
import socket
import struct
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
from fakes.libjpeg import eighth_by_libjpeg
from PIL import Image

from dedupd.cleanup import actor_wire, journal
from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.journal_records import Act, ActKind, Intended, Known, RunStarted, Settled
from dedupd.cleanup.places import Base, Place
from dedupd.cleanup.plan_file import decode_plan, encode_plan, plan_id
from dedupd.core.cleanup_plan import Action, Limits, Outcome, OutcomeKind, Plan, RunKind
from dedupd.core.errors import ConfigError, RequestError, StoreDamagedError
from dedupd.core.folder_globs import FolderGlobs
from dedupd.core.ignore_rules import IgnoreRules, may_be_picture
from dedupd.core.ports import Model
from dedupd.core.records import FileStat, ModelTag, ProblemCode, Relation, Sequence
from dedupd.imaging import wire
from dedupd.imaging.digest import image_data
from dedupd.imaging.eighth import decode_eighth
from dedupd.imaging.exif import read_tags
from dedupd.imaging.formats import ends_early, motion_bytes, sniff
from dedupd.imaging.limits import DecodeLimits, UnreadableImageError
from dedupd.imaging.metadata import capture_of, has_notes, xmp_rating
from dedupd.index.snapshot import Manifest, read_snapshot
from dedupd.settings.load import parse_settings

CORPUS = Path(__file__).parent / "corpus"
_MODEL = Model(tag=ModelTag("model"), dim=8, candidate_similarity=0.9)


class Check(Protocol):
    """Gives bytes to a parser; any exception that comes out is a finding."""

    def __call__(self, data: bytes) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Target:
    """One parser."""

    check: Check
    seeds: tuple[bytes, ...]

    def found(self, name: str) -> list[bytes]:
        """Inputs that once were findings."""
        return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


def _through_a_socket(data, receive):
    ours, theirs = socket.socketpair()
    sender = threading.Thread(target=lambda: (theirs.sendall(data), theirs.close()), daemon=True)
    with ours:
        ours.settimeout(10)
        if len(data) < 60_000:  # fits the socket's buffer
            theirs.sendall(data)
            theirs.close()
        else:
            sender.start()
        receive(ours)


def check_imaging_wire(data):
    for decoder in (wire.request_decoder, wire.reply_decoder):
        for frame in (data, struct.pack("<I", len(data)) + data):
            try:
                _through_a_socket(frame, lambda sock, d=decoder: wire.receive_with_descriptor(sock, d))
            except (EOFError, OSError, msgspec.DecodeError):
                continue


def check_actor_wire(data):
    for receive in (actor_wire.receive_request, actor_wire.receive_reply):
        for frame in (data, struct.pack(">I", len(data)) + data):
            try:
                _through_a_socket(frame, receive)
            except actor_wire.BrokenTalkError:
                continue


def check_plan(data):
    try:
        plan = decode_plan(data, plan_id(data))
    except RequestError:
        return
    again = encode_plan(plan)  # whatever was read can be written and read again
    assert decode_plan(again, plan_id(again)) == plan


def check_journal(data):
    """The bytes as a journal file, and as records whose checksums are right."""
    lines = data.split(b"\n")
    sealed = b"".join(journal._line(number, line) for number, line in enumerate(lines, start=1))
    directory = Path(tempfile.mkdtemp(dir=_memory()))
    try:
        for text in (data, sealed, sealed[: len(sealed) // 2]):
            (directory / "00000001.journal").write_bytes(text)
            try:
                list(journal.Journal(directory, FileCalls()).load())
            except StoreDamagedError:
                continue
    finally:
        shutil.rmtree(directory)


def check_matcher(data):
    """A glob, a line end, a path."""
    glob, _, path = data.partition(b"\n")
    glob, path = glob[:60], path[:200]
    for make in (IgnoreRules, FolderGlobs):
        try:
            rules = make([glob])
        except ValueError:
            continue
        if isinstance(rules, IgnoreRules):
            rules.is_path_ignored(path)
            rules.is_ignored(b"", path)
        else:
            assert rules.rank(b"/" + path) in {0, 1}
    may_be_picture(path)


def check_metadata(data):
    capture_of(read_tags(data))
    for key in ("xmp", "XML:com.adobe.xmp"):
        assert xmp_rating({key: data}) in {None, -1, 0, 1, 2, 3, 4, 5}
        has_notes({key: data})
    try:
        fmt = sniff(data)
    except UnreadableImageError as error:
        if error.code not in {ProblemCode.EMPTY, ProblemCode.UNSUPPORTED, ProblemCode.NOT_AN_IMAGE}:
            raise AssertionError from error
    else:
        ends_early(data, fmt)
    assert 0 <= motion_bytes(data) <= len(data)


def check_jpeg(data):
    found = image_data(data, orientation=1, icc_profile=data)
    assert found is None or 0 <= found.size_bytes + found.trailing_bytes <= len(data)


def check_eighth(data):
    """What the compiled decoder answers is what libjpeg decodes, without a complaint."""
    found = decode_eighth(data)
    if found is None:
        return
    image = eighth_by_libjpeg(data)
    assert found.size == image.size
    assert image.tobytes() == found.pixels


def check_manifest(data):
    directory = Path(tempfile.mkdtemp(dir=_memory()))
    try:
        (directory / "7.json").write_bytes(data)
        (directory / "7.faiss").write_bytes(b"")
        (directory / "CURRENT").write_bytes(data[:40])
        assert isinstance(read_snapshot(directory, _MODEL, Sequence(9)), str)
    finally:
        shutil.rmtree(directory)


def check_settings(data):
    try:
        parse_settings(data.decode("utf-8", errors="replace"), "file")
    except ConfigError:
        return


def _memory():
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _exif():
    entries = [(0x010F, 2, 6, 50), (0x0112, 3, 1, 6), (0x8769, 4, 1, 60), (0x8825, 4, 1, 90)]
    body = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + body + bytes(20) + b"2024:05:06 07:08:09\0" + bytes(60)


def _jpeg():
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\x12\xff\x00\x34\xff\xd0\x56"
    frame = b"\xff\xc0\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00"
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + frame + scan + b"\xff\xd9"


def _photo(**options):
    """A small JPEG with noise in it."""
    out = io.BytesIO()
    pixels = Image.frombytes("RGB", (40, 30), random.Random(1).randbytes(3600))
    pixels.resize((70, 50)).save(out, "JPEG", **options)
    return out.getvalue()


def _manifest():
    made = Manifest(
        schema=1, model="model", dim=8, kind="exact-fp16", count=0, vectors=0, sequence=7, bytes=0,
        blake3="af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262", faiss="1",
    )  # fmt: skip
    return msgspec.json.encode(made.sealed())


def _packed(*messages):
    return tuple(msgspec.msgpack.encode(message) for message in messages)


_SIDE = wire.Side(content=1, preview=b"\xff\xd8", width_px=8, height_px=8)
_UNDO = actor_wire.Undo(plan_id=None, items=frozenset({1, 2}))
_PLAN = encode_plan(
    Plan(
        created_at_ns=1,
        expires_at_ns=2,
        policy="best",
        keep=("path",),
        relations=(Relation.SAME_BYTES,),
        action=Action.QUARANTINE,
        folder=b"",
        limits=Limits(),
        roots=(),
        items=(),
        left_alone=(),
        groups_mark=b"m" * 32,
    )
)


def _journal():
    place = Place(base=b"/photos", below=b"a.jpg")
    file = Known(place=place, stat=FileStat(dev=1, ino=2, size_bytes=3, mtime_ns=4, ctime_ns=5), digest=b"d" * 32)
    act = Act(kind=ActKind.RENAME, file=file, target=place, kept=file, is_exact=True, takes=True, path=b"/photos/a.jpg")
    outcome = Outcome(
        sequence=1, at_ns=1, run=RunKind.APPLY, plan="a", item=1, kind=OutcomeKind.DONE, path=b"/photos/a.jpg",
        now_at=b"/photos/b", digest=b"d" * 32, kept=b"/photos/c", size_bytes=3, detail="",
    )  # fmt: skip
    base = Base(path=b"/photos", dev=1, ino=1, fsid=1)
    records = (
        RunStarted(run=1, kind=RunKind.APPLY, plan_id="a", at_ns=1, items=(1,), bases=(base,)),
        Intended(run=1, unit=1, plan_id="a", item=1, acts=(act,)),
        Settled(run=1, unit=1, outcomes=(outcome,), inos=(2,)),
    )
    return b"\n".join(map(msgspec.json.encode, records))


TARGETS = {
    "imaging_wire": Target(
        check=check_imaging_wire,
        seeds=_packed(
            wire.Setup(DecodeLimits()),
            wire.Read(),
            wire.Compare(_SIDE, _SIDE),
            wire.Rendered(b"abc", 1, 1),
            wire.Failed(ProblemCode.DAMAGED, "why"),
        ),
    ),
    "actor_wire": Target(
        check=check_actor_wire,
        seeds=(
            msgspec.json.encode(_UNDO),
            msgspec.json.encode(actor_wire.Apply(plan_id="a" * 64, plan=msgspec.Raw(_PLAN))),
            msgspec.json.encode(actor_wire.Counted(files=1, bytes_=2)),
            msgspec.json.encode(actor_wire.Refused(code="bad-request", message="why")),
        ),
    ),
    "plan": Target(check=check_plan, seeds=(_PLAN,)),
    "journal": Target(check=check_journal, seeds=(_journal(), _journal().split(b"\n")[0])),
    "matcher": Target(
        check=check_matcher,
        seeds=(b"*.part\na/b.part", b"a/**/b?\na/x/y/bc", b"[!a-c]*/\nd/e", b"/best/[[]x]\nbest/[x]", b"[]]\n]"),
    ),
    "metadata": Target(
        check=check_metadata,
        seeds=(
            _exif(),
            b'<x:xmpmeta><rdf:Description xmp:Rating="5"/></x:xmpmeta>',
            b"<xmp:Rating>3</xmp:Rating>",
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x10mpvd" + bytes(8),
            b"RIFF\x10\0\0\0WEBPVP8 ",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(17),
            b"II*\0\x08\0\0\0\x01\0\x06\x01\x03\0\x01\0\0\0\x23\x80\0\0\0\0\0\0",
        ),
    ),
    "jpeg": Target(check=check_jpeg, seeds=(_jpeg(), _jpeg() + b"tail")),
    "eighth": Target(
        check=check_eighth,
        seeds=(_photo(quality=40), _photo(quality=97, subsampling=0, optimize=True), _photo(restart_marker_blocks=3)),
    ),
    "manifest": Target(check=check_manifest, seeds=(_manifest(), b"{}")),
    "settings": Target(
        check=check_settings,
        seeds=(
            b'roots = ["/a"]\n[decode]\nworkers = 2\n[watch]\nignore = ["*.tmp"]\n',
            b'[cleanup.policies.p]\nrelations = ["same-bytes"]\naction = "quarantine"\n',
            b'[models]\nuse = ["a"]\n[alerts]\nurls = ["json://localhost"]\n',
        ),
    ),
}


def mutated(seed: bytes, rng: random.Random) -> bytes:
    """The seed with one to four small changes, as a mutator would make them."""
    data = bytearray(seed)
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(data))
        match rng.randrange(5):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[at : at + rng.randint(1, 8)]
            case 2:
                data[at:at] = data[max(0, at - rng.randint(1, 16)) : at]
            case 3:
                data[at : at + 4] = rng.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"[]{}", b"\"\\'\n"])
            case _:
                data = data[: rng.randint(0, len(data))]
    return bytes(data)
