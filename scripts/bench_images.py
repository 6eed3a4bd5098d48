"""Benchmark of streaming networks: LeNet-5 and FINN's CNV, random ternary weights of half zeros; keys lenet.*, cnv.*.

``scripts/bench images lenet cnv --json FILE``. Cycles are exact without simulation; ``predicted_*`` are the solver's.
``--build`` also synthesizes and simulates the whole. What the user's cache has is not made again: for the time of the
whole flow, set ``CODESIGN_CACHE=`` (empty).
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boards.catalogue import load_target
from codesign.architecture import Hardware
from codesign.target import Target
from hw.design import Design, design
from hw.fitting import fitted
from hw.graph import FixedType, Graph, Node, Op
from hw.implement import PERIOD_SHARE
from hw.measure import layerwise, verilator, yosys
from hw.measure.cache import Cache
from hw.measure.delays import DelayModel
from hw.measure.timing import analyse
from hw.solver import Goal

FRAMES = 2
TIMEOUT_S = 1800.0


class Draw:
    """A Graph, layer by layer: random trits, then a quantizer of ``bits`` that uses its whole range."""

    def __init__(self, dims: tuple[int, ...], bits: int, seed: int = 1) -> None:
        self.nodes = [Node("x", Op.INPUT, None, dims, FixedType(False, bits, bits))]
        self.rng = np.random.default_rng(seed)

    def add(self, name: str, op: Op, dims: tuple[int, ...], kind: FixedType, **tensors: Any) -> None:
        """Append a node behind the last."""
        arrays = {key: np.asarray(value) for key, value in tensors.items()}
        self.nodes.append(Node(name, op, self.nodes[-1].name, dims, kind, arrays))

    def trits(self, *shape: int) -> Any:
        """Random ones, half of them zero."""
        return self.rng.choice([-1, 0, 1], shape, p=[0.25, 0.5, 0.25])

    def conv(self, name: str, filters: int, kernel: int, bits: int, padding: int = 0) -> None:
        """Convolution and activation."""
        rows, columns, channels = self.nodes[-1].dims
        dims = (rows + 2 * padding - kernel + 1, columns + 2 * padding - kernel + 1, filters)
        geometry = {"stride": [1, 1], "padding": [padding] * 4}
        kind = FixedType(True, 24, 0)
        self.add(name, Op.CONV, dims, kind, trits=self.trits(kernel, kernel, channels, filters),
                 bias=np.zeros(filters, np.int64), **geometry)  # fmt: skip
        self.activation(name, dims, bits, kernel * kernel * channels)

    def activation(self, name: str, dims: tuple[int, ...], bits: int, inputs: int) -> None:
        """A quantizer whose range is about two standard deviations of the sums."""
        source = self.nodes[-2].type
        shift = max(0, round(np.log2((inputs / 2) ** 0.5 * source.high)) + 1 - bits)
        kind = FixedType(False, bits, 0)
        self.add(f"{name}_act", Op.QUANTIZE, dims, kind, shift=shift, low=0, high=kind.high)

    def pool(self, name: str) -> None:
        """Largest of 2 x 2."""
        rows, columns, channels = self.nodes[-1].dims
        geometry = {"stride": [2, 2], "padding": [0] * 4}
        dims = (rows // 2, columns // 2, channels)
        self.add(name, Op.MAXPOOL, dims, self.nodes[-1].type, window=[2, 2], **geometry)

    def dense(self, name: str, units: int, bits: int | None) -> None:
        """Dense layer, flattening what it reads."""
        before = self.nodes[-1]
        if len(before.dims) > 1:
            self.add(f"{name}_flat", Op.RESHAPE, (before.size,), before.type)
        kind = FixedType(True, 24, 0)
        trits, bias = self.trits(before.size, units), np.zeros(units, np.int64)
        self.add(name, Op.DENSE, (units,), kind, trits=trits, bias=bias)
        if bits:
            self.activation(name, (units,), bits, before.size)

    def graph(self) -> Graph:
        """The network so far."""
        return Graph(tuple(self.nodes))


def lenet() -> Graph:
    """LeNet-5 (LeCun et al., 1998) on 28 x 28 pixels of 8 bits, 2-bit activations."""
    draw = Draw((28, 28, 1), 8)
    draw.conv("conv_1", 6, 5, 2, padding=2)
    draw.pool("pool_1")
    draw.conv("conv_2", 16, 5, 2)
    draw.pool("pool_2")
    for name, units, bits in (("dense_1", 120, 2), ("dense_2", 84, 2), ("logits", 10, None)):
        draw.dense(name, units, bits)
    return draw.graph()


def cnv() -> Graph:
    """CNV (Umuroglu et al., FINN, 2017, section 6) on 32 x 32 x 3 pixels of 8 bits, 2-bit activations."""
    draw = Draw((32, 32, 3), 8)
    for stage, filters in enumerate((64, 128, 256), 1):
        draw.conv(f"conv_{stage}_1", filters, 3, 2)
        draw.conv(f"conv_{stage}_2", filters, 3, 2)
        if stage < 3:
            draw.pool(f"pool_{stage}")
    for name, units, bits in (("dense_1", 512, 2), ("dense_2", 512, 2), ("logits", 10, None)):
        draw.dense(name, units, bits)
    return draw.graph()


@dataclass(frozen=True)
class Case:
    """A network, where it is built, and what for."""

    graph: Any
    board: str
    clock_mhz: float
    goal: Goal


CASES = {
    "lenet": Case(lenet, "pynq-z1", 100.0, Goal(latency=2000)),
    "cnv": Case(cnv, "pynq-z1", 100.0, Goal(interval=130_000)),
    "cnv_fast": Case(cnv, "zcu104", 200.0, Goal(interval=26_000)),
}


def bench(name: str, *, build: bool = False, flat: bool = False) -> dict[str, float]:
    """Figures of one case; progress on standard error.

    ``flat``: also synthesized as one netlist; what that takes is not in the seconds.
    """
    case = CASES[name]
    begun, graph = time.monotonic(), case.graph()
    target = load_target(case.board, None, case.clock_mhz)
    period = target.period_ns * PERIOD_SHARE
    solution = fitted(graph, case.goal, target, period)
    _say(name, "solved", begun)
    made = design(graph, Hardware("folded"), DelayModel.for_part(target.part), period, solution.foldings)
    _say(name, "emitted", begun)
    found = {
        "predicted_lut": solution.total("lut"),
        "predicted_bram": solution.total("bram"),
        "interval_cycles": made.interval_cycles,
        "latency_cycles": made.latency_cycles,
        "latency_ms": made.latency_cycles / case.clock_mhz / 1000,
        "frames_per_s": case.clock_mhz * 1e6 / made.interval_cycles,
    }
    if build:
        found |= _built(name, graph, made, target, begun)
    found["seconds"] = time.monotonic() - begun
    if flat:
        with tempfile.TemporaryDirectory() as scratch:
            plan = yosys.plan(made.files, made.top, target.part)
            done = yosys.synthesize(plan, Path(scratch), timeout_s=TIMEOUT_S, cache=Cache.of_user())
        found["flat_lut"] = done.figures.value("lut")
        _say(name, "synthesized as one netlist", begun)
    return {key: round(value, 6) for key, value in found.items()}


def _built(name: str, graph: Graph, made: Design, target: Target, begun: float) -> dict[str, float]:
    kind = graph.input.type
    x = np.random.default_rng(1).integers(kind.low, kind.high + 1, (FRAMES, graph.input.size))
    with tempfile.TemporaryDirectory() as scratch:
        cache = Cache.of_user()
        verilator.simulate(made, x, graph.run(x), Path(scratch) / "sim", timeout_s=TIMEOUT_S, cache=cache)
        _say(name, "simulated: every bit and cycle as expected", begun)
        plan = layerwise.plan(made.files, made.top, target.part, target.period_ns)
        folder = Path(scratch) / "synthesis"
        synthesis = layerwise.synthesize(
            plan, folder, timeout_s=TIMEOUT_S, cache=cache, jobs=len(os.sched_getaffinity(0))
        )
        how = synthesis.figures.figures["lut"].details
        _say(name, f"synthesized: {how['synthesis']}; from the cache: {how.get('cached', 'nothing')}", begun)
        fmax = analyse(synthesis.netlist, made.top, target.part).fmax_mhz
    values = {key: synthesis.figures.value(key) for key in ("lut", "ff", "bram")}
    return {**values, "fmax_mhz": fmax, "simulated_frames": FRAMES}


def _say(name: str, what: str, begun: float) -> None:
    print(f"{name}: {what} after {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
