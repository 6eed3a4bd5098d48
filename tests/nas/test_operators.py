"""Every genome that is sampled, crossed or mutated stands for an architecture, whatever was made of the space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.architecture import Architecture
from nas.operators import crossed, every, mutated, stratified, unseen
from nas.space import Space
from nas.spaces import mlp

CHOICES = {
    "depth": (1, 2, 3, 4),
    "width": (8, 12, 1000),
    "input_bits": (1, 2, 8),
    "activation": ("ternary", "2", "4"),
    "batch_norm": (False, True),
    "mode": ("parallel", "folded"),
    "folding": (2, 8, 4096),
    "weights": ("ternary", "binary"),
    "threshold": (0.3, 0.7, 1.1, 1.5),
    "sparsity": (0.0, 1.0),
    "learning_rate": (0.01, 0.02),
    "optimizer": ("adam", "sgd", "rmsprop"),
    "pruning": (0.0, 0.5),
}
WIDE = mlp(16, 3).with_choices(CHOICES)
TINY = WIDE.with_choices({key: values[:1] for key, values in CHOICES.items()} | {"width": (8, 12), "depth": (2,)})


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """The space with any non-empty part of each gene's choices, in any order, and any genes shared by all layers."""
    choices = {
        key: tuple(draw(st.lists(st.sampled_from(values), min_size=1, unique=True))) for key, values in CHOICES.items()
    }
    return mlp(16, 3).with_choices(choices).with_tied(draw(st.sets(st.sampled_from(["width", "activation"]))))


def assert_valid(space, genome):
    assert space.repair(genome) == genome
    assert all(0 <= index < len(gene.choices) for index, gene in zip(genome, space.genes, strict=True))
    architecture = space.decode(genome)
    assert isinstance(architecture, Architecture)
    assert space.encode(architecture) == genome
    assert Architecture.from_json(architecture.to_json()) == architecture


@given(spaces(), st.integers(0, 2**32))
def test_every_genome_is_valid(space, seed):
    rng = np.random.default_rng(seed)
    parents = [*stratified(space, 4, rng), *unseen(space, 2, set(), rng)]
    for genome in parents:
        assert_valid(space, genome)
    swap = rng.random(len(space.genes)) < 0.5
    for child in crossed(space, parents[0], parents[-1], swap.tolist()):
        assert_valid(space, space.repair(child))
        mutant = mutated(space, child, rng)
        assert_valid(space, mutant)
        assert_valid(space, mutated(space, mutant, rng))


@given(spaces(), st.integers(0, 2**32))
def test_the_same_generator_gives_the_same(space, seed):
    first, again = (
        [mutated(space, genome, rng) for genome in stratified(space, 3, rng)]
        for rng in (np.random.default_rng(seed), np.random.default_rng(seed))
    )
    assert first == again


@given(spaces())
def test_the_size_is_the_number_of_genomes(space):
    if space.size() < 2000:
        assert len(list(every(space))) == space.size()


def test_mutation_leaves_genes_without_a_choice_and_reaches_all_others():
    rng = np.random.default_rng(1)
    start = WIDE.repair([0] * len(WIDE.genes))
    reached = np.array([mutated(WIDE, start, rng) for _ in range(4000)]).max(axis=0)
    assert reached.tolist() == [len(gene.choices) - 1 for gene in WIDE.genes]
    tied = WIDE.with_choices({"width": (8,)})
    places = [place for place, gene in enumerate(tied.genes) if gene.key == "width"]
    assert set(places).isdisjoint(tied.free)


def test_children_take_a_gene_from_the_parent_in_which_it_means_something():
    names = [gene.name for gene in WIDE.genes]
    values = {"depth": 0, "width_1": 1}
    shallow = WIDE.repair([values.get(name, 0) for name in names])
    deep = WIDE.repair([{"depth": 3, "width_4": 2, "activation_4": 1}.get(name, 0) for name in names])
    swap = [name == "width_4" for name in names]
    child, other = crossed(WIDE, deep, shallow, swap)
    assert WIDE.decode(child) == WIDE.decode(deep)
    assert WIDE.decode(other) == WIDE.decode(shallow)


def test_the_last_genomes_of_a_small_space_are_found():
    rng = np.random.default_rng(1)
    space = TINY.with_choices({"depth": (1, 2), "width": tuple(range(1, 31))})
    genomes = list(every(space))
    assert len(genomes) == 930
    assert set(unseen(space, 5, set(genomes[:-3]), rng)) == set(genomes[-3:])
    assert unseen(space, 5, set(genomes), rng) == []


def test_tied_genes_follow_the_first():
    space = WIDE.with_tied(("activation",))
    rng = np.random.default_rng(1)
    networks = [space.decode(space.sample(rng)) for _ in range(50)]
    assert all(len({layer.activation for layer in network.hidden}) == 1 for network in networks)
    assert {layer.activation for network in networks for layer in network.hidden} == {"ternary", "2", "4"}
    mixed = next(n for n in map(WIDE.decode, stratified(WIDE, 64, rng)) if len({a.activation for a in n.hidden}) > 1)
    with pytest.raises(ValueError, match="is not in the space mlp"):
        space.encode(mixed)
