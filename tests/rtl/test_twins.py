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


@pytest.mark.parametrize("module", ["cdg_ternary_mul", "cdg_trit_sum", "cdg_rom_column"])
def test_module_equals_its_twin(module, tmp_path):
    assert "SAT proof finished - no model found: SUCCESS!" in prove(
        module, (RTL / f"{module}.sv").read_text(), tmp_path
    )


@pytest.mark.parametrize(
    ("module", "right", "wrong"),
    [
        ("cdg_ternary_mul", "(a[1] ^ b[1]) & magnitude", "(a[1] | b[1]) & magnitude"),
        ("cdg_rom_column", ".INIT(PADDED[b*64+:64])", ".INIT(PADDED[b*64+:64] ^ 64'd16)"),
        ("cdg_trit_sum", "(~magnitudes[1] & signs[0])", "(magnitudes[1] & signs[0])"),
    ],
)
def test_a_wrong_module_is_refuted(module, right, wrong, tmp_path):
    source = (RTL / f"{module}.sv").read_text()
    assert right in source
    with pytest.raises(ToolRunError, match="proof did fail"):
        prove(module, source.replace(right, wrong), tmp_path)
