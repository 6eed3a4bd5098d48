"""The .hwh of an overlay without Vivado, for virtual boards: what pynq reads of one, and no more.

Vivado writes its own, with every pin, when it builds the overlay. Names of elements, attributes and parameters are
those of Vivado 2022.1, as in PYNQ 3.0.1's base overlays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree as Xml

from boards.board import DIVISOR, KINDS, Clock, ProcessingSystem
from boards.interfaces import interfaces
from boards.shells import SHELLS, properties
from boards.vivado import DESIGN, SEGMENT, Core, Overlay, dma_properties

_AXI, _AXIS = "xilinx.com:interface:aximm:1.0", "xilinx.com:interface:axis:1.0"
_DMA_REGISTERS = {
    name: base + offset
    for way, base, place in (("MM2S", 0x00, "SA"), ("S2MM", 0x30, "DA"))
    for name, offset in (
        (f"{way}_DMACR", 0x00), (f"{way}_DMASR", 0x04), (f"{way}_{place}", 0x18), (f"{way}_{place}_MSB", 0x1C),
        (f"{way}_LENGTH", 0x28),
    )
}  # fmt: skip
_DMA_DEFAULTS = dict.fromkeys(
    ("c_micro_dma", "c_include_mm2s_dre", "c_include_s2mm_dre", "c_enable_multi_channel"), "0"
)
_WIDE_PORTS = (*(f"MAXIGP{index}" for index in range(3)), *(f"SAXIGP{index}" for index in range(7)))
PS = "ps"


def handoff(made: Overlay, core: Core, part: str, ps: ProcessingSystem) -> str:
    """The .hwh of the overlay that :func:`boards.vivado.overlay` made of the same core, part and processing system."""
    root = Xml.Element("EDKSYSTEM", EDWVERSION="1.2", TIMESTAMP="none", VIVADOVERSION="none")
    Xml.SubElement(root, "SYSTEMINFO", _device(part, ps.kind), NAME=DESIGN)
    Xml.SubElement(root, "EXTERNALPORTS")
    Xml.SubElement(root, "EXTERNALINTERFACES")
    modules = Xml.SubElement(root, "MODULES")
    _processing_system(modules, made, ps)
    _dma(modules, core, ps)
    _accelerator(modules, core)
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _device(part: str, kind: str) -> dict[str, str]:
    arch = "zynq" if kind == KINDS[0] else "zynquplus"
    found = re.fullmatch(r"xc(7z\d+s?)([a-z]+\d+)(-\d\w*)|(xc\w+)-(\w+?)(-\d\w*)(?:-\w)?", part)
    device, package, speed = [text for text in found.groups() if text] if found else (part, "", "")
    return {"ARCH": arch, "DEVICE": device, "PACKAGE": package, "SPEEDGRADE": speed}


def _module(modules: Xml.Element, name: str, vlnv: str, **attributes: str) -> Xml.Element:
    kind, version = vlnv.split(":")[2:]
    return Xml.SubElement(
        modules,
        "MODULE",
        {"FULLNAME": f"/{name}", "HWVERSION": version, "INSTANCE": name, "IPTYPE": "PERIPHERAL", "IS_ENABLE": "1"},
        MODTYPE=kind,
        VLNV=vlnv,
        **attributes,
    )


def _parameters(module: Xml.Element, values: Mapping[str, str]) -> None:
    listed = Xml.SubElement(module, "PARAMETERS")
    for name, value in values.items():
        Xml.SubElement(listed, "PARAMETER", NAME=name, VALUE=value)


def _interfaces(module: Xml.Element, *listed: tuple[str, str, str]) -> None:
    """By name, type, and VLNV."""
    found = Xml.SubElement(module, "BUSINTERFACES")
    for name, kind, vlnv in listed:
        Xml.SubElement(found, "BUSINTERFACE", BUSNAME="__NOC__", NAME=name, TYPE=kind, VLNV=vlnv)


def _range(module: Xml.Element, block: str, first: int, size: int, master: str, slave: tuple[str, str]) -> None:
    """What a master reaches at an address: memory, or the registers of a module."""
    kind = "MEMORY" if slave[0] == PS else "REGISTER"
    memory_map = module.find("MEMORYMAP")
    if memory_map is None:
        memory_map = Xml.SubElement(module, "MEMORYMAP")
    Xml.SubElement(
        memory_map,
        "MEMRANGE",
        {"BASENAME": "C_BASEADDR", "BASEVALUE": f"0x{first:08X}", "HIGHNAME": "C_HIGHADDR"},
        HIGHVALUE=f"0x{first + size - 1:08X}",
        ADDRESSBLOCK=block,
        INSTANCE=slave[0],
        IS_DATA="TRUE",
        IS_INSTRUCTION="TRUE",
        MASTERBUSINTERFACE=master,
        MEMTYPE=kind,
        SLAVEBUSINTERFACE=slave[1],
    )


def _processing_system(modules: Xml.Element, made: Overlay, ps: ProcessingSystem) -> None:
    shell = SHELLS[ps.kind]
    vlnv = shell.vlnv if shell.vlnv.count(":") == 3 else f"{shell.vlnv}:3.4"
    module = _module(modules, PS, vlnv, CONFIGURABLE="TRUE", IS_PL="FALSE")
    _parameters(module, {**properties(ps, made.clock), **_clocks(made.clock, ps)})
    _interfaces(module, (shell.master[0], "MASTER", _AXI), (shell.slave[0], "SLAVE", _AXI))
    _range(module, "Reg", made.dma, SEGMENT, shell.master[0], ("dma", "S_AXI_LITE"))
    _range(module, "reg0", made.accelerator, SEGMENT, shell.master[0], ("accelerator", "S_AXI"))


def _clocks(clock: Clock, ps: ProcessingSystem) -> dict[str, str]:
    """What Vivado works out of the properties: dividers and frequency of clock 0, and that there is no other."""
    first = next(value for value in range(DIVISOR, 0, -1) if clock.divisor % value == 0)
    found = {} if ps.kind == KINDS[0] else {f"C_{name}_DATA_WIDTH": "128" for name in _WIDE_PORTS}
    for index in range(4):
        on = index == 0
        dividers, mhz = (first, clock.divisor // first) if on else (1, 1), clock.mhz if on else 0.0
        if ps.kind == KINDS[0]:
            prefix, source = f"PCW_FCLK{index}_PERIPHERAL_", {"CLKSRC": "IO PLL"}
            enable, actual = f"PCW_FPGA_FCLK{index}_ENABLE", f"PCW_ACT_FPGA{index}_PERIPHERAL_FREQMHZ"
        else:
            prefix, source = f"PSU__CRL_APB__PL{index}_REF_CTRL__", {"SRCSEL": "IOPLL"}
            enable, actual = f"PSU__FPGA_PL{index}_ENABLE", f"{prefix}ACT_FREQMHZ"
        found |= {enable: str(int(on)), actual: f"{mhz:.6f}"}
        found |= {f"{prefix}DIVISOR{which}": str(value) for which, value in enumerate(dividers)}
        found |= {f"{prefix}{name}": value for name, value in source.items()}
    return found


def _dma(modules: Xml.Element, core: Core, ps: ProcessingSystem) -> None:
    shell = SHELLS[ps.kind]
    module = _module(modules, "dma", "xilinx.com:ip:axi_dma:7.1", MODCLASS="PERIPHERAL")
    blocks = Xml.SubElement(module, "ADDRESSBLOCKS")
    block = Xml.SubElement(blocks, "ADDRESSBLOCK", INTERFACE="S_AXI_LITE", NAME="Reg", RANGE="4096", USAGE="register")
    registers = Xml.SubElement(block, "REGISTERS")
    for name, offset in _DMA_REGISTERS.items():
        register = Xml.SubElement(registers, "REGISTER", NAME=name)
        described = {"ADDRESS_OFFSET": f"{offset:#x}", "SIZE": "32", "ACCESS": "read-write", "IS_ENABLED": "true"}
        for key, value in described.items():
            Xml.SubElement(register, "PROPERTY", NAME=key, VALUE=value)
    values = {**dma_properties(core.word_bits), **_DMA_DEFAULTS}
    of_the_core = {name.upper(): value for name, value in values.items() if name != "c_addr_width"}
    _parameters(module, {**of_the_core, **values})
    masters = ("M_AXI_MM2S", "M_AXI_S2MM")
    _interfaces(
        module,
        ("S_AXI_LITE", "SLAVE", _AXI),
        *((name, "MASTER", _AXI) for name in masters),
        ("M_AXIS_MM2S", "INITIATOR", _AXIS),
        ("S_AXIS_S2MM", "TARGET", _AXIS),
    )
    for name in masters:
        block_name = shell.memory.partition("/")[2]
        _range(module, block_name, 0, ps.ddr_mib << 20, name, (PS, shell.slave[0]))


def _accelerator(modules: Xml.Element, core: Core) -> None:
    module = _module(modules, "accelerator", f"xilinx.com:module_ref:{core.top}:1.0", MODCLASS="PERIPHERAL")
    _parameters(module, {"Component_Name": f"{DESIGN}_accelerator_0"})
    listed = [bus for bus in interfaces(core.files[f"{core.top}.v"], core.top) if bus.kind in (_AXI, _AXIS)]
    kinds = {(_AXI, True): "SLAVE", (_AXIS, True): "TARGET", (_AXIS, False): "INITIATOR"}
    _interfaces(module, *((bus.name, kinds[bus.kind, bus.slave], bus.kind) for bus in listed))
