"""Emitted networks, simulated by Verilator against the Graph: bits and cycles."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from networks import random_graph, random_inputs

from codesign.architecture import Hardware
from codesign.errors import MismatchError
from codesign.target import Part
from hw.design import Design, design
from hw.graph import Graph, Node, Op
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
