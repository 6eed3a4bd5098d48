"""When a search ends before its last generation: time, no more progress, or the target reached."""

from __future__ import annotations

import time
from collections.abc import Sequence

from codesign.counting import number_of
from codesign.record import Record
from codesign.run import archive_front
from codesign.store import Store
from codesign.study import Study
from nas.indicators import hypervolume
from nas.objectives import values

GROWTH = 0.001
"""A hypervolume that grows by less than this share has stalled."""


class Stopping:
    """Decides after each generation, once: a search that is continued stops where it stopped before."""

    def __init__(self, study: Study, store: Store) -> None:
        self._study, self._store = study, store
        self._begun = time.monotonic()
        known = (store.meta(f"elapsed_{number}") for number in range(len(store.generations())))
        self._before = max((seconds for seconds in known if seconds is not None), default=0.0)

    def after(self, number: int, records: Sequence[Record]) -> str | None:
        """Why the search ends with generation ``number``; ``records`` are all candidates up to it."""
        stopped = self._store.meta("stopped")
        if stopped is not None:
            return str(stopped["reason"]) if stopped["generation"] == number else None
        if self._store.meta(f"elapsed_{number}") is not None:
            return None
        elapsed = self._before + time.monotonic() - self._begun
        reason = self._late(elapsed) or self._stalled(number, records) or self._reached(records)
        if reason is not None:
            self._store.set_meta("stopped", {"generation": number, "reason": reason})
        self._store.set_meta(f"elapsed_{number}", elapsed)  # last: it says that this generation was decided
        return reason

    def _late(self, elapsed: float) -> str | None:
        hours = self._study.stop.hours
        return f"stop.hours = {hours:g} are over" if hours is not None and elapsed >= 3600 * hours else None

    def _stalled(self, number: int, records: Sequence[Record]) -> str | None:
        """Both volumes are of what is known now: boards correct figures, which alone changes the stored ones.

        Where nothing is within the budgets yet, there is none that could stall.
        """
        most = self._study.stop.stalled
        if most is None or number < most:
            return None
        before = self._volume([record for record in records if record.generation <= number - most])
        now = self._volume(records)
        if not now or now > (1 + GROWTH) * before:
            return None
        return f"the hypervolume has not grown for {number_of(most, 'generation')} (stop.stalled)"

    def _volume(self, records: Sequence[Record]) -> float:
        reference, clock = self._store.meta("reference"), self._study.target.clock_mhz
        front = archive_front(self._study, tuple(records), {})
        points = [values(self._study.search.objectives, one.measurement, clock) for one in front if one.measurement]
        return hypervolume(points, tuple(reference)) if points else 0.0

    def _reached(self, records: Sequence[Record]) -> str | None:
        target, clock = self._study.stop.target, self._study.target.clock_mhz
        if not target:
            return None
        for record in records:
            if record.status != "ok" or record.measurement is None:
                continue
            found = values(list(target), record.measurement, clock)
            if all(value <= wanted for value, wanted in zip(found, target.values(), strict=True)):
                return f"{record.architecture.words()} reaches stop.target"
        return None
