"""What every search algorithm is: it asks for genomes and is told what became of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from nas.space import Genome

FAILED_VIOLATION = 1e6
"""Constraint violation of a candidate that could not be measured: behind every one that merely misses a budget."""


@dataclass(frozen=True)
class Told:
    """What an algorithm learns of one candidate: objectives (small is good), violations (kept when <= 0).

    ``objectives`` is None for a candidate that was not measured; its violations must then not be all kept.
    """

    objectives: tuple[float, ...] | None
    violations: tuple[float, ...]

    @property
    def excess(self) -> float:
        """All violations together; 0 for a candidate that keeps every budget."""
        return sum(max(0.0, violation) for violation in self.violations)


@dataclass(frozen=True)
class Settings:
    """Numbers of a search; ``generations`` is how many asks are planned."""

    objectives: int
    constraints: int
    population: int
    generations: int
    seed: int


NO_OTHERS: Mapping[Genome, Told] = MappingProxyType({})


class Algorithm(Protocol):
    """A seeded search over the genomes of a space.

    The sequence of asks depends only on space, settings and what was told: telling a new one what an interrupted one
    was told brings it to the same state, bit for bit.
    """

    def ask(self) -> list[Genome]:
        """The next repaired genomes, about a population, never one asked before; none when the space has run out."""

    def tell(self, results: Sequence[Told], others: Mapping[Genome, Told] = NO_OTHERS) -> None:
        """The results of the last ask, in its order, and of ``others`` that were measured without being asked for."""

    def revise(self, told: Callable[[Genome], Told]) -> None:
        """What is known by now of genomes told earlier, where it still counts; before the next tell."""


def failed(constraints: int) -> Told:
    """What is told of a candidate that could not be measured at all."""
    return Told(None, (FAILED_VIOLATION,) * constraints)


def checked(results: Sequence[Told], asked: int) -> Sequence[Told]:
    """The results, held to what an algorithm relies on."""
    assert len(results) == asked, "a result for each genome asked"
    for result in results:
        unmeasured = result.objectives is None
        assert not unmeasured or max(result.violations) > 0, "an unmeasured candidate would rank as feasible"
    return results
