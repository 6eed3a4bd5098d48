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
from qkeras_layers import CLOCK, PART, act, biased, dense, drawn, exact, lowered, norm, q, sequence, tools

from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.errors import MismatchError
from hw import accepted
from hw.graph import Graph, Op
from hw.schedule import stages
from quant.scaling import InputFormat

pytestmark = [
    # QKeras serializes quantizers as constraints, and reads their names with an old call of pyparsing
    pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize:UserWarning"),
    pytest.mark.filterwarnings("ignore:'[a-zA-Z]+' deprecated:DeprecationWarning"),
]


def canonical(activation: str, *, bits: int = 4, signed: bool = False, seed: int = 0, weights: str = "ternary") -> Any:
    """A canonical model with drawn weights and random scales and offsets."""
    from quant import canonical as export
    from quant.build import build

    hidden = (DenseLayer(9, activation), DenseLayer(7, activation))  # type: ignore[arg-type]
    architecture = Architecture(12, 4, bits, hidden, True, Hardware("parallel"), weights)  # type: ignore[arg-type]
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


@pytest.mark.parametrize("activation", ["ternary", "2", "3", "4"])
@pytest.mark.parametrize(("bits", "signed"), [(1, False), (4, False), (5, True)])
@pytest.mark.parametrize("weights", ["ternary", "binary"])
def test_canonical_models_equal_their_graph(activation: str, bits: int, signed: bool, weights: str) -> None:
    _, lower = tools()
    model, kind = canonical(activation, bits=bits, signed=signed, seed=bits, weights=weights)
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


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("logits::sum", "layer 'logits' differs first: sample 0, unit 0"),
        ("another", "no layer of the model is called 'another': nothing to compare with"),
        ("act_1_x", "layer 'act_1' gives values of shape (50, 7), the graph (50, 4)"),
    ],
)
def test_the_self_check_compares_the_output_whatever_it_is_called(name: str, message: str) -> None:
    _, lower = tools()
    model, kind = canonical("3")
    *nodes, last = lowered(model).nodes
    assert last.name == "logits"
    wrong = {**last.tensors, "bias": last.tensors["bias"] + 1}
    renamed = Graph((*nodes, dataclasses.replace(last, name=name, tensors=wrong)))
    x = np.random.default_rng(1).integers(kind.low, kind.high + 1, (50, 12))
    with pytest.raises(MismatchError, match=re.escape(message)):
        lower.self_check(model, renamed, x)


def test_what_hls4ml_leaves_out_at_the_end_is_noticed() -> None:
    _, lower = tools()
    model = drawn(sequence(dense("d"), act("a", q("quantized_bits(3,0,alpha=1)"))))
    nodes = lowered(model).nodes
    with pytest.raises(MismatchError, match="layer 'a' differs first: sample 0, unit 1: QKeras "):
        lower.self_check(model, Graph(nodes[:-1]), np.full((1, 6), 15))


def test_a_relu_at_the_end_ends_where_its_format_does() -> None:
    output = exact(drawn(sequence(dense("d"), norm("n", 1.0, 0.25), dense("e", activation="relu")))).output
    assert int(output.tensors["high"]) == output.type.high


CONSTRUCTS = {
    "names that are words of Verilog or no identifiers": lambda: (
        *(dense("output", activation=q("quantized_relu(4,1)")), dense("1st"), act("a.b", "ternary(threshold=0.3)")),
        *(
            dense("flow"),
            act("a_b", "quantized_relu(4,1)"),
            dense("e/f"),
            norm("output_1", [1.0, 2.0, -1.0, 0.5], 0.25),
        ),
    ),
    "alpha 0.5": lambda: (dense("d", kernel_quantizer=q("ternary(alpha=0.5,threshold=0.5)")), dense("e")),
    "alpha before a norm": lambda: (
        biased("d", "quantized_bits(6,2,alpha=1)", kernel_quantizer=q("ternary(alpha=0.5,threshold=0.5)")),
        norm("n", [1.0, 2.0, -0.5, 0.0], 0.25),
    ),
    "binary alpha 2": lambda: (dense("d", kernel_quantizer=q("binary(alpha=2.0)")), act("a", "binary")),
    "own scales": lambda: (dense("d", kernel_quantizer=q("ternary()")), act("a", "quantized_relu(4,2)")),
    "scales found by QKeras": lambda: (
        biased("d", "quantized_bits(8,3,alpha=1)", kernel_quantizer=q("ternary(alpha='auto_po2')")),
        act("a", "quantized_relu(4,2)"),
        dense("e", kernel_quantizer=q("binary(alpha='auto_po2')")),
    ),
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
    "dense layers only": lambda: (dense("d"), biased("e", "quantized_bits(8,3,alpha=1)"), dense("f")),
    "relu between dense layers": lambda: (dense("d", activation="relu"), dense("e")),
    "relu": lambda: (dense("d", activation="relu"), act("a", "quantized_bits(4,2,1,alpha=1)"), dense("e")),
    "relu at the end": lambda: (dense("d"), norm("n", -1.0, 0.5), dense("e", activation="relu")),
    "halves for trits": lambda: (dense("d"), act("a", "ternary(alpha=0.5,threshold=0.3)"), dense("e")),
    "one signed bit": lambda: (dense("d"), act("a", "quantized_bits(1,0,alpha=1)"), dense("e")),
    "no fractional bits": lambda: (dense("d"), act("a", "quantized_relu(2,3)"), biased("e", "quantized_bits(6,2)")),
    "finer activation": lambda: (dense("d"), act("a", "quantized_relu(8,1)"), dense("e")),
    "narrow activation": lambda: (dense("d"), act("a", "quantized_bits(3,0,1,alpha=1)"), dense("e")),
}


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
        accepted.require_supported(model)
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


def test_a_range_is_that_of_each_channel_by_itself() -> None:
    """The widest sum with the largest scale would need 26 bits; no channel has both."""
    model = sequence(dense("d"), norm("n", [2.0**10, 2.0**-8, 1.0, 1.0], 0.0))
    kernel = np.zeros((6, 4), np.float32)
    kernel[0, 0], kernel[:, 1] = 1, 1
    model.get_layer("d").set_weights([kernel])
    assert exact(model).nodes[-1].type.bits == 22


@pytest.mark.parametrize("quantizer", ["ternary(threshold=1e-30)", "binary()"])
def test_activations_without_alpha_give_their_values_back_exactly(quantizer: str) -> None:
    """They compute tanh(x) + (q - tanh(x)), which float32 rounds twice."""
    rng = np.random.default_rng(0)
    x = np.ldexp(rng.uniform(-1, 1, 100_000), rng.integers(-25, 25, 100_000)).astype(np.float32)
    assert np.array_equal(q(quantizer)(x).numpy(), np.sign(x))


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
