from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from benchmarks.accuracy_docs import PAGE, write_docs

MADE_ON = {"commit": "abc1234", "at": "2026-01-02T03:04:05Z"}
FIGURE = {"copies": 2, "recall": 0.5}
RESULT = {
    "data": "own making",
    "half": "report",
    "pictures": 9,
    "precision": 0.75,
    "recall": 0.5,
    "pairs": {"reported": 4, "right": 3, "true": 6},
    "look_alikes": {"pairs": 5, "merged": 1, "by_kind": {"burst_moved": {"pairs": 5, "merged": 1}}},
    "other_false": 0,
    "recall_by_transform": {"crop_5": FIGURE},
    "recall_by_tier": {"medium": FIGURE},
    "scan": {"pairs_a_picture": 2.5, "cpu_ms_a_picture": 61.0},
    "candidates": {
        "recall_at_1": 0.9,
        "recall_at_3": 0.95,
        "recall_at_10": 0.99,
        "among_1000": {"recall_at_10": 0.98},
        "cpu_ms_a_descriptor": 1.5,
        "by_transform": {"crop_5": {"recall_at_10": 0.97}},
    },
    "verifier": {
        "recall_by_tier": {"medium": FIGURE},
        "recall_by_transform": {"crop_5": {**FIGURE, "relations": {"edited": 1, "similar": 1}}},
        "series_by_kind": {"burst_moved": {"pairs": 5, "accepted": 2}},
        "re_encoded_wrongly": {"count": 7},
        "calibration": {
            "bins": [{"from": 0.9, "to": 0.95, "pairs": 8, "predicted": 0.93, "observed": 0.91}],
            "expected_error": 0.02,
        },
        "cpu_ms_a_pair": {"p50": 21.5},
    },
}


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "accuracy.md"
    path.write_text(
        "before\n<!-- generated: figures begin -->\nold\n<!-- generated: figures end -->\n"
        "between\n<!-- labelled: figures begin -->\nkept\n<!-- labelled: figures end -->\n"
    )
    return path


def test_the_section_of_the_data_is_replaced_and_the_other_stays(page):
    write_docs(RESULT, MADE_ON, page)
    told = page.read_text()
    assert "old" not in told
    assert "Commit `abc1234`, 2026-01-02" in told
    assert told.startswith("before\n")
    assert "kept" in told
    assert "| precision over pairs | 75.00% of 4 reported |" in told
    assert "| `burst_moved` | 5 | 1 | 2 |" in told
    assert "| `crop_5` | 2 | 97.0% | 50.0% | 50.0% | edited 1, similar 1 |" in told


def test_writing_again_leaves_the_page_as_it_is(page):
    write_docs(RESULT, MADE_ON, page)
    once = page.read_text()
    write_docs(RESULT, MADE_ON, page)
    assert page.read_text() == once


def test_plots_are_well_formed_and_show_each_figure(page):
    write_docs(RESULT, MADE_ON, page)
    for name in ("reliability", "recall"):
        drawn = ET.parse(page.parent / f"accuracy-generated-{name}.svg")
        assert drawn.getroot().get("role") == "img"
        assert f"](accuracy-generated-{name}.svg)" in page.read_text()
    assert "crop_5 (2)" in (page.parent / "accuracy-generated-recall.svg").read_text()


def test_a_page_without_the_markers_is_refused_by_name(tmp_path):
    (tmp_path / "accuracy.md").write_text("nothing\n")
    with pytest.raises(SystemExit, match=r"generated: figures begin"):
        write_docs(RESULT, MADE_ON, tmp_path / "accuracy.md")


def test_the_real_page_has_a_section_for_either_kind_of_data():
    told = PAGE.read_text()
    for name in ("generated", "labelled"):
        assert told.count(f"<!-- {name}: figures begin -->") == told.count(f"<!-- {name}: figures end -->") == 1
