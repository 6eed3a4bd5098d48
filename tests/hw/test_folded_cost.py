"""Predicted LUTs of folded layers: what is counted equals what is laid down, and the sum is near what Yosys maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from codesign.target import Part
from hw.design import library
from hw.emit.folded import Folding, emit_folded, foldings
from hw.emit.rom import blocks, chosen, earns_block_ram, luts
from hw.folded_cost import choice, fold, fold_shape, folded_cells, folded_cost, tree
from hw.measure import yosys
from hw.stage import Quantize, Stage, Ternary

PART = Part("xc7z020clg400-1", "xc7", "-1", {})


def made(n_in: int, n_out: int, bits: int, activation: Quantize | Ternary) -> Stage:
    trits = np.random.default_rng(n_in).choice([-1, 0, 1], (n_in, n_out), p=[0.25, 0.5, 0.25]).astype(np.int8)
    nothing = np.zeros(n_out, np.int64)
    kind = {"input_bits": bits or 2, "input_signed": not bits, "input_ternary": not bits}
    return Stage(name="dense", weights=trits, up=nothing, bias=nothing, activation=activation, **kind)


def test_tables_share_luts_up_to_32_words_and_wide_multiplexers_beyond_64() -> None:
    assert [luts(10, depth) for depth in (1, 2, 32, 33, 64, 65, 256, 257)] == [0, 5, 5, 10, 10, 20, 40, 60]


def test_block_ram_is_for_tables_that_save_enough() -> None:
    assert blocks(36, 512) == 0.5
    assert not earns_block_ram(64, 128)
    assert earns_block_ram(64, 1024)


def test_inputs_are_chosen_four_in_a_lut() -> None:
    assert [choice(count) for count in (1, 2, 4, 5, 16, 17, 64)] == [0, 1, 1, 2, 4, 6, 17]


def test_of_the_fours_four_are_chosen_in_a_lut_again() -> None:
    assert [chosen(count) for count in (1, 3, 4, 5, 7, 16, 17, 64, 65)] == [0, 1, 0, 1, 2, 1, 2, 4, 6]


@pytest.mark.parametrize("count", [11, 80])
def test_a_slice_takes_the_luts_that_are_counted(count: int, tmp_path) -> None:
    parameters = f"#(.COUNT({count}), .WIDTH(8))"
    select, slices = f"[{(count - 1).bit_length() - 1}:0] next", f"[{8 * count - 1}:0] slices"
    ports = f"input wire clk, input wire rst_n, input wire {select}, input wire {slices}"
    top = f"module top({ports}, output wire [7:0] chosen);\n  cdg_slice {parameters} slice (.*);\nendmodule\n"
    plan = yosys.plan({**library({"cdg_slice", "cdg_choose"}), "top.sv": top}, "top", PART)
    found = yosys.synthesize(plan, tmp_path, timeout_s=120).figures.value("lut")
    assert 8 * choice(count) == pytest.approx(found, rel=0.1)


def test_six_products_of_two_bits_are_two_counts_and_an_adder() -> None:
    assert tree(6, 2) == (6.0, 4.0, 5)
    assert tree(3, 0) == (3.0, 0.0, 3)
    assert tree(12, 2) == (12.0, 13.0, 6)


def test_fewer_products_than_six_are_counted_in_fewer_bits() -> None:
    assert tree(4, 2) == (6.0, 3.0, 5)
    assert tree(3, 2) == (4.0, 3.0, 5)
    assert tree(7, 2) == (6.0, 9.0, 6)


@pytest.mark.parametrize(
    ("stage", "folding"),
    [(made(48, 12, 2, Quantize(3, 0, 3)), Folding(2, 12)), (made(36, 16, 0, Ternary(3)), Folding(2, 18))],
    ids=["2 bits", "trits"],
)
def test_the_prediction_is_near_what_is_mapped(stage: Stage, folding: Folding, tmp_path) -> None:
    built = emit_folded(stage, folding, "cdg_layer")
    plan = yosys.plan(dict(built.files) | library(built.rtl), built.module, PART)
    found = yosys.synthesize(plan, tmp_path, timeout_s=120).figures.value("lut")
    assert folded_cost(stage, folding)[0] == pytest.approx(found, rel=0.15)
    assert folded_cells(stage, folding)[0] < found


def test_the_folding_is_the_cheapest_by_the_prediction() -> None:
    """Within 2 %, as the weights are left out so that cycles are known before training; a rule of thumb is 15 % off."""
    stage = made(25, 12, 8, Quantize(6, 0, 3))
    costs = {way: folded_cost(stage, way)[0] for way in foldings(25, 12, 30)}
    assert len(costs) > 3
    assert costs[fold(stage, 30)] <= 1.02 * min(costs.values())
    assert fold(stage, 30) != Folding(1, 13)


def test_the_folding_does_not_hang_on_the_weights() -> None:
    stage = made(48, 12, 2, Quantize(3, 0, 3))
    assert fold(replace(stage, weights=np.zeros_like(stage.weights)), 24) == fold(stage, 24)
    assert fold_shape(48, 12, 24, 2, thresholded=False) == fold(stage, 24)
