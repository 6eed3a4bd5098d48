"""The C model on a processor: compiled and timed here, or what its test program printed on another machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codesign.errors import InputError, MismatchError, ToolRunError
from codesign.measurement import Figure, Measurement, Provenance
from hw.cmodel.header import prefix_of
from hw.cmodel.project import GOLDEN_INPUTS, GOLDEN_OUTPUTS, PROGRAM, project, write_vectors
from hw.graph import Graph, Ints
from hw.measure.plan import write_files
from hw.measure.tools import find_cc, run_tool

FLAGS = {"c_o2": "-O2", "c_o3": "-O3", "c_native": "-O3 -march=native"}
"""Figures by the flags they are compiled with."""
TOOL = "C model"
SECONDS = 300.0
_STRICT = ("-std=c99", "-Wall", "-Wextra", "-pedantic")


def measure(graph: Graph, name: str, x: Ints, folder: Path, origin: str) -> Measurement:
    """Time of one inference in microseconds of CPU time, at each of :data:`FLAGS`; the project stays in ``folder``.

    Median of 25 passes over the first 256 vectors of ``x`` (n, inputs), on one thread. Raises MismatchError where an
    output differs from the graph, ToolRunError where it cannot be compiled.
    """
    write_files(folder, project(graph, name, origin))
    write_vectors(folder, graph, x)
    compiler, prefix, figures = find_cc(), prefix_of(name), {}
    for figure, flags in FLAGS.items():
        program = (folder / f"{prefix}_{figure}").resolve()
        said = f'-DFLAGS="{flags}"'
        command = [*compiler.command, *_STRICT, *flags.split(), said, "-o", program.name, f"{prefix}_{PROGRAM}"]
        run_tool(command, cwd=folder, timeout_s=SECONDS, log=folder / "compile.log", name="gcc")
        _hold(folder, program)
        command = [str(program), GOLDEN_INPUTS, "--time"]
        text = run_tool(command, cwd=folder, timeout_s=SECONDS, log=folder / "time.log", name=program.name)
        figures[figure] = _figure(json.loads(text))
    return Measurement(figures)


def read_times(path: Path, graph: Graph) -> Measurement:
    """What ``make test time`` of the same network printed on another machine: the last line of JSON in ``path``.

    InputError where there is none, or it is of another network.
    """
    try:
        lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line[:1] == "{"]
        found = json.loads(lines[-1])
        figure = _figure(found)
    except OSError as error:
        raise InputError(f"--c-times {path} cannot be read: {error.strerror}") from None
    except (IndexError, KeyError, ValueError, TypeError):
        raise InputError(f"--c-times {path} holds no line as `make time` of the C model prints it") from None
    if found["graph"] != graph.digest():
        raise InputError(
            f"--c-times {path} is of the network {str(found['graph'])[:8]}, but this one is {graph.digest()[:8]}; "
            "time the C model that was built of this model"
        )
    return Measurement({"c_board": figure})


def _hold(folder: Path, program: Path) -> None:
    """The program's outputs on the golden vectors are the graph's, or MismatchError."""
    command = [str(program), GOLDEN_INPUTS, GOLDEN_OUTPUTS]
    try:
        run_tool(command, cwd=folder, timeout_s=SECONDS, log=folder / "test.log", name=program.name)
    except ToolRunError as error:
        if ", expected " in error.log:
            raise MismatchError(f"the C model differs from the graph: {error.log.strip()}") from None
        raise


def _figure(found: Mapping[str, Any]) -> Figure:
    """A line of JSON of the program; KeyError, TypeError or ValueError where it is none."""
    details = {key: found[key] for key in ("machine", "flags", "repeats", "vectors")}
    details |= {"lowest": float(found["lowest_ns"]) / 1e3, "highest": float(found["highest_ns"]) / 1e3}
    return Figure(float(found["ns"]) / 1e3, "us", Provenance.TIMED, TOOL, str(found["compiler"]), details)
