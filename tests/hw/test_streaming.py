"""Streaming networks: every output bit of the emitted RTL against the Graph, every frame's cycles as scheduled."""

from __future__ import annotations

import dataclasses
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz import DELAYS
from qkeras_images import CONSTRUCTS, conv, drawn, layer, lenet, model, relu, residual
from qkeras_layers import act, lowered, q

from codesign.architecture import Hardware
from codesign.errors import MismatchError, ModelError
from hw import cycles
from hw.design import Design, design
from hw.emit import streaming
from hw.emit.queues import shorten
from hw.graph import FixedType, Graph, Node, Op
from hw.measure.tools import find_verilator, run_tool
from hw.measure.verilator import simulate
from hw.parts import parts

pytestmark = [
    # QKeras serializes quantizers as constraints, and reads their names with an old call of pyparsing
    pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize:UserWarning"),
    pytest.mark.filterwarnings("ignore:'[a-zA-Z]+' deprecated:DeprecationWarning"),
]
PARALLEL, FOLDED = Hardware("parallel"), Hardware("folded", 150)


def frames(graph: Graph, count: int = 12) -> Any:
    kind = graph.input.type
    x = np.random.default_rng(5).integers(kind.low, kind.high + 1, (count, graph.input.size))
    x[0], x[1] = kind.low, kind.high
    return x


def check(network: Any, hardware: Hardware, folder: Path) -> Design:
    """Simulate; simulate() itself compares bits, and the cycles of every frame."""
    graph = lowered(network)
    built = design(graph, hardware, DELAYS, 6.0)
    x = frames(graph)
    simulate(built, x, graph.run(x), folder, timeout_s=300)
    return built


@pytest.mark.parametrize(("name", "hardware"), [(name, (PARALLEL, FOLDED)[i % 2]) for i, name in enumerate(CONSTRUCTS)])
def test_rtl_equals_graph_and_schedule(name: str, hardware: Hardware, tmp_path: Path) -> None:
    check(drawn(CONSTRUCTS[name](), seed=len(name)), hardware, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONSTRUCTS)
@pytest.mark.parametrize("hardware", [PARALLEL, Hardware("folded", 60), FOLDED, Hardware("folded", 700)], ids=str)
def test_rtl_equals_graph_and_schedule_in_every_mode(name: str, hardware: Hardware, tmp_path: Path) -> None:
    check(drawn(CONSTRUCTS[name](), seed=len(name) + 1), hardware, tmp_path)


def test_lenet_keeps_its_schedule(tmp_path: Path) -> None:
    built = check(lenet(), Hardware("folded", 3200), tmp_path)
    assert (built.input_beats, built.inputs, built.outputs) == (28 * 28, 28 * 28, 10)


def test_queues_are_as_short_as_the_pace_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    placed: list[Any] = []

    def watched(board: Any, network: Any) -> None:
        shorten(board, network)
        placed.append((board, network))

    monkeypatch.setattr(streaming, "shorten", watched)
    built = design(lowered(drawn(model((6, 6, 2), residual(2), conv("c", 2)))), PARALLEL, DELAYS, 6.0)
    ((board, network),) = placed
    pace = network.pace()
    assert pace == (built.interval_cycles, built.latency_cycles)
    assert max(board.depths.values()) > 2 * 8  # two windows of three rows lie on the longer path
    for place, depth in list(board.depths.items()):
        if depth:
            board.depths[place] = depth - 1
            shorter = network.pace()
            assert shorter is None or shorter > pace or shorter[1] > pace[1]
            board.depths[place] = depth


def test_frames_that_take_turns_have_their_mean_as_interval() -> None:
    """Of two sources gathered whole, the one with a queue is taken ahead of the other every second time."""
    network = cycles.Network(4)
    other, first, second, queued = (network.stream() for _ in range(4))
    network.modules += [
        cycles.beside(network.source, 4, other, 4),
        cycles.gather(network.source, first, 4, 4),
        cycles.gather(other, second, 4, 4),
        cycles.queue(second, queued, 1, lambda: 1),
        cycles.join([first, queued], network.sink, 1),
    ]
    done = network.run(20).done
    assert {after - before for before, after in itertools.pairwise(done[10:])} == {4, 5}
    assert network.interval() == 5


def test_a_flipped_weight_is_noticed(tmp_path: Path) -> None:
    graph = lowered(drawn(CONSTRUCTS["same"]()))
    nodes = list(graph)
    (index,) = (i for i, node in enumerate(nodes) if "trits" in node.tensors)
    trits = nodes[index].tensors["trits"].copy()
    trits[1, 1, 0, 2] = 1 if trits[1, 1, 0, 2] < 1 else -1
    nodes[index] = dataclasses.replace(nodes[index], tensors={**nodes[index].tensors, "trits": trits})
    x = frames(graph)
    built = design(Graph(tuple(nodes)), PARALLEL, DELAYS, 6.0)
    with pytest.raises(MismatchError, match="RTL differs from the graph"):
        simulate(built, x, graph.run(x), tmp_path, timeout_s=300)


def test_a_frame_off_its_schedule_is_noticed(tmp_path: Path) -> None:
    graph = lowered(drawn(CONSTRUCTS["valid"]()))
    built = design(graph, PARALLEL, DELAYS, 6.0)
    assert built.network
    late = cycles.Network(built.network.beats_in, built.network.beats_out)
    late.modules.append(cycles.pipe(late.source, late.sink, 1, latency=3, capacity=2))
    late.run = lambda count, gap=None: cycles.Frames(tuple(range(count)), tuple(range(count)))  # type: ignore[method-assign]
    late.gap = lambda latency: 64  # type: ignore[method-assign]
    x = frames(graph)
    with pytest.raises(MismatchError, match="frame 1 is scheduled to be begun in cycle 1, simulated: "):
        simulate(dataclasses.replace(built, network=late), x, graph.run(x), tmp_path, timeout_s=300)


