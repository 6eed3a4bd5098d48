"""Tests of a search with boards beside it."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from dataclasses import replace
from pathlib import Path

import analytic_evaluation
import pytest
from board_bench import FF, LUT, Bench, Board, fails
from search_entry import result

from codesign.board_loop.result import BoardResult
from codesign.board_loop.stage import Boards
from codesign.errors import InputError, RunError, StorageError, TargetError, ToolError, ToolMissingError, ToolRunError
from codesign.jobs import SearchInterrupted
from codesign.listener import Listener
from codesign.loop import search
from codesign.measurement import Provenance
from codesign.run import read_run
from codesign.store import Store
from codesign.study import parse_study
from codesign.target import Target
from nas.indicators import dominates
from nas.nsga2 import Search

ONE, TWO = "a@one", "b@two"
TEXT = '[study]\nname = "boards"\n[search]\npopulation = 8\ngenerations = 3\n'
# the front of this study as the version before boards gave it
BEFORE = (
    "c747fa52 c3af970d 12690c06 d64476c1 43e2960b abfc248d 96c348ed 9cbff0b7 f67678c1 be70cafe 27c8a202 df6fc5f8 "
    "9b64f6f1 cc327281 e338b259 d5618e66 05d9320e 44eb4586"
)


def study_of(*hosts, per_generation=2, text=TEXT):
    return parse_study(f"{text}[board]\nhosts = {json.dumps(hosts)}\nper_generation = {per_generation}\n", "x")


class Messages(Listener):
    def __init__(self):
        self.texts, self.results, self.waits = [], [], []

    def message(self, text):
        self.texts.append(text)

    def measured(self, found, words):
        self.results.append((found, words))

    def waiting(self, count):
        self.waits.append(count)


def run_search(study, folder, bench, **settings):
    listener = settings.pop("listener", None) or Messages()
    settings = {"workers": 1, "evaluation": "analytic_evaluation", **settings}
    return search(study, folder, board_tools=bench.tools(), listener=listener, **settings)


def boards(*, scale=0.8, **second):
    return Bench({ONE: Board(scale=scale), TWO: Board(scale=scale, **second)})


def told(run):
    """What a search came to, without who measured it and when."""
    measured = sorted((found.digest, found.generation, found.failed_at) for found in run.boards)
    return {
        **result(run),
        "measured": measured,
        "ratios": {name: fit.fit for name, fit in run.corrections.fits.items()},
    }


@pytest.fixture
def folder(tmp_path, behave, monkeypatch):
    monkeypatch.setattr("codesign.board_loop.queue.REST_SECONDS", 0.02)
    monkeypatch.setattr("codesign.deployment.session.REPEATS", 20)
    return tmp_path / "runs" / "boards"


def test_without_boards_the_front_is_what_it_was(folder):
    run = run_search(parse_study(TEXT, "x"), folder, Bench({}))
    assert " ".join(record.digest[:8] for record in run.front) == BEFORE
    assert run.boards == ()
    assert not run.corrections
    assert all("corrected_by" not in str(record.to_json()) for record in run.records)


def test_boards_measure_candidates_of_every_generation_and_the_last_front(folder):
    bench, listener = boards(), Messages()
    run = run_search(study_of(ONE, TWO), folder, bench, listener=listener)
    counts = dict.fromkeys(range(2), 0)
    for found in run.boards:
        assert found.failed_at is None
        if found.generation in counts:
            counts[found.generation] += 1
    assert counts == {0: 2, 1: 2}
    last = [found for found in run.boards if found.generation >= 3]
    assert 0 < len(last) <= 6
    assert len({found.digest for found in run.boards}) == len(run.boards) == len(bench.built)
    assert sorted(bench.boards[ONE].measured + bench.boards[TWO].measured) == sorted(f.digest for f in run.boards)
    assert {found.digest for found, _ in listener.results} == {found.digest for found in run.boards}
    measured = sum(record.digest in {found.digest for found in run.boards} for record in run.front)
    left = len(run.front) - measured
    assert measured
    assert listener.texts[-1] == f"not measured on a board: {left} of {len(run.front)} front members"


def test_a_search_that_stops_early_measures_no_more_at_its_end(folder):
    """Builds take hours: those of generations that were planned and never came are not made up for."""
    text = TEXT.replace("generations = 3", "generations = 30") + "[stop]\nhours = 1e-9\n"
    run = run_search(study_of(ONE, per_generation=1, text=text), folder, Bench({ONE: Board(scale=0.8)}))
    assert len(run.generations) == 1
    assert len(run.front) > 2
    assert sorted(found.generation for found in run.boards) == [0, 30]


def test_the_run_is_ranked_by_what_boards_said(folder):
    run = run_search(study_of(ONE, TWO), folder, boards())
    fits = run.corrections.fits
    assert fits["latency_us"].fit.ratio == pytest.approx(1.25, rel=1e-3)
    assert (fits["lut"].fit.ratio, fits["ff"].fit.ratio) == (pytest.approx(LUT), pytest.approx(FF))
    measured = {found.digest for found in run.boards}
    for record in run.records:
        figures = record.measurement.figures
        if record.digest in measured:
            assert figures["latency_us"].provenance is Provenance.ON_BOARD
        elif "val_error" in figures:
            assert figures["latency_us"].provenance is Provenance.CORRECTED
            assert figures["lut"].details["n"] == fits["lut"].fit.samples
    feasible = [run.objectives(record) for record in run.records if record.status == "ok"]
    assert {run.objectives(record) for record in run.front} == {
        point for point in feasible if not any(dominates(other, point) for other in feasible)
    }
    for record in run.front:
        assert run.objectives(record)[1] == pytest.approx(record.measurement.value("latency_cycles") / 80.0, rel=1e-3)


def test_the_store_keeps_every_figure_as_it_was_measured(folder):
    run_search(study_of(ONE, TWO), folder, boards())
    evaluator = analytic_evaluation.Evaluator(study_of(ONE), folder)
    with Store.read(folder) as store:
        records = store.records()
    trained = [record for record in records if "val_error" in record.measurement.figures]
    assert trained
    for record in trained:
        assert record.measurement == evaluator.evaluate(record.architecture, lambda _: None).measurement


def test_figures_of_boards_change_what_is_asked_next(folder):
    """Otherwise nothing of the rest would show that corrections reach the search algorithm."""
    plain = run_search(parse_study(TEXT, "x"), folder.parent / "plain", Bench({}))
    bench = boards()

    def routed(record):
        """Networks with batch norm are larger than thought, and others smaller."""
        lut = Bench.routed(bench, record)["accelerator_lut"]
        return {"accelerator_lut": replace(lut, value=lut.value * (3.0 if record.architecture.batch_norm else 0.3))}

    bench.routed = routed
    text = TEXT.replace("generations = 3", "generations = 5")
    run = run_search(study_of(ONE, TWO, text=text), folder, bench)
    asked = [{record.digest for record in found.records if record.generation == 2} for found in (plain, run)]
    assert asked[0] != asked[1]


def test_those_told_before_are_ranked_by_what_is_known_now(folder, monkeypatch):
    revised = []
    revise = Search.revise

    def spy(self, told):
        revised.append({genome: told(genome).objectives for genome in self._seen})
        revise(self, told)

    monkeypatch.setattr(Search, "revise", spy)
    run_search(study_of(ONE, TWO), folder, boards())
    assert len(revised) == 3
    first = [genome for genome, point in revised[0].items() if point is not None]
    before, after = ([known[genome][1] for genome in first] for known in (revised[0], revised[2]))
    assert [b / a for a, b in zip(before, after, strict=True)] == pytest.approx([1.25] * len(first), rel=1e-3)


@pytest.mark.parametrize("hosts", [[ONE], [TWO, ONE]])
def test_the_result_depends_on_neither_hosts_nor_workers(folder, behave, hosts):
    behave(sleep=0.01)
    first = run_search(study_of(ONE, TWO), folder, boards())
    other = run_search(study_of(*hosts), folder.parent / "other", boards(), workers=3)
    assert told(first) == told(other)


def test_one_of_two_boards_dies_in_mid_search_and_nothing_is_lost(folder):
    whole = run_search(study_of(ONE, TWO), folder.parent / "whole", boards())
    listener = Messages()
    run = run_search(study_of(ONE, TWO), folder, boards(dies_after=1), listener=listener)
    assert told(run) == told(whole)
    assert any(text.startswith("the connection to board b@two was lost") for text in listener.texts)


def test_when_all_boards_are_gone_the_search_goes_on(folder):
    listener, bench = Messages(), Bench({ONE: Board(dies_after=2)})
    run = run_search(study_of(ONE), folder, bench, listener=listener)
    assert len(run.records) == 24
    assert len(run.boards) == 2
    assert run.front
    gone = [text for text in listener.texts if text.endswith("the search goes on without boards")]
    assert len(gone) == 1
    assert sum(text.startswith("not measured, no board is left: 64x") for text in listener.texts) == 2
    # the same command measures what is missing of the front once the board is back; what was told stays told
    back = run_search(study_of(ONE), folder, Bench({ONE: Board()}))
    assert [found.generation for found in run.boards] == [0, 0]
    assert {found.generation for found in back.boards[2:]} == {3}
    assert [f.digest for f in back.boards[:2]] == [f.digest for f in run.boards]
    assert {record.digest for record in back.records} == {record.digest for record in run.records}


def test_failures_are_recorded_and_decide_what_they_can(folder):
    bench = Bench({ONE: Board()}, ["build", "timing", "mismatch", "board"])
    run = run_search(study_of(ONE, per_generation=6), folder, bench)
    found = {result.digest: result for result in run.boards}
    by_stage = {stage: [d for d, one in found.items() if one.failed_at == stage] for stage in (*bench.faults, None)}
    assert all(by_stage.values()), {stage: len(digests) for stage, digests in by_stage.items()}
    records = {record.digest: record for record in run.records}
    for stage in ("build", "mismatch"):
        assert {records[digest].status for digest in by_stage[stage]} == {"failed"}
        assert {records[digest].reason for digest in by_stage[stage]} == {found[by_stage[stage][0]].reason}
    assert {records[digest].status for digest in by_stage["timing"]} == {"infeasible"}
    assert not {record.digest for record in run.front} & {
        d for s in ("build", "timing", "mismatch") for d in by_stage[s]
    }
    assert "ok" in {records[digest].status for digest in by_stage["board"]}, "the board's failure says nothing of it"
    assert all(fails(digest, stage) for stage in bench.faults for digest in by_stage[stage])


def test_a_tool_that_builds_nothing_costs_no_candidate_its_place(folder):
    bench = Bench({ONE: Board()})
    plain = run_search(parse_study(TEXT, "x"), folder.parent / "plain", Bench({}))

    def broken(*_):
        raise ToolRunError("Vivado ended with code 1: no licence")

    bench.build = broken
    run = run_search(study_of(ONE), folder, bench)
    assert {found.failed_at for found in run.boards} == {"build"}
    assert result(run) == result(plain)


def test_nothing_is_measured_twice(folder):
    first = boards()
    run = run_search(study_of(ONE, TWO), folder, first)
    again, listener = boards(), Messages()
    assert run_search(study_of(ONE, TWO), folder, again, listener=listener) == run
    assert again.built == again.sessions == []
    assert listener.waits == []


def test_a_board_may_move_but_not_come_to_a_search_without_boards(folder):
    whole = run_search(study_of(ONE, TWO), folder.parent / "whole", boards())
    with pytest.raises(StorageError, match="full"):
        run_search(study_of(ONE, TWO), folder, boards(), listener=Interrupted(3))
    moved = Bench({"a@elsewhere": Board(scale=0.8)})
    assert told(run_search(study_of("a@elsewhere"), folder, moved)) == told(whole)
    with pytest.raises(RunError, match=re.escape('board.hosts: ["a@one", "b@two"] -> []')):
        run_search(parse_study(TEXT, "x"), folder, Bench({}))


class Interrupted(Messages):
    """Ends the search after a number of measurements, as a full disk would."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    def measured(self, found, words):
        super().measured(found, words)
        if len(self.results) == self.after:
            raise StorageError("full")


