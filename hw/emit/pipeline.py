"""A word-level dataflow graph, its registers placed for a clock, written as SystemVerilog.

Signals are integers of exactly known range. A cut is made where the delay model says that the next
operation would no longer fit the period; a signal used in a later cycle than it is made in is carried
by registers, shared by all its readers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hw.graph import FixedType

# A bit of an operand enters one LUT of its adder; a compared one every comparison.
_ADDER_PINS = 1
_LOGIC_PINS = 3


class Delays(Protocol):
    """Pre-synthesis delays in ns, each with the net that leads into it; ``fanout`` counts its sink pins."""

    def adder(self, width: int, fanout: int, operands: int = 2) -> float:
        """A carry-chain adder of ``width`` bits, of two or three operands."""

    def logic(self, levels: int, fanout: int) -> float:
        """``levels`` of LUTs."""

    def register_overhead(self) -> float:
        """Clock-to-out and setup."""


@dataclass(frozen=True)
class Operand:
    """Text of a signal at the cycle it is read in."""

    text: str
    bits: int
    signed: bool

    def extended(self, bits: int) -> str:
        """The operand at another width, extended by its own sign."""
        return self.text if bits == self.bits else f"{bits}'({self.text})"


@dataclass(frozen=True)
class Signal:
    """One named integer: ``render(name, operands, bits)`` writes the statement that drives it.

    ``render`` is None for the inputs of the module; ``levels`` of LUTs, or None for a carry-chain adder of so many
    ``operands``.
    """

    name: str
    low: int
    high: int
    sources: tuple[str, ...]
    render: Callable[[str, Sequence[Operand], int], str] | None
    levels: int | None = None
    operands: int = 2

    @property
    def signed(self) -> bool:
        """Two's complement, or plain binary."""
        return self.low < 0

    @property
    def bits(self) -> int:
        """Narrowest width that holds the range."""
        return FixedType.holding(self.low, self.high).bits


@dataclass
class Pipeline:
    """Signals in topological order, of which ``outputs`` leave together in one cycle."""

    signals: dict[str, Signal] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)

    def add(self, signal: Signal) -> str:
        """Append a signal whose sources are known; returns its name."""
        assert signal.name not in self.signals, signal.name
        assert all(source in self.signals for source in signal.sources), signal.name
        self.signals[signal.name] = signal
        return signal.name

    def live(self) -> Iterator[Signal]:
        """Signals that an output depends on, in order; inputs are always live."""
        needed = set(self.outputs)
        for signal in reversed(self.signals.values()):
            if signal.name in needed:
                needed.update(signal.sources)
        return (signal for signal in self.signals.values() if signal.name in needed or signal.render is None)


@dataclass(frozen=True)
class Placement:
    """The cycle each live signal is made in, when it settles, and the cycle all outputs leave in."""

    cycle: dict[str, int]
    settled_ns: dict[str, float]
    latency: int
    overhead_ns: float


def place(pipeline: Pipeline, delays: Delays, period_ns: float, start_ns: Sequence[float]) -> Placement:
    """Cut as late as the period allows (as soon as possible in cycles): the least latency for this graph.

    ``start_ns``: when each module input settles in cycle 0. An operation slower than the whole period
    gets a cycle of its own; the timing analysis after synthesis has the last word.
    """
    delay_ns = operation_delays(pipeline, delays)
    cycle: dict[str, int] = {}
    settled: dict[str, float] = {}
    overhead = delays.register_overhead()
    starts = iter(start_ns)
    for signal in pipeline.live():
        if signal.render is None:
            cycle[signal.name], settled[signal.name] = 0, max(next(starts), overhead)
            continue
        delay = delay_ns[signal.name]
        made = max((cycle[source] for source in signal.sources), default=0)
        begin = max((settled[source] for source in signal.sources if cycle[source] == made), default=overhead)
        if begin + delay > period_ns and begin > overhead:
            made, begin = made + 1, overhead
        cycle[signal.name], settled[signal.name] = made, begin + delay
    latency = max((cycle[name] for name in pipeline.outputs), default=0)
    return Placement(cycle, settled, latency, overhead)


