"""One stage as a pipelined adder graph: initiation interval 1, every weight a wire."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hw.emit.adders import Word, add_matrix
from hw.emit.pipeline import (
    Delays,
    Operand,
    Pipeline,
    Signal,
    arrival_ns,
    operand,
    operation_delays,
    place,
    register_bits,
    render,
)
from hw.emit.retiming import retime
from hw.graph import FixedType
from hw.measure.delays import DelayModel
from hw.stage import Integers, Linear, Quantize, Stage

_RTL = ("cdg_staircase", "cdg_round_clip", "cdg_add2", "cdg_add3")
# Up to this many steps a comparison per step is smaller than an adder, rounding and clipping.
STAIRCASE_STEPS = 3


@dataclass(frozen=True)
class LayerGraph:
    """One stage as a dataflow graph, before any register is placed."""

    stage: Stage
    pipeline: Pipeline
    adders: int

    @property
    def outputs(self) -> Ranges:
        """What the outputs can be."""
        signals = [self.pipeline.signals[name] for name in self.pipeline.outputs]
        return Ranges(np.array([signal.low for signal in signals]), np.array([signal.high for signal in signals]))

    @property
    def luts(self) -> int:
        """Roughly how large it becomes: a LUT per adder bit and per five bits of a comparison."""
        return sum(
            signal.bits if signal.levels is None else signal.levels * signal.bits for signal in self.pipeline.live()
        )


@dataclass(frozen=True)
class ParallelLayer:
    """Text of one layer's module, its latency in cycles, and when its outputs settle in the last one."""

    text: str
    latency: int
    settled_ns: tuple[float, ...]
    rtl: set[str]


@dataclass(frozen=True)
class Ranges:
    """Smallest and largest value of each element of a vector."""

    low: Integers
    high: Integers

    @classmethod
    def of_input(cls, stage: Stage) -> Ranges:
        """All values of the stage's input format."""
        return cls(np.full(stage.n_in, stage.x_low), np.full(stage.n_in, stage.x_high))

    @property
    def varies(self) -> NDArray[np.bool_]:
        """Elements that are no constants."""
        return self.low < self.high


def layer_graph(stage: Stage, carry: int, inputs: Ranges, needed: NDArray[np.bool_]) -> LayerGraph:
    """The adders and activations of ``stage``; ``carry``: bits of a carry cell.

    Constant ``inputs`` become part of the constants, and outputs that are not ``needed`` are 0, or as near as can be.
    Inputs of -1 and 1 are bits ``b`` of ``2 * b - 1``: the sum of those is computed, and no bit below it.
    """
    pipeline = Pipeline()
    names = [f"x{index}" for index in range(stage.n_in)]
    for name, low, high in zip(names, inputs.low.tolist(), inputs.high.tolist(), strict=True):
        bit = stage.input_binary and low < high
        pipeline.add(Signal(name, 0 if bit else low, high, (), None, 0))
    fixed = np.where(inputs.varies, -int(stage.input_binary), inputs.low) @ stage.weights.astype(np.int64)
    channels = [_Channel(stage, index, int(total)) for index, total in enumerate(fixed)]
    constants = [None if (lattice := channel.lattice) is None else lattice.constant for channel in channels]
    weights = np.where(inputs.varies[:, None] & needed, stage.weights, np.int8(0))
    words = add_matrix(pipeline, names, weights, constants, carry)
    adders = len(pipeline.signals) - len(names)
    for channel, word, is_needed in zip(channels, words, needed, strict=True):
        unneeded = max(stage.output_range[0], 0)
        output = _activated(pipeline, channel, word) if is_needed else _constant(pipeline, channel.name, unneeded)
        pipeline.outputs.append(output)
    return LayerGraph(stage, pipeline, adders)


@functools.lru_cache(maxsize=128)
def lone_graph(stage: Stage, carry: int) -> LayerGraph:
    """:func:`layer_graph` of a stage alone; sharing its sums takes long, so it is kept for other foldings of others."""
    return layer_graph(stage, carry, Ranges.of_input(stage), np.ones(stage.n_out, np.bool_))


def sized(delays: DelayModel, graphs: Sequence[LayerGraph], period_ns: float, besides: float = 0.0) -> DelayModel:
    """``delays`` for a design of ``graphs`` and of ``besides`` LUTs and registers: larger designs have longer nets.

    Registers are counted as they are placed with nets as long as without them, each graph alone. Longer nets take more
    of them, but that hardly lengthens nets again: another count changed the size factor by 0 to 4 % (digits and MNIST
    networks, 100 to 300 MHz), retiming, which is left out, by 1 %.
    """
    luts = besides + sum(graph.luts for graph in graphs)
    bare = replace(delays, size=luts)
    placed = [(graph, place(graph.pipeline, bare, period_ns, [0.0] * graph.stage.n_in)) for graph in graphs]
    return replace(delays, size=luts + sum(register_bits(graph.pipeline, placement) for graph, placement in placed))


