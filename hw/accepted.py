"""What a user's Keras model may consist of, checked before hls4ml reads it: hls4ml's own errors name no layer."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from codesign.errors import ModelError

SUPPORTED = (
    "QDense, QConv1D, QConv2D, QDepthwiseConv2D (ternary or binary kernel, any power-of-two alpha, any exact bias), "
    "BatchNormalization whose folded scale is a power of two or its negative, "
    "relu, quantized_relu, quantized_bits, ternary and binary activations, linear, "
    "Dropout, MaxPooling, AveragePooling and their global forms, Flatten, Reshape, ZeroPadding, Add, Concatenate"
)
_WEIGHTED = (
    *("QDense", "Dense", "QConv1D", "Conv1D", "QConv2D", "Conv2D"),
    *("QDepthwiseConv2D", "DepthwiseConv2D", "DepthwiseConv1D"),
)
_POOLS = tuple(f"{kind}Pooling{rank}D" for kind in ("Max", "Average", "GlobalMax", "GlobalAverage") for rank in (1, 2))
_JOINS = ("Add", "Concatenate")
_CLASSES = (
    *("InputLayer", "QActivation", "BatchNormalization", "Activation", "Dropout"),
    *_WEIGHTED,
    *_POOLS,
    *_JOINS,
    *("Flatten", "Reshape", "ZeroPadding1D", "ZeroPadding2D"),
)
_QUANTIZERS = ("quantized_relu", "quantized_bits", "ternary", "binary")
_FUNCTIONS = ("linear", "relu")
_HINTS = {
    "softmax": "; leave it out: the largest output is the same without it",
    "Softmax": "; leave it out: the largest output is the same without it",
    "ReLU": "; use Activation('relu')",
    "QAveragePooling2D": "; use AveragePooling2D with a QActivation behind it",
    "QGlobalAveragePooling2D": "; use GlobalAveragePooling2D with a QActivation behind it",
    "SeparableConv2D": "; use QDepthwiseConv2D and QConv2D with a kernel of 1",
    "QSeparableConv2D": "; use QDepthwiseConv2D and QConv2D with a kernel of 1",
}


def require_supported(model: Any) -> None:
    """Raise ModelError, naming the layer, unless ``model`` is of supported layers from one input to one output."""
    name = type(model).__name__
    config = _config(model)
    if "layers" not in config:
        raise ModelError(f"model {model.name!r} is a {name}, whose layers cannot be seen: make it with keras.Model")
    layers = config["layers"]
    if "input_layers" in config:  # a Sequential model is a chain as it is
        for what in ("input", "output"):
            names = [entry[0] for entry in config[f"{what}_layers"]]
            if len(names) != 1:
                raise ModelError(
                    f"model {model.name!r} has {len(names)} {what}s ({', '.join(names)}); build one of each"
                )
    for layer in layers:
        _require_class(layer)
        _require_geometry(layer)
    if "input_layers" in config:
        _require_one_call(layers)
    _require_shape(model)
    _require_channels_joined(model.layers)
    _require_plain_input(model.layers)


def _config(model: Any) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras' of QKeras' quantizers, which a user could do nothing about
        config: dict[str, Any] = json.loads(model.to_json())["config"]
    return config


def inbound(model: Any) -> dict[str, list[str]]:
    """Names of the layers that each layer of ``model`` reads, in order."""
    config = _config(model)
    if "input_layers" in config:
        layers = config["layers"]
        return {
            layer["config"]["name"]: [call[0] for node in layer["inbound_nodes"] for call in node] for layer in layers
        }
    names = [layer.name for layer in model.layers]
    return {name: [before] if before else [] for before, name in zip(["", *names], names, strict=False)}


def _require_one_call(layers: Sequence[Mapping[str, Any]]) -> None:
    for layer in layers:
        name, calls = layer["config"]["name"], layer["inbound_nodes"]
        if len(calls) > 1:
            raise ModelError(f"layer {name!r} is used {len(calls)} times; give each place a layer of its own")
        sources = [call[0] for call in calls[0]] if calls else []
        if len(sources) > 1 and layer["class_name"] not in _JOINS:
            raise ModelError(f"layer {name!r} ({layer['class_name']}) reads {', '.join(sources)}; let it read one")
        if len(sources) > 2:
            raise ModelError(
                f"layer {name!r} ({layer['class_name']}) reads {', '.join(sources)}, of which hls4ml takes two; join "
                "two of them in a layer of their own, and read that"
            )


def _require_shape(model: Any) -> None:
    if not model.inputs:
        raise ModelError(f"model {model.name!r} has no input shape yet; call it once or begin it with keras.Input")
    shape = tuple(model.inputs[0].shape)[1:]
    if None in shape:
        raise ModelError(
            f"the input has the dynamic shape {shape}; give every dimension a size: hardware has as many wires"
        )
    if not 1 <= len(shape) <= 3:
        raise ModelError(f"the input has shape {shape}; give a vector, (steps, channels) or (rows, columns, channels)")


def _require_geometry(layer: Mapping[str, Any]) -> None:
    """Refuse what hls4ml would misread or the hardware has no order for."""
    name, kind, config = layer["config"]["name"], layer["class_name"], layer["config"]
    if config.get("data_format") == "channels_first":
        raise ModelError(f"layer {name!r} ({kind}) has data_format='channels_first'; use channels_last")
    for key in ("dilation_rate", "groups"):
        given = config.get(key, 1)
        if any(value != 1 for value in (given if isinstance(given, list | tuple) else [given])):
            raise ModelError(f"layer {name!r} ({kind}) has {key}={given}; only 1 is built")
    if config.get("padding") not in (None, "valid", "same") and kind in (*_WEIGHTED, *_POOLS):
        raise ModelError(f"layer {name!r} ({kind}) has padding={config['padding']!r}; use 'valid' or 'same'")
    if config.get("keepdims"):
        raise ModelError(f"layer {name!r} ({kind}) has keepdims=True, which hls4ml drops; use a Reshape behind it")


def _require_channels_joined(layers: Sequence[Any]) -> None:
    for layer in layers:
        if type(layer).__name__ == "Concatenate" and layer.axis not in (-1, len(layer.output_shape) - 1):
            raise ModelError(
                f"layer {layer.name!r} concatenates along axis {layer.axis}; channels are the last: use axis=-1"
            )


def _require_class(layer: Mapping[str, Any]) -> None:
    name, kind, config = layer["config"]["name"], layer["class_name"], layer["config"]
    activation = config.get("activation")
    if kind not in _CLASSES:
        raise ModelError(f"layer {name!r} ({kind}) is not supported{_HINTS.get(kind, '')}; supported: {SUPPORTED}")
    if kind == "Activation" and isinstance(activation, Mapping):
        raise ModelError(
            f"layer {name!r} is an Activation with {activation['class_name']}, which hls4ml cannot read; "
            f"use QActivation({activation['class_name']}(...))"
        )
    if activation is not None:
        _require_activation(name, kind, _activation_name(activation))


def _activation_name(activation: str | Mapping[str, Any]) -> str:
    """Of a quantizer as text (``quantized_relu(4,1)``) or serialized, or of a function."""
    if isinstance(activation, str):
        return activation.split("(")[0]
    return str(activation["config"] if activation["class_name"] == "function" else activation["class_name"])


def _require_activation(name: str, kind: str, activation: str) -> None:
    if activation in _QUANTIZERS or (activation in _FUNCTIONS and kind != "QActivation"):
        return
    hint = f"; use Activation({activation!r})" if activation in _FUNCTIONS else _HINTS.get(activation, "")
    raise ModelError(
        f"layer {name!r} ({kind}, activation {activation!r}) is not supported{hint}; supported: {SUPPORTED}"
    )


def _require_plain_input(layers: Sequence[Any]) -> None:
    """The port takes every value of its format: a quantizer with fewer values would have to be built in front of it."""
    for layer in layers[:2]:  # a Sequential model may list its input layer or not
        quantizer = getattr(layer, "quantizer", None)
        config = quantizer.get_config() if quantizer is not None else {}
        if type(quantizer).__name__ in ("ternary", "binary"):
            raise ModelError(
                f"layer {layer.name!r} quantizes the input with {type(quantizer).__name__}, which leaves out values of "
                "every format; use quantized_bits(bits, integer, alpha=1) or quantized_relu(bits, integer)"
            )
        if config.get("symmetric"):
            raise ModelError(
                f"layer {layer.name!r} quantizes the input with symmetric={config['symmetric']}, which leaves out the "
                "format's lowest value; use symmetric=0"
            )
        if config.get("keep_negative") and config["bits"] == 1:
            raise ModelError(
                f"layer {layer.name!r} quantizes the input to one signed bit, which to QKeras means -1 or +1; "
                "use keep_negative=0 or two bits"
            )
