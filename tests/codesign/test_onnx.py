"""QONNX models: measured like QKeras ones, held against ONNX' own reference evaluator."""

from __future__ import annotations

import re
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from qonnx_models import multilayer

import codesign
from codesign.errors import InputError, MismatchError, ModelError
from hw import onnx_check
from hw.graph import Op


def test_a_qonnx_model_is_measured(tmp_path: Path) -> None:
    result = codesign.measure(multilayer(tmp_path / "network.onnx"))
    graph = result.subject.graph
    assert [node.op for node in graph] == [Op.INPUT, Op.QUANTIZE, Op.DENSE, Op.QUANTIZE, Op.DENSE]
    assert (graph.input.type.signed, graph.input.type.bits, graph.input.type.frac) == (True, 4, 3)
    assert result.value("mismatches") == 0
    assert result.value("lut") > 0
    assert result.notes == ("hls4ml's C simulation was not compared: it is only made of Keras models",)


def test_relu_is_a_layer_of_its_own_there(tmp_path: Path) -> None:
    assert codesign.measure(multilayer(tmp_path / "relu.onnx", relu=True), folding=8).value("mismatches") == 0


def test_a_graph_of_another_network_is_noticed(tmp_path: Path) -> None:
    path = multilayer(tmp_path / "network.onnx")
    graph = codesign.measure(path, folding=16).subject.graph
    model = onnx.load(path)
    (weights,) = (tensor for tensor in model.graph.initializer if tensor.name == "w1")
    changed = numpy_helper.to_array(weights).copy()
    changed[0, 0] = 1 - abs(changed[0, 0])
    weights.CopyFrom(numpy_helper.from_array(changed, "w1"))
    onnx.save(model, str(path))
    from hw.implement import random_vectors

    with pytest.raises(
        MismatchError, match=re.escape(str(path)) + r" differs from the graph at vector \d+, output 0: ONNX"
    ):
        onnx_check.hold_onnx(str(path), str(path), graph, random_vectors(graph, 100, 1))


def test_weights_of_more_bits_are_refused(tmp_path: Path) -> None:
    path = multilayer(tmp_path / "wide.onnx", weight_bits=4)
    model = onnx.load(path)
    (weights,) = (tensor for tensor in model.graph.initializer if tensor.name == "w0")
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * 3, "w0"))
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match=r"layer 'Dense_matmul0' \(Dense\) has weight -?3, which is not -1, 0 or \+1"):
        codesign.measure(path)


@pytest.mark.parametrize("kind", ["AveragePool", "GlobalAveragePool", "Conv"])
def test_layers_on_images_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    """hls4ml takes the channels of a global average for its rows, and ends in errors that name no node."""
    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    network = helper.make_graph([helper.make_node(kind, ["x"], ["y"], name="mean")], "images", shapes[:1], shapes[1:])
    path = tmp_path / "images.onnx"
    onnx.save(helper.make_model(network), str(path))
    message = f"node 'mean' ({kind}) works on images, which are not read from ONNX; give the QKeras model (.keras or"
    with pytest.raises(ModelError, match=re.escape(message)):
        codesign.measure(path)


def test_what_hls4ml_cannot_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("no model")
    with pytest.raises(ModelError, match=re.escape(f"{path} cannot be read as an ONNX model")):
        codesign.measure(path)
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=re.escape(f"{tmp_path / 'empty.onnx'} holds no ONNX network")):
        codesign.measure(tmp_path / "empty.onnx")
    path = multilayer(tmp_path / "raw.onnx")
    model = onnx.load(path)
    del model.graph.value_info[:]
    onnx.save(model, str(path))
    message = f"hls4ml cannot convert {path}: Could not find the shape for input x_q_scale; was it cleaned with qonnx"
    with pytest.raises(ModelError, match=re.escape(message)):
        codesign.measure(path)


def test_hls4mls_own_call_converts_onnx_models(tmp_path: Path) -> None:
    import hls4ml
    from user_models import small

    codesign.convert_from_keras_model(small())  # registers the backend
    model = onnx.load(multilayer(tmp_path / "network.onnx"))
    hls_model = hls4ml.converters.convert_from_onnx_model(
        model, output_dir=str(tmp_path / "prj"), backend="codesign", clock_period=20
    )
    report = hls_model.build()
    assert report["clock_mhz"] == 50
    with pytest.raises(InputError, match=r"build\(csim=True\): hls4ml's C simulation is only made of Keras models"):
        hls_model.build(csim=True)
    assert report["figures"]["mismatches"]["value"] == 0
