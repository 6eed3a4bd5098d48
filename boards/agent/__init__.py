"""What runs on the board: the agent, and the accelerator for notebooks there.

A copy of this folder, with hw/host_format.py in it, is in every bundle. So it is Python 3.10 with its standard library,
NumPy and, where a board is really used, pynq; it imports nothing else of this project. In a notebook on the board::

    import sys; sys.path.insert(0, "cdg_0123456789abcdef.zip")
    from codesign_board import Accelerator
    Accelerator("cdg_0123456789abcdef.zip").predict(x)
"""

from __future__ import annotations

from .accelerator import Accelerator
from .errors import AgentError

__all__ = ["Accelerator", "AgentError"]
