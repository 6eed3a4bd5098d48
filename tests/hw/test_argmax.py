"""The place of the largest logit in hardware: the graph's, in every mode, cycle for cycle; of equal ones the first."""

from __future__ import annotations

import re

import numpy as np
import pytest
from networks import image_graph, random_graph

from boards.catalogue import load_part
from codesign.architecture import Hardware
from hw.design import design
from hw.emit.argmax import emit_argmax
from hw.emit.folded import Folding
from hw.graph import FixedType, Graph
from hw.implement import random_vectors
from hw.measure.delays import DelayModel
from hw.measure.verilator import simulate
from hw.parts import Values
from hw.project import project

PARALLEL, FOLDED = Hardware("parallel"), Hardware("folded", 60)


PART = load_part("xc7z020clg400-1")


def dense(outputs: int = 5) -> Graph:
    """Its logits have few values, so that they are often equal."""
    return random_graph(9, [6, 5, outputs], "s3", input_bits=2)


def test_it_is_numpys_argmax_of_the_logits():
    graph = dense()
    x = random_vectors(graph, 500, 1)
    logits, places = graph.run(x), graph.with_argmax().run(x)
    assert np.array_equal(places, logits.argmax(axis=1)[:, None])
    largest = (logits == logits.max(axis=1, keepdims=True)).sum(axis=1)
    assert (largest > 1).sum() > 50


def test_a_graph_keeps_its_logits():
    graph = dense()
    found = Graph.from_json(graph.with_argmax().to_json())
    assert (found.gives_class, graph.gives_class) == (True, False)
    assert found.output.type == FixedType(False, 3, 0)
    assert [end.tolist() for end in found.reach()[found.output.name]] == [[0], [4]]
    assert found.logits().digest() == graph.digest() == graph.logits().digest()


@pytest.mark.parametrize(
    ("graph", "hardware", "period_ns", "foldings"),
    [
        (dense(), PARALLEL, 8.8, None),
        (dense(), PARALLEL, 2.0, None),
        (dense(2), FOLDED, 8.8, None),
        (dense(7), FOLDED, 8.8, {0: Folding(2, 3)}),
        (image_graph(5, (5, 4, 2), 2, 6), PARALLEL, 3.0, None),
    ],
    ids=["parallel", "fast", "folded", "mixed", "image"],
)
def test_every_mode_gives_it_bit_for_bit_and_cycle_for_cycle(graph, hardware, period_ns, foldings, tmp_path):
    built = design(graph.with_argmax(), hardware, DelayModel.for_part(PART), period_ns, foldings)
    x = random_vectors(graph, 150, 2)
    simulate(built, x, graph.run(x).argmax(axis=1)[:, None], tmp_path, timeout_s=300)  # a difference is an error
    assert (built.outputs, built.output_bits) == (1, (graph.output.size - 1).bit_length())


def test_the_chain_of_a_parallel_network_has_no_queue_before_it():
    graph, delays = dense(), DelayModel.for_part(PART)
    plain, picked = (design(each, PARALLEL, delays, 8.8) for each in (graph, graph.with_argmax()))
    assert [layer.name for layer in picked.layers] == ["dense_0", "dense_1", "argmax", "result queue"]
    same = [name for name in plain.files if name.startswith("cdg_layer")]
    assert all(picked.files[name] == plain.files[name] for name in same)


@pytest.mark.parametrize("count", [2, 10, 17])
def test_registers_follow_the_clock(count):
    delays, values = DelayModel.for_part(PART), Values.between(-100, 100)

    def latency(period_ns):
        made = emit_argmax("cdg_layer_2_argmax", count, values, delays, period_ns, 0.0)
        registers = int(re.search(r"REGISTERS\((\d+)\)", made.text)[1])
        assert registers.bit_count() == made.latency
        return made.latency

    found = [latency(period) for period in (1000.0, 10.0, 5.0, 0.1)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0, (count - 1).bit_length() - 1)  # the first level is behind a register anyway
    assert emit_argmax("m", count, values, delays, 5.0, 4.9).latency >= 1  # late logits are caught first


def test_the_project_says_what_comes_out():
    graph = dense().with_argmax()
    files = project("mine", design(graph, PARALLEL, DelayModel.for_part(PART), 8.8), graph, random_vectors(graph, 9, 1))
    assert "| 3 | which of the 5 outputs is the largest, of equal ones the first: 0 to 4, 3 bits" in files["README.md"]
