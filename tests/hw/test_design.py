"""Emitted networks, simulated by Verilator against the Graph: bits and cycles."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import random_graph, random_inputs

from codesign.architecture import Hardware
from codesign.errors import MismatchError
from codesign.target import Part
from hw.design import Design, design, module_name
from hw.emit.folded import Folding
from hw.graph import FixedType, Graph, Node, Op
from hw.measure.delays import DelayModel
from hw.measure.tools import find_verilator, run_tool
from hw.measure.verilator import pack, simulate, unpack

PART = Part("xc7z020clg400-1", "xc7", "-1", {})
DELAYS = DelayModel.for_part(PART)
PARALLEL = Hardware("parallel")


def build(graph: Graph, hardware: Hardware, period_ns: float = 10.0) -> Design:
    return design(graph, hardware, DELAYS, period_ns)


SHAPES = [
    # widths, activation, input bits, signed, hardware, period
    ([64, 24, 10], "ternary", 4, False, PARALLEL, 10.0),
    ([16, 12, 8, 5], "2", 3, False, PARALLEL, 4.0),
    ([9, 7, 3], "3", 8, True, PARALLEL, 2.0),
    ([30, 11, 4], "4", 1, False, PARALLEL, 1000.0),
    ([13, 6, 2], "s4", 5, True, PARALLEL, 6.0),
    ([8, 5, 3], "binary", 2, False, PARALLEL, 8.0),
    ([5, 1], "ternary", 2, False, PARALLEL, 10.0),
    ([64, 24, 10], "ternary", 4, False, Hardware("folded", 16), 10.0),
    ([17, 9, 5], "3", 3, True, Hardware("folded", 7), 10.0),
    ([1, 3, 1], "4", 8, False, Hardware("folded", 64), 10.0),
]


@pytest.mark.parametrize(("widths", "activation", "bits", "signed", "hardware", "period"), SHAPES)
def test_rtl_equals_graph_and_schedule(widths, activation, bits, signed, hardware, period, tmp_path: Path) -> None:
    graph = random_graph(11, widths, activation, input_bits=bits, input_signed=signed)
    x = random_inputs(graph, 300)
    built = build(graph, hardware, period)
    measured = simulate(built, x, graph.run(x), tmp_path, timeout_s=120)
    assert measured.value("latency_cycles") == built.latency_cycles
    assert measured.value("interval_cycles") == built.interval_cycles
    if hardware is PARALLEL:
        assert built.interval_cycles == 1


NAMES = ["output", "flow", "a.b", "a_b", "1st", "d", "d_weights", "maß\n", "config", "x" * 300]


@pytest.mark.parametrize("hardware", [PARALLEL, Hardware("folded", 4)])
def test_layers_may_have_any_name(hardware: Hardware, tmp_path: Path) -> None:
    graph = random_graph(3, [4] * (len(NAMES) + 1), "ternary")
    names = {f"dense_{i}": name for i, name in enumerate(NAMES)}
    nodes = [
        dataclasses.replace(
            node, name=names.get(node.name, node.name), source=node.source and names.get(node.source, node.source)
        )
        for node in graph
    ]
    named = Graph(tuple(nodes))
    x = random_inputs(graph, 50)
    simulate(build(named, hardware), x, graph.run(x), tmp_path, timeout_s=120)


def test_files_of_layers_never_meet() -> None:
    modules = [module_name(index, name) for index, name in [(0, "a.b"), (1, "a_b"), (2, ""), (1, "0_a"), (10, "a")]]
    assert modules == ["cdg_layer_0_a_b", "cdg_layer_1_a_b", "cdg_layer_2_", "cdg_layer_1_0_a", "cdg_layer_10_a"]


def chain_of(*nodes: tuple[str, Op, FixedType, dict[str, Any]], size: int = 6) -> Graph:
    """A graph over ``size`` inputs of 4 signed bits; every tensor is given as Node wants it."""
    found = [Node("x", Op.INPUT, None, size, FixedType(True, 4, 3))]
    for name, op, kind, tensors in nodes:
        arrays = {key: np.array(value) for key, value in tensors.items()}
        width = arrays["trits"].shape[1] if op is Op.DENSE else found[-1].size
        found.append(Node(name, op, found[-1].name, width, kind, arrays))
    return Graph(tuple(found))


def dense(seed: int, rows: int, units: int) -> dict[str, Any]:
    trits = np.random.default_rng(seed).integers(-1, 2, (rows, units))
    return {"trits": trits, "bias": np.zeros(units, np.int64)}


def relu_before_signed(*, symmetric: int) -> Graph:
    """relu, then quantized_bits(4, 2, symmetric): the negative half of the latter's format is never used."""
    kind = FixedType(True, 8, 3)
    return chain_of(
        ("d", Op.DENSE, kind, dense(1, 6, 5)),
        ("r", Op.QUANTIZE, FixedType(False, 7, 3), {"shift": 0, "low": 0, "high": 127}),
        ("q", Op.QUANTIZE, FixedType(True, 4, 1), {"shift": 2, "low": symmetric - 8, "high": 7}),
        ("e", Op.DENSE, FixedType(True, 8, 1), dense(2, 5, 3)),
    )


