"""The fabric through the image's own pynq: Overlay, DMA, allocate, MMIO, Clocks, get_rails.

Never run on silicon: no board was there when it was written. It is written against the sources of pynq 3.1.2;
what is done for 4.0.0 follows notes on it. pynq is imported when a board is really used, and a wait of pynq's is never
called: all of them are endless.
"""

from __future__ import annotations

import importlib
import math
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .errors import AgentError
from .fabric import Fabric, Places, Words
from .unpack import SEGMENT
from .versions import reads_hwh
from .watts import Reading

BOARD = Path("/proc/device-tree/chosen/pynq_board")
FIRMWARE = Path("/lib/firmware")
"""Where pynq leaves each bitstream for the kernel, and never clears up."""
RESET_SECONDS = 1.0
CLOCK_TOLERANCE = 0.005
_SEND, _RECEIVE = 0x00, 0x30
_CONTROL, _STATUS, _LENGTH = 0x00, 0x04, 0x28
_RUN, _RESET = 1, 4
_HALTED, _FAULTS = 1, 0x70
_LOST: list[Any] = []
_FAULT_NAMES = {4: "internal (length 0?)", 5: "slave", 6: "decode (invalid address)"}


class PynqFabric(Fabric):
    """What pynq's active device is."""

    def __init__(self) -> None:
        self._overlay: Any = None
        self._dma: Any = None
        self._registers: Any = None
        self._buffers: tuple[Any, Any] | None = None
        self._rails: dict[str, Any] | None = None

    def board(self) -> str | None:
        """As the image's device tree says."""
        try:
            return BOARD.read_text(encoding="ascii", errors="replace").strip("\0\n ") or None
        except OSError:
            return None

    def versions(self) -> Mapping[str, Any]:
        """Of pynq and of what reads the .hwh for it, without importing them."""
        return {name: _version(name) for name in ("pynq", "pycparser", "numpy")}

    def program(self, bit: Path, places: Places, clock_mhz: float) -> float:
        """As the base class says."""
        self.close()
        pynq = _import_pynq()
        _name_zynq_clocks()
        for old in FIRMWARE.glob("cdg_*.bin"):  # each candidate of a search has a name of its own
            with suppress(OSError):
                old.unlink()
        try:
            self._overlay = pynq.Overlay(str(bit))
            self._dma = self._overlay.dma
            self._registers = pynq.MMIO(places.accelerator, SEGMENT)
            found = self._dma.mmio.base_addr
        except Exception as error:  # noqa: BLE001 - pynq raises whatever its parts raise
            raise _failed("pynq did not load the bitstream", error) from None
        if found != places.dma:
            raise AgentError(
                "bundle", f"the .hwh has its DMA at {found:#x}, the bundle at {places.dma:#x}; build it again"
            )
        clock = self._set_clock(pynq.Clocks, clock_mhz)
        self.reset()
        return clock

    def allocate(self, sent: int, received: int) -> None:
        """As the base class says."""
        self._free()
        try:
            allocate = importlib.import_module("pynq").allocate
            self._buffers = (allocate(shape=(sent,), dtype="u4"), allocate(shape=(received,), dtype="u4"))
        except Exception as error:  # noqa: BLE001 - pynq raises whatever its parts raise
            raise _failed(f"pynq did not give buffers of {4 * (sent + received)} bytes", error) from None

    def read(self, offset: int) -> int:
        """As the base class says."""
        return int(self._registers.read(offset))

    def write(self, offset: int, value: int) -> None:
        """As the base class says."""
        self._registers.write(offset, value)

    def transfer(self, words: Words, received: int, seconds: float) -> Words:
        """As the base class says. Receiving is set up first, so that the packet has somewhere to go."""
        assert self._buffers is not None, "allocate comes first"
        sent, into = self._buffers
        sent[: len(words)] = words
        try:
            self._dma.recvchannel.transfer(into, nbytes=4 * received)
            self._dma.sendchannel.transfer(sent, nbytes=4 * len(words))
        except Exception as error:  # noqa: BLE001 - pynq raises whatever its parts raise
            raise _failed("pynq did not start the DMA", error) from None
        end = time.monotonic() + seconds
        for name, channel, offset in (
            ("send", self._dma.sendchannel, _SEND),
            ("receive", self._dma.recvchannel, _RECEIVE),
        ):
            if not self._until(lambda channel=channel: channel.idle or channel.error, end):  # type: ignore[misc]
                raise AgentError("timeout", f"the DMA did not {name} all within {seconds:.1f} s")
            status = self._dma.mmio.read(offset + _STATUS)
            if status & _FAULTS:
                faults = ", ".join(text for bit, text in _FAULT_NAMES.items() if status >> bit & 1)
                raise AgentError("hardware", f"the DMA reports an error when it is to {name}: {faults}")
        into.invalidate()
        count = min(self._dma.mmio.read(_RECEIVE + _LENGTH) // 4, received)
        return np.array(into[:count])  # NumPy's own array, in memory of its own

    def reset(self) -> None:
        """The DMA's own reset, by its registers: pynq's ``stop`` waits for the end of what never ends."""
        registers = self._dma.mmio
        registers.write(_SEND + _CONTROL, _RESET)  # of both channels
        end = time.monotonic() + RESET_SECONDS
        if not self._until(lambda: not registers.read(_SEND + _CONTROL) & _RESET, end):
            raise AgentError("hardware", "the DMA does not come out of its reset; power-cycle the board")
        for channel, offset in ((self._dma.sendchannel, _SEND), (self._dma.recvchannel, _RECEIVE)):
            registers.write(offset + _CONTROL, _RUN)
            if not self._until(lambda offset=offset: not registers.read(offset + _STATUS) & _HALTED, end):  # type: ignore[misc]
                raise AgentError("hardware", "the DMA does not start after its reset; power-cycle the board")
            channel.start()  # runs already, so that its endless wait is over at once

    def power(self) -> Mapping[str, Reading]:
        """Of the rails that measure power, or voltage and current.

        The rails are asked for once: each time, pynq sets up the system's library of sensors anew.
        """
        try:
            if self._rails is None:
                self._rails = dict(importlib.import_module("pynq").get_rails())
            found = {name: _reading(rail) for name, rail in self._rails.items()}
        except Exception as error:  # noqa: BLE001 - pynq raises whatever its parts raise
            raise _failed("pynq did not read the power sensors", error) from None
        return {name: reading for name, reading in found.items() if reading and all(map(math.isfinite, reading))}

    def close(self) -> None:
        """As the base class says. Buffers go only after the DMA has let go of them."""
        if self._dma is not None:
            try:
                self.reset()
            except AgentError:
                _LOST.append(self._buffers)  # it may still write there: not to be used again while this process runs
                self._buffers = None
        self._free()
        self._overlay = self._dma = self._registers = None

    def _free(self) -> None:
        for buffer in self._buffers or ():
            buffer.freebuffer()
        self._buffers = None

    @staticmethod
    def _until(done: Callable[[], Any], end: float) -> bool:
        """Whether ``done`` came true before ``end``; without pause, since most transfers take microseconds."""
        while not done():
            if time.monotonic() > end:
                return bool(done())
        return True

    @staticmethod
    def _set_clock(clocks: Any, wanted: float) -> float:
        """Fabric clock 0, which pynq set from the .hwh, or did not: read, set where it differs, and read again."""
        try:
            if abs(clocks.fclk0_mhz - wanted) > CLOCK_TOLERANCE * wanted:
                clocks.fclk0_mhz = wanted
            found = float(clocks.fclk0_mhz)
        except Exception as error:  # noqa: BLE001 - pynq raises whatever its parts raise
            raise _failed(f"pynq did not set the fabric clock to {wanted:g} MHz", error) from None
        if abs(found - wanted) > CLOCK_TOLERANCE * wanted:
            raise AgentError("hardware", f"the fabric clock is {found:g} MHz, not {wanted:g}; reboot the board")
        return found


def _reading(rail: Any) -> Reading:
    """Empty where the rail has no sensor of power."""
    if rail.power is not None:
        return (float(rail.power.value),)
    if rail.voltage is not None and rail.current is not None:
        return float(rail.voltage.value), float(rail.current.value)
    return ()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def require_pynq() -> None:
    """AgentError where this Python has none."""
    if _version("pynq") is None:
        raise AgentError(
            "environment",
            f"this Python ({platform.python_version()}) has no pynq; on a PYNQ board use the image's own "
            "(/usr/local/share/pynq-venv), which its notebooks run in",
        )


def _import_pynq() -> Any:
    require_pynq()
    try:
        return importlib.import_module("pynq")
    except Exception as error:  # noqa: BLE001 - whatever its parts raise
        raise _failed("pynq cannot be imported", error) from None


def _failed(what: str, error: Exception) -> AgentError:
    """``what`` with pynq's own words, and the cause where it is one that is known."""
    pycparser = _version("pycparser")
    if not reads_hwh(_version("pynq"), pycparser):
        hint = (
            f"pycparser {pycparser} is installed, and pynq 3 reads .hwh files with 2.x only: pip install 'pycparser<3'"
        )
    elif isinstance(error, PermissionError):
        hint = "overlays need root: start the agent through sudo -n"
    else:
        hint = f"pynq {_version('pynq')}"
    return AgentError("environment", f"{what}: {type(error).__name__}: {error}; {hint}")


def _name_zynq_clocks() -> None:
    """Give the clocks of a Zynq-7000 their name: pynq 4.0 looks for the one that UltraScale+ has.

    Its model of the processing system is told the right name, where it has not one of its own by then.
    """
    try:
        models = importlib.import_module("pynqmetadata.models.zynq_proc_sys_core")
    except ImportError:  # not part of this pynq
        return
    core = models.ZynqProcSysCore
    if "clk_freq_param_name" not in vars(core) and hasattr(core, "clk_freq_param_name"):
        core.clk_freq_param_name = lambda _, clock: f"PCW_ACT_FPGA{clock}_PERIPHERAL_FREQMHZ"
