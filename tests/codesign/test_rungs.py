"""Short trainings that decide who becomes hardware; searches with them continue bit for bit."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest
from search_entry import finished, kill_midway, plain, result, searcher

from codesign.errors import CodesignError, StorageError, TargetError
from codesign.listener import Listener
from codesign.report.page import page
from codesign.run import read_run
from codesign.show import follow, run_json, show_candidate
from codesign.study import parse_study
from codesign.summary import closing

TEXT = (
    '[study]\nname = "small"\n[search]\npopulation = 8\ngenerations = 3\n[rungs]\nepochs = [2, 5]\nshare = 0.5\n'
    '[space]\nmode = ["parallel"]\n[budget]\nlut = "100%"\n'
)
SMALL = parse_study(TEXT, "x")


run_search = searcher(SMALL)


@pytest.fixture
def folder(tmp_path, behave, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs" / "small"


def trained(folder):
    """How often each was trained, by digest and epochs; whole trainings by digest alone."""
    return Counter(line for path in folder.glob("evaluated-*") for line in path.read_text().split())


def test_only_who_passes_every_rung_becomes_hardware(folder, behave):
    behave(count_in=True)
    run = run_search(folder)
    counts = trained(folder)
    assert set(counts.values()) == {1}
    assert [generation["rungs"] for generation in run.generations] == [
        [
            {"epochs": 2, "entered": 8, "passed": 4, "others": 0},
            {"epochs": 5, "entered": 4, "passed": 2, "others": 0},
        ]
    ] * 3
    assert len(run.records) == 24
    assert run.counts["dropped"] == 18
    whole = {key for key in counts if ":" not in key}
    assert whole == {record.digest for record in run.records if record.status != "dropped"}
    assert all("lut" in record.measurement.figures and "fmax" in record.measurement.figures for record in run.front)
    assert {record.status for record in run.front} == {"ok"}


def test_a_dropped_candidate_says_why(folder):
    run = run_search(folder)
    first = [record for record in run.records if record.reason.startswith("dropped at rung 1")]
    pattern = (
        r"dropped at rung (\d): validation error ([\d.]+) ± [\d.]+ % after (\d) epochs, lut at least ([\d,.]+) LUT; "
        r"place (\d) of (\d); (\d) went on, their smallest error ([\d.]+) ± [\d.]+ %"
    )
    assert len(first) == 12
    for record in run.records:
        if record.status != "dropped":
            continue
        rung, error, epochs, lut, place, entered, passed, least = re.fullmatch(pattern, record.reason).groups()
        figure = record.measurement.figures["short_error"]
        ahead = {other.digest for other in run.records if other.generation == record.generation} - {
            other.digest
            for other in run.records
            if other.status == "dropped" and other.measurement.figures["short_error"].details["rung"] <= int(rung)
        }
        errors = [trial.error.value for trial in run.trials if trial.digest in ahead and trial.rung == int(rung)]
        assert len(errors) == int(passed)
        assert least == f"{100 * min(errors):.1f}"
        assert float(lut.replace(",", "")) == pytest.approx(record.measurement.value("lut"), rel=0.01)
        assert (rung, epochs, entered, passed) in {("1", "2", "8", "4"), ("2", "5", "4", "2")}
        assert f"{100 * figure.value:.1f}" == error
        assert figure.details["place"] == int(place) > int(passed)
        assert {"lut", "short_error"} == set(record.measurement.figures)


def test_a_dropped_candidate_is_said_to_be_so_once(folder, capsys):
    run = run_search(folder, parse_study(TEXT.replace("epochs = [2, 5]", "epochs = [1]"), "x"))
    record = next(record for record in run.records if record.status == "dropped")
    assert " after 1 epoch, " in record.reason
    show_candidate(folder, record.digest, as_json=False)
    follow(folder)
    shown, words = capsys.readouterr().out, re.escape(record.architecture.words())
    assert "\nstatus:     dropped at rung 1: validation error " in shown
    assert re.search(
        rf"^\[\d+\] {record.digest[:8]}  {words}  dropped at rung 1: validation error ", shown, re.MULTILINE
    )


def test_the_smallest_error_of_a_rung_goes_on(folder):
    run = run_search(folder)
    errors = {trial.digest: trial.error.value for trial in run.trials if trial.rung == 1}
    gone = {record.digest for record in run.records if record.reason.startswith("dropped at rung 1")}
    for generation in range(3):
        members = [record.digest for record in run.records if record.generation == generation]
        least = min(errors[digest] for digest in members)
        assert not gone >= {digest for digest in members if errors[digest] == least}


def test_the_algorithm_prefers_who_came_further(folder):
    from codesign.judging import Judge

    run = run_search(folder)
    judge = Judge(SMALL.search.objectives, run.constraints, 100.0)
    told = [(record, judge.told(record)) for record in run.records]
    excess = {rung: [t.excess for r, t in told if r.reason.startswith(f"dropped at rung {rung}")] for rung in (1, 2)}
    assert all(t.excess == 0 for r, t in told if r.status == "ok")
    assert 0 < max(excess[2]) <= 1e-3 < min(excess[1]) <= max(excess[1]) <= 2e-3
    assert all(t.objectives is None for r, t in told if r.status == "dropped")


def test_who_was_dropped_is_preferred_to_who_misses_a_budget(folder):
    from codesign.judging import Judge

    run = run_search(folder, parse_study(TEXT.replace('lut = "100%"', "lut = 300"), "x"))
    judge = Judge(SMALL.search.objectives, run.constraints, 100.0)
    told = [(record.status, judge.over(record.measurement), judge.told(record)) for record in run.records]
    within = [one.excess for status, over, one in told if status == "dropped" and not over]
    missing = [one.excess for status, over, one in told if status == "infeasible" or over]
    assert within
    assert missing
    assert max(within) < min(missing)


def test_who_goes_on_is_measured_as_without_rungs(folder):
    whole = parse_study(TEXT.replace("epochs = [2, 5]\nshare = 0.5", ""), "x")
    without = {record.digest: record for record in run_search(folder.parent / "whole", whole).records}
    measured = [record for record in run_search(folder).records if record.generation == 0 and record.status == "ok"]
    assert measured
    assert all(without[record.digest].measurement == record.measurement for record in measured)


def test_a_short_training_that_fails_is_a_failed_candidate_and_counts_for_no_rung(folder, behave):
    behave(fail_short=0.3)
    run = run_search(folder)
    failed = [record for record in run.records if record.status == "failed"]
    assert failed
    assert {(record.reason, record.log) for record in failed} == {("no number", "loss: nan")}
    for generation in run.generations:
        lost = sum(record.generation == generation["number"] for record in failed)
        assert generation["rungs"][0] == {"epochs": 2, "entered": 8 - lost, "passed": (9 - lost) // 2, "others": 0}
    behave()
    assert run_search(folder) == run


def test_what_cannot_fit_is_recorded_on_the_first_rung_and_not_trained(folder, behave):
    behave(unfit=0.3, count_in=True)
    run = run_search(folder)
    unfit = [record for record in run.records if record.reason == "not trained: no folding fits"]
    assert unfit
    assert {(record.status, *record.seconds) for record in unfit} == {("infeasible", "planning")}
    assert not {key.partition(":")[0] for key in trained(folder)} & {record.digest for record in unfit}
    for generation in run.generations:
        lost = sum(record.generation == generation["number"] for record in unfit)
        assert generation["rungs"][0] == {"epochs": 2, "entered": 8 - lost, "passed": (9 - lost) // 2, "others": 0}
    assert run_search(folder) == run
    row = (
        rf"<td[^>]*>does not fit</td><td[^>]*>{len(unfit)}</td><td[^>]*>one of them: not trained: no folding fits</td>"
    )
    assert re.search(row, page(run))


def test_when_nothing_fits_or_is_measured_the_first_reason_is_shown(folder, behave):
    behave(unfit=1.1)
    with pytest.raises(TargetError) as caught:
        run_search(folder)
    assert str(caught.value) == (
        "none of 24 candidates fits; the first reason: not trained: no folding fits. Raise the budget, or "
        "restrict [space]; all candidates are kept, see them with: python -m codesign show small --all"
    )
    assert caught.value.exit_code == 2


def test_when_most_fail_and_the_others_do_not_fit_both_reasons_are_shown(folder, behave):
    behave(unfit=0.3, fail_short=1.1)
    with pytest.raises(CodesignError) as caught:
        run_search(folder)
    counts = read_run(folder).counts
    assert counts["ok"] == 0 < counts["infeasible"] < counts["failed"]
    assert str(caught.value) == (
        f"{counts['failed']} of 24 candidates failed; the first reason: no number; the other {counts['infeasible']} "
        "do not fit; the first reason: not trained: no folding fits; see them with: python -m codesign show small --all"
    )


@pytest.mark.parametrize("workers", [1, 3])
def test_an_interrupted_generation_is_decided_as_if_it_had_not_been(tmp_path, behave, workers):
    whole = run_search(tmp_path / "whole")
    behave(disk_full=0.4)
    with pytest.raises(StorageError):
        run_search(tmp_path / "run", workers=workers)
    assert 0 < len(read_run(tmp_path / "run").records) < 24
    behave()
    again = run_search(tmp_path / "run", workers=workers)
    assert result(again) == result(whole)
    assert {record.digest: record.reason for record in again.records} == {r.digest: r.reason for r in whole.records}


def test_kills_lose_nothing_and_change_nothing(tmp_path, start_search, behave):
    study, folder, rng = tmp_path / "study.toml", tmp_path / "run", random.Random(4)
    study.write_text(TEXT)
    whole = plain(run_search(tmp_path / "whole"))
    behave(sleep=0.2, count_in=True)
    kill_midway(start_search, folder, study, rng, (2, 4), 0.4)
    stored = {(trial.digest, trial.rung) for trial in read_run(folder).trials}
    assert 0 < len(stored) < 36
    before = trained(folder)
    assert finished(start_search, folder, study) == whole
    again = trained(folder) - before
    epochs = {1: 2, 2: 5}
    assert not {f"{digest}:{epochs[rung]}" for digest, rung in stored} & set(again), "trained again after it was stored"


def test_rungs_are_shown(folder, monkeypatch, capsys):
    said = []

    class Messages(Listener):
        def trial(self, trial, error):
            said.append((trial.rung, error))

        def rung(self, rung, passed, entered, others):
            assert not others
            said.append((rung, passed, entered))

    run = run_search(folder, listener=Messages())
    assert said.count((1, 4, 8)) == said.count((2, 2, 4)) == 3
    assert len([words for words in said if len(words) == 2]) == len(run.trials) == 36
    assert "18 dropped early" in closing(run)
    follow(folder)
    shown = capsys.readouterr().out
    assert len(re.findall(r"^rung [12]: 64x.*  validation error [\d.]+ ± [\d.]+ %$", shown, re.MULTILINE)) == 36
    generations = r"^generation \d: rung 1: 4 of 8 went on, rung 2: 2 of 4 went on, front "
    assert len(re.findall(generations, shown, re.MULTILINE)) == 3
    html = page(run)
    assert "what their structure says of latency, lut: first" in html
    for rung in (1, 2):
        gone = [record for record in run.records if record.reason.startswith(f"dropped at rung {rung}")]
        least = min(gone, key=lambda record: record.measurement.value("short_error"))
        error = f"{100 * least.measurement.value('short_error'):.1f}"
        row = (
            rf"<td[^>]*>dropped at rung {rung}</td><td[^>]*>{len(gone)}</td>"
            rf"<td[^>]*>that with the smallest error: validation error {error} ± "
        )
        assert re.search(row, html)
    for words in ('<section id="rungs">', "dropped at rung 2", "18</b><span>dropped early", "2, then 5 of 20 epochs"):
        assert words in html
    described = run_json(run)
    assert described["counts"]["dropped"] == 18
    assert described["generations"][0]["rungs"][1] == {"epochs": 5, "entered": 4, "passed": 2, "others": 0}
