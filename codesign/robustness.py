"""Robustness: the error of the built network when bits of its weights flip, or its inputs are noisy.

The integer graph is run as it is, so that the figures are those of the hardware. Sums that flipped weights make larger
than their wires are kept whole here, where hardware would wrap around.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.measurement import Figure, Measurement, Provenance
from codesign.scoring import error_of
from codesign.study import Study
from hw.graph import Graph, Ints, Op
from quant.regression import OutputFormat
from quant.scaling import InputFormat

DRAWS = 8
"""Random faults that each figure is the mean of."""
SAMPLES = 1024  # validation samples at most: integer sums take their time
FIGURES: Mapping[str, str] = {"weight_flips": "weight_flips_error", "input_noise": "input_noise_error"}
"""Objective -> figure."""


@dataclass(frozen=True)
class Subject:
    """A built network and the validation data it is tried on; ``spread`` is each feature's standard deviation."""

    graph: Graph
    input_format: InputFormat
    output_format: OutputFormat | None
    x: NDArray[Any]
    y: NDArray[Any]
    spread: NDArray[np.float64]
    binary: bool

    def error(self, graph: Graph, k: Ints) -> Figure:
        """The error of ``graph`` on input integers."""
        return error_of(graph.output.type.to_real(graph.run(k)), self.y[: len(k)], self.output_format)


def asked(study: Study) -> dict[str, float]:
    """The rates of the faults that the study's objectives name, or its target."""
    return {name: getattr(study.robustness, name) for name in FIGURES if name in study.compared}


def robustness(subject: Subject, rates: Mapping[str, float], seed: int) -> Measurement:
    """A figure for each of ``rates`` (keys of :data:`FIGURES`): the mean error over :data:`DRAWS` random faults."""
    x = subject.x[:SAMPLES].astype(np.float64)
    k = subject.input_format.quantize(x)

    def flips(rng: np.random.Generator) -> Figure:
        return subject.error(flipped(subject.graph, rates["weight_flips"], rng, binary=subject.binary), k)

    def noise(rng: np.random.Generator) -> Figure:
        noisy = x + rng.normal(0.0, 1.0, x.shape) * rates["input_noise"] * subject.spread
        return subject.error(subject.graph, subject.input_format.quantize(noisy))

    trials: Mapping[str, Callable[[np.random.Generator], Figure]] = {"weight_flips": flips, "input_noise": noise}
    return Measurement({FIGURES[name]: _mean(trials[name], rate, seed) for name, rate in rates.items()})


def flipped(graph: Graph, rate: float, rng: np.random.Generator, *, binary: bool) -> Graph:
    """The graph with each stored weight bit flipped with probability ``rate``.

    A ternary weight has two bits as TOT-Net's multiplier takes them, sign and magnitude; of a zero the sign is stored
    as 0, so that a flipped magnitude makes it +1. A ``binary`` weight is its sign.
    """
    nodes = []
    for node in graph.nodes:
        if node.op in (Op.DENSE, Op.CONV):
            trits = node.tensors["trits"]
            sign, magnitude = trits < 0, trits != 0
            sign = sign ^ (rng.random(trits.shape) < rate)
            if not binary:
                magnitude = magnitude ^ (rng.random(trits.shape) < rate)
            node = replace(node, tensors={**node.tensors, "trits": magnitude * np.where(sign, -1, 1)})
        nodes.append(node)
    return Graph(tuple(nodes))


def _mean(trial: Callable[[np.random.Generator], Figure], rate: float, seed: int) -> Figure:
    figures = [trial(np.random.default_rng((seed, draw))) for draw in range(DRAWS)]
    errors = np.array([figure.value for figure in figures])
    details = {"rate": rate, "draws": DRAWS, "deviation": float(errors.std(ddof=1)), "worst": float(errors.max())}
    return Figure(float(errors.mean()), figures[0].unit, Provenance.TRAINED, "integer graph", "1", details)
