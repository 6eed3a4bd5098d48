"""Reports of Vivado HLS and Vitis HLS: C synthesis (XML and text) and co-simulation (2019.2 to 2024.1 were tried).

Every reader raises ReportError, with file and line, for what is damaged, cut short or of another kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree as ET

from hw.measure.report_text import Report, Row

_RESOURCES = ("BRAM_18K", "DSP", "FF", "LUT", "URAM")
# loops whose length the tool cannot tell
_UNKNOWN = ("undef", "?", "-")

Cycles = tuple[float | None, float]
"""The least and the most."""


@dataclass(frozen=True)
class Resources:
    """Cells as C synthesis estimates them; block RAM in halves of 18 Kb."""

    bram_18k: float
    dsp: float
    ff: float
    lut: float
    uram: float


@dataclass(frozen=True)
class Synthesis:
    """What C synthesis estimates. Clocks are in ns, latency and interval in cycles (least and most).

    Cycles are None where the tool says that it cannot tell the most, the least of them where it cannot tell that alone.
    ``available`` counts the whole device.
    """

    version: str
    part: str
    top: str
    clock_target: float
    clock_estimated: float
    clock_uncertainty: float
    latency: Cycles | None
    interval: Cycles | None
    used: Resources
    available: Resources


def read_csynth_xml(path: Path) -> Synthesis:
    """``csynth.xml`` or ``TOP_csynth.xml``."""
    found = _Xml.read(path)
    used = found.resources("AreaEstimates/Resources")
    if not (used.lut or used.ff):
        found.fail("AreaEstimates/Resources/LUT", "the design has no LUT and no register: nothing was synthesized")
    where = "PerformanceEstimates/SummaryOfOverallLatency/"
    return Synthesis(
        version=found.text("ReportVersion/Version"),
        part=found.text("UserAssignments/Part"),
        top=found.text("UserAssignments/TopModelName"),
        clock_target=found.number("UserAssignments/TargetClockPeriod"),
        clock_estimated=found.number("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod"),
        clock_uncertainty=found.number("UserAssignments/ClockUncertainty"),
        latency=found.cycles(f"{where}Best-caseLatency", f"{where}Worst-caseLatency"),
        interval=found.cycles(f"{where}Interval-min", f"{where}Interval-max"),
        used=used,
        available=found.resources("AreaEstimates/AvailableResources"),
    )


@dataclass(frozen=True)
class _Xml:
    report: Report
    root: ET.Element

    @classmethod
    def read(cls, path: Path) -> _Xml:
        report = Report.read(path)
        try:
            root = ET.fromstring("\n".join(report.lines))  # noqa: S314 (written by the tool that was run)
        except ET.ParseError as error:
            report.fail(error.position[0] - 1, f"this is no XML, or not all of it: {error}")
        if root.tag != "profile":
            report.fail(0, f"the root is <{root.tag}>, not the <profile> of C synthesis")
        return cls(report, root)

    def text(self, place: str) -> str:
        found = self.root.findtext(place)
        if found is None or not found.strip():
            self.report.fail(len(self.report.lines) - 1, f"there is no {place}")
        return found.strip()

    def number(self, place: str) -> float:
        text = self.text(place)
        if text.startswith("-"):
            self.fail(place, f"{place} is {text!r}: nothing of C synthesis is less than nothing")
        return self.report.number(text, self._line(place), place)

    def fail(self, place: str, message: str) -> NoReturn:
        """Raise ReportError for the line of what is at ``place``."""
        self.report.fail(self._line(place), message)

    def _line(self, place: str) -> int:
        said, lines = f"<{place.rsplit('/', 1)[-1]}>{self.text(place)}", self.report.lines
        return next((number for number, line in enumerate(lines) if said in line), len(lines) - 1)

    def cycles(self, least: str, most: str) -> Cycles | None:
        known = [None if self.text(place) in _UNKNOWN else self.number(place) for place in (least, most)]
        return _ordered(self.report, len(self.report.lines) - 1, *known)

    def resources(self, place: str) -> Resources:
        dsp = "DSP48E" if self.root.find(f"{place}/DSP48E") is not None else "DSP"
        return Resources(*(self.number(f"{place}/{dsp if name == 'DSP' else name}") for name in _RESOURCES))


def read_csynth(path: Path) -> Synthesis:
    """The text report ``TOP_csynth.rpt``."""
    report = Report.read(path)
    title = report.find(r"== (Vivado|Vitis) HLS Report for '.*'", "the title of a report of C synthesis")

    def entry(name: str) -> str:
        line = report.find(rf"\* {name}:\s+\S.*", f"an entry {name!r}", title)
        return report.lines[line].partition(":")[2].strip()

    version, part = entry("Version"), entry("Target device")
    timing = report.table(report.find(r"\+ Timing.*", "its part on timing", title), heading=False)
    clock = timing.rows[-1]
    times = [report.number(_nanoseconds(cell), clock.line, "a clock period") for cell in clock.cells[1:]]
    latency = report.table(report.find(r"\+ Latency.*", "its part on latency", clock.line), heading=False)
    cycles = latency.rows[-1]
    if len(times) != 3 or len(cycles.cells) != 7:
        report.fail(cycles.line, "the tables of clock and latency have other columns than are known here")
    used, available = _resources(report, report.find(r"== Utilization Estimates", "its part on resources"))
    return Synthesis(
        version=version.split()[0],
        part=part,
        top=report.lines[title].split("'")[1],
        clock_target=times[0],
        clock_estimated=times[1],
        clock_uncertainty=times[2],
        latency=_cycles(report, cycles, 0),
        interval=_cycles(report, cycles, 4),
        used=used,
        available=available,
    )


def _nanoseconds(cell: str) -> str:
    return cell.removesuffix("ns").strip()


def _cycles(report: Report, row: Row, first: int) -> Cycles | None:
    cells = row.cells[first : first + 2]
    known = [None if cell in _UNKNOWN else report.number(cell, row.line, "a number of cycles") for cell in cells]
    return _ordered(report, row.line, *known)


def _ordered(report: Report, line: int, least: float | None, most: float | None) -> Cycles | None:
    if most is None:
        return None
    if least is not None and least > most:
        report.fail(line, f"the least number of cycles is {least:g}, more than the most, {most:g}")
    return least, most


def _resources(report: Report, start: int) -> tuple[Resources, Resources]:
    table = report.table(start)

    def of(name: str) -> Resources:
        row = table.row([name])
        assert row is not None
        dsp = "DSP48E" if "DSP48E" in table.rows[0].cells else "DSP"
        return Resources(*(table.get(row, dsp if column == "DSP" else column) for column in _RESOURCES))

    return of("Total"), of("Available")


@dataclass(frozen=True)
class Cosimulation:
    """Whether the RTL gave what the C program gives. Cycles (least, mean, most) are None where it says NA."""

    passed: bool
    latency: tuple[float, float, float] | None
    interval: tuple[float, float, float] | None


def read_cosim(path: Path) -> Cosimulation:
    """``TOP_cosim.rpt``: its row of Verilog."""
    report = Report.read(path)
    heading = report.find(r"\+\s+RTL\s+\+\s+Status\s+\+.*", "the table of a co-simulation")
    row = report.find(r"\|\s+Verilog\|.*", "a row of Verilog", heading)
    rule = report.lines[heading - 2].rstrip()
    cells = [cell.strip() for cell in report.lines[row].strip().strip("|").split("|")]
    last = report.lines[row + 1].rstrip() if row + 1 < len(report.lines) else ""
    if len(cells) not in (8, 9) or len(report.lines[row].rstrip()) != len(rule) or last != rule:
        report.fail(row, "the row of Verilog breaks off, or the table does behind it")
    if cells[1] not in ("Pass", "Fail"):
        report.fail(row, f"the co-simulation of Verilog has the status {cells[1]!r}: it was not run to its end")
    return Cosimulation(cells[1] == "Pass", _triple(report, row, cells[2:5]), _triple(report, row, cells[5:8]))


def _triple(report: Report, row: int, cells: list[str]) -> tuple[float, float, float] | None:
    if set(cells) == {"NA"}:
        return None
    least, mean, most = (report.number(cell, row, "a number of cycles") for cell in cells)
    return least, mean, most
