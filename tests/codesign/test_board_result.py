"""Tests of what the store keeps of candidates on boards."""

from __future__ import annotations

import json

import pytest

from codesign.board_loop.result import BoardResult
from codesign.measurement import Figure, Measurement, Provenance
from codesign.store import Store

MEASURED = Measurement({"board_latency_cycles": Figure(9.0, "cycles", Provenance.ON_BOARD, "counters", "1", {"n": 3})})
GOOD = BoardResult("ab" * 32, "xilinx@pynq", "2026-01-02T03:04:05+00:00", MEASURED, described={"board": "Pynq-Z1"})
BAD = BoardResult("ab" * 32, "xilinx@pynq", "2026-01-02T03:04:06+00:00", None, "timing", "slack -1 ns", "its log", 2)


@pytest.mark.parametrize("result", [GOOD, BAD])
def test_a_result_survives_json(result):
    assert BoardResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_the_store_keeps_every_result_in_order(tmp_path):
    with Store.open(tmp_path) as store:
        for result in (GOOD, BAD, GOOD):
            store.put_board(result)
    with Store.read(tmp_path) as store:
        assert store.boards() == [GOOD, BAD, GOOD]


def test_a_result_keeps_what_it_promises():
    with pytest.raises(AssertionError):
        BoardResult("ab", "host", "now")
    with pytest.raises(AssertionError, match="a failure says why"):
        BoardResult("ab", "host", "now", failed_at="board")
