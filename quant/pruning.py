"""Pruning of whole filters and units while a network is trained.

DeepMaker, algorithm 2 (Loni et al., Microprocessors and Microsystems 73, 2020): the filters of a layer are clustered by
k-means++, the one nearest to each centroid stays, the rest is trained further; k is lowered until the rate is reached.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.architecture import Architecture
from codesign.errors import ModelError

Model = Any
Weights = Mapping[str, Mapping[str, NDArray[Any]]]
"""Variables of a model, by layer and name."""
Channels = NDArray[np.int64]
"""Which of a layer's outputs (last axis) stay, ascending."""

ROUNDS = 2
"""Times that k is lowered, each time followed by training."""
_TUNED = 4  # of an architecture's epochs each round gets this part


def kept(kernel: NDArray[Any], count: int, seed: int) -> Channels:
    """The ``count`` units or filters (last axis of ``kernel``) that stay, ascending; the same arguments give the same.

    One for each cluster: that nearest to the centroid, of those not taken yet.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    vectors = np.asarray(kernel, dtype=np.float64).reshape(-1, kernel.shape[-1]).T
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # equal units make fewer clusters than asked for
        clusters = KMeans(count, init="k-means++", n_init=4, random_state=seed % 2**32).fit(vectors)
    taken: list[int] = []
    for centroid in clusters.cluster_centers_:
        distances = ((vectors - centroid) ** 2).sum(axis=1)
        distances[taken] = np.inf
        taken.append(int(distances.argmin()))
    return np.array(sorted(taken))


def pruned_phases(architecture: Architecture, epochs: int) -> list[tuple[Architecture, int]]:
    """The networks that are trained one after the other, each for so many epochs; the last one is ``architecture``.

    The first has the filters and units that pruning will take away; each round takes an equal part of them.
    """
    rate = architecture.training.pruning
    if not rate:
        return [(architecture, epochs)]
    tuned = max(1, epochs // _TUNED)
    shapes = [_widened(architecture, 1 + left / ROUNDS * rate / (1 - rate)) for left in range(ROUNDS, -1, -1)]
    return list(zip(shapes, (max(1, epochs - ROUNDS * tuned), *(tuned for _ in range(ROUNDS))), strict=True))


def _widened(architecture: Architecture, factor: float) -> Architecture:
    hidden = tuple(replace(layer, units=round(layer.units * factor)) for layer in architecture.hidden)
    filters = tuple(replace(layer, filters=round(layer.filters * factor)) for layer in architecture.convolutions)
    return replace(architecture, hidden=hidden, convolutions=filters)


def sizes(architecture: Architecture) -> dict[str, int]:
    """Filters and units of each layer that can lose some, by its name in the training model."""
    filters = {f"conv_{number}": layer.filters for number, layer in enumerate(architecture.convolutions)}
    return filters | {f"dense_{number}": layer.units for number, layer in enumerate(architecture.hidden)}


def shrunk(model: Model, counts: Mapping[str, int], seed: int) -> dict[str, dict[str, NDArray[Any]]]:
    """The variables that are left of ``model`` when each layer that ``counts`` names keeps so many filters or units.

    A variable ``kernel`` has its layer's inputs on the last axis but one and the outputs on the last; of the others,
    vectors hold a value for each output. Layers without a kernel give the channels that they read.
    """
    left: dict[str, dict[str, NDArray[Any]]] = {}
    stay: dict[str, Channels] = {}
    for layer in model.layers:
        channels = _read(layer, stay)
        values = {_name(variable): variable.numpy() for variable in layer.weights}
        if "kernel" in values:
            kernel, units = values["kernel"], np.arange(values["kernel"].shape[-1])
            if layer.name in counts:
                if not np.isfinite(kernel).all():
                    raise ModelError(f"layer {layer.name} has weights that are no finite numbers; train it more slowly")
                units = kept(kernel, counts[layer.name], seed)  # as it was trained, all of its inputs
            values["kernel"] = kernel.take(channels, axis=-2).take(units, axis=-1)
            channels = units
        left[layer.name] = {name: value[channels] if value.ndim == 1 else value for name, value in values.items()}
        stay[layer.name] = _flattened(layer, channels) if type(layer).__name__ == "Flatten" else channels
    return left


def set_weights(model: Model, weights: Weights) -> None:
    """Give a model of that shape the variables; scales that it does not learn, and what is not frozen, stay so."""
    for layer in model.layers:
        own = {"frozen"} if getattr(layer, "normalize", True) else {"frozen", "gamma"}
        for variable in layer.weights:
            if _name(variable) not in own:
                variable.assign(weights[layer.name][_name(variable)])


def _read(layer: Any, stay: Mapping[str, Channels]) -> Channels:
    """Which channels stay of what a layer reads; those of several inputs are joined, one behind the other."""
    from .tf import tf

    found, depth = [], 0
    for tensor in tf.nest.flatten(layer.input):
        some = stay.get(tensor.node.layer.name, np.arange(tensor.shape[-1]))  # all of the model's inputs
        found.append(depth + some)
        depth += tensor.shape[-1]
    return np.concatenate(found)


def _flattened(layer: Any, channels: Channels) -> Channels:
    """Where the channels of every pixel are once it is flattened."""
    *extent, depth = layer.input.shape[1:]
    places: Channels = np.arange(int(np.prod(extent)))[:, None] * depth + channels
    return places.ravel()


def _name(variable: Any) -> str:
    return str(variable.name).rpartition("/")[2].partition(":")[0]
