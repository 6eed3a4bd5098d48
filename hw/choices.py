"""How each part may be built, and what a network of such choices takes: the cheapest of them, exactly."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from codesign.errors import TargetError
from hw.emit.folded import Folding
from hw.folded_cost import folded_cost
from hw.graph import Ints
from hw.parts import Part
from hw.streaming_cost import around, moves, parallel_lut, waiting_luts

Floats = NDArray[np.float64]

RESOURCES = {"lut": "LUTs", "bram": "block RAMs"}
"""Those that have a budget, in words."""


class BudgetError(TargetError):
    """Nothing within the budget is fast enough; ``takes``: how much of which resource it would, and whose layer."""

    def __init__(self, message: str, takes: str) -> None:
        """With all of it in ``message``."""
        super().__init__(message)
        self.takes = takes


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


def every_choice(parts: Sequence[Part], interval: int = 1) -> list[Sequence[Choice]]:
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
        _, each = folding.timing(stage)
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


def cost(choice: Choice, budget: Mapping[str, float]) -> float:
    """The share of the budget that it takes, or LUTs with a block RAM for what it weighs on the smallest part."""
    return choice.lut / _luts(budget) + choice.bram / _brams(budget)


def _luts(budget: Mapping[str, float]) -> float:
    return max(budget.get("lut", 53_200.0), 1.0)


def _brams(budget: Mapping[str, float]) -> float:
    return max(budget.get("bram", 140.0), 1.0)


def at_pace(every: Sequence[Sequence[Choice]], interval: int) -> list[Sequence[Choice]]:
    """Those that take a frame every ``interval`` cycles."""
    return [[choice for choice in some if choice.cycles <= interval] for some in every]


def cheapest(every: Sequence[Sequence[Choice]], budget: Mapping[str, float]) -> Solution | None:
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


def too_much(parts: Sequence[Part], every: Sequence[Sequence[Choice]], budget: Mapping[str, float]) -> str:
    """Which resource does not suffice for these choices, how much of it there must be, and which layer takes most."""
    chosen = [min(some, key=lambda choice: choice.bram) for some in every]
    resource = "bram"
    if sum(choice.bram for choice in chosen) <= budget.get("bram", np.inf):
        least, picks = _least_luts(every, budget)
        chosen, resource = list(_followed(every, picks, int(np.argmin(least)))), "lut"
    amounts = [getattr(choice, resource) for choice in chosen]
    amount = f"{sum(amounts):.0f}" if resource == "lut" else f"{sum(amounts):g}"
    besides = _besides(every, sum(amounts), budget) if resource == "lut" else ""
    return (
        f"{amount} {RESOURCES[resource]} at least{besides}, of which layer {parts[amounts.index(max(amounts))].name!r} "
        f"takes the most; {budget[resource]:g} are allowed"
    )


def _besides(every: Sequence[Sequence[Choice]], luts: float, budget: Mapping[str, float]) -> str:
    """With how many block RAMs it takes so many LUTs, where it would take fewer with more."""
    if "bram" not in budget or sum(min(choice.lut for choice in some) for some in every) > luts - 0.5:
        return ""
    if int(2 * budget["bram"]) == 0:
        return f" without block RAM ({budget['bram']:g} allowed)"
    return f" with the {budget['bram']:g} block RAMs that are allowed"


def fastest(every: Sequence[Sequence[Choice]]) -> int:
    """The shortest interval of all together."""
    return max(min(choice.cycles for choice in some) for some in every)
