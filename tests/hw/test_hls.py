"""hls4ml's project through stand-ins for Vitis HLS and Vivado; that hls4ml writes such projects, test_via shows."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from reports import Source

from boards.catalogue import load_target
from codesign.errors import ReportError, ToolMissingError, ToolRunError
from codesign.measurement import Provenance
from hw.measure import hls
from hw.measure.optional_tools import VITIS_HLS, VIVADO

ROOT = Path(__file__).resolve().parents[2]
ZYNQ = load_target(None, "xc7z020clg400-1", 100.0)


@pytest.fixture
def program():
    return "vitis-run"


@pytest.fixture
def behave(tmp_path, monkeypatch, program):
    """A project as hls4ml writes it, stand-ins for both tools on PATH, and how they behave."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, stand_in in ((program, "vitis_program.py"), ("vivado", "vivado_program.py")):
        (folder / name).write_text(
            f'#!/bin/sh\nSTANDIN_NAME=$0 exec {sys.executable} {ROOT / "tests/hw" / stand_in} "$@"\n'
        )
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    for tool in (VITIS_HLS, VIVADO):
        monkeypatch.delenv(tool.setting, raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    (tmp_path / "project.tcl").write_text(f'set project_name "network"\nset part "{ZYNQ.part.name}"\n')
    (tmp_path / "build_prj.tcl").write_text("csynth_design\n")
    (tmp_path / "vivado_synth.tcl").write_text("synth_design -top ${project_name} -part $part\n")

    def set_behaviour(vivado=None, **behaviour):
        monkeypatch.setenv("STANDIN_HLS", json.dumps(behaviour))
        monkeypatch.setenv("STANDIN", json.dumps(vivado or {}))

    set_behaviour()
    return set_behaviour


@pytest.mark.parametrize("program", ["vitis-run", "vitis_hls"])
def test_every_step_with_its_provenance(behave, tmp_path):
    found = hls.csynth(tmp_path, ZYNQ).figures
    values = {name: figure.value for name, figure in found.items()}
    assert values.pop("fmax") == pytest.approx(1000 / 6.5)
    assert values == {"lut": 700, "ff": 300, "bram": 1, "dsp": 3, "uram": 0, "latency_cycles": 6, "interval_cycles": 1}
    kinds = {"latency_cycles": Provenance.SCHEDULED, "interval_cycles": Provenance.SCHEDULED}
    assert {name: f.provenance for name, f in found.items()} == {
        name: kinds.get(name, Provenance.ESTIMATED) for name in found
    }
    found = hls.cosim(tmp_path, ZYNQ).figures
    assert set(found) == {"latency_cycles"}  # it says no interval of a single run
    assert (found["latency_cycles"].value, found["latency_cycles"].details["least"]) == (8, 7)
    assert found["latency_cycles"].provenance is Provenance.SIMULATED
    found = hls.vsynth(tmp_path, ZYNQ).figures
    assert (found["lut"].value, found["lut"].provenance, found["lut"].tool) == (120, Provenance.SYNTHESIZED, "Vivado")
    assert found["lut"].details["context"] == "with input and output buffers"
    assert found["lut"].details["state"] == "Synthesized"


def test_a_latency_that_cannot_be_told_is_left_out(behave, tmp_path):
    behave(unknown=True)
    found = hls.csynth(tmp_path, ZYNQ).figures
    assert "latency_cycles" not in found
    assert "interval_cycles" in found


def test_the_most_cycles_are_told_without_the_least(behave, tmp_path):
    hls.csynth(tmp_path, ZYNQ)
    report = tmp_path / hls.SYNTHESIS
    report.write_text(report.read_text().replace("<Best-caseLatency>5<", "<Best-caseLatency>undef<"))
    latency = dict(hls._estimates(hls.read_csynth_xml(report)))["latency_cycles"]
    assert (latency.value, "least" in latency.details) == (6, False)


def test_an_untested_version_marks_its_figures(behave, tmp_path):
    behave(version="2031.1")
    marks = {figure.details.get("untested") for figure in hls.csynth(tmp_path, ZYNQ).figures.values()}
    assert marks == {"Vitis HLS 2031.1 is not a version that this is written for (2020.1 to 2025.x)"}


@pytest.mark.parametrize(
    ("behaviour", "step", "error", "message"),
    [
        ({"part": "xc7z010-clg400-1"}, hls.csynth, ReportError, "the report is of the part 'xc7z010-clg400-1', not"),
        ({"top": "myproject"}, hls.csynth, ReportError, "the report is of the design 'myproject', not of 'network'"),
        ({"forget": "synth"}, hls.csynth, ToolRunError, "Vitis HLS ended without an error but wrote no network_csynth"),
        ({"forget": "cosim"}, hls.cosim, ToolRunError, "Vitis HLS ended without an error but wrote no network_cosim"),
        ({"cosim": "Fail"}, hls.cosim, ToolRunError, "the co-simulation of hls4ml's project failed"),
        ({"cosim": "NA"}, hls.cosim, ReportError, "the co-simulation of Verilog has the status 'NA'"),
        (
            {"say": "ERROR: [HLS 200-101] license check failed", "code": 1}, hls.csynth, ToolRunError,
            "Vitis HLS has no licence for this: ERROR: [HLS 200-101] license check failed",
        ),
        ({"say": "ERROR: [HLS 200-70] x", "code": 1}, hls.csynth, ToolRunError, "Vitis HLS ended with code 1: ERROR"),
        ({"vivado": {"part": "xc7z010clg400-1"}}, hls.vsynth, ReportError, "of the part 'xc7z010clg400-1', not"),
        ({"vivado": {"say": "ERROR: x", "code": 1}}, hls.vsynth, ToolRunError, "Vivado ended with code 1: ERROR: x"),
        (
            {"vivado": {"reports": {"vivado_synth.rpt": Source(design="network").utilization(boxes=("mul",))}}},
            hls.vsynth, ReportError, "the counts are without what is in the black boxes mul",
        ),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_told(behave, tmp_path, behaviour, step, error, message):
    hls.csynth(tmp_path, ZYNQ)
    behave(**behaviour)
    with pytest.raises(error, match=re.escape(message)):
        step(tmp_path, ZYNQ)


def test_a_design_without_logic_between_registers_has_no_fmax(behave, tmp_path):
    hls.csynth(tmp_path, ZYNQ)
    report = tmp_path / hls.SYNTHESIS
    report.write_text(report.read_text().replace("<EstimatedClockPeriod>6.500<", "<EstimatedClockPeriod>0.000<"))
    found = dict(hls._estimates(hls.read_csynth_xml(report)))
    assert "fmax" not in found
    assert found["lut"].value == 700


def test_a_report_of_another_clock(behave, tmp_path):
    message = f"{hls.SYNTHESIS}:1: the report is of a clock of 10 ns, not of 8 ns"
    with pytest.raises(ReportError, match=re.escape(message)):
        hls.csynth(tmp_path, load_target(None, "xc7z020clg400-1", 125.0))


def test_reports_of_an_earlier_run_do_not_pass_for_this_one(behave, tmp_path):
    hls.csynth(tmp_path, ZYNQ)
    behave(forget="synth")
    with pytest.raises(ToolRunError, match="wrote no network_csynth"):
        hls.csynth(tmp_path, ZYNQ)


def test_without_the_tools(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(VITIS_HLS.setting, raising=False)
    message = "Vitis HLS was not found: no program 'vitis-run' or 'vitis_hls' is on PATH; set CODESIGN_VITIS_HLS to its"
    with pytest.raises(ToolMissingError, match=f"^{re.escape(message)}"):
        hls.csynth(tmp_path, ZYNQ)
