"""Lower bounds of an Architecture, known before training."""

from __future__ import annotations

import itertools

from codesign.architecture import Architecture
from codesign.measurement import Figure, Measurement, Provenance
from hw.emit.folded import foldings
from hw.folded_cost import fold_shape

_QUEUE_CYCLES = 1


def lower_bound(architecture: Architecture) -> Measurement:
    """LUT, cycles of latency and initiation interval below which no candidate of this shape can be.

    Cycles hold whatever the weights will be. Folded: the schedule itself, which the shape alone decides; of images the
    steps of the slowest layer. Parallel: the result queue and one vector or pixel per cycle, since the registers follow
    from the adders. LUTs: a unit takes at least one, but training may leave units that are constant or equal to others
    and cost nothing; that these are at most half of a parallel network's hidden units is assumed. A folded layer
    computes its units one after the other: no bound, and none where the solver decides, which is asked before training.
    """
    mode, luts = architecture.hardware.mode, 0
    latency, interval = _QUEUE_CYCLES, 1
    if mode == "parallel":
        luts = sum(layer.units for layer in architecture.hidden) + sum(
            layer.filters for layer in architecture.convolutions
        )
    if architecture.image:
        latency = interval = _pixels(architecture)
    elif mode == "folded":
        latency, interval = _folded(architecture)

    def figure(value: float, unit: str) -> Figure:
        return Figure(value, unit, Provenance.ESTIMATED, "structural bound", "2")

    return Measurement(
        {
            "lut": figure(luts // 2, "LUT"),
            "latency_cycles": figure(latency, "cycles"),
            "interval_cycles": figure(interval, "cycles"),
        }
    )


def _pixels(architecture: Architecture) -> int:
    """Cycles of the layer that takes the most: a pixel each, and in folded mode the steps of each pixel."""
    found = [1]
    for (height, width, channels), layer in zip(architecture.shapes(), architecture.convolutions, strict=False):
        pixels, steps = height * width, 1
        if architecture.hardware.mode == "folded":
            shape = layer.kernel**2 * channels, layer.filters
            # which of them it will be hangs on the bits of what is joined
            steps = min(way.steps(*shape) for way in foldings(*shape, architecture.hardware.folding // pixels))
        found.append(pixels * steps)
    return max(found)


def _folded(architecture: Architecture) -> tuple[int, int]:
    activations = [layer.activation for layer in architecture.hidden]
    bits = [0 if activation == "ternary" else int(activation) for activation in activations]
    latencies, intervals = [], []
    shapes = itertools.pairwise(architecture.widths)
    for shape, read, given in zip(shapes, [architecture.input_bits, *bits], [*bits, None], strict=True):
        folding = fold_shape(*shape, architecture.hardware.folding, read, thresholded=given == 0)
        latencies.append(folding.latency(*shape, ternary_input=read == 0, thresholded=given == 0))
        intervals.append(folding.interval(*shape, latencies[-1]))
    return sum(latencies), max(intervals)
