"""The wire keeps its promises: words equal core's, paths exact, requests strict, answers tolerant."""

import base64
import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core import cleanup_plan, records
from dedupd.core import events as core_events
from dedupd.core.cleanup_plan import RunKind
from dedupd.core.events import Event, Match, Origin
from dedupd.core.grouping import Share
from dedupd.core.ports import Activity, WatchState
from dedupd.core.records import FilePath, ProblemCode, Relation, RootId, RootState
from dedupd.core.report import Report, ReportFile, ReportGroup
from dedupd.core.side_by_side import Standing
from dedupd.protocol import cleanup, events, names, requests
from dedupd.protocol.convert import absolute_path
from dedupd.protocol.convert_events import event_message
from dedupd.protocol.report import report_message
from dedupd.protocol.status import RootsMessage
from dedupd.protocol.text import camera_text, cell_text, path_b64, path_text, utc_text

PATH = FilePath(root=RootId(1), directory=b"a", name=b"x.jpg")
ROOT_PATHS = {RootId(1): b"/photos"}
FACTS = [
    core_events.DuplicateFound(
        path=PATH,
        content=2,
        size_bytes=7,
        origin=Origin.SCAN,
        matches=(Match(path=PATH, content=1, relation=Relation.EDITED, similarity=0.9, probability=0.75),),
        group=1,
    ),
    core_events.FileSetAside(path=PATH, code=ProblemCode.DAMAGED, detail="torn"),
    core_events.RootSuspect(root=RootId(1), root_path=b"/photos", reason="empty", known_files=3),
    core_events.RootOnline(root=RootId(1), root_path=b"/photos", was_accepted=True),
    core_events.ScanFinished(
        root=RootId(1), root_path=b"/photos", files=1, added=1, changed=0, missing=0, duration_s=1.5
    ),
    core_events.Degraded(what="index", message="rebuilding"),
    core_events.PauseChanged(is_paused=True, until_ns=10**18),
    core_events.PauseChanged(is_paused=False),
    core_events.CleanupFinished(
        plan="ab12", run=RunKind.APPLY, done=9, conflicts=1, failed=0, skipped=2, bytes_=10**12, stopped="a reason"
    ),
    core_events.CleanedReturned(
        path=PATH,
        content=2,
        size_bytes=7,
        origin=Origin.ARRIVAL,
        cleaned_at_ns=10**18,
        plan="ab12",
        kept=b"/photos/\xff.jpg",
        is_kept_there=False,
    ),
]


@pytest.mark.parametrize(
    ("words", "enumeration"),
    [
        (names.RELATIONS, Relation),
        (names.ACTIVITIES, Activity),
        (names.ROOT_STATES, RootState),
        (names.WATCH_STATES, WatchState),
        (names.ORIGINS, Origin),
        (names.PROBLEM_CODES, ProblemCode),
        (names.STANDINGS, Standing),
        (names.ACTIONS, cleanup_plan.Action),
        (names.ROLES, cleanup_plan.Role),
        (names.SPARED, cleanup_plan.Spared),
        (names.PLAN_STATES, cleanup_plan.PlanState),
        (names.RUNS, cleanup_plan.RunKind),
        (names.OUTCOMES, cleanup_plan.OutcomeKind),
    ],
)
def test_the_words_of_the_wire_are_those_of_core(words, enumeration):
    assert list(words) == [member.value for member in enumeration]


def test_the_duplicate_relations_are_those_of_core():
    assert set(names.DUPLICATE_RELATIONS) == set(records.DUPLICATE_RELATIONS)
    assert typing.get_args(requests.DuplicateRelation) == names.DUPLICATE_RELATIONS


def test_the_actions_that_can_be_asked_for_are_those_of_core():
    assert typing.get_args(requests.ActionWord) == names.ACTIONS


def test_the_lines_of_a_run_are_all_told_apart():
    tags = {kind.__struct_config__.tag for kind in typing.get_args(cleanup.RunMessage)}
    assert tags == set(cleanup.RUN_MESSAGE_KINDS)


@pytest.mark.parametrize("short", ["conflicts", "failed", "skipped"])
def test_a_run_of_which_something_was_left_is_not_whole(short):
    end = cleanup.RunEndMessage(
        run="apply", plan="", done=3, conflicts=0, failed=0, skipped=0, size_bytes=1, stopped=""
    )
    assert end.is_whole
    assert not msgspec.structs.replace(end, **{short: 1}).is_whole
    assert not msgspec.structs.replace(end, stopped="three conflicts").is_whole


