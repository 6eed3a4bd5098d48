"""Tests of the ratios that boards' figures give, and of what is known of candidates by them."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from board_bench import Bench, Board
from hypothesis import given
from hypothesis import strategies as st

from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.board_loop.corrections import Fit, corrections, fit, observations
from codesign.board_loop.known import Known
from codesign.board_loop.result import BoardResult
from codesign.derived import largest_share
from codesign.judging import Judge
from codesign.measurement import Figure, Measurement, Provenance
from codesign.record import Record
from nas.objectives import constraints

POSITIVE = st.floats(1e-3, 1e6)
RATIO = st.floats(0.2, 5.0)
PAIRS = st.lists(st.tuples(POSITIVE, POSITIVE), min_size=1, max_size=12)


@given(st.lists(POSITIVE, min_size=3, max_size=12), RATIO)
def test_a_ratio_that_all_agree_on_is_found(predicted, ratio):
    found = fit([(value, value * ratio) for value in predicted])
    assert found.ratio == pytest.approx(ratio, rel=1e-9)
    assert found.error_before == pytest.approx(abs(1 / ratio - 1), rel=1e-6, abs=1e-9)


@given(st.lists(POSITIVE, min_size=4, max_size=12), RATIO)
def test_left_out_candidates_are_predicted_by_the_others(predicted, ratio):
    assert fit([(value, value * ratio) for value in predicted]).error == pytest.approx(0.0, abs=1e-6)


@given(POSITIVE, RATIO)
def test_the_weight_of_a_ratio_grows_with_its_candidates(predicted, ratio):
    logs = [abs(math.log(fit([(predicted, predicted * ratio)] * count).ratio)) for count in range(1, 6)]
    assert all(low <= high + 1e-9 for low, high in itertools.pairwise(logs))
    assert logs[0] == pytest.approx(abs(math.log(ratio)) / 2, abs=1e-9)
    assert logs[-1] <= abs(math.log(ratio)) + 1e-9


@given(PAIRS)
def test_the_ratio_is_positive_and_never_beyond_what_was_seen(pairs):
    ratios = [1.0, *(measured / predicted for predicted, measured in pairs)]
    found = fit(pairs)
    assert found.ratio > 0
    assert min(ratios) * (1 - 1e-9) <= found.ratio <= max(ratios) * (1 + 1e-9)
    assert found.error >= 0


@given(PAIRS, st.randoms())
def test_the_order_changes_nothing(pairs, random):
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert fit(shuffled) == fit(pairs)


def test_one_wild_candidate_does_not_rule():
    steady = [(100.0, 125.0)] * 5
    assert fit([*steady, (100.0, 5000.0)]).ratio == pytest.approx(1.25, rel=0.16)
    assert fit([*steady, (100.0, 5000.0)]).ratio > 1.02


def test_candidates_that_contradict_each_other_move_little():
    assert fit([(1.0, 2.0), (1.0, 0.4), (1.0, 3.0), (1.0, 1.1)]).ratio < fit([(1.0, 1.5)] * 4).ratio
    assert fit([]) == Fit(1.0, 0, 0.0, 0.0)


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.25])
def test_five_measurements_halve_the_error_of_the_latency_of_others(scale):
    """Ratios that scatter by 5 % around the clock's."""
    noise = [0.95, 1.02, 1.0, 1.05, 0.98]
    pairs = [
        (predicted, predicted / scale * off) for predicted, off in zip((0.1, 0.3, 0.7, 2.0, 4.0), noise, strict=True)
    ]
    unseen = 1.5
    before, after = (abs(value * scale / unseen - 1) for value in (unseen, unseen * fit(pairs).ratio))
    assert after <= before / 2 + 0.005


def figure(value, unit="", provenance=Provenance.SYNTHESIZED, **details):
    return Figure(float(value), unit, provenance, "test", "1", details)


def record(units, status="ok", **values):
    figures = {"val_error": 0.1, "lut": 1000, "ff": 500, "bram": 0, "dsp": 0, "fmax": 150, "latency_cycles": 50,
               "interval_cycles": 10, **values}  # fmt: skip
    architecture = Architecture(4, 2, 1, (DenseLayer(units, "2"),), False, Hardware("parallel"))
    measurement = Measurement({name: figure(value) for name, value in figures.items()})
    return Record(architecture, status, "" if status == "ok" else "because", measurement=measurement)


def board(of, *, mhz=100.0, register=100.0, kind=Provenance.ON_BOARD, generation=0, failed_at=None, **routed):
    cycles = of.measurement.value("latency_cycles")
    figures = {
        "board_clock_mhz": figure(mhz, "MHz", kind, register=register),
        "board_latency_cycles": figure(cycles, "cycles", kind),
        "board_interval_cycles": figure(of.measurement.value("interval_cycles"), "cycles", kind),
        "board_latency_us": figure(cycles / mhz, "us", kind),
    }
    for name, value in routed.items():
        met = {"asked_mhz": 100.0, "met": value >= 100} if name == "fmax" else {}
        figures[name if name == "fmax" else f"accelerator_{name}"] = figure(value, "", Provenance.ROUTED, **met)
    reason = "it failed" if failed_at else ""
    return BoardResult(of.digest, "x@y", "now", Measurement(figures), failed_at, reason, generation=generation)


