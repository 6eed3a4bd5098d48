"""Graph -> Parts: what streams through hardware pixel by pixel. Each part is one layer with all that follows it.

A part may join streams, slide a window over them, take the largest of it, and compute a :class:`Stage` on it, in this
order. Activations without a layer of weights before them, and additions, are stages whose weights are wires.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.errors import ModelError
from hw.graph import FixedType, Graph, Ints, Node, Op
from hw.operations import JOINS, LINEAR
from hw.schedule import Format, is_identity, is_relu, make_stage
from hw.stage import Stage

ELEMENTWISE = (Op.AFFINE, Op.QUANTIZE, Op.DIVIDE, Op.TERNARY, Op.BINARY)
ARGMAX = "argmax"
"""Name of the part that gives the place of the largest logit."""
INPUT = -1
"""Index of the network's input among the sources of parts."""


@dataclass(frozen=True)
class Values:
    """Elements of a stream: their bits, and the values they take. Trits are 2 signed bits, -1 to 1; binary, never 0."""

    bits: int
    signed: bool
    ternary: bool
    low: int
    high: int
    binary: bool = False

    @classmethod
    def between(cls, low: int, high: int) -> Values:
        """The narrowest format of these integers."""
        kind = FixedType.holding(low, high)
        return cls(kind.bits, kind.signed, False, low, high)

    def format(self) -> Format:
        """As a stage reads it."""
        return Format(
            input_bits=self.bits,
            input_signed=self.signed,
            input_ternary=self.ternary,
            input_binary=self.binary,
            input_low=self.low,
            input_high=self.high,
        )


@dataclass(frozen=True)
class Window:
    """``rows`` x ``columns`` over images of shape ``dims``, with ``fill`` in ``padding`` (top, bottom, left, right)."""

    dims: tuple[int, int, int]
    rows: int
    columns: int
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    fill: int = 0

    @functools.cached_property
    def moves(self) -> list[tuple[bool, bool]]:
        """Of each pixel of the padded image in order: whether it is read, and whether it ends a window."""
        (height, width, _), (top, bottom, left, right) = self.dims, self.padding
        found = []
        for row, column in itertools.product(range(top + height + bottom), range(left + width + right)):
            down, across = row - self.rows + 1, column - self.columns + 1
            ends = down >= 0 and across >= 0 and down % self.stride[0] == 0 and across % self.stride[1] == 0
            found.append((0 <= row - top < height and 0 <= column - left < width, ends))
        return found

    @property
    def is_pixel(self) -> bool:
        """Whether it changes nothing."""
        return (self.rows, self.columns, self.stride) == (1, 1, (1, 1)) and not any(self.padding)

    @property
    def is_image(self) -> bool:
        """Whether it is the whole image, once."""
        return (self.rows, self.columns) == self.dims[:2] and not any(self.padding)

    @property
    def spans(self) -> bool:
        """Whether it is the whole image, which has several pixels."""
        return self.is_image and self.rows * self.columns > 1


@dataclass(frozen=True, eq=False)
class Part:
    """One step of the streaming network.

    ``sources``: indices of the parts it reads, or INPUT; more than one are joined channel by channel, each widened by
    its ``shifts`` to ``joined``. ``reads``: the shape of one source. ``dims``: the shape it gives, ``values`` the
    elements. ``largest``: takes the maximum of each window. ``summed``: takes the sum of its one, the whole image, and
    the stage reads that. ``argmax``: gives the place of the largest element. ``weighted``: its stage has weights, not
    wires.
    """

    name: str
    sources: tuple[int, ...]
    reads: tuple[int, ...]
    dims: tuple[int, ...]
    values: Values
    joined: Values
    shifts: tuple[int, ...] = (0,)
    window: Window | None = None
    largest: bool = False
    summed: Values | None = None
    argmax: bool = False
    stage: Stage | None = None
    weighted: bool = False
    depthwise: bool = False

    @property
    def vectors(self) -> int:
        """Beats of a frame that it gives."""
        return beats_of(self.dims)

    @property
    def reduced(self) -> Values | None:
        """What comes out where the whole image is pooled, a pixel a beat; None where it is not, or has one pixel."""
        if self.window is None or not self.window.spans:
            return None
        return self.joined if self.largest else self.summed


def beats_of(dims: tuple[int, ...]) -> int:
    """Beats of a frame of that shape: a pixel each, or a whole vector."""
    return math.prod(dims[:-1])


