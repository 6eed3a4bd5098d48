"""Graph: the integer network. Executable golden model, JSON, digest.

Every tensor is an integer array beside a :class:`FixedType`; the real value of an element is
``integer * 2**-frac``. ``run`` is the reference that QKeras, C simulation and RTL are held against.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

INNER = "::"
"""Stands in the names of nodes inside a layer, whose values no layer of the model gives: ``dense::sum``."""


class Op(enum.StrEnum):
    """What a node computes from its one input; see :func:`_compute` for the exact arithmetic."""

    INPUT = "input"
    DENSE = "dense"
    AFFINE = "affine"
    QUANTIZE = "quantize"
    TERNARY = "ternary"
    BINARY = "binary"


TENSORS: Mapping[Op, tuple[str, ...]] = {
    Op.INPUT: (),
    Op.DENSE: ("trits", "bias"),
    Op.AFFINE: ("shift", "bias"),
    Op.QUANTIZE: ("shift", "low", "high"),
    Op.TERNARY: ("threshold",),
    Op.BINARY: (),
}
"""Names of the integer tensors each operation carries."""


@dataclass(frozen=True)
class FixedType:
    """Two's complement (or unsigned) fixed point: ``bits`` in all, ``frac`` of them after the point."""

    signed: bool
    bits: int
    frac: int

    @classmethod
    def holding(cls, low: int, high: int, frac: int = 0) -> FixedType:
        """The narrowest type of that lattice for the integers ``low`` to ``high``; signed only where ``low`` is."""
        if low < 0:
            return cls(True, 1 + max((~low).bit_length(), high.bit_length() if high > 0 else 0), frac)
        return cls(False, max(1, high.bit_length()), frac)

    @property
    def low(self) -> int:
        """Smallest integer held."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest integer held."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    def to_real(self, integers: Ints) -> NDArray[np.float64]:
        """Real values of ``integers``, same shape."""
        return np.ldexp(integers.astype(np.float64), -self.frac)

    def from_real(self, values: NDArray[Any]) -> Ints:
        """Integers of real ``values`` that lie on the lattice and in range; ValueError otherwise."""
        scaled = np.ldexp(np.asarray(values, np.float64), self.frac)
        integers = scaled.astype(np.int64)
        if not np.array_equal(integers, scaled):
            raise ValueError(f"value {values[integers != scaled].flat[0]!r} is not a multiple of 2**{-self.frac}")
        if integers.size and (integers.min() < self.low or integers.max() > self.high):
            raise ValueError(f"values {integers.min()}..{integers.max()} exceed {self.low}..{self.high} of {self}")
        return integers


@dataclass(frozen=True, eq=False)
class Node:
    """One operation: ``tensors`` are read-only int64 arrays, named as in :data:`TENSORS`.

    ``size`` is the length of the output vector, ``type`` the type of its elements.
    """

    name: str
    op: Op
    source: str | None
    size: int
    type: FixedType
    tensors: Mapping[str, Ints] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Freeze the tensors and hold the node against its operation's list."""
        if tuple(self.tensors) != TENSORS[self.op]:
            raise ValueError(f"{self.name}: {self.op.value} carries {TENSORS[self.op]}, not {tuple(self.tensors)}")
        frozen = {}
        for name, tensor in self.tensors.items():
            frozen[name] = np.array(tensor, dtype=np.int64)
            frozen[name].setflags(write=False)
        object.__setattr__(self, "tensors", frozen)

    @property
    def layer(self) -> str:
        """Name of the layer that the node belongs to."""
        return self.name.split(INNER)[0]

    @property
    def inner(self) -> bool:
        """Whether the node's values are those of no layer."""
        return INNER in self.name

    def reach(self, low: Ints, high: Ints) -> tuple[Ints, Ints]:
        """Smallest and largest value of every element, for a source between ``low`` and ``high`` (both per element)."""
        if self.op is Op.DENSE:
            least, most = reach(self.tensors["trits"], low, high)
            return least + self.tensors["bias"], most + self.tensors["bias"]
        return _compute(self, low), _compute(self, high)  # every other operation is monotone, element by element

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "name": self.name,
            "op": self.op.value,
            "source": self.source,
            "size": self.size,
            "type": {"signed": self.type.signed, "bits": self.type.bits, "frac": self.type.frac},
            "tensors": {name: tensor.tolist() for name, tensor in self.tensors.items()},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Node:
        """Inverse of :meth:`to_json`."""
        return cls(
            name=values["name"],
            op=Op(values["op"]),
            source=values["source"],
            size=values["size"],
            type=FixedType(**values["type"]),
            tensors={name: np.array(tensor, np.int64) for name, tensor in values["tensors"].items()},
        )


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in topological order; the first is the input, the last is the output."""

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        """Reject a graph whose nodes do not chain."""
        known: set[str] = set()
        for index, node in enumerate(self.nodes):
            if (node.op is Op.INPUT) != (index == 0) or (node.source is None) != (index == 0):
                raise ValueError(f"{node.name}: exactly the first node is an input")
            if node.source is not None and node.source not in known:
                raise ValueError(f"{node.name}: reads {node.source!r}, which no node before it computes")
            if node.name in known:
                raise ValueError(f"{node.name}: two nodes of that name")
            known.add(node.name)

    def __iter__(self) -> Iterator[Node]:
        """Nodes in order."""
        return iter(self.nodes)

    @property
    def input(self) -> Node:
        """The input node."""
        return self.nodes[0]

    @property
    def output(self) -> Node:
        """The output node."""
        return self.nodes[-1]

    def trace(self, x: Ints) -> dict[str, Ints]:
        """Every node's integers for input integers ``x`` of shape (n, size); ValueError when out of range."""
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[1] != self.input.size or not np.issubdtype(x.dtype, np.integer):
            raise ValueError(f"input must be integers of shape (n, {self.input.size}), not {x.dtype} {x.shape}")
        kind = self.input.type
        if x.size and (x.min() < kind.low or x.max() > kind.high):
            raise ValueError(f"input values {x.min()}..{x.max()} exceed {kind.low}..{kind.high}")
        values = {self.input.name: x.astype(np.int64)}
        for node in self.nodes[1:]:
            assert node.source is not None
            values[node.name] = _compute(node, values[node.source])
        return values

    def reach(self) -> dict[str, tuple[Ints, Ints]]:
        """Smallest and largest value of every element of every node, whatever the input."""
        kind, size = self.input.type, self.input.size
        found = {self.input.name: (np.full(size, kind.low), np.full(size, kind.high))}
        for node in self.nodes[1:]:
            assert node.source is not None
            found[node.name] = node.reach(*found[node.source])
        return found

    def run(self, x: Ints) -> Ints:
        """Output integers of shape (n, output size) for input integers ``x`` of shape (n, input size)."""
        return self.trace(x)[self.output.name]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; trits are stored as -1, 0, 1."""
        return {"format": 1, "nodes": [node.to_json() for node in self.nodes]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Graph:
        """Inverse of :meth:`to_json`."""
        if values.get("format") != 1:
            raise ValueError(f"graph format {values.get('format')!r} is not 1, the one this version reads")
        return cls(tuple(Node.from_json(node) for node in values["nodes"]))

    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hex."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def reach(coefficients: Ints, low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """Smallest and largest ``x @ coefficients`` for ``low <= x <= high``, element by element; (rows,) or (rows, n)."""
    plus, minus = np.maximum(coefficients, 0), np.minimum(coefficients, 0)
    return low @ plus + high @ minus, high @ plus + low @ minus


def round_half_even(values: Ints, shift: int) -> Ints:
    """``values / 2**shift`` rounded to the nearest integer, ties to even: tf.round, exactly."""
    if shift == 0:
        return values
    floor = values >> shift
    odd = floor & 1
    return (values + (1 << (shift - 1)) - 1 + odd) >> shift


def _compute(node: Node, x: Ints) -> Ints:
    tensors = node.tensors
    match node.op:
        case Op.DENSE:
            return x @ tensors["trits"] + tensors["bias"]
        case Op.AFFINE:
            return (x << tensors["shift"]) + tensors["bias"]
        case Op.QUANTIZE:
            rounded = round_half_even(x, int(tensors["shift"]))
            return np.clip(rounded, int(tensors["low"]), int(tensors["high"]))
        case Op.TERNARY:
            threshold = int(tensors["threshold"])
            return (x >= threshold).astype(np.int64) - (x <= -threshold).astype(np.int64)
        case Op.BINARY:
            return np.where(x >= 0, np.int64(1), np.int64(-1))
        case Op.INPUT:
            raise AssertionError("the input node computes nothing")
