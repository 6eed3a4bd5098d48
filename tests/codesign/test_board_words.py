"""What boards said of candidates, where people and programs read it: show, its JSON, and the report."""

from __future__ import annotations

import dataclasses
import json
import shutil
from html import unescape
from pathlib import Path

import pytest

from codesign.board_loop.result import BoardResult
from codesign.cli import main
from codesign.measurement import Figure, Measurement, Provenance
from codesign.report.page import page
from codesign.run import read_run
from codesign.store import Store

REAL = ("Pynq-Z1 with pynq", "3.0.1", Provenance.ON_BOARD)
VIRTUAL = ("virtual board (Verilator and a DMA model)", "0.1.0", Provenance.SIMULATED)


def measured(tool, version, provenance, clock=100.0):
    def figure(value, unit):
        return Figure(value, unit, provenance, tool, version)

    figures = {
        "board_latency_cycles": figure(37.0, "cycles"), "board_latency_us": figure(37 / clock, "us"),
        "board_clock_mhz": figure(clock, "MHz"), "board_fps": figure(12345.0, "1/s"), "board_mismatches": figure(0, ""),
    }  # fmt: skip
    return Measurement(figures)


@pytest.fixture
def run(searched, tmp_path, monkeypatch):
    """A run of which one candidate was on a board, on a virtual one, and failed on another."""
    shutil.copytree(Path("runs"), tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    digest = searched.front[0].digest
    results = [
        BoardResult(digest, "xilinx@pynq", "2026-03-04T05:06:07+00:00", measured(*REAL, 80.0)),
        BoardResult(digest, "virtual:pynq-z1", "2026-03-05T05:06:07+00:00", measured(*VIRTUAL)),
        BoardResult(
            digest, "xilinx@other", "2026-03-06T05:06:07+00:00", failed_at="mismatch",
            reason="3 of 256 golden vectors give other outputs <here>", log="vector 7: ...", generation=None,
        ),
    ]  # fmt: skip
    with Store.append(Path("runs/shown")) as store:
        for result in results:
            store.put_board(result)
    return read_run(Path("runs/shown"))


def test_the_run_says_how_many(run, capsys):
    assert main(["show", "shown"]) == 0
    out = capsys.readouterr().out
    assert "\non boards: 1 candidate, 2 runs, 1 failed\n" in out
    assert "\non virtual boards (simulated): 1 candidate, 1 run, 0 failed\n" in out


def test_a_candidate_has_each_time(run, capsys):
    assert main(["show", "shown", run.front[0].digest[:10]]) == 0
    out = capsys.readouterr().out
    assert (
        "2026-03-04 on xilinx@pynq: every output equal, bit for bit\n"
        "    latency 37 cycles, latency 0.4625 us, clock 80 MHz, throughput 12,345 1/s\n"
        "    on_board by Pynq-Z1 with pynq 3.0.1\n"
        "2026-03-05 on virtual:pynq-z1 (simulated, no board): every output equal, bit for bit\n"
        "    latency 37 cycles, latency 0.37 us, clock 100 MHz, throughput 12,345 1/s\n"
        "    simulated by virtual board (Verilator and a DMA model) 0.1.0\n"
        "2026-03-06 on xilinx@other: failed at mismatch: 3 of 256 golden vectors give other outputs <here>\n"
    ) in out


def test_a_board_that_ran_the_hardware_of_another_training_is_told_so(run, capsys):
    digest = run.front[0].digest
    other = BoardResult(digest, "xilinx@pynq", "2026-04-04T05:06:07+00:00", measured(*REAL), design="ab" * 32)
    with Store.append(run.folder) as store:
        store.put_board(other)
    assert main(["show", "shown", digest[:10]]) == 0
    marked = "every output equal, bit for bit (hardware of another training)"
    assert [line for line in capsys.readouterr().out.splitlines() if marked in line] == [
        f"2026-04-04 on xilinx@pynq: {marked}"
    ]
    assert page(read_run(run.folder)).count(marked) == 1


def test_json_of_a_candidate_and_of_a_run(run, capsys):
    digest = run.front[0].digest
    assert main(["show", "shown", digest, "--json"]) == 0
    boards = json.loads(capsys.readouterr().out)["boards"]
    assert main(["show", "shown", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["boards"] == boards
    assert [(b["id"], b["host"], b["simulated"], b["failed_at"]) for b in boards] == [
        (digest, "xilinx@pynq", False, None),
        (digest, "virtual:pynq-z1", True, None),
        (digest, "xilinx@other", False, "mismatch"),
    ]
    assert boards[0]["figures"]["board_latency_us"]["provenance"] == "on_board"
    assert boards[1]["figures"]["board_latency_us"]["provenance"] == "simulated"
    assert (boards[2]["figures"], boards[2]["log"]) == ({}, "vector 7: ...")


def test_every_key_of_the_json_is_documented(run, capsys):
    assert main(["show", "shown", "--json"]) == 0
    text = (Path(__file__).resolve().parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
    for key in json.loads(capsys.readouterr().out)["boards"][0]:
        assert f"`boards[].{key}`" in text or f", `.{key}` |" in text, key


def test_the_report_has_them_in_the_winners_section(run):
    html = page(run)
    assert html.count("<h3>On boards</h3>") == 1
    text = unescape(html)
    assert "virtual:pynq-z1 (simulated, no board)" in text
    assert "On a virtual board nothing is measured: its figures are simulated." in text
    assert "simulated by virtual board (Verilator and a DMA model) 0.1.0" in text
    assert "failed at mismatch: 3 of 256 golden vectors give other outputs &lt;here&gt;" in html
    for heading in ("latency, cycles", "latency, us", "clock, MHz", "throughput, 1/s"):
        assert f">{heading}</th>" in html
    assert "power, W" not in html


def test_without_boards_nothing_is_said_of_them(run, searched_folder, capsys, monkeypatch):
    plain = dataclasses.replace(run, boards=())
    assert "On boards" not in page(plain)
    monkeypatch.chdir(searched_folder)
    assert main(["show", "shown"]) == 0
    assert "on boards" not in capsys.readouterr().out
