from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console

from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.board_loop.result import BoardResult
from codesign.loop import search
from codesign.measurement import Measurement
from codesign.progress import ProgressDisplay
from codesign.record import Record
from codesign.study import parse_study

STUDY = parse_study('[study]\nname = "shown"\n[search]\npopulation = 6\ngenerations = 2\n', "x")
RECORD = Record(
    Architecture(4, 2, 1, (DenseLayer(8, "2"),), False, Hardware("parallel")), "failed", "yosys ended with exit code 1"
)


def console(*, terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=160, color_system=None)


def searched(tmp_path, out):
    with ProgressDisplay(out, workers=1) as display:
        return search(STUDY, tmp_path / "shown", workers=1, listener=display, evaluation="analytic_evaluation")


def test_plain_lines_where_there_is_no_terminal(tmp_path, behave):
    out = console(terminal=False)
    run = searched(tmp_path, out)
    lines = out.file.getvalue().splitlines()
    assert len([line for line in lines if re.match(r"\[\d+/12\] 64x", line)]) == 12
    assert [line for line in lines if line.startswith("generation 2")] == [
        f"generation 2: front {run.generations[1]['front']}, hypervolume {run.generations[1]['hypervolume']:.4f}"
    ]
    assert f"{len(run.front)} front members: test error and hls4ml's C simulation" in lines
    assert "\x1b" not in out.file.getvalue()


def test_a_continued_search_says_so(tmp_path, behave):
    searched(tmp_path, console(terminal=False))
    out = console(terminal=False)
    searched(tmp_path, out)
    assert out.file.getvalue() == "continuing: 12 of 12 candidates already evaluated\n" + "".join(
        line + "\n" for line in out.file.getvalue().splitlines() if line.startswith("generation")
    )


def test_live_display_shows_workers_and_counts():
    out = console(terminal=True)
    with ProgressDisplay(out, workers=2) as display:
        display.begun(64, 0)
        display.stage(0, "synthesis", "64x1b-8t-10 parallel")
        display.stage(1, "training", "64x2b-8t-10 parallel")
        display.candidate(RECORD)
        display.generation(0, 5, 0.5)
        display.tick()
    text = out.file.getvalue()
    assert "1/64 candidates (0 over budget, 1 failed)   generation 2   front 5, hypervolume 0.5000" in text
    assert re.search(r"worker 1\s+synthesis\s+64x1b-8t-10 parallel", text)
    assert re.search(r"worker 2\s+training\s+64x2b-8t-10 parallel", text)
    assert "[1/64] 4x1b-8q2-2 parallel  failed: yosys ended with exit code 1" in text


def test_a_long_silence_without_a_display_is_broken(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    out = console(terminal=False)
    with ProgressDisplay(out, workers=2) as display:
        display.begun(8, 0)
        display.stage(0, "idle", "")
        display.tick()
        now += 3600
        display.tick()
        display.stage(0, "synthesis", "64x1b-8t-10 parallel")
        now += 5
        display.stage(1, "training", "64x2b-8t-10 parallel")
        now += 56
        display.tick()
        display.tick()
        now += 61
        display.stage(1, "idle", "")
        display.tick()
    assert out.file.getvalue().splitlines() == [
        "starting 2 worker processes (5 to 10 s)",
        "[0/8]  still  worker 1  synthesis  64x1b-8t-10 parallel  61 s (2 at work)",
        "[0/8]  still  worker 1  synthesis  64x1b-8t-10 parallel  122 s",
    ]


def board_result(failed_at=None):
    reason = "slack -1 ns" if failed_at else ""
    return BoardResult("ab" * 32, "xilinx@pynq", "now", Measurement({}), failed_at, reason, generation=0)


@pytest.mark.parametrize(
    ("stage", "words", "shown"),
    [("golden vectors", "64x1b-8t-10 parallel", r"golden vectors\s+64x1b-8t-10 parallel"), ("", "", "idle")],
)
def test_boards_beside_a_search_are_shown(stage, words, shown):
    out = console(terminal=True)
    with ProgressDisplay(out, workers=1) as display:
        display.begun(64, 0)
        display.board("xilinx@pynq", stage, words)
        display.waiting(2)
        display.tick()
        display.measured(board_result(), "64x1b-8t-10 parallel")
    text = out.file.getvalue()
    assert re.search(rf"xilinx@pynq\s+{shown}", text)
    assert "waiting" not in text, "the display shows it"
    assert "xilinx@pynq: 64x1b-8t-10 parallel  measured" in text


def test_boards_in_plain_lines():
    out = console(terminal=False)
    with ProgressDisplay(out, workers=1) as display:
        display.board("xilinx@pynq", "golden vectors", "64x1b-8t-10 parallel")
        display.waiting(2)
        display.waiting(1)
        display.measured(board_result("timing"), "64x1b-8t-10 parallel")
    assert out.file.getvalue().splitlines() == [
        "waiting for boards: 2 candidates",
        "waiting for boards: 1 candidate",
        "xilinx@pynq: 64x1b-8t-10 parallel  failed at timing: slack -1 ns",
    ]


def test_a_measurement_is_needed_for_ok():
    with pytest.raises(AssertionError):
        Record(RECORD.architecture, "ok")
    with pytest.raises(AssertionError, match="a record that is failed says why"):
        Record(RECORD.architecture, "failed", measurement=Measurement({}))
