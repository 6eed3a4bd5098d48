"""Yosys as an instrument: counts that can be done by hand, netlists for timing, and failures with their log."""

from __future__ import annotations

import re

import pytest

from codesign.errors import StorageError, ToolRunError
from codesign.measurement import Measurement, Provenance
from codesign.target import Part
from hw.measure import yosys

ZYNQ = Part("xc7z020clg400-1", "xc7", "-1", {})
ULTRASCALE = Part("xczu7ev-ffvc1156-2-e", "xcup", "-2", {})
ADDER = """
module cdg_adder (input logic clk, input logic signed [7:0] a, b, output logic signed [7:0] s);
  logic signed [7:0] s_q;
  always_ff @(posedge clk) s_q <= $signed(a) + $signed(b);
  assign s = s_q;
endmodule
"""
# three-input adder cells by hand: one LUT6_2 per bit and the chain they drive
PRIMITIVES = """
module cdg_primitives (input logic clk, input logic [3:0] a, b, c, output logic [3:0] s);
  logic [3:0] x, m, y;
  for (genvar i = 0; i < 4; i++) begin : gen_bit
    LUT6_2 #(.INIT(64'h9696_9696_e8e8_e8e8)) lut (.O6(x[i]), .O5(m[i]), .I0(a[i]), .I1(b[i]), .I2(c[i]),
      .I3(1'b0), .I4(1'b0), .I5(1'b1));
  end
  CARRY4 chain (.O(y), .CO(), .CI(1'b0), .CYINIT(1'b0), .DI({m[2:0], 1'b0}), .S(x));
  always_ff @(posedge clk) s <= y;
endmodule
"""
MEMORY = """
module cdg_memory (input logic clk, input logic [{address}:0] a, output logic [{width}:0] q);
  logic [{width}:0] rom [{words}];
  initial $readmemh("rom.mem", rom);
  always_ff @(posedge clk) q <= rom[a];
endmodule
"""


def synthesize(tmp_path, files, top, part=ZYNQ, **options) -> yosys.Synthesis:
    return yosys.synthesize(yosys.plan(files, top, part, **options), tmp_path / "work", timeout_s=120)


def values(figures: Measurement) -> dict[str, float]:
    return {name: figure.value for name, figure in figures.figures.items()}


def module(*kinds: str) -> dict:
    cells = {f"cell{index}": {"type": kind, "connections": {}} for index, kind in enumerate(kinds)}
    return {"cells": cells, "ports": {}}


@pytest.fixture(scope="module")
def adder(tmp_path_factory) -> yosys.Synthesis:
    return synthesize(tmp_path_factory.mktemp("adder"), {"cdg_adder.sv": ADDER}, "cdg_adder")


def test_registered_adder(adder):
    assert values(adder.figures) == {"lut": 8, "ff": 8, "carry": 2, "bram": 0, "dsp": 0}
    lut = adder.figures.figures["lut"]
    assert (lut.provenance, lut.tool, lut.version, lut.unit) == (Provenance.SYNTHESIZED, "yosys", "0.70", "LUT")
    assert lut.details["cells"] == {"CARRY4": 2, "FDRE": 8, "LUT2": 8}


def test_netlist_is_the_flat_top_with_its_clock(adder, tmp_path):
    (name,) = adder.netlist["modules"]
    assert name == "cdg_adder"
    top = adder.netlist["modules"][name]
    assert top["ports"]["clk"]["direction"] == "input"
    assert "$scopeinfo" not in {cell["type"] for cell in top["cells"].values()}
    assert "s_q" in top["netnames"]
    yosys.save(adder.netlist, tmp_path / "a.json.gz")
    assert yosys.load(tmp_path / "a.json.gz") == adder.netlist
    first = (tmp_path / "a.json.gz").read_bytes()
    yosys.save(adder.netlist, tmp_path / "b.json.gz")
    assert (tmp_path / "b.json.gz").read_bytes() == first


def test_hierarchy_is_flattened(tmp_path):
    top = """
module cdg_top (input logic clk, input logic signed [7:0] a, b, output logic signed [15:0] s);
  cdg_adder u_low (.clk(clk), .a(a), .b(b), .s(s[7:0]));
  cdg_adder u_high (.clk(clk), .a(s[7:0]), .b(b), .s(s[15:8]));
endmodule
"""
    done = synthesize(tmp_path, {"cdg_top.sv": top, "cdg_adder.sv": ADDER}, "cdg_top")
    assert values(done.figures) == {"lut": 16, "ff": 16, "carry": 4, "bram": 0, "dsp": 0}
    assert list(done.netlist["modules"]) == ["cdg_top"]


