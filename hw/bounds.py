"""Structural lower bounds of an Architecture: what any weights need, known before training."""

from __future__ import annotations

import itertools

from codesign.architecture import Architecture
from codesign.measurement import Figure, Measurement, Provenance
from hw.emit.folded import fold

_OUTPUT_BITS = {"ternary": 2, "2": 2, "3": 3, "4": 4}


def lower_bound(architecture: Architecture) -> Measurement:
    """LUT, cycles of latency and initiation interval below which no candidate of this shape can be.

    Assumes that no unit is constant and no two are equal, so that each output bit of each unit takes a LUT.
    """
    widths = architecture.widths
    bits = [_OUTPUT_BITS[layer.activation] for layer in architecture.hidden]
    luts = sum(layer.units * width for layer, width in zip(architecture.hidden, bits, strict=True))
    latency, interval = 1, 1
    if architecture.hardware.mode == "folded":
        shapes = list(itertools.pairwise(widths))
        foldings = [fold(n_in, n_out, architecture.hardware.folding) for n_in, n_out in shapes]
        steps = [folding.steps(*shape) for folding, shape in zip(foldings, shapes, strict=True)]
        latency, interval = sum(steps), max(steps)
        # A layer computes pe outputs at a time; the others leave through the same LUTs.
        luts = sum(folding.pe for folding in foldings)

    def figure(value: float, unit: str) -> Figure:
        return Figure(value, unit, Provenance.ESTIMATED, "structural bound", "1")

    return Measurement(
        {
            "lut": figure(luts, "LUT"),
            "latency_cycles": figure(latency, "cycles"),
            "interval_cycles": figure(interval, "cycles"),
        }
    )
