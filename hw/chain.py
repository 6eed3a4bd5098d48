"""The Graph while it is being lowered: its nodes so far, the values they can take, and where reading has got to."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from codesign.errors import ModelError
from hw.formats import Clipped, Formats
from hw.graph import INNER, FixedType, Graph, Ints, Node
from hw.operations import JOINS, LINEAR, Op

_OF_SUMS = (Op.RESHAPE, Op.PAD, Op.MAXPOOL, Op.AFFINE)
"""What may be done to sums before a quantizer makes means of them: each commutes with the division."""
_QUANTIZERS = (Op.DIVIDE, Op.TERNARY, Op.BINARY)


@dataclasses.dataclass(frozen=True)
class Mean:
    """What a node that holds sums stands for: their ``count``-th, which the layer ``layer`` gives."""

    layer: str
    count: int

    def refusal(self) -> ModelError:
        """Why the mean itself cannot be handed on."""
        return ModelError(
            f"layer {self.layer!r} averages {self.count} values, which is no power of two: no binary fraction holds "
            "the mean; put a QActivation right behind it, use windows of 2, 4, 8, 16, ... values, or max pooling"
        )


class Chain:
    """Nodes by name, in order, with their reach; ``last`` is the one that the next node reads.

    hls4ml hands values on under names of its own: ``begin`` goes where a layer reads, ``end`` names what it gives.
    ``clipped``: by layer, of the weights that were rounded, those that their format does not reach.
    """

    def __init__(self, read: Iterable[str] = (), formats: Formats | None = None) -> None:
        """``read``: every name that layers read, as often as they do. ``formats``: what may be rounded, and to what."""
        self.formats = formats
        self.clipped: dict[str, Clipped] = {}
        self._nodes: dict[str, Node] = {}
        self._reach: dict[str, tuple[Ints, Ints]] = {}
        self._means: dict[str, Mean] = {}
        self._places: dict[str, str] = {}
        self._readers = Counter(read)
        self._last = ""

    def __contains__(self, name: str) -> bool:
        """Whether there is a node of that name."""
        return name in self._nodes

    @property
    def last(self) -> Node:
        """The node whose values the next one reads."""
        return self._nodes[self._last]

    @property
    def bounds(self) -> tuple[Ints, Ints]:
        """Smallest and largest values of the last node, element by element."""
        return self._reach[self._last]

    @property
    def mean(self) -> Mean | None:
        """What the last node's sums stand for, where they are to be divided yet."""
        return self._means.get(self._last)

    def stand_for(self, mean: Mean) -> None:
        """The last node, an inner one, holds sums of which a quantizer behind it makes means."""
        self._means[self._last] = mean

    def name(self, layer: str) -> str:
        """Of the node that ends a layer: an inner one where it hands on sums whose means the layer gives."""
        return layer if self.mean is None else f"{layer}{INNER}sum"

    @property
    def graph(self) -> Graph:
        """All nodes; ModelError where means are left that nothing quantizes."""
        if self.mean:
            raise self.mean.refusal()
        return Graph(tuple(self._nodes.values()))

    def begin(self, names: Sequence[str]) -> list[Node]:
        """Read these from here on; returns their nodes, of which the first is the last one now."""
        nodes = [self._nodes[self._places[name]] for name in names]
        self._last = nodes[0].name
        return nodes

    def end(self, name: str) -> None:
        """What the last node gives is handed on under this name."""
        self._places[name] = self._last

    def input(self, node: Node) -> None:
        """The first node."""
        self._put(node, (np.full(node.dims, node.type.low), np.full(node.dims, node.type.high)))

    def add(
        self,
        name: str,
        op: Op,
        kind: FixedType | int,
        tensors: Mapping[str, Ints],
        *,
        dims: tuple[int, ...] | None = None,
        sources: Sequence[Node] = (),
    ) -> None:
        """Append a node; ``kind`` may be fractional bits only: the type then is the narrowest that always holds.

        ``dims`` is its shape where that is not the last node's or the units of a dense layer, ``sources`` what it
        reads where that is not the last node.
        """
        read = [node.name for node in sources] or [self._last]
        if dims is None:
            dims = (tensors["trits"].shape[1],) if op is Op.DENSE else self.last.dims
        known = kind if isinstance(kind, FixedType) else FixedType(False, 1, kind)
        node = Node(name, op, tuple(read) if op in JOINS else read[0], dims, known, tensors)
        means = [self._means[source] for source in read if source in self._means]
        if means and op not in _QUANTIZERS:
            if op not in _OF_SUMS or not node.inner:
                raise means[0].refusal()
            self._means[name] = means[0]
        low, high = node.reach(*(self._reach[source] for source in read))
        if not isinstance(kind, FixedType):
            node = dataclasses.replace(node, type=FixedType.holding(int(low.min()), int(high.max()), kind))
        self._put(node, (low, high))

    def rounded(self, layer: str, kind: FixedType, weights: NDArray[np.float64]) -> Ints:
        """Integers of a layer's real ``weights`` in the format that was chosen for them."""
        scaled = np.rint(np.ldexp(weights, kind.frac))
        beyond = weights[(scaled < kind.low) | (scaled > kind.high)].tolist()
        if beyond:
            known = self.clipped.get(layer)
            count, largest = (known.count, [known.largest]) if known else (0, [])
            self.clipped[layer] = Clipped(kind, count + len(beyond), max([*largest, *beyond], key=abs))
        return kind.nearest(weights)

    def retype_input(self, kind: FixedType) -> None:
        """Let the input, the only node so far, bring values of this type."""
        node = dataclasses.replace(self.last, type=kind)
        self.input(node)

    def take(self) -> Node:
        """Remove and return the last node, whose sums nothing else reads; ModelError where something does."""
        node = self.last
        if self.mean:
            raise self.mean.refusal()
        shared = [place for place, name in self._places.items() if name == node.name and self._readers[place] > 1]
        if shared:
            raise ModelError(
                f"the sums of layer {node.layer!r} are read by several layers, of which one scales them by 0 or less; "
                "scale by positive powers of two, or give each its own layer"
            )
        del self._nodes[node.name], self._reach[node.name]
        self._last = node.sources[0]
        return node

    @property
    def dense_last(self) -> bool:
        """Whether the last node has weights that could take signs."""
        return self.last.op in LINEAR

    def _put(self, node: Node, reach: tuple[Ints, Ints]) -> None:
        self._nodes[node.name], self._reach[node.name] = node, reach
        self._last = node.name