def narrower_than_its_sums() -> Graph:
    """Two dense layers without an activation between: what the first reaches is known better in the graph."""
    constant = {"trits": np.zeros((6, 4), np.int64), "bias": np.array([1, -2, 3, 0])}
    return chain_of(
        ("c", Op.DENSE, FixedType(True, 3, 3), constant),
        ("q", Op.QUANTIZE, FixedType(True, 5, 3), {"shift": 0, "low": -16, "high": 15}),
        ("d", Op.DENSE, FixedType(True, 5, 3), dense(3, 4, 5)),
        ("e", Op.DENSE, FixedType(True, 7, 3), dense(4, 5, 3)),
    )


@pytest.mark.parametrize("hardware", [PARALLEL, Hardware("folded", 4)])
@pytest.mark.parametrize(
    "graph",
    [relu_before_signed(symmetric=0), relu_before_signed(symmetric=1), narrower_than_its_sums()],
    ids=["relu, signed", "relu, symmetric", "narrow sums"],
)
def test_a_stage_reads_the_format_that_the_one_before_gives(graph: Graph, hardware: Hardware, tmp_path: Path) -> None:
    x = random_inputs(graph, 200)
    simulate(build(graph, hardware), x, graph.run(x), tmp_path, timeout_s=120)


@pytest.mark.parametrize(("low", "high", "shift"), [(0, 127, 0), (-7, 7, 2), (3, 90, 0), (-9, 4, 1)])
def test_many_steps_are_rounded_and_clipped_instead_of_compared(
    low: int, high: int, shift: int, tmp_path: Path
) -> None:
    kind = FixedType.holding(low, high, 3 - shift)
    graph = chain_of(
        ("d", Op.DENSE, FixedType(True, 8, 3), dense(1, 6, 5)),
        ("q", Op.QUANTIZE, kind, {"shift": shift, "low": low, "high": high}),
    )
    built = build(graph, PARALLEL)
    assert "cdg_round_clip.sv" in built.files
    assert "cdg_staircase.sv" not in built.files
    x = random_inputs(graph, 200)
    simulate(built, x, graph.run(x), tmp_path, timeout_s=120)


@pytest.mark.parametrize("hardware", [PARALLEL, Hardware("folded", 8)])
@pytest.mark.parametrize("mutation", ["trit", "threshold"])
def test_one_flipped_weight_or_moved_threshold_is_caught(hardware: Hardware, mutation: str, tmp_path: Path) -> None:
    graph = random_graph(2, [10, 6, 3], "ternary")
    x = random_inputs(graph, 1000)
    mutant = Graph(tuple(_mutated(node, mutation) for node in graph))
    assert not np.array_equal(mutant.run(x), graph.run(x)), "the mutation must be visible at the outputs"
    with pytest.raises(MismatchError, match=r"RTL differs from the graph at vector \d+, output \d+: RTL -?\d+, graph"):
        simulate(build(mutant, hardware), x, graph.run(x), tmp_path, timeout_s=120)


