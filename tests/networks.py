"""Random integer networks for the hardware tests."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from fuzz import SCALES, Layer, Network

from hw.graph import FixedType, Graph, Node, Op


def random_graph(
    seed: int,
    widths: list[int],
    activation: str,
    *,
    input_bits: int = 4,
    input_signed: bool = False,
    density: float = 0.5,
) -> Graph:
    """Dense layers of ``widths`` with per-channel scales and offsets, hidden ``activation``, linear end.

    Some columns are all zero, some all +1.
    """
    rng = np.random.default_rng(seed)
    frac = input_bits - int(input_signed)
    nodes = [Node("x", Op.INPUT, None, widths[0], FixedType(input_signed, input_bits, frac))]
    for index, (rows, units) in enumerate(itertools.pairwise(widths)):
        trits = rng.choice([-1, 0, 1], (rows, units), p=[density / 2, 1 - density, density / 2])
        if units > 2:
            trits[:, 0], trits[:, 1] = 0, 1
        last = index == len(widths) - 2
        bias = rng.integers(-5, 6, units) if last else np.zeros(units, np.int64)
        source = nodes[-1].type
        bits = source.bits + int(rows).bit_length() + 2
        dense = FixedType(True, bits, source.frac)
        nodes.append(Node(f"dense_{index}", Op.DENSE, nodes[-1].name, units, dense, {"trits": trits, "bias": bias}))
        if last:
            break
        shift = rng.integers(0, 3, units)
        affine = FixedType(True, bits + 4, source.frac + 2)
        offset = rng.integers(-9, 10, units) << shift
        nodes.append(Node(f"norm_{index}", Op.AFFINE, nodes[-1].name, units, affine, {"shift": shift, "bias": offset}))
        nodes.append(_activation(f"act_{index}", activation, nodes[-1].name, units, rows, source.bits))
    return Graph(tuple(nodes))


def _activation(name: str, activation: str, source: str, units: int | tuple[int, ...], rows: int, bits: int) -> Node:
    spread = max(1, round(rows**0.5) << bits)
    if activation == "ternary":
        threshold = {"threshold": np.array(max(1, spread // 4))}
        return Node(name, Op.TERNARY, source, units, FixedType(True, 2, 0), threshold)
    if activation == "binary":
        return Node(name, Op.BINARY, source, units, FixedType(True, 2, 0))
    signed = activation.startswith("s")
    width = int(activation.lstrip("s"))
    kind = FixedType(signed, width, width - int(signed))
    shift = max(0, spread.bit_length() + 1 - width)
    tensors = {"shift": np.array(shift), "low": np.array(kind.low), "high": np.array(kind.high)}
    return Node(name, Op.QUANTIZE, source, units, kind, tensors)


def image_graph(seed: int, dims: tuple[int, int, int], filters: int, outputs: int | None) -> Graph:
    """A 3 x 3 convolution of 4-bit images and its activation; then a dense layer, or with None the image itself."""
    rng = np.random.default_rng(seed)
    rows, columns, channels = dims
    shape = (rows - 2, columns - 2, filters)
    geometry = {"stride": np.array([1, 1]), "padding": np.zeros(4, np.int64)}
    trits = rng.integers(-1, 2, (3, 3, channels, filters))
    weights = {"trits": trits, "bias": rng.integers(-3, 4, filters), **geometry}
    nodes = [
        Node("x", Op.INPUT, None, dims, FixedType(False, 4, 4)),
        Node("conv", Op.CONV, "x", shape, FixedType(True, 12, 4), weights),
        _activation("act", "3", "conv", shape, 9 * channels, 4),
    ]
    if outputs is not None:
        count = int(np.prod(shape))
        dense = {"trits": rng.integers(-1, 2, (count, outputs)), "bias": rng.integers(-5, 6, outputs)}
        nodes.append(Node("flat", Op.RESHAPE, "act", count, nodes[-1].type))
        nodes.append(Node("logits", Op.DENSE, "flat", outputs, FixedType(True, 12, 3), dense))
    return Graph(tuple(nodes))


def random_inputs(graph: Graph, count: int, seed: int = 0) -> np.ndarray:
    kind = graph.input.type
    return np.random.default_rng(seed).integers(kind.low, kind.high + 1, (count, graph.input.size))


def random_model(seed: int, widest: int, deepest: int) -> Network:
    """A random QKeras network of all that is accepted: at most ``widest`` units and ``deepest`` layers."""
    return _Draw(seed, widest, deepest).network()


class _Draw:
    """``frac`` is a lattice that holds every value at the place the network has got to, ``size`` their magnitude."""

    def __init__(self, seed: int, widest: int, deepest: int) -> None:
        self.seed, self.widest = seed, widest
        self.rng = np.random.default_rng(seed)
        self.canonical = bool(self.rng.random() < 0.2)
        self.depth = int(self.rng.integers(1, deepest + 1))

    def network(self) -> Network:
        rng = self.rng
        bits = int(rng.integers(1, 9))
        signed = int(bits > 1 and rng.random() < 0.5)
        integer = 0 if self.canonical else int(rng.integers(0, bits - signed + 2))
        self.frac, self.size = bits - signed - integer, 2.0**integer
        relu = not signed and rng.random() < 0.5
        width, layers = self._width(), []
        for index in range(self.depth):
            last = index == self.depth - 1
            bare = index == 0 and not last and not self.canonical and bits <= 4 and rng.random() < 0.4
            draw = self._bare_layer if bare else self._layer
            layers.append(draw(width, self._width(), last))
            width = layers[-1].units
        plain = f"quantized_bits({bits},{integer},keep_negative={signed},alpha=1)"
        return Network(
            seed=self.seed,
            input_quantizer=f"quantized_relu({bits},{integer})" if relu else plain,
            layers=layers,
            mode=str(rng.choice(["parallel", "folded"])),
            folding=int(2 ** rng.integers(0, 7)),
            period_ns=float(rng.choice([2.0, 4.0, 10.0, 1000.0])),
            vectors=96,
            canonical=self.canonical,
            sequential=bool(rng.random() < 0.3),
        )

    def _width(self) -> int:
        return int((self.widest + 0.99) ** self.rng.uniform(0.0 if self.rng.random() < 0.2 else 0.4, 1.0))

    def _trits(self, rows: int, units: int, *, binary: bool, density: float) -> list[list[int]]:
        rng = self.rng
        trits = rng.choice([-1, 1], (rows, units)) * (binary | (rng.random((rows, units)) < density))
        special = rng.random(units)
        trits[:, special < 0.1] = 0 if not binary else -1
        trits[:, special > 0.9] = 1
        return trits.tolist()

    def _bare_layer(self, rows: int, units: int, last: bool) -> Layer:
        """Without a quantizer behind it, which is buildable where its sums are narrow."""
        assert not last
        self.size *= max(1.0, (0.6 * rows) ** 0.5)
        trits = self._trits(rows, units, binary=False, density=0.6)
        written = str(self.rng.choice(["object", "argument"]))
        return Layer(trits, relu=bool(self.rng.random() < 0.5), written=written)

    def _layer(self, rows: int, units: int, last: bool) -> Layer:
        rng, plain = self.rng, self.canonical
        binary = not plain and bool(rng.random() < 0.25)
        density = float(rng.choice([0.2, 0.6, 0.95]))
        trits = self._trits(rows, units, binary=binary, density=density)
        alpha = 1.0 if plain else self._alpha()
        self.size *= max(1.0, (density * rows) ** 0.5)
        bias, quantizer = self._bias(units) if (last if plain else rng.random() < 0.4) else (None, None)
        norms = [self._norm(units)] if (not last if plain else rng.random() < 0.7) else []
        if norms and not plain and rng.random() < 0.2:
            norms.append(self._norm(units))
        relu = not plain and bool(rng.random() < 0.2)
        activation = None if last and (plain or rng.random() < 0.6) else self._activation(after_relu=relu)
        written = str(rng.choice(["object", "object", "string"] + ["argument"] * (not norms and not plain)))
        if activation and "alpha=" in activation:
            written = written.replace("string", "object")
        kernel = "binary" if binary else "ternary"
        dropout = bool(rng.random() < 0.2) and not (plain and last)  # hls4ml's C code then has no output
        return Layer(trits, kernel, alpha, bias, quantizer, norms, dropout, relu, activation, written)

    def _alpha(self) -> float | str | None:
        """A scale for all columns, or none: QKeras then finds one for each."""
        alpha = [1.0, 1.0, 0.5, 2.0, 0.25, "auto_po2", None][self.rng.integers(7)]
        if isinstance(alpha, float):
            self.size *= alpha
            self.frac += int(-np.log2(min(alpha, 1)))
        else:
            self.frac += SCALES - 1
        return alpha

    def _bias(self, units: int) -> tuple[list[float], str | None]:
        finer = 0 if self.canonical else int(self.rng.choice([0, 0, 1, 3]))
        self.frac += finer
        codes = self.rng.integers(-20, 20, units)
        quantizer = None
        if self.canonical or self.rng.random() < 0.5:
            bits = max(7, self.frac + 1)
            quantizer = f"quantized_bits({bits},{bits - 1 - self.frac},alpha=1)"
        return np.ldexp(codes.astype(float), -self.frac).tolist(), quantizer

    def _norm(self, units: int) -> list[Any]:
        rng = self.rng
        base = -round(float(np.log2(self.size)))  # brings sums to about 1
        power = np.clip(base + rng.integers(-1, 2, units), -8, 3)
        gamma, mean, variance, epsilon = 2.0**power, np.zeros(units), np.ones(units), 0.0
        if not self.canonical:
            gamma = gamma * rng.choice([1, 1, -1, 0], units, p=[0.4, 0.3, 0.25, 0.05])
            mean = np.ldexp(rng.integers(-8, 9, units).astype(float), -self.frac)
            epsilon = float(rng.choice([0.0, 1e-3, 2.0**-10]))
            root = 2.0 ** rng.integers(-1, 3)
            gamma, variance = gamma * root, np.full(units, np.float32(root**2) - np.float32(epsilon))
        step = 2.0 ** (power - self.frac)
        self.frac -= min(int(power.min()), 0)
        beta = rng.integers(-9, 10, units) * step
        self.size *= 2.0**base
        return [*(np.float32(values).tolist() for values in (gamma, beta, mean, variance)), epsilon]

    def _activation(self, *, after_relu: bool) -> str:
        rng = self.rng
        kinds = ["relu", "ternary"] if self.canonical else ["relu", "relu", "bits", "ternary", "binary"]
        kind = str(rng.choice(["relu", "bits", "bits"] if after_relu else kinds))
        if kind == "binary":
            self.frac, self.size = 0, 1.0
            return str(rng.choice(["binary(alpha=1)", "binary()"]))
        if kind == "ternary":
            steps = max(0, round(float(rng.uniform(0, 0.9)) * self.size * 2**self.frac))
            threshold = (steps + 0.375) * 2.0**-self.frac
            alpha = 1.0 if self.canonical else float(rng.choice([1.0, 1.0, 0.5, 2.0]))
            self.frac, self.size = int(-np.log2(alpha)), alpha
            return f"ternary(alpha={alpha},threshold={threshold!r})"
        return self._quantizer(kind, least=2 if after_relu else 1)

    def _quantizer(self, kind: str, least: int) -> str:
        rng = self.rng
        if self.canonical:
            bits, integer, signed = int(rng.integers(2, 5)), 0, 0
        else:  # from far too narrow, so that it saturates, to too wide
            bits, signed = int(rng.integers(least, 7)), int(kind == "bits" and rng.random() < 0.7)
            integer = int(np.clip(round(float(np.log2(self.size))) + rng.integers(-2, 3), 0, bits + 1))
        self.frac, self.size = bits - signed - integer, 2.0**integer
        if kind == "relu":
            return f"quantized_relu({bits},{integer})"
        if bits == 1 and signed:
            self.frac, self.size = 0, 1.0
        symmetric = int(signed and rng.random() < 0.3)
        return f"quantized_bits({bits},{integer},{symmetric},keep_negative={signed},alpha=1)"
