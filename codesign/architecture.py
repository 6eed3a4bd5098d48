"""Architecture: one candidate network with its hardware knobs, as a frozen value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Activation = Literal["ternary", "2", "3", "4"]
"""Ternary {-1, 0, +1}, or a quantized ReLU of that many bits."""
ACTIVATIONS: tuple[Activation, ...] = ("ternary", "2", "3", "4")
Mode = Literal["parallel", "folded"]
MODES: tuple[Mode, ...] = ("parallel", "folded")


@dataclass(frozen=True)
class DenseLayer:
    """A hidden ternary layer: ``units`` outputs, each through ``activation``."""

    units: int
    activation: Activation


@dataclass(frozen=True)
class Hardware:
    """How the network becomes RTL.

    ``folding`` is the target initiation interval of each layer in clock cycles; 1 in parallel mode.
    """

    mode: Mode
    folding: int = 1


@dataclass(frozen=True)
class Architecture:
    """A ternary multi-layer perceptron: ``inputs`` -> hidden layers -> ``outputs`` linear logits."""

    inputs: int
    outputs: int
    input_bits: int
    hidden: tuple[DenseLayer, ...]
    batch_norm: bool
    hardware: Hardware

    def __post_init__(self) -> None:
        """Reject what no stage could build."""
        checks = [
            (self.inputs >= 1, f"inputs must be at least 1, not {self.inputs}"),
            (self.outputs >= 1, f"outputs must be at least 1, not {self.outputs}"),
            (1 <= self.input_bits <= 8, f"input_bits must be 1 to 8, not {self.input_bits}"),
            (all(layer.units >= 1 for layer in self.hidden), f"units must be at least 1: {self.hidden}"),
            (
                all(layer.activation in ACTIVATIONS for layer in self.hidden),
                f"activations must be among {ACTIVATIONS}: {self.hidden}",
            ),
            (self.hardware.mode in MODES, f"mode must be among {MODES}, not {self.hardware.mode!r}"),
            (self.hardware.folding >= 1, f"folding must be at least 1, not {self.hardware.folding}"),
            (
                self.hardware.mode == "folded" or self.hardware.folding == 1,
                f"parallel mode has folding 1, not {self.hardware.folding}",
            ),
        ]
        for holds, message in checks:
            if not holds:
                raise ValueError(message)

    @property
    def widths(self) -> tuple[int, ...]:
        """Vector lengths from the input to the logits."""
        return (self.inputs, *(layer.units for layer in self.hidden), self.outputs)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, complete: :meth:`from_json` gives back an equal value."""
        values = asdict(self)
        values["hidden"] = list(values["hidden"])
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Architecture:
        """Inverse of :meth:`to_json`; unknown and missing keys raise ``ValueError``."""
        given = dict(_exactly(cls, values))
        given["hidden"] = tuple(DenseLayer(**_exactly(DenseLayer, layer)) for layer in given["hidden"])
        given["hardware"] = Hardware(**_exactly(Hardware, given["hardware"]))
        return cls(**given)

    def digest(self) -> str:
        """SHA-256 of the whole candidate, in hex."""
        return _digest(self.to_json())

    def network_digest(self) -> str:
        """SHA-256 of what training depends on: everything but the hardware knobs."""
        values = self.to_json()
        del values["hardware"]
        return _digest(values)

    def words(self) -> str:
        """The network in one short line, e.g. ``64x4b-24t-10 bn parallel``."""
        hidden = "".join(
            f"-{layer.units}{'t' if layer.activation == 'ternary' else f'q{layer.activation}'}" for layer in self.hidden
        )
        norm = " bn" if self.batch_norm else ""
        fold = f" folded/{self.hardware.folding}" if self.hardware.mode == "folded" else " parallel"
        return f"{self.inputs}x{self.input_bits}b{hidden}-{self.outputs}{norm}{fold}"


def _exactly(cls: type, values: Mapping[str, Any]) -> Mapping[str, Any]:
    names = {field.name for field in fields(cls)}
    unknown, missing = set(values) - names, names - set(values)
    if unknown or missing:
        raise ValueError(f"{cls.__name__}: unknown keys {sorted(unknown)}, missing keys {sorted(missing)}")
    return values


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
