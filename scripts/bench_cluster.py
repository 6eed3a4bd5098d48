"""How many records per second the coordinator of a cluster stores, with candidates that take no time.

Scheduler, workers and coordinator are processes of their own but share this machine, so it is a lower bound; what the
coordinator itself could do is said beside it, as records per second of processor time that its process takes.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from codesign.architecture import Architecture
from codesign.listener import Listener
from codesign.loop import search
from codesign.measurement import Figure, Measurement, Provenance
from codesign.record import Final, Record
from codesign.study import parse_study
from codesign.target import Part, Target
from codesign.task import Task

WORKERS, CANDIDATES = 4, 4000
STUDY = f'[search]\nalgorithm = "random"\npopulation = {CANDIDATES // 4}\ngenerations = 4\n[space]\ndepth = [1, 4]\n'
PART = Part("xc7z020clg400-1", "xc7", "-1", {"lut": 53200, "ff": 106400, "bram": 140, "dsp": 220})


def describe(_study: Any) -> Task:
    """The digits' numbers, without the digits."""
    return Task(64, tuple("0123456789"), 0.9, 288, 360, Target(PART, 100.0, "pynq-z1"))


def lower_bound(_architecture: Architecture) -> Measurement:
    """Bounds nothing."""
    return Measurement({})


class Evaluator:
    """Evaluates a candidate by its name, in no time."""

    def __init__(self, _study: Any, _folder: Path) -> None:
        pass

    def evaluate(self, architecture: Architecture, _report: Any, _network: Any) -> Record:
        """Figures that nobody measured."""
        error = 0.1 + 0.8 * int(architecture.digest()[:4], 16) / 0xFFFF
        values = {"lut": sum(architecture.widths), "ff": 1, "bram": 0, "dsp": 0, "fmax": 200}
        values |= {"latency_cycles": len(architecture.widths), "interval_cycles": 1}
        figures = {name: Figure(float(value), "", Provenance.ESTIMATED, "none", "1") for name, value in values.items()}
        figures["val_error"] = Figure(error, "", Provenance.ESTIMATED, "none", "1")
        return Record(architecture, "ok", measurement=Measurement(figures))

    def finalize(self, record: Record, _report: Any) -> Final:
        """Nothing further."""
        return Final(record.digest, Measurement({}))


class Clock(Listener):
    """Times of the first and the last stored candidate, and the processor's of this process."""

    def __init__(self) -> None:
        self.count, self.first, self.last = 0, 0.0, 0.0
        self.cpu_first, self.cpu_last = 0.0, 0.0

    def candidate(self, record: Record) -> None:  # noqa: ARG002  # the listener's interface
        """Note the time; the first waits for processes to start."""
        self.last, self.cpu_last = time.monotonic(), time.process_time()
        if not self.count:
            self.first, self.cpu_first = self.last, self.cpu_last
        self.count += 1


def cluster() -> dict[str, Any]:
    """Search over a local cluster; records per second between the first and the last."""
    from distributed import SubprocessCluster

    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # workers find this module
    clock = Clock()
    workers = {"n_workers": WORKERS, "threads_per_worker": 1, "dashboard_address": None}
    # not the memory disk that a temporary folder may be: what is stored must reach a real one
    with tempfile.TemporaryDirectory(prefix="codesign-bench-", dir=Path.cwd()) as folder:  # noqa: SIM117
        with SubprocessCluster(**workers) as made:
            study, where = parse_study(STUDY, "bench"), made.scheduler_address
            run = search(study, Path(folder) / "run", cluster=where, listener=clock, evaluation=__name__)
    seconds, processor = clock.last - clock.first, clock.cpu_last - clock.cpu_first
    return {
        "workers": WORKERS,
        "candidates": clock.count,
        "seconds": seconds,
        "records_per_second": (clock.count - 1) / seconds,
        "records_per_processor_second": (clock.count - 1) / processor,
        "counts": run.counts,
    }
