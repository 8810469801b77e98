"""The index at start: from a snapshot, behind it, ahead of it, damaged, half written, never with a wrong answer."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from fakes.vector_library import DIMENSIONS, VectorLibrary

from dedupd.core.errors import DegradedError
from dedupd.core.ports import Model
from dedupd.core.records import ModelTag, Sequence
from dedupd.index.catch_up import CHUNK, OpenedIndex, open_index, save_snapshot
from dedupd.index.snapshot import Manifest

DIM = DIMENSIONS
MODEL = Model(tag=ModelTag("test-1"), dim=DIM, candidate_similarity=0.8)
IVF_FROM = 150
TESTS = Path(__file__).parents[2]


@pytest.fixture
def library():
    made = VectorLibrary()
    made.link(*range(1, 101))
    return made


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "index"


def opened(directory: Path, library: VectorLibrary, model: Model = MODEL) -> OpenedIndex:
    """Open, and hold the result to what must be true whatever happened before."""
    result = open_index(directory, model, library, exact_below=IVF_FROM)
    assert library.open_views == 0
    assert result.sequence == library.sequence
    assert len(result.index) == len(library.linked)
    answers = result.index.search(list(library.linked.values()), limit=1, min_similarity=0.9999)
    assert [[n.content for n in found] for found in answers] == [[content] for content in library.linked]
    everything = result.index.search([np.eye(1, DIM, dtype=np.float32)], limit=10_000, min_similarity=-1)[0]
    assert {n.content for n in everything} <= set(library.linked)
    return result


def saved(directory: Path, library: VectorLibrary) -> OpenedIndex:
    """An up-to-date snapshot in the directory."""
    result = opened(directory, library)
    result.index.grow_if_due()
    save_snapshot(result.index, directory, MODEL, result.sequence)
    return result


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_first_start_reads_everything(directory, library):
    assert opened(directory, library).origin == "rebuilt: no snapshot"


def test_empty_library_opens_saves_and_opens_again(directory):
    library = VectorLibrary()
    saved(directory, library)
    assert opened(directory, library).origin == "snapshot"


@pytest.mark.parametrize("exact_below", [10**6, 10])
def test_snapshot_holds_the_index_whatever_its_kind(directory, library, exact_below):
    index = open_index(directory, MODEL, library, exact_below=exact_below).index
    assert index.grow_if_due() == (exact_below == 10)
    save_snapshot(index, directory, MODEL, Sequence(library.sequence))
    result = opened(directory, library)
    assert result.origin == "snapshot"
    assert result.index.kind == index.kind
    library.forget(*range(1, 51))
    library.link(200)
    assert opened(directory, library).origin == "snapshot+51"


def test_index_made_anew_says_that_another_kind_is_due(directory, library):
    told = []
    index = open_index(directory, MODEL, library, exact_below=10, on_due=told.append).index
    assert told == [index]
    assert open_index(directory, MODEL, library, exact_below=10**6, on_due=told.append).origin.startswith("rebuilt")
    assert told == [index]


def test_killed_while_it_grows_starts_from_the_kind_before(directory, library):
    """Growth lives in memory alone: a snapshot that is written meanwhile is of what still answers."""
    index = open_index(directory, MODEL, library, exact_below=10**6).index
    save_snapshot(index, directory, MODEL, Sequence(library.sequence))
    grows = open_index(directory, MODEL, library, exact_below=10).index
    load, written = grows._load, []

    def write_meanwhile(contents):
        if not written:
            written.append(library.link(900))
            grows.add([900], load([900]))
            save_snapshot(grows, directory, MODEL, Sequence(library.sequence))
        return load(contents)

    grows._load = write_meanwhile
    assert grows.grow_if_due()
    result = opened(directory, library)
    assert result.origin == "snapshot"
    assert result.index.kind == "exact-fp16"
    assert 900 in grows


def test_lagging_snapshot_is_brought_up_to_date(directory, library):
    saved(directory, library)
    library.forget(3, 4)
    library.link(500, 501)
    library.link(7, variant=1)
    library.link(600)
    library.forget(600)
    assert opened(directory, library).origin == "snapshot+7"


def test_long_log_is_replayed_in_several_views(directory, library):
    saved(directory, library)
    for variant in range(1, CHUNK // 40 + 2):
        library.link(*range(41, 81), variant=variant)
    library.forget(41)
    assert opened(directory, library).origin == f"snapshot+{CHUNK + 41}"
    library.trim_log()
    saved(directory, library)
    library.link(*(1_000 for _ in range(CHUNK)))  # exactly one view full
    assert opened(directory, library).origin == f"snapshot+{CHUNK}"


def test_log_trimmed_past_the_snapshot_means_rebuild(directory, library):
    saved(directory, library)
    library.link(300)
    library.trim_log()
    library.link(301)
    assert opened(directory, library).origin == "rebuilt: the change log does not reach back to 100"


def test_snapshot_that_disagrees_with_the_store_after_replay_means_rebuild(directory, library):
    saved(directory, library)
    library.link(300)
    library.log.pop()
    assert opened(directory, library).origin.startswith("rebuilt: the index holds 100 contents after the replay")


def test_contents_that_are_not_linked_yet_are_no_disagreement(directory, library):
    saved(directory, library)
    library.unlinked = 40
    assert opened(directory, library).origin == "snapshot"


def test_leading_snapshot_is_discarded_for_good(directory, library):
    """A store restored from a backup must not meet the snapshot of its lost future when it has come as far again."""
    backup = VectorLibrary()
    backup.link(*range(1, 91))
    saved(directory, library)
    assert opened(directory, backup).origin == "rebuilt: snapshot 100 is ahead of the store, which is at 90"
    backup.link(*range(1_001, 1_021))
    assert opened(directory, backup).origin == "rebuilt: no snapshot"


def test_older_snapshot_serves_when_the_newest_is_ahead(directory, library):
    saved(directory, library)
    ahead = VectorLibrary()
    ahead.link(*range(1, 151))
    saved(directory, ahead)
    assert opened(directory, library).origin == "snapshot"


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (replace(MODEL, tag=ModelTag("test-2")), "it is of model test-1, not test-2"),
        (replace(MODEL, dim=DIM * 2), "it is of model test-1"),
    ],
)
def test_snapshot_of_another_model_is_not_used(directory, model, reason):
    library = VectorLibrary()  # empty: its vectors fit any model
    saved(directory, library)
    result = open_index(directory, model, library)
    assert reason in result.origin
    assert result.index.dim == model.dim


def test_last_two_snapshots_are_kept_and_the_log_is_needed_after_the_older(directory, library):
    index = open_index(directory, MODEL, library).index
    assert [save_snapshot(index, directory, MODEL, Sequence(s)) for s in (100, 200, 300, 300)] == [100, 100, 200, 200]
    assert names(directory) == {"200.faiss", "200.json", "300.faiss", "300.json", "CURRENT"}
    assert (directory / "CURRENT").read_text() == "300\n"


def test_damaged_newest_falls_back_to_the_one_before(directory, library):
    saved(directory, library)
    library.link(150)
    saved(directory, library)
    (directory / "101.faiss").write_bytes(b"")
    assert opened(directory, library).origin == "snapshot+1"
    (directory / "100.json").unlink()
    assert opened(directory, library).origin.startswith("rebuilt: snapshot 101: its length")


@pytest.mark.parametrize("content", [b"", b"99\n", b"\xff\xfe", b"-5", b"9" * 500, None])
def test_current_is_only_a_hint(directory, library, content):
    saved(directory, library)
    if content is None:
        (directory / "CURRENT").unlink()
    else:
        (directory / "CURRENT").write_bytes(content)
    assert opened(directory, library).origin == "snapshot"


@pytest.mark.parametrize("name", ["100.faiss", "100.json"])
def test_missing_file_means_rebuild(directory, library, name):
    saved(directory, library)
    (directory / name).unlink()
    assert opened(directory, library).origin.startswith("rebuilt: ")


@pytest.mark.parametrize("name", ["100.faiss", "100.json"])
def test_directory_in_place_of_a_file_means_rebuild(directory, library, name):
    saved(directory, library)
    (directory / name).unlink()
    (directory / name).mkdir()
    assert opened(directory, library).origin.startswith("rebuilt: ")


@pytest.mark.parametrize("name", ["100.faiss", "100.json"])
def test_file_cut_anywhere_means_rebuild(directory, library, name):
    saved(directory, library)
    path = directory / name
    whole = path.read_bytes()
    for length in np.linspace(0, len(whole) - 2, 64).astype(int):  # the last byte of a manifest is only a bracket away
        path.write_bytes(whole[:length])
        assert opened(directory, library).origin.startswith("rebuilt: ")
    path.write_bytes(whole)
    assert opened(directory, library).origin == "snapshot"


@pytest.mark.parametrize("name", ["100.faiss", "100.json"])
def test_flipped_bit_anywhere_never_gives_another_index(directory, library, name):
    saved(directory, library)
    library.link(800)  # so that another sequence or count in the manifest would show
    path = directory / name
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    for place in rng.choice(len(whole), min(len(whole), 80), replace=False):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        origin = opened(directory, library).origin
        assert origin.startswith("rebuilt: ") or (name == "100.json" and damaged[place : place + 1].isspace())


@pytest.mark.parametrize("kept", [0, 0.5, 0.99])
def test_bytes_that_are_no_index_are_refused_even_under_a_fitting_manifest(directory, library, kept):
    saved(directory, library)
    path = directory / "100.faiss"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)] or b"no index at all")
    seal(directory)
    assert "FAISS cannot read it" in opened(directory, library).origin


@pytest.mark.parametrize(
    "claim", [{"count": 99}, {"vectors": 1}, {"kind": "ivf128-sq8"}, {"schema": 2}, {"sequence": 50}]
)
def test_manifest_that_does_not_fit_its_index_is_refused(directory, library, claim):
    saved(directory, library)
    seal(directory, **claim)
    assert opened(directory, library).origin.startswith("rebuilt: snapshot 100: ")


def test_index_of_another_make_is_refused(directory, library):
    from dedupd.index.faiss_binding import faiss

    saved(directory, library)
    faiss.write_index(faiss.IndexFlatIP(DIM), str(directory / "100.faiss"))
    seal(directory)
    assert "IndexFlatIP that this version does not make" in opened(directory, library).origin


def seal(directory: Path, **claims: object) -> None:
    """Make the manifest fit the file that is there, but for these claims."""
    from blake3 import blake3

    path = directory / "100.json"
    content = (directory / "100.faiss").read_bytes()
    manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    fields = {"bytes": len(content), "blake3": blake3(content).hexdigest(), **claims}
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, **fields).sealed()))


def test_write_interrupted_after_any_step_leaves_a_good_index(directory, library, tmp_path):
    saved(directory, library)
    before = tmp_path / "before"
    shutil.copytree(directory, before)
    library.link(150)
    saved(directory, library)
    after = {name: (directory / name).read_bytes() for name in names(directory)}
    torn = after["101.faiss"][:1000]
    steps = [
        {"101.faiss.tmp": torn},
        {"101.faiss": after["101.faiss"]},
        {"101.faiss": after["101.faiss"], "101.json.tmp": b"{"},
        {"101.faiss": after["101.faiss"], "101.json": after["101.json"]},
        {"101.faiss": after["101.faiss"], "101.json": after["101.json"], "CURRENT.tmp": b""},
        {"101.json": after["101.json"], "CURRENT": after["CURRENT"]},  # a disk that reordered: CURRENT ran ahead
        {"101.faiss": torn, "101.json": after["101.json"], "CURRENT": after["CURRENT"]},
    ]
    for step in steps:
        shutil.rmtree(directory)
        shutil.copytree(before, directory)
        for name, content in step.items():
            (directory / name).write_bytes(content)
        assert opened(directory, library).origin == "snapshot+1"
        saved(directory, library)
        assert names(directory) == {"100.faiss", "100.json", "101.faiss", "101.json", "CURRENT"}
        assert opened(directory, library).origin == "snapshot"


WRITER = """
import importlib.util, sys
from pathlib import Path
sys.path.insert(0, sys.argv[4])
spec = importlib.util.spec_from_file_location("theirs", sys.argv[1])
theirs = sys.modules["theirs"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(theirs)
library = theirs.VectorLibrary()
library.link(*range(1, int(sys.argv[3])))
opened = theirs.open_index(Path(sys.argv[2]), theirs.MODEL, library)
while True:
    library.link(library.sequence + 1)
    content = list(library.linked)[-1]
    opened.index.add([content], [library.linked[content]])
    theirs.save_snapshot(opened.index, Path(sys.argv[2]), theirs.MODEL, library.sequence)
    print(library.sequence, flush=True)
"""


def test_writer_killed_at_any_moment_leaves_the_snapshot_it_reported(directory, library):
    first = 101
    for saves in (1, 4, 9):
        arguments = [sys.executable, "-c", WRITER, __file__, str(directory), str(first), str(TESTS)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as writer:
            reported = [int(writer.stdout.readline()) for _ in range(saves)][-1]
            writer.send_signal(signal.SIGKILL)
        assert reported == first + saves - 1
        first = reported + 100  # the store has gone on; the writer may have too, unreported
        library.link(*range(library.sequence + 1, first))
        origin = opened(directory, library).origin
        assert origin.startswith("snapshot+")
        assert int(origin.removeprefix("snapshot+")) <= 99


def test_full_disk_is_reported_and_leaves_the_snapshot_before(directory, library):
    result = saved(directory, library)
    library.link(150)
    present = names(directory)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        with pytest.raises(DegradedError, match=r"index snapshot in .*index: File too large; nothing is lost"):
            save_snapshot(result.index, directory, MODEL, Sequence(101))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(directory) == present
    assert opened(directory, library).origin == "snapshot+1"


def test_directory_that_cannot_be_made_is_reported(tmp_path, library):
    (tmp_path / "index").write_bytes(b"a file")
    index = opened(tmp_path / "index", library).index
    with pytest.raises(DegradedError, match="File exists"):
        save_snapshot(index, tmp_path / "index", MODEL, Sequence(100))


def test_only_the_owner_may_look_into_the_directory(directory, library):
    saved(directory, library)
    assert directory.stat().st_mode & 0o077 == 0
