"""Small reports in the form of Vivado's and Vitis HLS', with figures of one's choice, written for these tests.

What real ones look like, and that they are read rightly, is held against real ones by ``test_vendor_reports.py``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


def ruled(rows, heading=None):
    """A table as the tools draw it."""
    lines = [tuple(str(cell) for cell in row) for row in ([heading] if heading else []) + list(rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    drawn = [f"| {' | '.join(cells)} |" for cells in padded]
    if heading:
        drawn.insert(1, rule)
    return "\n".join([rule, *drawn, *([rule] if rows else []), ""])


def section(number, title, table):
    return f"{number}. {title}\n{'-' * (len(title) + 3)}\n\n{table}\n\n"


@dataclass(frozen=True)
class Source:
    """Whose reports these are."""

    part: str = "xc7z020clg400-1"
    design: str = "cdg_network"
    version: str = "2024.1"
    state: str = "Synthesized"

    def header(self, command, device=None, **more):
        entries = {
            "Tool Version": f"Vivado v.{self.version} (lin64) Build 1 Fri Jan  5 10:00:00 MST 2024",
            "Command": f"{command} -file x.rpt",
            "Design": self.design,
            "Device": device or self.part,
            **more,
        }
        if self.state:
            entries["Design State"] = self.state
        rule = "-" * 70
        return "\n".join(["Copyright", rule, *(f"| {key:12} : {text}" for key, text in entries.items()), rule, "", ""])

    def utilization(self, lut=120, memory=20, ff=64, ramb36=1, ramb18=3, dsp=2, uram=0, boxes=()):
        """With a row of URAM for parts of UltraScale+."""
        plus = self.part.startswith("xcz")
        site = "CLB" if plus else "Slice"
        tiles = ramb36 + ramb18 / 2
        columns = ("Site Type", "Used", "Fixed", "Prohibited", "Available", "Util%")

        def row(name, used, available):
            return name, f"{used:g}", 0, 0, available, f"{100 * used / available:.2f}"

        logic = [
            row(f"{site} LUTs*", lut, 53200), row("  LUT as Logic", lut - memory, 53200),
            row("  LUT as Memory", memory, 17400), row(f"{site} Registers", ff, 106400),
        ]  # fmt: skip
        memories = [row("Block RAM Tile", tiles, 140), row("  RAMB36/FIFO*", ramb36, 140), row("  RAMB18", ramb18, 280)]
        memories += [row("URAM", uram, 96)] if plus else []
        titles = (f"{site} Logic", "BLOCKRAM" if plus else "Memory", "ARITHMETIC" if plus else "DSP", "Black Boxes")
        contents = "\n".join(f"{number}. {title}" for number, title in enumerate(titles, 1))
        tables = (
            ruled(logic, columns), ruled(memories, columns), ruled([row("DSPs", dsp, 220)], columns),
            ruled([(name, 1) for name in boxes], ("Ref Name", "Used")),
        )  # fmt: skip
        sections = [section(n, title, table) for n, (title, table) in enumerate(zip(titles, tables, strict=True), 1)]
        last = section(5, "Instantiated Netlists", ruled([], ("Ref Name", "Used")))
        return self.header("report_utilization") + f"Table of Contents\n{contents}\n\n" + "".join(sections) + last

    def timing(self, wns=1.5, whs=0.05, wpws=4.5, period=10.0, endpoints=200):
        """``wns=None``: nothing is timed."""
        names = ("WNS", "TNS", "WHS", "THS", "WPWS", "TPWS")
        heading = " ".join(
            f"{worst}(ns) {total}(ns) {total} Failing Endpoints {total} Total Endpoints"
            for worst, total in zip(names[::2], names[1::2], strict=True)
        )
        slacks = (wns, whs, wpws)
        values = " ".join(
            "NA NA NA NA" if wns is None else f"{slack:.3f} {min(slack, 0):.3f} {int(slack < 0)} {endpoints}"
            for slack in slacks
        )
        met = wns is None or min(slacks) >= 0
        verdict = "All user specified timing constraints are met." if met else "Timing constraints are not met."
        pieces = re.fullmatch(r"(?:xc(7\w+?)|(xcz\w+)-)([a-z]{3,4}\d+)-(\d).*", self.part).groups()
        device, grade = f"{pieces[0] or pieces[1]}-{pieces[2]}", pieces[3]
        clock = f"clk    {{0.000 {period / 2:.3f}}}        {period:.3f}           {1000 / period:.3f}"
        return (
            self.header("report_timing_summary", device, **{"Speed File": f"-{grade}  PRODUCTION 1.12"})
            + f"| Design Timing Summary\n| ---\n\n    {heading}\n    ----\n    {values}\n\n\n{verdict}\n\n\n"
            + f"| Clock Summary\n\nClock  Waveform(ns)  Period(ns)  Frequency(MHz)\n-----  ----\n{clock}\n\n\n"
            + "| Intra Clock Table\n| ---\n"
        )

    def power(self, dynamic=0.012, static=0.106, confidence="Low", activity="---", matched="NA"):
        rows = [
            ("Total On-Chip Power (W)", f"{dynamic + static:.3f}"), ("Dynamic (W)", f"{dynamic:.3f}"),
            ("Device Static (W)", f"{static:.3f}"), ("Effective TJA (C/W)", "11.5"), ("Max Ambient (C)", "83.6"),
            ("Junction Temperature (C)", "26.4"), ("Confidence Level", confidence),
            ("Simulation Activity File", activity), ("Design Nets Matched", matched),
        ]  # fmt: skip
        return self.header("report_power") + section(1, "Summary", ruled(rows))

    def kernel(self, name="network"):
        columns = ("Name", "LUT", "LUTAsMem", "REG", "BRAM", "URAM", "DSP")
        rows = [("Platform", *["1 [  0.10%]"] * 6), (name, *[f"{number} [  1.00%]" for number in (9, 2, 8, 3, 0, 4)])]
        return self.header("report_accelerator_utilization") + section(1, "System Utilization", ruled(rows, columns))


def csynth_xml(part="xc7z020-clg400-1", top="network", version="2023.1", dsp="DSP", latency=(5, 6), lut=700, ff=300):
    """``latency=None``: the tool cannot tell."""
    least, most = latency or ("undef", "undef")

    def element(name, *inner):
        return "\n".join([f"<{name}>", *inner, f"</{name}>"])

    def values(**entries):
        return [f"<{name.replace('__', '-')}>{value}</{name.replace('__', '-')}>" for name, value in entries.items()]

    def resources(**others):
        return values(BRAM_18K=2, **{dsp: 3}, **others)

    cycles = {"Best__caseLatency": least, "Worst__caseLatency": most, "Interval__min": 1, "Interval__max": 1}
    return element(
        "profile",
        element("ReportVersion", *values(Version=version)),
        element("UserAssignments", *values(Part=part, TopModelName=top, TargetClockPeriod=10, ClockUncertainty="2.70")),
        element(
            "PerformanceEstimates",
            element("SummaryOfTimingAnalysis", *values(EstimatedClockPeriod="6.500")),
            element("SummaryOfOverallLatency", *values(**cycles)),
        ),
        element(
            "AreaEstimates",
            element("Resources", *resources(FF=ff, LUT=lut, URAM=0)),
            element("AvailableResources", *resources(FF=106400, LUT=53200, URAM=0)),
        ),
    ) + "\n"  # fmt: skip


def csynth(part="xc7z020-clg400-1", top="network", version="2023.1"):
    timing = ruled([("ap_clk", "10.00 ns", "6.500 ns", "2.70 ns")], ("Clock", "Target", "Estimated", "Uncertainty"))
    heading = ("min", "max", "min", "max", "min", "max", "Type")
    latency = ruled([("5", "6", "50 ns", "60 ns", "1", "1", "function")], heading)
    resources = [("Total", 2, 3, 300, 700, 0), ("Available SLR", 9, 9, 9, 9, 9), ("Available", 9, 8, 7, 6, 5)]
    return (
        f"== Vitis HLS Report for '{top}'\n* Version:        {version} (Build 1)\n* Target device:  {part}\n\n"
        f"+ Timing: \n    * Summary: \n{timing}\n+ Latency: \n    * Summary: \n{latency}\n== Utilization Estimates\n"
        + ruled(resources, ("Name", "BRAM_18K", "DSP", "FF", "LUT", "URAM"))
    )


def cosim(status="Pass", latency=("5", "5", "6"), interval=("NA", "NA", "NA")):
    rule = "+----------+----------+" + "-----------------+" * 2
    cells = "|".join(f"{cell:>5}" for cell in (*latency, *interval))
    return "\n".join(
        [
            "Report time       : Wed Mar 11 03:40:07 PM PDT 2026.",
            rule,
            "|          |          |     Latency     |     Interval    |",
            "+   RTL    +  Status  +-----------------+-----------------+",
            "|          |          | min | avg | max | min | avg | max |",
            rule,
            "|      VHDL|        NA|   NA|   NA|   NA|   NA|   NA|   NA|",
            f"|   Verilog|{status:>10}|{cells}|",
            rule,
            "",
        ]
    )
