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

    Some cycles the solver does not see: those between parts, and those lost where pixels come in bursts. It is asked
    for less, by as many as were too many, then for what lies between that and the least that was too much. Raises
    TargetError, naming layer and resource, where the part cannot meet the goal.
    """
    delays = DelayModel.for_part(target.part)
    name = "interval" if goal.interval else "latency"
    asked = wanted = getattr(goal, name)
    if wanted is None:
        return goal.solve(graph, target.part.resources)
    low, high, best, nearest = 0, wanted + 1, None, ""
    for _ in range(_ATTEMPTS):
        try:
            found = replace(goal, **{name: asked}).solve(graph, target.part.resources)
        except TargetError:
            if asked == wanted:
                raise
            low, asked = asked, (asked + high) // 2
        else:
            built = design(graph, Hardware("folded", found.interval), delays, period_ns, found.foldings)
            cycles = getattr(built, f"{name}_cycles")
            if cycles <= wanted:
                best, low = found, asked
            else:
                nearest = f"the nearest that was found takes {cycles} cycles; ask for that"
                high = asked
            asked = (low + high) // 2 if low else max(1, high - (cycles - wanted))
        if high - low <= 1 + wanted // 100:
            break
    if best is None:
        raise TargetError(f"{goal.words()}: {nearest}")
    return best
