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
from hw import choices, solver, streaming_cost
from hw.design import design, library
from hw.measure import yosys
from hw.measure.delays import DelayModel
from hw.parts import parts
from hw.streaming_cost import memory_luts, queue_luts, waiting, waiting_bits, waiting_luts

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