@pytest.mark.parametrize("after", [1, 3, 4, 5, 8])
def test_an_interrupted_search_continues_to_the_same_result(folder, after):
    whole = run_search(study_of(ONE, TWO), folder.parent / "whole", boards())
    assert len(whole.boards) > after, "otherwise it is not interrupted"
    with pytest.raises(StorageError, match="full"):
        run_search(study_of(ONE, TWO), folder, boards(), listener=Interrupted(after))
    stored = read_run(folder).boards
    assert len(stored) >= after, "what was finished by then is stored as well"
    bench = boards()
    run = run_search(study_of(ONE, TWO), folder, bench)
    assert told(run) == told(whole)
    assert run.boards[: len(stored)] == stored
    assert not {found.digest for found in stored} & {digest for digest, _ in bench.built}


@pytest.mark.parametrize("algorithm", ["deepmaker", "annealing", "random"])
def test_every_algorithm_continues_to_the_same_result(folder, algorithm):
    """And what boards said changes what the algorithm is told of candidates that it was told of before."""
    text = f'{TEXT}algorithm = "{algorithm}"\n[stop]\nstalled = 2\n'
    whole = run_search(study_of(ONE, TWO, text=text), folder.parent / "whole", boards())
    for after in (1, 4):
        with pytest.raises(StorageError, match="full"):
            run_search(study_of(ONE, TWO, text=text), folder, boards(), listener=Interrupted(after))
    assert told(run_search(study_of(ONE, TWO, text=text), folder, boards())) == told(whole)


