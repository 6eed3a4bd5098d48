"""Non-dominated front and hypervolume of an archive of candidates."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, ...]


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
