"""Non-dominated front and hypervolume of an archive of candidates."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

Point = tuple[float, ...]
_NOTHING = 1e-12  # of a hypervolume: what sums of another order could add


def dominates(first: Point, second: Point) -> bool:
    """Whether ``first`` is nowhere worse and somewhere better (small is good)."""
    return all(a <= b for a, b in zip(first, second, strict=True)) and first != second


def front(points: Sequence[Point]) -> list[int]:
    """Indices of the non-dominated points, ordered by their objectives.

    Equal points dominate nothing of each other and all stay; they keep the order of ``points``.
    """
    kept: list[int] = []
    for index in sorted(range(len(points)), key=lambda index: (points[index], index)):
        # what dominates a point stands before it, and so does what dominates that
        if not any(dominates(points[other], points[index]) for other in kept):
            kept.append(index)
    return kept


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Share of the box between 0 and ``reference`` that the points dominate, 0 to 1 (pymoo's indicator).

    Objectives are divided by the reference point, so that its units do not matter. Points beyond it count nothing.
    """
    import numpy as np
    from pymoo.indicators.hv import HV

    scale = np.array([value if value > 0 else 1.0 for value in reference])
    bound = np.array(reference) / scale
    scaled = np.array(points, dtype=float).reshape(-1, len(reference)) / scale
    inside = scaled[(scaled < bound).all(axis=1)]
    return float(HV(ref_point=bound)(inside)) if len(inside) else 0.0


def promising(points: Sequence[Point], measured: Sequence[Point], reference: Point, count: int) -> list[int]:
    """Indices of up to ``count`` points that together add most to the hypervolume of ``measured``, the most first.

    Chosen greedily, which is at least 1 - 1/e of the most possible (Nemhauser et al., 1978: the hypervolume is
    submodular). One that adds nothing is never chosen. Equals keep the order of ``points``.
    """
    known = [measured[place] for place in front(measured)]
    volume = hypervolume(known, reference)
    chosen: list[int] = []
    # what a point adds only becomes less as others are chosen, and is at most what it dominates alone: so few are
    # worked out anew, each with the number of others chosen before
    heap = [(-_alone(point, reference), index, -1) for index, point in enumerate(points)]
    heap = [entry for entry in heap if -entry[0] > _NOTHING]
    heapq.heapify(heap)
    while heap and len(chosen) < count:
        gain, index, as_of = heapq.heappop(heap)
        if as_of == len(chosen):
            chosen.append(index)
            known.append(points[index])
            volume = hypervolume(known, reference)
            continue
        gain = volume - hypervolume([*known, points[index]], reference)
        if -gain > _NOTHING:
            heapq.heappush(heap, (gain, index, len(chosen)))
    return chosen


def _alone(point: Point, reference: Point) -> float:
    """What :func:`hypervolume` is of one point."""
    sides = (
        max(0.0, bound - value) / (bound if bound > 0 else 1.0) for value, bound in zip(point, reference, strict=True)
    )
    return math.prod(sides)


def ranked(points: Sequence[Point]) -> list[int]:
    """Indices of the points, best first: front by front, and within a front those with most room around them first.

    The room is NSGA-II's crowding distance (Deb et al., 2002). Equals keep the order of ``points``.
    """
    import numpy as np
    from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

    values = np.array(points, dtype=float)
    order: list[int] = []
    for members in NonDominatedSorting().do(values):
        places = sorted(int(index) for index in members)
        room = calc_crowding_distance(values[places], filter_out_duplicates=False)
        order += [place for _, place in sorted(zip((-room).tolist(), places, strict=True))]
    return order
