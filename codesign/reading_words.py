"""What instruments that were asked for said of a candidate, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich import box
from rich.table import Table

from codesign.board_loop.words import of_design, results_of, where
from codesign.latencies import latencies
from codesign.measurement import Figure
from codesign.reading import Reading
from codesign.record import Record
from codesign.run import Run

LOG_LINES = 5


def readings_of(run: Run, record: Record) -> list[Reading]:
    """Of each instrument the last reading that gave figures, and behind it the last one since, if that gave none.

    Of the design that stands for the candidate. Figures count until the instrument gives others; on each board it is
    another instrument.
    """
    good, since = dict[str, Reading](), dict[str, Reading]()
    for one in _of_design(run, record):
        if one.status == "ok":
            since.pop(one.source, None)
        (good if one.status == "ok" else since)[one.source] = one
    return [kept[name] for name in good | since for kept in (good, since) if name in kept]


def status_words(one: Reading, shown: Sequence[Reading]) -> str:
    """How a reading among ``shown`` ended; of one without figures also whether earlier ones stand."""
    stand = one.status != "ok" and any(each.source == one.source for each in shown if each.status == "ok")
    return f"{one.status} since (its figures before that stand)" if stand else one.status


def _of_design(run: Run, record: Record) -> list[Reading]:
    return [
        one
        for digest, one in run.readings
        if digest == record.digest and run.designs.of(digest, one.design) == record.design
    ]


def latencies_of(run: Run, record: Record) -> list[dict[str, Any]]:
    """One inference of a candidate on the FPGA, on boards that ran it, and on processors; empty without the latter."""
    if record.measurement is None:
        return []
    ran = [
        (where(result), result.measurement)
        for result in results_of(run, record.digest)
        if result.failed_at is None and result.measurement and "board_latency_us" in result.measurement.figures
        if of_design(run, result, record)
    ]
    return latencies(record.measurement, run.task.target, readings_of(run, record), ran)


def reading_lines(run: Run, record: Record) -> list[str]:
    """For a terminal: figures by tool with their day, or why there are none and the end of the log."""
    lines = []
    shown = readings_of(run, record)
    for one in shown:
        if one.status != "ok":
            lines.append(f"{one.source}: {status_words(one, shown)}: {one.reason}")
            lines += [f"    {text}" for text in one.log.strip().splitlines()[-LOG_LINES:]]
        for origin, group in groupby(one.figures.figures.items(), lambda item: origin_words(item[1])):
            named = ", ".join(f"{name} {value_words(figure)} {figure.unit}" for name, figure in group)
            lines.append(f"{one.source}: {named} ({origin})")
        lines += [f"{one.source}: {text}" for text in one.warnings]
    others = sum(digest == record.digest for digest, _ in run.readings) - len(_of_design(run, record))
    if others:
        lines.append(f"readings of other trainings of this candidate, which are other hardware: {others}, in --json")
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
