"""What each written format promises to who reads it."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
import stat
import threading
from html.parser import HTMLParser

import pytest

from dedupd.core.errors import AccessError, DedupdError
from dedupd.core.records import ContentId, Relation
from dedupd.protocol.report import report_message
from dedupd.reporting.render import ReportFormat, render, write_atomically
from dedupd.reporting.write_html import PICTURE_BUDGET_BYTES, html_chunks

JPEG = b"\xff\xd8\xff\xe0 a preview"
ODD = b"/photos/=cmd|'\xff<script>alert(1)</script>\xe2\x80\xae\n.jpg"


def no_preview(content):
    return None


def no_pair(keep, content):
    return None


def written(report, form, preview=no_preview, pair=no_pair):
    return b"".join(render(report, form, preview, pair))


@pytest.fixture
def report(make):
    keep = make.file(b"/photos/2019/kept.jpg")
    copy = make.file(
        ODD,
        Relation.RE_ENCODED,
        content=ContentId(2),
        similarity=0.98765,
        probability=0.953125,
        width_px=1600,
        height_px=1200,
        reason="-1+2",
    )
    twin = make.file(b"/photos/twin.jpg", Relation.SAME_BYTES)
    far = make.file(b"/photos/far.jpg", None, content=ContentId(3), similarity=0.0, probability=0.0)
    return make.report(make.report_group(keep, twin, copy, related=(far,)), make.report_group(keep, twin))


def test_json_streamed_group_by_group_says_what_the_whole_message_says(report):
    import msgspec

    whole = msgspec.json.decode(msgspec.json.encode(report_message(report)))
    assert json.loads(written(report, ReportFormat.JSON)) == whole
    assert whole["groups"][0]["keep"]["path"] == "/photos/2019/kept.jpg"


def test_json_of_no_groups_is_valid(make):
    assert json.loads(written(make.report(), ReportFormat.JSON))["groups"] == []


def csv_rows(report):
    text = written(report, ReportFormat.CSV).decode()
    unquoted = re.sub(r'"[^"]*"', "", text)
    assert unquoted.count("\n") == unquoted.count("\r\n")  # RFC 4180: every line ends in CRLF
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_has_a_row_for_each_file_with_its_role(report):
    rows = csv_rows(report)
    assert [(r["group"], r["role"]) for r in rows] == [
        ("1", "keep"),
        ("1", "duplicate"),
        ("1", "duplicate"),
        ("1", "related"),
        ("1", "keep"),
        ("1", "duplicate"),
    ]
    assert rows[0]["relation"] == ""
    assert rows[2]["relation"] == "re-encoded"
    assert rows[2]["similarity"] == "0.9877"
    assert rows[2]["probability"] == "0.9531"
    assert list(rows[0])[-1] == "probability"  # columns are only ever appended
    assert rows[0]["taken"] == "2019-06-08T10:51:51.000"
    assert rows[0]["modified"].startswith("2023-11-14T22:13:20")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "'quoted"])
def test_csv_text_that_a_spreadsheet_would_run_is_disarmed_and_can_be_had_back(make, text):
    keep = make.file(b"/photos/a.jpg", reason=text)
    (row, _) = csv_rows(make.report(make.report_group(keep, make.file(b"/photos/b.jpg", Relation.SAME_BYTES))))
    assert row["reason"][0] == "'"
    assert row["reason"][1:] == text


def test_csv_gives_the_exact_bytes_of_a_name_that_is_not_utf8(report):
    row = csv_rows(report)[2]
    assert "\\xff" in row["path"]
    assert base64.b64decode(row["path_b64"]) == ODD
    assert csv_rows(report)[0]["path_b64"] == ""


class Page(HTMLParser):
    """Collects what a browser would load or run."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.sources, self.handlers, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [v for k, v in attrs if k in {"src", "href", "action", "data", "srcset", "poster"}]
        self.handlers += [k for k, _ in attrs if k.startswith("on")]

    def handle_data(self, data):
        self.text.append(data)


