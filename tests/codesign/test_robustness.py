"""Derived figures and robustness: by hand, and of a real candidate."""

from __future__ import annotations

import numpy as np
import pytest

from codesign import evaluate
from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.derived import bit_operations, derived, parameters
from codesign.measurement import Figure, Measurement, Provenance
from codesign.robustness import DRAWS, Subject, asked, flipped, robustness
from codesign.study import parse_study
from codesign.target import Part, Target
from hw.graph import FixedType, Graph, Node, Op
from quant.scaling import InputFormat

NETWORK = Architecture(4, 3, 2, (DenseLayer(5, "ternary"), DenseLayer(6, "3")), True, Hardware("parallel"))
PART = Part("p", "xc7", "-1", {"lut": 1000, "ff": 2000, "bram": 10, "dsp": 0})


def dense(trits):
    """One dense layer over 4-bit inputs."""
    kind = FixedType(False, 4, 0)
    trits = np.array(trits)
    tensors = {"trits": trits, "bias": np.zeros(trits.shape[1], np.int64)}
    n_in, n_out = trits.shape
    return Graph(
        (Node("x", Op.INPUT, None, n_in, kind), Node("y", Op.DENSE, "x", n_out, FixedType(True, 9, 0), tensors))
    )


def subject(graph, x, y, binary=False):
    form = InputFormat(4, False, 0, (0.0,) * x.shape[1], (1.0,) * x.shape[1])
    return Subject(graph, form, None, x, y, x.std(axis=0), binary)


def test_sizes_by_hand():
    assert parameters(NETWORK) == (4 + 1) * 5 + (5 + 1) * 6 + (6 + 1) * 3
    assert bit_operations(NETWORK) == 2 * (4 * 5 * 2 + 5 * 6 * 2 + 6 * 3 * 3)
    binary = Architecture(*list(vars(NETWORK).values())[:6], "binary")
    assert 2 * bit_operations(binary) == bit_operations(NETWORK)


def test_the_largest_share_names_its_resource():
    figures = {
        name: Figure(value, "", Provenance.SYNTHESIZED, "yosys", "1")
        for name, value in {"lut": 100.0, "ff": 300.0, "bram": 1.0, "dsp": 0.0}.items()
    }
    share = derived(NETWORK, Measurement(figures), Target(PART, 100.0, None)).figures["largest_share"]
    assert (share.value, share.unit, share.provenance) == (15.0, "%", Provenance.SYNTHESIZED)
    assert share.details == {"resource": "ff", "of": {"lut": 1000, "ff": 2000, "bram": 10, "dsp": 0}}


def test_flips_are_of_stored_bits():
    rng = np.random.default_rng(1)
    trits = rng.integers(-1, 2, (400, 300))
    rate = 0.1
    after = flipped(dense(trits), rate, rng, binary=False).nodes[1].tensors["trits"]
    kept = 1 - rate
    for start, expected in {
        1: {1: kept * kept, -1: rate * kept, 0: rate},
        -1: {-1: kept * kept, 1: rate * kept, 0: rate},
        0: {0: kept, 1: rate * kept, -1: rate * rate},
    }.items():
        for end, share in expected.items():
            assert np.mean(after[trits == start] == end) == pytest.approx(share, abs=0.01)
    signs = np.sign(trits * 2 - 1)
    binary = flipped(dense(signs), rate, rng, binary=True).nodes[1].tensors["trits"]
    assert set(np.unique(binary)) == {-1, 1}
    assert np.mean(binary != signs) == pytest.approx(rate, abs=0.01)
    assert np.array_equal(flipped(dense(trits), 0.0, rng, binary=False).nodes[1].tensors["trits"], trits)


def test_no_fault_gives_the_error_itself_and_more_faults_more():
    rng = np.random.default_rng(2)
    x = rng.integers(0, 16, (300, 8)).astype(float)
    graph = dense(rng.integers(-1, 2, (8, 5)))
    y = graph.run(x.astype(np.int64)).argmax(axis=1)
    y[:30] = (y[:30] + 1) % 5
    errors = {
        (name, rate): robustness(subject(graph, x, y), {name: rate}, 1).value(f"{name}_error")
        for name in ("weight_flips", "input_noise")
        for rate in (0.0, 0.05, 0.4)
    }
    for name in ("weight_flips", "input_noise"):
        assert errors[name, 0.0] == pytest.approx(0.1)
        assert errors[name, 0.0] < errors[name, 0.05] < errors[name, 0.4]
    again = robustness(subject(graph, x, y), {"weight_flips": 0.05}, 1).figures["weight_flips_error"]
    assert again.value == errors["weight_flips", 0.05]
    assert again.details["draws"] == DRAWS
    assert again.details["worst"] >= again.value


def test_faults_are_tried_that_an_objective_or_the_target_names():
    objectives = 'objectives = ["error", "input_noise"]'
    assert asked(parse_study("[stop]\ntarget = {error = 0.1}", "x")) == {}
    assert asked(parse_study(f"[search]\n{objectives}", "x")) == {"input_noise": 0.1}
    text = "[stop]\ntarget = {weight_flips = 0.2}\n[robustness]\nweight_flips = 0.05\n"
    assert asked(parse_study(text, "x")) == {"weight_flips": 0.05}


def test_a_real_candidate_is_tried_where_the_study_asks(tmp_path):
    text = '[search]\nepochs = 4\nobjectives = ["error", "share", "weight_flips"]\n'
    text += "[stop]\ntarget = {input_noise = 0.001}\n"
    evaluator = evaluate.Evaluator(parse_study(text + "[robustness]\nweight_flips = 0.05\n", "x"), tmp_path)
    network = Architecture(64, 10, 2, (DenseLayer(8, "2"),), True, Hardware("folded", 32))
    record = evaluator.evaluate(network, lambda _: None)
    assert record.status == "ok", (record.reason, record.log)
    value = record.measurement.value
    assert value("weight_flips_error") > value("val_error")
    assert value("input_noise_error") >= value("val_error") - 0.02
    assert value("parameters") == 65 * 8 + 9 * 10
    assert value("largest_share") == pytest.approx(max(100 * value("lut") / 53200, 100 * value("ff") / 106400))
