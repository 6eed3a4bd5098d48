"""The same network on processors, beside the FPGA: the C model here and on a board, and TensorFlow Lite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from codesign.cli import version
from codesign.instruments import attempt
from codesign.measurement import Measurement
from codesign.reading import Reading
from codesign.target import Target
from hw.graph import Graph, Ints
from hw.implement import Announce
from hw.measure import cpu, tflite

C_HERE, C_BOARD, TFLITE = "c", "c on the board", "tflite"
INSTRUMENTS = (C_HERE, C_BOARD, TFLITE)


def take(
    name: str, graph: Graph, model: Any, x: Ints, folder: Path, board: Measurement | None, stage: Announce
) -> Iterator[Reading]:
    """Time the C model, and the Keras ``model`` if there is one; ``board`` is what the C model took elsewhere."""
    with stage("C model"):
        yield attempt(C_HERE, partial(cpu.measure, graph, name, x, folder, f"codesign {version()}"))
    if board is not None:
        yield Reading(C_BOARD, "ok", board, 0.0)
    if model is None:
        yield Reading(TFLITE, "missing", Measurement({}), 0.0, "TensorFlow Lite runs Keras models only")
    else:
        from quant.tf import quiet_stderr

        with stage("TensorFlow Lite"), quiet_stderr():
            reading = attempt(TFLITE, partial(tflite.measure, model, graph.logits(), x))
        yield reading


def latencies(design: Measurement, target: Target, readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """One inference on the FPGA, then on each processor that was timed: microseconds, and how often the FPGA's.

    The FPGA's are simulated cycles at the clock asked for, or at the modelled Fmax where that is lower. No energy: none
    was measured on either side.
    """
    clock = min(target.clock_mhz, design.value("fmax"))
    cycles = design.figures["latency_cycles"]
    fpga = cycles.value / clock
    found = [_line("FPGA", fpga, fpga, f"{cycles.provenance.value} cycles at {clock:.4g} MHz, not run on a board")]
    for reading in readings:
        if reading.instrument in INSTRUMENTS:
            for figure in reading.figures.figures.values():
                what = " ".join(filter(None, (figure.tool, figure.details.get("flags"))))
                words = f"{figure.provenance.value} on {figure.details['machine']} ({figure.version})"
                found.append(_line(what, figure.value, fpga, words))
    return found


def _line(on: str, microseconds: float, fpga: float, source: str) -> dict[str, Any]:
    return {"on": on, "us": microseconds, "times_fpga": microseconds / fpga, "source": source}
