from __future__ import annotations

from benchmarks.truth import half_of


def test_all_that_was_made_from_one_photograph_lies_in_one_half():
    for photo in ("china", "coffee", "IMG_0031"):
        made = {half_of(name) for name in (photo, f"{photo}#0", f"{photo}#3", f"{photo}#1-burst_moved")}
        assert len(made) == 1


def test_a_name_keeps_its_half_so_that_reported_figures_stay_apart_from_tuned_ones():
    assert [half_of(name) for name in ("astronaut", "chelsea", "coffee")] == ["tune"] * 3
    assert [half_of(name) for name in ("rocket", "china", "flower")] == ["report"] * 3


def test_the_halves_are_of_about_equal_size():
    tune = sum(half_of(f"s{number:04}") == "tune" for number in range(2000))
    assert 900 < tune < 1100