def emit_parallel(
    graph: LayerGraph, module: str, delays: Delays, period_ns: float, start_ns: Sequence[float]
) -> ParallelLayer:
    """Emit ``graph`` as ``module``: ports ``clk, x, y``, no enable and no reset.

    ``start_ns``: when each input settles after the clock edge, from the layer before.
    """
    pipeline = graph.pipeline
    earliest = place(pipeline, delays, period_ns, start_ns)
    placement = retime(pipeline, earliest, operation_delays(pipeline, delays), period_ns)
    body = render(pipeline, placement)
    results = [operand(pipeline, placement, name, placement.latency) for name in pipeline.outputs]
    text = _module(graph, module, body, results, placement.latency)
    rtl = {name for name in _RTL if f"  {name} #" in body}
    if rtl & {"cdg_add2", "cdg_add3"}:
        rtl |= {"cdg_carry", "cdg_lut5"}
    return ParallelLayer(text, placement.latency, tuple(arrival_ns(pipeline, placement, delays)), rtl)


@dataclass(frozen=True)
class _Lattice:
    """``(sum << up) + bias`` as ``sum + constant`` above ``below`` bits that hold ``fraction``."""

    constant: int
    below: int
    fraction: int

    def value(self, total: int) -> int:
        """The value itself."""
        return (total << self.below) + self.fraction


@dataclass(frozen=True)
class _Channel:
    """One unit of a stage: its sum is ``fixed`` and that of the inputs that vary, twice that of bits of -1 and 1."""

    stage: Stage
    index: int
    fixed: int

    @property
    def name(self) -> str:
        """Name of its output."""
        return f"y{self.index}"

    @property
    def lattice(self) -> _Lattice | None:
        """What is added to the sum, so that nothing but wires follow; None where only thresholds do."""
        up, bias = int(self.stage.up[self.index]), int(self.stage.bias[self.index])
        bias += self.fixed << up
        up += self.stage.input_binary
        match self.stage.activation:
            case Linear():
                pass
            case Quantize(shift=shift, low=least, high=most) if most - least > STAIRCASE_STEPS:
                bias += 1 << (shift - 1) if shift else 0
            case _:
                return None
        return _Lattice(bias >> up, up, bias & ((1 << up) - 1))

    def output(self, total: int) -> int:
        """The output for a sum of the inputs that vary, or of their bits."""
        return self.stage.activate_at(self.index, (total << self.stage.input_binary) + self.fixed)


def _activated(pipeline: Pipeline, channel: _Channel, word: Word | None) -> str:
    """Append what turns the sum of one unit into its output; returns the output's name."""
    if word is None:
        return _constant(pipeline, channel.name, channel.output(0))
    lattice = channel.lattice
    if lattice is None:
        return _staircase(pipeline, channel, word)
    if isinstance(channel.stage.activation, Linear):
        return _widened(pipeline, channel.name, word, lattice)
    assert isinstance(channel.stage.activation, Quantize)
    lowest = channel.output(word.low - lattice.constant)
    if lowest == channel.output(word.high - lattice.constant):
        return _constant(pipeline, channel.name, lowest)
    return _round_clip(pipeline, channel.name, word, lattice, channel.stage.activation)


def _constant(pipeline: Pipeline, name: str, value: int) -> str:
    def statement(name: str, operands: Sequence[Operand], bits: int) -> str:
        assert not operands
        return f"assign {name} = {literal(value, bits)};"

    return pipeline.add(Signal(name, value, value, (), statement, 0))


def _widened(pipeline: Pipeline, name: str, word: Word, lattice: _Lattice) -> str:
    """The sum with the bits below it."""
    assert word.name is not None

    def statement(name: str, operands: Sequence[Operand], bits: int) -> str:
        if not lattice.below:
            return f"assign {name} = {operands[0].extended(bits)};"
        upper = operands[0].extended(bits - lattice.below)
        return f"assign {name} = {{{upper}, {literal(lattice.fraction, lattice.below)}}};"

    return pipeline.add(Signal(name, lattice.value(word.low), lattice.value(word.high), (word.name,), statement, 0))


def _round_clip(pipeline: Pipeline, name: str, word: Word, lattice: _Lattice, activation: Quantize) -> str:
    assert word.name is not None
    # one bit stays, or nothing would tell that every value is a tie
    common = min(lattice.below, max(activation.shift - 1, 0), _trailing_zeros(lattice.fraction))
    lattice = _Lattice(lattice.constant, lattice.below - common, lattice.fraction >> common)
    centred = _widened(pipeline, f"{name}_v", word, lattice) if lattice.below else word.name
    shift, low, high = activation.shift - common, activation.low, activation.high
    kind = FixedType.holding(low, high)

    def statement(name: str, operands: Sequence[Operand], bits: int) -> str:
        width = operands[0].bits + (not operands[0].signed)
        parameters = (
            f".IN_W({width}), .SHIFT({shift}), .OUT_W({bits}), .OUT_SIGNED(1'b{int(low < 0)}), "
            f".LO({literal(low, 64)}), .HI({literal(high, 64)})"
        )
        value = operands[0].text if operands[0].signed else f"{{1'b0, {operands[0].text}}}"
        return f"cdg_round_clip #({parameters}) clip_{name} (.value({value}), .y({name}));"

    levels = 2 if (low, high) == (kind.low, kind.high) else 3
    return pipeline.add(Signal(name, low, high, (centred,), statement, levels))


