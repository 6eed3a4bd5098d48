"""The one adapter to hls4ml: canonical QKeras model -> ModelGraph, and hls4ml's own C simulation.

TensorFlow with legacy Keras must be the one in use (``TF_USE_LEGACY_KERAS=1`` before its first import).
hls4ml's public converters choose their parser by ``import keras``, which is Keras 3 beside TensorFlow 2.21
and fails on such a model; the Keras-2 parser is therefore called by its own name.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.errors import ModelError, ToolRunError
from hw.graph import FixedType

BACKEND = "Codesign"
# merge_linear_activation drops quantized_bits after a dense layer; extract_ternary_threshold replaces a threshold
# by a rounded division; fuse_batch_normalization folds a scale of 1 into the dense layer, whose output then is no
# longer QKeras' of that name. Without them hls4ml's graph says what QKeras computes, layer by layer.
_DROPPED_PASSES = ("merge_linear_activation", "extract_ternary_threshold", "fuse_batch_normalization")
# Wide enough for every dyadic scale of a canonical model (2**-10 .. 2**3) and its offsets.
_SCALE, _OFFSET = "fixed<32,8>", "fixed<48,24>"


def parse(model: Any, part: str, clock_mhz: float) -> Any:
    """hls4ml's ModelGraph of a QKeras ``model``, precisions inferred exactly, for lowering."""
    _register()
    return _convert(model, BACKEND, part, clock_mhz, None)


def c_simulation(model: Any, x: NDArray[np.float32], folder: Path, part: str, clock_mhz: float) -> NDArray[np.float64]:
    """Logits of hls4ml's compiled C simulation (Vitis backend, g++) for real inputs ``x`` (n, features).

    Writes the HLS project into ``folder``. Raises ToolRunError when it cannot be compiled.
    """
    with _quiet() as printed:
        graph = _convert(model, "Vitis", part, clock_mhz, folder)
        try:
            graph.compile()
        except Exception as error:  # hls4ml raises bare Exception
            raise ToolRunError(f"hls4ml's C simulation could not be compiled: {error}", printed.getvalue()) from error
    logits = graph.predict(np.ascontiguousarray(x, np.float32))
    return np.asarray(logits, np.float64).reshape(len(x), -1)


def activation_type(quantizer: Mapping[str, Any]) -> FixedType:
    """Output type of a serialized QKeras activation quantizer; ModelError when it has no exact one."""
    kind, config = quantizer["class_name"], quantizer["config"]
    match kind:
        case "ternary" | "ternary_tanh" | "binary" | "binary_tanh":
            return FixedType(signed=True, bits=2, frac=0)
        case "quantized_relu":
            return _relu_type(config)
        case "quantized_bits" | "linear":
            return _bits_type(config)
    raise ModelError(
        f"activation quantizer {kind!r} is not supported; use ternary, binary, quantized_relu or quantized_bits"
    )


def _relu_type(config: Mapping[str, Any]) -> FixedType:
    bits, integer = int(config["bits"]), int(config["integer"])
    if config.get("negative_slope") or config.get("use_sigmoid"):
        raise ModelError("quantized_relu with negative_slope or use_sigmoid is not supported; use it without")
    if config.get("relu_upper_bound") is not None:
        raise ModelError("quantized_relu with relu_upper_bound is not supported; its bits already bound it")
    return FixedType(signed=False, bits=bits, frac=bits - integer)


def _bits_type(config: Mapping[str, Any]) -> FixedType:
    bits, integer, signed = int(config["bits"]), int(config["integer"]), bool(config["keep_negative"])
    if config.get("alpha") not in (None, 1, 1.0):
        raise ModelError(
            f"quantized_bits with alpha={config['alpha']!r} as an activation is not supported; use alpha=1"
        )
    return FixedType(signed=signed, bits=bits, frac=bits - integer - int(signed))


def _hls_type(kind: FixedType) -> str:
    name = "fixed" if kind.signed else "ufixed"
    return f"{name}<{kind.bits},{kind.bits - kind.frac},RND_CONV,SAT>"