def test_ctrl_c_does_not_wait_for_boards(folder):
    class Pressed(Messages):
        def waiting(self, count):
            os.kill(os.getpid(), signal.SIGINT)

    whole = run_search(study_of(ONE, TWO), folder.parent / "whole", boards())
    with pytest.raises(SearchInterrupted, match="the same command continues there"):
        run_search(study_of(ONE, TWO), folder, boards(), listener=Pressed())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("board ")]
    assert told(run_search(study_of(ONE, TWO), folder, boards())) == told(whole)


def test_a_kill_loses_nothing(folder, start_search, tmp_path, monkeypatch):
    monkeypatch.setenv("BOARDS", "1")
    path = tmp_path / "study.toml"
    path.write_text(study_of(ONE, TWO).to_toml())
    with start_search(tmp_path / "whole", path) as process:
        whole = process.communicate()[0].splitlines()[-1]
    for kill_at in (1, 3, 2):
        with start_search(folder, path) as process:
            for line in process.stdout:
                assert not line.startswith("result"), "the search ended before it could be killed"
                kill_at -= line.startswith("measured")
                if kill_at == 0:
                    break
            os.killpg(process.pid, signal.SIGKILL)
            announced = {line.split()[1] for line in process.stdout.read().splitlines() if line.startswith("measured ")}
        assert announced <= {found.digest for found in read_run(folder).boards}
    with start_search(folder, path) as process:
        assert process.communicate()[0].splitlines()[-1] == whole
    digests = [found.digest for found in read_run(folder).boards]
    assert len(set(digests)) == len(digests)


