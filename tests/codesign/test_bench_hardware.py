"""The benchmarks of hardware start: their networks are there, chosen by name, trained and folded as they say."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from codesign.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    # QKeras serializes quantizers as constraints, and reads their names with an old call of pyparsing
    pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize:UserWarning"),
    pytest.mark.filterwarnings("ignore:'[a-zA-Z]+' deprecated:DeprecationWarning"),
]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("bench_rtl")


def test_cases_are_those_whose_name_contains_the_text(bench: ModuleType) -> None:
    assert [name for name, _ in bench.cases("16x32, 30 %")] == ["16x32, 30 % zero, 8 bits signed"]
    assert [graph.input.size for _, graph in bench.cases("64x")] == [64, 64]
    with pytest.raises(InputError, match="no case has '17x' in its name; there are 16x32, 30 % zero, 8 bits signed; "):
        bench.cases("17x")


def test_the_trained_case_is_a_network_of_the_data(bench: ModuleType) -> None:
    graph = bench.trained("digits", 1)
    assert (graph.input.size, graph.output.size) == (64, 10)
    x = np.zeros((1, 64), np.int64)
    assert graph.run(x).shape == (1, 10)


@pytest.mark.parametrize("bits", [0, 2, 4])
def test_the_integer_network_of_any_weights_is_the_trained_one(
    bits: int, bench: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = importlib.import_module("bench_weights")
    from quant.datasets import load, split

    monkeypatch.setattr(weights, "EPOCHS", 2)
    parts = split(load("digits"), 0.2, 0)
    found = weights.trained(bits, weights.network((8,), 0.01), parts, 0)  # holds all its answers against the model's
    assert 0.0 < found.error < 0.7
    assert (found.graph is not None) == (bits == 0)
    assert {abs(int(weight)) for weight in np.unique(found.layers[0].weights)} <= set(range(2 ** max(bits - 1, 0) + 1))


def test_lenet_is_folded_for_its_latency(bench: ModuleType) -> None:
    found = importlib.import_module("bench_images").bench("lenet")
    assert 1900 < found["latency_cycles"] <= 2000
