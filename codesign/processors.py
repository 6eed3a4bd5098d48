"""The same network on processors, beside the FPGA: the C model here and on a board, and TensorFlow Lite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from codesign.cli import version
from codesign.errors import InputError
from codesign.instruments import C, attempt
from codesign.latencies import C_BOARD, C_HERE, TFLITE
from codesign.measurement import Measurement
from codesign.reading import Reading
from hw.graph import Graph, Ints
from hw.implement import Announce
from hw.measure import cpu, tflite


def elsewhere(c_times: Path | None, via: Sequence[str], graph: Graph) -> Measurement | None:
    """What the C model took on another machine, as the file ``c_times`` says it; InputError where that is no use."""
    if c_times is not None and C not in via:
        raise InputError(f"--c-times {c_times} goes beside the C model's times here: add c to --via")
    return cpu.read_times(c_times, graph) if c_times else None


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
