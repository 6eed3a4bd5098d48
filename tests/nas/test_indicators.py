from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.indicators import dominates, front, hypervolume, promising, ranked

POINTS = st.lists(st.tuples(*[st.integers(0, 6).map(float)] * 3), max_size=20)


def test_front_of_known_points():
    points = [(1.0, 4.0), (2.0, 2.0), (3.0, 3.0), (4.0, 1.0), (2.0, 2.0), (4.0, 4.0)]
    assert front(points) == [0, 1, 4, 3]


def test_no_points_no_front():
    assert front([]) == []
    assert hypervolume([], (1.0, 1.0)) == 0.0


@given(POINTS)
def test_the_front_is_exactly_what_nothing_dominates(points):
    kept = set(front(points))
    for index, point in enumerate(points):
        assert (index in kept) == (not any(dominates(other, point) for other in points))


def test_hypervolume_by_hand():
    # boxes 0.5 x 0.75 and 0.75 x 0.25 of a 2 x 4 box overlap in 0.5 x 0.25
    assert hypervolume([(1.0, 1.0), (0.5, 3.0)], (2.0, 4.0)) == pytest.approx(0.375 + 0.1875 - 0.125)


def test_points_beyond_the_reference_count_nothing():
    assert hypervolume([(3.0, 0.0), (0.0, 4.0)], (2.0, 4.0)) == 0.0


@given(POINTS, st.tuples(*[st.floats(0.5, 8.0)] * 3))
def test_hypervolume_grows_with_points_and_ignores_dominated_ones(points, reference):
    whole = hypervolume(points, reference)
    assert 0.0 <= whole <= 1.0 + 1e-9
    assert hypervolume([points[index] for index in front(points)], reference) == pytest.approx(whole)
    assert hypervolume(points[:-1], reference) <= whole + 1e-9


def test_points_are_ranked_by_front_then_by_room():
    points = [(2.0, 4.0), (1.0, 5.0), (6.0, 6.0), (5.0, 1.0), (2.1, 3.9), (3.0, 5.0)]
    assert ranked(points) == [1, 3, 4, 0, 5, 2]
    assert ranked([(1.0, 1.0)] * 3) == [0, 1, 2]
    assert ranked([]) == []


@given(POINTS, POINTS, st.tuples(*[st.floats(0.5, 8.0)] * 3), st.integers(0, 6))
def test_each_of_the_promising_adds_most_to_those_before_it(points, measured, reference, count):
    chosen = promising(points, measured, reference, count)
    assert len(set(chosen)) == len(chosen) <= count
    left, known = list(range(len(points))), list(measured)
    for place in chosen:
        gains = {other: hypervolume([*known, points[other]], reference) for other in left}
        assert gains[place] == pytest.approx(max(gains.values()), abs=1e-9)
        assert gains[place] > hypervolume(known, reference)
        left.remove(place)
        known.append(points[place])
    if len(chosen) < count:
        assert all(
            hypervolume([*known, points[other]], reference) <= hypervolume(known, reference) + 1e-9 for other in left
        )
