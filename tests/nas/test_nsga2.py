from __future__ import annotations

import numpy as np
import pytest

from nas.algorithm import FAILED_VIOLATION, Told, failed
from nas.nsga2 import Search
from nas.spaces import mlp

SPACE = mlp(64, 10)
TINY = SPACE.with_choices(
    {"depth": (1,), "width": (8, 12), "input_bits": (1,), "activation": ("ternary",), "folding": (8,)}
)


def objectives(space, genome):
    architecture = space.decode(genome)
    units = sum(layer.units for layer in architecture.hidden)
    return (1.0 / (units * architecture.input_bits), float(units * architecture.input_bits), float(len(genome)))


def run(space, *, population, generations, seed=1, constraint=lambda _genome: 0.0):
    search = Search(space, 3, 1, population, seed)
    asked = []
    for _ in range(generations):
        genomes = search.ask()
        asked.append(genomes)
        if not genomes:
            break
        search.tell([Told(objectives(space, genome), (constraint(genome),)) for genome in genomes])
    return asked


def test_the_same_seed_asks_the_same_and_another_seed_something_else():
    first, again, other = (run(SPACE, population=8, generations=4, seed=seed) for seed in (5, 5, 6))
    assert first == again
    assert first[0] != other[0]


def test_nothing_is_asked_twice_and_everything_is_repaired():
    asked = [genome for genomes in run(SPACE, population=16, generations=20) for genome in genomes]
    assert len(asked) == len(set(asked)) == 16 * 20
    assert all(SPACE.repair(genome) == genome for genome in asked)


@pytest.mark.parametrize("population", [2, 3, 16])
def test_a_small_space_is_exhausted_and_then_nothing_is_asked(population):
    asked = run(TINY, population=population, generations=40)
    found = [genome for genomes in asked for genome in genomes]
    assert asked[-1] == []
    assert len(found) == len(set(found)) == TINY.size() == 8


def test_the_first_generation_holds_every_choice():
    (first,) = run(SPACE, population=16, generations=1)
    depths = {len(SPACE.decode(genome).hidden) for genome in first}
    modes = [SPACE.decode(genome).hardware.mode for genome in first]
    assert depths == {1, 2, 3, 4}
    assert modes.count("folded") == 8


def test_search_moves_towards_the_better():
    def mean(genomes):
        return np.mean([objective(genome) for genome in genomes])

    def objective(genome):
        return float(sum(layer.units for layer in SPACE.decode(genome).hidden))

    search = Search(SPACE, 1, 1, 16, 3)
    means = []
    for _ in range(8):
        genomes = search.ask()
        means.append(mean(genomes))
        search.tell([Told((objective(genome),), (0.0,)) for genome in genomes])
    assert means[-1] < 0.5 * means[0]


def test_constraints_come_before_objectives():
    """Only folded networks are feasible: selection must turn to them whatever the objectives say."""

    def is_folded(genome):
        return SPACE.decode(genome).hardware.mode == "folded"

    asked = run(SPACE, population=16, generations=6, constraint=lambda genome: -1.0 if is_folded(genome) else 2.0)
    assert sum(map(is_folded, asked[-1])) > 12


def test_failed_candidates_are_told_behind_all_others():
    """One gene value always fails; the others are infeasible. Survivors must be the merely infeasible ones."""
    search = Search(SPACE, 2, 2, 16, 1)
    for _ in range(6):
        genomes = search.ask()
        search.tell(
            [failed(2) if SPACE.decode(genome).batch_norm else Told((1.0, 2.0), (0.5, -1.0)) for genome in genomes]
        )
    assert sum(SPACE.decode(genome).batch_norm for genome in search.ask()) < 6  # half of 16 without selection
    assert failed(2) == Told(None, (FAILED_VIOLATION, FAILED_VIOLATION))


def test_all_failed_goes_on():
    search = Search(SPACE, 2, 1, 4, 1)
    for _ in range(3):
        genomes = search.ask()
        assert len(genomes) == 4
        search.tell([failed(1)] * 4)


def test_an_unmeasured_candidate_cannot_pass_as_feasible():
    search = Search(SPACE, 2, 1, 2, 1)
    search.ask()
    with pytest.raises(AssertionError, match="an unmeasured candidate would rank as feasible"):
        search.tell([Told(None, (0.0,))] * 2)


@pytest.mark.parametrize("what", ["objectives", "violations"])
def test_what_is_known_later_counts_for_those_told_before(what):
    """The first generation is told nonsense; revised, the survivors are what they would have been."""

    def told(genome, *, wrong):
        units = float(sum(layer.units for layer in SPACE.decode(genome).hidden))
        if what == "objectives":
            return Told((-units if wrong else units,), (0.0,))
        return Told((1.0,), ((units - 20.0) * (-1 if wrong else 1),))

    def survivors(*, wrong, revised):
        search = Search(SPACE, 1, 1, 12, 2)
        first = search.ask()
        search.tell([told(genome, wrong=wrong) for genome in first])
        second = search.ask()
        if revised:
            search.revise(lambda genome: told(genome, wrong=False))
        search.tell([told(genome, wrong=False) for genome in second])
        return {tuple(row) for row in search._algorithm.pop.get("X").tolist()}, set(first), second

    found, first, second = survivors(wrong=True, revised=True)
    everyone = sorted({*first, *second}, key=lambda genome: told(genome, wrong=False).objectives)
    if what == "objectives":
        units = [told(genome, wrong=False).objectives[0] for genome in everyone]
        assert sorted(told(genome, wrong=False).objectives[0] for genome in found) == units[:12]
    else:
        over = {genome for genome in everyone if told(genome, wrong=False).violations[0] > 0}
        assert len(everyone) - len(over) < 12, "otherwise none of those over would be left"
        assert found >= set(everyone) - over
    assert survivors(wrong=True, revised=False)[0] != found
