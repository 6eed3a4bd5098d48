"""``bench rtl``: our parallel networks beside da4ml's own RTL: LUTs, registers and modelled clock at equal latency.

Both are synthesized by the same Yosys script and timed by the same model; both have registers at inputs and outputs.
LUT ratios are Yosys' own: Vivado would put small LUTs in pairs on both sides and infer three-input adders itself.

da4ml's side has :data:`THEIR_SECONDS` per case, as its search for shared sums is one call that cannot be interrupted;
of MNIST's first layer, 784 x 64, it is asked for less (:data:`bench_da4ml.SEARCHED_ONCE`). A case that is not done, or
that fails on either side, is not compared, which the output says with the reason.
"""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import bench_da4ml
import numpy as np

from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.errors import CodesignError, InputError
from codesign.target import Part
from hw.design import Chain, chain, design, library
from hw.emit.top import instances
from hw.graph import FixedType, Graph, Node, Op
from hw.implement import PERIOD_SHARE, random_vectors
from hw.measure import yosys
from hw.measure.delays import DelayModel
from hw.measure.timing import analyse
from hw.measure.verilator import simulate
from hw.schedule import stages

PART = Part("xc7z020clg400-1", "xc7", "-1", {})
CLOCK_MHZ = 200.0
SECONDS = 1200.0
THEIR_SECONDS = 1200.0
VECTORS = 64
TOP = "bench_top"
MNIST = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "mnist" / "mnist.npz"

HIDDEN = (64, 32)
"""Units of the trained networks."""

# inputs, outputs, share of zeros in %, input bits, signed
MATRICES = [
    (16, 32, 30, 8, True),
    (16, 32, 60, 3, False),
    (24, 48, 50, 5, True),
    (32, 32, 40, 1, False),
    (32, 64, 80, 6, False),
    (48, 32, 70, 4, True),
    (64, 32, 50, 6, False),
    (64, 64, 90, 8, True),
    (96, 32, 60, 2, False),
    (128, 32, 80, 4, False),
    (128, 64, 70, 7, True),
    (256, 64, 85, 5, False),
]


def name(index: int) -> str:
    """Of one of the fixed random matrices."""
    rows, columns, zeros, bits, is_signed = MATRICES[index]
    return f"{rows}x{columns}, {zeros} % zero, {bits} bits{' signed' if is_signed else ''}"


def matrix(index: int) -> Graph:
    """One of the fixed random matrices, as a network of one layer."""
    rows, columns, zeros, bits, is_signed = MATRICES[index]
    nonzero = (100 - zeros) / 200
    trits = np.random.default_rng(1000 + index).choice([-1, 0, 1], (rows, columns), p=[nonzero, zeros / 100, nonzero])
    source = Node("x", Op.INPUT, None, rows, FixedType(is_signed, bits, 0))
    kind = FixedType(True, bits + rows.bit_length() + 1, 0)
    tensors = {"trits": trits.astype(np.int64), "bias": np.zeros(columns, np.int64)}
    return Graph((source, Node("dense", Op.DENSE, "x", columns, kind, tensors)))


def trained(data: str, epochs: int) -> Graph:
    """A network of ternary weights and activations trained on ``data``, the name of a set or an .npz file."""
    from hw.hls4ml_flow import parse
    from hw.lower import lower
    from quant.canonical import canonicalize
    from quant.datasets import load, split
    from quant.scaling import fit
    from quant.train import train

    dataset = load(None, data) if data.endswith(".npz") else load(data)
    parts = split(dataset, 0.2, 0)
    network = Architecture(
        dataset.features,
        len(dataset.class_names),
        4 if data == "digits" else 1,
        tuple(DenseLayer(units, "ternary") for units in HIDDEN),
        True,
        Hardware("parallel"),
    )
    input_format = fit(parts.x_train, "minmax", network.input_bits, dataset.image_shape)
    model = train(network, parts, input_format, epochs=epochs, batch_size=32, seed=0)
    model = canonicalize(model, network, input_format)
    return lower(parse(model, PART.name, CLOCK_MHZ))


