"""The algorithms that exist, by the name a study gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nas.algorithm import Algorithm, Settings
from nas.space import Space

DEEPMAKER = {"population": 30, "generations": 5, "epochs": 16, "batch_size": 128}
"""DeepMaker's own numbers (Loni et al., Microprocessors and Microsystems 73, 2020): what a study of it does not set."""


def _nsga2(space: Space, settings: Settings) -> Algorithm:
    from nas.nsga2 import Search

    return Search(space, settings.objectives, settings.constraints, settings.population, settings.seed)


def _deepmaker(space: Space, settings: Settings) -> Algorithm:
    from nas.nsga2 import deepmaker

    return deepmaker(space, settings)


def _annealing(space: Space, settings: Settings) -> Algorithm:
    from nas.annealing import Annealing

    return Annealing(space, settings)


def _random(space: Space, settings: Settings) -> Algorithm:
    from nas.random_search import RandomSearch

    return RandomSearch(space, settings)


ALGORITHMS: Mapping[str, Callable[[Space, Settings], Algorithm]] = {
    "nsga2": _nsga2,
    "deepmaker": _deepmaker,
    "annealing": _annealing,
    "random": _random,
}
