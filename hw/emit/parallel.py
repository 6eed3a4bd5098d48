"""One stage as a pipelined adder graph: initiation interval 1, every weight a wire."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hw.emit.adders import Word, add_matrix
from hw.emit.pipeline import Delays, Operand, Pipeline, Signal, arrival_ns, operand, place, render
from hw.graph import FixedType
from hw.stage import Linear, Quantize, Stage

_RTL = ("cdg_staircase", "cdg_round_clip", "cdg_add2", "cdg_add3")
# Up to this many steps a comparison per step is smaller than an adder, rounding and clipping.
_STAIRCASE_STEPS = 3


@dataclass(frozen=True)
class LayerGraph:
    """One stage as a dataflow graph, before any register is placed."""

    stage: Stage
    pipeline: Pipeline
    adders: int

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


def layer_graph(stage: Stage, carry: int) -> LayerGraph:
    """The adders and activations of ``stage``; ``carry``: bits of a carry cell."""
    pipeline = Pipeline()
    names = [f"x{index}" for index in range(stage.n_in)]
    for name in names:
        pipeline.add(Signal(name, stage.x_low, stage.x_high, (), None, 0))
    plans = [_lattice(stage, channel) for channel in range(stage.n_out)]
    constants = [None if plan is None else plan.constant for plan in plans]
    words = add_matrix(pipeline, names, stage.weights, constants, carry)
    adders = len(pipeline.signals) - len(names)
    for channel, (word, plan) in enumerate(zip(words, plans, strict=True)):
        pipeline.outputs.append(_channel(pipeline, stage, channel, word, plan))
    return LayerGraph(stage, pipeline, adders)


def emit_parallel(
    graph: LayerGraph, module: str, delays: Delays, period_ns: float, start_ns: Sequence[float]
) -> ParallelLayer:
    """Emit ``graph`` as ``module``: ports ``clk, x, y``, no enable and no reset.

    ``start_ns``: when each input settles after the clock edge, from the layer before.
    """
    pipeline = graph.pipeline
    placement = place(pipeline, delays, period_ns, start_ns)
    body = render(pipeline, placement)
    results = [operand(pipeline, placement, name, placement.latency) for name in pipeline.outputs]
    text = _module(graph, module, body, results, placement.latency)
    rtl = {name for name in _RTL if f"  {name} #" in body}
    if rtl & {"cdg_add2", "cdg_add3"}:
        rtl.add("cdg_carry")
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


def _lattice(stage: Stage, channel: int) -> _Lattice | None:
    """What is added to the sum of a channel, so that nothing but wires follow; None where only thresholds do."""
    up, bias = int(stage.up[channel]), int(stage.bias[channel])
    match stage.activation:
        case Linear():
            pass
        case Quantize(shift=shift, low=least, high=most) if most - least > _STAIRCASE_STEPS:
            bias += 1 << (shift - 1) if shift else 0
        case _:
            return None
    return _Lattice(bias >> up, up, bias & ((1 << up) - 1))


def _channel(pipeline: Pipeline, stage: Stage, channel: int, word: Word | None, lattice: _Lattice | None) -> str:
    """Append what turns the sum of one unit into its output; returns the output's name."""
    name = f"y{channel}"
    if word is None:
        return _constant(pipeline, name, stage.activate_at(channel, 0))
    if lattice is None:
        return _staircase(pipeline, stage, channel, name, word)
    if isinstance(stage.activation, Linear):
        return _widened(pipeline, name, word, lattice)
    assert isinstance(stage.activation, Quantize)
    return _round_clip(pipeline, name, word, lattice, stage.activation)


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
    common = min(lattice.below, activation.shift, _trailing_zeros(lattice.fraction))
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


def _staircase(pipeline: Pipeline, stage: Stage, channel: int, name: str, word: Word) -> str:
    """Thresholds on the word itself, found by bisection on the exact activation: it is monotone."""
    assert word.name is not None
    source = pipeline.signals[word.name]
    low, high = source.low, source.high
    offset = 0 if source.signed else word.offset  # an input in two's complement is read as it is

    def value_at(total: int) -> int:
        return stage.activate_at(channel, word.sign * (total - offset))

    first, last = value_at(low), value_at(high)
    if first == last:
        return _constant(pipeline, name, first)
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

    width = source.bits
    levels = 1 + (width + 3) // 5
    return pipeline.add(Signal(name, least, most, (word.name,), statement, levels))


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
    stage = graph.stage
    used = stage.weights.any(axis=1)
    width, out = stage.input_bits, stage.output_bits
    sign = " signed" if stage.x_low < 0 else ""
    inner = graph.pipeline.signals["x0"].bits
    inputs = [
        f"  wire logic{sign} [{inner - 1}:0] x{index} = x[{index * width}+:{inner}];"
        for index in np.flatnonzero(used).tolist()
    ]
    outputs = ",\n".join(f"      {result.extended(out)}" for result in reversed(results))
    unused = [f"x[{index * width}+:{width}]" for index in np.flatnonzero(~used).tolist()]
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