JUDGE = Judge(["error", "latency", "lut"], constraints({"lut": 2000.0}, 100.0), 100.0)
MEASURED = [record(units) for units in (8, 12, 16)]
UNSEEN = record(24)


def known(records, results):
    found = Known.of(JUDGE, records, results)
    return {one.digest: one for one in found.records(records)}, found.corrections


def test_without_boards_everything_is_as_it_is_stored():
    for results in ([], [replace(board(MEASURED[0], mhz=80.0), generation=None)]):
        found = Known.of(JUDGE, [*MEASURED, UNSEEN], results)
        assert found.records([*MEASURED, UNSEEN]) == (*MEASURED, UNSEEN)
        assert not found.corrections


def test_measured_candidates_have_their_own_figures_and_others_corrected_ones():
    results = [board(one, mhz=80.0, lut=1250) for one in MEASURED]
    now, fits = known([*MEASURED, UNSEEN], results)
    own, other = (now[one.digest].measurement.figures for one in (MEASURED[0], UNSEEN))
    assert (own["latency_us"].value, own["latency_us"].provenance) == (0.625, Provenance.ON_BOARD)
    assert (own["lut"].value, own["lut"].provenance) == (1250.0, Provenance.ROUTED)
    assert JUDGE.point(now[MEASURED[0].digest]) == JUDGE.point(now[UNSEEN.digest]) == (0.1, 0.625, 1250.0)
    assert (other["lut"].value, other["lut"].provenance) == (pytest.approx(1250.0), Provenance.CORRECTED)
    assert other["lut"].details == {
        "corrected_by": "ratio 1.25 of 3 candidates routed",
        "n": 3,
        "error": pytest.approx(fits.fits["lut"].fit.error),
        "uncorrected": 1000.0,
        "was": "synthesized",
    }
    assert other["latency_us"].details["corrected_by"] == "ratio 1.25 of 3 candidates on boards"
    assert other["latency_us"].details["uncorrected"] == 0.5
    assert other["val_error"] == UNSEEN.measurement.figures["val_error"]
    assert other["latency_cycles"] == UNSEEN.measurement.figures["latency_cycles"]
    assert UNSEEN.measurement.value("lut") == 1000.0


def test_the_largest_share_follows_from_the_counts():
    """It is an objective too, and would order candidates otherwise than what it is a share of."""
    part, whole = {"lut": 10_000, "ff": 10_000, "bram": 0, "dsp": 10}, []
    for one in (*MEASURED, UNSEEN):
        figures = dict(one.measurement.figures)
        whole.append(replace(one, measurement=Measurement({**figures, "largest_share": largest_share(figures, part)})))
    now, _ = known(whole, [board(one, lut=500, ff=1000) for one in whole[:3]])
    own, other = (now[one.digest].measurement.figures["largest_share"] for one in (whole[0], whole[3]))
    assert (own.value, own.provenance, own.details["resource"]) == (10.0, Provenance.ROUTED, "ff")
    assert (other.value, other.provenance) == (pytest.approx(10.0), Provenance.CORRECTED)
    assert other.details["corrected_by"] == "ratio 2 of 3 candidates routed"


def test_virtual_boards_are_said_to_be_and_give_way_to_real_ones():
    virtual = [board(one, mhz=50.0, kind=Provenance.SIMULATED) for one in MEASURED]
    now, fits = known([*MEASURED, UNSEEN], virtual)
    assert now[MEASURED[0].digest].measurement.figures["latency_us"].provenance is Provenance.SIMULATED
    words = now[UNSEEN.digest].measurement.figures["latency_us"].details["corrected_by"]
    assert words == "ratio 2 of 3 candidates on virtual boards"
    mixed = [board(MEASURED[0], mhz=80.0), *virtual[1:]]
    now, fits = known([*MEASURED, UNSEEN], mixed)
    assert fits.fits["latency_us"].fit.samples == 1
    assert now[MEASURED[1].digest].measurement.figures["latency_us"].provenance is Provenance.CORRECTED


@pytest.mark.parametrize(("mhz", "register", "expected"), [
    (99.2, 100.0, 0.5), (100.9, 100.0, 0.5), (95.2379, 95.238095, 0.525), (80.004, 100.0, 0.625),
    (79.996, 100.0, 0.625),
])  # fmt: skip
def test_noise_of_the_measured_clock_orders_nobody(mhz, register, expected):
    found = observations(board(MEASURED[0], mhz=mhz, register=register).measurement)
    assert found["latency_us"].value == pytest.approx(expected, rel=1e-8)
    assert found["latency_us"].details["cycles"] == 50


