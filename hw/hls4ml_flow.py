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
import math
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.architecture import Hardware
from codesign.errors import ModelError, ToolRunError
from hw.accepted import require_supported
from hw.activations import activation_type
from hw.graph import FixedType, Graph
from hw.hls4ml_averages import average_types
from hw.measure.tools import check_disk, run_tool
from hw.onnx_check import require_readable

BACKEND = "CodesignParser"
VITIS, VIVADO = "Vitis", "Vivado"
"""hls4ml's backends that make HLS projects of all that is accepted here."""
# merge_linear_activation drops quantized_bits after a dense layer, eliminate_linear_activation one whose type is that
# of its input, although it may be symmetric; extract_ternary_threshold replaces a threshold by a rounded division;
# fuse_batch_normalization folds a scale of 1 into the dense layer, whose output then is no longer QKeras' of that name.
# Without them hls4ml's graph says what QKeras computes, layer by layer.
_DROPPED_PASSES = (
    "merge_linear_activation",
    "eliminate_linear_activation",
    "extract_ternary_threshold",
    "fuse_batch_normalization",
    "replace_multidimensional_dense_with_conv",  # with the weights before their quantizer
)
# Scales from 2**-32 to 2**15 and their offsets: our own exports use 2**-10 to 2**3, users' models may use more.
_DEFAULT, _SCALE, _OFFSET = "fixed<32,16>", "fixed<48,16>", "fixed<48,24>"
_CHILD = Path(__file__).with_name("csim_child.py")
_RUN_SECONDS = 3600.0
_ASSERTION = re.compile(r"Assertion `(?:.*&& \"(.*)\"|(.*))' failed")


def parse(model: Any, part: str, clock_mhz: float, input_type: FixedType | None = None) -> Any:
    """hls4ml's ModelGraph of a QKeras ``model``, precisions inferred exactly, for lowering.

    ``input_type``: of the input, where the model does not quantize it.
    """
    _require_keras_2(model)
    try:
        with _quiet():
            require_supported(model)
            _register()
            return _convert(model, BACKEND, part, clock_mhz, input_type=input_type)
    except ModelError:
        raise
    except Exception as error:  # hls4ml raises bare Exception
        raise ModelError(f"hls4ml cannot read model {model.name!r}: {' '.join(str(error).split())}") from error


def convert_keras(
    model: Any,
    output_dir: str = "my-hls-test",
    project_name: str = "myproject",
    input_data_tb: str | None = None,
    output_data_tb: str | None = None,
    backend: str = "codesign",
    hls_config: Mapping[str, Any] | None = None,
    bit_exact: bool | None = None,
    allow_da_fallback: bool = True,
    allow_v2_fallback: bool = True,
    **options: Any,
) -> Any:
    """hls4ml's ``convert_from_keras_model`` by its Keras 2 parser, whichever Keras is installed beside it.

    The two fallbacks are for Keras 3 models; as in hls4ml, they mean nothing for others. Raises ModelError for what is
    not built with backend ``codesign``.
    """
    if backend.lower() == "codesign":
        _require_keras_2(model)
        require_supported(model)
    del allow_da_fallback, allow_v2_fallback
    from hls4ml.converters.keras_v2_to_hls import keras_v2_to_hls
    from hls4ml.utils.config import create_config

    given = dict(hls_config or {})
    settings = {"Precision": "fixed<16,6>", "ReuseFactor": 1, **given.pop("Model", {}), "BitExact": bit_exact}
    config = create_config(output_dir=output_dir, project_name=project_name, backend=backend, **options)
    config |= {"KerasModel": model, "InputData": input_data_tb, "OutputPredictions": output_data_tb}
    return keras_v2_to_hls(config | {"HLSConfig": {**given, "Model": settings}})


def parse_onnx(path: Path, part: str, clock_mhz: float) -> Any:
    """hls4ml's ModelGraph of an ONNX model with QONNX quantizers, for lowering; ModelError where it cannot be read."""
    import onnx

    with _quiet():
        from hls4ml.backends import get_backend
        from hls4ml.converters.onnx_to_hls import onnx_to_hls
        from hls4ml.utils import config_from_onnx_model

        _register()
    try:
        model = onnx.load(path)
    except FileNotFoundError:
        raise ModelError(f"no such file: {path}") from None
    except Exception as error:  # protobuf's own errors
        raise ModelError(f"{path} cannot be read as an ONNX model: {error}") from error
    if not model.graph.node:  # protobuf reads nearly any bytes as an empty model
        raise ModelError(f"{path} holds no ONNX network; was it saved with onnx.save?")
    require_readable(model)
    config = get_backend(BACKEND).create_initial_config(part=part, clock_period=1000.0 / clock_mhz)
    config |= {"OutputDir": ".", "ProjectName": "network", "Backend": BACKEND, "OnnxModel": model}
    try:
        with _quiet():
            config["HLSConfig"] = config_from_onnx_model(
                model, granularity="name", backend=BACKEND, default_precision=_DEFAULT, max_precision=_DEFAULT
            )
            return onnx_to_hls(config)
    except Exception as error:  # hls4ml raises bare Exception
        raise ModelError(f"hls4ml cannot convert {path}: {error}; was it cleaned with qonnx-cleanup?") from error


