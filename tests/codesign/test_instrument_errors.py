"""How far off cheaper instruments were: pairs of figures of the same design, by hand."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

import pytest
from test_store_append import record

from codesign.board_loop.result import BoardResult
from codesign.errors import ReportError
from codesign.instrument_errors import distances
from codesign.measurement import Figure, Measurement, Provenance
from codesign.reading import Reading
from codesign.store import FILE, Store
from codesign.vivado import figures

P = Provenance


def figure(value, provenance, tool, version="1", **details):
    return Figure(value, "", provenance, tool, version, details)


def searched(units, **figures):
    found = record(units)
    return type(found)(found.architecture, "ok", measurement=Measurement(figures))


def modelled(units, mhz):
    return searched(units, fmax=figure(mhz, P.MODELLED, "codesign-timing"))


def reading(name, **figures):
    return Reading(name, "ok", Measurement(figures), 1.0)


def vivado(mhz, provenance=P.ROUTED, version="2024.1", **details):
    return reading("vivado-routed", fmax=figure(mhz, provenance, "Vivado", version, **details))


def test_errors_and_order_of_designs_that_both_measured():
    records = [modelled(units, mhz) for units, mhz in ((8, 110.0), (9, 190.0), (10, 90.0), (11, 50.0))]
    seen = [(one.digest, vivado(100.0 * place)) for place, one in enumerate(records[:3], 1)]
    (found,) = distances(records, [], seen)
    assert (found.quantity, found.designs, found.bounds) == ("fmax", 3, 0)
    assert found.cheaper.words() == "modelled by codesign-timing"
    assert (found.better.words(), found.better.versions) == ("routed by Vivado", ("2024.1",))
    # errors 10 %, 5 %, 70 %; of three pairs of designs one is ordered alike: (1 - 2) / 3
    assert found.median == pytest.approx(0.1)
    assert found.p90 == pytest.approx(0.1 + 0.8 * 0.6)
    assert found.tau == pytest.approx(-1 / 3)
    json.dumps(found.to_json())


def test_a_version_that_nobody_tried_is_told_as_such():
    records = [modelled(units, 110.0) for units in (8, 9)]
    seen = [
        (records[0].digest, vivado(100.0)),
        (records[1].digest, vivado(100.0, version="2031.1", untested="Vivado 2031.1 is not a version ...")),
    ]
    (found,) = distances(records, [], seen)
    assert found.better.versions == ("2024.1", "2031.1 (untested)")


def test_no_distance_mixes_versions_of_the_cheaper_instrument():
    """The first timing model was 50 % off and ordered designs the wrong way, the second is 10 % off and does not."""
    said = {"1": ((8, 150.0, 100.0), (9, 100.0, 200.0)), "2": ((10, 110.0, 100.0), (11, 220.0, 200.0))}
    records, seen = [], []
    for version, designs in said.items():
        for units, modelled_mhz, routed_mhz in designs:
            one = searched(units, fmax=figure(modelled_mhz, P.MODELLED, "codesign-timing", version))
            records.append(one)
            seen.append((one.digest, vivado(routed_mhz)))
    first, second = distances(records, [], seen)
    assert (first.cheaper.versions, first.designs, first.tau) == (("1",), 2, pytest.approx(-1))
    assert (second.cheaper.versions, second.designs, second.tau) == (("2",), 2, pytest.approx(1))
    assert (first.median, second.median) == (pytest.approx(0.5), pytest.approx(0.1))


def test_what_only_meets_its_clock_is_a_bound_and_no_error():
    records = [modelled(units, 150.0) for units in (8, 9, 10)]
    seen = [(records[0].digest, vivado(101.0, lower_bound=True)), (records[1].digest, vivado(120.0))]
    board = BoardResult(records[2].digest, "b", "d", Measurement({"fmax": figure(99.0, P.ROUTED, "Vivado", met=True)}))
    one, other = distances(records, [board], seen)
    assert (one.designs, one.bounds, one.tau) == (1, 1, None)
    assert one.median == one.p90 == pytest.approx(0.25)
    assert (other.designs, other.bounds, other.median, other.p90) == (0, 1, None, None)
    assert other.better.words() == "routed by Vivado, with the accelerator around it"


def test_a_bound_of_the_cheaper_one_is_no_error_either():
    records = [searched(8), searched(9)]
    seen = [(one.digest, vivado(200.0, P.SYNTHESIZED, lower_bound=place == 0)) for place, one in enumerate(records)]
    seen += [(one.digest, vivado(250.0)) for one in records]
    (found,) = distances(records, [], seen)
    assert (found.designs, found.bounds, found.median) == (1, 1, pytest.approx(0.2))


def test_every_pair_the_better_one_second_and_the_last_reading_of_each():
    one = searched(8, lut=figure(90.0, P.SYNTHESIZED, "yosys"))
    said = [
        reading("vivado", lut=figure(70.0, P.SYNTHESIZED, "Vivado")),
        reading("vivado", lut=figure(100.0, P.SYNTHESIZED, "Vivado", "2")),
        reading("vivado-routed", lut=figure(80.0, P.ROUTED, "Vivado")),
        reading("vivado-routed", power=figure(0.1, P.ESTIMATED, "Vivado report_power")),
    ]
    found = distances([one], [], [(one.digest, each) for each in said])
    words = [(each.cheaper.words(), each.better.words(), each.median) for each in found]
    assert words == [
        ("synthesized by Vivado", "routed by Vivado", pytest.approx(0.25)),
        ("synthesized by yosys", "routed by Vivado", pytest.approx(0.125)),
        ("synthesized by yosys", "synthesized by Vivado", pytest.approx(0.1)),
    ]


def test_cycles_from_the_schedule_by_simulation_to_the_board():
    one = searched(
        8,
        latency_cycles=figure(12, P.SIMULATED, "verilator", scheduled=12),
        accelerator_latency_cycles=figure(30, P.SCHEDULED, "codesign"),
    )
    board = BoardResult(one.digest, "b", "d", Measurement({"board_latency_cycles": figure(40, P.ON_BOARD, "pynq-z1")}))
    lied = BoardResult(one.digest, "b", "d", board.measurement, failed_at="mismatch", reason="differs")
    simulated, measured = distances([one], [board], [])
    assert (simulated.quantity, simulated.cheaper.provenance, simulated.median) == ("latency_cycles", "scheduled", 0)
    assert (measured.quantity, measured.better.provenance) == ("accelerator_latency_cycles", "on_board")
    assert measured.median == pytest.approx(0.25)
    assert [found.quantity for found in distances([one], [lied], [])] == ["latency_cycles"]


def test_what_is_trained_again_is_another_design():
    """Other weights are other hardware: each reading counts for the training that it is of, one of neither for none."""
    before = replace(modelled(8, 100.0), artefacts={"rtl.json": "d1"})
    again = replace(modelled(8, 300.0), artefacts={"rtl.json": "d2"})
    first, second = (replace(vivado(mhz), design=design) for mhz, design in ((50.0, "d1"), (200.0, "d2")))
    unknown = vivado(1.0)
    board = BoardResult(before.digest, "b", "d", Measurement({"fmax": figure(80.0, P.ROUTED, "Vivado")}), design="d1")
    seen = [(before.digest, one) for one in (first, second, unknown)]
    found = {one.cheaper.words() + one.better.around: one for one in distances([before, again], [board], seen)}
    alone = found["modelled by codesign-timing"]
    assert (alone.designs, alone.median) == (2, pytest.approx((1.0 + 0.5) / 2))
    whole = found["modelled by codesign-timingwith the accelerator around it"]
    assert (whole.designs, whole.median) == (1, pytest.approx(0.25))
    (only,) = distances([before], [], [(before.digest, unknown)])  # of one design there is no doubt
    assert only.designs == 1


def test_nothing_of_nothing():
    one = searched(8, bram=figure(1.0, P.SYNTHESIZED, "yosys"), lut=figure(5.0, P.CORRECTED, "yosys"))
    none = reading("vivado", bram=figure(0.0, P.SYNTHESIZED, "Vivado"), lut=figure(6.0, P.SYNTHESIZED, "Vivado"))
    (found,) = distances([one], [], [(one.digest, none)])
    assert (found.quantity, found.designs, found.median) == ("bram", 1, 1.0)
    failed = Reading("vivado", "failed", Measurement({}), 1.0, "no licence", "log")
    assert distances([one], [], [(one.digest, failed)]) == []


def test_none_against_none_and_some_against_none_are_errors_too():
    """Of designs of which the better one says 0: without them the worst disagreement would not be seen."""
    said = [(8, 0.0, 0.0), (9, 0.0, 0.0), (10, 4.0, 0.0), (11, 1.0, 0.5), (12, 3.0, 2.0)]
    records = [searched(units, bram=figure(cheaper, P.SYNTHESIZED, "yosys")) for units, cheaper, _ in said]
    readings = [
        (one.digest, reading("vivado", bram=figure(better, P.SYNTHESIZED, "Vivado")))
        for one, (_, _, better) in zip(records, said, strict=True)
    ]
    (found,) = distances(records, [], readings)
    assert (found.designs, found.median, found.p90) == (5, 0.5, pytest.approx(0.6 * 4.0 + 0.4 * 0.5))
    assert found.tau == pytest.approx((5 - 2) / (9 * 7) ** 0.5)
    (found,) = distances(records[:2], [], readings)
    assert (found.designs, found.median, found.p90, found.tau) == (2, 0.0, 0.0, None)


def test_readings_are_kept_and_a_store_without_them_is_brought_up_to_date(tmp_path):
    Store.open(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as connection:  # as the version before left it
        connection.execute("DROP TABLE readings")
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    with Store.read(tmp_path) as store:
        assert store.readings() == []
    failed = Reading("vivado", "failed", Measurement({}), 1.5, "no licence", "its log", "d1")
    with Store.append(tmp_path) as store:
        store.put_reading("aa", vivado(120.0, untested="2031.1 is new"))
        store.put_reading("aa", failed)
    with Store.open(tmp_path) as store:
        store.put_reading("bb", failed)
    with Store.read(tmp_path) as store:
        assert store.readings() == [("aa", vivado(120.0, untested="2031.1 is new")), ("aa", failed), ("bb", failed)]


def test_the_day_of_a_figure_is_kept_and_makes_it_no_other():
    old = figure(1.0, P.ROUTED, "Vivado").to_json()
    assert len(old["date"]) == len("2026-01-31")
    assert Figure.from_json({**old, "date": "2020-02-03"}).date == "2020-02-03"
    del old["date"]
    assert Figure.from_json(old).date == ""
    assert Figure.from_json(old) == figure(1.0, P.ROUTED, "Vivado")


@pytest.mark.parametrize(
    ("slacks", "bound"),
    [
        ({"wns_ns": 1.0, "whs_ns": -0.1}, True),  # hold is missed: nothing is known of a faster clock
        ({"wns_ns": 0.0, "whs_ns": 0.1}, True),
        ({"wns_ns": -0.001, "whs_ns": 0.1}, False),
        ({"wns_ns": None, "whs_ns": None}, None),
    ],
)
def test_an_overlay_that_meets_setup_says_a_bound_of_its_clock(slacks, bound):
    metrics = {
        "vivado": "2024.1", "clock_mhz": 100.0, "timing_met": False, "cells": {}, "accelerator": None,
        "timing": {"wpws_ns": 3.0, **slacks},
        "power": {"total_w": 0.2, "dynamic_w": 0.1, "static_w": 0.1, "confidence": "Low"},
    }  # fmt: skip
    fmax = figures(metrics).figures.get("fmax")
    assert (fmax and fmax.bound) is bound


def test_an_overlay_with_a_slack_that_no_register_leaves():
    metrics = {
        "vivado": "2024.1", "clock_mhz": 100.0, "timing_met": True, "cells": {}, "accelerator": None,
        "timing": {"wns_ns": 10.0, "whs_ns": 0.1, "wpws_ns": 3.0}, "power": {},
    }  # fmt: skip
    with pytest.raises(ReportError, match=r"^metrics\.json: a setup slack of 10 ns leaves 0 of the clock's 10 ns"):
        figures(metrics)


def test_figures_of_a_vivado_that_nobody_tried_are_marked():
    metrics = {
        "vivado": "2031.1", "clock_mhz": 100.0, "timing_met": True, "cells": {"lut": 5}, "accelerator": None,
        "timing": {"wns_ns": 1.0, "whs_ns": 0.1, "wpws_ns": 3.0},
        "power": {"total_w": 0.2, "dynamic_w": 0.1, "static_w": 0.1, "confidence": "Low"},
    }  # fmt: skip
    found = figures(metrics).figures
    assert {figure.marks for figure in found.values()} == {"routed, untested", "estimated, assumed activity, untested"}
    assert found["fmax"].bound
    assert {figure.marks for figure in figures(metrics | {"vivado": "2024.1"}).figures.values()} == {
        "routed", "estimated, assumed activity",
    }  # fmt: skip
