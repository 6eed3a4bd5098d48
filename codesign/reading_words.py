"""What instruments that were asked for said of a candidate, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich import box
from rich.table import Table

from codesign.board_loop.words import results_of, where
from codesign.latencies import latencies
from codesign.measurement import Figure
from codesign.reading import Reading
from codesign.record import Record
from codesign.run import Run

LOG_LINES = 5


def readings_of(run: Run, digest: str) -> list[Reading]:
    """The last reading by each instrument of one candidate."""
    return list({one.instrument: one for found, one in run.readings if found == digest}.values())


def latencies_of(run: Run, record: Record) -> list[dict[str, Any]]:
    """One inference of a candidate on the FPGA, on boards that ran it, and on processors; empty without the latter."""
    if record.measurement is None:
        return []
    ran = [
        (where(result), result.measurement)
        for result in results_of(run, record.digest)
        if result.failed_at is None and result.measurement and "board_latency_us" in result.measurement.figures
    ]
    return latencies(record.measurement, run.task.target, readings_of(run, record.digest), ran)


def reading_lines(run: Run, digest: str) -> list[str]:
    """For a terminal: figures by tool with their day, or why there are none and the end of the log."""
    lines = []
    for one in readings_of(run, digest):
        if one.status != "ok":
            lines.append(f"{one.instrument}: {one.status}: {one.reason}")
            lines += [f"    {text}" for text in one.log.strip().splitlines()[-LOG_LINES:]]
        for origin, group in groupby(one.figures.figures.items(), lambda item: origin_words(item[1])):
            named = ", ".join(f"{name} {value_words(figure)} {figure.unit}" for name, figure in group)
            lines.append(f"{one.instrument}: {named} ({origin})")
    return lines


def origin_words(figure: Figure) -> str:
    """How a figure came to be, by what, and when."""
    return f"{figure.marks} by {figure.tool} {figure.version}, {figure.date}"


def value_words(figure: Figure) -> str:
    """A figure's number; of a bound, that it is one."""
    return ("≥ " if figure.bound else "") + f"{figure.value:,.6g}"


def beside_processors(found: Sequence[Mapping[str, Any]]) -> Table:
    """One inference on the FPGA and on processors, for a terminal."""
    title = "one inference, batch 1, one thread; energy: - where it was not measured"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("on", "source") else "right", overflow="fold")
    for line in found:
        table.add_row(*processor_cells(line))
    return table


HEADINGS = ("on", "time (us)", "times the FPGA's", "energy (uJ)", "source")


def processor_cells(line: Mapping[str, Any]) -> tuple[str, ...]:
    """A line of :func:`codesign.latencies.latencies` under :data:`HEADINGS`."""
    energy = "-" if line["uj"] is None else f"{line['uj']:.4g}"
    return line["on"], f"{line['us']:.4g}", f"{line['times_fpga']:.3g}", energy, line["source"]
