"""The contract of ask and tell, run against every algorithm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas.algorithm import Settings, Told, failed
from nas.algorithms import ALGORITHMS
from nas.annealing import COLDEST, HOTTEST, Annealing
from nas.indicators import hypervolume
from nas.nsga2 import deepmaker
from nas.spaces import mlp

SPACE = mlp(64, 10).with_choices({"weights": ("ternary", "binary"), "threshold": (0.3, 0.7, 1.1)})
TINY = SPACE.with_choices(
    {
        "depth": (1,),
        "width": (8, 12),
        "input_bits": (1,),
        "activation": ("ternary",),
        "mode": ("parallel",),
        "weights": ("ternary",),
    }
)
LARGER = SPACE.with_choices(
    {
        "depth": (1, 2),
        "width": (8, 12),
        "activation": ("ternary", "2"),
        "mode": ("parallel",),
        "threshold": (0.3, 0.7),
    }
)
NAMES = sorted(ALGORITHMS)


def objectives(space, genome):
    """Two that pull apart, and one of the hardware."""
    network = space.decode(genome)
    units = sum(layer.units for layer in network.hidden) * network.input_bits
    return (1.0 / units + 0.01 * (network.weights == "binary"), float(units), float(network.hardware.folding))


def judged(space, genome, *, fails=0.0, over=0.0):
    share = int(space.decode(genome).digest()[:4], 16) / 0xFFFF
    if share < fails:
        return failed(2)
    return Told(objectives(space, genome), (0.5 if share < fails + over else -0.1, 0.0))


def run(name, space=SPACE, *, population=8, generations=5, seed=1, told=(), **how):
    """Asked genomes by generation; generations in ``told`` are told as they were before."""
    algorithm = ALGORITHMS[name](space, Settings(3, 2, population, generations, seed))
    asked, results = [], []
    for number in range(generations):
        genomes = algorithm.ask()
        asked.append(genomes)
        if not genomes:
            break
        results.append(told[number] if number < len(told) else [judged(space, genome, **how) for genome in genomes])
        algorithm.tell(results[-1])
    return asked, results


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides(name):
    first, again, other = (run(name, seed=seed)[0] for seed in (5, 5, 6))
    assert first == again
    assert first[0] != other[0]


@pytest.mark.parametrize("name", NAMES)
def test_telling_the_same_again_leads_to_the_same_state(name):
    whole, results = run(name, generations=6, fails=0.2, over=0.3)
    resumed, _ = run(name, generations=6, told=results[:3], fails=0.2, over=0.3)
    assert resumed == whole


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", [{}, {"fails": 0.3, "over": 0.4}, {"fails": 1.1}, {"over": 1.1}], ids=str)
def test_genomes_are_repaired_and_never_asked_twice(name, how):
    asked = [genome for genomes in run(name, generations=8, **how)[0] for genome in genomes]
    assert len(asked) == len(set(asked)) == 64
    assert all(SPACE.repair(genome) == genome for genome in asked)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("population", [2, 3, 16])
def test_a_small_space_is_exhausted_and_then_nothing_is_asked(name, population):
    asked, _ = run(name, TINY, population=population, generations=40)
    found = [genome for genomes in asked for genome in genomes]
    assert asked[-1] == []
    assert len(found) == len(set(found)) == TINY.size() == 12


@pytest.mark.parametrize("name", NAMES)
def test_what_mating_no_longer_finds_is_asked_before_a_search_ends(name):
    """Mating gives up long before the last of hundreds of genomes is found."""
    asked, results = run(name, LARGER, population=16, generations=80, seed=5)
    found = [genome for genomes in asked for genome in genomes]
    assert asked[-1] == []
    assert len(found) == len(set(found)) == LARGER.size() == 480
    late = len(results) - 2
    assert run(name, LARGER, population=16, generations=80, seed=5, told=results[:late])[0] == asked


@pytest.mark.parametrize("name", NAMES)
def test_an_unmeasured_candidate_cannot_pass_as_feasible(name):
    algorithm = ALGORITHMS[name](SPACE, Settings(3, 2, 2, 3, 1))
    algorithm.ask()
    with pytest.raises(AssertionError, match="an unmeasured candidate would rank as feasible"):
        algorithm.tell([Told(None, (0.0, 0.0))] * 2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("changed", [False, True])
def test_revising_asks_of_what_was_asked_and_decides_nothing_where_nothing_changed(name, changed):
    """Boards that answer change what is known; after the same answers a new search asks for the same."""

    def revised(how):
        algorithm = ALGORITHMS[name](SPACE, Settings(3, 2, 8, 6, 1))
        asked, known = [], {}

        def told(genome):
            return replace(known[genome], violations=(0.5, 0.0)) if how == "changed" else known[genome]

        for _ in range(6):
            genomes = algorithm.ask()
            asked.append(genomes)
            known |= {genome: judged(SPACE, genome) for genome in genomes}
            if how:
                algorithm.revise(told)
            algorithm.tell([known[genome] for genome in genomes])
        return asked

    found = revised("changed" if changed else "unchanged")
    assert found == revised("changed" if changed else "")
    assert not changed or (found == revised("")) is (name == "random")


@pytest.mark.parametrize("name", NAMES)
def test_what_nobody_asked_for_is_learned_from_and_not_asked_for(name):
    best = SPACE.repair([0] * len(SPACE.genes))  # by what is told below nothing is as good

    def genomes_asked(others):
        algorithm = ALGORITHMS[name](SPACE, Settings(1, 1, 8, 12, 1))
        asked = []
        for number in range(12):
            genomes = algorithm.ask()
            asked += genomes
            told = [Told((1.0 + sum(genome),), (0.0,)) for genome in genomes]
            algorithm.tell(
                told, {best: Told((1.0,), (0.0,))} if others and number in (1, 2) and best not in asked else {}
            )
        return asked

    without, found = genomes_asked(others=False), genomes_asked(others=True)
    assert without[:16] == found[:16]
    assert genomes_asked(others=True) == found
    if name == "random":
        assert found == without
        return
    assert best not in found[16:]
    average = [np.mean([sum(genome) for genome in asked[32:]]) for asked in (found, without)]
    assert average[0] < average[1]


def distances(genome):
    """To two ends of the space: no random genome is near either, nor on the way from one to the other."""
    shares = [genome[place] / (len(SPACE.genes[place].choices) - 1) for place in SPACE.free]
    return (sum(shares), sum((1.0 - share) ** 2 for share in shares))


def volume(name, seed):
    algorithm = ALGORITHMS[name](SPACE, Settings(2, 1, 10, 40, seed))
    points = []
    for _ in range(40):
        genomes = algorithm.ask()
        points += [distances(genome) for genome in genomes]
        algorithm.tell([Told(distances(genome), (0.0,)) for genome in genomes])
    return hypervolume(points, (12.0, 12.0))


def test_all_but_random_search_learn_from_what_they_are_told():
    means = {name: np.mean([volume(name, seed) for seed in range(4)]) for name in NAMES}
    assert min(means[name] for name in NAMES if name != "random") > 1.01 * means["random"], means


@pytest.mark.parametrize("name", ["annealing", "deepmaker", "nsga2"])
def test_budgets_come_before_objectives(name):
    """Only binary networks keep the budget: the search must turn to them whatever the objectives say."""

    def is_binary(genome):
        return SPACE.decode(genome).weights == "binary"

    algorithm = ALGORITHMS[name](SPACE, Settings(3, 1, 16, 10, 1))
    for _ in range(10):
        genomes = algorithm.ask()
        algorithm.tell([Told(objectives(SPACE, g), (-1.0 if is_binary(g) else 2.0,)) for g in genomes])
    assert sum(map(is_binary, genomes)) > 10


def test_roulette_prefers_low_ranks_and_takes_those_over_budget_last():
    search = deepmaker(SPACE, Settings(1, 1, 30, 5, 1))
    genomes = search.ask()
    search.tell([Told((float(place % 3),), (1.0 + place if place >= 20 else 0.0,)) for place in range(len(genomes))])
    population = search._algorithm.pop
    chosen = search._algorithm.mating.selection._do(
        None, population, 4000, 2, random_state=np.random.default_rng(1)
    ).ravel()
    counts = np.bincount(chosen, minlength=len(population))
    ranks = np.array([objective if excess <= 0 else 9 for objective, excess in zip(
        population.get("F")[:, 0], population.get("CV")[:, 0], strict=True)])  # fmt: skip
    means = [counts[ranks == rank].mean() for rank in (0, 1, 2, 9)]
    assert means[0] > 1.7 * means[1] > 1.7 * 1.3 * means[2]
    assert means[2] > means[3] > 0


def test_annealing_cools_and_accepts_less():
    annealing = Annealing(SPACE, Settings(1, 1, 4, 11, 1))
    temperatures, chances = [], []
    for _ in range(11):
        temperatures.append(annealing.temperature())
        genomes = annealing.ask()
        better, worse = (("", Told((value,), (0.0,))) for value in (0.0, 0.2))
        chances.append(annealing._chance([better], worse))
        annealing.tell([Told((float(place),), (0.0,)) for place, _ in enumerate(genomes)])
    assert temperatures[0] == HOTTEST
    assert temperatures[-1] == pytest.approx(COLDEST)
    assert chances == sorted(chances, reverse=True)
    assert chances[-1] < 1e-9 < 1e-5 < chances[0] < 0.5
