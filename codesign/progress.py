"""Progress of a search: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from codesign.board_loop.result import BoardResult
from codesign.listener import GONE, Listener
from codesign.record import STATUSES, Record
from codesign.trial import Trial, trial_line


class ProgressDisplay(Listener):
    """Shows a search while it runs; a context manager that gives the terminal back.

    ``workers``: as many processes are started here; None on a cluster, whose workers come and go.
    """

    def __init__(self, console: Console, workers: int | None) -> None:
        self._console = console
        self._workers = workers
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._stages: dict[int, tuple[str, str, float]] = {}
        self._boards: dict[str, tuple[str, str, float]] = {}
        self._total = self._done = self._known = self._generation = self._front = 0
        self._hypervolume = 0.0
        self._counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
        self._begun = time.monotonic()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def begun(self, total: int, known: int) -> None:
        """Say what lies ahead."""
        self._total, self._done, self._known = total, known, known
        if known:
            self.message(f"continuing: {known} of {total} candidates are already evaluated")

    def stage(self, worker: int, stage: str, words: str) -> None:
        """Note what a worker does."""
        if stage == GONE:
            self._stages.pop(worker, None)
            return
        if self._workers is not None and not self._stages:
            self.message(f"starting {self._workers} worker processes (5 to 10 s)")
        self._stages[worker] = (stage, words, time.monotonic())

    def candidate(self, record: Record) -> None:
        """Count a candidate, and print it where there is no live display."""
        self._done += 1
        self._counts[record.status] += 1
        if self._live is None or record.status == "failed":
            note = f": {record.reason}" if record.reason else ""
            self.message(f"[{self._done}/{self._total}] {record.architecture.words()}  {record.status}{note}")

    def board(self, host: str, stage: str, words: str) -> None:
        """Note what a board does."""
        self._boards[host] = (stage or "idle", words, time.monotonic())

    def measured(self, result: BoardResult, words: str) -> None:
        """Print what became of a candidate on a board."""
        what = "measured" if result.failed_at is None else f"failed at {result.failed_at}: {result.reason}"
        self.message(f"{result.host}: {words}  {what}")

    def waiting(self, count: int) -> None:
        """Say why nothing else happens; a live display shows the boards anyway."""
        if self._live is None:
            self.message(f"waiting for boards: {count} {'candidates' if count > 1 else 'candidate'}")

    def trial(self, trial: Trial, error: str) -> None:
        """Print a short training where there is no live display."""
        if self._live is None:
            self.message(trial_line(trial, error))

    def rung(self, rung: int, passed: int, entered: int) -> None:
        """Say how many go on."""
        self.message(f"rung {rung}: {passed} of {entered} go on")

    def generation(self, number: int, front_size: int, hypervolume: float) -> None:
        """Note the front; print it where there is no live display."""
        self._generation, self._front, self._hypervolume = number + 1, front_size, hypervolume
        if self._live is None:
            self.message(f"generation {number + 1}: {self._quality()}")

    def retraining(self, count: int, seeds: int) -> None:
        """Announce the trainings after the search."""
        self.message(f"{count} front members: trained again from {seeds} other seeds, and measured again")

    def finalizing(self, count: int) -> None:
        """Announce the last stage."""
        self.message(f"{count} front members: test error and hls4ml's C simulation")

    def message(self, text: str) -> None:
        """Print a line above the live display."""
        self._console.print(Text(text), soft_wrap=True)

    def tick(self) -> None:
        """Redraw."""
        if self._live is not None:
            self._live.update(self._render())

    def _quality(self) -> str:
        return f"front {self._front}, hypervolume {self._hypervolume:.4f}"

    def _render(self) -> RenderableType:
        dropped = f"{self._counts['dropped']} dropped, " if self._counts["dropped"] else ""
        line = Text(
            f"{self._done}/{self._total} candidates ({self._counts['infeasible']} over budget, "
            f"{dropped}{self._counts['failed']} failed)   generation {self._generation + 1}   {self._quality()}   "
            f"{self._left()}"
        )
        table = Table.grid(padding=(0, 2))
        now = time.monotonic()
        for worker, (stage, words, since) in sorted(self._stages.items()):
            table.add_row(f"worker {worker + 1}", stage, words, f"{now - since:.0f} s")
        for host, (stage, words, since) in self._boards.items():
            table.add_row(host, stage, words, f"{now - since:.0f} s")
        bar = ProgressBar(total=max(self._total, 1), completed=self._done, width=40)
        return Group(line, bar, table)

    def _left(self) -> str:
        new = self._done - self._known
        if new == 0 or self._done >= self._total:
            return ""
        seconds = (time.monotonic() - self._begun) / new * (self._total - self._done)
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"
