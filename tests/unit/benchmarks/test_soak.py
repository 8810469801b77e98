"""A soak's slope is a daemon's growth, not the garbage that waits to be collected."""

from __future__ import annotations

from dataclasses import fields

import pytest

from benchmarks.soak import FIGURES, Look, slope_an_hour


def looks(values):
    """One every two seconds; every figure is the value."""
    names = [field.name for field in fields(Look) if field.name != "at_s"]
    return [Look(at_s=2.0 * n, **dict.fromkeys(names, value)) for n, value in enumerate(values)]


def test_a_saw_that_comes_back_is_flat_and_one_that_rises_is_not():
    saw = [100 + n % 20 for n in range(600)]
    slope, error = slope_an_hour(looks(saw), "daemon_mib")
    assert slope == pytest.approx(0, abs=0.01)
    assert error == pytest.approx(0, abs=0.01)
    rising = [value + n / 300 for n, value in enumerate(saw)]  # 6 an hour
    slope, error = slope_an_hour(looks(rising), "daemon_mib")
    assert slope == pytest.approx(6, abs=0.2)
    assert error < 0.5


def test_scatter_leaves_an_error():
    scattered = [100 + (n * 7919 % 13) * (n // 30 % 2) for n in range(600)]
    assert slope_an_hour(looks(scattered), "threads")[1] > 0


def test_a_few_looks_say_something_and_two_nothing():
    assert slope_an_hour(looks([1, 2, 3]), "processes")[0] == pytest.approx(1800)
    assert slope_an_hour(looks([1, 5]), "processes") == (0.0, 0.0)
    assert "at_s" not in FIGURES
