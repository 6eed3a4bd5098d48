"""Multi-objective simulated annealing by ask and tell, after AMOSA.

Bandyopadhyay, Saha, Maulik and Deb, "A simulated annealing-based multiobjective optimization algorithm: AMOSA", IEEE
Trans. Evolutionary Computation 12(3), 2008, section III; DenseDisp searches with it. Ours differs in three things:
as many chains as the population run side by side, over one archive, so that candidates can be measured together; the
archive is not thinned by clustering, since it stays as small as the search is short; budgets come before objectives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nas.algorithm import NO_OTHERS, Settings, Told, checked
from nas.indicators import dominates
from nas.operators import mutated, stratified, unseen
from nas.space import Genome, Space

HOTTEST, COLDEST = 0.1, 1e-5
"""Temperatures of the first and the last generation, in amounts of domination (0 to 1)."""
_ATTEMPTS = 50  # neighbours tried before a chain goes on from a random genome

Point = tuple[Genome, Told]


class Annealing:
    """Chains that walk to mutated neighbours, and accept worse ones the less the colder it is."""

    def __init__(self, space: Space, settings: Settings) -> None:
        self._space, self._settings = space, settings
        self._rng = np.random.default_rng(settings.seed)
        self._seen: set[Genome] = set()
        self._chains: list[Point] = []
        self._archive: list[Point] = []
        self._asked: list[tuple[int, Genome]] = []
        self._told = 0

    def ask(self) -> list[Genome]:
        """One genome for each chain, a neighbour of where it stands; fewer when the space runs out."""
        assert not self._asked, "tell the last generation before asking for the next"
        if not self._told:
            self._asked = list(enumerate(stratified(self._space, self._settings.population, self._rng)))
            self._seen.update(genome for _, genome in self._asked)
        else:
            for chain, (genome, _) in enumerate(self._chains):
                neighbour = self._neighbour(genome)
                if neighbour is not None:
                    self._asked.append((chain, neighbour))
                    self._seen.add(neighbour)
        return [genome for _, genome in self._asked]

    def tell(self, results: Sequence[Told], others: Mapping[Genome, Told] = NO_OTHERS) -> None:
        """Let each chain accept or refuse its neighbour; ``others`` come into the archive alone."""
        checked(results, len(self._asked))
        for (chain, genome), told in zip(self._asked, results, strict=True):
            new = (genome, told)
            if self._told:
                self._chains[chain] = self._accepted(self._chains[chain], new)
            else:
                self._chains.append(new)
            self._keep(new)
        kept = {genome for genome, _ in self._archive}
        for genome, told in others.items():
            if genome not in kept:
                self._keep((genome, told))
        self._seen.update(others)
        self._asked = []
        self._told += 1

    def revise(self, told: Callable[[Genome], Told]) -> None:
        """Bring chains and archive up to what is known by now; what the archive once dropped stays dropped."""
        self._chains = [(genome, told(genome)) for genome, _ in self._chains]
        points, self._archive = self._archive, []
        for genome, _ in points:
            self._keep((genome, told(genome)))

    def temperature(self) -> float:
        """Of the generation that is told next: from hottest to coldest geometrically."""
        share = min(1.0, self._told / max(1, self._settings.generations - 1))
        return float(HOTTEST * (COLDEST / HOTTEST) ** share)

    def _neighbour(self, genome: Genome) -> Genome | None:
        for _attempt in range(_ATTEMPTS):
            neighbour = mutated(self._space, genome, self._rng)
            if neighbour not in self._seen:
                return neighbour
        return next(iter(unseen(self._space, 1, self._seen, self._rng)), None)

    def _accepted(self, current: Point, new: Point) -> Point:
        """AMOSA's three cases: the new point is worse than the current one, neither, or better."""
        ahead = [point for point in self._archive if _before(point[1], new[1])]
        if _before(current[1], new[1]):
            return new if self._rng.random() < self._chance([*ahead, current], new) else current
        if not _before(new[1], current[1]):
            return new if not ahead or self._rng.random() < self._chance(ahead, new) else current
        if ahead:  # better than the current one, but the archive has still better
            nearest = min(ahead, key=lambda point: (self._amount(point[1], new[1]), point[0]))
            least = self._amount(nearest[1], new[1])
            return nearest if self._rng.random() < 1 / (1 + math.exp(-least)) else new
        return new

    def _chance(self, ahead: Sequence[Point], new: Point) -> float:
        average = sum(self._amount(point[1], new[1]) for point in ahead) / len(ahead)
        return 1 / (1 + math.exp(min(average / self.temperature(), 500.0)))

    def _amount(self, first: Told, second: Told) -> float:
        """AMOSA's amount of domination, 0 to 1: the product of the differences, relative to the archive's ranges."""
        if first.excess or second.excess or first.objectives is None or second.objectives is None:
            apart = abs(first.excess - second.excess)
            return apart / (1 + apart)
        known = [told.objectives for _, told in self._archive if told.objectives is not None]
        columns = zip(*known, first.objectives, second.objectives, strict=True)
        ranges = [max(column) - min(column) for column in columns]
        pairs = zip(first.objectives, second.objectives, ranges, strict=True)
        return float(math.prod(abs(a - b) / width for a, b, width in pairs if a != b))

    def _keep(self, new: Point) -> None:
        """Put a point that nothing in the archive is better than into it, and drop what it is better than."""
        if not any(_before(point[1], new[1]) for point in self._archive):
            self._archive = [point for point in self._archive if not _before(new[1], point[1])]
            self._archive.append(new)


def _before(first: Told, second: Told) -> bool:
    """Whether ``first`` is better: less over the budgets, or within them and dominating."""
    if first.excess or second.excess:
        return first.excess < second.excess
    assert first.objectives is not None
    assert second.objectives is not None
    return dominates(first.objectives, second.objectives)
