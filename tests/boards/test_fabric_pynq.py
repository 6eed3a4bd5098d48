"""The fabric on pynq, with a stand-in for pynq that knows the registers of an AXI DMA: limits, order, and messages.

It shows what our side does when the other side answers, stays silent or fails. It cannot show what pynq, the DMA or any
silicon really do.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest

from boards.agent import fabric_pynq
from boards.agent.errors import AgentError
from boards.agent.fabric import Places
from boards.agent.fabric_pynq import PynqFabric

PLACES = Places(0x4000_0000, 0x4001_0000)
BIT = Path("/agent/cdg_0.bit")


class Buffer(np.ndarray):
    freed = 0

    def invalidate(self):
        pass

    def freebuffer(self):
        Buffer.freed += 1


class Registers:
    """Of the DMA. ``mode``: works, silent (nothing arrives), stuck (nothing leaves), fault, or no reset."""

    base_addr = PLACES.dma

    def __init__(self, mode):
        self.mode, self.values, self.buffers, self.resets = mode, {0x04: 1, 0x34: 1}, {}, 0

    def read(self, offset):
        return self.values.get(offset, 0)

    def write(self, offset, value):
        if offset == 0 and value & 4:
            self.resets += 1
            self.values = {0x00: 4 if self.mode == "no reset" else 0, 0x04: 1, 0x34: 1}
        elif offset in (0, 0x30) and value & 1:
            self.values[offset + 4] = 0

    def go(self, offset, array, nbytes):
        self.buffers[offset] = (array, nbytes)
        if set(self.buffers) != {0, 0x30} or self.mode == "stuck":
            return
        self.values[0x04] |= 2
        if self.mode == "fault":
            self.values[0x34] |= 0x41
        elif self.mode != "silent":
            into, size = self.buffers[0x30]
            into[: size // 4] = self.buffers[0][0][: size // 4] + 1
            self.values[0x34] |= 2
            self.values[0x58] = size
        self.buffers = {}


class Channel:
    def __init__(self, registers, offset):
        self.registers, self.offset = registers, offset

    idle = property(lambda self: bool(self.registers.read(self.offset + 4) & 2))
    error = property(lambda self: bool(self.registers.read(self.offset + 4) & 0x70))

    def start(self):
        assert not self.registers.read(self.offset + 4) & 1, "pynq would wait for ever"

    def transfer(self, array, nbytes):
        self.registers.go(self.offset, array, nbytes)

    def wait(self):
        raise AssertionError("pynq would wait for ever")


class Clocks:
    def __init__(self, mhz, sticks=False):
        self._mhz, self._sticks = mhz, sticks

    @property
    def fclk0_mhz(self):
        return self._mhz

    @fclk0_mhz.setter
    def fclk0_mhz(self, wanted):
        self._mhz = self._mhz if self._sticks else wanted


@pytest.fixture
def pynq(monkeypatch):
    """A module of that name; ``mode`` is set before an overlay is loaded."""
    fake = types.ModuleType("pynq")
    fake.mode, fake.Clocks, fake.loaded = "works", Clocks(100.0), []

    def overlay(name):
        fake.loaded.append(name)
        registers = Registers(fake.mode)
        dma = types.SimpleNamespace(
            mmio=registers, sendchannel=Channel(registers, 0), recvchannel=Channel(registers, 0x30)
        )
        return types.SimpleNamespace(dma=dma)

    fake.Overlay = overlay
    fake.MMIO = lambda base, length: types.SimpleNamespace(base=base, length=length)
    fake.allocate = lambda shape, dtype: np.zeros(shape, dtype).view(Buffer)
    fake.get_rails = dict
    monkeypatch.setitem(sys.modules, "pynq", fake)
    fake.versions = {"pynq": "3.1.2", "pycparser": "2.22", "numpy": "1.26.4"}
    monkeypatch.setattr(fabric_pynq, "_version", fake.versions.get)
    monkeypatch.setattr(fabric_pynq, "RESET_SECONDS", 0.05)
    monkeypatch.setattr(fabric_pynq, "FIRMWARE", BIT.with_name("no such folder"))
    monkeypatch.setattr(Buffer, "freed", 0)
    return fake


def loaded(clock=100.0):
    fabric = PynqFabric()
    assert fabric.program(BIT, PLACES, clock) == clock
    fabric.allocate(64, 64)
    return fabric


def test_words_go_through_and_buffers_are_freed(pynq):
    fabric = loaded()
    words = np.arange(10, dtype=np.uint32)
    found = fabric.transfer(words, 6, 1.0)
    assert type(found) is np.ndarray
    assert found.tolist() == [1, 2, 3, 4, 5, 6]
    assert fabric.transfer(words, 10, 1.0).tolist() == list(range(1, 11))
    assert pynq.loaded == [str(BIT)]
    fabric.allocate(8, 8)
    assert Buffer.freed == 2
    fabric.close()
    assert Buffer.freed == 4
    fabric.close()


@pytest.mark.parametrize(
    ("mode", "kind", "said"),
    [
        ("silent", "timeout", "the DMA did not receive all within 0.1 s"),
        ("stuck", "timeout", "the DMA did not send all within 0.1 s"),
        ("fault", "hardware", "the DMA reports an error when it is to receive: decode (invalid address)"),
    ],
)
def test_every_wait_ends(pynq, mode, kind, said):
    pynq.mode = mode
    fabric = loaded()
    with pytest.raises(AgentError) as caught:
        fabric.transfer(np.zeros(4, np.uint32), 4, 0.1)
    assert (caught.value.kind, str(caught.value)) == (kind, said)
    fabric.reset()
    fabric._dma.mmio.mode = "works"
    assert fabric.transfer(np.zeros(4, np.uint32), 4, 0.1).tolist() == [1] * 4


def test_a_dma_that_stays_in_reset(pynq):
    pynq.mode = "no reset"
    with pytest.raises(AgentError, match=r"^the DMA does not come out of its reset; power-cycle the board$"):
        PynqFabric().program(BIT, PLACES, 100.0)


def test_buffers_that_the_dma_may_still_write_to_are_not_freed(pynq, monkeypatch):
    monkeypatch.setattr(fabric_pynq, "_LOST", [])
    fabric = loaded()
    fabric._dma.mmio.mode = "no reset"
    fabric.close()
    assert Buffer.freed == 0
    assert len(fabric_pynq._LOST) == 1


def test_the_clock_is_set_where_pynq_did_not(pynq):
    pynq.Clocks = Clocks(50.0)
    loaded(100.0)
    assert pynq.Clocks.fclk0_mhz == 100.0
    pynq.Clocks = Clocks(62.5, sticks=True)
    with pytest.raises(AgentError, match=r"^the fabric clock is 62.5 MHz, not 100; reboot the board$"):
        PynqFabric().program(BIT, PLACES, 100.0)


def test_a_dma_elsewhere_than_the_bundle_says(pynq):
    with pytest.raises(
        AgentError, match=r"^the .hwh has its DMA at 0x40000000, the bundle at 0x40020000; build it again$"
    ):
        PynqFabric().program(BIT, Places(0x4002_0000, 0x4001_0000), 100.0)


@pytest.mark.parametrize(
    ("versions", "error", "said"),
    [
        (
            {"pycparser": "3.0"},
            ModuleNotFoundError("No module named 'pycparser.ply'"),
            "pycparser 3.0 is installed, and pynq 3 reads .hwh files with 2.x only: pip install 'pycparser<3'",
        ),
        ({"pynq": "4.0.0", "pycparser": "3.0"}, RuntimeError("something else"), "something else; pynq 4.0.0"),
        ({}, PermissionError(13, "Permission denied"), "overlays need root: start the agent through sudo -n"),
        ({}, RuntimeError("No Devices Found"), "RuntimeError: No Devices Found; pynq 3.1.2"),
    ],
)
def test_what_pynq_fails_at_is_said_with_its_cause(pynq, versions, error, said):
    pynq.versions.update(versions)

    def overlay(_):
        raise error

    pynq.Overlay = overlay
    with pytest.raises(AgentError) as caught:
        PynqFabric().program(BIT, PLACES, 100.0)
    assert caught.value.kind == "environment"
    assert str(caught.value).startswith("pynq did not load the bitstream: ")
    assert str(caught.value).endswith(said)


def test_without_pynq(pynq):
    pynq.versions["pynq"] = None
    with pytest.raises(AgentError, match=r"^this Python \(3.* has no pynq; on a PYNQ board use the image's own"):
        PynqFabric().program(BIT, PLACES, 100.0)


def test_the_clock_of_zynq_has_its_name_in_pynq_4(pynq, monkeypatch):
    """As pynqmetadata 0.2.0 has it: the method of UltraScale+ is inherited. A later release's own is left alone."""

    class Base:
        def clk_freq_param_name(self, clock):
            return f"PSU__CRL_APB__PL{clock}_REF_CTRL__ACT_FREQMHZ"

    class Zynq(Base):
        pass

    class Mended(Base):
        def clk_freq_param_name(self, clock):
            return f"mended {clock}"

    for core, said in ((Zynq, "PCW_ACT_FPGA2_PERIPHERAL_FREQMHZ"), (Mended, "mended 2")):
        models = types.ModuleType("pynqmetadata.models.zynq_proc_sys_core")
        models.ZynqProcSysCore = core
        monkeypatch.setitem(sys.modules, models.__name__, models)
        loaded()
        assert core().clk_freq_param_name(2) == said


