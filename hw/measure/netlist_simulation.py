"""A mapped netlist simulated cycle by cycle, many streams side by side, and how often each of its nets changes.

Without delays: each net settles once a cycle, so glitches are not counted. Registers and memories begin with zeros and
are reset before anything is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.errors import MismatchError, ToolRunError
from hw.design import Design
from hw.measure.levels import levels
from hw.measure.netlist_cells import INPUTS, ONE, Memory, Netlist

Bits = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
_RESET_CYCLES = 4


class NetlistSimulation:
    """The state of ``lanes`` copies of a netlist.

    Of the ``cycles`` that were counted, ``toggles`` and ``ones`` say by net, over all lanes, how often it changed and
    in how many it was 1.
    """

    def __init__(self, module: Mapping[str, Any], lanes: int) -> None:
        self.netlist = Netlist(module)
        self.lanes = lanes
        self.state: Bits = np.zeros((self.netlist.nets, lanes), np.uint8)
        self.state[ONE] = 1
        self.before = self.state.copy()
        self.toggles: Ints = np.zeros(self.netlist.nets, np.int64)
        self.ones: Ints = np.zeros(self.netlist.nets, np.int64)
        self.cycles = 0
        self._levels = _levelled(self.netlist)
        self._content = [
            np.zeros((len(memory.ports), 1 << len(memory.ports[0][0]), len(memory.ports[0][1]), lanes), np.uint8)
            for memory in self.netlist.memories
        ]
        registers = self.netlist.registers
        self._data, self._enable, self._reset, self._value, self._output = (
            np.array([getattr(register, name) for register in registers], np.int64)
            for name in ("data", "enable", "reset", "value", "output")
        )

    def give(self, port: str, values: Bits) -> None:
        """Set an input port: (bits,) for all lanes alike, or (bits, lanes)."""
        self.state[list(self.netlist.ports[port])] = values if values.ndim == 2 else values[:, None]

    def read(self, port: str) -> Bits:
        """A port's bits (bits, lanes), once it has settled."""
        return self.state[list(self.netlist.ports[port])]

    def settle(self) -> None:
        """Bring everything combinational up to date."""
        for tables, memories in self._levels:
            if tables is not None:
                inputs, content, outputs = tables
                index = np.zeros((len(outputs), self.lanes), np.intp)
                for place in range(INPUTS):
                    index |= self.state[inputs[:, place]].astype(np.intp) << place
                self.state[outputs] = np.take_along_axis(content, index, axis=1)
            for memory, port in memories:
                address, _, out = self.netlist.memories[memory].ports[port]
                at = self._address(address)
                self.state[list(out)] = self._content[memory][port][at, :, np.arange(self.lanes)].T

    def clock(self, *, count: bool) -> None:
        """Count what changed since the cycle before, where asked to; then the rising edge."""
        if count:
            self.toggles += (self.state != self.before).sum(axis=1)
            self.ones += self.state.sum(axis=1, dtype=np.int64)
            self.cycles += 1
        self.before = self.state.copy()
        for memory, content in zip(self.netlist.memories, self._content, strict=True):
            self._write(memory, content)
        held = np.where(self.state[self._enable] == 1, self.state[self._data], self.state[self._output])
        value = self._value[:, None].astype(np.uint8)
        self.state[self._output] = np.where(self.state[self._reset] == 1, value, held)

    def _address(self, nets: tuple[int, ...]) -> npt.NDArray[np.intp]:
        weights = 1 << np.arange(len(nets))
        found: npt.NDArray[np.intp] = weights @ self.state[list(nets)].astype(np.intp)
        return found

    def _write(self, memory: Memory, content: Bits) -> None:
        lanes = np.flatnonzero(self.state[memory.enable])
        at = self._address(memory.ports[-1][0])[lanes]
        for place, (_, data, _) in enumerate(memory.ports):
            content[place, at, :, lanes] = self.state[list(data)][:, lanes].T


_Level = tuple[tuple[npt.NDArray[np.intp], Bits, npt.NDArray[np.intp]] | None, list[tuple[int, int]]]


