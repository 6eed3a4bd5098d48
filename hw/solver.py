"""How far each layer is folded: mode, PE and SIMD of every part for a target, a budget, or as fast as fits.

Each part alone has a list of choices, none better than another in cycles, LUTs and block RAM at once. For a rate those
choices that keep it are put together as cheaply as the budget allows, exactly; the fastest rate within a budget is
found by bisection over the rates that choices have. A latency is shared out between the parts that work while pixels
arrive, at one pace, and those that begin when all are there, one after another.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from codesign.counting import number_of
from codesign.errors import InputError, TargetError
from hw.emit.folded import Folding
from hw.folded_cost import folded_cost
from hw.graph import Graph, Ints
from hw.parts import Part
from hw.parts import parts as parts_of
from hw.streaming_cost import around, moves, parallel_lut, waiting_luts

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """One way to build a part; ``folding`` None: in parallel.

    ``cycles`` that it is busy with a frame, ``steps`` of them after the last beat came; predicted LUTs and block RAMs
    of 36 Kb.
    """

    folding: Folding | None
    cycles: int
    steps: int
    lut: float
    bram: float


@dataclass(frozen=True)
class Solution:
    """A choice for every part, and the resource whose budget is used the most: None where there is no budget."""

    choices: tuple[Choice, ...]
    binds: str | None

    @property
    def interval(self) -> int:
        """Cycles between frames that the slowest part needs."""
        return max(choice.cycles for choice in self.choices)

    @property
    def foldings(self) -> dict[int, Folding]:
        """Of the folded parts, by index."""
        return {index: choice.folding for index, choice in enumerate(self.choices) if choice.folding}

    def total(self, resource: str) -> float:
        """Predicted LUTs (``lut``) or block RAMs (``bram``)."""
        return float(sum(getattr(choice, resource) for choice in self.choices))


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
        budget = {name: self.share * resources[name] for name in _WORDS if name in resources}
        if self.interval is not None:
            return at_rate(chain, self.interval, budget)
        return as_fast_as_fits(chain, budget) if self.latency is None else at_latency(chain, self.latency, budget)


def at_rate(parts: Sequence[Part], interval: int, budget: Mapping[str, float]) -> Solution:
    """The cheapest network that takes a frame every ``interval`` cycles.

    ``budget``: the most of ``lut`` and ``bram``, either may be missing. Raises TargetError naming the layer that cannot
    be so fast, or the resource that does not suffice, with the nearest target that can be met.
    """
    every = _every(parts, interval)
    for part, some in zip(parts, every, strict=True):
        least = min(choice.cycles for choice in some)
        if least > interval:
            raise TargetError(
                f"layer {part.name!r} takes {least} cycles per frame at least, more than the {interval} asked for: the "
                f"fastest interval of this network is {number_of(_fastest(every), 'cycle')}"
            )
    allowed = _at_pace(every, interval)
    found = _cheapest(allowed, budget)
    if found is None:
        nearest = _fitting(every, budget)
        hint = "nothing fits" if nearest is None else f"the nearest that fits is a frame every {nearest} cycles"
        wanted = f"a frame every {number_of(interval, 'cycle')}"
        raise TargetError(f"{wanted} takes {_too_much(parts, allowed, budget)}: {hint}")
    return found


def as_fast_as_fits(parts: Sequence[Part], budget: Mapping[str, float]) -> Solution:
    """The network of the shortest interval within the budget; TargetError where nothing fits."""
    every = _every(parts)
    interval = _fitting(every, budget)
    found = None if interval is None else _cheapest(_at_pace(every, interval), budget)
    if found is None:
        raise TargetError(f"even folded as far as possible the network takes {_too_much(parts, every, budget)}")
    return found


def at_latency(parts: Sequence[Part], latency: int, budget: Mapping[str, float]) -> Solution:
    """The cheapest network whose steps take ``latency`` cycles a frame.

    Registers and queues between parts add to that, and parts side by side are counted one after another:
    :func:`hw.fitting.fitted` holds it against the cycle model. Latencies are shared out without looking at the budget:
    where that binds, another way may be cheaper, or fit where none is found. Raises TargetError as :func:`at_rate`.
    """
    every = _every(parts)
    late = [index for index, part in enumerate(parts) if index and part.vectors == 1 and part.weighted]
    early = [index for index in range(len(parts)) if index not in late]
    pace = max(_fastest([every[index] for index in early]), *(moves(parts[index]) for index in late), 1)
    least = pace + sum(min(choice.steps for choice in every[index]) for index in late)
    if latency < least:
        wanted = f"a latency of {number_of(latency, 'cycle')}"
        raise TargetError(f"{wanted} cannot be met: the layers one after another take {least}")
    sums = _cheapest_sums([every[index] for index in late], latency - pace, budget)
    best, refused, least_cost = None, "", np.inf
    for interval, steps, bound in _shared_out([every[index] for index in early], sums, pace, latency, budget):
        if bound >= least_cost:
            break
        allowed = _at_pace(every, interval)
        for index, most in zip(late, steps, strict=True):
            allowed[index] = [choice for choice in every[index] if choice.steps <= most]
        found = _cheapest(allowed, budget)
        if found is None:
            refused = refused or _too_much(parts, allowed, budget)
        elif (cost := sum(_cost(choice, budget) for choice in found.choices)) < least_cost:
            best, least_cost = found, cost
    if best is None:
        raise TargetError(f"no way to a latency of {latency} cycles was found; one takes {refused}: ask for more")
    return best


def _shared_out(
    early: Sequence[Sequence[Choice]], sums: _Sums, pace: int, latency: int, budget: Mapping[str, float]
) -> Iterator[tuple[int, Sequence[int], float]]:
    """Ways to share a latency out, the cheapest first: cycles of ``early`` parts, steps of each late one, the cost.

    That is without looking at the budget, so at least what the way costs within it.
    """
    intervals = np.unique([pace, *(choice.cycles for some in early for choice in some if choice.cycles > pace)])
    ways = np.searchsorted(sums.cycles, latency - intervals, side="right") - 1
    intervals, ways = intervals[ways >= 0], ways[ways >= 0]
    costs = sums.costs[ways]
    for some in early:
        ascending = sorted(some, key=lambda choice: choice.cycles)
        cheapest = np.minimum.accumulate([_cost(choice, budget) for choice in ascending])
        costs = costs + cheapest[np.searchsorted([choice.cycles for choice in ascending], intervals, side="right") - 1]
    for place in np.argsort(costs, kind="stable"):
        yield int(intervals[place]), sums.steps[ways[place]].tolist(), float(costs[place])


_WORDS = {"lut": "LUTs", "bram": "block RAMs"}


def _every(parts: Sequence[Part], interval: int = 1) -> list[Sequence[Choice]]:
    """The choices of each part, with the queues in front of it at that pace or slower."""
    return [
        [replace(choice, lut=choice.lut + lut) for choice in choices(part)] if lut else choices(part)
        for part, lut in zip(parts, waiting_luts(parts, interval), strict=True)
    ]


@functools.lru_cache(maxsize=64)
def choices(part: Part) -> Sequence[Choice]:
    """All sensible ways to build a part alone, the slowest first; one where it has no weights to share."""
    (lut_around, bram_around), moved = around(part), moves(part)
    if part.stage is None:
        return [Choice(None, moved, 0, lut_around, bram_around)]
    parallel = Choice(None, max(moved, part.vectors), 0, lut_around + parallel_lut(part), bram_around)
    if not part.weighted or part.depthwise:
        return [parallel]
    found = [parallel]
    stage = part.stage
    for pe, simd in itertools.product(_shares(stage.n_out), _shares(stage.n_in)):
        folding = Folding(pe, simd)
        lut, bram = folded_cost(stage, folding)
        latency = folding.latency(
            stage.n_in, stage.n_out, ternary_input=stage.input_ternary, thresholded=stage.output_ternary
        )
        each = folding.interval(stage.n_in, stage.n_out, latency)
        cycles = max(moved, part.vectors * each)
        found.append(Choice(folding, cycles, each, lut_around + lut, bram_around + bram))
    return _worth(found)


def _shares(count: int) -> list[int]:
    """Sizes that divide ``count`` into equal groups as well as can be."""
    return sorted({-(-count // groups) for groups in range(1, count + 1)})


def _worth(found: Sequence[Choice]) -> list[Choice]:
    """Without those that another one beats in cycles, steps, LUTs and block RAM."""
    kept: list[Choice] = []
    for choice in sorted(found, key=lambda choice: (choice.cycles, choice.steps, choice.lut, choice.bram)):
        if not any(
            better.steps <= choice.steps and better.lut <= choice.lut and better.bram <= choice.bram for better in kept
        ):
            kept.append(choice)
    return kept[::-1]


def _cost(choice: Choice, budget: Mapping[str, float]) -> float:
    """The share of the budget that it takes, or LUTs with a block RAM for what it weighs on the smallest part."""
    return choice.lut / _luts(budget) + choice.bram / _brams(budget)


def _luts(budget: Mapping[str, float]) -> float:
    return max(budget.get("lut", 53_200.0), 1.0)


def _brams(budget: Mapping[str, float]) -> float:
    return max(budget.get("bram", 140.0), 1.0)


@dataclass(frozen=True)
class _Sums:
    """Ways to choose for several parts: steps in all, ascending, each cheaper than those before, and each part's."""

    cycles: Ints
    costs: Floats
    steps: Ints  # (ways, parts)


