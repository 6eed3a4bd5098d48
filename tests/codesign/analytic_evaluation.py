"""An evaluation by formulas instead of training and tools, with the interface of codesign.evaluate.

It stands in for the evaluation only where the search itself is tested. The environment variable ANALYTIC makes it
slow, makes chosen candidates die, hang or fail, or names its data.
"""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from codesign.architecture import Architecture
from codesign.artifacts import ArtifactStore
from codesign.derived import counted
from codesign.errors import StorageError, ToolRunError
from codesign.jobs import UNTRAINED
from codesign.measurement import Figure, Measurement, Provenance
from codesign.record import Final, Record
from codesign.study import Study
from codesign.target import Part, Target
from codesign.task import Task
from codesign.trial import Trained
from quant.network_files import FORMAT_FILE, MODEL_FILE

PART = Part("xc7z020clg400-1", "xc7", "-1", {"lut": 53200, "ff": 106400, "bram": 140, "dsp": 220})


def describe(study: Study) -> Task:
    target = Target(PART, study.target.clock_mhz, study.target.board)
    return Task(64, tuple("0123456789"), 0.9, 288, 360, target, _behaviour().get("data", ""))


def _behaviour() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(os.environ.get("ANALYTIC", "{}"))
    return values


def figure(value: float, unit: str, provenance: Provenance = Provenance.SYNTHESIZED) -> Figure:
    return Figure(float(value), unit, provenance, "analytic", "1")


def _error(architecture: Architecture, epochs: int | None = None) -> float:
    """Validation error; after few epochs it is larger, and the order of two candidates may be another."""
    share = int(architecture.digest()[2:6], 16) / 0xFFFF
    capacity = sum(layer.units for layer in architecture.hidden) * architecture.input_bits
    return 0.6 / math.sqrt(capacity) + 0.02 * share + (0.0 if epochs is None else (0.2 + 0.1 * share) / epochs)


def _luts(architecture: Architecture) -> float:
    pairs = zip(architecture.widths, architecture.widths[1:], strict=False)
    macs = sum(a * b for a, b in pairs)
    return macs * architecture.input_bits / (2.0 * architecture.hardware.folding)


def lower_bound(architecture: Architecture) -> Measurement:
    return Measurement({"lut": figure(_luts(architecture) * 0.8, "LUT", Provenance.ESTIMATED)})


def _network(architecture: Architecture) -> bytes:
    """What stands for a trained network."""
    return architecture.network_digest().encode()


