"""Vivado as an instrument, against a stand-in that knows the commands that may be used and writes reports of ours."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("tkinter", reason="needs a Tcl interpreter: Python's tkinter")

from networks import random_graph
from reports import Source
from vivado_program import OutOfContext

from boards.catalogue import load_target
from codesign.architecture import Hardware
from codesign.errors import ReportError, TargetError, ToolMissingError, ToolRunError
from codesign.measurement import Provenance
from codesign.target import Part, Target
from hw.design import design
from hw.measure import vivado
from hw.measure.delays import DelayModel
from hw.measure.optional_tools import VIVADO, no_report

ROOT = Path(__file__).resolve().parents[2]
ZYNQ = load_target(None, "xc7z020clg400-1", 100.0)
ULTRASCALE = load_target("zcu104", None, 300.0)


@pytest.fixture(scope="module")
def network():
    return design(random_graph(3, [16, 8, 4], "3"), Hardware("parallel"), DelayModel.for_part(ZYNQ.part), 8.8)


@pytest.fixture
def behave(tmp_path, monkeypatch):
    """Put a stand-in for Vivado on PATH, and say how it behaves."""
    program = tmp_path / "bin" / "vivado"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT / "tests/hw/vivado_program.py"} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.delenv(VIVADO.setting, raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))

    def set_behaviour(**behaviour):
        monkeypatch.setenv("STANDIN", json.dumps(behaviour))

    set_behaviour()
    return set_behaviour


@pytest.mark.parametrize("target", [ZYNQ, ULTRASCALE], ids=["zynq", "ultrascale"])
def test_a_synthesized_design(behave, network, target, tmp_path):
    phases = []
    found = vivado.measure(network, target, tmp_path / "x", phase=phases.append).figures
    assert phases == ["synthesis", "reports"]
    values = {name: figure.value for name, figure in found.items()}
    slack = 1.5
    expected = {"lut": 120, "ff": 64, "bram": 2.5, "dsp": 2, "setup_slack": slack, "power": 0.118}
    expected |= {"uram": 0} if target is ULTRASCALE else {}
    assert values.pop("fmax") == pytest.approx(1000 / (round(target.period_ns, 3) - slack))
    assert values == expected
    assert {figure.version for figure in found.values()} == {"2024.1"}
    assert {name for name, figure in found.items() if figure.provenance is not Provenance.SYNTHESIZED} == {"power"}
    assert found["power"].provenance is Provenance.ESTIMATED
    assert found["power"].details["activity"] == "assumed by the tool"
    assert found["fmax"].details["lower_bound"] is True
    assert not any("untested" in figure.details for figure in found.values())


def test_power_by_simulated_activity(behave, network, tmp_path):
    """The stand-in wants the file, the instance in it, and a design to read it into."""
    activity = f"(SAIFILE\n(INSTANCE tb\n  (INSTANCE {network.top}\n(NET )\n)))\n"
    found = vivado.measure(network, ZYNQ, tmp_path / "x", activity=activity).figures
    assert found["power"].details["activity"] == "activity.saif"
    assert (found["power"].marks, found["power"].warnings) == ("estimated, simulated activity", [])
    with pytest.raises(ToolRunError, match="Vivado ended with code 1"):
        vivado.measure(network, ZYNQ, tmp_path / "y", activity=activity.replace(network.top, "other"))


@pytest.mark.parametrize(
    "report",
    [
        Source().power(activity="activity.saif", matched="0%   (1/1972)"),  # as of a wrong path; the one is the clock
        Source().power(activity="activity.saif", matched="0% (0/1972)"),
        Source().power(),
    ],
)
def test_power_by_activity_whose_nets_are_none_of_the_designs(behave, network, report, tmp_path):
    behave(reports={"power.rpt": report})
    activity = f"(SAIFILE\n(INSTANCE tb\n  (INSTANCE {network.top}\n(NET )\n)))\n"
    power = vivado.measure(network, ZYNQ, tmp_path / "x", activity=activity).figures["power"]
    assert (power.marks, power.details["activity"]) == ("estimated, assumed activity", "assumed by the tool")
    assert power.warnings == [
        "Vivado found no net of the design but its clock in the simulated activity that it was given: its power is by "
        "activity that it assumes"
    ]
    without = vivado.measure(network, ZYNQ, tmp_path / "y").figures["power"]
    assert (without.marks, without.warnings) == ("estimated, assumed activity", [])  # and nobody expected another


def test_a_routed_design(behave, network, tmp_path):
    phases = []
    behave(reports={"timing.rpt": Source(state="Routed").timing(wns=-2.5)})
    found = vivado.measure(network, ZYNQ, tmp_path / "x", route=True, phase=phases.append).figures
    assert phases == ["synthesis", "placement", "routing", "reports"]
    assert found["lut"].provenance is found["fmax"].provenance is Provenance.ROUTED
    assert found["fmax"].value == 80.0
    assert found["fmax"].details["lower_bound"] is False


def test_a_clock_that_is_met_by_nothing_to_spare_is_a_bound(behave, network, tmp_path):
    behave(reports={"timing.rpt": Source().timing(wns=0.0)})
    fmax = vivado.measure(network, ZYNQ, tmp_path / "x").figures["fmax"]
    assert (fmax.value, fmax.bound) == (100.0, True)


def test_the_plan_is_of_these_files_this_version_and_this_part(network):
    build = vivado.plan(network, ZYNQ, "2024.1", route=False)
    assert build.digest() == vivado.plan(network, ZYNQ, "2024.1", route=False).digest()
    others = [
        vivado.plan(network, ZYNQ, "2024.1", route=True),
        vivado.plan(network, ZYNQ, "2024.2", route=False),
        vivado.plan(network, ULTRASCALE, "2024.1", route=False),
        vivado.plan(network, load_target(None, "xc7z020clg400-1", 101.0), "2024.1", route=False),
    ]
    assert len({build.digest(), *(other.digest() for other in others)}) == 5


@pytest.mark.parametrize("route", [False, True])
def test_the_stand_in_would_notice_a_line_that_is_not_there(network, route, tmp_path):
    build = vivado.plan(network, ZYNQ, "2024.1", route=route)
    for name, text in build.files.items():
        (tmp_path / name).write_text(text)
    constraints, script = build.files[vivado.CONSTRAINTS].splitlines(), build.script.splitlines()

    def runs(script, constraints):
        (tmp_path / vivado.CONSTRAINTS).write_text("\n".join(constraints))
        for name in vivado.REPORTS:
            (tmp_path / name).unlink(missing_ok=True)
        code = OutOfContext(tmp_path, ZYNQ.part.name).run("\n".join(script))
        return code == 0 and all((tmp_path / name).is_file() for name in vivado.REPORTS)

    assert runs(script, constraints)
    for number, line in enumerate(script):
        needed = not line.startswith(("#", "puts")) and (f"{network.top}.sv" in line or "read_verilog" not in line)
        assert runs(script[:number] + script[number + 1 :], constraints) is not needed, line
    for number in range(len(constraints)):
        assert not runs(script, constraints[:number] + constraints[number + 1 :])


def test_without_vivado(network, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(VIVADO.setting, raising=False)
    message = (
        "Vivado was not found: no program 'vivado' is on PATH; set CODESIGN_VIVADO to its path, or measure without it"
    )
    with pytest.raises(ToolMissingError, match=f"^{re.escape(message)}$"):
        vivado.measure(network, ZYNQ, tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: [Common 17-345] A valid license was not found for feature 'Implementation' and/or device 'xczu7ev'",
        "WARNING: [Common 17-348] Failed to get the license for feature 'Synthesis' and/or device 'xcku060'",
        "ERROR: [HLS 200-70] Failed to check out a license",
        "@E [HLS-70] License check failed",
        "ERROR: License checkout failed for 'vivado_hls'",
        "ERROR: License check-out failed for 'vivado_implementation'",
        "Could not obtain a license for Vitis HLS",
        "Cannot connect to license server system.",
        "FlexNet Licensing error:-5,357",
        "FLEXnet Licensing error: -15,10.  System Error: 115",
        "FlexNet Licensing error:-97,121",
        "No such feature exists.",
        "no valid licence for device xcvu13p",
        "The license server is not available",
    ],
)
def test_the_many_words_for_a_licence_that_is_not_there(line):
    said = f"Attempting to get a license for feature 'Synthesis'\n{line}\nFailed\n"
    assert str(no_report("Vivado", "x.rpt", said)) == f"Vivado has no licence for this: {line}"
    said = f"{line}\nERROR: [Common 17-345] A valid license was not found\n"
    assert str(no_report("Vivado", "x.rpt", said)).endswith(line if line[:5] == "ERROR" else "license was not found")


@pytest.mark.parametrize(
    "line",
    [
        "Attempting to get a license for feature 'Synthesis' and/or device 'xcku060'",
        "INFO: [Common 17-349] Got license for feature 'Synthesis' and/or device 'xcku060'",
        "INFO: [Common 17-83] Releasing license: Synthesis",
        "WARNING: [Common 17-1540] The version limit for your license is '2021.06' and has expired for new software.",
        "ERROR: [Synth 8-439] module 'license_check' not found",
        "ERROR: cannot find file license_check.sv",
    ],
)
def test_words_of_licences_that_are_there(line):
    assert str(no_report("Vivado", "x.rpt", f"{line}\n")) == "Vivado ended without an error but wrote no x.rpt"


def test_a_folder_in_place_of_a_report_is_a_failed_run(behave, network, tmp_path):
    behave()
    (tmp_path / "power.rpt").mkdir()
    with pytest.raises(ToolRunError, match=r"^Vivado cannot write /.*/power\.rpt: Is a directory; remove it$"):
        vivado.measure(network, ZYNQ, tmp_path)


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ({"crash": "synthesis"}, "Vivado ended with code 139"),
        ({"crash": "synthesis", "signal": 9}, "Vivado was killed (SIGKILL), as the system does when memory runs out"),
        ({"hang": "synthesis"}, "Vivado exceeded its limit of 3 s"),
        ({"say": "terminate called after throwing an instance of 'std::bad_alloc'", "code": 134}, "Vivado ran out of"),
        (
            {"say": "ERROR: [Common 17-345] A valid license was not found for feature 'Synthesis'\nINFO: x", "code": 1},
            "Vivado has no licence for this: ERROR: [Common 17-345] A valid license was not found for feature 'Synth",
        ),
        ({"say": "ERROR: [Synth 8-439] module 'x' not found", "code": 1}, "Vivado ended with code 1: ERROR: [Synth 8"),
        (
            {"say": "WARNING: [Common 17-348] Failed to get the license for feature x", "code": 0},
            "Vivado has no licence for this: WARNING: [Common 17-348] Failed to get the license for feature x",
        ),
        ({"say": "INFO: done", "code": 0}, "Vivado ended without an error but wrote no utilization.rpt"),
        ({"reports": {"power.rpt": None}}, "Vivado ended without an error but wrote no power.rpt"),
    ],
)
def test_what_goes_wrong_is_told_with_its_log(behave, network, behaviour, message, tmp_path):
    behave(**behaviour)
    with pytest.raises(ToolRunError, match=re.escape(message)) as caught:
        vivado.measure(network, ZYNQ, tmp_path / "x", timeout_s=3.0)
    assert (tmp_path / "x" / "vivado.log").is_file()
    if "code" in behaviour:
        assert behaviour["say"].splitlines()[0] in caught.value.log


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ({"part": "xc7z010clg400-1"}, "the report is of the part 'xc7z010clg400-1', not of 'xc7z020clg400-1'"),
        ({"design": "other"}, "the report is of the design 'other', not of 'cdg_network'"),
        ({"reports": {"utilization.rpt": Source(state="Routed").utilization()}}, "is Routed, not synthesized"),
        (
            {"reports": {"utilization.rpt": Source().utilization(boxes=("cdg_fifo",))}},
            "the counts are without what is in the black boxes cdg_fifo",
        ),
        ({"reports": {"timing.rpt": Source().timing(wns=None)}}, "nothing in the design is timed"),
        (
            {"reports": {"timing.rpt": Source().timing(wns=10.0)}},
            "a setup slack of 10 ns leaves 0 of the clock's 10 ns, less than any register takes (0.05 ns)",
        ),
        (
            {"reports": {"timing.rpt": Source().timing(wns=9.999)}},
            "a setup slack of 9.999 ns leaves 0.001 of the clock's 10 ns, less than any register takes (0.05 ns)",
        ),
        (
            {"reports": {"timing.rpt": Source().timing(period=8.0)}},
            "the clocks are {'clk': 8.0} ns, not clk of 10.0 ns",
        ),
        ({"reports": {"power.rpt": Source().power()[:700]}}, "power.rpt:"),
        ({"reports": {"timing.rpt": ""}}, "timing.rpt:1: the report is empty"),
    ],
)
def test_reports_of_something_else(behave, network, behaviour, message, tmp_path):
    behave(**behaviour)
    with pytest.raises(ReportError, match=re.escape(message)) as caught:
        vivado.measure(network, ZYNQ, tmp_path)
    assert re.match(rf"{tmp_path}/\w+\.rpt:\d+: ", str(caught.value))
    assert "codesign: phase reports" in caught.value.log


def test_a_row_that_the_part_must_have(behave, network, tmp_path):
    """A part with URAM has a row of it, if only of none: without it the report is damaged, and not None."""
    whole = Source(ULTRASCALE.part.name).utilization()
    behave(reports={"utilization.rpt": re.sub(r"\| URAM .*\n", "", whole)})
    message = f"utilization.rpt:1: the report has no row 'URAM', but {ULTRASCALE.part.name} has some"
    with pytest.raises(ReportError, match=re.escape(message)):
        vivado.measure(network, ULTRASCALE, tmp_path)


def test_what_an_earlier_run_left_does_not_pass_for_this_one(behave, network, tmp_path):
    vivado.measure(network, ZYNQ, tmp_path)
    behave(say="INFO: done", code=0)
    with pytest.raises(ToolRunError, match=r"wrote no utilization\.rpt"):
        vivado.measure(network, ZYNQ, tmp_path)


@pytest.mark.parametrize(
    ("version", "known"), [("2020.1", True), ("2025.2.1", True), ("2019.2", False), ("2031.1", False)]
)
def test_an_untested_version_is_tried_and_its_figures_are_marked(behave, network, version, known, tmp_path):
    behave(version=version)
    found = vivado.measure(network, ZYNQ, tmp_path).figures
    warning = f"Vivado {version} is not a version that this is written for (2020.1 to 2025.x)"
    assert {figure.details.get("untested") for figure in found.values()} == {None if known else warning}
    assert {figure.version for figure in found.values()} == {version}


def test_the_versions_are_those_of_the_build():
    text = (ROOT / "boards" / "overlay.tcl").read_text()
    found = tuple(int(re.search(rf"variable {name} (\d+)", text)[1]) for name in ("oldest", "newest"))
    assert found == VIVADO.tested


def test_a_program_that_is_no_vivado(network, tmp_path, monkeypatch):
    program = tmp_path / "vivado"
    program.write_text("#!/bin/sh\necho application-specific initialization failed >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv(VIVADO.setting, str(program))
    with pytest.raises(ToolRunError, match=r"vivado does not work: it does not say its version \(code 1\): applic"):
        vivado.measure(network, ZYNQ, tmp_path)


def test_a_part_that_would_be_tcl(network):
    part = Part("xc7[exit]", "xc7", "1", {})
    with pytest.raises(TargetError, match=r"part 'xc7\[exit\]' is no name of a part"):
        vivado.plan(network, Target(part, 100.0), "2024.1", route=False)
