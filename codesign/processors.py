"""The same network on processors, beside the FPGA: the C model here and on a board, and TensorFlow Lite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from boards import processor
from boards.remote import ssh_command
from codesign.cli import version
from codesign.errors import InputError, ToolRunError
from codesign.instruments import C, attempt
from codesign.latencies import C_BOARD, C_HERE, TFLITE
from codesign.measurement import Measurement
from codesign.reading import Reading
from codesign.target import is_virtual
from hw.cmodel.project import write_project
from hw.graph import Graph, Ints
from hw.implement import Announce
from hw.measure import cpu, tflite


def require_host(host: str | None, via: Sequence[str]) -> None:
    """InputError for a ``host`` on which no C model can be timed, or where none is asked for."""
    if host is None:
        return
    if C not in via:
        raise InputError(f"--host {host} is where the C model is timed, too: add c to --via")
    if is_virtual(host):
        raise InputError(f"--host {host}: a virtual board has no processor to time; give user@board, or leave it out")
    ssh_command(host, ())


def on_board(host: str | None, name: str, graph: Graph, x: Ints, stage: Announce) -> Reading | None:
    """Compile, compare and time the C model on ``host``; before all that takes longer. None without a host.

    ToolError where the board cannot be used.
    """
    if host is None:
        return None

    def work() -> Measurement:
        with TemporaryDirectory(prefix="codesign-") as scratch:
            write_project(graph, name, x, Path(scratch), f"codesign {version()}")
            try:
                return cpu.read_times(processor.make(host, Path(scratch)), graph, host)
            except ToolRunError as error:
                raise cpu.mismatch(error, f" on {host}") from None

    with stage(f"C model on {host}"):
        return replace(attempt(C_BOARD, work), host=host)


def take(
    name: str, graph: Graph, model: Any, x: Ints, folder: Path, board: Reading | None, stage: Announce
) -> Iterator[Reading]:
    """Time the C model, and the Keras ``model`` if there is one; ``board``: what :func:`on_board` gave."""
    with stage("C model"):
        yield attempt(C_HERE, partial(cpu.measure, graph, name, x, folder, f"codesign {version()}"))
    if board is not None:
        yield board
    if model is None:
        yield Reading(TFLITE, "missing", Measurement({}), 0.0, "TensorFlow Lite runs Keras models only")
    else:
        from quant.tf import quiet_stderr

        with stage("TensorFlow Lite"), quiet_stderr():
            reading = attempt(TFLITE, partial(tflite.measure, model, graph.logits(), x))
        yield reading
