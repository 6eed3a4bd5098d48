"""A deployment in the terminal: the checks as they are made, then the figures beside what was known before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from codesign.accuracy import error_words
from codesign.candidate_words import figure_details, number_words
from codesign.counting import number_of
from codesign.deployment.figures import VIRTUAL
from codesign.deployment.keeping import Kept
from codesign.deployment.report import comparison, comparison_cells, comparison_headings
from codesign.deployment.running import Ran
from codesign.deployment.session import Check
from codesign.deployment.subject import Subject
from codesign.place import PROGRAM, called

_MARKS = {"ok": ("ok", "green"), "warning": ("WARNING", "bold yellow"), "failed": ("FAILED", "bold red")}
_SHOWN = 20


@dataclass(frozen=True)
class Steps:
    """Where to say which step runs, and what was found."""

    console: Console
    status: Status

    def step(self, name: str) -> None:
        """Show that it runs."""
        self.status.update(name)

    def check(self, check: Check) -> None:
        """Print what was found."""
        mark, style = _MARKS[check.outcome]
        self.console.print(Text.assemble((f"{mark:>7}", style), f"  {check.name}: {check.words}"), soft_wrap=True)


@contextmanager
def steps() -> Iterator[Steps]:
    """Shows the step on standard error; findings are printed."""
    with Console(stderr=True).status("starting") as status:
        yield Steps(Console(), status)


def print_opening(subject: Subject, host: str) -> None:
    """Print what goes where."""
    manifest = subject.bundle.manifest
    known = f"   {subject.record.digest[:8]} of {subject.run.folder.name}" if subject.run and subject.record else ""
    words = f"{subject.words}{known}, for {manifest['board']} at {manifest['clock_mhz']:g} MHz, to {host}"
    Console().print(Text(words), soft_wrap=True)


def print_kept(subject: Subject, kept: Kept) -> None:
    """Print figures, comparison, and where it is all kept."""
    console = Console()

    def say(text: str, style: str = "") -> None:
        console.print(Text(text, style=style), soft_wrap=True)

    hello = kept.known.described.get("hello", {})
    if kept.error is None:
        if hello["simulated"]:
            say(f"simulated: no board took part; every figure is of a {VIRTUAL}", "bold")
        console.print(_figures(kept))
        console.print(_comparison(subject, kept, simulated=hello["simulated"]))
    if kept.stored and subject.run is not None and subject.record is not None:
        say(f"stored: {PROGRAM} show {called(subject.run.folder)} {subject.record.digest[:8]}")
    elif kept.error is None and subject.graph is None:
        say("not stored: the run that this bundle is of is not here")
    say(f"report, to be shared: {kept.report}")


def _figures(kept: Kept) -> Table:
    """As :func:`.figure_table` has it, with the tool, which nearly all figures share, below what it measured."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("figure", "value", "unit", "provenance", "details"):
        table.add_column(heading, justify="right" if heading == "value" else "left", no_wrap=heading != "details")
    figures = kept.known.measurement.figures
    for name, figure in figures.items():
        cells = number_words(figure.value), figure.unit, figure.provenance.value
        table.add_row(name, *cells, figure_details(name, figure, "parallel"))
    tools = {f"{figure.tool} {figure.version}" for figure in figures.values()}
    simulated = kept.known.described["hello"]["simulated"]
    table.caption = f"{'simulated' if simulated else 'measured'} by: {'; '.join(sorted(tools))}"
    table.caption_justify = "left"
    return table


def _comparison(subject: Subject, kept: Kept, *, simulated: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, heading in enumerate(comparison_headings(simulated=simulated)):
        table.add_column(heading, justify="right" if place else "left")
    for row in comparison(subject.bundle, kept.known):
        table.add_row(*comparison_cells(row))
    return table


def print_ran(subject: Subject, ran: Ran, samples: int, output: Path | None) -> None:
    """Print how good the answers are, what the outputs were held against, and where they are."""
    console = Console()

    def say(text: str) -> None:
        console.print(Text(text), soft_wrap=True)

    say(number_of(samples, "sample"))
    if ran.error is not None and "wrong" in ran.error.details:
        right, words = samples - ran.error.details["wrong"], error_words(ran.error, samples)
        say(f"accuracy: {100 * right / samples:.2f} % ({right:,} right; error {words})")
    elif ran.error is not None:
        say(f"{error_words(ran.error, samples)} (in standard deviations of the training targets)")
    if ran.compared:
        say(f"every output equals the canonical network's, bit for bit: {samples:,} of {samples:,}")
    else:
        say("not compared with the canonical network: the run that this bundle is of is not here")
    if output is not None:
        answers = "classes" if subject.bundle.manifest["class_names"] else "predicted values"
        say(f"{'' if ran.logits is None else 'logits and '}{answers}: {output}")
    elif ran.error is None and ran.answers.ndim > 1:
        say("nothing was written: give --output y.npz for the predicted values")
    elif ran.error is None:
        names = subject.bundle.manifest["class_names"]
        shown = ", ".join(names[number] for number in ran.answers[:_SHOWN])
        say(f"classes: {shown}{', ...' if samples > _SHOWN else ''} (all of them: --output y.npz)")
