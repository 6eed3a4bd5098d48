from __future__ import annotations

import os
from pathlib import Path

import pytest

from hw.measure.cache import SETTING

# What was made before a change must not stand in for what would be made now. Here, so that workers inherit it too.
os.environ[SETTING] = ""
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def fresh_board(tmp_path, monkeypatch):
    """A board behind a stand-in for ssh, on which nothing was set up."""
    from board_over_ssh import Board

    made = Board(tmp_path / "board")
    monkeypatch.setenv("PATH", made.path)
    return made


@pytest.fixture(scope="session")
def shared_data():
    """The folder of large test data beside the checkout; tests that need it skip visibly without it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the test data in {folder}")
    return folder