def streams(graph: Graph) -> bool:
    """Whether ``graph`` is more than a chain of dense layers over vectors."""
    plain = (Op.INPUT, Op.DENSE, Op.ARGMAX, *ELEMENTWISE)
    return any(node.op not in plain or len(node.dims) != 1 for node in graph) or any(
        len(graph.readers(node.name)) > 1 for node in graph
    )


@functools.lru_cache(maxsize=1)  # a network is asked for its parts again for every folding that is tried
def parts(graph: Graph) -> tuple[Part, ...]:
    """The parts of ``graph`` in order; the last gives the network's output. Raises ModelError where one is too wide."""
    return _Planner(graph).run()


class _Planner:
    def __init__(self, graph: Graph) -> None:
        self.graph, self.reach = graph, graph.reach()
        self.found: list[Part] = []
        kind = graph.input.type
        self.input = Values(kind.bits, kind.signed, False, kind.low, kind.high)
        self.places = {graph.input.name: INPUT}  # the part that gives a node's values

    def run(self) -> tuple[Part, ...]:
        nodes = {node.name: node for node in self.graph}
        for node in self.graph.nodes[1:]:
            if node.name in self.places:
                continue
            if node.op is Op.RESHAPE or is_identity(node, nodes[node.sources[0]]):
                self.places[node.name] = self.places[node.sources[0]]
            else:
                self._head(node, [nodes[name] for name in node.sources])
        if not self.found:
            raise ModelError("the network has no layer that computes anything; there is nothing to build")
        return tuple(self.found)

    def _head(self, node: Node, sources: Sequence[Node]) -> None:
        if node.op in LINEAR:
            self._linear(node, sources[0])
        elif node.op in JOINS:
            self._join(node, sources)
        elif node.op is Op.MAXPOOL:
            values = self._values(sources[0])
            lowest = -1 if values.ternary else FixedType(values.signed, values.bits, 0).low
            size = (int(node.tensors["window"][0]), int(node.tensors["window"][1]))
            self._single(node, sources[0], _window(sources[0].dims, size, node, lowest), largest=True)
        elif node.op is Op.PAD:
            self._single(node, sources[0], _window(sources[0].dims, (1, 1), node))
        elif node.op is Op.ARGMAX:
            self._argmax(node, sources[0])
        else:
            self._single(node, sources[0])

    def _values(self, node: Node) -> Values:
        place = self.places[node.name]
        return self.input if place == INPUT else self.found[place].values

    def _linear(self, node: Node, source: Node) -> None:
        values, trits, window = self._values(source), node.tensors["trits"], None
        if node.op is not Op.DENSE:
            window = _window(source.dims, (trits.shape[0], trits.shape[1]), node)
            if node.op is Op.DEPTHWISE and _is_total(window, trits):
                self._total(node, source, window)
                return
        read = _with_zero(values) if window and any(window.padding) else values
        following = self._following(node)
        stage = make_stage(node.layer, _matrix(node), node.tensors["bias"], following, read.format(), self.reach)
        part = self._part(node, [source], values, following, stage=stage, window=window)
        self.found[-1] = replace(part, weighted=True, depthwise=node.op is Op.DEPTHWISE)

    def _total(self, node: Node, source: Node, window: Window) -> None:
        """Sums of whole channels, behind which the weights are wires."""
        values, pixels = self._values(source), window.rows * window.columns
        summed = Values.between(pixels * values.low, pixels * values.high)
        weights, following = _spread(node.tensors["trits"][:1, :1]), self._following(node)
        stage = make_stage(node.layer, weights, node.tensors["bias"], following, summed.format(), self.reach)
        part = self._part(node, [source], values, following, stage=stage, window=window)
        self.found[-1] = replace(part, summed=summed)

    def _join(self, node: Node, sources: Sequence[Node]) -> None:
        given, shifts = [self._values(source) for source in sources], node.tensors["shift"].tolist()
        joined = replace(given[0], binary=all(values.binary for values in given))
        if any(replace(values, binary=joined.binary) != joined for values in given) or any(shifts):
            low = min(values.low << shift for values, shift in zip(given, shifts, strict=True))
            joined = Values.between(low, max(values.high << shift for values, shift in zip(given, shifts, strict=True)))
        following = self._following(node)
        copies = len(sources) if node.op is Op.ADD else 1
        stage = self._wires(node, copies, following, joined) if following or copies > 1 else None
        part = self._part(node, sources, joined, following, stage=stage)
        self.found[-1] = replace(part, shifts=tuple(shifts))

    def _single(self, node: Node, source: Node, window: Window | None = None, *, largest: bool = False) -> None:
        """What has no weights: a maximum, padding, activations."""
        values, following = self._values(source), self._following(node)
        read = _with_zero(values) if window and any(window.padding) and not largest else values
        stage = self._wires(node, 1, following, read) if following else None
        part = self._part(node, [source], read, following, stage=stage, window=window)
        self.found[-1] = replace(part, largest=largest)

    def _argmax(self, node: Node, source: Node) -> None:
        part = self._part(node, [source], self._values(source), (), stage=None)
        values = Values.between(0, source.size - 1)
        self.found[-1] = replace(part, name=ARGMAX, argmax=True, values=values)

    def _wires(self, node: Node, copies: int, following: Sequence[Node], read: Values) -> Stage:
        """The stage that adds ``copies`` of a pixel's channels, channel by channel."""
        channels = node.dims[-1]
        weights = np.concatenate([np.eye(channels, dtype=np.int64)] * copies)
        return make_stage(node.layer, weights, np.zeros(channels, np.int64), following, read.format(), self.reach)

    def _part(
        self,
        node: Node,
        sources: Sequence[Node],
        joined: Values,
        following: Sequence[Node],
        *,
        stage: Stage | None,
        window: Window | None = None,
    ) -> Part:
        values = joined
        if stage:
            low, high = stage.output_range
            values = Values(
                stage.output_bits, stage.output_signed, stage.output_ternary, low, high, stage.output_binary
            )
        places = tuple(self.places[source.name] for source in sources)
        part = Part(node.layer, places, sources[0].dims, node.dims, values, joined, window=window, stage=stage)
        self.found.append(part)
        for name in (node.name, *(follower.name for follower in following)):
            self.places[name] = len(self.found) - 1
        return part

    def _following(self, node: Node) -> list[Node]:
        """What one stage computes, from ``node`` on if it is elementwise: scales, a relu, and one activation.

        A relu is taken along only where a quantizer behind it takes its place.
        """
        chain = [node] if node.op in ELEMENTWISE else []
        readers = self.graph.readers(node.name)
        while len(readers) == 1 and readers[0].op in ELEMENTWISE:
            chain.append(readers[0])
            readers = self.graph.readers(readers[0].name)
        scales = list(itertools.takewhile(lambda node: node.op is Op.AFFINE, chain))
        rest = chain[len(scales) :]
        if rest and is_relu(rest[0], self.reach):
            plain = [node.op is Op.AFFINE and not node.tensors["bias"].any() for node in rest[1:]]
            shifts = len(list(itertools.takewhile(bool, plain)))
            if len(rest) > shifts + 1 and rest[shifts + 1].op is Op.QUANTIZE:
                return scales + rest[: shifts + 2]
        return scales + rest[:1]


