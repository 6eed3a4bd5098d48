"""Figures that follow from a network and its measurement without another run: share of the part, size, work."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from codesign.architecture import Activation, Architecture
from codesign.measurement import Figure, Measurement, Provenance
from codesign.target import RESOURCES, Target


def derived(architecture: Architecture, measurement: Measurement, target: Target) -> Measurement:
    """``largest_share`` (of the part's resources, in %), ``parameters`` and ``bit_operations``."""
    share = largest_share(measurement.figures, target.part.resources)
    return Measurement({"largest_share": share}).merged([counted(architecture)])


def counted(architecture: Architecture) -> Measurement:
    """``parameters`` and ``bit_operations``, known before training."""
    counts = {"parameters": parameters(architecture), "bit_operations": bit_operations(architecture)}
    return Measurement(
        {name: Figure(float(count), "", Provenance.COUNTED, "architecture", "1") for name, count in counts.items()}
    )


def largest_share(figures: Mapping[str, Figure], resources: Mapping[str, int]) -> Figure:
    """The share, in %, of that of a part's ``resources`` of which ``figures`` take most; as its count came to be."""
    total = {name: resources[name] for name in RESOURCES}
    shares = {name: 100.0 * figures[name].value / count for name, count in total.items() if count > 0}
    most = max(shares, key=lambda name: shares[name])
    source = figures[most]
    details = {"resource": most, "of": total}
    if "corrected_by" in source.details:
        details["corrected_by"] = source.details["corrected_by"]
    return Figure(shares[most], "%", source.provenance, source.tool, source.version, details)


def parameters(architecture: Architecture) -> int:
    """Weights, zeros included, and one offset per unit or filter."""
    dense = sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(architecture.widths))
    shapes = zip(architecture.convolutions, architecture.shapes(), strict=False)
    return dense + sum((layer.kernel**2 * channels + 1) * layer.filters for layer, (_, _, channels) in shapes)


def bit_operations(architecture: Architecture) -> int:
    """Multiplications times the bits of both factors (van Baalen et al., Bayesian Bits, 2020); ternary has 2 bits."""
    kernel, total = 1 if architecture.weights == "binary" else 2, 0
    channels = architecture.image[2] if architecture.image else architecture.inputs
    read = channels * architecture.input_bits  # bits of all channels of a pixel, or of a vector
    for layer, (height, width, _) in zip(architecture.convolutions, architecture.shapes(), strict=False):
        total += height * width * layer.kernel**2 * read * layer.filters * kernel
        read = layer.filters * _bits(layer.activation) + (read if layer.joined else 0)
    if architecture.convolutions:
        height, width, _ = architecture.shapes()[-1]
        read *= height * width
    for dense in architecture.hidden:
        total += read * dense.units * kernel
        read = dense.units * _bits(dense.activation)
    return total + read * architecture.outputs * kernel


def _bits(activation: Activation) -> int:
    return 2 if activation == "ternary" else int(activation)
