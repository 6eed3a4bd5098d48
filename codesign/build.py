"""A candidate of a run as hardware to use: a bitstream in a bundle, a packaged Vivado IP, or plain RTL."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boards.agent.archive import GOLDEN_INPUTS, GOLDEN_OUTPUTS
from boards.bit import placeholder
from boards.board import ProcessingSystem
from boards.bundle import SUFFIX, Bundle
from boards.catalogue import load_board
from boards.driver import driver_files
from boards.hwh import handoff
from boards.ip import package
from boards.vivado import DESIGN, METRICS, Core, Overlay, overlay
from codesign.accuracy import OUTPUT_FILE
from codesign.artifacts import ArtifactStore
from codesign.cli import version
from codesign.errors import InputError, RunError, TargetError
from codesign.files import alone_in
from codesign.measurement import Measurement
from codesign.record import Record
from codesign.run import Run
from codesign.show import all_figures
from codesign.vivado import find_vivado, run_vivado
from hw.design import TOP, Design, Layer
from hw.emit.accelerator import Accelerator, accelerator
from hw.graph import Graph, Ints
from hw.implement import random_vectors
from hw.measure.plan import write_files
from hw.project import project
from hw.schedule import stages

TARGETS = ("bitstream", "ip", "rtl")
VECTORS, SEED = 256, 1
FOLDER, VIVADO = "builds", "vivado"
DESCRIPTION = "accelerator.json"


@dataclass(frozen=True)
class Subject:
    """A stored candidate, ready to be built on: its integer graph, its RTL, and both in the AXI accelerator."""

    run: Run
    record: Record
    graph: Graph
    design: Design
    accelerator: Accelerator

    @classmethod
    def stored(cls, run: Run, record: Record) -> Subject:
        """From the artefacts of the run; RunError where they are missing, damaged or do not fit together."""
        store = ArtifactStore(run.folder)

        def load(name: str) -> Any:
            return json.loads(store.get(record.artefacts[name]))

        try:
            graph = Graph.from_json(load("graph.json"))
            design = _design(load("rtl.json"), load("design.json"), graph)
        except (KeyError, ValueError, TypeError) as error:
            raise RunError(f"the artefacts of {record.digest[:8]} in {run.folder} are not usable: {error!r}") from None
        return cls(run, record, graph, design, accelerator(design, graph, _build_id(run, design, graph)))

    @property
    def core(self) -> Core:
        """The accelerator as a board's overlay takes it."""
        built = self.accelerator
        return Core(built.files, built.wrapper, built.format.word_bits)

    def vectors(self) -> Ints:
        """Input integers (n, inputs) of the golden vectors."""
        return random_vectors(self.graph, VECTORS, SEED)

    def description(self) -> dict[str, Any]:
        """What a host must know of the accelerator, and what is known of the network in it; plain JSON values."""
        built, target = self.accelerator, self.run.study.target
        return {
            "network": self.record.architecture.words(),
            "candidate": self.record.digest,
            "codesign": version(),
            "board": self.run.task.target.board,
            "part": self.run.task.target.part.name,
            "asked_clock_mhz": target.clock_mhz,
            "build_id": built.build_id,
            "graph": self.graph.digest(),
            "design": self.design.digest(),
            "latency_cycles": built.latency_cycles,
            "interval_cycles": built.interval_cycles,
            "host_format": built.format.to_json(),
            "input_format": json.loads(ArtifactStore(self.run.folder).get(self.record.artefacts["input_format.json"])),
            "class_names": list(self.run.task.class_names),
            "output_format": self._output_format(),
            "registers": built.register_map(),
            "figures": {"candidate": self._figures().to_json()},
        }

    def _output_format(self) -> Any:
        """What a regression's outputs mean; None for classes."""
        digest = self.record.artefacts.get(OUTPUT_FILE)
        return json.loads(ArtifactStore(self.run.folder).get(digest)) if digest else None

    def _figures(self) -> Measurement:
        return Measurement(all_figures(self.record, self.run.finals.get(self.record.digest)))


@dataclass(frozen=True)
class Built:
    """What a build left in ``folder``: ``bundle`` and the ``figures`` of the routed design only after Vivado ran."""

    folder: Path
    overlay: Overlay | None = None
    bundle: Path | None = None
    figures: Measurement | None = None


