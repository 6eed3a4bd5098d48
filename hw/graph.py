"""Graph: the integer network. Executable golden model, JSON, digest.

Every tensor is an integer array beside a :class:`FixedType`; the real value of an element is
``integer * 2**-frac``. ``run`` is the reference that QKeras, C simulation and RTL are held against.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.operations import TENSORS, Ints, Op, compute, round_half_even
from hw.operations import reach as reach_of

__all__ = ["INNER", "FixedType", "Graph", "Ints", "Node", "Op", "reach", "round_half_even"]

INNER = "::"
"""Stands in the names of nodes inside a layer, whose values no layer of the model gives: ``dense::sum``."""


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

    def nearest(self, values: NDArray[Any]) -> Ints:
        """The integers nearest to real ``values``, ties to even, clipped to the range: what a quantizer gives."""
        scaled = np.rint(np.ldexp(np.asarray(values, np.float64), self.frac))
        return np.clip(scaled, self.low, self.high).astype(np.int64)

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
    """One operation: ``tensors`` are read-only int64 arrays, named as in :data:`hw.operations.TENSORS`.

    ``source`` names the node it reads: none for the input, several for a join. ``shape`` is that of its output: the
    length of a vector, or (rows, columns, channels); ``type`` is the type of its elements.
    """

    name: str
    op: Op
    source: str | tuple[str, ...] | None
    shape: int | tuple[int, ...]
    type: FixedType
    tensors: Mapping[str, Ints] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Freeze the tensors and hold the node against its operation's list."""
        if len(self.dims) not in (1, 3) or min(self.dims) < 1:
            raise ValueError(f"{self.name}: shape {self.dims} is neither a vector's nor (rows, columns, channels)")
        if tuple(self.tensors) != TENSORS[self.op]:
            raise ValueError(f"{self.name}: {self.op.value} carries {TENSORS[self.op]}, not {tuple(self.tensors)}")
        frozen = {}
        for name, tensor in self.tensors.items():
            frozen[name] = np.array(tensor, dtype=np.int64)
            frozen[name].setflags(write=False)
        object.__setattr__(self, "tensors", frozen)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the nodes it reads, in order."""
        if self.source is None:
            return ()
        return (self.source,) if isinstance(self.source, str) else self.source

    @property
    def dims(self) -> tuple[int, ...]:
        """The output's shape: one dimension of a vector, three of an image."""
        return (self.shape,) if isinstance(self.shape, int) else self.shape

    @property
    def size(self) -> int:
        """Elements of the output."""
        return math.prod(self.dims)

    @property
    def layer(self) -> str:
        """Name of the layer that the node belongs to."""
        return self.name.split(INNER)[0]

    @property
    def inner(self) -> bool:
        """Whether the node's values are those of no layer."""
        return INNER in self.name

    def reach(self, *ends: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
        """Smallest and largest value of every element, for sources between ``ends`` (low and high, per element)."""
        return reach_of(self.op, self.tensors, self.dims, ends)

    def compute(self, sources: Sequence[Ints]) -> Ints:
        """Output integers (n, *shape) for those of the sources."""
        return compute(self.op, self.tensors, self.dims, sources)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "name": self.name,
            "op": self.op.value,
            "source": list(self.source) if isinstance(self.source, tuple) else self.source,
            **({"size": self.size} if len(self.dims) == 1 else {"shape": list(self.dims)}),
            "type": {"signed": self.type.signed, "bits": self.type.bits, "frac": self.type.frac},
            "tensors": {name: tensor.tolist() for name, tensor in self.tensors.items()},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Node:
        """Inverse of :meth:`to_json`."""
        return cls(
            name=values["name"],
            op=Op(values["op"]),
            source=tuple(values["source"]) if isinstance(values["source"], list) else values["source"],
            shape=values["size"] if "size" in values else tuple(values["shape"]),
            type=FixedType(**values["type"]),
            tensors={name: np.array(tensor, np.int64) for name, tensor in values["tensors"].items()},
        )


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in topological order; the first is the input, the last is the output."""

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        """Reject a graph whose nodes read what is not there."""
        known: set[str] = set()
        for index, node in enumerate(self.nodes):
            if (node.op is Op.INPUT) != (index == 0) or (node.source is None) != (index == 0):
                raise ValueError(f"{node.name}: exactly the first node is an input")
            for source in node.sources:
                if source not in known:
                    raise ValueError(f"{node.name}: reads {source!r}, which no node before it computes")
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
        """Every node's integers (n, *shape) for input integers (n, size); ValueError when out of range."""
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[1] != self.input.size or not np.issubdtype(x.dtype, np.integer):
            raise ValueError(f"input must be integers of shape (n, {self.input.size}), not {x.dtype} {x.shape}")
        kind = self.input.type
        if x.size and (x.min() < kind.low or x.max() > kind.high):
            raise ValueError(f"input values {x.min()}..{x.max()} exceed {kind.low}..{kind.high}")
        values = {self.input.name: x.astype(np.int64).reshape(len(x), *self.input.dims)}
        for node in self.nodes[1:]:
            values[node.name] = node.compute([values[source] for source in node.sources])
        return values

    def reach(self) -> dict[str, tuple[Ints, Ints]]:
        """Smallest and largest value of every element of every node, whatever the input."""
        kind, dims = self.input.type, self.input.dims
        found = {self.input.name: (np.full(dims, kind.low), np.full(dims, kind.high))}
        for node in self.nodes[1:]:
            found[node.name] = node.reach(*(found[source] for source in node.sources))
        return found

    def run(self, x: Ints) -> Ints:
        """Output integers of shape (n, output size) for input integers ``x`` of shape (n, input size)."""
        return self.trace(x)[self.output.name].reshape(len(x), -1)

    def readers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read the node ``name``."""
        return tuple(node for node in self.nodes if name in node.sources)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; trits are stored as -1, 0, 1."""
        return {"format": 1, "nodes": [node.to_json() for node in self.nodes]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Graph:
        """Inverse of :meth:`to_json`."""
        if values.get("format") != 1:
            raise ValueError(f"graph format {values.get('format')!r} is not 1, the one this version reads")
        return cls(tuple(Node.from_json(node) for node in values["nodes"]))

    @property
    def gives_class(self) -> bool:
        """Whether its output is the place of the largest logit."""
        return self.output.op is Op.ARGMAX

    def with_argmax(self) -> Graph:
        """This network with the place of its largest output, of equal ones the first, instead of its outputs."""
        (outputs,) = self.output.dims
        kind = FixedType.holding(0, outputs - 1)
        return Graph((*self.nodes, Node(f"{self.output.name}{INNER}argmax", Op.ARGMAX, self.output.name, 1, kind)))

    def logits(self) -> Graph:
        """This network without an argmax at its end."""
        return Graph(self.nodes[:-1]) if self.gives_class else self

    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hex."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def reach(coefficients: Ints, low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """Smallest and largest ``x @ coefficients`` for ``low <= x <= high``, element by element; (rows,) or (rows, n)."""
    plus, minus = np.maximum(coefficients, 0), np.minimum(coefficients, 0)
    return low @ plus + high @ minus, high @ plus + low @ minus
