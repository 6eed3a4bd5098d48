"""Static timing of a mapped netlist: the clock period its slowest path allows, and that path by name.

The delays and the form of the model are in :mod:`hw.measure.delays`; what the netlist's cells mean is in
:mod:`hw.measure.timing_graph`; how it was fitted and how well it predicts is in :mod:`hw.measure.calibrate`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.errors import ToolRunError
from codesign.measurement import Figure, Measurement, Provenance
from codesign.target import Part
from hw.measure.delays import DelayModel
from hw.measure.timing_graph import Levels, NetlistGraph, levelize

__all__ = ["DelayModel", "PathStep", "StaticTiming", "Timing", "analyse"]

TOOL = "codesign-timing"
VERSION = "2"
"""Of the model's form and its cells; :func:`version` tells the fit of its nets too."""
# the fan-out a driver of control pins is left with once it is replicated
CONTROL_FANOUT = 32


@dataclass(frozen=True)
class PathStep:
    """One point of a path: the cell (or port), its name in the RTL where it has one, and when the signal is there."""

    cell: str
    name: str
    net_ns: float
    fanout: int
    arrival_ns: float


@dataclass(frozen=True)
class Timing:
    """The shortest clock period of a design of ``size`` LUTs and registers, by a model that tells its own error.

    ``error`` holds the relative error of the period, leave-one-out, on the designs the model was fitted to
    (``median, p90, worst, designs, size``); empty where the family or speed grade was not calibrated.
    ``version``: of the model, as :func:`version` gives it.
    """

    period_ns: float
    fmax_mhz: float
    path: tuple[PathStep, ...]
    size: int
    calibrated: bool
    version: str
    error: Mapping[str, Any] = field(default_factory=dict)

    @property
    def within_fitted_range(self) -> bool:
        """Whether the design's size is among those the model was fitted to."""
        low, high = self.error.get("size", (0, -1))
        return bool(low <= self.size <= high)

    def measurement(self) -> Measurement:
        """The figure ``fmax`` in MHz, modelled, with the model's error and the critical path."""
        details = {
            "period_ns": round(self.period_ns, 4),
            "calibrated": self.calibrated,
            "within_fitted_range": self.within_fitted_range,
            "error": dict(self.error),
            "path": [
                {"cell": step.cell, "name": step.name, "arrival_ns": round(step.arrival_ns, 3), "fanout": step.fanout}
                for step in self.path
            ],
        }
        figure = Figure(round(self.fmax_mhz, 3), "MHz", Provenance.MODELLED, TOOL, self.version, details)
        return Measurement({"fmax": figure})