def test_rails_with_power_or_with_both_of_its_factors(pynq):
    def sensor(value):
        return types.SimpleNamespace(value=value)

    def rail(**given):
        return types.SimpleNamespace(**{"power": None, "voltage": None, "current": None, **given})

    rails = {
        "A": rail(power=sensor(1.5)),
        "B": rail(voltage=sensor(2.0), current=sensor(0.5)),
        "C": rail(voltage=sensor(1)),
        "D": rail(power=sensor(float("nan"))),
    }
    assert loaded().power() == {}
    asked = []
    pynq.get_rails = lambda: asked.append(1) or rails
    fabric = loaded()
    assert fabric.power() == {"A": (1.5,), "B": (2.0, 0.5)}
    rails["A"].power.value = 2.5
    assert fabric.power()["A"] == (2.5,)
    assert len(asked) == 1, "each call sets up libsensors anew"


def test_sensors_that_pynq_cannot_read(pynq):
    def get_rails():
        raise OSError("no libsensors")

    pynq.get_rails = get_rails
    with pytest.raises(AgentError, match=r"^pynq did not read the power sensors: OSError: no libsensors; pynq 3.1.2$"):
        loaded().power()


def test_the_boards_name_is_the_device_trees(monkeypatch, tmp_path):
    monkeypatch.setattr(fabric_pynq, "BOARD", tmp_path / "pynq_board")
    assert PynqFabric().board() is None
    (tmp_path / "pynq_board").write_bytes(b"Pynq-Z1\0")
    assert PynqFabric().board() == "Pynq-Z1"


def test_bitstreams_that_pynq_left_are_removed(pynq, tmp_path, monkeypatch):
    monkeypatch.setattr(fabric_pynq, "FIRMWARE", tmp_path)
    for name in ("cdg_0123.bin", "base.bin"):
        (tmp_path / name).write_bytes(b"x")
    loaded()
    assert [path.name for path in tmp_path.iterdir()] == ["base.bin"]
