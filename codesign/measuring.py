"""Measure one's own network: lower it, build its RTL, synthesize, time, simulate, and hold all levels together."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from boards.catalogue import load_target
from codesign import processors
from codesign.architecture import Hardware
from codesign.errors import InputError, MismatchError, ModelError
from codesign.instruments import CSIM, HLS, RTL, C, attempt, require, take, take_hls
from codesign.latencies import latencies
from codesign.measurement import Measurement
from codesign.reading import Reading
from codesign.submission import require_submission, write_submission
from codesign.target import BOARD, CLOCK_MHZ, Target
from hw.choices import Solution
from hw.design import Design, design
from hw.emit.folded import Folding
from hw.fitting import fitted
from hw.graph import Graph, Ints
from hw.implement import (
    PERIOD_SHARE,
    Announce,
    Implementation,
    hold_c_simulation,
    implement,
    random_vectors,
)
from hw.measure.delays import DelayModel
from hw.measure.plan import write_files
from hw.project import project
from hw.solver import Goal

REPORT, INSTRUMENTS = "report.json", "instruments"
VECTORS, SEED = 1280, 1
BEATS = 16_384
"""Of images so many pixels are compared, in whole images and at least a few."""
_FEWEST_VECTORS = 16


@dataclass(frozen=True, eq=False)
class Subject:
    """A network to measure: its integer graph, the hardware asked for, and the Keras model if it came from one.

    ``solution``: how far each part is folded, where a goal was given instead of one folding for all.
    """

    name: str
    graph: Graph
    hardware: Hardware
    target: Target
    model: Any = None
    goal: Goal | None = None
    solution: Solution | None = None

    @property
    def foldings(self) -> dict[int, Folding] | None:
        """Of each part, where there was a goal."""
        return self.solution.foldings if self.solution else None

    def solved(self, goal: Goal) -> Subject:
        """The same network, folded for ``goal``; TargetError where the part cannot meet it."""
        solution = fitted(self.graph, goal, self.target, self.target.period_ns * PERIOD_SHARE)
        return replace(self, goal=goal, solution=solution, hardware=Hardware("folded", solution.interval))

    def with_argmax(self) -> Subject:
        """The same network, giving the place of its largest output; ModelError where its outputs are no classes."""
        dims = self.graph.output.dims
        if len(dims) != 1 or dims[0] < 2:
            raise ModelError(
                f"an argmax takes a vector of two or more outputs; {self.name!r} gives {' x '.join(map(str, dims))}: "
                "leave it out, or end with a Flatten"
            )
        return replace(self, graph=self.graph.with_argmax())

    @classmethod
    def of(cls, model: Any, hardware: Hardware, target: Target) -> Self:
        """Lower a QKeras model, or the file of one (.keras, .h5, .onnx)."""
        if not isinstance(model, str | Path):
            return cls.from_keras(model, hardware, target, getattr(model, "name", "network"))
        path = Path(model)
        if path.suffix == ".onnx":
            return cls.from_onnx(path, hardware, target)
        from quant.models import load_model

        return cls.from_keras(load_model(path), hardware, target, path.stem)

    @classmethod
    def from_keras(cls, model: Any, hardware: Hardware, target: Target, name: str) -> Self:
        """Lower a QKeras model and hold every layer against QKeras; ModelError or MismatchError where that fails."""
        from hw.hls4ml_flow import parse
        from hw.lower import lower, self_check

        graph = lower(parse(model, target.part.name, target.clock_mhz))
        subject = cls(name, graph, hardware, target, model)
        self_check(model, graph, subject.vectors())
        return subject

    @classmethod
    def from_model_graph(cls, model_graph: Any, hardware: Hardware, target: Target, name: str) -> Self:
        """Lower what hls4ml understood of a model that does not come from Keras."""
        from hw.lower import lower

        return cls(name, lower(model_graph), hardware, target)

    @classmethod
    def from_onnx(cls, path: Path, hardware: Hardware, target: Target) -> Self:
        """Lower a QONNX model and hold the graph against ONNX' reference evaluator."""
        from hw.hls4ml_flow import parse_onnx
        from hw.onnx_check import hold_onnx

        subject = cls.from_model_graph(
            parse_onnx(path, target.part.name, target.clock_mhz), hardware, target, path.stem
        )
        hold_onnx(str(path), str(path), subject.graph, subject.vectors())
        return subject

    def vectors(self) -> Ints:
        """Input integers (n, inputs) that every level is compared on: fewer of images, which are many beats each."""
        beats = math.prod(self.graph.input.dims[:-1])
        return random_vectors(self.graph, min(VECTORS, max(_FEWEST_VECTORS, BEATS // beats)), SEED)

    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Logits (n, outputs) of real inputs (n, inputs) or (n, *shape), quantized as the model's first layer does."""
        node = self.graph.input
        x = x.astype(np.float32)  # as Keras does, which decides between two halves
        if np.isnan(x).any():
            raise InputError("inputs hold NaN, which no integer stands for; remove these samples")
        dims = [extent for extent in node.dims if extent > 1]
        if x.ndim < 2 or (x.shape[1:] != (node.size,) and [extent for extent in x.shape[1:] if extent > 1] != dims):
            raise InputError(f"inputs must have shape (n, {', '.join(map(str, node.dims))}), not {x.shape}")
        return self.graph.output.type.to_real(self.graph.run(node.type.nearest(x.reshape(len(x), -1))))

    def first_design(self) -> Design:
        """The design for the clock, before synthesis has told whether it needs more registers."""
        delays = DelayModel.for_part(self.target.part)
        return design(self.graph, self.hardware, delays, self.target.period_ns * PERIOD_SHARE, self.foldings)


@dataclass(frozen=True, eq=False)
class Measured:
    """A measured network. ``notes`` say what could not be compared, and why hls4ml's C simulation differs.

    ``seconds`` is what synthesis, timing and simulation of the RTL took, less where some of it was ``cached``: made
    before, and taken from the cache. ``readings`` are those of other instruments, which have none.
    """

    subject: Subject
    design: Design
    measurement: Measurement
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    readings: tuple[Reading, ...] = ()
    cached: bool = False

    def value(self, name: str) -> float:
        """One figure, e.g. ``lut``, ``fmax`` (MHz), ``latency_cycles``."""
        return self.measurement.value(name)

    def latencies(self) -> list[dict[str, Any]]:
        """Of one inference on the FPGA and on the processors that were timed; empty without those."""
        return latencies(self.measurement, self.subject.target, self.readings)

    @property
    def failed(self) -> bool:
        """Whether an instrument that was asked for ran and gave nothing."""
        return any(reading.status == "failed" for reading in self.readings)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; the keys are in docs/json.md."""
        target = self.subject.target
        return {
            "name": self.subject.name,
            "board": target.board,
            "part": target.part.name,
            "clock_mhz": target.clock_mhz,
            "hardware": {"mode": self.subject.hardware.mode, "folding": self.subject.hardware.folding},
            "graph": self.subject.graph.digest(),
            "schedule": self.design.schedule(),
            "figures": self.measurement.to_json(),
            "notes": list(self.notes),
            "seconds": self.seconds,
            "cached": self.cached,
            "latencies": self.latencies(),
            "instruments": [reading.to_json() for reading in self.readings],
        }


def measure(
    model: Any,
    *,
    board: str | None = None,
    part: str | None = None,
    clock_mhz: float = CLOCK_MHZ,
    folding: int | None = None,
    goal: Goal | None = None,
    argmax: bool = False,
    out: str | Path | None = None,
    via: Sequence[str] = (RTL,),
    host: str | None = None,
    submit: str | Path | None = None,
    stage: Announce = lambda _: nullcontext(),
) -> Measured:
    """Measure a QKeras model, or the file of one (.keras, .h5, .onnx), on a board (default: pynq-z1) or part.

    ``folding``: target initiation interval of each layer in cycles; without it the network is fully parallel.
    ``goal``: instead, what mode and folding of every layer are found for (:class:`hw.solver.Goal`).
    ``argmax``: the hardware gives the place of the largest output, of equal ones the first, instead of the outputs.
    ``out``: a folder for RTL, golden vectors, README and report. ``via``: other instruments that shall measure it too,
    of ``rtl`` (always), ``vivado``, ``vivado-routed``, ``nextpnr``, ``hls`` and ``c``; one that fails is a reading that
    says so. ``host``: ``user@board``, on whose processor the C model is timed too. ``submit``: a file for what may be
    sent to us of it (:mod:`codesign.submission`), not written where no tool gave figures to compare with. ``stage`` is
    entered around each stage. Raises ToolMissingError where a tool of them is not here, ModelError naming the layer
    that cannot be built exactly, MismatchError at a wrong bit.
    """
    if folding is not None and folding < 1:
        raise InputError(f"folding = {folding} is not a number of cycles: give 1 or more, or leave it out for parallel")
    if folding is not None and goal is not None:
        raise InputError(f"folding = {folding} and a goal: give one of them")
    hardware = Hardware("parallel") if folding is None else Hardware("folded", folding)
    target = load_target(board if board or part else BOARD, part, clock_mhz)
    require(via, target)
    processors.require_host(host, via)
    if submit is not None:
        require_submission(Path(submit), via)
    with stage("lowering"):
        subject = Subject.of(model, hardware, target)
        if argmax:
            subject = subject.with_argmax()
        if goal is not None:
            subject = subject.solved(goal)
    folder, record = (None if place is None else Path(place) for place in (out, submit))
    return measure_subject(subject, out=folder, c_simulation=True, via=via, host=host, submit=record, stage=stage)


def measure_subject(
    subject: Subject,
    *,
    out: Path | None,
    c_simulation: bool,
    via: Sequence[str] = (RTL,),
    host: str | None = None,
    submit: Path | None = None,
    stage: Announce = lambda _: nullcontext(),
) -> Measured:
    """Build and measure; with ``out``, write the project, the instruments' files and ``report.json`` there.

    After a MismatchError all files of the failed comparison are in ``out/failed``.
    """
    if HLS in via and subject.model is None:
        raise InputError("--via hls: hls4ml's HLS path is only made of Keras models here; leave hls out")
    if out is not None:
        write_project(subject, out)  # a folder that cannot be written is noticed before the work
    board = processors.on_board(host, subject.name, subject.graph, subject.vectors(), stage)
    with TemporaryDirectory(prefix="codesign-") as scratch:
        begun = time.monotonic()
        built = _implement(subject, Path(scratch), out, stage)
        seconds = time.monotonic() - begun
        places = Path(scratch) if out is None else out / INSTRUMENTS
        readings = list(take(via, built, subject.target, places, stage))
        if submit is not None:
            write_submission(submit, built, subject.target, readings)
        figures, notes = built.measurement, [*_predicted(subject, built.design), *_longer(subject, built.design)]
        if c_simulation or HLS in via:
            simulated, said = _c_simulation(subject, places / HLS if HLS in via else Path(scratch, HLS), via, stage)
            figures, notes = figures.merged([simulated.figures]), notes + said
            if HLS in via:
                readings += [simulated, *take_hls(places / HLS, subject.target, stage)]
        if C in via:
            x, place = subject.vectors(), places / C
            readings += processors.take(subject.name, subject.graph, subject.model, x, place, board, stage)
        if out is None:
            readings = [_without(Path(scratch), reading) for reading in readings]
    readings = [replace(reading, design=built.design.digest()) for reading in readings]
    measured = Measured(subject, built.design, figures, tuple(notes), seconds, tuple(readings), built.cached)
    if out is not None:
        _write(measured.subject, built.design, out)
        write_files(out, {REPORT: json.dumps(measured.to_json(), indent=2) + "\n"})
    return measured


def _without(folder: Path, reading: Reading) -> Reading:
    """The reading without the path of a folder that is removed."""
    reason, log = (text.replace(f"{folder}{os.sep}", "") for text in (reading.reason, reading.log))
    reason += "" if reason == reading.reason else "; --out DIR keeps that file"
    return replace(reading, reason=reason, log=log)


def _implement(subject: Subject, folder: Path, out: Path | None, stage: Announce) -> Implementation:
    try:
        return implement(
            subject.graph, subject.hardware, subject.target, subject.vectors(), folder,
            foldings=subject.foldings, jobs=len(os.sched_getaffinity(0)), stage=stage,
        )  # fmt: skip
    except MismatchError:
        if out is not None:
            shutil.copytree(folder, out / "failed", dirs_exist_ok=True)
        raise


def _c_simulation(subject: Subject, folder: Path, via: Sequence[str], stage: Announce) -> tuple[Reading, list[str]]:
    """hls4ml's C simulation held against the network, and what is to be said of it."""
    if subject.model is None:
        reason = "hls4ml's C simulation was not compared: it is only made of Keras models"
        return Reading(CSIM, "missing", Measurement({}), 0.0, reason), [reason]
    hardware, logits = subject.hardware if HLS in via else None, subject.graph.logits()

    def work() -> Measurement:
        found = hold_c_simulation(subject.model, logits, subject.vectors(), folder, subject.target, hardware)
        return Measurement({"csim_mismatches": found})

    with stage("C simulation"):
        reading = attempt(CSIM, work)
        if reading.status != "ok":
            return reading, [f"not compared: {reading.reason}"]
        differing = reading.figures.figures["csim_mismatches"]
        return reading, _why(subject, differing.value, differing.details.get("first", ""))


def write_project(subject: Subject, folder: Path) -> None:
    """Write RTL, golden vectors and README of the design as it stands before synthesis."""
    _write(subject, subject.first_design(), folder)


def _write(subject: Subject, built: Design, folder: Path) -> None:
    for old in (folder / "rtl").glob("cdg_*.sv"):
        old.unlink()  # of an earlier design, whose modules may have other names
    write_files(folder, project(subject.name, built, subject.graph, subject.vectors()))


def _predicted(subject: Subject, built: Design) -> list[str]:
    """What the folding was chosen by, and whether the registers that the clock took cost the goal."""
    if subject.goal is None or subject.solution is None:
        return []
    lut, bram = (subject.solution.total(name) for name in ("lut", "bram"))
    binds = f"; {subject.solution.binds} binds" if subject.solution.binds else ""
    found = [f"{subject.goal.words()}: predicted {lut:.0f} LUT, {bram:g} BRAM36{binds}"]
    wanted = {"interval": (subject.goal.interval, built.interval_cycles)}
    wanted["latency"] = (subject.goal.latency, built.latency_cycles)
    return found + [
        f"with the registers that the clock takes the {name} is {cycles} cycles, more than the {most} asked for: ask "
        "for fewer, or for a slower clock"
        for name, (most, cycles) in wanted.items()
        if most is not None and cycles > most
    ]


def _longer(subject: Subject, built: Design) -> list[str]:
    """Why a frame takes longer than the folding that was asked for."""
    asked = subject.hardware.folding
    if subject.goal is not None or subject.hardware.mode == "parallel" or built.interval_cycles <= asked:
        return []
    slowest = max(built.layers, key=lambda layer: layer.interval_cycles)
    reason = "its layers hold each other up, as their pixels come in bursts"
    if slowest.interval_cycles > asked:
        has_pixels = len(subject.graph.input.dims) > 1
        causes = ["every pixel that it reads or pads takes a cycle"] * has_pixels
        if slowest.mode == "folded":
            causes.append(f"its registers hold two {'results' if has_pixels else 'vectors'} at a time")
        reason = f"layer {slowest.name!r} alone takes {slowest.interval_cycles}: {', and '.join(causes)}"
    return [f"folding = {asked}: the network takes a frame every {built.interval_cycles} cycles, as {reason}"]


def _why(subject: Subject, differing: float, first: str) -> list[str]:
    """Notes on a C simulation that differs: where first, and what in the model hls4ml is known to convert inexactly."""
    if not differing:
        return []
    from hw.hls4ml_differences import known_differences

    count = len(subject.vectors())
    reasons = known_differences(subject.model) or ["no construct known to differ was found: please report this model"]
    return [
        f"hls4ml's own C simulation differs from QKeras on {differing:.0f} of {count} vectors, first at {first}; "
        "RTL and QKeras agree",
        *reasons,
    ]
