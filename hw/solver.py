"""How far each layer is folded: mode, PE and SIMD of every part for a target, a budget, or as fast as fits.

Each part alone has a list of choices, none better than another in cycles, LUTs and block RAM at once. For a rate every
part takes its cheapest choice that keeps it, so that all are as slow as they may be; the fastest rate within a budget
is found by bisection over the rates that choices have. A latency is shared out between the parts that work while pixels
arrive, at one pace, and those that begin when all are there, one after another.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codesign.errors import TargetError
from hw.emit.folded import Folding
from hw.emit.modules import earns_block_ram
from hw.folded_cost import folded_cost
from hw.graph import Graph
from hw.parts import Part, beats_of
from hw.parts import parts as parts_of

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Choice:
    """One way to build a part; ``folding`` None: in parallel. Cycles a frame; predicted LUTs and 36 Kb block RAMs."""

    folding: Folding | None
    cycles: int
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

    def words(self) -> str:
        """In a few words."""
        if self.interval:
            return f"folded for a frame every {self.interval} cycles"
        if self.latency:
            return f"folded for a latency of {self.latency} cycles"
        return f"folded to be as fast as fits {100 * self.share:g} % of the part"

    def solve(self, graph: Graph, resources: Mapping[str, int]) -> Solution:
        """The folding of every part of ``graph`` within ``resources``; TargetError where there is none."""
        chain = parts_of(graph)
        budget = {name: self.share * resources[name] for name in _WORDS if name in resources}
        if self.interval:
            return at_rate(chain, self.interval, budget)
        return at_latency(chain, self.latency, budget) if self.latency else as_fast_as_fits(chain, budget)


def at_rate(parts: Sequence[Part], interval: int, budget: Mapping[str, float]) -> Solution:
    """The cheapest network that takes a frame every ``interval`` cycles.

    ``budget``: the most of ``lut`` and ``bram``, either may be missing. Raises TargetError naming the layer that cannot
    be so fast, or the resource that does not suffice, with the nearest target that can be met.
    """
    every = [choices(part) for part in parts]
    for part, some in zip(parts, every, strict=True):
        least = min(choice.cycles for choice in some)
        if least > interval:
            raise TargetError(
                f"layer {part.name!r} takes {least} cycles per frame at least, more than the {interval} asked for: the "
                f"fastest interval of this network is {_fastest(every)} cycles"
            )
    found = _chosen(every, interval, budget)
    for resource, most in budget.items():
        if found.total(resource) > most:
            raise TargetError(
                f"a frame every {interval} cycles takes {found.total(resource):.0f} {_WORDS[resource]}, of which "
                f"layer {_largest(parts, found, resource)!r} takes the most; {most:g} are allowed: "
                f"{_nearest(every, budget)}"
            )
    return found


def as_fast_as_fits(parts: Sequence[Part], budget: Mapping[str, float]) -> Solution:
    """The network of the shortest interval within the budget; TargetError where nothing fits."""
    every = [choices(part) for part in parts]
    interval = _fitting(every, budget)
    if interval is None:
        slowest = _chosen(every, max(choice.cycles for some in every for choice in some), budget)
        resource = max(budget, key=lambda name: slowest.total(name) - budget[name])
        raise TargetError(
            f"even folded as far as possible the network takes {slowest.total(resource):.0f} {_WORDS[resource]}, of "
            f"which layer {_largest(parts, slowest, resource)!r} takes the most; {budget[resource]:g} are allowed"
        )
    return _chosen(every, interval, budget)


def at_latency(parts: Sequence[Part], latency: int, budget: Mapping[str, float]) -> Solution:
    """The cheapest network whose steps take ``latency`` cycles a frame.

    Registers and queues between parts add to that: :func:`hw.fitting.fitted` holds it against the cycle model.
    Raises TargetError as :func:`at_rate`.
    """
    every = [choices(part) for part in parts]
    late = [index for index, part in enumerate(parts) if index and part.vectors == 1 and part.weighted]
    early = [index for index in range(len(parts)) if index not in late]
    fastest = _fastest([every[index] for index in early])
    sums = _cheapest_sums([every[index] for index in late], latency - fastest, budget)
    best: Solution | None = None
    for interval in sorted({choice.cycles for index in early for choice in every[index]} - set(range(fastest))):
        shared = int(np.searchsorted(sums.cycles, latency - interval, side="right")) - 1
        if shared < 0:
            break
        chosen = dict(zip(early, _cheapest([every[index] for index in early], interval, budget), strict=True))
        chosen |= {index: every[index][pick] for index, pick in zip(late, sums.picks[shared], strict=True)}
        found = _solution([chosen[index] for index in range(len(parts))], budget)
        if best is None or _total(found, budget) < _total(best, budget):
            best = found
    if best is None:
        least = fastest + sum(min(choice.cycles for choice in every[index]) for index in late)
        raise TargetError(f"a latency of {latency} cycles cannot be met: more than {least} are needed")
    for resource, most in budget.items():
        if best.total(resource) > most:
            raise TargetError(
                f"a latency of {latency} cycles takes {best.total(resource):.0f} {_WORDS[resource]}, of which layer "
                f"{_largest(parts, best, resource)!r} takes the most; {most:g} are allowed: ask for a longer latency"
            )
    return best


_WORDS = {"lut": "LUTs", "bram": "block RAMs"}


@functools.lru_cache(maxsize=64)
def choices(part: Part) -> Sequence[Choice]:
    """All sensible ways to build a part, the slowest first; one where it has no weights to share."""
    moves = len(part.window.moves) if part.window else beats_of(part.reads)
    around = _window_cost(part)
    if part.stage is None:
        return [Choice(None, moves, *around)]
    beats = max(moves, part.vectors)
    parallel = Choice(None, beats, around[0] + parallel_lut(part), around[1])
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
        found.append(Choice(folding, max(moves, part.vectors * each), around[0] + lut, around[1] + bram))
    return _worth(found)


def _shares(count: int) -> list[int]:
    """Sizes that divide ``count`` into equal groups as well as can be."""
    return sorted({-(-count // groups) for groups in range(1, count + 1)})


def _worth(found: Sequence[Choice]) -> list[Choice]:
    """Without those that another one beats in cycles, LUTs and block RAM."""
    kept: list[Choice] = []
    for choice in sorted(found, key=lambda choice: (choice.cycles, choice.lut, choice.bram)):
        if not any(better.lut <= choice.lut and better.bram <= choice.bram for better in kept):
            kept.append(choice)
    return kept[::-1]


def parallel_lut(part: Part) -> float:
    """LUTs of the adder graph: an adder less than weights per output, of which sharing saves its part."""
    stage = part.stage
    assert stage is not None
    weights = int(np.abs(stage.weights).sum())
    adders = max(0, weights - stage.n_out) * (_UNSHARED if weights > 4 * stage.n_out else 1.0)
    bits = stage.input_bits + math.log2(max(2.0, weights / stage.n_out)) / 2
    return adders * bits + stage.n_out * _LUT_ACTIVATION


def _window_cost(part: Part) -> tuple[float, float]:
    window = part.window
    if window is None or window.is_pixel or window.is_image:
        return _LUT_STREAM, 0.0
    lut, width = _LUT_WINDOW, (window.rows - 1) * window.dims[2] * part.joined.bits
    words = window.padding[2] + window.dims[1] + window.padding[3]
    if part.largest:
        lut += (window.rows * window.columns - 1) * window.dims[2] * part.joined.bits
    if width == 0:
        return lut, 0.0
    if earns_block_ram(width, words):
        return lut, math.ceil(width / 72) * math.ceil(words / 512)
    return lut + width * 4 / 3 * math.ceil(words / 64) * (0.5 if words <= 32 else 1.0), 0.0


# Estimates.
_LUT_WINDOW, _LUT_STREAM, _LUT_ACTIVATION, _UNSHARED = 30.0, 10.0, 6.0, 0.5


def _cost(choice: Choice, budget: Mapping[str, float]) -> float:
    """The share of the budget that it takes, or LUTs with a block RAM for what it weighs on the smallest part."""
    lut, bram = budget.get("lut", 53_200.0), budget.get("bram", 140.0)
    return choice.lut / max(lut, 1.0) + choice.bram / max(bram, 1.0)


def _total(found: Solution, budget: Mapping[str, float]) -> float:
    return sum(_cost(choice, budget) for choice in found.choices)


def _cheapest(every: Sequence[Sequence[Choice]], most: int, budget: Mapping[str, float]) -> list[Choice]:
    """Of each part the cheapest choice within ``most`` cycles."""
    return [
        min((choice for choice in some if choice.cycles <= most), key=lambda choice: _cost(choice, budget))
        for some in every
    ]


@dataclass(frozen=True)
class _Sums:
    """Ways to choose for several parts: cycles in all, ascending, each cheaper than those before, and its choices."""

    cycles: Ints
    picks: Ints  # (ways, parts)


def _cheapest_sums(every: Sequence[Sequence[Choice]], most: int, budget: Mapping[str, float]) -> _Sums:
    """All ways within ``most`` cycles that no other beats in cycles and cost; part by part, so that they stay few."""
    cycles, costs, picks = np.zeros(1, np.int64), np.zeros(1), np.zeros((1, 0), np.int64)
    for some in every:
        all_cycles = np.add.outer(cycles, [choice.cycles for choice in some]).ravel()
        all_costs = np.add.outer(costs, [_cost(choice, budget) for choice in some]).ravel()
        order = np.lexsort((all_costs, all_cycles))
        order = order[all_cycles[order] <= most]
        before = np.concatenate([[np.inf], np.minimum.accumulate(all_costs[order])])[:-1]
        kept = order[all_costs[order] < before]
        way, pick = np.divmod(kept, len(some))
        cycles, costs, picks = all_cycles[kept], all_costs[kept], np.column_stack([picks[way], pick])
    return _Sums(cycles, picks)


def _solution(chosen: Sequence[Choice], budget: Mapping[str, float]) -> Solution:
    found = Solution(tuple(chosen), None)
    shares = {name: found.total(name) / most for name, most in budget.items() if most > 0}
    return Solution(found.choices, max(shares, key=lambda name: shares[name]) if shares else None)


def _chosen(every: Sequence[Sequence[Choice]], interval: int, budget: Mapping[str, float]) -> Solution:
    return _solution(_cheapest(every, interval, budget), budget)


def _fastest(every: Sequence[Sequence[Choice]]) -> int:
    return max(min(choice.cycles for choice in some) for some in every)


def _fitting(every: Sequence[Sequence[Choice]], budget: Mapping[str, float]) -> int | None:
    """The shortest interval whose cheapest choices fit."""
    least = _fastest(every)
    intervals = sorted({choice.cycles for some in every for choice in some if choice.cycles >= least} | {least})
    low, high = 0, len(intervals)
    while low < high:
        middle = (low + high) // 2
        found = _chosen(every, intervals[middle], budget)
        fits = all(found.total(name) <= most for name, most in budget.items())
        low, high = (low, middle) if fits else (middle + 1, high)
    return intervals[low] if low < len(intervals) else None


def _nearest(every: Sequence[Sequence[Choice]], budget: Mapping[str, float]) -> str:
    interval = _fitting(every, budget)
    return "nothing fits" if interval is None else f"the nearest that fits is a frame every {interval} cycles"


def _largest(parts: Sequence[Part], found: Solution, resource: str) -> str:
    amounts = [getattr(choice, resource) for choice in found.choices]
    return parts[amounts.index(max(amounts))].name
