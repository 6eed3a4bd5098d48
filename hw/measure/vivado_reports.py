"""Vivado's report_utilization, report_timing_summary and report_power as figures (2018.3 to 2025.2 were tried).

hls4ml's ``vivado_synth.rpt`` is a report_utilization. Every reader raises ReportError, with file and line, for what is
damaged, cut short or of another kind. None stands only where the report itself says that there is no such figure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hw.measure.report_text import Header, Report, Row, Table

_MET = "All user specified timing constraints are met."
_NOT_MET = "Timing constraints are not met."
_SLACKS = (("WNS", "TNS"), ("WHS", "THS"), ("WPWS", "TPWS"))
# percentages and powers are rounded, each by itself
_PERCENT, _WATT = 0.0101, 0.00201


@dataclass(frozen=True)
class Used:
    """Sites that a design uses, of those that the device has."""

    used: float
    available: float


@dataclass(frozen=True)
class Utilization:
    """What a netlist occupies. ``bram`` is in tiles of 36 Kb; ``uram`` is None on devices that have none.

    ``black_boxes`` are modules whose content is not in the netlist, and so not in the counts.
    """

    header: Header
    lut: Used
    lut_logic: float
    lut_memory: float
    ff: Used
    bram: Used
    ramb36: float
    ramb18: float
    uram: Used | None
    dsp: Used
    black_boxes: tuple[str, ...]


def read_utilization(path: Path) -> Utilization:
    """A report_utilization of a whole design, which has a LUT or a register, or black boxes in their place."""
    report = Report.read(path)
    header = Header.read(report, "report_utilization")
    logic = report.table(report.section("Slice Logic|CLB Logic"))
    memory = report.table(report.section("Memory|BLOCKRAM"))
    arithmetic = report.table(report.section("DSP|ARITHMETIC"))
    boxes = report.section("Black Boxes")
    report.section("Instantiated Netlists", boxes)  # what is before it is whole
    uram = memory.row(["URAM"], missing=True)
    tiles = _row(memory, "Block RAM Tile")
    found = Utilization(
        header=header,
        lut=_used(logic, _row(logic, "Slice LUTs", "CLB LUTs")),
        lut_logic=logic.get(_row(logic, "LUT as Logic"), "Used"),
        lut_memory=logic.get(_row(logic, "LUT as Memory"), "Used"),
        ff=_used(logic, _row(logic, "Slice Registers", "CLB Registers")),
        bram=_used(memory, tiles),
        ramb36=memory.get(_row(memory, "RAMB36/FIFO"), "Used"),
        ramb18=memory.get(_row(memory, "RAMB18"), "Used"),
        uram=None if uram is None else _used(memory, uram),
        dsp=_used(arithmetic, _row(arithmetic, "DSPs")),
        black_boxes=tuple(row.cells[0] for row in report.table(boxes).rows[1:]),
    )
    if found.lut.used != found.lut_logic + found.lut_memory:
        report.fail(logic.rows[0].line, f"{found.lut.used:g} LUTs are not those of logic and memory together")
    if found.bram.used != found.ramb36 + found.ramb18 / 2:
        report.fail(tiles.line, f"{found.bram.used:g} block RAM tiles are not RAMB36 and half of RAMB18 together")
    if not (found.lut.used or found.ff.used or found.black_boxes):
        report.fail(logic.rows[1].line, "the design has no LUT and no register: nothing was synthesized")
    return found


def _row(table: Table, *names: str) -> Row:
    row = table.row(names)
    assert row is not None
    return row


def _used(table: Table, row: Row) -> Used:
    """A row's counts, held against the percentage that Vivado derived from them."""
    found = Used(table.get(row, "Used"), table.get(row, "Available"))
    text = row.cells[table.column("Util%")]
    percent = table.report.number(text.removeprefix("<"), row.line, f"{row.cells[0]}, Util%")
    share = 100 * found.used / found.available if found.available else percent
    if abs(share - percent) > _PERCENT:
        table.report.fail(row.line, f"{found.used:g} of {found.available:g} {row.cells[0]} are not {text} %")
    return found


@dataclass(frozen=True)
class KernelUtilization:
    """What one kernel occupies in a Vitis platform; ``bram`` in tiles of 36 Kb."""

    header: Header
    lut: float
    lut_memory: float
    ff: float
    bram: float
    uram: float
    dsp: float


def read_kernel_utilization(path: Path, kernel: str) -> KernelUtilization:
    """The row ``kernel`` of a report_accelerator_utilization, as Vitis writes it."""
    report = Report.read(path)
    header = Header.read(report, "report_accelerator_utilization")
    table = report.table(report.section("System Utilization"))
    row = _row(table, kernel)

    def count(name: str) -> float:
        text = row.cells[table.column(name)]
        found = re.fullmatch(r"(\S+)\s+\[\s*[\d.]+%\]", text)
        return report.number(found[1] if found else text, row.line, f"{kernel}, {name}")

    columns = ("LUT", "LUTAsMem", "REG", "BRAM", "URAM", "DSP")
    return KernelUtilization(header, *(count(name) for name in columns))


@dataclass(frozen=True)
class Slack:
    """Worst slack and the sum of all negative ones, in ns; how many end points fail, of how many."""

    worst: float
    total: float
    failing: int
    endpoints: int


