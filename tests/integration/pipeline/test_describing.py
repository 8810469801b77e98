"""Describe: every pending file is read once, whatever dies, vanishes, changes or stays away meanwhile."""

import os

import blake3

from dedupd.core.events import DuplicateFound, FileSetAside
from dedupd.core.records import FileStage, ProblemCode, RootState
from dedupd.pipeline.housekeep import retry_after_upgrade, retry_set_aside, sweep_orphans


def set_aside(bench):
    return [(os.fsdecode(f.path.relative()), f.code) for f in bench.events(FileSetAside)]


def test_a_picture_that_kills_its_decoder_is_set_aside_not_read_for_ever(bench):
    # The pool asks "is it known?" again for its second attempt; the first attempt's own claim must not answer yes.
    bench.write("bomb.jpg", "killer")
    bench.scan()
    bench.read(limit=12)
    assert bench.record("bomb.jpg").problem.code is ProblemCode.DECODER_DIED
    assert len(bench.reader.read_paths) == 1
    assert set_aside(bench) == [("bomb.jpg", ProblemCode.DECODER_DIED)]


def test_what_is_read_last_waits_for_no_company(bench, monkeypatch):
    bench.write("last.jpg", "scene")
    bench.scan()
    results, waits = bench.describe._results, []

    class Watched:
        get_nowait, put = results.get_nowait, results.put

        def get(self, timeout):
            waits.append(bench.describe._reading)
            return results.get(timeout=timeout)

    monkeypatch.setattr(bench.describe, "_results", Watched())
    monkeypatch.setattr(bench.describe, "_clock", bench.clock)  # it stands
    bench.describe._step()
    assert bench.known() == {"last.jpg": "indexed"}
    assert 0 not in waits, "reads under way at each wait"


def test_files_are_read_once_workers_can_be_started_again(bench):
    for number in range(20):
        bench.write(f"{number}.jpg", f"scene{number}")
    bench.scan()
    bench.reader.is_failing = True
    for _ in range(6):
        bench.read_once()
    assert set(bench.known().values()) == {"pending"}
    assert len(bench.reader.read_paths) <= 12, "it must wait before it asks a pool that cannot start workers again"
    bench.reader.is_failing = False
    for _ in range(60):
        bench.read_once()
    assert set(bench.known().values()) == {"indexed"}


def test_pending_files_of_an_offline_root_do_not_keep_others_from_being_read(make_bench):
    bench = make_bench(roots=("away", "here"))
    for number in range(400):
        bench.write(f"{number}.jpg", f"away{number}")
    bench.scan()
    assert bench.counts().files_pending == 400
    bench.photos.rename(bench.tmp_path / "unplugged")
    bench.clock.advance(6)
    bench.scan()
    assert bench.root_record().state is RootState.OFFLINE
    bench.write("new.jpg", "new", root=bench.root_paths[1])
    bench.intake.scan(None)
    bench.look()
    bench.read()
    assert bench.record("new.jpg", root=2).stage is FileStage.INDEXED
    assert bench.counts().files_pending == 400


def test_what_waits_for_an_offline_root_is_not_looked_up_in_every_step(make_bench):
    bench = make_bench(roots=("away", "here"))
    for number in range(300):
        bench.write(f"{number}.jpg", f"away{number}")
    bench.scan()
    bench.photos.rename(bench.tmp_path / "unplugged")
    bench.clock.advance(6)
    bench.scan()
    looked_up = []
    pending = bench.describe._pending
    wants_root = pending._root_path
    pending._root_path = lambda root: looked_up.append(root) or wants_root(root)
    bench.read_once()
    assert len(looked_up) >= 300
    looked_up.clear()
    for _ in range(2):
        bench.describe._wake()  # a wake-up that brings no new files
        bench.describe._step()
    assert looked_up == []
    (bench.tmp_path / "unplugged").rename(bench.photos)
    bench.clock.advance(6)
    bench.look(3)
    pending._root_path = wants_root
    bench.read()
    assert bench.counts().files_pending == 0


def test_an_arrival_that_the_backlog_holds_too_is_read_once(bench):
    for number in range(30):
        bench.write(f"{number}.jpg", f"scene{number}")
    bench.scan()
    bench.reader.is_held = True
    bench.read_once()  # the backlog is fetched
    bench.describe.arrive(bench.path("29.jpg"))
    bench.reader.release()
    bench.work()
    assert len(bench.reader.read_paths) == len(set(bench.reader.read_paths)) == 30


def test_a_file_that_changes_between_reading_and_commit_is_read_again(bench):
    path = bench.write("a.jpg", "before")
    bench.scan()
    bench.reader.is_held = True
    bench.read_once()
    bench.reader.read_now(os.fsencode(path))  # what the worker saw …
    bench.write("a.jpg", "after", "long enough to have another size")
    bench.dirty("")  # … is registered anew before it is committed
    bench.reader.release()
    bench.work()
    with bench.library.view() as view:
        content = view.content(bench.record("a.jpg").content)
    assert content.size_bytes == path.stat().st_size
    assert bench.record("a.jpg").stat.mtime_ns == path.stat().st_mtime_ns


