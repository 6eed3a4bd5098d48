"""How far a rounded Graph is from the Keras model that it was made of, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.accepted import inbound
from hw.cmodel.values import words
from hw.formats import Clipped
from hw.graph import Graph
from hw.lower import owned_nodes

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LayerConversion:
    """One layer's outputs in the integer network, beside those of the model in floating point.

    ``clipped``: how many of its weights exceed their format, ``largest_clipped`` the largest of them, if there are any.
    ``signal_to_noise_db``: of its outputs; None where they are equal. ``agreement``: the share of samples on which the
    model decides as before if all layers up to this one are computed by the integer network and the others in floating
    point; ``accuracy``: the share of right answers then, where labels are known.
    """

    layer: str
    format: str
    clipped: int
    largest_clipped: float | None
    largest_error: float
    signal_to_noise_db: float | None
    agreement: float
    accuracy: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Conversion:
    """All layers in order, for ``samples`` samples; ``accuracy`` is that of the model in floating point."""

    samples: int
    accuracy: float | None
    layers: tuple[LayerConversion, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"samples": self.samples, "accuracy": self.accuracy, "layers": [one.to_json() for one in self.layers]}


def convert(
    model: Any,
    graph: Graph,
    x: NDArray[np.float32],
    labels: NDArray[np.int64] | None,
    clipped: Mapping[str, Clipped] | None = None,
) -> Conversion:
    """Run both on real inputs ``x`` (n, ...); ``labels`` (n,) are indices of outputs, ``clipped`` is of :func:`lower`.

    A model of one output decides by its sign.
    """
    x = np.asarray(x, np.float32).reshape(-1, *model.inputs[0].shape[1:])
    node = graph.input
    trace = graph.trace(node.type.nearest(x.reshape(len(x), -1)))
    owned = owned_nodes({layer.name for layer in model.layers}, graph) | {node.name: node}
    dims = {layer.name: _dims(layer) for layer in model.layers} | {node.name: x.shape[1:]}  # not all have an InputLayer
    replaced = {name: one.type.to_real(trace[one.name]).reshape(-1, *dims[name]) for name, one in owned.items()}
    floating = _values(model, {node.name: x})
    before = _decisions(floating[model.layers[-1].name])
    layers, known = [], dict[str, Floats]()
    for layer in model.layers:
        found = owned.get(layer.name)
        if found is None:
            continue
        known[layer.name] = replaced[layer.name]
        now = _decisions(_values(model, {node.name: x} | known)[model.layers[-1].name])
        largest, ratio = _distance(floating[layer.name], replaced[layer.name])
        agreement = float((now == before).mean())
        lost = (clipped or {}).get(layer.name)
        count, most = (lost.count, lost.largest) if lost else (0, None)
        right = _accuracy(now, labels)
        layers.append(LayerConversion(layer.name, words(found.type), count, most, largest, ratio, agreement, right))
    return Conversion(len(x), _accuracy(before, labels), tuple(layers))


def _dims(layer: Any) -> tuple[int, ...]:
    shape = layer.output_shape
    return tuple((shape[0] if isinstance(shape, list) else shape)[1:])


def _values(model: Any, known: Mapping[str, Any]) -> dict[str, Floats]:
    """Every layer's outputs in floating point; those of ``known`` are taken as they are."""
    values: dict[str, Any] = dict(known)
    first = next(iter(known))
    sources = inbound(model)
    for layer in model.layers:
        if layer.name not in values:
            given = [np.asarray(values[name], np.float32) for name in sources[layer.name] or [first]]
            values[layer.name] = np.asarray(layer(given if len(given) > 1 else given[0], training=False), np.float64)
    return values


def _decisions(outputs: Floats) -> NDArray[np.int64]:
    flat = outputs.reshape(len(outputs), -1)
    return np.asarray(flat.argmax(axis=1) if flat.shape[1] > 1 else flat[:, 0] > 0, np.int64)


def _accuracy(decided: NDArray[np.int64], labels: NDArray[np.int64] | None) -> float | None:
    return None if labels is None else float((decided == labels).mean())


def _distance(before: Floats, now: Floats) -> tuple[float, float | None]:
    """The largest difference, and the ratio of the powers of signal and difference in decibels."""
    difference = now - before
    noise, signal = float(np.square(difference).mean()), float(np.square(before).mean())
    ratio = 10 * math.log10(signal / noise) if noise and signal else None
    return float(np.abs(difference).max()), ratio
