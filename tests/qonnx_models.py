"""Small QONNX models as qonnx-cleanup leaves them: quantizers of weights and activations, a shape for every tensor."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

WIDTHS = (16, 12, 5)
DOMAIN = "qonnx.custom_op.general"


def multilayer(
    path: Path,
    *,
    weight_bits: int = 2,
    relu: bool = False,
    activation: tuple[int, int, int] | None = (3, 0, 0),
    bias: bool = False,
) -> Path:
    """A network of matrix products with ternary weights, written to ``path``.

    ``activation``: bits, signed and narrow, or None for bipolar ones; ``bias``: quantized ones are added.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    nodes: list[Any] = []
    constants: dict[str, np.ndarray] = {}
    shapes: dict[str, list[int]] = {}

    def quant(source: str, name: str, scale: float, bits: int, signed: int, narrow: int) -> str:
        inputs = [source]
        for key, value in (("scale", scale), ("zero", 0.0), ("bits", float(bits))):
            constants[f"{name}_{key}"] = np.array(value, np.float32)
            inputs.append(f"{name}_{key}")
        options = {"signed": signed, "narrow": narrow, "rounding_mode": "ROUND"}
        node = helper.make_node("Quant", inputs, [name], name=name, domain=DOMAIN, **options)
        nodes.append(node)
        shapes[name] = shapes[source]
        return name

    def bipolar(source: str, name: str) -> str:
        constants[f"{name}_scale"] = np.array(1.0, np.float32)
        nodes.append(helper.make_node("BipolarQuant", [source, f"{name}_scale"], [name], name=name, domain=DOMAIN))
        shapes[name] = shapes[source]
        return name

    def add(source: str, name: str) -> str:
        constants[f"{name}_values"] = np.ldexp(rng.integers(-9, 10, shapes[source][1]).astype(np.float32), -3)
        shapes[f"{name}_values"] = [shapes[source][1]]
        values = quant(f"{name}_values", f"{name}_q", 2.0**-3, 6, 1, 0)
        nodes.append(helper.make_node("Add", [source, values], [name], name=name))
        shapes[name] = shapes[source]
        return name

    shapes["x"] = [1, WIDTHS[0]]
    flow = quant("x", "x_q", 2.0**-3, 4, 1, 0)
    for i, (before, after) in enumerate(itertools.pairwise(WIDTHS)):
        constants[f"w{i}"] = rng.integers(-1, 2, (before, after)).astype(np.float32)
        shapes[f"w{i}"] = [before, after]
        trits = quant(f"w{i}", f"w{i}_q", 1.0, weight_bits, 1, int(weight_bits == 2))
        nodes.append(helper.make_node("MatMul", [flow, trits], [f"h{i}"], name=f"matmul{i}"))
        shapes[f"h{i}"] = [1, after]
        flow = add(f"h{i}", f"b{i}") if bias else f"h{i}"
        if relu:
            nodes.append(helper.make_node("Relu", [flow], [f"r{i}"], name=f"relu{i}"))
            flow = f"r{i}"
            shapes[flow] = [1, after]
        if i < len(WIDTHS) - 2:
            flow = quant(flow, f"a{i}", 2.0**-2, *activation) if activation else bipolar(flow, f"a{i}")
    described = {**{name: list(value.shape) for name, value in constants.items()}, **shapes}

    def value(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, described[name])

    graph = helper.make_graph(
        nodes, "network", [value("x")], [value(flow)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
        value_info=[value(name) for name in described if name not in ("x", flow)],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid(DOMAIN, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets), str(path))
    return path
