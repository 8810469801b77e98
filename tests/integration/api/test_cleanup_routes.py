"""The clean-up's routes: answers as described, runs told while they happen, refusals that touch nothing."""

import csv
import io
import json
import os
import threading
from base64 import b64encode
from dataclasses import replace
from itertools import count

import jsonschema
import pytest

from dedupd.api.routes import CLEANUP_ROUTES
from dedupd.core.errors import DaemonUnreachableError, DedupdError, NotFoundError, RequestError, RetryError
from dedupd.core.records import RootState
from dedupd.core.verdicts import NotDuplicate
from dedupd.protocol.cleanup import OutcomeMessage, RunEndMessage
from dedupd.protocol.requests import PictureName, PinRequest, PlanRequest

from .test_routes import ask, ask_json, assert_as_described

SMALL = b"a/one small.jpg"
ODD = b"b/\xff\xfe.jpg"
HOSTILE = b"b/\x1b[2Jfake\nline.jpg"
EDITED_TOO = PlanRequest(relations=("same-bytes", "re-encoded", "edited"))


def drafted(stand, request=None):
    return stand.client.draft_plan(request or PlanRequest())


def applied(stand, request=None):
    plan = drafted(stand, request)
    *outcomes, end = stand.client.apply_plan(plan.id)
    assert end.is_whole
    return plan, outcomes


def lines_of(stand, method, target, body=None):
    """Status and the JSON objects of a stream."""
    status, headers, content = ask(stand, method, target, body)
    assert headers["content-type"] == "application/x-ndjson"
    return status, [json.loads(line) for line in content.splitlines() if line]


# --------------------------------------------------------------------------------------------------- as it is described


def test_every_answer_is_as_described(cleanable):
    status, plan = assert_as_described(cleanable, "POST", "/v1/plans", "/v1/plans", b"{}")
    assert status == 201
    small = json.dumps({"pictures": [{"content": 1}, {"content": 2}]}).encode()
    file = json.dumps({"path": os.fsdecode(cleanable.path("photos", SMALL))}).encode()
    for method, target, path, body in [
        ("GET", "/v1/plans", "/v1/plans", None),
        ("GET", f"/v1/plans/{plan['id'][:8]}", "/v1/plans/{plan}", None),
        ("POST", "/v1/verdicts", "/v1/verdicts", small),
        ("GET", "/v1/verdicts", "/v1/verdicts", None),
        ("DELETE", "/v1/verdicts", "/v1/verdicts", small),
        ("POST", "/v1/pins", "/v1/pins", file),
        ("GET", "/v1/pins", "/v1/pins", None),
        ("DELETE", "/v1/pins", "/v1/pins", file),
    ]:
        assert assert_as_described(cleanable, method, target, path, body)[0] == 200, target
    applied(cleanable)
    for target in ("/v1/quarantine", "/v1/quarantine/expiry?now=1"):
        status, answer = assert_as_described(cleanable, "GET", target, target.partition("?")[0])
        assert (status, answer["size_bytes"]) == (200, len(b"PIC one small"))


def test_every_line_of_a_run_is_as_described(cleanable):
    plan = drafted(cleanable, EDITED_TOO)
    assert_run_as_described(cleanable, "/v1/plans/{plan}/apply", plan=plan.id)
    assert_run_as_described(cleanable, "/v1/undo", b"{}")
    applied(cleanable)
    request = {"confirm": cleanable.client.expiry(now=True).token, "now": True}
    assert_run_as_described(cleanable, "/v1/quarantine/expire", json.dumps(request).encode())


