"""NSGA-II of pymoo by ask and tell: the one place that knows pymoo's classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.repair import Repair
from pymoo.core.sampling import Sampling
from pymoo.core.termination import NoTermination

from nas.space import Genome, Space
from nas.told import Told

_STEP_SHARE = 0.7  # of the mutations of ordered genes go to a neighbouring choice, the others anywhere
_ATTEMPTS = 100  # random genomes per wanted one before the first generation stays smaller, as pymoo does in mating

Matrix = NDArray[Any]


class Search:
    """A seeded NSGA-II run over the genomes of a space.

    The sequence of asks depends only on space, numbers, seed and what was told: replaying the tells of an
    interrupted run brings it to the same state. Needs at least one constraint.
    """

    def __init__(self, space: Space, objectives: int, constraints: int, population: int, seed: int) -> None:
        self._objectives = objectives
        self._seen: set[Genome] = set()
        self._asked: Any = None
        highest = np.array([len(gene.choices) - 1 for gene in space.genes])
        problem = Problem(
            n_var=len(space.genes), n_obj=objectives, n_ieq_constr=constraints, xl=np.zeros_like(highest), xu=highest
        )
        self._algorithm = NSGA2(
            pop_size=population,
            sampling=_StratifiedSampling(space),
            crossover=_ActiveUniformCrossover(space),
            mutation=_ChoiceMutation(space),
            repair=_SpaceRepair(space),
            eliminate_duplicates=_NeverTwice(self._seen),
        )
        self._algorithm.setup(problem, seed=seed, termination=NoTermination())

    def ask(self) -> list[Genome]:
        """The next generation's repaired genomes, never one asked before; fewer or none when the space runs out."""
        assert self._asked is None, "tell the last generation before asking for the next"
        population = self._algorithm.ask()
        if population is None or len(population) == 0:
            return []
        self._asked = population
        genomes = [tuple(int(index) for index in row) for row in population.get("X")]
        self._seen.update(genomes)
        return genomes

    def tell(self, results: Sequence[Told]) -> None:
        """The results of the last ask, in its order."""
        assert self._asked is not None
        assert len(results) == len(self._asked)
        for individual, result in zip(self._asked, results, strict=True):
            self._set(individual, result)
        self._algorithm.tell(infills=self._asked)
        self._asked = None

    def revise(self, told: Callable[[Genome], Told]) -> None:
        """What is known by now of those told earlier that still count; the next :meth:`tell` ranks by it."""
        for individual in self._algorithm.pop if self._algorithm.pop is not None else ():
            self._set(individual, told(tuple(int(index) for index in individual.X)))

    def _set(self, individual: Any, result: Told) -> None:
        unmeasured = result.objectives is None
        assert not unmeasured or max(result.violations) > 0, "an unmeasured candidate would rank as feasible"
        # pymoo orders infeasible candidates by violation alone, so their objectives are never compared
        objectives = np.full(self._objectives, np.inf) if unmeasured else np.array(result.objectives, dtype=float)
        individual.F, individual.G = objectives, np.array(result.violations, dtype=float)
        individual.CV = None  # pymoo keeps the violation that it added up before
        individual.evaluated.update({"F", "G"})


class _SpaceRepair(Repair):  # type: ignore[misc]  # pymoo is untyped
    """Gives every genome the form that stands for its architecture."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        self._space = space

    def _do(self, _problem: Problem, X: Matrix, **_: Any) -> Matrix:  # noqa: N803  # pymoo's name
        return np.array([self._space.repair(row) for row in X], dtype=int)


class _NeverTwice(DuplicateElimination):  # type: ignore[misc]  # pymoo is untyped
    """Removes what was asked before, not only what the population still holds as pymoo's own does."""

    def __init__(self, seen: set[Genome]) -> None:
        super().__init__()
        self._seen = seen

    def _do(self, pop: Population, other: Population | None, is_duplicate: Matrix) -> Matrix:
        known = set(self._seen)
        if other is not None:
            known.update(tuple(row) for row in other.get("X"))
        for position, row in enumerate(pop.get("X")):
            genome = tuple(row)
            is_duplicate[position] = genome in known
            if other is None:
                known.add(genome)
        return is_duplicate


class _StratifiedSampling(Sampling):  # type: ignore[misc]  # pymoo is untyped
    """A Latin hypercube over the choices: each choice of a gene as often as every other; then distinct random ones."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        self._space = space

    def _do(self, _problem: Problem, n_samples: int, *_: Any, random_state: np.random.Generator, **__: Any) -> Matrix:
        columns = [
            random_state.permutation(np.arange(n_samples) * len(gene.choices) // n_samples)
            for gene in self._space.genes
        ]
        found = dict.fromkeys(self._space.repair(row) for row in np.column_stack(columns))
        for _attempt in range(_ATTEMPTS * n_samples):
            if len(found) >= n_samples:
                break
            found.setdefault(self._space.sample(random_state))
        return np.array(list(found), dtype=int)


class _ActiveUniformCrossover(Crossover):  # type: ignore[misc]  # pymoo is untyped
    """Uniform crossover that takes a gene from the parent where it means something, if only one has it active."""

    def __init__(self, space: Space) -> None:
        super().__init__(n_parents=2, n_offsprings=2)
        self._space = space

    def _do(self, _problem: Problem, X: Matrix, *_: Any, random_state: np.random.Generator, **__: Any) -> Matrix:  # noqa: N803  # pymoo's name
        active = np.array([[self._space.active(row) for row in parent] for parent in X])
        swap = random_state.random(X.shape[1:]) < 0.5
        children = np.where(swap, X[::-1], X)
        from_active = np.where(swap, active[::-1], active)
        return np.where(from_active, children, np.where(swap, X, X[::-1]))


class _ChoiceMutation(Mutation):  # type: ignore[misc]  # pymoo is untyped
    """Changes each gene with probability 1/genes: ordered ones mostly by one step, others to any other choice.

    Genes that become active are drawn at random, as the 0 that repair left in them is nobody's choice.
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        self._space = space

    def _do(self, _problem: Problem, X: Matrix, *_: Any, random_state: np.random.Generator, **__: Any) -> Matrix:  # noqa: N803  # pymoo's name
        return np.array([self._mutated(row, random_state) for row in X], dtype=int)

    def _mutated(self, row: Matrix, rng: np.random.Generator) -> Matrix:
        genes = self._space.genes
        mutant = row.copy()
        for position in np.flatnonzero(rng.random(len(genes)) < 1 / len(genes)):
            gene, old = genes[position], int(row[position])
            others = [index for index in range(len(gene.choices)) if index != old]
            if gene.ordered and rng.random() < _STEP_SHARE:
                others = [index for index in others if abs(index - old) == 1]
            if others:
                mutant[position] = others[int(rng.integers(len(others)))]
        before: Matrix = np.array(self._space.active(row.tolist()))
        after: Matrix = np.array(self._space.active(mutant.tolist()))
        for position in np.flatnonzero(after & ~before):
            mutant[position] = rng.integers(len(genes[position].choices))
        return mutant
