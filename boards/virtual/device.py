"""The device that pynq finds on a virtual board; everything above it is pynq's own code."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from pynq import ps
from pynq.buffer import PynqBuffer
from pynq.pl_server.device import Device
from pynq.pl_server.embedded_device import DEFAULT_XCLBIN, BitfileHandler, EmbeddedDevice

from .hardware import Hardware

DMA_TYPE = "xilinx.com:ip:axi_dma:"
ACCELERATOR = "accelerator"
_WORD_BYTES = 4


class _Handler(BitfileHandler):  # type: ignore[misc]
    """Bitstream and .hwh by pynq's own parsers; the description of memories, which a tool of XRT writes, is pynq's."""

    def get_xclbin_data(self) -> Any:
        return DEFAULT_XCLBIN


class _Bank:
    """What a buffer gives its memory back to."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware

    def return_pointer(self, address: int) -> None:
        self._hardware.memory.free(address)


class VirtualDevice(Device):  # type: ignore[misc]
    """A device by registers, without a bitstream to load: what it is programmed with is what the board was made for."""

    def __init__(self, hardware: Hardware) -> None:
        super().__init__("virtual")
        self.name, self.arch = hardware.board, hardware.kind.arch
        self.capabilities = {"REGISTER_RW": True}
        self._hardware, self._bank = hardware, _Bank(hardware)

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
        """Of the two files, which must be whole and belong together as far as pynq can tell."""
        return _Handler(bitfile_name).get_parser(partial=partial)

    def download(self, bitstream: Any, parser: Any = None) -> None:
        """Programming: widths of ports as pynq sets them, then the fabric anew."""
        places = parser.ip_dict
        dma = next(values for values in places.values() if str(values["type"]).startswith(DMA_TYPE))
        EmbeddedDevice.set_axi_port_width(self, parser)
        self._hardware.program(
            dma["phys_addr"],
            places[ACCELERATOR]["phys_addr"],
            length_bits=int(dma["parameters"]["c_sg_length_width"]),
            memory_bytes=int(dma["parameters"]["c_m_axi_mm2s_data_width"]) // 8,
        )
        super().post_download(bitstream, parser, self.name)

    def read_registers(self, address: int, length: int) -> bytes:
        """Words in the order of their addresses."""
        words = (self._hardware.read(address + at) for at in range(0, length, _WORD_BYTES))
        return b"".join(word.to_bytes(_WORD_BYTES, "little") for word in words)

    def write_registers(self, address: int, data: bytes) -> None:
        """As :meth:`read_registers`."""
        octets = bytes(data)
        for at in range(0, len(octets), _WORD_BYTES):
            self._hardware.write(address + at, int.from_bytes(octets[at : at + _WORD_BYTES], "little"))

    def allocate(self, shape: Any, dtype: Any, **_: Any) -> Any:
        """A buffer whose content reaches memory when it is flushed, and comes from there when it is invalidated."""
        address = self._hardware.memory.allocate(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        buffer = PynqBuffer(shape, dtype, bo=address, device=self, device_address=address, coherent=False)
        buffer[...] = 0
        buffer.memory, buffer.pointer, buffer.return_to = self, address, self._bank
        return buffer

    def flush(self, start: int, offset: int, virtual: int, size: int) -> None:
        """From the processor's caches to memory."""
        self._hardware.memory.write(start + offset, ctypes.string_at(virtual, size))

    def invalidate(self, start: int, offset: int, virtual: int, size: int) -> None:
        """Let the processor see what is in memory."""
        content = self._hardware.memory.read(start + offset, size)
        if content is not None:
            ctypes.memmove(virtual, content, size)


def install(hardware: Hardware) -> None:
    """Make this the device that pynq uses. Up to 3.0, its clocks are those of the processor that it runs on."""
    ps.CPU_ARCH = hardware.kind.arch
    Device.active_device = VirtualDevice(hardware)
