"""QONNX models: what their quantizers become, held against ONNX' own reference evaluator and in RTL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from fuzz import CLOCK, DELAYS, PART
from qonnx_models import multilayer

from codesign.architecture import Hardware
from codesign.errors import ModelError
from hw.design import design
from hw.graph import Graph, Op
from hw.implement import random_vectors
from hw.measure.verilator import simulate
from hw.onnx_check import hold_onnx, require_readable


def lowered(path: Path) -> Graph:
    from hw.hls4ml_flow import parse_onnx
    from hw.lower import lower

    return lower(parse_onnx(path, PART, CLOCK))


KINDS: dict[str, tuple[dict[str, Any], Op, tuple[int, int]]] = {
    "signed": ({"activation": (3, 1, 0)}, Op.QUANTIZE, (-4, 3)),
    "narrow": ({"activation": (3, 1, 1)}, Op.QUANTIZE, (-3, 3)),
    "two narrow bits": ({"activation": (2, 1, 1)}, Op.QUANTIZE, (-1, 1)),
    "one bit": ({"activation": (1, 0, 0)}, Op.QUANTIZE, (0, 1)),
    "bipolar": ({"activation": None}, Op.BINARY, (-1, 1)),
    "biased": ({"bias": True}, Op.QUANTIZE, (0, 7)),
    "biased, relu, signed": ({"bias": True, "relu": True, "activation": (4, 1, 0)}, Op.QUANTIZE, (0, 7)),
}


@pytest.mark.parametrize("mode", ["parallel", "folded"])
@pytest.mark.parametrize("name", KINDS)
def test_quantizers_and_biases_are_what_onnx_computes(name: str, mode: str, tmp_path: Path) -> None:
    options, op, reach = KINDS[name]
    path = multilayer(tmp_path / "network.onnx", **options)
    graph = lowered(path)
    (activation,) = (node for node in graph if node.name == "a0_act")
    low, high = graph.reach()[activation.name]
    assert (activation.op, (low.min(), high.max())) == (op, reach)
    x = random_vectors(graph, 200, 1)
    hold_onnx(str(path), str(path), graph, x)
    built = design(graph, Hardware(mode, 8), DELAYS, 8.0)  # type: ignore[arg-type]
    simulate(built, x, graph.run(x), tmp_path, timeout_s=120)


def test_unsigned_and_narrow_is_refused_by_name(tmp_path: Path) -> None:
    model = onnx.load(multilayer(tmp_path / "network.onnx", activation=(3, 0, 1)))
    message = r"node 'a0' \(Quant\) has signed=0 and narrow=1, which hls4ml cannot read; use narrow=0"
    with pytest.raises(ModelError, match=message):
        require_readable(model)
    require_readable(onnx.load(multilayer(tmp_path / "network.onnx", activation=(3, 1, 1))))
