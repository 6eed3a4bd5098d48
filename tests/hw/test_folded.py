"""Folded stages: bits, latency and interval of the emitted RTL against Stage.run and the static figures."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from codesign.errors import MismatchError, ModelError
from hw.design import TOP, Design, Layer, library
from hw.emit.folded import Folding, emit_folded, foldings
from hw.emit.top import Ports, emit_folded_top
from hw.measure.tools import find_verilator, run_tool
from hw.measure.verilator import simulate
from hw.stage import Binary, Linear, Quantize, Stage, Ternary

VECTORS = 120


def make(n_in, n_out, activation, *, like="ternary", seed=0):
    """A random stage; ``like``: "ternary", or "u4", "s3" for multi-bit inputs."""
    random = np.random.default_rng(seed)
    weights = random.integers(-1, 2, (n_in, n_out))
    if n_in > 1 < n_out:
        weights[:, n_out // 2] = 0  # one channel that sees nothing
        weights[n_in // 2] = 0  # one input that nothing reads
    else:
        weights[:] = -1
    ternary = like == "ternary"
    return Stage(
        name="dense",
        weights=weights.astype(np.int8),
        input_bits=2 if ternary else int(like[1:]),
        input_signed=ternary or like[0] == "s",
        input_ternary=ternary,
        up=random.integers(0, 4, n_out),
        bias=random.integers(-9, 10, n_out),
        activation=activation,
    )


def vectors(stage, count=VECTORS):
    """The extreme vectors of every output first, then random ones."""
    random = np.random.default_rng(1)
    x = random.integers(stage.x_low, stage.x_high + 1, (count, stage.n_in))
    ends = np.where(stage.weights.T > 0, stage.x_high, stage.x_low)
    x[: min(count // 4, stage.n_out)] = ends[: count // 4]
    x[count // 4 : count // 4 + min(count // 4, stage.n_out)] = (stage.x_high + stage.x_low - ends)[: count // 4]
    return x


def chain(stages, foldings):
    """A Design of folded stages one behind the other, as hw.design makes it but with foldings of our choice."""
    files, layers, ports, used = {}, [], [], set()
    for i, (stage, folding) in enumerate(zip(stages, foldings, strict=True)):
        built = emit_folded(stage, folding, f"cdg_layer_{i}")
        files |= built.files
        used |= set(built.rtl)
        layers.append(
            Layer(f"layer{i}", "folded", built.latency_cycles, built.interval_cycles, folding.pe, folding.simd)
        )
        widths = stage.n_in * stage.input_bits, stage.n_out * stage.output_bits
        ports.append(Ports(built.module, *widths, built.latency_cycles))
    files[f"{TOP}.sv"] = emit_folded_top(TOP, ports, "A chain.")
    first, last = stages[0], stages[-1]
    return Design(
        files=files | library(used),
        top=TOP,
        latency_cycles=sum(layer.latency_cycles for layer in layers),
        interval_cycles=max(layer.interval_cycles for layer in layers),
        layers=tuple(layers),
        inputs=first.n_in,
        input_bits=first.input_bits,
        input_signed=first.input_signed,
        outputs=last.n_out,
        output_bits=last.output_bits,
        output_signed=last.output_signed,
    )


def run(stages, x):
    for stage in stages:
        x = stage.run(x)
    return x


def check(stages, foldings, folder):
    """Simulate; simulate() itself compares bits, latency and interval with the design's."""
    x = vectors(stages[0])
    simulate(chain(stages, foldings), x, run(stages, x), folder, timeout_s=300)


