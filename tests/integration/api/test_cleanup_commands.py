"""dedupctl's clean-up commands as people run them: what they show, what they do, their exit codes."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from itertools import count

import jsonschema
import msgspec
import pytest

from dedupd.cli.keep import KeepDocument
from dedupd.cli.plan_text import DONE_WORDS
from dedupd.core.cleanup_plan import Limits
from dedupd.core.errors import RetryError
from dedupd.protocol.cleanup import (
    ExpiryMessage,
    PinsMessage,
    PlanMessage,
    PlansMessage,
    QuarantineMessage,
    RunMessage,
    VerdictsMessage,
    WithdrawnMessage,
)
from dedupd.protocol.names import ACTIONS
from dedupd.protocol.requests import PlanRequest

SMALL = "photos/a/one small.jpg"
EDITED_TOO = ["--relation", "same-bytes", "re-encoded", "edited"]


def plan_of(stand, dedupctl, *arguments):
    """Draws a plan up; its id."""
    said = dedupctl("plan", "--json", *arguments)
    assert (said.code, said.err) == (0, "")
    return json.loads(said.out)["id"]


@pytest.fixture
def planned(cleanable, dedupctl):
    return plan_of(cleanable, dedupctl)


@pytest.fixture
def applied(cleanable, dedupctl, planned):
    assert dedupctl("apply", planned).code == 0
    return planned


# ----------------------------------------------------------------------------------------------------------------- plan


def test_plan_shows_who_stays_who_goes_what_is_left_alone_and_what_is_next(cleanable, dedupctl):
    before = cleanable.on_disk()
    said = dedupctl("plan")
    assert (said.code, said.err) == (0, "")
    plan = cleanable.client.plans().plans[0].id[:8]
    for words in (
        f"plan {plan}: ready, policy best, quarantine, same-bytes, re-encoded",
        "keep",
        "a/one link.jpg",
        "higher resolution",
        "a/one small.jpg",
        "half the size",
        "13 bytes",
        "1 file would be set aside; 1 file stays.",
        "That would free 13 bytes once the quarantine expires in 30 days. Nothing has been touched.",
        "Left alone: 2 duplicates (--left-alone lists them)",
        "hard-link",
        "--relation, or relations of the policy",
        f"Next: dedupctl apply {plan}",
    ):
        assert words in said.out
    assert said.out.index("one link.jpg") < said.out.index("one small.jpg")  # what goes stands below what stays
    assert cleanable.on_disk() == before


def test_plan_lists_what_is_left_alone_when_asked(cleanable, dedupctl):
    said = dedupctl("plan", "--left-alone")
    assert "It is edited, and the policy does not act on that." in said.out
    assert r"\x1b[2Jfake\nline.jpg" in said.out
    assert all(c.isprintable() or c == "\n" for c in said.out)


def test_a_limit_that_bites_is_named_with_its_setting(cleanable, dedupctl):
    cleanable.cleanup.limits = Limits(files_per_run=1, min_age_s=0.0)
    said = dedupctl("plan", *EDITED_TOO)
    assert "files-per-run" in said.out
    assert "the next plan goes on; cleanup.files_per_run" in said.out


def test_a_plan_of_nothing_says_so_and_offers_nothing(cleanable, dedupctl):
    said = dedupctl("plan", "--relation", "same-bytes")
    assert said.code == 0
    assert "Nothing to do" in said.out
    assert "Next:" not in said.out


def test_plan_takes_wishes(cleanable, dedupctl):
    for arguments, files in [
        (["--group", "1"], 1),
        (["--group", "3", "--group", "4"], 0),
        (["--root", cleanable.base / "photos"], 1),
        (["--root", "2"], 0),
        (["--below", cleanable.base / "photos" / "b"], 0),
        (["--min-age", "2d"], 0),
        (["--min-age", "0"], 1),
        (["--policy", "oldest", "--action", "move", "--folder", cleanable.base / "dups"], 1),
        (["--relation", "re-encoded", "--relation", "edited"], 2),
    ]:
        said = dedupctl("plan", "--json", *arguments)
        assert (said.code, json.loads(said.out)["files"]) == (0, files), arguments
    assert json.loads(dedupctl("plan", "--json", "--action", "trash").out)["action"] == "trash"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--policy", "nonsense"], 66, "no policy"),
        (["--root", "/nowhere"], 66, "is no root"),
        (["--group", "99"], 66, "no group 99"),
        (["--action", "move"], 64, "folder"),
        (["--action", "hardlink", "--relation", "edited"], 64, "equal bytes"),
        (["--min-age", "2 days"], 64, "is no time span"),
        (["--min-age", "7"], 64, "is no time span"),
        (["--action", "delete"], 64, "invalid choice"),
        (["--relation", "similar"], 64, "invalid choice"),
        (["--show", "0123abcd"], 66, "no plan"),
        (["--show", "0123abcd", "--min-age", "2d"], 64, "--min-age"),
        (["--csv", "/no/such/folder/plan.csv"], 66, "plan.csv"),
    ],
)
def test_plan_refuses_what_it_cannot_do(cleanable, dedupctl, arguments, code, words):
    said = dedupctl("plan", *arguments)
    assert said.code == code
    assert words in said.err
    assert cleanable.on_disk() == cleanable.bodies


def test_a_plan_can_be_shown_again_and_listed(cleanable, dedupctl, planned):
    assert dedupctl("plan", "--show", planned[:8]).out == dedupctl("plan", "--show", planned).out
    said = dedupctl("plans")
    assert said.code == 0
    for words in (planned[:8], "ready", "best", "quarantine", "13 bytes"):
        assert words in said.out
    assert dedupctl("plans", "--json").code == 0
    assert len(cleanable.client.plans().plans) == 1  # showing draws none up


def test_without_plans_the_list_says_how_to_get_one(cleanable, dedupctl):
    assert "`dedupctl plan` draws one up" in dedupctl("plans").out


def test_plan_csv_is_the_daemon_s_and_replaces_the_file_whole(cleanable, dedupctl):
    target = cleanable.base / "plan.csv"
    target.write_text("old")
    said = dedupctl("plan", "--csv", target)
    assert said.code == 0
    assert target.read_bytes() == cleanable.client.plan_csv(cleanable.client.plans().plans[0].id)
    assert "wrote" in said.err
    assert "Next: dedupctl apply" in said.out
    assert "higher resolution" not in said.out  # the table is in the file


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_is_told_in_words(cleanable, dedupctl, action):
    folder = ["--folder", cleanable.base / "dups"] if action in ("move", "sort") else []
    relation = ["--relation", "same-bytes"] if action in ("hardlink", "reflink") else []
    cleanable.add_file("photos", b"a/again.jpg", b"PIC one", ino=77)
    cleanable.write_to_disk()
    said = dedupctl("plan", "--action", action, *folder, *relation)
    assert said.code == 0
    assert "would" in said.out
    assert "free" in said.out
    assert action in DONE_WORDS
    said = dedupctl("apply", cleanable.client.plans().plans[0].id)
    assert DONE_WORDS[action] in said.out


# ---------------------------------------------------------------------------------------------------------- apply, undo


def test_apply_says_what_was_done_and_how_to_take_it_back(cleanable, dedupctl, planned):
    said = dedupctl("apply", planned[:8])
    assert (said.code, said.err) == (0, "")
    assert f"set aside: {cleanable.base / SMALL} → " in said.out
    assert "1 file set aside, 13 bytes." in said.out
    assert f"To take it back: dedupctl undo {planned[:8]}" in said.out
    assert not (cleanable.base / SMALL).exists()
    assert "It was applied." in dedupctl("plan", "--show", planned).out


def test_apply_exits_with_1_and_says_why_when_something_was_left(cleanable, dedupctl):
    plan = plan_of(cleanable, dedupctl, *EDITED_TOO)
    (cleanable.base / SMALL).write_bytes(b"somebody works on it")
    said = dedupctl("apply", plan)
    assert said.code == 1
    assert f"conflict: {cleanable.base / SMALL}" in said.out
    assert "It has changed since it was planned." in said.out
    assert "1 file set aside" in said.out
    assert "1 conflict (not as planned, so left as they are)" in said.out
    assert (cleanable.base / SMALL).read_bytes() == b"somebody works on it"


def test_apply_of_what_cannot_be_applied_touches_nothing(cleanable, dedupctl, planned):
    said = dedupctl("apply", "0123abcd")
    assert said.code == 66
    assert "dedupctl plans" in said.err
    assert dedupctl("apply", "nonsense").code == 66
    cleanable.groups.groups.pop()
    said = dedupctl("apply", planned)
    assert said.code == 64
    assert "have changed since" in said.err
    cleanable.cleanup.now_ns += 2 * 86_400 * 10**9
    said = dedupctl("apply", planned)
    assert said.code == 64
    assert "expired" in said.err
    assert cleanable.on_disk() == cleanable.bodies


def test_a_plan_is_applied_once(cleanable, dedupctl, applied):
    said = dedupctl("apply", applied)
    assert said.code == 64
    assert "applied" in said.err


def test_a_run_that_breaks_off_is_an_error_after_what_was_done(cleanable, dedupctl):
    plan = plan_of(cleanable, dedupctl, *EDITED_TOO)
    cleanable.cleanup.fault = RetryError("The actor went.")
    said = dedupctl("apply", plan)
    assert said.code == 70
    assert "set aside: " in said.out
    assert "The actor went." in said.err


def test_undo_puts_back_and_needs_to_know_which(cleanable, dedupctl, applied):
    for arguments in ([], [applied, "--last"]):
        said = dedupctl("undo", *arguments)
        assert said.code == 64
        assert "dedupctl plans" in said.err
    said = dedupctl("undo", applied[:8])
    assert (said.code, said.err) == (0, "")
    assert f"put back: {cleanable.base / SMALL}\n" in said.out
    assert "1 file put back, 13 bytes." in said.out
    assert cleanable.on_disk() == cleanable.bodies


def test_undo_of_some_items_and_of_the_last_plan(cleanable, dedupctl):
    plan = plan_of(cleanable, dedupctl, *EDITED_TOO)
    assert dedupctl("apply", plan).code == 0
    assert dedupctl("undo", plan, "--item", "1").code == 0
    assert (cleanable.base / SMALL).exists()
    assert len(cleanable.client.quarantine().files) == 1
    assert dedupctl("undo", plan, "--item", "9").code == 66
    assert dedupctl("undo", "--last").code == 0
    assert cleanable.on_disk() == cleanable.bodies


def test_undo_beside_a_name_that_was_taken_says_where(cleanable, dedupctl, applied):
    (cleanable.base / SMALL).write_bytes(b"somebody else's")
    said = dedupctl("undo", applied)
    assert said.code == 0
    assert "restored-beside: " in said.out
    assert "Its name was taken meanwhile." in said.out
    assert "one small (restored 1).jpg" in said.out
    assert (cleanable.base / SMALL).read_bytes() == b"somebody else's"


def test_nothing_to_undo_is_said(cleanable, dedupctl):
    said = dedupctl("undo", "--last")
    assert said.code == 66
    assert "No such plan was applied" in said.err


def test_interrupting_says_that_the_daemon_goes_on(cleanable, dedupctl):
    plan = plan_of(cleanable, dedupctl, *EDITED_TOO)
    release, calls = threading.Event(), count()
    cleanable.cleanup.before_each = lambda: next(calls) == 0 or release.wait(30)
    command = [sys.executable, "-m", "dedupd.cli.main", "--socket", str(cleanable.socket_path), "apply", plan]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"set aside: ")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        told = process.stderr.read().decode()
    release.set()
    assert "the daemon goes on" in told
    assert "Traceback" not in told


def on_a_terminal(stand, *arguments, typed=b""):
    """dedupctl with a terminal on all sides: exit code and what was shown."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "dedupd.cli.main", "--socket", str(stand.socket_path), *map(str, arguments)]
    environ = os.environ | {"TERM": "xterm", "COLUMNS": "300"}
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environ)
    os.close(slave)
    os.write(master, typed)
    shown = b""
    try:
        while piece := os.read(master, 65536):
            shown += piece
    except OSError:  # how Linux tells that the other side is closed
        pass
    os.close(master)
    return process.wait(30), shown.decode()


