"""hls4ml's own project of the same network, through Vitis HLS and Vivado: C synthesis, co-simulation, synthesis.

hls4ml writes the project and its scripts (``build_prj.tcl``, ``vivado_synth.tcl``); here they are run, with limits, and
their reports read. Figures of C synthesis are the tool's estimates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from codesign.errors import ReportError, ToolRunError
from codesign.measurement import Figure, Measurement, Provenance
from codesign.target import Target
from hw.measure.hls_reports import Synthesis, read_cosim, read_csynth_xml
from hw.measure.optional_tools import VITIS_HLS, VIVADO, no_report, remove_report, run_vendor
from hw.measure.plan import write_files
from hw.measure.report_text import same_part
from hw.measure.tools import LOG_TAIL
from hw.measure.vivado import cell_figures, require_whole
from hw.measure.vivado_reports import read_utilization
from hw.measure.vivado_run import MEMORY_MIB, run_script

PROJECT = "network"
SECONDS = 4 * 3600.0
OTHERWISE = "measure without it"
SYNTHESIS = Path(f"{PROJECT}_prj", "solution1", "syn", "report", f"{PROJECT}_csynth.xml")
COSIMULATION = Path(f"{PROJECT}_prj", "solution1", "sim", "report", f"{PROJECT}_cosim.rpt")
VIVADO_SCRIPT, VIVADO_REPORT = "vivado_synth.tcl", "vivado_synth.rpt"
_CLOCK_NS = 0.006
"""The report writes the clock with two decimals."""
_STEPS = ("reset", "csim", "synth", "cosim", "validation", "export", "vsynth", "fifo_opt")


def csynth(folder: Path, target: Target, *, timeout_s: float = SECONDS) -> Measurement:
    """C synthesis of the project in ``folder``: cells, clock, latency and interval as Vitis HLS estimates them.

    Raises ToolMissingError without Vitis HLS, ToolRunError where it fails, ReportError where its report is not whole
    or of another part, design or clock.
    """
    said = _run(folder, SYNTHESIS, ("reset", "synth"), timeout_s)

    def read() -> Measurement:
        found = read_csynth_xml(folder / SYNTHESIS)
        _hold(folder / SYNTHESIS, found.top, found.part, target)
        if abs(found.clock_target - target.period_ns) > _CLOCK_NS:
            clocks = f"a clock of {found.clock_target:g} ns, not of {target.period_ns:g} ns"
            raise ReportError(f"{folder / SYNTHESIS}:1: the report is of {clocks}")
        return Measurement(dict(_estimates(found)))

    return _with_log(read, said)


def cosim(folder: Path, target: Target, *, timeout_s: float = SECONDS) -> Measurement:
    """Co-simulation of what :func:`csynth` left in ``folder``: latency and interval, simulated.

    Raises as :func:`csynth`; ToolRunError also where the co-simulation fails.
    """
    del target  # it is in the project
    said = _run(folder, COSIMULATION, ("cosim",), timeout_s)

    def read() -> Measurement:
        found = read_cosim(folder / COSIMULATION)
        if not found.passed:
            raise ToolRunError("the co-simulation of hls4ml's project failed")
        figures = {}
        version = read_csynth_xml(folder / SYNTHESIS).version
        for name, cycles in (("latency_cycles", found.latency), ("interval_cycles", found.interval)):
            if cycles is not None:
                details = {"least": cycles[0], **VITIS_HLS.marks(version)}
                tool = "Vitis HLS cosim"
                figures[name] = Figure(cycles[2], "cycles", Provenance.SIMULATED, tool, version, details)
        return Measurement(figures)

    return _with_log(read, said)


def vsynth(folder: Path, target: Target, *, timeout_s: float = SECONDS) -> Measurement:
    """Vivado's synthesis of the RTL that :func:`csynth` left in ``folder``: cells. Raises as :func:`csynth`."""
    program = VIVADO.find(OTHERWISE)
    said = run_script(program, folder, VIVADO_SCRIPT, (VIVADO_REPORT,), timeout_s=timeout_s, phase=lambda _: None)
    if not (folder / VIVADO_REPORT).is_file():
        raise no_report("Vivado", VIVADO_REPORT, said)

    def read() -> Measurement:
        found, path = read_utilization(folder / VIVADO_REPORT), folder / VIVADO_REPORT
        _hold(path, found.header.design, found.header.device, target)
        require_whole(path, found, target)
        # hls4ml's script synthesizes it as a design of its own, with buffers at its ports, and optimizes it
        return Measurement(cell_figures(found, Provenance.SYNTHESIZED, "with input and output buffers"))

    return _with_log(read, said)


def _hold(path: Path, top: str, part: str, target: Target) -> None:
    if top != PROJECT:
        raise ReportError(f"{path}:1: the report is of the design {top!r}, not of {PROJECT!r}")
    if not same_part(part, target.part.name):
        raise ReportError(f"{path}:1: the report is of the part {part!r}, not of {target.part.name!r}")


def _with_log(read: Callable[[], Measurement], said: str) -> Measurement:
    try:
        return read()
    except ToolRunError as error:
        raise type(error)(str(error), said[-LOG_TAIL:]) from None


def _run(folder: Path, report: Path, steps: tuple[str, ...], timeout_s: float) -> str:
    """Run hls4ml's script with these of its steps; what was printed."""
    program = VITIS_HLS.find(OTHERWISE)
    options = "".join(f"  {step} {int(step in steps)}\n" for step in _STEPS)
    write_files(folder, {"build_opt.tcl": f"array set opt {{\n{options}}}\n"})
    remove_report("Vitis HLS", folder / report)
    modern = program.name.startswith("vitis-run")
    arguments = ("--mode", "hls", "--tcl", "build_prj.tcl") if modern else ("-f", "build_prj.tcl")
    said = run_vendor(
        program, arguments, folder, name="Vitis HLS", timeout_s=timeout_s, memory_mib=MEMORY_MIB,
        log=f"{steps[-1]}.log",
    )  # fmt: skip
    if not (folder / report).is_file():
        raise no_report("Vitis HLS", report.name, said)
    return said


def _estimates(found: Synthesis) -> Iterator[tuple[str, Figure]]:
    def figure(value: float, unit: str, provenance: Provenance = Provenance.ESTIMATED, **details: Any) -> Figure:
        marks = VITIS_HLS.marks(found.version)
        return Figure(value, unit, provenance, "Vitis HLS csynth", found.version, details | marks)

    used = found.used
    yield "lut", figure(used.lut, "LUT")
    yield "ff", figure(used.ff, "FF")
    yield "bram", figure(used.bram_18k / 2, "BRAM36")
    yield "dsp", figure(used.dsp, "DSP")
    yield "uram", figure(used.uram, "URAM")
    if found.clock_estimated > 0:  # else there is no logic between its registers
        yield "fmax", figure(1000.0 / found.clock_estimated, "MHz", asked_mhz=1000.0 / found.clock_target)
    for name, cycles in (("latency_cycles", found.latency), ("interval_cycles", found.interval)):
        if cycles is not None:
            least, most = cycles
            known = {} if least is None else {"least": least}
            yield name, figure(most, "cycles", Provenance.SCHEDULED, **known)
