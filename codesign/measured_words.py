"""A measured model in the terminal: the stage under way, then its figures."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from codesign.architecture import Mode
from codesign.candidate_words import figure_table, number_words
from codesign.counting import number_of
from codesign.fmax_trust import fmax_caveat
from codesign.instruments import HLS, best
from codesign.latencies import PROCESSORS
from codesign.measurement import Figure
from codesign.measuring import Measured
from codesign.reading import Reading
from codesign.reading_words import LOG_LINES, beside_processors
from hw.implement import Announce
from hw.measure.cache import SETTING

_ROWS = (
    ("lut", "LUT"), ("ff", "FF"), ("bram", "BRAM36"), ("dsp", "DSP"), ("uram", "URAM"), ("fmax", "Fmax (MHz)"),
    ("latency_cycles", "latency (cycles)"), ("interval_cycles", "interval (cycles)"), ("power", "power (W)"),
)  # fmt: skip

_RTL = "RTL (ours)"
_CACHED = (
    "its run time is no measure of how long it takes: netlist or simulator were made before and came out of the cache; "
    f"with {SETTING}= (nothing) in front of the command all is made anew"
)
_NARROW = 12
"""Columns of a caveat, so that five instruments have room beside each other."""


@contextmanager
def announcing() -> Iterator[Announce]:
    """Shows on standard error which stage runs; gives what announces one."""
    console = Console(stderr=True)
    with console.status("starting") as status:

        @contextmanager
        def announce(name: str) -> Iterator[None]:
            status.update(name)
            yield

        yield announce


def print_measured(measured: Measured, out: Path | None, *, as_json: bool) -> None:
    """Print the figures, each with its provenance, the layers' schedule, and the notes."""
    if as_json:
        print(json.dumps(measured.to_json(), indent=2))  # noqa: T201
        return
    console, subject = Console(), measured.subject
    target, hardware = subject.target, subject.hardware
    mode = "parallel" if hardware.mode == "parallel" else f"folded to {number_of(hardware.folding, 'cycle')}"
    if hardware.mode == "folded" and measured.design.interval_cycles > hardware.folding:
        mode += f", which gives a frame every {measured.design.interval_cycles}"
    mode = subject.goal.words() if subject.goal else mode
    console.print(f"{subject.name} on {target.words()} at {target.clock_mhz:g} MHz, {mode}", highlight=False)
    console.print(figure_table(dict(measured.measurement.figures), hardware.mode))
    if any(reading.instrument not in PROCESSORS for reading in measured.readings):
        console.print(_side_by_side(measured))
        if measured.cached:
            console.print(Text(f"{_RTL}: {_CACHED}"), soft_wrap=True)
    for reading in measured.readings:
        for text in [reading.reason, *reading.log.strip().splitlines()[-LOG_LINES:], *reading.warnings]:
            if text:
                console.print(Text(f"{reading.source}: {text}"), soft_wrap=True)
    if latencies := measured.latencies():
        console.print(beside_processors(latencies))
    for note in measured.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)
    if out is not None:
        console.print(Text(f"RTL, golden vectors, README and report.json are in {out}"), soft_wrap=True)


def _side_by_side(measured: Measured) -> Table:
    """The instruments' figures beside ours, each with its provenance below it; ``-`` where there is none."""
    groups = dict[str, list[Reading]]()
    for reading in (reading for reading in measured.readings if reading.instrument not in PROCESSORS):
        title = "HLS (hls4ml)" if reading.instrument.startswith(HLS) else reading.instrument.replace("-", "-\n")
        groups.setdefault(title, []).append(reading)
    columns = {_RTL: (dict(measured.measurement.figures), measured.seconds)}
    columns |= {name: (best(found), sum(reading.seconds for reading in found)) for name, found in groups.items()}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("", *columns):
        table.add_column(title, justify="right" if title else "left", overflow="fold")
    differing = [figures.get("mismatches", figures.get("csim_mismatches")) for figures, _ in columns.values()]
    table.add_row("differing vectors", *(_vectors(figure) for figure in differing))
    for name, words in _ROWS:
        figures = [found.get(name) for found, _ in columns.values()]
        if any(figures):
            table.add_row(words, *(_cell(figure, measured.subject.hardware.mode) for figure in figures))
    times = {title: f"{seconds:.1f}" for title, (_, seconds) in columns.items()}
    times[_RTL] += "\ncached" if measured.cached else ""
    table.add_row("run time (s)", *times.values())
    return table


def _vectors(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.value:.0f} of {figure.details['vectors']}"


def _cell(figure: Figure | None, mode: Mode) -> str:
    if figure is None:
        return "-"
    said = (*figure.marks.split(", "), fmax_caveat(figure, mode))
    below = [line for text in said for line in textwrap.wrap(text, _NARROW)]
    return "\n".join([f"{'≥ ' if figure.bound else ''}{number_words(figure.value)}", *below])
