"""What is learned of hardware, on networks whose figures are known by formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from analytic_figures import figures

from codesign.measurement import Measurement
from nas.image_spaces import convnet, densenet
from nas.operators import stratified
from nas.spaces import mlp
from nas.surrogate import FEWEST, FIGURES, Candidate, Surrogate, _features

SPACE = mlp(64, 10)
IMAGES = [convnet((8, 8, 1), 10), densenet((8, 8, 1), 10)]


def candidates(count, seed, space=SPACE):
    genomes = stratified(space, count, np.random.default_rng(seed))
    return [Candidate(space.decode(genome), figures(space.decode(genome), ("parameters",))) for genome in genomes]


def fitted(known):
    return Surrogate(known, [figures(one.architecture, FIGURES) for one in known])


@pytest.fixture(scope="module")
def surrogate():
    return fitted(candidates(60, 1))


def off(surrogate, name, others):
    """Median error of the logarithm, as a share of what the median of all would be off."""
    actual = [figures(one.architecture, FIGURES).value(name) for one in others]
    predicted = [one[name].value for one in surrogate.predict(others)]
    errors = [abs(math.log(a / b)) for a, b in zip(predicted, actual, strict=True)]
    return np.median(errors) / np.median([abs(math.log(np.median(actual) / value)) for value in actual])


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_others_are_predicted_better_than_by_their_median(surrogate, name):
    assert off(surrogate, name, candidates(30, 2)) < 0.35


@pytest.mark.parametrize("space", IMAGES, ids=lambda space: space.name)
def test_networks_of_images_are_told_apart(space):
    learned, others = fitted(candidates(60, 1, space)), candidates(30, 2, space)
    assert off(learned, "lut", others) < 0.35
    assert off(learned, "latency_cycles", others) < 0.35


def test_every_value_of_a_convolution_is_a_feature():
    genome = [min(1, len(gene.choices) - 1) for gene in IMAGES[0].genes]
    network = IMAGES[0].decode(IMAGES[0].repair(genome))
    assert len(network.convolutions) == 2
    told = {name for name, _ in _features(Candidate(network, Measurement({})))}
    for number in range(len(network.convolutions)):
        for name in ("filters", "kernel", "pool", "joined", f"activation={network.convolutions[number].activation}"):
            assert f".convolutions.{number}.{name}" in told
    assert {".training.threshold", ".training.pruning", ".weights=ternary", ".image.2"} <= told


def test_what_was_measured_is_more_certain_than_what_was_not(surrogate):
    known = candidates(60, 1)[0]
    wide = mlp(64, 10).with_choices({"width": (1024,)})
    far = SPACE.decode(SPACE.repair([0] * len(SPACE.genes)))
    strange = Candidate(wide.decode(wide.repair([0] * len(wide.genes))), figures(far, ("parameters",)))
    strange_one, known_one = surrogate.predict([strange, known])
    assert strange_one["lut"].deviation > 1.5 * known_one["lut"].deviation > 0


def test_the_same_candidates_give_the_same_predictions(surrogate):
    one = candidates(1, 3)[0]
    assert fitted(candidates(60, 1)).predict([one]) == surrogate.predict([one])


def test_a_figure_that_all_share_is_predicted():
    known = candidates(FEWEST, 4)
    same = figures(known[0].architecture, FIGURES)
    (found,) = Surrogate(known, [same] * FEWEST).predict(candidates(1, 5))
    assert found["fmax"].value == pytest.approx(same.value("fmax"), rel=1e-3)