def c_simulation(
    model: Any,
    x: NDArray[np.float32],
    folder: Path,
    part: str,
    clock_mhz: float,
    hardware: Hardware | None = None,
    backend: str = VITIS,
    lowered: Graph | None = None,
) -> NDArray[np.float64]:
    """Logits of hls4ml's compiled C simulation (``backend``, g++) for real inputs ``x`` (n, ...) of its shape.

    Writes the HLS project into ``folder``: with strategy Latency, or Resource and a reuse factor of its folding where
    ``hardware`` is folded. Of ``lowered``, the same network, averages get types that keep them exact. Raises
    ToolRunError when it cannot be made or run.
    """
    with _quiet() as printed:
        try:
            graph = _convert(model, backend, part, clock_mhz, folder, hardware, lowered=lowered)
            graph.write()
            library = Path(graph.config.backend.compile(graph)).resolve()
        except Exception as error:  # hls4ml raises bare Exception
            check_disk("g++", printed.getvalue(), folder)
            names = [layer.name for layer in model.layers if not re.fullmatch(r"[A-Za-z_]\w*", layer.name, re.ASCII)]
            hint = f" (layer {names[0]!r} has a name that is none in C++)" if names else ""
            reason = " ".join(str(error).split())
            raise ToolRunError(f"hls4ml's C simulation could not be run: {reason}{hint}", printed.getvalue()) from error
    size = graph.get_output_variables()[0].size()
    return _run(library, f"{graph.config.get_project_name()}_float", size, x, folder).astype(np.float64)


def _run(library: Path, function: str, size: int, x: NDArray[np.float32], folder: Path) -> NDArray[np.float32]:
    """What the compiled simulation gives (n, ``size``); ToolRunError with hls4ml's words where it does not take it."""
    with tempfile.TemporaryDirectory(dir=folder.resolve()) as scratch:
        inputs, outputs, log = (Path(scratch) / name for name in ("inputs.npy", "outputs.npy", "log"))
        np.save(inputs, np.ascontiguousarray(x, np.float32))
        command = [sys.executable, str(_CHILD), str(library), function, str(size), str(inputs), str(outputs)]
        try:
            run_tool(command, cwd=folder, timeout_s=_RUN_SECONDS, log=log, name="hls4ml's C simulation")
        except ToolRunError as error:
            failed = _ASSERTION.search(error.log)
            if failed is None:
                raise
            reason = failed[1] or failed[2]
            raise ToolRunError(f"hls4ml's C simulation could not be run: {reason}", error.log) from error
        found: NDArray[np.float32] = np.load(outputs)
    return found


def _hls_type(kind: FixedType) -> str:
    name = "fixed" if kind.signed else "ufixed"
    return f"{name}<{kind.bits},{kind.bits - kind.frac},RND_CONV,SAT>"


def keras_3() -> Any:
    """The module Keras 3, where that is what ``import keras`` gives; else None."""
    import keras

    return keras if int(keras.__version__.split(".")[0]) >= 3 else None


def _require_keras_2(model: Any) -> None:
    """ModelError for what is no Keras 2 model."""
    newer = keras_3()
    if newer and isinstance(model, newer.Model):
        raise ModelError(
            f"model {model.name!r} is a Keras {newer.__version__} model; QKeras models are Keras 2: set "
            "TF_USE_LEGACY_KERAS=1 before TensorFlow is imported"
        )
    if not (hasattr(model, "to_json") and hasattr(model, "layers")):
        raise ModelError(f"{type(model).__name__} is no Keras model; give one, or the path of its file")


def _convert(
    model: Any,
    backend: str,
    part: str,
    clock_mhz: float,
    folder: Path | None = None,
    hardware: Hardware | None = None,
    input_type: FixedType | None = None,
    lowered: Graph | None = None,
) -> Any:
    with _quiet():
        from hls4ml.backends import get_backend
        from hls4ml.converters.keras_v2_to_hls import KerasModelReader, keras_v2_to_hls, parse_keras_model

        layers, _, _, shapes = parse_keras_model(json.loads(model.to_json()), KerasModelReader(model))
        config = get_backend(backend).create_initial_config(part=part, clock_period=1000.0 / clock_mhz)
        config.update(
            {
                "OutputDir": str(folder or "."),
                "ProjectName": "network",
                "Backend": backend,
                "KerasModel": model,
                "HLSConfig": _precisions(layers, shapes, hardware or Hardware("parallel"), input_type, lowered),
            }
        )
        return keras_v2_to_hls(config)


