"""Pruning of whole units while a network is trained.

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

Weights = Mapping[str, Mapping[str, NDArray[np.float32]]]
"""Variables of a training model, by layer and name."""

ROUNDS = 2
"""Times that k is lowered, each time followed by training."""
_TUNED = 4  # of an architecture's epochs each round gets this part
_PER_UNIT = ("gamma", "beta", "mean", "variance")


def kept(kernel: NDArray[Any], count: int, seed: int) -> NDArray[np.int64]:
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

    The first has the units that pruning will take away; each round takes an equal part of them.
    """
    rate = architecture.training.pruning
    if not rate:
        return [(architecture, epochs)]
    tuned = max(1, epochs // _TUNED)
    shapes = []
    for left in range(ROUNDS, -1, -1):
        wider = [round(layer.units * (1 + left / ROUNDS * rate / (1 - rate))) for layer in architecture.hidden]
        hidden = tuple(replace(layer, units=units) for layer, units in zip(architecture.hidden, wider, strict=True))
        shapes.append(replace(architecture, hidden=hidden))
    return list(zip(shapes, (max(1, epochs - ROUNDS * tuned), *(tuned for _ in range(ROUNDS))), strict=True))


def weights_of(model: Any) -> Weights:
    """Every variable of a training model but whether its statistics are frozen."""
    return {
        layer.name: {_name(variable): variable.numpy() for variable in layer.weights if _name(variable) != "frozen"}
        for layer in model.layers
        if layer.weights
    }


def set_weights(model: Any, weights: Weights) -> None:
    """Give a model of the same shape the variables; scales that it does not learn stay its own."""
    for name, values in weights.items():
        layer = model.get_layer(name)
        learned = getattr(layer, "normalize", True)
        for variable in layer.weights:
            if _name(variable) in values and (learned or _name(variable) != "gamma"):
                variable.assign(values[_name(variable)])


def shrunk(weights: Weights, architecture: Architecture, seed: int) -> dict[str, dict[str, NDArray[np.float32]]]:
    """The variables that are left of ``weights`` in a network of the narrower ``architecture``."""
    found = {name: dict(values) for name, values in weights.items()}
    inputs: NDArray[np.int64] | None = None
    for number, layer in enumerate(architecture.hidden):
        dense, norm = found[f"dense_{number}"], found[f"norm_{number}"]
        units = kept(dense["kernel"], layer.units, seed)  # as it was trained, all of its inputs
        dense["kernel"] = _rows(dense["kernel"], inputs)[:, units]
        norm |= {name: values[units] for name, values in norm.items() if name in _PER_UNIT}
        inputs = units
    found["logits"]["kernel"] = _rows(found["logits"]["kernel"], inputs)
    return found


def _rows(kernel: NDArray[np.float32], inputs: NDArray[np.int64] | None) -> NDArray[np.float32]:
    return kernel if inputs is None else kernel[inputs]


def _name(variable: Any) -> str:
    return str(variable.name).rpartition("/")[2].partition(":")[0]
