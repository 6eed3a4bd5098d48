"""Fixtures of the agent's tests."""

from __future__ import annotations

import pytest
from agent_bundles import Session


@pytest.fixture
def session(tmp_path):
    """Starts agents in this process, on the stand-in; each lets go of the board at the end."""
    opened = []

    def start(*faults, folder=tmp_path / "agent"):
        opened.append(Session(folder, *faults))
        return opened[-1]

    yield start
    for one in opened:
        one.server.close()