def _cheapest_sums(every: Sequence[Sequence[Choice]], most: int, budget: Mapping[str, float]) -> _Sums:
    """All ways within ``most`` steps that no other beats in steps and cost; part by part, so that they stay few."""
    cycles, costs, steps = np.zeros(1, np.int64), np.zeros(1), np.zeros((1, 0), np.int64)
    for some in every:
        own = np.array([choice.steps for choice in some])
        all_cycles = np.add.outer(cycles, own).ravel()
        all_costs = np.add.outer(costs, [_cost(choice, budget) for choice in some]).ravel()
        order = np.lexsort((all_costs, all_cycles))
        order = order[all_cycles[order] <= most]
        before = np.concatenate([[np.inf], np.minimum.accumulate(all_costs[order])])[:-1]
        kept = order[all_costs[order] < before]
        way, pick = np.divmod(kept, len(some))
        cycles, costs, steps = all_cycles[kept], all_costs[kept], np.column_stack([steps[way], own[pick]])
    return _Sums(cycles, costs, steps)


def _at_pace(every: Sequence[Sequence[Choice]], interval: int) -> list[Sequence[Choice]]:
    return [[choice for choice in some if choice.cycles <= interval] for some in every]


def _cheapest(every: Sequence[Sequence[Choice]], budget: Mapping[str, float]) -> Solution | None:
    """One choice of each part, together the cheapest that keep the budget; None where none do."""
    least, picks = _least_luts(every, budget)
    halves = np.arange(len(least))
    keeps = least <= budget.get("lut", np.inf)
    if not (keeps & np.isfinite(least)).any():
        return None
    costs = np.where(keeps, least / _luts(budget) + halves / 2 / _brams(budget), np.inf)
    chosen = _followed(every, picks, int(np.argmin(costs)))
    found = Solution(chosen, None)
    shares = {name: found.total(name) / most for name, most in budget.items() if most > 0}
    return Solution(chosen, max(shares, key=lambda name: shares[name]) if shares else None)


