"""The place of the largest logit: cdg_argmax with registers where the clock wants them, as a layer of wires."""

from __future__ import annotations

from dataclasses import dataclass

from hw.emit.pipeline import Delays
from hw.emit.rom import vector
from hw.parts import Values

_PLACE_PINS = 1


@dataclass(frozen=True)
class Argmax:
    """Text of the layer's module, its latency in cycles, the bits of a place, and the hand-written module in it."""

    text: str
    latency: int
    bits: int
    rtl: str = "cdg_argmax"


def emit_argmax(module: str, count: int, values: Values, delays: Delays, period_ns: float, settled_ns: float) -> Argmax:
    """``module`` with ports ``clk, x, y``: the place of the largest of ``count`` elements, of equal ones the first.

    ``settled_ns``: when the elements settle after the clock edge. A level slower than the period gets a cycle alone.
    """
    overhead, bits = delays.register_overhead(), (count - 1).bit_length()
    now, registers = max(settled_ns, overhead), 0
    for level in range(bits):
        # a comparison of all bits, which then chooses each bit of the larger element and of its place
        delay = delays.adder(values.bits, _PLACE_PINS) + delays.logic(1, values.bits + level)
        if now + delay > period_ns and now > overhead:
            registers |= 1 << level
            now = overhead
        now += delay
    latency = registers.bit_count()
    text = f"""// Place of the largest of {count} elements of {values.bits} bits, in {latency} cycles.
`default_nettype none

module {module} (
    input  wire logic clk,
    input  wire logic {vector(count * values.bits)} x,
    output wire logic {vector(bits)} y
);
  cdg_argmax #(
      .COUNT    ({count}),
      .WIDTH    ({values.bits}),
      .IS_SIGNED(1'b{int(values.signed)}),
      .REGISTERS({registers})
  ) largest (
      .clk(clk),
      .x  (x),
      .y  (y)
  );
endmodule

`default_nettype wire
"""
    return Argmax(text, latency, bits)