def test_an_empty_file_that_is_filled_meanwhile_is_not_set_aside_for_good(bench):
    path = bench.write("a.jpg", b"")
    bench.scan()
    bench.reader.is_held = True
    bench.read_once()
    bench.reader.read_now(os.fsencode(path))
    bench.write("a.jpg", "filled")
    bench.dirty("")
    bench.reader.release()
    bench.work()
    assert bench.record("a.jpg").stage is FileStage.INDEXED


def test_a_file_that_vanishes_before_it_is_read_is_no_problem_and_not_asked_for_in_a_circle(bench):
    path = bench.write("a.jpg", "a")
    bench.write("z.jpg", "z")
    bench.scan()
    path.unlink()
    for _ in range(4):
        bench.read_once()
    assert bench.reader.read_paths.count(os.fsencode(path)) == 1
    bench.look()
    bench.ripen()
    bench.work()
    assert bench.known() == {"a.jpg": "missing", "z.jpg": "indexed"}
    assert set_aside(bench) == []


def test_a_root_that_vanishes_while_its_files_are_read_gives_no_problems(bench):
    for number in range(60):
        bench.write(f"{number}.jpg", f"scene{number}")
    bench.scan()
    bench.photos.rename(bench.tmp_path / "unplugged")
    bench.photos.mkdir()  # the mount point under it
    for _ in range(5):
        bench.read_once()
        bench.look()
    bench.ripen()
    assert set(bench.known().values()) == {"pending"}
    assert set_aside(bench) == []
    assert bench.root_record().state is RootState.SUSPECT


def test_a_copy_whose_claimant_cannot_be_described_is_read_again(bench):
    bench.write("a.jpg", "same")
    bench.write("b.jpg", "same")
    bench.scan()
    bench.embedder.is_broken = True
    while not set_aside(bench):
        bench.read_once()
    bench.embedder.is_broken = False
    bench.work()
    stages = bench.known()
    assert sorted(stages.values()) == ["indexed", "set-aside"]
    assert len(set_aside(bench)) == 1


def test_a_copy_of_what_is_being_decoded_waits_for_it_and_is_not_decoded(bench):
    first, second = bench.write("a.jpg", "same"), bench.write("b.jpg", "same")
    bench.scan()
    bench.reader.is_held = True
    bench.read_once()
    [is_known] = [is_known for _, path, is_known in bench.reader.held if path == os.fsencode(first)]
    assert is_known(blake3.blake3(first.read_bytes()).digest()) is False  # the worker decodes now
    bench.reader.read_now(os.fsencode(second))
    bench.read_once()
    assert bench.known() == {"a.jpg": "pending", "b.jpg": "pending"}
    bench.reader.release()
    bench.work()
    assert set(bench.known().values()) == {"indexed"}
    assert bench.reader.decoded == [os.fsencode(first)]
    assert len(bench.told()) == 1


# ------------------------------------------------------------------------------------------------------------ problems


def test_a_truncated_file_is_tried_after_1_5_and_30_minutes_then_daily_and_told_once(bench):
    bench.write("half.jpg", "truncated")
    bench.scan()
    bench.read()
    waits = []
    for _ in range(5):
        problem = bench.record("half.jpg").problem
        waits.append((problem.retry_at_ns - problem.at_ns) / 1e9)
        assert retry_set_aside(bench.library, problem.retry_at_ns - 1) == 0
        assert retry_set_aside(bench.library, problem.retry_at_ns) == 1
        bench.read()
    assert [round(wait) for wait in waits] == [60, 300, 1800, 86_400, 86_400]
    assert bench.record("half.jpg").attempts == 6
    assert set_aside(bench) == [("half.jpg", ProblemCode.TRUNCATED)]


def test_what_a_decoder_could_not_read_is_tried_again_by_another_one_once(bench):
    bench.write("broken.jpg", "killer")
    bench.write("half.jpg", "truncated")
    bench.scan()
    bench.read()
    assert retry_after_upgrade(bench.library, "pillow 12") == 1, "a store that never said by which"
    bench.read()
    assert retry_after_upgrade(bench.library, "pillow 12") == 0
    assert bench.record("broken.jpg").stage is FileStage.SET_ASIDE
    assert retry_after_upgrade(bench.library, "pillow 13") == 1
    assert bench.record("broken.jpg").stage is FileStage.PENDING
    assert bench.record("half.jpg").stage is FileStage.SET_ASIDE, "that lies with the file, and is tried by the clock"
    bench.read()
    assert retry_after_upgrade(bench.library, "pillow 13") == 0
    assert len(set_aside(bench)) == 2, "told once each"


