"""A goal met exactly: the solver's folding held against the cycles of its network, and tightened until they fit."""

from __future__ import annotations

from dataclasses import replace

from codesign.architecture import Hardware
from codesign.errors import TargetError
from codesign.target import Target
from hw.design import design
from hw.graph import Graph
from hw.measure.delays import DelayModel
from hw.solver import Goal, Solution

_ATTEMPTS = 8


def fitted(graph: Graph, goal: Goal, target: Target, period_ns: float) -> Solution:
    """The folding of every part with which ``graph`` keeps the goal's interval or latency, cycle for cycle.

    Between parts whose pixels come in bursts some cycles are lost, which the solver does not see: its target is
    shortened by as many. Raises TargetError, naming layer and resource, where the part cannot meet the goal.
    """
    delays, asked = DelayModel.for_part(target.part), goal
    for _ in range(_ATTEMPTS):
        found = asked.solve(graph, target.part.resources)
        built = design(graph, Hardware("folded", found.interval), delays, period_ns, found.foldings)
        for name, cycles in (("interval", built.interval_cycles), ("latency", built.latency_cycles)):
            wanted, tightened = getattr(goal, name), getattr(asked, name)
            if wanted and cycles > wanted:
                asked = replace(asked, **{name: max(1, tightened - (cycles - wanted))})
                break
        else:
            return found
    raise TargetError(
        f"{goal.words()}: the nearest that was found has an interval of {built.interval_cycles} and a latency of "
        f"{built.latency_cycles} cycles; ask for that"
    )
