from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import search_entry

from codesign.loop import search
from codesign.run import read_run
from codesign.study import parse_study
from hw.measure import nextpnr
from hw.measure.optional_tools import NEXTPNR, VITIS_HLS, VIVADO

ROOT = Path(__file__).resolve().parents[2]
STAND_INS = {"vivado": "vivado_program", "vitis-run": "vitis_program", "nextpnr-xilinx": "nextpnr_program"}


@pytest.fixture
def behave(monkeypatch):
    """Set how the analytic evaluator behaves, here and in worker processes."""
    # workers find the test modules as this process does; other processes find them by this
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))

    def set_behaviour(**behaviour):
        monkeypatch.setenv("ANALYTIC", json.dumps(behaviour))

    set_behaviour()
    return set_behaviour


@pytest.fixture
def start_search(behave):
    """Start a real search process in its own process group."""

    def start(folder: Path, study: Path, workers: int = 2) -> subprocess.Popen[str]:
        command = [sys.executable, search_entry.__file__, str(folder), str(study), str(workers)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0)

    return start


@pytest.fixture(scope="session")
def searched_folder(tmp_path_factory):
    """A folder with the run ``runs/shown``: an analytic search with failures before and after, made once."""
    folder = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANALYTIC", json.dumps({"fail": 0.15, "fail_final": 0.2}))
        text = '[study]\nname = "shown"\n[budget]\nlut = "10%"\n[search]\npopulation = 8\ngenerations = 3\n'
        run = search(parse_study(text, "x"), folder / "runs" / "shown", workers=1, evaluation="analytic_evaluation")
    counts = run.counts
    assert all(counts[status] for status in ("ok", "infeasible", "failed")), "the tests below need every one"
    assert any(final.measurement is None for final in run.finals.values()), "and one that left the front"
    return folder


@pytest.fixture
def searched(searched_folder, monkeypatch):
    """The run of :func:`searched_folder`, with its folder as the current one."""
    monkeypatch.chdir(searched_folder)
    return read_run(Path("runs/shown"))


@pytest.fixture(scope="session")
def board_set_up(tmp_path_factory):
    """A board behind a stand-in for ssh, with the agent on it; made once."""
    from agent_bundles import made
    from board_over_ssh import Board
    from board_runs import HOST

    from codesign.deployment import hosts
    from codesign.errors import ToolMissingError

    with pytest.MonkeyPatch.context() as patch:
        standin = Board(tmp_path_factory.mktemp("board") / "board")
        patch.setenv("PATH", standin.path)
        with pytest.raises(ToolMissingError) as caught:
            hosts.connect(HOST, made().bundle)
        assert standin.paste(str(caught.value).split("\n\n", 1)[1]).returncode == 0
    return standin


@pytest.fixture
def board(board_set_up, monkeypatch):
    """The board of :func:`board_set_up`, where nothing goes wrong yet, and whose power takes little time."""
    from codesign.deployment import session as deploy

    monkeypatch.setenv("PATH", board_set_up.path)
    monkeypatch.setattr(deploy, "POWER_SECONDS", 0.1)
    monkeypatch.setattr(deploy, "PROBE_SECONDS", 0.05)
    board_set_up.ssh_says("")
    board_set_up.faults()
    return board_set_up


@pytest.fixture
def built(tmp_path, monkeypatch):
    """The current folder, with the run ``runs/small`` and its bundle: record and path."""
    from board_runs import built_run

    monkeypatch.chdir(tmp_path)
    return built_run(tmp_path)


@pytest.fixture
def without_tools(monkeypatch):
    for tool in (NEXTPNR, VITIS_HLS, VIVADO):
        monkeypatch.delenv(tool.setting, raising=False)
    monkeypatch.delenv(nextpnr.DATABASES, raising=False)


@pytest.fixture
def tools(without_tools, tmp_path, monkeypatch):
    """Stand-ins for all of them on PATH; ``tools(vivado=..., hls=...)`` says how they behave."""
    pytest.importorskip("tkinter", reason="needs a Tcl interpreter: Python's tkinter")
    (tmp_path / "bin").mkdir()
    for name, stand_in in STAND_INS.items():
        path = tmp_path / "bin" / name
        path.write_text(f'#!/bin/sh\nSTANDIN_NAME=$0 exec {sys.executable} {ROOT}/tests/hw/{stand_in}.py "$@"\n')
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    (tmp_path / "xc7z020.bin").write_bytes(b"database")
    monkeypatch.setenv(nextpnr.DATABASES, str(tmp_path))

    def behave(vivado=None, hls=None):
        monkeypatch.setenv("STANDIN", json.dumps(vivado or {}))
        monkeypatch.setenv("STANDIN_HLS", json.dumps(hls or {}))

    behave()
    return behave
