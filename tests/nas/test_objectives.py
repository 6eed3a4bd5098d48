from __future__ import annotations

import pytest

from codesign.measurement import Figure, Measurement, Provenance
from nas.objectives import constraints, values, violations


def measured(**figures):
    return Measurement(
        {name: Figure(value, "", Provenance.SYNTHESIZED, "test", "1") for name, value in figures.items()}
    )


CANDIDATE = measured(
    val_error=0.25,
    largest_share=3.5,
    parameters=700.0,
    bit_operations=5600.0,
    toggles=310.5,
    weight_flips_error=0.3,
    input_noise_error=0.4,
    lut=1000.0,
    ff=500.0,
    bram=2.0,
    dsp=0.0,
    latency_cycles=50.0,
    interval_cycles=20.0,
    fmax=125.0,
)


def test_objectives_in_the_order_of_the_study():
    names = ["latency", "error", "interval", "lut", "ff", "bram", "dsp"]
    assert values(names, CANDIDATE, 100.0) == (0.5, 0.25, 0.2, 1000.0, 500.0, 2.0, 0.0)
    names = ["bit_operations", "share", "weight_flips", "parameters", "input_noise", "toggles"]
    assert values(names, CANDIDATE, 100.0) == (5600.0, 3.5, 0.3, 700.0, 0.4, 310.5)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"lut": 800.0}, {"lut": 0.25}),
        ({"lut": 2000.0}, {"lut": -0.5}),
        ({"bram": 0.0}, {"bram": 2.0}),
        ({"dsp": 0.0}, {"dsp": 0.0}),
        ({"latency_us": 0.4}, {"latency_us": 0.25}),
        ({"fps": 10e6}, {"fps": 1.0}),
        ({"fps": 5e6}, {"fps": 0.0}),
        ({}, {}),
    ],
)
def test_violations_are_relative_to_the_limit(limits, expected):
    found = violations(constraints(limits, 100.0), CANDIDATE, 100.0)
    assert found == pytest.approx({**expected, "clock": -0.2})


def test_a_slow_clock_is_a_violation():
    assert violations(constraints({}, 150.0), CANDIDATE, 150.0) == pytest.approx({"clock": 0.2})


def test_a_lower_bound_is_judged_by_what_it_has_and_a_measurement_by_all():
    limits = constraints({"lut": 800.0, "latency_us": 1.0}, 100.0)
    bound = measured(lut=1000.0)
    assert violations(limits, bound, 100.0, partial=True) == pytest.approx({"lut": 0.25})
    with pytest.raises(KeyError, match="latency_cycles"):
        violations(limits, bound, 100.0)
