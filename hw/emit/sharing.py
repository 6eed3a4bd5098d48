"""Sums that several columns of a ternary matrix share, chosen for three-input adders.

Common subexpression elimination on signed terms (Hosangadi, Fallah and Kastner, "Optimizing polynomial expressions
by algebraic factorization and common subexpression elimination", 2006; for adder graphs da4ml, Sun et al. 2025) with
three-input adders as the price: n terms take (n - 1) / 2 of them, rounded up. A triple that k columns contain costs
one adder and saves one in each: k - 1. A pair costs an adder too, and saves one only in columns of an even number of
terms. The most frequent pattern goes first, and patterns may contain those found before.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Trits = NDArray[np.int8]
Ints = NDArray[np.int64]
Ref = tuple[int, int]
"""A term: (index, sign); inputs come first, then the shared sums in their order."""

# Equally frequent patterns are many: the search is repeated with other choices among them, more often if it is short.
_MOST_REPEATS = 16
_TERMS_SEARCHED = 12_000


@dataclass(frozen=True)
class Plan:
    """``sums[i]`` has index ``inputs + i``; ``columns`` are what is left of the matrix' columns to be added."""

    sums: tuple[tuple[Ref, ...], ...]
    columns: tuple[tuple[Ref, ...], ...]

    def bits(self, spans: Sequence[int]) -> int:
        """Bits of all adders, which are about the LUTs; ``spans``: largest less smallest value of each input."""
        known, total = list(spans), 0
        for members in self.sums:
            known.append(sum(known[index] for index, _ in members))
            total += known[-1].bit_length()
        return total + sum(_tree_bits([known[index] for index, _ in members]) for members in self.columns)


def _tree_bits(spans: list[int]) -> int:
    total, count = 0, 2 if len(spans) % 2 == 0 else 3
    heapq.heapify(spans)
    while len(spans) > 1:
        span = sum(heapq.heappop(spans) for _ in range(count))
        heapq.heappush(spans, span)
        total, count = total + span.bit_length(), 3
    return total


def share(weights: Trits, spans: Sequence[int]) -> Plan:
    """The best found of sums to share in ``weights`` (rows, columns); ``spans`` as in :meth:`Plan.bits`."""
    repeats = max(1, min(_MOST_REPEATS, _TERMS_SEARCHED // max(1, int(np.count_nonzero(weights)))))
    plans = (_Search(weights, spans, seed).plan() for seed in range(repeats))
    return min(plans, key=lambda plan: plan.bits(spans))


def first_plan(weights: Trits, spans: Sequence[int]) -> Plan:
    """What the first of the searches that :func:`share` makes finds: its adders are one or two per cent more."""
    return _Search(weights, spans, 0).plan()


class _Search:
    """``terms``: the matrix with a row for each sum found so far. Seed 0 takes the widest of equal patterns."""

    def __init__(self, weights: Trits, spans: Sequence[int], seed: int) -> None:
        self.terms = weights.astype(np.int8)
        self.spans = list(spans)
        self.sums: list[tuple[Ref, ...]] = []
        self.random = np.random.default_rng(seed) if seed else None
        self.counted: NDArray[np.float32] | None = None  # what _pairs found, while the terms are the same

    def plan(self) -> Plan:
        """Search, from the most frequent patterns down to those of two columns."""
        for count in range(int(self._pairs().max(initial=0)), 1, -1):
            self._extract(count, 2, self._triple)
            self._extract(count, 1, self._pair)
        # pairs leave triples behind
        self._extract(2, 2, self._triple)
        columns = tuple(
            tuple((int(row), int(self.terms[row, column])) for row in np.flatnonzero(self.terms[:, column]))
            for column in range(self.terms.shape[1])
        )
        return Plan(tuple(self.sums), columns)

    def _pairs(self) -> NDArray[np.float32]:
        """For any two rows, in how many columns they make the more frequent of their two pairs."""
        if self.counted is None:
            magnitudes, signed = np.abs(self.terms).astype(np.float32), self.terms.astype(np.float32)
            self.counted = (magnitudes @ magnitudes.T + np.abs(signed @ signed.T)) / 2
            np.fill_diagonal(self.counted, 0)
        return self.counted

    def _extract(self, count: int, others: int, find: _Find) -> None:
        """Take out all patterns of a row and ``others`` that ``count`` columns have in common."""
        waiting = set(np.flatnonzero((self._pairs() >= count).sum(axis=1) >= others).tolist())
        while waiting:
            row = min(waiting)
            columns = np.flatnonzero(self.terms[row])
            found = find(row, columns, count) if len(columns) >= count else None
            if found is None:
                waiting.discard(row)
            else:
                members, columns = found
                waiting.update([*members, self._add(members, columns)])

    def _beside(self, row: int, columns: Ints) -> NDArray[np.float32]:
        """Where other rows are as ``row`` is, and below it where they are its negative."""
        aligned = self.terms[:, columns] * self.terms[row, columns]
        aligned[row] = 0
        return np.concatenate([aligned == 1, aligned == -1]).astype(np.float32)

    def _triple(self, row: int, columns: Ints, count: int) -> tuple[list[int], Ints] | None:
        """Rows that make a triple with ``row``, and the columns that have it."""
        present = self._beside(row, columns)
        others = np.flatnonzero(present.sum(axis=1) >= count)
        if len(others) < 2:
            return None
        shared = np.triu(present[others] @ present[others].T, 1)
        if shared.max() < count:
            return None
        first, second = others[np.argwhere(shared == shared.max()).T]
        choice = self._choose(first, second)
        one, other = int(first[choice]), int(second[choice])
        rows = len(self.terms)
        return [row, one % rows, other % rows], columns[(present[one] * present[other]) > 0]

    def _pair(self, row: int, columns: Ints, count: int) -> tuple[list[int], Ints] | None:
        """The row that makes a pair with ``row``, and the columns of an even number of terms that have it."""
        columns = columns[np.count_nonzero(self.terms[:, columns], axis=0) % 2 == 0]
        if len(columns) < count:
            return None
        present = self._beside(row, columns)
        shared = present.sum(axis=1)
        if shared.max() < count:
            return None
        others = np.flatnonzero(shared == shared.max())
        other = int(others[self._choose(others)])
        return [row, other % len(self.terms)], columns[present[other] > 0]

    def _choose(self, *members: Ints) -> int:
        """Which of equally frequent patterns to take: the widest, which saves most, or any."""
        if self.random is not None:
            return int(self.random.integers(len(members[0])))
        width = np.array(self.spans, np.float64)
        return int(np.argmax(sum(width[rows % len(width)] for rows in members)))

    def _add(self, members: list[int], columns: Ints) -> int:
        lead = self.terms[members[0], columns]
        signs = (self.terms[members][:, columns[0]] * lead[0]).tolist()
        self.sums.append(tuple(zip(members, signs, strict=True)))
        self.spans.append(sum(self.spans[member] for member in members))
        new = np.zeros((1, self.terms.shape[1]), np.int8)
        new[0, columns] = lead
        self.terms[np.array(members)[:, None], columns] = 0
        self.terms, self.counted = np.concatenate([self.terms, new]), None
        return len(self.terms) - 1


_Find = Callable[[int, Ints, int], tuple[list[int], Ints] | None]
