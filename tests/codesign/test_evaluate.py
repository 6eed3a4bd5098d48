"""Real candidates through every real stage."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import tarfile
from pathlib import Path

import pytest

from codesign import evaluate
from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.artifacts import ArtifactStore
from codesign.kept_networks import network_in
from codesign.measurement import Provenance
from codesign.schema_stages import RungsSection
from codesign.study import parse_study
from hw import implement
from hw.design import design
from hw.graph import Graph, Op
from hw.measure.tools import find_yosys, run_tool

STUDY = parse_study('[study]\nname = "tiny"\n[search]\nepochs = 2\n', "tiny.toml")


def architecture(hardware: Hardware) -> Architecture:
    return Architecture(64, 10, 2, (DenseLayer(6, "ternary"), DenseLayer(5, "ternary")), True, hardware)


def stages_of(evaluator, candidate):
    seen = []
    record = evaluator.evaluate(candidate, seen.append)
    return record, list(dict.fromkeys(seen))


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    evaluator = evaluate.Evaluator(STUDY, folder)
    record, seen = stages_of(evaluator, architecture(Hardware("folded", 16)))
    assert record.status == "ok", (record.reason, record.log)
    return evaluator, record, seen, ArtifactStore(folder)


def test_every_figure_says_where_it_comes_from(folded) -> None:
    _, record, seen, _ = folded
    assert seen == ["training", "conversion", "emission", "synthesis", "timing", "simulation"]
    provenance = {name: figure.provenance for name, figure in record.measurement.figures.items()}
    assert provenance["val_error"] is Provenance.TRAINED
    assert {provenance[name] for name in ("lut", "ff", "carry", "bram", "dsp")} == {Provenance.SYNTHESIZED}
    assert provenance["fmax"] is Provenance.MODELLED
    assert {provenance[name] for name in ("latency_cycles", "interval_cycles")} == {Provenance.SIMULATED}
    assert record.measurement.figures["latency_cycles"].details["vectors"] >= 1000
    assert all(figure.tool and figure.version for figure in record.measurement.figures.values())
    assert set(record.seconds) == set(seen)


def test_a_network_that_was_trained_before_gives_the_same_as_one_that_is_trained(folded) -> None:
    evaluator, record, _, store = folded
    again = evaluator.evaluate(record.architecture, lambda _stage: None, network_in(record.artefacts))
    assert again.measurement == record.measurement
    assert again.artefacts == record.artefacts
    rungs = STUDY.model_copy(update={"rungs": RungsSection(epochs=(STUDY.search.epochs,))})
    tried = evaluate.Evaluator(rungs, store.folder.parent).try_out(record.architecture, 2, lambda _stage: None)
    assert tried.error == record.measurement.figures["val_error"]
    assert tried.artefacts == network_in(record.artefacts) != {}


def test_a_network_that_is_given_is_not_trained(folded, monkeypatch) -> None:
    evaluator, record, _, _ = folded
    monkeypatch.setattr(evaluator, "_train", None)
    other = dataclasses.replace(record.architecture, hardware=Hardware("parallel"))
    built = evaluator.evaluate(other, lambda _stage: None, network_in(record.artefacts))
    assert built.status == "ok", built.reason
    assert built.measurement.figures["val_error"] == record.measurement.figures["val_error"]
    assert built.measurement.value("interval_cycles") == 1


def test_a_record_names_the_design_that_was_built(folded) -> None:
    _, record, _, artefacts = folded
    assert record.design == json.loads(artefacts.get(record.artefacts["design.json"]))["digest"]


def test_the_ternary_multiplier_is_in_the_elaborated_hierarchy(folded, tmp_path: Path) -> None:
    _, record, _, artefacts = folded
    files = json.loads(artefacts.get(record.artefacts["rtl.json"]))
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    commands = (
        "read_verilog -lib +/xilinx/cells_sim.v",
        f"read_verilog -sv {' '.join(files)}",
        "hierarchy -check -top cdg_network",
        "select -count */t:cdg_ternary_mul",
    )
    (tmp_path / "count.ys").write_text("\n".join(commands))
    tool = find_yosys()
    printed = run_tool([*tool.command, "count.ys"], cwd=tmp_path, timeout_s=60, log=tmp_path / "log")
    count = re.search(r"(\d+) objects", printed)
    assert count, printed
    assert int(count.group(1)) > 0


def test_front_members_are_held_against_hls4ml_and_tested(folded) -> None:
    evaluator, record, _, _ = folded
    final = evaluator.finalize(record, lambda _: None)
    assert final.digest == record.digest
    assert set(final.seconds) == {"test set", "C simulation"}
    measured = final.measurement
    assert measured.value("csim_mismatches") == 0
    assert 0 <= measured.value("test_error") < 0.9
    assert measured.figures["test_error"].details["samples"] == len(evaluator.dataset.y_test)


def test_a_graph_that_hls4ml_computes_otherwise_leaves_the_front_and_keeps_its_files(folded, monkeypatch) -> None:
    evaluator, record, _, artefacts = folded
    graph = json.loads(artefacts.get(record.artefacts["graph.json"]))
    graph["nodes"][-1]["tensors"]["bias"][3] += 1
    changed = {**record.artefacts, "graph.json": artefacts.put(json.dumps(graph).encode())}
    final = evaluator.finalize(dataclasses.replace(record, artefacts=changed), lambda _: None)
    assert final.measurement is None
    assert re.match(r"hls4ml's C simulation differs from the graph at vector 0, output 3: C simulation", final.reason)
    with tarfile.open(fileobj=io.BytesIO(artefacts.get(final.artefacts["files.tar.gz"]))) as archive:
        names = archive.getnames()
    assert {"./inputs.npy", "./model.h5"} <= set(names)
    assert any(name.endswith("network.cpp") for name in names)


def test_the_same_candidate_gives_the_same_record_and_what_else_a_study_asks_for(folded, monkeypatch) -> None:
    """With boards the cycles of the whole accelerator; where the target names them, toggles."""
    evaluator, record, _, _ = folded
    text = '[search]\nepochs = 2\n[stop]\ntarget = {toggles = 1.0}\n[board]\nhosts = ["a@b"]\n'
    monkeypatch.setattr(evaluator, "study", parse_study(text, "x"))
    again, seen = stages_of(evaluator, record.architecture)
    figures = dict(again.measurement.figures)
    assert seen[-1] == "toggles"
    counted = figures.pop("toggles")
    assert counted.value > counted.details["ff"] > 0
    assert counted.details["inputs"] == 256
    whole = {name: figures.pop(f"accelerator_{name}_cycles") for name in ("latency", "interval")}
    assert figures == record.measurement.figures
    assert again.artefacts == record.artefacts
    # a frame of 64 inputs of 2 bits is 4 words of 32, one of 10 outputs in 8 or 16 bits 3 or 5
    assert whole["latency"].value - figures["latency_cycles"].value in (4 + 3, 4 + 5)
    assert whole["interval"].value == figures["interval_cycles"].value
    assert {figure.provenance for figure in whole.values()} == {Provenance.SCHEDULED}


@pytest.mark.parametrize("mutation", ["trit", "threshold"])
def test_rtl_of_another_network_fails_loudly_and_keeps_its_files(folded, monkeypatch, mutation: str) -> None:
    evaluator, _, _, artefacts = folded

    def mutated(graph, *arguments):
        nodes = list(graph.nodes)
        for index, node in enumerate(nodes):
            if mutation == "trit" and node.name == "logits":
                trits = node.tensors["trits"].copy()
                trits[0, 0] = 1 if trits[0, 0] <= 0 else -1
                nodes[index] = dataclasses.replace(node, tensors={**node.tensors, "trits": trits})
            if mutation == "threshold" and node.op is Op.TERNARY:
                nodes[index] = dataclasses.replace(node, tensors={"threshold": node.tensors["threshold"] + 1})
        return design(Graph(tuple(nodes)), *arguments)

    monkeypatch.setattr(implement, "design", mutated)
    record, _ = stages_of(evaluator, architecture(Hardware("parallel")))
    assert record.status == "failed"
    assert re.match(r"RTL differs from the graph at vector \d+, output \d+: RTL -?\d+, graph -?\d+", record.reason)
    with tarfile.open(fileobj=io.BytesIO(artefacts.get(record.artefacts["files.tar.gz"]))) as archive:
        names = archive.getnames()
    assert any(name.endswith("cdg_network.sv") for name in names)
    assert any(name.endswith("inputs.bin") for name in names)
