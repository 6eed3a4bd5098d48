"""Pruning of a user's own Keras or QKeras model: whole filters of convolutions and units of dense layers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from codesign.architecture import PRUNED_MOST
from codesign.errors import InputError, ModelError

from .pruning import ROUNDS, set_weights, shrunk

Model = Any

_UNITS = {"Dense": "units", "QDense": "units", "Conv1D": "filters", "QConv1D": "filters", "Conv2D": "filters",
          "QConv2D": "filters"}  # fmt: skip
_CHANNELWISE = (
    "InputLayer", "BatchNormalization", "Activation", "QActivation", "ReLU", "Softmax", "Dropout", "MaxPooling1D",
    "MaxPooling2D", "AveragePooling1D", "AveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D",
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "ZeroPadding1D", "ZeroPadding2D", "Flatten",
)  # fmt: skip


def prune(model: Model, rate: float, *, fine_tune: Callable[[Model], object], seed: int = 1) -> Model:
    """A model that lacks the share ``rate`` (above 0, to 0.9) of the units or filters of each layer; ``model`` stays.

    Layers whose outputs are the model's keep all. After DeepMaker's algorithm 2 the filters of a layer are clustered by
    k-means++, those nearest to the centroids stay, and ``fine_tune(smaller model)`` trains what is left, which it gets
    uncompiled; twice, until the rate is reached. Raises InputError for another rate and a ``fine_tune`` that cannot be
    called, ModelError for what is no tf_keras model, layers of which channels cannot be taken away, and weights that
    are no finite numbers.
    """
    from .tf import keras

    if not isinstance(model, keras.Model):
        raise ModelError(f"{model!r:.100} is no Keras 2 (tf_keras) model; prune takes the model itself, no file")
    if not (isinstance(rate, int | float | np.floating) and 0 < rate <= PRUNED_MOST):
        raise InputError(f"rate = {rate!r} is not a share to prune: give a number above 0, at most {PRUNED_MOST}")
    if not callable(fine_tune):
        raise InputError(f"fine_tune = {fine_tune!r:.100} trains nothing: give a function of the model to train")
    for layer in model.layers:
        _require_prunable(layer)
    whole = _giving_outputs(model)
    layers = [layer for layer in model.layers if _kind(layer) in _UNITS and layer.name not in whole]
    if not layers:
        raise ModelError(f"model {model.name} has no layer to prune: those whose outputs are the model's keep all")
    units = {layer.name: getattr(layer, _UNITS[_kind(layer)]) for layer in layers}
    for number in range(1, ROUNDS + 1):
        counts = {name: max(1, round(count * (1 - rate * number / ROUNDS))) for name, count in units.items()}
        left = shrunk(model, counts, seed)
        model = _resized(model, counts)
        set_weights(model, left)
        fine_tune(model)
    return model


def _resized(model: Model, counts: Mapping[str, int]) -> Model:
    """The same layers, not trained, those in ``counts`` with so many units or filters."""
    from .tf import keras

    def copied(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in counts:
            config[_UNITS[_kind(layer)]] = counts[layer.name]
        return type(layer).from_config(config)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside QKeras and Keras
        return keras.models.clone_model(model, clone_function=copied)


def _giving_outputs(model: Model) -> set[str]:
    """The layers with units whose outputs, or what others without units make of them, are the model's."""
    from .tf import tf

    found: set[str] = set()
    waiting = [tensor.node.layer for tensor in model.outputs or ()]  # none before any layer
    while waiting:
        layer = waiting.pop()
        if _kind(layer) in _UNITS:
            found.add(layer.name)
        elif _kind(layer) != "InputLayer":
            waiting += [tensor.node.layer for tensor in tf.nest.flatten(layer.input)]
    return found


def _require_prunable(layer: Any) -> None:
    """ModelError where a layer's channels are not those that it reads, one for one, or its own units."""
    known = [*_UNITS, *_CHANNELWISE, "Concatenate"]
    where = f"layer {layer.name} ({_kind(layer)})"
    if _kind(layer) not in known:
        raise ModelError(f"{where} cannot be pruned; known: {', '.join(known)}")
    if not layer.inbound_nodes:
        raise ModelError(f"{where} reads nothing yet; give the model an input shape")
    if len(layer.inbound_nodes) > 1:
        raise ModelError(f"{where} is used {len(layer.inbound_nodes)} times; prune takes layers that are used once")
    if getattr(layer, "data_format", "channels_last") == "channels_first" or getattr(layer, "groups", 1) != 1:
        raise ModelError(f"{where}: prune takes channels_last and groups=1")
    if _kind(layer) in ("BatchNormalization", "Concatenate", "Softmax"):
        last = len(layer.output.shape) - 1
        axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
        if axis not in (-1, last):
            raise ModelError(f"{where} has axis {layer.axis}; prune takes the last one, that of the channels")


def _kind(layer: Any) -> str:
    return type(layer).__name__