def registered(made: Chain) -> str:
    """A top level with registers before and after the layers, as da4ml's has."""
    inputs, outputs = made.ports[0].in_width, made.ports[-1].out_width
    body, result = instances(made.ports, "x_q")
    return f"""
module {TOP} (input logic clk, input logic [{inputs - 1}:0] x, output logic [{outputs - 1}:0] y);
  logic [{inputs - 1}:0] x_q;
{body}
  always_ff @(posedge clk) {{x_q, y}} <= {{x, {result}}};
endmodule
"""


def synthesize(files: dict[str, str], top: str, folder: Path) -> dict[str, Any]:
    """What Yosys and the timing model say."""
    begin = time.monotonic()
    done = yosys.synthesize(yosys.plan(files, top, PART), folder, timeout_s=SECONDS)
    timing = analyse(done.netlist, top, PART)
    figures = done.figures
    passed = pass_through(done.netlist["modules"][top])
    return {
        "lut": figures.value("lut"),
        "lut_with_pass_through": figures.value("lut") + passed,
        "ff": figures.value("ff"),
        "carry": figures.value("carry"),
        "fmax_mhz": timing.fmax_mhz,
        "synthesis_seconds": time.monotonic() - begin,
    }


def pass_through(module: dict[str, Any]) -> int:
    """Carry bits whose S no LUT drives: in a slice their signal has to pass a LUT, which Yosys does not count."""
    cells = module["cells"].values()
    from_luts = {
        bit
        for cell in cells
        if cell["type"].startswith(("LUT", "INV"))
        for pin in ("O", "O6")
        for bit in cell["connections"].get(pin, [])
    }
    carries = (cell for cell in cells if cell["type"].startswith("CARRY"))
    return sum(isinstance(bit, int) and bit not in from_luts for cell in carries for bit in cell["connections"]["S"])


def ours(graph: Graph, folder: Path) -> dict[str, Any]:
    """Our RTL for the clock, held against the graph by simulation."""
    delays, period = DelayModel.for_part(PART), 1000.0 / CLOCK_MHZ * PERIOD_SHARE
    begin = time.monotonic()
    made = chain(stages(graph), delays, period)
    seconds = time.monotonic() - begin
    x = random_vectors(graph, VECTORS, 1)
    simulate(design(graph, Hardware("parallel"), delays, period), x, graph.run(x), folder / "sim", timeout_s=SECONDS)
    files = {**made.files, **library(made.rtl), f"{TOP}.sv": registered(made)}
    return {**synthesize(files, TOP, folder), "cycles": made.latency + 2, "emission_seconds": seconds}


def theirs(graph: Graph, cycles: int, folder: Path) -> dict[str, Any]:
    """da4ml's RTL at ``cycles``, or as near as its cut-off gets; it computes the same, which is tried."""
    begin = time.monotonic()
    traced = bench_da4ml.trace(graph)
    seconds = time.monotonic() - begin
    x = random_vectors(graph, VECTORS, 1)
    assert np.array_equal(traced.run(x), graph.run(x)), "da4ml's network is another one"
    pipeline = traced.pipeline(cycles - 1)
    files, count = bench_da4ml.files(pipeline), len(pipeline.solutions)
    return {**synthesize(files, bench_da4ml.TOP, folder), "cycles": count + 1, "emission_seconds": seconds}


def limited(graph: Graph, cycles: int, folder: Path) -> dict[str, Any] | None:
    """As :func:`theirs`, in a process of its own; None where it is not done after :data:`THEIR_SECONDS`.

    Nothing of it stays behind: with that process ends the Yosys that it runs (:mod:`hw.measure.supervise`).
    """
    there, here = multiprocessing.Pipe()
    arguments = (there, graph.to_json(), cycles, folder)
    process = multiprocessing.get_context("spawn").Process(target=_send, args=arguments)
    process.start()
    there.close()
    try:
        found: dict[str, Any] | None = here.recv() if here.poll(THEIR_SECONDS) else None
    except EOFError:
        raise RuntimeError("da4ml's side ended without a result; its error is above") from None
    finally:
        process.kill()
        process.join()
    return found


def _send(to: Connection, graph: dict[str, Any], cycles: int, folder: Path) -> None:
    threading.Thread(target=_end_with_asker, daemon=True).start()
    to.send(theirs(Graph.from_json(graph), cycles, folder))


def _end_with_asker() -> None:
    """However it ends: killed, it could not end this process."""
    asker = multiprocessing.parent_process()
    assert asker is not None
    asker.join()
    os._exit(1)


