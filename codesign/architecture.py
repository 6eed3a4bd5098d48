"""Architecture: one candidate network with its hardware knobs, as a frozen value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Activation = Literal["ternary", "2", "3", "4"]
"""Ternary {-1, 0, +1}, or a quantized ReLU of that many bits."""
ACTIVATIONS: tuple[Activation, ...] = ("ternary", "2", "3", "4")
Weights = Literal["ternary", "binary"]
"""Kernels of {-1, 0, +1} or of {-1, +1}."""
WEIGHTS: tuple[Weights, ...] = ("ternary", "binary")
Optimizer = Literal["adam", "sgd", "rmsprop"]
OPTIMIZERS: tuple[Optimizer, ...] = ("adam", "sgd", "rmsprop")
THRESHOLD, THRESHOLDS = 0.7, (0.3, 1.5)
"""TOT-Net's factor of the mean magnitude below which a ternary weight is 0, and the range that can be searched."""
LEARNING_RATE = 0.02
PRUNED_MOST = 0.9
Mode = Literal["parallel", "folded"]
MODES: tuple[Mode, ...] = ("parallel", "folded")


@dataclass(frozen=True)
class DenseLayer:
    """A hidden layer: ``units`` outputs, each through ``activation``."""

    units: int
    activation: Activation


@dataclass(frozen=True)
class Hardware:
    """How the network becomes RTL.

    ``folding`` is the target initiation interval of each layer in clock cycles; 1 in parallel mode.
    """

    mode: Mode
    folding: int = 1


def _require(checks: Sequence[tuple[bool, str]]) -> None:
    for holds, message in checks:
        if not holds:
            raise ValueError(message)


@dataclass(frozen=True)
class Training:
    """How the weights are found; none of it is built, all of it shapes what is.

    ``threshold``: a ternary weight is 0 below this times the mean magnitude of its unit (TOT-Net: 0.7).
    ``sparsity``: weight, beside the loss, of the share of non-zero ternary weights. ``pruning``: share of its hidden
    units that the network loses while it is trained; an architecture's widths are those that are left.
    """

    threshold: float = THRESHOLD
    learning_rate: float = LEARNING_RATE
    optimizer: Optimizer = "adam"
    sparsity: float = 0.0
    pruning: float = 0.0

    def __post_init__(self) -> None:
        """Reject what cannot be trained."""
        low, high = THRESHOLDS
        checks = [
            (low <= self.threshold <= high, f"threshold must be {low} to {high}, not {self.threshold}"),
            (0 < self.learning_rate <= 1, f"learning_rate must be above 0 and at most 1, not {self.learning_rate}"),
            (self.optimizer in OPTIMIZERS, f"optimizer must be among {OPTIMIZERS}, not {self.optimizer!r}"),
            (0 <= self.sparsity <= 100, f"sparsity must be 0 to 100, not {self.sparsity}"),
            (0 <= self.pruning <= PRUNED_MOST, f"pruning must be 0 to {PRUNED_MOST}, not {self.pruning}"),
        ]
        _require(checks)

    def words(self) -> str:
        """What differs from the default, e.g. `` threshold 1.1 sgd``; empty where nothing does."""
        text = f" threshold {self.threshold:g}" if self.threshold != THRESHOLD else ""
        text += f" {self.optimizer}" if self.optimizer != "adam" else ""
        text += f" rate {self.learning_rate:g}" if self.learning_rate != LEARNING_RATE else ""
        text += f" sparsity {self.sparsity:g}" if self.sparsity else ""
        return text + (f" pruned {self.pruning:g}" if self.pruning else "")


@dataclass(frozen=True)
class Architecture:
    """A multi-layer perceptron: ``inputs`` -> hidden layers -> ``outputs`` linear logits."""

    inputs: int
    outputs: int
    input_bits: int
    hidden: tuple[DenseLayer, ...]
    batch_norm: bool
    hardware: Hardware
    weights: Weights = "ternary"
    training: Training = Training()

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
            (self.weights in WEIGHTS, f"weights must be among {WEIGHTS}, not {self.weights!r}"),
            (
                self.weights == "ternary" or (self.training.threshold, self.training.sparsity) == (THRESHOLD, 0.0),
                "threshold and sparsity are of ternary weights; leave them as they are with binary ones",
            ),
        ]
        _require(checks)

    @property
    def widths(self) -> tuple[int, ...]:
        """Vector lengths from the input to the logits."""
        return (self.inputs, *(layer.units for layer in self.hidden), self.outputs)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values: :meth:`from_json` gives back an equal value.

        What has a default is there only where it differs, so that a network keeps its digest when there is more that
        networks can differ in.
        """
        values = asdict(self)
        values["hidden"] = list(values["hidden"])
        if not self.training.pruning:
            del values["training"]["pruning"]
        return {key: value for key, value in values.items() if key not in _DEFAULTS or value != _DEFAULTS[key]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Architecture:
        """Inverse of :meth:`to_json`; unknown and missing keys raise ``ValueError``."""
        given = dict(_exactly(cls, values, optional=_DEFAULTS))
        given["hidden"] = tuple(DenseLayer(**_exactly(DenseLayer, layer)) for layer in given["hidden"])
        given["hardware"] = Hardware(**_exactly(Hardware, given["hardware"]))
        if "training" in given:
            given["training"] = Training(**_exactly(Training, given["training"], optional=("pruning",)))
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
        binary = " binary" if self.weights == "binary" else ""
        fold = f" folded/{self.hardware.folding}" if self.hardware.mode == "folded" else " parallel"
        return f"{self.inputs}x{self.input_bits}b{hidden}-{self.outputs}{binary}{norm}{fold}{self.training.words()}"


_DEFAULTS = {"weights": "ternary", "training": {k: v for k, v in asdict(Training()).items() if k != "pruning"}}


def _exactly(cls: type, values: Mapping[str, Any], optional: Iterable[str] = ()) -> Mapping[str, Any]:
    names = {field.name for field in fields(cls)}
    unknown, missing = set(values) - names, names - set(values) - set(optional)
    if unknown or missing:
        raise ValueError(f"{cls.__name__}: unknown keys {sorted(unknown)}, missing keys {sorted(missing)}")
    return values


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