def test_on_a_terminal_apply_shows_a_bar_and_the_end(cleanable, planned):
    code, shown = on_a_terminal(cleanable, "apply", planned)
    assert code == 0
    assert "0/1" in shown or "1/1" in shown
    assert "1 file set aside, 13 bytes." in shown
    assert "→" not in shown  # no line for each file


# ----------------------------------------------------------------------------------------------------------- quarantine


def test_the_quarantine_shows_what_can_be_put_back(cleanable, dedupctl, applied):
    said = dedupctl("quarantine")
    assert said.code == 0
    for words in (applied[:8], "quarantine", "13 bytes", str(cleanable.base / SMALL), "1 file can be put back"):
        assert words in said.out
    assert dedupctl("quarantine", "list").out == said.out


def test_without_confirmation_expire_only_shows(cleanable, dedupctl, applied):
    said = dedupctl("quarantine", "expire")
    assert said.code == 0
    assert "Nothing is due. --now shows what is not due yet, too." in said.out
    said = dedupctl("quarantine", "expire", applied[:8], "--now")
    assert said.code == 0
    assert "1 file would be deleted for good, 13 bytes. Nothing has been touched." in said.out
    token = cleanable.client.expiry(now=True).token
    assert f"Next: dedupctl quarantine expire {applied[:8]} --now --confirm {token}" in said.out
    assert len(cleanable.client.quarantine().files) == 1


