"""Tests of what is said of boards that took part in a search: nothing corrected may look measured."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from board_bench import Bench, Board
from rich.console import Console

from codesign.cli import main
from codesign.errors import RunError
from codesign.fmax_trust import fmax_caveat
from codesign.loop import search
from codesign.measurement import Figure, Provenance
from codesign.picking import pick
from codesign.report.boards import boards, lines, shown_by
from codesign.report.comparison import compare
from codesign.report.marks import marked, meanings
from codesign.report.page import page
from codesign.report.plots import hover
from codesign.study import parse_study
from codesign.summary import FrontTable, closing, latency

HOSTS = '[board]\nhosts = ["a@one", "virtual:pynq-z1"]\n'
STUDY = f'[study]\nname = "beside"\n[search]\npopulation = 8\ngenerations = 3\n{HOSTS}'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("beside")


@pytest.fixture(scope="module")
def searched_once(folder):
    """A search with a real board, whose clock is slow, and a virtual one; some builds fail."""
    bench = Bench({"a@one": Board(scale=0.8), "virtual:pynq-z1": Board(scale=0.8, simulated=True)}, ["build"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANALYTIC", "{}")
        return search(
            parse_study(STUDY, "x"), folder / "runs" / "beside", workers=1, evaluation="analytic_evaluation",
            board_tools=bench.tools(),
        )  # fmt: skip


@pytest.fixture
def run(searched_once, folder, monkeypatch):
    monkeypatch.chdir(folder)
    return searched_once


def provenance(run, record, name):
    return record.measurement.figures[name].provenance


def both(run):
    """A front member that a real board measured, and one that none did."""
    kinds = {provenance(run, record, "latency_us"): record for record in run.front}
    return kinds[Provenance.ON_BOARD], kinds[Provenance.CORRECTED]


def test_marks():
    figures = [Figure(1.0, "", kind, "t", "1") for kind in (Provenance.CORRECTED, Provenance.ON_BOARD)]
    assert [marked("1 us", figure) for figure in figures] == ["~1 us", "*1 us"]
    assert marked("1 us", Figure(1.0, "", Provenance.SIMULATED, "t", "1")) == "1 us"
    assert meanings(figures).startswith("~ corrected by what other candidates showed")
    assert meanings(figures[1:]) == "* measured on a board, or routed"
    assert meanings([]) == ""


def test_a_corrected_fmax_has_no_error_of_the_timing_model():
    modelled = {"calibrated": True, "within_fitted_range": True, "error": {"median": 0.044}}
    assert fmax_caveat(Figure(150.0, "MHz", Provenance.MODELLED, "t", "1", modelled), "parallel") == "± 4.4 %"
    corrected = {**modelled, "error": 0.1, "corrected_by": "ratio 0.9 of 4 candidates routed"}
    assert fmax_caveat(Figure(150.0, "MHz", Provenance.CORRECTED, "t", "1", corrected), "parallel") == "corrected"
    assert fmax_caveat(Figure(150.0, "MHz", Provenance.ROUTED, "t", "1", modelled), "parallel") == ""


@pytest.mark.parametrize("width", [70, 110, 160])
def test_the_front_table_marks_every_number_at_any_width(run, width):
    out = Console(file=io.StringIO(), width=width, color_system=None)
    out.print(FrontTable(run))
    text = out.file.getvalue()
    measured, corrected = both(run)
    for record, mark in ((measured, r"\*"), (corrected, "~")):
        time, cycles, _ = latency(run, record)
        assert re.search(rf"{mark}{time:.2f} us \({cycles:.0f}", text)
        assert re.search(rf"{mark}{record.measurement.value('lut'):,.0f} \(", text)
    assert f"latency {shown_by(run)}" in " ".join(text.split())
    assert "~ corrected by what other candidates showed" in " ".join(text.split())


def test_the_end_of_a_search_says_who_was_measured_and_how_far_predictions_were_off(run):
    text = closing(run)
    good = {result.digest for result in run.boards if result.failed_at is None}
    failed = sum(result.failed_at == "build" for result in run.boards)
    front = sum(record.digest in good for record in run.front)
    assert failed
    assert f"Measured for the search: {len(good)} candidates on " in text
    assert "virtual:pynq-z1 (simulated, no board)" in text
    assert f"; {failed} failed ({failed} at build)\n" in text
    assert f"Measured of the front: {front} of {len(run.front)} members\n" in text
    assert re.search(r"latency_us of the others: x 1\.2\d\d \(of \d on boards\); median error 20\.0 % without, ", text)


def test_a_run_without_boards_says_nothing_of_them(searched):
    assert lines(searched) == []
    assert boards(searched) == ""
    assert 'id="boards"' not in page(searched)
    assert "corrected" not in closing(searched)


def test_the_report_has_who_where_and_why_not(run):
    text = page(run)
    part = text[text.index('id="boards"') :]
    for result in run.boards:
        assert f"show beside {result.digest[:8]}" in part
    assert part.count("Vivado ended with code 1") >= sum(result.failed_at == "build" for result in run.boards)
    assert "at the end" in part
    measured, corrected = both(run)
    for record, mark in ((measured, "*"), (corrected, "~")):
        assert f"{mark}{latency(run, record)[0]:.2f} us" in text
        assert f"{mark}{record.measurement.value('lut'):,.0f} (" in text


def test_every_section_of_a_report_with_boards_is_explained(run):
    text = (Path(__file__).parents[2] / "docs" / "reading-the-report.md").read_text(encoding="utf-8")
    sections = re.findall(r"<h2>(.*?)</h2>", page(run))
    assert "Boards" in sections
    assert [name for name in re.findall(r"^### (.*)$", text, re.MULTILINE) if name in sections] == sections


def test_latencies_with_and_without_boards_are_not_compared(run, searched):
    with pytest.raises(RunError, match="\n  latency: of the accelerator against of the network\n"):
        compare(run, searched)


def test_plots_tell_corrected_figures_apart(run):
    measured, corrected = both(run)
    assert "(on_board: " in hover(run, measured)
    assert "(corrected: analytic 1)" in hover(run, corrected)
    assert "latency in us (corrected, on_board)" in page(run)


def test_show_has_corrections_and_their_errors(run, capsys):
    assert main(["show", "beside", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    fit = run.corrections.fits["latency_us"].fit
    assert found["corrections"]["latency_us"] == {
        "ratio": fit.ratio, "candidates": fit.samples, "fitted_to": "on_board", "error_before": fit.error_before,
        "error": fit.error,
    }  # fmt: skip
    measured, corrected = both(run)
    listed = {candidate["id"]: candidate for candidate in found["candidates"]}
    assert "latency_us" in listed[corrected.digest]["corrected"]
    assert "latency_us" not in listed[measured.digest]["corrected"]
    assert listed[corrected.digest]["values"]["latency_us"] == corrected.measurement.value("latency_us")
    assert main(["show", "beside", corrected.digest[:12], "--json"]) == 0
    figure = json.loads(capsys.readouterr().out)["figures"]["latency_us"]
    assert (figure["provenance"], figure["details"]["was"]) == ("corrected", "simulated")
    assert main(["show", "beside", corrected.digest[:12]]) == 0
    assert "corrected_by" in capsys.readouterr().out


def test_the_lowest_latency_is_that_of_boards(run):
    picked = pick(run, "lowest-latency")
    assert latency(run, picked)[0] == min(latency(run, record)[0] for record in run.front)


def test_pandas_have_the_provenance(run):
    frame = run.to_pandas()
    measured, corrected = both(run)
    assert frame.loc[measured.digest, "latency_us_provenance"] == "on_board"
    assert frame.loc[corrected.digest, "lut_provenance"] == "corrected"


def test_virtual_boards_are_not_called_boards(run):
    fitted = run.corrections.fits["latency_us"]
    assert (fitted.provenance, shown_by(run)) == (Provenance.ON_BOARD, "as boards showed it")
    fits = {**run.corrections.fits, "latency_us": replace(fitted, provenance=Provenance.SIMULATED)}
    virtual = replace(run, corrections=replace(run.corrections, fits=fits))
    assert shown_by(virtual) == "as virtual boards showed it (simulated)"
    assert shown_by(replace(run, corrections=replace(run.corrections, fits={}))) == ""
