"""Figures that follow from a network and its measurement without another run: share of the part, size, work."""

from __future__ import annotations

import itertools

from codesign.architecture import Architecture
from codesign.measurement import Figure, Measurement, Provenance
from codesign.target import Target

RESOURCES = ("lut", "ff", "bram", "dsp")


def derived(architecture: Architecture, measurement: Measurement, target: Target) -> Measurement:
    """``largest_share`` (of the part's resources, in %), ``parameters`` and ``bit_operations``."""
    figures = {name: measurement.figures[name] for name in RESOURCES if target.part.resources[name] > 0}
    shares = {name: 100.0 * figure.value / target.part.resources[name] for name, figure in figures.items()}
    most = max(shares, key=lambda name: shares[name])
    source = figures[most]
    share = Figure(shares[most], "%", source.provenance, source.tool, source.version, {"resource": most})
    return Measurement({"largest_share": share}).merged([counted(architecture)])


def counted(architecture: Architecture) -> Measurement:
    """``parameters`` and ``bit_operations``, known before training."""
    counts = {"parameters": parameters(architecture), "bit_operations": bit_operations(architecture)}
    return Measurement(
        {name: Figure(float(count), "", Provenance.COUNTED, "architecture", "1") for name, count in counts.items()}
    )


def parameters(architecture: Architecture) -> int:
    """Weights, zeros included, and one offset per unit."""
    return sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(architecture.widths))


def bit_operations(architecture: Architecture) -> int:
    """Multiplications times the bits of both factors (van Baalen et al., Bayesian Bits, 2020); ternary has 2 bits."""
    kernel = 1 if architecture.weights == "binary" else 2
    hidden = (2 if layer.activation == "ternary" else int(layer.activation) for layer in architecture.hidden)
    shapes = itertools.pairwise(architecture.widths)
    return sum(
        n_in * n_out * bits * kernel
        for (n_in, n_out), bits in zip(shapes, (architecture.input_bits, *hidden), strict=True)
    )
