from __future__ import annotations

import itertools
import re
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.architecture import Architecture, DenseLayer, Hardware, Training
from codesign.errors import StudyError
from nas.space import Condition, Gene, Space
from nas.spaces import SPACES, mlp

MLP = mlp(64, 10)
SMALL = MLP.with_choices(
    {"depth": (1, 2), "width": (8, 12, 16), "input_bits": (1,), "activation": ("ternary", "2"), "folding": (8, 16)}
).with_tied(("activation",))


def genomes(space: Space) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*(st.integers(0, len(gene.choices) - 1) for gene in space.genes))


@cache
def networks_of_small():
    """All of it, by the digest of the network."""
    found = {}
    for genome in itertools.product(*(range(len(gene.choices)) for gene in SMALL.genes)):
        one = SMALL.decode(genome)
        found.setdefault(one.network_digest(), set()).add(one)
    return found


@given(genomes(MLP))
def test_genome_to_architecture_and_back_is_repair(genome):
    assert MLP.encode(MLP.decode(genome)) == MLP.repair(genome)


@given(genomes(MLP))
def test_repair_changes_nothing_that_means_something(genome):
    repaired = MLP.repair(genome)
    assert MLP.repair(repaired) == repaired
    assert MLP.decode(repaired) == MLP.decode(genome)
    assert MLP.active(repaired) == MLP.active(genome)


@given(genomes(MLP), genomes(MLP))
def test_different_repaired_genomes_are_different_architectures(first, second):
    same_architecture = MLP.decode(first) == MLP.decode(second)
    assert same_architecture == (MLP.repair(first) == MLP.repair(second))


@settings(deadline=None)  # the first example lists the space
@given(genomes(SMALL))
def test_the_ways_of_a_network_are_all_its_hardware_and_nothing_else(genome):
    network = SMALL.decode(genome)
    ways = SMALL.ways(network)
    assert ways[0] == network
    assert set(ways) == networks_of_small()[network.network_digest()]
    assert len(ways) == len(set(ways)) == 3  # parallel, and two foldings


def test_size_counts_the_distinct_architectures():
    every = itertools.product(*(range(len(gene.choices)) for gene in SMALL.genes))
    assert SMALL.size() == len({SMALL.decode(genome) for genome in every}) == (3 + 9) * 2 * 2 * 3


def test_inactive_genes():
    names = [gene.name for gene in MLP.genes]
    genome = [1] * len(names)
    constants = ("depth", "target", "weights", "threshold", "sparsity", "learning_rate", "optimizer", "pruning")
    for constant in constants:
        genome[names.index(constant)] = 0
    genome[names.index("mode")] = 0
    active = dict(zip(names, MLP.active(genome), strict=True))
    assert [name for name, flag in active.items() if not flag] == [
        *("width_2", "width_3", "width_4", "activation_2", "activation_3", "activation_4"),
        *("folding", "target"),
    ]


def test_decoded_values_are_the_chosen_ones():
    space = MLP.with_choices({"depth": (2,), "width": (16, 24), "folding": (32,), "mode": ("folded",)})
    genome = {"width_1": 1, "width_2": 0, "input_bits": 2, "activation_1": 3, "activation_2": 0, "batch_norm": 1}
    expected = Architecture(64, 10, 3, (DenseLayer(24, "4"), DenseLayer(16, "ternary")), True, Hardware("folded", 32))
    assert space.decode([genome.get(gene.name, 0) for gene in space.genes]) == expected


def test_genes_that_can_never_be_active_are_dropped():
    space = MLP.with_choices({"depth": (1, 2), "mode": ("parallel",)})
    assert {"width_3", "width_4", "folding"}.isdisjoint(gene.name for gene in space.genes)


def test_choices_of_a_single_gene_come_before_those_of_its_key():
    space = MLP.with_choices({"width_2": (7,), "width": (16, 24)})
    choices = {gene.name: gene.choices for gene in space.genes if gene.key == "width"}
    assert choices == {"width_1": (16, 24), "width_2": (7,), "width_3": (16, 24), "width_4": (16, 24)}


def test_a_layer_with_choices_of_its_own_cannot_follow_another():
    space = MLP.with_choices({"width_2": (7,)})
    with pytest.raises(StudyError, match=r"^the genes 'width_1' and 'width_2' of the space mlp have different choices"):
        space.with_tied(["width"])


def test_samples_are_repaired_and_reach_every_choice():
    rng = np.random.default_rng(1)
    samples = [SMALL.sample(rng) for _ in range(3000)]
    assert all(SMALL.repair(sample) == sample for sample in samples)
    assert {SMALL.decode(sample) for sample in samples} == {
        SMALL.decode(genome) for genome in itertools.product(*(range(len(gene.choices)) for gene in SMALL.genes))
    }


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(64, 10, 1, (DenseLayer(9, "2"),), True, Hardware("parallel")),
        Architecture(64, 10, 1, (DenseLayer(8, "2"),), True, Hardware("parallel"), "binary"),
        Architecture(64, 10, 1, (DenseLayer(8, "2"),), True, Hardware("parallel"), training=Training(threshold=1.0)),
        Architecture(64, 10, 1, (), True, Hardware("parallel")),
        Architecture(32, 10, 1, (DenseLayer(8, "2"),), True, Hardware("parallel")),
        Architecture(64, 10, 1, (DenseLayer(8, "2"),), True, Hardware("folded", 9)),
    ],
)
def test_an_architecture_outside_the_space_has_no_genome(architecture):
    with pytest.raises(ValueError, match=f"^{architecture.words()} is not in the space mlp$"):
        MLP.encode(architecture)


@pytest.mark.parametrize(("key", "near"), [("widht", "did you mean width or weights? "), ("xyz", "")])
def test_an_unknown_gene_names_the_nearest_and_all(key, near):
    with pytest.raises(StudyError) as caught:
        MLP.with_choices({key: (3,)})
    assert str(caught.value) == (
        f"the space mlp has no gene {key!r}; {near}known: activation, batch_norm, depth, folding, input_bits, "
        "learning_rate, mode, optimizer, pruning, sparsity, target, threshold, weights, width"
    )


@pytest.mark.parametrize(
    ("choices", "wrong"),
    [
        ((), "has no choices: []; give it some"),
        ((4, 8, 8), "has the choice 8 twice: [4, 8, 8]; leave one out"),
        (("2", "2"), 'has the choice "2" twice: ["2", "2"]; leave one out'),
    ],
)
def test_choices_that_are_none(choices, wrong):
    message = f"the gene 'width' of the space mlp {wrong}"
    with pytest.raises(StudyError, match=f"^{re.escape(message)}$"):
        MLP.with_choices({"width": choices})


def test_a_condition_must_look_back():
    gene = Gene("a", "a", (0, 1), True, Condition("b", frozenset({1})))
    with pytest.raises(AssertionError, match="a depends on a later gene"):
        Space("bad", (gene, Gene("b", "b", (0, 1), True)), SMALL.build, SMALL.describe)


def test_the_registry_makes_the_named_space():
    assert all(make(4, 2).name == name for name, make in SPACES.items())
