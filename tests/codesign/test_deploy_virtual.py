"""``deploy`` and ``run`` on virtual boards: the real agent, real pynq, and the Verilated accelerator."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from board_runs import built_run
from virtual_bundles import python_with

from codesign.cli import main
from codesign.deployment.virtual_board import BOARDS
from codesign.measurement import Provenance
from codesign.run import read_run


@pytest.mark.parametrize("name", BOARDS)
def test_from_a_run_to_its_store(tmp_path, monkeypatch, capsys, name):
    python_with(BOARDS[name][1])
    monkeypatch.chdir(tmp_path)
    record, _ = built_run(tmp_path, f'board = "{name}"')
    host = f"virtual:{name}"
    assert main(["deploy", "--host", host]) == 0
    out = capsys.readouterr().out
    assert f"to {host}\n     ok  reachable: a virtual board: every figure is simulated, Python 3." in out
    assert "simulated: no board took part; every figure is of a virtual board (Verilator and a DMA model)\n" in out
    assert "on_board" not in out
    (result,) = read_run(Path("runs/small")).boards
    assert (result.digest, result.host, result.simulated) == (record.digest, host, True)
    figures = result.measurement.figures
    assert {figure.provenance for figure in figures.values()} == {Provenance.SIMULATED}
    latency = figures["board_latency_cycles"]
    assert latency.value == latency.details["scheduled"]
    assert figures["board_mismatches"].details["compared"] == 256
    report = Path(f"runs/small/builds/{record.digest[:8]}-simulation/deploy-report-virtual.json")
    assert json.loads(report.read_text())["simulated"] is True

    np.savez("x.npz", x=np.random.default_rng(2).random((20, 64)), y=np.arange(20) % 10)
    assert main(["run", "--host", host, "--input", "x.npz"]) == 0
    out = capsys.readouterr().out
    assert re.search(
        r"20 samples\naccuracy: \d+\.00 % \(\d+ right; error .*\)\nevery output equals the canonical net", out
    )


def test_a_bundle_for_another_board(tmp_path, monkeypatch, capsys):
    python_with(BOARDS["zcu104"][1])
    monkeypatch.chdir(tmp_path)
    _, path = built_run(tmp_path)
    assert main(["deploy", str(path), "--host", "virtual:zcu104"]) == 2
    assert capsys.readouterr().err.endswith(
        "codesign: error: the bundle is for board 'pynq-z1', and virtual:zcu104 is 'ZCU104'; build it for that board, "
        "or give another --host\n"
    )
    assert read_run(Path("runs/small")).boards == ()


def test_a_meter_is_for_real_boards(tmp_path, monkeypatch, capsys):
    python_with(BOARDS["pynq-z1"][1])
    monkeypatch.chdir(tmp_path)
    built_run(tmp_path)
    Path("meter.csv").write_text("power_w\n")
    assert main(["deploy", "--host", "virtual:pynq-z1", "--meter", "csv:meter.csv"]) == 2
    assert capsys.readouterr().err.endswith("codesign: error: a virtual board draws no power; leave out --meter\n")
