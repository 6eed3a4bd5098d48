"""Modules written as LUT functions or primitives are proven equal to their behavioural twins by Yosys' SAT solver."""

from __future__ import annotations

from pathlib import Path

import pytest

from codesign.errors import ToolRunError
from hw.measure.tools import find_yosys, run_tool

HERE = Path(__file__).parent
RTL = HERE.parents[1] / "hw" / "rtl"


def prove(module, source, folder):
    """Raise ToolRunError unless the module in ``source`` equals its twin for all inputs."""
    (folder / "module.sv").write_text(source)
    script = folder / "prove.ys"
    script.write_text(
        "read_verilog -sv +/xilinx/cells_sim.v\n"
        f"read_verilog -sv {folder / 'module.sv'}\n"
        f"read_verilog -sv {HERE / 'twins.sv'}\n"
        f"hierarchy -check -top {module.replace('cdg_', 'miter_')}\n"
        "proc\nflatten\nopt\n"
        "sat -verify -prove equal 1 -set-def-inputs -show-inputs\n"
    )
    tool = find_yosys()
    return run_tool([*tool.command, str(script)], cwd=folder, timeout_s=120, log=folder / "prove.log")


# what a module is made of
INSIDE = {"cdg_rom_column": ["cdg_choose"], "cdg_sum6": ["cdg_count6"]}


def sources(module):
    return "\n".join((RTL / f"{name}.sv").read_text() for name in [module, *INSIDE.get(module, [])])


PROVEN = (
    *("cdg_ternary_mul", "cdg_trit_sum", "cdg_rom_column", "cdg_rom_pair", "cdg_product", "cdg_count6", "cdg_sum6"),
    *("cdg_choose", "cdg_lut5"),
)


@pytest.mark.parametrize("module", PROVEN)
def test_module_equals_its_twin(module, tmp_path):
    assert "SAT proof finished - no model found: SUCCESS!" in prove(module, sources(module), tmp_path)


@pytest.mark.parametrize(
    ("module", "right", "wrong"),
    [
        ("cdg_ternary_mul", "{2{16'h2080}}", "{2{16'hA080}}"),
        ("cdg_rom_pair", "{32'(HIGH), 32'(LOW)}", "{32'(HIGH), 32'(LOW) ^ 32'd8}"),
        ("cdg_product", "16'h8822 : 16'h2288", "16'h8822 : 16'h2280"),
        ("cdg_count6", "64'h6996_9669_9669_6996", "64'h6996_9669_9669_6986"),
        ("cdg_choose", ".S (select[1])", ".S (select[0])"),
        ("cdg_rom_column", ".INIT(PADDED[b*64+:64])", ".INIT(PADDED[b*64+:64] ^ 64'd16)"),
        ("cdg_trit_sum", "(~magnitudes[1] & signs[0])", "(magnitudes[1] & signs[0])"),
    ],
)
def test_a_wrong_module_is_refuted(module, right, wrong, tmp_path):
    source = sources(module)
    assert right in source
    with pytest.raises(ToolRunError, match="proof did fail"):
        prove(module, source.replace(right, wrong), tmp_path)
