"""A build in the terminal: the phase that Vivado is in, then what was made and its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from boards.vivado import SCRIPT
from codesign.build import VIVADO, Built
from codesign.build_subject import Subject
from codesign.show import figure_table


@contextmanager
def phases() -> Iterator[Callable[[str], None]]:
    """Shows on standard error which phase runs; gives what announces one."""
    console = Console(stderr=True)
    with console.status("preparing") as status:
        yield status.update


def print_built(subject: Subject, built: Built) -> None:
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