class Evaluator:
    def __init__(self, study: Study, run_folder: Path) -> None:
        self.behaviour = _behaviour()
        self.folder, self.epochs, self.rungs = run_folder, study.search.epochs, study.rungs.epochs
        self.artefacts = ArtifactStore(run_folder)
        self.counts = "bit_operations" in study.search.objectives
        if self.behaviour.get("count_in"):
            self.tally = run_folder / f"evaluated-{os.getpid()}"

    def try_out(
        self,
        architecture: Architecture,
        epochs: int,
        report: Callable[[str], None],
        network: Mapping[str, str],
    ) -> Trained | Record:
        if int(architecture.digest()[14:18], 16) / 0xFFFF < self.behaviour.get("unfit", 0.0):
            return Record(architecture, "infeasible", "not trained: no folding fits", seconds={"planning": 0.01})
        report("short training")
        if self.behaviour.get("count_in"):
            with self.tally.open("a") as file:
                whole = epochs == self.epochs and not network
                file.write(
                    f"trained:{architecture.network_digest()}\n" if whole else f"{architecture.digest()}:{epochs}\n"
                )
        time.sleep(self.behaviour.get("sleep", 0.0) * int(architecture.digest()[:2], 16) / 128.0)
        if int(architecture.digest()[10:14], 16) / 0xFFFF < self.behaviour.get("fail_short", 0.0):
            raise ToolRunError("no number", log="loss: nan")
        whole = epochs == self.epochs
        error = _error(architecture, None if whole else epochs)
        artefacts = {name: self.artefacts.put(_network(architecture)) for name in (MODEL_FILE, FORMAT_FILE)}
        return Trained(figure(round(error * 288) / 288, "", Provenance.TRAINED), artefacts if whole else {})

    def evaluate(
        self, architecture: Architecture, report: Callable[[str], None], network: Mapping[str, str] = UNTRAINED
    ) -> Record:
        report("training")
        digest = architecture.digest()
        assert network or self.epochs not in self.rungs, "its network was trained on a rung"
        for name in network:
            assert self.artefacts.get(network[name]) == _network(architecture), "another network"
        if self.behaviour.get("count_in"):
            with self.tally.open("a") as file:
                file.write(digest + "\n")
        time.sleep(self.behaviour.get("sleep", 0.0) * int(digest[:2], 16) / 128.0)
        share = int(digest[2:6], 16) / 0xFFFF
        for what, act in BEHAVIOURS.items():
            if share < self.behaviour.get(what, 0.0):
                act()
        died = self.folder / f"died-{digest}"
        if share < self.behaviour.get("die_once", 0.0) and not died.exists():
            died.touch()
            _die()
        if share < self.behaviour.get("garbage", 0.0):
            return Record(replace(architecture, input_bits=8), "failed", "garbage")
        report("synthesis")
        error = _error(architecture)
        cycles = (len(architecture.hidden) + 1) * (2 + architecture.hardware.folding)
        luts = _luts(architecture)
        return Record(
            architecture,
            "ok",
            measurement=Measurement(
                {
                    "val_error": figure(round(error * 288) / 288, "", Provenance.TRAINED),
                    "lut": figure(round(luts), "LUT"),
                    "ff": figure(round(luts * 0.7), "FF"),
                    "bram": figure(0, "BRAM36"),
                    "dsp": figure(0, "DSP"),
                    "fmax": figure(90 + 60 * share, "MHz", Provenance.MODELLED),
                    "latency_cycles": figure(cycles, "cycles", Provenance.SIMULATED),
                    "interval_cycles": figure(architecture.hardware.folding, "cycles", Provenance.SIMULATED),
                    **(counted(architecture).figures if self.counts else {}),
                }
            ),
            seconds={"training": 0.01, "synthesis": 0.02},
        )

    def retrain(
        self, architecture: Architecture, number: int, report: Callable[[str], None]
    ) -> tuple[Record, Final | None]:
        record = self.evaluate(architecture, report)
        share = int(architecture.digest()[6 + number : 10 + number], 16) / 0xFFFF
        if share < self.behaviour.get("fail_again", 0.0):
            return Record(architecture, "failed", "no luck"), None
        if share < self.behaviour.get("unfit_again", 0.0):
            return Record(architecture, "infeasible", "no folding fits"), None
        if share < self.behaviour.get("garbage_again", 0.0):
            return replace(record, architecture=replace(architecture, input_bits=8)), None
        assert record.measurement is not None
        figures = dict(record.measurement.figures)
        error = round((figures["val_error"].value + 0.05 * share) * 288) / 288
        figures |= {"val_error": figure(error, "", Provenance.TRAINED)}
        figures |= {"lut": figure(round(figures["lut"].value * (0.8 + 0.4 * share)), "LUT")}
        artefacts = {"weights": ArtifactStore(self.folder).put(f"{number}".encode())}
        again = Record(architecture, "ok", measurement=Measurement(figures), artefacts=artefacts)
        tested = Measurement({"test_error": figure(error + 0.01, "", Provenance.TRAINED)})
        return again, Final(architecture.digest(), tested)

    def finalize(self, record: Record, report: Callable[[str], None]) -> Final:
        report("test set")
        if int(record.digest[6:10], 16) / 0xFFFF < self.behaviour.get("fail_final", 0.0):
            raise ToolRunError("C simulation differs in 3 of 360 outputs", log="first: 4 against 9")
        return Final(record.digest, Measurement({"test_error": figure(0.1, "", Provenance.TRAINED)}))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _hang() -> None:
    time.sleep(3600)


def _fail() -> None:
    raise ToolRunError("yosys ended with exit code 1", log="ERROR: out of luck")


def _disk_full() -> None:
    raise StorageError("cannot store in artifacts: No space left on device")


def _disk_error() -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "model.h5")


BEHAVIOURS = {
    "die": _die,
    "terminate": _terminate,
    "hang": _hang,
    "fail": _fail,
    "disk_full": _disk_full,
    "disk_error": _disk_error,
}
