"""A latency shared out between parts: those that work while pixels arrive, at one pace, and those that begin after.

Behind that pace come the steps of every part for what arrived last, one part after another.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.counting import number_of
from codesign.errors import TargetError
from hw.choices import BudgetError, Choice, Floats, Solution, at_pace, cheapest, cost, every_choice, fastest, too_much
from hw.graph import Ints
from hw.parts import Part


def least_latency(parts: Sequence[Part]) -> tuple[int, str]:
    """The fewest cycles that :func:`at_latency` can be asked for, and the layer that takes them."""
    needed = [fastest([some]) for some in every_choice(parts)]
    return max(needed), parts[needed.index(max(needed))].name


def at_latency(parts: Sequence[Part], latency: int, budget: Mapping[str, float]) -> Solution:
    """The cheapest network whose steps take ``latency`` cycles a frame.

    Registers and queues between parts add to that, and parts side by side are counted one after another:
    :func:`hw.fitting.fitted` holds it against the cycle model. Latencies are shared out without looking at the budget:
    where that binds, another way may be cheaper, or fit where none is found. Raises TargetError, naming the layer that
    takes longer alone, or BudgetError.
    """
    wanted, (least, slowest) = f"a latency of {number_of(latency, 'cycle')}", least_latency(parts)
    if latency < least:
        raise TargetError(f"{wanted} cannot be met: layer {slowest!r} alone takes {number_of(least, 'cycle')}")
    every = every_choice(parts)
    if parts[0].vectors == 1:  # nothing comes before its one vector: its cycles are those steps
        every[0] = [replace(choice, steps=0) for choice in every[0]]
    early = [index == 0 or part.vectors > 1 or not part.weighted for index, part in enumerate(parts)]
    best, takes, least_cost = None, "", np.inf
    for bound, interval, steps in _shared_out(every, early, latency, budget):
        if bound >= least_cost:
            break
        paces = [interval if is_early else np.inf for is_early in early]
        allowed = [
            [choice for choice in some if choice.steps <= most and choice.cycles <= pace]
            for some, most, pace in zip(every, steps, paces, strict=True)
        ]
        found = cheapest(allowed, budget)
        if found is None:
            takes = takes or too_much(parts, allowed, budget)
        elif (total := sum(cost(choice, budget) for choice in found.choices)) < least_cost:
            best, least_cost = found, total
    if best is None:
        raise BudgetError(f"no way to {wanted} was found; one takes {takes}: ask for more", takes)
    return best


def _shared_out(
    every: Sequence[Sequence[Choice]], early: Sequence[bool], latency: int, budget: Mapping[str, float]
) -> Iterator[tuple[float, int, list[int]]]:
    """Ways to share a latency out, the cheapest first: the cost, the pace of the ``early`` parts, most steps of each.

    That is without looking at the budget, so at least what the way costs within it. Of each pace it is known first what
    it costs if every part may take all steps that are left, and shared out exactly where that is the cheapest.
    """
    least = fastest(every)
    at_once = [some for some, is_early in zip(every, early, strict=True) if is_early]
    behind = _cheapest_sums(
        [some for some, is_early in zip(every, early, strict=True) if not is_early], latency - least, budget
    )
    paces = np.unique([least, *(choice.cycles for some in at_once for choice in some if choice.cycles > least)])
    paces = paces[paces <= latency]
    bounds = behind.costs[behind.within(latency - paces)]
    for some in at_once:
        cycles, steps = (np.array([getattr(choice, name) for choice in some]) for name in ("cycles", "steps"))
        costs = np.array([cost(choice, budget) for choice in some])
        allowed = (cycles <= paces[:, None]) & (steps <= latency - paces[:, None])
        bounds = bounds + np.where(allowed, costs, np.inf).min(axis=1)
    waiting: list[tuple[float, int, list[int]]] = [
        (bound, pace, []) for bound, pace in zip(bounds.tolist(), paces.tolist(), strict=True)
    ]
    heapq.heapify(waiting)
    while waiting:
        bound, pace, found = heapq.heappop(waiting)
        if found:
            yield bound, pace, found
            continue
        own = _cheapest_sums(at_pace(at_once, pace), latency - pace, budget)
        ways = behind.within(latency - pace - own.cycles)
        costs = own.costs + behind.costs[ways]
        way = int(np.argmin(costs))
        first, then = iter(own.steps[way].tolist()), iter(behind.steps[ways[way]].tolist())
        heapq.heappush(waiting, (float(costs[way]), pace, [next(first if is_early else then) for is_early in early]))


@dataclass(frozen=True)
class _Sums:
    """Ways to choose for several parts: steps in all, ascending, each cheaper than those before, and each part's."""

    cycles: Ints
    costs: Floats
    steps: Ints  # (ways, parts)

    def within(self, most: Ints) -> Ints:
        """The cheapest way in ``most`` steps, for each of these; some way takes none."""
        return np.searchsorted(self.cycles, most, side="right") - 1


def _cheapest_sums(every: Sequence[Sequence[Choice]], most: int, budget: Mapping[str, float]) -> _Sums:
    """All ways within ``most`` steps that no other beats in steps and cost; part by part, so that they stay few."""
    cycles, costs, steps = np.zeros(1, np.int64), np.zeros(1), np.zeros((1, 0), np.int64)
    for some in every:
        own = np.array([choice.steps for choice in some])
        all_cycles = np.add.outer(cycles, own).ravel()
        all_costs = np.add.outer(costs, [cost(choice, budget) for choice in some]).ravel()
        order = np.lexsort((all_costs, all_cycles))
        order = order[all_cycles[order] <= most]
        before = np.concatenate([[np.inf], np.minimum.accumulate(all_costs[order])])[:-1]
        kept = order[all_costs[order] < before]
        way, pick = np.divmod(kept, len(some))
        cycles, costs, steps = all_cycles[kept], all_costs[kept], np.column_stack([steps[way], own[pick]])
    return _Sums(cycles, costs, steps)
