"""What the agent's tests share: bundles of small random networks with a stand-in's "bitstream", and sessions."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from agent_standin import StandinFabric
from networks import random_graph, random_inputs

from boards.agent.archive import sha256
from boards.agent.server import Server
from boards.agent.store import Store
from boards.bundle import Bundle
from boards.driver import driver_files
from boards.remote import Remote
from codesign.architecture import Hardware
from codesign.target import Part
from hw.design import design
from hw.emit.accelerator import accelerator
from hw.graph import Graph
from hw.host_format import HostFormat
from hw.measure.delays import DelayModel

ROOT = Path(__file__).resolve().parents[2]
STANDIN = Path(__file__).with_name("agent_standin.py")
PART = "xc7z020clg400-1"


@dataclass(frozen=True)
class Made:
    bundle: Bundle
    graph: Graph
    format: HostFormat

    @property
    def content(self) -> bytes:
        return self.bundle.content()

    @property
    def digest(self) -> str:
        return sha256(self.content)

    def words(self, count: int, seed: int = 3) -> np.ndarray:
        return self.format.encode(random_inputs(self.graph, count, seed))

    def outputs(self, count: int, seed: int = 3) -> np.ndarray:
        return self.graph.run(random_inputs(self.graph, count, seed))


@functools.cache
def made(seed: int = 1, board: str = "pynq-z1", **changes: float) -> Made:
    graph = random_graph(seed, [13, 9, 4], "ternary", input_bits=3, input_signed=True)
    graph = graph.with_argmax() if changes.get("argmax") else graph
    hardware = Hardware("parallel")
    delays = DelayModel.for_part(Part(PART, "xc7", "-1", {}))
    built = accelerator(design(graph, hardware, delays, 10.0), graph, f"{seed:064x}"[::-1])
    x = random_inputs(graph, 50)
    bit = json.dumps(
        {"graph": graph.to_json(), "format": built.format.to_json(), "registers": built.register_map()}
    ).encode()
    stem = f"cdg_{hashlib.sha256(bit).hexdigest()[:16]}"
    manifest = {
        "board": board,
        "part": PART,
        "build_id": built.build_id,
        "clock_mhz": 100.0,
        "simulation_only": False,
        "stem": stem,
        "addresses": {"dma": 0x4000_0000, "accelerator": 0x4001_0000},
        "registers": built.register_map(),
        "host_format": built.format.to_json(),
        "latency_cycles": built.latency_cycles,
        "interval_cycles": built.interval_cycles,
        "class_names": ["a", "b", "c", "d"],
        "input_format": {
            "bits": built.format.input.bits,
            "signed": built.format.input.signed,
            "frac": built.format.input.frac,
            "offset": [0.5] * 13,
            "gain": [4.0] * 13,
        },
        **changes,
    }
    files = {
        f"{stem}.bit": bit,
        f"{stem}.hwh": b"<EDKSYSTEM/>",
        "golden/inputs.npy": npy(x),
        "golden/outputs.npy": npy(graph.run(x)),
        **driver_files((ROOT / "hw" / "host_format.py").read_text(encoding="utf-8")),
    }
    return Made(Bundle(manifest, files), graph, built.format)


def npy(values: np.ndarray) -> bytes:
    written = io.BytesIO()
    np.save(written, values.astype("<i4"))
    return written.getvalue()


def command(folder: Path, *faults: str) -> list[str]:
    """What starts an agent on the stand-in."""
    paths = ["env", f"PYTHONPATH={ROOT}{os.pathsep}{STANDIN.parent}"]
    return [*paths, sys.executable, str(STANDIN), str(folder), *faults]


def remote(folder: Path, *faults: str) -> Remote:
    return Remote(command(folder, *faults), "standin")


class Session:
    """A server in this process."""

    def __init__(self, folder, *faults):
        self.fabric = StandinFabric(*faults)
        self.server = Server(Store(folder), self.fabric)

    def ask(self, op, data=b"", **arguments):
        return self.server.answer({"op": op, **arguments}, data)

    def good(self, op, data=b"", **arguments):
        answer, found = self.ask(op, data, **arguments)
        assert answer["ok"], answer
        return answer, found

    def refused(self, op, data=b"", **arguments):
        answer, found = self.ask(op, data, **arguments)
        assert not answer["ok"]
        assert found == b""
        return answer["kind"], answer["message"]

    def loaded(self, subject):
        self.good("put_bundle", subject.content, sha256=subject.digest)
        return self.good("load", sha256=subject.digest)[0]
