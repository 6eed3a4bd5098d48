"""``scripts/bench search``: who gets how much time, what is judged, and that a complete run is not searched again."""

from __future__ import annotations

import json
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

    for role in ("MEASURED", "TRAINING"):
        monkeypatch.setattr(bench_search, role, "proof_evaluation")
    return bench_search


def options(**given):
    usual = {"seconds": 2.0, "seeds": 2, "data": "digits", "workers": 1, "epochs": 3, "lut": "10%", "contenders": ""}
    return Namespace(**{**usual, **given})


def test_contenders_that_measure_are_judged_by_what_they_measured_and_not_run_again(
    bench, behave, tmp_path, monkeypatch
):
    behave(sleep=0.05)
    monkeypatch.chdir(tmp_path)
    values = bench.prove(options(contenders="random,no_surrogate"))
    folder = Path("runs/proof-digits-10-3e-2s-1w-random-2")
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
    monkeypatch.setattr(bench, "CONTENDERS", dict.fromkeys(bench.CONTENDERS, nobody))
    assert bench.prove(options(contenders="random,no_surrogate")) == values
    assert (folder / "store.sqlite").read_bytes() == stored
    (folder / bench.DONE).unlink()
    with pytest.raises(AssertionError, match="is asked"):  # incomplete: begins anew
        bench.prove(options(contenders="random"))
    assert not folder.exists()


def nobody(_turn):
    raise AssertionError("nobody is asked again")


def test_separate_design_builds_what_it_has_trained(bench, behave, tmp_path, monkeypatch):
    behave(sleep=0.05)
    monkeypatch.chdir(tmp_path)
    values = bench.prove(options(contenders="params,surrogate_only,ours", seeds=1))
    assert set(values["hypervolume_ratio"]) == {"params", "surrogate_only"}
    assert values["hypervolume_ratios"]["ours"]["params"]["interval"] is None, "one seed says nothing of others"
    for name, objectives in {"params": ("error", "parameters"), "surrogate_only": ("error", "latency", "lut")}.items():
        built = read_run(Path(f"runs/proof-digits-10-3e-2s-1w-{name}-1"))
        trained = read_run(built.folder.with_name(f"{built.folder.name}-trained"))
        assert trained.study.search.objectives == objectives
        assert {one.architecture.network_digest() for one in built.records} <= {
            one.architecture.network_digest() for one in trained.records
        }
        best = {one.architecture.network_digest() for one in trained.front}
        first = built.records[: len(best)]
        assert first, "some hardware was made"
        assert {one.architecture.network_digest() for one in first} <= best, "the front comes first"
    sampled = read_run(Path("runs/proof-digits-10-3e-2s-1w-surrogate_only-1-sampled"))
    found = values["contenders"]["surrogate_only"]
    built = read_run(Path("runs/proof-digits-10-3e-2s-1w-surrogate_only-1"))
    assert found["synthesized"] == [
        sum("val_error" in one.measurement.figures for one in (*sampled.records, *built.records))
    ]
    ours = read_run(Path("runs/proof-digits-10-3e-2s-1w-ours-1")).study
    assert ours.rungs.surrogate
    assert ours.rungs.epochs == (ours.search.epochs,) == (built.study.search.epochs,) == (3,)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"contenders": "ours,randm"}, "--contenders randm: did you mean random"),
        ({"seconds": 0.0}, "--seconds 0 must be above 0"),
        ({"seeds": -1}, "--seeds -1 must be above 0"),
        ({"epochs": 0}, "--epochs 0 must be above 0"),
        ({"lut": "200%"}, 'budget.lut = "200%" is not a share'),
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
