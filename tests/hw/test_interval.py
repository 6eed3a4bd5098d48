"""The interval that a network on images states is the one that it keeps in the long run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fuzz import DELAYS
from random_images import random_image_graph

from codesign.architecture import Hardware
from codesign.errors import ModelError
from hw.cycles import Network, fork, join, pipe, queue
from hw.design import Design, design
from hw.graph import FixedType, Graph, Node, Op
from hw.measure.verilator import simulate

PARALLEL = Hardware("parallel")


def late(network: Network, frames: int) -> float:
    """Cycles between results in the second half of many frames."""
    return float(np.diff(network.run(frames).done[frames // 2 :]).mean())


def residual_pixels(channels: int, taps: int) -> Graph:
    """Two convolutions over a row of two pixels, the second of a few weights, added to what the first reads."""
    kind, dims, rng = FixedType(False, 2, 0), (1, 2, channels), np.random.default_rng(1)
    last = np.zeros((1, 2, channels, channels), np.int64)
    last[0, :taps, range(channels), range(channels)] = 1
    nodes = [Node("x", Op.INPUT, None, dims, kind)]
    for name, trits in (("a", rng.choice([-1, 1], last.shape)), ("b", last)):
        geometry = {"stride": np.array([1, 1]), "padding": np.array([0, 0, 0, 1])}
        tensors = {"trits": trits, "bias": np.zeros(channels, np.int64), **geometry}
        nodes.append(Node(name, Op.CONV, nodes[-1].name, dims, FixedType(True, 8, 0), tensors))
        levels = {"shift": np.array(0), "low": np.array(0), "high": np.array(3)}
        nodes.append(Node(f"{name}_act", Op.QUANTIZE, name, dims, kind, levels))
    nodes.append(Node("sum", Op.ADD, ("x", "b_act"), dims, FixedType(False, 3, 0), {"shift": np.array([0, 0])}))
    return Graph(tuple(nodes))


@pytest.mark.parametrize(("channels", "taps"), [(4, 2), (8, 1), (8, 2)])
def test_a_queue_is_not_shortened_until_every_fourth_frame_is_late(channels: int, taps: int, tmp_path: Path) -> None:
    """Four frames of an even pace in a row said that the pace is kept; it was every fourth that waited."""
    graph = residual_pixels(channels, taps)
    built = design(graph, PARALLEL, DELAYS, 2.0)
    assert built.network
    assert late(built.network, 64) == built.interval_cycles == 3
    x = np.random.default_rng(2).integers(0, 4, (40, graph.input.size))
    simulate(built, x, graph.run(x), tmp_path, timeout_s=300)  # every frame in its cycle


def test_frames_in_which_a_queue_still_fills_do_not_count() -> None:
    """A stage of 5 cycles fills 30 places before those in front of it, which take a frame every 4, have to wait."""
    network = Network(1, 1)
    ahead, kept, aside, joined = (network.stream() for _ in range(4))
    network.modules += [
        pipe(network.source, ahead, 1, latency=3, interval=4, capacity=2),
        fork(ahead, [kept, aside], 1),
        queue(kept, joined, 1, lambda: 30),
        join([joined, aside], merged := network.stream(), 1),
        pipe(merged, network.sink, 1, latency=4, interval=5, capacity=2),
    ]
    assert network.interval() == late(network, 256) == 5


def built_or_refused(seed: int) -> Design | None:
    try:
        return design(random_image_graph(seed), PARALLEL, DELAYS, 2.0)
    except ModelError:  # random networks may be wider than what is built
        return None


def test_the_interval_of_random_networks_is_that_of_many_frames() -> None:
    networks = [built.network for seed in range(60) if (built := built_or_refused(seed)) and built.network]
    assert len(networks) > 30
    for network in networks:
        assert network.interval() - 1 < late(network, 96) <= network.interval()
