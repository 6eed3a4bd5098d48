"""A QONNX model: what hls4ml cannot read of it, and its run by ONNX' own reference evaluator held against its Graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.errors import MismatchError, ModelError
from hw.graph import Graph, Ints

Floats = NDArray[np.float32]
_DOMAIN = "qonnx.custom_op.general"


_ON_IMAGES = ("Conv", "AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool")


def require_readable(model: Any) -> None:
    """ModelError naming the node of an ONNX ``model`` that cannot be read: hls4ml's own errors name none."""
    for node in model.graph.node:
        if node.op_type in _ON_IMAGES:
            raise ModelError(
                f"node {node.name!r} ({node.op_type}) works on images, which are not read from ONNX; give the QKeras "
                "model (.keras or .h5), where convolutions and pooling are built"
            )
        options = {attribute.name: attribute.i for attribute in node.attribute}
        if node.op_type == "Quant" and options.get("narrow") and not options.get("signed", 1):
            raise ModelError(
                f"node {node.name!r} (Quant) has signed=0 and narrow=1, which hls4ml cannot read; use narrow=0"
            )


def hold_onnx(model: Any, name: str, graph: Graph, x: Ints) -> None:
    """Hold an ONNX ``model`` (or its path) against the graph on input integers ``x`` (n, inputs).

    Raises MismatchError at the first output that differs, ModelError if the model cannot be run; ``name`` names it.
    """
    from onnx.reference import ReferenceEvaluator

    try:
        evaluator = ReferenceEvaluator(model, new_ops=_operators())
        (feed,) = evaluator.input_names
        rows = graph.input.type.to_real(x).astype(np.float32)
        found = np.concatenate([np.asarray(evaluator.run(None, {feed: row[None]})[0]) for row in rows])
    except Exception as error:  # the evaluator raises whatever its operators raise
        raise ModelError(f"{name} cannot be run by ONNX' reference evaluator: {error}") from error
    expected = graph.output.type.to_real(graph.run(x))
    if found.shape != expected.shape:
        raise ModelError(f"{name} gives outputs of shape {found.shape}, the graph {expected.shape}")
    if not np.array_equal(found, expected):
        vector, output = np.argwhere(found != expected)[0]
        raise MismatchError(
            f"{name} differs from the graph at vector {vector}, output {output}: "
            f"ONNX {found[vector, output]!r}, graph {expected[vector, output]!r}"
        )


def _operators() -> list[Any]:
    """QONNX' quantizers, after the definitions in its documentation."""
    from onnx.reference.op_run import OpRun

    class Quant(OpRun):  # type: ignore[misc]  # onnx is untyped
        op_domain = _DOMAIN

        def _run(
            self, x: Floats, scale: Floats, zero: Floats, bits: Floats, *, signed: int, narrow: int, rounding_mode: str
        ) -> tuple[Floats]:
            if rounding_mode not in ("ROUND", "HALF_EVEN"):
                raise ModelError(f"rounding_mode {rounding_mode!r} is not supported; use ROUND")
            width = int(np.asarray(bits).item())
            low = -(2 ** (width - 1)) + narrow if signed else 0
            high = 2 ** (width - 1) - 1 if signed else 2**width - 1 - narrow
            levels = np.clip(np.rint(x / scale + zero), low, high)
            return (((levels - zero) * scale).astype(np.float32),)

    class BipolarQuant(OpRun):  # type: ignore[misc]
        op_domain = _DOMAIN

        def _run(self, x: Floats, scale: Floats) -> tuple[Floats]:
            return ((np.where(x >= 0, 1, -1) * scale).astype(np.float32),)

    return [Quant, BipolarQuant]