def assert_run_as_described(stand, path, body=None, *, plan=""):
    _, openapi = ask_json(stand, "GET", "/openapi.json")
    content = openapi["paths"][path]["post"]["responses"]["200"]["content"]["application/x-ndjson"]["schema"]
    status, lines = lines_of(stand, "POST", path.replace("{plan}", plan), body)
    assert (status, {line["kind"] for line in lines}) == (200, {"outcome", "end"})
    for line in lines:
        jsonschema.validate(line, {**content, "components": openapi["components"]})


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "code"),
    [
        ("POST", "/v1/plans", b'{"polcy": "best"}', 400, "request"),
        ("POST", "/v1/plans", b'{"relations": ["similar"]}', 400, "request"),
        ("POST", "/v1/plans", b'{"action": "delete"}', 400, "request"),
        ("POST", "/v1/plans", b'{"min_age_s": -1}', 400, "request"),
        ("POST", "/v1/plans", b'{"action": "move"}', 400, "request"),
        ("POST", "/v1/plans", b'{"action": "move", "folder": "relative"}', 400, "request"),
        ("POST", "/v1/plans", b'{"below_b64": "no base64"}', 400, "request"),
        ("POST", "/v1/plans", b'{"policy": "no such"}', 404, "not-found"),
        ("POST", "/v1/plans", b'{"roots": [99]}', 404, "not-found"),
        ("POST", "/v1/plans", b'{"groups": [99]}', 404, "not-found"),
        ("GET", "/v1/plans?limit=1", None, 400, "request"),
        ("GET", "/v1/plans/0000000", None, 404, "not-found"),
        ("GET", "/v1/plans/00000000", None, 404, "not-found"),
        ("GET", f"/v1/plans/{'0' * 65}", None, 404, "not-found"),
        ("GET", "/v1/plans/..%2f..%2fetc", None, 404, "not-found"),
        ("GET", "/v1/plans/00000000?format=html", None, 400, "request"),
        ("POST", "/v1/plans/00000000/apply", None, 404, "not-found"),
        ("POST", "/v1/plans/xyz/apply", None, 404, "not-found"),
        ("GET", "/v1/plans/00000000/apply", None, 405, "request"),
        ("POST", "/v1/undo", b"{}", 404, "not-found"),
        ("POST", "/v1/undo", b'{"plan": "00000000"}', 404, "not-found"),
        ("POST", "/v1/undo", b'{"plan": "last"}', 404, "not-found"),
        ("POST", "/v1/undo", b'{"items": "all"}', 400, "request"),
        ("GET", "/v1/quarantine/expiry?now=perhaps", None, 400, "request"),
        ("GET", "/v1/quarantine/expiry?plan=00000000", None, 404, "not-found"),
        ("POST", "/v1/quarantine/expire", b"{}", 400, "request"),
        ("POST", "/v1/quarantine/expire", b'{"confirm": ""}', 400, "request"),
        ("POST", "/v1/quarantine/expire", b'{"confirm": "wrong"}', 400, "request"),
        ("POST", "/v1/verdicts", b"{}", 400, "request"),
        ("POST", "/v1/verdicts", b'{"pictures": [{"content": 1}]}', 400, "request"),
        ("POST", "/v1/verdicts", b'{"pictures": [{"content": 1}, {"content": 1}]}', 400, "request"),
        ("POST", "/v1/verdicts", b'{"pictures": [{"content": 1}, {"content": 99}]}', 404, "not-found"),
        ("POST", "/v1/verdicts", b'{"pictures": [{"content": 1}, {"path": "/nowhere.jpg"}]}', 404, "not-found"),
        ("POST", "/v1/verdicts", b'{"pictures": [{"content": 1}, {"path": "one.jpg"}]}', 400, "request"),
        ("POST", "/v1/verdicts", b'{"group": 99}', 404, "not-found"),
        ("POST", "/v1/verdicts", b'{"group": 1, "pictures": [{"content": 1}]}', 400, "request"),
        ("DELETE", "/v1/verdicts", b'{"pictures": [{"content": 1}, {"content": 99}]}', 404, "not-found"),
        ("POST", "/v1/pins", b'{"path": "/nowhere/x.jpg"}', 404, "not-found"),
        ("POST", "/v1/pins", b"{}", 404, "not-found"),
        ("DELETE", "/v1/pins", b'{"path": "relative"}', 400, "request"),
    ],
)
def test_refusals_have_one_shape(shared_album, method, target, body, status, code):
    got, answer = ask_json(shared_album, method, target, body)
    assert (got, answer["error"]["code"]) == (status, code)
    assert answer["error"]["message"]
    assert shared_album.client.plans().plans == ()


def test_a_daemon_without_clean_up_says_so_on_every_route(stand):
    stand.stop()
    stand.cleanup = None
    stand.start()
    bodies = {"expire": b'{"confirm": "x"}', "pin": b'{"path": "/x"}', "unpin": b'{"path": "/x"}'}
    for spec in CLEANUP_ROUTES:
        target = spec.path.replace("{plan}", "0" * 8)
        status, answer = ask_json(stand, spec.method, target, bodies.get(spec.name, b"{}") if spec.body_type else None)
        assert (status, answer["error"]["code"]) == (400, "request"), spec.name
        assert "does no clean-up" in answer["error"]["message"]


# ---------------------------------------------------------------------------------------------------------------- plans