def test_what_a_person_deploys_does_not_rank_candidates(folder):
    run = run_search(study_of(ONE, TWO), folder, boards())
    with Store.append(folder) as store:
        slow = replace(run.boards[0], generation=None, digest=run.front[-1].digest)
        store.put_board(slow)
    again = read_run(folder)
    assert len(again.boards) == len(run.boards) + 1
    assert again.records == run.records


def test_boards_of_another_kind_are_refused_before_anything_is_searched(folder):
    bench = Bench({ONE: Board(), TWO: Board(name="ZCU104")})
    with pytest.raises(TargetError) as caught:
        run_search(study_of(ONE, TWO), folder, bench)
    assert str(caught.value) == ("board.hosts: b@two is board 'ZCU104', and the study is for 'pynq-z1'; take it out")
    assert not folder.exists()


def test_a_bare_part_has_no_boards(folder, monkeypatch):
    bare = parse_study('[target]\npart = "xc7a35t"\n[board]\nhosts = ["a@one"]', "x")
    with pytest.raises(
        TargetError, match=r"^board\.hosts names a@one, and the study is for the bare part xc7z020clg400-1;"
    ):
        run_search(bare, folder, boards())
    monkeypatch.setattr(analytic_evaluation, "describe", lambda study: task("bare"))
    path = folder.parent.parent / "board.toml"
    path.write_text('name = "bare"\ntitle = "x"\npart = "xc7z020clg400-1"\nsource = "x"\n')
    with pytest.raises(TargetError, match=r"^board\.hosts names a@one, and board 'bare' has no \[ps\] table"):
        run_search(parse_study(f'[target]\nboard = "{path}"\n[board]\nhosts = ["a@one"]', "x"), folder, boards())
    assert not folder.exists()


def task(board):
    from codesign.task import Task

    return Task(64, tuple("0123456789"), 0.9, 288, 360, Target(analytic_evaluation.PART, 100.0, board))


