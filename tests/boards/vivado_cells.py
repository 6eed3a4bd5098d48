"""What the stand-in for Vivado knows of the cells an overlay may use: properties, pins, interfaces, address segments.

Names are those of Vivado: those of ps, dma and reset are held against the .hwh of PYNQ's own overlays by
``test_vivado.py``; those of SmartConnect are from PG247. A property may take only the values listed, which are fewer
than Vivado's own: those that the driver and the boards rely on. Defaults are Vivado's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

AXI, AXIS = "aximm", "axis"
Legal = Callable[[str], bool]


def one_of(*values: str) -> Legal:
    return lambda value: value in values


def megahertz(low: float, high: float) -> Legal:
    return lambda value: bool(re.fullmatch(r"\d+(\.\d+)?", value)) and low <= float(value) <= high


@dataclass(frozen=True)
class Pin:
    """``direction``: I or O; ``kind``: clk, or rst with the level at which it resets."""

    direction: str
    kind: str
    required: bool = True


@dataclass(frozen=True)
class Interface:
    """``mode``: Master or Slave; ``clock``: the pin that clocks it; ``bits`` of data; ``adaptive`` ones convert."""

    mode: str
    protocol: str
    clock: str = ""
    bits: int = 0
    dialect: str = ""
    adaptive: bool = False
    required: bool = True


@dataclass(frozen=True)
class Kind:
    """A cell by its VLNV. Functions of the configuration say which pins and interfaces it has."""

    defaults: Mapping[str, str]
    legal: Mapping[str, Legal]
    pins: Callable[[Mapping[str, str]], Mapping[str, Pin]]
    interfaces: Callable[[Mapping[str, str]], Mapping[str, Interface]]
    spaces: tuple[str, ...] = ()
    segments: Callable[[Mapping[str, str]], Mapping[str, tuple[str, int]]] = lambda _: {}
    derive: Callable[[dict[str, str]], None] = lambda _: None
    apertures: tuple[tuple[int, int], ...] = field(default=())


def _divided(values: dict[str, str], pll: float, divisor: int, prefix: str, actual: str) -> None:
    first = next(d for d in range(63, 0, -1) if divisor % d == 0 and divisor // d <= 63)
    values[prefix + "0"], values[prefix + "1"] = str(first), str(divisor // first)
    values[actual] = f"{pll / divisor:.6f}"


def _zynq_clock(values: dict[str, str]) -> None:
    """Vivado gives the I/O PLL 1600 MHz unless peripherals need another frequency; then the nearest divider."""
    needed = values["PCW_QSPI_PERIPHERAL_ENABLE"] == "1" and values["PCW_ENET0_PERIPHERAL_ENABLE"] == "1"
    pll = 1000.0 if needed else 1600.0
    divisor = min(range(1, 64), key=lambda d: abs(pll / d - float(values["PCW_FPGA0_PERIPHERAL_FREQMHZ"])))
    _divided(values, pll, divisor, "PCW_FCLK0_PERIPHERAL_DIVISOR", "PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ")


def _ultrascale_clock(values: dict[str, str]) -> None:
    """The I/O PLL at 45 times the reference; the fastest clock that is not above what is asked for."""
    pll = float(values["PSU__PSS_REF_CLK__FREQMHZ"]) * 45
    asked = float(values["PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ"])
    divisor = next(d for d in range(1, 64) if pll / d <= asked)
    prefix = "PSU__CRL_APB__PL0_REF_CTRL__"
    _divided(values, pll, divisor, prefix + "DIVISOR", prefix + "ACT_FREQMHZ")


def _zynq_pins(values: Mapping[str, str]) -> dict[str, Pin]:
    pins = {}
    if values["PCW_EN_CLK0_PORT"] == "1":
        pins["FCLK_CLK0"] = Pin("O", "clk", required=False)
    if values["PCW_EN_RST0_PORT"] == "1":
        pins["FCLK_RESET0_N"] = Pin("O", "rst low", required=False)
    if values["PCW_USE_M_AXI_GP0"] == "1":
        pins["M_AXI_GP0_ACLK"] = Pin("I", "clk")
    if values["PCW_USE_S_AXI_HP0"] == "1":
        pins["S_AXI_HP0_ACLK"] = Pin("I", "clk")
    return pins


def _zynq_interfaces(values: Mapping[str, str]) -> dict[str, Interface]:
    found = {
        "DDR": Interface("Master", "ddrx"),
        "FIXED_IO": Interface("Master", "fixedio"),
    }
    if values["PCW_USE_M_AXI_GP0"] == "1":
        found["M_AXI_GP0"] = Interface("Master", AXI, "M_AXI_GP0_ACLK", 32, "AXI3")
    if values["PCW_USE_S_AXI_HP0"] == "1":
        bits = int(values["PCW_S_AXI_HP0_DATA_WIDTH"])
        found["S_AXI_HP0"] = Interface("Slave", AXI, "S_AXI_HP0_ACLK", bits, "AXI3")
    return found


def _zynq_memory(values: Mapping[str, str]) -> dict[str, tuple[str, int]]:
    """1 GiB of memory by default."""
    return {
        "S_AXI_HP0/HP0_DDR_LOWOCM": ("S_AXI_HP0", 1 << (29 if values["PCW_UIPARAM_DDR_BUS_WIDTH"] == "16 Bit" else 30))
    }


def _ultrascale_pins(values: Mapping[str, str]) -> dict[str, Pin]:
    pins = {}
    if values["PSU__FPGA_PL0_ENABLE"] == "1":
        pins["pl_clk0"] = Pin("O", "clk", required=False)
    if values["PSU__USE__FABRIC__RST"] == "1":
        pins["pl_resetn0"] = Pin("O", "rst low", required=False)
    for port, pin in {**_ULTRASCALE_MASTERS, "S_AXI_GP2": ("", "saxihp0_fpd_aclk")}.items():
        if values[f"PSU__USE__{port}"] == "1":
            pins[pin[1]] = Pin("I", "clk")
    return pins


_ULTRASCALE_MASTERS = {
    "M_AXI_GP0": ("M_AXI_HPM0_FPD", "maxihpm0_fpd_aclk"),
    "M_AXI_GP1": ("M_AXI_HPM1_FPD", "maxihpm1_fpd_aclk"),
    "M_AXI_GP2": ("M_AXI_HPM0_LPD", "maxihpm0_lpd_aclk"),
}


def _ultrascale_interfaces(values: Mapping[str, str]) -> dict[str, Interface]:
    found = {}
    for port, (name, clock) in _ULTRASCALE_MASTERS.items():
        if values[f"PSU__USE__{port}"] == "1":
            bits = int(values["PSU__MAXIGP0__DATA_WIDTH"])
            found[name] = Interface("Master", AXI, clock, bits, "AXI4", required=False)
    if values["PSU__USE__S_AXI_GP2"] == "1":
        bits = int(values["PSU__SAXIGP2__DATA_WIDTH"])
        found["S_AXI_HP0_FPD"] = Interface("Slave", AXI, "saxihp0_fpd_aclk", bits, "AXI4")
    return found


def _dma_pins(values: Mapping[str, str]) -> dict[str, Pin]:
    pins = {"s_axi_lite_aclk": Pin("I", "clk"), "axi_resetn": Pin("I", "rst low")}
    for way in ("mm2s", "s2mm"):
        if values[f"c_include_{way}"] == "1":
            pins[f"m_axi_{way}_aclk"] = Pin("I", "clk")
            pins[f"{way}_introut"] = Pin("O", "intr", required=False)
    if values["c_include_sg"] == "1":
        pins["m_axi_sg_aclk"] = Pin("I", "clk")
    return pins


def _dma_interfaces(values: Mapping[str, str]) -> dict[str, Interface]:
    found = {"S_AXI_LITE": Interface("Slave", AXI, "s_axi_lite_aclk", 32, "AXI4LITE")}
    if values["c_include_mm2s"] == "1":
        memory, stream = int(values["c_m_axi_mm2s_data_width"]), int(values["c_m_axis_mm2s_tdata_width"])
        found["M_AXI_MM2S"] = Interface("Master", AXI, "m_axi_mm2s_aclk", memory, "AXI4")
        found["M_AXIS_MM2S"] = Interface("Master", AXIS, "m_axi_mm2s_aclk", stream)
    if values["c_include_s2mm"] == "1":
        memory, stream = int(values["c_m_axi_s2mm_data_width"]), int(values["c_s_axis_s2mm_tdata_width"])
        found["M_AXI_S2MM"] = Interface("Master", AXI, "m_axi_s2mm_aclk", memory, "AXI4")
        found["S_AXIS_S2MM"] = Interface("Slave", AXIS, "m_axi_s2mm_aclk", stream)
    if values["c_include_sg"] == "1":
        found["M_AXI_SG"] = Interface("Master", AXI, "m_axi_sg_aclk", 32, "AXI4")
    return found


def _smartconnect(values: Mapping[str, str]) -> dict[str, Interface]:
    slaves = {f"S{i:02d}_AXI": "Slave" for i in range(int(values["NUM_SI"]))}
    masters = {f"M{i:02d}_AXI": "Master" for i in range(int(values["NUM_MI"]))}
    return {name: Interface(mode, AXI, "aclk", adaptive=True) for name, mode in {**slaves, **masters}.items()}


RESET_PINS = {
    "slowest_sync_clk": Pin("I", "clk"),
    "ext_reset_in": Pin("I", "rst low"),
    "aux_reset_in": Pin("I", "rst low", required=False),
    "mb_debug_sys_rst": Pin("I", "rst high", required=False),
    "dcm_locked": Pin("I", "other", required=False),
    "mb_reset": Pin("O", "rst high", required=False),
    "bus_struct_reset": Pin("O", "rst high", required=False),
    "peripheral_reset": Pin("O", "rst high", required=False),
    "interconnect_aresetn": Pin("O", "rst low", required=False),
    "peripheral_aresetn": Pin("O", "rst low", required=False),
}
_ON, _MIO = one_of("1"), one_of
_WIDTHS = one_of("32", "64", "128", "256", "512", "1024")
_STREAMS = one_of("8", "16", "32", "64", "128", "256", "512", "1024")

KINDS: Mapping[str, Kind] = {
    "xilinx.com:ip:processing_system7:5.5": Kind(
        defaults={
            "PCW_CRYSTAL_PERIPHERAL_FREQMHZ": "33.333333", "PCW_PRESET_BANK1_VOLTAGE": "LVCMOS 3.3V",
            "PCW_QSPI_PERIPHERAL_ENABLE": "0", "PCW_QSPI_GRP_SINGLE_SS_ENABLE": "0",
            "PCW_QSPI_PERIPHERAL_FREQMHZ": "200", "PCW_ENET0_PERIPHERAL_ENABLE": "0",
            "PCW_ENET0_ENET0_IO": "<Select>", "PCW_ENET0_GRP_MDIO_ENABLE": "0",
            "PCW_ENET0_PERIPHERAL_FREQMHZ": "1000 Mbps", "PCW_ENET0_GRP_MDIO_IO": "<Select>",
            "PCW_SD0_PERIPHERAL_ENABLE": "0", "PCW_SD0_SD0_IO": "<Select>", "PCW_SDIO_PERIPHERAL_FREQMHZ": "100",
            "PCW_UART0_PERIPHERAL_ENABLE": "0", "PCW_UART0_UART0_IO": "<Select>", "PCW_USE_M_AXI_GP0": "1",
            "PCW_USE_S_AXI_HP0": "0", "PCW_S_AXI_HP0_DATA_WIDTH": "64", "PCW_EN_CLK0_PORT": "1",
            "PCW_EN_RST0_PORT": "1", "PCW_FPGA_FCLK0_ENABLE": "1",
            "PCW_FCLK0_PERIPHERAL_CLKSRC": "IO PLL", "PCW_FPGA0_PERIPHERAL_FREQMHZ": "50",
        },
        legal={
            "PCW_CRYSTAL_PERIPHERAL_FREQMHZ": one_of("50"), "PCW_PRESET_BANK1_VOLTAGE": one_of("LVCMOS 1.8V"),
            "PCW_QSPI_PERIPHERAL_ENABLE": _ON, "PCW_QSPI_GRP_SINGLE_SS_ENABLE": _ON,
            "PCW_QSPI_PERIPHERAL_FREQMHZ": one_of("200"), "PCW_ENET0_PERIPHERAL_ENABLE": _ON,
            "PCW_ENET0_ENET0_IO": _MIO("MIO 16 .. 27"), "PCW_ENET0_PERIPHERAL_FREQMHZ": one_of("1000 Mbps"),
            "PCW_ENET0_GRP_MDIO_ENABLE": _ON, "PCW_ENET0_GRP_MDIO_IO": _MIO("MIO 52 .. 53"),
            "PCW_SD0_PERIPHERAL_ENABLE": _ON, "PCW_SD0_SD0_IO": _MIO("MIO 40 .. 45"),
            "PCW_SDIO_PERIPHERAL_FREQMHZ": one_of("50"), "PCW_UART0_PERIPHERAL_ENABLE": _ON,
            "PCW_UART0_UART0_IO": _MIO("MIO 14 .. 15"), "PCW_USE_M_AXI_GP0": _ON, "PCW_USE_S_AXI_HP0": _ON,
            "PCW_S_AXI_HP0_DATA_WIDTH": one_of("64"), "PCW_EN_CLK0_PORT": _ON, "PCW_EN_RST0_PORT": _ON,
            "PCW_FPGA_FCLK0_ENABLE": _ON, "PCW_APU_PERIPHERAL_FREQMHZ": one_of("650"),
            "PCW_UIPARAM_DDR_FREQ_MHZ": one_of("525"), "PCW_UIPARAM_DDR_PARTNO": one_of("MT41J256M16 RE-125"),
            "PCW_UIPARAM_DDR_BUS_WIDTH": one_of("16 Bit"), "PCW_FCLK0_PERIPHERAL_CLKSRC": one_of("IO PLL"),
            "PCW_FPGA0_PERIPHERAL_FREQMHZ": megahertz(0.1, 250),
        },
        pins=_zynq_pins,
        interfaces=_zynq_interfaces,
        spaces=("Data",),
        segments=_zynq_memory,
        derive=_zynq_clock,
        apertures=((0x4000_0000, 0x8000_0000),),
    ),
    "xilinx.com:ip:zynq_ultra_ps_e": Kind(
        defaults={
            "PSU__PSS_REF_CLK__FREQMHZ": "33.33", "PSU__USE__M_AXI_GP0": "1", "PSU__MAXIGP0__DATA_WIDTH": "128",
            "PSU__USE__M_AXI_GP1": "1", "PSU__USE__M_AXI_GP2": "0", "PSU__USE__S_AXI_GP2": "0",
            "PSU__SAXIGP2__DATA_WIDTH": "128", "PSU__USE__FABRIC__RST": "1", "PSU__FPGA_PL0_ENABLE": "1",
            "PSU__CRL_APB__PL0_REF_CTRL__SRCSEL": "RPLL", "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": "100",
        },
        legal={
            "PSU__PSS_REF_CLK__FREQMHZ": one_of("33.333"), "PSU__USE__M_AXI_GP0": _ON,
            "PSU__MAXIGP0__DATA_WIDTH": one_of("128"), "PSU__USE__M_AXI_GP1": one_of("0"),
            "PSU__USE__M_AXI_GP2": one_of("0"), "PSU__USE__S_AXI_GP2": _ON, "PSU__SAXIGP2__DATA_WIDTH": one_of("128"),
            "PSU__USE__FABRIC__RST": _ON, "PSU__FPGA_PL0_ENABLE": _ON,
            "PSU__CRL_APB__PL0_REF_CTRL__SRCSEL": one_of("IOPLL"),
            "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": megahertz(0.1, 400),
        },
        pins=_ultrascale_pins,
        interfaces=_ultrascale_interfaces,
        spaces=("Data",),
        segments=lambda _: {"SAXIGP2/HP0_DDR_LOW": ("S_AXI_HP0_FPD", 1 << 31)},
        derive=_ultrascale_clock,
        apertures=((0xA000_0000, 0xB000_0000),),
    ),
    "xilinx.com:ip:axi_dma:7.1": Kind(
        defaults={
            "c_include_sg": "1", "c_sg_include_stscntrl_strm": "1", "c_sg_length_width": "14", "c_addr_width": "32",
            "c_include_mm2s": "1", "c_include_s2mm": "1", "c_m_axi_mm2s_data_width": "32",
            "c_m_axi_s2mm_data_width": "32", "c_m_axis_mm2s_tdata_width": "32", "c_s_axis_s2mm_tdata_width": "32",
            "c_mm2s_burst_size": "16", "c_s2mm_burst_size": "16",
        },
        legal={
            "c_include_sg": one_of("0"), "c_sg_include_stscntrl_strm": one_of("0"), "c_sg_length_width": one_of("26"),
            "c_addr_width": one_of("32"), "c_include_mm2s": _ON, "c_include_s2mm": _ON,
            "c_m_axi_mm2s_data_width": _WIDTHS, "c_m_axi_s2mm_data_width": _WIDTHS,
            "c_m_axis_mm2s_tdata_width": _STREAMS, "c_s_axis_s2mm_tdata_width": _STREAMS,
            "c_mm2s_burst_size": one_of("16"), "c_s2mm_burst_size": one_of("16"),
        },
        pins=_dma_pins,
        interfaces=_dma_interfaces,
        spaces=("Data_MM2S", "Data_S2MM"),
        segments=lambda _: {"S_AXI_LITE/Reg": ("S_AXI_LITE", 1 << 16)},
    ),
    "xilinx.com:ip:proc_sys_reset:5.0": Kind({}, {}, lambda _: RESET_PINS, lambda _: {}),
    "xilinx.com:ip:smartconnect:1.0": Kind(
        defaults={"NUM_SI": "1", "NUM_MI": "1"},
        legal={"NUM_SI": one_of("1", "2"), "NUM_MI": one_of("1", "2")},
        pins=lambda _: {"aclk": Pin("I", "clk"), "aresetn": Pin("I", "rst low")},
        interfaces=_smartconnect,
    ),
}  # fmt: skip
