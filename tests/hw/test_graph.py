from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import random_graph, random_inputs

from hw.graph import FixedType, Graph, Node, Op, round_half_even
from hw.schedule import stages


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=20), st.integers(0, 20))
def test_rounding_is_half_to_even(values: list[int], shift: int) -> None:
    found = round_half_even(np.array(values), shift)
    # Python's round of a Fraction-free quotient is exact here: 2**40 / 2**shift fits a double
    assert found.tolist() == [round(value / 2**shift) for value in values]


@pytest.mark.parametrize("activation", ["ternary", "binary", "2", "4", "s3"])
def test_json_round_trip_keeps_digest_and_results(activation: str) -> None:
    graph = random_graph(3, [12, 9, 5], activation)
    again = Graph.from_json(json.loads(json.dumps(graph.to_json())))
    x = random_inputs(graph, 50)
    assert again.digest() == graph.digest()
    assert np.array_equal(again.run(x), graph.run(x))


def test_digest_sees_one_trit() -> None:
    graph = random_graph(3, [12, 9, 5], "ternary")
    values = graph.to_json()
    values["nodes"][1]["tensors"]["trits"][4][4] = -values["nodes"][1]["tensors"]["trits"][4][4] or 1
    assert Graph.from_json(values).digest() != graph.digest()


def test_dense_and_ternary_by_hand() -> None:
    graph = Graph(
        (
            Node("x", Op.INPUT, None, 3, FixedType(False, 2, 2)),
            Node(
                "d",
                Op.DENSE,
                "x",
                2,
                FixedType(True, 4, 2),
                {"trits": np.array([[1, -1], [0, 1], [1, 1]]), "bias": np.array([0, -1])},
            ),
            Node("t", Op.TERNARY, "d", 2, FixedType(True, 2, 0), {"threshold": np.array(2)}),
        )
    )
    trace = graph.trace(np.array([[3, 0, 1], [0, 2, 1], [3, 0, 0]]))
    assert trace["d"].tolist() == [[4, -3], [1, 2], [3, -4]]
    assert trace["t"].tolist() == [[1, -1], [0, 1], [1, -1]]


@pytest.mark.parametrize("activation", ["ternary", "binary", "2", "3", "4", "s4"])
def test_stages_compute_what_the_graph_computes(activation: str) -> None:
    graph = random_graph(5, [20, 14, 7, 4], activation)
    x = random_inputs(graph, 200)
    values = x
    for stage in stages(graph):
        values = stage.run(values)
    assert np.array_equal(values, graph.run(x))


def test_inputs_out_of_range_are_refused() -> None:
    graph = random_graph(1, [4, 3], "ternary")
    with pytest.raises(ValueError, match=re.escape("input values 0..16 exceed 0..15")):
        graph.run(np.array([[0, 1, 2, 16]]))
    with pytest.raises(ValueError, match=re.escape("input must be integers of shape (n, 4), not float64 (1, 4)")):
        graph.run(np.zeros((1, 4)))


def test_a_node_must_read_what_is_there() -> None:
    with pytest.raises(ValueError, match="reads 'y', which no node before it computes"):
        Graph(
            (
                Node("x", Op.INPUT, None, 1, FixedType(False, 1, 1)),
                Node("b", Op.BINARY, "y", 1, FixedType(True, 2, 0)),
            )
        )


def test_real_values_off_the_lattice_are_refused() -> None:
    kind = FixedType(signed=False, bits=4, frac=2)
    assert kind.from_real(np.array([0.25, 3.75])).tolist() == [1, 15]
    with pytest.raises(ValueError, match=re.escape("value np.float64(0.3) is not a multiple of 2**-2")):
        kind.from_real(np.array([0.25, 0.3]))
