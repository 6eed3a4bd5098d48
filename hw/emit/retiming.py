"""Operations moved to later cycles where that takes fewer registers, at the same latency and clock.

A local form of minimum-area retiming (Leiserson and Saxe, "Retiming synchronous circuitry", 1991): a sum that waits for
others is carried in fewer bits than its operands only where nobody else has them carried anyway.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from hw.emit.pipeline import Pipeline, Placement, Signal

_PASSES = 4


def retime(pipeline: Pipeline, placement: Placement, delay_ns: Mapping[str, float], period_ns: float) -> Placement:
    """``placement`` with operations as late as saves registers; ``delay_ns`` of each live operation.

    No output settles later than before, and no cycle takes longer than the period where it did not before.
    """
    moving = _Moving(pipeline, placement, delay_ns, period_ns)
    for _ in range(_PASSES):
        moved = [moving.improve(signal) for signal in reversed(moving.live) if signal.render is not None]
        if not any(moved):
            break
    return Placement(moving.cycle, moving.settled, placement.latency, placement.overhead_ns)


class _Moving:
    def __init__(self, pipeline: Pipeline, placement: Placement, delay_ns: Mapping[str, float], period: float) -> None:
        self.live = list(pipeline.live())
        self.outputs = set(pipeline.outputs)
        self.signals, self.delay, self.period = pipeline.signals, delay_ns, period
        self.cycle, self.settled = dict(placement.cycle), dict(placement.settled_ns)
        self.latency, self.overhead = placement.latency, placement.overhead_ns
        self.position = {signal.name: index for index, signal in enumerate(self.live)}
        self.readers: defaultdict[str, list[str]] = defaultdict(list)
        for signal in self.live:
            for source in set(signal.sources):
                self.readers[source].append(signal.name)

    def improve(self, signal: Signal) -> bool:
        """Move one operation to the later cycle that saves most registers; whether there is one."""
        name, now = signal.name, self.cycle[signal.name]
        last = min([self.cycle[reader] for reader in self.readers[name]], default=self.latency)
        if name in self.outputs:
            last = min(last, self.latency)
        choices = sorted((-self._saved(signal, cycle), cycle) for cycle in range(now + 1, last + 1))
        return any(added < 0 and self._move(signal, cycle) for added, cycle in choices)

    def _last_read(self, name: str, *, without: str) -> int:
        cycles = [self.cycle[reader] for reader in self.readers[name] if reader != without]
        if name in self.outputs:
            cycles.append(self.latency)
        return max(cycles, default=self.cycle[name])

    def _saved(self, signal: Signal, cycle: int) -> int:
        """Register bits that ``signal`` made in ``cycle`` needs less."""
        now = self.cycle[signal.name]
        saved = signal.bits * (cycle - now)
        for source in set(signal.sources):
            others = self._last_read(source, without=signal.name)
            saved -= self.signals[source].bits * (max(others, cycle) - max(others, now))
        return saved

    def _move(self, signal: Signal, cycle: int) -> bool:
        """Move it if all that then is later in that cycle still settles in time."""
        before = self.cycle[signal.name]
        self.cycle[signal.name] = cycle
        later: dict[str, float] = {}
        waiting = {self.position[signal.name]}
        while waiting:
            index = min(waiting)
            waiting.discard(index)
            name = self.live[index].name
            at = self._settles(self.live[index], later)
            known = self.overhead if name == signal.name else self.settled[name]
            if name != signal.name and at <= known:
                continue
            alone = self.overhead + self.delay[name]
            if at > max(self.period, alone) or (name in self.outputs and cycle == self.latency and at > known):
                self.cycle[signal.name] = before
                return False
            later[name] = at
            waiting.update(self.position[reader] for reader in self.readers[name] if self.cycle[reader] == cycle)
        self.settled.update(later)
        return True

    def _settles(self, signal: Signal, later: Mapping[str, float]) -> float:
        made = self.cycle[signal.name]
        beginnings = [
            later.get(source, self.settled[source]) for source in signal.sources if self.cycle[source] == made
        ]
        return max(beginnings, default=self.overhead) + self.delay[signal.name]
