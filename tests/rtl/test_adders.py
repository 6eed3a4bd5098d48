"""The adders made of LUT6_2 and carry cells are proven equal to their behavioural twins by Yosys' SAT solver."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from codesign.errors import ToolRunError
from hw.measure.tools import find_yosys, run_tool

RTL = Path(__file__).parents[2] / "hw" / "rtl"


def miter(module, number, parameters):
    """Text of a module whose output is true where ``module``, its twin and the sum written out agree."""
    given = ", ".join(f".{name}({value})" for name, value in parameters.items())
    ports = [(name.lower(), parameters[f"{name}_W"]) for name in "ABC" if f"{name}_W" in parameters]
    declared = ", ".join(f"input logic [{width - 1}:0] {name}" for name, width in ports)
    connected = ", ".join(f".{name}" for name, _ in ports)
    extended = [_extended(name, width, parameters) for name, width in ports]
    total = " + ".join([*extended, str(parameters.get("PLUS", 0))])
    return f"""
module miter_{number} ({declared}, output logic equal);
  logic [{parameters["Y_W"] - 1}:0] y, y_ref, total;
  {module} #({given}) made ({connected}, .y(y));
  {module}_twin #({given}) twin ({connected}, .y(y_ref));
  assign total = {total};
  assign equal = y == y_ref && y == total;
endmodule
"""


def _extended(name, width, parameters):
    """An operand as wide as the sum, bit by bit, with those of its mask inverted."""
    above = parameters["Y_W"] - width
    sign = f"{name}[{width - 1}]" if parameters.get(f"{name.upper()}_SIGNED") else "1'b0"
    wide = f"{{{{{above}{{{sign}}}}}, {name}}}" if above else name
    return f"({wide} ^ {parameters.get(f'{name.upper()}_INV', 0)})"


def prove(module, sources, cases, folder):
    """Raise ToolRunError unless the module equals its twin for all inputs, with each set of parameters."""
    for name, source in sources.items():
        (folder / f"{name}.sv").write_text(source)
    (folder / "twin.sv").write_text((RTL / f"{module}.sv").read_text().replace(module, f"{module}_twin"))
    miters = (miter(module, number, parameters) for number, parameters in enumerate(cases))
    (folder / "miters.sv").write_text("".join(miters))
    lines = [
        "read_verilog -sv +/xilinx/cells_sim.v",
        f"read_verilog -sv {' '.join(f'{name}.sv' for name in sources)} miters.sv",
        "read_verilog -sv -nosynthesis twin.sv",
        "design -stash read",
    ]
    for number in range(len(cases)):
        lines += ["design -load read", f"hierarchy -check -top miter_{number}", "proc", "flatten", "opt -full"]
        lines.append("sat -verify -prove equal 1 -set-def-inputs -show-inputs")
    (folder / "prove.ys").write_text("\n".join(lines) + "\n")
    tool = find_yosys()
    log = run_tool([*tool.command, "prove.ys"], cwd=folder, timeout_s=240, log=folder / "prove.log")
    assert log.count("SAT proof finished - no model found: SUCCESS!") == len(cases)


def sources(module):
    return {name: (RTL / f"{name}.sv").read_text() for name in (module, "cdg_carry", "cdg_lut5")}


def random_cases(module, count, seed):
    """Parameters of narrow adders with all signs, masks and constants, for both kinds of carry cell."""
    draw = random.Random(seed)
    operands = "AB" if module == "cdg_add2" else "ABC"
    for number in range(count):
        width = draw.randint(1, 8 if len(operands) == 2 else 6)
        parameters = {"Y_W": width, "CARRY": (4, 8)[number % 2]}
        for name in operands:
            parameters[f"{name}_W"] = draw.randint(1, width) if number % 3 else max(1, width - 2)
            parameters[f"{name}_SIGNED"] = int(draw.random() < 0.3)
            plain = draw.choice([0, (1 << parameters[f"{name}_W"]) - 1, (1 << width) - 1, draw.getrandbits(width)])
            parameters[f"{name}_INV"] = f"{width}'d{plain}"
        most = 2 if module == "cdg_add3" else (1, (1 << width) - 1)[number % 2]
        parameters["PLUS"] = draw.randint(0, most) if module == "cdg_add3" else f"{width}'d{draw.randint(0, most)}"
        yield parameters


@pytest.mark.parametrize("module", ["cdg_add2", "cdg_add3"])
def test_adder_equals_its_twin(module, tmp_path):
    prove(module, sources(module), list(random_cases(module, 60, 1)), tmp_path)


def small_cases(module, count, seed):
    """Parameters of adders whose operands have five bits or fewer together, which have no carry chain."""
    cases = (case for case in random_cases(module, 100 * count, seed))
    small = (case for case in cases if sum(case.get(f"{name}_W", 0) for name in "ABC") <= 5)
    return [case for case, _ in zip(small, range(count), strict=False)]


@pytest.mark.parametrize("module", ["cdg_add2", "cdg_add3"])
def test_small_adders_equal_their_twins(module, tmp_path):
    cases = small_cases(module, 40, 3)
    assert len(cases) == 40
    prove(module, sources(module), cases, tmp_path)


@pytest.mark.parametrize("carry", [4, 8])
def test_all_signs_of_three_operands(carry, tmp_path):
    cases = [
        {f"{name}_W": 3 for name in "ABC"}
        | {f"{name}_INV": "5'h1f" for bit, name in enumerate("ABC") if signs >> bit & 1}
        | {"Y_W": 5, "PLUS": min(signs.bit_count(), 2), "CARRY": carry}
        for signs in range(8)
    ]
    prove("cdg_add3", sources("cdg_add3"), cases, tmp_path)


@pytest.mark.parametrize(
    ("module", "file", "right", "wrong"),
    [
        ("cdg_add3", "cdg_add3", "8'b1001_0110 ^", "8'b1001_0111 ^"),
        ("cdg_add3", "cdg_add3", "B_INV[i] ? {M1[5:4]", "B_INV[i] ? {M1[4:3]"),
        ("cdg_add3", "cdg_add3", "PLUS == 2", "PLUS == 1"),
        ("cdg_add2", "cdg_add2", "? 4'b1110 : 4'b1000", "? 4'b1111 : 4'b1000"),
        ("cdg_add2", "cdg_add2", "PLUS == 0", "PLUS < 2"),
        ("cdg_add2", "cdg_lut5", "TABLE[32*k+:64]", "TABLE[32*k+:32]"),
        ("cdg_add3", "cdg_add3", "Y_W'(PLUS);\n        for", "Y_W'(1);\n        for"),
        ("cdg_add3", "cdg_carry", "co_all[k == 0 ? 0 : 4*k-1]", "co_all[k == 0 ? 0 : 4*k-2]"),
        ("cdg_add3", "cdg_carry", "co_all[k == 0 ? 0 : 8*k-1]", "co_all[k == 0 ? 0 : 8*k-2]"),
    ],
)
def test_a_wrong_adder_is_refuted(module, file, right, wrong, tmp_path):
    texts = sources(module)
    assert right in texts[file]
    texts[file] = texts[file].replace(right, wrong)
    wide = [{**{f"{name}_W": 9 for name in "ABC"}, "Y_W": 11, "CARRY": carry} for carry in (4, 8)]
    cases = list(random_cases(module, 30, 2)) + (wide if module == "cdg_add3" else [])
    with pytest.raises(ToolRunError, match="proof did fail"):
        prove(module, texts, cases, tmp_path)