def test_a_file_that_grows_in_pauses_is_told_once_and_heals(bench):
    for size in range(3):
        bench.write("slow.jpg", "truncated", "x" * size)
        bench.dirty("", closed=["slow.jpg"])
        bench.read()
    assert set_aside(bench) == [("slow.jpg", ProblemCode.TRUNCATED)]
    bench.write("slow.jpg", "whole")
    bench.dirty("", closed=["slow.jpg"])
    bench.work()
    record = bench.record("slow.jpg")
    assert (record.stage, record.problem, record.attempts) == (FileStage.INDEXED, None, 0)


def test_files_of_a_root_that_is_not_watched_are_not_made_pending_again(make_bench):
    bench = make_bench(roots=("photos", "other"))
    bench.write("half.jpg", "truncated")
    bench.scan()
    bench.read()
    bench.intake.configure([os.fsencode(bench.root_paths[1])])
    bench.look()
    assert retry_set_aside(bench.library, bench.record("half.jpg").problem.retry_at_ns) == 0


def test_what_is_pending_in_an_unwatched_root_does_not_keep_orphans_for_ever(make_bench):
    bench = make_bench(roots=("photos", "other"))
    bench.write("a.jpg", "a", root=bench.root_paths[1])
    bench.settle_all()
    bench.write("waits.jpg", "waits")
    bench.scan()
    bench.write("a.jpg", "b", root=bench.root_paths[1])
    bench.dirty("", root=2)
    assert sweep_orphans(bench.library, bench.previews, bench.link.forget) == 0
    bench.intake.configure([os.fsencode(bench.root_paths[1])])
    bench.look()
    bench.work()
    assert bench.record("waits.jpg").stage is FileStage.PENDING
    assert sweep_orphans(bench.library, bench.previews, bench.link.forget) == 1


# ------------------------------------------------------------------------------------------------------- told only once


def test_a_duplicate_that_is_only_touched_is_not_told_again(bench):
    bench.write("a.jpg", "same")
    bench.write("b.jpg", "same")
    bench.settle_all()
    assert len(bench.told()) == 1
    content = bench.record("a.jpg").content
    bench.reader.decoded.clear()
    for name in ("a.jpg", "b.jpg"):
        (bench.photos / name).chmod(0o600)
        bench.age(bench.photos / name, 1800)
    bench.dirty("")
    bench.work()
    assert (bench.record("a.jpg").content, bench.record("b.jpg").content) == (content, content)
    assert bench.reader.decoded == []
    assert len(bench.told()) == 1


def test_a_file_that_becomes_a_duplicate_by_a_change_is_told(bench):
    bench.write("a.jpg", "one")
    bench.write("b.jpg", "two")
    bench.settle_all()
    bench.write("b.jpg", "one")
    bench.dirty("", closed=["b.jpg"])
    bench.work()
    assert bench.told() == ["b.jpg"]


def test_two_copies_in_one_batch_are_told_once_each_when_they_match_an_older_picture_too(bench):
    bench.write("old.jpg", "beach", "first")
    bench.settle_all()
    bench.reader.is_held = True
    for name in ("a.jpg", "b.jpg"):
        bench.write(name, "beach", "again")
        bench.dirty("")
    bench.read_once()
    bench.reader.read_now(os.fsencode(bench.photos / "b.jpg"))  # the one that was registered later comes first
    bench.reader.release()
    bench.work()
    assert sorted(bench.told()) == ["a.jpg", "b.jpg"]


def test_copies_of_a_picture_that_was_not_linked_before_a_restart_are_told_once_each(bench):
    bench.write("old.jpg", "beach", "first")
    bench.settle_all()
    bench.reader.is_held = True
    for name in ("a.jpg", "b.jpg"):
        bench.write(name, "beach", "again")
        bench.dirty("")
    bench.read_once()
    bench.reader.read_now(os.fsencode(bench.photos / "b.jpg"))
    bench.reader.release()
    bench.read()
    assert bench.counts().contents_unlinked == 1
    bench.reopen()
    bench.compare()
    assert sorted(bench.told()) == ["a.jpg", "b.jpg"]
    assert all(fact.matches for fact in bench.events(DuplicateFound))


def test_a_file_that_settles_is_told_of_before_it_is_to_be_read(bench):
    bench.write("new.jpg", "beach", age_s=0)
    bench.dirty("", closed=["new.jpg"])
    assert bench.told_settling, "or its decode worker is only started when it is due"
    assert not bench.reader.read_paths
    bench.ripen()
    bench.work()
    told = bench.told_settling
    bench.dirty("", closed=["new.jpg"])
    assert bench.told_settling == told, "a known file that did not change is nothing to expect"