def test_a_plan_says_who_stays_who_goes_and_what_is_left_alone(cleanable):
    before = cleanable.on_disk()
    plan = drafted(cleanable)
    (item,) = plan.items
    assert item.keeper.path == os.fsdecode(cleanable.path("photos", b"a/one link.jpg"))
    assert item.keep_reason == "higher resolution"
    (victim,) = item.victims
    assert victim.path == os.fsdecode(cleanable.path("photos", SMALL))
    assert (victim.role, victim.carried_to, victim.is_exact) == ("picture", None, False)
    assert (item.relation, item.reason, item.probability) == ("re-encoded", "half the size", 0.9995)
    assert (plan.files, plan.frees_bytes) == (1, len(b"PIC one small"))
    assert plan.left_alone_counts == {"hard-link": 1, "relation": 1}
    assert {file.why for file in plan.left_alone} == {"hard-link", "relation"}
    assert (plan.state, plan.action, plan.folder) == ("ready", "quarantine", None)
    assert plan.quarantine_s == 30 * 86_400
    assert cleanable.on_disk() == before


def test_a_plan_of_names_that_are_not_text_carries_them_exactly(cleanable):
    plan = drafted(cleanable, EDITED_TOO)
    keeper = next(item.keeper for item in plan.items if item.relation == "edited")
    assert keeper.path_b64 == b64encode(cleanable.path("photos", ODD)).decode()
    assert r"\xff\xfe.jpg" in keeper.path


def test_wishes_reach_the_clean_up(cleanable):
    for wish, files in [
        (PlanRequest(relations=("same-bytes",)), 0),
        (PlanRequest(groups=(1,)), 1),
        (PlanRequest(roots=(cleanable.roots["disk"],)), 0),
        (PlanRequest(below=f"{cleanable.base}/photos/a"), 1),
        (PlanRequest(below_b64=b64encode(cleanable.path("photos", b"b")).decode()), 0),
        (PlanRequest(min_age_s=1.0), 0),
    ]:
        assert drafted(cleanable, wish).files == files, wish
    moved = drafted(cleanable, PlanRequest(action="move", folder="/photos/duplicates", policy="oldest"))
    assert (moved.action, moved.folder.path, moved.policy) == ("move", "/photos/duplicates", "oldest")


def test_plans_are_listed_and_found_by_a_start_of_their_name(cleanable):
    first = drafted(cleanable)
    cleanable.cleanup.now_ns += 1
    second = drafted(cleanable, EDITED_TOO)
    rows = cleanable.client.plans().plans
    assert [(row.id, row.files, row.left_alone) for row in rows] == [(second.id, 2, 1), (first.id, 1, 2)]
    assert cleanable.client.plan(first.id[:8].upper()) == first
    with pytest.raises(NotFoundError):
        cleanable.client.plan("../../v1/status")


def test_a_plan_as_csv_has_a_row_for_each_file(cleanable):
    plan = drafted(cleanable, EDITED_TOO)
    status, headers, content = ask(cleanable, "GET", f"/v1/plans/{plan.id}?format=csv")
    assert (status, headers["content-type"]) == (200, "text/csv; charset=utf-8")
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    assert [row["what"] for row in rows] == ["quarantine", "quarantine", "left-alone"]
    assert {row["path"] for row in rows} >= {os.fsdecode(cleanable.path("photos", name)) for name in (SMALL, HOSTILE)}
    assert sum(int(row["frees_bytes"] or 0) for row in rows) == plan.frees_bytes
    assert rows[1]["keep_b64"] == b64encode(cleanable.path("photos", ODD)).decode()
    assert rows[2]["reason"].startswith("hard-link: ")
    assert cleanable.client.plan_csv(plan.id) == content


# ----------------------------------------------------------------------------------------------------------------- runs


def test_applying_tells_each_file_then_the_end(cleanable):
    before = cleanable.on_disk()
    plan = drafted(cleanable, EDITED_TOO)
    *outcomes, end = cleanable.client.apply_plan(plan.id[:8])
    gone = {cleanable.path("photos", name) for name in (SMALL, HOSTILE)}
    assert set(before) - set(cleanable.on_disk()) == gone
    assert [(o.result, o.run, o.plan) for o in outcomes] == [("done", "apply", plan.id)] * 2
    assert (end.done, end.plan, end.size_bytes, end.is_whole) == (2, plan.id, plan.frees_bytes, True)
    assert cleanable.client.plan(plan.id).state == "applied"


