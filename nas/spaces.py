"""The spaces that exist, by the name a study gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from functools import partial
from typing import Any

from codesign.architecture import (
    ACTIVATIONS,
    LEARNING_RATE,
    THRESHOLD,
    Architecture,
    DenseLayer,
    Hardware,
    Mode,
    Optimizer,
    Training,
)
from nas.space import Choice, Condition, Gene, Space

MAX_DEPTH = 4
# The bounds of the default search: on the digits they keep the mean candidate near 3,000 LUT.
WIDTHS = (8, 12, 16, 24, 32, 48)
INPUT_BITS = (1, 2, 3, 4)
FOLDINGS = (8, 16, 32, 64)


def mlp(inputs: int, outputs: int) -> Space:
    """Multi-layer perceptrons between ``inputs`` features and ``outputs`` logits.

    Each hidden layer has its own width and activation; the other genes hold for the whole network. Weights and how
    they are trained have one choice each, which a study may widen.
    """
    depths = tuple(range(1, MAX_DEPTH + 1))
    genes = (
        Gene("depth", "depth", depths, True),
        *_per_layer("width", WIDTHS),
        Gene("input_bits", "input_bits", INPUT_BITS, True),
        *_per_layer("activation", ACTIVATIONS),  # ternary is the coarsest, 4 bits the finest
        Gene("batch_norm", "batch_norm", (False, True), False),
        *shared(("parallel", "folded")),
    )
    return Space("mlp", genes, partial(_build_mlp, inputs, outputs), _describe_mlp)


def shared(
    modes: tuple[Mode, ...],
    learning_rates: tuple[float, ...] = (LEARNING_RATE,),
    optimizers: tuple[Optimizer, ...] = ("adam",),
) -> tuple[Gene, ...]:
    """The genes of every space: hardware, weights and training."""
    ternary = Condition("weights", frozenset({"ternary"}))
    return (
        Gene("mode", "mode", modes, False),
        Gene("folding", "folding", FOLDINGS, True, Condition("mode", frozenset({"folded"}))),
        Gene("target", "target", ("fastest",), False, Condition("mode", frozenset({"solved"}))),
        Gene("weights", "weights", ("ternary",), False),
        Gene("threshold", "threshold", (THRESHOLD,), True, ternary),
        Gene("sparsity", "sparsity", (0.0,), True, ternary),
        Gene("learning_rate", "learning_rate", learning_rates, True),
        Gene("optimizer", "optimizer", optimizers, False),
        Gene("pruning", "pruning", (0.0,), True),
    )


def built_shared(values: Mapping[str, Any]) -> dict[str, Any]:
    """What an Architecture has by the genes that every space has."""
    trained = {field.name: values[field.name] for field in fields(Training) if field.name in values}
    return {
        "input_bits": values["input_bits"],
        "batch_norm": values["batch_norm"],
        "hardware": Hardware(values["mode"], values.get("folding", 1), values.get("target", "")),
        "weights": values["weights"],
        "training": Training(**trained),
    }


def described_shared(architecture: Architecture) -> dict[str, Choice]:
    """Inverse of :func:`built_shared`."""
    values: dict[str, Choice] = {
        "input_bits": architecture.input_bits,
        "batch_norm": architecture.batch_norm,
        "mode": architecture.hardware.mode,
        "weights": architecture.weights,
        **asdict(architecture.training),
    }
    if architecture.weights == "binary":
        del values["threshold"], values["sparsity"]
    if architecture.hardware.mode == "folded":
        values["folding"] = architecture.hardware.folding
    if architecture.hardware.mode == "solved":
        values["target"] = architecture.hardware.target
    return values


def _per_layer(key: str, choices: tuple[Choice, ...]) -> Iterator[Gene]:
    for layer in range(1, MAX_DEPTH + 1):
        deep_enough = Condition("depth", frozenset(range(layer, MAX_DEPTH + 1)))
        yield Gene(f"{key}_{layer}", key, choices, True, deep_enough)


SPACES: Mapping[str, Callable[[int, int], Space]] = {"mlp": mlp}


def _build_mlp(inputs: int, outputs: int, values: Mapping[str, Any]) -> Architecture:
    layers = range(1, values["depth"] + 1)
    hidden = tuple(DenseLayer(values[f"width_{layer}"], values[f"activation_{layer}"]) for layer in layers)
    return Architecture(inputs=inputs, outputs=outputs, hidden=hidden, **built_shared(values))


def _describe_mlp(architecture: Architecture) -> dict[str, Choice]:
    values: dict[str, Choice] = {"depth": len(architecture.hidden)}
    for number, layer in enumerate(architecture.hidden, start=1):
        values |= {f"width_{number}": layer.units, f"activation_{number}": layer.activation}
    return values | described_shared(architecture)
