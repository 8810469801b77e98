"""Scans of what did not change are settled by fingerprints, and miss nothing for it."""

import os

from dedupd.core.records import FileStage


def kept(bench, directory):
    with bench.library.view() as view:
        return view.fingerprint(bench.root_record().id, directory)


def test_a_scan_that_finds_nothing_new_keeps_fingerprints_and_the_next_changes_nothing(bench):
    bench.write("d/a.jpg", "a")
    bench.write("d/e/b.jpg", "b")
    bench.settle_all()
    bench.scan()
    fingerprints = kept(bench, b"d"), kept(bench, b"d/e")
    assert all(fingerprints)
    assert kept(bench, b"") is None, "no file is right in it"
    bench.scan()
    assert (kept(bench, b"d"), kept(bench, b"d/e")) == fingerprints
    assert bench.known() == {"d/a.jpg": "indexed", "d/e/b.jpg": "indexed"}


def test_each_kind_of_change_is_seen_in_a_directory_with_a_fingerprint(bench):
    paths = [bench.write(f"d/{name}.jpg", name) for name in "abcd"]
    bench.settle_all()
    bench.scan()
    assert kept(bench, b"d")
    bench.reader.read_paths.clear()
    facts = paths[0].stat()
    paths[0].write_bytes(bytes(facts.st_size))  # the same size,
    os.utime(paths[0], ns=(facts.st_atime_ns, facts.st_mtime_ns))  # the same times but for the ctime
    paths[1].unlink()
    paths[2].rename(paths[2].with_name("moved.jpg"))
    bench.write("d/new.jpg", "new")
    bench.settle_all()
    bench.scan()
    assert {path.rpartition(b"/")[2] for path in bench.reader.read_paths} >= {b"a.jpg", b"moved.jpg", b"new.jpg"}
    bench.clock.advance(10)
    bench.scan()
    assert bench.known()["d/b.jpg"] == "missing"
    assert bench.record("d/d.jpg").stage is FileStage.INDEXED
