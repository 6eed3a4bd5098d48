"""Cycles of a streaming network before any simulation: when each beat is offered, and when it is taken.

A stream hands beats on by valid and ready, and each module's rule for both is exact: the cycle in which beat k is first
offered, and the first in which it would be taken, follow from beats before it and from other streams (maxima and sums
only). A network is the set of its modules' rules; running them gives the cycle of every beat of every frame, which the
RTL must match.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

Rule = Generator[None, None, None]
"""Runs until it needs a time that is not known yet, then yields."""
_AGES = 1 << 20
"""A cycle by which an idle network has come to rest: far behind its reset."""
_MOST_FRAMES = 256
ENDLESS = 1 << 40
"""Depth of a queue that never holds anyone up."""


class Stream:
    """The times of one stream's beats, as far as known: ``offer[k]`` by its sender, ``ready[k]`` by its receiver."""

    def __init__(self) -> None:
        self.offer: list[int] = []
        self.ready: list[int] = []

    def taken(self, beat: int) -> bool:
        """Whether the cycle in which ``beat`` is taken is known."""
        return beat < len(self.offer) and beat < len(self.ready)

    def take(self, beat: int) -> int:
        """The cycle in which ``beat`` is taken."""
        return max(self.offer[beat], self.ready[beat])


@dataclass(frozen=True)
class Module:
    """One module between streams; ``rules(frames)`` gives its rules for that many frames.

    What these say of a beat follows from beats of its own frame and of at most ``memory()`` frames before.
    """

    rules: Callable[[int], Iterable[Rule]]
    memory: Callable[[], int] = lambda: 1


