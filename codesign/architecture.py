"""Architecture: one candidate network with its hardware knobs, as a frozen value."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Literal

from codesign.toml_text import toml_value

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
Mode = Literal["parallel", "folded", "solved"]
MODES: tuple[Mode, ...] = ("parallel", "folded", "solved")
KERNELS = (1, 3, 5)
"""Rows and columns of a convolution's window."""
DROPOUT = 0.2
"""Share of a joined layer's outputs that training leaves out (DeepMaker's template)."""
TARGET = r"fastest|(interval|latency) [1-9]\d{0,8}"
"""What the folding of every layer can be found for."""


@dataclass(frozen=True)
class DenseLayer:
    """A hidden layer: ``units`` outputs, each through ``activation``."""

    units: int
    activation: Activation


@dataclass(frozen=True)
class ConvLayer:
    """A convolution of ``filters`` x ``kernel`` x ``kernel`` over an image, through ``activation``; same padding.

    ``joined``: what it gives is put behind the channels that it read, with :data:`DROPOUT` in training. ``pool``: then
    the largest of each ``pool`` x ``pool`` pixels is taken.
    """

    filters: int
    kernel: int
    activation: Activation
    pool: int = 1
    joined: bool = False


@dataclass(frozen=True)
class Hardware:
    """How the network becomes RTL.

    ``folding`` is the target initiation interval of each layer in clock cycles; 1 in parallel mode. In solved mode
    every layer's mode and folding are found for ``target``: ``interval N`` or ``latency N`` in clock cycles with the
    least hardware, or ``fastest`` within the budget.
    """

    mode: Mode
    folding: int = 1
    target: str = ""


def _require(checks: Sequence[tuple[bool, str]]) -> None:
    for holds, message in checks:
        if not holds:
            raise ValueError(message)


_KINDS = {"int": "a whole number", "bool": "true or false", "float": "a number", "str": "text"}


def _require_kinds(*parts: Any) -> None:
    """ValueError for a number, text or truth value that is another: 8.5 units, or a batch norm of 1."""
    for part in parts:
        for field in fields(part):
            value = getattr(part, field.name)
            kind = "int" if field.type == "float" and type(value) is int else field.type
            if field.type in _KINDS and type(value).__name__ != kind:
                raise ValueError(f"{field.name} must be {_KINDS[field.type]}, not {toml_value(value)}")


def _among(name: str, value: Any, known: Sequence[Any]) -> tuple[bool, str]:
    if value in known:  # by far the most, and searches make networks by the thousand: no words for these
        return True, ""
    return False, f"{name} must be among {', '.join(map(toml_value, known))}, not {toml_value(value)}"


