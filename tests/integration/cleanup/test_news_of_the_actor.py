"""What the actor did is taken into the library without a gap: real actor, real journal, real store."""

import numpy as np
import pytest
from blake3 import blake3
from fakes.image_reader import NOW_NS, decoded_image

from dedupd.cleanup.plan_file import encode_plan, plan_id
from dedupd.core.ports import Descriptor, NewContent
from dedupd.core.records import ModelTag, RootRecord, RootState
from dedupd.daemon.build import stat_of
from dedupd.daemon.clean_up_news import CURSOR, CleanUpNews
from dedupd.store import LmdbLibrary


@pytest.fixture
def library(bench, tmp_path):
    library = LmdbLibrary(tmp_path / "state", map_bytes=64 * 1024 * 1024)
    vectors = np.eye(1, 4, dtype=np.float32)
    with library.transaction() as txn:
        txn.put_root(
            RootRecord(
                id=txn.new_root_id(), path=bytes(bench.root), identity=None, state=RootState.ONLINE, state_reason="",
                last_full_scan_ns=None, added_at_ns=NOW_NS,
            )
        )  # fmt: skip
        for body in (b"one", b"two"):
            txn.add_content(
                NewContent(
                    digest=blake3(body).digest(), size_bytes=3, image=decoded_image(), first_seen_ns=NOW_NS,
                    descriptor=Descriptor(stored=vectors, queries=vectors),
                ),
                ModelTag("test"),
            )  # fmt: skip
    yield library
    library.close()


def apply(bench, actor, name, tell):
    plan = bench.plan(bench.pair(1, name, f"{name} copy"))
    return actor.apply(plan_id(encode_plan(plan)), plan, tell)


def test_an_outcome_that_is_heard_takes_in_what_was_missed_before_it(bench, library):
    for name in ("one", "two"):
        bench.write(name, name.encode())
        bench.write(f"{name} copy", name.encode())
    actor = bench.actor()
    news = CleanUpNews(
        library=library, actor=actor, stat_of=stat_of, look_again=lambda _path: None,
        expect=lambda _path, _content: None, now_ns=lambda: bench.now_ns,
    )  # fmt: skip
    apply(bench, actor, "one", lambda _outcome: None)  # nobody listened, as to what an actor settles at its start
    apply(bench, actor, "two", news.hear)
    with library.view() as view:
        assert {stone.path for stone in view.tombstones()} == {
            bytes(bench.root / "one copy"), bytes(bench.root / "two copy")
        }  # fmt: skip
        assert view.cursor(CURSOR) == actor.outcomes(0, 10)[-1].sequence
