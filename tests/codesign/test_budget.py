from __future__ import annotations

import dataclasses
import re

import pytest
from analytic_evaluation import PART, figure

from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.budget import binding, limits, misses, nearest_miss
from codesign.errors import TargetError
from codesign.measurement import Figure, Measurement, Provenance
from codesign.record import Record
from codesign.schema import BudgetSection
from codesign.target import Target
from nas.objectives import constraints

TARGET = Target(PART, 100.0, "pynq-z1")


def record(status="infeasible", units=8, **figures):
    architecture = Architecture(4, 2, 1, (DenseLayer(units, "2"),), False, Hardware("parallel"))
    measured = Measurement({name: figure(value, "") for name, value in figures.items()})
    return Record(architecture, status, reason="test", measurement=measured)


def test_shares_and_counts_become_absolute_and_the_part_limits_the_rest():
    budget = BudgetSection(lut="25%", ff=1000, latency_us=5, fps=2e6)
    assert limits(budget, TARGET) == {
        "lut": 13300.0, "ff": 1000.0, "bram": 140.0, "dsp": 220.0, "latency_us": 5.0, "fps": 2e6,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (BudgetSection(lut="0%"), "budget.lut = 0% allows none, and every network takes some; raise it"),
        (BudgetSection(ff=0), "budget.ff = 0 allows none, and every network takes some; raise it"),
        (BudgetSection(lut=60000), "budget.lut = 60000 is more than the 53,200 of xc7z020clg400-1; lower it"),
        (
            BudgetSection(latency_us=0.009),
            "budget.latency_us = 0.009 is less than one clock cycle at 100 MHz; raise it or target.clock_mhz",
        ),
        (
            BudgetSection(fps=1e9),
            "budget.fps = 1e+09 is more than one inference per clock cycle at 100 MHz; lower it or raise "
            "target.clock_mhz",
        ),
    ],
)
def test_budgets_that_make_no_sense(budget, message):
    with pytest.raises(TargetError, match=f"^{re.escape(message)}$"):
        limits(budget, TARGET)


def test_misses_in_words_worst_first():
    budget = BudgetSection(lut=1000, bram=0, latency_us=0.5, fps=10e6)
    over = record(lut=1053, ff=0, bram=2, dsp=0, latency_cycles=60, interval_cycles=20, fmax=99.97)
    found = misses(constraints(limits(budget, TARGET), 100.0), over, 100.0)
    assert [miss.words() for miss in found] == [
        "bram: 2 BRAM36, over the budget of 0",
        "fps: 5,000,000 per second, 50.0 % under the budget of 1e+07",
        "latency_us: 0.60 us, 20.0 % over the budget of 0.5",
        "lut: 1,053 LUT, 5.3 % over the budget of 1,000",
        "clock: synthesized Fmax 99.9 MHz is under the study's 100",
    ]


@pytest.mark.parametrize(("lut", "said"), [(1996, "99.6"), (2500, "150"), (16_000, "1,500")])
def test_shares_beyond_the_whole_have_no_decimals(lut, said):
    limit = constraints(limits(BudgetSection(lut=1000), TARGET), 100.0)
    missed = misses(limit, record(lut=lut, ff=0, bram=0, dsp=0, latency_cycles=6, interval_cycles=2, fmax=120.0), 100.0)
    assert [miss.words() for miss in missed] == [f"lut: {lut:,} LUT, {said} % over the budget of 1,000"]


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({"calibrated": True, "within_fitted_range": False}, ", outside the fitted range,"),
        ({"calibrated": False}, ", uncalibrated,"),
        ({"calibrated": True, "within_fitted_range": True, "error": {"median": 0.04}}, ", ± 4.0 %,"),
    ],
)
def test_how_far_to_trust_the_clock_that_is_missed(details, said):
    fmax = Figure(88.0, "MHz", Provenance.MODELLED, "codesign-timing", "2", details)
    slow = dataclasses.replace(record(), measurement=Measurement({"fmax": fmax}))
    (miss,) = misses(constraints({}, 100.0), slow, 100.0)
    assert miss.words() == f"clock: modelled Fmax 88.0 MHz{said} is under the study's 100"


def test_the_binding_budget_is_the_one_missed_most():
    rules = constraints({"lut": 100.0, "ff": 100.0}, 100.0)
    records = [record(lut=200, ff=50), record(lut=101, ff=500), record("failed")]
    assert binding(rules, records, 100.0) == "lut"
    assert binding(rules, [record(lut=1, ff=1)], 100.0) is None


def test_the_nearest_miss_is_a_measured_candidate_before_a_bound():
    rules = constraints({"lut": 100.0, "ff": 100.0}, 100.0)
    bound = record(units=4, lut=101)
    near = record(units=5, lut=120, ff=110, val_error=0.1, fmax=200)
    far = record(units=6, lut=90, ff=400, val_error=0.1, fmax=200)
    found = nearest_miss(rules, [bound, far, near], 100.0)
    assert found is not None
    assert found[0] == near
    assert [miss.constraint.key for miss in found[1]] == ["lut", "ff"]
    assert nearest_miss(rules, [record(units=7, lut=1)], 100.0) is None
