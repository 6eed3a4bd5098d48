"""The Verilated accelerator, through the C functions of shim.cpp."""

from __future__ import annotations

import ctypes
from pathlib import Path

_FUNCTIONS = {
    "core_new": (ctypes.c_void_p, ()),
    "core_delete": (None, (ctypes.c_void_p,)),
    "core_cycles": (ctypes.c_uint64, (ctypes.c_void_p,)),
    "core_word_bytes": (ctypes.c_uint32, ()),
    "core_read": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32))),
    "core_write": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)),
    "core_send": (None, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)),
    "core_receive": (None, (ctypes.c_void_p, ctypes.c_size_t)),
    "core_stop": (None, (ctypes.c_void_p,)),
    "core_run": (None, (ctypes.c_void_p, ctypes.c_uint64)),
    "core_sending": (ctypes.c_int, (ctypes.c_void_p,)),
    "core_received": (ctypes.c_int, (ctypes.c_void_p,)),
    "core_take": (ctypes.c_size_t, (ctypes.c_void_p, ctypes.c_char_p)),
}
RECEIVING, ENDED, OVERFLOW = 0, 1, 2


class Core:
    """An accelerator just out of its reset; time passes in it only within calls that say so."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments
        self._core = self._library.core_new()
        self.word_bytes = int(self._library.core_word_bytes())
        self._room = 0

    def close(self) -> None:
        """Free the model."""
        if self._core is not None:
            self._library.core_delete(self._core)
            self._core = None

    @property
    def cycles(self) -> int:
        """Of its clock, since it was made."""
        return int(self._library.core_cycles(self._core))

    def read(self, offset: int) -> int:
        """A register; a few cycles pass. OSError where the bus answers with an error, or not at all."""
        value = ctypes.c_uint32()
        self._check(self._library.core_read(self._core, offset, ctypes.byref(value)), offset)
        return value.value

    def write(self, offset: int, value: int) -> None:
        """Write a register, as :meth:`read`."""
        self._check(self._library.core_write(self._core, offset, value), offset)

    def send(self, packet: bytes) -> None:
        """Begin to offer a packet, which ends with TLAST."""
        self._library.core_send(self._core, packet, len(packet))

    def receive(self, room: int) -> None:
        """Begin to receive a packet of at most so many bytes."""
        self._room = room
        self._library.core_receive(self._core, room)

    def stop(self) -> None:
        """Drop what is on its way in either direction; the accelerator keeps what it has."""
        self._library.core_stop(self._core)

    def run(self, quiet: int) -> None:
        """Let time pass until what was begun has ended, or for ``quiet`` cycles in which no word moves."""
        self._library.core_run(self._core, quiet)

    @property
    def sending(self) -> bool:
        """Whether some of the packet is still to be taken."""
        return bool(self._library.core_sending(self._core))

    @property
    def received(self) -> int:
        """RECEIVING; ENDED by TLAST; OVERFLOW, where more came than there was room for."""
        return int(self._library.core_received(self._core))

    def take(self) -> bytes:
        """What was received."""
        buffer = ctypes.create_string_buffer(max(self._room, 1))
        size = self._library.core_take(self._core, buffer)
        return buffer.raw[:size]

    @staticmethod
    def _check(response: int, offset: int) -> None:
        if response:
            kind = "answers with SLVERR" if response > 0 else "does not answer"
            raise OSError(f"the accelerator {kind} at its register {offset:#x}")
