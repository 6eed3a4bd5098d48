"""Who does what in a search, for people who watch it from another process: a small file in the run's folder."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from codesign.counting import number_of
from codesign.errors import StorageError
from codesign.files import write_whole
from codesign.listener import GONE
from codesign.live import LiveDisplay, stage_table

FILE = "workers.json"
_EVERY_SECONDS = 1.0


class AtWork:
    """Keeps the file, written once a second at most. Nothing depends on it, so a disk that refuses stops nothing."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._stages: dict[int, tuple[str, str]] = {}
        self._written: dict[int, tuple[str, str]] = {}
        self._when = float("-inf")

    def stage(self, worker: int, stage: str, words: str) -> None:
        """Note what a worker (from 0) does, as a listener is told."""
        if stage == GONE:
            self._stages.pop(worker, None)
        else:
            self._stages[worker] = (stage, words)

    def write(self) -> None:
        """Bring the file up to date, if that is due."""
        if self._stages == self._written or time.monotonic() - self._when < _EVERY_SECONDS:
            return
        self._written, self._when = dict(self._stages), time.monotonic()
        rows = [(worker + 1, *what) for worker, what in sorted(self._written.items())]
        with suppress(StorageError):
            write_whole(self._path, json.dumps(rows), "")

    def remove(self) -> None:
        """Nobody works any more."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


class Watch(LiveDisplay):
    """Shows the file: on a terminal as a table below what is printed, elsewhere in a line when workers come or go."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._count = 0

    def show(self, folder: Path) -> None:
        """What the workers of the search in ``folder`` do now."""
        try:
            rows = json.loads((folder / FILE).read_text(encoding="utf-8"))
        except OSError:  # before the first one starts
            rows = []
        if self.live is not None:
            self.live.update(stage_table((f"worker {number}", stage, words) for number, stage, words in rows))
        elif len(rows) != self._count:
            self.console.print(number_of(len(rows), "worker"))
        self._count = len(rows)
