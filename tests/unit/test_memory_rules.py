"""Under a memory ceiling fewer decode workers work, large ones are renewed, and what cannot be held is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.memory_rules import FRESH_BYTES, MIB, TYPICAL_BYTES, MemoryUse, measures, need_after


def use(own_mib: int, *workers_mib: int) -> MemoryUse:
    return MemoryUse(own_bytes=own_mib * MIB, workers={pid: mib * MIB for pid, mib in enumerate(workers_mib, start=1)})


@pytest.mark.parametrize(
    ("own_mib", "ceiling_mib", "expected"), [(100, 2000, 4), (100, 500, 4), (100, 400, 3), (100, 300, 2), (100, 100, 1)]
)
def test_as_many_workers_as_there_is_room_for_and_at_least_one(own_mib: int, ceiling_mib: int, expected: int) -> None:
    asked = measures(use(own_mib), ceiling_bytes=ceiling_mib * MIB, workers=4, need_bytes=96 * MIB)
    assert asked.workers == expected
    assert not asked.renew


def test_those_over_the_ceiling_are_renewed_the_largest_first_and_no_more_than_it_takes() -> None:
    now = use(100, 60, 300, 200)
    assert measures(now, ceiling_bytes=600 * MIB, workers=3, need_bytes=300 * MIB).renew == {2}
    assert measures(now, ceiling_bytes=300 * MIB, workers=3, need_bytes=300 * MIB).renew == {2, 3}
    assert not measures(now, ceiling_bytes=700 * MIB, workers=3, need_bytes=300 * MIB).renew


def test_a_fresh_worker_is_not_renewed_for_what_the_daemon_holds() -> None:
    asked = measures(use(500, 40, 50), ceiling_bytes=300 * MIB, workers=2, need_bytes=TYPICAL_BYTES)
    assert not asked.renew, "it would be started again for nothing"
    assert asked.workers == 1


def test_a_ceiling_that_the_library_alone_breaks_is_said_with_what_would_do() -> None:
    held = measures(use(260), ceiling_bytes=300 * MIB, workers=2, need_bytes=TYPICAL_BYTES)
    assert held.trouble == ""
    broken = measures(use(280), ceiling_bytes=300 * MIB, workers=2, need_bytes=TYPICAL_BYTES)
    assert "limits.memory_mb to 450" in broken.trouble
    assert "300 MiB" in broken.trouble


def test_what_a_worker_needs_is_forgotten_slowly() -> None:
    need = need_after(TYPICAL_BYTES, use(0, 40, 400))
    assert need == 400 * MIB
    later = need_after(need, use(0))
    assert 390 * MIB < later < 400 * MIB
    for _ in range(600):
        later = need_after(later, use(0))
    assert later == TYPICAL_BYTES


@given(
    own=st.integers(0, 4000),
    held=st.lists(st.integers(0, 2000), max_size=8),
    ceiling=st.integers(1, 8000),
    workers=st.integers(1, 16),
)
def test_whatever_is_held_somebody_may_work(own: int, held: list[int], ceiling: int, workers: int) -> None:
    now = use(own, *held)
    need = need_after(TYPICAL_BYTES, now)
    asked = measures(now, ceiling_bytes=ceiling * MIB, workers=workers, need_bytes=need)
    assert 1 <= asked.workers <= workers
    assert asked.renew <= set(now.workers)
    assert bool(asked.trouble) == (own * MIB + FRESH_BYTES > ceiling * MIB)
    if asked.workers > 1:
        assert now.own_bytes + asked.workers * need <= ceiling * MIB
