"""What the agent needs of the programmable logic, and no more."""

from __future__ import annotations

import abc
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .watts import Reading

Words = NDArray[np.uint32]


@dataclass(frozen=True)
class Places:
    """Where the overlay has what is in it, as the processor sees it."""

    dma: int
    accelerator: int


class Fabric(abc.ABC):
    """Programmable logic with an accelerator behind a DMA.

    Every wait for the hardware has a limit: a method's own, of seconds, or the one that it is given. ``program`` waits
    for the kernel besides, which only the host's limit ends. AgentError is all that is raised: ``timeout``,
    ``hardware``, ``bundle`` or ``environment``. Nothing is kept of an earlier process.
    """

    simulated = False
    """Whether a simulation stands in for the board: then no figure is a measurement of one."""

    def seconds(self) -> float:
        """Time of the world in which the accelerator runs, since whenever; a simulation has its own."""
        return time.perf_counter()

    @abc.abstractmethod
    def board(self) -> str | None:
        """The board's name as its image gives it, such as "Pynq-Z1"; None where the image gives none."""

    @abc.abstractmethod
    def versions(self) -> Mapping[str, Any]:
        """Software that matters, by name."""

    @abc.abstractmethod
    def program(self, bit: Path, places: Places, clock_mhz: float) -> float:
        """Load ``bit`` (its .hwh beside it) and set the clock; gives the clock in MHz as read back."""

    @abc.abstractmethod
    def allocate(self, sent: int, received: int) -> None:
        """Buffers for so many 32-bit words each way, in place of any earlier ones."""

    @abc.abstractmethod
    def read(self, offset: int) -> int:
        """A register of the accelerator."""

    @abc.abstractmethod
    def write(self, offset: int, value: int) -> None:
        """Write a register of the accelerator."""

    @abc.abstractmethod
    def transfer(self, words: Words, received: int, seconds: float) -> Words:
        """Send one packet and give the one that comes back, whose length may differ from ``received``.

        After an error the DMA still waits or has stopped: :meth:`reset` comes next. The message names the direction.
        """

    @abc.abstractmethod
    def reset(self) -> None:
        """Abandon what the DMA does, and make it ready."""

    @abc.abstractmethod
    def power(self) -> Mapping[str, Reading]:
        """By rail, now; empty where nothing measures them."""

    @abc.abstractmethod
    def close(self) -> None:
        """Stop the DMA and free the buffers; the overlay stays."""
