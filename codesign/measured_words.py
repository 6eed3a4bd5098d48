"""A measured model in the terminal: the stage under way, then its figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

from codesign.measuring import Measured
from codesign.show import figure_table
from hw.implement import Announce


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
    mode = "parallel" if hardware.mode == "parallel" else f"folded to {hardware.folding} cycles"
    mode = subject.goal.words() if subject.goal else mode
    console.print(f"{subject.name} on {target.words()} at {target.clock_mhz:g} MHz, {mode}", highlight=False)
    console.print(figure_table(dict(measured.measurement.figures), hardware.mode))
    for note in measured.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)
    if out is not None:
        console.print(Text(f"RTL, golden vectors, README and report.json are in {out}"), soft_wrap=True)
