"""Top-down: what the budget does not hold is not trained; what it holds is folded layer by layer."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import analytic_evaluation
import pytest

from codesign.architecture import Architecture, ConvLayer, DenseLayer, Hardware
from codesign.errors import StudyError, TargetError
from codesign.evaluate import Evaluator, describe
from codesign.loop import search
from codesign.measurement import Measurement
from codesign.searched_space import searched_space
from codesign.solving import SLACK, as_built, solved
from codesign.study import parse_study

pytestmark = pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize:UserWarning")

DENSE = Architecture(64, 10, 2, (DenseLayer(24, "2"),), True, Hardware("parallel"))
IMAGES = replace(
    DENSE, hidden=(), image=(8, 8, 1), convolutions=(ConvLayer(4, 3, "ternary", 2), ConvLayer(4, 3, "2", 2))
)


def study(text=""):
    return parse_study(text + "\n[search]\nepochs = 1\npopulation = 2\ngenerations = 1\n", "x")


def asked(network, target):
    return replace(network, hardware=Hardware("solved", 1, target))


@pytest.mark.parametrize("network", [DENSE, IMAGES], ids=["dense", "images"])
@pytest.mark.parametrize(
    ("target", "figure", "most"), [("interval 300", "interval", 300), ("latency 900", "latency", 900)]
)
def test_a_target_is_met_layer_by_layer(tmp_path, network, target, figure, most):
    from hw.design import design
    from hw.measure.delays import DelayModel

    evaluator = Evaluator(study(), tmp_path)
    architecture = asked(network, target)
    graph = evaluator._untrained(architecture)
    hardware, foldings = solved(graph, architecture, evaluator.room)
    built = design(graph, hardware, DelayModel.for_part(evaluator.target.part), 8.0, foldings)
    assert getattr(built, f"{figure}_cycles") <= most
    assert any(layer.mode == "folded" for layer in built.layers)


def test_fastest_is_slower_within_less(tmp_path):
    intervals = []
    for lut in ('"100%"', "400"):
        evaluator = Evaluator(study(f"[budget]\nlut = {lut}"), tmp_path)
        hardware, _ = solved(evaluator._untrained(DENSE), asked(DENSE, "fastest"), evaluator.room)
        intervals.append(hardware.folding)
    assert intervals[0] < intervals[1]


@pytest.mark.parametrize(
    ("text", "target", "reason"),
    [
        ("[budget]\nlut = 60", "fastest", "not trained: even folded as far as possible the network takes "),
        ("", "interval 20", "not trained: layer 'conv_0' takes 100 cycles per frame at least, more than the 20 asked"),
        ("", "latency 30", "not trained: a latency of 30 cycles cannot be met: layer 'conv_0' alone takes 100 cycles"),
    ],
)
def test_what_cannot_fit_is_recorded_and_not_trained(tmp_path, text, target, reason):
    record = Evaluator(study(text), tmp_path).evaluate(asked(IMAGES, target), lambda _stage: None)
    assert record.status == "infeasible"
    assert record.reason.startswith(reason)
    assert set(record.seconds) == {"planning"}
    assert record.measurement is None


def test_what_cannot_fit_is_not_trained_on_a_rung_either(tmp_path):
    stages = []
    chosen = parse_study("[search]\nepochs = 4\n[rungs]\nepochs = [1]", "x")
    record = Evaluator(chosen, tmp_path).try_out(asked(IMAGES, "interval 20"), 1, stages.append)
    assert record.status == "infeasible"
    assert record.reason.startswith("not trained: layer 'conv_0' takes 100 cycles per frame at least")
    assert stages == ["planning"]


@pytest.mark.parametrize("rungs", [[], [1, 2]])
def test_a_candidate_is_planned_once_before_it_is_trained_first(tmp_path, monkeypatch, rungs):
    done = []
    monkeypatch.setattr(Evaluator, "_unfit", lambda *_: done.append("planned"))
    monkeypatch.setattr(Evaluator, "_train", lambda *_, until: done.append(until) or (None, None))
    monkeypatch.setattr(Evaluator, "_outputs", lambda *_: None)
    monkeypatch.setattr(Evaluator, "_error", lambda *_: None)
    monkeypatch.setattr(Evaluator, "_measure", lambda *_: done.append("whole") or Measurement({}))
    evaluator = Evaluator(parse_study(f"[search]\nepochs = 4\n[rungs]\nepochs = {rungs}", "x"), tmp_path)
    for epochs in rungs:
        evaluator.try_out(asked(DENSE, "fastest"), epochs, lambda _stage: None)
    for again in (0, 1):
        assert evaluator.evaluate(asked(DENSE, "fastest"), lambda _stage: None, again=again).status == "ok"
    assert done == ["planned", *rungs, "whole", "whole"]


def test_what_does_not_fit_with_its_weights_was_trained(tmp_path, monkeypatch):
    def measure(*_):
        raise TargetError("even folded as far as possible it takes too much")

    monkeypatch.setattr(Evaluator, "_measure", measure)
    record = Evaluator(study(), tmp_path).evaluate(DENSE, lambda _stage: None)
    assert (record.status, record.reason) == (
        "infeasible",
        "cannot be folded with the weights that it was trained to: even folded as far as possible it takes too much",
    )


def test_a_little_over_the_budget_as_predicted_is_built_all_the_same(tmp_path):
    evaluator = Evaluator(study(), tmp_path)
    architecture = asked(DENSE, "interval 24")
    graph = evaluator._untrained(architecture)
    from codesign.solving import room
    from hw.solver import Goal

    predicted = Goal(interval=24).solve(graph, evaluator.target.part.resources).total("lut")
    tight = room(study(f"[budget]\nlut = {int(predicted / SLACK) + 2}"), evaluator.target)
    assert solved(graph, architecture, tight)[1]


@pytest.mark.parametrize(("mode", "built"), [("folded", Hardware("folded", 20)), ("parallel", Hardware("parallel"))])
def test_hardware_as_built(mode, built):
    made = SimpleNamespace(mode=mode, interval_cycles=20)
    assert as_built(Hardware("solved", target="fastest"), made) == built
    assert as_built(Hardware("folded", 16), made) == Hardware("folded", 16)


def test_spaces_of_images_want_images():
    with pytest.raises(
        StudyError, match='search.space = "convnet" is for images, and the data have none: give x_train'
    ):
        searched_space(parse_study('[search]\nspace = "convnet"', "x"), 64, 10)


def test_images_are_searched_also_with_boards(tmp_path, behave, monkeypatch):
    described = replace(analytic_evaluation.describe(parse_study("", "x")), image=(8, 8, 1))
    monkeypatch.setattr(analytic_evaluation, "describe", lambda _study: described)
    text = '[search]\nspace = "convnet"\npopulation = 3\ngenerations = 1\n'
    run = search(parse_study(text, "x"), tmp_path / "run", workers=1, evaluation="analytic_evaluation")
    assert run.front
    assert all(record.architecture.convolutions for record in run.records)
    hosts = parse_study(f'{text}[board]\nhosts = ["virtual:pynq-z1"]', "x")
    assert searched_space(hosts, 64, 10, (8, 8, 1)).name == "convnet"


def test_a_folding_below_the_pixels_is_no_network():
    chosen = parse_study('[search]\nspace = "convnet"\n[space]\nmode = ["folded"]\nfolding = [8, 64]', "x")
    message = (
        r"^8 in space\.folding gives no network: folding must be at least 64, a cycle for every pixel, not 8; leave it "
        r"out, or take another, such as 64$"
    )
    with pytest.raises(StudyError, match=message):
        searched_space(chosen, 64, 10, (8, 8, 1))


@pytest.mark.parametrize(
    ("target", "budget", "limit"),
    [
        ("latency 100", "latency_us = 0.5", "budget.latency_us = 0.5"),
        ("interval 50", "fps = 3e6", "budget.fps = 3000000.0"),
    ],
)
def test_a_target_beyond_the_budget_is_a_contradiction(target, budget, limit):
    for genes in ("", ".genes"):
        text = f'[space{genes}]\nmode = ["solved"]\ntarget = ["{target}"]\n[budget]\n{budget}'
        message = f'space{genes}.target = "{target}" at 100 MHz contradicts {limit}: lower it or change the budget'
        with pytest.raises(StudyError, match=message):
            searched_space(parse_study(text, "x"), 64, 10)


def test_a_search_knows_that_the_data_are_images(tmp_path):
    text = '[search]\nspace = "convnet"\npopulation = 2\ngenerations = 1\n[budget]\nlatency_us = 0.5\n'
    with pytest.raises(TargetError, match=r"none of 2 candidates keeps every budget; latency_us binds .* 8x8x1x"):
        search(parse_study(f'{text}[space]\nmode = ["parallel"]', "x"), tmp_path / "run", workers=1)


@pytest.mark.slow
@pytest.mark.parametrize("space", ["convnet", "densenet"])
def test_a_search_of_images_ends_with_a_measured_front(tmp_path, space):
    counted = {
        "convnet": "convolutions = [1, 2], filters = [4]",
        "densenet": "blocks = [1], layers = [1], growth = [4]",
    }
    text = (
        f'[space]\ngenes = {{{counted[space]}, kernel = [3]}}\n[search]\nspace = "{space}"\n'
        'population = 2\ngenerations = 1\nepochs = 3\n[board]\nhosts = ["virtual:pynq-z1"]\nper_generation = 1\n'
    )
    chosen = parse_study(text, "x")
    run = search(chosen, tmp_path / "run", workers=2)
    assert run.task.image == describe(chosen).image == (8, 8, 1)
    assert run.front
    assert [result.failed_at for result in run.boards] == [None] * len(run.boards) != []
    for record in run.front:
        figures = run.finals[record.digest].measurement.merged([record.measurement])
        assert figures.value("mismatches") == figures.value("csim_mismatches") == 0
        assert figures.value("val_error") < 0.9
    assert search(chosen, tmp_path / "run", workers=1) == run
