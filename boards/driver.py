"""The driver that a bundle carries: a copy of boards/agent, and how the board starts it."""

from __future__ import annotations

from importlib import resources

PACKAGE = "codesign_board"
"""Its name on the board, where this project's packages are not."""
HOST_FORMAT = "host_format.py"
_START = f'''"""Starts the agent: python3 on the bundle itself."""

import runpy

runpy.run_module("{PACKAGE}", run_name="__main__", alter_sys=True)
'''


def driver_files(host_format: str) -> dict[str, bytes]:
    """Members of a bundle by name; ``host_format`` is the text of hw/host_format.py, which boards may not import.

    With them the bundle, as a file, is a Python program (the agent) and an entry for ``sys.path`` (the notebook).
    """
    folder = resources.files("boards.agent")
    sources = {file.name: file.read_bytes() for file in folder.iterdir() if file.name.endswith(".py")}
    assert HOST_FORMAT not in sources
    files = {**sources, HOST_FORMAT: host_format.encode()}
    return {**{f"{PACKAGE}/{name}": data for name, data in sorted(files.items())}, "__main__.py": _START.encode()}