def _convert(model: Any, backend: str, part: str, clock_mhz: float, folder: Path | None) -> Any:
    from hls4ml.backends import get_backend
    from hls4ml.converters.keras_v2_to_hls import KerasModelReader, keras_v2_to_hls, parse_keras_model

    with _quiet():
        layers, *_ = parse_keras_model(json.loads(model.to_json()), KerasModelReader(model))
        config = get_backend(backend).create_initial_config(part=part, clock_period=1000.0 / clock_mhz)
        config.update(
            {
                "OutputDir": str(folder or "."),
                "ProjectName": "network",
                "Backend": backend,
                "KerasModel": model,
                "HLSConfig": _precisions(layers),
            }
        )
        return keras_v2_to_hls(config)


def _precisions(layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Per-layer types: stated where QKeras states them, inferred by hls4ml elsewhere."""
    by_name: dict[str, Any] = {}
    for layer in layers:
        types = dict.fromkeys(("result", "weight", "bias", "scale", "accum"), "auto")
        quantizer = _quantizer(layer)
        if quantizer:
            types["result"] = _hls_type(activation_type(quantizer))
        elif layer["class_name"] == "BatchNormalization":
            types["scale"], types["bias"] = _SCALE, _OFFSET
        by_name[layer["name"]] = {"Precision": types}
    inputs, first = layers[0], layers[1] if len(layers) > 1 else layers[0]
    quantizer = _quantizer(first)
    if inputs["class_name"] != "InputLayer" or not quantizer:
        raise ModelError(
            f"the first layer {first['name']!r} ({first['class_name']}) does not quantize the input; begin the model "
            "with QActivation(quantized_bits(bits, integer, alpha=1))"
        )
    by_name[inputs["name"]]["Precision"] = {"result": _hls_type(activation_type(quantizer))}
    model = {"Precision": {"default": "fixed<32,16>"}, "ReuseFactor": 1, "Strategy": "Latency"}
    return {"Model": model, "LayerName": by_name}


def _quantizer(layer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    quantizer = layer.get("activation_quantizer")
    return quantizer if isinstance(quantizer, Mapping) else None


@functools.cache
def _register() -> None:
    from hls4ml.backends import register_backend
    from hls4ml.backends.fpga.fpga_backend import FPGABackend
    from hls4ml.model.flow import get_flow, register_flow
    from hls4ml.writer.writers import Writer, register_writer

    class CodesignWriter(Writer):  # type: ignore[misc]  # hls4ml is untyped
        """Writes nothing: RTL is emitted from Graph, not from ModelGraph."""

        def write_hls(self, model: Any) -> None:
            """Required by hls4ml of every backend."""

    class CodesignBackend(FPGABackend):  # type: ignore[misc]
        """hls4ml's convert flow without the passes that lose exactness."""

        def __init__(self) -> None:
            super().__init__(BACKEND)
            passes = [name for name in get_flow("convert").optimizers if name not in _DROPPED_PASSES]
            convert = register_flow("convert", passes, requires=["parse_qonnx"], backend=self.name)
            self._default_flow = register_flow("ip", None, requires=[convert], backend=self.name)

        def get_default_flow(self) -> str:
            """Name of the flow that a conversion ends with."""
            return str(self._default_flow)

        def create_initial_config(self, part: str, clock_period: float, **_: Any) -> dict[str, Any]:
            """Keys hls4ml expects in every configuration."""
            return {
                "Part": part,
                "ClockPeriod": clock_period,
                "IOType": "io_parallel",
                "HLSConfig": {},
                "WriterConfig": {},
            }

    register_writer(BACKEND, CodesignWriter)
    register_backend(BACKEND, CodesignBackend)


@contextlib.contextmanager
def _quiet() -> Iterator[io.StringIO]:
    """hls4ml prints its progress and warns of what was checked here; errors still come through."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield printed
