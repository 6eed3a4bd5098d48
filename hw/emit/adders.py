"""Constant ternary matrix -> shared two-input adders, solved by da4ml's ``cmvm``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.emit.pipeline import Operand, Pipeline, Signal
from hw.graph import reach

Ints = NDArray[np.int64]
# Above this many weights da4ml's free search takes tens of seconds; bounding the adder depth keeps it to a few.
_FREE_SEARCH = 16_384


@dataclass(frozen=True)
class Term:
    """``sign * signal * 2**shift``; ``name`` None is the constant 0. ``coefficients``: those of the signal."""

    name: str | None
    shift: int
    sign: int
    coefficients: Ints


def add_matrix(pipeline: Pipeline, inputs: Sequence[str], weights: NDArray[np.int8]) -> list[Term]:
    """Append the adders that compute ``x @ weights``; one term per column.

    ``inputs``: names of the signals of all rows of ``weights`` (rows, columns). Ranges are exact:
    every sum is as wide as its reachable values.
    """
    from da4ml.cmvm import solve

    rows, columns = np.flatnonzero(weights.any(axis=1)), np.flatnonzero(weights.any(axis=0))
    count = len(inputs)
    terms = [Term(None, 0, 1, np.zeros(count, np.int64)) for _ in range(weights.shape[1])]
    if not len(columns):
        return terms
    lows = np.array([pipeline.signals[name].low for name in inputs])
    highs = np.array([pipeline.signals[name].high for name in inputs])
    kernel = np.ascontiguousarray(weights[np.ix_(rows, columns)], np.float32)
    intervals = [(float(lows[row]), float(highs[row]), 1.0) for row in rows]
    solution = solve(kernel, qintervals=intervals, hard_dc=-1 if kernel.size <= _FREE_SEARCH else 0)
    unit = np.eye(count, dtype=np.int64)
    values = [Term(inputs[row], 0, 1, unit[row]) for row in rows.tolist()]
    builder = _Builder(pipeline, lows, highs)
    for step in solution.solutions:
        values = builder.step(step, values)
    for column, value in zip(columns, values, strict=True):
        terms[column] = value
    return terms


@dataclass
class _Builder:
    pipeline: Pipeline
    lows: Ints
    highs: Ints
    made: int = 0

    def step(self, step: Any, inputs: Sequence[Term]) -> list[Term]:
        """One matrix of da4ml's decomposition."""
        buffer: list[Term] = []
        for op in step.ops:
            if op.opcode == -1:
                source = inputs[op.id0]
                buffer.append(_scaled(source, int(step.inp_shifts[op.id0]), 1))
            else:
                assert op.opcode in (0, 1), op
                sign = 1 if op.opcode == 0 else -1
                buffer.append(self._sum(buffer[op.id0], _scaled(buffer[op.id1], int(op.data), sign)))
        zero = Term(None, 0, 1, np.zeros(len(self.lows), np.int64))
        outputs = zip(step.out_idxs, step.out_shifts, step.out_negs, strict=True)
        return [
            _scaled(buffer[index], int(shift), -1 if negative else 1) if index >= 0 else zero
            for index, shift, negative in outputs
        ]

    def _sum(self, first: Term, second: Term) -> Term:
        if first.name is None or second.name is None:
            return second if first.name is None else first
        shift = min(first.shift, second.shift)
        shifts = (first.shift - shift, second.shift - shift)
        subtract = first.sign != second.sign
        right = second.coefficients << shifts[1]
        coefficients = (first.coefficients << shifts[0]) + (-right if subtract else right)
        low, high = (int(end) for end in reach(coefficients, self.lows, self.highs))
        name = f"sum{self.made}"
        self.made += 1
        sources = (first.name, second.name)

        def statement(name: str, operands: Sequence[Operand], bits: int) -> str:
            left, right = (_shifted(operand, by, bits) for operand, by in zip(operands, shifts, strict=True))
            return f"assign {name} = {left} {'-' if subtract else '+'} {right};"

        self.pipeline.add(Signal(name, low, high, sources, statement))
        return Term(name, shift, first.sign, coefficients)


def _scaled(term: Term, shift: int, sign: int) -> Term:
    return Term(term.name, term.shift + shift, term.sign * sign, term.coefficients)


def _shifted(operand: Operand, by: int, bits: int) -> str:
    extended = operand.extended(bits)
    return f"({extended} <<< {by})" if by else extended