def _mutated(node: Node, mutation: str) -> Node:
    if mutation == "trit" and node.name == "dense_0":
        trits = node.tensors["trits"].copy()
        trits[3, 3] = 1 if trits[3, 3] == 0 else -trits[3, 3]
        return dataclasses.replace(node, tensors={**node.tensors, "trits": trits})
    if mutation == "threshold" and node.op is Op.TERNARY:
        return dataclasses.replace(node, tensors={"threshold": node.tensors["threshold"] + 1})
    return node


def test_a_wrong_schedule_is_caught(tmp_path: Path) -> None:
    graph = random_graph(4, [6, 4, 2], "2")
    x = random_inputs(graph, 100)
    built = dataclasses.replace(build(graph, PARALLEL), latency_cycles=77)
    with pytest.raises(MismatchError, match="latency is scheduled as 77 cycles, simulated as"):
        simulate(built, x, graph.run(x), tmp_path, timeout_s=120)


def test_a_shorter_period_takes_more_cycles_and_the_same_function() -> None:
    graph = random_graph(6, [40, 20, 6], "3")
    latencies = [build(graph, PARALLEL, period).latency_cycles for period in (2.0, 5.0, 10.0, 1000.0)]
    assert latencies == sorted(latencies, reverse=True)
    assert latencies[0] > latencies[-1] == 1


def said(built: Design) -> list[str]:
    """The comments on top of the top module, without the network's digest."""
    lines = [line for line in built.files["cdg_network.sv"].splitlines() if line.startswith("// ")]
    return [re.sub("[0-9a-f]{16}", "...", line.removeprefix("// ")) for line in lines[:3]]


def test_the_top_module_says_what_it_takes_and_gives() -> None:
    graph = random_graph(5, [10, 8, 3], "4", input_bits=6, input_signed=True)
    parallel = design(graph, Hardware("parallel"), DELAYS, 10.0)
    expected = [
        "Ternary network ..., parallel.",
        "Input: 10 values of 6 bits, signed, each the integer / 2^5.",
        f"Output: 3 values of {parallel.output_bits} bits, signed, each the integer / 2^{graph.output.type.frac}.",
    ]
    assert said(parallel) == expected
    expected[0] = "Ternary network ..., folded."
    assert said(design(graph, Hardware("folded", 4), DELAYS, 10.0)) == expected
    mixed = design(graph, Hardware("folded", 4), DELAYS, 10.0, {0: Folding(2, 5)})
    assert said(mixed) == ["Ternary network ..., parallel and folded.", *expected[1:]]
    last = "Output: which of 3 values is the largest, 2 bits, unsigned."
    assert said(design(graph.with_argmax(), Hardware("parallel"), DELAYS, 10.0))[2] == last


def test_design_is_a_pure_function() -> None:
    graph = random_graph(6, [24, 12, 6], "ternary")
    assert build(graph, PARALLEL).digest() == build(graph, PARALLEL).digest()


@pytest.mark.parametrize("activation", ["ternary", "2", "4", "s3"])
@pytest.mark.parametrize("hardware", [PARALLEL, Hardware("folded", 12)])
def test_generated_text_is_lint_clean(activation: str, hardware: Hardware, tmp_path: Path) -> None:
    built = build(random_graph(8, [18, 9, 4], activation), hardware, 5.0)
    for name, text in built.files.items():
        (tmp_path / name).write_text(text)
    tool = find_verilator()
    # Unused: high bits of a sum that the offset after it has made unreachable.
    argv = [*tool.command, "--lint-only", "-Wall", "-Wno-UNUSEDSIGNAL", "-y", ".", "--top-module", built.top]
    run_tool([*argv, f"{built.top}.sv"], cwd=tmp_path, timeout_s=60, env=tool.environment, log=tmp_path / "log")


def test_modules_carry_the_prefix_and_searched_folded_networks_the_ternary_multiplier() -> None:
    built = build(random_graph(8, [18, 9, 4], "ternary"), Hardware("folded", 12))
    modules = [name for text in built.files.values() for name in re.findall(r"^module (\w+)", text, re.MULTILINE)]
    assert modules
    assert all(name.startswith("cdg_") for name in modules)
    assert "cdg_ternary_mul.sv" in built.files


