"""Static timing: paths that can be added up by hand, what is refused, and how well routed designs are predicted."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from codesign.errors import TargetError, ToolRunError
from codesign.measurement import Provenance
from codesign.target import Part
from hw.design import library
from hw.measure import yosys
from hw.measure.delays import SIZE_RANGE, effective_fanout, size_factor
from hw.measure.timing import DelayModel, analyse

ZYNQ = Part("xc7z020clg400-1", "xc7", "-1", {})
ULTRASCALE = Part("xczu7ev-ffvc1156-2-e", "xcup", "-1", {})
OUTPUTS = {"Q", "O", "O5", "O6", "CO", "DOADO"}


def cell(kind: str, parameters: dict | None = None, **pins) -> dict:
    connections = {pin: bits if isinstance(bits, list) else [bits] for pin, bits in pins.items()}
    if kind.startswith(("CARRY", "LUT6_2")) or "O" in pins or "Q" in pins or "DOADO" in pins:
        directions = {pin: "output" if pin in OUTPUTS else "input" for pin in pins}
    return {"type": kind, "parameters": parameters or {}, "port_directions": directions, "connections": connections}


def register(d, q, **pins) -> dict:
    return cell("FDRE", C=1, CE=pins.get("ce", "1"), R=pins.get("r", "0"), D=d, Q=q)


def netlist(cells: dict, names: dict | None = None, ports: dict | None = None) -> dict:
    netnames = {name: {"bits": bits} for name, bits in (names or {}).items()}
    return {"modules": {"top": {"ports": ports or {}, "cells": cells, "netnames": netnames}}}


def model(size: int = 0, part: Part = ZYNQ) -> DelayModel:
    return DelayModel.for_part(part, size)


def test_register_to_register():
    found = analyse(netlist({"f": register("x", 2), "g": register(2, 3)}, {"a": [2], "b": [3]}), "top", ZYNQ)
    cells = model().cells
    assert found.period_ns == pytest.approx(cells["clock_to_out"] + model().net(1) + cells["setup"])
    assert found.fmax_mhz == pytest.approx(1000 / found.period_ns)
    assert [(step.cell, step.name) for step in found.path] == [("FDRE", "a"), ("FDRE", "b")]


def test_lut_into_its_own_register_stays_in_the_slice():
    cells = {"f": register("x", 2), "l": cell("LUT1", I0=2, O=3), "g": register(3, 4)}
    found = analyse(netlist(cells), "top", ZYNQ)
    constants = model(1).cells
    parts = constants["clock_to_out"] + model(1).net(1) + constants["lut"] + constants["setup"]
    assert found.period_ns == pytest.approx(parts)
    both = {**cells, "h": register(3, 5)}
    assert analyse(netlist(both), "top", ZYNQ).period_ns == pytest.approx(parts + model(1).net(2))


def carry(kind: str, s: list, di: list, o: list, co: list, ci="0") -> dict:
    return cell(kind, CI=ci, CYINIT="0", DI=di, S=s, O=o, CO=co)


def test_carry_chain_over_two_cells():
    """Slowest: register, LUT, S[0] of the first cell, three more bits, CI and three bits of the second, its O[3]."""
    cells = {
        "f": register("x", 2),
        "l": cell("LUT2", I0=2, I1="1", O=3),
        "c0": carry("CARRY4", [3, "0", "0", "0"], ["0"] * 4, [10, 11, 12, 13], [20, 21, 22, 23]),
        "c1": carry("CARRY4", ["0"] * 4, ["0"] * 4, [14, 15, 16, 17], [24, 25, 26, 27], ci=23),
        "g": register(17, 30),
    }
    found = analyse(netlist(cells, {"acc": [10, 11, 12, 13, 14, 15, 16, 17], "q": [30]}), "top", ZYNQ)
    used, constants = model(1), model(1).cells
    through = constants["carry_s_co"] + 6 * constants["carry_bit"] + constants["carry_ci_o"]
    inner = used.net(1) + constants["lut"] + through + used.net(1)
    assert found.period_ns == pytest.approx(constants["clock_to_out"] + inner + constants["setup"])
    assert [step.cell for step in found.path] == ["FDRE", "LUT2", "CARRY4", "CARRY4", "FDRE"]
    assert [step.name for step in found.path[-2:]] == ["acc[7]", "q"]
    assert found.period_ns == pytest.approx(used.adder(8, 1) + used.register_overhead())


def test_carry8_is_read():
    cells = {
        "f": register("x", 2),
        "c": cell("CARRY8", CI="0", CI_TOP="0", DI=["0"] * 8, S=[2] + ["0"] * 7, O=list(range(10, 18)),
                  CO=list(range(20, 28))),
        "g": register(17, 30),
    }  # fmt: skip
    found = analyse(netlist(cells), "top", ULTRASCALE)
    assert [step.cell for step in found.path] == ["FDRE", "CARRY8", "FDRE"]


def test_select_that_also_feeds_elsewhere_costs_a_net():
    cells = {
        "f": register("x", 2),
        "l": cell("LUT1", I0=2, O=3),
        "c": carry("CARRY4", [3, "0", "0", "0"], ["0"] * 4, [10, 11, 12, 13], [20, 21, 22, 23]),
        "g": register(13, 30),
    }
    alone = analyse(netlist(cells), "top", ZYNQ).period_ns
    shared = analyse(netlist({**cells, "h": register(3, 31)}), "top", ZYNQ).period_ns
    assert shared == pytest.approx(alone + model(1).net(2) + model(1).cells["lut"])


def test_both_outputs_of_a_lut6_2():
    """O6 into S and O5 into DI of the same bit stay in the slice; O5 into the next bit's DI does not."""

    def period(di: list) -> float:
        both = {"INIT": "10" * 32}
        lut = cell("LUT6_2", both, I0=2, I1="0", I2="0", I3="0", I4="0", I5="1", O6=3, O5=4)
        cells = {
            "f": register("x", 2),
            "l": lut,
            "c": carry("CARRY4", [3, "0", "0", "0"], di, ["x", "x", "x", 13], ["x"] * 4),
            "g": register(13, 30),
        }
        return analyse(netlist(cells), "top", ZYNQ).period_ns

    constants = model(1).cells
    extra = constants["carry_di_co"] - constants["carry_s_co"] - constants["carry_bit"]
    expected = model(1).net(1) + constants["lut"] + extra
    assert period(["0", 4, "0", "0"]) - period([4, "0", "0", "0"]) == pytest.approx(expected)