def _staircase(pipeline: Pipeline, channel: _Channel, word: Word) -> str:
    """Thresholds on the word itself, found by bisection on the exact activation: it is monotone."""
    assert word.name is not None
    source = pipeline.signals[word.name]
    low, high = source.low, source.high
    offset = 0 if source.signed else word.offset  # an input in two's complement is read as it is

    def value_at(total: int) -> int:
        return channel.output(word.sign * (total - offset))

    first, last = value_at(low), value_at(high)
    if first == last:
        return _constant(pipeline, channel.name, first)
    step = 1 if last > first else -1
    limits = [_first_at(value_at, low, high, first, step, level) for level in range(1, abs(last - first) + 1)]
    least, most = min(first, last), max(first, last)

    def statement(name: str, operands: Sequence[Operand], bits: int) -> str:
        source = operands[0]
        width = source.bits + (not source.signed)
        value = source.text if source.signed else f"{{1'b0, {source.text}}}"
        # A falling staircase of s is a rising one of ~s = -s - 1, which costs no adder.
        thresholds = limits if step > 0 else sorted(-limit for limit in limits)
        packed = ", ".join(literal(limit, width) for limit in reversed(thresholds))
        value = value if step > 0 else f"~{value}"
        base = first if step > 0 else last
        parameters = (
            f".IN_W({width}), .OUT_W({bits}), .COUNT({len(limits)}), "
            f".THRESHOLDS({{{packed}}}), .BASE({literal(base, bits)})"
        )
        return f"cdg_staircase #({parameters}) steps_{name} (.value({value}), .y({name}));"

    levels = 1 + (source.bits + 3) // 5 + max(0, len(limits).bit_length() - 2)  # comparing, and counting
    return pipeline.add(Signal(channel.name, least, most, (word.name,), statement, levels))


def _first_at(value_at: Callable[[int], int], low: int, high: int, first: int, step: int, level: int) -> int:
    """Smallest sum whose output is at least ``level`` steps from the ``first`` one."""
    while low < high:
        middle = (low + high) // 2
        if (value_at(middle) - first) * step >= level:
            high = middle
        else:
            low = middle + 1
    return low


def _trailing_zeros(value: int) -> int:
    return (value & -value).bit_length() - 1 if value else 64


def literal(value: int, bits: int) -> str:
    """A sized literal; what ``bits`` cannot hold is taken modulo ``2**bits``."""
    if -(1 << (bits - 1)) < value < 0:
        return f"-{bits}'sd{-value}"
    return f"{bits}'d{value % (1 << bits)}"


def _module(graph: LayerGraph, module: str, body: str, results: list[Operand], latency: int) -> str:
    stage, signals = graph.stage, graph.pipeline.signals
    read = {source for signal in graph.pipeline.live() for source in signal.sources}
    width, out = stage.input_bits, stage.output_bits
    inputs, unused = [], []
    for index in range(stage.n_in):
        signal = signals[f"x{index}"]
        if signal.name in read and stage.input_binary:
            inputs.append(f"  wire logic [0:0] {signal.name} = ~x[{index * width + 1}];")
            unused.append(f"x[{index * width}]")
        elif signal.name in read:
            sign = " signed" if signal.signed else ""
            taken = f"x[{index * width}+:{signal.bits}]"
            inputs.append(f"  wire logic{sign} [{signal.bits - 1}:0] {signal.name} = {taken};")
        else:
            unused.append(f"x[{index * width}+:{width}]")
    outputs = ",\n".join(f"      {result.extended(out)}" for result in reversed(results))
    if latency == 0:
        unused.append("clk")
    waste = f"\n  wire logic unused = &{{1'b0, {', '.join(unused)}}};\n" if unused else ""
    lines = "\n".join(inputs)
    activation = type(stage.activation).__name__.lower()
    return f"""// {stage.name!a}: {stage.n_in} inputs of {width} bits to {stage.n_out} outputs of {out}, {activation}.
// {graph.adders} shared adders, {latency} cycles, initiation interval 1.
`default_nettype none

module {module} (
    input  wire logic clk,
    input  wire logic [{stage.n_in * width - 1}:0] x,
    output wire logic [{stage.n_out * out - 1}:0] y
);
{lines}
{waste}
{body}

  assign y = {{
{outputs}
  }};
endmodule

`default_nettype wire
"""
