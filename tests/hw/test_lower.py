"""QKeras through hls4ml to the Graph: equality layer by layer, hls4ml's own C simulation, and what is refused."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.errors import MismatchError, ModelError
from hw.graph import Graph, Op
from quant.scaling import InputFormat

# QKeras draws the initial weights of all its layers from one initializer
pytestmark = pytest.mark.filterwarnings("ignore:The initializer HeNormal is unseeded:UserWarning")
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

    model = sequence(dense("d"), keras.layers.BatchNormalization(epsilon=0, name="norm"))
    model.get_layer("norm").set_weights([np.full(4, 0.75), np.zeros(4), np.zeros(4), np.ones(4)])
    refused(model, "layer 'norm' (BatchNormalization) scales a channel by 0.75, which is not a positive power of two")


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
    refused(model, "layer 'soft' (Softmax) is not supported; supported: Dense (ternary or binary kernel")


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
    assert [node.op for node in graph] == [Op.INPUT, Op.DENSE, Op.QUANTIZE, Op.DENSE, Op.BINARY, Op.DENSE]
    x = np.random.default_rng(3).integers(0, 16, (300, 6))
    lower.self_check(model, graph, x)
