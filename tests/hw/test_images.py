"""Convolution, pooling and joins: QKeras through hls4ml to the Graph, equal layer by layer; and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qkeras_images import CONSTRUCTS, conv, dense, depthwise, drawn, layer, lenet, model, relu
from qkeras_images import norm as channel_norm
from qkeras_layers import act, lowered, norm, q, tools

from codesign.architecture import Hardware
from codesign.errors import ModelError
from codesign.target import Part, Target
from hw.graph import FixedType, Graph, Node, Op
from hw.hls4ml_differences import known_differences
from hw.implement import hold_c_simulation, random_vectors

pytestmark = [
    # QKeras serializes quantizers as constraints, and reads their names with an old call of pyparsing
    pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize:UserWarning"),
    pytest.mark.filterwarnings("ignore:'[a-zA-Z]+' deprecated:DeprecationWarning"),
]


def exact(network: Any, count: int = 60) -> Graph:
    """The graph of ``network``, held against QKeras layer by layer, at the end, and against its own JSON."""
    graph = lowered(network)
    kind = graph.input.type
    x = np.random.default_rng(3).integers(kind.low, kind.high + 1, (count, graph.input.size))
    tools()[1].self_check(network, graph, x)
    real = kind.to_real(x).astype(np.float32).reshape(-1, *network.inputs[0].shape[1:])
    found = network(real, training=False).numpy().reshape(count, -1)
    assert np.array_equal(found, graph.output.type.to_real(graph.run(x)))
    again = Graph.from_json(json.loads(json.dumps(graph.to_json())))
    assert again.digest() == graph.digest()
    assert np.array_equal(again.run(x), graph.run(x))
    return graph


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_layers_on_images_are_exact(name: str) -> None:
    graph = exact(drawn(CONSTRUCTS[name](), seed=len(name)))
    values = graph.trace(np.random.default_rng(1).integers(0, 8, (40, graph.input.size)))
    for node_name, (low, high) in graph.reach().items():  # the reach that every width is taken from
        assert (low <= values[node_name].min(axis=0)).all()
        assert (values[node_name].max(axis=0) <= high).all()


@pytest.mark.parametrize("count", [3, 5, 6, 9, 20, 49])
def test_every_sum_of_a_mean_is_quantized_as_qkeras_does(count: int) -> None:
    """All of them: ties, which a multiplication by the reciprocal breaks otherwise, steps finer and coarser than 1."""
    bits = ("quantized_relu(4,1)", "quantized_bits(8,0,alpha=1)", "quantized_bits(3,2,alpha=1)")
    hit = float(np.float32(1 / count))  # a threshold that is a mean in float32 alone
    texts = (*bits, "binary(alpha=1)", f"ternary(alpha=1,threshold={hit})", "ternary(alpha=1,threshold=0.625)")

    def quantized(x: Any) -> Any:
        joined, *rest = (act(f"a{index}", q(text))(x) for index, text in enumerate(texts))
        for index, branch in enumerate(rest):
            joined = layer("Concatenate", name=f"j{index}")([joined, branch])
        return joined

    mean = layer("AveragePooling2D", (count, 1), name="p")
    network = model((count, 1, 1), mean, quantized, bits="quantized_bits(6,1,alpha=1)")
    graph = lowered(network)
    sums = np.arange(-32 * count, 31 * count + 1)
    x = np.add.outer(sums // count, np.zeros(count, np.int64)) + (np.arange(count) < (sums % count)[:, None])
    assert np.array_equal(x.sum(axis=1), sums)
    tools()[1].self_check(network, graph, x)
    assert [node.op for node in graph].count(Op.DIVIDE) == 3


def test_lenet_is_exact() -> None:
    assert [node.dims for node in exact(lenet(), 4) if node.op is Op.MAXPOOL] == [(14, 14, 6), (5, 5, 16)]


def test_depthwise_kernels_of_any_power_of_two_are_exact() -> None:
    from quant.tf import qkeras

    def depthwise(name: str, quantizer: str, **options: Any) -> Any:
        bias = q("quantized_bits(6,1,alpha=1)")
        return qkeras.QDepthwiseConv2D(3, depthwise_quantizer=q(quantizer), bias_quantizer=bias, name=name, **options)

    network = model(
        (9, 9, 2), depthwise("d", "ternary(alpha=0.5)", depth_multiplier=2), relu("a"),
        depthwise("e", "ternary(alpha='auto_po2')", padding="same"), relu("b"),
    )  # fmt: skip
    rng = np.random.default_rng(1)
    for part in network.layers:
        part.set_weights([rng.normal(0, 0.4, array.shape) for array in part.get_weights()])
    graph = exact(network)
    assert {node.name for node in graph if node.op is Op.DEPTHWISE} == {"d::sum", "e::sum"}
    assert all(np.abs(node.tensors["trits"]).max() == 1 for node in graph if node.op is Op.DEPTHWISE)


@pytest.mark.parametrize("folding", [30, 5000])  # fewer and more cycles than the pixels times a window's inputs
def test_folded_convolutions_agree_with_the_c_simulation(folding: int, tmp_path: Path) -> None:
    from quant.tf import qkeras

    depthwise = qkeras.QDepthwiseConv2D(2, depthwise_quantizer=q("ternary(alpha=1)"), use_bias=False, name="d")
    network = drawn(model(
        (10, 10, 2), conv("c", 3), relu("a"), layer("MaxPooling2D", name="p"), dense("m", 2), relu("o"), depthwise,
        relu("b"),
        layer("Flatten", name="flat"), dense("e", 4), norm("n", 0.5, 0.25), relu("z"),
    ))  # fmt: skip
    graph = lowered(network)
    target, x = Target(Part("xc7z020clg400-1", "xc7", "-1", {}), 100.0), random_vectors(graph, 16, 1)
    assert hold_c_simulation(network, graph, x, tmp_path, target, Hardware("folded", folding)).value == 0


@pytest.mark.parametrize(("folding", "reuse"), [(30, (1, 1)), (150, (2, 2)), (5000, (18, 3))])
def test_reuse_factors_of_what_walks_over_images(folding: int, reuse: tuple[int, int], tmp_path: Path) -> None:
    """64 pixels of windows of 18 inputs, then of 3; depthwise layers and vectors have none of their own."""
    flow = tools()[0]
    network = drawn(model(
        (10, 10, 2), conv("c", 3), relu("a"), dense("m", 4), relu("o"), depthwise("d"), relu("b"),
        layer("Flatten", name="f"), dense("e", 2),
    ))  # fmt: skip
    hardware = Hardware("folded", folding)
    converted = flow._convert(network, flow.VITIS, "xc7z020clg400-1", 100.0, tmp_path, hardware)
    of = converted.config.layer_name_rf
    assert {name: of.get(name) for name in "cmde"} == {"c": reuse[0], "m": reuse[1], "d": 1, "e": None}


def test_a_dense_layer_on_images_has_its_quantized_weights() -> None:
    network = model((3, 4, 2), dense("d", 3), relu("a"), layer("Flatten", name="flat"), dense("e", 2))
    network.get_layer("d").set_weights([np.random.default_rng(1).normal(0, 1, (2, 3))])
    network.get_layer("e").set_weights([np.random.default_rng(2).normal(0, 1, (36, 2))])
    assert [node.op for node in exact(network)][2:4] == [Op.CONV, Op.QUANTIZE]
    said = "layer 'd': a QDense on images becomes a convolution with unquantized weights"
    assert known_differences(network) == [said]


def scaled_binary(x: Any) -> Any:
    from quant.tf import qkeras

    quantizer = q("binary(alpha='auto_po2')")
    return qkeras.QDepthwiseConv2D(3, depthwise_quantizer=quantizer, use_bias=False, name="d")(x)


def shared_sums(x: Any) -> Any:
    sums = dense("d", 4)(x)
    return layer("Add", name="sum")([norm("n", -1.0, 0.0)(sums), sums])


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "odd average": (
        lambda: model((6, 6, 2), layer("AveragePooling2D", 3, name="p")),
        "layer 'p' averages 9 values, which is no power of two: no binary fraction holds the mean; put a QActivation",
    ),
    "odd average, then weights": (
        lambda: model((6, 6, 2), layer("AveragePooling2D", 3, name="p"), layer("Flatten", name="f"), dense("d", 2)),
        "layer 'p' averages 9 values, which is no power of two",
    ),
    "odd average, then a negative scale": (
        lambda: drawn(model((6, 6, 2), layer("AveragePooling2D", 3, name="p"), channel_norm("n"), relu("a"))),
        "layer 'p' averages 9 values, which is no power of two",
    ),
    "average of an average": (
        lambda: model(
            (6, 6, 2), layer("AveragePooling2D", 3, name="p"), layer("GlobalAveragePooling2D", name="g"), relu("a")
        ),
        "layer 'p' averages 9 values, which is no power of two",
    ),
    "odd average to many values": (
        lambda: model((6, 6, 2), layer("AveragePooling2D", 3, name="p"), relu("a", 12, 0)),
        "layer 'a' quantizes the mean of 9 values to 3585 values, of which each would be a comparison; quantize it to "
        "8 bits or fewer",
    ),
    "average at the border": (
        lambda: model((5, 5, 2), layer("AveragePooling2D", 2, padding="same", name="p")),
        "layer 'p' averages fewer values at the border (padding='same'); use padding='valid'",
    ),
    "shapes that do not add": (
        lambda: model(
            (4, 4, 2), lambda x: layer("Add", name="sum")([conv("c", 3, padding="same")(x), conv("e", 1, 1)(x)])
        ),
        "layer 'sum' adds shapes [(4, 4, 3), (4, 4, 1)]; give both the same: nothing is broadcast",
    ),
    "product": (
        lambda: model((4,), lambda x: layer("Multiply", name="m")([dense("d", 3)(x), dense("e", 3)(x)])),
        "layer 'm' (Multiply) is not supported",
    ),
    "three at once": (
        lambda: model((4,), lambda x: layer("Add", name="sum")([dense(name, 3)(x) for name in "abc"])),
        "layer 'sum' (Add) reads a, b, c, of which hls4ml takes two; join two of them in a layer of their own",
    ),
    "binary depthwise kernel with a scale": (
        lambda: model((4, 4, 2), scaled_binary),
        "layer 'd' (DepthwiseConv2D) has a binary kernel with alpha='auto_po2', which hls4ml loses; use alpha=1, or",
    ),
    "wide kernel": (
        lambda: drawn(model((4, 4, 2), conv("c", 3, kernel_quantizer="quantized_bits(4,0,alpha=1)"), relu("a"))),
        "layer 'c' (Conv2D) has weight",
    ),
    "sums that two read": (
        lambda: drawn(model((5,), shared_sums)),
        "the sums of layer 'd' are read by several layers, of which one scales them by 0 or less",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exact_is_refused(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ModelError, match=re.escape(message)):
        lowered(make())


def test_an_image_by_hand() -> None:
    trits = np.zeros((2, 2, 1, 2), np.int64)
    trits[0, 0, 0, 0], trits[1, 1, 0, 0], trits[0, 1, 0, 1] = 1, -1, 1
    geometry = {"stride": np.array([1, 1]), "padding": np.array([0, 1, 0, 1])}
    kind = FixedType(True, 8, 0)
    nodes = (
        Node("x", Op.INPUT, None, (2, 2, 1), FixedType(False, 4, 0)),
        Node("c", Op.CONV, "x", (2, 2, 2), kind, {"trits": trits, "bias": np.array([0, 1]), **geometry}),
        Node("p", Op.MAXPOOL, "c", (1, 1, 2), kind, {"window": np.array([2, 2]), **geometry, "padding": np.zeros(4)}),
    )
    trace = Graph(nodes).trace(np.array([[1, 2, 3, 4]]))
    assert trace["c"][0].tolist() == [[[1 - 4, 1 + 2], [2, 1]], [[3, 1 + 4], [4, 1]]]
    assert trace["p"].tolist() == [[[[4, 5]]]]


def test_a_shape_of_two_dimensions_is_none() -> None:
    with pytest.raises(
        ValueError, match=re.escape("x: shape (2, 3) is neither a vector's nor (rows, columns, channels)")
    ):
        Node("x", Op.INPUT, None, (2, 3), FixedType(False, 4, 0))
