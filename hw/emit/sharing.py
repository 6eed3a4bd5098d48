"""Sums that several columns of a ternary matrix share, chosen for three-input adders.

Common subexpression elimination on signed terms (Hosangadi, Fallah and Kastner, "Optimizing polynomial expressions
by algebraic factorization and common subexpression elimination", 2006; on adder graphs da4ml, Sun et al. 2025), with
triples as the unit instead of pairs: a sum of three terms that k columns contain costs one three-input adder and
saves one in each column, k - 1 in all; a pair saves only half an adder per column, k / 2 - 1. The most frequent
pattern goes first, and patterns may contain those found before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Trits = NDArray[np.int8]
Ref = tuple[int, int]
"""A term: (index, sign); inputs come first, then the shared sums in their order."""


@dataclass(frozen=True)
class Plan:
    """``sums[i]`` has index ``inputs + i``; ``columns`` are what is left of the matrix' columns to be added."""

    sums: tuple[tuple[Ref, ...], ...]
    columns: tuple[tuple[Ref, ...], ...]


def share(weights: Trits, spans: Sequence[int]) -> Plan:
    """Find the sums to share in ``weights`` (rows, columns); ``spans``: largest less smallest value of each row."""
    search = _Search(weights, spans)
    for count in range(search.most, 1, -1):
        search.extract(count)
    columns = tuple(
        tuple((int(row), int(search.terms[row, column])) for row in np.flatnonzero(search.terms[:, column]))
        for column in range(weights.shape[1])
    )
    return Plan(tuple(search.sums), columns)


class _Search:
    """``terms``: the matrix with a row for each sum found so far."""

    def __init__(self, weights: Trits, spans: Sequence[int]) -> None:
        self.terms = weights.astype(np.int8)
        self.spans = list(spans)
        self.sums: list[tuple[Ref, ...]] = []
        magnitudes, signed = np.abs(weights).astype(np.float32), weights.astype(np.float32)
        both, difference = magnitudes @ magnitudes.T, signed @ signed.T
        pairs = (both + np.abs(difference)) / 2
        np.fill_diagonal(pairs, 0)
        self.most = int(pairs.max(initial=0))

    def extract(self, count: int) -> None:
        """Take out all triples that ``count`` columns have in common, and the pairs that save as much."""
        waiting = set(range(len(self.terms)))
        while waiting:
            row = min(waiting)
            found = self._pattern(row, count)
            if found is None:
                waiting.discard(row)
                continue
            members, columns = found
            waiting.update([*members, self._add(members, columns)])

    def _pattern(self, row: int, count: int) -> tuple[list[int], NDArray[np.int64]] | None:
        """Rows that ``row`` makes a pattern with, and the columns that have it."""
        columns = np.flatnonzero(self.terms[row])
        if len(columns) < count:
            return None
        # the other rows as they are where `row` has the sign +1, and once more negated
        aligned = self.terms[:, columns] * self.terms[row, columns]
        present = np.concatenate([aligned == 1, aligned == -1]).astype(np.float32)
        rows = len(self.terms)
        present[row] = 0
        shared = present.sum(axis=1)
        best = int(shared.argmax())
        if shared[best] > 2 * count:
            return [row, best % rows], columns[present[best] > 0]
        others = np.flatnonzero(shared >= count)
        if len(others) < 2:
            return None
        triples = np.triu(present[others] @ present[others].T, 1)
        if triples.max() < count:
            return None
        # of equally frequent ones the widest, which saves most
        width = np.array([self.spans[other % rows] for other in others], np.float64)
        first, second = np.argwhere(triples == triples.max()).T
        choice = int(np.argmax(width[first] + width[second]))
        members = [row, int(others[first[choice]]) % rows, int(others[second[choice]]) % rows]
        return members, columns[(present[others[first[choice]]] * present[others[second[choice]]]) > 0]

    def _add(self, members: list[int], columns: NDArray[np.int64]) -> int:
        lead = self.terms[members[0], columns]
        signs = (self.terms[members][:, columns[0]] * lead[0]).tolist()
        self.sums.append(tuple(zip(members, signs, strict=True)))
        self.spans.append(sum(self.spans[member] for member in members))
        new = np.zeros((1, self.terms.shape[1]), np.int8)
        new[0, columns] = lead
        self.terms[np.array(members)[:, None], columns] = 0
        self.terms = np.concatenate([self.terms, new])
        return len(self.terms) - 1
