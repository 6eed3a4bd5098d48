"""The C model on a processor: compiled and timed here, or what its test program printed on a board."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codesign.errors import CandidateError, MismatchError, ReportError, ToolRunError
from codesign.measurement import Figure, Measurement, Provenance
from hw.cmodel.header import prefix_of
from hw.cmodel.project import GOLDEN_INPUTS, GOLDEN_OUTPUTS, PROGRAM, write_project
from hw.graph import Graph, Ints
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
    write_project(graph, name, x, folder, origin)
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


def read_times(printed: str, graph: Graph, where: str) -> Measurement:
    """The times that ``make test time`` of the C model printed on the board ``where``; ReportError for other words."""
    line = next((line for line in reversed(printed.splitlines()) if line[:1] == "{"), "no line of JSON")
    try:
        found = json.loads(line)
        figure, network = _figure(found), found["graph"]
    except (KeyError, ValueError, TypeError):
        network = None
    if network != graph.digest():
        problem = f"make on {where} printed no times of this C model, {graph.digest()[:8]}, but {line[:300]}"
        raise ReportError(f"{problem}; log in there and see what its make and gcc are", printed)
    return Measurement({"c_board": figure})


def mismatch(error: ToolRunError, where: str = "") -> CandidateError:
    """MismatchError if the program failed because an output differs, otherwise the error itself."""
    if found := re.search(r"^vector \d+, output \d+: .*, expected .*$", error.log, re.MULTILINE):
        return MismatchError(f"the C model{where} differs from the graph: {found.group()}")
    return error


def _hold(folder: Path, program: Path) -> None:
    """The program's outputs on the golden vectors are the graph's, or MismatchError."""
    command = [str(program), GOLDEN_INPUTS, GOLDEN_OUTPUTS]
    try:
        run_tool(command, cwd=folder, timeout_s=SECONDS, log=folder / "test.log", name=program.name)
    except ToolRunError as error:
        raise mismatch(error) from None


def _figure(found: Mapping[str, Any]) -> Figure:
    """A line of JSON of the program; KeyError, TypeError or ValueError where it is none."""
    details = {key: found[key] for key in ("machine", "flags", "repeats", "vectors")}
    details |= {"lowest": float(found["lowest_ns"]) / 1e3, "highest": float(found["highest_ns"]) / 1e3}
    return Figure(float(found["ns"]) / 1e3, "us", Provenance.TIMED, TOOL, str(found["compiler"]), details)
