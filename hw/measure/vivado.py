"""Vivado as an instrument: a design synthesized out of context, and placed and routed where asked; its own reports.

The ports are the boundary: no pins, no shell. Logic between a port and a register counts as that between registers:
``set_max_delay -datapath_only`` leaves out the skew of a clock network that is not there (UG905, "Timing Constraints";
UG903, "Set Max Delay"). Power is report_power's estimate, with assumed activity or that of a simulation at the ports.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from codesign.errors import ReportError, TargetError
from codesign.measurement import ASSUMED, Figure, Measurement, Provenance
from codesign.target import Target
from hw.design import Design
from hw.measure import saif
from hw.measure.optional_tools import VIVADO, no_report
from hw.measure.plan import BuildPlan, write_files
from hw.measure.report_text import Header, same_part
from hw.measure.tools import LOG_TAIL
from hw.measure.vivado_reports import (
    Power,
    TimingSummary,
    Utilization,
    read_power,
    read_timing_summary,
    read_utilization,
)
from hw.measure.vivado_run import Phase, run_script

SCRIPT, CONSTRAINTS = "measure.tcl", "measure.xdc"
SYNTHESIS_SECONDS, ROUTING_SECONDS = 3600.0, 4 * 3600.0
CLOCK = "clk"
FASTEST_NS = 0.05
"""Half of the least from clock to output in ``delays.toml``, a register's of UltraScale+."""
REPORTS = ("utilization.rpt", "timing.rpt", "power.rpt")
_UNMATCHED = (
    "Vivado found no net of the design but its clock in the simulated activity that it was given: its power is by "
    "activity that it assumes"
)
_STATES = {Provenance.SYNTHESIZED: "Synthesized", Provenance.ROUTED: "Routed"}


def plan(design: Design, target: Target, version: str, *, route: bool, activity: str = "") -> BuildPlan:
    """What would be run; ``version`` is that of the Vivado there is. Raises TargetError for a part that is no name.

    ``activity``: a SAIF file's content (:mod:`hw.measure.saif`), by which power is then estimated.
    """
    part = target.part.name
    if not part.replace("-", "").replace("_", "").isalnum():  # it becomes Tcl
        raise TargetError(f"part {part!r} is no name of a part; correct the part's file")
    sources = [name for name in design.files if name.endswith((".sv", ".v"))]
    steps = [
        'puts "codesign: phase synthesis"',
        f"create_project -in_memory -part {part}",
        *(f"read_verilog {'-sv ' if name.endswith('.sv') else ''}{name}" for name in sources),
        f"read_xdc -mode out_of_context {CONSTRAINTS}",
        f"synth_design -top {design.top} -part {part} -mode out_of_context",
    ]
    if route:
        steps += ['puts "codesign: phase placement"', "opt_design", "place_design", "phys_opt_design"]
        steps += ['puts "codesign: phase routing"', "route_design"]
    reports = zip(("report_utilization", "report_timing_summary", "report_power"), REPORTS, strict=True)
    steps += [saif.reading(design.top)] if activity else []
    steps += ['puts "codesign: phase reports"', *(f"{command} -file {name}" for command, name in reports)]
    title = f"# {design.top} out of context for {part}. In this folder: vivado -mode batch -source {SCRIPT}"
    files = {**design.files, CONSTRAINTS: _constraints(target)} | ({saif.FILE: activity} if activity else {})
    return BuildPlan(files, "\n".join([title, *steps]) + "\n", VIVADO.name, version, design.top)


def _period(target: Target) -> float:
    return round(target.period_ns, 3)  # Vivado counts whole picoseconds


def _constraints(target: Target) -> str:
    period = f"{_period(target):.3f}"
    inputs = f"[get_ports -filter {{DIRECTION == IN && NAME != {CLOCK}}}]"
    return "\n".join(
        [
            f"create_clock -name {CLOCK} -period {period} [get_ports {CLOCK}]",
            f"set_max_delay -datapath_only -from {inputs} {period}",
            f"set_max_delay -datapath_only -from [get_clocks {CLOCK}] -to [all_outputs] {period}",
            "",
        ]
    )


def measure(
    design: Design,
    target: Target,
    folder: Path,
    *,
    route: bool = False,
    activity: str = "",
    timeout_s: float | None = None,
    phase: Phase = lambda _: None,
) -> Measurement:
    """Figures ``lut, ff, bram, dsp, uram, fmax, setup_slack, power`` of the synthesized or the routed design.

    Sources, script, reports and logs stay in ``folder``. Raises ToolMissingError without Vivado, ToolRunError where it
    fails, hangs, has no licence or runs out of memory, ReportError where a report is not whole or of something else.
    """
    program = VIVADO.find("measure without it")
    version = VIVADO.version_of(program)
    build = plan(design, target, version, route=route, activity=activity)
    write_files(folder, {**build.files, SCRIPT: build.script})
    limit = timeout_s or (ROUTING_SECONDS if route else SYNTHESIS_SECONDS)
    said = run_script(program, folder, SCRIPT, REPORTS, timeout_s=limit, phase=phase)
    missing = [name for name in REPORTS if not (folder / name).is_file()]
    if missing:
        raise no_report("Vivado", missing[0], said)
    try:
        provenance = Provenance.ROUTED if route else Provenance.SYNTHESIZED
        return read(folder, design, target, provenance, simulated=bool(activity))
    except ReportError as error:
        raise ReportError(str(error), said[-LOG_TAIL:]) from None


