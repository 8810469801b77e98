"""Plans on disk: there whole or not at all, found by the start of their name, damage told."""

import os
from dataclasses import replace

import pytest

from dedupd.cleanup.plan_file import encode_plan, plan_id
from dedupd.cleanup.plan_store import PlanStore
from dedupd.core.cleanup_plan import Action, Limits, Plan
from dedupd.core.errors import NotFoundError, RequestError
from dedupd.core.records import Relation

DAY_NS = 86_400_000_000_000


def plan(created_at_ns=DAY_NS):
    return Plan(
        created_at_ns=created_at_ns,
        expires_at_ns=created_at_ns + 1,
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


@pytest.fixture
def store(tmp_path):
    return PlanStore(tmp_path / "plans")


def files(tmp_path):
    return sorted(path.name for path in (tmp_path / "plans").iterdir())


def test_a_plan_comes_back_by_its_name_or_the_start_of_it(store, tmp_path):
    name = store.put(plan())
    assert name == plan_id(encode_plan(plan()))
    assert store.get(name) == (name, plan())
    assert store.get(name[:8]) == (name, plan())
    assert files(tmp_path) == [f"{name}.plan"]
    assert store.put(plan()) == name
    assert (tmp_path / "plans" / f"{name}.plan").stat().st_mode & 0o777 == 0o600
    assert PlanStore(tmp_path / "plans").names() == [name]


@pytest.mark.parametrize("start", ["", "12345", "1234567", "XYZXYZXYZ", "../../../../etc", "A" * 64, "0" * 65])
def test_what_is_no_name_of_a_plan_is_told(store, start):
    with pytest.raises(RequestError, match="is no name of a plan"):
        store.get(start)


def test_an_unknown_plan_is_told(store):
    with pytest.raises(NotFoundError, match="no plan 00000000"):
        store.get("0" * 8)


def test_a_start_that_fits_several_is_told(store, tmp_path):
    name = store.put(plan())
    twin = name[:10] + ("0" if name[10] != "0" else "1") + name[11:]
    (tmp_path / "plans" / f"{twin}.plan").write_bytes(b"")
    with pytest.raises(RequestError, match="start of 2 plans"):
        store.get(name[:10])
    assert store.get(name[:11])[0] == name


def test_a_damaged_plan_is_told_and_never_given_out(store, tmp_path):
    good, bad = store.put(plan()), store.put(plan(2 * DAY_NS))
    path = tmp_path / "plans" / f"{bad}.plan"
    path.write_bytes(path.read_bytes().replace(b"quarantine", b"hardlink", 1))
    with pytest.raises(RequestError, match="is damaged"):
        store.get(bad)
    plans, damaged = store.all()
    assert [name for name, _ in plans] == [good]
    assert [one.id for one in damaged] == [bad]
    assert store.remove_older(0, 10 * DAY_NS) == [good], "what is damaged stays to be told"
    assert store.put(plan(2 * DAY_NS)) == bad
    assert store.get(bad)[1] == plan(2 * DAY_NS), "the same plan again mends it"


def test_a_plan_that_was_half_written_is_not_there(store, tmp_path):
    name = store.put(plan())
    torn = tmp_path / "plans" / f".{name}.1.abcd"
    torn.write_bytes(b"{")
    other = tmp_path / "plans" / ".hidden"
    other.write_bytes(b"of somebody else")
    for path in (torn, other):
        os.utime(path, ns=(1, 1))
    assert store.names() == [name]
    assert store.remove_older(30, 3 * DAY_NS) == []
    assert not torn.exists()
    assert other.exists()


def test_old_plans_are_forgotten_but_for_those_that_are_needed(store):
    old, needed, new = (store.put(plan(day * DAY_NS)) for day in (1, 2, 30))
    plans, _ = store.all()
    assert [name for name, _ in plans] == [new, needed, old], "the newest first"
    assert store.remove_older(10, 31 * DAY_NS, frozenset({needed})) == [old]
    assert set(store.names()) == {needed, new}


def test_a_plan_that_differs_in_anything_has_another_name(store):
    names = {
        store.put(plan()),
        store.put(replace(plan(), action=Action.TRASH)),
        store.put(replace(plan(), folder=b"/x")),
    }
    assert len(names) == 3


def test_what_fails_while_writing_leaves_nothing(tmp_path):
    store = PlanStore(tmp_path / "plans")
    name = plan_id(encode_plan(plan()))
    (tmp_path / "plans" / f"{name}.plan").mkdir()
    with pytest.raises(OSError):
        store.put(plan())
    assert files(tmp_path) == [f"{name}.plan"]
