"""Small QONNX models as qonnx-cleanup leaves them: quantizers of weights and activations, a shape for every tensor."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np


def multilayer(
    path: Path, widths: tuple[int, ...] = (16, 12, 5), *, weight_bits: int = 2, relu: bool = False, seed: int = 0
) -> Path:
    """A network of matrix products with ternary weights and 3-bit activations, written to ``path``."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    widths = (16, 12, 5)
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
        node = helper.make_node("Quant", inputs, [name], name=name, domain="qonnx.custom_op.general", **options)
        nodes.append(node)
        shapes[name] = shapes[source]
        return name

    shapes["x"] = [1, widths[0]]
    flow = quant("x", "x_q", 2.0**-3, 4, 1, 0)
    for i, (before, after) in enumerate(itertools.pairwise(widths)):
        constants[f"w{i}"] = rng.integers(-1, 2, (before, after)).astype(np.float32)
        shapes[f"w{i}"] = [before, after]
        trits = quant(f"w{i}", f"w{i}_q", 1.0, weight_bits, 1, int(weight_bits == 2))
        nodes.append(helper.make_node("MatMul", [flow, trits], [f"h{i}"], name=f"matmul{i}"))
        shapes[f"h{i}"] = [1, after]
        if relu:
            nodes.append(helper.make_node("Relu", [f"h{i}"], [f"r{i}"], name=f"relu{i}"))
            shapes[f"r{i}"] = [1, after]
        out = f"r{i}" if relu else f"h{i}"
        flow = out if i == len(widths) - 2 else quant(out, f"a{i}", 2.0**-2, 3, 0, 0)
    described = {**{name: list(value.shape) for name, value in constants.items()}, **shapes}

    def value(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, described[name])

    graph = helper.make_graph(
        nodes, "network", [value("x")], [value(flow)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
        value_info=[value(name) for name in described if name not in ("x", flow)],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets), str(path))
    return path
