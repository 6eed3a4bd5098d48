"""The accelerator as a device: checked after programming, run in bursts, measured by its own counters."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import AgentError
from .fabric import Fabric, Places, Words
from .unpack import Contents
from .watts import Reading, compared

BURST_BYTES = 1 << 20
"""Of each direction, in one transfer: what the buffers hold."""
BATCHES = (1, 16, 256, 4096)
SOFT_RESET, STREAM_RESET, SNAPSHOT = 1, 2, 4
SAMPLE_SECONDS = 0.02
SETTLE_SECONDS = 0.25
"""At the beginning of each span, while what a sensor averages holds what was before: 35 ms in Linux' INA226."""
_ERRORS = {0: "short_frame", 1: "long_frame", 2: "overflow"}
_COUNTERS = (
    "cycles_low", "cycles_high", "latency_last", "latency_min", "latency_max", "interval", "frames_in", "frames_out",
    "stalls",
)  # fmt: skip


class Device:
    """One accelerator on a programmed fabric; made by :meth:`load`."""

    def __init__(self, fabric: Fabric, contents: Contents, clock_mhz: float) -> None:
        self.fabric, self.contents, self.clock_mhz = fabric, contents, clock_mhz
        constants = contents.constants
        self.dtype = np.dtype("<u4" if constants["word_bits"] == 32 else "<u8")
        self.input_words, self.output_words = constants["input_words"], constants["output_words"]
        self._wide = constants["word_bits"] // 32
        most = max(self.input_words, self.output_words) * self.dtype.itemsize
        cycles = {name: contents.manifest[f"{name}_cycles"] for name in ("latency", "interval")}
        self._interval_s, self._latency_s = (cycles[name] / (clock_mhz * 1e6) for name in ("interval", "latency"))
        # no transfer takes longer than a second or two, so that a limit on it means something
        self.burst = max(1, min(BURST_BYTES // most, int(1 / self._interval_s)))
        self._frames = 0  # sent and received since the last reset

    @classmethod
    def load(cls, fabric: Fabric, contents: Contents, bit: Path) -> Device:
        """Program ``bit``, which is that of ``contents``, and see that it is what now answers."""
        manifest, board = contents.manifest, fabric.board()
        if manifest["simulation_only"] and not fabric.simulated:
            raise AgentError(
                "bundle", "the bundle was made for a virtual board and has no bitstream; build it with Vivado"
            )
        if board is not None and board.casefold() != manifest["board"].casefold():
            raise AgentError("bundle", f"the bundle is for board {manifest['board']!r}, and this is {board!r}")
        places = Places(**{name: manifest["addresses"][name] for name in ("dma", "accelerator")})
        device = cls(fabric, contents, fabric.program(bit, places, manifest["clock_mhz"]))
        device._check_identity()
        fabric.allocate(*(device.burst * n * device._wide for n in (device.input_words, device.output_words)))
        device.reset()
        return device

    def description(self) -> dict[str, Any]:
        """What the host needs to use it."""
        return {
            "build_id": self.contents.manifest["build_id"],
            "clock_mhz": self.clock_mhz,
            "word_bits": self.dtype.itemsize * 8,
            "input_words": self.input_words,
            "output_words": self.output_words,
            "frame_seconds": max(self._interval_s, self._latency_s),
        }

    def run(self, words: NDArray[Any]) -> NDArray[Any]:
        """Output words (n, output_words) of input words (n, input_words), in bursts."""
        self._write("bursts", 1)
        found = [self._packet(words[i : i + self.burst]) for i in range(0, len(words), self.burst)]
        return np.concatenate(found) if found else np.zeros((0, self.output_words), self.dtype)

    def latency(self, words: NDArray[Any], repeats: int) -> dict[str, Any]:
        """Cycles of single frames, then cycles between frames and seconds of batches. Seconds include the software.

        ``counted``: cycles of the fabric clock over the whole measurement and the seconds it took, which show how fast
        the clock really is, whatever its registers say.
        """
        self.reset()
        first = self._moment()
        for index in range(repeats):
            self._packet(words[index % len(words)][None])
        single = self._counters()
        batches = []
        for size in BATCHES:
            batch = np.resize(words, (size, self.input_words))
            began = self.fabric.seconds()
            self.run(batch)
            seconds = self.fabric.seconds() - began
            together = (size - 1) % self.burst + 1  # in the last transfer: between two of them, software waits
            interval = self._counters()["interval"] if together > 1 else None
            batches.append({"frames": size, "seconds": seconds, "interval_cycles": interval})
        self._write("bursts", 0)
        last = self._moment()
        counted = {"cycles": last[0] - first[0], "seconds": last[1] - first[1]}
        found = {"clock_mhz": self.clock_mhz, "repeats": repeats, "single": single, "batches": batches}
        return {**found, "counted": counted}

    def power(self, words: NDArray[Any], seconds: float) -> dict[str, Any]:
        """Watts by rail of ``seconds`` loaded but idle, then of ``seconds`` of work. Times are from the call.

        The work is that of processor, DMA and accelerator together. Where no rail is measured both spans still take
        place, for a meter outside. Rails that never read anything but zero are left out: pynq gives zero for a sensor
        that it cannot read.
        """
        began = time.monotonic()
        idle = self._sampled(lambda left: time.sleep(left), seconds)
        middle = time.monotonic()
        frames = 0

        def work(left: float) -> None:
            nonlocal frames
            end = time.monotonic() + left
            while time.monotonic() < end:
                frames += len(self.run(words))

        busy = self._sampled(work, seconds)
        ended = time.monotonic()
        alive = [name for name in idle if name in busy and any(map(any, (*idle[name], *busy[name])))]
        rails = {name: compared(idle[name], busy[name]) for name in alive}
        spans = {"idle_s": [0.0, middle - began], "busy_s": [middle - began, ended - began]}
        return {"rails": rails, "frames": frames, **spans}

    def reset(self) -> None:
        """Drop every frame on its way; counters, errors and bursts begin anew."""
        self.fabric.reset()
        self._write("control", STREAM_RESET)
        self._write("errors", sum(1 << bit for bit in _ERRORS))
        self._frames = 0

    def _check_identity(self) -> None:
        """The constant registers: a stale bitstream loads in silence."""
        found = {name: self._read(name) for name in self.contents.constants}
        ids = "".join(f"{found[f'build_id_{index}']:08x}" for index in range(4))
        wanted = self.contents.manifest["build_id"]
        if found["magic"] != self.contents.constants["magic"]:
            what = f"no accelerator of ours answers after programming (magic is {found['magic']:#010x})"
            raise AgentError("mismatch", f"{what}; power-cycle the board, then deploy again")
        if ids != wanted:
            raise AgentError(
                "mismatch", f"build {ids} answers after programming, not {wanted}: a stale bitstream; deploy again"
            )
        for name, value in self.contents.constants.items():
            if found[name] != value:
                raise AgentError(
                    "mismatch", f"register {name} is {found[name]}, the bundle says {value}; build it again"
                )

    def _packet(self, words: NDArray[Any]) -> NDArray[Any]:
        """One transfer of whole frames."""
        count = len(words)
        seconds = 2.0 + 10 * (self._latency_s + count * self._interval_s)
        wanted = count * self.output_words * self._wide
        sent: Words = np.ascontiguousarray(words).reshape(-1).view("<u4")
        try:
            found = self.fabric.transfer(sent, wanted, seconds)
        except AgentError as error:
            raise self._explained(error, count) from None
        flags = self._read("errors")
        if flags or len(found) != wanted:
            named = [name for bit, name in _ERRORS.items() if flags >> bit & 1]
            self.reset()
            what = f"{count} frames gave {len(found)} of {wanted} 32-bit words, errors: {', '.join(named) or 'none'}"
            raise AgentError("hardware", f"{what}; results are not to be trusted; deploy again")
        self._frames += count
        return found.view(self.dtype).reshape(count, self.output_words)

    def _explained(self, error: AgentError, count: int) -> AgentError:
        """The error with what the accelerator knows of it; then everything is made ready again, where that works."""
        counted = self._counters()
        state = f"status {self._read('status'):#x}, errors {self._read('errors'):#x}"
        words = (
            f"{error}; the accelerator took {counted['frames_in']} frames and sent {counted['frames_out']} ({state})"
        )
        if error.kind == "timeout" and counted["frames_out"] == self._frames + count:
            words += "; every frame left it, so TLAST is missing at the end of the packet: is this our accelerator?"
        try:
            self.reset()
        except AgentError as after:
            words += f"; {after}"
        return AgentError(error.kind, words)

    def _moment(self) -> tuple[int, float]:
        """Cycles since the fabric's reset, and the time of their snapshot."""
        counters, seconds = self._counters(), self.fabric.seconds()
        return counters["cycles_high"] << 32 | counters["cycles_low"], seconds

    def _counters(self) -> dict[str, int]:
        self._write("control", SNAPSHOT)
        return {name: self._read(name) for name in _COUNTERS}

    def _sampled(self, work: Any, seconds: float) -> dict[str, list[Reading]]:
        """Readings by rail while ``work(seconds)`` goes on; its error is raised here."""
        failed: list[BaseException] = []

        def guarded() -> None:
            try:
                work(seconds)
            except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
                failed.append(error)

        worker = threading.Thread(target=guarded)
        found: dict[str, list[Reading]] = {}
        worker.start()
        pause, taken = min(SETTLE_SECONDS, seconds / 4), False
        try:
            while True:
                worker.join(pause)
                if taken and not worker.is_alive():  # taken at least once, however busy this processor is
                    break
                for rail, reading in self.fabric.power().items():
                    found.setdefault(rail, []).append(reading)
                pause, taken = SAMPLE_SECONDS, True
        finally:
            worker.join()  # it uses the buffers
        if failed:
            raise failed[0]
        return found

    def _read(self, name: str) -> int:
        return self.fabric.read(self.contents.offsets[name])

    def _write(self, name: str, value: int) -> None:
        self.fabric.write(self.contents.offsets[name], value)
