"""Space: what can be searched, as a value of named genes; genome <-> Architecture is a bijection."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

from codesign.architecture import Architecture
from codesign.errors import StudyError, nearest
from codesign.toml_text import toml_value

if TYPE_CHECKING:
    import numpy as np

Choice = str | int | bool | float
Genome = tuple[int, ...]
"""One index into each gene's choices."""
_MOST_WAYS = 64  # of one network; a user's genes may have hardware for each layer


@dataclass(frozen=True)
class Condition:
    """Holds when the (active) gene ``gene`` has one of ``choices``, or with ``other`` any but these."""

    gene: str
    choices: frozenset[Choice]
    other: bool = False

    def holds(self, choice: Choice) -> bool:
        """Whether it does with that choice of the gene."""
        return (choice in self.choices) != self.other


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
    them back for any architecture that ``build`` can make. A gene's condition names an earlier gene. ``tied`` genes
    have no place in a genome: each takes the value of the first gene with its key.
    """

    name: str
    genes: tuple[Gene, ...]
    build: Callable[[Mapping[str, Choice]], Architecture]
    describe: Callable[[Architecture], Mapping[str, Choice]]
    tied: tuple[Gene, ...] = ()

    def __post_init__(self) -> None:
        """Check that conditions look back only, which makes activity a single pass."""
        earlier: set[str] = set()
        for gene in (*self.genes, *self.tied):
            assert gene.choices, f"{gene.name} has no choices"
            assert len(set(gene.choices)) == len(gene.choices), f"{gene.name} has the same choice twice"
            assert gene.when is None or gene.when.gene in earlier, f"{gene.name} depends on a later gene"
            earlier.add(gene.name)

    @property
    def free(self) -> tuple[int, ...]:
        """Places of the genes that leave a choice."""
        return tuple(place for place, gene in enumerate(self.genes) if len(gene.choices) > 1)

    def active(self, genome: Sequence[int]) -> tuple[bool, ...]:
        """Which genes mean something in this genome."""
        values: dict[str, Choice] = {}
        flags = []
        for gene, index in zip(self.genes, genome, strict=True):
            flag = _holds(gene.when, values)
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
        values = {gene.name: gene.choices[index] for gene, index, on in columns if on}
        first = {gene.key: gene.name for gene in reversed(self.genes)}
        for gene in self.tied:
            if _holds(gene.when, values):
                values[gene.name] = values[first[gene.key]]
        return self.build(values)

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
        genome = [0] * len(self.genes)
        for place in self.free:
            genome[place] = int(rng.integers(len(self.genes[place].choices)))
        return self.repair(genome)

    def ways(self, architecture: Architecture) -> tuple[Architecture, ...]:
        """The network of ``architecture`` in the hardware that this space has for it, at most 64: itself first.

        Found by single genes, one after another, that change the hardware alone. Itself alone where ``describe`` does
        not find it again.
        """
        try:
            network, first = architecture.network_digest(), self.encode(architecture)
        except ValueError:
            return (architecture,)
        found, waiting = {first: architecture}, [first]
        while waiting and len(found) < _MOST_WAYS:
            genome = waiting.pop(0)
            for place in self.free:
                for index in range(len(self.genes[place].choices)):
                    other = self.repair((*genome[:place], index, *genome[place + 1 :]))
                    if other not in found and (way := self.decode(other)).network_digest() == network:
                        found[other] = way
                        waiting.append(other)
        return tuple(dict.fromkeys(found.values()))[:_MOST_WAYS]

    def size(self) -> int:
        """Number of distinct architectures."""
        return prod(self._ways(gene) for gene in self.genes if gene.when is None)

    def _ways(self, gene: Gene) -> int:
        """Number of combinations of this gene and of those that depend on it, while it is active."""
        dependent = [(other, other.when) for other in self.genes if other.when and other.when.gene == gene.name]
        return sum(
            prod(self._ways(other) for other, when in dependent if when.holds(choice)) for choice in gene.choices
        )

    def with_choices(self, choices: Mapping[str, Sequence[Choice]]) -> Space:
        """This space with other choices for some keys, or for single genes by name, which come before their key's.

        Genes that can then never be active are dropped.
        """
        keys = {gene.key for gene in self.genes}
        names = {gene.name for gene in self.genes}
        for key, values in choices.items():
            if key not in keys | names:
                raise StudyError(f"the space {self.name} has no gene {key!r}; {_hint(key, keys)}")
            if not values:
                raise StudyError(f"the gene {key!r} of the space {self.name} has no choices: []; give it some")
            if len(set(values)) < len(values):
                twice = next(value for place, value in enumerate(values) if value in values[:place])
                raise StudyError(
                    f"the gene {key!r} of the space {self.name} has the choice {toml_value(twice)} twice: "
                    f"{toml_value(values)}; leave one out"
                )
        genes: dict[str, Gene] = {}
        for gene in self.genes:
            when = gene.when
            if when is None or (when.gene in genes and any(map(when.holds, genes[when.gene].choices))):
                given = choices.get(gene.name, choices.get(gene.key, gene.choices))
                genes[gene.name] = replace(gene, choices=tuple(given))
        return replace(self, genes=tuple(genes.values()))

    def with_genes(
        self,
        genes: Sequence[Gene],
        apply: Callable[[Architecture, Mapping[str, Choice]], Architecture],
        read: Callable[[Architecture], Mapping[str, Choice]],
    ) -> Space:
        """This space with further genes: ``apply`` puts their active values into an architecture, ``read`` finds them.

        ``apply`` also gets the values of this space's genes, which must still be found in what it makes.
        """
        return replace(
            self,
            genes=(*self.genes, *genes),
            build=lambda values: apply(self.build(values), values),
            describe=lambda architecture: {**self.describe(architecture), **read(architecture)},
        )

    def with_tied(self, keys: Sequence[str]) -> Space:
        """This space with one gene for each of ``keys``, which all genes of that key then follow."""
        first = {gene.key: gene for gene in reversed(self.genes)}
        followers = [gene for gene in self.genes if gene.key in keys and gene is not first[gene.key]]
        for gene in followers:
            if gene.choices != first[gene.key].choices:
                raise StudyError(
                    f"the genes {first[gene.key].name!r} and {gene.name!r} of the space {self.name} have different "
                    "choices, but all layers have one in common: let space.per_layer have it, or give them the same"
                )
        kept = tuple(gene for gene in self.genes if gene not in followers)
        return replace(self, genes=kept, tied=(*self.tied, *followers))


def _holds(when: Condition | None, values: Mapping[str, Choice]) -> bool:
    return when is None or (when.gene in values and when.holds(values[when.gene]))


def _hint(key: str, keys: Collection[str]) -> str:
    """The nearest keys and all of them: what is meant may have another name altogether."""
    near, known = nearest(key, keys), f"known: {', '.join(sorted(keys))}"
    return near if near == known else f"{near} {known}"
