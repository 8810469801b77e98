"""The HTML report in a real browser: filters work, nothing is fetched, names stay text, people can read it."""

from __future__ import annotations

import io
import json
import os
import select
import shutil
import subprocess
import sys
import time

import pytest
from fakes.skipping import not_tested
from PIL import Image, ImageDraw

from dedupd.core.grouping import Share
from dedupd.core.records import Box, ContentId, Edge, Evidence, FilePath, Geometry, Relation, RootId
from dedupd.core.report import Report, ReportFile, ReportGroup
from dedupd.reporting.render import ReportFormat, render, write_atomically

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DEADLINE_S = 30.0
PORTRAIT = 5  # the content whose picture is upright
HOSTILE = b'/photos/z/<img src=x onerror="window.pwned=1">"\'&\n\xff.jpg'
AS_3_AND_4 = """
import fcntl, os, sys
high = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]]
os.dup2(high[0], 3), os.dup2(high[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""  # the debugging pipe is descriptors 3 and 4


class Browser:
    """A headless Chromium, spoken to over its debugging pipe (Chrome DevTools Protocol, JSON ended by NUL)."""

    def __init__(self, program, profile):
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        options = [
            "--headless", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={profile}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []), "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-c", AS_3_AND_4, str(to_read), str(to_write), program, *options],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._buffer, self._number, self._session = b"", 0, None
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        self._process.terminate()
        self._process.wait(DEADLINE_S)
        os.close(self._to)
        os.close(self._from)

    def call(self, method, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        answer = self._next(lambda m: m.get("id") == self._number)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, path):
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        self._next(lambda m: m.get("method") == "Page.loadEventFired")

    def run(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, script):
        deadline = time.monotonic() + DEADLINE_S
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, f"never true: {script}"
        return value

    def _next(self, is_wanted):
        deadline = time.monotonic() + DEADLINE_S
        while True:
            while b"\0" not in self._buffer:
                ready, _, _ = select.select([self._from], [], [], deadline - time.monotonic())
                assert ready, "the browser does not answer"
                got = os.read(self._from, 1 << 20)
                assert got, "the browser ended"
                self._buffer += got
            line, _, self._buffer = self._buffer.partition(b"\0")
            message = json.loads(line)
            if "method" in message:
                self.events.append(message)
            if is_wanted(message):
                return message

    def complaints(self):
        """What a person would find in the console."""
        bad = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
        return [event for event in self.events if event["method"] in bad]

    def requests(self):
        return [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        not_tested(f"the report page: none of {', '.join(BROWSERS)} is installed")
    browser = Browser(program, tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


def picture(content):
    """Each content's own colour, so that swapped pictures can be told apart."""
    side = (216, 384) if content == PORTRAIT else (384, 288)
    image = Image.new("RGB", side, (40 * content % 256, 90, 150))
    ImageDraw.Draw(image).ellipse((60, 40, 320, 250), fill=(230, 200, 60 * content % 256))
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


def file(path, content, relation=None, similarity=1.0, size=3_000_000, side=(4032, 3024)):
    return ReportFile(
        path=path,
        file=FilePath(root=RootId(1), directory=b"", name=path.rpartition(b"/")[2]),
        content=ContentId(content),
        size_bytes=size,
        width_px=side[0],
        height_px=side[1],
        format="JPEG",
        mtime_ns=1_700_000_000_000_000_000,
        taken_at_ms=1_559_991_111_000 if relation is None else None,
        relation=relation,
        similarity=similarity,
        probability=0.999,
        reason="more pixels" if relation is None else "the same picture",
        frees_bytes=0 if relation is None else size,
    )


def group(keep, *duplicates, related=()):
    weakest = max(duplicates, key=lambda f: f.relation.rank)
    return ReportGroup(
        id=keep.content,
        relation=weakest.relation,
        similarity=weakest.similarity,
        probability=weakest.probability,
        keep=keep,
        duplicates=duplicates,
        related=related,
        frees_bytes=sum(f.frees_bytes for f in duplicates),
    )


def pair(keep, content):
    """The middle of the city, with a mark on it; of the others nothing is known."""
    if (keep, content) != (3, 4):
        return None
    evidence = Evidence(
        method="features",
        similarity=0.98,
        geometry=Geometry(
            scale=0.4,
            rotation_deg=0.0,
            is_mirrored=False,
            overlap_of_a=0.25,
            overlap_of_b=1.0,
            inliers=99,
            corners=((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)),
        ),
        residual_low=0.9,
        worst_region=0.01,
        motion_px=0.0,
        tone_change=0.0,
        differences=(Box(left=0.3, top=0.6, right=0.5, bottom=0.7),),
        overlay_share=0.03,
        overlay_is_on_b=True,
    )
    return Edge(
        a=ContentId(3),
        b=ContentId(4),
        relation=Relation.EDITED,
        similarity=0.98,
        reason="the same picture",
        evidence=evidence,
        verifier="test",
        found_at_ns=1,
    )