def test_primitives_are_counted_as_they_are(tmp_path):
    done = synthesize(tmp_path, {"cdg_primitives.sv": PRIMITIVES}, "cdg_primitives")
    assert values(done.figures) == {"lut": 4, "ff": 4, "carry": 1, "bram": 0, "dsp": 0}


def test_other_family(tmp_path):
    done = synthesize(tmp_path, {"cdg_adder.sv": ADDER}, "cdg_adder", ULTRASCALE)
    assert done.figures.value("lut") == 8
    assert done.figures.value("ff") == 8


@pytest.mark.parametrize(("address", "width", "tiles"), [(3, 7, 0), (11, 35, 4)])
def test_large_tables_take_block_ram_and_small_ones_do_not(tmp_path, address, width, tiles):
    words = 1 << (address + 1)
    text = MEMORY.format(address=address, width=width, words=words)
    content = "\n".join(f"{index * 2654435761 % (1 << (width + 1)):x}" for index in range(words))
    done = synthesize(tmp_path, {"cdg_memory.sv": text, "rom.mem": content}, "cdg_memory")
    assert done.figures.value("bram") == tiles
    assert (done.figures.value("lut") > 0) == (tiles == 0)


@pytest.mark.parametrize("part", [ZYNQ, ULTRASCALE])
@pytest.mark.parametrize("style", ["distributed", "logic"])
def test_leaving_block_ram_out_changes_nothing(tmp_path, part, style):
    """A queue in LUT RAM, mapped by the short script and (a comment mentions a case) by the whole one."""
    declared = "logic [7:0] mem [32];"
    queue = f"""
module cdg_queue (input logic clk, we, input logic [4:0] w, r, input logic [7:0] d, output logic [7:0] q);
  (* ram_style = "{style}" *) {declared}
  always_ff @(posedge clk) if (we) mem[w] <= d;
  assign q = mem[r];
endmodule
"""
    short = yosys.plan({"cdg_queue.sv": queue}, "cdg_queue", part)
    whole = yosys.plan({"cdg_queue.sv": queue, "other.sv": "// in case of need\n"}, "cdg_queue", part)
    assert "memory_libmap" in short.script
    assert "memory_libmap" not in whole.script
    found, expected = (
        yosys.synthesize(build, tmp_path / name, timeout_s=120).figures.figures
        for name, build in (("short", short), ("whole", whole))
    )
    assert found["lut"].details == expected["lut"].details
    assert (found["lut"].details["memory"] > 0) == (style == "distributed")


def test_memory_that_was_not_foreseen_fails_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(yosys, "MEMORY", re.compile("never"))
    text = MEMORY.format(address=3, width=7, words=16)
    with pytest.raises(ToolRunError, match=r"^yosys ended with code \d+: ERROR: Assertion failed: selection is not"):
        synthesize(tmp_path, {"cdg_memory.sv": text, "rom.mem": "\n".join("3a91c0f7e2d486b5")}, "cdg_memory")


def test_delay_target_does_not_cost_luts(tmp_path, adder):
    relaxed = synthesize(tmp_path, {"cdg_adder.sv": ADDER}, "cdg_adder", delay_target_ps=3500)
    assert relaxed.figures.value("lut") <= adder.figures.value("lut")


def test_weights_of_cells():
    in_luts = ("RAM32M", "RAM64X1D", "RAM32M16", "SRL16E", "LUT6_2", "LUT3")
    others = ("RAMB36E1", "RAMB18E1", "FDCE", "MUXF7", "CARRY8", "DSP48E2", "URAM288")
    figures = yosys.count(module(*in_luts, *others), "0.70")
    expected = {"lut": 4 + 2 + 8 + 1 + 1 + 1, "ff": 1, "carry": 1, "bram": 1.5, "dsp": 1, "uram": 1}
    assert values(figures) == expected
    details = figures.figures["lut"].details
    assert (details["logic"], details["memory"]) == (2, 15)
    assert figures.figures["carry"].unit == "CARRY8"


