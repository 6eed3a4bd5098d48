"""Sampling, crossover and mutation of genomes: plain functions on a space and a random generator."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Sequence
from typing import TYPE_CHECKING

from nas.space import Genome, Space

if TYPE_CHECKING:
    import numpy as np

STEP_SHARE = 0.7
"""Of the mutations of ordered genes that go to a neighbouring choice, the others anywhere."""
_ATTEMPTS = 100  # random genomes per wanted one before a small space is listed
_LISTED = 20_000  # genomes at most that are listed to find the last ones not yet asked


def stratified(space: Space, count: int, rng: np.random.Generator) -> list[Genome]:
    """A Latin hypercube over the choices: each choice of a gene as often as every other; then distinct random ones."""
    columns = [[0] * count for _ in space.genes]
    for place in space.free:
        choices = len(space.genes[place].choices)
        columns[place] = rng.permutation([row * choices // count for row in range(count)]).tolist()
    found = dict.fromkeys(space.repair(row) for row in zip(*columns, strict=True))
    for _attempt in range(_ATTEMPTS * count):
        if len(found) >= count:
            break
        found.setdefault(space.sample(rng))
    return list(found)


def unseen(space: Space, count: int, seen: Container[Genome], rng: np.random.Generator) -> list[Genome]:
    """Up to ``count`` distinct random genomes that are not in ``seen``; fewer only where a small space runs out."""
    found: dict[Genome, None] = {}
    for _attempt in range(_ATTEMPTS * count):
        if len(found) == count:
            return list(found)
        genome = space.sample(rng)
        if genome not in seen:
            found.setdefault(genome)
    if space.size() <= _LISTED:
        left = [genome for genome in every(space) if genome not in seen and genome not in found]
        for index in rng.permutation(len(left))[: count - len(found)]:
            found.setdefault(left[index])
    return list(found)


def every(space: Space) -> Iterator[Genome]:
    """All genomes of the space, repaired, each once."""
    ranges = (range(len(gene.choices)) for gene in space.genes)
    return (genome for genome in itertools.product(*ranges) if space.repair(genome) == genome)


def mutated(space: Space, genome: Sequence[int], rng: np.random.Generator) -> Genome:
    """Each gene changed with probability 1/genes: ordered ones mostly by one step, others to any other choice.

    Genes that become active are drawn at random, as the 0 that repair left in them is nobody's choice.
    """
    mutant = list(genome)
    free = space.free
    changed = rng.random(len(free)) < 1 / max(len(free), 1)
    for place in itertools.compress(free, changed):
        gene, old = space.genes[place], mutant[place]
        others = [index for index in range(len(gene.choices)) if index != old]
        if gene.ordered and rng.random() < STEP_SHARE:
            others = [index for index in others if abs(index - old) == 1]
        mutant[place] = others[int(rng.integers(len(others)))]
    return woken(space, genome, mutant, rng)


def woken(space: Space, before: Sequence[int], after: Sequence[int], rng: np.random.Generator) -> Genome:
    """``after``, repaired, with random choices for the genes that meant nothing in ``before``."""
    drawn = list(after)
    was, free = space.active(before), set(space.free)
    for place, active in enumerate(space.active(after)):
        if active and not was[place] and place in free:
            drawn[place] = int(rng.integers(len(space.genes[place].choices)))
    return space.repair(drawn)


def crossed(
    space: Space, first: Sequence[int], second: Sequence[int], swap: Sequence[bool]
) -> tuple[Sequence[int], Sequence[int]]:
    """Two children, not yet repaired: the parents with the genes marked by ``swap`` exchanged.

    A gene that means something in one parent only is taken from that one by both.
    """
    children: tuple[list[int], list[int]] = ([], [])
    columns = zip(first, second, space.active(first), space.active(second), swap, strict=True)
    for one, other, in_first, in_second, exchanged in columns:
        pair = (other, one) if exchanged else (one, other)
        if in_first != in_second:
            pair = (one, one) if in_first else (other, other)
        children[0].append(pair[0])
        children[1].append(pair[1])
    return children
