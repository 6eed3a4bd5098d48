from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import search_entry


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