def sums(operands: int, width: int) -> str:
    """A module that adds registered words of ``width`` bits into a register, with our own adders."""
    words = ["a", "b", "c"][:operands]
    bits = width + operands - 1
    declared = "".join(f", input logic [{width - 1}:0] {word}" for word in words)
    registers = "".join(
        f"  logic [{width - 1}:0] {word}_q; always_ff @(posedge clk) {word}_q <= {word};\n" for word in words
    )
    given = "".join(f".{word.upper()}_W({width}), " for word in words)
    ports = "".join(f".{word}({word}_q), " for word in words)
    return f"""
module top (input logic clk{declared}, output logic [{bits - 1}:0] y);
{registers}  logic [{bits - 1}:0] sum;
  cdg_add{operands} #({given}.Y_W({bits}), .CARRY(CARRY)) add ({ports}.y(sum));
  always_ff @(posedge clk) y <= sum;
endmodule
"""


@pytest.mark.parametrize(("part", "carry"), [(ZYNQ, 4), (ULTRASCALE, 8)])
def test_adders_of_primitives_are_timed_as_estimated_and_as_plain_ones(part, carry, tmp_path):
    """The carry that one LUT saves enters the next one's sum, not the carry that that one saves: no ripple of nets."""
    plain = """
module top (input logic clk, input logic [8:0] a, b, output logic [9:0] y);
  logic [8:0] a_q, b_q; always_ff @(posedge clk) begin a_q <= a; b_q <= b; end
  always_ff @(posedge clk) y <= a_q + b_q;
endmodule
"""

    def timed(text: str, name: str) -> float:
        files = library({"cdg_add2", "cdg_add3", "cdg_carry", "cdg_lut5"})
        files |= {"top.sv": text.replace("CARRY)", f"{carry})")}
        build = yosys.plan(files, "top", part)
        done = yosys.synthesize(build, tmp_path / name, timeout_s=120)
        return analyse(done.netlist, "top", part).period_ns

    two, three, reference = timed(sums(2, 9), "two"), timed(sums(3, 9), "three"), timed(plain, "plain")
    small = model(1, part)
    net = small.net(2) + small.cells["lut"]
    # not the same: Yosys puts plain adders on CARRY4 in both families, and an operand on DI itself
    assert reference - 0.3 < two < reference + 0.15
    assert three - two == pytest.approx(net, abs=0.15)
    # the lowest sum bits are S itself: where it leaves the slice and drives the chain too, that is a LUT more
    estimate = small.adder(11, 1, 3) + small.register_overhead()
    assert estimate - 0.15 < three < estimate + net + 0.15