def test_with_the_token_of_what_was_shown_expire_deletes_it(cleanable, dedupctl, applied):
    (file,) = cleanable.client.quarantine().files
    assert dedupctl("quarantine", "expire", "--now", "--confirm", "wrong").code == 64
    assert os.path.lexists(file.now_at.path)
    cleanable.cleanup.now_ns += 31 * 86_400 * 10**9
    said = dedupctl("quarantine", "expire", "--confirm", cleanable.client.expiry().token)
    assert said.code == 0
    assert "1 file deleted for good, 13 bytes." in said.out
    assert not os.path.lexists(file.now_at.path)


@pytest.mark.parametrize(("typed", "code"), [(b"1\n", 0), (b"2\n", 64), (b"yes\n", 64), (b"\n", 64)])
def test_before_its_time_a_person_must_type_the_number_of_files(cleanable, applied, typed, code):
    (file,) = cleanable.client.quarantine().files
    token = cleanable.client.expiry(now=True).token
    exit_code, shown = on_a_terminal(cleanable, "quarantine", "expire", "--now", "--confirm", token, typed=typed)
    assert exit_code == code
    assert "1 file will be deleted for good, 13 bytes, before their time." in shown
    assert os.path.lexists(file.now_at.path) == (code != 0)


def test_a_wrong_token_is_not_even_asked_about(cleanable, applied):
    code, shown = on_a_terminal(cleanable, "quarantine", "expire", "--now", "--confirm", "wrong", typed=b"1\n")
    assert code == 64
    assert "Type the number" not in shown
    assert len(cleanable.client.quarantine().files) == 1


