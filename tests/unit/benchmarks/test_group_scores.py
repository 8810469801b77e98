from __future__ import annotations

import csv
import os

import pytest

from benchmarks.group_scores import score
from benchmarks.truth import half_of, read_truth

COLUMNS = ("path", "role", "source_id", "transform", "tier", "series_id", "series_kind")
TUNE, REPORT = "coffee", "china"  # sources by their half


def written(folder, *rows):
    with (folder / "truth.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return folder / "truth.csv"


@pytest.fixture
def table(tmp_path):
    return written(
        tmp_path,
        ("a.jpg", "original", TUNE, "", "", "", ""),
        ("a2.jpg", "copy", TUNE, "crop_10", "medium", "", ""),
        ("a3.jpg", "copy", TUNE, "hflip", "hard", "", ""),
        ("b.jpg", "original", REPORT, "", "", "", ""),
        ("b2.jpg", "copy", REPORT, "resize", "easy", "", ""),
        ("s1.jpg", "hardneg", "", "", "", f"{TUNE}#1-burst", "burst"),
        ("s2.jpg", "hardneg", "", "", "", f"{TUNE}#1-burst", "burst"),
        ("x.jpg", "distractor", "lone", "", "", "", ""),
    )


def paths(table, *names):
    return [os.fsencode(table.parent / name) for name in names]


def test_a_group_of_an_original_and_its_copies_is_right_in_all_its_pairs(table):
    result = score(read_truth(table), [paths(table, "a.jpg", "a2.jpg", "a3.jpg")])
    assert result["pairs"] == {"reported": 3, "right": 3, "true": 4}
    assert result["precision"] == 1.0
    assert result["recall"] == 0.75
    assert result["recall_by_tier"]["easy"] == {"copies": 1, "recall": 0.0}
    assert result["recall_by_transform"]["crop_10"] == {"copies": 1, "recall": 1.0}


def test_merged_look_alikes_are_told_by_their_kind(table):
    result = score(read_truth(table), [paths(table, "s1.jpg", "s2.jpg")])
    assert result["look_alikes"] == {"pairs": 1, "merged": 1, "by_kind": {"burst": {"pairs": 1, "merged": 1}}}
    assert result["other_false"] == 0
    assert result["precision"] == 0.0


def test_an_unrelated_picture_in_a_group_makes_a_false_pair_with_each_member(table):
    result = score(read_truth(table), [paths(table, "a.jpg", "a2.jpg", "x.jpg")])
    assert result["other_false"] == 2


def test_pairs_that_nobody_is_judged_on_count_neither_way(table):
    (table.parent / "series_ambiguous.csv").write_text("path_a,path_b\ns2.jpg,s1.jpg\n")
    result = score(read_truth(table), [paths(table, "s1.jpg", "s2.jpg")])
    assert result["pairs"]["reported"] == 0
    assert result["look_alikes"]["pairs"] == 0


def test_a_half_is_judged_alone_but_answers_for_what_it_is_wrongly_joined_to(table):
    assert (half_of(TUNE), half_of(REPORT)) == ("tune", "report")
    result = score(read_truth(table, half="report"), [paths(table, "a.jpg", "a2.jpg"), paths(table, "b.jpg", "a3.jpg")])
    assert result["pairs"] == {"reported": 1, "right": 0, "true": 1}
    assert result["other_false"] == 1


def test_only_whole_pictures_saved_again_are_no_edits(table):
    by_name = {os.path.basename(p.path): p for p in read_truth(table).pictures.values()}  # noqa: PTH119 - bytes
    assert not by_name[b"b2.jpg"].is_edit
    assert by_name[b"a2.jpg"].is_edit
    assert not by_name[b"a.jpg"].is_edit
