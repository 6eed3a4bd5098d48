"""Power meters outside the board, in its supply: for boards that have no sensor of their own.

What they read is the whole board at its plug, not the chip: only the difference between idle and work says something of
the network, with processor and DMA in it. A reading stands for the time since the one before it, and counts for a span
only where all of that time surely lies within the span. Where there are too few, there is no figure.
"""

from __future__ import annotations

import abc
import bisect
import csv
import itertools
import math
import os
import re
import select
import statistics
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from boards.agent.watts import Reading, compared
from codesign.errors import InputError, ToolError

MEASURES = "the whole board at its supply, not the chip"
FEWEST = 3
"""Readings in each span, below which there is no figure."""
FIRST_SECONDS, LAST_SECONDS = 10.0, 5.0
"""How long to wait for the first reading, and for one after the work, which may come late."""
SKEW_SECONDS = 1.0
POLL_SECONDS = 0.02
MOST_LINE = 4096
BAUD = 115_200
_TIMES, _WATTS, _VOLTS, _AMPERES = (
    ("time", "timestamp", "epoch_s"), ("power_w", "watts"), ("voltage_v", "volts"), ("current_a", "amperes"),
)  # fmt: skip
_NUMBER = re.compile(r"\s*(?P<value>[-+]?\d+(\.\d*)?([eE][-+]?\d+)?)\s*(?P<unit>m?[WVA])?\s*")


@dataclass(frozen=True)
class Moment:
    """A reading: when it was made, and when it was here; both in seconds since 1970 by this computer's clock."""

    time: float
    arrived: float
    reading: Reading


class Meter(abc.ABC):
    """A meter that gives readings by itself, all the time; made by :func:`parse_meter`."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abc.abstractmethod
    def moments(self, stop: threading.Event) -> Iterator[Moment]:
        """Readings as they come, until ``stop``; ToolError where one is none or no more can come."""

    def measure(self, ask: Callable[[], Mapping[str, Any]]) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """What ``ask`` answers, and the meter's figure for the two spans that it tells of.

        ``ask`` has the board wait and work, as :meth:`.Remote.measure_power` does, and gives ``idle_s`` and ``busy_s``:
        seconds from some moment after it was called. The figure is that of :func:`.compared`, with ``measures`` and
        ``meter``. Errors of ``ask`` are raised as they are; ToolError where the meter gives no figure.
        """
        found: list[Moment] = []
        failed: list[BaseException] = []
        stop = threading.Event()

        def collect() -> None:
            try:
                for moment in self.moments(stop):
                    found.append(moment)
            except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
                failed.append(error)

        thread = threading.Thread(target=collect, daemon=True)
        thread.start()
        try:
            if not _until(lambda: bool(found or failed), FIRST_SECONDS):
                what = "is it on, does it log, and is each line written at once?"
                raise ToolError(f"meter {self.name} gave no reading in {FIRST_SECONDS:g} s: {what}")
            if not failed:
                sent, answer, answered = time.time(), ask(), time.time()
                _until(lambda: bool(failed) or found[-1].time >= answered, LAST_SECONDS)
        finally:
            stop.set()
            thread.join()
        if failed:
            raise failed[0]
        return answer, self.figure(found, sent, answered, answer)

    def figure(
        self, found: Sequence[Moment], sent: float, answered: float, answer: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Of readings around a call that went out at ``sent`` and was answered at ``answered``; ToolError for none.

        The board's spans begin after the call arrived there and end before its answer did: only what is between the
        latest and the earliest time that this allows is surely within.
        """
        margin = self._clock_error(found)
        low, high = answered - answer["busy_s"][1] + margin, sent - margin
        idle, busy = (_within(found, low + begin, high + end) for begin, end in (answer["idle_s"], answer["busy_s"]))
        if min(len(idle), len(busy)) < FEWEST:
            raise ToolError(
                f"meter {self.name} gave {len(idle)} readings while the board was idle and {len(busy)} while it "
                f"worked, {FEWEST} of each are needed: let it read more often, and see that it does not stop"
            )
        return {**compared(idle, busy), "measures": MEASURES, "meter": self.name}

    def _clock_error(self, found: Sequence[Moment]) -> float:
        """Seconds by which the meter's times may be wrong; too many would put idle readings into the work."""
        late = min(moment.arrived - moment.time for moment in found)
        usual = statistics.median([one.time - other.time for other, one in itertools.pairwise(found)] or [0.0])
        if not -SKEW_SECONDS <= late <= SKEW_SECONDS + usual + _resolution(found):
            where = f"{abs(late):.0f} s {'behind' if late > 0 else 'ahead of'}"
            raise ToolError(
                f"the times of meter {self.name} are {where} this computer's clock: set both alike, let it write each "
                "line at once, or leave the column of times out"
            )
        return abs(late)