def read(folder: Path, design: Design, target: Target, provenance: Provenance, *, simulated: bool) -> Measurement:
    """The figures of the reports in ``folder``; ReportError where they are not of this design, part and clock.

    ``simulated``: whether Vivado was given simulated activity to estimate power by.
    """
    cells, timing, power = (
        reader(folder / name)
        for reader, name in zip((read_utilization, read_timing_summary, read_power), REPORTS, strict=True)
    )
    assert isinstance(cells, Utilization)
    assert isinstance(timing, TimingSummary)
    assert isinstance(power, Power)
    for name, header in zip(REPORTS, (cells.header, timing.header, power.header), strict=True):
        _hold(folder / name, header, design, target)
    state = cells.header.state
    if state != _STATES[provenance]:
        raise ReportError(f"{folder / REPORTS[0]}:1: the report is of a design that is {state}, not {provenance}")
    require_whole(folder / REPORTS[0], cells, target)
    return Measurement(
        {
            **cell_figures(cells, provenance, "out of context"),
            **_timing(folder / REPORTS[1], timing, target, provenance),
            "power": power_figure(power, provenance, simulated=simulated),
        }
    )


def _hold(path: Path, header: Header, design: Design, target: Target) -> None:
    if header.design != design.top:
        raise ReportError(f"{path}:1: the report is of the design {header.design!r}, not of {design.top!r}")
    if not same_part(header.device, target.part.name):
        raise ReportError(f"{path}:1: the report is of the part {header.device!r}, not of {target.part.name!r}")


def require_whole(path: Path, cells: Utilization, target: Target) -> None:
    """ReportError where the counts are not all of the design, or the row of URAM is missing of a part that has some."""
    if cells.black_boxes:
        names = ", ".join(cells.black_boxes)
        raise ReportError(f"{path}:1: the counts are without what is in the black boxes {names}")
    if cells.uram is None and target.part.resources.get("uram"):
        raise ReportError(f"{path}:1: the report has no row 'URAM', but {target.part.name} has some")


def cell_figures(cells: Utilization, provenance: Provenance, context: str) -> dict[str, Figure]:
    """``lut, ff, bram, dsp``, and ``uram`` where the device has some; ``context``: what was around the design."""
    version = cells.header.version
    marks = {"context": context, "state": cells.header.state, **VIVADO.marks(version)}
    logic: Mapping[str, Any] = {"logic": cells.lut_logic, "memory": cells.lut_memory}
    counts = {"lut": ("LUT", cells.lut), "ff": ("FF", cells.ff), "bram": ("BRAM36", cells.bram)}
    counts["dsp"] = ("DSP", cells.dsp)
    if cells.uram is not None:
        counts["uram"] = ("URAM", cells.uram)
    return {
        name: Figure(used.used, unit, provenance, "Vivado", version, {**(logic if name == "lut" else {}), **marks})
        for name, (unit, used) in counts.items()
    }


def _timing(path: Path, timing: TimingSummary, target: Target, provenance: Provenance) -> dict[str, Figure]:
    period = _period(target)
    if timing.periods_ns != {CLOCK: period}:
        raise ReportError(f"{path}:1: the clocks are {timing.periods_ns} ns, not {CLOCK} of {period} ns")
    if timing.setup is None:
        raise ReportError(f"{path}:1: nothing in the design is timed")
    version, slack = timing.header.version, timing.setup.worst
    nets = "routed" if provenance is Provenance.ROUTED else "estimated before placement"
    details = {"asked_mhz": target.clock_mhz, "nets": nets, **VIVADO.marks(version)}
    return {
        "fmax": fmax_figure(f"{path}:1", period, slack, provenance, version, details),
        "setup_slack": Figure(slack, "ns", provenance, "Vivado", version, details),
    }


def fmax_figure(
    where: str, period_ns: float, slack_ns: float, provenance: Provenance, version: str, details: Mapping[str, Any]
) -> Figure:
    """MHz by the worst setup slack. A lower bound where setup is met, whatever hold is: nobody asked for more.

    ReportError, saying ``where``, of a slack that leaves less than any register takes.
    """
    path_ns = period_ns - slack_ns
    if path_ns < FASTEST_NS:
        left = f"a setup slack of {slack_ns:g} ns leaves {path_ns:.3g} of the clock's {period_ns:g} ns"
        raise ReportError(f"{where}: {left}, less than any register takes ({FASTEST_NS:g} ns)")
    return Figure(1000.0 / path_ns, "MHz", provenance, "Vivado", version, {**details, "lower_bound": slack_ns >= 0})


def power_figure(power: Power, provenance: Provenance, *, simulated: bool) -> Figure:
    """Watts of the whole device, an estimate whatever the netlist it is made from.

    A file of activity is named in the report whether or not its nets are the design's; of nets matched one is the
    clock's, which the constraints give.
    """
    taken = bool(power.activity) and (power.nets_matched is None or power.nets_matched > 1)
    details = {
        "dynamic_w": power.dynamic_w,
        "static_w": power.static_w,
        "confidence": power.confidence,
        "activity": PurePath(power.activity).name if taken else ASSUMED,  # its folder is nobody's business
        "netlist": provenance.value,
        **({"warning": _UNMATCHED} if simulated and not taken else {}),
        **VIVADO.marks(power.header.version),
    }
    return Figure(power.total_w, "W", Provenance.ESTIMATED, "Vivado report_power", power.header.version, details)