@pytest.mark.parametrize(
    "error",
    [
        ToolError("cannot use board b@two: timed out"),
        ToolRunError("board b@two did not answer hello within 30 s"),
    ],
)
def test_a_board_that_is_away_or_hangs_at_the_start_is_only_mentioned(folder, error):
    bench, listener = boards(), Messages()
    greet = bench.greet

    def away(host, said):
        if host == TWO:
            raise error
        return greet(host, said)

    bench.greet = away
    run_search(study_of(ONE, TWO), folder, bench, listener=listener)
    assert listener.texts[0] == f"{error}; it is tried again when it is needed"
    assert bench.boards[TWO].measured


class Events:
    """A queue of a test: what it has, then what came while it was closed."""

    def __init__(self, now, later):
        self.now, self.later, self.outstanding = now, later, 0

    def collect(self, seconds=0.0):
        found, self.now = self.now, []
        return found

    def close(self):
        self.now = self.later


@pytest.mark.parametrize("full", [False, True])
def test_results_are_stored_whatever_ends_the_search(full):
    results = [BoardResult(f"{number}", ONE, "now", failed_at="board", reason="x") for number in range(3)]
    stored = []

    class Kept:
        def records(self):
            return ()

        generations = boards = records

        def put_board(self, found):
            if full and found is results[2]:
                raise StorageError("full")
            stored.append(found)

    def use():
        with Boards(study_of(ONE), None, Kept(), None, None, Messages(), None) as made:
            made._queue = Events([ToolMissingError("vanished"), results[0], results[1]], [results[2]])
            made.collect()

    with pytest.raises(ToolMissingError, match="vanished"):
        use()
    assert stored == results[: 2 if full else 3]


def test_what_a_full_disk_refused_is_stored_once_there_is_room():
    results = [BoardResult(f"{number}", ONE, "now", failed_at="board", reason="x") for number in range(4)]
    stored, refusals = [], [StorageError("full")]

    class Kept:
        def records(self):
            return ()

        generations = boards = records

        def put_board(self, found):
            if found is results[1] and refusals:
                raise refusals.pop()
            stored.append(found)

    def use():
        with Boards(study_of(ONE), None, Kept(), None, None, Messages(), None) as made:
            made._queue = Events(results[:3], results[3:])
            made.collect()

    with pytest.raises(StorageError, match="full"):
        use()
    assert stored == results


@pytest.mark.parametrize("setting", [None, "/nowhere/vivado"])
def test_real_boards_need_vivado_and_say_so_in_one_line(tmp_path, monkeypatch, capsys, setting):
    from codesign.cli import main

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CODESIGN_VIVADO", raising=False)
    if setting:
        monkeypatch.setenv("CODESIGN_VIVADO", setting)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("codesign.doctor.require_tools", lambda: None)
    Path("study.toml").write_text('[board]\nhosts = ["virtual:pynq-z1", "xilinx@pynq1"]\n')
    assert main(["search", "study.toml"]) == 3
    lines = capsys.readouterr().err.splitlines()
    where = f"CODESIGN_VIVADO = {setting!r} is no program" if setting else "no program 'vivado' is on PATH"
    assert lines == [
        f"codesign: error: Vivado was not found: {where}; set CODESIGN_VIVADO to its path, or search with virtual "
        "boards, or without board.hosts (xilinx@pynq1 is a real board)"
    ]
    assert not Path("runs").exists()


def test_an_unknown_virtual_board_is_an_error_of_the_study(folder):
    study = study_of("virtual:pynq-z9")
    with pytest.raises(InputError, match=re.escape("unknown virtual board 'pynq-z9': did you mean pynq-z1?")):
        search(study, folder, workers=1, evaluation="analytic_evaluation")
    assert not folder.exists()


def test_tools_that_vanish_end_the_search_and_the_next_one_continues(folder):
    whole = run_search(study_of(ONE), folder.parent / "whole", Bench({ONE: Board()}))
    bench, left = Bench({ONE: Board()}), [3]
    build = bench.build

    def vanishing(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise ToolMissingError("Vivado was not found")
        return build(*arguments)

    bench.build = vanishing
    with pytest.raises(ToolMissingError):
        run_search(study_of(ONE), folder, bench)
    assert len(read_run(folder).boards) == 3
    assert told(run_search(study_of(ONE), folder, Bench({ONE: Board()}))) == told(whole)
