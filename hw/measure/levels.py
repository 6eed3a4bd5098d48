"""The order in which the cells of a netlist settle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable


def levels(edges: Iterable[tuple[int, int]], count: int) -> tuple[list[int], set[int]]:
    """Level of each of ``count`` nodes: 0, or one more than the highest of those it reads; and those it has none for.

    ``edges`` are pairs (node, who reads it). Without a level are the nodes of loops, and all behind them.
    """
    readers: defaultdict[int, list[int]] = defaultdict(list)
    waiting = [0] * count
    for node, reader in edges:
        readers[node].append(reader)
        waiting[reader] += 1
    level = [0] * count
    ready = [node for node, reads in enumerate(waiting) if not reads]
    for node in ready:
        for reader in readers[node]:
            level[reader] = max(level[reader], level[node] + 1)
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    return level, {node for node, reads in enumerate(waiting) if reads}