def test_a_file_that_changed_is_a_conflict_and_the_run_is_not_whole(cleanable):
    plan = drafted(cleanable, EDITED_TOO)
    changed = cleanable.base / "photos" / os.fsdecode(SMALL)
    changed.write_bytes(b"somebody works on it")
    *outcomes, end = cleanable.client.apply_plan(plan.id)
    assert [o.result for o in outcomes] == ["conflict", "done"]
    assert (end.done, end.conflicts, end.is_whole) == (1, 1, False)
    assert changed.read_bytes() == b"somebody works on it"


def test_a_refusal_before_the_first_file_is_an_ordinary_one(cleanable):
    before, plan = cleanable.on_disk(), drafted(cleanable)
    cleanable.cleanup.now_ns += 2 * 86_400 * 10**9
    status, answer = ask_json(cleanable, "POST", f"/v1/plans/{plan.id}/apply")
    assert (status, answer["error"]["code"]) == (400, "request")
    assert "expired" in answer["error"]["message"]
    with pytest.raises(RequestError, match="expired"):
        next(cleanable.client.apply_plan(plan.id))
    assert cleanable.on_disk() == before


def test_a_plan_whose_groups_moved_on_is_refused(cleanable):
    before, plan = cleanable.on_disk(), drafted(cleanable)
    cleanable.groups.groups.pop()
    with pytest.raises(RequestError, match="changed since"):
        list(cleanable.client.apply_plan(plan.id))
    assert cleanable.on_disk() == before


def test_a_suspect_root_refuses_with_try_again(cleanable):
    before, plan = cleanable.on_disk(), drafted(cleanable)
    with cleanable.library.transaction() as txn:
        txn.put_root(replace(txn.root(cleanable.roots["photos"]), state=RootState.SUSPECT))
    with pytest.raises(RetryError, match="suspect"):
        list(cleanable.client.apply_plan(plan.id))
    assert cleanable.on_disk() == before


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [(RetryError("The actor went."), RetryError, "retry"), (ValueError("/secret/inside"), DedupdError, "error")],
    ids=["ours", "a bug"],
)
def test_a_run_that_breaks_off_ends_with_the_failure(cleanable, fault, kind, code):
    plan = drafted(cleanable, EDITED_TOO)
    cleanable.cleanup.fault = fault
    status, lines = lines_of(cleanable, "POST", f"/v1/plans/{plan.id}/apply")
    assert (status, [line["kind"] for line in lines]) == (200, ["outcome", "failure"])
    assert lines[-1]["error"]["code"] == code
    assert "secret" not in json.dumps(lines)
    cleanable.cleanup.fault = fault
    run = cleanable.client.undo()
    assert isinstance(next(run), OutcomeMessage)
    with pytest.raises(kind):
        next(run)


def test_a_run_goes_on_when_the_client_leaves(cleanable):
    plan = drafted(cleanable, EDITED_TOO)
    gone = threading.Event()
    cleanable.cleanup.before_each = _after_the_first(gone)
    run = cleanable.client.apply_plan(plan.id)
    next(run)
    run.close()
    gone.set()
    for thread in threading.enumerate():
        if thread.name == "cleanup-run":
            thread.join(30)
    assert {file.path for file in cleanable.client.quarantine().files} == {
        victim.path for item in plan.items for victim in item.victims
    }


def test_stopping_waits_for_no_run_and_the_client_is_told(cleanable):
    plan = drafted(cleanable, EDITED_TOO)
    release = threading.Event()
    cleanable.cleanup.before_each = _after_the_first(release)
    run = cleanable.client.apply_plan(plan.id)
    assert isinstance(next(run), OutcomeMessage)
    assert cleanable.stop()
    with pytest.raises((RetryError, DaemonUnreachableError)) as told:
        next(run)
    assert "quarantine list" in str(told.value)
    release.set()


def _after_the_first(released):
    """Lets one file be acted on, and the next only once it is released."""
    calls = count()
    return lambda: next(calls) == 0 or released.wait(30)


def test_a_second_run_is_refused_while_one_is_under_way(cleanable):
    plan = drafted(cleanable, EDITED_TOO)
    release = threading.Event()
    cleanable.cleanup.before_each = _after_the_first(release)
    run = cleanable.client.apply_plan(plan.id)
    next(run)
    with pytest.raises(RetryError, match="under way"):
        next(cleanable.client.undo())
    release.set()
    assert isinstance(list(run)[-1], RunEndMessage)