def test_a_build_that_meets_its_clock_contradicts_no_higher_fmax():
    now, fits = known([*MEASURED, UNSEEN], [board(one, fmax=110.0) for one in MEASURED])
    assert fits.fits["fmax"].fit.ratio == pytest.approx(1.0)
    assert now[MEASURED[0].digest].measurement.value("fmax") == 110.0
    now, fits = known([*MEASURED, UNSEEN], [board(one, fmax=165.0) for one in MEASURED])
    assert fits.fits["fmax"].fit.ratio == pytest.approx(1.1)


def test_a_candidate_that_missed_its_timing_is_infeasible_and_corrects_the_others():
    results = [board(one, fmax=75.0, failed_at="timing") for one in MEASURED]
    now, fits = known([*MEASURED, UNSEEN, record(32, fmax=250)], results)
    assert fits.fits["fmax"].fit.ratio == pytest.approx(0.5)
    assert now[MEASURED[0].digest].status == "infeasible"
    assert now[MEASURED[0].digest].reason == "clock: routed Fmax 75.0 MHz is under the study's 100"
    assert now[UNSEEN.digest].reason == "clock: corrected Fmax 75.0 MHz is under the study's 100"
    assert now[UNSEEN.digest].status == "infeasible"
    assert now[record(32).digest].status == "ok"


def test_a_hold_that_is_not_met_is_infeasible_as_well():
    now, _ = known(MEASURED, [board(MEASURED[0], fmax=120.0, failed_at="timing")])
    assert (now[MEASURED[0].digest].status, now[MEASURED[0].digest].reason) == ("infeasible", "it failed")
    assert JUDGE.told(now[MEASURED[0].digest]).objectives is None


@pytest.mark.parametrize(("failed_at", "others", "status"), [
    ("mismatch", [], "failed"), ("board", [], "ok"), ("build", [], "ok"), ("build", ["build"], "ok"),
    ("build", [None], "failed"), ("build", ["board"], "failed"),
])  # fmt: skip
def test_failures_that_decide_about_a_candidate(failed_at, others, status):
    """A build counts against its candidate only where the tool could build any other."""
    results = [board(MEASURED[0], failed_at=failed_at)]
    results += [board(one, failed_at=other) for one, other in zip(MEASURED[1:], others, strict=False)]
    now, _ = known(MEASURED, results)
    assert now[MEASURED[0].digest].status == status


def test_corrections_decide_about_budgets_both_ways():
    near = record(24, lut=1700)
    over = replace(record(32, lut=2300), status="infeasible", reason="lut: over")
    odd = replace(record(48), status="infeasible", reason="no such cell")
    now, _ = known([*MEASURED, near], [board(one, lut=1250) for one in MEASURED])
    assert now[near.digest].status == "infeasible"
    assert now[near.digest].reason == "lut: 2,125 LUT, 6.2 % over the budget of 2,000"
    now, _ = known([*MEASURED, over, odd], [board(one, lut=800) for one in MEASURED])
    assert (now[over.digest].status, now[over.digest].reason) == ("ok", "")
    assert (now[odd.digest].status, now[odd.digest].reason) == ("infeasible", "no such cell")


def test_what_was_never_trained_keeps_its_bound():
    bound = Record(UNSEEN.architecture, "infeasible", "structural", measurement=Measurement({"lut": figure(2100)}))
    now, _ = known([*MEASURED, bound], [board(one, lut=500) for one in MEASURED])
    assert now[bound.digest] == bound


def test_counts_of_zero_have_no_ratio_but_are_measured():
    now, fits = known([*MEASURED, UNSEEN], [board(one, bram=2) for one in MEASURED])
    assert "bram" not in fits.fits
    assert now[MEASURED[0].digest].measurement.value("bram") == 2
    assert now[UNSEEN.digest].measurement.value("bram") == 0


def test_the_whole_accelerator_is_what_boards_are_compared_with():
    whole = [record(units, accelerator_latency_cycles=70, accelerator_interval_cycles=12) for units in (8, 12, 16)]
    results = [board(record(0 + units, latency_cycles=70, interval_cycles=12), mhz=80.0) for units in (8, 12, 16)]
    found = corrections(
        {one.digest: one.measurement for one in whole}, [(r.digest, r.measurement) for r in results], 100.0
    )
    assert found.fits["latency_us"].fit.ratio == pytest.approx(1.25)
    assert JUDGE.point(whole[0]) == (0.1, 0.7, 1000.0)


def test_the_bench_of_the_other_tests_measures_what_it_says():
    bench = Bench({"a@b": Board(scale=0.8)})
    made = bench.build(None, MEASURED[0], "a@b", print)
    from codesign.deployment.session import deploy

    with bench.connect("a@b", made, said=print) as remote:
        figures = deploy(made, remote).measurement
    assert figures.value("board_clock_mhz") == pytest.approx(80.0, rel=1e-3)
    assert (figures.value("board_latency_cycles"), figures.value("board_interval_cycles")) == (50, 10)
    assert figures.figures["board_latency_us"].provenance is Provenance.ON_BOARD
