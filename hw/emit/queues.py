"""Depths of the queues in front of joins: the fewest beats with which a network keeps its pace, from its cycles."""

from __future__ import annotations

from hw.cycles import ENDLESS, Network
from hw.emit.modules import Board, Place

_FRAMES = (8, 16, 32, 64, 128)
"""So many fill every queue of a network that is not held up by one; the first do in most."""


def shorten(board: Board, network: Network) -> None:
    """Set every depth to the least with which no interval and no latency grows; none is shortened at another's cost.

    With queues without an end, the most beats that ever wait in one bound what it needs; from there every depth is
    halved down to the least that keeps the pace, one queue after the other. The result is exact: it holds for every
    beat of the schedule, and one beat less in any of them slows the network down or stops it.
    """
    places = list(board.depths)
    board.depths.update(dict.fromkeys(places, ENDLESS))
    goal = network.pace()
    assert goal, "queues without an end cannot stop a network"
    for frames in _FRAMES:
        board.depths.update(dict.fromkeys(places, ENDLESS))
        network.run(frames)
        board.depths.update({place: _most(board, place) for place in places})
        if network.pace() == goal:
            break
    else:
        raise AssertionError("as many beats as ever wait must be enough")
    for place in places:
        low, high = 0, board.depths[place]
        while low < high:
            board.depths[place] = middle = (low + high) // 2
            pace = network.pace()
            low, high = (
                (low, middle) if pace and all(x <= y for x, y in zip(pace, goal, strict=True)) else (middle + 1, high)
            )
        board.depths[place] = high


def _most(board: Board, place: Place) -> int:
    """Places that the queue needs for this schedule: a beat's is free in the cycle after it has left."""
    source, sink = (link.stream for link in board.waiting[place])
    left, most = 0, 1
    for beat in range(min(len(source.offer), len(sink.offer))):
        cycle = source.take(beat)
        while sink.take(left) < cycle:
            left += 1
        most = max(most, beat - left + 1)
    return most
