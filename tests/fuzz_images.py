"""Random QKeras networks over images and branches, held against every level, each part in a mode of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fuzz import CLOCK, DELAYS, PART
from qkeras_images import conv, dense, depthwise, drawn, layer, model, norm, relu
from qkeras_layers import act, q

from codesign.architecture import Hardware
from codesign.errors import ModelError
from hw.design import design
from hw.emit.folded import Folding
from hw.graph import Graph
from hw.measure.verilator import simulate
from hw.parts import parts
from hw.stage import Divide

VECTORS = 8


class _Draw:
    """``dims``: what the network has got to; names count up."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.dims: tuple[int, ...] = ()
        self.made = 0

    def network(self) -> Any:
        rng = self.rng
        self.dims = (*(int(extent) for extent in rng.integers(1, 9, 2)), int(rng.integers(1, 4)))
        shape, blocks = self.dims, []
        for _ in range(int(rng.integers(1, 4))):
            draw = [self._conv, self._conv, self._depthwise, self._pool, self._mean, self._branch, self._pad][
                rng.integers(7)
            ]
            blocks += draw()
        if rng.random() < 0.7:
            blocks += [layer("Flatten", name=self._name("flat")), dense(self._name("dense"), int(rng.integers(1, 6)))]
        bits, signed = int(rng.integers(1, 6)), int(rng.random() < 0.4)
        text = f"quantized_bits({bits + signed},0,keep_negative={signed},alpha=1)"
        return model(shape, *blocks, bits=text)

    def _name(self, kind: str) -> str:
        self.made += 1
        return f"{kind}_{self.made}"

    def _window(self) -> tuple[tuple[int, int], tuple[int, int], str]:
        """Kernel, stride and padding that fit; goes on to the extents they leave."""
        rng, (rows, columns, channels) = self.rng, self.dims
        same = rng.random() < 0.5
        kernel = tuple(int(rng.integers(1, 5 if same else min(4, extent) + 1)) for extent in (rows, columns))
        stride = tuple(int(step) for step in rng.choice([1, 1, 2, 3], 2))
        if same:
            left = [-(-extent // step) for extent, step in zip((rows, columns), stride, strict=True)]
        else:
            pairs = zip((rows, columns), kernel, stride, strict=True)
            left = [(extent - size) // step + 1 for extent, size, step in pairs]
        self.dims = (*left, channels)
        return kernel, stride, "same" if same else "valid"

    def _activation(self, *, weighted: bool = True) -> list[Any]:
        """Behind weights perhaps with a norm, whose negative scales they take."""
        rng, name = self.rng, self._name("act")
        kind = rng.integers(4)
        before = [norm(self._name("norm"))] if weighted and rng.random() < 0.4 else []
        if kind == 0:
            return [*before, act(name, q("ternary(alpha=1,threshold=0.8009033203125)"))]
        if kind == 1:
            return [*before, act(name, q("quantized_bits(3,2,alpha=1)"))]
        return [*before, relu(name, int(rng.integers(1, 5)), int(rng.integers(0, 3)))]

    def _conv(self) -> list[Any]:
        kernel, stride, padding = self._window()
        filters = int(self.rng.integers(1, 6))
        self.dims = (*self.dims[:2], filters)
        made = conv(self._name("conv"), filters, kernel, strides=stride, padding=padding)
        return [made, *self._activation()]

    def _depthwise(self) -> list[Any]:
        rows, columns, channels = self.dims
        size = [int(self.rng.integers(1, min(4, extent) + 1)) for extent in (rows, columns)]
        padding = str(self.rng.choice(["same", "valid"]))
        if padding == "valid":
            self.dims = (rows - size[0] + 1, columns - size[1] + 1, channels)
        return [depthwise(self._name("depthwise"), tuple(size), padding=padding), *self._activation()]

    def _pool(self) -> list[Any]:
        kernel, stride, padding = self._window()
        return [layer("MaxPooling2D", kernel, stride, padding, name=self._name("pool"))]

    def _mean(self) -> list[Any]:
        """Of any number of values, of every window or of all, quantized."""
        rng, (rows, columns, channels) = self.rng, self.dims
        name = self._name("mean")
        if rng.random() < 0.3:
            self.dims = (1, 1, channels)
            made = [layer("GlobalAveragePooling2D", name=name), layer("Reshape", self.dims, name=self._name("pixel"))]
        else:
            size = [int(rng.integers(1, min(4, extent) + 1)) for extent in (rows, columns)]
            stride = [int(step) for step in rng.integers(1, 4, 2)]
            self.dims = (*((e - k) // s + 1 for e, k, s in zip((rows, columns), size, stride, strict=True)), channels)
            made = [layer("AveragePooling2D", size, stride, name=name)]
        return [*made, *self._activation(weighted=False)]

    def _pad(self) -> list[Any]:
        top, bottom, left, right = (int(extent) for extent in self.rng.integers(0, 3, 4))
        rows, columns, channels = self.dims
        self.dims = (rows + top + bottom, columns + left + right, channels)
        return [layer("ZeroPadding2D", ((top, bottom), (left, right)), name=self._name("pad"))]

    def _branch(self) -> list[Any]:
        rng, channels = self.rng, self.dims[2]
        deep = int(rng.integers(1, 3))
        steps: list[Any] = []
        for _ in range(deep):
            kernel = tuple(int(extent) for extent in rng.integers(1, 4, 2))
            steps += [conv(self._name("side"), channels, kernel, padding="same"), relu(self._name("side_relu"), 2, 1)]
        join = str(rng.choice(["Add", "Concatenate"]))
        joined = layer(join, name=self._name("join"))
        if join == "Concatenate":
            self.dims = (*self.dims[:2], 2 * channels)

        def block(x: Any) -> Any:
            y = x
            for step in steps:
                y = step(y)
            return joined([x, y] if flipped else [y, x])

        flipped = bool(rng.random() < 0.5)
        return [block, *(self._activation(weighted=False) if rng.random() < 0.6 else [])]


def random_images(seed: int) -> Any:
    """A random network over images, with drawn weights."""
    return drawn(_Draw(seed).network(), seed)


def foldings(graph: Graph, rng: np.random.Generator) -> dict[int, Folding]:
    """A mode for each part with weights, and PE and SIMD of the folded ones, odd sizes among them."""
    found = {}
    for index, part in enumerate(parts(graph)):
        if part.stage and part.weighted and not isinstance(part.stage.activation, Divide) and rng.random() < 0.6:
            pe, simd = (int(rng.integers(1, count + 1)) for count in (part.stage.n_out, part.stage.n_in))
            found[index] = Folding(pe, simd)
    return found


def check(seed: int, folder: Path, built: Callable[..., Any] = design) -> None:
    """QKeras = Graph = simulated RTL, and every frame's cycles as scheduled; raises where not.

    A network that reads nothing but padding is refused, and is one that gives the same for every image.
    """
    from hw.hls4ml_flow import parse
    from hw.lower import lower, self_check
    from quant.tf import forget_models

    network, rng = random_images(seed), np.random.default_rng(seed)
    graph = lower(parse(network, PART, CLOCK))
    kind = graph.input.type
    x = rng.integers(kind.low, kind.high + 1, (VECTORS, graph.input.size))
    x[0], x[1] = kind.low, kind.high
    self_check(network, graph, x)
    hardware = Hardware("parallel")
    period_ns, results = float(rng.choice([2.0, 5.0, 1000.0])), graph.run(x)
    try:
        made = built(graph, hardware, DELAYS, period_ns, foldings(graph, rng))
    except ModelError as refused:
        if "the network reads nothing but padding" not in str(refused) or (results != results[0]).any():
            raise
    else:
        simulate(made, x, results, folder, timeout_s=300)
    forget_models()
