"""The spaces that exist, by the name a study gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from codesign.architecture import ACTIVATIONS, MODES, Architecture, DenseLayer, Hardware
from nas.space import Choice, Condition, Gene, Space

MAX_DEPTH = 4
# The bounds of the default search: on the digits they keep the mean candidate near 3,000 LUT.
WIDTHS = (8, 12, 16, 24, 32, 48)
INPUT_BITS = (1, 2, 3, 4)
FOLDINGS = (8, 16, 32, 64)


def mlp(inputs: int, outputs: int) -> Space:
    """Ternary multi-layer perceptrons between ``inputs`` features and ``outputs`` logits.

    Each hidden layer has its own width; activation, batch norm and mode hold for the whole network.
    """
    depths = tuple(range(1, MAX_DEPTH + 1))
    widths = (
        Gene(f"width_{layer}", "width", WIDTHS, True, Condition("depth", frozenset(depths[layer - 1 :])))
        for layer in depths
    )
    genes = (
        Gene("depth", "depth", depths, True),
        *widths,
        Gene("input_bits", "input_bits", INPUT_BITS, True),
        Gene("activation", "activation", ACTIVATIONS, True),  # ternary is the coarsest, 4 bits the finest
        Gene("batch_norm", "batch_norm", (False, True), False),
        Gene("mode", "mode", MODES, False),
        Gene("folding", "folding", FOLDINGS, True, Condition("mode", frozenset({"folded"}))),
    )
    return Space("mlp", genes, partial(_build_mlp, inputs, outputs), _describe_mlp)


SPACES: Mapping[str, Callable[[int, int], Space]] = {"mlp": mlp}


def _build_mlp(inputs: int, outputs: int, values: Mapping[str, Choice]) -> Architecture:
    hidden = tuple(
        DenseLayer(int(values[f"width_{layer}"]), str(values["activation"]))  # type: ignore[arg-type]  # a choice of ACTIVATIONS
        for layer in range(1, int(values["depth"]) + 1)
    )
    hardware = Hardware(str(values["mode"]), int(values.get("folding", 1)))  # type: ignore[arg-type]  # a choice of MODES
    return Architecture(inputs, outputs, int(values["input_bits"]), hidden, bool(values["batch_norm"]), hardware)


def _describe_mlp(architecture: Architecture) -> dict[str, Choice]:
    values: dict[str, Choice] = {f"width_{i}": layer.units for i, layer in enumerate(architecture.hidden, start=1)}
    values["depth"] = len(architecture.hidden)
    values["input_bits"] = architecture.input_bits
    values["activation"] = architecture.hidden[0].activation if architecture.hidden else ""
    values["batch_norm"] = architecture.batch_norm
    values["mode"] = architecture.hardware.mode
    if architecture.hardware.mode == "folded":
        values["folding"] = architecture.hardware.folding
    return values
