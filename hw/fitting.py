"""A goal met exactly: the solver's folding held against the cycles of its network, and tightened until they fit."""

from __future__ import annotations

import functools
from dataclasses import replace

from codesign.architecture import Hardware
from codesign.counting import number_of
from codesign.errors import TargetError
from codesign.target import Target
from hw.choices import BudgetError, Solution, every_choice, fastest
from hw.design import design, scheduled
from hw.graph import Graph
from hw.measure.delays import DelayModel
from hw.parts import parts, streams
from hw.solver import Goal

_ATTEMPTS = 16
_STEPS = 3
"""So often what was too many cycles is taken off what is asked for; then the fastest network is asked for."""


def fitted(graph: Graph, goal: Goal, target: Target, period_ns: float) -> Solution:
    """The folding of every part with which ``graph`` keeps the goal's interval or latency, cycle for cycle.

    The solver does not see the cycles between parts and those lost where pixels come in bursts, and takes parts side by
    side for one after another. So it is asked for less, by as many cycles as were too many, or for more, by as many as
    were left, then for what lies between. Raises TargetError, naming the fastest that was found, and the layer that
    takes longest or the resource that does not suffice.
    """
    if goal.interval is None and goal.latency is None:
        return goal.solve(graph, target.part.resources)
    return _Search(graph, goal, target, period_ns).run()


class _Search:
    """With ``kept`` cycles asked for the goal is met, by ``best``; with ``high`` it is missed; ``low`` cannot be had.

    ``over``: cycles too many with ``high``. ``takes``: what is too much for the budget. ``nearest``: cycles and folding
    of the fastest network that misses the goal.
    """

    def __init__(self, graph: Graph, goal: Goal, target: Target, period_ns: float) -> None:
        self.graph, self.goal, self.resources = graph, goal, target.part.resources
        self.delays, self.period_ns = DelayModel.for_part(target.part), period_ns
        self.name = "latency" if goal.interval is None else "interval"
        self.wanted: int = getattr(goal, self.name)
        self.low = fastest(every_choice(parts(graph))) - 1
        self.high: int | None = None
        self.kept, self.over, self.takes = 0, 0, ""
        self.best: Solution | None = None
        self.nearest: tuple[int, Solution] | None = None

    def run(self) -> Solution:
        """Ask until nothing is left between, or often enough."""
        # of an interval that a layer alone exceeds, the solver's own refusal says all
        asked: int | None = self.wanted if self.name == "interval" else max(self.wanted, self.low + 1)
        for attempt in range(_ATTEMPTS):
            if asked is None:
                break
            try:
                found = replace(self.goal, **{self.name: asked}).solve(self.graph, self.resources)
            except BudgetError as error:
                if self.name == "interval" and not attempt:
                    raise
                self._refused(asked, error.takes)
                asked = self._between()
            else:
                again = found == self.best
                over = self._note(asked, found)
                if self.high is not None:
                    asked = self._less(attempt) if self.best is None else self._between()
                else:
                    asked = asked - over if over and not again else None
        if self.best is None:
            raise TargetError(self._refusal())
        return self.best

    def _note(self, asked: int, found: Solution) -> int:
        """How many cycles ``found`` takes more than are wanted."""
        cycles = self._cycles(found)
        if cycles <= self.wanted:
            self.best, self.kept = found, asked
        else:
            self.high, self.over = asked, cycles - self.wanted
            self.nearest = min(self.nearest or (cycles, found), (cycles, found), key=lambda one: one[0])
        return cycles - self.wanted

    def _refused(self, asked: int, takes: str) -> None:
        if self.best is not None:
            self.high = asked
            return
        self.low, self.takes = asked, takes
        if self.high is None:  # as fast as fits is where to begin from; where nothing fits, that is said
            found = replace(self.goal, interval=None, latency=None).solve(self.graph, self.resources)
            self._note(max(asked + 1, self._cycles(found)), found)

    def _less(self, attempt: int) -> int | None:
        assert self.high is not None
        if self.takes or self.high == self.low + 1:
            return self._between()
        return max(self.high - self.over, self.low + 1) if attempt < _STEPS else self.low + 1

    def _between(self) -> int | None:
        """Half way between what is too little and too much, None where they are near each other."""
        low = self.low if self.best is None else self.kept
        if self.high is None or self.high - low <= max(1, self.wanted // 100):
            return None
        return (low + self.high) // 2

    def _cycles(self, found: Solution) -> int:
        if found.foldings or streams(self.graph):
            network = scheduled(self.graph, self.delays, self.period_ns, found.foldings)
            return network.latency() if self.name == "latency" else network.interval()
        return self._all_parallel

    @functools.cached_property
    def _all_parallel(self) -> int:
        built = design(self.graph, Hardware("parallel"), self.delays, self.period_ns)
        return built.latency_cycles if self.name == "latency" else built.interval_cycles

    def _refusal(self) -> str:
        assert self.nearest is not None
        cycles, found = self.nearest
        wanted = number_of(self.wanted, "cycle")
        words = f"a latency of {wanted}" if self.name == "latency" else f"a frame every {wanted}"
        words = f"{words} cannot be met: the fastest that was found takes {number_of(cycles, 'cycle')}"
        if self.takes:
            return f"{words}; a faster one takes {self.takes}"
        built = design(self.graph, Hardware("folded"), self.delays, self.period_ns, found.foldings)
        alone = {layer.name: getattr(layer, f"{self.name}_cycles") for layer in built.layers}
        slowest = max(alone, key=lambda name: alone[name])
        if alone[slowest] > cycles:  # alone it waits for a padding that it has behind it in the network
            return f"{words}; layer {slowest!r} takes the most"
        return f"{words}, of which layer {slowest!r} alone takes {alone[slowest]:,}"
