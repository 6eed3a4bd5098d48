"""The .hwh without Vivado and the .bit without a bitstream; pynq itself reads them in test_virtual_pynq.py."""

from __future__ import annotations

import gzip
import struct
from xml.etree import ElementTree as Xml

import pytest
from overlays import core, for_board

from boards.bit import placeholder
from boards.catalogue import load_board
from boards.hwh import handoff
from boards.vivado import dma_properties


def read(board, word_bits=64, clock_mhz=100.0):
    made, part = for_board(board, word_bits, clock_mhz)
    text = handoff(made, core(word_bits), part, load_board(board).ps)
    return made, Xml.fromstring(text)


def module(root, name):
    return next(found for found in root.iter("MODULE") if found.get("INSTANCE") == name)


def parameters(found):
    return {item.get("NAME"): item.get("VALUE") for item in found.iter("PARAMETER")}


@pytest.mark.parametrize("board", ["pynq-z1", "pynq-z2", "zcu104"])
def test_addresses_are_the_overlays(board):
    made, root = read(board)
    ranges = {item.get("INSTANCE"): item for item in module(root, "ps").iter("MEMRANGE")}
    assert set(ranges) == {"dma", "accelerator"}
    for name, first in (("dma", made.dma), ("accelerator", made.accelerator)):
        assert int(ranges[name].get("BASEVALUE"), 16) == first
        assert int(ranges[name].get("HIGHVALUE"), 16) == first + 0xFFFF
    memory = [(item.get("MASTERBUSINTERFACE"), item.get("INSTANCE")) for item in module(root, "dma").iter("MEMRANGE")]
    assert memory == [("M_AXI_MM2S", "ps"), ("M_AXI_S2MM", "ps")]


@pytest.mark.parametrize("word_bits", [32, 64])
def test_the_dma_is_as_the_script_sets_it(word_bits):
    _, root = read("zcu104", word_bits)
    found = parameters(module(root, "dma"))
    assert dma_properties(word_bits).items() <= found.items()
    assert found["c_include_sg"] == found["C_INCLUDE_SG"] == found["c_micro_dma"] == "0"


@pytest.mark.parametrize(
    ("board", "clock_mhz"), [("pynq-z1", 100), ("pynq-z1", 13.7), ("zcu104", 100), ("zcu104", 0.5)]
)
def test_the_dividers_make_the_clock(board, clock_mhz):
    made, root = read(board, clock_mhz=clock_mhz)
    found, zynq = parameters(module(root, "ps")), board == "pynq-z1"
    dividers = "PCW_FCLK0_PERIPHERAL_DIVISOR" if zynq else "PSU__CRL_APB__PL0_REF_CTRL__DIVISOR"
    first, second = (int(found[f"{dividers}{index}"]) for index in range(2))
    assert 1 <= min(first, second) <= max(first, second) <= 63
    assert first * second == made.clock.divisor
    actual = "PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ" if zynq else "PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ"
    assert float(found[actual]) == pytest.approx(made.clock.mhz, abs=1e-6)
    enables = "PCW_FPGA_FCLK{}_ENABLE" if zynq else "PSU__FPGA_PL{}_ENABLE"
    assert [found[enables.format(index)] for index in range(4)] == ["1", "0", "0", "0"]


def test_the_device_is_named_as_vivado_does():
    shown = {board: read(board)[1].find("SYSTEMINFO").attrib for board in ("pynq-z1", "zcu104")}
    assert shown["pynq-z1"] == {
        "ARCH": "zynq", "DEVICE": "7z020", "PACKAGE": "clg400", "SPEEDGRADE": "-1", "NAME": "cdg_overlay",
    }  # fmt: skip
    assert shown["zcu104"] == {
        "ARCH": "zynquplus", "DEVICE": "xczu7ev", "PACKAGE": "ffvc1156", "SPEEDGRADE": "-2", "NAME": "cdg_overlay",
    }  # fmt: skip


def test_the_same_overlay_gives_the_same_text():
    texts = set()
    for _ in range(2):
        made, part = for_board("zcu104")
        texts.add(handoff(made, core(), part, load_board("zcu104").ps))
    assert len(texts) == 1


def test_it_has_no_names_that_vivado_does_not_write(shared_data):
    """Attributes, and parameters of processing systems and DMA, against PYNQ's own base overlays."""
    theirs = {}
    for name in ("pynq_z1", "zcu104"):
        path = shared_data / "vendor_reports" / f"pynq3.0.1_{name}_base.hwh.gz"
        theirs[name.replace("_", "-")] = Xml.fromstring(gzip.decompress(path.read_bytes()))
    names = {element.tag: set() for root in theirs.values() for element in root.iter()}
    for root in theirs.values():
        for element in root.iter():
            names[element.tag] |= set(element.attrib)
    dma = next(found for found in theirs["pynq-z1"].iter("MODULE") if found.get("MODTYPE") == "axi_dma")
    for board, root in theirs.items():
        ours = read(board)[1]
        for element in ours.iter():
            assert set(element.attrib) <= names[element.tag], element.tag
        kind = module(ours, "ps").get("MODTYPE")
        ps = next(found for found in root.iter("MODULE") if found.get("MODTYPE") == kind)
        assert module(ours, "ps").get("VLNV") == ps.get("VLNV")
        assert set(parameters(module(ours, "ps"))) <= set(parameters(ps))
        assert set(parameters(module(ours, "dma"))) <= set(parameters(dma))
        registers = {item.get("NAME") for item in dma.iter("REGISTER")}
        assert {item.get("NAME") for item in module(ours, "dma").iter("REGISTER")} <= registers


def test_the_placeholders_header_is_that_of_a_bit():
    """Fields as Vivado writes them: a preamble, a to d with texts, then e with the length of what follows."""
    content = placeholder("design", "xc7z020clg400-1", b"what it is for")
    assert content == placeholder("design", "xc7z020clg400-1", b"what it is for")
    at, fields = 2 + struct.unpack_from(">H", content)[0] + 2, {}
    while content[at : at + 1] != b"e":
        size = struct.unpack_from(">H", content, at + 1)[0]
        fields[content[at : at + 1]] = content[at + 3 : at + 3 + size]
        at += 3 + size
    assert fields[b"a"].startswith(b"design;")
    assert fields[b"b"] == b"xc7z020clg400-1\0"
    assert set(fields) == {b"a", b"b", b"c", b"d"}
    size = struct.unpack_from(">I", content, at + 1)[0]
    assert content[at + 5 :] == b"what it is for\0\0"
    assert (size, size % 4) == (16, 0)
