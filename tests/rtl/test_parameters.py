"""Parameters out of range stop elaboration, in Verilator and in Yosys, and the module says what is allowed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from codesign.errors import ToolRunError
from hw.measure.tools import find_verilator, find_yosys, run_tool

RTL = Path(__file__).parents[2] / "hw" / "rtl"
CHECK = re.compile(r'begin : gen_check\w*\n\s*\$error\("(\w+): ([^"]+)"\)')
CASES = [
    ("cdg_add2", {"A_W": 0}, "operands must have 1 to Y_W bits"),
    ("cdg_add2", {"CARRY": 5}, "CARRY must be 4 or 8"),
    ("cdg_add3", {"C_W": 11}, "operands must have 1 to Y_W bits"),
    ("cdg_add3", {"CARRY": 0}, "CARRY must be 4 or 8"),
    ("cdg_add3", {"PLUS": 3}, "PLUS must be 0, 1 or 2"),
    ("cdg_adder_tree", {"REG": 0}, "N, W and REG must be at least 1"),
    ("cdg_argmax", {"COUNT": 1}, "COUNT must be at least 2 and WIDTH at least 1"),
    ("cdg_argmax", {"REGISTERS": 4}, "REGISTERS must have a bit for each of the $clog2(COUNT) levels"),
    ("cdg_axi_lite", {"ADDR_W": 2}, "ADDR_W must be at least 3"),
    ("cdg_carry", {"CARRY": 6}, "W must be at least 1 and CARRY 4 or 8"),
    ("cdg_choose", {"COUNT": 0}, "COUNT must be at least 1"),
    ("cdg_collect", {"PE": 1000}, "PE must be 1 to N_OUT"),
    ("cdg_counters", {"IN_FLIGHT": 0}, "IN_FLIGHT must be at least 1"),
    ("cdg_fifo", {"WIDTH": 0}, "WIDTH must be at least 1"),
    ("cdg_fifo", {"DEPTH": 0}, "DEPTH must be at least 1"),
    ("cdg_flow", {"LATENCY": -1}, "LATENCY must be 0 or more"),
    ("cdg_fork", {"COUNT": 1}, "COUNT must be at least 2"),
    ("cdg_frame_in", {"FRAME_W": 0}, "WORD_W and FRAME_W must be at least 1"),
    ("cdg_frame_out", {"ELEMENT_W": 24}, "ELEMENT_W must divide WORD_W and be at least IN_W"),
    ("cdg_frame_out", {"N": 0}, "N and IN_W must be at least 1"),
    ("cdg_frame_store", {"ENTRIES": 0}, "WIDTH and ENTRIES must be at least 1"),
    ("cdg_frame_words", {"WORDS": 0}, "WORD_W and WORDS must be at least 1"),
    ("cdg_gather", {"COUNT": 1}, "WIDTH must be at least 1 and COUNT at least 2"),
    ("cdg_image_in", {"PER_WORD": 3}, "PER_WORD must be at least 1 and divide PIXELS"),
    ("cdg_image_in", {"PIXEL_W": 9}, "a pixel has at least 1 bit, and PER_WORD of them fit a word"),
    ("cdg_join", {"COUNT": 1}, "COUNT must be at least 2"),
    ("cdg_lut5", {"WIDTH": 0}, "WIDTH must be at least 1"),
    ("cdg_max", {"CHANNELS": 0}, "COUNT, CHANNELS and WIDTH must be at least 1"),
    ("cdg_mvu", {"TERNARY": 0, "IN_W": 0}, "IN_W and ACC_W must be at least 1"),
    ("cdg_mvu", {"ACC_W": 0}, "IN_W and ACC_W must be at least 1"),
    ("cdg_mvu", {"SIMD": 1000}, "SIMD must be 1 to N_IN and PE 1 to N_OUT"),
    ("cdg_mvu", {"ADDRESSES": 0}, "ADDRESSES must be at least 1"),
    ("cdg_mvu", {"INTERVAL": 0}, "INTERVAL must be at least NF * SF"),
    ("cdg_mvu", {"TERNARY": 1, "IN_W": 3}, "ternary inputs are signed with IN_W 2"),
    ("cdg_product", {"X_W": 0}, "X_W must be at least 1"),
    ("cdg_reduce", {"COUNT": 1}, "COUNT must be at least 2, CHANNELS and WIDTH at least 1"),
    ("cdg_reduce", {"OUT_W": 3}, "OUT_W must be WIDTH, or of a sum up to $clog2(COUNT) more"),
    ("cdg_requant", {"LO": 9, "HI": 8}, "LO must not exceed HI"),
    ("cdg_requant", {"V_W": 63}, "SHIFT must be 0 or more, V_W and OUT_W at most 62"),
    ("cdg_rom_column", {"DEPTH": 0}, "DEPTH must be at least 1"),
    ("cdg_rom_pair", {"DEPTH": 33}, "DEPTH must be 1 to 32"),
    ("cdg_round_clip", {"SHIFT": -1}, "SHIFT must be 0 or more, IN_W and OUT_W at least 1"),
    ("cdg_round_clip", {"LO": 1, "HI": 0}, "LO..HI must be a range that OUT_W bits hold"),
    ("cdg_skid", {"WIDTH": 0}, "WIDTH must be at least 1"),
    ("cdg_slice", {"COUNT": 1}, "COUNT must be at least 2 and WIDTH at least 1"),
    ("cdg_split", {"COUNT": 1}, "WIDTH must be at least 1 and COUNT at least 2"),
    ("cdg_staircase", {"IN_W": 0}, "IN_W and COUNT must be at least 1"),
    ("cdg_sum6", {"W": 29}, "W must be 1 to 28"),
    ("cdg_count6", {"USED": 7}, "USED must be 1 to 6"),
    ("cdg_ternary_act", {"ACC_W": 0}, "ACC_W must be at least 1"),
    ("cdg_window", {"PL": -1}, "H, W and PIXEL_W must be at least 1, PT, PB, PL and PR at least 0"),
    ("cdg_window", {"KH": 1000}, "KH x KW must fit the padded image, SH and SW must be at least 1"),
]


@pytest.mark.parametrize(("module", "parameters", "message"), CASES, ids=[f"{m}-{'-'.join(p)}" for m, p, _ in CASES])
def test_elaboration_stops_and_says_why(module, parameters, message, tmp_path):
    given = ", ".join(f".{name}({value})" for name, value in parameters.items())
    (tmp_path / "top.sv").write_text(f"module top;\n  {module} #({given}) dut ();\nendmodule\n")
    (tmp_path / "read.ys").write_text(
        f"read_verilog -sv -defer {RTL}/*.sv\nread_verilog -sv top.sv\nhierarchy -top top\n"
    )
    verilator, yosys, said = find_verilator(), find_yosys(), []
    lint = ("--lint-only", "-Wno-fatal", "-Werror-USERERROR", "-y", str(RTL), "top.sv")
    for command in ((*verilator.command, *lint), (*yosys.command, "read.ys")):
        with pytest.raises(ToolRunError) as refused:
            run_tool(command, cwd=tmp_path, timeout_s=60, env=verilator.environment, log=tmp_path / "log")
        said.append(re.sub(r"\s+", " ", refused.value.log))
    # where a size is 0, one of the tools may stop at the first use of it, before the check
    assert any(f"{module}: {message}" in text for text in said), said


def test_every_check_of_every_module_is_tried():
    checks = {found for path in RTL.glob("*.sv") for found in CHECK.findall(path.read_text())}
    assert {(module, message) for module, _, message in CASES} == checks
    checked = {module for module, _ in checks}
    bare = {"cdg_ternary_mul", "cdg_trit_sum"}  # these have no parameters
    assert checked | bare == {path.stem for path in RTL.glob("*.sv")}
