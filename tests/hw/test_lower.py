"""QKeras through hls4ml to the Graph: equality layer by layer, hls4ml's own C simulation, and what is refused."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import fuzz
import numpy as np
import pytest
from networks import random_model

from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.errors import MismatchError, ModelError
from hw import accepted
from hw.graph import Graph, Op
from hw.schedule import stages
from quant.scaling import InputFormat

pytestmark = [
    # QKeras draws the initial weights of all its layers from one initializer, serializes quantizers as constraints,
    # and reads their names with an old call of pyparsing
    pytest.mark.filterwarnings("ignore:The initializer HeNormal is unseeded:UserWarning"),
    pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize:UserWarning"),
    pytest.mark.filterwarnings("ignore:'[a-zA-Z]+' deprecated:DeprecationWarning"),
]
PART, CLOCK = "xc7z020clg400-1", 100.0


def tools() -> Any:
    from hw import hls4ml_flow, lower

    return hls4ml_flow, lower


def canonical(activation: str, *, bits: int = 4, signed: bool = False, seed: int = 0) -> Any:
    """A canonical model with drawn weights and random scales and offsets."""
    from quant import canonical as export
    from quant.build import build

    hidden = (DenseLayer(9, activation), DenseLayer(7, activation))  # type: ignore[arg-type]
    architecture = Architecture(12, 4, bits, hidden, True, Hardware("parallel"))
    kind = InputFormat(bits, signed, bits - int(signed), (0.0,) * 12, (1.0,) * 12)
    model = export.canonicalize(build(architecture, kind, seed), architecture, kind)
    if activation != "ternary":  # whose threshold was placed for the lattice it was exported with
        rng = np.random.default_rng(seed)
        for name, step in (("norm_0", 2.0**-kind.frac), ("norm_1", 2.0 ** -int(activation))):
            gamma, beta, mean, variance = model.get_layer(name).get_weights()
            gamma = gamma * 2.0 ** rng.integers(0, 2, gamma.shape)
            beta = gamma * step * rng.integers(-6, 7, beta.shape)
            model.get_layer(name).set_weights([gamma, beta, mean, variance])
    return model, kind


def lowered(model: Any) -> Graph:
    flow, lower = tools()
    return lower.lower(flow.parse(model, PART, CLOCK))


@pytest.mark.parametrize("activation", ["ternary", "2", "3", "4"])
@pytest.mark.parametrize(("bits", "signed"), [(1, False), (4, False), (5, True)])
def test_canonical_models_equal_their_graph(activation: str, bits: int, signed: bool) -> None:
    _, lower = tools()
    model, kind = canonical(activation, bits=bits, signed=signed, seed=bits)
    graph = lowered(model)
    x = np.random.default_rng(1).integers(kind.low, kind.high + 1, (300, 12))
    lower.self_check(model, graph, x)
    reals = model(kind.real(x), training=False).numpy()
    assert np.array_equal(reals, graph.output.type.to_real(graph.run(x)))


@pytest.mark.parametrize("activation", ["ternary", "3"])
def test_hls4ml_c_simulation_agrees(activation: str, tmp_path: Path) -> None:
    flow, _ = tools()
    model, kind = canonical(activation)
    graph = lowered(model)
    x = np.random.default_rng(2).integers(kind.low, kind.high + 1, (300, 12))
    logits = flow.c_simulation(model, kind.real(x), tmp_path, PART, CLOCK)
    assert np.array_equal(logits, graph.output.type.to_real(graph.run(x)))


def test_the_self_check_names_the_first_layer_that_differs() -> None:
    _, lower = tools()
    model, kind = canonical("3")
    graph = lowered(model)
    nodes = list(graph.nodes)
    index = next(i for i, node in enumerate(nodes) if node.name == "dense_1")
    trits = nodes[index].tensors["trits"].copy()
    trits[2, 5] = 0 if trits[2, 5] else 1
    nodes[index] = dataclasses.replace(nodes[index], tensors={**nodes[index].tensors, "trits": trits})
    x = np.random.default_rng(1).integers(kind.low, kind.high + 1, (300, 12))
    with pytest.raises(MismatchError, match=r"layer 'dense_1' differs first: sample \d+, unit 5: QKeras .*, graph "):
        lower.self_check(model, Graph(tuple(nodes)), x)


def sequence(*layers: Any) -> Any:
    from quant.tf import keras, qkeras

    x = inputs = keras.layers.Input((6,), name="x")
    x = qkeras.QActivation(qkeras.quantized_bits(4, 0, keep_negative=0, alpha=1), name="input_quant")(x)
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def dense(name: str, **arguments: Any) -> Any:
    from quant.tf import qkeras

    quantizer = arguments.pop("kernel_quantizer", None) or qkeras.ternary(alpha=1, threshold=0.5)
    return qkeras.QDense(4, kernel_quantizer=quantizer, use_bias=False, name=name, **arguments)


def q(text: str) -> Any:
    from quant.tf import qkeras

    return qkeras.get_quantizer(text)


def act(name: str, quantizer: Any) -> Any:
    from quant.tf import qkeras

    return qkeras.QActivation(quantizer, name=name)


def biased(name: str, quantizer: str | None, **arguments: Any) -> Any:
    from quant.tf import qkeras

    kernel = arguments.pop("kernel_quantizer", None) or q("ternary(alpha=1,threshold=0.5)")
    bias = q(quantizer) if quantizer else None
    return qkeras.QDense(4, kernel_quantizer=kernel, bias_quantizer=bias, name=name, **arguments)


CONSTRUCTS = {
    "alpha 0.5": lambda: (dense("d", kernel_quantizer=q("ternary(alpha=0.5,threshold=0.5)")), dense("e")),
    "alpha before a norm": lambda: (
        biased("d", "quantized_bits(6,2,alpha=1)", kernel_quantizer=q("ternary(alpha=0.5,threshold=0.5)")),
        norm("n", [1.0, 2.0, -0.5, 0.0], 0.25),
    ),
    "binary alpha 2": lambda: (dense("d", kernel_quantizer=q("binary(alpha=2.0)")), act("a", "binary")),
    "own scales": lambda: (dense("d", kernel_quantizer=q("ternary()")), act("a", "quantized_relu(4,2)")),
    "bias": lambda: (biased("d", "quantized_bits(8,3,alpha=1)"), dense("e")),
    "finer bias": lambda: (biased("d", None), act("a", "quantized_relu(4,1)"), biased("e", None)),
    "finer bias, negative scale": lambda: (biased("d", None), norm("n", [1.0, -2.0, 0.0, -0.5], 0.5)),
    "general norm": lambda: (dense("d"), norm("n", [2.0, -2.0, 0.5, 8.0], [0.5, 1, 0, -0.25], 0.625, 2.0, 1e-3)),
    "two norms": lambda: (dense("d"), norm("n", [1.0, -2.0, 1.0, 1.0], 0.5), norm("m", [1.0, -1.0, 0.0, 4.0], 0.25)),
    "activation as argument": lambda: (
        dense("d", activation=q("quantized_relu(4,1)")),
        dense("e", activation=q("ternary(alpha=1,threshold=0.3)")),
        dense("f", activation="linear"),
    ),
    "activations by name": lambda: (
        *(dense("d"), act("a", "quantized_relu(4,0)"), dense("e"), act("b", "ternary"), dense("f"), act("c", "binary")),
    ),
    "relu": lambda: (dense("d", activation="relu"), act("a", "quantized_bits(4,2,1,alpha=1)"), dense("e")),
    "relu at the end": lambda: (dense("d"), norm("n", -1.0, 0.5), dense("e", activation="relu")),
    "halves for trits": lambda: (dense("d"), act("a", "ternary(alpha=0.5,threshold=0.3)"), dense("e")),
    "one signed bit": lambda: (dense("d"), act("a", "quantized_bits(1,0,alpha=1)"), dense("e")),
    "no fractional bits": lambda: (dense("d"), act("a", "quantized_relu(2,3)"), biased("e", "quantized_bits(6,2)")),
    "finer activation": lambda: (dense("d"), act("a", "quantized_relu(8,1)"), dense("e")),
    "narrow activation": lambda: (dense("d"), act("a", "quantized_bits(3,0,1,alpha=1)"), dense("e")),
}


def refused(model: Any, message: str) -> None:
    with pytest.raises(ModelError, match=re.escape(message)):
        lowered(model)


def test_kernels_that_are_not_ternary_are_refused() -> None:
    from quant.tf import qkeras

    model = sequence(dense("wide", kernel_quantizer=qkeras.quantized_bits(4, 0, alpha=1)))
    model.get_layer("wide").set_weights([np.full((6, 4), 0.375, np.float32)])
    refused(model, "layer 'wide' (Dense) has weight 0.375, which is not -1, 0 or +1; quantize its kernel with ternary")


def test_scales_that_are_no_power_of_two_are_refused() -> None:
    from quant.tf import keras

    model = drawn(sequence(dense("d"), keras.layers.BatchNormalization(epsilon=0, name="norm")))
    model.get_layer("norm").set_weights([np.full(4, 0.75), np.zeros(4), np.zeros(4), np.ones(4)])
    refused(model, "layer 'norm' (BatchNormalization) scales channel 1 by 0.75, which is no power of two")


def test_a_threshold_on_a_tie_is_refused() -> None:
    from quant.tf import qkeras

    model = sequence(dense("d"), qkeras.QActivation(qkeras.ternary(alpha=1, threshold=0.75), name="tie"))
    refused(
        model,
        "layer 'tie' has threshold 0.75, a value its input can take: QKeras tests >=, hls4ml >; "
        "move it between two steps of 2**-4, e.g. to 0.78125",
    )


def test_unsupported_layers_are_named() -> None:
    from quant.tf import keras

    model = sequence(dense("d"), keras.layers.Activation("softmax", name="soft"))
    refused(
        model, "layer 'soft' (Activation, activation 'softmax') is not supported; leave it out: the largest output is"
    )


def exact(model: Any, seed: int = 3) -> Graph:
    """The graph of ``model``, held against QKeras layer by layer and at the end."""
    _, lower = tools()
    graph = lowered(model)
    kind = graph.input.type
    x = np.random.default_rng(seed).integers(kind.low, kind.high + 1, (300, graph.input.size))
    lower.self_check(model, graph, x)
    found = model(kind.to_real(x).astype(np.float32), training=False).numpy()
    values = x
    for stage in stages(graph):
        values = stage.run(values)
    assert np.array_equal(found, graph.output.type.to_real(values))
    return graph


def drawn(model: Any, seed: int = 0) -> Any:
    """``model`` with random trits (a column of zeros, one of +1) in its dense layers, and small dyadic biases."""
    from quant.tf import qkeras

    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, qkeras.QDense):
            kernel, *bias = layer.get_weights()
            kernel = rng.integers(-1, 2, kernel.shape).astype(np.float32)
            kernel[:, 0], kernel[:, 1] = 0, 1
            layer.set_weights([kernel, *(rng.integers(-9, 10, values.shape) / 2**6 for values in bias)])
    return model


def norm(name: str, gamma: Any, beta: Any, mean: Any = 0.0, root: float = 1.0, epsilon: float = 0.0) -> Any:
    """A BatchNormalization over 4 channels whose variance and epsilon add up to ``root`` squared."""
    from quant.tf import keras

    layer = keras.layers.BatchNormalization(epsilon=epsilon, name=name)
    layer.build((None, 4))
    variance = np.full(4, np.float32(root**2) - np.float32(epsilon))
    layer.set_weights([np.broadcast_to(values, 4) for values in (gamma, beta, mean, variance)])
    return layer


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_what_qkeras_computes_the_graph_computes(construct: str, seed: int) -> None:
    exact(drawn(sequence(*CONSTRUCTS[construct]()), seed), seed)


@pytest.mark.parametrize("block", range(8))
def test_random_networks_equal_their_graph(block: int) -> None:
    _, lower = tools()
    for seed in range(10 * block, 10 * block + 10):
        network = random_model(seed, widest=16, deepest=4)
        model = fuzz.build(network)
        accepted.require_chain(model)
        graph = lowered(model)
        x = fuzz.inputs(network, graph)
        lower.self_check(model, graph, x)
        values = x
        for stage in stages(graph):
            values = stage.run(values)
        assert np.array_equal(values, graph.run(x)), seed


def test_a_negative_scale_is_moved_into_the_trits() -> None:
    graph = exact(drawn(sequence(dense("d"), norm("n", [2.0, -0.5, 0.0, -1.0], [0.5, 0.25, 0.125, 0.0]))))
    assert [node.name for node in graph] == ["x", "input_quant", "d::signed", "n"]
    trits = graph.nodes[2].tensors["trits"]
    assert (trits[:, 1] == -1).all()
    assert not trits[:, 2].any()
    low, high = graph.reach()["n"]
    assert (low[2], high[2]) == (4, 4)  # 0.125 in 32nds, whatever the input


def test_a_scale_of_a_channel_that_never_changes_does_not_matter() -> None:
    model = drawn(sequence(dense("d"), norm("n", [0.3, 1.0, 1.0, 1.0], [0.75, 0.0, 0.0, 0.0])))
    assert exact(model).reach()["n"][0][0] == 12


def test_a_second_activation_needs_a_dense_layer_between() -> None:
    graph = lowered(sequence(dense("d", activation="relu"), act("t", "ternary(alpha=1,threshold=0.3)")))
    with pytest.raises(ModelError, match="layer 't' follows the activation 'd_relu'; put a dense layer between"):
        stages(graph)


def test_a_range_is_that_of_each_channel_by_itself() -> None:
    """The widest sum with the largest scale would need 26 bits; no channel has both."""
    model = sequence(dense("d"), norm("n", [2.0**10, 2.0**-8, 1.0, 1.0], 0.0))
    kernel = np.zeros((6, 4), np.float32)
    kernel[0, 0], kernel[:, 1] = 1, 1
    model.get_layer("d").set_weights([kernel])
    assert exact(model).nodes[-1].type.bits == 22


def test_sums_that_float32_would_round_are_refused() -> None:
    model = drawn(sequence(dense("d"), norm("n", 1.0, [2.0**-24, 2.0**-24, 0.0, 0.0])))
    with pytest.raises(ModelError, match=r"layer 'n' needs 27 bits for unit 1; float32 QKeras is exact up to 24"):
        exact(model)


REFUSED = {
    "alpha": (
        lambda: (dense("d", kernel_quantizer=q("ternary(alpha=0.75,threshold=0.5)")),),
        "layer 'd_alpha' (ApplyAlpha) scales channel 1 by 0.75, which is no power of two",
    ),
    "scale": (
        lambda: (dense("d"), norm("n", [1.0, 0.7, 1.0, 1.0], 0.0)),
        "layer 'n' (BatchNormalization) scales channel 1 by 0.699999988, which is no power of two",
    ),
    "negative scale after an activation": (
        lambda: (dense("d"), act("a", "quantized_relu(3,1)"), norm("n", [1.0, -1.0, 1.0, 1.0], 0.0)),
        "layer 'n' (BatchNormalization) scales channel 1 by -1 after 'a', which is no dense layer",
    ),
    "ternary output": (
        lambda: (dense("d"), act("a", "ternary(alpha=0.75,threshold=0.3)")),
        "layer 'a' has alpha=0.75 as an activation; use alpha=1 or another power of two",
    ),
    "threshold": (
        lambda: (dense("d"), act("a", "ternary(alpha=1,threshold=-0.3)")),
        "layer 'a' has threshold -0.3; a ternary activation needs one above 0",
    ),
    "binary of 0 and 1": (
        lambda: (dense("d"), act("a", "binary(use_01=True,alpha=1)")),
        "layer 'a' has use_01=True; only use_01=False is exact",
    ),
    "widely different scales": (
        lambda: (dense("d"), norm("n", [1.0, 2.0**-40, 2.0**20, 1.0], 0.0)),
        "layer 'n' scales its channels too differently: 2**-40 to 2**20",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exact_is_refused(name: str) -> None:
    layers, message = REFUSED[name]
    refused(drawn(sequence(*layers())), message)


def test_binary_kernels_and_activations_and_quantized_bits_are_lowered() -> None:
    from quant.tf import qkeras

    _, lower = tools()
    model = sequence(
        dense("d", kernel_quantizer=qkeras.binary(alpha=1)),
        qkeras.QActivation(qkeras.quantized_bits(5, 1, alpha=1), name="bits"),
        dense("e"),
        qkeras.QActivation(qkeras.binary(alpha=1), name="sign"),
        dense("f"),
    )
    graph = lowered(model)
    assert [node.op for node in graph][2:] == [Op.DENSE, Op.QUANTIZE, Op.DENSE, Op.BINARY, Op.DENSE]
    x = np.random.default_rng(3).integers(0, 16, (300, 6))
    lower.self_check(model, graph, x)
