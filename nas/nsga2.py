"""NSGA-II of pymoo by ask and tell, and DeepMaker's variant: the one place that knows pymoo's classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from pymoo.core.selection import Selection
from pymoo.core.termination import NoTermination

from nas.algorithm import NO_OTHERS, Settings, Told, checked
from nas.operators import crossed, mutated, stratified, unseen
from nas.space import Genome, Space

Matrix = NDArray[Any]


class Search:
    """NSGA-II (Deb et al., 2002) over the genomes of a space; needs at least one constraint.

    ``mating`` are pymoo's operators where others than ours are wanted.
    """

    def __init__(
        self, space: Space, objectives: int, constraints: int, population: int, seed: int, **mating: Any
    ) -> None:
        self._space, self._objectives = space, objectives
        self._rng = np.random.default_rng(seed)
        self._seen: set[Genome] = set()
        self._asked: Any = None
        highest = np.array([len(gene.choices) - 1 for gene in space.genes])
        problem = Problem(
            n_var=len(space.genes), n_obj=objectives, n_ieq_constr=constraints, xl=np.zeros_like(highest), xu=highest
        )
        self._algorithm = NSGA2(
            pop_size=population,
            sampling=_StratifiedSampling(space),
            mutation=_ChoiceMutation(space),
            repair=_SpaceRepair(space),
            eliminate_duplicates=_NeverTwice(self._seen),
            **{"crossover": _UniformCrossover(space), **mating},
        )
        self._algorithm.setup(problem, seed=seed, termination=NoTermination())

    def ask(self) -> list[Genome]:
        """The next generation's repaired genomes, never one asked before; fewer or none when the space runs out."""
        assert self._asked is None, "tell the last generation before asking for the next"
        population = self._algorithm.ask()
        if population is None or len(population) == 0:  # mating found nothing new; there may still be something
            left = unseen(self._space, self._algorithm.pop_size, self._seen, self._rng)
            if not left:
                return []
            population = Population.new("X", np.array(left, dtype=int))
            self._algorithm.termination.force_termination = False
        self._asked = population
        genomes = [_genome(individual) for individual in population]
        self._seen.update(genomes)
        return genomes

    def tell(self, results: Sequence[Told], others: Mapping[Genome, Told] = NO_OTHERS) -> None:
        """The results of the last ask, in its order, and of ``others``, which may join the population."""
        assert self._asked is not None
        for individual, result in zip(self._asked, checked(results, len(self._asked)), strict=True):
            self._set(individual, result)
        known = {_genome(individual) for individual in self._asked} | {_genome(one) for one in self._population()}
        new = [genome for genome in others if genome not in known]
        self._seen.update(new)
        joined = Population.new("X", np.array(new, dtype=int).reshape(len(new), len(self._space.genes)))
        for individual, result in zip(joined, checked([others[genome] for genome in new], len(new)), strict=True):
            self._set(individual, result)
        self._algorithm.tell(infills=Population.merge(self._asked, joined))
        self._asked = None

    def revise(self, told: Callable[[Genome], Told]) -> None:
        """What is known by now of those told earlier that still count; the next :meth:`tell` ranks by it."""
        for individual in self._population():
            (result,) = checked([told(_genome(individual))], 1)
            self._set(individual, result)

    def _population(self) -> Any:
        return self._algorithm.pop if self._algorithm.pop is not None else ()

    def _set(self, individual: Any, result: Told) -> None:
        unmeasured = result.objectives is None
        # pymoo orders infeasible candidates by violation alone, so their objectives are never compared
        objectives = np.full(self._objectives, np.inf) if unmeasured else np.array(result.objectives, dtype=float)
        individual.F, individual.G = objectives, np.array(result.violations, dtype=float)
        individual.CV = None  # pymoo keeps the violation that it added up before
        individual.evaluated.update({"F", "G"})


def _genome(individual: Any) -> Genome:
    return tuple(int(index) for index in individual.X)


def deepmaker(space: Space, settings: Settings) -> Search:
    """DeepMaker's variant: parents by roulette over their ranks, one-point crossover."""
    mating = {"selection": _Roulette(), "crossover": _OnePointCrossover(space)}
    return Search(space, settings.objectives, settings.constraints, settings.population, settings.seed, **mating)


class _Roulette(Selection):  # type: ignore[misc]  # pymoo is untyped
    """Parents drawn with a chance of 1 / (1 + rank); those over a budget rank behind all others, by how far."""

    def _do(
        self, _problem: Problem, pop: Population, n_select: int, n_parents: int,
        *_: Any, random_state: np.random.Generator, **__: Any,
    ) -> Matrix:  # fmt: skip
        over = pop.get("CV")[:, 0]
        ranks = np.array([0 if excess > 0 else rank for rank, excess in zip(pop.get("rank"), over, strict=True)])
        order = np.argsort(np.argsort(over, kind="stable"), kind="stable")
        ranks = np.where(over > 0, 1 + ranks.max() + order, ranks)
        chances = 1.0 / (1.0 + ranks)
        return random_state.choice(len(pop), size=(n_select, n_parents), p=chances / chances.sum())


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
    """See :func:`nas.operators.stratified`."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        self._space = space

    def _do(self, _problem: Problem, n_samples: int, *_: Any, random_state: np.random.Generator, **__: Any) -> Matrix:
        return np.array(stratified(self._space, n_samples, random_state), dtype=int)


class _UniformCrossover(Crossover):  # type: ignore[misc]  # pymoo is untyped
    """Each gene that leaves a choice is exchanged with probability one half."""

    def __init__(self, space: Space) -> None:
        super().__init__(n_parents=2, n_offsprings=2)
        self._space = space

    def _do(self, _problem: Problem, X: Matrix, *_: Any, random_state: np.random.Generator, **__: Any) -> Matrix:  # noqa: N803  # pymoo's name
        swap = np.zeros(X.shape[1:], dtype=bool)
        swap[:, self._space.free] = random_state.random((X.shape[1], len(self._space.free))) < 0.5
        pairs = [crossed(self._space, *couple) for couple in zip(X[0].tolist(), X[1].tolist(), swap, strict=True)]
        return np.array(list(zip(*pairs, strict=True)), dtype=int)


class _OnePointCrossover(Crossover):  # type: ignore[misc]  # pymoo is untyped
    """All genes from a random place on are exchanged."""

    def __init__(self, space: Space) -> None:
        super().__init__(n_parents=2, n_offsprings=2)
        self._space = space

    def _do(self, _problem: Problem, X: Matrix, *_: Any, random_state: np.random.Generator, **__: Any) -> Matrix:  # noqa: N803  # pymoo's name
        places = [*self._space.free[1:], X.shape[2]]  # a cut before the first gene would exchange the parents
        cuts = random_state.integers(len(places), size=(X.shape[1],))
        swaps = [[place >= places[cut] for place in range(X.shape[2])] for cut in cuts.tolist()]
        pairs = [crossed(self._space, *couple) for couple in zip(X[0].tolist(), X[1].tolist(), swaps, strict=True)]
        return np.array(list(zip(*pairs, strict=True)), dtype=int)


class _ChoiceMutation(Mutation):  # type: ignore[misc]  # pymoo is untyped
    """See :func:`nas.operators.mutated`."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        self._space = space

    def _do(self, _problem: Problem, X: Matrix, *_: Any, random_state: np.random.Generator, **__: Any) -> Matrix:  # noqa: N803  # pymoo's name
        return np.array([mutated(self._space, row, random_state) for row in X.tolist()], dtype=int)