def test_too_few_cycles_are_refused() -> None:
    graph = lowered(drawn(CONSTRUCTS["same"]()))
    message = "layer 'c' computes 30 pixels per frame, one after the other; folding = 29 cycles are too few: use 30 or"
    with pytest.raises(ModelError, match=re.escape(message)):
        design(graph, Hardware("folded", 29), DELAYS, 6.0)


def test_results_of_padding_alone_may_come_before_their_image(tmp_path: Path) -> None:
    """The first two rows are: of the image behind the last one, too, which never comes."""
    top = layer("ZeroPadding2D", ((2, 0), (0, 0)), name="z")
    check(drawn(model((3, 3, 2), top, conv("c", 2, 1))), PARALLEL, tmp_path)


def of_padding_alone(x: Any) -> Any:
    """The mean of rows 0 and 1, of a 1 x 2 image behind two rows of zeros."""
    padded = layer("ZeroPadding2D", ((2, 1), (0, 0)), name="z")(x)
    return relu("a")(layer("AveragePooling2D", (2, 1), (3, 1), name="p")(padded))


def test_a_network_that_reads_padding_alone_is_refused() -> None:
    """Its results are there before its image: it has no latency."""
    graph = lowered(drawn(model((1, 2, 2), of_padding_alone)))
    with pytest.raises(ModelError, match="^the network reads nothing but padding, for every image; take less padding"):
        design(graph, PARALLEL, DELAYS, 6.0)


@pytest.mark.parametrize(
    "name",
    [
        *("residual", "densely", "added vectors of two lattices", "signed max pooling", "reshape"),
        *("global average", "global max"),
    ],
)
def test_generated_text_gives_verilator_nothing_to_warn_of(name: str, tmp_path: Path) -> None:
    built = design(lowered(drawn(CONSTRUCTS[name]())), PARALLEL, DELAYS, 6.0)
    for file, text in built.files.items():
        (tmp_path / file).write_text(text)
    tool = find_verilator()
    argv = [*tool.command, "--lint-only", "-Wall", "-y", str(tmp_path), "--top-module", built.top, f"{built.top}.sv"]
    run_tool(argv, cwd=tmp_path, timeout_s=60, log=tmp_path / "lint.log", env=tool.environment)


def over_the_image(trits: Any, signed: bool, bits: int) -> Graph:
    """A depthwise layer alone whose window is the whole image."""
    rows, columns, channels, multiplier = trits.shape
    kind = FixedType(signed, bits, 0)
    geometry = {"stride": np.array([1, 1]), "padding": np.zeros(4, np.int64)}
    tensors = {"trits": trits, "bias": np.arange(channels * multiplier), **geometry}
    most = rows * columns << bits
    sums = FixedType.holding(-most, most)
    image = Node("x", Op.INPUT, None, (rows, columns, channels), kind)
    return Graph((image, Node("d", Op.DEPTHWISE, "x", (1, 1, channels * multiplier), sums, tensors)))


@pytest.mark.parametrize(("signed", "bits"), [(False, 3), (True, 4), (True, 16)])
def test_weights_that_are_one_a_channel_over_the_image_stand_behind_its_sum(
    signed: bool, bits: int, tmp_path: Path
) -> None:
    trits = np.broadcast_to(np.array([[1, -1], [0, 1]]), (3, 5, 2, 2)).copy()
    graph = over_the_image(trits, signed, bits)
    built = design(graph, PARALLEL, DELAYS, 6.0)
    assert "cdg_reduce.sv" in built.files
    assert "cdg_gather.sv" not in built.files
    assert built.interval_cycles == 15
    x = frames(graph)
    simulate(built, x, graph.run(x), tmp_path, timeout_s=300)
    trits[2, 4, 0, 0] = 0
    assert "cdg_gather.sv" in design(over_the_image(trits, signed, bits), PARALLEL, DELAYS, 6.0).files


@pytest.mark.parametrize(
    ("quantizer", "given"),
    [("ternary(alpha=1,threshold=0.80078125)", (-16, 16, 6)), ("quantized_relu(4,4)", (0, 240, 8))],
)
def test_sums_are_as_wide_as_they_come(quantizer: str, given: tuple[int, ...]) -> None:
    network = model((4, 4, 2), conv("c", 3, 1), act("a", q(quantizer)), layer("GlobalAveragePooling2D", name="g"))
    found = parts(lowered(drawn(network)))[-1].reduced
    assert found
    assert (found.low, found.high, found.bits) == given


def test_an_average_of_trits_and_activations_behind_joins_are_wires() -> None:
    built = design(lowered(drawn(CONSTRUCTS["residual"]())), FOLDED, DELAYS, 6.0)
    assert [(layer.name, layer.mode) for layer in built.layers] == [
        *(("left_conv_1", "folded"), ("left_conv_2", "folded"), ("sum", "streaming"), ("c", "folded"))
    ]


def test_relu_without_a_quantizer_is_kept() -> None:
    graph = lowered(drawn(model((4, 4, 2), conv("c", 3), relu("a"), relu("b", 2, 1))))
    assert [layer.name for layer in design(graph, PARALLEL, DELAYS, 6.0).layers] == ["c", "b"]