def pipe(source: Stream, sink: Stream, beats: int, *, latency: int, interval: int = 1, capacity: int) -> Module:
    """A pipeline that holds ``capacity`` beats, takes one every ``interval`` cycles and gives it ``latency`` later.

    Queues, skid buffers, free-running pipelines behind credits and folded layers are all of this kind: a place becomes
    free in the cycle after a beat has left.
    """

    def take(frames: int) -> Rule:
        for beat in range(frames * beats):
            ready = 0
            if beat:
                while not source.taken(beat - 1):
                    yield
                ready = source.take(beat - 1) + interval
            if beat >= capacity:
                while not sink.taken(beat - capacity):
                    yield
                ready = max(ready, sink.take(beat - capacity) + 1)
            source.ready.append(ready)

    def give(frames: int) -> Rule:
        for beat in range(frames * beats):
            while not source.taken(beat):
                yield
            offer = source.take(beat) + latency
            if beat:
                while not sink.taken(beat - 1):
                    yield
                offer = max(offer, sink.take(beat - 1) + 1)
            sink.offer.append(offer)

    memory = 1 if capacity >= ENDLESS else -(-capacity // beats)
    return Module(lambda frames: [take(frames), give(frames)], lambda: memory)


def queue(source: Stream, sink: Stream, beats: int, depth: Callable[[], int]) -> Module:
    """cdg_fifo, or wires where ``depth()`` is 0."""

    def take(frames: int) -> Rule:
        for beat in range(frames * beats):
            while beat >= len(sink.ready):
                yield
            source.ready.append(sink.ready[beat])

    def give(frames: int) -> Rule:
        for beat in range(frames * beats):
            while beat >= len(source.offer):
                yield
            sink.offer.append(source.offer[beat])

    def now() -> Module:
        if depth():
            return pipe(source, sink, beats, latency=1, capacity=depth())
        return Module(lambda frames: [take(frames), give(frames)])

    return Module(lambda frames: now().rules(frames), lambda: now().memory())


def window(source: Stream, sink: Stream, moves: Sequence[tuple[bool, bool]]) -> Module:
    """cdg_window; ``moves``: of each pixel of the padded image, whether it is read and whether it ends a window."""

    def run(frames: int) -> Rule:
        cycle, read, given = -1, 0, 0
        for is_read, completes in list(moves) * frames:
            cycle += 1
            if given:
                while not sink.taken(given - 1):
                    yield
                cycle = max(cycle, sink.take(given - 1))
            if is_read:
                source.ready.append(cycle)
                while not source.taken(read):
                    yield
                cycle = source.take(read)
                read += 1
            if completes:
                sink.offer.append(cycle + 1)
                given += 1

    return Module(lambda frames: [run(frames)])


def gather(source: Stream, sink: Stream, beats: int, count: int) -> Module:
    """cdg_gather or cdg_reduce of ``count`` of a frame's ``beats``."""

    def run(frames: int) -> Rule:
        cycle = -1
        for beat in range(frames * beats):
            cycle += 1
            whole, first = divmod(beat, count)
            if whole and not first:
                while not sink.taken(whole - 1):
                    yield
                cycle = max(cycle, sink.take(whole - 1))
            source.ready.append(cycle)
            while not source.taken(beat):
                yield
            cycle = source.take(beat)
            if first == count - 1:
                sink.offer.append(cycle + 1)

    return Module(lambda frames: [run(frames)])


def split(source: Stream, sink: Stream, beats: int, count: int) -> Module:
    """cdg_split of each of a frame's ``beats`` into ``count``."""

    def run(frames: int) -> Rule:
        cycle = 0
        for beat in range(frames * beats):
            source.ready.append(cycle)
            while not source.taken(beat):
                yield
            cycle = source.take(beat)
            for part in range(count):
                sink.offer.append(cycle + 1)
                while not sink.taken(beat * count + part):
                    yield
                cycle = sink.take(beat * count + part)

    return Module(lambda frames: [run(frames)])


def fork(source: Stream, sinks: Sequence[Stream], beats: int) -> Module:
    """cdg_fork."""

    def give(frames: int) -> Rule:
        for beat in range(frames * beats):
            if beat:
                while not source.taken(beat - 1):
                    yield
            while beat >= len(source.offer):
                yield
            offer = max(source.offer[beat], source.take(beat - 1) + 1 if beat else 0)
            for sink in sinks:
                sink.offer.append(offer)

    def take(frames: int) -> Rule:
        for beat in range(frames * beats):
            while not all(sink.taken(beat) for sink in sinks):
                yield
            source.ready.append(max(sink.take(beat) for sink in sinks))

    return Module(lambda frames: [give(frames), take(frames)])


def beside(first: Stream, first_beats: int, other: Stream, beats: int) -> Module:
    """A second source of a network: its frame of ``beats`` is offered as soon as that of ``first``, then freely."""

    def give(frames: int) -> Rule:
        for beat in range(frames * beats):
            frame = beat // beats
            while frame * first_beats >= len(first.offer):
                yield
            offer = first.offer[frame * first_beats]
            if beat:
                while not other.taken(beat - 1):
                    yield
                offer = max(offer, other.take(beat - 1) + 1)
            other.offer.append(offer)

    return Module(lambda frames: [give(frames)])


def join(sources: Sequence[Stream], sink: Stream, beats: int) -> Module:
    """cdg_join."""

    def run(frames: int) -> Rule:
        for beat in range(frames * beats):
            while not all(beat < len(source.offer) for source in sources):
                yield
            offer = max(source.offer[beat] for source in sources)
            sink.offer.append(offer)
            while beat >= len(sink.ready):
                yield
            for source in sources:
                source.ready.append(max(offer, sink.ready[beat]))

    return Module(lambda frames: [run(frames)])


@dataclass(frozen=True)
class Frames:
    """Cycles of each frame: its first beat taken at the input, its last one taken at the output."""

    begun: tuple[int, ...]
    done: tuple[int, ...]


@dataclass
class Network:
    """Modules between ``source`` and ``sink``, which carry ``beats_in`` and ``beats_out`` beats a frame."""

    beats_in: int = 1
    beats_out: int = 1
    source: Stream = field(default_factory=Stream)
    sink: Stream = field(default_factory=Stream)
    modules: list[Module] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)

    def stream(self) -> Stream:
        """A new stream between two modules."""
        self.streams.append(Stream())
        return self.streams[-1]

    def run(self, frames: int, *, gap: int | None = None, every: int = 0) -> Frames:
        """Frames without a pause; with ``gap``, one at a time, that many cycles after reset and after a result.

        With ``every``, frame k is not offered before cycle k * ``every``. The receiver is always ready. Raises
        RuntimeError where the modules wait for each other for ever.
        """
        for stream in (self.source, self.sink, *self.streams):
            stream.offer.clear()
            stream.ready.clear()
        self.sink.ready += [0] * (frames * self.beats_out)
        rules = [rule for module in self.modules for rule in module.rules(frames)]
        waiting = [self._feed(frames, gap, every), *rules]
        before = -1
        while waiting:
            waiting = [rule for rule in waiting if next(rule, self) is None]
            known = sum(len(s.offer) + len(s.ready) for s in (self.source, self.sink, *self.streams))
            if waiting and known == before:
                raise RuntimeError("the modules wait for each other for ever")
            before = known
        return Frames(
            tuple(self.source.take(frame * self.beats_in) for frame in range(frames)),
            tuple(self.sink.take((frame + 1) * self.beats_out - 1) for frame in range(frames)),
        )

    def _feed(self, frames: int, gap: int | None, every: int) -> Rule:
        source, sink = self.source, self.sink
        for beat in range(frames * self.beats_in):
            frame, first = divmod(beat, self.beats_in)
            offer = 0
            if beat:
                while not source.taken(beat - 1):
                    yield
                offer = source.take(beat - 1) + 1
            if gap is not None and not first:
                if frame:
                    while not sink.taken(frame * self.beats_out - 1):
                        yield
                    offer = sink.take(frame * self.beats_out - 1) + 1
                offer += gap
            source.offer.append(offer if first else max(offer, frame * every))

    def latency(self) -> int:
        """Cycles from the first beat of a frame to the last of its result, in an idle network."""
        frames = self.run(1, gap=_AGES)
        return frames.done[0] - frames.begun[0]

    def interval(self) -> int:
        """Cycles between results once every queue is as full as it gets, frames coming without a pause.

        Where several frames take turns, of 16 and 17 cycles for instance, their mean, rounded up. A few frames can look
        steady while queues still fill, so it is tried: with a frame every so many cycles, all goes on for ever.
        """
        count = 8
        while count <= _MOST_FRAMES:
            done = self.run(count).done
            late = [after - before for before, after in zip(done[count // 2 :], done[count // 2 + 1 :], strict=False)]
            for turns in range(1, count // 8 + 1):
                if late[turns:] == late[:-turns]:
                    interval = -(-sum(late[-turns:]) // turns)
                    if self._goes_on(interval, count):
                        return interval
                    break
            count *= 2
        raise RuntimeError(f"the interval does not settle within {_MOST_FRAMES} frames")

    def _goes_on(self, interval: int, frames: int) -> bool:
        """Whether a frame every ``interval`` cycles comes to a state that repeats itself, in ``frames`` or some more.

        Rules are maxima and sums, the same for every frame: where all beats of as many frames as any rule looks back
        come ``interval`` cycles after those of the frame before, so do all that follow. Frames that come earlier than
        that make nothing later.
        """
        memory = max(module.memory() for module in self.modules)
        frames = max(frames, 2 * memory + 4)
        self.run(frames, every=interval)
        for stream in (self.source, self.sink, *self.streams):
            offer = np.array(stream.offer).reshape(frames, -1)
            take = np.maximum(offer, np.array(stream.ready).reshape(frames, -1))
            for times in (offer[-memory - 1 :], take[-memory - 1 :]):
                if (np.diff(times, axis=0) != interval).any():
                    return False
        return True

    def pace(self) -> tuple[int, int] | None:
        """Interval and latency; None where the modules wait for each other for ever."""
        try:
            return self.interval(), self.latency()
        except RuntimeError:
            return None

    def gap(self, latency: int) -> int:
        """Cycles after which an idle network surely is at rest: a frame then takes its ``latency``, every time."""
        gap = 0
        while any(done - begun != latency for begun, done in zip(*self._pair(gap), strict=True)):
            gap = 2 * gap + 16
        return gap

    def _pair(self, gap: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        frames = self.run(3, gap=gap)
        return frames.begun, frames.done
