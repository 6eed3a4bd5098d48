"""Space: what can be searched, as a value of named genes; genome <-> Architecture is a bijection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

from codesign.architecture import Architecture
from codesign.errors import StudyError, nearest

if TYPE_CHECKING:
    import numpy as np

Choice = str | int | bool
Genome = tuple[int, ...]
"""One index into each gene's choices."""


@dataclass(frozen=True)
class Condition:
    """Holds when the (active) gene ``gene`` has one of ``choices``."""

    gene: str
    choices: frozenset[Choice]


@dataclass(frozen=True)
class Gene:
    """One decision.

    ``key`` is the study's name for it (``width_1`` and ``width_2`` share ``width``). ``ordered`` choices have
    neighbours, so that a small change exists. With ``when`` the gene means something only where that holds.
    """

    name: str
    key: str
    choices: tuple[Choice, ...]
    ordered: bool
    when: Condition | None = None


@dataclass(frozen=True)
class Space:
    """Named genes and the two functions between their active values and an Architecture.

    A new space is a new value of this class. ``build`` gets the values of the active genes by name, ``describe`` gives
    them back for any architecture that ``build`` can make. A gene's condition names an earlier gene.
    """

    name: str
    genes: tuple[Gene, ...]
    build: Callable[[Mapping[str, Choice]], Architecture]
    describe: Callable[[Architecture], Mapping[str, Choice]]

    def __post_init__(self) -> None:
        """Check that conditions look back only, which makes activity a single pass."""
        earlier: set[str] = set()
        for gene in self.genes:
            assert gene.choices, f"{gene.name} has no choices"
            assert len(set(gene.choices)) == len(gene.choices), f"{gene.name} has the same choice twice"
            assert gene.when is None or gene.when.gene in earlier, f"{gene.name} depends on a later gene"
            earlier.add(gene.name)

    def active(self, genome: Sequence[int]) -> tuple[bool, ...]:
        """Which genes mean something in this genome."""
        values: dict[str, Choice] = {}
        flags = []
        for gene, index in zip(self.genes, genome, strict=True):
            flag = gene.when is None or (gene.when.gene in values and values[gene.when.gene] in gene.when.choices)
            if flag:
                values[gene.name] = gene.choices[index]
            flags.append(flag)
        return tuple(flags)

    def repair(self, genome: Sequence[int]) -> Genome:
        """The one genome that stands for all genomes with the same active values: inactive genes are 0."""
        return tuple(int(index) if on else 0 for index, on in zip(genome, self.active(genome), strict=True))

    def decode(self, genome: Sequence[int]) -> Architecture:
        """The architecture of a genome; genomes with the same repair give the same one."""
        columns = zip(self.genes, genome, self.active(genome), strict=True)
        return self.build({gene.name: gene.choices[index] for gene, index, on in columns if on})

    def encode(self, architecture: Architecture) -> Genome:
        """Inverse of :meth:`decode`, repaired; ValueError for an architecture outside this space."""
        values = self.describe(architecture)
        try:
            genome = tuple(gene.choices.index(values[gene.name]) if gene.name in values else 0 for gene in self.genes)
            inside = self.decode(genome) == architecture
        except (ValueError, KeyError):
            inside = False
        if not inside:
            raise ValueError(f"{architecture.words()} is not in the space {self.name}")
        return self.repair(genome)

    def sample(self, rng: np.random.Generator) -> Genome:
        """A random repaired genome: every active gene's choices are equally likely."""
        return self.repair([int(rng.integers(len(gene.choices))) for gene in self.genes])

    def size(self) -> int:
        """Number of distinct architectures."""
        return prod(self._ways(gene) for gene in self.genes if gene.when is None)

    def _ways(self, gene: Gene) -> int:
        """Number of combinations of this gene and of those that depend on it, while it is active."""
        dependent = [(other, other.when) for other in self.genes if other.when and other.when.gene == gene.name]
        return sum(
            prod(self._ways(other) for other, when in dependent if choice in when.choices) for choice in gene.choices
        )

    def with_choices(self, choices: Mapping[str, Sequence[Choice]]) -> Space:
        """This space with other choices for some keys; genes that can then never be active are dropped."""
        keys = {gene.key for gene in self.genes}
        for key in choices:
            if key not in keys:
                raise StudyError(f"the space {self.name} has no gene {key!r}; {nearest(key, keys)}")
        genes: dict[str, Gene] = {}
        for gene in self.genes:
            when = gene.when
            if when is None or (when.gene in genes and when.choices.intersection(genes[when.gene].choices)):
                genes[gene.name] = replace(gene, choices=tuple(choices.get(gene.key, gene.choices)))
        return replace(self, genes=tuple(genes.values()))
