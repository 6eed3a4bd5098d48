"""Sums of -1 and 1 are all even or all odd: their lowest bit is not computed, and nothing changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import image_graph, random_graph

from boards.catalogue import load_part
from codesign.architecture import Hardware
from codesign.errors import ModelError
from hw.design import chain, design, library
from hw.graph import FixedType, Graph, Node, Op
from hw.implement import random_vectors
from hw.measure import yosys
from hw.measure.delays import DelayModel
from hw.measure.verilator import simulate
from hw.parts import parts
from hw.schedule import stages

PART = load_part("xc7z020clg400-1")
PARALLEL = Hardware("parallel")
SIGNS = FixedType(True, 2, 0)


def binary_first(seed: int, activation: str) -> Graph:
    """Binary activations behind the first layer, ``activation`` behind the second."""
    nodes = random_graph(seed, [9, 12, 6, 4], activation).nodes
    return Graph(tuple(Node(n.name, Op.BINARY, n.source, n.shape, SIGNS) if n.name == "act_0" else n for n in nodes))


def image(padding: int) -> Graph:
    """A convolution of 3 x 3 over binary pixels, with zeros or without around them, and its largest values."""
    (x, conv, act) = image_graph(3, (6, 6, 1), 3, None).nodes
    rng, side = np.random.default_rng(1), 2 + 2 * padding
    geometry = {"stride": np.array([1, 1]), "padding": np.full(4, padding)}
    weights = {"trits": rng.integers(-1, 2, (3, 3, 3, 4)), "bias": np.zeros(4, np.int64), **geometry}
    window = {"window": np.array([2, 2]), "stride": np.array([1, 1]), "padding": np.array([1, 0, 1, 0])}
    count = 4 * side**2
    dense = {"trits": rng.integers(-1, 2, (count, 3)), "bias": np.arange(3)}
    nodes = (
        *(x, conv, Node("act", Op.BINARY, "conv", act.shape, SIGNS)),
        Node("second", Op.CONV, "act", (side, side, 4), FixedType(True, 6, 0), weights),
        Node("signs", Op.BINARY, "second", (side, side, 4), SIGNS),
        Node("pool", Op.MAXPOOL, "signs", (side, side, 4), SIGNS, window),
        Node("flat", Op.RESHAPE, "pool", count, SIGNS),
        Node("third", Op.DENSE, "flat", 3, FixedType(True, 9, 0), dense),
    )
    return Graph(nodes)


@pytest.mark.parametrize("activation", ["binary", "ternary", "2", "4", "s3"])
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_changes(seed, activation, tmp_path):
    graph = binary_first(seed, activation)
    assert [stage.input_binary for stage in stages(graph)] == [False, True, activation == "binary"]
    x = random_vectors(graph, 200, seed)
    simulate(design(graph, PARALLEL, DelayModel.for_part(PART), 4.0), x, graph.run(x), tmp_path, timeout_s=300)


@pytest.mark.parametrize(("padding", "binary"), [(0, True), (1, False)])
def test_zeros_around_an_image_are_no_signs(padding, binary, tmp_path):
    graph = image(padding)
    assert [part.stage.input_binary for part in parts(graph) if part.stage] == [False, binary, True]
    x = random_vectors(graph, 20, 1)
    simulate(design(graph, PARALLEL, DelayModel.for_part(PART), 8.8), x, graph.run(x), tmp_path, timeout_s=300)


def test_luts_fall(tmp_path):
    delays = DelayModel.for_part(PART)
    (_, stage, _) = stages(random_graph(4, [8, 32, 16, 2], "binary"))

    def luts(name):
        made = chain([replace(stage, input_binary=name == "signs")], delays, 8.8)
        files = {**made.files, **library(made.rtl)}
        done = yosys.synthesize(yosys.plan(files, made.ports[0].module, PART), tmp_path / name, timeout_s=300)
        return done.figures.value("lut")

    assert luts("signs") < 0.75 * luts("trits")


def test_a_binary_input_is_ternary():
    stage = stages(binary_first(1, "2"))[0]
    with pytest.raises(ModelError, match=r"^stage 'dense_0': a binary input is ternary, too$"):
        replace(stage, input_binary=True)
