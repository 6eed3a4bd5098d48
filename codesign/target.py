"""Part and Target: what a design is built for, as plain values (the files are read in ``boards``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BOARD, CLOCK_MHZ = "pynq-z1", 100.0
"""What is built for where nothing else is asked for."""
RESOURCES = ("lut", "ff", "bram", "dsp")
"""What every part has and designs are measured in; budgets may limit each."""
VIRTUAL = "virtual:"
"""What the host of a simulated board begins with; its name follows."""


def is_virtual(host: str) -> bool:
    """Whether a simulation stands in for the board."""
    return host.startswith(VIRTUAL)


@dataclass(frozen=True)
class Part:
    """One Xilinx device.

    ``family`` is ``xc7`` or ``xcup`` (Yosys' names); ``resources`` counts the whole device:
    ``lut, ff, bram`` (36 Kb tiles), ``uram, dsp``.
    """

    name: str
    family: str
    speed_grade: str
    resources: Mapping[str, int]


@dataclass(frozen=True)
class Target:
    """A part, the board it sits on (if any) and the clock the design must meet."""

    part: Part
    clock_mhz: float
    board: str | None = None

    def words(self) -> str:
        """Board and part, e.g. ``pynq-z1 (xc7z020clg400-1)``."""
        return f"{self.board} ({self.part.name})" if self.board else self.part.name

    @property
    def period_ns(self) -> float:
        """The clock period in nanoseconds."""
        return 1000.0 / self.clock_mhz