def shares_of(groups):
    files = [file for group in groups for file in group.duplicates]
    return tuple(
        Share(
            relation=kind,
            files=sum(file.relation is kind for file in files),
            frees_bytes=sum(file.frees_bytes for file in files if file.relation is kind),
        )
        for kind in sorted({file.relation for file in files}, key=lambda relation: relation.rank)
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    small = (1600, 1200)
    groups = (
        group(
            file(b"/photos/2019/Italy/beach.jpg", 1),
            file(b"/photos/backup/beach.jpg", 1, Relation.SAME_BYTES),
            file(b"/photos/phone/IMG-WA0001.jpg", 2, Relation.RE_ENCODED, 0.98, 300_000, small),
            related=(file(b"/photos/2019/Italy/other.jpg", 6),),
        ),
        group(
            file(b"/photos/b/long/" + b"directory-name-without-any-break" * 6 + b"/city.jpg", 3),
            file(b"/photos/phone/city-crop.jpg", 4, Relation.EDITED, 0.87, 900_000, small),
            file(b"/photos/phone/city-2.jpg", 5, Relation.EDITED, 0.86, 900_000, small),
        ),
        group(file(b"/photos/a/dog.jpg", 6), file(HOSTILE, 6, Relation.SAME_BYTES, size=1000)),
    )
    report = Report(
        generated_at_ns=1_795_180_000_000_000_000,
        total_images=1234,
        total_contents=1200,
        duplicate_groups=len(groups),
        shares=shares_of(groups),
        keep_policy="best",
        relations=(Relation.SAME_BYTES, Relation.RE_ENCODED, Relation.EDITED),
        roots=(b"/photos",),
        problems=2,
        pending=1,
        groups=groups,
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_atomically(path, render(report, ReportFormat.HTML, picture, pair))
    return path


SHOWN = "[...document.querySelectorAll('.group')].filter(g => !g.hidden).map(g => g.querySelector('h2').textContent)"


def set_input(browser, selector, value):
    browser.run(
        f"{{ const e = document.querySelector({json.dumps(selector)}); e.value = {json.dumps(value)};"
        " e.dispatchEvent(new Event('input')); e.dispatchEvent(new Event('change')); }"
    )


def test_the_page_shows_every_picture_and_asks_for_nothing_outside_itself(browser, page):
    browser.open(page)
    browser.run("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
    browser.wait_for("[...document.images].every(i => i.complete)")
    assert browser.run("[...document.images].map(i => i.naturalWidth)") == [384] * 5 + [216, 384]
    fits = "(i, f) => f.top <= i.top && i.bottom <= f.bottom && f.left <= i.left && i.right <= f.right"
    boxes = "i.getBoundingClientRect(), i.parentElement.getBoundingClientRect()"
    assert browser.run(f"[...document.images].every(i => ({fits})({boxes}))")  # whole, not cut by the frame
    outside = [url for url in browser.requests() if not url.startswith(("file:///", "data:"))]
    assert outside == []
    assert [url for url in browser.requests() if url.startswith("file:")] == [page.as_uri()]
    assert browser.complaints() == []


def test_what_differs_is_marked_where_it_is_on_both_pictures(browser, page):
    browser.open(page)
    marked = browser.run(
        "[...document.querySelectorAll('#g2 .marks')].map(svg => {"
        " const frame = svg.parentElement.getBoundingClientRect();"
        " const box = svg.querySelector('.place').getBoundingClientRect();"
        " return [box.left - frame.left, box.top - frame.top, box.right - frame.left, box.bottom - frame.top]"
        " .map((v, i) => v / (i % 2 ? frame.height : frame.width)) })"
    )
    on_copy, on_kept = marked  # both pictures fill their frames of 4:3
    assert on_kept == pytest.approx([0.3, 0.6, 0.5, 0.7], abs=0.02)
    assert on_copy == pytest.approx([0.1, 0.7, 0.5, 0.9], abs=0.02)
    told = browser.run("document.querySelector('#g2 .where').textContent")
    assert "Text or a watermark on this copy covers 3 %" in told
    assert browser.complaints() == []


def test_holding_to_compare_hides_the_marks_of_the_copy(browser, page):
    browser.open(page)
    shown = "getComputedStyle(document.querySelector('#g2 .compare .marks')).display"
    assert browser.run(shown) != "none"
    browser.run("document.querySelector('#g2 .compare button').dispatchEvent(new PointerEvent('pointerdown'))")
    assert browser.run(shown) == "none"


def test_names_of_files_stay_text(browser, page):
    browser.open(page)
    assert browser.run("window.pwned === undefined")
    assert browser.run("document.querySelectorAll('img[src=x]').length") == 0
    texts = browser.run("[...document.querySelectorAll('.path')].map(p => p.textContent)")
    assert '/photos/z/<img src=x onerror="window.pwned=1">"\'&\\x0a\\xff.jpg' in texts


def test_search_filter_and_sort_show_the_groups_that_fit(browser, page):
    browser.open(page)
    assert browser.run(SHOWN) == ["beach.jpg", "city.jpg", "dog.jpg"]
    assert browser.run("document.getElementById('count').textContent") == "3 of 3 groups, 5.1 MB"

    set_input(browser, "#find", "PHONE wa0001")
    browser.wait_for(f"{SHOWN}.join() === 'beach.jpg'")
    assert browser.run("document.getElementById('count').textContent") == "1 of 3 groups, 3.3 MB"
    set_input(browser, "#find", "nowhere")
    browser.wait_for(f"{SHOWN}.length === 0 && !document.getElementById('nothing').hidden")
    set_input(browser, "#find", "")
    browser.wait_for(f"{SHOWN}.length === 3")

    browser.run("document.querySelector('input[value=same-bytes]').click()")
    assert browser.run(SHOWN) == ["beach.jpg", "city.jpg"]  # beach.jpg also has a re-encoded copy
    browser.run("document.querySelector('input[value=same-bytes]').click()")

    for order, names in (
        ("path", ["beach.jpg", "dog.jpg", "city.jpg"]),
        ("similarity", ["city.jpg", "beach.jpg", "dog.jpg"]),
        ("frees", ["beach.jpg", "city.jpg", "dog.jpg"]),
    ):
        set_input(browser, "#sort", order)
        assert browser.run(SHOWN) == names
    assert browser.complaints() == []


def test_holding_the_button_shows_the_kept_picture_in_the_copys_place(browser, page):
    browser.open(page)
    sources = "['.keep img', '.compare img'].map(s => document.querySelector('#g1 ' + s).src)"
    press = "document.querySelector('#g1 .compare button').dispatchEvent(new {}({!r}, {{key: ' ', bubbles: true}}))"
    kept, own = browser.run(sources)
    assert kept != own
    for down, up in (("pointerdown", "pointerup"), ("keydown", "keyup")):
        kind = "KeyboardEvent" if down == "keydown" else "PointerEvent"
        browser.run(press.format(kind, down))
        assert browser.run(sources) == [kept, kept]
        browser.run(press.format(kind, up))
        assert browser.run(sources) == [kept, own]


def test_without_script_everything_is_there_but_the_tools(browser, page):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
        assert browser.run(SHOWN) == ["beach.jpg", "city.jpg", "dog.jpg"]
        assert browser.run("getComputedStyle(document.getElementById('tools')).display") == "none"
        assert browser.run("document.querySelectorAll('.compare button').length") == 0
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("width", [320, 390, 800, 1600])
def test_no_screen_is_too_narrow(browser, page, width):
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
    try:
        browser.open(page)
        assert browser.run("document.documentElement.scrollWidth") <= width
        kept, copy = browser.run(
            "['.keep', '.copy'].map(s => { const r = document.querySelector('#g1 ' + s).getBoundingClientRect();"
            " return [r.left, r.right] })"
        )
        assert kept[1] <= copy[0]  # side by side, not one above the other
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")


CONTRASTS = """
(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const f = (v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 };
    return .2126 * f(r) + .7152 * f(g) + .0722 * f(b) };
  const back = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0) return c } };
  const found = {};
  const texts = 'h1, h2, p, dt, dd, small, .badge, .folder, .frees, .number, summary, label, output';
  for (const e of document.querySelectorAll(texts)) {
    if (!e.textContent.trim()) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(back(e))].sort((x, y) => y - x);
    const key = e.tagName.toLowerCase() + (e.className ? '.' + e.className : '');
    found[key] = Math.min(found[key] ?? 99, (a + .05) / (b + .05));
  }
  return found;
})()
"""  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_light_and_dark(browser, page, scheme):
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    try:
        browser.open(page)
        contrasts = browser.run(CONTRASTS)
        weak = {what: round(ratio, 2) for what, ratio in contrasts.items() if ratio < 4.5}  # WCAG 2.2, AA
        assert weak == {}
        assert len(contrasts) > 10
        is_dark = browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(19, 19, 18)"
        assert is_dark == (scheme == "dark")
    finally:
        browser.call("Emulation.setEmulatedMedia", features=[])


def test_a_screen_reader_finds_headings_labels_and_descriptions(browser, page):
    browser.open(page)
    assert browser.run("[...document.querySelectorAll('h1, h2')].map(h => h.tagName).join()") == "H1,H2,H2,H2"
    assert browser.run("[...document.images].every(i => /\\.jpg, \\d+ × \\d+ JPEG$/.test(i.alt))")
    assert browser.run("[...document.querySelectorAll('input, select')].every(e => e.labels.length === 1)")
    named = "a => document.getElementById(a.getAttribute('aria-labelledby'))"
    assert browser.run(f"[...document.querySelectorAll('article')].every({named})")
    assert browser.run("document.querySelectorAll('main, header.top, footer').length") == 3
