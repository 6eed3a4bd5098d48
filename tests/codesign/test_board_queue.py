"""Tests of the queue that has candidates built and measured beside a search."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from board_bench import SHARE, Bench, Board, LocalRemote, fails, lot

from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.board_loop.queue import AtStage, BoardQueue, Dropped, Said, Wanted
from codesign.board_loop.result import BoardResult
from codesign.errors import BundleError, CodesignError, MismatchError, RunError, StorageError, ToolError, ToolRunError
from codesign.measurement import Figure, Measurement, Provenance
from codesign.record import Record
from hw.measure.tools import run_tool

FIGURES = {"lut": 1000, "ff": 500, "fmax": 150, "latency_cycles": 50, "interval_cycles": 10}
ONE, TWO, VIRTUAL = "a@one", "b@two", "virtual:pynq-z1"
GENERATION = 3


@pytest.fixture(autouse=True)
def in_short(monkeypatch):
    monkeypatch.setattr("codesign.board_loop.queue.REST_SECONDS", 0.02)
    monkeypatch.setattr("codesign.deployment.session.REPEATS", 20)


def record(units, folding=8):
    figures = {name: Figure(float(value), "", Provenance.SYNTHESIZED, "test", "1") for name, value in FIGURES.items()}
    architecture = Architecture(4, 2, 1, (DenseLayer(units, "2"),), False, Hardware("folded", folding))
    return Record(architecture, "ok", measurement=Measurement(figures))


RECORDS = [record(units) for units in range(8, 14)]
MANY = [record(units) for units in range(8, 200)]


def wanted(records):
    return [Wanted(None, one, GENERATION) for one in records]


def events(queue, seconds=30.0):
    """Everything that happens until no candidate is outstanding."""
    found, deadline = [], time.monotonic() + seconds
    while queue.outstanding:
        assert time.monotonic() < deadline, found
        found += queue.collect(0.1)
        if any(isinstance(event, CodesignError) for event in found):
            break
    return found


def run(bench, records, hosts=None):
    queue = BoardQueue(hosts or list(bench.boards), bench.tools())
    try:
        queue.submit(wanted(records))
        found = events(queue)
    finally:
        queue.close()
    return {event.digest: event for event in found if isinstance(event, BoardResult)}, found


def said(found):
    return [event.text for event in found if isinstance(event, Said)]


def test_candidates_are_shared_out_in_turn_and_measured():
    bench = Bench({ONE: Board(), TWO: Board()})
    results, found = run(bench, RECORDS)
    assert [results[one.digest].host for one in RECORDS] == [ONE, TWO, ONE, TWO, ONE, TWO]
    for result in results.values():
        assert (result.failed_at, result.reason, result.generation) == (None, "", GENERATION)
        assert result.design == next(one.design for one in RECORDS if one.digest == result.digest)
        assert result.measurement.figures["board_latency_us"].provenance is Provenance.ON_BOARD
        assert result.measurement.figures["accelerator_lut"].provenance is Provenance.ROUTED
        assert result.measurement.value("board_latency_cycles") == 50
        assert result.described["hello"]["board"] == "pynq-z1"
        assert {"building", "programming", "golden vectors"} <= set(result.seconds)
    stages = [event.stage for event in found if isinstance(event, AtStage) and event.host == 0]
    assert stages[:3] == ["building", "connecting", "looking at the board"]
    assert "" in stages, "between two candidates it is idle"
    assert said(found) == []


def test_a_host_serves_one_candidate_at_a_time():
    bench, running, most = Bench({ONE: Board(), TWO: Board()}), [], []
    build = bench.build

    def slow(run, one, host, say):
        running.append(host)
        most.append(sorted(running))
        time.sleep(0.03)
        running.remove(host)
        return build(run, one, host, say)

    bench.build = slow
    run(bench, RECORDS)
    assert all(len(set(hosts)) == len(hosts) for hosts in most)
    assert [ONE, TWO] in most, "the hosts work at the same time"


def test_a_board_that_cannot_be_reached_is_given_up_and_loses_nothing():
    bench = Bench({ONE: Board(), TWO: Board(dies_after=-1)})
    results, found = run(bench, RECORDS)
    assert {result.host for result in results.values()} == {ONE}
    assert set(results) == {one.digest for one in RECORDS}
    reason = "cannot use board b@two: timed out; is it on?"
    assert said(found) == [
        f"{reason} (failure 1 of 3 in a row)",
        f"{reason} (failure 2 of 3 in a row)",
        f"b@two is given up: {reason}; 1 of 2 boards left",
    ]
    assert sorted(digest for digest, _ in bench.built) == sorted(results), "a bundle is made once, whoever measures it"


def test_a_board_that_dies_at_work_hands_its_candidate_on():
    bench = Bench({ONE: Board(), TWO: Board(dies_after=1)})
    results, found = run(bench, MANY[:10])
    assert set(results) == {one.digest for one in MANY[:10]}
    assert all(result.failed_at is None for result in results.values())
    assert bench.boards[TWO].measured == [MANY[1].digest]
    tried = [digest for host, digest in bench.sessions if host == TWO]
    assert tried == [MANY[place].digest for place in (1, 3, 5, 7)], "a candidate does not wait for a board that is away"
    assert said(found)[0].startswith("the connection to board b@two was lost: it ended the session; try again (failure")
    assert said(found)[-1].startswith("b@two is given up: ")


def test_without_any_board_left_candidates_come_back():
    bench = Bench({ONE: Board(dies_after=2)})
    queue = BoardQueue([ONE], bench.tools())
    try:
        queue.submit(wanted(RECORDS))
        found = events(queue)
        results = [event for event in found if isinstance(event, BoardResult)]
        dropped = [event.digest for event in found if isinstance(event, Dropped)]
        assert [result.digest for result in results] == [one.digest for one in RECORDS[:2]]
        assert sorted(dropped) == sorted(one.digest for one in RECORDS[2:])
        assert said(found)[-1].endswith("; the search goes on without boards")
        assert queue.alive() == []
        queue.submit(wanted(RECORDS[:1]))
        assert events(queue) == [Dropped(RECORDS[0].digest)]
    finally:
        queue.close()


def test_a_candidate_that_ends_connections_is_the_one_that_fails():
    """It kills whatever board it is given to; both come back when they are asked for the next."""
    bench, poison = Bench({ONE: Board(), TWO: Board()}), RECORDS[2].digest

    class Remote(LocalRemote):
        def _ask(self, operation, data=b"", more=0.0, **arguments):
            if operation == "run" and self.digest == poison:
                self.over = True
                raise ToolRunError("the connection was lost: it ended the session")
            return super()._ask(operation, data, more, **arguments)

    def connect(host, bundle, *, said):
        return Remote(host, bench.boards[host], bundle.manifest["candidate"], ())

    bench.connect = connect
    results, _ = run(bench, RECORDS)
    assert set(results) == {one.digest for one in RECORDS}
    failed = {digest: result for digest, result in results.items() if result.failed_at is not None}
    assert {digest: result.failed_at for digest, result in failed.items()} == {poison: "board"}
    assert failed[poison].reason == (
        "2 connections were lost while it was measured, the last one: the connection was lost: it ended the session"
    )


@pytest.mark.parametrize("stage", SHARE)
def test_failures_of_candidates_are_results(stage):
    records = [one for one in MANY if fails(one.digest, stage) or lot(one.digest) >= 0.8][:6]
    bench = Bench({ONE: Board()}, [stage])
    results, found = run(bench, records)
    expected = {
        "build": ("Vivado ended with code 1", "ERROR: [Place 30-640]"),
        "timing": ("timing is not met at 100 MHz", "its log"),
        "mismatch": ("3 golden vectors give other outputs", ""),
        "board": ("the DMA did not send all within 2.0 s", "its log"),
    }
    failed = [result for result in results.values() if result.failed_at is not None]
    assert 0 < len(failed) < len(records)
    assert {result.digest for result in failed} == {one.digest for one in records if fails(one.digest, stage)}
    assert {(result.failed_at, result.reason, result.log) for result in failed} == {(stage, *expected[stage])}
    assert said(found) == [], "the host is not to blame"
    if stage == "timing":
        assert {result.measurement.value("fmax") for result in failed} == {95.0}
    if stage == "board":
        assert all(result.measurement.value("accelerator_lut") == 1250 for result in failed)
        assert all(result.described["hello"]["machine"] for result in failed)


def test_a_host_with_another_board_is_given_up_at_once():
    bench = Bench({ONE: Board(name="ZCU104"), TWO: Board()})
    results, found = run(bench, RECORDS)
    assert {result.host for result in results.values()} == {TWO}
    assert said(found) == [
        "a@one is given up: the bundle is for board 'pynq-z1', and a@one is 'ZCU104'; build it for that board, or give "
        "another --host; 1 of 2 boards left"
    ]


def test_virtual_and_real_boards_have_bundles_of_their_own():
    bench = Bench({VIRTUAL: Board(simulated=True), ONE: Board(dies_after=-1)})
    results, _ = run(bench, RECORDS[:4])
    assert {result.host for result in results.values()} == {VIRTUAL}
    figures = next(iter(results.values())).measurement.figures
    assert figures["board_latency_us"].provenance is Provenance.SIMULATED
    assert "accelerator_lut" not in figures
    second, fourth = RECORDS[1].digest, RECORDS[3].digest
    assert {(second, ONE), (second, VIRTUAL), (fourth, VIRTUAL)} <= set(bench.built)


def test_rtl_that_a_virtual_board_cannot_compile_is_the_candidates_fault():
    bench = Bench({VIRTUAL: Board(simulated=True)})

    def connect(host, bundle, *, said):
        said("simulating the fabric")
        raise ToolRunError("g++ ended with code 1", "its log")

    bench.connect = connect
    results, found = run(bench, RECORDS[:1])
    result = results[RECORDS[0].digest]
    assert (result.failed_at, result.reason, result.log) == ("build", "g++ ended with code 1", "its log")
    assert AtStage(0, "simulating the fabric", RECORDS[0].architecture.words()) in found


def test_what_concerns_no_candidate_is_handed_to_the_search():
    bench = Bench({ONE: Board()})

    def full(*_):
        raise StorageError("cannot write builds: No space left on device")

    bench.build = full
    results, found = run(bench, RECORDS[:1])
    assert results == {}
    assert [str(event) for event in found if isinstance(event, StorageError)] == [
        "cannot write builds: No space left on device"
    ]


def test_a_surprise_is_stored_with_its_trace():
    bench = Bench({ONE: Board()})
    bench.connect = lambda host, bundle, *, said: 1 // 0
    results, _ = run(bench, RECORDS[:2])
    assert {result.reason for result in results.values()} == {
        "unexpected ZeroDivisionError: integer division or modulo by zero"
    }
    assert all("1 // 0" in result.log for result in results.values())


def test_a_board_in_use_is_tried_again():
    bench, busy = Bench({ONE: Board()}), [2]
    connect = bench.connect

    def later(host, bundle, *, said):
        if busy[0]:
            busy[0] -= 1
            raise ToolError("board a@one: process 7 uses the board")
        return connect(host, bundle, said=said)

    bench.connect = later
    results, found = run(bench, RECORDS[:1])
    assert results[RECORDS[0].digest].failed_at is None
    assert len(said(found)) == 2


def test_closing_ends_tools_and_sessions_at_once(tmp_path):
    """One host builds with a tool that takes an hour, the other waits for a board that never answers."""
    bench, building, waiting = Bench({ONE: Board(), TWO: Board()}), threading.Event(), threading.Event()
    build, forever = bench.build, threading.Event()

    def slow(run, one, host, say):
        if host == ONE:
            building.set()
            run_tool(["sleep", "3600"], cwd=tmp_path, timeout_s=4000, log=tmp_path / "log")
        return build(run, one, host, say)

    class Remote(LocalRemote):
        def _ask(self, *_, **__):
            waiting.set()
            forever.wait()
            raise ToolError("the session is over")

        def close(self):
            forever.set()
            super().close()

    bench.build = slow
    bench.connect = lambda host, bundle, *, said: Remote(host, bench.boards[host], "", ())
    queue = BoardQueue([ONE, TWO], bench.tools())
    queue.submit(wanted(RECORDS[:2]))
    assert building.wait(30)
    assert waiting.wait(30)
    queue.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("board ")]


def test_figures_of_a_candidate_are_those_of_its_own_record():
    bench = Bench({ONE: Board()})
    figures = dict(RECORDS[0].measurement.figures)
    figures["latency_cycles"] = replace(figures["latency_cycles"], value=77.0)
    other = replace(record(200), measurement=Measurement(figures))
    results, _ = run(bench, [RECORDS[0], other])
    assert [results[one.digest].measurement.value("board_latency_cycles") for one in (RECORDS[0], other)] == [50, 77]


def failing(bench, operation, error, host=ONE, times=10**9):
    """What ``host`` is asked so often fails so."""
    left = [times]

    class Remote(LocalRemote):
        def _ask(self, asked, data=b"", more=0.0, **arguments):
            if asked == operation and self.name == host and left[0]:
                left[0] -= 1
                raise error
            return super()._ask(asked, data, more, **arguments)

    bench.connect = lambda host, made, *, said: Remote(host, bench.boards[host], made.manifest["candidate"], ())


def test_another_build_that_answers_is_the_boards_failure():
    bench = Bench({ONE: Board(), TWO: Board()})
    failing(bench, "load", MismatchError("board a@one: no accelerator of ours answers"))
    results, found = run(bench, MANY[:10])
    assert set(results) == {one.digest for one in MANY[:10]}
    failed = [result for result in results.values() if result.failed_at is not None]
    assert [(result.host, result.failed_at) for result in failed] == [(ONE, "board")] * 3
    assert said(found)[-1].startswith("a@one is given up: board a@one: no accelerator of ours answers")


def test_a_failure_of_the_board_does_not_make_up_for_connections_that_failed():
    """Twice it cannot be used, then the DMA hangs, then it cannot be used: three in a row."""
    bench, connects = Bench({ONE: Board(), TWO: Board()}), [0]
    failing(bench, "run", ToolRunError("the DMA did not send all within 2.0 s"))
    connect = bench.connect

    def now_and_then(host, made, *, said):
        connects[0] += host == ONE
        if host == ONE and connects[0] != 3:
            raise ToolError("away")
        return connect(host, made, said=said)

    bench.connect = now_and_then
    results, found = run(bench, MANY[:12])
    assert [result.failed_at for result in results.values() if result.host == ONE] == ["board"]
    assert said(found)[-1] == "a@one is given up: away; 1 of 2 boards left"
    assert connects == [4]


@pytest.mark.parametrize("operation", ["put_bundle", "load"])
def test_a_bundle_that_is_refused_costs_no_host(operation):
    bench = Bench({ONE: Board()})
    failing(bench, operation, BundleError("board a@one: bundle 0123 arrived with SHA-256 4567"), times=1)
    results, found = run(bench, RECORDS)
    assert [results[one.digest].failed_at for one in RECORDS] == ["board"] + 5 * [None]
    assert said(found) == []


def test_damaged_artefacts_and_bundles_are_the_candidates_failure():
    bench = Bench({ONE: Board()})
    build = bench.build

    def damaged(run, one, host, say):
        if one.digest == RECORDS[0].digest:
            raise RunError("artefact x is damaged")
        made = build(run, one, host, say)
        if one.digest == RECORDS[1].digest:
            return replace(made, files={**made.files, "golden/inputs.npy": b"nothing"})
        return made

    bench.build = damaged
    results, found = run(bench, RECORDS)
    assert [results[one.digest].failed_at for one in RECORDS] == ["build", "build"] + 4 * [None]
    assert "no usable golden vectors" in results[RECORDS[1].digest].reason
    assert not [event for event in found if isinstance(event, CodesignError)]


def test_what_fails_because_the_queue_is_closed_is_no_result():
    bench, loading = Bench({ONE: Board()}), threading.Event()

    class Remote(LocalRemote):
        def _ask(self, operation, data=b"", more=0.0, **arguments):
            if operation == "load":
                loading.set()
                closed.wait(30)
                raise ValueError("read of closed file")
            return super()._ask(operation, data, more, **arguments)

        def close(self):
            closed.set()
            super().close()

    closed = threading.Event()
    bench.connect = lambda host, made, *, said: Remote(host, bench.boards[host], "", ())
    queue = BoardQueue([ONE], bench.tools())
    queue.submit([Wanted(None, RECORDS[0], GENERATION, losses=1)])  # the next loss would be its failure
    assert loading.wait(30)
    queue.close()
    assert not [event for event in queue.collect() if isinstance(event, BoardResult)]
