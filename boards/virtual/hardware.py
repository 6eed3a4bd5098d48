"""What an address leads to on a virtual board: registers of the processing system, the DMA, and the accelerator.

Time is that of the fabric's clock, and passes only while the accelerator is looked at: software takes none, nor do
programming, caches, and whatever lies between processor, memory and fabric.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .core import Core
from .dma import Dma
from .memory import Memory

WINDOW = 0x1_0000
_WORD = 0xFFFF_FFFF


@dataclass(frozen=True)
class Kind:
    """A processing system: where its clocks are set, in the form that its technical reference manual gives.

    ``arch`` is what Linux calls its processor. ``pll`` and ``clock`` are registers of the I/O PLL and of fabric clock
    0, ``boot`` what they and their neighbours hold after booting. ``shifts`` are those of the two dividers in
    ``clock``. ``settings`` are ports whose width software sets, as the boot image leaves them.
    """

    arch: str
    pll: int
    clock: int
    shifts: tuple[int, int]
    boot: Mapping[int, int]


_ZYNQ_DIVIDERS, _ULTRASCALE_DIVIDERS = 1 << 20 | 10 << 8, 1 << 24 | 1 << 16 | 15 << 8
KINDS: Mapping[str, Kind] = {
    "zynq-7000": Kind(
        arch="armv7l",
        pll=0xF800_0108,
        clock=0xF800_0170,
        shifts=(8, 20),
        boot={
            0xF800_0100: 26 << 12,  # ARM and DDR PLL of a PYNQ-Z1
            0xF800_0104: 21 << 12,
            0xF800_0120: 0x1F00_0200,
            **{0xF800_0170 + 0x10 * index: _ZYNQ_DIVIDERS for index in range(4)},
        },
    ),
    "zynq-ultrascale+": Kind(
        arch="aarch64",
        pll=0xFF5E_0020,
        clock=0xFF5E_00C0,
        shifts=(8, 16),
        boot={
            0xFF5E_0030: 1 << 16 | 90 << 8,  # RPLL
            **{0xFF5E_00C0 + 4 * index: _ULTRASCALE_DIVIDERS for index in range(4)},
            **{0xFD1A_0000 + offset: 1 << 16 | 72 << 8 for offset in (0x20, 0x2C, 0x38)},  # APLL, DPLL, VPLL
            0xFD1A_0060: 0x0300_0100,
            **dict.fromkeys((0xFD61_5000, 0xFF41_9000), 0x0A00),  # widths of the ports that lead into the fabric
            **{base + offset: 0 for base in (*range(0xFD36_0000, 0xFD3C_0000, 0x1_0000), 0xFF9B_0000)
               for offset in (0, 0x14)},
        },
    ),
}  # fmt: skip


class Hardware:
    """One board. ``board`` is what its image calls it; the fabric is empty until :meth:`program`.

    ``clock_scale``: what the fabric's clock really is, of what its registers say.
    """

    def __init__(
        self, library: str, *, board: str, kind: str, reference_mhz: float, pll_mhz: float, ddr_mib: int,
        clock_scale: float,
    ) -> None:  # fmt: skip
        self.board, self.kind = board, KINDS[kind]
        self.memory = Memory(ddr_mib << 20)
        self._library, self._reference_mhz, self._scale = Path(library), reference_mhz, clock_scale
        self._system = {**self.kind.boot, self.kind.pll: self._pll_register(pll_mhz)}
        self._core: Core | None = None
        self._dma: Dma | None = None
        self._places = (0, 0)
        self._passed, self._counted = 0.0, 0  # seconds until the clock was last set, and cycles by then

    @property
    def clock_hz(self) -> float:
        """Of the fabric, as it is."""
        register = self._system[self.kind.clock]
        product = 1
        for shift in self.kind.shifts:
            product *= max(register >> shift & 0x3F, 1)
        return self._pll_mhz() / product * 1e6 * self._scale

    def seconds(self) -> float:
        """Time in the fabric since the first programming."""
        cycles = self._core.cycles if self._core is not None else 0
        return self._passed + (cycles - self._counted) / self.clock_hz

    def program(self, dma: int, accelerator: int, *, length_bits: int, memory_bytes: int) -> None:
        """Put the accelerator and its DMA, of these addresses, into the fabric, in place of what was there."""
        self._passed, self._counted = self.seconds(), 0
        if self._core is not None:
            self._core.close()
        self._core = Core(self._library)
        self._dma = Dma(self.memory, self._core, length_bits=length_bits, memory_bytes=memory_bytes)
        self._places = (dma, accelerator)

    def read(self, address: int) -> int:
        """A 32-bit word; OSError where there is nothing, which a real processor waits for and never comes back."""
        if address in self._system:
            return self._system[address]
        dma, accelerator = self._places
        if self._dma is not None and dma <= address < dma + WINDOW:
            return self._dma.read(address - dma)
        if self._core is not None and accelerator <= address < accelerator + WINDOW:
            return self._core.read(address - accelerator)
        raise OSError(f"nothing is at address {address:#x} of this virtual board")

    def write(self, address: int, value: int) -> None:
        """Write a 32-bit word, as :meth:`read`."""
        dma, accelerator = self._places
        if address in self._system:
            self._passed, self._counted = self.seconds(), self._core.cycles if self._core is not None else 0
            self._system[address] = value & _WORD
        elif self._dma is not None and dma <= address < dma + WINDOW:
            self._dma.write(address - dma, value & _WORD)
        elif self._core is not None and accelerator <= address < accelerator + WINDOW:
            self._core.write(address - accelerator, value & _WORD)
        else:
            raise OSError(f"nothing is at address {address:#x} of this virtual board")

    def _pll_register(self, pll_mhz: float) -> int:
        """The multiplier of the crystal, which UltraScale+ halves afterwards."""
        if self.kind is KINDS["zynq-7000"]:
            return round(pll_mhz / self._reference_mhz) << 12
        return 1 << 16 | round(2 * pll_mhz / self._reference_mhz) << 8

    def _pll_mhz(self) -> float:
        register = self._system[self.kind.pll]
        if self.kind is KINDS["zynq-7000"]:
            return self._reference_mhz * (register >> 12 & 0x7F)
        return self._reference_mhz * (register >> 8 & 0x7F) / (2 if register >> 16 & 1 else 1)