def test_the_list_takes_nothing_that_is_for_expire(cleanable, dedupctl):
    assert dedupctl("quarantine", "list", "--now").code == 64


# ----------------------------------------------------------------------------------------------------- what people said


def test_not_duplicate_by_path_by_number_and_by_group(cleanable, dedupctl):
    one, small = cleanable.base / "photos/a/one.jpg", cleanable.base / SMALL
    said = dedupctl("not-duplicate", one, small)
    assert (said.code, said.err) == (0, "")
    assert "1 pair noted" in said.out
    assert "Nothing to do" in dedupctl("plan").out
    listed = dedupctl("not-duplicate", "--list")
    assert "1 pair that people said are no duplicates" in listed.out
    assert str(small) in listed.out
    assert "1 pair may be duplicates again." in dedupctl("not-duplicate", "--withdraw", "content:1", small).out
    assert dedupctl("not-duplicate", "--group", "1").code == 0
    assert len(cleanable.client.verdicts().verdicts) == 1


def test_names_are_looked_up_as_they_are_written_and_with_links_resolved(cleanable, dedupctl):
    (cleanable.base / "link").symlink_to(cleanable.base / "photos")
    said = dedupctl("not-duplicate", "photos/a/one.jpg", "link/a/one small.jpg", cwd=cleanable.base)
    assert said.code == 0, said.err
    assert dedupctl("keep", "link/a/one.jpg", cwd=cleanable.base).code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 64),
        (["content:1"], 64),
        (["content:1", "content:1"], 64),
        (["content:1", "content:99"], 66),
        (["content:1", "/nowhere.jpg"], 66),
        (["--group", "99"], 66),
        (["--group", "1", "content:1"], 64),
        (["--list", "content:1"], 64),
        (["--withdraw"], 64),
    ],
)
def test_not_duplicate_refuses_what_makes_no_sense(cleanable, dedupctl, arguments, code):
    said = dedupctl("not-duplicate", *arguments)
    assert said.code == code
    assert said.err.startswith("dedupctl: ")


