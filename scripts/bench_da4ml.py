"""The other side of ``bench rtl``: da4ml's own Verilog for a Graph, pipelined to a given number of cycles."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from da4ml.codegen.rtl.verilog import pipeline_logic_gen
from da4ml.trace import FixedVariableArray, HWConfig, comb_trace
from da4ml.trace.pipeline import to_pipeline

from hw.graph import FixedType, Graph, Ints, Node, Op

TOP = "da4ml_network"
# da4ml's delays count adders: cut-offs between half an adder and the whole depth give all pipelines it can make
STEP = 0.25
# Of layers of more inputs it searches once, not once for every depth that it may split the matrix at: those take its 20
# minutes several times over at 784 x 64. On random trits (128 to 256 x 64) both ways found as many LUTs.
SEARCHED_FULLY = 256
SEARCHED_ONCE = {"search_all_decompose_dc": False}


@dataclass(frozen=True)
class Traced:
    """A network as da4ml's combinational logic, of which pipelines are cut."""

    comb: Any
    adders: int

    def run(self, x: Ints) -> Ints:
        """Its outputs for input integers (n, inputs)."""
        return np.array([[int(value) for value in self.comb(row.astype(np.float64))] for row in x], np.int64)

    def pipeline(self, stages: int) -> Any:
        """Its pipeline of ``stages`` combinational stages, or of as near a number as sweeping its cut-off gives."""
        depth = max(self.comb.out_latency)
        cutoffs = np.arange(depth + 1, STEP, -STEP)
        # as its to_pipeline cuts; only the one that is wanted is made, which takes minutes for a large network
        counts = np.floor(depth / (cutoffs + 1e-9)).astype(int) + 1
        best = int(np.argmin(np.abs(counts - stages)))
        pipeline = to_pipeline(self.comb, float(cutoffs[best]), verbose=False)
        assert len(pipeline.solutions) == counts[best], (len(pipeline.solutions), counts[best])
        return pipeline


def trace(graph: Graph) -> Traced:
    """Let da4ml find the adders of ``graph``; a ternary activation is two of its comparisons.

    With its own defaults, but for :data:`SEARCHED_ONCE` in layers of more than :data:`SEARCHED_FULLY` inputs.
    """
    values = inputs = inputs_of(graph.input.type, graph.input.size)
    for node in list(graph.nodes)[1:]:
        values = _apply(node, values)
    return traced(inputs, values)


def inputs_of(kind: FixedType, size: int) -> Any:
    """Input integers over the whole range of ``kind``."""
    low, high = np.full(size, float(kind.low)), np.full(size, float(kind.high))
    return FixedVariableArray.from_lhs(low, high, np.ones(size), HWConfig(1, -1, -1), 0.0, {})


def traced(inputs: Any, values: Any) -> Traced:
    """The logic from ``inputs`` to ``values``."""
    comb = comb_trace(inputs, values)
    return Traced(comb, sum(op.opcode in (0, 1) for op in comb.ops))


def ternary(values: Any, low: Any, high: Any) -> Any:
    """+1 from ``high`` on, -1 up to ``low``, else 0: integers for all values, or of each its own."""
    above, below = (values >= high).ravel(), (values <= low).ravel()
    pairs = zip(above._vars, below._vars, strict=True)  # arrays of bits do not subtract
    return FixedVariableArray(np.array([plus - minus for plus, minus in pairs]), {})


def _apply(node: Node, values: Any) -> Any:
    tensors = node.tensors
    match node.op:
        case Op.DENSE:
            options = SEARCHED_ONCE if len(tensors["trits"]) > SEARCHED_FULLY else {}
            values = FixedVariableArray(values._vars, options)
            return values @ tensors["trits"].astype(np.float32) + tensors["bias"].astype(np.float64)
        case Op.AFFINE:
            return values * 2.0 ** tensors["shift"] + tensors["bias"].astype(np.float64)
        case Op.TERNARY:
            limit = int(tensors["threshold"])
            return ternary(values, -limit, limit)
        case Op.QUANTIZE if int(tensors["shift"]) == 0 and int(tensors["low"]) == node.type.low == 0:
            return values  # the quantizer of the input, which comes quantized
        case _:
            raise AssertionError(f"{node.op} does not occur in this bench")


def files(pipeline: Any) -> dict[str, str]:
    """Its Verilog, {file name: text}, with the modules of da4ml that it uses."""
    made = {f"{name}.v": text for name, text in pipeline_logic_gen(pipeline, TOP).items()}
    folder = resources.files("da4ml").joinpath("codegen/rtl/verilog/source")
    return made | {f"{name}.v": folder.joinpath(f"{name}.v").read_text() for name in ("shift_adder", "negative")}