def _least_luts(every: Sequence[Sequence[Choice]], budget: Mapping[str, float]) -> tuple[Floats, list[Ints]]:
    """Part by part: the fewest LUTs with so many half block RAMs, 0 to the budget's, and by which choice of each."""
    used = [[round(2 * choice.bram) for choice in some] for some in every]
    room = int(2 * budget["bram"]) if "bram" in budget else sum(map(max, used))
    least, picks = np.full(room + 1, np.inf), list[Ints]()
    least[0] = 0.0
    for some, halves in zip(every, used, strict=True):
        ways = np.full((len(some), room + 1), np.inf)
        for way, choice, half in zip(ways, some, halves, strict=True):
            if half <= room:
                way[half:] = least[: room + 1 - half] + choice.lut
        picks.append(ways.argmin(axis=0))
        least = ways.min(axis=0)
    return least, picks


def _followed(every: Sequence[Sequence[Choice]], picks: Sequence[Ints], halves: int) -> tuple[Choice, ...]:
    """The choices that led to so many half block RAMs."""
    found = []
    for some, pick in zip(reversed(every), reversed(picks), strict=True):
        found.append(some[pick[halves]])
        halves -= round(2 * found[-1].bram)
    return tuple(reversed(found))


def _too_much(parts: Sequence[Part], every: Sequence[Sequence[Choice]], budget: Mapping[str, float]) -> str:
    """Which resource does not suffice for these choices, how much of it there must be, and which layer takes most."""
    chosen = [min(some, key=lambda choice: choice.bram) for some in every]
    resource = "bram"
    if sum(choice.bram for choice in chosen) <= budget.get("bram", np.inf):
        least, picks = _least_luts(every, budget)
        chosen, resource = list(_followed(every, picks, int(np.argmin(least)))), "lut"
    amounts = [getattr(choice, resource) for choice in chosen]
    amount = f"{sum(amounts):.0f}" if resource == "lut" else f"{sum(amounts):g}"
    return (
        f"{amount} {_WORDS[resource]} at least, of which layer {parts[amounts.index(max(amounts))].name!r} takes the "
        f"most; {budget[resource]:g} are allowed"
    )


def _fastest(every: Sequence[Sequence[Choice]]) -> int:
    return max(min(choice.cycles for choice in some) for some in every)


def _fitting(every: Sequence[Sequence[Choice]], budget: Mapping[str, float]) -> int | None:
    """The shortest interval of which some choices fit."""
    least = _fastest(every)
    intervals = sorted({choice.cycles for some in every for choice in some if choice.cycles >= least} | {least})
    low, high = 0, len(intervals)
    while low < high:
        middle = (low + high) // 2
        fits = _cheapest(_at_pace(every, intervals[middle]), budget) is not None
        low, high = (low, middle) if fits else (middle + 1, high)
    return intervals[low] if low < len(intervals) else None
