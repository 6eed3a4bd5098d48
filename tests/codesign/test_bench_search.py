"""``scripts/bench search``: who gets how much time, what is judged, and that a complete run is not searched again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.errors import InputError
from codesign.measurement import Figure, Measurement, Provenance
from codesign.record import Record
from codesign.run import read_run
from hw.measure.cache import SETTING

ROOT = Path(__file__).resolve().parents[2]
NETWORK = Architecture(64, 10, 4, (DenseLayer(8, "ternary"),), True, Hardware("parallel"))


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    monkeypatch.setenv(SETTING, "")
    import bench_search

    monkeypatch.setattr(bench_search, "MEASURED", "analytic_evaluation")
    return bench_search


def options(**given):
    return Namespace(**{"seconds": 1.0, "seeds": 2, "data": "digits", "workers": 1, "contenders": "", **given})


def test_contenders_that_measure_are_judged_by_what_they_measured_and_not_run_again(
    bench, behave, tmp_path, monkeypatch
):
    behave(sleep=0.05)
    monkeypatch.chdir(tmp_path)
    values = bench.prove(options(contenders="random,no_surrogate"))
    folder = Path("runs/proof-digits-1s-1w-random-2")
    run = read_run(folder)
    assert run.study.study.seed == 2
    random = values["contenders"]["random"]
    assert random["decided"][1] == len(run.records) > 0
    within = [record for record in run.records if record.status == "ok"]
    assert len(random["front"][1]) == len(run.front) <= len(within)
    assert values["hypervolume_ratio"] == {}, "ours did not take part"
    found = values["hypervolume_ratios"]["no_surrogate"]["random"]
    volumes = [values["contenders"][name]["hypervolume"] for name in ("no_surrogate", "random")]
    assert found["seeds"] == [ours / theirs for ours, theirs in zip(*volumes, strict=True)]
    assert min(found["seeds"]) <= found["interval"][0] <= found["median"] <= found["interval"][1] <= max(found["seeds"])
    assert values["correlation"]["all"]["candidates"] > values["correlation"]["folded"]["candidates"] > 0
    json.dumps(values)

    stored = (folder / "store.sqlite").read_bytes()
    monkeypatch.setattr(bench, "MEASURED", "nobody.is_asked")
    assert bench.prove(options(contenders="random,no_surrogate")) == values
    assert (folder / "store.sqlite").read_bytes() == stored
    (folder / bench.DONE).unlink()
    with pytest.raises(ModuleNotFoundError):  # incomplete: begins anew
        bench.prove(options(contenders="random"))
    assert not folder.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"contenders": "ours,randm"}, "--contenders randm: did you mean random"),
        ({"seconds": 0.0}, "--seconds 0 must be above 0"),
        ({"seeds": -1}, "--seeds -1 must be above 0"),
    ],
)
def test_what_cannot_be_run_is_said(bench, given, words):
    with pytest.raises(InputError) as caught:
        bench.prove(options(**given))
    assert words in str(caught.value)


def test_networks_are_built_in_every_way_each_once_before_any_twice(bench):
    networks = [replace(NETWORK, input_bits=bits) for bits in (1, 2, 3)]
    ways = [Hardware("parallel"), Hardware("folded", 8)]
    found = bench.in_every_way(networks, ways)
    assert len(set(found)) == 6
    assert [one.input_bits for one in found] == [1, 2, 3, 1, 2, 3]
    assert [one.hardware.mode for one in found] == ["parallel", "folded", "parallel", "folded", "parallel", "folded"]


def test_what_was_supposed_is_not_judged(bench):
    import bench_judge

    def record(provenance):
        return Record(NETWORK, "ok", measurement=Measurement({"lut": Figure(9.0, "LUT", provenance, "x", "1")}))

    assert bench_judge.is_measured(record(Provenance.SYNTHESIZED))
    assert not bench_judge.is_measured(record(Provenance.ESTIMATED))


def test_the_interval_is_of_the_median_over_seeds(bench):
    import bench_judge

    assert bench_judge.interval([1.1]) is None
    assert bench_judge.interval([1.1, 1.1]) == [1.1, 1.1]
    low, high = bench_judge.interval([1.0, 1.1, 1.2, 1.3, 9.0])
    assert (low, high) == (1.0, 9.0)
    volumes = {"ours": [0.6, 0.5], "no_surrogate": [0.5, 0.5], "random": [0.4, 0.0]}
    found = bench_judge.ratios("ours", volumes)
    assert found["no_surrogate"]["median"] == pytest.approx(1.1)
    assert found["random"]["median"] is None, "nothing is a multiple of nothing"
    assert set(bench_judge.ratios("no_surrogate", volumes)) == {"random"}


@pytest.mark.slow
def test_every_contender_with_real_training_and_hardware(tmp_path):
    command = [ROOT / "scripts" / "bench", "search", "--json", "proof.json", "--seconds", "150", "--seeds", "1"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run(command, cwd=tmp_path, check=True, env=environment, stdout=sys.stderr)
    values = json.loads((tmp_path / "proof.json").read_text())
    assert set(values["hypervolume_ratio"]) == {"params", "bit_operations", "random", "surrogate_only", "no_surrogate"}
    for name, one in values["contenders"].items():
        assert one["synthesized"][0] > 0, name
    for name in ("params", "bit_operations", "surrogate_only"):
        run = read_run(tmp_path / "runs" / f"proof-digits-150s-{values['workers']}w-{name}-1")
        trained = read_run(run.folder.with_name(f"{run.folder.name}-trained"))
        errors = {one.architecture.network_digest(): one.measurement.value("val_error") for one in trained.stored}
        for record in run.stored:
            assert record.status != "failed", record.reason
            assert record.measurement.value("val_error") == errors[record.architecture.network_digest()]
