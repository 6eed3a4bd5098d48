from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import analytic_evaluation
import pytest
from search_entry import analytic_search, result

from codesign.errors import CodesignError, ModelError, RunError, StorageError, TargetError
from codesign.evaluate import Evaluator
from codesign.jobs import candidate_seconds
from codesign.judging import Judge
from codesign.listener import Listener
from codesign.loop import _Loop
from codesign.measurement import Measurement
from codesign.run import find_run, read_run, run_folder
from codesign.store import Store
from codesign.study import Study, parse_study
from nas.indicators import dominates
from nas.spaces import mlp

SMALL = parse_study('[study]\nname = "small"\n[search]\npopulation = 8\ngenerations = 3\n', "x")


@pytest.fixture
def folder(tmp_path, behave, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs" / "small"


def test_a_search_fills_the_run(folder):
    run = analytic_search(SMALL, folder)
    assert len(run.records) == 24
    assert {(record.generation, record.index) for record in run.records} == {(g, i) for g in range(3) for i in range(8)}
    assert [generation["number"] for generation in run.generations] == [0, 1, 2]
    assert set(run.finals) == {record.digest for record in run.front}
    assert parse_study((folder / "study.toml").read_text(), "x") == SMALL
    assert read_run(folder) == run


def test_the_front_is_over_every_candidate_and_within_every_budget(folder):
    run = analytic_search(SMALL, folder)
    feasible = [run.objectives(record) for record in run.records if record.status == "ok"]
    on_front = {run.objectives(record) for record in run.front}
    assert on_front == {point for point in feasible if not any(dominates(other, point) for other in feasible)}
    assert all(record.measurement.value("lut") <= 13300 for record in run.front)
    assert all(record.measurement.value("fmax") >= 100 for record in run.front)


def test_hypervolume_never_falls_and_its_reference_is_stored(folder):
    run = analytic_search(SMALL, folder)
    volumes = [generation["hypervolume"] for generation in run.generations]
    assert volumes == sorted(volumes)
    assert volumes[0] > 0
    worst = max(
        record.measurement.value("latency_cycles") / 100.0
        for record in run.records
        if record.generation == 0 and "latency_cycles" in record.measurement.figures
    )
    assert run.reference == pytest.approx((0.9, 1.1 * worst, 13300.0))


def test_what_is_no_number_has_no_part_in_the_reference(folder):
    run = analytic_search(SMALL, folder)
    judge = Judge(SMALL.search.objectives, run.constraints, 100.0)
    good = next(record for record in run.records if record.status == "ok")
    figures = good.measurement.figures
    nothing = replace(figures["latency_cycles"], value=float("nan"))
    bad = judge.judged(replace(good, measurement=Measurement({**figures, "latency_cycles": nothing})))
    assert bad.status == "failed"
    (folder.parent / "other").mkdir()
    with Store.open(folder.parent / "other") as store:
        part = SimpleNamespace(study=SMALL, task=run.task, judge=judge, store=store)
        reference = _Loop._reference(part, [bad, good])
    assert reference == pytest.approx((0.9, 1.1 * judge.point(good)[1], 13300.0))


def test_the_reference_takes_the_budgets_where_they_exist(folder):
    study = parse_study(
        '[search]\npopulation = 4\ngenerations = 1\nobjectives = ["latency", "interval", "ff"]\n'
        "[budget]\nlatency_us = 4\nfps = 500000\nff = 5000\n", "x")  # fmt: skip
    assert analytic_search(study, folder).reference == (4.0, 2.0, 5000.0)


def test_the_result_does_not_depend_on_the_workers(tmp_path, behave):
    behave(sleep=0.01)
    one, three = (analytic_search(SMALL, tmp_path / str(workers), workers=workers) for workers in (1, 3))
    assert result(one) == result(three)


def test_the_seed_decides(tmp_path, behave):
    other = SMALL.model_copy(update={"study": SMALL.study.model_copy(update={"seed": 2})})
    first, second = analytic_search(SMALL, tmp_path / "1"), analytic_search(other, tmp_path / "2")
    assert result(first)["records"] != result(second)["records"]


def test_over_budget_by_structure_is_infeasible_without_training(folder, behave):
    behave(count_in=True)
    run = analytic_search(
        parse_study("[search]\npopulation = 16\ngenerations = 2\n[budget]\nlut = 2000\n", "x"), folder
    )
    bounded = [record for record in run.records if record.reason.startswith("structural lower bound: lut: ")]
    assert bounded
    assert all(record.status == "infeasible" and set(record.measurement.figures) == {"lut"} for record in bounded)
    evaluated = {line for path in folder.glob("evaluated-*") for line in path.read_text().split()}
    assert evaluated == {record.digest for record in run.records} - {record.digest for record in bounded}


def test_a_measured_miss_is_infeasible_and_says_by_how_much(folder):
    run = analytic_search(SMALL, folder)
    slow = [record for record in run.records if record.reason.startswith("clock: modelled Fmax")]
    assert slow
    assert all(record.status == "infeasible" for record in slow)
    assert {record.digest for record in slow} == {
        record.digest
        for record in run.records
        if "fmax" in record.measurement.figures and record.measurement.value("fmax") < 100
    }


def test_nothing_is_evaluated_twice(folder, behave):
    behave(count_in=True)
    analytic_search(SMALL, folder, workers=2)
    analytic_search(SMALL, folder, workers=2)
    counts = Counter(line for path in folder.glob("evaluated-*") for line in path.read_text().split())
    assert counts
    assert set(counts.values()) == {1}


def test_a_finished_search_comes_back_without_starting_workers(folder, monkeypatch):
    before = analytic_search(SMALL, folder)
    monkeypatch.setattr("codesign.jobs.WorkerPool", None)
    assert analytic_search(SMALL, folder) == before


@pytest.mark.parametrize("behaviour", ["die", "fail"])
def test_failures_are_stored_and_the_search_goes_on(folder, behave, behaviour):
    behave(**{behaviour: 0.3})
    run = analytic_search(SMALL, folder, workers=2)
    expected = {
        "die": ("tried twice: the worker was killed by SIGKILL (most often: out of memory) in stage training", ""),
        "fail": ("yosys ended with exit code 1", "ERROR: out of luck"),
    }
    failed = [record for record in run.records if record.status == "failed"]
    assert len(run.records) == 24
    assert failed
    assert {(record.reason, record.log) for record in failed} == {expected[behaviour]}
    assert run.front
    behave()  # were they decided again, they would now succeed
    assert analytic_search(SMALL, folder) == run


def test_a_candidate_that_hangs_is_stored_as_failed(folder, behave, monkeypatch):
    monkeypatch.setattr("codesign.loop.candidate_seconds", lambda _study, _task: 0.5)
    behave(hang=0.1)
    run = analytic_search(SMALL, folder, workers=2)
    assert {record.reason for record in run.records if record.status == "failed"} == {
        "tried twice: exceeded the limit of 0.5 s per candidate in stage training"
    }


@pytest.mark.parametrize(
    ("text", "validation_samples", "seconds"),
    [("", 288, 1131), ("[search]\nepochs = 50\n[data]\nvalidation = 0.1", 5000, 23400)],
)
def test_the_time_limit_grows_with_the_training(text, validation_samples, seconds):
    study = parse_study(text, "x")
    task = replace(analytic_evaluation.describe(study), validation_samples=validation_samples)
    assert candidate_seconds(study, task) == seconds


def test_a_candidate_whose_worker_dies_is_tried_once_more(folder, behave):
    behave(die_once=0.3)
    messages = []

    class Messages(Listener):
        def message(self, text):
            messages.append(text)

    run = analytic_search(SMALL, folder, workers=2, listener=Messages())
    assert result(run) == result(analytic_search(SMALL, folder.parent / "whole"))
    died = {path.name.removeprefix("died-") for path in folder.glob("died-*")}
    words = {record.architecture.words() for record in run.records if record.digest in died}
    assert {message.split(" is tried once more: the worker was killed by SIGKILL ")[0] for message in messages} == words
    assert len(messages) == len(died) > 0


def test_a_network_that_cannot_be_exact_is_a_failed_record(tmp_path, monkeypatch):
    def refuse(*_arguments):
        raise ModelError("logits need 25 bits")

    monkeypatch.setattr(Evaluator, "_measure", refuse)
    space = mlp(64, 10)
    architecture = space.decode(tuple(0 for _ in space.genes))
    record = Evaluator(Study(), tmp_path).evaluate(architecture, lambda _stage: None)
    assert (record.status, record.reason, record.digest) == ("failed", "logits need 25 bits", architecture.digest())


def test_a_front_member_that_fails_its_last_measurement_leaves_the_front(folder, behave):
    whole = analytic_search(SMALL, folder)
    behave(fail_final=0.4)
    run = analytic_search(SMALL, folder.parent / "other")
    gone = {digest for digest, final in run.finals.items() if final.measurement is None}
    assert gone
    assert gone.isdisjoint(record.digest for record in run.front)
    assert {record.digest for record in whole.front} - gone <= {record.digest for record in run.front}
    assert {record.digest for record in run.front} <= set(run.finals)
    assert {final.reason for final in run.finals.values() if final.measurement is None} == {
        "C simulation differs in 3 of 360 outputs"
    }


def test_a_small_space_ends_cleanly(folder):
    study = parse_study(
        '[space]\ndepth = [1, 1]\nwidth = [8, 12]\ninput_bits = [1]\nactivation_bits = ["ternary"]\n'
        'mode = ["parallel"]',
        "x")  # fmt: skip
    messages = []

    class Messages(Listener):
        def message(self, text):
            messages.append(text)

    run = analytic_search(study, folder, listener=Messages())
    assert len(run.records) == 4
    assert messages == ["the whole space is evaluated: 4 candidates"]
    assert analytic_search(study, folder) == run


def test_a_changed_study_of_the_same_name_is_refused(folder):
    before = analytic_search(SMALL, folder)
    changed = SMALL.model_copy(update={"search": SMALL.search.model_copy(update={"generations": 6, "epochs": 5})})
    expected = (
        f"{folder} holds another study named 'small':\n  search.generations: 3 -> 6\n  search.epochs: 20 -> 5\n"
        'undo the change to continue that search, or search anew with study.name = "small-2"'
    )
    with pytest.raises(RunError, match=f"^{re.escape(expected)}$") as caught:
        analytic_search(changed, folder)
    assert caught.value.exit_code == 2
    assert read_run(folder) == before


def test_changed_data_are_refused(folder, monkeypatch):
    analytic_search(SMALL, folder)
    other = replace(analytic_evaluation.describe(SMALL), data_digest="other")
    monkeypatch.setattr(analytic_evaluation, "describe", lambda _study: other)
    expected = f"the data or the part are no longer what {folder} was searched with; put them back to continue, or "
    with pytest.raises(RunError, match=re.escape(expected)):
        analytic_search(SMALL, folder)


def test_budgets_that_nobody_can_meet(folder):
    study = parse_study("[search]\npopulation = 8\ngenerations = 2\n[budget]\nlut = 3\n", "x")
    with pytest.raises(TargetError) as caught:
        analytic_search(study, folder)
    best = min(
        (record for record in read_run(folder).records if record.measurement), key=lambda r: r.measurement.value("lut")
    )
    message = str(caught.value)
    assert message.startswith("none of 16 candidates keeps every budget; lut binds most often. The best one, 64x")
    assert message.endswith(
        "aise budget.lut, or restrict [space]; all candidates are kept, see them with: "
        "python -m codesign show small --all"
    )
    assert re.search(r" misses by: (clock: .*; )?lut: \d+ LUT, [\d,.]+ % over the budget of 3", message)
    assert caught.value.exit_code == 2
    assert best.status == "infeasible"
    assert len(read_run(folder).records) == 16


def test_a_budget_without_sense_leaves_no_run(folder):
    with pytest.raises(
        TargetError, match=r"^budget\.lut = 99999 is more than the 53,200 of xc7z020clg400-1; lower it$"
    ):
        analytic_search(parse_study("[budget]\nlut = 99999", "x"), folder)
    assert not folder.exists()


def test_when_everything_fails_the_first_reason_is_shown(folder, behave):
    behave(fail=1.1)
    with pytest.raises(CodesignError) as caught:
        analytic_search(parse_study('[search]\npopulation = 3\ngenerations = 1\n[budget]\nlut = "100%"', "x"), folder)
    assert str(caught.value) == (
        "no candidate could be measured; the first of 3 reasons: yosys ended with exit code 1; see them with: "
        "python -m codesign show small --all"
    )
    assert caught.value.exit_code == 1


def test_failures_are_not_blamed_on_a_budget(folder, behave):
    behave(fail=0.8)
    study = parse_study('[search]\npopulation = 8\ngenerations = 2\n[budget]\nlut = "100%"\nlatency_us = 0.01', "x")
    with pytest.raises(CodesignError) as caught:
        analytic_search(study, folder)
    counts = read_run(folder).counts
    assert counts["ok"] == 0 < counts["infeasible"] < counts["failed"]
    assert str(caught.value) == (
        f"{counts['failed']} of 16 candidates failed; the first reason: yosys ended with exit code 1; the other "
        f"{counts['infeasible']} miss a budget, most often latency_us; see them with: "
        "python -m codesign show small --all"
    )


@pytest.mark.parametrize(
    ("behaviour", "error", "message"),
    [
        ("disk_full", StorageError, "No space left on device"),
        ("disk_error", StorageError, r"^cannot write model\.h5: No space left on device; make room and start again$"),
        (
            "terminate",
            CodesignError,
            r"^the worker was killed by SIGTERM in stage training: is the machine",
        ),
    ],
)
def test_what_decides_nothing_stops_the_search_and_the_next_one_continues(folder, behave, behaviour, error, message):
    behave(**{behaviour: 0.2})
    with pytest.raises(error, match=message):
        analytic_search(SMALL, folder)
    kept = read_run(folder).records
    assert len(kept) < 24
    assert not any(record.status == "failed" for record in kept)
    behave()
    run = analytic_search(SMALL, folder)
    assert all(record in run.records for record in kept)
    assert result(run) == result(analytic_search(SMALL, folder.parent / "whole"))


def test_an_evaluator_that_measures_too_little_makes_failed_records(folder, monkeypatch):
    from codesign.judging import Judge
    from codesign.measurement import Measurement

    lacking = []
    keep = Judge.judged

    def without_ff(self, record, prefix=""):
        if record.status == "ok":
            figures = {name: value for name, value in record.measurement.figures.items() if name != "ff"}
            record = type(record)(record.architecture, "ok", measurement=Measurement(figures))
        lacking.append(keep(self, record, prefix))
        return lacking[-1]

    monkeypatch.setattr(Judge, "judged", without_ff)
    with pytest.raises(CodesignError):
        analytic_search(parse_study("[search]\npopulation = 2\ngenerations = 1", "x"), folder)
    assert {record.reason for record in lacking if record.status == "failed"} == {"not measured, or no number: ff"}


def test_runs_are_found_by_name_path_or_newest(tmp_path, monkeypatch, behave):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=rf"^no runs in {tmp_path / 'runs'}; start with: python -m codesign search$"):
        find_run()
    tiny = parse_study('[study]\nname = "tiny"\n[search]\npopulation = 2\ngenerations = 1', "x")
    analytic_search(tiny, run_folder(tiny))
    analytic_search(SMALL, run_folder(SMALL))
    assert find_run().name == "small"
    assert find_run("tiny") == run_folder(tiny)
    assert find_run(str(tmp_path / "runs" / "tiny")) == tmp_path / "runs" / "tiny"
    with pytest.raises(RunError, match=rf"^no run 'smal' in {tmp_path / 'runs'}; did you mean small\?$"):
        find_run("smal")


def test_the_default_study_searches_64_candidates(folder):
    assert len(analytic_search(Study(), folder).records) == 64