@dataclass(frozen=True)
class TimingSummary:
    """Slacks of setup, hold and pulse width: None where the report says NA, which is where nothing is timed.

    ``met`` is what the report says in words, and it says so too where nothing is timed. ``periods_ns`` by clock.
    """

    header: Header
    setup: Slack | None
    hold: Slack | None
    pulse_width: Slack | None
    met: bool
    periods_ns: dict[str, float]


def read_timing_summary(path: Path) -> TimingSummary:
    """A report_timing_summary of a design with timing constraints."""
    report = Report.read(path)
    header = Header.read(report, "report_timing_summary")
    heading = report.find(r"\s+WNS\(ns\)\s.*", "its table of slacks", report.find(r"\| Design Timing Summary", "one"))
    names = [name for pair in _SLACKS for name in (f"{pair[0]}(ns)", f"{pair[1]}(ns)", pair[1], pair[1])]
    plain = re.sub(r" (Failing|Total) Endpoints", "", report.lines[heading]).split()
    if plain != names:
        report.fail(heading, f"the summary has other columns than {', '.join(dict.fromkeys(names))}")
    line = heading + 2
    values = report.lines[line].split() if line < len(report.lines) else []
    if len(values) != len(names):
        report.fail(min(line, len(report.lines) - 1), f"the summary has {len(values)} figures, not {len(names)}")
    setup, hold, pulse_width = (_slack(report, line, values[first : first + 4]) for first in (0, 4, 8))
    said = report.find(r"All user specified .*|Timing constraints are not .*|There are no user .*", "a verdict", line)
    if report.lines[said].strip() not in (_MET, _NOT_MET):
        report.fail(said, f"no timing was analysed: {report.lines[said].strip()!r}")
    met = report.lines[said].strip() == _MET
    if met != all(slack is None or slack.worst >= 0 for slack in (setup, hold, pulse_width)):
        report.fail(said, f"the verdict {report.lines[said].strip()!r} does not go with the slacks of line {line + 1}")
    return TimingSummary(header, setup, hold, pulse_width, met, _clocks(report, said))


def _slack(report: Report, line: int, values: list[str]) -> Slack | None:
    if set(values) == {"NA"}:
        return None
    worst, total, failing, endpoints = (report.number(text, line, "a slack or count") for text in values)
    if (worst < 0) != (failing > 0) or (total < 0) != (failing > 0) or failing > endpoints:
        report.fail(line, f"slacks and counts {' '.join(values)!r} do not go together")
    return Slack(worst, total, int(failing), int(endpoints))


def _clocks(report: Report, start: int) -> dict[str, float]:
    """Periods of the clock summary, whose end is the heading of the next table."""
    first = report.find(r"Clock\s+Waveform\(ns\)\s+Period\(ns\).*", "a table of clocks", start) + 2
    end = report.find(r"\| Intra Clock Table", "the tables behind that of the clocks", first)
    periods = {}
    for number in range(first, end):
        text = report.lines[number]
        if "{" not in text:
            continue
        found = re.fullmatch(r"\s*(\S.*?)\s+\{[^}]*\}\s+(\S+)\s+(\S+)\s*", text)
        if found is None:
            report.fail(number, f"{text.strip()!r} is no clock with a period and a frequency")
        periods[found[1]] = report.number(found[2], number, "a period")
    if not periods:
        report.fail(end, "the table of clocks before this line is empty")
    return periods


@dataclass(frozen=True)
class Power:
    """Watts as report_power estimates them; those it gives as below a milliwatt are that milliwatt.

    ``confidence`` and ``activity`` (file of simulated activity, or empty) say how much stands behind them, and
    ``nets_matched`` how many nets of the design that file has, or None where the report does not say.
    """

    header: Header
    total_w: float
    dynamic_w: float
    static_w: float
    theta_ja_c_per_w: float
    max_ambient_c: float
    junction_c: float
    confidence: str
    activity: str
    nets_matched: int | None


def read_power(path: Path) -> Power:
    """A report_power."""
    report = Report.read(path)
    header = Header.read(report, "report_power")
    table = report.table(report.section("Summary"), heading=False)

    def value(name: str) -> float:
        row = _row(table, name)
        # too hot a device is said behind the number, in parentheses
        text = re.sub(r"\s+\(.*\)", "", row.cells[1]).removeprefix("<")
        return report.number(text, row.line, name)

    names = ("Total On-Chip Power (W)", "Dynamic (W)", "Device Static (W)")
    total, dynamic, static = (value(name) for name in names)
    if abs(total - dynamic - static) > _WATT:
        report.fail(_row(table, names[0]).line, f"{total:g} W are not dynamic {dynamic:g} and static {static:g} W")
    activity = _row(table, "Simulation Activity File").cells[1]
    matched = re.search(r"(\d+)\s*/\s*\d+", _row(table, "Design Nets Matched").cells[1])
    return Power(
        header=header,
        total_w=total,
        dynamic_w=dynamic,
        static_w=static,
        theta_ja_c_per_w=value("Effective TJA (C/W)"),
        max_ambient_c=value("Max Ambient (C)"),
        junction_c=value("Junction Temperature (C)"),
        confidence=_row(table, "Confidence Level").cells[1],
        activity="" if set(activity) <= {"-"} else activity,
        nets_matched=int(matched[1]) if matched else None,
    )