def test_ports_are_registered_outside():
    ports = {
        "clk": {"direction": "input", "bits": [1]},
        "x": {"direction": "input", "bits": [2, 3]},
        "y": {"direction": "output", "bits": [4]},
    }
    cells = {"l": cell("LUT2", I0=2, I1=3, O=4), "f": register(4, 5)}
    found = analyse(netlist(cells, ports=ports), "top", ZYNQ)
    constants = model(1).cells
    nets = model(1).net(1) + model(1).net(2)
    assert found.period_ns == pytest.approx(constants["clock_to_out"] + nets + constants["lut"] + constants["setup"])
    assert [step.name for step in found.path] == ["port x[0]", "l", "port y[0]"]


def test_registers_count_as_well_as_luts():
    """1,000 registers that are on no path lengthen its nets as 1,000 LUTs do; within the fitted range, that is said."""
    path = {"f": register("x", 2), "l": cell("LUT1", I0=2, O=3), "g": register(3, 4)}
    registers = {f"r{index}": register("x", 100 + index) for index in range(1000)}
    luts = {f"l{index}": cell("LUT1", I0="0", O=100 + index) for index in range(1000)}
    found = [analyse(netlist({**path, **more}), "top", ZYNQ) for more in ({}, registers, luts)]
    assert [one.size for one in found] == [3, 1003, 1003]
    assert [one.within_fitted_range for one in found] == [False, True, True]
    assert found[0].period_ns < found[1].period_ns == found[2].period_ns


def test_control_nets_of_large_fanout_are_taken_as_replicated():
    def period(registers: int, others: int = 0) -> float:
        """``others`` have no enable, and make the design as large as others are."""
        pins = [{"ce": 2}] * registers + [{}] * others
        many = {f"g{index}": register("1", 10 + index, **each) for index, each in enumerate(pins)}
        return analyse(netlist({"f": register("x", 2), **many}), "top", ZYNQ).period_ns

    assert period(8, 248) < period(256)
    assert period(256, 19_744) == period(20_000)
    constants = model(0).cells
    assert period(8) == pytest.approx(constants["clock_to_out"] + model(0).net(1) + constants["control_setup"])


def test_memories_start_and_end_paths():
    ram = cell("RAMB36E1", {"DOA_REG": "0", "DOB_REG": "0"}, CLKARDCLK=1, ADDRARDADDR=[2], DOADO=[3])
    found = analyse(netlist({"f": register("x", 2), "r": ram, "g": register(3, 4)}, {"q": [4]}), "top", ZYNQ)
    constants = model().cells
    assert found.period_ns == pytest.approx(constants["bram_clock_to_out"] + model().net(1) + constants["setup"])
    assert [step.name for step in found.path] == ["r", "q"]


def test_combinational_loop_is_named():
    cells = {
        "f": register(3, 9),
        "loop_a": cell("LUT1", I0=3, O=2),
        "loop_b": cell("LUT1", I0=2, O=3),
    }
    with pytest.raises(ToolRunError, match=r"^timing: combinational loop through loop_a, loop_b$"):
        analyse(netlist(cells), "top", ZYNQ)