SHAPES = {
    "one weight": (make(1, 1, Ternary(1)), Folding(1, 1)),
    "one weight, linear": (make(1, 1, Linear(), like="s3"), Folding(1, 1)),
    "all at once": (make(7, 5, Ternary(2)), Folding(5, 7)),
    "one group": (make(12, 4, Binary()), Folding(4, 3)),
    "two groups, whole input": (make(6, 2, Ternary(1)), Folding(1, 6)),
    "ragged groups": (make(9, 7, Ternary(3)), Folding(3, 9)),
    "ragged both": (make(11, 7, Ternary(2)), Folding(3, 4)),
    "one multiplier": (make(8, 5, Ternary(1)), Folding(1, 1)),
    "memory for trits": (make(20, 12, Quantize(2, 0, 15)), Folding(1, 4)),
    "unsigned": (make(13, 6, Quantize(3, 0, 7), like="u4"), Folding(2, 5)),
    "signed": (make(10, 6, Ternary(5), like="s3"), Folding(2, 10)),
    "one bit": (make(10, 6, Quantize(1, -2, 1), like="u1"), Folding(1, 5)),
    "linear": (make(16, 5, Linear(), like="u2"), Folding(1, 8)),
    "no shift": (make(10, 4, Quantize(0, -4, 3), like="s4"), Folding(2, 10)),
    "shift beyond": (make(3, 4, Quantize(14, -1, 1), like="u2"), Folding(2, 3)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_stage_is_exact_in_bits_and_cycles(name, tmp_path):
    stage, folding = SHAPES[name]
    check([stage], [folding], tmp_path)


def tower(widths, seed):
    return [make(a, b, Ternary(2), seed=seed + i) for i, (a, b) in enumerate(itertools.pairwise(widths))]


CHAINS = {
    "slowest first": (tower((12, 8, 8, 4), 1), [Folding(1, 6), Folding(2, 8), Folding(2, 4)]),
    "slowest last": (tower((6, 8, 8, 5), 2), [Folding(4, 6), Folding(2, 8), Folding(1, 3)]),
    "slowest amid": (tower((6, 8, 8, 5), 3), [Folding(8, 3), Folding(1, 4), Folding(5, 4)]),
    "all alike": (tower((8, 8, 8, 8, 8), 4), [Folding(1, 8), Folding(2, 4), Folding(4, 2), Folding(8, 1)]),
    "two cycles": (tower((4, 4, 4, 4), 5), [Folding(2, 4), Folding(4, 2), Folding(2, 4)]),
    "one cycle": (tower((4, 3, 4), 6), [Folding(3, 4), Folding(4, 3)]),
    "one cycle, then many": (tower((4, 3, 4, 2), 7), [Folding(3, 4), Folding(1, 1), Folding(2, 4)]),
}


@pytest.mark.parametrize("name", CHAINS)
def test_chain_adds_latencies_and_keeps_the_largest_interval(name, tmp_path):
    check(*CHAINS[name], tmp_path)


def test_block_ram_holds_large_tables(tmp_path):
    stage, folding = make(72, 250, Ternary(3)), Folding(1, 36)
    design = chain([stage], [folding])
    assert 'rom_style = "block"' in design.files["cdg_layer_0_weights.sv"]
    check([stage], [folding], tmp_path)


def test_a_flipped_weight_is_noticed(tmp_path):
    stage, folding = make(9, 4, Ternary(2)), Folding(2, 3)
    weights = stage.weights.copy()
    weights[3, 1] = 1 if weights[3, 1] < 1 else -1
    x = vectors(stage)
    with pytest.raises(MismatchError, match="RTL differs from the graph"):
        simulate(chain([replace(stage, weights=weights)], [folding]), x, stage.run(x), tmp_path, timeout_s=300)


@pytest.mark.parametrize("target", [1, 2, 3, 7, 16, 64, 10_000])
@pytest.mark.parametrize(("n_in", "n_out"), [(1, 1), (64, 32), (64, 10), (7, 13), (1024, 256)])
def test_foldings_keep_the_target_and_waste_no_multiplier(n_in, n_out, target):
    for folding in foldings(n_in, n_out, target):
        assert folding.steps(n_in, n_out) <= target
        assert 1 <= folding.pe <= n_out
        assert 1 <= folding.simd <= n_in
        if folding.simd > 1:  # fewer lanes would miss the target
            assert Folding(folding.pe, folding.simd - 1).steps(n_in, n_out) > target


def test_fold_rejects_no_cycles():
    with pytest.raises(ModelError, match="cannot fold 4 x 2 to 0 cycles: all three must be at least 1"):
        foldings(4, 2, 0)


def test_emit_rejects_a_folding_beyond_the_layer():
    with pytest.raises(ModelError, match="stage 'dense': folding 3 x 4 does not fit 2 outputs and 4 inputs"):
        emit_folded(make(4, 2, Ternary(1)), Folding(3, 4), "m")


@pytest.mark.parametrize("name", SHAPES)
def test_generated_text_gives_verilator_nothing_to_warn_of(name, tmp_path):
    stage, folding = SHAPES[name]
    for file, text in chain([stage], [folding]).files.items():
        (tmp_path / file).write_text(text)
    tool = find_verilator()
    argv = [*tool.command, "--lint-only", "-Wall", "-y", str(tmp_path), "--top-module", TOP, f"{TOP}.sv"]
    run_tool(argv, cwd=tmp_path, timeout_s=60, log=tmp_path / "lint.log", env=tool.environment)