def test_inverters_cost_a_lut_unless_only_luts_take_them():
    cells = {
        "only_lut": {"type": "INV", "connections": {"I": [2], "O": [3]}},
        "into_carry": {"type": "INV", "connections": {"I": [2], "O": [4]}},
        "at_a_port": {"type": "INV", "connections": {"I": [2], "O": [5]}},
        "lut": {"type": "LUT2", "connections": {"I0": [3], "I1": [4], "O": [6]}},
        "carry": {"type": "CARRY4", "connections": {"S": [4, "0", "0", "0"]}},
    }
    lut = yosys.count({"cells": cells, "ports": {"y": {"bits": [5]}}}, "0.70").figures["lut"]
    assert lut.value == 3
    assert (lut.details["inverters_as_luts"], lut.details["inverters_absorbed"]) == (2, 1)


def test_unknown_cells_are_an_error():
    message = "yosys mapped to cells that have no place in the counts: LDCE (2), mystery (1)"
    with pytest.raises(ToolRunError, match=f"^{re.escape(message)}$"):
        yosys.count(module("LUT2", "LDCE", "mystery", "LDCE"), "0.70")


def test_latch_is_refused(tmp_path):
    text = "module cdg_latch (input logic e, d, output logic q); always_latch if (e) q = d; endmodule\n"
    with pytest.raises(ToolRunError, match=r"no place in the counts: LDCE \(1\)$"):
        synthesize(tmp_path, {"cdg_latch.sv": text}, "cdg_latch")


def test_failing_design_names_the_error_and_keeps_the_log(tmp_path):
    broken = ADDER.replace("cdg_adder (", "cdg_adder ((")
    message = r"^yosys ended with code \d+: .*cdg_adder\.sv:2: ERROR: syntax error"
    with pytest.raises(ToolRunError, match=message) as caught:
        synthesize(tmp_path, {"cdg_adder.sv": broken}, "cdg_adder")
    assert "syntax error" in caught.value.log
    assert "syntax error" in (tmp_path / "work" / "yosys.log").read_text()


def test_missing_top(tmp_path):
    with pytest.raises(ToolRunError, match=r"^yosys ended with code \d+: ERROR: .*cdg_absent"):
        synthesize(tmp_path, {"cdg_adder.sv": ADDER}, "cdg_absent")


def test_time_limit(tmp_path):
    build = yosys.plan({"cdg_adder.sv": ADDER}, "cdg_adder", ZYNQ)
    with pytest.raises(ToolRunError, match=r"^yosys exceeded its limit of 0\.01 s$"):
        yosys.synthesize(build, tmp_path, timeout_s=0.01)


@pytest.mark.parametrize("written", ["", "printf '{\"modules\": {' > yosys.json"])
def test_a_netlist_that_was_cut_short(tmp_path, monkeypatch, written):
    program = tmp_path / "my-yosys"
    program.write_text(f"#!/bin/sh\necho 'Yosys 0.70'\n[ $1 = -V ] || {written or 'true'}\n")
    program.chmod(0o755)
    monkeypatch.setenv("CODESIGN_YOSYS", str(program))
    build = yosys.plan({"cdg_adder.sv": ADDER}, "cdg_adder", ZYNQ)
    with pytest.raises(ToolRunError, match=r"^yosys ended without a whole netlist$"):
        yosys.synthesize(build, tmp_path / "work", timeout_s=10)
    monkeypatch.setattr(yosys.tools, "LEAST_FREE", 1 << 62)
    with pytest.raises(StorageError, match=r"^yosys cannot write in .*/work: no space is left there; free the disk"):
        yosys.synthesize(build, tmp_path / "work", timeout_s=10)


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    build = yosys.plan({"cdg_adder.sv": ADDER}, "cdg_adder", ZYNQ)
    with pytest.raises(StorageError, match=r"^cannot write .*: (Not a directory|File exists); make room there"):
        yosys.synthesize(build, tmp_path / "file", timeout_s=10)


def test_digest_follows_what_decides_the_result():
    plans = [
        yosys.plan({"a.sv": "x"}, "a", ZYNQ),
        yosys.plan({"a.sv": "y"}, "a", ZYNQ),
        yosys.plan({"b.sv": "x"}, "a", ZYNQ),
        yosys.plan({"a.sv": "x"}, "b", ZYNQ),
        yosys.plan({"a.sv": "x"}, "a", ULTRASCALE),
        yosys.plan({"a.sv": "x"}, "a", ZYNQ, delay_target_ps=3500),
    ]
    assert len({build.digest() for build in plans}) == len(plans)
    assert plans[0].digest() == yosys.plan({"a.sv": "x"}, "a", ZYNQ).digest()
    same_family = Part("xc7a35tcpg236-1", "xc7", "-1", {})
    assert plans[0].digest() == yosys.plan({"a.sv": "x"}, "a", same_family).digest()