def _with_zero(values: Values) -> Values:
    return replace(values, low=min(values.low, 0), high=max(values.high, 0), binary=False)


def _window(dims: tuple[int, ...], size: tuple[int, int], node: Node, fill: int = 0) -> Window:
    stride = node.tensors.get("stride", np.array([1, 1])).tolist()
    top, bottom, left, right = node.tensors["padding"].tolist()
    rows, columns, channels = dims
    return Window((rows, columns, channels), *size, (stride[0], stride[1]), (top, bottom, left, right), fill)


def _matrix(node: Node) -> Ints:
    """Weights as (inputs, outputs), inputs in the order of a window: row, column, channel."""
    trits = node.tensors["trits"]
    if node.op is Op.DENSE:
        return trits
    if node.op is Op.CONV:
        return trits.reshape(-1, trits.shape[3])
    return _spread(trits)


def _is_total(window: Window, trits: Ints) -> bool:
    """Whether a depthwise layer sums whole images of several pixels, weighting each channel as a whole."""
    return window.spans and bool((trits == trits[0, 0]).all())


def _spread(trits: Ints) -> Ints:
    """Weights of a depthwise layer, zero between channels."""
    rows, columns, channels, multiplier = trits.shape
    spread = np.zeros((rows, columns, channels, channels, multiplier), np.int64)
    every = np.arange(channels)
    spread[:, :, every, every] = trits
    return spread.reshape(rows * columns * channels, channels * multiplier)