def operation_delays(pipeline: Pipeline, delays: Delays) -> dict[str, float]:
    """Delay of each live operation with the net into it, which the readers of its operands load."""
    live = list(pipeline.live())
    pins: dict[str, int] = defaultdict(int)
    for signal in live:
        for source in signal.sources:
            pins[source] += _pins(signal)
    return {
        signal.name: _delay(signal, delays, max((pins[source] for source in signal.sources), default=1))
        for signal in live
        if signal.render is not None
    }


def _delay(signal: Signal, delays: Delays, fanout: int) -> float:
    if signal.levels is None:
        return delays.adder(signal.bits, fanout, signal.operands)
    return delays.logic(signal.levels, fanout)


def _pins(reader: Signal) -> int:
    """Sink pins that ``reader`` puts on a bit of what it reads."""
    return _ADDER_PINS if reader.levels is None else _LOGIC_PINS * min(reader.levels, 1)


def arrival_ns(pipeline: Pipeline, placement: Placement, delays: Delays) -> list[float]:
    """When each output settles in the cycle all outputs leave in; early ones come from a register."""
    return [
        placement.settled_ns[name] if placement.cycle[name] == placement.latency else delays.register_overhead()
        for name in pipeline.outputs
    ]


def render(pipeline: Pipeline, placement: Placement) -> str:
    """Body of the module: declarations and registers cycle by cycle. Inputs are declared by the caller."""
    live, last_read = list(pipeline.live()), _last_read(pipeline, placement)
    lines: list[str] = []
    for cycle in range(placement.latency + 1):
        if placement.latency:
            lines.append(f"  // cycle {cycle}")
        for signal in live:
            if signal.render is not None and placement.cycle[signal.name] == cycle:
                operands = [operand(pipeline, placement, source, cycle) for source in signal.sources]
                lines.append(f"  {_declare(signal, signal.name)};")
                lines.append(f"  {signal.render(signal.name, operands, signal.bits)}")
        carried = [s for s in live if placement.cycle[s.name] <= cycle < last_read.get(s.name, 0)]
        lines.extend(f"  {_declare(signal, _at(signal.name, placement, cycle + 1))};" for signal in carried)
        if carried:
            lines.append("  always_ff @(posedge clk) begin")
            for signal in carried:
                now, after = _at(signal.name, placement, cycle), _at(signal.name, placement, cycle + 1)
                lines.append(f"    {after} <= {now};")
            lines.append("  end")
    return "\n".join(lines)


def register_bits(pipeline: Pipeline, placement: Placement) -> int:
    """Bits of all registers that :func:`render` writes."""
    last_read, made = _last_read(pipeline, placement), placement.cycle
    return sum(signal.bits * max(0, last_read.get(signal.name, 0) - made[signal.name]) for signal in pipeline.live())


def _last_read(pipeline: Pipeline, placement: Placement) -> dict[str, int]:
    """The last cycle in which each signal that is read is."""
    last_read = dict.fromkeys(pipeline.outputs, placement.latency)
    for signal in pipeline.live():
        for source in signal.sources:
            last_read[source] = max(last_read.get(source, 0), placement.cycle[signal.name])
    return last_read


def operand(pipeline: Pipeline, placement: Placement, name: str, cycle: int) -> Operand:
    """Signal ``name`` as it is read in ``cycle``."""
    signal = pipeline.signals[name]
    return Operand(_at(name, placement, cycle), signal.bits, signal.signed)


def _at(name: str, placement: Placement, cycle: int) -> str:
    delay = cycle - placement.cycle[name]
    return name if delay == 0 else f"{name}_q{delay}"


def _declare(signal: Signal, name: str) -> str:
    sign = " signed" if signal.signed else ""
    return f"logic{sign} [{signal.bits - 1}:0] {name}"
