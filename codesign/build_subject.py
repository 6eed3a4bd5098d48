"""What can be built: a candidate of a run, or one's own network in the folder that ``measure --out`` wrote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boards.catalogue import load_part
from boards.vivado import Core
from codesign.accuracy import OUTPUT_FILE
from codesign.artifacts import ArtifactStore
from codesign.candidate_words import all_figures
from codesign.cli import version
from codesign.counting import number_of
from codesign.errors import InputError, RunError
from codesign.measurement import Measurement
from codesign.measuring import REPORT
from codesign.picking import KNEE, pick
from codesign.record import Record
from codesign.run import Run, find_run, read_run
from codesign.target import Target
from hw.design import TOP, Design, Layer, ports
from hw.emit.accelerator import Accelerator, accelerator
from hw.graph import Graph, Ints
from hw.implement import random_vectors
from quant.scaling import InputFormat

VECTORS, SEED = 256, 1
FOLDER = "builds"
_GRAPH, _RTL = "graph.json", "rtl"


@dataclass(frozen=True)
class Buildable:
    """A measured network, ready to be built on: its integer graph, its RTL, and both in the AXI accelerator.

    ``place``: the folder of the run or of the measurement; ``board``: its name or file, None for a bare part. ``words``
    and ``digest`` say which network; ``meaning`` is what a host must know of its inputs and outputs.
    """

    place: Path
    name: str
    words: str
    digest: str
    board: str | None
    target: Target
    graph: Graph
    design: Design
    accelerator: Accelerator
    meaning: Mapping[str, Any]
    figures: Measurement

    @classmethod
    def stored(cls, run: Run, record: Record) -> Buildable:
        """Of a run's candidate; RunError where its artefacts are missing, damaged or do not fit together."""
        store = ArtifactStore(run.folder)

        def load(name: str) -> Any:
            return json.loads(store.get(record.artefacts[name]))

        try:
            graph = Graph.from_json(load(_GRAPH))
            design = _design(load("rtl.json"), load("design.json"), graph)
        except (KeyError, ValueError, TypeError) as error:
            raise RunError(f"the artefacts of {record.digest[:8]} in {run.folder} are not usable: {error!r}") from None
        meaning = {
            "input_format": load("input_format.json"),
            "class_names": list(run.task.class_names),
            "output_format": load(OUTPUT_FILE) if OUTPUT_FILE in record.artefacts else None,  # of a regression
        }
        target = Target(run.task.target.part, run.study.target.clock_mhz, run.task.target.board)
        return cls(
            place=run.folder,
            name=f"{run.study.name} {record.digest[:8]}",
            words=record.architecture.words(),
            digest=record.digest,
            board=run.study.target.board,
            target=target,
            graph=graph,
            design=design,
            accelerator=_identified(design, graph, target),
            meaning=meaning,
            figures=Measurement(all_figures(record, run.finals.get(record.digest))),
        )

    @classmethod
    def measured(cls, folder: Path) -> Buildable:
        """Of what ``measure --out`` left in ``folder``; RunError where that is damaged or does not fit together."""
        try:
            report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
            graph = Graph.from_json(json.loads((folder / _GRAPH).read_text(encoding="utf-8")))
            files = {path.name: path.read_text(encoding="utf-8") for path in (folder / _RTL).iterdir()}
            design = _design(files, report["schedule"], graph)
            target = Target(load_part(report["part"]), report["clock_mhz"], report["board"])
            figures, name = Measurement.from_json(report["figures"]), str(report["name"])
        except OSError as error:
            raise RunError(f"cannot read {error.filename}: {error.strerror}; measure the network again") from None
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise RunError(f"{folder} is not usable: {error!r}; measure the network again") from None
        kind, size = graph.input.type, graph.input.size
        exact = InputFormat(kind.bits, kind.signed, kind.frac, (0.0,) * size, (2.0**kind.frac,) * size)
        names = [str(output) for output in range(graph.logits().output.size)]
        gives = f"one of {len(names)} classes" if graph.gives_class else number_of(len(names), "output")
        shape = " x ".join(map(str, graph.input.dims))
        return cls(
            place=folder,
            name=name,
            words=f"{name}: {shape} inputs of {number_of(kind.bits, 'bit')}, {gives}",
            digest=design.digest(),
            board=target.board,
            target=target,
            graph=graph,
            design=design,
            accelerator=_identified(design, graph, target),
            meaning={"input_format": exact.to_json(), "class_names": names, "output_format": None},
            figures=figures,
        )

    @property
    def core(self) -> Core:
        """The accelerator as a board's overlay takes it."""
        built = self.accelerator
        return Core(built.files, built.wrapper, built.format.word_bits)

    def folder(self, kind: str) -> Path:
        """Where a build of that kind goes."""
        return self.place / FOLDER / f"{self.digest[:8]}-{kind}"

    def vectors(self) -> Ints:
        """Input integers (n, inputs) of the golden vectors."""
        return random_vectors(self.graph, VECTORS, SEED)

    def description(self) -> dict[str, Any]:
        """What a host must know of the accelerator, and what is known of the network in it; plain JSON values."""
        built = self.accelerator
        return {
            "network": self.words,
            "candidate": self.digest,
            "codesign": version(),
            "board": self.target.board,
            "part": self.target.part.name,
            "asked_clock_mhz": self.target.clock_mhz,
            "build_id": built.build_id,
            "graph": self.graph.digest(),
            "design": self.design.digest(),
            "latency_cycles": built.latency_cycles,
            "interval_cycles": built.interval_cycles,
            "host_format": built.format.to_json(),
            "input_shape": list(self.graph.input.dims),
            "argmax": self.graph.gives_class,
            **self.meaning,
            "registers": built.register_map(),
            "figures": {"candidate": self.figures.to_json()},
        }


def find(which: str | None, picked: str | None) -> Buildable:
    """What ``which`` names: a run (default: the newest), of whose candidates ``picked`` is one, or a measured network.

    RunError where there is none, InputError where something is picked of a single network.
    """
    folder = measured_folder(which, picked)
    if folder is not None:
        return Buildable.measured(folder)
    run = read_run(find_run(which))
    return Buildable.stored(run, pick(run, picked or KNEE))


def measured_folder(which: str | None, picked: str | None) -> Path | None:
    """The folder that ``which`` names, if ``measure --out`` wrote it; InputError where one is picked of it."""
    if which is None or not all((Path(which) / name).is_file() for name in (REPORT, _GRAPH)):
        return None
    if picked is not None:
        raise InputError(f"{which} holds one network; leave out --pick {picked}, or give a run")
    return Path(which)


def _design(files: Mapping[str, str], schedule: Mapping[str, Any], graph: Graph) -> Design:
    """The design that was measured, from its files and schedule; ValueError where they are not of one design."""
    design = Design(
        files=dict(files),
        top=TOP,
        latency_cycles=schedule["latency_cycles"],
        interval_cycles=schedule["interval_cycles"],
        layers=tuple(Layer(**layer) for layer in schedule["layers"]),
        **ports(graph),
    )
    if design.digest() != schedule["digest"]:
        raise ValueError("the RTL is not that of the schedule")
    return design


def _identified(design: Design, graph: Graph, target: Target) -> Accelerator:
    """Its build id is the SHA-256 of everything in it but the id itself, and of what it is built for."""
    files = accelerator(design, graph, "0" * 32).files
    content = json.dumps([sorted(files.items()), target.part.name, target.clock_mhz])
    return accelerator(design, graph, hashlib.sha256(content.encode()).hexdigest())
