"""Other instruments on a candidate of a run, and what they said kept in its store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from codesign import processors
from codesign.artifacts import ArtifactStore
from codesign.build_subject import Buildable
from codesign.errors import DataError, InputError, RunError, ToolRunError
from codesign.exporting import stored_model
from codesign.files import alone_in
from codesign.instruments import HLS, RTL, C, require, take
from codesign.measurement import Measurement
from codesign.measuring import INSTRUMENTS, Measured, Subject
from codesign.picking import pick
from codesign.place import PROGRAM
from codesign.reading import Reading
from codesign.record import Record
from codesign.retraining import reported
from codesign.run import Run, find_run, read_run
from codesign.solving import as_built
from codesign.store import Store
from codesign.submission import require_submission, write_submission
from hw.implement import Announce, Implementation
from hw.measure import yosys
from hw.measure.plan import write_files
from hw.measure.saif import saif
from hw.measure.toggles import simulate
from quant.datasets import load, split
from quant.scaling import InputFormat

_OF_VIVADO = {"vivado", "vivado-routed"}


def measure_candidate(
    which: str,
    *,
    via: Sequence[str],
    out: Path | None = None,
    host: str | None = None,
    submit: Path | None = None,
    stage: Announce = lambda _: nullcontext(),
) -> Measured:
    """Measure ``RUN:ID`` (or ``RUN:knee``) of what the search made of it; readings go into its store.

    The instruments' files stay in ``out/instruments``, without ``out`` in the run's ``builds/ID-instruments``.
    Raises as :func:`codesign.measuring.measure`; RunError for a run or candidate that cannot be used.
    """
    name, _, prefix = which.rpartition(":")
    run = read_run(find_run(name))
    record = pick(run, prefix)
    if HLS in via:
        raise InputError(
            f"--via {','.join(via)}: hls4ml's HLS path is made of a model's file, not of {which}; leave hls out, "
            f"or write hls4ml's project: {PROGRAM} build {name} --pick {record.digest[:8]} --target hls"
        )
    if set(via) <= {RTL}:
        others = "vivado, vivado-routed, nextpnr, which measure its RTL, or c"
        raise InputError(f"--via {','.join(via)} says nothing new of {which}; give {others}")
    target = run.task.target
    require(via, target)
    processors.require_host(host, via)
    if submit is not None:
        require_submission(submit, via)
    stored = Buildable.stored(run, record)
    own = _own(run, record)
    hardware = as_built(record.architecture.hardware, stored.design)
    subject = Subject(record.architecture.words(), stored.graph, hardware, target)
    board = processors.on_board(host, stored.name, stored.graph, stored.vectors(), stage)
    # not in a scratch folder: what is stored of a failure names the file that shows it
    places = stored.folder(INSTRUMENTS) if out is None else out / INSTRUMENTS
    with TemporaryDirectory(prefix="codesign-") as scratch, alone_in(places, f"{stored.name} is being measured"):
        netlist = Path(scratch, yosys.ARTEFACT)
        write_files(netlist.parent, {netlist.name: ArtifactStore(run.folder).get(record.artefacts[netlist.name])})
        built = Implementation(stored.design, own, netlist)
        activity, notes = _activity(run, record, stored, built, stage) if set(via) & _OF_VIVADO else ("", ())
        taken = take(via, built, target, places, stage, activity=activity)
        timed = _timed(run, record, stored, places / C, board, stage) if C in via else iter(())
        readings = []
        with Store.append(run.folder) as store:
            for reading in (replace(one, design=stored.design.digest()) for one in chain(taken, timed)):
                store.put_reading(record.digest, reading)  # each as it comes: the next may take hours
                readings.append(reading)
        if submit is not None:
            write_submission(submit, built, target, readings)
    seconds = sum(record.seconds.get(name, 0.0) for name in ("synthesis", "timing", "simulation"))
    cached = any("cached" in figure.details for figure in own.figures.values())
    return Measured(subject, stored.design, own, notes, seconds, tuple(readings), cached)


def _own(run: Run, record: Record) -> Measurement:
    """What the search itself measured of the candidate, whose netlist is still there; RunError otherwise."""
    own = next(one.measurement for one in reported(run.stored, run.retrained) if one.digest == record.digest)
    if own is None or yosys.ARTEFACT not in record.artefacts:
        raise RunError(f"candidate {record.digest[:8]} has no netlist to measure: {record.reason or record.status}")
    return own


def _timed(
    run: Run, record: Record, stored: Buildable, folder: Path, board: Reading | None, stage: Announce
) -> Iterator[Reading]:
    """Times on processors; the C model is called as that of ``build --target c``."""
    from quant.network_files import MODEL_FILE

    model = stored_model(ArtifactStore(run.folder), record) if MODEL_FILE in record.artefacts else None
    yield from processors.take(stored.name, stored.graph, model, stored.vectors(), folder, board, stage)


def _activity(
    run: Run, record: Record, stored: Buildable, built: Implementation, stage: Announce
) -> tuple[str, tuple[str, ...]]:
    """How often ports change on validation inputs of the run's data; a note where that cannot be known."""
    data, top = run.study.data, stored.design.top
    try:
        with stage("toggles"):
            dataset = load(data.name, data.path, regression=data.task == "regression")
            inputs = split(dataset, data.validation, run.study.study.seed).x_val
            described = json.loads(ArtifactStore(run.folder).get(record.artefacts["input_format.json"]))
            x = InputFormat.from_json(described).quantize(inputs)
            done = simulate(yosys.load(built.netlist)["modules"][top], stored.design, stored.graph, x)
    except (DataError, ToolRunError) as error:
        return "", (f"Vivado estimates power by activity that it assumes: {error}",)
    return saif(done, top, run.task.target.period_ns), ()
