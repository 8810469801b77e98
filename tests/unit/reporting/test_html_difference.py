"""What the page says and marks of a copy is seen from the kept picture, whichever of the two was found first."""

import re

import pytest

from dedupd.core.records import Box, ContentId, Edge, Evidence, Geometry, Relation
from dedupd.reporting.render import ReportFormat, render

QUARTER = ((0.5, 0.0), (1.0, 0.0), (1.0, 0.5), (0.5, 0.5))  # B is A's upper right quarter
WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
PLACE = Box(left=0.6, top=0.1, right=0.8, bottom=0.2)  # in that quarter
JPEG = b"\xff\xd8\xff\xe0 a preview"


def edge(relation=Relation.EDITED, corners=QUARTER, boxes=(PLACE,), **changes):
    shares = {"overlap_of_a": 0.25, "overlap_of_b": 1.0} if corners != WHOLE else {"overlap_of_a": 1, "overlap_of_b": 1}
    geometry = Geometry(scale=1.0, rotation_deg=0.0, is_mirrored=False, inliers=9, corners=corners, **shares)
    evidence = Evidence(
        method="features",
        similarity=0.98,
        geometry=geometry,
        residual_low=0.9,
        worst_region=0.0,
        motion_px=0.0,
        tone_change=0.0,
        differences=boxes,
        **changes,
    )
    return Edge(
        a=ContentId(1),
        b=ContentId(2),
        relation=relation,
        similarity=0.98,
        reason="as the test says",
        evidence=evidence,
        verifier="test",
        found_at_ns=1,
    )


def page(make, found, *, keep=1, relation=None, preview=lambda content: JPEG):
    kept = make.file(b"/photos/kept.jpg", content=ContentId(keep))
    copy = make.file(b"/photos/copy.jpg", relation or found.relation, content=ContentId(3 - keep), similarity=0.98)
    report = make.report(make.report_group(kept, copy))
    text = b"".join(render(report, ReportFormat.HTML, preview, lambda one, other: found)).decode()
    return text.partition('<main id="groups">')[2]


def paths(html, kind):
    """The corners of each marked shape, in pixels of a 384 × 288 preview."""
    found = re.findall(rf'<path class="{kind}" d="M([^"]*)Z"/>', html)
    return [[tuple(map(float, point.split())) for point in path.split("L")] for path in found]


def frames(html):
    """The frame of the copy, then that of the kept picture beside the words."""
    return re.findall(r'<div class="frame (?:compare|small)">.*?</div>', html, re.DOTALL)


@pytest.mark.parametrize("keep", [1, 2])
def test_a_crop_shows_where_it_was_taken_from_on_the_larger_one(make, keep):
    html = page(make, edge(boxes=()), keep=keep)
    [outline] = paths(html, "edge")
    assert outline == [(192.0, 0.0), (384.0, 0.0), (384.0, 144.0), (192.0, 144.0)]
    marked = [frame for frame in frames(html) if 'class="edge"' in frame]
    assert ["small" in frame for frame in marked] == [keep == 1]
    assert "edge of this copy" in html if keep == 1 else "edge of this copy" not in html


def test_a_place_that_differs_is_marked_on_both(make):
    html = page(make, edge())
    on_copy, on_kept = paths(html, "place")
    assert on_kept[0] == pytest.approx((0.6 * 384, 0.1 * 288), abs=0.1)
    assert on_copy[0] == pytest.approx((0.2 * 384, 0.2 * 288), abs=0.1)
    assert "On the kept picture" in html
    assert "One place differs, at the top right of the kept picture." in html


@pytest.mark.parametrize(("keep", "said"), [(1, "This copy shows 25 % of the kept picture"), (2, "25 % of this copy")])
def test_the_words_speak_of_this_copy_and_the_kept_picture(make, keep, said):
    assert said in page(make, edge(boxes=()), keep=keep)


def test_an_overlay_is_told_of_the_one_that_bears_it(make):
    found = edge(corners=WHOLE, overlay_share=0.03, overlay_is_on_b=True)
    assert "watermark on this copy covers 3 %" in page(make, found, keep=1)
    assert "watermark on the kept picture covers 3 %" in page(make, found, keep=2)


def test_it_is_open_for_edited_copies_and_on_demand_for_others_with_marks(make):
    assert '<details class="where" open>' in page(make, edge())
    assert '<details class="where">' in page(make, edge(Relation.RE_ENCODED, WHOLE))
    assert "<details" not in page(make, edge(Relation.RE_ENCODED, WHOLE, boxes=()))


@pytest.mark.parametrize("corners", [WHOLE, WHOLE[1:] + WHOLE[:1], WHOLE[::-1]], ids=["upright", "turned", "mirrored"])
def test_a_whole_frame_has_no_edge_however_it_is_turned(make, corners):
    assert 'class="edge"' not in page(make, edge(corners=corners, boxes=()))


def test_a_pair_found_before_corners_were_kept_is_marked_where_its_boxes_are(make):
    html = page(make, edge(corners=()), keep=1)
    assert len(paths(html, "place")) == 1
    assert "What differs" not in html.partition("</figure>")[0]
    html = page(make, edge(corners=()), keep=2)
    assert "of this copy." in html  # the boxes are in its fractions


def test_without_pictures_or_evidence_nothing_is_marked(make):
    html = page(make, edge(), preview=lambda content: None)
    assert "<svg" not in html
    assert "On the kept picture" not in html
    assert "One place differs" in html
    kept, copy = make.file(b"/a.jpg"), make.file(b"/b.jpg", Relation.EDITED, content=ContentId(2))
    report = make.report(make.report_group(kept, copy))
    assert b"How it differs" not in b"".join(render(report, ReportFormat.HTML, lambda c: JPEG, lambda a, b: None))


def test_absurd_numbers_stay_near_the_picture(make):
    far = ((-900.0, -900.0), (-899.9, -900.0), (-899.9, -899.9), (-900.0, -899.9))
    for x, y in paths(page(make, edge(corners=far, boxes=())), "edge")[0]:
        assert -384 <= x <= 768
        assert -288 <= y <= 576
