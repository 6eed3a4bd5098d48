"""Small QKeras models, layer by layer, and their Graphs held against QKeras."""

from __future__ import annotations

from typing import Any

import numpy as np

from hw.graph import Graph
from hw.schedule import stages

PART, CLOCK = "xc7z020clg400-1", 100.0


def tools() -> Any:
    from hw import hls4ml_flow, lower

    return hls4ml_flow, lower


def lowered(model: Any) -> Graph:
    flow, lower = tools()
    return lower.lower(flow.parse(model, PART, CLOCK))


def sequence(*layers: Any, bits: str = "quantized_bits(4,0,keep_negative=0,alpha=1)") -> Any:
    from quant.tf import keras

    x = inputs = keras.layers.Input((6,), name="x")
    x = act("input_quant", q(bits))(x)
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


def norm(name: str, gamma: Any, beta: Any, mean: Any = 0.0, root: float = 1.0, epsilon: float = 0.0) -> Any:
    """A BatchNormalization over 4 channels whose variance and epsilon add up to ``root`` squared."""
    from quant.tf import keras

    layer = keras.layers.BatchNormalization(epsilon=epsilon, name=name)
    layer.build((None, 4))
    variance = np.full(4, np.float32(root**2) - np.float32(epsilon))
    layer.set_weights([np.broadcast_to(values, 4) for values in (gamma, beta, mean, variance)])
    return layer


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
