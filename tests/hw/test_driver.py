"""What the simulation's driver refuses of a top level's streams; every one of these gives the right results first."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from fuzz import DELAYS
from networks import random_graph, random_inputs

from codesign.architecture import Hardware
from codesign.errors import ToolRunError
from hw.design import design
from hw.measure.verilator import simulate

COUNT = 6
BROKEN = {
    "one result too many": (
        "m_axis_tvalid = |held || given == 8'd6;",  # and the sixth again, for ever
        "m_axis_tdata = answer;",
        "a result without an input",
    ),
    "a result that goes before it was taken": (
        "m_axis_tvalid = |held && !left;",
        "m_axis_tdata = answer;",
        "a result changed before it was taken",
    ),
    "a result that changes before it was taken": (
        "m_axis_tvalid = |held;",
        "m_axis_tdata = left ? ~answer : answer;",
        "a result changed before it was taken",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_stream_that_breaks_its_rules_is_noticed(name: str, tmp_path: Path) -> None:
    """A top that holds one frame and answers from a table; ``left``: it was not taken in the cycle before."""
    valid, data, message = BROKEN[name]
    graph = random_graph(1, [4, 3], "2")
    built = design(graph, Hardware("parallel"), DELAYS, 6.0)
    x = random_inputs(graph, COUNT)
    expected = graph.run(x)
    in_bits, out_bits = built.inputs * built.input_bits, built.outputs * built.output_bits
    pairs = [
        (word(frame, built.input_bits), word(result, built.output_bits))
        for frame, result in zip(x.tolist(), expected.tolist(), strict=True)
    ]
    table = "".join(f"    {in_bits}'h{frame:x}: answer = {out_bits}'h{result:x};\n" for frame, result in pairs)
    text = f"""\
module {built.top} (
  input wire clk, input wire rst_n,
  input wire s_axis_tvalid, output wire s_axis_tready, input wire [{in_bits - 1}:0] s_axis_tdata,
  output wire m_axis_tvalid, input wire m_axis_tready, output wire [{out_bits - 1}:0] m_axis_tdata
);
  reg held, left;
  reg [7:0] given;
  reg [{in_bits - 1}:0] frame;
  reg [{out_bits - 1}:0] answer;
  always @* case (frame)
{table}    default: answer = 0;
  endcase
  assign s_axis_tready = !held;
  assign {valid}
  assign {data}
  always @(posedge clk) begin
    left <= held && !m_axis_tready;
    if (s_axis_tvalid && s_axis_tready) begin frame <= s_axis_tdata; held <= 1'b1; end
    else if (held && m_axis_tready) begin held <= 1'b0; given <= given + 8'd1; end
    if (!rst_n) begin held <= 1'b0; left <= 1'b0; given <= 8'd0; end
  end
endmodule
"""
    broken = dataclasses.replace(built, files={f"{built.top}.sv": text})
    with pytest.raises(ToolRunError) as caught:
        simulate(broken, x, expected, tmp_path, timeout_s=300)
    assert message in f"{caught.value} {caught.value.log}"


def word(values: list[int], bits: int) -> int:
    """Values side by side, the first in the lowest bits."""
    return sum((value & (1 << bits) - 1) << (place * bits) for place, value in enumerate(values))
