"""Real pynq on a virtual board, used as in a notebook: its own classes, without the agent, or with its fabric alone."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from virtual_bundles import BOARDS, PYNQ, in_pynq, real

USE = """
from codesign_board.virtual.device import install
from codesign_board.agent.fabric_pynq import _name_zynq_clocks
install(hardware)
import pynq
"""
LOAD = (
    USE
    + """
_name_zynq_clocks()
hardware.write(hardware.kind.clock, hardware.read(hardware.kind.clock) | 63 << 8)
if hardware.kind.arch == "aarch64":
    hardware.write(0xFD380000, 2)
overlay = pynq.Overlay(bit)
dma = overlay.dma
"""
)


@pytest.mark.parametrize("pynq", PYNQ)
@pytest.mark.parametrize("board", BOARDS)
def test_the_overlay_and_its_clock(tmp_path, board, pynq):
    """pynq finds what Vivado would have told it, sets the real divider from it, and goes on setting it when asked."""
    made = real(board)
    manifest = made.bundle.manifest
    program = (
        LOAD
        + """
shown = {name: [ip["type"], ip.get("phys_addr"), ip.get("addr_range")] for name, ip in overlay.ip_dict.items()}
clocks = [pynq.Clocks.fclk0_mhz, hardware.clock_hz]
for wanted in (50.0, 25.0):
    pynq.Clocks.fclk0_mhz = wanted
    clocks += [pynq.Clocks.fclk0_mhz, hardware.clock_hz]
magic = hex(overlay.accelerator.read(0))
drivers = [type(dma).__name__, type(overlay.accelerator).__name__, dma.buffer_max_size, magic]
width = hardware.read(0xFD380000) if hardware.kind.arch == "aarch64" else 0
print(json.dumps([shown, clocks, drivers, list(dma.register_map._instances), width]))
"""
    )
    shown, clocks, drivers, registers, width = in_pynq(pynq, board, made, program, folder=tmp_path)
    assert shown.pop("ps")[0].startswith("xilinx.com:ip:")
    assert shown == {
        "dma": ["xilinx.com:ip:axi_dma:7.1", manifest["addresses"]["dma"], 0x1_0000],
        "accelerator": ["xilinx.com:module_ref:cdg_accelerator_ip:1.0", manifest["addresses"]["accelerator"], 0x1_0000],
    }
    mhz = manifest["clock_mhz"]
    wanted = [mhz, mhz * 1e6, *(value * unit for value in (mhz / 2, mhz / 4) for unit in (1, 1e6))]
    assert clocks == pytest.approx(wanted, rel=1e-6)
    assert drivers == ["DMA", "DefaultIP", (1 << 26) - 1, "0x31474443"]
    assert {"MM2S_DMACR", "S2MM_LENGTH"} <= set(registers)
    assert width == 0, "pynq sets HP0 to 128 bits, which is what the overlay has"


@pytest.mark.parametrize("board", BOARDS)
def test_what_pynq_4_lacks_for_zynq(tmp_path, board):
    """It looks for the clock by the name that UltraScale+ has; the agent gives it the right one first."""
    program = (
        USE
        + """
try:
    pynq.Overlay(bit)
    print(json.dumps("loaded"))
except TypeError as error:
    print(json.dumps(str(error)))
"""
    )
    said = in_pynq("4.0.0", board, real(board), program, folder=tmp_path)
    assert said == ("unsupported operand type(s) for /: 'float' and 'NoneType'" if board == "pynq-z1" else "loaded")


@pytest.mark.parametrize("pynq", PYNQ)
def test_transfers_as_in_a_notebook(tmp_path, pynq):
    """pynq's own transfer and wait, with buffers whose content moves only when caches are synced."""
    made, count = real(), 300
    np.save(tmp_path / "words.npy", made.words(count))
    program = (
        LOAD
        + f"""
import numpy as np
words = np.load({str(tmp_path / "words.npy")!r})
overlay.accelerator.write({made.bundle.manifest["registers"]["bursts"]["offset"]}, 1)
sent = pynq.allocate(words.shape, "u8")
received = pynq.allocate((len(words), {made.format.output_words}), "u8")
sent[:] = words
stale = bytes(hardware.memory.read(sent.physical_address, 64)) == bytes(64)
dma.recvchannel.transfer(received)
dma.sendchannel.transfer(sent)
unseen = not received.any()
dma.sendchannel.wait()
dma.recvchannel.wait()
part = received[10:20]
places = [part.physical_address - received.physical_address, len(hardware.memory._starts)]
found = received.tolist()
for buffer in (sent, received):
    buffer.freebuffer()
print(json.dumps([found, stale, unseen, places, len(hardware.memory._starts), dma.recvchannel.transferred]))
"""
    )
    found, stale, unseen, places, left, size = in_pynq(pynq, "pynq-z1", made, program, folder=tmp_path)
    assert np.array_equal(made.format.decode(np.array(found, "<u8")), made.outputs(count))
    assert stale, "without a flush memory holds what it held"
    assert unseen, "without an invalidate the processor sees what it saw"
    assert (places, left) == ([80 * made.format.output_words, 2], 0)
    assert size == count * made.format.output_words * 8


