"""nextpnr-xilinx as an instrument, against a stand-in; the netlist that it is given is a real one of Yosys'."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from networks import random_graph

from boards.catalogue import load_target
from codesign.architecture import Hardware
from codesign.errors import TargetError, ToolMissingError, ToolRunError
from codesign.measurement import Provenance
from hw.design import design
from hw.measure import nextpnr, tools, yosys
from hw.measure.delays import DelayModel
from hw.measure.optional_tools import NEXTPNR

ROOT = Path(__file__).resolve().parents[2]
ZYNQ = load_target(None, "xc7z020clg400-1", 100.0)
PAIR = """module cdg_pair (input wire clk, input wire [5:0] a, output wire [1:0] y, output wire [1:0] z);
  LUT6_2 #(.INIT(64'h6996_1234_89AB_CDEF)) whole (
    .O5(y[0]), .O6(y[1]), .I0(a[0]), .I1(a[1]), .I2(a[2]), .I3(a[3]), .I4(a[4]), .I5(a[5]));
  LUT6_2 #(.INIT(64'h0F1E_2D3C_4B5A_6978)) tied (
    .O5(z[0]), .O6(z[1]), .I0(a[0]), .I1(a[1]), .I2(a[2]), .I3(a[3]), .I4(a[4]), .I5(1'b1));
endmodule
"""


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    built = design(random_graph(3, [64, 8, 4], "3"), Hardware("parallel"), DelayModel.for_part(ZYNQ.part), 8.8)
    folder = tmp_path_factory.mktemp("mapped")
    return yosys.synthesize(yosys.plan(built.files, built.top, ZYNQ.part), folder, timeout_s=120).netlist, built.top


@pytest.fixture
def wrapped(mapped, tmp_path_factory, monkeypatch):
    """The wrapping, which takes Yosys a second, made once."""
    folder = tmp_path_factory.getbasetemp() / "wrapped"
    if not folder.exists():
        nextpnr.wrap(*mapped, folder, timeout_s=120)

    def again(netlist, top, place, **_):
        place.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(folder / nextpnr.NETLIST, place))

    monkeypatch.setattr(nextpnr, "wrap", again)


@pytest.fixture
def behave(tmp_path, monkeypatch):
    """Put a stand-in for nextpnr-xilinx on PATH, with a database, and say how it behaves."""
    program = tmp_path / "bin" / "nextpnr-xilinx"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT / "tests/hw/nextpnr_program.py"} "$@"\n')
    program.chmod(0o755)
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "xc7z020.bin").write_bytes(b"database")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.delenv(NEXTPNR.setting, raising=False)
    monkeypatch.setenv(nextpnr.DATABASES, str(tmp_path / "db"))

    def set_behaviour(**behaviour):
        monkeypatch.setenv("STANDIN", json.dumps(behaviour))

    set_behaviour()
    return set_behaviour


def test_the_median_of_the_seeds_with_their_spread(behave, mapped, wrapped, tmp_path):
    behave(clocks={"1": 90.0, "2": 130.0, "3": 100.0})
    figure = nextpnr.measure(*mapped, ZYNQ, tmp_path / "x").figures["fmax"]
    assert (figure.value, figure.unit, figure.provenance) == (100.0, "MHz", Provenance.ROUTED)
    assert (figure.tool, figure.version) == ("nextpnr-xilinx", "0.8.2-39-gc5a8b2f")
    assert figure.details["seeds"] == {"1": 90.0, "2": 130.0, "3": 100.0}
    assert (figure.details["lowest"], figure.details["highest"], figure.details["spread"]) == (90.0, 130.0, 0.4)


def test_a_seed_that_fails_costs_the_others_nothing(behave, mapped, wrapped, tmp_path):
    behave(clocks={"1": 90.0, "3": 100.0}, say="ERROR: Failed to route arc 0 of net 'x'", code=255, failing=["2"])
    figure = nextpnr.measure(*mapped, ZYNQ, tmp_path / "x").figures["fmax"]
    assert (figure.value, figure.details["seeds"]) == (95.0, {"1": 90.0, "3": 100.0})
    assert figure.warnings == [
        "the median of 2 of 3 seeds: seed 2 failed: nextpnr-xilinx ended with code 255: "
        "ERROR: Failed to route arc 0 of net 'x'"
    ]
    behave(say="ERROR: Failed to route arc 0 of net 'x'", code=255, failing=["1", "3"])
    with pytest.raises(ToolRunError, match=r"code 255: ERROR: Failed to .* \(seed 1 and 3 of 3\)$") as caught:
        nextpnr.measure(*mapped, ZYNQ, tmp_path / "x")
    assert "Failed to route arc 0" in caught.value.log


@pytest.mark.parametrize(("part", "untested"), [("xc7z020clg400-1", False), ("xc7z020clg400-2", True)])
def test_a_figure_for_a_part_of_another_speed_grade_is_marked(part, untested):
    target = dataclasses.replace(ZYNQ, part=dataclasses.replace(ZYNQ.part, name=part, speed_grade=part[-2:]))
    figure = nextpnr._figure({1: 90.0}, {}, "0.8.2", target)
    assert figure.details["speed_grade"] == "-1"
    assert figure.marks == "routed" + untested * ", untested"


def test_what_is_routed_is_what_was_counted_with_registers_at_its_ports(behave, mapped, tmp_path):
    netlist, top = mapped
    wrapped = json.loads(nextpnr.wrap(netlist, top, tmp_path, timeout_s=120).read_text())
    (module,) = wrapped["modules"].values()
    assert set(module["ports"]) == {"clk"}
    ports = netlist["modules"][top]["ports"]
    width = sum(len(port["bits"]) for name, port in ports.items() if name != "clk")
    assert width > 200
    before = collections.Counter(cell["type"] for cell in netlist["modules"][top]["cells"].values())
    after = collections.Counter(cell["type"] for cell in module["cells"].values())
    pairs = before.pop("LUT6_2")  # three-input adders: each output a LUT of its own, as nextpnr knows no LUT6_2
    luts = [sum(found.pop(f"LUT{inputs}", 0) for inputs in range(1, 7)) for found in (before, after)]
    assert pairs > 0
    assert luts[1] == luts[0] + 2 * pairs
    assert after == before + collections.Counter(FDRE=width)


def test_both_outputs_of_a_lut6_2_survive(behave, tmp_path):
    """The wrapped netlist without any LUT6_2, proven equal to the one with it by Yosys' SAT solver."""
    source = yosys.plan({"cdg_pair.v": PAIR}, "cdg_pair", ZYNQ.part)
    netlist = yosys.synthesize(source, tmp_path, timeout_s=120).netlist
    types = [cell["type"] for cell in netlist["modules"]["cdg_pair"]["cells"].values()]
    assert types.count("LUT6_2") == 2
    nextpnr.measure(netlist, "cdg_pair", ZYNQ, tmp_path / "x", seeds=(1,))
    after = json.loads((tmp_path / "x" / nextpnr.NETLIST).read_text())["modules"][nextpnr.TOP]["cells"].values()
    luts = sorted(cell["type"] for cell in after if cell["type"].startswith("LUT"))
    assert luts == ["LUT5", "LUT5", "LUT5", "LUT6"]
    (tmp_path / "pair.v").write_text(PAIR)
    script = """
read_verilog -D_ABC +/xilinx/cells_sim.v
read_verilog pair.v
hierarchy -top cdg_pair
proc
copy cdg_pair gold
copy cdg_pair gate
select gate
techmap -map x/lut6_2.v t:LUT6_2
select -clear
flatten gold gate
miter -equiv -flatten -make_outputs gold gate miter
sat -verify -prove trigger 0 miter
"""
    (tmp_path / "prove.ys").write_text(script)
    tool = tools.find_yosys()
    text = tools.run_tool(
        [*tool.command, "prove.ys"], cwd=tmp_path, timeout_s=60, log=tmp_path / "log", env=tool.environment
    )
    assert "SAT proof finished - no model found: SUCCESS!" in text


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ({"unrouted": True}, "nextpnr-xilinx ended without an error, but it says nothing of routing"),
        ({"quiet": True}, "nextpnr-xilinx ended without an error, but it says no clock after routing"),
        (
            {"say": "ERROR: Failed to route arc 0 of net 'x'", "code": 255},
            "nextpnr-xilinx ended with code 255: ERROR: Fai",
        ),
        ({"say": "", "code": 0}, "nextpnr-xilinx ended without an error, but it says nothing of routing"),
        ({"signal": 9}, "nextpnr-xilinx was killed (SIGKILL), as the system does when memory runs out"),
        ({"signal": 6}, "nextpnr-xilinx ended with code 134"),
        ({"hang": True}, "nextpnr-xilinx exceeded its limit of 2 s"),
    ],
)
def test_what_goes_wrong_is_told(behave, mapped, wrapped, behaviour, message, tmp_path):
    behave(**behaviour)
    with pytest.raises(ToolRunError, match=re.escape(message)):
        nextpnr.measure(*mapped, ZYNQ, tmp_path / "x", timeout_s=2.0)


