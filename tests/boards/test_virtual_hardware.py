"""The virtual board's own parts, without pynq: registers of the DMA against PG021, memory, clocks, and the real RTL."""

from __future__ import annotations

import re

import numpy as np
import pytest
from virtual_bundles import real

from boards.catalogue import load_board
from boards.virtual import dma
from boards.virtual.core import Core
from boards.virtual.dma import (
    ADDRESS,
    ADDRESS_HIGH,
    AFTER_RESET,
    COMPLETE,
    CONTROL,
    DECODE,
    ERROR,
    HALTED,
    IDLE,
    INTERNAL,
    LENGTH,
    RECEIVE,
    RESET,
    RUN,
    SEND,
    STATUS,
    Dma,
)
from boards.virtual.hardware import Hardware
from boards.virtual.memory import BASE, PAGE, Memory
from codesign.deployment.virtual_board import simulated_fabric

DMA, ACCELERATOR = 0x4000_0000, 0x4001_0000
ROOM = 1 << 16


class Board:
    """A board with the accelerator of ``made``, a buffer each way, and both channels running."""

    def __init__(self, made, board="pynq-z1", **values):
        ps = load_board(board).ps
        self.made = made
        self.registers = {name: r["offset"] for name, r in made.bundle.manifest["registers"].items()}
        self.hardware = Hardware(
            str(simulated_fabric(made.bundle, lambda _: None)),
            **{"board": board, "kind": ps.kind, "reference_mhz": ps.reference_mhz, "pll_mhz": ps.pll_mhz},
            **{"ddr_mib": ps.ddr_mib, "clock_scale": 1.0, **values},
        )
        self.hardware.program(DMA, ACCELERATOR, length_bits=26, memory_bytes=made.format.word_bits // 8)
        self.sent, self.received = (self.hardware.memory.allocate(ROOM) for _ in range(2))
        self.run()

    def run(self):
        for side in (SEND, RECEIVE):
            self.write(side + CONTROL, RUN)

    def read(self, offset):
        return self.hardware.read(DMA + offset)

    def write(self, offset, value):
        self.hardware.write(DMA + offset, value)

    def of(self, name, value=None):
        """A register of the accelerator, read or written."""
        if value is not None:
            return self.hardware.write(ACCELERATOR + self.registers[name], value)
        return self.hardware.read(ACCELERATOR + self.registers[name])

    def receive(self, size, address=None):
        self.write(RECEIVE + ADDRESS, self.received if address is None else address)
        self.write(RECEIVE + LENGTH, size)

    def send(self, octets, address=None):
        if address is None:
            self.hardware.memory.write(self.sent, octets)
        self.write(SEND + ADDRESS, self.sent if address is None else address)
        self.write(SEND + LENGTH, len(octets))

    def result(self):
        """Integers of what was received."""
        words = np.frombuffer(self.hardware.memory.read(self.received, self.read(RECEIVE + LENGTH)), self.dtype)
        return self.made.format.decode(words.reshape(-1, self.made.format.output_words))

    @property
    def dtype(self):
        return f"<u{self.made.format.word_bits // 8}"

    def packet(self, count, seed=3):
        return self.made.words(count, seed).tobytes()

    def room(self, count):
        return count * self.made.format.output_words * self.made.format.word_bits // 8


@pytest.fixture(params=[64, 32])
def board(request):
    return Board(real(word_bits=request.param))


@pytest.fixture
def wide():
    return Board(real(word_bits=64))


def good(board, count=20):
    """Frames go through, and the registers say so."""
    board.of("bursts", 1)
    board.receive(board.room(count) + 64)
    board.send(board.packet(count))
    assert np.array_equal(board.result(), board.made.outputs(count))
    assert (board.read(SEND + STATUS), board.read(RECEIVE + STATUS)) == (IDLE | COMPLETE,) * 2


def test_after_reset(board):
    board.write(SEND + CONTROL, RESET)
    for side in (SEND, RECEIVE):
        assert board.read(side + CONTROL) == AFTER_RESET
        assert board.read(side + STATUS) == HALTED
        assert board.read(side + LENGTH) == 0


def test_running_is_not_idle_until_something_was_transferred(board):
    """Which is why pynq takes its first transfer for granted."""
    assert board.read(SEND + STATUS) == board.read(RECEIVE + STATUS) == 0
    assert board.read(SEND + CONTROL) == AFTER_RESET | RUN
    board.write(SEND + CONTROL, 0)
    assert board.read(SEND + STATUS) == HALTED


def test_frames_go_through(board):
    good(board)
    good(board, 1)
    board.write(SEND + STATUS, 0xFFFF_FFFF)
    assert board.read(SEND + STATUS) == IDLE, "only interrupts are cleared by writing"
    assert board.read(RECEIVE + LENGTH) == board.room(1), "what was received, not what there was room for"


def test_either_direction_may_begin(board):
    board.of("bursts", 1)
    board.send(board.packet(3))
    assert not board.read(RECEIVE + STATUS) & COMPLETE
    board.receive(board.room(3))
    assert board.read(RECEIVE + STATUS) == IDLE | COMPLETE
    assert np.array_equal(board.result(), board.made.outputs(3))


def test_a_packet_waits_while_nobody_receives(board):
    """More than the accelerator can hold: it stays offered until there is a buffer, and nothing is lost."""
    count = 200
    good(board)
    board.of("control", 1)
    board.of("bursts", 1)
    board.send(board.packet(count))
    assert not board.read(SEND + STATUS) & IDLE
    board.write(SEND + LENGTH, 8)
    assert board.read(SEND + LENGTH) == len(board.packet(count)), "a second transfer does not begin"
    board.of("control", 4)
    assert board.of("frames_out") == 0
    assert board.of("stalls") > 0
    board.receive(board.room(count))
    assert board.read(RECEIVE + STATUS) == IDLE | COMPLETE
    assert board.read(SEND + STATUS) == IDLE | COMPLETE
    assert np.array_equal(board.result(), board.made.outputs(count))


def test_long_silences_take_more_than_one_look(board, monkeypatch):
    """A network may think for longer than the board lets pass at once."""
    monkeypatch.setattr(dma, "_QUIET_CYCLES", 2)
    board.of("bursts", 1)
    board.receive(board.room(1))
    board.send(board.packet(1))
    looks = 0
    while not board.read(RECEIVE + STATUS) & IDLE:
        looks += 1
    assert 0 < looks < 100
    assert np.array_equal(board.result(), board.made.outputs(1))


def test_nothing_happens_to_a_halted_channel(board):
    board.write(SEND + CONTROL, RESET)
    board.receive(board.room(1))
    board.send(board.packet(1))
    assert [board.read(side + STATUS) for side in (SEND, RECEIVE)] == [HALTED] * 2
    assert board.read(SEND + LENGTH) == 0


def test_addresses_have_64_bits_and_lengths_26(board):
    board.write(SEND + ADDRESS_HIGH, 0x12)
    board.write(SEND + ADDRESS, 0x3456_7890)
    assert (board.read(SEND + ADDRESS_HIGH), board.read(SEND + ADDRESS)) == (0x12, 0x3456_7890)
    board.write(SEND + LENGTH, 0xFFFF_FFFF)
    assert board.read(SEND + LENGTH) == (1 << 26) - 1
    assert board.read(SEND + STATUS) & DECODE


@pytest.mark.parametrize(
    ("fault", "side", "bit"),
    [
        (lambda b: b.send(b""), SEND, INTERNAL),
        (lambda b: b.write(RECEIVE + LENGTH, 0), RECEIVE, INTERNAL),
        (lambda b: b.send(b"12345678", address=BASE - PAGE), SEND, DECODE),
        (lambda b: b.send(b"12345678", address=b.sent + ROOM - 4), SEND, INTERNAL),
        (lambda b: b.send(b"12345678" * 2, address=b.sent + ROOM - 8), SEND, DECODE),
        (lambda b: b.receive(64, address=0), RECEIVE, DECODE),
        (lambda b: (b.receive(b.room(3) - 4), b.of("bursts", 1), b.send(b.packet(3))), RECEIVE, INTERNAL),
        (lambda b: (b.receive(b.room(2)), b.of("bursts", 1), b.send(b.packet(3))), RECEIVE, INTERNAL),
    ],
    ids=["send nothing", "receive nothing", "no memory", "unaligned", "past the end", "no buffer", "short", "shorter"],
)
def test_errors_halt_the_channel_until_a_reset(wide, fault, side, bit):
    fault(wide)
    assert wide.read(side + STATUS) == HALTED | bit | ERROR
    assert not wide.read(side + CONTROL) & RUN
    wide.run()
    assert wide.read(side + STATUS) & HALTED, "not without a reset"
    wide.write(SEND + CONTROL, RESET)
    wide.of("control", 2)
    wide.run()
    good(wide)


def test_without_a_result_the_receiver_never_ends():
    """The packet ends within its frame, which is dropped: no TLAST comes back, however often one looks."""
    board = Board(real(word_bits=32))
    board.of("bursts", 1)
    board.receive(board.room(2))
    board.send(board.packet(1)[:-4])
    cycles = board.hardware._core.cycles
    for _ in range(5):
        assert board.read(RECEIVE + STATUS) == 0
    assert board.hardware._core.cycles > cycles, "looking takes time"
    assert board.of("errors") == 1
    board.write(SEND + CONTROL, RESET)
    board.of("control", 2)
    board.of("errors", 7)
    board.run()
    good(board)


def test_a_frame_too_long_is_dropped_up_to_tlast(wide):
    wide.receive(wide.room(4))
    wide.send(wide.packet(2))  # without bursts a packet is one frame
    assert wide.of("errors") == 2
    assert not wide.read(RECEIVE + STATUS) & IDLE
    wide.send(wide.packet(1))
    assert wide.read(RECEIVE + STATUS) == IDLE | COMPLETE
    assert np.array_equal(wide.result(), wide.made.outputs(1))


def test_a_dma_reset_in_mid_packet_leaves_the_rest_to_the_accelerator(wide):
    wide.of("bursts", 1)
    wide.send(wide.packet(200))
    wide.write(SEND + CONTROL, RESET)
    assert wide.of("status") & 2, "frames are inside"
    wide.of("control", 2)
    assert wide.of("status") == 0
    wide.run()
    good(wide)


def test_registers_that_are_not_there(wide):
    with pytest.raises(OSError, match=r"^the accelerator answers with SLVERR at its register 0x3c$"):
        wide.hardware.read(ACCELERATOR + 0x3C)
    with pytest.raises(OSError, match=r"^nothing is at address 0x40020000 of this virtual board$"):
        wide.hardware.read(0x4002_0000)
    with pytest.raises(OSError, match=r"^nothing is at address 0x0 of this virtual board$"):
        wide.hardware.write(0, 1)
    assert wide.read(0x2C) == 0


def test_time_is_cycles_over_the_clock_as_it_was(wide):
    hardware, clock = wide.hardware, 0xF800_0170
    assert hardware.clock_hz == 100e6
    before, began = hardware.seconds(), wide.of("cycles_low")
    assert before > 0
    good(wide)
    wide.of("control", 4)
    mark = hardware.seconds()
    hardware.write(clock, 1 << 20 | 20 << 8)
    assert (hardware.clock_hz, hardware.seconds()) == (50e6, pytest.approx(mark))
    count = hardware._core.cycles
    wide.of("control")
    assert hardware.seconds() - mark == pytest.approx((hardware._core.cycles - count) / 50e6)
    hardware.program(DMA, ACCELERATOR, length_bits=26, memory_bytes=8)
    assert hardware.seconds() > mark, "programming does not turn the clock back"
    assert began == 0


@pytest.mark.parametrize(("board", "mhz"), [("pynq-z1", 100.0), ("zcu104", 99.999)])
def test_the_clock_after_booting(board, mhz):
    made = Board(real(), board, clock_scale=0.5)
    assert made.hardware.clock_hz == pytest.approx(mhz * 1e6 / 2)


def test_memory_is_given_once_and_given_back():
    memory = Memory(BASE + 10 * PAGE)
    first, second = memory.allocate(1), memory.allocate(PAGE + 1)
    assert (first, second) == (BASE, BASE + PAGE)
    third = memory.allocate(7 * PAGE)
    with pytest.raises(MemoryError, match="^4096 bytes of contiguous memory are not to be had on this virtual board$"):
        memory.allocate(PAGE)
    memory.free(second)
    assert memory.allocate(2 * PAGE) == second
    memory.free(third)
    assert memory.write(first, b"x")
    assert memory.read(first, 1) == b"x"
    assert memory.read(first, 2) is None
    assert not memory.write(third, b"x")


class Silent:
    """Streams on which nothing moves."""

    word_bytes, sending, received = 4, True, 0

    def __getattr__(self, name):
        return lambda *_: b""


def test_stopping_waits_for_the_end_of_the_transfer():
    """As PG021 says; pynq's ``stop`` then waits too, for ever."""
    memory = Memory(1 << 30)
    registers, address = Dma(memory, Silent(), length_bits=14, memory_bytes=4), memory.allocate(64)
    registers.write(CONTROL, RUN)
    registers.write(ADDRESS, address)
    registers.write(LENGTH, 64)
    registers.write(CONTROL, 0)
    assert registers.read(STATUS) == 0


def test_a_library_that_is_none(tmp_path):
    (tmp_path / "x.so").write_bytes(b"no library")
    with pytest.raises(OSError, match=re.escape(str(tmp_path))):
        Core(tmp_path / "x.so")
