"""A mapped Xilinx netlist as a graph of delays, ready to be swept level by level.

Nodes are net bits and, inside carry cells, the carry after each bit. An arc has a cell delay and says whether
the net at its source is routed between slices or stays within one. What shares a slice:

* a LUT and the carry bit whose S it drives, when it drives nothing else (otherwise a pass-through LUT sits there);
* a LUT6_2 and the DI of the same bit when O5 drives nothing else; any other DI comes in through the LUT, or, where
  the LUT6_2 at S gives its O5 to something else, by the slice's own pin beside it;
* a LUT or wide multiplexer and the register whose D it alone drives; LUTs into MUXF7-9; CO into the next CI.

Carry sums leave the slice before a register takes them, as the routed designs do that the model is fitted to.
Module inputs and outputs are registered outside: a path may start and end there as at a register.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.errors import ToolRunError
from hw.measure.levels import levels

Cell = Mapping[str, Any]
CLOCK_PINS = {"C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK", "RDCLK", "WRCLK"}
CONTROL_PINS = {"CE", "R", "S", "CLR", "PRE"}
# the registers of a slice share one enable and one reset pin
REGISTERS_PER_CONTROL_PIN = 8
REGISTER = re.compile(r"FD[RSCP]E(_1)?$")
LUT = re.compile(r"(LUT[1-6]|LUT6_2|INV)$")
DOUBLE_LUT = re.compile(r"LUT6_2$")
MUX = re.compile(r"MUXF[789]$")
CARRY = re.compile(r"CARRY[48]$")
LUT_RAM = re.compile(r"RAM(\d+X\d+[SD]|32M|64M|32M16|64M8|32X16DR8|64X8SW)$")
SHIFT_REGISTER = re.compile(r"SRL(16E|C16E|C32E)$")
BLOCK_RAM = re.compile(r"RAMB(18|36)E[12]$")


@dataclass(frozen=True)
class Arc:
    """From node to node: the cell's delay, whether the source's net is routed, and the cell."""

    source: int
    target: int
    delay: float
    routed: bool
    cell: str


@dataclass(frozen=True)
class End:
    """A node captured by a register (or leaving the module)."""

    node: int
    setup: float
    routed: bool
    control: bool
    cell: str


class NetlistGraph:
    """Arcs, start and end points of one flat module, with cell delays taken from ``cells`` (ns).

    ``size``: its LUTs and registers.
    """

    def __init__(self, module: Mapping[str, Any], cells: Mapping[str, float]) -> None:
        self.module = module
        self.delays = cells
        self.cells: Mapping[str, Cell] = module["cells"]
        self.driver: dict[int, tuple[str, str]] = {}
        self.pins: Counter[int] = Counter()
        self.control_pins: Counter[int] = Counter()
        self.node_of: dict[Any, int] = {}
        self.arcs: list[Arc] = []
        self.starts: dict[int, tuple[float, str]] = {}
        self.ends: list[End] = []
        self._count_pins()
        self._ports()
        for name, cell in self.cells.items():
            self._cell(name, cell)
        kinds = [cell["type"] for cell in self.cells.values()]
        luts = sum(bool(LUT.match(kind)) and kind != "INV" for kind in kinds)
        self.size = luts + sum(bool(REGISTER.match(kind)) for kind in kinds)

    def node(self, key: Any) -> int:
        """The number of a node (a net bit, or (cell, bit) inside a carry), made on first use."""
        return self.node_of.setdefault(key, len(self.node_of))

    def fanout(self, bit: int) -> float:
        """Sink pins of a net as they are in the fabric."""
        return self.pins[bit] + self.control_pins[bit] / REGISTERS_PER_CONTROL_PIN

    def _count_pins(self) -> None:
        for name, cell in self.cells.items():
            directions = cell["port_directions"]
            for pin, bits in cell["connections"].items():
                for bit in bits:
                    if not isinstance(bit, int):
                        continue
                    if directions[pin] == "output":
                        self.driver[bit] = (name, pin)
                    elif pin in CONTROL_PINS and REGISTER.match(cell["type"]):
                        self.control_pins[bit] += 1
                    elif pin not in CLOCK_PINS:
                        self.pins[bit] += 1

    def _ports(self) -> None:
        for name, port in self.module.get("ports", {}).items():
            for index, bit in enumerate(port["bits"]):
                label = f"port {name}[{index}]"
                if not isinstance(bit, int):
                    continue
                if port["direction"] == "input" and self.fanout(bit):
                    self.starts[self.node(bit)] = (self.delays["clock_to_out"], label)
                elif port["direction"] == "output":
                    self.pins[bit] += 1
                    self.ends.append(End(self.node(bit), self.delays["setup"], True, False, label))

    def _cell(self, name: str, cell: Cell) -> None:
        kind = cell["type"]
        for pattern, read in (
            (DOUBLE_LUT, self._double_lut),
            (LUT, self._lut),
            (REGISTER, self._register),
            (CARRY, self._carry),
            (MUX, self._mux),
            (LUT_RAM, self._lut_ram),
            (SHIFT_REGISTER, self._shift_register),
            (BLOCK_RAM, self._block_ram),
        ):
            if pattern.match(kind):
                return read(name, cell)
        raise ToolRunError(f"timing: no delays for cell type {kind} ({name})")

    def _inputs(self, cell: Cell, pattern: str = "") -> Iterator[tuple[str, int]]:
        """Data pins and the nets at them; constants and clocks left out."""
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] == "input" and pin not in CLOCK_PINS and re.match(pattern, pin):
                yield from ((pin, bit) for bit in bits if isinstance(bit, int))

    def outputs(self, cell: Cell) -> Iterator[int]:
        """The nets a cell drives."""
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] == "output":
                yield from (bit for bit in bits if isinstance(bit, int))

    def _arc(self, source: Any, target: Any, delay: float, routed: bool, cell: str) -> None:
        self.arcs.append(Arc(self.node(source), self.node(target), delay, routed, cell))

    def _start(self, bit: int, delay: float, cell: str) -> None:
        self.starts[self.node(bit)] = (delay, cell)

    def _end(self, bit: int, setup: float, cell: str, *, routed: bool = True, control: bool = False) -> None:
        self.ends.append(End(self.node(bit), setup, routed, control, cell))

    def _driven_alone_by(self, bit: int, pattern: re.Pattern[str]) -> bool:
        driver = self.driver.get(bit)
        return driver is not None and self.fanout(bit) == 1 and bool(pattern.match(self.cells[driver[0]]["type"]))

    def _register(self, name: str, cell: Cell) -> None:
        for bit in self.outputs(cell):
            self._start(bit, self.delays["clock_to_out"], name)
        for pin, bit in self._inputs(cell):
            if pin in CONTROL_PINS:
                self._end(bit, self.delays["control_setup"], name, control=True)
            else:
                same_slice = self._driven_alone_by(bit, LUT) or self._driven_alone_by(bit, MUX)
                self._end(bit, self.delays["setup"], name, routed=not same_slice)

    def _lut(self, name: str, cell: Cell) -> None:
        for output in self.outputs(cell):
            for _, bit in self._inputs(cell):
                self._arc(bit, output, self.delays["lut"], True, name)

    def _double_lut(self, name: str, cell: Cell) -> None:
        """Arcs of both outputs, each from the inputs that its half of the table hangs on and no others."""
        pins = cell["connections"]
        inputs = tuple(pins.get(f"I{index}", ["0"])[0] for index in range(6))
        tied = tuple(None if isinstance(bit, int) else int(bit == "1") for bit in inputs)
        for output, low in (("O6", False), ("O5", True)):
            for bit in pins.get(output, []):
                if isinstance(bit, int):
                    for index in _read_inputs(_table(cell), tied, low=low):
                        self._arc(inputs[index], bit, self.delays["lut"], True, name)

    def _mux(self, name: str, cell: Cell) -> None:
        kind = cell["type"].lower()
        for output in self.outputs(cell):
            for pin, bit in self._inputs(cell):
                select = pin == "S"
                self._arc(bit, output, self.delays[f"{kind}_{'select' if select else 'data'}"], select, name)

    def _carry(self, name: str, cell: Cell) -> None:
        delays, pins = self.delays, cell["connections"]
        for index, (s, di, o, co) in enumerate(zip(pins["S"], pins["DI"], pins["O"], pins["CO"], strict=True)):
            carry = (name, index)
            if isinstance(s, int):
                inside = self._driven_alone_by(s, LUT)
                through = 0.0 if inside else delays["lut"]
                self._arc(s, carry, delays["carry_s_co"] + through, not inside, name)
                if isinstance(o, int):
                    self._arc(s, o, delays["carry_s_o"] + through, not inside, name)
            if isinstance(di, int):
                inside = self._same_lut(s, di)
                through = 0.0 if inside or self._has_both_outputs(s) else delays["lut"]
                self._arc(di, carry, delays["carry_di_co"] + through, not inside, name)
            for source, extra, routed in self._carry_in(name, pins, index):
                self._arc(source, carry, delays["carry_bit"] + extra, routed, name)
                if isinstance(o, int):
                    self._arc(source, o, delays["carry_ci_o"] + extra, routed, name)
            if isinstance(co, int):
                self._arc(carry, co, 0.0, False, name)

    def _carry_in(self, name: str, pins: Mapping[str, Any], index: int) -> Iterator[tuple[Any, float, bool]]:
        """Where the carry into this bit comes from: (node, extra delay, routed)."""
        if index:
            yield (name, index - 1), 0.0, False
            return
        for pin in ("CI", "CYINIT"):
            for bit in pins.get(pin, [])[:1]:
                if isinstance(bit, int):
                    chained = pin == "CI" and self.driver.get(bit, ("", ""))[1] == "CO"
                    yield bit, 0.0 if chained else self.delays["carry_init"], not chained

    def _same_lut(self, s: Any, di: int) -> bool:
        """O5 of the LUT6_2 whose O6 drives S of the same bit."""
        if not isinstance(s, int) or s not in self.driver or di not in self.driver:
            return False
        both = self.driver[s][0] == self.driver[di][0] and self.driver[di][1] == "O5"
        return both and self.fanout(di) == 1 and self.fanout(s) == 1

    def _has_both_outputs(self, s: Any) -> bool:
        """Whether S comes from a LUT6_2 whose O5 is in use."""
        if not isinstance(s, int) or s not in self.driver or self.fanout(s) != 1:
            return False
        cell = self.cells[self.driver[s][0]]
        return cell["type"] == "LUT6_2" and any(self.pins.get(bit) for bit in cell["connections"].get("O5", []))

    def _lut_ram(self, name: str, cell: Cell) -> None:
        for pin, bit in self._inputs(cell):
            self._end(bit, self.delays["lutram_setup"], name, control=pin.startswith("WE"))
        for output in self.outputs(cell):
            self._start(output, self.delays["lutram_clock_to_out"], name)
            # which port's address reads which output is not told apart: never too short
            for _, bit in self._inputs(cell, r"ADDR|A\d*$|DPRA"):
                self._arc(bit, output, self.delays["lutram_read"], True, name)

    def _shift_register(self, name: str, cell: Cell) -> None:
        for pin, bit in self._inputs(cell):
            self._end(bit, self.delays["lutram_setup"], name, control=pin == "CE")
        for output in self.outputs(cell):
            self._start(output, self.delays["srl_clock_to_out"], name)
            for _, bit in self._inputs(cell, r"A\d*$"):
                self._arc(bit, output, self.delays["lutram_read"], True, name)

    def _block_ram(self, name: str, cell: Cell) -> None:
        for _, bit in self._inputs(cell):
            self._end(bit, self.delays["bram_setup"], name)
        parameters = cell.get("parameters", {})
        registered = all(str(parameters.get(key, "0")).endswith("1") for key in ("DOA_REG", "DOB_REG"))
        delay = self.delays["bram_registered_clock_to_out" if registered else "bram_clock_to_out"]
        for output in self.outputs(cell):
            self._start(output, delay, name)


def _table(cell: Cell) -> int:
    """INIT, of which Yosys writes the bits."""
    return int(str(cell["parameters"].get("INIT", "1" * 64)), 2)


@functools.cache
def _read_inputs(table: int, tied: tuple[int | None, ...], *, low: bool) -> tuple[int, ...]:
    """Inputs of a LUT6_2 that O6, or with ``low`` O5, hangs on when some are ``tied`` to a constant."""
    count = 5 if low else 6
    free = [index for index in range(count) if tied[index] is None]
    base = sum((tied[index] or 0) << index for index in range(count))
    seen = [base]
    for index in free:
        seen += [entry | 1 << index for entry in seen]
    return tuple(index for index in free if any((table >> entry ^ table >> (entry ^ 1 << index)) & 1 for entry in seen))


@dataclass(frozen=True)
class Levels:
    """The arcs as arrays, ordered so that each group in ``groups`` reads only nodes that are final."""

    source: npt.NDArray[np.int64]
    target: npt.NDArray[np.int64]
    delay: npt.NDArray[np.float64]
    routed: npt.NDArray[np.bool_]
    order: npt.NDArray[np.int64]
    groups: tuple[slice, ...]


def levelize(graph: NetlistGraph) -> Levels:
    """Sort the arcs by the level of their target; ToolRunError naming the cells of a combinational loop."""
    level, unsettled = levels(((arc.source, arc.target) for arc in graph.arcs), len(graph.node_of))
    if unsettled:
        stuck = sorted({arc.cell for arc in graph.arcs if {arc.source, arc.target} <= unsettled})
        raise ToolRunError(f"timing: combinational loop through {', '.join(stuck[:6])}")
    arcs = graph.arcs
    at = np.array([level[arc.target] for arc in arcs], dtype=np.int64)
    order = np.argsort(at, kind="stable")
    cuts = [0, *(np.flatnonzero(np.diff(at[order])) + 1).tolist(), len(arcs)]
    return Levels(
        source=np.array([arc.source for arc in arcs], dtype=np.int64)[order],
        target=np.array([arc.target for arc in arcs], dtype=np.int64)[order],
        delay=np.array([arc.delay for arc in arcs])[order],
        routed=np.array([arc.routed for arc in arcs], dtype=np.bool_)[order],
        order=order,
        groups=tuple(slice(a, b) for a, b in pairwise(cuts) if b > a),
    )
