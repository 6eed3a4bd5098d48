"""The accelerator as a packaged Vivado IP: ``component.xml`` (IP-XACT 1685-2009) beside its sources.

Interfaces, clock and reset come from the wrapper's own attributes; registers from their table.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from boards.interfaces import BusInterface, Port, interfaces
from boards.vivado import SEGMENT, Core

SPIRIT = "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009"
XILINX = "http://www.xilinx.com"
COMPONENT = "component.xml"
VENDOR, LIBRARY, VERSION = "codesign", "ip", "1.0"
FAMILIES = ("artix7", "kintex7", "spartan7", "virtex7", "zynq", "kintexuplus", "virtexuplus", "zynquplus")
_VIEWS = (
    ("xilinx_anylanguagesynthesis", "Synthesis", ":vivado.xilinx.com:synthesis"),
    ("xilinx_anylanguagebehavioralsimulation", "Simulation", ":vivado.xilinx.com:simulation"),
)
_TYPES = {".sv": "systemVerilogSource", ".v": "verilogSource"}
_ACCESS = {"ro": "read-only", "wo": "write-only", "rw": "read-write", "w1c": "read-write"}
_BLOCK = "reg0"


def package(core: Core, name: str, registers: Mapping[str, Mapping[str, Any]], description: str) -> dict[str, str]:
    """Files by path of the IP ``codesign:ip:NAME:1.0``; add their folder to a project's IP repositories.

    ``registers``: by name, each with ``offset``, ``access``, ``meaning`` and ``bits``.
    """
    sources = {f"src/{file}": text for file, text in sorted(core.files.items()) if file.endswith(tuple(_TYPES))}
    buses = interfaces(core.files[f"{core.top}.v"], core.top)
    root = ET.Element(_spirit("component"))
    for key, text in (("vendor", VENDOR), ("library", LIBRARY), ("name", name), ("version", VERSION)):
        _text(root, key, text)
    group = _add(root, "busInterfaces")
    for bus in buses:
        _bus(group, bus)
    _memory_map(root, registers)
    _model(root, core.top, buses)
    sets = _add(root, "fileSets")
    for view, _, _ in _VIEWS:
        _file_set(sets, view, list(sources))
    _text(root, "description", description)
    parameter = _add(_add(root, "parameters"), "parameter")
    _text(parameter, "name", "Component_Name")
    _value(parameter, "PARAM_VALUE.Component_Name", f"{name}_v1_0", resolve="user")
    _extensions(root, name)
    return {COMPONENT: _serialised(root), **sources}


def _serialised(root: ET.Element) -> str:
    ET.register_namespace("spirit", SPIRIT)
    ET.register_namespace("xilinx", XILINX)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _bus(group: ET.Element, bus: BusInterface) -> None:
    vendor, library, kind, version = bus.kind.split(":")
    element = _add(group, "busInterface")
    _text(element, "name", bus.name)
    for tag, suffix in (("busType", ""), ("abstractionType", "_rtl")):
        _add(element, tag, vendor=vendor, library=library, name=kind + suffix, version=version)
    mode = _add(element, "slave" if bus.slave else "master")
    if kind == "aximm":
        _add(mode, "memoryMapRef", memoryMapRef=bus.name)
    maps = _add(element, "portMaps")
    for logical, port in bus.signals.items():
        pair = _add(maps, "portMap")
        _text(_add(pair, "logicalPort"), "name", logical)
        _text(_add(pair, "physicalPort"), "name", port.name)
    # those of a stream or a memory-mapped interface follow from its ports
    told = {key: text for key, text in bus.parameters.items() if key.startswith("ASSOCIATED") or key == "POLARITY"}
    if told:
        group = _add(element, "parameters")
        for key, text in told.items():
            parameter = _add(group, "parameter")
            _text(parameter, "name", key)
            _value(parameter, f"BUSIFPARAM_VALUE.{bus.name.upper()}.{key}", text)


def _memory_map(root: ET.Element, registers: Mapping[str, Mapping[str, Any]]) -> None:
    memory = _add(_add(root, "memoryMaps"), "memoryMap")
    _text(memory, "name", "S_AXI")
    block = _add(memory, "addressBlock")
    _text(block, "name", _BLOCK)
    _text(block, "baseAddress", "0", format="bitString", resolve="user", bitStringLength="32")
    _text(block, "range", str(SEGMENT), format="long", resolve="user", minimum="4096", rangeType="long")
    _text(block, "width", "32", format="long", resolve="user")
    _text(block, "usage", "register")
    for name, register in registers.items():
        element = _add(block, "register")
        _text(element, "name", name)
        _text(element, "description", register["meaning"])
        _text(element, "addressOffset", f"0x{register['offset']:02X}")
        _text(element, "size", "32", format="long")
        _text(element, "access", _ACCESS[register["access"]])
        for field, bit in register["bits"].items():
            part = _add(element, "field")
            _text(part, "name", field)
            _text(part, "bitOffset", str(bit))
            _text(part, "bitWidth", "1", format="long")


def _model(root: ET.Element, top: str, buses: list[BusInterface]) -> None:
    model = _add(root, "model")
    views = _add(model, "views")
    for name, shown, environment in _VIEWS:
        view = _add(views, "view")
        _text(view, "name", name)
        _text(view, "displayName", shown)
        _text(view, "envIdentifier", environment)
        _text(view, "language", "Verilog")
        _text(view, "modelName", top)
        _text(_add(view, "fileSetRef"), "localName", f"{name}_view_fileset")
    ports = _add(model, "ports")
    for bus in buses:
        for logical, port in bus.signals.items():
            _port(ports, port, idle_high=logical in ("TKEEP", "WSTRB"))


def _port(ports: ET.Element, port: Port, *, idle_high: bool) -> None:
    """``idle_high``: what is read where nothing drives the port, as a stream without TKEEP leaves it."""
    element = _add(ports, "port")
    _text(element, "name", port.name)
    wire = _add(element, "wire")
    _text(wire, "direction", port.direction)
    if port.bits > 1:
        vector = _add(wire, "vector")
        _text(vector, "left", str(port.bits - 1), format="long")
        _text(vector, "right", "0", format="long")
    definition = _add(_add(wire, "wireTypeDefs"), "wireTypeDef")
    _text(definition, "typeName", "wire")
    for view, _, _ in _VIEWS:
        _text(definition, "viewNameRef", view)
    if port.direction == "in" and idle_high:
        _text(_add(wire, "driver"), "defaultValue", str((1 << port.bits) - 1), format="long")


def _file_set(sets: ET.Element, view: str, files: list[str]) -> None:
    group = _add(sets, "fileSet")
    _text(group, "name", f"{view}_view_fileset")
    for file in files:
        element = _add(group, "file")
        _text(element, "name", file)
        _text(element, "fileType", _TYPES[file[file.rindex(".") :]])


def _extensions(root: ET.Element, name: str) -> None:
    core = ET.SubElement(_add(root, "vendorExtensions"), _xilinx("coreExtensions"))
    families = ET.SubElement(core, _xilinx("supportedFamilies"))
    for family in FAMILIES:
        ET.SubElement(families, _xilinx("family"), {_xilinx("lifeCycle"): "Production"}).text = family
    ET.SubElement(ET.SubElement(core, _xilinx("taxonomies")), _xilinx("taxonomy")).text = "/UserIP"
    ET.SubElement(core, _xilinx("displayName")).text = name
    ET.SubElement(core, _xilinx("definitionSource")).text = "package_project"
    ET.SubElement(core, _xilinx("coreRevision")).text = "1"


def _spirit(name: str) -> str:
    return f"{{{SPIRIT}}}{name}"


def _xilinx(name: str) -> str:
    return f"{{{XILINX}}}{name}"


def _add(parent: ET.Element, tag: str, /, **attributes: str) -> ET.Element:
    return ET.SubElement(parent, _spirit(tag), {_spirit(key): text for key, text in attributes.items()})


def _text(parent: ET.Element, tag: str, text: str, /, **attributes: str) -> None:
    _add(parent, tag, **attributes).text = text


def _value(parent: ET.Element, identity: str, text: str, **attributes: str) -> None:
    _text(parent, "value", text, **attributes, id=identity)
