"""The Vivado build of an overlay, as files: a non-project Tcl script and its sources. Nothing is run here.

Accelerator, AXI DMA in simple mode and reset beside the processing system, for a part: no board files are needed.
The accelerator is a module reference, whose interfaces Vivado reads from the wrapper's own attributes, so that there
is no second description of them to keep right. In a project in memory that takes ``source_mgmt_mode All`` and the
sources read before the block design (UG994, "Module Reference in a Non-Project Flow").
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources

from boards.board import Clock, ProcessingSystem
from boards.shells import SHELLS, Shell, properties
from codesign.errors import TargetError

DESIGN = "cdg_overlay"
SCRIPT = "build.tcl"
METRICS = "metrics.json"
SEGMENT = 0x1_0000
"""Bytes of address space of the DMA and of the accelerator each."""
LENGTH_BITS = 26
"""A transfer of the DMA holds up to 64 MiB."""
BURST = 16
"""Beats: all that AXI3, and so Zynq-7000, has."""
_STEM = "@STEM@"


@dataclass(frozen=True)
class Core:
    """What an overlay must know of the accelerator.

    ``files`` are its sources by name. ``top`` is a plain Verilog module whose attributes name the interfaces S_AXIS,
    M_AXIS and S_AXI, with clock ``aclk`` and reset ``aresetn``. ``word_bits``: width of both streams, a power of two
    from 8 to 1024.
    """

    files: Mapping[str, str]
    top: str
    word_bits: int


@dataclass(frozen=True)
class Overlay:
    """Files by path below the folder that Vivado runs in; ``stem`` names bitstream and handoff and is their digest.

    ``dma`` and ``accelerator`` are addresses as the processor sees them.
    """

    files: Mapping[str, str]
    stem: str
    clock: Clock
    dma: int
    accelerator: int


def overlay(core: Core, part: str, ps: ProcessingSystem, clock_mhz: float) -> Overlay:
    """The build for a part whose processing system is ``ps``, at the fastest clock not above ``clock_mhz``.

    Raises TargetError where the processing system cannot make such a clock, or Vivado can have no part of that name.
    """
    if not re.fullmatch(r"[\w-]+", part):  # it becomes Tcl
        raise TargetError(f"part {part!r} is no name of a part; correct the part's file")
    assert core.word_bits in {1 << bits for bits in range(3, 11)}, f"{core.word_bits} bits are no word of AXI DMA"
    clock = ps.clock(clock_mhz)
    base = SHELLS[ps.kind].registers
    sources = {f"rtl/{name}": text for name, text in sorted(core.files.items())}
    library = resources.files("boards").joinpath("overlay.tcl").read_text(encoding="utf-8")
    script = "\n".join([library, *_script(core, part, ps, clock)]) + "\n"
    content = json.dumps([sorted(sources.items()), script])
    stem = f"cdg_{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    return Overlay({SCRIPT: script.replace(_STEM, stem), **sources}, stem, clock, base, base + SEGMENT)


def _script(core: Core, part: str, ps: ProcessingSystem, clock: Clock) -> Iterator[str]:
    """The build itself, a command a line; any error ends Vivado with a code other than 0."""
    yield f"# Build of {_STEM} for {part}. In this folder: vivado -mode batch -source {SCRIPT}"
    yield "proc cdg::build {} {"
    body = [
        'phase "sources"',
        "check_version",
        "file delete -force .srcs .gen .cache .ip_user_files",
        f"create_project -in_memory -part {part}",
        "set_property target_language Verilog [current_project]",
        "# without it a project in memory does not look for referenced modules",
        "set_property source_mgmt_mode All [current_project]",
        *_sources(core),
        "update_compile_order -fileset sources_1",
        'phase "block design"',
        f"create_bd_design {DESIGN}",
        *_cells(core, ps, clock),
        *_connections(SHELLS[ps.kind]),
        *_addresses(SHELLS[ps.kind], ps.ddr_mib << 20),
        "validate_bd_design",
        *_expectations(core, SHELLS[ps.kind], clock),
        "save_bd_design",
        f"implement {DESIGN} {part} {_STEM} {clock.mhz:.6f} {DESIGN}_i/accelerator",
    ]
    yield from (f"  {line}" for line in body)
    yield "}"
    yield "if {[catch {cdg::build} message]} {"
    yield '  puts stderr "codesign: error: $message"'
    yield "  exit 1"
    yield "}"
    yield "exit 0"


def _sources(core: Core) -> Iterator[str]:
    for name in sorted(core.files):
        if name.endswith((".sv", ".v")):
            yield f"read_verilog {'-sv ' if name.endswith('.sv') else ''}rtl/{name}"


def _cells(core: Core, ps: ProcessingSystem, clock: Clock) -> Iterator[str]:
    yield from _cell("ps", SHELLS[ps.kind].vlnv, properties(ps, clock))
    yield from _cell("dma", "xilinx.com:ip:axi_dma:7.1", dma_properties(core.word_bits))
    yield from _cell("reset", "xilinx.com:ip:proc_sys_reset:5.0", {})
    yield from _cell("control", "xilinx.com:ip:smartconnect:1.0", {"NUM_SI": "1", "NUM_MI": "2"})
    yield from _cell("memory", "xilinx.com:ip:smartconnect:1.0", {"NUM_SI": "2", "NUM_MI": "1"})
    yield f"create_bd_cell -type module -reference {core.top} accelerator"


def dma_properties(word_bits: int) -> dict[str, str]:
    """Simple mode: no descriptors, addresses and lengths in registers; streams as wide as the accelerator's."""
    memory_bits = str(max(word_bits, 32))
    return {
        "c_include_sg": "0",
        "c_sg_include_stscntrl_strm": "0",
        "c_sg_length_width": str(LENGTH_BITS),
        "c_addr_width": "32",
        "c_include_mm2s": "1",
        "c_include_s2mm": "1",
        "c_m_axi_mm2s_data_width": memory_bits,
        "c_m_axi_s2mm_data_width": memory_bits,
        "c_m_axis_mm2s_tdata_width": str(word_bits),
        "c_s_axis_s2mm_tdata_width": str(word_bits),
        "c_mm2s_burst_size": str(BURST),
        "c_s2mm_burst_size": str(BURST),
    }


