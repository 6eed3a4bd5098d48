"""What a terminal shows below the lines that are printed, as long as something goes on."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table


class LiveDisplay:
    """A context manager that gives the terminal back; ``live`` is None where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()


def stage_table(rows: Iterable[tuple[str, ...]]) -> Table:
    """Who does what: a row each."""
    table = Table.grid(padding=(0, 2))
    for row in rows:
        table.add_row(*row)
    return table
