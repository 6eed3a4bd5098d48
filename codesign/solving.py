"""Folding of a candidate in solved mode: top-down, from the part and the budget to each layer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from codesign.architecture import Architecture, Hardware
from codesign.budget import limits
from codesign.errors import TargetError
from codesign.study import Study
from codesign.target import Target
from hw.design import Design
from hw.emit.streaming import Foldings
from hw.fitting import fitted
from hw.graph import Graph
from hw.implement import PERIOD_SHARE
from hw.solver import Goal

SLACK = 1.33
"""A margin above the solver's errors in LUTs of folded layers (11 % at worst): what is predicted to be less than that
over the budget may still fit. Parallel convolutions of 2-bit values are predicted at up to twice what Yosys maps: where
only they keep the goal, a candidate that fits may be refused."""


@dataclass(frozen=True)
class Room:
    """What a study leaves of its part: ``target`` has that much, ``wide`` has :data:`SLACK` times as much."""

    target: Target
    wide: Target


def room(study: Study, target: Target) -> Room:
    """The budget as a part of its own."""
    allowed = limits(study.budget, target)

    def part(factor: float) -> Target:
        resources = {**target.part.resources, **{name: int(factor * allowed[name]) for name in ("lut", "bram")}}
        return replace(target, part=replace(target.part, resources=resources))

    return Room(part(1.0), part(SLACK))


def require_fit(graph: Graph, architecture: Architecture, where: Room) -> None:
    """TargetError, naming layer and resource, where even the best folding is predicted not to keep the budget."""
    _goal(architecture).solve(graph, where.wide.part.resources)


def solved(graph: Graph, architecture: Architecture, where: Room) -> tuple[Hardware, Foldings | None]:
    """The hardware of a trained network: that of the architecture, or the folding of every layer for its target.

    Where that is predicted to miss the budget by a little it is built all the same: what is measured decides.
    """
    if architecture.hardware.mode != "solved":
        return architecture.hardware, None
    goal, period = _goal(architecture), where.target.period_ns * PERIOD_SHARE
    try:
        found = fitted(graph, goal, where.target, period)
    except TargetError:
        found = fitted(graph, goal, where.wide, period)
    return Hardware("folded", found.interval), found.foldings


def as_built(asked: Hardware, built: Design) -> Hardware:
    """The hardware that was ``asked`` for; in solved mode, what it came to for all layers together."""
    if asked.mode != "solved":
        return asked
    return Hardware(built.mode, built.interval_cycles if built.mode == "folded" else 1)


def _goal(architecture: Architecture) -> Goal:
    kind, _, cycles = architecture.hardware.target.partition(" ")
    return Goal(**{kind: int(cycles)}) if cycles else Goal()