def test_undo_puts_back_all_some_or_what_was_applied_last(cleanable):
    before = cleanable.on_disk()
    plan, _ = applied(cleanable, EDITED_TOO)
    first, *_ = list(cleanable.client.undo(plan.id[:8], [1]))
    assert (first.item, first.run, first.result) == (1, "undo", "done")
    assert len(cleanable.client.quarantine().files) == 1
    *_, end = cleanable.client.undo()
    assert (end.plan, end.done) == (plan.id, 1)
    assert cleanable.on_disk() == before
    with pytest.raises(NotFoundError):
        next(cleanable.client.undo(plan.id, [77]))


def test_undo_never_overwrites_and_says_where_the_file_is(cleanable):
    plan, _ = applied(cleanable)
    taken = cleanable.base / "photos" / os.fsdecode(SMALL)
    taken.write_bytes(b"somebody else's")
    outcome, _ = cleanable.client.undo(plan.id)
    assert outcome.result == "restored-beside"
    assert outcome.now_at.path != outcome.path == str(taken)
    assert taken.read_bytes() == b"somebody else's"


def test_only_what_was_shown_is_deleted_for_good(cleanable):
    plan, (outcome,) = applied(cleanable)
    assert cleanable.client.expiry().due == ()
    shown = cleanable.client.expiry(now=True)
    assert [file.path for file in shown.due] == [outcome.path]
    with pytest.raises(RequestError, match="token"):
        list(cleanable.client.expire("wrong", now=True))
    with pytest.raises(RequestError, match="token"):
        list(cleanable.client.expire(shown.token))  # without now, nothing was shown
    assert os.path.lexists(outcome.now_at.path)
    deleted, end = cleanable.client.expire(shown.token, plan.id[:8], now=True)
    assert (deleted.result, deleted.now_at, end.run, end.done) == ("done", None, "expire", 1)
    assert not os.path.lexists(outcome.now_at.path)


# ----------------------------------------------------------------------------------------------------- what people said


def test_verdicts_on_pictures_by_number_by_path_and_by_group(cleanable):
    client = cleanable.client
    odd = PictureName(path_b64=b64encode(cleanable.path("photos", ODD)).decode())
    (said,) = client.reject([PictureName(content=1), odd]).verdicts
    assert {said.a.content, said.b.content} == {1, cleanable.groups.groups[1].keeper}
    assert {file.path for side in (said.a, said.b) for file in side.files} >= {
        os.fsdecode(cleanable.path("photos", b"a/one.jpg"))
    }
    small = cleanable.groups.groups[0].members[0].content
    (of_group,) = client.reject(group=small).verdicts
    assert {of_group.a.content, of_group.b.content} == {1, small}
    assert len(client.verdicts().verdicts) == 2
    assert drafted(cleanable).files == 0
    assert client.withdraw([PictureName(content=1), odd]).verdicts == 1
    assert client.withdraw([PictureName(content=1), odd]).verdicts == 0
    assert client.verdicts().verdicts == (of_group,)


def test_a_verdict_on_a_picture_that_is_gone_is_still_listed(cleanable):
    with cleanable.library.transaction() as txn:
        txn.put_verdict(NotDuplicate(a=b"\0" * 32, b=b"\1" * 32, said_at_ns=5))
    (verdict,) = cleanable.client.verdicts().verdicts
    assert (verdict.a.content, verdict.a.files, verdict.a.digest) == (None, (), "00" * 32)


def test_equal_bytes_are_duplicates_whatever_anybody_says(cleanable):
    link = PictureName(path=os.fsdecode(cleanable.path("photos", b"a/one link.jpg")))
    with pytest.raises(RequestError, match="same bytes"):
        cleanable.client.reject([PictureName(content=1), link])


def test_pins_by_text_and_by_exact_bytes(cleanable):
    client = cleanable.client
    small = PinRequest(path=os.fsdecode(cleanable.path("photos", SMALL)))
    odd = PinRequest(path=r"whatever \xff", path_b64=b64encode(cleanable.path("photos", ODD)).decode())
    assert client.pin(small).path == small.path
    assert client.pin(odd).path_b64 == odd.path_b64
    assert len(client.pins().pins) == 2
    assert os.fsdecode(cleanable.path("photos", SMALL)) not in {
        victim.path for item in drafted(cleanable).items for victim in item.victims
    }
    assert client.unpin(odd).path_b64 == odd.path_b64
    with pytest.raises(NotFoundError, match="keep --list"):
        client.unpin(odd)
    assert [pin.path for pin in client.pins().pins] == [small.path]
