"""LUTs of folded layers, predicted and synthesized, on layers that the prediction was not fitted to; ``folded.*``.

``scripts/bench folded --json FILE``. ``--fit`` synthesizes the other layers instead and finds the coefficients of
:mod:`hw.folded_cost` that predict them best.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy.optimize import nnls

from codesign.target import Part
from hw.design import library
from hw.emit.folded import Folding, emit_folded
from hw.folded_cost import Coefficients, folded_cells, folded_cost
from hw.measure import yosys
from hw.stage import Activation, Linear, Quantize, Stage, Ternary

PART = Part("xc7z020clg400-1", "xc7", "-1", {})
SECONDS = 300.0

# inputs, outputs, input bits (0: ternary), activation, PE, SIMD
FITTED = [
    (27, 16, 8, Quantize(7, 0, 3), 2, 9),
    (64, 32, 0, Ternary(4), 4, 16),
    (150, 16, 2, Quantize(4, 0, 3), 2, 30),
    (100, 24, 2, Quantize(3, 0, 3), 1, 50),
    (72, 10, 4, Linear(), 2, 12),
    (48, 48, 0, Ternary(3), 3, 24),
    (96, 20, 3, Quantize(4, 0, 7), 4, 8),
    (256, 12, 1, Ternary(5), 2, 32),
    (40, 64, 2, Linear(), 4, 8),
    (200, 8, 0, Quantize(2, 0, 3), 1, 40),
    (36, 36, 5, Quantize(5, 0, 15), 3, 6),
    (128, 10, 2, Ternary(6), 5, 16),
    (84, 10, 2, Linear(), 1, 12),
    (60, 30, 6, Ternary(60), 2, 10),
]
JUDGED = [
    (25, 12, 8, Quantize(6, 0, 3), 2, 5),
    (144, 16, 2, Quantize(4, 0, 3), 2, 36),
    (80, 40, 0, Ternary(4), 5, 20),
    (120, 84, 2, Quantize(4, 0, 3), 3, 15),
    (64, 10, 3, Linear(), 2, 8),
    (54, 24, 4, Quantize(5, 0, 7), 4, 9),
    (96, 32, 0, Quantize(2, 0, 3), 2, 24),
    (180, 6, 1, Ternary(5), 2, 30),
    (48, 20, 2, Ternary(5), 1, 48),
    (32, 32, 6, Linear(), 2, 16),
]
Case = tuple[int, int, int, Activation, int, int]


def stage(case: Case, seed: int) -> tuple[Stage, Folding]:
    """A layer with random trits, half of them zero."""
    n_in, n_out, bits, activation, pe, simd = case
    trits = np.random.default_rng(seed).choice([-1, 0, 1], (n_in, n_out), p=[0.25, 0.5, 0.25]).astype(np.int8)
    nothing = np.zeros(n_out, np.int64)
    layer = Stage(
        name="dense",
        weights=trits,
        input_bits=bits or 2,
        input_signed=not bits,
        input_ternary=not bits,
        up=nothing,
        bias=nothing,
        activation=activation,
    )
    return layer, Folding(pe, simd)


def synthesized(layer: Stage, folding: Folding) -> float:
    """LUTs as Yosys maps it alone."""
    built = emit_folded(layer, folding, "cdg_layer")
    with tempfile.TemporaryDirectory() as scratch:
        plan = yosys.plan(dict(built.files) | library(built.rtl), built.module, PART)
        return yosys.synthesize(plan, Path(scratch), timeout_s=SECONDS).figures.value("lut")


def fit() -> dict[str, float]:
    """Coefficients of the least relative errors."""
    names = [field.name for field in fields(Coefficients)]
    rows, rest = [], []
    for seed, case in enumerate(FITTED):
        layer, folding = stage(case, seed)
        lut = synthesized(layer, folding)
        certain, cells, _ = folded_cells(layer, folding)
        rows.append([cells[name] / lut for name in names])
        rest.append((lut - certain) / lut)
        print(case, f"{lut:.0f} LUTs, {certain:.0f} certain, {cells}", file=sys.stderr, flush=True)
    found, _ = nnls(np.array(rows), np.array(rest))
    errors = np.abs(np.array(rows) @ found - np.array(rest))
    print(f"errors on these layers: median {np.median(errors):.3f}, worst {errors.max():.3f}", file=sys.stderr)
    return dict(zip(names, found.round(3).tolist(), strict=True))


def judge() -> dict[str, Any]:
    """Errors of the predicted LUTs where nothing was fitted."""
    layers, errors = [], []
    for seed, case in enumerate(JUDGED, 100):
        layer, folding = stage(case, seed)
        lut, predicted = synthesized(layer, folding), folded_cost(layer, folding)[0]
        errors.append(abs(predicted / lut - 1))
        layers.append({"layer": str(case), "predicted_lut": round(predicted, 1), "synthesized_lut": lut})
        print(f"{case}: {predicted:.0f} predicted, {lut:.0f} synthesized", file=sys.stderr, flush=True)
    return {
        "median_lut_error": round(median(errors), 4),
        "worst_lut_error": round(max(errors), 4),
        "layers": layers,
    }
