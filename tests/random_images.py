"""Random integer networks over images, of every operation, made without Keras."""

from __future__ import annotations

import numpy as np

from hw.graph import FixedType, Graph, Node, Op
from hw.operations import JOINS

_BORDERS = np.zeros(4, np.int64)


class _Draw:
    """``last`` is the node that the next one reads; every node's type is just wide enough."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        rows, columns, channels = (int(extent) for extent in self.rng.integers(1, [8, 8, 5]))
        signed = bool(self.rng.random() < 0.5)
        kind = FixedType(signed, int(self.rng.integers(1 + signed, 9)), int(self.rng.integers(-1, 5)))
        self.nodes = [Node("x", Op.INPUT, None, (rows, columns, channels), kind)]

    @property
    def last(self) -> Node:
        return self.nodes[-1]

    def graph(self) -> Graph:
        steps = (self.conv, self.conv, self.depthwise, self.pool, self.pad, self.join, self.affine, self.activation)
        for _ in range(int(self.rng.integers(1, 7))):
            steps[self.rng.integers(len(steps))]()
        if self.rng.random() < 0.6:
            self.add(Op.RESHAPE, (self.last.size,), {})
            if self.rng.random() < 0.7:
                self.dense()
                self.affine()
                self.activation()
        return Graph(tuple(self.nodes))

    def add(self, op: Op, dims: tuple[int, ...], tensors: dict, *, frac: int | None = None, sources=()) -> Node:
        """The name may not be one in C, and some differ in what is none there."""
        names = tuple(node.name for node in sources) or (self.last.name,)
        name = f"{op.value}{'-_/'[self.rng.integers(3)]}{len(self.nodes) // 2}::{len(self.nodes)}"
        frac = self.last.type.frac if frac is None else frac
        dims = tuple(int(extent) for extent in dims)
        known = Node(name, op, names if op in JOINS else names[0], dims, FixedType(False, 1, frac), tensors)
        low, high = Graph((*self.nodes, known)).reach()[name]
        kind = FixedType.holding(int(low.min()), int(high.max()), frac)
        self.nodes.append(Node(name, op, known.source, dims, kind, tensors))
        return self.last

    def weights(self, *shape: int) -> np.ndarray:
        """Ternary ones, or now and then others."""
        if self.rng.random() < 0.2:
            return self.rng.integers(-100, 101, shape)
        return self.rng.choice([-1, 0, 1], shape)

    def window(self) -> tuple[list[int], dict, tuple[int, int]]:
        """Extents, stride and padding of a window that fits, and how often it does."""
        rng, (rows, columns, _) = self.rng, self.last.dims
        size = [int(rng.integers(1, min(5, extent) + 1)) for extent in (rows, columns)]
        padding = rng.integers(0, [size[0], size[0], size[1], size[1]]) if rng.random() < 0.5 else _BORDERS
        stride = rng.integers(1, 4, 2)
        top, bottom, left, right = padding.tolist()
        fits = [(rows + top + bottom - size[0]) // stride[0] + 1, (columns + left + right - size[1]) // stride[1] + 1]
        return size, {"stride": stride, "padding": padding}, (int(fits[0]), int(fits[1]))

    def conv(self) -> None:
        size, geometry, dims = self.window()
        outputs = int(self.rng.integers(1, 7))
        trits = self.weights(*size, self.last.dims[2], outputs)
        self.add(Op.CONV, (*dims, outputs), {"trits": trits, "bias": self.rng.integers(-9, 10, outputs), **geometry})

    def depthwise(self) -> None:
        size, geometry, dims = self.window()
        channels, multiplier = self.last.dims[2], int(self.rng.integers(1, 3))
        bias = self.rng.integers(-9, 10, channels * multiplier)
        trits = self.weights(*size, channels, multiplier)
        self.add(Op.DEPTHWISE, (*dims, channels * multiplier), {"trits": trits, "bias": bias, **geometry})

    def pool(self) -> None:
        size, geometry, dims = self.window()
        self.add(Op.MAXPOOL, (*dims, self.last.dims[2]), {"window": np.array(size), **geometry})

    def pad(self) -> None:
        top, bottom, left, right = padding = self.rng.integers(0, 3, 4)
        rows, columns, channels = self.last.dims
        self.add(Op.PAD, (rows + top + bottom, columns + left + right, channels), {"padding": padding})

    def join(self) -> None:
        first = self.last
        self.affine() if self.rng.random() < 0.5 else self.activation()
        sources, frac = [first, self.last], max(first.type.frac, self.last.type.frac)
        shift = {"shift": np.array([frac - node.type.frac for node in sources])}
        if self.rng.random() < 0.5:
            self.add(Op.ADD, first.dims, shift, frac=frac, sources=sources)
        else:
            self.add(Op.CONCAT, (*first.dims[:2], 2 * first.dims[2]), shift, frac=frac, sources=sources)

    def affine(self) -> None:
        shift = self.rng.integers(0, int(self.rng.choice([2, 5, 9])), self.last.dims[-1])
        bias = self.rng.integers(-50, 51, self.last.dims[-1])
        self.add(Op.AFFINE, self.last.dims, {"shift": shift, "bias": bias}, frac=self.last.type.frac + 2)

    def activation(self) -> None:
        rng, dims, kind = self.rng, self.last.dims, self.last.type
        match rng.integers(5):
            case 0:
                self.add(Op.TERNARY, dims, {"threshold": rng.integers(1, 1 << max(1, kind.bits - 2))}, frac=0)
            case 1:
                self.add(Op.BINARY, dims, {}, frac=0)
            case 2:
                bounds = {"low": rng.integers(-9, 1), "high": rng.integers(1, 20)}
                self.add(Op.DIVIDE, dims, {"divisor": rng.integers(1, 51), **bounds}, frac=0)
            case _:
                shift, signed = int(rng.integers(0, kind.bits)), bool(rng.random() < 0.5)
                given = FixedType(signed, int(rng.integers(1 + signed, 9)), kind.frac - shift)
                bounds = {"low": np.array(given.low), "high": np.array(given.high)}
                self.add(Op.QUANTIZE, dims, {"shift": np.array(shift), **bounds}, frac=given.frac)

    def dense(self) -> None:
        outputs = int(self.rng.integers(1, 9))
        tensors = {"trits": self.weights(self.last.size, outputs), "bias": self.rng.integers(-9, 10, outputs)}
        self.add(Op.DENSE, (outputs,), tensors)


def random_image_graph(seed: int) -> Graph:
    """A graph of one to a dozen operations."""
    return _Draw(seed).graph()
