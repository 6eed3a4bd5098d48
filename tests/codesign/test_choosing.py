"""Who becomes hardware once networks are trained in full: any of them, in any hardware, and never trained twice."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections import Counter

import pytest
from search_entry import finished, kill_midway, plain, result, searcher

from codesign.choosing import Chooser
from codesign.errors import StorageError
from codesign.judging import Judge
from codesign.measurement import Figure, Measurement, Provenance
from codesign.record import Record
from codesign.report.page import page
from codesign.report.plots import LATENCY, LUT, _marks
from codesign.run import read_run
from codesign.searched_space import searched_space
from codesign.study import parse_study
from nas.nsga2 import Search, _genome
from nas.surrogate import FEWEST

TEXT = (
    '[study]\nname = "small"\n[search]\npopulation = 14\ngenerations = 5\n'
    "[rungs]\nepochs = [20]\nshare = 0.4\nsurrogate = true\n"
)
SMALL = parse_study(TEXT, "x")
SPACE = searched_space(SMALL, 64, 10)


run_search = searcher(SMALL)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_search(tmp_path_factory.mktemp("runs") / "small")


def judge_of(run):
    return Judge(run.study.search.objectives, run.constraints, run.study.target.clock_mhz)


def test_until_there_is_a_surrogate_as_many_go_on_as_it_needs(run):
    (first,) = run.generations[0]["rungs"]
    assert first["passed"] == FEWEST > 0.4 * first["entered"]
    assert first["others"] == 0
    assert "surrogate" not in run.generations[0]


def test_then_networks_of_earlier_generations_and_other_hardware_go_on_too(run):
    later = [generation["rungs"][0] for generation in run.generations[1:]]
    assert all(one["passed"] + one["others"] <= 6 for one in later)
    assert sum(one["others"] for one in later) > 0
    for generation, rung in zip(run.generations[1:], later, strict=True):
        measured = [one for one in run.records if one.generation == generation["number"] and one.status != "dropped"]
        others = [one for one in measured if one.index >= 14]
        assert len(others) == rung["others"]
        assert {len(errors) for errors in generation["surrogate"]["errors"].values()} == {len(measured)}
        networks = {one.architecture.network_digest() for one in run.records if one.generation <= generation["number"]}
        assert {one.architecture.network_digest() for one in others} <= networks
    assert any(one.dropped is not None and one.dropped.generation < one.generation for one in run.records)
    assert run_again(run) == run


def run_again(run):
    return run_search(run.folder)


def test_no_network_is_trained_twice(tmp_path, behave):
    behave(count_in=True)
    run = run_search(tmp_path / "run")
    lines = [line for path in run.folder.glob("evaluated-*") for line in path.read_text().split()]
    trained = Counter(line.removeprefix("trained:") for line in lines if line.startswith("trained:"))
    networks = {record.architecture.network_digest() for record in run.records if record.measurement}
    assert set(trained) == networks
    # two that are asked for in one generation may be trained at the same time
    assert sum(trained.values()) - len(trained) < len(trained) / 10
    assert len([record for record in run.records if record.status == "ok"]) > 12


def test_of_a_dropped_one_the_algorithm_learns_its_error_and_what_is_predicted(run):
    judge = judge_of(run)
    dropped = [record for record in run.records if record.status == "dropped" and record.generation > 0]
    reasons = set()
    for record in dropped:
        told, figures = judge.told(record), record.measurement.figures
        assert told.objectives == (
            figures["val_error"].value,
            figures["latency_cycles"].value / 100,
            figures["lut"].value,
        )
        assert figures["val_error"].value == figures["short_error"].value
        assert figures["lut"].value >= figures["lut"].details["predicted"] > 0
        predicted = figures["lut"].value
        costs, why = re.fullmatch(r".* after 20 epochs, (.*); (.*)", record.reason).groups()
        latency, factors = f"{figures['latency_cycles'].value / 100:.4g}", []
        for name in ("latency_cycles", "lut"):
            factors.append(f"(within a factor of {math.exp(figures[name].details['deviation']):.2f})")
        lut = f"lut predicted {predicted:,.0f} LUT"
        assert costs == f"latency predicted {latency} us {factors[0]}, {lut} {factors[1]}"
        assert why == "adds less to the front than others" or predicted > 13_300
        reasons.add(why)
    assert reasons == {"adds less to the front than others", "seems to miss lut"}
    first = [record for record in run.records if record.status == "dropped" and record.generation == 0]
    assert all(judge.told(record).objectives is None for record in first)


def test_what_it_learns_of_one_that_stays_dropped_follows_the_surrogate(tmp_path, monkeypatch):
    said, revise = [], Search.revise

    def listened(algorithm, told):
        said.append({genome: told(genome).objectives for genome in map(_genome, algorithm._population())})
        revise(algorithm, told)

    monkeypatch.setattr(Search, "revise", listened)
    run = run_search(tmp_path / "run")
    dropped = {record.digest for record in run.records if record.status == "dropped"}
    pairs = [
        (before[genome], after[genome])
        for before, after in itertools.pairwise(said)
        for genome in before.keys() & after.keys()
        if before[genome] is not None and SPACE.decode(genome).digest() in dropped
    ]
    assert pairs
    assert all(before[0] == after[0] for before, after in pairs)
    assert any(before[2] != after[2] for before, after in pairs)


def test_nothing_that_was_only_predicted_is_on_the_front(run):
    assert {record.status for record in run.front} == {"ok"}
    figures = [figure for record in run.front for figure in record.measurement.figures.values()]
    assert Provenance.ESTIMATED not in {figure.provenance for figure in figures}
    assert {mark.record.status for axis in (LUT, LATENCY) for mark in _marks(run, axis)} <= {"ok", "infeasible"}
    others = sum(generation["rungs"][0]["others"] for generation in run.generations)
    assert f"or went into other hardware than was asked for: {others}. " in page(run)


TIES = TEXT.replace("generations = 5\n", 'generations = 5\nobjectives = ["error", "bit_operations"]\n')


@pytest.mark.parametrize(("workers", "text"), [(1, TEXT), (3, TEXT), (2, TIES)])
def test_an_interrupted_search_continues_to_the_same_end(tmp_path, behave, workers, text):
    study = parse_study(text, "x")
    whole = run_search(tmp_path / "whole", study)
    behave(disk_full=0.15)
    with pytest.raises(StorageError):
        run_search(tmp_path / "run", study, workers=workers)
    assert 0 < len(read_run(tmp_path / "run").records) < len(whole.records)
    behave()
    assert result(run_search(tmp_path / "run", study, workers=workers)) == result(whole)


@pytest.mark.parametrize("objectives", ['["error", "bram"]', '["error", "interval", "lut"]'])
def test_what_cannot_be_predicted_is_ranked_as_after_any_rung(tmp_path, objectives):
    text = TEXT.replace("generations = 5\n", f"generations = 3\nobjectives = {objectives}\n")
    run = run_search(tmp_path / "run", parse_study(text, "x"))
    rungs = [generation["rungs"][0] for generation in run.generations]
    assert [rung["others"] for rung in rungs] == [0, 0, 0]
    assert [rung["passed"] for rung in rungs[1:]] == [6, 6]
    judge = judge_of(run)
    assert all(judge.told(record).objectives is None for record in run.records if record.status == "dropped")
    assert "by the hypervolume that they promise" not in page(run)
    assert "Only who passes every rung is trained in full, synthesized and simulated." in page(run)


def test_kills_lose_nothing_and_change_nothing(tmp_path, run, start_search, behave):
    study, folder, rng = tmp_path / "study.toml", tmp_path / "run", random.Random(3)
    study.write_text(TEXT)
    behave(sleep=0.1)
    kill_midway(start_search, folder, study, rng, (8, 20), 0.3)
    assert 0 < len(read_run(folder).records) < len(run.records)
    assert finished(start_search, folder, study) == plain(run)


class Oracle:
    """Predicts from a table of LUTs and cycles by hardware, exactly."""

    def __init__(self, table):
        self.table = table

    def known(self, architectures):
        found = []
        for one in architectures:
            lut, cycles = self.table[one.hardware.mode, one.hardware.folding]
            figures = {"lut": lut, "latency_cycles": cycles, "fmax": 150.0, "ff": 1.0}
            details = {"deviation": 0.0, "fitted_to": 12}
            found.append(
                Measurement(
                    {
                        name: Figure(value, "", Provenance.ESTIMATED, "oracle", "1", {**details, "predicted": value})
                        for name, value in figures.items()
                    }
                )
            )
        return found


def error(value):
    return Figure(value, "", Provenance.TRAINED, "analytic", "1")


def test_what_adds_most_to_the_hypervolume_is_chosen_whatever_it_was_asked_in(run):
    judge, chooser = judge_of(run), Chooser(SPACE, judge_of(run))
    network = next(record.architecture for record in run.records if record.architecture.hardware.mode == "parallel")
    ways = {(way.hardware.mode, way.hardware.folding): way for way in SPACE.ways(network)}
    table = dict.fromkeys(ways, (4000.0, 100.0))
    best, second = list(table)[-1], list(table)[1]
    table[best], table[second] = (500.0, 40.0), (3000.0, 10.0)
    reference = (0.5, 2.0, 5000.0)

    def choose(before, count, decided=()):
        return chooser.choose([(network, error(0.1))], before, decided, Oracle(table), reference, count)

    chosen = choose({}, 3)
    assert chosen == [ways[best], ways[second]]  # all others add nothing
    assert choose({}, 1) == [ways[best]]
    figures = Measurement(
        {
            "val_error": error(0.1),
            **{name: Figure(value, "", Provenance.SYNTHESIZED, "x", "1") for name, value in
               {"lut": 500.0, "latency_cycles": 40.0, "fmax": 150.0}.items()},
        }
    )  # fmt: skip
    before = {ways[best].digest(): Record(ways[best], "ok", measurement=figures)}
    assert choose(before, 3) == [ways[second]]
    assert choose(before, 3, decided={ways[second].digest()}) == []
    lost = next(way for key, way in ways.items() if key not in (best, second))
    failed = {lost.digest(): Record(lost, "failed", "it cannot be lowered")}
    assert choose(failed, 3) == []  # whatever is wrong may be the network's fault
    assert choose({**failed, **before}, 3) == [ways[second]]
    table[second] = (1e6, 10.0)  # over the budget
    assert choose(before, 3) == []
    assert judge.over(Oracle(table).known([ways[second]])[0])