def build(
    run: Run, record: Record, target: str, *, dry_run: bool = False, phase: Callable[[str], None] = lambda _: None
) -> Built:
    """Build one candidate for one of :data:`TARGETS` in ``RUN/builds/ID-TARGET``.

    ``dry_run``: for a bitstream, write everything that Vivado needs and run nothing. Raises ToolMissingError without
    Vivado, ToolRunError where it fails or timing is not met, TargetError where the board has no processing system.
    """
    assert target in TARGETS, target
    vivado = find_vivado() if target == "bitstream" and not dry_run else None
    subject = Subject.stored(run, record)
    folder = run.folder / FOLDER / f"{record.digest[:8]}-{target}"
    if target == "rtl":
        name = f"{run.study.name} {record.digest[:8]}"
        write_files(folder, project(name, subject.design, subject.graph, subject.vectors()))
        return Built(folder)
    if target == "ip":
        write_files(folder, _ip(subject))
        return Built(folder)
    made, _ = _overlay(subject)
    with alone_in(folder, f"{record.digest[:8]} is being built"):  # Vivado's files are not of two builds
        write_files(folder / VIVADO, made.files)
        if vivado is None:
            return Built(folder, made)
        figures = run_vivado(vivado, folder / VIVADO, made.stem, phase)
        bundle = folder / f"{made.stem}{SUFFIX}"
        results = (f"{made.stem}.bit", f"{made.stem}.hwh", METRICS)
        files = {name: (folder / VIVADO / name).read_bytes() for name in results}
        _bundle(subject, made, files, figures).write(bundle)
    return Built(folder, made, bundle, figures)


def _ip(subject: Subject) -> dict[str, str]:
    name = f"cdg_accelerator_{subject.accelerator.build_id[:8]}"  # two of one name could not be used together
    words = f"Ternary network {subject.record.architecture.words()}, build {subject.accelerator.build_id}"
    files = package(subject.core, name, subject.accelerator.register_map(), words)
    return {**files, DESCRIPTION: json.dumps(subject.description(), indent=2) + "\n"}


def _overlay(subject: Subject) -> tuple[Overlay, ProcessingSystem]:
    target = subject.run.study.target
    if target.board is None:
        raise InputError(
            f"a bitstream is made for a board, but {subject.run.folder} was searched for the bare part {target.part}; "
            "use --target ip in a block design of your own"
        )
    ps = load_board(target.board).ps
    if ps is None:
        raise TargetError(
            f"board {target.board!r} has no [ps] table, so its clock is not known; add one "
            "(docs/build.md), or use --target ip"
        )
    return overlay(subject.core, subject.run.task.target.part.name, ps, target.clock_mhz), ps


def simulation_bundle(run: Run, record: Record) -> Bundle:
    """A bundle of a candidate for virtual boards alone: with its RTL, and without a bitstream. Nothing is built.

    Raises as :func:`build` does for a bitstream.
    """
    subject = Subject.stored(run, record)
    made, ps = _overlay(subject)
    part = run.task.target.part.name
    what = json.dumps({"stem": made.stem, "build_id": subject.accelerator.build_id, "for": "virtual boards"})
    files = {
        f"{made.stem}.bit": placeholder(DESIGN, part, what.encode()),
        f"{made.stem}.hwh": handoff(made, subject.core, part, ps).encode(),
    }
    return _bundle(subject, made, files, None)


def _bundle(subject: Subject, made: Overlay, built: Mapping[str, bytes], figures: Measurement | None) -> Bundle:
    """Around ``built``, which has the bitstream and its .hwh; ``figures`` are those of the routed design, if any is."""
    x = subject.vectors()
    files = {f"rtl/{name}": text.encode() for name, text in subject.core.files.items()} | dict(built)
    files[GOLDEN_INPUTS] = _array(x)
    files[GOLDEN_OUTPUTS] = _array(subject.graph.run(x))
    files |= driver_files(resources.files("hw").joinpath("host_format.py").read_text(encoding="utf-8"))
    described = subject.description()
    if figures is not None:
        described["figures"]["build"] = figures.to_json()
    place = {"dma": made.dma, "accelerator": made.accelerator}
    described |= {"stem": made.stem, "clock_mhz": made.clock.mhz, "addresses": place}
    return Bundle({**described, "simulation_only": figures is None}, files)


def _array(integers: Ints) -> bytes:
    """NumPy's own file format: 32-bit integers, little-endian."""
    narrow: NDArray[np.int32] = integers.astype("<i4")
    assert np.array_equal(narrow, integers)
    written = io.BytesIO()
    np.lib.format.write_array(written, np.ascontiguousarray(narrow), version=(1, 0), allow_pickle=False)
    return written.getvalue()


def _design(files: dict[str, str], schedule: dict[str, Any], graph: Graph) -> Design:
    """The design that was measured, from its files and schedule; ValueError where they are not of one design."""
    parts = stages(graph)
    first, last = parts[0], parts[-1]
    design = Design(
        files=files,
        top=TOP,
        latency_cycles=schedule["latency_cycles"],
        interval_cycles=schedule["interval_cycles"],
        layers=tuple(Layer(**layer) for layer in schedule["layers"]),
        inputs=first.n_in,
        input_bits=first.input_bits,
        input_signed=first.input_signed,
        outputs=last.n_out,
        output_bits=last.output_bits,
        output_signed=last.output_signed,
    )
    if design.digest() != schedule["digest"]:
        raise ValueError("the RTL is not that of the schedule")
    return design


def _build_id(run: Run, design: Design, graph: Graph) -> str:
    """SHA-256 of everything in the accelerator but the id itself, and of what it is built for."""
    files = accelerator(design, graph, "0" * 32).files
    content = [sorted(files.items()), run.task.target.part.name, run.study.target.clock_mhz]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
