"""Results of boards are added to a store beside its one writer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from analytic_evaluation import figure

from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.board_loop.result import BoardResult
from codesign.errors import RunError
from codesign.measurement import Measurement
from codesign.record import Record
from codesign.store import Store


def record(units):
    architecture = Architecture(4, 2, 1, (DenseLayer(units, "ternary"),), True, Hardware("folded", 8))
    return Record(architecture, "ok", measurement=Measurement({"lut": figure(units, "LUT")}))


def result(digest="aa", **changes):
    return BoardResult(digest, "b", "2026-01-02T03:04:05+00:00", Measurement({"lut": figure(1, "")}), **changes)


def test_a_boards_result_is_added_beside_the_writer_and_readers(tmp_path):
    with Store.open(tmp_path) as writer, Store.read(tmp_path) as reader:
        writer.put(record(8))
        with Store.append(tmp_path) as beside:
            beside.put_board(result())
        writer.put_board(result("bb", failed_at="board", reason="gone"))
        assert reader.boards() == [result(), result("bb", failed_at="board", reason="gone")]
        writer.put(record(9))
        assert len(reader.records()) == 2


def test_results_are_added_where_nobody_writes(tmp_path):
    Store.open(tmp_path).close()
    for digest in ("aa", "aa"):
        with Store.append(tmp_path) as store:
            store.put_board(result(digest))
    with Store.open(tmp_path) as store:
        assert store.boards() == [result(), result()]


def test_results_from_several_processes_at_once(tmp_path):
    """None is lost, and none waits for the writer to end."""
    program = (
        "import sys; from pathlib import Path; from codesign.store import Store\n"
        "from codesign.board_loop.result import BoardResult\n"
        "for i in range(20):\n"
        "    with Store.append(Path(sys.argv[1])) as store:\n"
        "        store.put_board(BoardResult(f'{sys.argv[2]}{i}', 'b', 'd', failed_at='board', reason='r'))\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    with Store.open(tmp_path) as writer:
        children = [
            subprocess.Popen(
                [sys.executable, "-c", program, str(tmp_path), name], env={**os.environ, "PYTHONPATH": root}
            )
            for name in "ab"
        ]
        for units in range(8, 28):
            writer.put(record(units))
        assert [child.wait(60) for child in children] == [0, 0]
        assert {one.digest for one in writer.boards()} == {f"{name}{i}" for name in "ab" for i in range(20)}
        assert len(writer.records()) == 20


def test_nothing_is_added_where_there_is_no_store(tmp_path):
    with pytest.raises(RunError, match=f"^no store in {re.escape(str(tmp_path))}: nothing was searched there yet"):
        Store.append(tmp_path)
    assert not list(tmp_path.iterdir())
