"""The section of a study about what the genes may be."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from codesign.architecture import (
    ACTIVATIONS,
    LEARNING_RATE,
    PRUNED_MOST,
    TARGET,
    THRESHOLD,
    THRESHOLDS,
    Mode,
    Optimizer,
    Weights,
)
from codesign.schema import _key, _Section
from codesign.toml_text import toml_value
from nas.space import Choice
from nas.spaces import FOLDINGS, INPUT_BITS, WIDTHS

Depth = Annotated[int, Field(ge=1, le=4)]
Width = Annotated[int, Field(ge=1, le=1024)]
Bits = Annotated[int, Field(ge=1, le=8)]
ActivationBits = Literal["ternary", 2, 3, 4]
Folding = Annotated[int, Field(ge=2, le=4096)]
HardwareTarget = Annotated[str, Field(pattern=rf"^({TARGET})$")]
Threshold = Annotated[float, Field(ge=THRESHOLDS[0], le=THRESHOLDS[1])]
Sparsity = Annotated[float, Field(ge=0, le=100)]
Pruning = Annotated[float, Field(ge=0, le=PRUNED_MOST)]
Rate = Annotated[float, Field(gt=0, le=1)]
PerLayer = Literal["width", "activation_bits"]
GeneKey = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_NO_GENES = ("depth", "activation_bits", "per_layer", "genes")
PRINTED = frozenset(
    (
        *("depth", "width", "input_bits", "activation_bits", "batch_norm", "mode", "folding"),
        *("weights", "threshold", "sparsity", "learning_rate", "optimizer", "per_layer", "genes"),
    )
)
"""What every version wrote that wrote all keys; those of today that came later need not be there."""


class SpaceSection(_Section):
    """[space]: what the genes may be."""

    depth: tuple[Depth, Depth] = _key(
        (1, 3), "fewest and most hidden layers", "a pair [fewest, most] of whole numbers from 1 to 4"
    )
    width: tuple[Width, ...] = _key(
        WIDTHS, "units of a hidden layer", "a list of whole numbers from 1 to 1024", min_length=1
    )
    input_bits: tuple[Bits, ...] = _key(
        INPUT_BITS, "bits of each input", "a list of whole numbers from 1 to 8", min_length=1
    )
    activation_bits: tuple[ActivationBits, ...] = _key(
        ("ternary", 2, 3, 4), "activation of the hidden layers", 'a list of "ternary", 2, 3, 4', min_length=1
    )
    batch_norm: tuple[bool, ...] = _key(
        (False, True), "batch normalisation or not", "a list of true, false", min_length=1
    )
    mode: tuple[Mode, ...] = _key(
        ("parallel", "folded"),
        "one input per clock cycle, layers folded in time, or each layer as target asks",
        'a list of "parallel", "folded", "solved"',
        min_length=1,
    )
    folding: tuple[Folding, ...] = _key(
        FOLDINGS,
        "target of clock cycles per layer and input in folded mode",
        "a list of whole numbers from 2 to 4096",
        min_length=1,
    )
    target: tuple[HardwareTarget, ...] = _key(
        ("fastest",),
        "what each layer's folding is found for in solved mode; fastest: within the budget",
        'a list of "fastest", "interval N", "latency N" with N in clock cycles',
        min_length=1,
    )
    weights: tuple[Weights, ...] = _key(
        ("ternary",), "kernels of -1, 0, +1 or of -1, +1", 'a list of "ternary", "binary"', min_length=1
    )
    threshold: tuple[Threshold, ...] = _key(
        (THRESHOLD,),
        "ternary weights are 0 below this times their unit's mean magnitude",
        "a list of numbers from 0.3 to 1.5",
        min_length=1,
    )
    sparsity: tuple[Sparsity, ...] = _key(
        (0.0,), "pressure on ternary weights to be 0", "a list of numbers from 0 to 100", min_length=1
    )
    learning_rate: tuple[Rate, ...] = _key(
        (LEARNING_RATE,), "of training, before its schedule", "a list of numbers above 0, at most 1", min_length=1
    )
    optimizer: tuple[Optimizer, ...] = _key(
        ("adam",), "that trains the weights", 'a list of "adam", "sgd", "rmsprop"', min_length=1
    )
    pruning: tuple[Pruning, ...] = _key(
        (0.0,),
        "share of filters and hidden units lost in training: it starts with wider layers and ends with those asked for",
        "a list of numbers from 0 to 0.9",
        min_length=1,
    )
    per_layer: tuple[PerLayer, ...] = _key(
        ("width",),
        "what each hidden layer has a choice of its own for; the rest is one choice for all",
        'a list of "width", "activation_bits"',
    )
    genes: dict[GeneKey, tuple[str | int | bool | float, ...]] = _key(
        {},
        "choices of the genes of a space, by key or, for one layer, by name",
        "a table of lists, such as {taper = [1, 2]}",
    )

    @model_validator(mode="after")
    def _depth_ascends(self) -> Self:
        if self.depth[0] > self.depth[1]:
            raise ValueError(f"depth = {toml_value(self.depth)} must be [fewest, most]")
        return self

    @model_validator(mode="after")
    def _printed_is_not_written(self) -> Self:
        """Runs and ``init`` of earlier versions have all keys: only what differs from its default was asked for."""
        if self.model_fields_set >= PRINTED:
            object.__setattr__(self, "__pydantic_fields_set__", self.model_fields_set & self.unusual())
        return self

    def unusual(self) -> set[str]:
        """Keys that ask for something else than their defaults; activations come in one order, however written."""
        default, ours = type(self)(), self.choices()
        found = {key_of(gene) for gene, usual in default.choices().items() if ours[gene] != usual}
        return found | {key for key in ("per_layer", "genes") if getattr(self, key) != getattr(default, key)}

    def tied(self) -> tuple[str, ...]:
        """Gene keys that have one choice for all layers."""
        keys = {"width": "width", "activation_bits": "activation"}
        return tuple(key for name, key in keys.items() if name not in self.per_layer)

    def choices(self) -> dict[str, tuple[Choice, ...]]:
        """Choices by the gene keys of ``nas.spaces.mlp``."""
        values: dict[str, tuple[Choice, ...]] = {
            key: getattr(self, key) for key in type(self).model_fields if key not in _NO_GENES
        }
        values["depth"] = tuple(range(self.depth[0], self.depth[1] + 1))
        wanted = {str(bits) for bits in self.activation_bits}
        values["activation"] = tuple(activation for activation in ACTIVATIONS if activation in wanted)
        return values


def key_of(gene: str) -> str:
    """The key of [space] that has the choices of a gene key of ``nas.spaces.mlp``."""
    return "activation_bits" if gene == "activation" else gene
