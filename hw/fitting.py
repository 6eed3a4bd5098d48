"""A goal met exactly: the solver's folding held against the cycles of its network, and tightened until they fit."""

from __future__ import annotations

import math
from dataclasses import replace

from codesign.architecture import Hardware
from codesign.counting import number_of
from codesign.errors import TargetError
from codesign.target import Target
from hw.design import design
from hw.graph import Graph
from hw.measure.delays import DelayModel
from hw.solver import Goal, Solution

_ATTEMPTS = 8


def fitted(graph: Graph, goal: Goal, target: Target, period_ns: float) -> Solution:
    """The folding of every part with which ``graph`` keeps the goal's interval or latency, cycle for cycle.

    The solver does not see the cycles between parts and those lost where pixels come in bursts, and takes parts side by
    side for one after another. So it is asked for less, by as many cycles as were too many, or for more, by as many as
    were left, then for what lies between. Raises TargetError, naming layer and resource, or the fastest that was found.
    """
    name = "latency" if goal.interval is None else "interval"
    wanted = getattr(goal, name)
    if wanted is None:
        return goal.solve(graph, target.part.resources)
    delays, best, refused = DelayModel.for_part(target.part), None, None
    asked, kept, missed, nearest = wanted, 0, 0, math.inf
    for _ in range(_ATTEMPTS):
        try:
            found = replace(goal, **{name: asked}).solve(graph, target.part.resources)
        except TargetError as error:
            if name == "interval" and not missed:
                raise
            refused = refused or error
            kept, asked = asked, (asked + missed) // 2 if missed else 2 * asked
        else:
            built = design(graph, Hardware("folded", found.interval), delays, period_ns, found.foldings)
            cycles = getattr(built, f"{name}_cycles")
            if cycles > wanted:
                nearest, missed = min(nearest, cycles), asked
                asked = (kept + missed) // 2 if kept else max(1, asked - (cycles - wanted))
            elif found == best:
                break
            else:
                best, kept = found, asked
                asked = (asked + missed) // 2 if missed else asked + wanted - cycles
        if asked == kept or (best is not None and missed and missed - kept <= wanted // 100):
            break
    if best is None:
        why = refused or TargetError(f"no folding with {name} = {number_of(wanted, 'cycle')} was found")
        raise TargetError(f"{why}; the fastest that was found takes {nearest} cycles") if missed else why
    return best
