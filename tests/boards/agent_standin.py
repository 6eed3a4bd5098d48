"""A fabric that computes the integer network in NumPy, and an agent on it; a stand-in for testing our side only.

It knows nothing of AXI, of clocks or of pynq: what the hardware really does is not shown by anything that uses it. Its
"bitstream" is JSON of the network and the registers. As a program: ``agent_standin.py FOLDER [FAULT...]``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from boards.agent.errors import AgentError
from boards.agent.fabric import Fabric, Places, Words
from boards.agent.server import main
from boards.agent.watts import Reading
from hw.graph import Graph
from hw.host_format import HostFormat

BOARD = "Pynq-Z1"
LATENCY, INTERVAL = 37, 5


class StandinFabric(Fabric):
    """``faults``: what goes wrong, by the names that are looked for below."""

    def __init__(self, *faults: str) -> None:
        self.faults = set(faults)
        self.log: list[str] = []
        self.values: dict[str, int] = {}
        self.registers: dict[str, dict[str, Any]] = {}
        self.sizes = (0, 0)
        self.reads = 0

    def board(self) -> str | None:
        return BOARD

    def versions(self) -> Mapping[str, Any]:
        return {"pynq": None}

    def program(self, bit: Path, places: Places, clock_mhz: float) -> float:
        self.log.append(f"program {bit.name}")
        assert bit.with_suffix(".hwh").is_file()
        self._fault("program")
        if not (self.registers and "stale" in self.faults):
            content = json.loads(bit.read_bytes())
            self.graph, self.format = Graph.from_json(content["graph"]), HostFormat.from_json(content["format"])
            self.registers = content["registers"]
        self.values = {}
        if "prints" in self.faults:
            sys.stdout.write("pynq says something\n")
            sys.stdout.flush()
            os.write(1, b"and so does a library of C\n")
        return clock_mhz

    def allocate(self, sent: int, received: int) -> None:
        self.sizes = (sent, received)

    def read(self, offset: int) -> int:
        name = next(name for name, register in self.registers.items() if register["offset"] == offset)
        return self.values.get(name, self.registers[name].get("value", 0))

    def write(self, offset: int, value: int) -> None:
        name = next(name for name, register in self.registers.items() if register["offset"] == offset)
        if name == "control":
            if value & 2:
                self.values = {}
        elif name == "errors":
            self.values["errors"] = self.values.get("errors", 0) & ~value
        else:
            self.values[name] = value

    def transfer(self, words: Words, received: int, seconds: float) -> Words:
        assert len(words) <= self.sizes[0]
        assert received <= self.sizes[1]
        self.log.append(f"transfer {len(words)}")
        self._fault("transfer")
        kind = np.dtype("<u4" if self.format.word_bits == 32 else "<u8")
        frames = words.view(kind).reshape(-1, self.format.input_words)
        assert len(frames) == 1 or self.values.get("bursts") == 1, "a packet is one frame without bursts"
        if "stuck" in self.faults:
            raise AgentError("timeout", f"the DMA did not send all within {seconds:.1f} s")
        self._count(len(frames))
        if "no tlast" in self.faults:
            raise AgentError("timeout", f"the DMA did not receive all within {seconds:.1f} s")
        if "overflow" in self.faults:
            self.values["errors"] = 4
        found = self._packed(self.graph.run(self._integers(frames)))
        if "wrong" in self.faults:
            found[0] ^= 1
        return found[:-1] if "short" in self.faults else found

    def reset(self) -> None:
        self.log.append("reset")

    def power(self) -> Mapping[str, Reading]:
        if "no rails" in self.faults:
            return {}
        self.reads += 1
        busy = 1.0 if self.log[-1].startswith("transfer") else 0.0
        return {"INT": (2.0 + 0.01 * (self.reads % 2) + busy,), "AUX": (1.0 + 0.5 * (self.reads % 2),)}

    def close(self) -> None:
        self.log.append("close")

    def _fault(self, place: str) -> None:
        if f"killed in {place}" in self.faults:
            os.kill(os.getpid(), signal.SIGKILL)
        if f"hangs in {place}" in self.faults:
            time.sleep(600)

    def _count(self, frames: int) -> None:
        for name in ("frames_in", "frames_out"):
            self.values[name] = self.values.get(name, 0) + frames
        for name in ("latency_last", "latency_min", "latency_max"):
            self.values[name] = LATENCY
        self.values["cycles_low"] = self.values.get("cycles_low", 0) + LATENCY + (frames - 1) * INTERVAL
        self.values["interval"] = INTERVAL

    def _integers(self, frames: Any) -> Any:
        """Unpacked element by element, apart from the code that packs them."""
        kind, found = self.format.input, np.zeros((len(frames), self.format.input.size), np.int64)
        for row, frame in zip(found, frames, strict=True):
            whole = int.from_bytes(frame.tobytes(), "little")
            for i in range(kind.size):
                value = whole >> (i * kind.bits) & ((1 << kind.bits) - 1)
                row[i] = value - (1 << kind.bits) if kind.signed and value >> (kind.bits - 1) else value
        return found

    def _packed(self, outputs: Any) -> Any:
        size = self.format.output_words * self.format.word_bits // 8
        octets = b"".join(
            b"".join(
                int(value).to_bytes(self.format.output.bits // 8, "little", signed=self.format.output.signed)
                for value in row
            ).ljust(size, b"\0")
            for row in outputs
        )
        return np.frombuffer(octets, "<u4").copy()


def kill_in_write(number: int) -> None:
    """End this process by SIGKILL when so many files were written, before the last has its name."""
    written = []

    def fsync(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = fsync


if __name__ == "__main__":
    for fault in sys.argv[2:]:
        if fault.startswith("killed in write "):
            kill_in_write(int(fault.split()[-1]))
    sys.exit(main(sys.argv[1:2], StandinFabric(*sys.argv[2:]), ""))
