"""Shells: what differs between the two processing systems that an overlay may sit beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from boards.board import Clock, ProcessingSystem


@dataclass(frozen=True)
class Shell:
    """Vivado's cell of a processing system: the pins, interfaces and properties that an overlay uses of it.

    ``master`` and ``slave`` are an AXI interface and its clock pin; ``memory`` is the address segment of the DDR.
    ``registers`` is where the master's address space begins for the fabric. ``external`` are interfaces that lead to
    pins of the device, with their types. ``frequency`` and ``divisors`` are properties that the cell works out.
    """

    vlnv: str
    clock: str
    reset: str
    master: tuple[str, str]
    slave: tuple[str, str]
    memory: str
    registers: int
    external: Mapping[str, str]
    frequency: str
    divisors: tuple[str, str]


SHELLS: Mapping[str, Shell] = {
    "zynq-7000": Shell(
        vlnv="xilinx.com:ip:processing_system7:5.5",
        clock="FCLK_CLK0",
        reset="FCLK_RESET0_N",
        master=("M_AXI_GP0", "M_AXI_GP0_ACLK"),
        slave=("S_AXI_HP0", "S_AXI_HP0_ACLK"),
        memory="S_AXI_HP0/HP0_DDR_LOWOCM",
        registers=0x4000_0000,
        external={
            "DDR": "xilinx.com:interface:ddrx_rtl:1.0",
            "FIXED_IO": "xilinx.com:display_processing_system7:fixedio_rtl:1.0",
        },
        frequency="PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ",
        divisors=("PCW_FCLK0_PERIPHERAL_DIVISOR0", "PCW_FCLK0_PERIPHERAL_DIVISOR1"),
    ),
    "zynq-ultrascale+": Shell(
        vlnv="xilinx.com:ip:zynq_ultra_ps_e",  # which version there is depends on Vivado's
        clock="pl_clk0",
        reset="pl_resetn0",
        master=("M_AXI_HPM0_FPD", "maxihpm0_fpd_aclk"),
        slave=("S_AXI_HP0_FPD", "saxihp0_fpd_aclk"),
        memory="SAXIGP2/HP0_DDR_LOW",
        registers=0xA000_0000,
        external={},
        frequency="PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ",
        divisors=("PSU__CRL_APB__PL0_REF_CTRL__DIVISOR0", "PSU__CRL_APB__PL0_REF_CTRL__DIVISOR1"),
    ),
}


def properties(ps: ProcessingSystem, clock: Clock) -> dict[str, str]:
    """Properties to set on the cell: the two ports, their widths as the boot image sets them, and the clock.

    The boot image configures memory, pins and PLLs before any overlay is loaded, and a bitstream holds nothing of them:
    they are described only as far as Vivado derives clock dividers and address ranges from them.
    """
    reference, request = f"{ps.reference_mhz:.9g}", f"{clock.request_mhz:.6f}"
    if ps.kind == "zynq-7000":
        return {
            "PCW_CRYSTAL_PERIPHERAL_FREQMHZ": reference,
            **ps.preset,
            "PCW_USE_M_AXI_GP0": "1",
            "PCW_USE_S_AXI_HP0": "1",
            "PCW_S_AXI_HP0_DATA_WIDTH": "64",
            "PCW_EN_CLK0_PORT": "1",
            "PCW_EN_RST0_PORT": "1",
            "PCW_FPGA_FCLK0_ENABLE": "1",
            "PCW_FCLK0_PERIPHERAL_CLKSRC": "IO PLL",
            "PCW_FPGA0_PERIPHERAL_FREQMHZ": request,
        }
    return {
        "PSU__PSS_REF_CLK__FREQMHZ": reference,
        **ps.preset,
        "PSU__USE__M_AXI_GP0": "1",
        "PSU__MAXIGP0__DATA_WIDTH": "128",
        "PSU__USE__M_AXI_GP1": "0",  # there by default, and its clock pin would be open
        "PSU__USE__M_AXI_GP2": "0",
        "PSU__USE__S_AXI_GP2": "1",
        "PSU__SAXIGP2__DATA_WIDTH": "128",
        "PSU__USE__FABRIC__RST": "1",
        "PSU__FPGA_PL0_ENABLE": "1",
        "PSU__CRL_APB__PL0_REF_CTRL__SRCSEL": "IOPLL",
        "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": request,
    }
