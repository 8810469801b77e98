"""The calibrated model alone: more disagreement never makes a pair more probable, and agreement earns nothing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.calibration import Account, Model, Penalty, measures
from dedupd.core.records import Evidence
from dedupd.core.relation_model import MODEL

USUAL = Evidence(
    method="dense",
    similarity=0.99,
    geometry=None,
    residual_low=0.9,
    worst_region=0.0,
    motion_px=0.1,
    tone_change=0.0,
    band_errors=(0.03, 0.001, 0.0002, 0.0001),
    band_lows=(0.2, 0.01, 0.002, 0.0004),
    band_gains=(1.0, 1.0, 1.0, 1.0),
    excess=0.3,
    usual_excess=0.2,
    error_levels=0.3,
)


def test_a_usual_copy_is_probable_in_every_account() -> None:
    for account in Account:
        assert MODEL.probability(USUAL, account) > 0.9


@pytest.mark.parametrize("account", list(Account))
def test_what_stands_out_is_no_copy(account: Account) -> None:
    assert MODEL.probability(replace(USUAL, excess=3.0), account) < 0.1


@given(
    excess=st.floats(0, 50),
    usual=st.floats(0, 5),
    worst=st.tuples(*[st.floats(0, 2)] * 4),
    more=st.floats(1, 10),
    account=st.sampled_from(list(Account)),
)
def test_more_disagreement_is_never_more_probable(
    excess: float, usual: float, worst: tuple[float, ...], more: float, account: Account
) -> None:
    some = replace(USUAL, excess=excess, usual_excess=usual, band_lows=worst)
    worse = replace(some, excess=excess * more, band_lows=tuple(w * more for w in worst))
    assert MODEL.probability(worse, account) <= MODEL.probability(some, account)


def test_better_than_usual_earns_nothing() -> None:
    model = Model(
        fitted_on="",
        bias=dict.fromkeys(Account, 2.0),
        overlay=0.0,
        penalties=(Penalty("excess", usual=0.5, weight=3.0),),
    )
    usual = model.probability(replace(USUAL, excess=0.5), Account.PLAIN)
    assert model.probability(replace(USUAL, excess=0.0), Account.PLAIN) == usual
    assert model.probability(replace(USUAL, excess=1.0), Account.PLAIN) < usual


def test_added_writing_costs_what_the_model_says() -> None:
    model = Model(fitted_on="", bias=dict.fromkeys(Account, 2.0), overlay=1.5, penalties=())
    assert model.costs(replace(USUAL, overlay_share=0.1)) == {"overlay": 1.5}
    assert model.costs(USUAL) == {"overlay": 0.0}


def test_a_loss_of_detail_in_one_picture_is_not_foreign_to_it() -> None:
    """A blurred copy: error 0.3 in the finest octave, all of it because one has 0.7 of the other's detail."""
    blurred = replace(USUAL, band_errors=(0.3, 0.01, 0.0, 0.0), band_gains=(0.7, 0.95, 1.0, 1.0))
    assert measures(blurred)["foreign"] == pytest.approx(0.0, abs=1e-9)
    noisy_twice = replace(blurred, band_gains=(1.0, 1.0, 1.0, 1.0))
    assert measures(noisy_twice)["foreign"] == pytest.approx(0.3)


def test_small_pictures_lack_octaves_and_stored_edges_of_old_lack_all() -> None:
    small = replace(USUAL, band_errors=(0.03,), band_lows=(0.2,), band_gains=(1.0,))
    assert "octave_2" not in measures(small)
    assert 0 < MODEL.probability(small, Account.PLAIN) < 1
    old = replace(USUAL, band_errors=(), band_lows=(), band_gains=())
    assert 0 < MODEL.probability(old, Account.REFRAMED) < 1


def test_the_model_says_what_it_was_fitted_on() -> None:
    assert "half tune" in MODEL.fitted_on
    assert all(penalty.weight > 0 and penalty.usual > 0 for penalty in MODEL.penalties)
