"""Random search: what any other algorithm has to beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nas.algorithm import NO_OTHERS, Settings, Told, checked
from nas.operators import unseen
from nas.space import Genome, Space


class RandomSearch:
    """Asks for random genomes of the space; what it is told changes nothing."""

    def __init__(self, space: Space, settings: Settings) -> None:
        self._space, self._population = space, settings.population
        self._rng = np.random.default_rng(settings.seed)
        self._seen: set[Genome] = set()
        self._asked = 0

    def ask(self) -> list[Genome]:
        """A population of genomes not asked before."""
        genomes = unseen(self._space, self._population, self._seen, self._rng)
        self._seen.update(genomes)
        self._asked = len(genomes)
        return genomes

    def tell(self, results: Sequence[Told], others: Mapping[Genome, Told] = NO_OTHERS) -> None:  # noqa: ARG002  # as all
        """Forget them."""
        checked(results, self._asked)

    def revise(self, told: Callable[[Genome], Told]) -> None:
        """Nothing was remembered."""
