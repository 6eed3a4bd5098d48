"""The registers of an AXI DMA 7.1 without scatter-gather, as PG021 describes them, between memory and two streams.

What it leaves out, so that nothing here says anything of it:

- time of memory and interconnect: a word is there in the cycle in which the accelerator can take it, and a transfer
  begins in the cycle after its length was written;
- interrupts, of which only the status bits are kept;
- the words that the real receiver may take into its FIFO before it is given a buffer: here it takes none;
- data realignment: an address that is no multiple of the memory's width, undefined there, is an internal error here;
- what is undefined there when a packet is longer than its buffer: here the error that the IP is known to give, with
  the whole packet lost. Without TLAST a buffer never counts as full, whatever its length;
- memory outside of buffers: a decode error here, while a real board lets a DMA write anywhere;
- what a stopped or reset channel still had on its way: here it is gone at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .core import ENDED, OVERFLOW
from .memory import Memory

SEND, RECEIVE = 0x00, 0x30
CONTROL, STATUS, ADDRESS, ADDRESS_HIGH, LENGTH = 0x00, 0x04, 0x18, 0x1C, 0x28
RUN, RESET = 1 << 0, 1 << 2
HALTED, IDLE = 1 << 0, 1 << 1
INTERNAL, SLAVE, DECODE = 1 << 4, 1 << 5, 1 << 6
COMPLETE, ERROR = 1 << 12, 1 << 14
AFTER_RESET = 0x0001_0002
"""Of the control registers: an interrupt threshold of 1, and a bit that is always 1."""
_ALWAYS, _THRESHOLD, _WRITABLE = 1 << 1, 0x00FF_0000, 0xFF00_7011
_CLEARED_BY_ONE = 0x7000
_QUIET_CYCLES = 4096
"""So long nothing moves before the software gets its turn again; it looks again, and more time passes."""


class Streams(Protocol):
    """The accelerator's two streams, as :class:`.core.Core` has them."""

    word_bytes: int

    def send(self, packet: bytes) -> None: ...  # noqa: D102 - as in Core
    def receive(self, room: int) -> None: ...  # noqa: D102
    def stop(self) -> None: ...  # noqa: D102
    def run(self, quiet: int) -> None: ...  # noqa: D102
    def take(self) -> bytes: ...  # noqa: D102
    @property
    def sending(self) -> bool: ...  # noqa: D102
    @property
    def received(self) -> int: ...  # noqa: D102


@dataclass
class _Channel:
    control: int = AFTER_RESET
    status: int = HALTED
    address: int = 0
    length: int = 0
    busy: bool = False

    def fail(self, error: int) -> None:
        """The engine halts; only a reset makes it run again."""
        self.busy = False
        self.control &= ~RUN
        self.status |= error | ERROR | HALTED

    def complete(self) -> None:
        self.busy = False
        self.status |= IDLE | COMPLETE
        if not self.control & RUN:
            self.status |= HALTED


class Dma:
    """``length_bits``: of the length registers, as configured. ``memory_bytes``: width of the memory's port."""

    def __init__(self, memory: Memory, streams: Streams, *, length_bits: int, memory_bytes: int) -> None:
        self._memory, self._streams = memory, streams
        self._most, self._align = (1 << length_bits) - 1, memory_bytes
        self._reset()

    def read(self, offset: int) -> int:
        """A register, 0 where there is none. Reading the status of a channel at work lets time pass."""
        side, register = self._place(offset)
        channel = self._channels[side]
        if register == STATUS and channel.busy:
            self._advance()
        values = {
            CONTROL: channel.control,
            STATUS: channel.status,
            ADDRESS: channel.address & 0xFFFF_FFFF,
            ADDRESS_HIGH: channel.address >> 32,
            LENGTH: channel.length,
        }
        return values.get(register, 0)

    def write(self, offset: int, value: int) -> None:
        """Write a register; a length begins a transfer."""
        side, register = self._place(offset)
        channel = self._channels[side]
        if register == CONTROL:
            self._control(channel, value)
        elif register == STATUS:
            channel.status &= ~(value & _CLEARED_BY_ONE)
        elif register == ADDRESS:
            channel.address = channel.address >> 32 << 32 | value
        elif register == ADDRESS_HIGH:
            channel.address = value << 32 | channel.address & 0xFFFF_FFFF
        elif register == LENGTH and channel.control & RUN and not channel.busy:
            channel.length = value & self._most
            self._begin(side, channel)

    @staticmethod
    def _place(offset: int) -> tuple[int, int]:
        return (RECEIVE, offset - RECEIVE) if offset >= RECEIVE else (SEND, offset)

    def _reset(self) -> None:
        self._channels = {SEND: _Channel(), RECEIVE: _Channel()}
        self._streams.stop()

    def _control(self, channel: _Channel, value: int) -> None:
        if value & RESET:  # of both, whichever is written to; over before anyone can look
            self._reset()
            return
        threshold = value & _THRESHOLD or channel.control & _THRESHOLD  # zero has no effect
        channel.control = value & _WRITABLE | threshold | _ALWAYS
        if value & RUN and not channel.status & (INTERNAL | SLAVE | DECODE):
            channel.status &= ~HALTED
        elif not channel.busy:
            channel.status |= HALTED

    def _begin(self, side: int, channel: _Channel) -> None:
        channel.status &= ~IDLE
        content = self._memory.read(channel.address, channel.length)
        if channel.length == 0 or channel.address % self._align:
            channel.fail(INTERNAL)
        elif content is None:
            channel.fail(DECODE)
        elif side == RECEIVE:
            channel.busy = True
            self._streams.receive(channel.length)
        else:
            channel.busy = True
            self._streams.send(content)
            self._advance()

    def _advance(self) -> None:
        """Let time pass until the transfers are over, or nothing has moved for a while."""
        send, receive = self._channels[SEND], self._channels[RECEIVE]
        self._streams.run(_QUIET_CYCLES)
        if send.busy and not self._streams.sending:
            send.complete()
        if not receive.busy:
            return
        state = self._streams.received
        if state == OVERFLOW:
            receive.fail(INTERNAL)
        elif state == ENDED:
            packet = self._streams.take()
            receive.length = len(packet)
            if self._memory.write(receive.address, packet):
                receive.complete()
            else:  # freed in between
                receive.fail(DECODE)