class CsvMeter(Meter):
    """A file to which a logger appends: ``csv:PATH``. InputError where its first line does not name what is needed.

    Columns: ``power_w`` or ``watts``, else ``volts`` (``voltage_v``) and ``amperes`` (``current_a``). With ``time``
    (``timestamp``, ``epoch_s``), seconds since 1970 or ISO 8601, local time where no zone is given, readings are of
    that time; without, of when they are seen here, so that the logger must write each line at once.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(f"csv:{path}")
        self.path = path
        try:
            with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
                first = file.readline(MOST_LINE)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}; start the meter's logger first") from None
        names = [name.strip().casefold() for name in next(csv.reader([first]), [])]
        self._time = _column(names, _TIMES)
        watts, volts, amperes = (_column(names, known) for known in (_WATTS, _VOLTS, _AMPERES))
        if watts is None and (volts is None or amperes is None):
            raise InputError(
                f"the first line of {path} names {', '.join(names) or 'nothing'}: it needs a column power_w, or volts "
                "and amperes"
            )
        both = [column for column in (volts, amperes) if column is not None]
        self._factors = both if watts is None else [watts]

    def moments(self, stop: threading.Event) -> Iterator[Moment]:
        """As the base class says; what was in the file before is not looked at."""
        try:
            with self.path.open("rb") as file:
                _to_last_line(file)
                rest = b""
                while not stop.is_set():
                    piece = file.read()
                    if not piece:
                        self._check_same(file.fileno(), file.tell())
                        stop.wait(POLL_SECONDS)
                        continue
                    arrived = time.time()
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in filter(None, (line.strip() for line in lines)):
                        yield self._moment(line.decode("utf-8", "replace"), arrived)
        except OSError as error:
            raise ToolError(f"cannot read {self.path}: {error.strerror}") from None

    def _check_same(self, descriptor: int, position: int) -> None:
        ours, named = os.fstat(descriptor), self.path.stat()
        if (ours.st_dev, ours.st_ino) != (named.st_dev, named.st_ino) or named.st_size < position:
            raise ToolError(f"{self.path} was begun anew while it was read: let its logger go on, then measure again")

    def _moment(self, line: str, arrived: float) -> Moment:
        try:
            row = next(csv.reader([line]))
            reading = tuple(float(row[column]) for column in self._factors)
            when = arrived if self._time is None else _seconds(row[self._time].strip())
        except (ValueError, IndexError, csv.Error) as error:
            raise ToolError(f"meter {self.name} wrote {line[:80]!r}, which is no reading: {error}") from None
        return Moment(when, arrived, _sound(reading, self.name, line))


class SerialMeter(Meter):
    """A device that sends a line for each reading: ``serial:DEVICE[@BAUD]``, 8 bits, no parity.

    A line is watts (``4.2``, ``4.2 W``, ``4200 mW``) or volts and amperes (``5.02,0.84``, ``5.02 V, 840 mA``).
    """

    def __init__(self, device: Path, baud: int = BAUD) -> None:
        super().__init__(f"serial:{device}@{baud}")
        if not device.is_char_device():
            raise InputError(f"there is no serial device {device}: is the meter plugged in? see ls /dev/serial/by-id")
        speed = getattr(termios, f"B{baud}", None)
        if baud <= 0 or speed is None:
            known = sorted(int(name[1:]) for name in dir(termios) if re.fullmatch(r"B[1-9]\d*", name))
            raise InputError(f"{baud} is no speed of serial devices; known: {', '.join(map(str, known))}")
        self.device, self._speed = device, speed

    def moments(self, stop: threading.Event) -> Iterator[Moment]:
        """As the base class says; the first line, of which the beginning may be missing, is passed over."""
        descriptor = self._open()
        try:
            rest, begun = b"", False
            while not stop.is_set():
                if not select.select([descriptor], [], [], POLL_SECONDS)[0]:
                    continue
                piece, arrived = os.read(descriptor, MOST_LINE), time.time()
                if not piece:
                    raise ToolError(f"meter {self.name} ended: is it still plugged in?")
                *lines, rest = (rest + piece).split(b"\n")
                if len(rest) >= MOST_LINE:
                    raise ToolError(f"meter {self.name} sends no lines, but {rest[:40]!r}: check its speed")
                for line in lines:
                    text = line.decode("ascii", "replace").strip()
                    if begun and text:
                        yield Moment(arrived, arrived, self._reading(text))
                    begun = True
        except OSError as error:
            raise ToolError(f"meter {self.name} ended: {error.strerror}; is it still plugged in?") from None
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        try:
            descriptor = os.open(self.device, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            hint = "; add yourself to its group, often dialout" if isinstance(error, PermissionError) else ""
            raise ToolError(f"cannot open {self.device}: {error.strerror}{hint}") from None
        try:
            tty.setraw(descriptor)
            settings = termios.tcgetattr(descriptor)
            settings[2] |= termios.CLOCAL | termios.CREAD
            settings[4] = settings[5] = self._speed
            termios.tcsetattr(descriptor, termios.TCSANOW, settings)
            termios.tcflush(descriptor, termios.TCIFLUSH)
        except termios.error as error:
            os.close(descriptor)
            raise ToolError(f"{self.device} is no serial device: {error.args[-1]}") from None
        return descriptor

    def _reading(self, text: str) -> Reading:
        parts = text.split(",")
        units = "VA" if len(parts) == 2 else "W"
        found = [_NUMBER.fullmatch(part) for part in parts]
        factors = [
            float(match["value"]) * (1e-3 if (match["unit"] or "").startswith("m") else 1.0)
            for match, unit in zip(found, units, strict=False)
            if match and (match["unit"] or unit).endswith(unit)
        ]
        if not len(factors) == len(parts) == len(units):
            what = "a line is watts, or volts,amperes; check its speed"
            raise ToolError(f"meter {self.name} sent {text[:80]!r}, which is no reading: {what}")
        return _sound(tuple(factors), self.name, text)


def parse_meter(text: str) -> Meter:
    """The meter of ``csv:PATH`` or ``serial:DEVICE[@BAUD]``; InputError where there is none such."""
    kind, _, where = text.partition(":")
    if kind == "csv" and where:
        return CsvMeter(Path(where))
    if kind == "serial" and where:
        device, at, baud = where.rpartition("@")
        return SerialMeter(Path(device), int(baud)) if at and baud.isdecimal() else SerialMeter(Path(where))
    raise InputError(f"{text!r} is no meter; give csv:PATH, or serial:DEVICE or serial:DEVICE@BAUD")


def _until(done: Callable[[], bool], seconds: float) -> bool:
    """Whether ``done`` came true within so many seconds."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _within(found: Sequence[Moment], low: float, high: float) -> list[Reading]:
    """Readings of which all the time they stand for is between ``low`` and ``high``."""
    times, late = sorted({moment.time for moment in found}), _resolution(found)
    chosen = []
    for moment in found:
        place = bisect.bisect_left(times, moment.time)
        if place > 0 and times[place - 1] >= low and moment.time + late <= high:
            chosen.append(moment.reading)
    return chosen


def _resolution(found: Sequence[Moment]) -> float:
    """Times that are all whole seconds were cut off."""
    return 1.0 if all(moment.time == int(moment.time) for moment in found) else 0.0


def _sound(reading: Reading, name: str, line: str) -> Reading:
    if not all(math.isfinite(factor) and factor >= 0 for factor in reading):
        raise ToolError(
            f"meter {name} read {line[:80]!r}, which is no power that a board takes; is it the right way round?"
        )
    return reading


def _column(names: Sequence[str], known: Sequence[str]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)


def _seconds(text: str) -> float:
    """Since 1970."""
    try:
        seconds = float(text)
    except ValueError:
        return datetime.fromisoformat(text).timestamp()  # without a zone: of here
    if not 1e9 <= seconds < 1e10:
        raise ValueError(f"its time {text} is neither seconds since 1970 nor ISO 8601")
    return seconds


def _to_last_line(file: BinaryIO) -> None:
    """To where the last line that is not ended begins."""
    end = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, end - MOST_LINE))
    tail = file.read(end - start)
    file.seek(start + tail.rfind(b"\n") + 1)
