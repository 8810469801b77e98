"""A plan on the wire loses nothing that a person decides by: companions, carried sidecars, roots as they were."""

import csv
import io

import msgspec
import pytest

from dedupd.api.plan_csv import COLUMNS, plan_csv
from dedupd.cli.plan_text import print_plan
from dedupd.cli.printing import Output
from dedupd.core.cleanup_plan import (
    Action,
    LeftAlone,
    Limits,
    Plan,
    PlanItem,
    PlannedFile,
    PlannedRoot,
    PlanState,
    Role,
    Spared,
    StoredPlan,
    Victim,
)
from dedupd.core.records import ContentId, FilePath, FileStat, Relation, RootId, RootIdentity
from dedupd.protocol.cleanup import PlanMessage
from dedupd.protocol.convert_cleanup import plan_message

IDENTITY = RootIdentity(dev=1, fsid=0, ino=2, filesystem="ext4")


def place(name, root=1):
    return FilePath(root=RootId(root), directory=b"a", name=name)


def planned(name, digest=b"\1"):
    return PlannedFile(
        path=place(name),
        stat=FileStat(dev=1, ino=1, size_bytes=5, mtime_ns=1, ctime_ns=1),
        digest=digest * 32,
    )


def a_plan(**changes):
    keeper = planned(b"keep.jpg")
    victims = (
        Victim(file=planned(b"=cmd.jpg"), role=Role.PICTURE, stays=keeper, is_exact=False),
        Victim(file=planned(b"\xff.cr2"), role=Role.RAW, stays=planned(b"keep.cr2"), is_exact=True),
        Victim(
            file=planned(b"\xff.xmp"), role=Role.SIDECAR, stays=keeper, is_exact=False, carried_to=place(b"keep.xmp")
        ),
    )
    item = PlanItem(
        number=1,
        group=ContentId(4),
        relation=Relation.RE_ENCODED,
        similarity=0.97,
        probability=0.99,
        reason="half the size",
        keep_reason="higher resolution",
        keeper=keeper,
        victims=victims,
        frees_bytes=10,
        companions=(planned(b"keep.cr2"),),
    )
    alone = LeftAlone(path=place(b"x.jpg", root=9), group=ContentId(4), why=Spared.YOUNG, detail="new", size_bytes=5)
    facts = {
        "created_at_ns": 10**18,
        "expires_at_ns": 10**18 + 1,
        "policy": "best",
        "keep": ("largest", "of a newer daemon"),
        "relations": (Relation.SAME_BYTES, Relation.RE_ENCODED),
        "action": Action.SORT,
        "folder": b"/elsewhere",
        "limits": Limits(),
        "roots": (PlannedRoot(id=RootId(1), path=b"/as/it/was", identity=IDENTITY),),
        "items": (item,),
        "left_alone": (alone, alone),
        "groups_mark": b"\0" * 32,
    }
    return Plan(**facts | changes)


def shown(plan, state=PlanState.READY):
    stored = StoredPlan(id="0123abcd" + "0" * 56, plan=plan, state=state)
    return plan_message(stored, {RootId(1): b"/moved/since", RootId(9): b"/other"}, quarantine_s=86_400.0)


def test_a_plan_survives_the_wire():
    message = shown(a_plan())
    assert msgspec.json.decode(msgspec.json.encode(message), type=PlanMessage) == message
    assert message.folder.path == "/elsewhere"
    assert message.keep_words == ("keep the largest file", "of a newer daemon")
    assert (message.files, message.frees_bytes, message.left_alone_counts) == (3, 10, {"too-young": 2})
    assert message.limits.files_per_run == Limits().files_per_run


def test_a_plan_means_its_roots_as_they_were_and_names_those_of_others():
    message = shown(a_plan())
    assert message.items[0].keeper.path == "/as/it/was/a/keep.jpg"
    assert message.left_alone[0].path == "/other/a/x.jpg"


def test_what_belongs_to_a_picture_goes_with_it_or_is_carried():
    picture, raw, sidecar = shown(a_plan()).items[0].victims
    assert (picture.role, raw.role, sidecar.role) == ("picture", "raw", "sidecar")
    assert (raw.stays.path, raw.is_exact) == ("/as/it/was/a/keep.cr2", True)
    assert (picture.carried_to, sidecar.carried_to.path) == (None, "/as/it/was/a/keep.xmp")
    assert [file.path for file in shown(a_plan()).items[0].companions] == ["/as/it/was/a/keep.cr2"]
    assert raw.path == r"/as/it/was/a/\xff.cr2"
    assert isinstance(raw.path_b64, str)


def test_csv_says_where_a_sidecar_is_carried_and_counts_what_is_freed_once():
    message = shown(a_plan())
    rows = list(csv.DictReader(io.StringIO(plan_csv(message).decode(), newline="")))
    assert [row["what"] for row in rows] == ["sort", "sort", "carry", "left-alone", "left-alone"]
    assert rows[2]["to"] == "/as/it/was/a/keep.xmp"
    assert sum(int(row["frees_bytes"] or 0) for row in rows) == message.frees_bytes
    assert tuple(rows[0]) == COLUMNS
    assert rows[3]["item"] == ""


def test_a_person_sees_what_goes_with_a_picture_and_what_is_carried(capsys):
    print_plan(shown(a_plan()), Output(is_json=False), has_table=True, lists_left_alone=False)
    text = capsys.readouterr().out
    assert "belongs to item 1" in text
    assert "carried to /as/it/was/a/keep.xmp" in text
    assert "3 files would be sorted into /elsewhere/duplicates; 1 kept file into /elsewhere/best." in text
    assert "in this order: largest, of a newer daemon" in text


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (PlanState.READY, "Next: dedupctl apply 0123abcd"),
        (PlanState.APPLIED, "To take it back: dedupctl undo 0123abcd"),
        (PlanState.EXPIRED, "draws a new one up"),
    ],
)
def test_the_next_step_follows_from_where_the_plan_stands(capsys, state, words):
    print_plan(shown(a_plan(), state), Output(is_json=False), has_table=False, lists_left_alone=False)
    text = capsys.readouterr().out
    assert words in text
    assert ("Nothing has been touched" in text) == (state is PlanState.READY)


def test_a_plan_that_was_undone_offers_nothing(capsys):
    print_plan(shown(a_plan(), PlanState.UNDONE), Output(is_json=False), has_table=False, lists_left_alone=False)
    text = capsys.readouterr().out
    assert "undone" in text
    assert "dedupctl apply" not in text
    assert "dedupctl undo" not in text