def test_html_asks_for_nothing_outside_itself(report):
    page = Page(written(report, ReportFormat.HTML, lambda content: JPEG).decode())
    assert page.sources
    assert all(source.startswith(("data:", "#")) for source in page.sources)
    assert page.handlers == []
    assert page.tags.count("script") == 1


def test_html_policy_allows_exactly_the_style_and_the_script_that_the_page_brings(report):
    text = written(report, ReportFormat.HTML).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)[1]
    assert policy.startswith("default-src 'none'; img-src data:; ")
    for tag in ("style", "script"):
        body = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert " style=" not in text  # the policy would ignore it


def test_html_shows_hostile_names_as_text_in_one_line(report):
    text = written(report, ReportFormat.HTML, lambda content: JPEG).decode()
    assert "<script>alert" not in text
    assert "\u202e" not in text
    shown = "".join(Page(text).text)
    assert "=cmd|'\\xff<script>alert(1)" in shown
    assert "\\u202e\\x0a.jpg" in shown


def test_html_pictures_are_the_previews_each_content_once_a_group(report):
    asked = []

    def preview(content):
        asked.append(content)
        return JPEG + bytes([content])

    text = written(report, ReportFormat.HTML, preview).decode()
    assert asked == [1, 2, 1]  # exact copies need no second picture
    assert base64.b64encode(JPEG + b"\x02").decode() in text


def many_groups(make):
    groups = [
        make.report_group(
            make.file(b"/photos/%d.jpg" % n, content=ContentId(n)),
            make.file(b"/photos/copy-%d.jpg" % n, Relation.SAME_BYTES, content=ContentId(n)),
        )
        for n in range(1, 8)
    ]
    return make.report(*groups)


def test_html_leaves_out_pictures_and_groups_beyond_its_limits_and_says_so(make):
    chunks = html_chunks(many_groups(make), lambda content: JPEG, no_pair, pictured_groups=2, shown_groups=4)
    text = b"".join(chunks).decode()
    assert text.count("<img ") == 2
    assert text.count("<article ") == 4
    assert "From here on without pictures" in text
    assert "3 more groups are not on this page" in text


def test_html_leaves_out_pictures_when_their_bytes_are_used_up(make):
    text = written(many_groups(make), ReportFormat.HTML, lambda content: bytes(PICTURE_BUDGET_BYTES // 2)).decode()
    assert text.count("<img ") == 2
    assert "the 2 groups above free the most" in text


def test_html_says_when_the_report_is_not_complete_and_when_there_is_nothing(make):
    text = written(make.report(pending=3, problems=1), ReportFormat.HTML).decode()
    assert "Not complete yet" in text
    assert "1 file could not be read" in text
    assert "<h1>No duplicates</h1>" in text


def test_html_comes_in_pieces_before_the_last_preview_is_asked_for(report):
    asked = []
    chunks = render(report, ReportFormat.HTML, asked.append, no_pair)
    next(chunks)
    assert asked == []


# --------------------------------------------------------------------------------------------------- onto the disk


def test_a_written_report_replaces_the_old_one_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "report.json"
    path.write_bytes(b"old")
    write_atomically(path, [b"new ", b"one"])
    assert path.read_bytes() == b"new one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_in_the_middle_leaves_the_old_report(tmp_path):
    path = tmp_path / "report.json"
    path.write_bytes(b"old")

    def chunks():
        yield b"half"
        raise KeyError

    with pytest.raises(KeyError):
        write_atomically(path, chunks())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    target = tmp_path / "real.json"
    target.write_bytes(b"old")
    link = tmp_path / "link.json"
    link.symlink_to(target)
    write_atomically(link, [b"new"])
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_atomically(pipe, [b"a", b"b"])
    reader.join(10)
    assert read == [b"ab"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_an_impossible_place_is_named_with_the_reason(tmp_path):
    with pytest.raises(DedupdError, match=r"cannot write .*nowhere/report.html: No such file or directory"):
        write_atomically(tmp_path / "nowhere" / "report.html", [b"x"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_forbidden_place_is_an_access_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(AccessError, match="folder that you may write to"):
        write_atomically(tmp_path / "report.html", [b"x"])
