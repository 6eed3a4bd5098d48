"""Corrections by real virtual boards: real RTL, real pynq, the real agent; only the clock is not what it should be."""

from __future__ import annotations

import dataclasses
import json
import time
from statistics import median

import pytest
from analytic_evaluation import describe, figure
from networks import random_graph

from boards.catalogue import load_target
from boards.remote import Remote
from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.artifacts import ArtifactStore
from codesign.board_loop.known import Known
from codesign.board_loop.queue import BoardQueue, Wanted
from codesign.board_loop.result import BoardResult
from codesign.board_loop.tools import BoardTools, greet
from codesign.deployment.virtual_board import virtual_command
from codesign.errors import ToolError
from codesign.judging import Judge
from codesign.measurement import Measurement, Provenance
from codesign.record import Record
from codesign.run import read_run, study_constraints
from codesign.store import Store
from codesign.study import parse_study
from hw.design import design
from hw.emit.accelerator import accelerator
from hw.measure.delays import DelayModel

HOST, SCALE, LEARNED = "virtual:pynq-z1", 0.8, 5
SHAPES = [
    ("parallel", 1, 8), ("folded", 4, 8), ("folded", 16, 6), ("parallel", 1, 5), ("folded", 8, 7),
    ("folded", 32, 8), ("parallel", 1, 7), ("folded", 4, 6),
]  # fmt: skip
SECONDS = 300.0


def store_candidates(folder):
    """A run with one candidate of each shape, stored as a search with boards does."""
    study = parse_study(f'[study]\nname = "clock"\n[board]\nhosts = ["{HOST}"]\n', "x")
    target = load_target("pynq-z1", None, 100.0)
    artefacts, records = ArtifactStore(folder), []
    described = {"bits": 3, "signed": False, "frac": 3, "offset": [0.0] * 12, "gain": [8.0] * 12}
    for seed, (mode, folding, units) in enumerate(SHAPES):
        graph, hardware = random_graph(seed, [12, units, 4], "2", input_bits=3), Hardware(mode, folding)
        built = design(graph, hardware, DelayModel.for_part(target.part), 9.0)
        whole = accelerator(built, graph, "0" * 32)
        figures = {
            "val_error": 0.1, "lut": 900, "ff": 500, "bram": 0, "dsp": 0, "fmax": 120,
            "latency_cycles": built.latency_cycles, "interval_cycles": built.interval_cycles,
            "accelerator_latency_cycles": whole.latency_cycles, "accelerator_interval_cycles": whole.interval_cycles,
        }  # fmt: skip
        content = {
            "graph.json": graph.to_json(), "rtl.json": dict(built.files), "design.json": built.schedule(),
            "input_format.json": described,
        }  # fmt: skip
        kept = {name: artefacts.put(json.dumps(values).encode()) for name, values in content.items()}
        measurement = Measurement({name: figure(value, "") for name, value in figures.items()})
        architecture = Architecture(12, 4, 3, (DenseLayer(units, "2"),), False, hardware)
        records.append(Record(architecture, "ok", measurement=measurement, artefacts=kept, index=seed))
    with Store.open(folder) as store:
        store.set_meta("study", study.to_toml())
        store.set_meta("task", dataclasses.replace(describe(study), target=target).to_json())
        for record in records:
            store.put(record)
    return records


def measured(run, records, tools):
    queue, found, end = BoardQueue([HOST], tools), [], time.monotonic() + SECONDS
    try:
        queue.submit([Wanted(run, record, 0) for record in records])
        while queue.outstanding and time.monotonic() < end:
            found += [event for event in queue.collect(0.2) if isinstance(event, BoardResult)]
    finally:
        queue.close()
    assert len(found) == len(records)
    return {result.digest: result for result in found}


@pytest.mark.slow
def test_five_measurements_halve_the_error_of_unseen_candidates(tmp_path):
    """On a virtual board whose clock runs a fifth slower than its registers say."""
    try:
        greet(HOST, print)
    except ToolError as error:
        pytest.skip(str(error))
    folder = tmp_path / "clock"
    folder.mkdir()
    records = store_candidates(folder)
    run = read_run(folder)

    def connect(host, bundle, *, said):
        command = virtual_command("pynq-z1", bundle, clock_scale=SCALE, said=said, folder=tmp_path / "board")
        return Remote(command, host)

    results = measured(run, records, BoardTools(connect=connect))
    assert {result.failed_at for result in results.values()} == {None}, [r.reason for r in results.values()]
    judge = Judge(("error", "latency", "lut"), study_constraints(run.study, run.task), 100.0)
    unseen = records[LEARNED:]
    truth = [results[record.digest].measurement.value("board_latency_us") for record in unseen]

    def error(known):
        predicted = [judge.point(known.record(record))[1] for record in unseen]
        return median(abs(a / b - 1) for a, b in zip(predicted, truth, strict=True))

    learned = Known.of(judge, records, [results[record.digest] for record in records[:LEARNED]])
    before, after = error(Known.of(judge, records, [])), error(learned)
    assert before == pytest.approx(1 - SCALE, rel=0.05), "the prediction is that of the clock as it should be"
    assert after <= before / 2
    latency = learned.corrections.fits["latency_us"]
    assert latency.fit.samples == LEARNED
    assert latency.provenance is Provenance.SIMULATED, "a virtual board is never a measurement on one"
    assert learned.record(unseen[0]).measurement.figures["latency_us"].provenance is Provenance.CORRECTED
