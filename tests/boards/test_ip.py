"""The packaged IP: component.xml is well formed and agrees with the files beside it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from overlays import WRAPPER, core

from boards.interfaces import interfaces
from boards.ip import COMPONENT, SPIRIT, package

REGISTERS = {
    "magic": {"offset": 0, "access": "ro", "meaning": "the bytes CDG1 <&>", "bits": {}},
    "errors": {
        "offset": 0x48,
        "access": "w1c",
        "meaning": "write 1 to clear",
        "bits": {"short_frame": 0, "overflow": 2},
    },
}
NS = {"s": SPIRIT, "x": "http://www.xilinx.com"}


@pytest.fixture(scope="module")
def files():
    return package(core(), "cdg_accelerator_12345678", REGISTERS, "A network")


@pytest.fixture(scope="module")
def component(files):
    return ET.fromstring(files[COMPONENT])


def text(element, path):
    return element.findtext(path, namespaces=NS)


def test_identity_and_order(component):
    assert [text(component, f"s:{key}") for key in ("vendor", "library", "name", "version")] == [
        *("codesign", "ip", "cdg_accelerator_12345678", "1.0")
    ]
    # the order that the schema wants
    assert [child.tag.split("}")[1] for child in component] == [
        *("vendor", "library", "name", "version", "busInterfaces", "memoryMaps", "model", "fileSets", "description"),
        *("parameters", "vendorExtensions"),
    ]


def test_every_file_is_there_and_every_source_is_named(files, component):
    for group in component.iterfind("s:fileSets/s:fileSet", NS):
        named = {text(file, "s:name"): text(file, "s:fileType") for file in group.iterfind("s:file", NS)}
        assert set(named) == set(files) - {COMPONENT}
        assert named[f"src/{WRAPPER}.v"] == "verilogSource"
        assert named["src/cdg_accelerator.sv"] == "systemVerilogSource"
    assert "src/notes.txt" not in files


def test_views_refer_to_file_sets_and_the_module(files, component):
    sets = {text(group, "s:name") for group in component.iterfind("s:fileSets/s:fileSet", NS)}
    views = component.findall("s:model/s:views/s:view", NS)
    assert len(views) == len(sets) == 2
    for view in views:
        assert text(view, "s:fileSetRef/s:localName") in sets
        assert f"module {text(view, 's:modelName')} (" in files[f"src/{WRAPPER}.v"]


def test_ports_are_those_of_the_module(files, component):
    declared = {}
    for direction, high, name in re.findall(r"(input|output) wire (?:\[(\d+):0\] )?(\w+)", files[f"src/{WRAPPER}.v"]):
        declared[name] = (direction.removesuffix("put"), int(high or 0))
    found = {}
    for port in component.iterfind("s:model/s:ports/s:port", NS):
        wire = port.find("s:wire", NS)
        found[text(port, "s:name")] = (text(wire, "s:direction"), int(text(wire, "s:vector/s:left") or 0))
    assert found == declared
    assert len(found) > 25


def buses(component):
    return {text(bus, "s:name"): bus for bus in component.iterfind("s:busInterfaces/s:busInterface", NS)}


@pytest.mark.parametrize(
    ("name", "kind", "mode", "signals"),
    [
        ("S_AXIS", "axis", "slave", {"TDATA", "TKEEP", "TLAST", "TVALID", "TREADY"}),
        ("M_AXIS", "axis", "master", {"TDATA", "TKEEP", "TLAST", "TVALID", "TREADY"}),
        ("aclk", "clock", "slave", {"CLK"}),
        ("aresetn", "reset", "slave", {"RST"}),
    ],
)
def test_interfaces(component, name, kind, mode, signals):
    bus = buses(component)[name]
    spirit = f"{{{SPIRIT}}}"
    assert bus.find("s:busType", NS).get(f"{spirit}name") == kind
    assert bus.find("s:abstractionType", NS).get(f"{spirit}name") == f"{kind}_rtl"
    assert bus.find(f"s:{mode}", NS) is not None
    maps = bus.findall("s:portMaps/s:portMap", NS)
    assert {text(item, "s:logicalPort/s:name") for item in maps} == signals
    ports = {text(port, "s:name") for port in component.iterfind("s:model/s:ports/s:port", NS)}
    assert {text(item, "s:physicalPort/s:name") for item in maps} <= ports


def parameters(bus):
    return {text(item, "s:name"): text(item, "s:value") for item in bus.iterfind("s:parameters/s:parameter", NS)}


def test_every_port_is_in_one_interface(component):
    mapped = [text(item, "s:name") for item in component.iterfind(".//s:physicalPort", NS)]
    ports = [text(port, "s:name") for port in component.iterfind("s:model/s:ports/s:port", NS)]
    assert sorted(mapped) == sorted(ports)


def test_clock_and_reset_belong_to_the_interfaces(component):
    found = buses(component)
    clock = parameters(found["aclk"])
    assert set(clock["ASSOCIATED_BUSIF"].split(":")) == {name for name in found if name.isupper()}
    assert clock["ASSOCIATED_RESET"] in found
    assert parameters(found["aresetn"]) == {"POLARITY": "ACTIVE_LOW"}


def test_the_memory_map(component):
    reference = buses(component)["S_AXI"].find("s:slave/s:memoryMapRef", NS).get(f"{{{SPIRIT}}}memoryMapRef")
    (memory,) = component.findall("s:memoryMaps/s:memoryMap", NS)
    assert text(memory, "s:name") == reference
    block = memory.find("s:addressBlock", NS)
    assert (text(block, "s:range"), text(block, "s:width")) == ("65536", "32")
    found = {text(item, "s:name"): item for item in block.iterfind("s:register", NS)}
    assert list(found) == list(REGISTERS)
    assert text(found["magic"], "s:description") == "the bytes CDG1 <&>"
    assert (text(found["errors"], "s:addressOffset"), text(found["errors"], "s:access")) == ("0x48", "read-write")
    fields = {text(item, "s:name"): text(item, "s:bitOffset") for item in found["errors"].iterfind("s:field", NS)}
    assert fields == {"short_frame": "0", "overflow": "2"}


def test_the_same_again(files):
    assert package(core(), "cdg_accelerator_12345678", REGISTERS, "A network") == files


def test_a_port_without_an_interface_is_noticed():
    text = core().files[f"{WRAPPER}.v"].replace("  input wire aclk", "  input wire aclk,\n  input wire spare")
    with pytest.raises(AssertionError, match="a port of cdg_accelerator_ip belongs to no interface"):
        interfaces(text, WRAPPER)
