"""Tests of what a search does with a host: with a stand-in for Vivado, and the agent on the stand-in for a board."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from test_build import behave, stored  # noqa: F401  # fixtures

sys.path.append(str(Path(__file__).parents[1] / "boards"))
from agent_bundles import command

from codesign.board_loop import tools as board_tools
from codesign.board_loop.corrections import observations
from codesign.board_loop.tools import build, greet
from codesign.errors import TimingError, ToolError, ToolMissingError
from codesign.measurement import Measurement, Provenance
from codesign.run import read_run

REAL, VIRTUAL = "xilinx@pynq1", "virtual:pynq-z1"


def test_a_bundle_for_a_real_board_is_built_once(behave, stored, monkeypatch):  # noqa: F811
    said = []
    run = read_run(Path("runs/small"))
    made = build(run, stored, REAL, said.append)
    assert not made.manifest["simulation_only"]
    assert said, "the phases of the build are told"
    figures = Measurement.from_json(made.manifest["figures"]["build"])
    assert figures.value("fmax") == pytest.approx(1000 / (10 - 0.731))
    assert figures.figures["fmax"].bound
    assert observations(figures)["lut"] == figures.figures["accelerator_lut"]
    monkeypatch.setenv("PATH", "/nowhere")
    assert build(run, stored, REAL, said.append).content() == made.content()


def test_a_damaged_bundle_is_built_again(behave, stored):  # noqa: F811
    run, said = read_run(Path("runs/small")), []
    made = build(run, stored, REAL, said.append)
    (path,) = run.folder.glob("builds/*-bitstream/*.zip")
    path.write_bytes(path.read_bytes()[:-100])
    said.clear()
    assert build(run, stored, REAL, said.append).files.keys() == made.files.keys()
    assert str(path) in said[0]
    assert len(said) > 1, "it is built again"


def test_missed_timing_has_the_figures_of_the_routed_design(behave, stored, shared_data):  # noqa: F811
    report = shared_data / "vendor_reports" / "timing_routed_7z020clg400_v2020.1_fails_setup.rpt"
    behave(reports={"timing": str(report)})
    with pytest.raises(TimingError, match="timing is not met at 100 MHz") as caught:
        build(read_run(Path("runs/small")), stored, REAL, print)
    fmax = caught.value.measurement.figures["fmax"]
    assert (fmax.value, fmax.provenance) == (pytest.approx(1000 / 12.319), Provenance.ROUTED)
    assert fmax.details == {"asked_mhz": 100.0, "lower_bound": False}


def test_a_bundle_for_a_virtual_board_takes_no_vivado(stored):  # noqa: F811
    made = build(read_run(Path("runs/small")), stored, VIRTUAL, print)
    assert made.manifest["simulation_only"]
    assert "build" not in made.manifest["figures"]


def test_a_real_board_says_which_it_is(behave, stored, tmp_path, monkeypatch):  # noqa: F811
    asked, said = [], []
    monkeypatch.setattr(board_tools, "require_agent", lambda host, _: asked.append(host))
    monkeypatch.setattr(board_tools, "ssh_command", lambda _host, _program: command(tmp_path / "agent"))
    assert greet(REAL, said.append) == "Pynq-Z1"
    assert (asked, said) == ([REAL], [f"connecting to {REAL}"])


def test_an_answer_without_a_board_is_said(behave, stored, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(board_tools, "require_agent", lambda *_: None)
    monkeypatch.setattr(board_tools, "ssh_command", lambda _host, _program: command(tmp_path / "agent"))
    monkeypatch.setattr(board_tools.Remote, "hello", lambda _: {"ok": True})
    with pytest.raises(ToolError, match="does not say which board it is; set it up again"):
        greet(REAL, print)


def test_a_real_board_is_not_connected_to_without_vivado(stored, monkeypatch):  # noqa: F811
    monkeypatch.setattr(board_tools, "require_agent", None)
    with pytest.raises(ToolMissingError, match=r"^Vivado was not found: .* \(xilinx@pynq1 is a real board\)$"):
        greet(REAL, print)
