from __future__ import annotations

import dataclasses
import io
import re

import analytic_evaluation
import pytest
from rich.console import Console

from codesign.accuracy import output_words, percent_error, statistical_error
from codesign.fmax_trust import fmax_caveat
from codesign.measurement import Figure, Measurement, Provenance
from codesign.study import Study
from codesign.summary import (
    FrontTable,
    fmax_note,
    fmax_words,
    print_summary,
)

FITTED = {"calibrated": True, "within_fitted_range": True, "error": {"median": 0.064, "size": [663, 6128]}}
WITHIN = Figure(120.4, "MHz", Provenance.MODELLED, "codesign-timing", "2", FITTED)
OUTSIDE = dataclasses.replace(WITHIN, details={**FITTED, "within_fitted_range": False})
ULTRASCALE = dataclasses.replace(WITHIN, details={"calibrated": False, "within_fitted_range": False, "error": {}})
ROUTED = Figure(120.4, "MHz", Provenance.ROUTED, "nextpnr", "1")


def printed(renderable, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    return console.file.getvalue()


def with_fmax(run, fmax):
    """The run with that Fmax on every measured candidate."""
    records = [
        dataclasses.replace(
            record, measurement=Measurement({**record.measurement.figures, "fmax": fmax})
        ) if record.measurement and "fmax" in record.measurement.figures else record
        for record in run.records
    ]  # fmt: skip
    return dataclasses.replace(run, records=tuple(records))


def test_the_front_with_errors_shares_and_what_to_do_next(searched):
    console = Console(file=io.StringIO(), width=200)
    print_summary(searched, console)
    text = console.file.getvalue()
    best = searched.front[0]
    assert percent_error(best.measurement.value("val_error"), 288) in text
    assert f"{best.measurement.value('lut'):,.0f} ({best.measurement.value('lut') / 532:.1f} %)" in text
    assert f"({best.measurement.value('latency_cycles'):.0f} cycles)" in text
    assert "10.0 ± 1.6 %" in text  # the test error, on 360 samples
    counts = searched.counts
    assert f"{counts['ok']} within budget, {counts['infeasible']} over, {counts['failed']} failed" in text
    assert f"next: python -m codesign report shown; python -m codesign show shown {best.digest[:8]}" in text


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_every_width_shows_every_figure_beside_its_network(searched, width):
    lines = printed(FrontTable(searched), width).splitlines()
    assert max(map(len, lines)) <= width
    assert any("Fmax" in line for line in lines)
    for record in searched.front:
        (place,) = [place for place, line in enumerate(lines) if record.digest[:8] in line]
        assert record.architecture.words() in lines[place]
        figures = lines[place] if percent_error(record.measurement.value("val_error"), 288) in lines[place] else None
        assert (figures is None) == (width < 120)  # narrow: the line before
        figures = figures or lines[place - 1]
        assert percent_error(record.measurement.value("val_error"), 288) in figures
        assert "10.0 ± 1.6 %" in figures
        lut = record.measurement.value("lut")
        assert f"{lut:,.0f} ({100 * lut / 53200:.1f} %)" in figures
        assert f"({record.measurement.value('latency_cycles'):.0f}" in figures
        assert f"{record.measurement.value('fmax'):.0f}" in figures


@pytest.mark.parametrize("width", [80, 250])
def test_what_else_the_study_makes_small_is_shown(searched, width):
    flips = {"weight_flips_error": Figure(0.12345, "", Provenance.TRAINED, "integer graph", "1")}
    records = [
        dataclasses.replace(record, measurement=record.measurement.merged([Measurement(flips)]))
        for record in searched.front
    ]
    chosen = searched.study.search.model_copy(update={"objectives": ("error", "interval", "ff", "weight_flips")})
    study = searched.study.model_copy(update={"search": chosen})
    run = dataclasses.replace(searched, study=study, records=tuple(records))
    lines = printed(FrontTable(run), width).splitlines()
    for record in run.front:
        (place,) = [place for place, line in enumerate(lines) if record.digest[:8] in line]
        figures = record.measurement.value
        interval, ff = f"{figures('interval_cycles') / 100:.4g}", f"{figures('ff'):,g}"
        if width < 100:
            assert lines[place + 1].strip() == f"interval, us: {interval}; ff, FF: {ff}; weight_flips: 12.3 %"
        else:
            assert re.search(rf"\s{re.escape(interval)}\s+{re.escape(ff)}\s+12\.3 %\s", lines[place])


def test_on_a_tiny_screen_the_network_is_folded_and_nothing_is_lost(searched):
    text = printed(FrontTable(searched), 55)
    assert max(map(len, text.splitlines())) <= 55
    assert all(record.digest[:8] in text for record in searched.front)


@pytest.mark.parametrize(
    ("fmax", "mode", "words"),
    [
        (WITHIN, "parallel", "120 MHz ± 6.4 %"),
        (WITHIN, "folded", "120 MHz, outside the fitted range"),
        (OUTSIDE, "parallel", "120 MHz, outside the fitted range"),
        (ULTRASCALE, "parallel", "120 MHz, uncalibrated"),
        (ULTRASCALE, "folded", "120 MHz, uncalibrated"),
        (ROUTED, "parallel", "120 MHz"),
    ],
)
def test_fmax_says_how_far_it_can_be_trusted(fmax, mode, words):
    assert fmax_words(fmax, mode) == words
    assert fmax_caveat(fmax, mode) in words


def test_the_note_tells_the_model_s_error_and_where_it_is_unknown():
    model = "Fmax: a timing model of the synthesized netlist, not routed"
    error = "its median error is 6.4 % on designs like those it was fitted to"
    outside = "unknown outside the fitted range (folded, or not 663 to 6,128 LUTs and registers)"
    assert fmax_note([(WITHIN, "parallel")]) == f"{model}; {error}"
    assert fmax_note([(WITHIN, "parallel"), (WITHIN, "folded")]) == f"{model}; {error}; {outside}"
    assert fmax_note([(OUTSIDE, "parallel")]) == f"{model}; {outside}"
    stored = dataclasses.replace(OUTSIDE, version="1", details={**OUTSIDE.details, "error": {"luts": [401, 3968]}})
    assert (
        fmax_note([(stored, "parallel")])
        == f"{model}; unknown outside the fitted range (folded, or not 401 to 3,968 LUT)"
    )
    assert fmax_note([(WITHIN, "parallel"), (stored, "parallel")]).endswith("(folded, or not 401 to 3,968 LUT)")
    assert fmax_note([(ULTRASCALE, "parallel")]) == f"{model}; uncalibrated for this part: its error is unknown"


def test_fmax_in_the_table(searched):
    fitted = with_fmax(searched, WITHIN)
    modes = {record.architecture.hardware.mode for record in fitted.front}
    assert modes == {"parallel", "folded"}
    wide, narrow = printed(FrontTable(fitted), 200), " ".join(printed(FrontTable(fitted), 110).split())
    assert "120 MHz ± 6.4 %" in wide
    assert "120 MHz, outside the fitted range" in wide
    assert "120 ± 8 MHz" in narrow
    assert "120 MHz ?" in narrow
    assert "a question mark stands for an unknown error" in narrow
    assert "120 MHz, uncalibrated" in printed(FrontTable(with_fmax(searched, ULTRASCALE)), 200)


def test_statistical_error():
    assert statistical_error(0.1, 288) == pytest.approx((0.09 / 288) ** 0.5, rel=0.02)
    assert statistical_error(0.0, 100) == pytest.approx(0.005, rel=0.02)
    assert percent_error(0.05, 288) == "5.0 ± 1.3 %"


def test_class_names_in_words():
    task = analytic_evaluation.describe(Study())
    assert output_words(dataclasses.replace(task, class_names=("cat", "dog"))) == "2 classes: cat, dog"
    assert (
        output_words(dataclasses.replace(task, class_names=tuple("abcdef")), most=4)
        == "6 classes: a, b, c, d, ... and 2 more"
    )
    assert output_words(dataclasses.replace(task, class_names=(), targets=2)) == "2 predicted values"
