"""When alerts go out and what they say, with times given by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dedupd.core.alert_rules import (
    DEGRADED_AGAIN_S,
    EVENTS_A_MESSAGE,
    LINES_A_MESSAGE,
    RETRY_DELAYS_S,
    AlertKind,
    AlertPolicy,
    AlertRules,
    HourlyLimit,
    Lane,
    lane_of,
    retry_delay_s,
    summary,
)
from dedupd.core.alert_text import Known
from dedupd.core.cleanup_plan import RunKind
from dedupd.core.events import (
    CleanedReturned,
    CleanupFinished,
    Degraded,
    DuplicateFound,
    Event,
    FileSetAside,
    Match,
    Origin,
    RootOnline,
    RootSuspect,
    ScanFinished,
)
from dedupd.core.records import (
    Capture,
    ContentId,
    ContentRecord,
    ContentStage,
    FilePath,
    ProblemCode,
    Quality,
    Relation,
    RootId,
    Sequence,
)
from dedupd.core.wording import bytes_text, count_text, path_words, percent_text

PHOTOS, PHONE = RootId(1), RootId(2)


def content(id_: int, width: int, height: int) -> ContentRecord:
    return ContentRecord(
        id=ContentId(id_),
        digest=bytes(32),
        size_bytes=1,
        format="JPEG",
        width_px=width,
        height_px=height,
        image_digest=None,
        pixel_digest=None,
        quality=Quality(sharpness=1, information=7),
        capture=Capture(),
        decoder="test",
        stage=ContentStage.LINKED,
        first_seen_ns=1,
    )


CONTENTS = {1: content(1, 4000, 3000), 2: content(2, 1600, 1200), 3: content(3, 4000, 3000)}
KNOWN = Known(root_paths={PHOTOS: b"/srv/Photos", PHONE: b"/srv/Phone"}, content_of=CONTENTS.get)


def duplicate(
    sequence: int,
    name: bytes = b"IMG_2210.jpg",
    origin: Origin = Origin.ARRIVAL,
    relation: Relation = Relation.RE_ENCODED,
    *,
    root: RootId = PHOTOS,
    directory: bytes = b"Phone",
    subject: int = 2,
    original: int = 1,
    matches: int = 1,
    similarity: float = 0.9912,
) -> Event:
    match = Match(
        path=FilePath(root=PHOTOS, directory=b"2019/Italy", name=b"IMG_2210.jpg"),
        content=ContentId(original),
        relation=relation,
        similarity=similarity,
    )
    fact = DuplicateFound(
        path=FilePath(root=root, directory=directory, name=name),
        content=ContentId(subject),
        size_bytes=1_000_000,
        origin=origin,
        matches=(match,) * matches,
        group=ContentId(1),
    )
    return Event(sequence=Sequence(sequence), at_ns=1, fact=fact)


def event(sequence: int, fact) -> Event:
    return Event(sequence=Sequence(sequence), at_ns=1, fact=fact)


def scan_finished(sequence: int, root: RootId = PHOTOS) -> Event:
    return event(
        sequence,
        ScanFinished(root=root, root_path=b"/srv/Photos", files=9, added=9, changed=0, missing=0, duration_s=1.0),
    )


class Rules:
    """The rules with short calls."""

    def __init__(self, **policy):
        self.rules = AlertRules(AlertPolicy(**policy))

    def take(self, event, at):
        return self.rules.take(event, now_s=at, known=KNOWN)

    def due(self, at, done=False):
        return self.rules.due(at, is_backlog_done=done)


# ---------------------------------------------------------------------------------------------------------- wording


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "is a smaller copy of 2019/Italy/IMG_2210.jpg (re-encoded, 99.1 %)"),
        ({"subject": 1, "original": 2}, "is a larger copy of 2019/Italy/IMG_2210.jpg (re-encoded, 99.1 %)"),
        ({"subject": 3}, "is a copy of 2019/Italy/IMG_2210.jpg (re-encoded, 99.1 %)"),
        ({"subject": 99}, "is a copy of 2019/Italy/IMG_2210.jpg (re-encoded, 99.1 %)"),
        ({"relation": Relation.SAME_BYTES}, "is an exact copy of 2019/Italy/IMG_2210.jpg"),
        (
            {"relation": Relation.SAME_PIXELS},
            "is the same picture as 2019/Italy/IMG_2210.jpg (equal pixels, other metadata or container)",
        ),
        ({"relation": Relation.EDITED, "similarity": 0.9}, "is an edited copy of 2019/Italy/IMG_2210.jpg (90 %)"),
        (
            {"root": PHONE, "directory": b"", "relation": Relation.SAME_BYTES, "matches": 3},
            "is an exact copy of Photos/2019/Italy/IMG_2210.jpg, and matches 2 more files",
        ),
    ],
)
def test_a_line_says_which_file_copies_which_and_how(changes, line):
    message = Rules().take(duplicate(1, **changes), 0.0)
    assert message.body == "IMG_2210.jpg in Phone " + line
    assert message.title == "Duplicate photo: IMG_2210.jpg"


def test_a_name_cannot_break_the_line_or_turn_it_round():
    message = Rules().take(duplicate(1, b"\xff\n\xe2\x80\xae.jpg", relation=Relation.SAME_BYTES), 0.0)
    assert message.body == "\\xff\\x0a\\u202e.jpg in Phone is an exact copy of 2019/Italy/IMG_2210.jpg"
    assert message.title == "Duplicate photo: \\xff\\x0a\\u202e.jpg"


def test_a_message_names_the_file_by_its_absolute_path():
    message = Rules().take(duplicate(1), 0.0)
    assert message.path == b"/srv/Photos/Phone/IMG_2210.jpg"
    assert message.kind == "duplicates"


def test_numbers_read_as_people_write_them():
    assert [bytes_text(n) for n in (0, 1, 999, 1000, 9_940_000, 9_960_000, 999_600, 3 * 10**15)] == [
        "0 bytes", "1 byte", "999 bytes", "1.0 kB", "9.9 MB", "10 MB", "1.0 MB", "3.0 PB",
    ]  # fmt: skip
    assert [percent_text(x) for x in (0.0, 0.5, 0.99, 0.9999, 1.0)] == ["0 %", "50 %", "99 %", "99.9 %", "100 %"]
    assert [count_text(n, "file", "files") for n in (0, 1, 12345)] == ["0 files", "1 file", "12,345 files"]
    assert path_words(b"Caf\xc3\xa9/\x1b[2J") == "Café/\\x1b[2J"


# --------------------------------------------------------------------------------------------------------- arrivals


def test_the_first_arrival_alerts_at_once():
    rules = Rules()
    message = rules.take(duplicate(5), 100.0)
    assert (message.count, message.first) == (1, 5)
    assert rules.due(1000.0) == []
    assert rules.rules.oldest_held(Lane.NEWS) is None


def test_arrivals_that_follow_are_one_message_when_it_is_quiet():
    rules = Rules(quiet_s=10, gather_at_most_s=60)
    rules.take(duplicate(1), 0.0)
    assert [rules.take(duplicate(2 + n, b"%d.jpg" % n), 1.0 + n) for n in range(12)] == [None] * 12
    assert rules.rules.oldest_held(Lane.NEWS) == 2
    assert rules.rules.next_due_s() == 22.0
    assert rules.due(21.9) == []
    (message,) = rules.due(22.0)
    assert (message.title, message.count, message.first) == ("12 new photos are duplicates", 12, 2)
    assert len(message.body.splitlines()) == LINES_A_MESSAGE + 1
    assert message.body.endswith("… and 2 more")
    assert rules.due(23.0) == []


def test_nobody_waits_longer_than_the_longest_gathering():
    rules = Rules(quiet_s=10, gather_at_most_s=60)
    rules.take(duplicate(1), 0.0)
    sent = []
    for second in range(1, 130):
        rules.take(duplicate(1 + second), float(second))
        sent += [(second, m.count) for m in rules.due(float(second))]
    assert sent == [(61, 61), (122, 61)]


def test_after_a_quiet_time_the_next_arrival_alerts_at_once_again():
    rules = Rules(quiet_s=10)
    assert rules.take(duplicate(1), 0.0)
    assert rules.take(duplicate(2), 9.0) is None
    assert len(rules.due(19.0)) == 1
    assert rules.take(duplicate(3), 19.0)


def test_with_no_quiet_time_every_arrival_is_its_own_message():
    rules = Rules(quiet_s=0)
    assert all(rules.take(duplicate(n), 1.0) for n in range(1, 4))


def test_many_arrivals_carry_a_bounded_number_of_events():
    rules = Rules()
    for n in range(1, 503):
        rules.take(duplicate(n), 1.0)
    (message,) = rules.due(100.0)
    assert message.count == 501
    assert [e.sequence for e in message.events] == list(range(2, 2 + EVENTS_A_MESSAGE))


def test_relations_that_are_not_asked_for_do_not_alert():
    rules = Rules(relations=frozenset({Relation.SAME_BYTES}))
    assert rules.take(duplicate(1, relation=Relation.EDITED), 0.0) is None
    assert rules.take(duplicate(2, relation=Relation.SAME_BYTES), 0.0)


# ------------------------------------------------------------------------------------------------------------ scans


def test_a_scan_is_summed_up_when_it_ended_and_its_backlog_is_done():
    rules = Rules()
    for n in range(1, 341):
        assert rules.take(duplicate(n, b"%d.jpg" % n, Origin.SCAN), float(n)) is None
    assert rules.due(350.0, done=True) == []  # the scan still lists
    rules.take(scan_finished(341), 360.0)
    assert rules.due(361.0, done=False) == []
    rules.take(duplicate(342, origin=Origin.SCAN), 362.0)
    assert rules.rules.oldest_held(Lane.SCANS) == 1
    (message,) = rules.due(363.0, done=True)
    assert (message.kind, message.title) == (AlertKind.SCAN_DUPLICATES, "Scan of Photos: 341 duplicates")
    assert message.body.splitlines()[0] == "341 files duplicate others (341 MB). `dedupctl report` lists them."
    assert message.body.endswith("… and 331 more")
    assert message.lane is Lane.SCANS
    assert not rules.rules.holds_scans


def test_a_scan_without_duplicates_says_nothing():
    rules = Rules()
    assert rules.take(scan_finished(1), 0.0) is None
    assert rules.due(1.0, done=True) == []
    assert not rules.rules.holds_scans


def test_each_root_has_its_own_sum():
    rules = Rules()
    rules.take(duplicate(1, origin=Origin.SCAN), 0.0)
    rules.take(duplicate(2, origin=Origin.SCAN, root=PHONE), 0.0)
    rules.take(scan_finished(3, PHOTOS), 1.0)
    assert [m.first for m in rules.due(2.0, done=True)] == [1]
    rules.take(scan_finished(4, PHONE), 3.0)
    assert [m.first for m in rules.due(4.0, done=True)] == [2]


def test_work_of_an_earlier_run_is_summed_up_without_the_end_of_its_scan():
    rules = Rules(gather_at_most_s=60)
    rules.take(duplicate(1, origin=Origin.SCAN), 0.0)
    assert rules.due(59.0, done=True) == []
    assert len(rules.due(60.0, done=True)) == 1


def test_a_scan_does_not_hold_back_arrivals():
    rules = Rules()
    rules.take(duplicate(1, origin=Origin.SCAN), 0.0)
    assert rules.take(duplicate(2), 0.0)
    assert [lane_of(e) for e in (duplicate(1, origin=Origin.SCAN), scan_finished(2), duplicate(3))] == [
        Lane.SCANS, Lane.SCANS, Lane.NEWS,
    ]  # fmt: skip


def test_scans_can_be_left_out():
    rules = Rules(on_scan=False)
    rules.take(duplicate(1, origin=Origin.SCAN), 0.0)
    rules.take(scan_finished(2), 0.0)
    assert rules.due(1000.0, done=True) == []


# ------------------------------------------------------------------------------------------- the state of things


def suspect(sequence):
    return event(sequence, RootSuspect(root=PHOTOS, root_path=b"/srv/Photos", reason="It is empty.", known_files=1200))


def test_a_suspect_root_alerts_once_until_it_is_back():
    rules = Rules()
    message = rules.take(suspect(1), 0.0)
    assert message.is_urgent
    assert message.body.splitlines() == [
        "It is empty.",
        "1,200 files are known there. If it is right as it is: dedupctl roots accept /srv/Photos",
    ]
    assert rules.take(suspect(2), 1.0) is None
    back = rules.take(event(3, RootOnline(root=PHOTOS, root_path=b"/srv/Photos", was_accepted=False)), 2.0)
    assert back.kind is AlertKind.ROOT_ONLINE
    assert rules.take(suspect(4), 3.0).kind is AlertKind.ROOT_SUSPECT


def test_a_degradation_alerts_once_a_day_whatever_its_figures():
    rules = Rules()
    told = [
        rules.take(event(1 + n, Degraded(what="watching", message=f"{n} folders without watches")), at)
        for n, at in enumerate((0.0, 1.0, DEGRADED_AGAIN_S - 1, DEGRADED_AGAIN_S))
    ]
    assert [m is not None for m in told] == [True, False, False, True]
    assert rules.take(event(9, Degraded(what="watching", message="the watcher died")), 5.0)


def test_a_file_set_aside_is_no_alert():
    fact = FileSetAside(path=FilePath(root=PHOTOS, directory=b"", name=b"x"), code=ProblemCode.DAMAGED, detail="no end")
    assert Rules().take(event(1, fact), 0.0) is None


# -------------------------------------------------------------------------------------------------------- clean-up


def returned(sequence, name=b"IMG_1.jpg", *, root=PHOTOS, kept=b"/srv/Photos/2019/IMG_1.jpg", there=True, subject=2):
    fact = CleanedReturned(
        path=FilePath(root=root, directory=b"Phone", name=name),
        content=ContentId(subject),
        size_bytes=1_000_000,
        origin=Origin.ARRIVAL,
        cleaned_at_ns=1_777_766_400_000_000_000,
        plan="ab" * 32,
        kept=kept,
        is_kept_there=there,
    )
    return event(sequence, fact)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "and 2019/IMG_1.jpg is still there"),
        ({"root": PHONE}, "and Photos/2019/IMG_1.jpg is still there"),
        ({"kept": b"/srv/Photos2/x.jpg"}, "and /srv/Photos2/x.jpg is still there"),
        ({"there": False}, "but 2019/IMG_1.jpg, which you kept, is not there any more"),
    ],
)
def test_a_file_that_came_back_says_when_it_went_and_what_was_kept(changes, line):
    message = Rules().take(returned(1, **changes), 0.0)
    assert (message.kind, message.title) == (AlertKind.RETURNED, "Back again: IMG_1.jpg")
    assert message.body == "IMG_1.jpg in Phone is back: you cleaned it up on 3 May 2026, " + line


def test_files_that_come_back_are_gathered_apart_from_duplicates():
    rules = Rules(quiet_s=10, gather_at_most_s=60)
    assert rules.take(returned(1), 0.0).count == 1
    assert rules.take(duplicate(2), 0.0).kind is AlertKind.DUPLICATES
    for n in range(12):
        assert rules.take(returned(10 + n, b"%d.jpg" % n), 1.0) is None
    assert rules.take(duplicate(30), 5.0) is None
    assert rules.rules.oldest_held(Lane.NEWS) == 10
    assert rules.rules.next_due_s() == 11.0
    (back,) = rules.due(11.0)
    assert (back.kind, back.title, back.count) == (AlertKind.RETURNED, "12 photos that you cleaned up are back", 12)
    assert rules.rules.oldest_held(Lane.NEWS) == 30
    (copies,) = rules.due(15.0)
    assert (copies.kind, copies.first) == (AlertKind.DUPLICATES, 30)
    assert rules.rules.next_due_s() is None


@pytest.mark.parametrize("origin", Origin)
def test_what_is_told_as_back_is_not_told_as_a_duplicate_too(origin):
    rules = Rules()
    rules.take(returned(1, b"IMG_2210.jpg"), 0.0)
    assert rules.take(duplicate(2, origin=origin), 100.0) is None
    assert not rules.rules.holds_scans
    assert rules.take(duplicate(3), 200.0), "the next time it is one"
    rules.take(returned(4, b"IMG_2210.jpg"), 300.0)
    assert rules.take(duplicate(5, subject=3), 400.0), "the same path with another picture"


def finished(run=RunKind.APPLY, **changes):
    numbers = {"done": 0, "conflicts": 0, "failed": 0, "skipped": 0, "bytes_": 0, "stopped": ""} | changes
    return event(7, CleanupFinished(plan="0123456789abcdef" * 4, run=run, **numbers))


@pytest.mark.parametrize("run", RunKind)
def test_a_run_that_a_person_started_and_that_went_well_is_no_alert(run):
    assert Rules().take(finished(run, done=12, bytes_=34_000_000, skipped=3), 0.0) is None
    assert Rules().take(finished(run), 0.0) is None


def test_a_run_that_did_not_go_as_planned_alerts_at_once():
    message = Rules().take(finished(done=12, bytes_=34_000_000, conflicts=1, failed=2, skipped=40), 0.0)
    assert (message.kind, message.is_urgent) == (AlertKind.CLEANUP, True)
    assert message.title == "Clean-up: 3 files were left as they are"
    told, way_back = message.body.splitlines()
    assert told.startswith("12 files (34 MB) set aside, 1 not as planned, 2 refused by the system, 40 not tried. Those")
    assert way_back == "To put all back: dedupctl undo 0123456789ab"


def test_a_run_that_stopped_early_says_why_first():
    message = Rules().take(finished(RunKind.EXPIRE, stopped="The disk does not answer.", skipped=5), 0.0)
    assert message.title == "Expiry of the quarantine stopped early"
    assert message.body.splitlines() == [
        "The disk does not answer.",
        "0 files (0 bytes) deleted for good, 5 not tried. Those are where they were.",
    ]


def test_a_run_that_a_policy_started_is_told_when_it_took_something():
    message = Rules().take(finished(done=1, bytes_=5, is_automatic=True), 0.0)
    assert (message.title, message.is_urgent) == ("Clean-up: 1 file set aside", False)
    assert message.body == "1 file (5 bytes) set aside.\nTo put all back: dedupctl undo 0123456789ab"
    assert Rules().take(finished(is_automatic=True), 0.0) is None


def test_alerts_about_clean_up_wait_for_no_scan():
    assert lane_of(returned(1)) is lane_of(finished()) is Lane.NEWS


def test_a_summary_tells_what_came_back_in_full():
    one = Rules().take(returned(4), 0.0)
    assert summary([one, replace(one, title="9 more", count=9)]).body.splitlines() == [one.body, "9 more"]


# ------------------------------------------------------------------------------------------------ limits and retries


def test_no_hour_has_more_messages_than_the_limit():
    limit = HourlyLimit(3)
    sent = []
    for second in range(0, 8000, 10):
        if limit.wait_s(second) == 0:
            limit.note_sent(second)
            sent.append(second)
    assert sent == [0, 10, 20, 3600, 3610, 3620, 7200, 7210, 7220]
    assert limit.wait_s(7230) == 3570


def test_a_summary_says_how_many_alerts_and_what_each_was():
    rules = Rules()
    one = rules.take(duplicate(4), 0.0)
    many = replace(one, title="12 new photos are duplicates", count=12, first=Sequence(9))
    told = summary([one, many])
    assert (told.kind, told.title, told.count, told.first) == ("summary", "2 more alerts", 13, 4)
    assert told.body.splitlines() == [one.body, "12 new photos are duplicates"]
    assert summary([one]) is one


def test_retries_come_later_and_later():
    assert [retry_delay_s(n) for n in (1, 2, 3, 4)] == [1.0, 5.0, 30.0, 120.0]
    assert retry_delay_s(1000) == RETRY_DELAYS_S[-1]