class StaticTiming:
    """One netlist made ready for timing; a sweep is then a few milliseconds, which the calibration needs."""

    def __init__(self, module: Mapping[str, Any], cells: Mapping[str, float]) -> None:
        self.graph = NetlistGraph(module, cells)
        if not self.graph.ends:
            raise ToolRunError("timing: the netlist has no register and no output")
        self.levels: Levels = levelize(self.graph)
        self.pins = np.zeros(len(self.graph.node_of))
        for key, node in self.graph.node_of.items():
            if isinstance(key, int):
                self.pins[node] = self.graph.fanout(key)
        ends = self.graph.ends
        self.end_node = np.array([end.node for end in ends])
        self.end_setup = np.array([end.setup for end in ends])
        self.end_routed = np.array([end.routed for end in ends])
        # a driver of many control pins is replicated or put on a global buffer by every flow
        few = np.where([end.control for end in ends], CONTROL_FANOUT, np.inf)
        self.end_pins = np.minimum(self.pins[self.end_node], few)

    def arrivals(self, model: DelayModel) -> npt.NDArray[np.float64]:
        """When each node's signal is at its driver's output, in ns after the clock edge; -inf where never."""
        levels = self.levels
        arrival = np.full(len(self.pins), -np.inf)
        for node, (delay, _) in self.graph.starts.items():
            arrival[node] = delay
        cost = levels.delay + np.where(levels.routed, model.nets(self.pins)[levels.source], 0.0)
        for group in levels.groups:
            np.maximum.at(arrival, levels.target[group], arrival[levels.source[group]] + cost[group])
        return arrival

    def end_times(self, model: DelayModel, arrival: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The period each end point needs, in ns."""
        nets = np.where(self.end_routed, model.nets(self.end_pins), 0.0)
        times: npt.NDArray[np.float64] = arrival[self.end_node] + nets + self.end_setup
        return times

    def period(self, model: DelayModel) -> float:
        """The shortest period in ns."""
        return float(self.end_times(model, self.arrivals(model)).max())

    def path(self, model: DelayModel) -> tuple[PathStep, ...]:
        """The slowest path, from its start point to its end point, one step per cell."""
        arrival = self.arrivals(model)
        times = self.end_times(model, arrival)
        worst = int(np.argmax(times))
        end = self.graph.ends[worst]
        steps = [self._step(model, float(arrival[hop.node]), hop) for hop in self._hops(model, arrival, end.node)]
        net = float(model.nets(self.end_pins)[worst]) if end.routed else 0.0
        name = self._register_name(end.cell)
        last = PathStep(self._kind(end.cell), name, net, math.ceil(self.pins[end.node]), float(times[worst]))
        return (*steps, last)

    def _hops(self, model: DelayModel, arrival: npt.NDArray[np.float64], node: int) -> list[_Hop]:
        """The cells from the start point to ``node``; the bits of one carry cell are one hop."""
        levels, nets = self.levels, model.nets(self.pins)
        hops: list[_Hop] = []
        while True:
            into = np.flatnonzero(levels.target == node)
            sources = levels.source[into]
            times = arrival[sources] + levels.delay[into] + np.where(levels.routed[into], nets[sources], 0.0)
            start = self.graph.starts.get(node)
            if start is not None and (not len(into) or start[0] >= times.max()):
                return [_Hop(node, start[1], None), *reversed(hops)]
            best = int(np.argmax(times))
            cell, source = self.graph.arcs[levels.order[into[best]]].cell, int(sources[best])
            entered = source if levels.routed[into[best]] else None
            if hops and hops[-1].cell == cell and hops[-1].entered is None:
                hops[-1] = _Hop(hops[-1].node, cell, entered)
            else:
                hops.append(_Hop(node, cell, entered))
            node = source

    def _step(self, model: DelayModel, arrival: float, hop: _Hop) -> PathStep:
        pins = 0.0 if hop.entered is None else float(self.pins[hop.entered])
        net = 0.0 if hop.entered is None else model.net(pins)
        name = self._names.get(self._bits[hop.node], hop.cell)
        return PathStep(self._kind(hop.cell), name, net, math.ceil(pins), arrival)

    def _kind(self, cell: str) -> str:
        return str(self.graph.cells[cell]["type"]) if cell in self.graph.cells else "port"

    def _register_name(self, cell: str) -> str:
        """A register is called by the net it drives: that is its name in the RTL."""
        if cell not in self.graph.cells:
            return cell
        names = [self._names[bit] for bit in self.graph.outputs(self.graph.cells[cell]) if bit in self._names]
        return names[0] if names else cell

    @cached_property
    def _bits(self) -> list[Any]:
        return list(self.graph.node_of)  # nodes are numbered in the order of insertion

    @cached_property
    def _names(self) -> dict[int, str]:
        """Net bits by their names in the RTL, the shortest where there are several."""
        names: dict[int, str] = {}
        for name, net in self.graph.module.get("netnames", {}).items():
            if net.get("hide_name"):
                continue
            for index, bit in enumerate(net["bits"]):
                label = f"{name}[{index}]" if len(net["bits"]) > 1 else name
                known = names.get(bit)
                if known is None or (len(label), label) < (len(known), known):
                    names[bit] = label
        return names


@dataclass(frozen=True)
class _Hop:
    node: int
    cell: str
    entered: int | None  # the node whose routed net led into the cell


def version(model: DelayModel) -> str:
    """What figures by the model carry, e.g. ``2+ab12cd``: those by another fit of its nets do not compare with them."""
    return f"{VERSION}+{model.fit}"


def analyse(netlist: Mapping[str, Any], top: str, part: Part) -> Timing:
    """Time the flat module ``top`` of a Yosys JSON netlist on ``part``.

    ToolRunError on a combinational loop or a cell the model does not know; TargetError where the part's family
    or speed grade has no delays.
    """
    module = netlist["modules"][top]
    timing = StaticTiming(module, DelayModel.for_part(part).cells)
    model = DelayModel.for_part(part, timing.graph.size)
    period = timing.period(model)
    if not np.isfinite(period):
        raise ToolRunError("timing: no path from a register or input to a register or output")
    path, size = timing.path(model), timing.graph.size
    return Timing(period, 1000.0 / period, path, size, model.calibrated, version(model), model.error)
