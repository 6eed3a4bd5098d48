"""Queues lose, double and reorder nothing: proven by Yosys' SAT solver for any traffic of any length, by induction."""

from __future__ import annotations

from pathlib import Path

import pytest

from codesign.errors import ToolRunError
from hw.measure.tools import find_yosys, run_tool

HERE = Path(__file__).parent
RTL = HERE.parents[1] / "hw" / "rtl"
SKID = ["peek_out_valid dut.out_valid_q", "peek_skid_valid dut.skid_valid_q", "peek_skid dut.skid_q"]


def prove(module, source, folder, depth=0):
    """Raise ToolRunError unless one cycle of reset leads to a good state, and any cycle from a good one to another."""
    (folder / "module.sv").write_text(source)
    checks = (HERE / "queues.sv").read_text()
    (folder / "checks.sv").write_text(checks.replace("parameter int DEPTH = 3", f"parameter int DEPTH = {depth}"))
    words = ",".join(f"\\dut.mem[{index}]" for index in reversed(range(depth)))
    peeks = ["peek_write dut.write_q", "peek_read dut.read_q", f"peek_mem {words}"] if depth else SKID
    top = module.replace("cdg_", "check_")
    script = [
        "read_verilog -sv module.sv checks.sv",
        f"hierarchy -check -top {top}",
        *("proc", "flatten", "memory -nomap", "memory_map"),
        *(f"connect -set {peek}" for peek in peeks),
        "opt_clean",
        *(f"sat -verify -seq 2 -set-at 1 {before} -prove ok 1 -prove-skip 1" for before in ("rst_n 0", "ok 1")),
    ]
    (folder / "prove.ys").write_text("\n".join(script) + "\n")
    tool = find_yosys()
    log = run_tool([*tool.command, "prove.ys"], cwd=folder, timeout_s=120, log=folder / "prove.log")
    assert log.count("SAT proof finished - no model found: SUCCESS!") == 2


@pytest.mark.parametrize(("module", "depth"), [("cdg_skid", 0), *(("cdg_fifo", depth) for depth in (1, 2, 3, 4, 5, 8))])
def test_nothing_is_lost_doubled_or_reordered(module, depth, tmp_path):
    prove(module, (RTL / f"{module}.sv").read_text(), tmp_path, depth)


@pytest.mark.parametrize(
    ("module", "depth", "right", "wrong"),
    [
        ("cdg_skid", 0, "out_q <= skid_valid_q ? skid_q : s_data", "out_q <= skid_valid_q ? s_data : skid_q"),
        ("cdg_skid", 0, "else if (s_valid) begin", "else if (s_valid && !skid_valid_q && m_ready) begin"),
        ("cdg_fifo", 3, "write_q == LAST", "write_q == LAST - 1"),
        ("cdg_fifo", 4, "!valid_q || write_q != read_q", "!valid_q || write_q != read_next"),
        ("cdg_fifo", 4, "assign m_data  = mem[read_q]", "assign m_data  = mem[write_q]"),
        ("cdg_fifo", 4, "valid_q <= write ||", "valid_q <= (write && !read) ||"),
        ("cdg_fifo", 5, "m_ready && read_next == write_q", "m_ready && read_q == write_q"),
    ],
)
def test_a_wrong_queue_is_refuted(module, depth, right, wrong, tmp_path):
    source = (RTL / f"{module}.sv").read_text()
    assert right in source
    with pytest.raises(ToolRunError, match="proof did fail"):
        prove(module, source.replace(right, wrong), tmp_path, depth)