def _levelled(netlist: Netlist) -> list[_Level]:
    """Tables and memory reads in an order in which each reads only what is settled; ToolRunError on a loop."""
    works: list[tuple[tuple[int, ...], tuple[int, ...]]] = [(one.inputs, (one.output,)) for one in netlist.tables]
    reads = [
        (memory, port)
        for memory, one in enumerate(netlist.memories)
        for port in range(len(one.ports))
        if one.ports[port][2]
    ]
    works += [
        (netlist.memories[memory].ports[port][0], netlist.memories[memory].ports[port][2]) for memory, port in reads
    ]
    driver = {net: place for place, (_, outputs) in enumerate(works) for net in outputs}
    level, unsettled = levels(
        ((driver[net], place) for place, (inputs, _) in enumerate(works) for net in inputs if net in driver), len(works)
    )
    if unsettled:
        raise ToolRunError("netlist simulation: the netlist has a combinational loop")
    grouped: defaultdict[int, list[int]] = defaultdict(list)
    for place, found in enumerate(level):
        grouped[found].append(place)
    count = len(netlist.tables)
    return [
        (_tables(netlist, [place for place in grouped[at] if place < count]),
         [reads[place - count] for place in grouped[at] if place >= count])
        for at in sorted(grouped)
    ]  # fmt: skip


def _tables(netlist: Netlist, places: list[int]) -> tuple[npt.NDArray[np.intp], Bits, npt.NDArray[np.intp]] | None:
    if not places:
        return None
    tables = [netlist.tables[place] for place in places]
    inputs = np.zeros((len(tables), INPUTS), np.intp)  # those that a table has not are the constant 0
    content = np.zeros((len(tables), 1 << INPUTS), np.uint8)
    for row, table in enumerate(tables):
        inputs[row, : len(table.inputs)] = table.inputs
        entries = 1 << len(table.inputs)
        content[row, :entries] = [(table.content >> entry) & 1 for entry in range(entries)]
    return inputs, content, np.array([table.output for table in tables], np.intp)


def stream(module: Mapping[str, Any], design: Design, x: Ints, expected: Ints) -> NetlistSimulation:
    """Stream input integers ``x`` (lanes, vectors, inputs) without a gap and hold all results against ``expected``.

    The simulation as it is after the last result. MismatchError at a differing bit, ToolRunError where none comes.
    """
    lanes, vectors = x.shape[:2]
    found = NetlistSimulation(module, lanes)
    beats = _bits(x.reshape(lanes, vectors * design.input_beats, -1), design.input_bits)
    wanted = _bits(expected.reshape(lanes, vectors * design.output_beats, -1), design.output_bits)
    one, zero = np.ones(1, np.uint8), np.zeros(1, np.uint8)
    for name in ("rst_n", "s_axis_tvalid"):
        found.give(name, zero)
    found.give("m_axis_tready", one)
    for _ in range(_RESET_CYCLES):
        found.settle()
        found.clock(count=False)
    found.give("rst_n", one)
    sent = received = 0
    limit = 4 * (design.latency_cycles + vectors * design.interval_cycles) + 1000
    for _ in range(limit):
        offered = sent < beats.shape[1]
        found.give("s_axis_tvalid", one if offered else zero)
        if offered:
            found.give("s_axis_tdata", beats[:, sent].T)
        found.settle()
        ready, valid = (_same(found.read(name), name) for name in ("s_axis_tready", "m_axis_tvalid"))
        sent += offered and ready
        if valid:
            if not np.array_equal(found.read("m_axis_tdata").T, wanted[:, received]):
                raise MismatchError(f"the mapped netlist differs from the graph at result {received} of its streams")
            received += 1
        found.clock(count=True)
        if received == wanted.shape[1]:
            return found
    raise ToolRunError(f"the mapped netlist gave {received} of {wanted.shape[1]} results in {limit} cycles")


def _bits(values: Ints, bits: int) -> Bits:
    """(lanes, beats, elements) as (lanes, beats, bits of the port)."""
    plain = (values[..., None] >> np.arange(bits)) & 1
    return plain.reshape(*values.shape[:2], -1).astype(np.uint8)


def _same(bit: Bits, name: str) -> bool:
    if bit.min() != bit.max():
        raise ToolRunError(f"the mapped netlist's {name} depends on the data")
    return bool(bit[0, 0])
