"""The agent's fabric on a virtual board: that of real boards, unchanged, on pynq's device of this one."""

from __future__ import annotations

import importlib
from pathlib import Path

from ..agent.fabric import Places
from ..agent.fabric_pynq import PynqFabric
from .hardware import Hardware


class VirtualFabric(PynqFabric):
    """Time and name are the simulated board's."""

    simulated = True

    def __init__(self, hardware: Hardware) -> None:
        super().__init__()
        self._hardware = hardware
        self._installed = False

    def board(self) -> str | None:
        """As its image would say."""
        return self._hardware.board

    def seconds(self) -> float:
        """Cycles of the simulated fabric over its clock."""
        return self._hardware.seconds()

    def program(self, bit: Path, places: Places, clock_mhz: float) -> float:
        """As the base class says, which finds this board's device when it looks for one."""
        if not self._installed:
            try:
                importlib.import_module(".device", __package__).install(self._hardware)
                self._installed = True
            except ImportError:
                pass  # of pynq: what is wrong with it is said below
        return super().program(bit, places, clock_mhz)
