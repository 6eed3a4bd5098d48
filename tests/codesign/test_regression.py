"""Regression as a task: data, error, both examples, a small real candidate, and what is said of it."""

from __future__ import annotations

import importlib.util
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from codesign import evaluate
from codesign.accuracy import RMSE_UNIT, error_words
from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.listing import candidate_lines
from codesign.loop import search
from codesign.report.sections import data, front
from codesign.searched_space import searched_space
from codesign.study import load_study, parse_study
from codesign.summary import FrontTable
from hw.graph import Graph
from quant.regression import OutputFormat

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def example(name: str):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def arm(tmp_path_factory):
    """The arm's study beside a small set of its data."""
    folder = tmp_path_factory.mktemp("arm")
    (folder / "arm.toml").write_text((EXAMPLES / "arm.toml").read_text().replace("epochs = 30", "epochs = 15"))
    example("inverse_kinematics").write(folder / "arm.npz", 1000, 200)
    return load_study(folder / "arm.toml")


@pytest.fixture(scope="module")
def measured(arm, tmp_path_factory):
    evaluator = evaluate.Evaluator(arm, tmp_path_factory.mktemp("run"))
    network = Architecture(2, 2, 6, (DenseLayer(16, "3"),), True, Hardware("parallel"))
    record = evaluator.evaluate(network, lambda _: None)
    assert record.status == "ok", (record.reason, record.log)
    return evaluator, record, evaluator.finalize(record, lambda _: None)


@pytest.mark.parametrize(
    ("module", "file", "inputs", "targets"), [("inverse_kinematics", "arm", 2, 2), ("image_filter", "edges", 9, 1)]
)
def test_the_examples_can_be_searched(tmp_path, module, file, inputs, targets):
    for name in ("first", "again"):
        example(module).write(tmp_path / f"{name}.npz", 300, 50)
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    (tmp_path / "first.npz").rename(tmp_path / f"{file}.npz")
    (tmp_path / f"{file}.toml").write_text((EXAMPLES / f"{file}.toml").read_text())
    study = load_study(tmp_path / f"{file}.toml")
    task = evaluate.describe(study)
    assert (task.inputs, task.targets, task.outputs, task.class_names) == (inputs, targets, targets, ())
    assert 0.8 < task.majority_error < 1.2
    assert searched_space(study, task.inputs, task.outputs).size() > 100


def test_the_arm_is_the_forward_kinematics_turned_round():
    arm = example("inverse_kinematics")
    hand, joints = arm.samples(100, np.random.default_rng(1))
    shoulder, elbow = joints.T
    forward = arm.UPPER * np.exp(1j * shoulder) + arm.LOWER * np.exp(1j * (shoulder + elbow))
    assert np.allclose(hand, np.column_stack([forward.real, forward.imag]))
    assert (elbow > 0).all()


def test_a_real_candidate_learns_and_is_exact(measured):
    _, record, final = measured
    error = record.measurement.figures["val_error"]
    assert error.unit == RMSE_UNIT
    assert 0.05 < error.value < 0.6, "1 is the error of always answering the mean"
    assert len(error.details["rmse"]) == 2
    assert final.measurement.value("csim_mismatches") == 0
    tested = final.measurement.figures["test_error"]
    assert abs(tested.value - error.value) < 0.15


def test_the_stored_graph_and_output_format_give_the_stored_error(measured):
    """Without Keras: the hardware's integers, through the map that the host applies."""
    evaluator, record, _ = measured
    load = lambda name: json.loads(evaluator.artefacts.get(record.artefacts[name]))  # noqa: E731
    graph, form = Graph.from_json(load("graph.json")), OutputFormat.from_json(load("output_format.json"))
    inputs = load("input_format.json")
    x, y = evaluator.split.x_val, evaluator.split.y_val
    k = np.clip(np.rint((x - np.array(inputs["offset"])) * np.array(inputs["gain"])), 0, 2 ** inputs["bits"] - 1)
    predicted = form.predict(graph.output.type.to_real(graph.run(k.astype(np.int64))))
    spread = evaluator.split.y_train.std(axis=0)
    expected = np.sqrt((((predicted - y) / spread) ** 2).mean())
    assert record.measurement.value("val_error") == pytest.approx(expected, rel=1e-9)
    assert record.measurement.figures["val_error"].details["rmse"] == pytest.approx(
        np.sqrt(((predicted - y) ** 2).mean(axis=0)).tolist()
    )


def test_summary_and_report_say_rmse(tmp_path, behave, monkeypatch, measured):
    """A search by formulas whose errors are those of a regression."""
    import analytic_evaluation

    described = analytic_evaluation.describe
    regression = lambda study: replace(described(study), class_names=(), targets=10)  # noqa: E731
    monkeypatch.setattr(analytic_evaluation, "describe", regression)
    run = search(
        parse_study('[study]\nname = "r"\n[search]\npopulation = 4\ngenerations = 1', "x"), tmp_path / "r", workers=1,
        evaluation="analytic_evaluation",
    )  # fmt: skip
    error = measured[1].measurement.figures["val_error"]
    records = tuple(
        replace(record, measurement=type(record.measurement)({**record.measurement.figures, "val_error": error}))
        if "val_error" in record.measurement.figures else record
        for record in run.records
    )  # fmt: skip
    run = replace(run, records=records)
    console = Console(file=io.StringIO(), width=200)
    console.print(FrontTable(run))
    words = error_words(error, 288)
    assert re.fullmatch(r"RMSE 0\.\d{3} ± 0\.\d{3}", words)
    assert words in console.file.getvalue()
    unit = "errors are RMSE in standard deviations of the target, ± one standard error"
    assert console.file.getvalue().count(unit) == 1
    assert list(candidate_lines(run))[-1].startswith(unit)
    assert words in front(run, linked=False)
    assert "10 predicted values. Errors are in RMSE / sd" in data(run)
    assert "RMSE 0.900" in data(run)