@pytest.mark.parametrize(("text", "cell"), [("=1+1", "'=1+1"), ("'", "''"), ("/p/a.jpg", "/p/a.jpg"), ("", "")])
def test_no_cell_is_taken_for_a_formula(text, cell):
    assert cell_text(text) == cell


@given(st.binary())
def test_a_path_survives_the_wire(path):
    carried = path_b64(path)
    assert (path_text(path).encode() if carried is msgspec.UNSET else base64.b64decode(carried)) == path


@given(st.integers(-(10**30), 10**30))
def test_any_time_has_a_text(time_ns):
    assert utc_text(time_ns).endswith("Z")
    assert camera_text(time_ns)


def test_times_are_exact_to_the_microsecond():
    assert utc_text(1_760_000_000_123_456_789) == "2025-10-09T08:53:20.123456Z"
    assert camera_text(1_714_564_800_250) == "2024-05-01T12:00:00.250"
    assert camera_text(None) is None


def test_each_fact_has_an_event_and_survives_the_wire():
    assert {type(fact) for fact in FACTS} == set(typing.get_args(core_events.Fact))
    kinds = set()
    for number, fact in enumerate(FACTS, 1):
        message = event_message(Event(sequence=number, at_ns=10**18, fact=fact), ROOT_PATHS)
        body = msgspec.json.encode(message)
        assert msgspec.json.decode(body, type=events.EventMessage) == message
        kinds.add(msgspec.json.decode(body)["kind"])
    assert kinds | {"gap"} == set(events.EVENT_KINDS)


def test_a_match_carries_its_similarity_and_its_probability():
    message = event_message(Event(sequence=1, at_ns=10**18, fact=FACTS[0]), ROOT_PATHS)
    assert [(match.similarity, match.probability) for match in message.matches] == [(0.9, 0.75)]


def test_what_came_back_names_the_file_that_was_kept_exactly():
    message = event_message(Event(sequence=1, at_ns=10**18, fact=FACTS[-1]), ROOT_PATHS)
    assert (message.path, message.kept, message.cleaned_at[:10]) == (
        "/photos/a/x.jpg",
        r"/photos/\xff.jpg",
        "2001-09-09",
    )
    assert base64.b64decode(message.kept_b64) == b"/photos/\xff.jpg"


def test_event_kinds_are_all_told_apart():
    tags = {kind.__struct_config__.tag for kind in typing.get_args(events.EventMessage)}
    assert tags == set(events.EVENT_KINDS)


def test_a_path_of_a_forgotten_root_stays_relative():
    assert absolute_path(PATH, ROOT_PATHS) == b"/photos/a/x.jpg"
    assert absolute_path(PATH, {RootId(1): b"/"}) == b"/a/x.jpg"
    assert absolute_path(PATH, {}) == b"a/x.jpg"


@pytest.mark.parametrize("kind", [k for k in msgspec.Struct.__subclasses__() if k.__module__ == requests.__name__])
def test_requests_refuse_unknown_fields(kind):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"a": "x", "b": "x", "digests": [], "misspelt": 1}, kind)


def test_answers_tolerate_what_a_newer_daemon_adds():
    assert msgspec.json.decode(b'{"roots": [], "new": 1}', type=RootsMessage) == RootsMessage(roots=())


def test_the_report_has_the_fields_that_others_rely_on():
    file = ReportFile(
        path=b"/p/\xff.jpg",
        file=PATH,
        content=1,
        size_bytes=7,
        width_px=4,
        height_px=3,
        format="JPEG",
        mtime_ns=10**18,
        taken_at_ms=None,
        relation=None,
        similarity=1.0,
        probability=1.0,
        reason="largest",
        frees_bytes=0,
    )
    group = ReportGroup(
        id=1,
        relation=Relation.EDITED,
        similarity=0.9,
        probability=0.75,
        keep=file,
        duplicates=(file,),
        related=(),
        frees_bytes=7,
    )
    report = Report(
        generated_at_ns=10**18,
        total_images=2,
        total_contents=2,
        duplicate_groups=1,
        shares=(Share(relation=Relation.EDITED, files=1, frees_bytes=7),),
        keep_policy="largest",
        relations=(Relation.EDITED,),
        roots=(b"/p",),
        problems=0,
        pending=0,
        groups=(group,),
    )
    written = msgspec.json.decode(msgspec.json.encode(report_message(report)))
    assert {
        "generated_at",
        "total_images",
        "duplicate_groups",
        "total_duplicates",
        "keep_policy",
        "groups",
    } <= written.keys()
    assert written["groups"][0]["keep"]["path"] == r"/p/\xff.jpg"
    assert base64.b64decode(written["groups"][0]["duplicates"][0]["path_b64"]) == b"/p/\xff.jpg"
