"""Boards for tests of the search: the real agent and driver on the stand-in for the fabric, in this process.

Every candidate has the same small network on a board, and its own cycles; what it would compute is not tested here.
Figures of the routed design are those of the search times constants.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "boards"))
import agent_bundles
from agent_standin import StandinFabric

from boards.agent.server import Server
from boards.agent.store import Store
from boards.bundle import Bundle
from boards.remote import Remote
from codesign.board_loop.tools import BoardTools
from codesign.errors import MismatchError, TimingError, ToolError, ToolRunError
from codesign.measurement import Figure, Measurement, Provenance
from codesign.schema import VIRTUAL

LUT, FF, FMAX = 1.25, 0.8, 0.9
MADE = agent_bundles.made()
SHARE = {"build": (0.0, 0.2), "timing": (0.2, 0.4), "mismatch": (0.4, 0.6), "board": (0.6, 0.8)}
"""Of the candidates, by their digests, what happens to those that are to fail."""


def lot(digest):
    return int(digest[10:14], 16) / 0x10000


def fails(digest, what):
    low, high = SHARE[what]
    return low <= lot(digest) < high


@dataclass
class Board:
    """A board of a test. ``scale``: its clock's, of what the register says. ``dies_after``: so many measurements."""

    scale: float = 1.0
    name: str = "pynq-z1"
    simulated: bool = False
    dies_after: int = 10**9
    measured: list[str] = field(default_factory=list)
    attempts: int = 0


class Fabric(StandinFabric):
    def __init__(self, board):
        super().__init__()
        self.owner, self.simulated, self.table = board, board.simulated, {}

    def board(self):
        return self.owner.name

    def versions(self):
        return {"pynq": "3.0.1", "pycparser": "2.21"}

    def program(self, bit, places, clock_mhz):
        self.latency, self.interval = json.loads(bit.read_bytes())["cycles"]
        self.mhz = clock_mhz
        return super().program(bit, places, clock_mhz)

    def transfer(self, words, received, seconds):
        """As its class, whose arithmetic is slow, once for every frame."""
        kind = np.dtype("<u4" if self.format.word_bits == 32 else "<u8")
        frames = words.view(kind).reshape(-1, self.format.input_words)
        for frame in np.unique(frames, axis=0):
            if frame.tobytes() not in self.table:
                self.table[frame.tobytes()] = self._packed(self.graph.run(self._integers(frame[None])))
        self._count(len(frames))
        return np.concatenate([self.table[frame.tobytes()] for frame in frames])

    def _count(self, frames):
        for name in ("frames_in", "frames_out"):
            self.values[name] = self.values.get(name, 0) + frames
        for name in ("latency_last", "latency_min", "latency_max"):
            self.values[name] = self.latency
        self.values["cycles_low"] = self.values.get("cycles_low", 0) + self.latency + (frames - 1) * self.interval
        self.values["interval"] = self.interval

    def power(self):
        return {}

    def seconds(self):
        return self.values.get("cycles_low", 0) / (1e6 * self.mhz * self.owner.scale)


class LocalRemote(Remote):
    """A session with an agent in this process. ``fault``: raises where the candidate or the board is to fail."""

    def __init__(self, name, board, digest, faults):
        self.name, self.board, self.digest, self.faults = name, board, digest, faults
        self.scratch = tempfile.TemporaryDirectory()
        self.server = Server(Store(Path(self.scratch.name)), Fabric(board))
        self._frame_seconds, self.over = 0.0, False

    def _ask(self, operation, data=b"", more=0.0, **arguments):
        if self.over:
            raise ToolError(f"the session with {self.name} is over; begin a new one")
        if operation == "run" and "mismatch" in self.faults and fails(self.digest, "mismatch"):
            raise MismatchError("3 golden vectors give other outputs")
        if operation == "measure_latency":
            self.board.attempts += 1
            if self.board.attempts > self.board.dies_after:
                self.over = True
                raise ToolRunError(f"the connection to board {self.name} was lost: it ended the session; try again")
            if "board" in self.faults and fails(self.digest, "board"):
                raise ToolRunError("the DMA did not send all within 2.0 s", "its log")
        if operation == "measure_power":
            return {"rails": {}}, b""
        answer, found = self.server.answer({"op": operation, **arguments}, data)
        assert answer["ok"], answer
        if operation == "hello":
            answer["root"] = True
        if operation == "measure_latency":
            self.board.measured.append(self.digest)
        return answer, found

    def close(self):
        self.over = True
        self.server.close()
        self.scratch.cleanup()


class Bench:
    """Boards by host. ``faults``: of build, timing, mismatch and board, which are to happen to some candidates."""

    def __init__(self, boards, faults=()):
        self.boards, self.faults = boards, faults
        self.built, self.sessions = [], []
        self.lock = threading.Lock()

    def tools(self):
        return BoardTools(self.greet, self.build, self.connect)

    def greet(self, host, said):
        return self.boards[host].name

    def build(self, run, record, host, said):
        with self.lock:
            self.built.append((record.digest, host))
        if "build" in self.faults and fails(record.digest, "build"):
            raise ToolRunError("Vivado ended with code 1", "ERROR: [Place 30-640]")
        routed = {} if host.startswith(VIRTUAL) else self.routed(record)
        if "timing" in self.faults and fails(record.digest, "timing") and routed:
            slow = Figure(95.0, "MHz", Provenance.ROUTED, "Vivado", "1", {"asked_mhz": 100.0, "met": False})
            raise TimingError("timing is not met at 100 MHz", "its log", Measurement({**routed, "fmax": slow}))
        cycles = [int(record.measurement.value(f"{name}_cycles")) for name in ("latency", "interval")]
        return bundle(record.digest, cycles, Measurement(routed) if routed else None)

    def routed(self, record):
        figures = record.measurement.figures
        values = {
            "accelerator_lut": figures["lut"].value * LUT,
            "accelerator_ff": figures["ff"].value * FF,
            "fmax": figures["fmax"].value * FMAX,
        }
        details = {"asked_mhz": 100.0, "met": True}
        return {name: Figure(value, "", Provenance.ROUTED, "Vivado", "1", details) for name, value in values.items()}

    def connect(self, host, made, *, said):
        board = self.boards[host]
        self.sessions.append((host, made.manifest["candidate"]))
        if board.attempts > board.dies_after:
            raise ToolError(f"cannot use board {host}: timed out; is it on?")
        return LocalRemote(host, board, made.manifest["candidate"], self.faults)


def bundle(digest, cycles, routed):
    """The stand-in's bundle, for a candidate of so many cycles."""
    manifest, files = dict(MADE.bundle.manifest), dict(MADE.bundle.files)
    bit = json.loads(files.pop(f"{manifest['stem']}.bit"))
    hwh = files.pop(f"{manifest['stem']}.hwh")
    data = json.dumps({**bit, "cycles": cycles, "for": digest}).encode()
    stem = f"cdg_{hashlib.sha256(data).hexdigest()[:16]}"
    figures = {"candidate": {}} | ({"build": routed.to_json()} if routed is not None else {})
    manifest |= {"stem": stem, "latency_cycles": cycles[0], "interval_cycles": cycles[1]}
    manifest |= {"candidate": digest, "network": "a network", "figures": figures}
    return Bundle(manifest, {**files, f"{stem}.bit": data, f"{stem}.hwh": hwh})