@pytest.mark.parametrize("pynq", PYNQ)
def test_errors_of_the_dma_as_pynq_says_them(tmp_path, pynq):
    """And a transfer after each, once the agent's own reset has made everything ready."""
    made = real()
    np.save(tmp_path / "words.npy", made.words(4))
    program = (
        USE
        + f"""
import numpy as np
from pathlib import Path
from types import SimpleNamespace
from codesign_board.virtual.fabric import VirtualFabric
from codesign_board.agent.fabric import Places
fabric = VirtualFabric(hardware)
fabric.program(Path(bit), Places(0x40000000, 0x40010000), 100.0)
fabric.write({made.bundle.manifest["registers"]["bursts"]["offset"]}, 1)
dma, words = fabric._dma, np.load({str(tmp_path / "words.npy")!r})
sent, received = pynq.allocate(words.shape, "u8"), pynq.allocate(words.shape, "u8")
sent[:] = words
said = []
def attempt(channel, *transfers):
    for one, buffer, size in transfers:
        one.transfer(buffer, nbytes=size)
    try:
        channel.wait()
    except RuntimeError as error:  # it has halted by then
        said.append([str(error), channel.error, dma.mmio.read(channel._offset + 4) & 0x70])
    fabric.reset()
    fabric.write({made.bundle.manifest["registers"]["control"]["offset"]}, 2)
    fabric.write({made.bundle.manifest["registers"]["bursts"]["offset"]}, 1)
    dma.recvchannel.transfer(received)
    dma.sendchannel.transfer(sent)
    dma.recvchannel.wait()
    dma.sendchannel.wait()
    said.append(dma.recvchannel.transferred)
class Elsewhere(np.ndarray):
    physical_address = 0x1000
    flush = invalidate = lambda self: None
elsewhere = np.zeros(8, "u8").view(Elsewhere)
receive, send = dma.recvchannel, dma.sendchannel
attempt(receive, (receive, received, 8), (send, sent, 32))
attempt(send, (send, elsewhere, 32))
attempt(receive, (receive, elsewhere, 32))
for size in (1 << 26, 3):
    try:
        send.transfer(sent, start=0 if size > 3 else 3, nbytes=size)
    except (ValueError, RuntimeError) as error:
        said.append(str(error))
print(json.dumps(said))
"""
    )
    said = in_pynq(pynq, "pynq-z1", made, program, folder=tmp_path)
    size = 4 * made.format.output_words * 8
    assert said == [
        ["DMA channel not started", True, 0x10], size,
        ["DMA channel not started", True, 0x40], size,
        ["DMA channel not started", True, 0x40], size,
        "Transfer size is 67108864 bytes, which exceeds the maximum DMA buffer size 67108863.",
        "DMA does not support unaligned transfers; Starting address must be aligned to 8 bytes.",
    ]  # fmt: skip


def test_bad_frames_are_named_and_left_behind(tmp_path):
    """Through the agent's device: a packet that ends within a frame, and one longer than a frame where one is due."""
    made = real(word_bits=32)
    np.save(tmp_path / "words.npy", made.words(6))
    program = (
        USE
        + f"""
import numpy as np
from pathlib import Path
from codesign_board.virtual.fabric import VirtualFabric
from codesign_board.agent.device import Device
from codesign_board.agent.errors import AgentError
from codesign_board.agent.unpack import unpack
words = np.load({str(tmp_path / "words.npy")!r})
fabric = VirtualFabric(hardware)
device = Device.load(fabric, unpack(Path({str(tmp_path / "bundle.zip")!r}).read_bytes()), Path(bit))
said = []
def attempt(bursts, octets):
    device._write("bursts", bursts)
    try:
        fabric.transfer(octets.view("<u4"), 6 * device.output_words, 0.2)
    except AgentError as error:
        said.append([error.kind, str(error), device._read("errors")])
    device.reset()
    said.append(device.run(words).tolist())
attempt(1, words[:1, :-1].reshape(-1).copy())
attempt(0, words[:2].reshape(-1).copy())
attempt(0, words[:1, :-1].reshape(-1).copy())
print(json.dumps(said))
"""
    )
    said = in_pynq("3.1.2", "pynq-z1", made, program, folder=tmp_path)
    limit = ["timeout", "the DMA did not receive all within 0.2 s"]
    assert said[::2] == [[*limit, 1], [*limit, 2], [*limit, 1]]
    for found in said[1::2]:
        assert np.array_equal(made.format.decode(np.array(found, "<u4")), made.outputs(6))


@pytest.mark.parametrize("pynq", PYNQ)
@pytest.mark.parametrize("board", BOARDS)
def test_vivados_own_files_are_read_by_the_same_pynq(tmp_path, shared_data, board, pynq):
    """The base overlays of PYNQ 3.0.1: their parts are found, and their dividers give their clocks on our PLLs."""
    name = f"pynq3.0.1_{board.replace('-', '_')}_base.hwh.gz"
    path = shared_data / "vendor_reports" / name
    expected = json.loads((shared_data / "vendor_reports" / "expected.json").read_text())[name]
    made, other = real(board), tmp_path / "base"
    other.mkdir()
    (other / "base.hwh").write_bytes(gzip.decompress(path.read_bytes()))
    (other / "base.bit").write_bytes(made.bundle.files[f"{made.bundle.manifest['stem']}.bit"])
    program = (
        USE
        + f"""
base = pynq.Device.active_device.get_bitfile_metadata({str(other / "base.bit")!r})
types = [ip["type"].split(":")[2] for ip in base.ip_dict.values()]
memories = [name for name, memory in base.mem_dict.items() if "fullpath" in memory]
clocks = [hardware._pll_mhz() / (clock["divisor0"] * clock["divisor1"]) for clock in base.clock_dict.values()]
print(json.dumps([types, memories, clocks]))
"""
    )
    types, memories, clocks = in_pynq(pynq, board, made, program, folder=tmp_path)
    counted = [types.count(kind) for kind in ("axi_dma", "axi_vdma")]
    assert counted == [expected["axi_dma"], expected["axi_vdma"]]
    assert len(types) + len(memories) == expected["memranges_ps"] + 1, "and the processing system"
    assert clocks == pytest.approx([expected[f"clk{index}_mhz"] for index in range(4)], rel=1e-5)
