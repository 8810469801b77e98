"""May the backlog go on now? The rule by a clock, a pressure and a pause of the test's own."""

import pytest

from dedupd.core.manners import (
    FOREVER_NS,
    HoldReason,
    MannersRules,
    Pressure,
    QuietHours,
    hold_now,
    quiet_hours,
)

NOW_NS = 10**18
NO_RULES, CALM = MannersRules(), Pressure()
NIGHT = MannersRules(quiet=(quiet_hours("22:00-07:00"),))
BUSY = MannersRules(cpu_pressure=40, io_pressure=20, memory_pressure=10, load=2)


def hold(rules=NO_RULES, *, minute=0, pressure=CALM, paused_until_ns=0, was_busy=False):
    return hold_now(
        rules,
        now_ns=NOW_NS,
        minute=minute,
        pressure=pressure,
        paused_until_ns=paused_until_ns,
        was_busy=was_busy,
    )


def test_without_rules_nothing_holds_it_up():
    assert hold(pressure=Pressure(cpu=100, io=100, memory=100, load=100)) is None


@pytest.mark.parametrize(
    ("span", "minute", "is_in"),
    [
        ("22:00-07:00", 21 * 60 + 59, False),
        ("22:00-07:00", 22 * 60, True),
        ("22:00-07:00", 0, True),
        ("22:00-07:00", 6 * 60 + 59, True),
        ("22:00-07:00", 7 * 60, False),
        ("09:00-17:30", 8 * 60 + 59, False),
        ("09:00-17:30", 9 * 60, True),
        ("09:00-17:30", 17 * 60 + 29, True),
        ("09:00-17:30", 17 * 60 + 30, False),
    ],
)
def test_a_span_holds_its_first_minute_and_not_its_last(span, minute, is_in):
    found = hold(MannersRules(quiet=(quiet_hours(span),)), minute=minute)
    assert (found is not None) == is_in
    assert found is None or (found.reason is HoldReason.QUIET and span in found.words)


def test_of_several_spans_any_holds_it_up():
    rules = MannersRules(quiet=(quiet_hours("01:00-02:00"), quiet_hours("12:00-13:00")))
    assert [hold(rules, minute=60 * hour) is not None for hour in (0, 1, 2, 12, 13)] == [
        False,
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "text", ["", "22:00", "22-7", "24:00-01:00", "12:60-13:00", "07:00-07:00", "x:00-y:00", "-1:00-2:00"]
)
def test_what_is_no_span_is_refused(text):
    with pytest.raises(ValueError, match=r"time of day|begins when it ends"):
        quiet_hours(text)


def test_a_span_is_written_as_it_is_read():
    assert str(quiet_hours("7:05-22:00")) == "07:05-22:00"
    assert quiet_hours("07:05-22:00") == QuietHours(from_minute=425, to_minute=1320)


def test_arrivals_wait_in_quiet_hours_only_where_the_configuration_says_so():
    assert not hold(NIGHT, minute=0).holds_arrivals
    assert hold(MannersRules(quiet=NIGHT.quiet, quiet_arrivals=False), minute=0).holds_arrivals
    assert not hold(MannersRules(quiet_arrivals=False, cpu_pressure=1), pressure=Pressure(cpu=50)).holds_arrivals


@pytest.mark.parametrize("name", ["cpu", "io", "memory", "load"])
def test_it_waits_above_a_limit_and_goes_on_only_at_half_of_it(name):
    limit = {"cpu": 40, "io": 20, "memory": 10, "load": 2}[name]
    assert hold(BUSY, pressure=Pressure(**{name: limit})) is None
    busy = hold(BUSY, pressure=Pressure(**{name: limit + 0.1}))
    assert busy.reason is HoldReason.BUSY
    assert hold(BUSY, pressure=Pressure(**{name: 0.51 * limit}), was_busy=True) is not None
    assert hold(BUSY, pressure=Pressure(**{name: 0.5 * limit}), was_busy=True) is None


def test_a_kernel_that_tells_no_pressure_holds_nothing_up():
    assert hold(BUSY, pressure=Pressure()) is None


def test_a_pause_holds_it_up_until_its_time_and_comes_before_all_else():
    paused = hold(NIGHT, minute=0, paused_until_ns=NOW_NS + 1)
    assert (paused.reason, paused.until_ns) == (HoldReason.PAUSED, NOW_NS + 1)
    assert hold(paused_until_ns=NOW_NS) is None
    assert hold(NIGHT, minute=0, paused_until_ns=NOW_NS).reason is HoldReason.QUIET


def test_a_pause_without_an_end_names_the_command_that_ends_it():
    paused = hold(paused_until_ns=FOREVER_NS)
    assert paused.until_ns is None
    assert "dedupctl resume" in paused.words
