"""LUTs and block RAMs of a folded layer before synthesis, module by module, as its cells are laid down.

What is written as LUTs, carry chains and wide multiplexers is counted; what synthesis decides is fitted
(``FITTED``, by ``scripts/bench folded``, which also judges the sum on layers that it was not fitted to).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hw.emit.folded import Folding
from hw.emit.rom import blocks, chosen, earns_block_ram, luts
from hw.stage import Quantize, Stage


@dataclass(frozen=True)
class Coefficients:
    """LUTs per unit of the parts that synthesis decides.

    ``control``: counters and handshake, which grow with the steps' logarithm; ``adder_bit``: of the adder tree;
    ``activation_bit``: of the values that are rounded, clipped or compared.
    """

    control: float
    adder_bit: float
    activation_bit: float


FITTED = Coefficients(22.1, 0.515, 0.217)


def folded_cost(stage: Stage, folding: Folding) -> tuple[float, float]:
    """LUTs and block RAMs of ``stage`` with ``folding``."""
    counted, cells, bram = folded_cells(stage, folding)
    return counted + sum(cells[name] * getattr(FITTED, name) for name in cells), bram


def folded_cells(stage: Stage, folding: Folding) -> tuple[float, dict[str, float], float]:
    """LUTs that are certain, cells by the name of their coefficient, and block RAMs."""
    pe, simd = folding.pe, folding.simd
    slices, groups = -(-stage.n_in // simd), -(-stage.n_out // pe)
    bits = 2 if stage.input_ternary else stage.input_bits
    width, bram = pe * simd * 2, 0.0
    certain = float(pe * simd * math.ceil(bits / 2))  # products
    if earns_block_ram(width, slices * groups):
        bram = blocks(width, slices * groups)
    else:
        certain += luts(width, slices * groups)
    certain += simd * bits * choice(slices)
    counted, adders, sum_bits = tree(simd, 0 if stage.input_ternary else bits)
    top = max(1, int(max(stage.acc_high.max(), -stage.acc_low.min())).bit_length() + 1)
    constants = 2 * top if stage.output_ternary else stage.value_bits
    certain += pe * counted + luts(pe * constants, groups)
    certain += pe * (max(top, sum_bits) * (slices > 1) + stage.value_bits * (not stage.output_ternary))
    compared = 2 * top * stage.output_ternary + stage.value_bits * isinstance(stage.activation, Quantize)
    cells = {
        "control": 1.0 + math.log2(slices * groups) / 4,
        "adder_bit": float(pe * adders),
        "activation_bit": float(pe * compared),
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
    width = (6 * (2**bits - 1)).bit_length() if bits else 3
    counted, adders = float(leaves * (3 * bits or 3)), 0.0
    if bits > 1:
        adders += leaves * (width - 1) * (1 if bits == 2 else 2)
    while leaves > 1:
        adders += leaves // 2 * width
        leaves, width = -(-leaves // 2), width + 1
    return counted, adders, width