@dataclass(frozen=True)
class Training:
    """How the weights are found; none of it is built, all of it shapes what is.

    ``threshold``: a ternary weight is 0 below this times the mean magnitude of its unit (TOT-Net: 0.7).
    ``sparsity``: weight, beside the loss, of the share of non-zero ternary weights. ``pruning``: share of its filters
    and hidden units that the network loses while it is trained; an architecture's are those that are left.
    """

    threshold: float = THRESHOLD
    learning_rate: float = LEARNING_RATE
    optimizer: Optimizer = "adam"
    sparsity: float = 0.0
    pruning: float = 0.0

    def __post_init__(self) -> None:
        """Reject what cannot be trained; a threshold of 1 is one of 1.0, with the same digest."""
        _require_kinds(self)
        for field in fields(self):
            if field.type == "float":
                object.__setattr__(self, field.name, float(getattr(self, field.name)))
        low, high = THRESHOLDS
        checks = [
            (low <= self.threshold <= high, f"threshold must be {low} to {high}, not {self.threshold}"),
            (0 < self.learning_rate <= 1, f"learning_rate must be above 0 and at most 1, not {self.learning_rate}"),
            _among("optimizer", self.optimizer, OPTIMIZERS),
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
    """A network: ``inputs`` -> convolutions, if any -> hidden dense layers -> ``outputs`` linear logits.

    ``image`` is (height, width, channels) of what the convolutions read: ``inputs`` values row by row.
    """

    inputs: int
    outputs: int
    input_bits: int
    hidden: tuple[DenseLayer, ...]
    batch_norm: bool
    hardware: Hardware
    weights: Weights = "ternary"
    training: Training = Training()
    image: tuple[int, int, int] | None = None
    convolutions: tuple[ConvLayer, ...] = ()

    def __post_init__(self) -> None:
        """Reject what no stage could build."""
        _require_kinds(self, self.hardware, *self.hidden, *self.convolutions)
        hardware = self.hardware
        checks = [
            *self._image_checks(),
            (self.inputs >= 1, f"inputs must be at least 1, not {self.inputs}"),
            (self.outputs >= 1, f"outputs must be at least 1, not {self.outputs}"),
            (1 <= self.input_bits <= 8, f"input_bits must be 1 to 8, not {self.input_bits}"),
            *((layer.units >= 1, f"units must be at least 1, not {layer.units}") for layer in self.hidden),
            *(_among("activation", layer.activation, ACTIVATIONS) for layer in self.hidden),
            _among("mode", hardware.mode, MODES),
            (self.hardware.folding >= 1, f"folding must be at least 1, not {self.hardware.folding}"),
            (
                hardware.mode == "folded" or hardware.folding == 1,
                f"{hardware.mode} mode has folding 1, not {hardware.folding}",
            ),
            (
                bool(re.fullmatch(TARGET, hardware.target)) if hardware.mode == "solved" else not hardware.target,
                "solved mode has a target, interval N, latency N or fastest, others none, not "
                f"{toml_value(hardware.target)}",
            ),
            _among("weights", self.weights, WEIGHTS),
            (
                self.weights == "ternary" or (self.training.threshold, self.training.sparsity) == (THRESHOLD, 0.0),
                "threshold and sparsity are of ternary weights; leave them as they are with binary ones",
            ),
        ]
        _require(checks)

    def _image_checks(self) -> list[tuple[bool, str]]:
        checks = [
            ((self.image is None) == (not self.convolutions), "an image and convolutions go together: give both"),
            (
                self.image is None or (min(self.image) >= 1 and math.prod(self.image) == self.inputs),
                f"an image of {self.image} is not of {self.inputs} inputs",
            ),
        ]
        pixels = math.prod(self.image[:2]) if self.image and self.hardware.mode == "folded" else 1
        words = f"folding must be at least {pixels}, a cycle for every pixel, not {self.hardware.folding}"
        checks.append((self.hardware.folding >= pixels, words))
        extent = min(self.image[:2]) if self.image else 1
        for number, layer in enumerate(self.convolutions, start=1):
            there = f"the image's extent in convolution {number}"
            checks += [
                (layer.filters >= 1, f"filters must be at least 1, not {layer.filters}"),
                _among("kernel", layer.kernel, KERNELS),
                _among("activation", layer.activation, ACTIVATIONS),
                (1 <= layer.pool <= extent, f"pool must be 1 to {extent}, {there}, not {layer.pool}"),
            ]
            extent //= max(layer.pool, 1)
        return checks

    def shapes(self) -> tuple[tuple[int, int, int], ...]:
        """Of the image that each convolution reads, and of what the last one gives: (height, width, channels)."""
        found = [self.image] if self.image else []
        for layer in self.convolutions:
            height, width, channels = found[-1]
            kept = channels if layer.joined else 0
            found.append((height // layer.pool, width // layer.pool, kept + layer.filters))
        return tuple(found)

    @property
    def slid(self) -> int:
        """Pixels of the largest image that a convolution slides over, padding included: each takes it a cycle."""
        pairs = zip(self.shapes(), self.convolutions, strict=False)
        found = [(rows + layer.kernel - 1) * (columns + layer.kernel - 1) for (rows, columns, _), layer in pairs]
        return max(found, default=1)

    @property
    def features(self) -> int:
        """Inputs of the first dense layer."""
        return math.prod(self.shapes()[-1]) if self.convolutions else self.inputs

    @property
    def widths(self) -> tuple[int, ...]:
        """Vector lengths of the dense layers, from the first one's inputs to the logits."""
        return (self.features, *(layer.units for layer in self.hidden), self.outputs)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values: :meth:`from_json` gives back an equal value.

        What has a default is there only where it differs, so that a network keeps its digest when there is more that
        networks can differ in.
        """
        values = asdict(self)
        values["hidden"] = list(values["hidden"])
        if not self.training.pruning:
            del values["training"]["pruning"]
        values["convolutions"] = list(values["convolutions"])
        values["image"] = list(self.image) if self.image else None
        if not self.hardware.target:
            del values["hardware"]["target"]
        return {key: value for key, value in values.items() if key not in _DEFAULTS or value != _DEFAULTS[key]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Architecture:
        """Inverse of :meth:`to_json`; unknown and missing keys raise ``ValueError``."""
        given = dict(_exactly(cls, values, optional=_DEFAULTS))
        given["hidden"] = tuple(DenseLayer(**_exactly(DenseLayer, layer)) for layer in given["hidden"])
        given["hardware"] = Hardware(**_exactly(Hardware, given["hardware"], optional=("target",)))
        if "convolutions" in given:
            layers = (_exactly(ConvLayer, layer) for layer in given["convolutions"])
            given |= {"convolutions": tuple(ConvLayer(**layer) for layer in layers), "image": tuple(given["image"])}
        if "training" in given:
            given["training"] = Training(**_exactly(Training, given["training"], optional=("pruning",)))
        return cls(**given)

    def digest(self) -> str:
        """SHA-256 of the whole candidate, in hex."""
        return self._own_digest

    @cached_property
    def _own_digest(self) -> str:
        return _digest(self.to_json())

    def network_digest(self) -> str:
        """SHA-256 of what training depends on: everything but the hardware knobs."""
        return self._own_network_digest

    @cached_property
    def _own_network_digest(self) -> str:
        values = self.to_json()
        del values["hardware"]
        return _digest(values)

    def words(self) -> str:
        """The network in one short line, e.g. ``64x4b-24t-10 bn parallel``, ``8x8x1x2b-16c3t/2-10 fastest``."""
        layers = "".join(
            f"-{'+' if layer.joined else ''}{layer.filters}c{layer.kernel}{_short(layer.activation)}"
            + (f"/{layer.pool}" if layer.pool > 1 else "")
            for layer in self.convolutions
        )
        layers += "".join(f"-{layer.units}{_short(layer.activation)}" for layer in self.hidden)
        inputs = "x".join(map(str, self.image or (self.inputs,)))
        norm = " bn" if self.batch_norm else ""
        binary = " binary" if self.weights == "binary" else ""
        fold = " parallel" if self.hardware.mode == "parallel" else f" folded/{self.hardware.folding}"
        if self.hardware.mode == "solved":
            fold = f" {self.hardware.target}"
        return f"{inputs}x{self.input_bits}b{layers}-{self.outputs}{binary}{norm}{fold}{self.training.words()}"


def _short(activation: Activation) -> str:
    return "t" if activation == "ternary" else f"q{activation}"


_DEFAULTS: dict[str, Any] = {
    "weights": "ternary",
    "training": {key: value for key, value in asdict(Training()).items() if key != "pruning"},
    "image": None,
    "convolutions": [],
}


def _exactly(cls: type, values: Mapping[str, Any], optional: Iterable[str] = ()) -> Mapping[str, Any]:
    names = {field.name for field in fields(cls)}
    unknown, missing = set(values) - names, names - set(values) - set(optional)
    if unknown or missing:
        raise ValueError(f"{cls.__name__}: unknown keys {sorted(unknown)}, missing keys {sorted(missing)}")
    return values


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