def test_the_stand_in_refuses_what_the_real_one_does(behave, mapped, tmp_path, monkeypatch):
    netlist, _ = mapped
    monkeypatch.setattr(nextpnr, "wrap", lambda *_, **__: tmp_path / "raw.json")
    plain = {"modules": {"cdg_network": {**netlist["modules"]["cdg_network"], "attributes": {"top": "1"}}}}
    (tmp_path / "raw.json").write_text(json.dumps(plain))
    with pytest.raises(ToolRunError, match="IO placer ran out of available IOs"):
        nextpnr.measure(*mapped, ZYNQ, tmp_path)


def test_without_the_program_or_its_database(behave, mapped, tmp_path, monkeypatch):
    (tmp_path / "db" / "xc7z020.bin").unlink()
    names = "xc7z020clg400-1.bin, xc7z020clg400.bin, xc7z020.bin"
    with pytest.raises(
        ToolMissingError, match=re.escape(f"CODESIGN_CHIPDB = '{tmp_path / 'db'}' holds none of {names}")
    ):
        nextpnr.measure(*mapped, ZYNQ, tmp_path)
    monkeypatch.delenv(nextpnr.DATABASES)
    with pytest.raises(
        ToolMissingError, match=r"needs a chip database of xc7z020clg400-1: CODESIGN_CHIPDB is not set; "
    ):
        nextpnr.measure(*mapped, ZYNQ, tmp_path)
    (tmp_path / "bin" / "nextpnr-xilinx").unlink()
    with pytest.raises(ToolMissingError, match="nextpnr-xilinx was not found: no program 'nextpnr-xilinx' is on PATH"):
        nextpnr.measure(*mapped, ZYNQ, tmp_path)


def test_a_clock_of_nothing_is_no_figure():
    log = "Info: Running router2..\nInfo: Max frequency for clock 'clk': 0.00 MHz (FAIL at 100.00 MHz)\n"
    with pytest.raises(ToolRunError, match="nextpnr-xilinx says a clock of 0 MHz"):
        nextpnr.routed_clock(log)


def test_other_families_are_refused(behave, mapped, tmp_path):
    with pytest.raises(
        TargetError, match=r"routes 7-series parts only, not 'xczu7ev-ffvc1156-2-e'; measure without it"
    ):
        nextpnr.measure(*mapped, load_target("zcu104", None, 100.0), tmp_path)


@pytest.mark.parametrize("part", ["xc7z020clg400-1", "xc7a35tcpg236-1", "xc7a100tcsg324-1"])
def test_names_of_databases(part, tmp_path, monkeypatch):
    monkeypatch.setenv(nextpnr.DATABASES, str(tmp_path))
    device = re.match(r"xc7[az]\d+t?", part).group()
    for name in (f"{device}.bin", f"{part[:-2]}.bin", f"{part}.bin"):
        (tmp_path / name).write_bytes(b"x")
        assert nextpnr.find_database(load_target(None, part, 100.0).part) == tmp_path / name
