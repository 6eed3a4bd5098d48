"""A build in the terminal: the phase that Vivado is in, then what was made and its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from boards.vivado import SCRIPT
from codesign.build import VIVADO, Built
from codesign.build_subject import Buildable
from codesign.candidate_words import figure_table
from codesign.counting import number_of
from codesign.exporting import Exported

if TYPE_CHECKING:
    from hw.conversion import Conversion


@contextmanager
def phases() -> Iterator[Callable[[str], None]]:
    """Shows on standard error which phase runs; gives what announces one."""
    console = Console(stderr=True)
    with console.status("preparing") as status:
        yield status.update


def print_built(subject: Buildable, built: Built) -> None:
    """Print what was built and where it is, and its figures with their provenance."""
    console = Console()

    def say(text: str) -> None:
        console.print(Text(text), soft_wrap=True)

    say(f"{subject.words}   {subject.digest[:8]} of {subject.place.name}, for {subject.target.words()}")
    made = built.overlay
    if made is not None:
        asked = subject.target.clock_mhz
        slower = f" (asked for: {asked:g} MHz, which its PLL cannot make)" if made.clock.mhz < 0.999 * asked else ""
        say(f"clock: {made.clock.mhz:g} MHz{slower}")
    if built.figures is not None:
        console.print(figure_table(dict(built.figures.figures), subject.design.mode))
    if built.bundle is not None:
        say(f"bundle: {built.bundle}")
    elif made is not None:
        folder = built.folder / VIVADO
        say(f"nothing was run; all that Vivado needs is in {folder}: vivado -mode batch -source {SCRIPT}")
    else:
        say(f"wrote {built.folder}")


def print_exported(exported: Exported) -> None:
    """Print where the C model or hls4ml's project is, how exact it is, and of a rounded model each layer's error."""
    console = Console()
    if exported.conversion is not None:
        console.print(_conversion_table(exported.conversion, exported.data))
    for note in exported.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)
    console.print(Text(f"wrote {exported.folder}"), soft_wrap=True)


def _conversion_table(found: Conversion, data: str) -> Table:
    """Each layer's format and error, and what the model decides with all layers up to it in integers."""
    before = "" if found.accuracy is None else f"; accuracy in floating point {found.accuracy:.2%}"
    table = Table(
        title=f"{number_of(found.samples, 'sample')} of {data}{before}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for heading in ("layer", "format", "largest error", "signal to noise (dB)", "same decisions", "accuracy"):
        table.add_column(heading, justify="left" if heading in ("layer", "format") else "right")
    for one in found.layers:
        ratio = "equal" if one.signal_to_noise_db is None else f"{one.signal_to_noise_db:.1f}"
        accuracy = "-" if one.accuracy is None else f"{one.accuracy:.2%}"
        table.add_row(one.layer, one.format, f"{one.largest_error:.4g}", ratio, f"{one.agreement:.2%}", accuracy)
    return table