def _precisions(
    layers: list[dict[str, Any]],
    shapes: Mapping[str, list[int | None]],
    hardware: Hardware,
    input_type: FixedType | None,
    lowered: Graph | None,
) -> dict[str, Any]:
    """Per-layer types: stated where QKeras states them, inferred by hls4ml elsewhere. ``shapes`` (n, ...): outputs'."""
    by_name: dict[str, Any] = {}
    for layer in layers:
        types = dict.fromkeys(("result", "weight", "bias", "scale", "accum"), "auto")
        quantizer = _quantizer(layer)
        if quantizer:
            try:
                types["result"] = _hls_type(activation_type(quantizer))
            except ModelError as error:
                raise ModelError(f"layer {layer['name']!r}: {error}") from None
        elif layer["class_name"] == "BatchNormalization":
            types["scale"], types["bias"] = _SCALE, _OFFSET
        elif "AveragePooling" in layer["class_name"] and lowered is not None:
            types |= average_types(layer["name"], lowered)
        by_name[layer["name"]] = {"Precision": types, **_folded_convolution(layer, shapes[layer["name"]], hardware)}
    inputs, first = layers[0], layers[1] if len(layers) > 1 else layers[0]
    quantizer = _quantizer(first)
    if inputs["class_name"] != "InputLayer" or not (quantizer or input_type):
        raise ModelError(
            f"the first layer {first['name']!r} ({first['class_name']}) does not quantize the input; begin the model "
            "with QActivation(quantized_bits(bits, integer, alpha=1)), or, for the C model alone (build --target c), "
            "choose the input's format: --format 'input=fixed<8,1>'"
        )
    if quantizer and input_type:
        raise ModelError(f"layer {first['name']!r} quantizes the input already; leave out the format of the input")
    kind = activation_type(quantizer) if quantizer else input_type
    assert kind is not None
    by_name[inputs["name"]]["Precision"] = {"result": _hls_type(kind)}
    strategy = "Latency" if hardware.mode == "parallel" else "Resource"
    model = {"Precision": {"default": _DEFAULT}, "ReuseFactor": hardware.folding, "Strategy": strategy}
    return {"Model": model, "LayerName": by_name}


def _folded_convolution(layer: Mapping[str, Any], shape: Sequence[int | None], hardware: Hardware) -> dict[str, Any]:
    """Strategy and reuse factor of a convolution, where they are not those of all layers; ``shape`` of its output.

    The folding is in cycles per image, hls4ml's reuse factor in cycles per output pixel. hls4ml 1.3 does not refuse one
    of more than a window's inputs, and then reads past the window; depthwise ones with strategy Resource end its
    C simulation. A dense layer on images becomes a convolution of 1 x 1.
    """
    pixels = math.prod(extent or 1 for extent in shape[1:-1])
    on_images = "Dense" in layer["class_name"] and len(shape) > 2
    if hardware.mode == "parallel" or not ("Conv" in layer["class_name"] or on_images):
        return {}
    if "Depthwise" in layer["class_name"]:
        return {"Strategy": "Latency", "ReuseFactor": 1}
    window = layer["n_in"] if on_images else layer.get("filt_height", 1) * layer["filt_width"] * layer["n_chan"]
    return {"ReuseFactor": min(window, max(1, hardware.folding // pixels))}


def _quantizer(layer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    quantizer = layer.get("activation_quantizer")
    return quantizer if isinstance(quantizer, Mapping) else None


@functools.cache
def parser_backend() -> Any:
    """The class of an hls4ml backend whose convert flow is without the passes that lose exactness."""
    from hls4ml.backends.fpga.fpga_backend import FPGABackend
    from hls4ml.model.flow import get_flow, register_flow

    class ParserBackend(FPGABackend):  # type: ignore[misc]  # hls4ml is untyped
        def __init__(self, name: str = BACKEND) -> None:
            super().__init__(name)
            passes = [name for name in get_flow("convert").optimizers if name not in _DROPPED_PASSES]
            convert = register_flow("convert", passes, requires=["parse_qonnx"], backend=self.name)
            self._default_flow = register_flow("ip", None, requires=[convert], backend=self.name)

        def get_default_flow(self) -> str:
            """Name of the flow that a conversion ends with."""
            return str(self._default_flow)

        def create_initial_config(self, part: str, clock_period: float, **options: Any) -> dict[str, Any]:
            """Keys hls4ml expects in every configuration."""
            fixed = {"IOType": "io_parallel", "HLSConfig": {}, "WriterConfig": {}}
            return {"Part": part, "ClockPeriod": clock_period, **fixed, **options}

    return ParserBackend


@functools.cache
def _register() -> None:
    from hls4ml.backends import register_backend
    from hls4ml.writer.writers import Writer, register_writer

    class NoWriter(Writer):  # type: ignore[misc]  # hls4ml is untyped
        """Writes nothing: RTL is emitted from Graph, not from ModelGraph."""

        def write_hls(self, model: Any) -> None:
            """Required by hls4ml of every backend."""

    register_writer(BACKEND, NoWriter)
    register_backend(BACKEND, parser_backend())


@contextlib.contextmanager
def _quiet() -> Iterator[io.StringIO]:
    """hls4ml prints its progress and warns of what was checked here; errors still come through."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield printed
