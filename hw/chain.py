"""The Graph while it is being lowered: its nodes so far and what values their elements can take."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from hw.graph import FixedType, Ints, Node, Op


class Chain:
    """The nodes so far, the reach of the last one's elements, and the name under which hls4ml hands that on."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.reach: list[tuple[Ints, Ints]] = []
        self.read = ""

    @property
    def last(self) -> Node:
        """The node whose values the next one reads."""
        return self.nodes[-1]

    def add(self, name: str, op: Op, kind: FixedType | int, tensors: Mapping[str, Ints]) -> None:
        """Append a node; ``kind`` may be fractional bits only: the type then is the narrowest that always holds."""
        known = kind if isinstance(kind, FixedType) else FixedType(False, 1, kind)
        size = tensors["trits"].shape[1] if op is Op.DENSE else self.last.size
        node = Node(name, op, self.last.name, size, known, tensors)
        low, high = node.reach(*self.reach[-1])
        if not isinstance(kind, FixedType):
            node = Node(
                name, op, self.last.name, size, FixedType.holding(int(low.min()), int(high.max()), kind), tensors
            )
        self.nodes.append(node)
        self.reach.append((low, high))

    def retype_input(self, kind: FixedType) -> None:
        """Let the input, the only node so far, bring values of this type."""
        (node,) = self.nodes
        self.nodes = [dataclasses.replace(node, type=kind)]
        self.reach = [(np.full(node.size, kind.low), np.full(node.size, kind.high))]

    def take(self) -> Node:
        """Remove and return the last node."""
        self.reach.pop()
        return self.nodes.pop()