def compare(name: str, graph: Graph) -> dict[str, Any]:
    """Both sides of one case; without ratios where da4ml's is not done in time."""
    with tempfile.TemporaryDirectory(prefix="codesign-bench-") as folder:
        our = ours(graph, Path(folder) / "ours")
        their = limited(graph, our["cycles"], Path(folder) / "da4ml")
    if their is None:
        return {"name": name, "ours": our, "da4ml": None, "reason": f"da4ml was not done after {THEIR_SECONDS:g} s"}
    return {
        "name": name,
        "lut_ratio": our["lut"] / their["lut"],
        "lut_ratio_with_pass_through": our["lut_with_pass_through"] / their["lut_with_pass_through"],
        "fmax_ratio": our["fmax_mhz"] / their["fmax_mhz"],
        "equal_latency": our["cycles"] == their["cycles"],
        "ours": our,
        "da4ml": their,
    }


def attempted(name: str, make: Callable[[], Graph]) -> dict[str, Any]:
    """One case, with the reason where it failed: the others count all the same."""
    try:
        return compare(name, make())
    except (CodesignError, RuntimeError, AssertionError, OSError) as error:
        return {"name": name, "ours": None, "da4ml": None, "reason": f"failed: {error}"}


def cases(only: str) -> list[tuple[str, Callable[[], Graph]]]:
    """Matrices and trained networks whose name contains ``only``; a missing data set is said."""
    every: dict[str, Callable[[], Graph]] = {name(index): partial(matrix, index) for index in range(len(MATRICES))}
    every["digits, 64-64-32-10, ternary"] = partial(trained, "digits", 20)
    every["MNIST, 784-64-32-10, ternary"] = partial(trained, str(MNIST), 2)
    chosen = {text: make for text, make in every.items() if only in text}
    if not chosen:
        raise InputError(f"no case has {only!r} in its name; there are {'; '.join(every)}")
    if not MNIST.exists() and any(text.startswith("MNIST") for text in chosen):
        say(f"MNIST left out: there is no {MNIST}")
        chosen = {text: make for text, make in chosen.items() if not text.startswith("MNIST")}
    return list(chosen.items())


def rtl(only: str = "") -> dict[str, Any]:
    """All cases; the figures of the benchmark."""
    rows = []
    say(f"{'':38s} {'LUT':>6s} {'da4ml':>6s} {'ratio':>6s} {'FF':>6s} {'da4ml':>6s} {'cycles':>7s} {'Fmax':>11s}")
    for name, make in cases(only):
        rows.append(attempted(name, make))
        row, our, their = rows[-1], rows[-1]["ours"], rows[-1]["da4ml"]
        if their is None:
            say(f"{name:38s} {our['lut'] if our else math.nan:6.0f} not compared: {row['reason']}")
            continue
        say(
            f"{name:38s} {our['lut']:6.0f} {their['lut']:6.0f} {row['lut_ratio']:6.3f} {our['ff']:6.0f} "
            f"{their['ff']:6.0f} {our['cycles']:3d}/{their['cycles']:<3d} "
            f"{our['fmax_mhz']:5.0f}/{their['fmax_mhz']:<5.0f}"
        )
    compared = [row for row in rows if row["da4ml"]]
    say(f"compared: {len(compared)} of {len(rows)} cases")
    return {
        "parallel": {
            **(_summary(compared) if compared else {}),
            "compared": len(compared),
            "part": dataclasses.asdict(PART),
            "clock_mhz": CLOCK_MHZ,
            "cases": rows,
        }
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    def geomean(key: str) -> float:
        return math.exp(sum(math.log(row[key]) for row in rows) / len(rows))

    return {
        "geomean_lut_ratio": geomean("lut_ratio"),
        "worst_lut_ratio": max(row["lut_ratio"] for row in rows),
        "geomean_lut_ratio_with_pass_through": geomean("lut_ratio_with_pass_through"),
        "worst_fmax_ratio": min(row["fmax_ratio"] for row in rows),
        "all_at_equal_latency": all(row["equal_latency"] for row in rows),
    }


def say(line: str) -> None:
    """To the terminal."""
    print(line, file=sys.stderr, flush=True)
