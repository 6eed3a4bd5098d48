"""LUTs and block RAMs of a folded layer before synthesis, module by module, as its cells are laid down.

What is written as LUTs, carry chains and wide multiplexers is counted; what synthesis decides is fitted
(``FITTED``, by ``scripts/bench folded``, which also judges the sum on layers that it was not fitted to).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from hw.emit.folded import Folding, foldings
from hw.emit.rom import blocks, chosen, earns_block_ram, luts
from hw.stage import Stage


@dataclass(frozen=True)
class Coefficients:
    """LUTs per unit of the parts that synthesis decides.

    ``control``: counters and handshake, which grow with the steps' logarithm; ``adder_bit``: of the adder tree.
    """

    control: float
    adder_bit: float


FITTED = Coefficients(18.918, 0.752)


@dataclass(frozen=True)
class Sums:
    """What the cells of a layer's sums and activation follow from.

    ``input_bits``: 0 of trits; ``top``: bits of a sum; ``value_bits``: of a scaled one. ``thresholded``: a
    ternary or binary activation.
    """

    n_in: int
    n_out: int
    input_bits: int
    top: int
    value_bits: int
    thresholded: bool

    @classmethod
    def of(cls, stage: Stage) -> Sums:
        """Those of ``stage``."""
        top = max(1, int(max(stage.acc_high.max(), -stage.acc_low.min())).bit_length() + 1)
        bits = 0 if stage.input_ternary else stage.input_bits
        return cls(stage.n_in, stage.n_out, bits, top, stage.value_bits, stage.output_ternary)

    @classmethod
    def of_shape(cls, n_in: int, n_out: int, input_bits: int, *, thresholded: bool) -> Sums:
        """Those of a layer of which nothing is known but this: weights of 1."""
        top = (n_in * ((1 << input_bits) - 1 or 1)).bit_length() + 1
        return cls(n_in, n_out, input_bits, top, top, thresholded)


_BRAM_LUTS = 53_200 / 140
"""LUTs that a block RAM is worth: what there are of both on an xc7z020."""


def fold(stage: Stage, interval_target: int) -> Folding:
    """The folding of ``stage`` for that many steps per vector or fewer; see :func:`fold_shape`."""
    sums = Sums.of(stage)
    return fold_shape(sums.n_in, sums.n_out, interval_target, sums.input_bits, thresholded=sums.thresholded)


@functools.lru_cache(maxsize=1024)
def fold_shape(n_in: int, n_out: int, interval_target: int, input_bits: int, *, thresholded: bool) -> Folding:
    """The folding that is predicted to be the cheapest whatever the weights will be.

    Not by the weights, so that its cycles are known before training (:mod:`hw.bounds`).
    """
    sums = Sums.of_shape(n_in, n_out, input_bits, thresholded=thresholded)

    def cost(folding: Folding) -> tuple[float, int]:
        lut, bram = _cost(sums, folding)
        return lut + bram * _BRAM_LUTS, folding.pe

    return min(foldings(n_in, n_out, interval_target), key=cost)


def folded_cost(stage: Stage, folding: Folding) -> tuple[float, float]:
    """LUTs and block RAMs of ``stage`` with ``folding``."""
    return _cost(Sums.of(stage), folding)


def _cost(sums: Sums, folding: Folding) -> tuple[float, float]:
    counted, cells, bram = _cells(sums, folding)
    return counted + sum(cells[name] * getattr(FITTED, name) for name in cells), bram


def folded_cells(stage: Stage, folding: Folding) -> tuple[float, dict[str, float], float]:
    """LUTs that are certain, cells by the name of their coefficient, and block RAMs."""
    return _cells(Sums.of(stage), folding)


def _cells(sums: Sums, folding: Folding) -> tuple[float, dict[str, float], float]:
    pe, simd, top = folding.pe, folding.simd, sums.top
    slices, groups = -(-sums.n_in // simd), -(-sums.n_out // pe)
    bits = sums.input_bits or 2
    width, bram = pe * simd * 2, 0.0
    certain = float(pe * simd * math.ceil(bits / 2))  # products
    if earns_block_ram(width, slices * groups):
        bram = blocks(width, slices * groups)
    else:
        certain += luts(width, slices * groups)
    certain += simd * bits * choice(slices)
    counted, adders, sum_bits = tree(simd, sums.input_bits)
    constants = 2 * top if sums.thresholded else sums.value_bits
    certain += pe * counted + luts(pe * constants, groups)
    certain += pe * (max(top, sum_bits) * (slices > 1) + sums.value_bits * (not sums.thresholded))
    cells = {
        "control": 1.0 + math.log2(slices * groups) / 4,
        "adder_bit": float(pe * adders),
    }
    return certain, cells, bram


def choice(count: int) -> float:
    """LUTs of one bit chosen from ``count``: four in a LUT, then by cdg_choose."""
    if count == 1:
        return 0.0
    fours = math.ceil(count / 4)
    return fours + chosen(fours)


def tree(simd: int, bits: int) -> tuple[float, float, int]:
    """LUTs that count ``simd`` products of ``bits`` (0: trits), bits of adders behind them, and bits of their sum."""
    size = 6 if bits else 3
    leaves = -(-simd // size)
    if bits:
        leaf, last = _sum_of_six(6, bits), _sum_of_six(simd - 6 * (leaves - 1), bits)
        counted, adders = ((leaves - 1) * all_but + end for all_but, end in zip(leaf, last, strict=True))
        width = (6 * (2**bits - 1)).bit_length()
    else:
        counted, adders, width = 3.0 * leaves, 0.0, 3
    while leaves > 1:
        adders += leaves // 2 * width
        leaves, width = -(-leaves // 2), width + 1
    return counted, adders, width


def _sum_of_six(used: int, bits: int) -> tuple[float, float]:
    """LUTs that count each place of ``used`` products, one a bit of the count, and bits of the adders behind."""
    if used == 1:
        return 0.0, 0.0
    width = (used * (2**bits - 1)).bit_length()
    return float(bits * used.bit_length()), float(min(bits - 1, 2) * (width - 1))
