"""Front members are trained again when the search is over, and only that is reported."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console
from search_entry import result, searcher

from codesign.artifacts import ArtifactStore
from codesign.errors import StorageError
from codesign.listener import Listener
from codesign.listing import candidate_lines
from codesign.report.page import page
from codesign.run import read_run
from codesign.show import candidate_json, run_json, show_candidate
from codesign.store import Store
from codesign.study import parse_study
from codesign.summary import FrontTable, closing
from nas.indicators import dominates, hypervolume

TEXT = '[study]\nname = "small"\n[search]\npopulation = 8\ngenerations = 2\n[final]\nseeds = 3\nepochs = 30\n'
SMALL = parse_study(TEXT, "x")


run_search = searcher(SMALL)


@pytest.fixture
def folder(tmp_path, behave):
    return tmp_path / "runs" / "small"


@pytest.fixture
def run(folder):
    return run_search(folder)


def without(folder):
    return run_search(folder.parent / "without", parse_study(TEXT[: TEXT.index("[final]")], "x"))


def test_only_figures_of_new_trainings_are_reported(run, folder):
    assert run.front
    for record in run.front:
        one = run.retrained[record.digest]
        good = [training for training in one.trainings if training.good]
        assert len(one.trainings) == 3
        assert [training.number for training in one.trainings] == [1, 2, 3]
        best = min(good, key=lambda training: training.record.measurement.value("val_error"))
        assert record.measurement == best.record.measurement
        assert ArtifactStore(folder).get(record.artefacts["weights"]) == f"{best.number}".encode()
        assert run.finals[record.digest] == best.final
        assert record.measurement.value("lut") != one.before.measurement.value("lut")


def test_the_store_keeps_what_was_before(run, folder):
    searched = {record.digest: record.measurement for record in without(folder).records}
    with Store.read(folder) as store:
        assert {record.digest: record.measurement for record in store.records()} == searched
    before = {digest: one.before.measurement for digest, one in run.retrained.items()}
    assert before == {digest: searched[digest] for digest in run.retrained}


def test_the_front_is_among_those_trained_again_and_nobody_else_belongs_onto_it(run, folder):
    assert {record.digest for record in without(folder).front} <= set(run.retrained)
    assert {record.digest for record in run.front} <= set(run.retrained)
    members = [run.objectives(record) for record in run.front]
    others = [run.objectives(record) for record in run.records if record.status == "ok" and record not in run.front]
    assert all(any(dominates(member, other) for member in members) for other in others)


def test_who_is_over_a_budget_when_trained_again_leaves_the_front(folder):
    loose = run_search(folder)
    one = max(loose.retrained.values(), key=lambda one: one.spread("lut")[0] / one.before.measurement.value("lut"))
    limit = int(one.before.measurement.value("lut"))
    assert limit < one.spread("lut")[0]
    run = run_search(folder.parent / "tight", parse_study(f"{TEXT}[budget]\nlut = {limit}\n", "x"))
    gone = [
        again.reported.record.reason for again in run.retrained.values() if again.reported.record.status == "infeasible"
    ]
    assert gone
    assert all(reason.startswith("trained again: lut: ") for reason in gone)
    assert all(record.measurement.value("lut") <= limit for record in run.front)


def test_trainings_that_fail_are_kept_and_another_is_reported(folder, behave):
    behave(fail_again=0.4)
    run = run_search(folder)
    trainings = [training for one in run.retrained.values() for training in one.trainings]
    failed = [training for training in trainings if training.record.status == "failed"]
    assert 0 < len(failed) < len(trainings)
    assert {training.record.reason for training in failed} == {"trained again: no luck"}
    assert all(run.retrained[record.digest].reported.good for record in run.front)
    behave()
    assert run_search(folder) == run


def test_who_cannot_be_folded_when_trained_again_leaves_the_front(folder, behave):
    behave(unfit_again=0.4)
    run = run_search(folder)
    trainings = [training.record for one in run.retrained.values() for training in one.trainings]
    unfit = [record for record in trainings if record.status == "infeasible"]
    assert 0 < len(unfit) < len(trainings)
    assert {record.reason for record in unfit} == {"trained again: no folding fits"}
    assert all(run.retrained[record.digest].reported.good for record in run.front)


def test_an_answer_for_another_candidate_is_a_training_that_failed(folder, behave):
    behave(garbage_again=0.4)
    run = run_search(folder)
    trainings = [training.record for one in run.retrained.values() for training in one.trainings]
    failed = [record for record in trainings if record.status == "failed"]
    assert 0 < len(failed) < len(trainings)
    assert all(r.reason.startswith("trained again: tried twice: the worker answered with (Record(") for r in failed)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_final_stage_continues_where_it_was_interrupted(tmp_path, behave, workers):
    whole = run_search(tmp_path / "whole")

    class Stops(Listener):
        ended = 0

        def tick(self):
            with Store.read(tmp_path / "run") as store:
                if len(store.retrainings()) >= self.ended + 5:
                    raise StorageError("interrupted")

    seen = []
    while True:
        listener = Stops()
        listener.ended = len(seen)
        try:
            run = run_search(tmp_path / "run", workers=workers, listener=listener)
            break
        except StorageError:
            with Store.read(tmp_path / "run") as store:
                found = store.retrainings()
            assert found[: len(seen)] == seen, "trained again after it was stored"
            seen = found
            front = read_run(tmp_path / "run").front  # can be read at any time
            assert front
    assert len(seen) >= 5
    assert result(run) == result(whole)
    assert {digest: one.reported for digest, one in run.retrained.items()} == {
        digest: one.reported for digest, one in whole.retrained.items()
    }


def test_what_was_trained_again_is_shown(run, folder, capsys):
    text = closing(run)
    assert re.search(rf"trained again: {len(run.retrained)} networks, 3 times each, {len(run.front)} on front", text)
    assert re.search(r"test errors of one network differ by [\d.]+ points \(median\), at most [\d.]+ points", text)
    before, after = re.findall(r"^hypervolume of the front as (.*): (\d\.\d{4})$", text, re.MULTILINE)
    assert before == ("the search left it", f"{run.generations[-1]['hypervolume']:.4f}")
    points = [run.objectives(record) for record in run.front]
    assert after == ("trained again", f"{hypervolume(points, run.reference):.4f}")
    assert "\nhypervolume: " not in text
    record = run.front[0]
    show_candidate(folder, record.digest[:12], as_json=False)
    shown = capsys.readouterr().out
    assert re.search(r"^in the search: validation error .* LUT, \d+ cycles \(not reported\)$", shown, re.MULTILINE)
    assert (
        len(re.findall(r"^trained again, [123](, reported)?: validation error .*, test error ", shown, re.MULTILINE))
        == 3
    )
    described = json.loads(json.dumps(candidate_json(run, record)))["retrained"]
    assert sum(training["reported"] for training in described["trainings"]) == 1
    assert described["before"]["lut"] == run.retrained[record.digest].before.measurement.value("lut")
    assert (
        described["before_figures"]["lut"]["date"]
        == run.retrained[record.digest].before.measurement.figures["lut"].date
    )
    assert {name: figure["value"] for name, figure in described["trainings"][0]["figures"].items()} == described[
        "trainings"
    ][0]["values"]
    assert set(run_json(run)["retrained"]) == set(run.retrained)
    html = page(run)
    assert '<section id="retrained">' in html
    low, high = max((one.spread("lut")[0], one.spread("lut")[-1]) for one in run.retrained.values())
    assert low < high
    assert f"{low:,.0f} to {high:,.0f}" in html
    same = next(one.spread("latency_cycles")[0] for one in run.retrained.values())
    assert f'<td class="number">{same:,.0f}</td>' in html, "what all trainings have in common is said once"


@pytest.mark.parametrize("width", [80, 200])
def test_the_front_says_how_far_the_trainings_of_each_network_differ(run, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(FrontTable(run))
    lines = console.file.getvalue().splitlines()
    for record in run.front:
        errors = run.retrained[record.digest].spread("test_error")
        assert len(errors) == 3
        (place,) = [place for place, line in enumerate(lines) if record.digest[:8] in line]
        words = " to ".join(dict.fromkeys(f"{100 * error:.1f}" for error in (errors[0], errors[-1]))) + " %"
        if width < 100:
            assert lines[place + 1].strip() == f"test errors: {words}"
        else:
            assert f" {words} " in lines[place]
    note = (
        "figures of networks trained again are of that training, of 3 the good one with the smallest validation error"
    )
    assert note in " ".join(" ".join(lines).split())
    assert note in page(run)
    assert list(candidate_lines(run))[-1] == f"errors ± one standard error; {note}"


def test_one_training_again_has_no_spread_to_show(folder):
    run = run_search(folder, parse_study(TEXT.replace("seeds = 3", "seeds = 1"), "x"))
    console = Console(file=io.StringIO(), width=200)
    console.print(FrontTable(run))
    text = " ".join(console.file.getvalue().split())
    assert "test errors:" not in text
    assert "figures of networks trained again are of that training" in text
    assert "the one with the smallest" not in text
