import pytest

from dedupd.core.candidate_figures import STEPS, advised, figures_at

COPIES = {"saved": [0.99, 0.97, 0.95], "cropped": [0.9, 0.6, 0.4]}
CHANCE = sorted([0.1] * 990 + [0.55] * 9 + [0.75])


def test_figures_count_what_is_at_least_as_near():
    figures = figures_at(0.6, COPIES, CHANCE, 10_001)
    assert figures.recall_by_edit == {"saved": 1.0, "cropped": pytest.approx(2 / 3)}
    assert figures.recall == pytest.approx(5 / 6)
    assert figures.chance == pytest.approx(0.001)
    assert figures.chance_a_picture == pytest.approx(10.0)


def test_the_advice_is_the_lowest_step_that_is_not_too_dear():
    assert advised(COPIES, CHANCE, 1000).similarity == STEPS[0], "ten by chance are allowed"
    assert advised(COPIES, CHANCE, 10_001).similarity == 0.56
    assert advised(COPIES, CHANCE, 10_000_000).similarity == 0.76


def test_where_every_step_is_too_dear_the_highest_is_advised():
    assert advised(COPIES, [1.0] * 10, 1_000_000).similarity == STEPS[-1]


def test_nothing_measured_is_no_recall():
    figures = figures_at(0.5, {"saved": []}, [], 0)
    assert (figures.recall, figures.chance, figures.chance_a_picture) == (0.0, 0.0, 0.0)
