"""The benchmarks of hardware start: their networks are there, chosen by name, trained and folded as they say."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from processes import alive, wait_until

from boards.catalogue import load_target
from codesign.architecture import Hardware
from codesign.errors import InputError
from hw.design import design
from hw.fitting import fitted
from hw.implement import PERIOD_SHARE
from hw.measure import layerwise, yosys
from hw.measure.delays import DelayModel
from hw.solver import Goal

TIMEOUT_S = 600.0
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
    assert [make().input.size for _, make in bench.cases("64x")] == [64, 64]
    with pytest.raises(InputError, match="no case has '17x' in its name; there are 16x32, 30 % zero, 8 bits signed; "):
        bench.cases("17x")


def test_a_case_that_fails_is_said_and_the_others_count(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    side = {"lut": 3.0, "lut_with_pass_through": 3.0, "ff": 1.0, "fmax_mhz": 100.0, "cycles": 2}
    monkeypatch.setattr(bench, "ours", lambda *_: side)

    def limited(graph: Any, *_: Any) -> dict[str, Any] | None:
        if graph.output.size == 32:
            raise RuntimeError("da4ml's side ended without a result")
        return None if graph.input.size == 24 else {**side, "lut": 4.0}

    monkeypatch.setattr(bench, "limited", limited)
    found = bench.rtl("bits signed")["parallel"]
    assert (found["compared"], found["geomean_lut_ratio"]) == (2, pytest.approx(0.75))
    reasons = [case.get("reason") for case in found["cases"]]
    ended, late = "failed: da4ml's side ended without a result", f"da4ml was not done after {bench.THEIR_SECONDS:g} s"
    assert [reason for reason in reasons if reason] == [ended, late, ended]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["stopped", "killed"])
def test_of_da4mls_side_nothing_stays_behind(end: signal.Signals, tmp_path: Path) -> None:
    """A Yosys that never ends stands in for its own; a search that is stopped ends its side as one that is late."""
    yosys, noted = tmp_path / "yosys", tmp_path / "pid"
    hanging = f"echo $$ > {noted}.new; mv {noted}.new {noted}; exec sleep 600"
    yosys.write_text(f'#!/bin/sh\nif [ "$1" = -V ]; then echo Yosys 0.70; else {hanging}; fi\n')
    yosys.chmod(0o755)
    # a shell's background processes begin with SIGINT ignored
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    asked = f"bench_rtl.limited(bench_rtl.matrix(0), 5, pathlib.Path({str(tmp_path)!r}))"
    program = f"{heard}; import bench_rtl, pathlib; {asked}"
    paths = os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])
    environment = {**os.environ, "CODESIGN_YOSYS": str(yosys), "PYTHONPATH": paths}
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL) as asker:
        wait_until(lambda: noted.exists() or asker.poll() is not None)
        children = Path(f"/proc/{asker.pid}/task/{asker.pid}/children").read_text().split()
        asker.send_signal(end)
    pids = [int(pid) for pid in (*children, noted.read_text())]
    assert len(pids) > 1
    wait_until(lambda: not any(map(alive, pids)))


def test_a_large_layer_is_searched_once(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    da4ml = importlib.import_module("bench_da4ml")
    array = importlib.import_module("da4ml.trace.fixed_variable_array")
    monkeypatch.setattr(da4ml, "SEARCHED_FULLY", 24)
    asked = []
    solve = array.solve
    monkeypatch.setattr(array, "solve", lambda *given, **options: asked.append(options) or solve(*given, **options))
    for name in ("24x48", "32x32"):
        ((_, make),) = bench.cases(name)
        graph = make()
        x = np.random.default_rng(0).integers(graph.input.type.low, graph.input.type.high + 1, (5, graph.input.size))
        assert np.array_equal(da4ml.trace(graph).run(x), graph.run(x))
    assert ["search_all_decompose_dc" in options for options in asked] == [False, True]


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
    assert 1750 < found["latency_cycles"] <= 2000


@pytest.mark.slow
@pytest.mark.parametrize("bits", [2, 4])
def test_layers_of_images_take_what_one_netlist_takes(bits: int, bench: ModuleType, tmp_path: Path) -> None:
    """Too small to be synthesized layer by layer unasked; in one netlist, its logic crosses the layers' ports."""
    images = importlib.import_module("bench_images")
    draw = images.Draw((16, 16, 2), bits)
    for name, filters in (("1", 8), ("2", 16)):
        draw.conv(f"conv_{name}", filters, 3, bits, padding=1)
        draw.pool(f"pool_{name}")
    draw.dense("dense", 32, bits)
    draw.dense("logits", 10, None)
    graph, target = draw.graph(), load_target("pynq-z1", None, 100.0)
    period = target.period_ns * PERIOD_SHARE
    solution = fitted(graph, Goal(interval=1000), target, period)
    made = design(graph, Hardware("folded"), DelayModel.for_part(target.part), period, solution.foldings)
    layers = layerwise.layered(made.files, made.top, target.part, target.period_ns)
    parts = layerwise.synthesize(layers, tmp_path / "parts", timeout_s=TIMEOUT_S, jobs=1).figures
    flat = yosys.synthesize(
        yosys.plan(made.files, made.top, target.part), tmp_path / "flat", timeout_s=TIMEOUT_S
    ).figures
    assert parts.value("ff") == flat.value("ff")
    assert parts.value("lut") == pytest.approx(flat.value("lut"), rel=0.03)