def _cell(name: str, vlnv: str, values: Mapping[str, str]) -> Iterator[str]:
    yield f"create_bd_cell -type ip -vlnv {vlnv} {name}"
    if values:
        yield "set_property -dict [list \\"
        yield from (f"  CONFIG.{key} {{{value}}} \\" for key, value in values.items())
        yield f"] [get_bd_cells {name}]"


def _connections(shell: Shell) -> Iterator[str]:
    for name, vlnv in shell.external.items():
        yield f"create_bd_intf_port -mode Master -vlnv {vlnv} {name}"
        yield f"connect_bd_intf_net [get_bd_intf_ports {name}] [get_bd_intf_pins ps/{name}]"
    for master, slave in (
        (f"ps/{shell.master[0]}", "control/S00_AXI"),
        ("control/M00_AXI", "dma/S_AXI_LITE"),
        ("control/M01_AXI", "accelerator/S_AXI"),
        ("dma/M_AXIS_MM2S", "accelerator/S_AXIS"),
        ("accelerator/M_AXIS", "dma/S_AXIS_S2MM"),
        ("dma/M_AXI_MM2S", "memory/S00_AXI"),
        ("dma/M_AXI_S2MM", "memory/S01_AXI"),
        ("memory/M00_AXI", f"ps/{shell.slave[0]}"),
    ):
        yield f"connect_bd_intf_net [get_bd_intf_pins {master}] [get_bd_intf_pins {slave}]"
    clocked = (
        *(f"ps/{shell.master[1]}", f"ps/{shell.slave[1]}", "control/aclk", "memory/aclk", "reset/slowest_sync_clk"),
        *("dma/s_axi_lite_aclk", "dma/m_axi_mm2s_aclk", "dma/m_axi_s2mm_aclk", "accelerator/aclk"),
    )
    yield from _net(f"ps/{shell.clock}", clocked)
    yield from _net(f"ps/{shell.reset}", ("reset/ext_reset_in",))
    yield from _net("reset/interconnect_aresetn", ("control/aresetn", "memory/aresetn"))
    yield from _net("reset/peripheral_aresetn", ("dma/axi_resetn", "accelerator/aresetn"))


def _net(driver: str, sinks: tuple[str, ...]) -> Iterator[str]:
    yield from (f"connect_bd_net [get_bd_pins {driver}] [get_bd_pins {sink}]" for sink in sinks)


def _addresses(shell: Shell, memory_bytes: int) -> Iterator[str]:
    """The accelerator's only segment is taken whatever its name; the DMA sees the memory where the processor does."""
    for place, segment, space, size in (
        (shell.registers, "dma/S_AXI_LITE/Reg", "ps/Data", SEGMENT),
        (shell.registers + SEGMENT, "accelerator/S_AXI/*", "ps/Data", SEGMENT),
        (0, f"ps/{shell.memory}", "dma/Data_MM2S", memory_bytes),
        (0, f"ps/{shell.memory}", "dma/Data_S2MM", memory_bytes),
    ):
        yield (
            f"assign_bd_address -offset 0x{place:08X} -range 0x{size:08X} "
            f"-target_address_space [get_bd_addr_spaces {space}] [get_bd_addr_segs {segment}] -force"
        )


def _expectations(core: Core, shell: Shell, clock: Clock) -> Iterator[str]:
    """Validation may overrule what was set, in silence; driver and clock depend on these."""
    divisors = " ".join(f"CONFIG.{name}" for name in shell.divisors)
    yield f"expect_clock ps CONFIG.{shell.frequency} {{{divisors}}} {clock.mhz:.6f} {clock.divisor}"
    values = dma_properties(core.word_bits)
    for key in ("c_include_sg", "c_sg_length_width", "c_m_axis_mm2s_tdata_width", "c_s_axis_s2mm_tdata_width"):
        yield f"expect dma CONFIG.{key} {values[key]}"
