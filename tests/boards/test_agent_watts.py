"""Readings become a difference, and what is not told from none says so."""

from __future__ import annotations

import random

import pytest

from boards.agent.watts import compared


def rail(values):
    return [(value,) for value in values]


def test_a_difference_of_many_steps():
    found = compared(rail([2.0, 2.125, 2.0, 2.125]), rail([3.0, 3.125, 3.125, 3.0]))
    assert found == {
        "idle_w": 2.0625,
        "busy_w": 3.0625,
        "difference_w": 1.0,
        "step_w": 0.125,
        "error_w": pytest.approx((0.0625**2 * 4 / 3 * (1 / 4 + 1 / 3)) ** 0.5),
        "samples": [4, 4],
        "distinct": [4, 3],
        "below_resolution": False,
    }


@pytest.mark.parametrize(("steps", "below"), [(0, True), (1, True), (2, True), (3, False), (-2, True), (-4, False)])
def test_three_steps_are_needed(steps, below):
    idle = rail([4.0] * 9 + [4.125])
    found = compared(idle, rail([value + 0.125 * steps for (value,) in idle]))
    assert found["step_w"] == 0.125
    assert found["difference_w"] == pytest.approx(0.125 * steps)
    assert found["below_resolution"] == below


def test_a_sensor_that_never_moves_has_no_step():
    found = compared(rail([1.5] * 8), rail([1.5] * 8))
    assert (found["step_w"], found["distinct"], found["below_resolution"]) == (None, [1, 1], True)


def test_one_jump_is_all_that_is_known_of_the_step():
    """Idle at one value and work at another may be one step of a coarse sensor."""
    found = compared(rail([0.0] * 8), rail([0.125] * 8))
    assert (found["step_w"], found["below_resolution"]) == (0.125, True)


def test_noise_is_not_taken_for_a_difference():
    """Of a fine sensor, where three steps say nothing."""
    rng = random.Random(3)
    for _ in range(200):
        idle, busy = (rail([round(rng.gauss(5.0, 0.1), 4) for _ in range(40)]) for _ in range(2))
        found = compared(idle, busy)
        assert found["step_w"] < 0.005
        if not found["below_resolution"]:
            assert abs(found["difference_w"]) > 0.045, "three standard errors of 0.1 W in 40 readings, nearly"


def test_a_reading_that_is_repeated_is_not_counted_twice():
    """As when it is asked for faster than the sensor measures: the error is that of the few."""
    few_idle, few_busy = rail([1.0, 1.4, 0.9, 1.2]), rail([1.3, 1.7, 1.2, 1.5])
    many = compared([r for r in few_idle for _ in range(50)], [r for r in few_busy for _ in range(50)])
    few = compared(few_idle, few_busy)
    assert many["distinct"] == few["distinct"] == [4, 4]
    assert many["samples"] == [200, 200]
    assert many["error_w"] == pytest.approx(few["error_w"], rel=0.15)
    assert many["below_resolution"]


def test_volts_times_amperes_have_the_step_of_both():
    """Two products may lie close by chance: 5.00 V x 0.42 A and 5.12 V x 0.41 A are 0.8 mW apart."""
    found = compared([(5.00, 0.42), (5.12, 0.41)], [(5.00, 0.42), (5.12, 0.41)])
    assert found["idle_w"] == pytest.approx((5.00 * 0.42 + 5.12 * 0.41) / 2)
    assert found["step_w"] == pytest.approx(0.12 * 0.415 + 0.01 * 5.06)
    steady = compared([(5.0, 0.4), (5.0, 0.41)], [(5.0, 0.6), (5.0, 0.61)])
    assert steady["step_w"] == pytest.approx(0.05)
    assert not steady["below_resolution"]


def test_binary_fractions_are_no_steps():
    assert compared(rail([0.1 + 0.2, 0.3]), rail([0.3, 0.4]))["step_w"] == pytest.approx(0.1)
