"""How far each layer is folded: mode, PE and SIMD of every part for a target, a budget, or as fast as fits.

Each part alone has a list of choices, none better than another in cycles, LUTs and block RAM at once. For a rate those
choices that keep it are put together as cheaply as the budget allows, exactly; the fastest rate within a budget is
found by bisection over the rates that choices have. A latency is shared out between the parts that work while pixels
arrive, at one pace, and those that begin when all are there, one after another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codesign.counting import number_of
from codesign.errors import InputError, TargetError
from hw.choices import RESOURCES, BudgetError, Choice, Solution, at_pace, cheapest, every_choice, fastest, too_much
from hw.graph import Graph
from hw.latency import at_latency
from hw.parts import Part
from hw.parts import parts as parts_of


@dataclass(frozen=True)
class Goal:
    """What a network is folded for: a frame every ``interval`` cycles, a ``latency`` of cycles, or as fast as fits.

    ``share`` is the part of the device's LUTs and block RAMs that it may take.
    """

    interval: int | None = None
    latency: int | None = None
    share: float = 1.0

    def __post_init__(self) -> None:
        """InputError for what is no goal."""
        if self.interval is not None and self.latency is not None:
            raise InputError(f"interval = {self.interval} and latency = {self.latency}: give one of them as the goal")
        for name, cycles in (("interval", self.interval), ("latency", self.latency)):
            if cycles is not None and cycles < 1:
                raise InputError(f"{name} = {cycles} is not a number of cycles: give 1 or more")
        if not 0 < self.share <= 1:
            raise InputError(f"share = {self.share} is not a share of the part: give more than 0, at most 1")

    def words(self) -> str:
        """In a few words."""
        if self.interval is not None:
            return f"folded for a frame every {number_of(self.interval, 'cycle')}"
        if self.latency is not None:
            return f"folded for a latency of {number_of(self.latency, 'cycle')}"
        return f"folded to be as fast as fits {100 * self.share:g} % of the part"

    def solve(self, graph: Graph, resources: Mapping[str, int]) -> Solution:
        """The folding of every part of ``graph`` within ``resources``; TargetError where there is none."""
        chain = parts_of(graph)
        budget = {name: self.share * resources[name] for name in RESOURCES if name in resources}
        if self.interval is not None:
            return at_rate(chain, self.interval, budget)
        return as_fast_as_fits(chain, budget) if self.latency is None else at_latency(chain, self.latency, budget)


def at_rate(parts: Sequence[Part], interval: int, budget: Mapping[str, float]) -> Solution:
    """The cheapest network that takes a frame every ``interval`` cycles.

    ``budget``: the most of ``lut`` and ``bram``, either may be missing. Raises TargetError naming the layer that cannot
    be so fast, or the resource that does not suffice, with the nearest target that can be met.
    """
    every = every_choice(parts, interval)
    for part, some in zip(parts, every, strict=True):
        least = min(choice.cycles for choice in some)
        if least > interval:
            raise TargetError(
                f"layer {part.name!r} takes {least} cycles per frame at least, more than the {interval} asked for: the "
                f"fastest interval of this network is {number_of(fastest(every), 'cycle')}"
            )
    allowed = at_pace(every, interval)
    found = cheapest(allowed, budget)
    if found is None:
        nearest = _fitting(every, budget)
        hint = "nothing fits" if nearest is None else f"the nearest that fits is a frame every {nearest} cycles"
        wanted, takes = f"a frame every {number_of(interval, 'cycle')}", too_much(parts, allowed, budget)
        raise BudgetError(f"{wanted} takes {takes}: {hint}", takes)
    return found


def as_fast_as_fits(parts: Sequence[Part], budget: Mapping[str, float]) -> Solution:
    """The network of the shortest interval within the budget; TargetError where nothing fits."""
    every = every_choice(parts)
    interval = _fitting(every, budget)
    found = None if interval is None else cheapest(at_pace(every, interval), budget)
    if found is None:
        raise TargetError(f"even folded as far as possible the network takes {too_much(parts, every, budget)}")
    return found


def _fitting(every: Sequence[Sequence[Choice]], budget: Mapping[str, float]) -> int | None:
    """The shortest interval of which some choices fit."""
    least = fastest(every)
    intervals = sorted({choice.cycles for some in every for choice in some if choice.cycles >= least} | {least})
    low, high = 0, len(intervals)
    while low < high:
        middle = (low + high) // 2
        fits = cheapest(at_pace(every, intervals[middle]), budget) is not None
        low, high = (low, middle) if fits else (middle + 1, high)
    return intervals[low] if low < len(intervals) else None