def test_unknown_cell_and_empty_netlist():
    with pytest.raises(ToolRunError, match=r"^timing: no delays for cell type DSP48E1 \(d\)$"):
        analyse(netlist({"d": cell("DSP48E1", O=2)}), "top", ZYNQ)
    with pytest.raises(ToolRunError, match=r"^timing: the netlist has no register and no output$"):
        analyse(netlist({}), "top", ZYNQ)
    with pytest.raises(ToolRunError, match=r"^timing: no path from a register or input to a register or output$"):
        analyse(netlist({"l": cell("LUT1", I0="0", O=2), "f": register(2, 3)}), "top", ZYNQ)


def test_measurement_shows_the_error_of_the_model():
    found = analyse(netlist({"f": register("x", 2), "g": register(2, 3)}, {"b": [3]}), "top", ZYNQ)
    figure = found.measurement().figures["fmax"]
    assert (figure.unit, figure.provenance) == ("MHz", Provenance.MODELLED)
    assert figure.details["calibrated"] is True
    assert figure.details["within_fitted_range"] is False  # two registers and no LUT
    assert 0 < figure.details["error"]["median"] < figure.details["error"]["p90"]
    assert figure.details["path"][-1]["name"] == "b"
    json.dumps(figure.to_json())


@pytest.mark.parametrize(
    ("family", "grade"), [("xcup", "-1"), ("xcup", "-2"), ("xcup", "-2LV"), ("xc7", "-2"), ("xc7", "-3")]
)
def test_what_was_not_fitted_says_so(family, grade):
    part = Part("p", family, grade, {})
    found = analyse(netlist({"f": register("x", 2), "g": register(2, 3)}), "top", part)
    assert not found.calibrated
    assert found.measurement().figures["fmax"].details["error"] == {}
    slower = analyse(netlist({"f": register("x", 2), "g": register(2, 3)}), "top", ZYNQ)
    assert found.period_ns < slower.period_ns


def test_unknown_grade_and_family():
    message = "no delays for speed grade '-9' of xc7: did you mean -3 or -2 or -1?"
    with pytest.raises(TargetError, match=re.escape(message)):
        model(part=Part("p", "xc7", "-9", {}))
    with pytest.raises(TargetError, match=re.escape("no delays for family 'xc6': did you mean xc7 or xcup?")):
        model(part=Part("p", "xc6", "-1", {}))


def test_delays_before_synthesis_grow_with_what_makes_them_longer():
    base = model(1500)
    assert base.adder(4, 2) < base.adder(8, 2) < base.adder(8, 6)
    assert base.logic(0, 4) == 0.0
    assert base.logic(1, 1) < base.logic(2, 1) < base.logic(2, 20)
    assert base.adder(8, 2) < model(4000).adder(8, 2)


def test_outside_the_fitted_range_the_model_stays_bounded():
    """From nothing to a full device: nets never shorter than a neighbour's nor without end."""
    pins = np.arange(1, 5000, dtype=float)
    seen = effective_fanout(pins)
    assert np.all(np.diff(seen) >= 0)
    assert seen[7] == 8  # one pin, one step, up to there
    assert seen[62] < seen[63] == seen.max() == pytest.approx(8 * (1 + np.log(8)))
    assert size_factor(0) == size_factor(SIZE_RANGE[0])
    assert size_factor(1e6) == size_factor(SIZE_RANGE[1])
    assert 0.15 < model(0).net(1) < model(1_000_000).net(100_000) < 8


def test_path_names_come_from_the_rtl(tmp_path):
    text = """
module cdg_named (input logic clk, input logic signed [7:0] a, b, output logic signed [9:0] s);
  logic signed [7:0] a_q, b_q;
  logic signed [9:0] total_q;
  always_ff @(posedge clk) begin
    a_q <= a;
    b_q <= b;
    total_q <= 10'(a_q) + 10'(b_q);
  end
  assign s = total_q;
endmodule
"""
    build = yosys.plan({"cdg_named.sv": text}, "cdg_named", ZYNQ)
    done = yosys.synthesize(build, tmp_path, timeout_s=120)
    found = analyse(done.netlist, "cdg_named", ZYNQ)
    assert re.fullmatch(r"[ab]_q\[\d\]", found.path[0].name)
    assert re.fullmatch(r"(s|total_q)\[\d\]", found.path[-1].name)
    kinds = [step.cell for step in found.path]
    assert kinds[0] == kinds[-1] == "FDRE"
    assert "CARRY4" in kinds
