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
    assert all(counts[status] for status in counts), "the tests below need every status"
    assert any(final.measurement is None for final in run.finals.values()), "and one that left the front"
    return folder


@pytest.fixture
def searched(searched_folder, monkeypatch):
    """The run of :func:`searched_folder`, with its folder as the current one."""
    monkeypatch.chdir(searched_folder)
    return read_run(Path("runs/shown"))