def test_keep_pins_lists_and_unpins(cleanable, dedupctl):
    small = cleanable.base / SMALL
    hostile = os.fsdecode(cleanable.path("photos", b"b/\x1b[2Jfake\nline.jpg"))
    odd = os.fsdecode(cleanable.path("photos", b"b/\xff\xfe.jpg"))
    said = dedupctl("keep", small, hostile, odd)
    assert (said.code, said.err) == (0, "")
    assert f"{small} is kept." in said.out
    assert "fake\nline" not in said.out
    assert str(small) not in {v.path for i in cleanable.client.draft_plan(PlanRequest()).items for v in i.victims}
    listed = dedupctl("keep", "--list")
    assert "3 files are kept, whatever a policy says." in listed.out
    assert dedupctl("keep", "--remove", odd, hostile).code == 0
    assert [pin.path for pin in cleanable.client.pins().pins] == [str(small)]
    said = dedupctl("keep", "--remove", odd)
    assert said.code == 66
    assert "keep --list" in said.err


@pytest.mark.parametrize(("arguments", "code"), [([], 64), (["/nowhere.jpg"], 66), (["--list", "/x"], 64)])
def test_keep_refuses_what_makes_no_sense(cleanable, dedupctl, arguments, code):
    assert dedupctl("keep", *arguments).code == code


# ----------------------------------------------------------------------------------------------------------------- json


def test_json_is_one_document_as_described(cleanable, dedupctl, applied):
    for arguments, document in [
        (["plan"], PlanMessage),
        (["plan", "--show", applied], PlanMessage),
        (["plans"], PlansMessage),
        (["quarantine"], QuarantineMessage),
        (["quarantine", "expire", "--now"], ExpiryMessage),
        (["not-duplicate", "content:1", "content:2"], VerdictsMessage),
        (["not-duplicate", "--list"], VerdictsMessage),
        (["not-duplicate", "--withdraw", "content:1", "content:2"], WithdrawnMessage),
        (["keep", cleanable.base / "photos/a/one.jpg"], KeepDocument),
        (["keep", "--list"], PinsMessage),
        (["keep", "--remove", cleanable.base / "photos/a/one.jpg"], KeepDocument),
    ]:
        said = dedupctl(*arguments, "--json")
        assert (said.code, said.err) == (0, ""), arguments
        jsonschema.validate(json.loads(said.out), msgspec.json.schema(document))


def test_a_run_as_json_is_one_object_a_line(cleanable, dedupctl, planned):
    for arguments, kinds in [
        (["apply", planned], ["outcome", "end"]),
        (["undo", planned], ["outcome", "end"]),
    ]:
        said = dedupctl(*arguments, "--json")
        assert said.code == 0
        lines = list(map(json.loads, said.out.splitlines()))
        assert [line["kind"] for line in lines] == kinds
        for line in lines:
            jsonschema.validate(line, msgspec.json.schema(RunMessage))


def test_a_daemon_without_clean_up_is_told_in_one_line(cleanable, dedupctl):
    cleanable.stop()
    cleanable.cleanup = None
    cleanable.start()
    said = dedupctl("plan")
    assert said.code == 64
    assert "does no clean-up" in said.err


def test_without_a_daemon_nothing_is_done(cleanable, dedupctl, planned):
    cleanable.stop()
    for arguments in (["plan"], ["plans"], ["apply", planned], ["undo", "--last"], ["quarantine"], ["keep", "--list"]):
        assert dedupctl(*arguments).code == 69