@pytest.mark.parametrize(("bits", "signed"), [(1, False), (2, True), (5, False), (7, True), (32, True)])
def test_packing_round_trips(bits: int, signed: bool) -> None:
    rng = np.random.default_rng(bits)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    values = rng.integers(low, high + 1, (20, 7))
    assert np.array_equal(unpack(pack(values, bits), 7, bits, signed), values)


def test_constants_and_what_nobody_reads_vanish_across_layers() -> None:
    """Unit 0 is always 0, unit 1 is read by nobody; the sum of constants is in the last layer's numbers."""
    trits = np.array([[0, 1, 1, 0], [0, -1, 1, 1], [0, 1, 0, -1]])
    kind, source = FixedType(True, 2, 0), FixedType(False, 3, 0)
    after = np.array([[1, -1], [0, 0], [1, 1], [-1, 1]])
    tensors = {"trits": trits, "bias": np.array([9, 0, 0, 0])}
    nodes = (
        Node("x", Op.INPUT, None, 3, source),
        Node("dense", Op.DENSE, "x", 4, FixedType(True, 8, 0), tensors),
        Node("act", Op.TERNARY, "dense", 4, kind, {"threshold": np.array(3)}),
        Node("out", Op.DENSE, "act", 2, FixedType(True, 5, 0), {"trits": after, "bias": np.array([2, 0])}),
    )
    built = build(Graph(nodes), PARALLEL)
    first, last = (text for name, text in built.files.items() if name.startswith("cdg_layer_"))
    assert "assign y0 = 1'd1;" in first
    assert "assign y1 = 1'd0;" in first
    assert "x[0+:2], x[2+:2]" in last  # neither is read
    assert "[0:0] x2 = x[4+:1]" in last  # 0 or 1, in the two bits of a trit


def test_an_unsigned_sum_with_its_highest_bit_set_is_not_negative(tmp_path: Path) -> None:
    """Verilator once shifted the sum of two inputs, widened by a zero, as if it were negative."""
    trits, bias = np.array([[1], [1]]), np.zeros(1, np.int64)
    quantizer = {"shift": np.array(1), "low": np.array(0), "high": np.array(15)}
    nodes = (
        Node("x", Op.INPUT, None, 2, FixedType(False, 3, 0)),
        Node("d", Op.DENSE, "x", 1, FixedType(False, 4, 0), {"trits": trits, "bias": bias}),
        Node("q", Op.QUANTIZE, "d", 1, FixedType(False, 4, -1), quantizer),
    )
    graph, x = Graph(nodes), np.stack(np.meshgrid(np.arange(8), np.arange(8)), axis=-1).reshape(-1, 2)
    simulate(build(graph, PARALLEL), x, graph.run(x), tmp_path, timeout_s=120)


@pytest.mark.parametrize("bias", [-22, -21, 6, 8])
def test_sums_that_all_lie_halfway_are_rounded_to_even(tmp_path: Path, bias: int) -> None:
    """With a bias of half a step and as coarse a scale, nothing but ties reach the activation."""
    trits = np.array([[1], [1]])
    scale = {"shift": np.array([2]), "bias": np.array([bias])}
    quantizer = {"shift": np.array(2), "low": np.array(0), "high": np.array(15)}
    nodes = (
        Node("x", Op.INPUT, None, 2, FixedType(True, 4, 3)),
        Node("d", Op.DENSE, "x", 1, FixedType(True, 5, 3), {"trits": trits, "bias": np.zeros(1, np.int64)}),
        Node("a", Op.AFFINE, "d", 1, FixedType(True, 8, 5), scale),
        Node("q", Op.QUANTIZE, "a", 1, FixedType(False, 4, 3), quantizer),
    )
    graph = Graph(nodes)
    x = np.stack(np.meshgrid(np.arange(-8, 8), np.arange(-8, 8)), axis=-1).reshape(-1, 2)
    simulate(build(graph, PARALLEL), x, graph.run(x), tmp_path, timeout_s=120)
