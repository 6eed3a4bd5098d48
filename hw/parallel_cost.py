"""LUTs of a parallel layer's adder graph and activations before synthesis: as the RTL lays its adders down.

The sums that a search shares are counted, adder by adder. Of a large matrix the search would take minutes: it is made
for some of its rows, and the rest follows from how such graphs grow (Lupanov, "On rectifier and switching-and-rectifier
circuits", 1956): m x n constants take adders in proportion to m n / log(m n).
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hw.emit.parallel import STAIRCASE_STEPS
from hw.emit.sharing import first_plan
from hw.stage import Linear, Quantize, Stage

_SEARCHED, _LEAST_ROWS, _ADDED = 600, 8, 3000
"""Terms that a search may take 20 ms for; rows that it has at least; terms of the columns that are added up."""
_LUT, _SMALL = 6, 5
"""Inputs of a LUT, and of one of the two that share a LUT6_2."""


def graph_luts(stage: Stage, *, shares: bool = True) -> float:
    """LUTs of ``stage`` with every weight a wire. ``shares``: whether outputs read the same inputs."""
    span = 1 if stage.input_binary else stage.x_high - stage.x_low
    ends = zip(stage.acc_low.tolist(), stage.acc_high.tolist(), strict=True)
    steps = [
        abs(stage.activate_at(index, high) - stage.activate_at(index, low)) for index, (low, high) in enumerate(ends)
    ]
    weights = np.where(np.array(steps) > 0, stage.weights, np.int8(0))  # an output that never changes has no adders
    sums = np.count_nonzero(weights, axis=0) * span
    activations = sum(
        _activation(stage, int(total).bit_length(), some) for total, some in zip(sums, steps, strict=True)
    )
    return _adders(weights, span, shares=shares, constants=_takes_constant(stage)) + activations


def _adders(weights: NDArray[np.int8], span: int, *, shares: bool, constants: bool) -> float:
    terms = int(np.count_nonzero(weights))
    if not shares:
        counts = np.count_nonzero(weights, axis=0).tolist()
        return float(sum(_tree([span] * count, constant=constants) for count in counts))
    rows, columns = weights.shape
    searched = min(rows, max(_LEAST_ROWS, rows * _SEARCHED // max(1, terms)))
    some = weights[np.arange(searched) * rows // searched]
    plan = first_plan(some, [span] * searched)
    known, shared = [span] * searched, 0.0
    for members in plan.sums:
        operands = [known[index] for index, _ in members]
        shared += adder_luts(operands)
        known.append(sum(operands))
    times = terms / max(1, int(np.count_nonzero(some)))
    left = [[known[index] for index, _ in members] for members in plan.columns]
    step = max(1, math.ceil(times * sum(map(len, left)) / _ADDED))
    added = [list(itertools.islice(itertools.cycle(each), round(len(each) * times))) for each in left[::step]]
    trees = sum(_tree(each, constant=constants) for each in added) * len(left) / len(added)
    growth = math.log(max(2, searched * columns)) / math.log(max(2, rows * columns))
    return growth * (times * shared + trees)


def _tree(spans: list[int], *, constant: bool) -> float:
    """Of what is added up, the narrowest first; with a ``constant`` the last adder has one in all its bits."""
    heapq.heapify(spans)
    total, count = 0.0, 2 if len(spans) % 2 == 0 else 3
    while len(spans) > 1:
        operands = [heapq.heappop(spans) for _ in range(count)]
        heapq.heappush(spans, sum(operands))
        total += spans[0].bit_length() if constant and len(spans) == 1 else adder_luts(operands)
        count = 3
    return total


def adder_luts(spans: Sequence[int]) -> int:
    """Of cdg_add2 or cdg_add3 for operands of these spans, largest less smallest value."""
    widths = sorted(span.bit_length() for span in spans)
    if sum(widths) <= _SMALL:
        return (sum(spans).bit_length() + 1) // 2
    if len(widths) == 2:
        return widths[0]  # above it the other is wired to the carry chain
    return widths[1] + (widths[2] > widths[1])  # the bit above two operands adds the carry that they save


def _takes_constant(stage: Stage) -> bool:
    """Whether something is added to the sums, rather than thresholds moved."""
    if isinstance(stage.activation, Quantize):
        return stage.activation.high - stage.activation.low > STAIRCASE_STEPS
    return isinstance(stage.activation, Linear)


def _activation(stage: Stage, bits: int, steps: int) -> float:
    """Of one output that takes so many ``steps``, for a sum of so many ``bits``."""
    kind = stage.activation
    if isinstance(kind, Linear) or not steps:
        return 0.0
    if isinstance(kind, Quantize) and _takes_constant(stage):
        above = bits - kind.shift - stage.output_bits
        return stage.output_bits + (kind.shift > 0) + (above > _SMALL)
    if stage.output_binary:
        steps = 1  # both at the same sum
    # bits that a LUT does not take are compared before it: with two numbers, as ties are rounded to even
    before = math.ceil(max(0, bits - _LUT) / _SMALL)
    return steps.bit_length() + before * (min(steps, 2) if isinstance(kind, Quantize) else steps)
