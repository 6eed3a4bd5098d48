"""Predicted LUTs between layers: queues at joins as deep as scheduled, memories as mapped, whole blocks near Yosys."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qkeras_images import conv, densely, layer, model, relu, residual
from qkeras_layers import lowered
from random_images import random_image_graph

from codesign.architecture import Hardware
from codesign.errors import ModelError, TargetError
from codesign.target import Part
from hw import choices, parallel_cost, solver, streaming_cost
from hw.design import design, library
from hw.graph import FixedType, Graph, Node, Op
from hw.measure import yosys
from hw.measure.delays import DelayModel
from hw.parallel_cost import adder_luts, graph_luts
from hw.parts import parts
from hw.streaming_cost import around, memory_luts, parallel_lut, queue_luts, waiting, waiting_bits, waiting_luts

pytestmark = [
    # QKeras serializes quantizers as constraints, and reads their names with an old call of pyparsing
    pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize:UserWarning"),
    pytest.mark.filterwarnings("ignore:'[a-zA-Z]+' deprecated:DeprecationWarning"),
]
PART = Part("xc7z020clg400-1", "xc7", "-1", {"lut": 53_200, "bram": 140})
DELAYS = DelayModel.for_part(PART)


def block(name: str) -> Any:
    """A network with a block that joins, half of its weights zero: a ResNet-like or a DenseNet-like one, or a skip."""
    stem = conv("stem", 12, padding="same"), relu("stem_relu", 2, 1)
    blocks = {
        "residual": (*stem, residual(12)),
        "densely": (*stem, densely(8)),
        "skip": (*stem, skip("Concatenate", 2)),
        "input": (skip("Add", 3),),
        "reshaped": (layer("Reshape", (6, 9, 8), name="reshaped"), skip("Add", 8)),  # 54 beats do not divide 144
    }
    network = model((12, 12, 3), *blocks[name])
    rng = np.random.default_rng(4)
    for each in network.layers:
        each.set_weights([rng.choice([-1, 0, 1], kernel.shape, p=[0.25, 0.5, 0.25]) for kernel in each.get_weights()])
    return lowered(network)


def skip(join: str, channels: int) -> Any:
    """A convolution, and behind it what it reads."""

    def found(x: Any) -> Any:
        y = relu("new_relu", 2, 1)(conv("new_conv", channels, padding="same")(x))
        return layer(join, name="join")([y, x])

    return found


def synthesized(files: dict[str, str], top: str, folder: Path) -> float:
    return yosys.synthesize(yosys.plan(files, top, PART), folder, timeout_s=300).figures.value("lut")


def test_memories_are_counted_in_banks_of_32_and_64_words() -> None:
    assert [memory_luts(16, depth) for depth in (1, 32, 33, 64, 65, 128, 129)] == [12, 12, 24, 24, 52, 64, 76]
    assert queue_luts(16, 0) == 0


@pytest.mark.parametrize(("width", "depth"), [(16, 16), (24, 21), (40, 34), (40, 64)])
def test_queues_are_as_large_as_mapped(width: int, depth: int, tmp_path: Path) -> None:
    ports = (
        "input wire clk, input wire rst_n, "
        f"input wire s_valid, output wire s_ready, input wire [{width - 1}:0] s_data, "
        f"output wire m_valid, input wire m_ready, output wire [{width - 1}:0] m_data"
    )
    queue = f"cdg_fifo #(.WIDTH({width}), .DEPTH({depth})) queue (.*);"
    files = {**library({"cdg_fifo"}), "top.sv": f"module top({ports});\n  {queue}\nendmodule\n"}
    assert queue_luts(width, depth) == pytest.approx(synthesized(files, "top", tmp_path), rel=0.15)


@pytest.mark.parametrize(
    ("name", "goal"), [("residual", solver.Goal(interval=5000)), ("densely", solver.Goal(interval=3600))]
)
def test_a_block_with_a_join_is_predicted_as_it_is_mapped(name: str, goal: solver.Goal, tmp_path: Path) -> None:
    graph = block(name)
    solution = goal.solve(graph, PART.resources)
    built = design(graph, Hardware("folded"), DELAYS, 8.5, solution.foldings)
    assert len(solution.foldings) > 1
    found = synthesized(dict(built.files), built.top, tmp_path)
    assert solution.total("lut") == pytest.approx(found, rel=0.05)


@pytest.mark.parametrize("kind", ["GlobalAveragePooling2D", "GlobalMaxPooling2D"])
def test_pooling_of_the_whole_image_is_predicted_as_it_is_mapped(kind: str, tmp_path: Path) -> None:
    network = model((16, 16, 16), layer(kind, name="g"), bits="quantized_bits(4,0,keep_negative=0,alpha=1)")
    graph = lowered(network)
    built = design(graph, Hardware("parallel"), DELAYS, 8.5)
    found = synthesized(dict(built.files), built.top, tmp_path)
    solution = solver.as_fast_as_fits(parts(graph), {"lut": 1.1 * found, "bram": 0.0})
    assert solution.total("lut") == pytest.approx(found, rel=0.1)
    assert (solution.interval, built.interval_cycles, built.latency_cycles >> 2) == (256, 256, 64)
    assert found < 400


@pytest.mark.parametrize("name", ["residual", "densely", "skip", "input", "reshaped"])
def test_queues_beside_a_branch_are_as_large_as_emitted(name: str) -> None:
    graph = block(name)
    built = design(graph, Hardware("parallel"), DELAYS, 8.5)
    queue = r"cdg_fifo #\(\s+\.WIDTH\((\d+)\),\s+\.DEPTH\((\d+)\)\s+\) \w+_waiting_(\d)_queue"
    (width, depth, which) = max(re.findall(queue, built.files[f"{built.top}.sv"]), key=lambda found: int(found[1]))
    chain = parts(graph)
    place, estimate = max(waiting(chain).items(), key=lambda found: found[1])
    assert place[1] == int(which)
    assert waiting_bits(chain, place) == int(width)
    assert estimate == pytest.approx(int(depth), abs=3)  # registers of small layers are fewer than estimated


def test_beats_that_no_others_divide_come_when_all_are_there() -> None:
    """As the top level hands them on: six pixels reshaped to four."""
    assert streaming_cost._beats(np.arange(6.0), 4).tolist() == [7, 8, 9, 10]
    assert streaming_cost._beats(np.arange(6.0), 3).tolist() == [2, 4, 6]
    assert streaming_cost._beats(np.array([0.0, 9.0]), 4).tolist() == [1, 2, 10, 11]


def test_every_random_network_has_depths() -> None:
    """Windows of nothing but padding too; warnings of NumPy are errors here."""
    found = []
    for graph in map(random_image_graph, range(200)):
        with contextlib.suppress(ModelError):  # of what is not built
            found += waiting(parts(graph)).values()
    assert len(found) > 20
    assert min(found) >= 0


def test_queues_take_their_share_of_the_budget() -> None:
    """What fits without them, and does not with them, is refused."""
    chain = parts(block("residual"))
    alone = sum(min(choice.lut for choice in choices.choices(part)) for part in chain)
    queues = sum(waiting_luts(chain))
    assert solver.as_fast_as_fits(chain, {"lut": 1.01 * (alone + queues), "bram": 20.0}).total("lut") > alone
    with pytest.raises(TargetError, match="LUTs at least"):
        solver.as_fast_as_fits(chain, {"lut": alone + 0.9 * queues, "bram": 20.0})


def convolution(op: Op, shape: tuple[int, ...], bits: int, shift: int) -> Graph:
    """One layer of random trits, half of them zero, on 10 x 10 pixels of ``bits``, which its activation gives too."""
    rows, columns, channels, outputs = shape
    dims = (11 - rows, 11 - columns, outputs * (channels if op is Op.DEPTHWISE else 1))
    trits = np.random.default_rng(1).choice([-1, 0, 1], shape, p=[0.25, 0.5, 0.25])
    tensors = {
        "trits": trits,
        "bias": np.zeros(dims[2], np.int64),
        "stride": np.ones(2, int),
        "padding": np.zeros(4, int),
    }
    given, kind = FixedType(False, bits, 0), FixedType(True, 24, 0)
    ends = {"shift": np.array(shift), "low": np.array(0), "high": np.array(given.high)}
    return Graph(
        (
            Node("x", Op.INPUT, None, (10, 10, channels), given),
            Node("conv", op, "x", dims, kind, tensors),
            Node("act", Op.QUANTIZE, "conv", dims, given, ends),
        )
    )


@pytest.mark.parametrize(
    ("op", "shape", "bits", "shift", "within"),
    [
        (Op.CONV, (3, 3, 4, 8), 1, 2, 0.08),
        (Op.CONV, (3, 3, 3, 8), 2, 2, 0.08),
        (Op.CONV, (1, 1, 12, 24), 2, 1, 0.12),
        (Op.CONV, (3, 3, 3, 6), 4, 3, 0.12),  # constants for clipping make some sums wider than counted
        (Op.DEPTHWISE, (3, 3, 8, 1), 2, 2, 0.2),
    ],
)
def test_parallel_convolutions_are_predicted_as_they_are_mapped(
    op: Op, shape: tuple[int, ...], bits: int, shift: int, within: float, tmp_path: Path
) -> None:
    graph = convolution(op, shape, bits, shift)
    (part,) = parts(graph)
    built = design(graph, Hardware("parallel"), DELAYS, 8.5)
    found = synthesized(dict(built.files), built.top, tmp_path)
    assert around(part)[0] + parallel_lut(part) == pytest.approx(found, rel=within)


@pytest.mark.parametrize(("rows", "columns", "zeros"), [(64, 64, 0.2), (144, 32, 0.5), (200, 100, 0.8)])
def test_some_rows_of_a_matrix_tell_of_the_whole(
    rows: int, columns: int, zeros: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is searched in milliseconds against what is searched whole."""
    share = (1 - zeros) / 2
    weights = np.random.default_rng(1).choice(np.array([-1, 0, 1], np.int8), (rows, columns), p=[share, zeros, share])
    few = parallel_cost._adders(weights, 3, shares=True, constants=False)
    monkeypatch.setattr(parallel_cost, "_SEARCHED", weights.size)
    assert few == pytest.approx(parallel_cost._adders(weights, 3, shares=True, constants=False), rel=0.12)


def test_adders_are_counted_as_the_rtl_lays_them_down() -> None:
    """Two bits in a LUT6_2 where all operands enter it; else one where two operands have it, and one above them."""
    assert [
        adder_luts(spans) for spans in ((1, 1, 1), (3, 3), (3, 3, 1), (3, 3, 3), (3, 3, 9), (15, 15), (15, 63, 200))
    ] == [*(1, 2, 2, 2, 3, 4, 7)]


def test_outputs_that_never_change_take_nothing() -> None:
    """Sums of 0 to 18 that the activation divides by 64 are all 0."""
    (part,) = parts(convolution(Op.CONV, (3, 3, 2, 4), 2, 6))
    assert part.stage is not None
    assert graph_luts(part.stage) == 0
