"""Spaces of images: every genome that is sampled, crossed or mutated stands for a network that can be built."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.architecture import Architecture, ConvLayer
from codesign.errors import StudyError
from hw.bounds import lower_bound
from nas.checking import require_networks
from nas.image_spaces import IMAGE_SPACES, convnet, densenet, require_room
from nas.operators import crossed, mutated, stratified, unseen
from nas.spaces import SPACES

CHOICES = {
    "mode": ("parallel", "folded", "solved"),
    "target": ("fastest", "interval 2000", "latency 5000"),
    "weights": ("ternary", "binary"),
    "threshold": (0.3, 0.7, 1.5),
    "folding": (1100, 4096),
}
HEADS = {"head": (0, 64)}  # more units than usual
IMAGES = st.tuples(st.integers(1, 33), st.integers(1, 33), st.integers(1, 3))


def assert_valid(space, genome):
    assert space.repair(genome) == genome
    architecture = space.decode(genome)
    assert space.encode(architecture) == genome
    assert Architecture.from_json(architecture.to_json()) == architecture
    assert min(min(shape) for shape in architecture.shapes()) >= 1
    assert architecture.widths[0] == architecture.features >= 1
    assert lower_bound(architecture).value("interval_cycles") >= 1


@pytest.mark.parametrize("make", IMAGE_SPACES.values(), ids=IMAGE_SPACES)
@given(image=IMAGES, seed=st.integers(0, 2**32))
def test_every_genome_is_valid(make, image, seed):
    usual = make(image, 10)
    space = usual.with_choices(CHOICES | (HEADS if make is convnet else {}))
    rng = np.random.default_rng(seed)
    parents = [*stratified(space, 4, rng), *unseen(space, 2, set(), rng)]
    for genome in parents:
        assert_valid(space, genome)
    swap = rng.random(len(space.genes)) < 0.5
    for child in crossed(space, parents[0], parents[-1], swap.tolist()):
        repaired = space.repair(child)
        assert repaired == space.repair(list(child))
        assert_valid(space, repaired)
        assert_valid(space, mutated(space, child, rng))


@pytest.mark.parametrize("make", IMAGE_SPACES.values(), ids=IMAGE_SPACES)
@pytest.mark.parametrize("image", [(1, 1, 1), (8, 8, 1), (28, 28, 1), (32, 5, 3)])
def test_every_choice_makes_a_network_that_is_found_again(make, image):
    usual = make(image, 10)
    require_networks(usual.with_choices(CHOICES), usual, {})


@settings(deadline=None)  # imports come with the first
@given(image=IMAGES, pools=st.sets(st.integers(1, 5), min_size=1), data=st.data())
def test_poolings_that_can_leave_nothing_are_refused_and_others_never_do(image, pools, data):
    space = convnet(image, 10)
    if not _pooled(space):
        return
    space = space.with_choices({**CHOICES, "pool": data.draw(st.permutations(sorted(pools)))})
    left = min(image[:2]) // max(pools) ** len(_pooled(space))
    if left < 1:
        with pytest.raises(StudyError, match="the choices of 'pool' in the space convnet can leave nothing of the"):
            require_room(space)
        return
    require_room(space)
    for genome in unseen(space, 6, set(), np.random.default_rng(1)):
        assert_valid(space, genome)


def _pooled(space):
    return [gene.name for gene in space.genes if gene.key == "pool"]


def test_names_differ_from_those_of_vectors():
    assert not set(IMAGE_SPACES) & set(SPACES)
    assert all(make((8, 8, 1), 10).name == name for name, make in IMAGE_SPACES.items())


def test_pooling_ends_where_the_image_does():
    pools = [gene.name for gene in convnet((8, 11, 1), 10).genes if gene.key == "pool"]
    assert pools == ["pool_1", "pool_2", "pool_3"]
    blocks = next(gene for gene in densenet((3, 3, 1), 10).genes if gene.name == "blocks")
    assert blocks.choices == (1, 2)


def test_the_template_is_as_deepmaker_describes_it():
    space = densenet((8, 8, 1), 10).with_choices(
        {"blocks": (2,), "layers": (2,), "kernel": (5,), "growth": (4,), "activation": ("2",)}
    )
    network = space.decode([0] * len(space.genes))
    grown = ConvLayer(4, 5, "2", joined=True)
    assert network.convolutions == (ConvLayer(4, 5, "2"), grown, ConvLayer(4, 5, "2", 2, True), grown, grown)
    assert network.shapes() == ((8, 8, 1), (8, 8, 4), (8, 8, 8), (4, 4, 12), (4, 4, 16), (4, 4, 20))
    assert network.widths == (320, 10)
