"""Progress of a search: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.text import Text

from codesign.board_loop.result import BoardResult
from codesign.counting import number_of
from codesign.listener import GONE, Listener
from codesign.live import LiveDisplay, stage_table
from codesign.record import STATUSES, Record
from codesign.rungs import others_words
from codesign.trial import Trial, trial_line

_SILENCE_SECONDS = 60.0  # without a live display, this long without a line, and one says who is at work


class ProgressDisplay(LiveDisplay, Listener):
    """Shows a search while it runs; a context manager that gives the terminal back.

    ``workers``: as many processes are started here; None on a cluster, whose workers come and go.
    """

    def __init__(self, console: Console, workers: int | None) -> None:
        super().__init__(console)
        self._workers = workers
        self._stages: dict[int, tuple[str, str, float]] = {}
        self._boards: dict[str, tuple[str, str, float]] = {}
        self._total = self._done = self._known = self._generation = self._front = 0
        self._hypervolume = 0.0
        self._counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
        self._begun = self._said = time.monotonic()

    def begun(self, total: int, known: int) -> None:
        """Say what lies ahead."""
        self._total, self._done, self._known = total, known, known
        if known:
            self.message(f"continuing: {known} of {number_of(total, 'candidate')} already evaluated")

    def stage(self, worker: int, stage: str, words: str) -> None:
        """Note what a worker does."""
        if stage == GONE:
            self._stages.pop(worker, None)
            return
        if self._workers is not None and not self._stages:
            self.message(f"starting {number_of(self._workers, 'worker process', 'worker processes')} (5 to 10 s)")
        self._stages[worker] = (stage, words, time.monotonic())

    def candidate(self, record: Record) -> None:
        """Count a candidate, and print it where there is no live display."""
        if record.dropped is None:
            self._done += 1
        else:
            self._counts["dropped"] -= 1
        self._counts[record.status] += 1
        self._total = max(self._total, self._done)  # beyond those asked for, others may become hardware
        if self.live is None or record.status == "failed":
            self.message(f"[{self._done}/{self._total}] {record.architecture.words()}  {record.outcome}")

    def board(self, host: str, stage: str, words: str) -> None:
        """Note what a board does."""
        self._boards[host] = (stage or "idle", words, time.monotonic())

    def measured(self, result: BoardResult, words: str) -> None:
        """Print what became of a candidate on a board."""
        what = "measured" if result.failed_at is None else f"failed at {result.failed_at}: {result.reason}"
        self.message(f"{result.host}: {words}  {what}")

    def waiting(self, count: int) -> None:
        """Say why nothing else happens; a live display shows the boards anyway."""
        if self.live is None:
            self.message(f"waiting for boards: {number_of(count, 'candidate')}")

    def trial(self, trial: Trial, error: str) -> None:
        """Print a short training where there is no live display."""
        if self.live is None:
            self.message(trial_line(trial, error))

    def rung(self, rung: int, passed: int, entered: int, others: int) -> None:
        """Say how many go on."""
        self.message(f"rung {rung}: {passed} of {entered} go on{others_words(others)}")

    def generation(self, number: int, front_size: int, hypervolume: float) -> None:
        """Note the front; print it where there is no live display."""
        self._generation, self._front, self._hypervolume = number + 1, front_size, hypervolume
        if self.live is None:
            self.message(f"generation {number + 1}: {self._quality()}")

    def retraining(self, count: int, seeds: int) -> None:
        """Announce the trainings after the search."""
        from_seeds = number_of(seeds, "other seed")
        self.message(f"{number_of(count, 'front member')}: trained again from {from_seeds}, and measured again")

    def finalizing(self, count: int) -> None:
        """Announce the last stage."""
        self.message(f"{number_of(count, 'front member')}: test error and hls4ml's C simulation")

    def message(self, text: str) -> None:
        """Print a line above the live display."""
        self._said = time.monotonic()
        self.console.print(Text(text), soft_wrap=True)

    def tick(self) -> None:
        """Redraw; where nothing is drawn, break a long silence."""
        if self.live is not None:
            self.live.update(self._render())
        elif time.monotonic() - self._said > _SILENCE_SECONDS:
            self._break_silence()

    def _break_silence(self) -> None:
        busy = [row for row in self._at_work() if row[1] != "idle"]
        if busy:
            who, stage, words, seconds = max(busy, key=lambda row: row[3])
            # once all that were asked for are evaluated, their count would read as the end
            done = f"[{self._done}/{self._total}]" if self._done < self._total else ""
            others = f" ({len(busy)} at work)" if len(busy) > 1 else ""
            self.message("  ".join(filter(None, (done, "still", who, stage, words, f"{seconds:.0f} s{others}"))))

    def _quality(self) -> str:
        return f"front {self._front}, hypervolume {self._hypervolume:.4f}"

    def _render(self) -> RenderableType:
        dropped = f"{self._counts['dropped']} dropped, " if self._counts["dropped"] else ""
        line = Text(
            f"{self._done}/{number_of(self._total, 'candidate')} ({self._counts['infeasible']} over budget, "
            f"{dropped}{self._counts['failed']} failed)   generation {self._generation + 1}   {self._quality()}   "
            f"{self._left()}"
        )
        bar = ProgressBar(total=max(self._total, 1), completed=self._done, width=40)
        rows = ((who, stage, words, f"{seconds:.0f} s") for who, stage, words, seconds in self._at_work())
        return Group(line, bar, stage_table(rows))

    def _at_work(self) -> list[tuple[str, str, str, float]]:
        """Workers and boards: who, the stage, the candidate's words, for how many seconds."""
        now = time.monotonic()
        rows = [(f"worker {worker + 1}", *what) for worker, what in sorted(self._stages.items())]
        rows += [(host, *what) for host, what in self._boards.items()]
        return [(who, stage, words, now - since) for who, stage, words, since in rows]

    def _left(self) -> str:
        new = self._done - self._known
        if new == 0 or self._done >= self._total:
            return ""
        seconds = (time.monotonic() - self._begun) / new * (self._total - self._done)
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"
